"""JSON-LD: only terms that DPV 2.3 has, nothing fetched, nothing guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import rdflib
from rdflib.namespace import DCTERMS, RDF

from nachweis.pages.exports import Source, formats
from nachweis.pages.exports.dpv import context, mapping, terms
from tests.export_world import bank, demo, hostile
from tests.site_world import TEMPLATES

DPV = rdflib.Namespace("https://w3id.org/dpv#")


def _made(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(formats()["dpv"].render(source))
    return found


def _sources() -> list[Source]:
    filled = hostile("a text", "https://example.org/doc")
    return [
        demo().source("register"),
        *(demo().source("record", key) for key in demo().data.records),
        bank().source("register"),
        *(filled.source("record", key) for key in ("controller", "processor")),
    ]


def _used(value: Any) -> Iterator[str]:
    """Every prefixed name that stands where a term stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "@context":
                continue
            if ":" in key:
                yield key
            if key in {"@type", "dpv:hasLegalBasis", "dpv:hasDataSource", "dpv:hasActivityStatus"}:
                yield from ([item] if isinstance(item, str) else item)
            yield from _used(item)
    elif isinstance(value, list):
        for item in value:
            yield from _used(item)


@pytest.mark.parametrize("source", _sources(), ids=lambda s: s.versions[0].urn)
def test_every_term_is_one_of_dpv_2_3(source: Source) -> None:
    known = terms(TEMPLATES)
    for term in set(_used(_made(source))):
        prefix = term.partition(":")[0]
        assert prefix in {"dct", "nachweis"} or term in known, term


def test_every_mapped_term_exists_and_no_term_is_used_as_another_kind() -> None:
    known = terms(TEMPLATES)
    assert len(known) > 2500 and {*known.values()} == {"class", "property"}
    for group, words in mapping(TEMPLATES).items():
        for term in words.values():
            if group == "measures":
                assert known[f"dpv:{term[0]}"] == "property" and known[term[1]] == "class"
            else:
                assert known[term] == "class", term
    for key in context(TEMPLATES):
        if key.startswith("dpv:"):
            assert known[key] == "property"


def test_every_measure_is_of_a_control_that_exists() -> None:
    assert set(mapping(TEMPLATES)["measures"]) <= set(demo().data.catalogue.controls)


def test_it_is_read_as_a_graph_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", refuse)
    source = demo().source("record", "direct-marketing")
    graph = rdflib.Graph().parse(data=formats()["dpv"].render(source), format="json-ld")
    record = rdflib.URIRef("urn:nachweis:record:direct-marketing:v1")
    assert (record, RDF.type, DPV.ROPA) in graph
    assert (record, DCTERMS.conformsTo, rdflib.URIRef("https://w3id.org/dpv/2.3")) in graph
    assert (record, DCTERMS.identifier, rdflib.Literal(f"sha256:{source.only.digest}")) in graph
    (process,) = graph.objects(record, DPV.hasPersonalDataProcess)
    purposes = list(graph.objects(process, DPV.hasPurpose))
    assert len(purposes) == 1
    assert (purposes[0], RDF.type, DPV.DirectMarketing) in graph
    bases = list(graph.objects(purposes[0], DPV.hasLegalBasis))
    assert bases == [rdflib.URIRef("https://w3id.org/dpv/legal/eu/gdpr#A6-1-f")]
    durations = {str(item) for item in graph.objects(None, DPV.hasDuration)}
    assert durations == {"P2Y", "P6M"}, "the reader knows that 24 months are two years"
    languages = {
        getattr(item, "language", None) for item in graph.objects(purposes[0], DCTERMS.description)
    }
    assert languages == {"en", "de", "da"}
    assert len(list(graph.objects(process, DPV.hasTechnicalMeasure))) == 5


def test_references_lead_to_the_categories_they_mean() -> None:
    made = _made(demo().source("record", "direct-marketing"))["dpv:hasPersonalDataProcess"]
    categories = {item["@id"] for item in made["dpv:hasPersonalData"]}
    for rule in made["dpv:hasStorageCondition"]:
        assert {item["@id"] for item in rule["dpv:hasPersonalData"]} <= categories


def test_a_term_that_dpv_does_not_have_is_kept_as_text() -> None:
    made = _made(hostile("a text", "https://example.org/doc").source("record", "controller"))
    (purpose,) = made["dpv:hasPersonalDataProcess"]["dpv:hasPurpose"]
    assert purpose["@type"] == ["dpv:Purpose"]
    assert purpose["nachweis:termNotInVocabulary"] == ["dpv:Thing"]


def test_a_processor_names_its_clients_as_controllers() -> None:
    made = _made(hostile("a text", "https://example.org/doc").source("record", "processor"))
    process = made["dpv:hasPersonalDataProcess"]
    assert [item["@type"] for item in process["dpv:hasDataController"]] == ["dpv:DataController"]
    assert process["dpv:hasProcessing"][0]["@type"] == ["dpv:Processing"]
