"""JSON-LD in the Data Privacy Vocabulary 2.3, with the context inside: nothing is fetched.

Every DPV term is checked against the shipped term list. What DPV has no word for (start of a
retention period, letters of Art. 30, roles of this product) is written under ``nachweis:``, and a
term that somebody declared but that DPV 2.3 does not have is kept as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from nachweis.domain.canonical import canonical_bytes
from nachweis.pages.exports._model import Format, Source, Version, mappings, values
from nachweis.pages.render import harmless, is_text_map

CONFORMS_TO = "https://w3id.org/dpv/2.3"
_WEEKS = re.compile(r"P(\d+)W")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._:/-]")

Node = dict[str, Any]


@lru_cache(maxsize=4)
def terms(templates: Path) -> Mapping[str, str]:
    """Terms of DPV 2.3 with their kind, ``class`` or ``property``.

    Args:
        templates: Folder ``templates/``.

    Returns:
        Prefixed term to kind.
    """
    lines = (templates / "dpv" / "terms-2.3.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))


@lru_cache(maxsize=4)
def context(templates: Path) -> Mapping[str, Any]:
    """The shipped ``@context``."""
    found: dict[str, Any] = json.loads((templates / "dpv" / "context.jsonld").read_bytes())
    return found


@lru_cache(maxsize=4)
def mapping(templates: Path) -> Mapping[str, Mapping[str, Any]]:
    """From the product's words to terms."""
    found: dict[str, Mapping[str, Any]] = yaml.safe_load(
        (templates / "dpv" / "mapping.yaml").read_text(encoding="utf-8")
    )
    return found


def _render(source: Source) -> bytes:
    nodes = [_Graph(version, source.templates).node() for version in source.versions]
    if source.kind == "register":
        document: Node = {
            "@id": f"urn:nachweis:register:{source.newest_night}",
            "@type": "dpv:ROPA",
            "dct:conformsTo": CONFORMS_TO,
            "dct:hasPart": nodes,
        }
    else:
        (document,) = nodes
    labels = source.words.labels
    document["dct:description"] = _texts(
        {
            language: f"{text} {labels['export.verify'][language]}: nachweis verify"
            for language, text in labels["export.shows_text"].items()
        }
    )
    return canonical_bytes({"@context": context(source.templates), **_harmless(document)})


