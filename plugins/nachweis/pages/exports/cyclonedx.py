"""CycloneDX 1.7: a bill of materials of the model and its data, with a model card.

The library of the format cannot express model cards, so that the document is built here and
validated with the library's strict schema in the tests.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from nachweis.domain.canonical import canonical_bytes
from nachweis.pages.exports._dossier import Dossier
from nachweis.pages.exports._model import SHOWS, Format, Source
from nachweis.pages.render import harmless
from nachweis.storage import layout

_IDS = uuid.UUID("0a4cbd0e-65a5-5b6e-8e60-2d5d6c9d1f10")
_LANGUAGE = "en"
"""The format has one text per field; English, or what there is."""

Node = dict[str, Any]


def _filled(node: Node) -> Node:
    return {key: value for key, value in node.items() if value not in (None, "", [], {})}


def _render(source: Source) -> bytes:
    version = source.only
    dossier = Dossier(version, _LANGUAGE)
    data = [_data(dossier, key, sheet) for key, sheet in dossier.data_sets()]
    others = [
        *(_other("machine-learning-model", name) for name in dossier_list(dossier, "base_models")),
        *(_other("library", name) for name in dossier_list(dossier, "tools")),
    ]
    model = _model(dossier)
    seed = f"{version.digest}\x1f{version.assessment_digest}"
    components = {item["bom-ref"]: item for item in [*data, *others]}
    document: Node = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_IDS, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": f"{version.night}T00:00:00Z",
            "tools": {"components": [{"type": "application", "name": "nachweis"}]},
            "component": model,
            "properties": [
                {"name": "nachweis:shows", "value": SHOWS},
                {"name": "nachweis:night", "value": version.night},
            ],
        },
        "components": list(components.values()),
        "dependencies": [
            _filled({"ref": model["bom-ref"], "dependsOn": sorted(components)}),
            *({"ref": ref} for ref in sorted(components)),
        ],
    }
    return canonical_bytes(document)


def dossier_list(dossier: Dossier, name: str) -> list[str]:
    """A list of names in the lineage of a model."""
    found = dossier.part("lineage", name)
    said = [dossier.text(item) for item in found] if isinstance(found, list) else []
    return [item for item in said if item]


def _model(dossier: Dossier) -> Node:
    version = dossier.version
    served = dossier.rows("served_versions")
    numbers = [str(item["version"]) for item in served if item.get("version")]
    hashes = [
        {"alg": "SHA-256", "content": str(item["artefact"]["digest"])}
        for item in served
        if isinstance(item.get("artefact"), Mapping) and item["artefact"].get("digest")
    ]
    return _filled(
        {
            "type": "machine-learning-model",
            "bom-ref": version.urn,
            "name": version.id,
            "version": harmless(", ".join(numbers)),
            "description": "\n".join(dossier.texts("intended_purpose")) or dossier.title,
            "hashes": hashes[:1] if len(hashes) == 1 else [],
            "externalReferences": [
                {
                    "type": "documentation",
                    "url": layout.dossier(version.id, version.version),
                    "hashes": [{"alg": "SHA-256", "content": version.digest}],
                }
            ],
            "modelCard": _card(dossier),
            "properties": _properties(dossier),
        }
    )


def _card(dossier: Dossier) -> Node:
    used = [
        {"ref": f"data/{key}"}
        for key, sheet in dossier.data_sets()
        if {"training", "evaluation", "reference"} & set(sheet.get("used_as") or ())
    ]
    return _filled(
        {
            "bom-ref": f"{dossier.version.urn}:card",
            "modelParameters": _filled({"task": dossier.task, "datasets": used}),
            "quantitativeAnalysis": _filled(
                {"performanceMetrics": [*_declared(dossier), *_measured(dossier)]}
            ),
            "considerations": _filled(
                {
                    "users": dossier.texts("owner"),
                    "useCases": dossier.texts("intended_purpose"),
                    "technicalLimitations": dossier.texts("limits"),
                    "performanceTradeoffs": _texts(dossier, "logic", "trade_offs"),
                    "ethicalConsiderations": [{"name": text} for text in dossier.texts("risks")],
                    "fairnessAssessments": [
                        {"groupAtRisk": dossier.text(item.get("title")) or str(item.get("id"))}
                        for item in dossier.rows("protected_attributes")
                    ],
                }
            ),
        }
    )


def _texts(dossier: Dossier, field: str, name: str) -> list[str]:
    said = dossier.text(dossier.part(field, name))
    return [said] if said else []


def _declared(dossier: Dossier) -> list[Node]:
    return [
        {
            "type": harmless(f"{item['id']} (declared)"),
            "value": str(item["value"]),
            "slice": harmless(str(item.get("on", "all"))),
        }
        for item in dossier.rows("metrics")
        if item.get("id") and item.get("value") is not None
    ]


def _measured(dossier: Dossier) -> list[Node]:
    found = []
    for check, item in dossier.measurements():
        interval = item.get("interval")
        found.append(
            _filled(
                {
                    "type": harmless(f"{check}: {item['name']}"),
                    "value": str(item["value"]),
                    "slice": harmless(str(item.get("group") or "all")),
                    "confidenceInterval": {
                        "lowerBound": str(interval[0]),
                        "upperBound": str(interval[1]),
                    }
                    if interval
                    else None,
                }
            )
        )
    return found


def _properties(dossier: Dossier) -> list[Node]:
    version = dossier.version
    night = (version.assessment or {}).get("night")
    found = {
        "nachweis:dossier:version": version.version,
        "nachweis:dossier:sha256": version.digest,
        "nachweis:dossier:night": version.night,
        "nachweis:assessment:night": night,
        "nachweis:assessment:sha256": version.assessment_digest,
        "nachweis:stage": dossier.document.get("stage"),
        "nachweis:kind": dossier.kind,
        "nachweis:aiAct:role": dossier.part("ai_act", "role"),
        "nachweis:aiAct:riskClass": dossier.part("ai_act", "risk_class"),
        "nachweis:decision:automation": dossier.part("decision", "automation"),
        "nachweis:decision:effect": dossier.part("decision", "effect"),
    }
    return [
        {"name": name, "value": harmless(str(value))}
        for name, value in found.items()
        if value not in (None, "")
    ]


def _data(dossier: Dossier, key: str, sheet: Mapping[str, Any]) -> Node:
    columns = [item for item in sheet.get("columns") or () if isinstance(item, Mapping)]
    personal = sorted({str(item["category"]) for item in columns if item.get("category")})
    special = sorted({str(item["art9"]) for item in columns if item.get("art9")})
    return _filled(
        {
            "type": "data",
            "bom-ref": f"data/{key}",
            "name": harmless(key),
            "description": dossier.text(sheet.get("title")),
            "data": [
                _filled(
                    {
                        "bom-ref": f"data/{key}/content",
                        "type": "dataset",
                        "name": harmless(key),
                        "classification": "personal data" if personal else "",
                        "sensitiveData": [f"Art. 9 GDPR: {harmless(item)}" for item in special],
                    }
                )
            ],
            "properties": [
                *(
                    {"name": "nachweis:usedAs", "value": harmless(str(item))}
                    for item in sheet.get("used_as") or ()
                ),
                *({"name": "nachweis:category", "value": harmless(item)} for item in personal),
            ],
        }
    )


def _other(kind: str, name: str) -> Node:
    return {"type": kind, "bom-ref": f"{kind}/{name}", "name": name}


FORMAT = Format(
    name="cyclonedx",
    suffix="cdx.json",
    kinds=frozenset({"dossier"}),
    render=_render,
    stored=True,
    enriched=True,
)
