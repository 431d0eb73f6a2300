"""Bad input through the real engines: a clear finding, never a crash and never an untested pass."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nachweis import registry
from nachweis.checks.drift._examples import differed, normal, tables
from nachweis.checks.fairness._examples import MODEL, MODEL_WITH_OUTCOMES, cells, log, outcomes_of
from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.disclosure import seal_finding
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import DataSetRole
from nachweis.pipeline.examples import run_example

YESTERDAY = dt.datetime(2026, 3, 1, 12)
LONG = "x" * 10_000
ODD = "‮‭😀 anna.smith@example.org"


def run(check_id: str, given: Mapping[str, ExampleTable], **more: Any) -> list[Finding]:
    example = Example("bad input", Outcome.PASS, given, **more)
    return run_example(registry.check(check_id), example)


def one(check_id: str, given: Mapping[str, ExampleTable], **more: Any) -> Finding:
    (finding,) = run(check_id, given, **more)
    return finding


def at(given: Mapping[str, ExampleTable], moment: dt.datetime) -> dict[str, ExampleTable]:
    """The same tables with the scoring log moved to another time."""
    scored = given["scoring_log"]
    rows = {**scored.rows, "at": [moment] * len(scored.rows["at"])}
    return {**given, "scoring_log": replace(scored, rows=rows)}


@pytest.mark.parametrize(
    "check",
    [c for c in registry.checks().values() if "scoring_log" in c.examples[0].tables],
    ids=lambda check: check.id,
)
def test_zero_rows_in_the_window_are_never_a_pass(check: type[Check]) -> None:
    example = check.examples[0]
    empty = replace(example, tables=at(example.tables, dt.datetime(2020, 1, 1)))
    # That nothing was scored is exactly what one check says.
    expected = Outcome.FAIL if check.id == "scoring_ran" else Outcome.NOT_AVAILABLE
    assert {f.outcome for f in run_example(check, empty)} == {expected}


@pytest.mark.parametrize(
    "check",
    [c for c in registry.checks().values() if c.examples[0].tables],
    ids=lambda check: check.id,
)
def test_a_table_without_its_columns_is_a_finding_not_a_crash(check: type[Check]) -> None:
    example = check.examples[0]
    gone = {
        name: replace(
            table,
            rows={"other": [1, 2]},
            declare={
                "columns": [{"name": column} for column in table.rows], **table.declare
            },
        )
        for name, table in example.tables.items()
    }  # fmt: skip
    outcomes = {f.outcome for f in run_example(check, replace(example, tables=gone))}
    expected = {
        "schema_as_declared": Outcome.FAIL,
        "training_data_meets_suite": Outcome.ERROR,
        "training_snapshot_as_declared": Outcome.FAIL,
        "purposes_compatible": Outcome.PASS,  # compares declarations and reads nothing
    }
    assert outcomes == {expected.get(check.id, Outcome.NOT_AVAILABLE)}


def test_an_all_null_column_is_missing_not_drifted() -> None:
    given = tables({"income": normal(400, 0.0, 1)}, {"income": [None] * 400})
    given["scoring_log"] = replace(
        given["scoring_log"],
        declare={
            **given["scoring_log"].declare,
            "columns": [{"name": "income", "type": "number", "feature": True}, {"name": "at"}],
        },
    )
    history = differed("income")
    assert one("feature_distribution_stable", given, history=history).outcome is (
        Outcome.NOT_AVAILABLE
    )
    assert one("missing_share_stable", given, history=history).outcome is Outcome.FAIL


def test_scores_that_are_no_numbers_are_missing() -> None:
    scores = [*normal(300, 0.0, 2), *[math.nan] * 50, *[math.inf] * 50]
    given = tables({"p": normal(400, 0.0, 1)}, {"p": scores}, {"score": "p"})
    found = one("prediction_distribution_stable", given)
    assert found.outcome is Outcome.PASS
    assert found.measurements[0].n == 300
    features = tables({"p": normal(400, 0.0, 1)}, {"p": scores})
    shares = one("missing_share_stable", features, history=differed("p"))
    assert shares.outcome is Outcome.FAIL
    assert {m.name: m.value for m in shares.measurements}["missing_share"] == 0.25


@pytest.mark.parametrize(
    "scored",
    [
        log(({"gender": "female", "offer": 1}, 200), ({"gender": "female", "offer": 0}, 200)),
        log(({"gender": "female", "offer": 0}, 200), ({"gender": "male", "offer": 0}, 200)),
        log(({"gender": None, "offer": 1}, 200), ({"gender": None, "offer": 0}, 200)),
    ],
    ids=["one group", "no positives", "no attribute"],
)
def test_rates_that_cannot_be_compared_are_not_available(scored: ExampleTable) -> None:
    found = one("selection_rate_parity_held", {"scoring_log": scored}, model=MODEL)
    assert found.outcome is Outcome.NOT_AVAILABLE


def test_predictions_that_are_missing_are_not_counted_as_refusals() -> None:
    scored = log(
        ({"gender": "female", "offer": 1}, 150),
        ({"gender": "female", "offer": 0}, 150),
        ({"gender": "male", "offer": 1}, 150),
        ({"gender": "male", "offer": 0}, 150),
        ({"gender": "male", "offer": None}, 600),
        columns=[{"name": "gender"}, {"name": "offer", "type": "integer"}, {"name": "at"}],
    )
    found = one("selection_rate_parity_held", {"scoring_log": scored}, model=MODEL)
    assert found.outcome is Outcome.PASS


@pytest.mark.parametrize("value", [LONG, ODD], ids=["10,000 characters", "right to left and emoji"])
def test_a_strange_group_value_is_counted_and_never_printed(value: str) -> None:
    scored = log(
        ({"gender": value, "offer": 1}, 150),
        ({"gender": value, "offer": 0}, 150),
        ({"gender": "male", "offer": 1}, 30),
        ({"gender": "male", "offer": 0}, 270),
    )
    for check in ("selection_rate_parity_held", "groups_large_enough"):
        found = one(check, {"scoring_log": scored}, model=MODEL)
        assert value not in found.model_dump_json()
        assert value[:60] not in found.model_dump_json()
    assert one("selection_rate_parity_held", {"scoring_log": scored}, model=MODEL).outcome is (
        Outcome.FAIL
    )


def test_duplicated_outcome_keys_do_not_multiply_people() -> None:
    given = outcomes_of(*cells("female", 90, 30, 30, 90), *cells("male", 90, 30, 30, 90))
    told = given["outcomes"]
    twice = {name: [*values, *values] for name, values in told.rows.items()}
    given = {**given, "outcomes": replace(told, rows=twice)}
    found = one("error_rate_parity_held", given, model=MODEL_WITH_OUTCOMES)
    assert found.outcome is Outcome.PASS
    assert next(m for m in found.measurements if m.name == "outcomes_arrived").n == 480


def test_an_outcome_told_after_the_night_is_not_known_in_it() -> None:
    given = outcomes_of(*cells("female", 90, 30, 30, 90), *cells("male", 90, 30, 30, 90))
    told = given["outcomes"]
    later = {**told.rows, "told_at": [dt.datetime(2026, 3, 3, 12)] * len(told.rows["row"])}
    given = {**given, "outcomes": replace(told, rows=later)}
    found = one("error_rate_parity_held", given, model=MODEL_WITH_OUTCOMES)
    assert found.outcome is Outcome.NOT_AVAILABLE


@pytest.mark.parametrize("key", [None, LONG, ODD])
def test_a_contact_without_a_known_key_has_no_permission(key: str | None) -> None:
    example = registry.check("contact_permission_held_for_audience").examples[0]
    scored = example.tables["scoring_log"]
    rows = {**scored.rows, "person": ["a", key, "c"]}
    given = {**example.tables, "scoring_log": replace(scored, rows=rows)}
    found = one("contact_permission_held_for_audience", given)
    assert found.outcome is Outcome.FAIL
    assert not key or key not in found.model_dump_json()


def test_a_secret_that_is_not_set_is_not_a_pass() -> None:
    check = registry.check("erased_subjects_absent")
    hashed = next(e for e in check.examples if "hashes" in e.title)
    found = run_example(check, replace(hashed, environment={}))
    assert [f.outcome for f in found] == [Outcome.NOT_AVAILABLE]
    assert "the secret for keyed hashes is not set" in found[0].explanation


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", None])
def test_times_without_a_zone_are_read_in_the_data_sets_own(zone: str | None) -> None:
    """23:30 of 2 March in New York is 3 March in Berlin, after the end of the night."""
    ledger = {"subject_key": {"column": "person"}, "fields": {"erased_at": "erased_at"}}
    given = {
        "training": ExampleTable(
            DataSetRole.TRAINING, {"person": ["a"]}, {"subject_key": {"column": "person"}}
        ),
        "erasure_ledger": ExampleTable(
            DataSetRole.ERASURE_LEDGER,
            {"person": ["a"], "erased_at": [dt.datetime(2026, 3, 2, 23, 30)]},
            {**ledger, "time": {"column": "erased_at", **({"zone": zone} if zone else {})}},
        ),
    }
    expected = Outcome.PASS if zone == "America/New_York" else Outcome.FAIL
    assert one("erased_subjects_absent", given).outcome is expected


def test_retention_counts_dates_texts_and_times_with_a_zone() -> None:
    check = registry.check("retention_kept")
    rule = check.examples[0].activity
    for type_, old in (
        ("date", dt.date(2023, 1, 1)),
        ("string", "2023-01-01"),
        ("timestamp", dt.datetime(2023, 1, 1, tzinfo=dt.UTC)),
    ):
        table = ExampleTable(
            DataSetRole.SOURCE,
            {"collected": [old]},
            {"columns": [{"name": "collected", "type": type_}]},
        )
        assert one("retention_kept", {"customers": table}, activity=rule).outcome is Outcome.FAIL


@pytest.mark.parametrize("check", list(registry.checks().values()), ids=lambda check: check.id)
def test_sealing_never_changes_what_a_check_concluded(check: type[Check]) -> None:
    for example in check.examples:
        for finding in run_example(check, example):
            sealed = seal_finding(finding)
            assert (sealed.outcome, sealed.severity) == (finding.outcome, finding.severity)
            for before, after in zip(finding.measurements, sealed.measurements, strict=True):
                if before.name in {"differs", "nights_different"}:
                    assert after.value == before.value
