"""OpenLineage: one completed run per subject and night, with its checks as a ``TestRunFacet``.

Written as JSON lines, for a person to send where they want: nothing is emitted here.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from nachweis.domain.finding import Outcome
from nachweis.pages.exports._dossier import Dossier
from nachweis.pages.exports._model import SHOWS_NIGHT, Format, Source, Version
from nachweis.pages.render import harmless

PRODUCER = "urn:nachweis"
NAMESPACE = "nachweis"
MODEL_FACET = "nachweis_model"
_IDS = uuid.UUID("9d8e2f5a-0f8b-5c52-8a4e-7b1f7d3c5a20")
_STATUS: Mapping[str, str] = {Outcome.PASS.value: "pass", Outcome.FAIL.value: "fail"}
"""A check that crashed or had nothing to look at was not executed: ``skip``, never ``pass``."""


def _render(source: Source) -> bytes:
    from openlineage.client.serde import Serde

    lines = []
    for version in source.versions:
        for event in _events(version):
            made = Serde.to_dict(event)
            facets = made["run"].get("facets", {})
            if MODEL_FACET in facets:
                facets[MODEL_FACET]["_schemaURL"] = "urn:nachweis:schema:openlineage-model:1"
            lines.append(json.dumps(made, sort_keys=True, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode("utf-8")


def _events(version: Version) -> list[Any]:
    """Start and end of the run that looked at a version."""
    from openlineage.client.event_v2 import InputDataset, Job, Run, RunEvent, RunState
    from openlineage.client.generated.documentation_job import DocumentationJobFacet
    from openlineage.client.generated.test_run import TestExecution, TestRunFacet

    assessment = version.assessment or {}
    night = str(assessment.get("night", version.night))
    kind = str(version.document["kind"])
    tests = [TestExecution(**_test(view)) for view in assessment.get("findings") or ()]
    facets = {"test": TestRunFacet(tests=tests, producer=PRODUCER), MODEL_FACET: _model(version)}
    run = str(uuid.uuid5(_IDS, f"{version.assessment_digest}\x1f{version.digest}"))
    inputs = [
        InputDataset(namespace=NAMESPACE, name=key) for key, _ in Dossier(version, "en").data_sets()
    ]

    def event(state: Any, with_facets: Mapping[str, Any]) -> Any:
        return RunEvent(
            eventTime=f"{night}T00:00:00Z",
            eventType=state,
            run=Run(runId=run, facets=dict(with_facets)),
            job=Job(
                namespace=NAMESPACE,
                name=f"nightly.{kind}.{version.id}",
                facets={
                    "documentation": DocumentationJobFacet(
                        description=SHOWS_NIGHT, producer=PRODUCER
                    )
                },
            ),
            inputs=inputs,
            producer=PRODUCER,
        )

    return [event(RunState.START, {}), event(RunState.COMPLETE, facets)]


def _test(view: Mapping[str, Any]) -> dict[str, Any]:
    finding = view["finding"]
    outcome = finding["outcome"]
    measured = [item for item in finding.get("measurements") or () if item.get("threshold")]
    limits = [
        f"{item['name']} {item['threshold']['operator']} {item['threshold']['value']}"
        for item in measured
    ]
    subject = finding["subject"]
    # A waived failure stays a failure that does not block.
    blocking = outcome == Outcome.FAIL.value and not view.get("waiver")
    return {
        "name": harmless(str(finding["check"])),
        "status": _STATUS.get(outcome, "skip"),
        "severity": "error" if blocking and finding["severity"] in {"high", "critical"} else "warn",
        "type": "nachweis_check",
        "description": harmless(str(finding.get("explanation") or "")),
        "expected": harmless("; ".join(limits)) or None,
        "actual": harmless("; ".join(f"{item['name']} {item['value']}" for item in measured))
        or None,
        "params": {
            key: value
            for key, value in {
                "subject": f"{subject['kind']}/{subject['id']}",
                "column": harmless(str(finding.get("column") or "")),
                "outcome": outcome,
                "severity": finding["severity"],
                "state": view.get("state"),
                "waiver": view.get("waiver"),
                "evidence": f"{view['evidence']['digest']}#{view['evidence']['pointer']}",
            }.items()
            if value
        },
    }


def _model(version: Version) -> Any:
    from openlineage.client.generated.base import RunFacet

    document = version.document
    facts = {
        "documentKind": document["kind"],
        "documentVersion": version.version,
        "documentSha256": version.digest,
        "assessmentSha256": version.assessment_digest,
        "modelKind": document.get("model_kind"),
        "stage": document.get("stage"),
        "servedVersions": [
            harmless(str(item["version"]))
            for item in Dossier(version, "en").rows("served_versions")
            if item.get("version")
        ],
    }
    kept = {key: value for key, value in facts.items() if value not in (None, "", [])}
    return RunFacet(producer=PRODUCER).with_additional_properties(**kept)


FORMAT = Format(
    name="openlineage",
    suffix="openlineage.jsonl",
    kinds=frozenset({"record", "dossier", "register"}),
    render=_render,
    nightly=True,
)