def _harmless(value: Any) -> Any:
    """Texts without direction and control characters, as in all other forms."""
    if isinstance(value, Mapping):
        return {key: _harmless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    return harmless(value)


def _texts(value: Any) -> list[Node]:
    """A text in several languages as language-tagged values."""
    if is_text_map(value):
        return [{"@value": text, "@language": key} for key, text in sorted(value.items())]
    return [{"@value": str(value)}]


def _filled(node: Node) -> Node:
    return {key: value for key, value in node.items() if value not in (None, [], {}, "")}


def _duration(period: str) -> str:
    """A period as ``xsd:duration``, which has no weeks."""
    return _WEEKS.sub(lambda match: f"P{7 * int(match[1])}D", period)


class _Graph:
    """One record as a graph."""

    def __init__(self, version: Version, templates: Path) -> None:
        self.version = version
        self.document = version.document
        self.terms = terms(templates)
        self.words = mapping(templates)

    def node(self) -> Node:
        """The record with one process that has everything the record says."""
        document = self.document
        return _filled(
            {
                "@id": self.version.urn,
                "@type": "dpv:ROPA",
                "dct:conformsTo": CONFORMS_TO,
                "dct:identifier": f"sha256:{self.version.digest}",
                "dct:hasVersion": str(self.version.version),
                "dct:created": self.version.night,
                "dct:title": _texts(document["title"]),
                "dct:language": list(document.get("languages") or ()),
                "nachweis:incomplete": list(document.get("incomplete") or ()),
                "dpv:hasPersonalDataProcess": self._process(),
            }
        )

    def _process(self) -> Node:
        return _filled(
            {
                "@id": f"{self.version.urn}:process",
                "@type": "dpv:PersonalDataProcess",
                "dpv:hasActivityStatus": self._word("status", self.document.get("status")),
                "nachweis:capacity": self.document.get("capacity"),
                **self._parties(),
                "dpv:hasPurpose": self._each("purposes", self._purpose),
                "dpv:hasProcessing": self._each("processing_for", self._processing),
                "dpv:hasDataSubject": self._each("data_subjects", self._subjects),
                "dpv:hasPersonalData": self._each("data_categories", self._category),
                "dpv:hasRecipient": self._each("recipients", self._recipient),
                "nachweis:transfer": self._each("transfers", self._transfer),
                "dpv:hasThirdCountry": self._third_countries(),
                "dpv:hasStorageCondition": self._each("retention", self._storage),
                **self._measures(),
            }
        )

    # ------------------------------------------------------------------------------ parts

    def _parties(self) -> Node:
        found: Node = {}
        for field, key, kind in (
            ("parties/controller", "dpv:hasDataController", "dpv:DataController"),
            ("parties/processor", "dpv:hasDataProcessor", "dpv:DataProcessor"),
            ("parties/representative", "dpv:hasRepresentative", "dpv:Representative"),
            ("parties/dpo", "dpv:hasDataProtectionOfficer", "dpv:DataProtectionOfficer"),
        ):
            for _, value in mappings(self.document, field):
                found[key] = self._party(value, kind)
        joint = [
            self._party(item.get("party") or item, "dpv:DataController")
            for _, value in values(self.document, "parties/joint_controllers")
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, Mapping)
        ]
        clients = [
            self._party(value.get("party") or value, "dpv:DataController")
            for _, value in mappings(self.document, "clients")
        ]
        if joint:
            found["dpv:hasJointDataControllers"] = joint
        if clients:
            found["dpv:hasDataController"] = clients
        return found

    def _party(self, value: Mapping[str, Any], kind: str) -> Node:
        name = value.get("legal_name") or value.get("function")
        contact = [value[key] for key in ("email", "phone", "url") if value.get(key)]
        return _filled(
            {
                "@type": kind,
                "dpv:hasName": _texts(name) if name else None,
                "dpv:hasAddress": value.get("address"),
                "dpv:hasCountry": self._country(value.get("country")),
                "dpv:hasContact": contact,
                "dct:identifier": value.get("register_no"),
            }
        )

    def _purpose(self, key: str, value: Mapping[str, Any]) -> Node:
        bases = [
            term
            for _, basis in mappings(self.document, f"legal_basis/{key}")
            for name in ("art6", "art9")
            if (term := self._word(name, basis.get(name)))
        ]
        return {
            **self._typed("dpv:Purpose", value.get("dpv")),
            "dpv:hasLegalBasis": bases,
            "nachweis:model": list(value.get("models") or ()),
        }

    def _processing(self, _: str, value: Mapping[str, Any]) -> Node:
        node = self._typed("dpv:Processing", value.get("operations"))
        return {**node, "nachweis:client": value.get("client")}

    def _subjects(self, _: str, value: Mapping[str, Any]) -> Node:
        kinds = ["dpv:VulnerableDataSubject"] if value.get("vulnerable") else []
        node = self._typed("dpv:DataSubject", value.get("dpv"), kinds)
        return {**node, "nachweis:countBand": value.get("count_band")}

    def _category(self, key: str, value: Mapping[str, Any]) -> Node:
        kinds = [
            kind
            for holds, kind in (
                (value.get("art9"), "dpv:SpecialCategoryPersonalData"),
                (value.get("derived"), "dpv:DerivedPersonalData"),
                (value.get("pseudonymised"), "dpv:PseudonymisedData"),
            )
            if holds
        ]
        sources = [
            term
            for _, item in mappings(self.document, f"source/{key}")
            if (term := self._word("source", item.get("source")))
        ]
        return {
            **self._typed("dpv:PersonalData", value.get("dpv"), kinds),
            "dpv:hasDataSource": sources,
            "nachweis:art9": value.get("art9"),
        }

    def _recipient(self, _: str, value: Mapping[str, Any]) -> Node:
        term = self._word("recipient", value.get("kind"))
        return {
            "@type": ["dpv:Recipient", *([term] if term else [])],
            "nachweis:kind": value.get("kind"),
            "dpv:hasCountry": self._country(value.get("country")),
        }

    def _transfer(self, _: str, value: Mapping[str, Any]) -> Node:
        if value.get("no_transfers"):
            return {"nachweis:noTransfers": True}
        term = self._word("mechanism", value.get("mechanism"))
        return {
            "@type": "dpv:DataTransferRecord",
            "dpv:hasLegalBasis": [term] if term else [],
            "nachweis:mechanism": value.get("mechanism"),
            "dpv:hasThirdCountry": self._country(value.get("country")),
            "nachweis:internationalOrganisation": value.get("international_organisation"),
            "nachweis:recipient": value.get("recipient"),
            "nachweis:safeguards": _texts(value["safeguards"]) if value.get("safeguards") else None,
        }

    def _third_countries(self) -> list[Node]:
        codes = {
            str(value["country"])
            for _, value in mappings(self.document, "transfers")
            if value.get("country")
        }
        return [node for code in sorted(codes) if (node := self._country(code))]

    def _storage(self, _: str, value: Mapping[str, Any]) -> Node:
        term = self._word("method", value.get("method"))
        kinds = ["dpv:StorageCondition", "dpv:StorageDuration", *([term] if term else [])]
        return {
            "@type": kinds,
            "dpv:hasDuration": _duration(str(value.get("period", ""))),
            "dpv:hasPersonalData": [
                {"@id": self._iri("data_categories", str(item))}
                for item in value.get("categories") or ()
            ],
            "nachweis:startEvent": value.get("start_event"),
            "dct:description": _texts(value["basis"]) if value.get("basis") else None,
        }

    def _measures(self) -> Node:
        found: dict[str, list[Node]] = {}
        for key, value in mappings(self.document, "toms"):
            control = key.partition("/")[0]
            known = self.words["measures"].get(control)
            name, term = known or ("hasTechnicalOrganisationalMeasure", None)
            found.setdefault(f"dpv:{name}", []).append(
                _filled(
                    {
                        "@id": self._iri("toms", key),
                        "@type": term or "dpv:TechnicalOrganisationalMeasure",
                        "nachweis:control": control,
                        "dct:description": _texts(value.get("statement") or control),
                    }
                )
            )
        return dict(sorted(found.items()))

    # ------------------------------------------------------------------------------ words

    def _each(self, prefix: str, make: Callable[[str, Mapping[str, Any]], Node]) -> list[Node]:
        made = []
        for key, value in mappings(self.document, prefix):
            node = {"@id": self._iri(prefix, key), **make(key, value)}
            if is_text_map(value.get("text")):
                node["dct:description"] = _texts(value["text"])
            made.append(_filled(node))
        return made

    def _iri(self, prefix: str, key: str) -> str:
        """Name of a part; ids are checked in manifests, and again here."""
        part = f"{prefix}/{key}" if key else prefix
        return f"{self.version.urn}#{_NOT_IN_A_NAME.sub('-', part)}"

    def _typed(self, kind: str, declared: Any, further: Iterable[str] = ()) -> Node:
        """A node of a kind and of the declared terms; unknown ones are kept as text."""
        wanted = [declared] if isinstance(declared, str) else list(declared or ())
        known = [term for term in wanted if term in self.terms]
        unknown = [term for term in wanted if term not in self.terms]
        return {"@type": [kind, *further, *known], "nachweis:termNotInVocabulary": unknown}

    def _word(self, group: str, value: Any) -> str | None:
        found = self.words[group].get(value) if isinstance(value, str) else None
        return str(found) if found else None

    def _country(self, code: Any) -> Node | None:
        return {"@type": "dpv:Country", "dct:identifier": str(code)} if code else None


FORMAT = Format(
    name="dpv",
    suffix="jsonld",
    kinds=frozenset({"record", "register"}),
    render=_render,
    stored=True,
)
