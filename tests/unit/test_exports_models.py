"""Bills of materials, lineage events and model cards: valid for the libraries of their formats."""

from __future__ import annotations

import json
import uuid
from typing import Any

import attr
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client.event_v2 import RunState
from openlineage.client.generated.test_run import TestExecution as Execution

from nachweis.pages.exports import Source, Version, formats
from nachweis.pages.exports.model_card import markdown
from tests.export_world import bank, demo, hostile

MODELS = sorted(demo().data.dossiers)


def _render(name: str, source: Source) -> str:
    return formats()[name].render(source).decode("utf-8")


def _without_night(source: Source) -> Source:
    """The source a new version's rendering has: no assessment yet."""
    old = source.only
    version = Version(old.document, old.version, old.digest, old.night)
    return Source(source.kind, (version,), source.words, source.templates, source.controls)


# ------------------------------------------------------------------------------ CycloneDX


@pytest.fixture(scope="module")
def strict() -> JsonStrictValidator:
    return JsonStrictValidator(SchemaVersion.V1_7)


@pytest.mark.parametrize("key", MODELS)
def test_a_bill_of_materials_is_strictly_valid(key: str, strict: JsonStrictValidator) -> None:
    source = demo().source("dossier", key)
    for one in (source, _without_night(source)):
        assert strict.validate_str(_render("cyclonedx", one)) is None


def test_the_validator_refuses_what_the_format_does_not_know(strict: JsonStrictValidator) -> None:
    made = json.loads(_render("cyclonedx", demo().source("dossier", MODELS[0])))
    made["metadata"]["component"]["modelCard"]["verdict"] = "good"
    assert strict.validate_str(json.dumps(made)) is not None


def test_bank_data_and_filled_worlds_are_valid_too(strict: JsonStrictValidator) -> None:
    sources = [
        bank().source("dossier", "deposit-propensity"),
        hostile("a text", "https://example.org/doc").source("dossier", "an-id"),
    ]
    for source in sources:
        assert strict.validate_str(_render("cyclonedx", source)) is None


def test_a_bill_names_model_data_and_what_was_declared() -> None:
    source = demo().source("dossier", "campaign-propensity", language="da")
    made = json.loads(_render("cyclonedx", source))
    model = made["metadata"]["component"]
    assert (model["type"], model["version"]) == ("machine-learning-model", "3.1")
    assert model["externalReferences"][0]["hashes"][0]["content"] == source.only.digest
    card = model["modelCard"]
    assert card["considerations"]["technicalLimitations"][0].startswith("Not tested for people")
    metrics = {item["type"] for item in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert "roc-auc (declared)" in metrics
    assert len(metrics) > 1, "measured numbers of the night stand beside declared ones"
    refs = {item["bom-ref"] for item in made["components"]}
    assert {item["ref"] for item in card["modelParameters"]["datasets"]} <= refs
    assert "data/propensity-training" in refs and "library/scikit-learn" in refs
    (model_node,) = [item for item in made["dependencies"] if item["ref"] == model["bom-ref"]]
    assert set(model_node["dependsOn"]) == refs
    alone = json.loads(_render("cyclonedx", _without_night(source)))
    declared = alone["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]
    assert [item["type"] for item in declared["performanceMetrics"]] == ["roc-auc (declared)"]
    assert alone["serialNumber"] != made["serialNumber"]


# ---------------------------------------------------------------------------- OpenLineage


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    text = _render("openlineage", demo().source("dossier", "campaign-propensity"))
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_starts_and_completes_once(events: list[dict[str, Any]]) -> None:
    assert [event["eventType"] for event in events] == [
        RunState.START.value, RunState.COMPLETE.value,
    ]  # fmt: skip
    assert len({event["run"]["runId"] for event in events}) == 1
    uuid.UUID(events[0]["run"]["runId"])
    for event in events:
        assert event["schemaURL"].endswith("/2-0-2/OpenLineage.json#/$defs/RunEvent")
        assert event["producer"] == "urn:nachweis"
        assert {item["name"] for item in event["inputs"]} >= {"propensity-training"}


def test_every_check_is_a_test_and_only_a_pass_passes(events: list[dict[str, Any]]) -> None:
    assessment = demo().source("dossier", "campaign-propensity").only.assessment
    assert assessment is not None
    tests = events[1]["run"]["facets"]["test"]["tests"]
    known = {field.name for field in attr.fields(Execution)}
    outcomes = [view["finding"]["outcome"] for view in assessment["findings"]]
    assert len(tests) == len(outcomes) > 5
    for item, outcome in zip(tests, outcomes, strict=True):
        assert set(item) <= known
        assert item["params"]["outcome"] == outcome
        wanted = {"pass": "pass", "fail": "fail"}.get(outcome, "skip")
        assert item["status"] == wanted
        assert item["severity"] in {"error", "warn"}
    facet = events[1]["run"]["facets"]["nachweis_model"]
    assert facet["servedVersions"] == ["3.1"]
    assert facet["_schemaURL"].startswith("urn:nachweis:")


# ----------------------------------------------------------------------------- model card


@pytest.mark.parametrize("language", ["en", "de", "da"])
def test_a_model_card_is_read_by_the_library(language: str) -> None:
    for key in MODELS:
        source = demo().source("dossier", key, language=language)
        card = ModelCard(_render("model-card", source))
        assert card.data.language == language
        assert card.data.model_name == key
        title = source.words.text(source.only.document["title"])
        assert card.text.strip().startswith(f"# {markdown(title)}")
        assert source.words.unknown == set()


def test_declared_metrics_become_results() -> None:
    card = ModelCard(_render("model-card", demo().source("dossier", "campaign-propensity")))
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("roc-auc", 0.7)
    assert result.dataset_name == "propensity-reference"


def test_hostile_text_neither_ends_the_header_nor_becomes_markup() -> None:
    text = "---\n# Heading\n<script>alert(1)</script> [x](javascript:alert(1)) {{ 7*191 }} | a |"
    source = hostile(text, "javascript:alert(1)").source("dossier", "an-id")
    made = _render("model-card", source)
    assert made.count("\n---\n") == 1
    header, _, body = made.removeprefix("---\n").partition("---\n")
    assert yaml.safe_load(header)["model_name"] == "an-id"
    assert "<" not in body and "{{" not in body
    assert "](" not in body.replace("\\](", "").replace("\\]", "")
    for line in body.splitlines():
        if line.startswith("#"):
            assert "Heading" not in line or "\\#" in line


@given(st.text(max_size=60))
def test_escaped_text_is_one_line_that_starts_no_block(text: str) -> None:
    said = markdown(text)
    assert "\n" not in said and "\r" not in said
    assert not said.startswith(("#", "- ", "+ ", "* ", "> ", "|", "```", "~~~", "1. "))
    assert "<" not in said and "{" not in said
    assert not said or set(said) - {"-", "="}, "a rule or the underline of a heading"
