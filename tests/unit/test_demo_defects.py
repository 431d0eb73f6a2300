"""The table of planted defects: equal in all three places, and about things that exist."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from demo.clock import DAYS, LAST_NIGHT, nights
from demo.defects import CALENDAR, Planted, planted_on
from demo.expected import expected
from nachweis import registry
from nachweis.domain.manifest import World
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table() -> dict[dt.date, list[dict[str, Any]]]:
    text = (ROOT / "demo" / "defects.yaml").read_text(encoding="utf-8")
    loaded: dict[dt.date, list[dict[str, Any]]] = YAML(typ="safe", pure=True).load(text)["nights"]
    return loaded


@pytest.fixture(scope="module")
def world() -> World:
    return load_world(Settings(world=f"{ROOT}{os.pathsep}{ROOT / 'demo'}")).world


def test_expected_findings_name_known_checks_and_subjects(
    table: dict[dt.date, list[dict[str, Any]]], world: World
) -> None:
    checks = registry.checks()
    known = {f"model/{key}" for key in world.models} | {f"data_set/{k}" for k in world.data_sets}
    for night, findings in table.items():
        for finding in findings:
            assert finding["check"] in checks, night
            assert finding["subject"] in known, night
            assert finding["outcome"] in {"fail", "error"}, night
            kind = checks[finding["check"]].subject.value
            assert finding["subject"].startswith(f"{kind}/"), night
            if "waived" in finding:
                waiver = world.waivers[finding["waived"]]
                assert waiver.covers(night)
                assert (waiver.check, waiver.subject) == (finding["check"], finding["subject"])


def test_each_finding_is_listed_once(table: dict[dt.date, list[dict[str, Any]]]) -> None:
    for night, findings in table.items():
        keys = [(f["check"], f["subject"]) for f in findings]
        assert len(keys) == len(set(keys)), night


def test_listed_nights_are_generated_and_most_nights_are_clean(
    table: dict[dt.date, list[dict[str, Any]]],
) -> None:
    generated = set(nights(LAST_NIGHT, DAYS))
    assert set(table) <= generated
    assert set(CALENDAR) <= generated
    assert len(generated - set(table)) >= DAYS // 2


def test_the_demo_gives_these_checks_something_to_catch(
    table: dict[dt.date, list[dict[str, Any]]],
) -> None:
    caught = {finding["check"] for findings in table.values() for finding in findings}
    assert caught >= {
        "calibration_parity_held",
        "contact_permission_held_for_audience",
        "erased_subjects_absent",
        "error_rate_parity_held",
        "feature_distribution_stable",
        "groups_large_enough",
        "legal_basis_held_for_rows_used",
        "missing_share_stable",
        "prediction_distribution_stable",
        "predictive_parity_held",
        "retention_kept",
        "schema_as_declared",
        "selection_rate_parity_held",
        "subgroup_gaps_bearable",
        "training_data_meets_suite",
    }


def test_every_planted_night_has_a_finding_or_is_the_first_of_a_run(
    table: dict[dt.date, list[dict[str, Any]]],
) -> None:
    later = {
        day
        for findings in table.values()
        for finding in findings
        for day in finding.get("after_any_of", [])
    }
    delayed = {dt.date(2026, 10, 12)}  # outcomes of this day arrive thirty days later
    assert set(CALENDAR) - set(table) == (later | delayed) - set(table)


def test_persistent_findings_name_earlier_nights(
    table: dict[dt.date, list[dict[str, Any]]],
) -> None:
    persistent = {
        "chunk_distances_in_reference_range",
        "feature_distribution_stable",
        "features_jointly_stable",
        "missing_share_stable",
        "prediction_distribution_stable",
    }
    for night, findings in table.items():
        for finding in findings:
            earlier = finding.get("after_any_of", [])
            assert (finding["check"] in persistent) == bool(earlier), night
            assert all(dt.timedelta(0) < night - day <= dt.timedelta(days=3) for day in earlier)


def test_the_page_for_people_lists_the_same_findings(
    table: dict[dt.date, list[dict[str, Any]]],
) -> None:
    listed: set[tuple[dt.date, str, str, str]] = set()
    days: list[dt.date] = []
    for line in (ROOT / "demo" / "DEFECTS.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if len(cells) != 5 or cells[0] in {"Night", "---"}:
            continue
        if cells[0]:
            days = _days(cells[0])
        if cells[2]:
            outcome = cells[4].split()[0]
            listed |= {(day, cells[2], cells[3], outcome) for day in days}
    assert listed == {
        (night, finding["check"], finding["subject"], finding["outcome"])
        for night, findings in table.items()
        for finding in findings
    }


def _days(cell: str) -> list[dt.date]:
    """2026-10-29, ``2026-10-29 to 31`` or ``2026-11-05, 06``."""
    first = dt.date.fromisoformat(cell[:10])
    if found := re.search(r"to (\d\d)$", cell):
        return [first.replace(day=day) for day in range(first.day, int(found[1]) + 1)]
    return [first, *(first.replace(day=int(day)) for day in re.findall(r", (\d\d)", cell))]


def test_other_nights_are_clean() -> None:
    for day in nights(LAST_NIGHT, DAYS):
        if day not in CALENDAR:
            assert planted_on(day) == Planted()


def test_last_night_shows_more_than_one_kind_of_defect(
    table: dict[dt.date, list[dict[str, Any]]],
) -> None:
    last = table[LAST_NIGHT]
    assert len({finding["check"] for finding in last}) >= 4
    assert not any("after_any_of" in finding for finding in last)


def test_a_night_run_alone_reports_nothing_that_needs_persistence() -> None:
    night, before = dt.date(2026, 10, 2), dt.date(2026, 10, 1)
    found = {
        (check, "model/campaign-propensity", "fail")
        for check in (
            "chunk_distances_in_reference_range",
            "feature_distribution_stable",
            "features_jointly_stable",
        )
    }
    assert expected(night) == set()
    assert expected(night, [before]) == found
    assert expected(night, [dt.date(2026, 9, 30)]) == set()


def test_a_clean_night_reports_nothing() -> None:
    assert expected(dt.date(2026, 9, 25), nights(LAST_NIGHT, DAYS)) == set()
