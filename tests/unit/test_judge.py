"""Planning and judging: what cannot run says so, what crashes says where, events are visible."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole, Event, Policy, World
from nachweis.domain.night import Night
from nachweis.domain.observation import Missing, Observations, Request, Scalar
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.judge import SubjectPlan, judge, plan_subject

NIGHT = Night(dt.date(2026, 3, 2))
MODEL = Subject(kind=SubjectKind.MODEL, id="model")
SECRET = "anna.smith@example.org"


def make(
    observed: Any = None, found: Any = None, *, waivable: bool = True, needs: tuple[Any, ...] = ()
) -> type[Check]:
    """A check whose two phases are given as functions."""

    class RowsStayMany(Check):
        """Are there rows?

        Why: For the test.
        Method: Rows, undefined never. Source: test.
        Leaves out: All else.
        """

        __module__ = "tests.family.rows_stay_many"

        severity = Severity.HIGH
        lifecycle = Lifecycle.STABLE
        subject = SubjectKind.MODEL
        controls = ("MONITOR",)
        needs = (Needs.SCORING_LOG,)
        remediation = "Add rows."
        params = (
            Param("min_rows", 5, "rows", "test", "Fewest rows.", minimum=1),
            Param("mode", "plain", "word", "test", "Mode.", choices=("plain", "strict")),
        )
        examples = (
            Example("a", Outcome.PASS, {}),
            Example("b", Outcome.FAIL, {}),
            Example("c", Outcome.NOT_AVAILABLE, {}),
        )

        def observe(self, inputs: Inputs) -> Iterable[Request]:
            if observed is not None:
                return observed(self, inputs)
            return [Scalar("rows", inputs.source("scoring_log"), lambda table: table.count())]

        def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
            if found is not None:
                return found(self, inputs, observations)
            rows = observations["rows"]
            enough = rows >= inputs.param("min_rows")
            return [self.finding(inputs, Outcome.PASS if enough else Outcome.FAIL, "Counted.")]

    RowsStayMany.needs = (Needs.SCORING_LOG, *needs)
    RowsStayMany.waivable = waivable
    return RowsStayMany


def world(
    policy: dict[str, Any] | None = None,
    checks: dict[str, Any] | None = None,
    events: dict[str, Any] | None = None,
    *,
    log: bool = True,
) -> World:
    tables = {"scoring_log": ExampleTable(DataSetRole.SCORING_LOG, {"a": [1]})} if log else {}
    example = Example("world", Outcome.PASS, tables, model={"checks": checks or {}})
    made = example_world(make(), example)
    update: dict[str, Any] = {"policy": Policy(checks=policy or {})}
    if events is not None:
        update["events"] = {"spring": Event.model_validate({**EVENT, **events})}
    return made.model_copy(update=update)


EVENT = {
    "id": "spring",
    "kind": "campaign",
    "title": {"en": "Spring campaign"},
    "from": "2026-03-01",
    "until": "2026-03-05",
    "expects": ["rows_stay_many"],
}


def findings(check: type[Check], given: World, rows: Any = 3) -> list[Finding]:
    plan = plan_subject(given, MODEL, NIGHT, [check])
    seen = {check.id: Observations({"rows": rows})}
    return judge(given, MODEL, NIGHT, plan, seen)


def only(check: type[Check], given: World, rows: Any = 3) -> Finding:
    found = findings(check, given, rows)
    assert len(found) == 1
    return found[0]


def test_a_met_statement_passes_and_a_broken_one_fails() -> None:
    assert only(make(), world(), 5).outcome is Outcome.PASS
    assert only(make(), world(), 4).outcome is Outcome.FAIL


# ----------------------------------------------------------------------------- before the data


def test_an_unmet_need_is_not_available_and_says_what_to_declare() -> None:
    given = world(log=False)
    plan = plan_subject(given, MODEL, NIGHT, [make()])
    assert plan.requests == {}
    (finding,) = plan.early
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert finding.declare == Needs.SCORING_LOG.declare


def test_a_declared_reason_makes_a_check_not_applicable() -> None:
    for reason in ("rules only", {"reason": "rules only"}, {"reason": {"en": "rules only"}}):
        given = world(checks={"rows_stay_many": {"not_applicable": reason}})
        finding = only(make(), given)
        assert finding.outcome is Outcome.NOT_APPLICABLE
        assert finding.severity is Severity.INFO
        assert finding.explanation == "Declared as not applicable: rules only"


def test_what_cannot_be_waived_cannot_be_declared_away_where_it_can_run() -> None:
    given = world(checks={"rows_stay_many": {"not_applicable": {"reason": "no time"}}})
    assert only(make(waivable=False), given).outcome is Outcome.FAIL
    unmet = make(waivable=False, needs=(Needs.OUTCOMES,))
    assert only(unmet, given).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"min_rowz": 3}, "min_rows"),
        ({"min_rows": 0}, "at least 1"),
        ({"min_rows": 2.5}, "whole number"),
        ({"min_rows": True}, "must be a number"),
        ({"mode": "lax"}, "plain, strict"),
        ({"mode": 3}, "must be a text"),
    ],
)
def test_a_parameter_that_is_not_allowed_is_an_error(given: dict[str, Any], told: str) -> None:
    finding = only(make(), world(checks={"rows_stay_many": given}))
    assert finding.outcome is Outcome.ERROR
    assert told in finding.explanation


def test_the_model_outranks_the_policy_and_the_source_is_printed() -> None:
    def found(check: Check, inputs: Inputs, _: Observations) -> list[Finding]:
        measured = Measurement(name="n", value=1, threshold=inputs.threshold("min_rows", ">="))
        return [check.finding(inputs, Outcome.PASS, "Counted.", measurements=[measured])]

    def limit(given: World) -> Any:
        return only(make(found=found), given).measurements[0].threshold

    assert limit(world()).source == "check default (test)"
    policy = {"rows_stay_many": {"min_rows": 7}}
    assert limit(world(policy=policy)).value == 7
    assert limit(world(policy=policy)).source.startswith("policy.yaml")
    both = limit(world(policy=policy, checks={"rows_stay_many": {"min_rows": 9}}))
    assert both.value == 9
    assert both.source.startswith("model manifest")
    assert "not by law" in both.source


# --------------------------------------------------------------------------------- after the data


def test_what_could_not_be_seen_is_not_available_with_its_reason() -> None:
    finding = only(make(), world(), Missing("the file is cut off"))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "the file is cut off" in finding.explanation


def test_a_check_that_was_not_observed_at_all_is_an_error_not_a_pass() -> None:
    given = world()
    plan = plan_subject(given, MODEL, NIGHT, [make()])
    (finding,) = judge(given, MODEL, NIGHT, plan, {})
    assert finding.outcome is Outcome.ERROR


def test_a_crash_becomes_an_error_with_type_and_place_and_without_values() -> None:
    def crash(*_: Any) -> list[Finding]:
        raise ValueError(f"could not read {SECRET}")

    finding = only(make(found=crash), world())
    assert finding.outcome is Outcome.ERROR
    assert finding.severity is Severity.HIGH
    assert "ValueError" in finding.explanation
    assert "test_judge.py:" in finding.explanation
    assert SECRET not in finding.model_dump_json()


def test_a_crash_below_the_check_names_the_packages_own_line() -> None:
    def crash(check: Check, inputs: Inputs, _: Observations) -> list[Finding]:
        return [check.finding(inputs, Outcome.PASS, str(inputs.param(SECRET)))]

    finding = only(make(found=crash), world())
    assert "KeyError at domain/check.py:" in finding.explanation
    assert SECRET not in finding.model_dump_json()


def test_a_crash_while_planning_spares_the_other_checks() -> None:
    def crash(*_: Any) -> list[Request]:
        raise RuntimeError(SECRET)

    finding = only(make(observed=crash), world())
    assert finding.outcome is Outcome.ERROR
    assert "planning" in finding.explanation
    assert SECRET not in finding.model_dump_json()


def test_our_own_errors_keep_their_words() -> None:
    def refuse(*_: Any) -> list[Finding]:
        raise NachweisError("the limit and the method do not fit", remedy="name the method")

    assert "name the method" in only(make(found=refuse), world()).explanation


def test_a_check_that_says_nothing_is_not_available() -> None:
    assert only(make(found=lambda *_: []), world()).outcome is Outcome.NOT_AVAILABLE


def test_two_requests_of_one_name_are_an_error() -> None:
    def twice(_: Check, inputs: Inputs) -> list[Request]:
        one = Scalar("rows", inputs.source("scoring_log"), lambda table: table.count())
        return [one, one]

    assert only(make(observed=twice), world()).outcome is Outcome.ERROR


def test_two_findings_of_one_key_are_an_error() -> None:
    def twice(check: Check, inputs: Inputs, _: Observations) -> list[Finding]:
        return [
            check.finding(inputs, Outcome.PASS, "One."),
            check.finding(inputs, Outcome.FAIL, ""),
        ]

    assert only(make(found=twice), world()).outcome is Outcome.ERROR


def test_findings_are_sorted_by_key() -> None:
    def several(check: Check, inputs: Inputs, _: Observations) -> list[Finding]:
        return [check.finding(inputs, Outcome.PASS, "Fine.", column=c) for c in ("b", "c", "a")]

    assert [f.column for f in findings(make(found=several), world())] == ["a", "b", "c"]


def test_numbers_are_rounded_to_nine_digits_and_undefined_ones_are_null() -> None:
    def found(check: Check, inputs: Inputs, _: Observations) -> list[Finding]:
        values = (1 / 3, float("nan"), 2**60)
        measured = [Measurement(name=str(i), value=v) for i, v in enumerate(values)]
        return [check.finding(inputs, Outcome.PASS, "Counted.", measurements=measured)]

    values = [m.value for m in only(make(found=found), world()).measurements]
    assert values == [0.333333333, None, str(2**60)]


# --------------------------------------------------------------------------------------- events


def test_an_event_lowers_an_expected_failure_visibly() -> None:
    finding = only(make(), world(events={}))
    assert finding.outcome is Outcome.FAIL
    assert finding.severity is Severity.INFO
    assert finding.expected_by_event == "spring"
    assert "lowered from high to info" in finding.explanation


@pytest.mark.parametrize(
    "event",
    [
        {"until": "2026-03-01"},
        {"from": "2026-03-03"},
        {"expects": ["other_check"]},
        {"expects": []},
        {"models": ["another"]},
        {"columns": ["income"]},
    ],
)
def test_an_event_that_does_not_cover_it_changes_nothing(event: dict[str, Any]) -> None:
    finding = only(make(), world(events=event))
    assert finding.severity is Severity.HIGH
    assert finding.expected_by_event is None


def test_an_event_lowers_only_the_columns_it_names() -> None:
    def several(check: Check, inputs: Inputs, _: Observations) -> list[Finding]:
        return [check.finding(inputs, Outcome.FAIL, "Moved.", column=c) for c in ("a", "b")]

    found = findings(make(found=several), world(events={"columns": ["b"]}))
    assert [f.expected_by_event for f in found] == [None, "spring"]


def test_an_event_never_lowers_what_cannot_be_waived_nor_an_error() -> None:
    assert only(make(waivable=False), world(events={})).severity is Severity.HIGH

    def crash(*_: Any) -> list[Finding]:
        raise ValueError

    assert only(make(found=crash), world(events={})).severity is Severity.HIGH


def test_a_plan_names_all_data_sets_it_reads() -> None:
    from nachweis import registry

    check = registry.check("error_rate_parity_held")
    given = example_world(check, check.examples[0])
    plan = plan_subject(given, MODEL, NIGHT, [check])
    assert plan.data_sets == ["outcomes", "scoring-log"]
    assert SubjectPlan(MODEL).data_sets == []
