"""The agency's world: a processor for two clients, and a controller for its own prospects."""

from __future__ import annotations

import json
import os
from functools import cache

import pytest

from nachweis import registry
from nachweis.domain.manifest import Verdict
from nachweis.engines.expectations import check_suite
from nachweis.pages.exports import formats
from nachweis.pages.notice import Notice, notice_text
from nachweis.pipeline.lint import lint
from nachweis.pipeline.load import load_world
from nachweis.settings import PACKAGE_ROOT, Settings
from tests.export_world import Exports
from tests.site_world import NIGHT

SETTINGS = Settings(world=f"{PACKAGE_ROOT}{os.pathsep}{PACKAGE_ROOT / 'demo' / 'agency'}")


@cache
def agency() -> Exports:
    return Exports(load_world(SETTINGS).world, {})


def test_the_linter_finds_no_error() -> None:
    found = lint(SETTINGS, registry.checks(), check_suite)
    assert [str(problem) for problem in found if not problem.warning] == []


def test_its_record_follows_article_30_2_and_names_clients_representatives_and_dpos() -> None:
    record = agency().data.records["scoring-for-clients"][-1].record
    assert [section.id for section in record.sections] == [
        "art30-2-a",
        "art30-2-b",
        "art30-2-c",
        "art30-2-d",
    ]
    assert record.incomplete == ()
    named = {field.id: field.value for section in record.sections for field in section.fields}
    assert named["clients/nordlys"]["dpo"]["email"] == "dpo@nordlys.example"  # type: ignore[index, call-overload]
    assert named["clients/alpenrad"]["representative"]["country"] == "DE"  # type: ignore[index, call-overload]
    assert {"processing_for/nordlys", "processing_for/alpenrad"} <= set(named)


def test_nothing_about_clients_is_confirmed_without_evidence() -> None:
    found = agency().data.assessments["record/scoring-for-clients", str(NIGHT)]
    assert {item.verdict for item in found.verdicts} == {Verdict.NOT_TESTED}


def test_the_register_holds_both_capacities_in_one_document() -> None:
    source = agency().source("register", language="de")
    register = json.loads(formats()["json"].render(source))
    assert {entry["record"]["capacity"] for entry in register["records"]} == {
        "controller",
        "processor",
    }
    table = formats()["csv"].render(source).decode("utf-8-sig")
    for said in ("Nordlys Boghandel ApS", "Alpenrad Vertretung GmbH", "prospects-12-months"):
        assert said in table


@pytest.mark.parametrize("language", ["en", "de", "da"])
def test_a_processor_writes_no_notice_in_its_clients_place(language: str) -> None:
    source = agency().source("record", "scoring-for-clients", language=language)
    parts = Notice(source.only.document, source.words).parts()
    assert [part.id for part in parts] == ["identity"]
    assert "Nordlys" not in notice_text(parts)


@pytest.mark.parametrize("name", ["html", "csv"])
def test_categories_of_processing_name_the_client_and_not_its_id(name: str) -> None:
    source = agency().source("record", "scoring-for-clients", language="de")
    shown = formats()[name].render(source).decode("utf-8-sig")
    part = shown[shown.index("Auftraggebender Verantwortlicher") :][:200]
    assert "Nordlys Boghandel ApS" in part


def test_a_processors_own_representative_is_not_called_the_controllers() -> None:
    record = agency().data.records["scoring-for-clients"][-1].record
    labels = {field.id: field.label for section in record.sections for field in section.fields}
    assert labels["parties/representative"] == "role.representative"
