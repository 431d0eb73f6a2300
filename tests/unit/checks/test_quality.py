"""The quality checks: columns against the manifest, suites as findings."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis import registry
from nachweis.domain.check import Example, ExampleTable, Inputs
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.night import Night
from nachweis.domain.observation import (
    ExpectationOutcome,
    Missing,
    Observations,
    Source,
    SuiteOutcome,
    WindowFacts,
)
from nachweis.pipeline.example_worlds import example_world

NIGHT = Night(dt.date(2026, 3, 2))
SCHEMA = registry.check("schema_as_declared")
SUITE = registry.check("training_data_meets_suite")
COLUMNS = [
    {"name": "customer_age", "type": "integer"},
    {"name": "income", "type": "number"},
    {"name": "note", "type": "string", "required": False},
    {"name": "seen_at", "type": "timestamp"},
]
AS_DECLARED = {
    "customer_age": "integer",
    "income": "number",
    "note": "string",
    "seen_at": "timestamp",
}


def inputs(check: Any, role: DataSetRole = DataSetRole.TRAINING, **declare: Any) -> Inputs:
    table = ExampleTable(role, {}, {"columns": COLUMNS, **declare})
    suite = ({"type": "expect_table_row_count_to_be_between"},)
    world = example_world(check, Example("x", Outcome.PASS, {"data": table}, suite=suite))
    return Inputs(world, Subject(kind=SubjectKind.DATA_SET, id="data"), NIGHT)


def schema(seen: Any, **declare: Any) -> Finding:
    (finding,) = SCHEMA().judge(inputs(SCHEMA, **declare), Observations({"schema": seen}))
    return finding


def counts(finding: Finding) -> dict[str, Any]:
    return {m.name: m.value for m in finding.measurements}


def changed(*gone: str, **added: str) -> dict[str, str]:
    return {k: v for k, v in AS_DECLARED.items() if k not in gone} | added


def test_columns_as_declared_pass() -> None:
    assert schema(AS_DECLARED).outcome is Outcome.PASS


def test_an_optional_column_may_be_absent() -> None:
    assert schema(changed("note")).outcome is Outcome.PASS


def test_a_missing_column_is_named() -> None:
    finding = schema(changed("income"))
    assert finding.outcome is Outcome.FAIL
    assert finding.severity is Severity.HIGH
    assert "Missing: income." in finding.explanation


def test_a_renamed_column_is_recognised_by_type_and_similar_name() -> None:
    finding = schema(changed("customer_age", customer_age_years="integer"))
    assert counts(finding) == {"missing": 0, "renamed": 1, "retyped": 0, "undeclared": 0}
    assert "customer_age now customer_age_years" in finding.explanation


def test_another_column_of_another_type_is_no_rename() -> None:
    found = counts(schema(changed("customer_age", customer_age_text="string")))
    assert found == {"missing": 1, "renamed": 0, "retyped": 0, "undeclared": 1}


@pytest.mark.parametrize(
    ("column", "seen", "retyped"),
    [
        ("income", "integer", 0),
        ("customer_age", "number", 1),
        ("customer_age", "string", 1),
        ("seen_at", "date", 0),
        ("seen_at", "string", 1),
    ],
)
def test_types_may_be_narrower_but_not_other(column: str, seen: str, retyped: int) -> None:
    assert counts(schema(changed(**{column: seen})))["retyped"] == retyped


def test_an_undeclared_column_fails_unless_allowed() -> None:
    finding = schema(changed(religion="string"))
    assert finding.outcome is Outcome.FAIL
    assert finding.severity is Severity.MEDIUM
    allowed = schema(changed(religion="string"), additional_columns="allowed")
    assert allowed.outcome is Outcome.PASS


@pytest.mark.parametrize(
    "name",
    ["anna.smith@example.org", "+49 170 1234567", "Anna Smith", "x" * 80, "", "‮evil", "😀"],
)
def test_a_data_value_in_the_header_is_never_printed(name: str) -> None:
    finding = schema(changed(**{name: "string"}))
    assert finding.outcome is Outcome.FAIL
    assert not name or name not in finding.model_dump_json()
    assert counts(finding)["undeclared"] == 1


@pytest.mark.parametrize("name", ["DE89370400440532013000", "491701234567", "c20260302"])
def test_a_number_in_a_name_is_treated_as_a_value(name: str) -> None:
    assert name not in schema(changed(**{name: "string"})).model_dump_json()


def test_a_data_set_that_cannot_be_read_is_not_as_declared() -> None:
    finding = schema(Missing("the file is cut off"))
    assert finding.outcome is Outcome.FAIL
    assert "the file is cut off" in finding.explanation


@given(st.dictionaries(st.text(max_size=30), st.sampled_from(["integer", "string"]), max_size=8))
def test_only_the_declared_schema_passes(extra: dict[str, str]) -> None:
    unknown = set(extra) - set(AS_DECLARED)
    found = schema({**extra, **AS_DECLARED})
    assert (found.outcome is Outcome.PASS) is (not unknown)
    assert counts(found)["undeclared"] == len(unknown)


# ---------------------------------------------------------------------------------------- suites


def rule(index: int, success: bool | None, severity: str = "critical", **more: Any) -> Any:
    return ExpectationOutcome(
        index, "expect_column_values_to_be_between", "age", "0" * 64, success, severity, **more
    )


def suite(*rules: Any, rows: int | None = 100) -> Finding:
    given_inputs = inputs(SUITE)
    result = SuiteOutcome("data", "0" * 64, rows, rules)
    (finding,) = SUITE().judge(given_inputs, Observations({"suite": result}))
    return finding


@pytest.mark.parametrize(
    ("rules", "outcome", "severity"),
    [
        ([rule(0, True), rule(1, True)], Outcome.PASS, Severity.HIGH),
        ([rule(0, False), rule(1, True)], Outcome.FAIL, Severity.HIGH),
        ([rule(0, False, "warning")], Outcome.FAIL, Severity.MEDIUM),
        ([rule(0, False, "info")], Outcome.FAIL, Severity.INFO),
        ([rule(0, False, "info"), rule(1, False, "warning")], Outcome.FAIL, Severity.MEDIUM),
        ([rule(0, None, error_type="KeyError")], Outcome.ERROR, Severity.HIGH),
        ([rule(0, False), rule(1, None, error_type="KeyError")], Outcome.FAIL, Severity.HIGH),
    ],
)
def test_the_worst_broken_rule_decides(
    rules: list[Any], outcome: Outcome, severity: Severity
) -> None:
    finding = suite(*rules)
    assert finding.outcome is outcome
    if outcome is not Outcome.PASS:
        assert finding.severity is severity


def test_each_rule_has_a_measurement_with_its_counts() -> None:
    finding = suite(
        rule(0, False, unexpected_count=12, element_count=100), rule(1, None, error_type="KeyError")
    )
    counted, raised = finding.measurements
    assert (counted.value, counted.n, counted.unit, counted.group) == (12, 100, "rows", "age")
    assert counted.threshold is not None and counted.threshold.value == 0
    assert raised.threshold is None
    assert raised.value is None
    assert raised.reason == "raised KeyError"


def test_an_empty_window_proves_nothing() -> None:
    given_inputs = inputs(SUITE)
    source = given_inputs.rows_in_question
    result = SuiteOutcome("data", "0" * 64, None, (rule(0, True),))
    seen = Observations({"suite": result}, {source: WindowFacts("", "", 0)})
    (finding,) = SUITE().judge(given_inputs, seen)
    assert finding.outcome is Outcome.NOT_AVAILABLE


@pytest.mark.parametrize(
    ("role", "declare", "window"),
    [
        (DataSetRole.TRAINING, {"time": {"column": "seen_at"}}, "whole"),
        (DataSetRole.SCORING_LOG, {"time": {"column": "seen_at"}}, "night"),
        (DataSetRole.SCORING_LOG, {}, "whole"),
        (DataSetRole.FEATURES, {"location": "features/{date}.parquet"}, "night"),
        (DataSetRole.PERMISSION_REGISTER, {"time": {"column": "seen_at"}}, "whole"),
    ],
)
def test_data_sets_that_grow_by_the_night_are_looked_at_by_the_night(
    role: DataSetRole, declare: dict[str, Any], window: Any
) -> None:
    assert inputs(SUITE, role, **declare).rows_in_question == Source("data", window)
