"""The fairness checks: who is counted, what is compared, when a difference fails."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis import registry
from nachweis.checks.fairness._groups import band_names
from nachweis.checks.fairness._verdicts import publishable_label
from nachweis.domain.check import Check, Example, ExampleTable, Inputs
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.night import Night
from nachweis.domain.observation import CountTable, GroupedCounts, Missing, Observations
from nachweis.pipeline.example_worlds import example_world

NIGHT = Night(dt.date(2026, 3, 2))
SELECTION = registry.check("selection_rate_parity_held")
ERRORS = registry.check("error_rate_parity_held")
SIZES = registry.check("groups_large_enough")

GENDER = {"id": "gender", "column": "gender"}
HEALTH = {"id": "health", "column": "health", "art9": "health"}
SPECIAL = {
    "attributes": ["health"],
    "alternatives_tested": [{"method": "synthetic", "result": {"en": "no"}, "date": "2026-01-01"}],
    "store": "scoring-log",
    "technical_reuse_block": True,
    "access_roles": ["owner"],
    "delete_by": "2026-12-31",
    "record_statement": {"en": "needed"},
    "likely_harm": {"en": "worse offers"},
}


def inputs(
    check: type[Check],
    *attributes: dict[str, Any],
    params: dict[str, Any] | None = None,
    activity: dict[str, Any] | None = None,
    fields: dict[str, str] | None = None,
    **model: Any,
) -> Inputs:
    log = ExampleTable(
        DataSetRole.SCORING_LOG,
        {},
        {
            "fields": {"prediction": "offer", "key": "row", **(fields or {})},
            "time": {"column": "at"},
            "subject_key": {"column": "person"},
        },
    )
    people = ExampleTable(DataSetRole.SOURCE, {}, {"subject_key": {"column": "id"}})
    outcomes = ExampleTable(DataSetRole.OUTCOMES, {}, {"fields": {"key": "row", "label": "y"}})
    example = Example(
        "x",
        Outcome.PASS,
        {"scoring_log": log, "people": people, "outcomes": outcomes},
        model={
            "decision": {"rule": {"positive": 1}},
            "protected_attributes": list(attributes or (GENDER,)),
            **model,
        },
        activity=activity or {},
    )
    world = example_world(check, example)
    subject = Subject(kind=SubjectKind.MODEL, id="model")
    return Inputs(world, subject, NIGHT, check.effective_params(params or {}, {}))


def table(keys: tuple[str, ...], *rows: tuple[Any, ...]) -> CountTable:
    return CountTable(keys, {row[:-1]: row[-1] for row in rows})


def offers(*rows: tuple[Any, ...]) -> CountTable:
    return table(("group:gender", "prediction"), *rows)


def one(check: type[Check], given_inputs: Inputs, **counts: Any) -> Finding:
    (finding,) = check().judge(given_inputs, Observations(dict(counts)))
    return finding


def selection(counts: Any, **more: Any) -> Finding:
    return one(SELECTION, inputs(SELECTION, **more), **{"counts:gender": counts})


def number(finding: Finding, name: str, group: str | None = None) -> Any:
    return next(m for m in finding.measurements if m.name == name and m.group == group)


# ------------------------------------------------------------------------------ selection rates


@pytest.mark.parametrize(
    ("women", "men", "outcome", "severity"),
    [
        ((500, 500), (480, 520), Outcome.PASS, Severity.HIGH),
        ((500, 500), (300, 700), Outcome.FAIL, Severity.HIGH),
        ((300, 700), (500, 500), Outcome.FAIL, Severity.HIGH),
        ((8, 112), (5, 115), Outcome.PASS, Severity.INFO),  # ratio 0.63, but chance explains it
        ((500, 500), (3, 3), Outcome.NOT_AVAILABLE, Severity.HIGH),
        ((0, 500), (0, 500), Outcome.NOT_AVAILABLE, Severity.HIGH),
    ],
)
def test_a_ratio_fails_below_the_limit_unless_chance_explains_it(
    women: tuple[int, int], men: tuple[int, int], outcome: Outcome, severity: Severity
) -> None:
    finding = selection(
        offers(("f", 1, women[0]), ("f", 0, women[1]), ("m", 1, men[0]), ("m", 0, men[1]))
    )
    assert (finding.outcome, finding.severity) == (outcome, severity)


def test_the_limit_its_source_and_the_groups_are_printed() -> None:
    finding = selection(offers(("f", 1, 500), ("f", 0, 500), ("m", 1, 300), ("m", 0, 700)))
    ratio = number(finding, "selection_rate_ratio")
    assert ratio.value == pytest.approx(0.6)
    assert ratio.threshold.value == 0.8
    assert "1607.4(D)" in ratio.threshold.source
    assert number(finding, "selection_rate", "m").value == pytest.approx(0.3)
    assert number(finding, "selection_rate_difference").interval[0] > 0


def test_a_single_group_cannot_be_compared() -> None:
    finding = selection(offers(("f", 1, 500), ("f", 0, 500)))
    assert finding.outcome is Outcome.NOT_AVAILABLE


def test_people_whose_attribute_is_not_held_form_no_group() -> None:
    known = [("f", 1, 500), ("f", 0, 500), ("m", 1, 500), ("m", 0, 500)]
    finding = selection(offers(*known, (None, 1, 0), (None, 0, 400)))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "selection_rate", "undeclared").value is None


def test_counts_that_could_not_be_made_are_not_available() -> None:
    finding = selection(Missing("the column is gone"))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "the column is gone" in finding.explanation


def exposed(*rows: tuple[Any, ...]) -> CountTable:
    return table(("group:gender", "prediction", "contacted", "arm"), *rows)


def test_contacts_are_compared_apart_and_hold_out_arms_do_not_count() -> None:
    fields = {"contacted": "sent", "arm": "arm"}
    women = ("f", 1, True, "mail", 300)
    fair = exposed(women, ("m", 1, True, "mail", 150), ("m", 1, False, "holdout", 150))
    assert selection(fair, fields=fields).outcome is Outcome.PASS
    unfair = exposed(women, ("m", 1, True, "mail", 150), ("m", 1, False, "mail", 150))
    finding = selection(unfair, fields=fields)
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "selection_rate_ratio").value == 1
    assert number(finding, "contact_rate_ratio").value == pytest.approx(0.5)


def test_other_names_of_hold_out_arms_can_be_declared() -> None:
    counts = exposed(
        ("f", 1, True, "mail", 300), ("m", 1, True, "mail", 150), ("m", 1, False, "quiet", 150)
    )
    more = {"fields": {"contacted": "sent", "arm": "arm"}}
    assert selection(counts, **more).outcome is Outcome.FAIL
    params = {"holdout_arms": "holdout, quiet"}
    assert selection(counts, params=params, **more).outcome is Outcome.PASS


def test_an_intersection_is_reported_and_never_fails() -> None:
    age = {"id": "age", "column": "age", "bands": [40]}
    given_inputs = inputs(SELECTION, GENDER, age, intersections=[["gender", "age"]])
    even = [("f", 1, 400), ("f", 0, 400), ("m", 1, 400), ("m", 0, 400)]
    crossed = table(
        ("group:gender", "group:age", "prediction"),
        ("f", "under 40", 1, 400),
        ("f", "40 and over", 0, 400),
        ("m", "under 40", 0, 400),
        ("m", "40 and over", 1, 400),
    )
    ages = table(
        ("group:age", "prediction"),
        ("under 40", 1, 400), ("under 40", 0, 400),
        ("40 and over", 1, 400), ("40 and over", 0, 400),
    )  # fmt: skip
    seen = Observations(
        {"counts:gender": offers(*even), "counts:age": ages, "counts:gender+age": crossed}
    )
    by_gender, by_age = SELECTION().judge(given_inputs, seen)
    assert {by_gender.outcome, by_age.outcome} == {Outcome.PASS}
    ratio = number(by_gender, "selection_rate_ratio", "gender+age")
    assert (ratio.value, ratio.threshold) == (0, None)
    assert not [m for m in by_age.measurements if m.group == "gender+age"]


# ------------------------------------------------------------------------- what may be counted


def test_special_categories_are_not_even_asked_for_without_the_declaration() -> None:
    given_inputs = inputs(SELECTION, HEALTH)
    for check in (SELECTION, ERRORS, SIZES):
        assert list(check().observe(given_inputs)) == []
        (finding,) = check().judge(given_inputs, Observations({}))
        assert finding.outcome is Outcome.NOT_AVAILABLE
        assert "Art. 4a" in finding.declare


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({}, True),
        ({"attributes": ["genetic"]}, False),
        ({"delete_by": "2026-03-01"}, False),
        ({"delete_by": "2026-03-02"}, True),
        ({"bias_closed_at": "2026-03-01"}, False),
    ],
)
def test_the_declaration_must_name_the_attribute_and_not_have_ended(
    changed: dict[str, Any], asked: bool
) -> None:
    activity = {"bias_special_category_processing": {**SPECIAL, **changed}}
    given_inputs = inputs(SELECTION, HEALTH, activity=activity)
    assert bool(list(SELECTION().observe(given_inputs))) is asked


def test_an_attribute_of_another_data_set_is_joined_by_the_subject_key() -> None:
    elsewhere = {**GENDER, "data_set": "people"}
    (request,) = SELECTION().observe(inputs(SELECTION, elsewhere))
    assert isinstance(request, GroupedCounts)
    (join,) = request.joins
    assert join.key == ("person", "id")
    assert join.columns == (("joined_gender", "gender"),)


def test_checks_of_one_model_share_their_query() -> None:
    (one_request,) = SELECTION().observe(inputs(SELECTION, fields={"eligible": "may"}))
    (other,) = SIZES().observe(inputs(SIZES, fields={"eligible": "may"}))
    assert isinstance(one_request, GroupedCounts)
    assert isinstance(other, GroupedCounts)
    assert one_request.by == other.by
    assert one_request.where is other.where


# ------------------------------------------------------------------------------------ error rates


def outcomes(*rows: tuple[Any, ...]) -> CountTable:
    return table(("group:gender", "prediction", "label"), *rows)


def cells(group: str, hits: int, misses: int, alarms: int, rest: int) -> list[tuple[Any, ...]]:
    return [
        (group, 1, 1, hits), (group, 0, 1, misses), (group, 1, 0, alarms), (group, 0, 0, rest)
    ]  # fmt: skip


def errors(counts: CountTable, **more: Any) -> Finding:
    return one(ERRORS, inputs(ERRORS, **more), **{"errors:gender": counts})


@pytest.mark.parametrize(
    ("men", "outcome"),
    [
        ((300, 100, 100, 300), Outcome.PASS),
        ((200, 200, 100, 300), Outcome.FAIL),
        ((300, 100, 200, 200), Outcome.FAIL),
        ((30, 10, 100, 300), Outcome.NOT_AVAILABLE),
        ((270, 130, 100, 300), Outcome.PASS),  # 0.075 is below the limit
    ],
)
def test_a_large_and_significant_difference_of_a_rate_fails(
    men: tuple[int, int, int, int], outcome: Outcome
) -> None:
    finding = errors(outcomes(*cells("f", 300, 100, 100, 300), *cells("m", *men)))
    assert finding.outcome is outcome


@pytest.mark.parametrize(
    ("check", "rate", "lost"),
    [
        ("error_rate_parity_held", "true_positive_rate", "female & 40 and over"),
        ("predictive_parity_held", "negative_predictive_value", "female & 40 and over"),
    ],
)
def test_an_intersection_of_errors_is_reported_and_never_fails(
    check: str, rate: str, lost: str
) -> None:
    kind = registry.check(check)
    age = {"id": "age", "column": "age", "bands": [40]}
    given_inputs = inputs(kind, GENDER, age, intersections=[["gender", "age"]])
    good, bad = (300, 100, 100, 300), (100, 300, 100, 300)
    crossed = {
        ("female", "under 40"): good,
        ("female", "40 and over"): bad,
        ("male", "under 40"): bad,
        ("male", "40 and over"): good,
    }
    rows = [
        (*group, *rest) for group, n in crossed.items() for _, *rest in cells(group[0], *n)
    ]  # fmt: skip
    keys = ("group:gender", "group:age", "prediction", "label")
    even = tuple(a + b for a, b in zip(good, bad, strict=True))
    by = {
        "gender": [one for group in ("female", "male") for one in cells(group, *even)],
        "age": [one for group in ("under 40", "40 and over") for one in cells(group, *even)],
    }
    seen = Observations(
        {
            "errors:gender": outcomes(*by["gender"]),
            "errors:age": table(("group:age", "prediction", "label"), *by["age"]),
            "errors:gender+age": table(keys, *rows),
        }
    )
    by_gender, by_age = kind().judge(given_inputs, seen)
    assert {by_gender.outcome, by_age.outcome} == {Outcome.PASS}
    apart = number(by_gender, f"{rate}_difference", "gender+age")
    assert apart.value > 0.2
    assert apart.threshold is None
    assert number(by_gender, rate, f"gender+age: {lost}").value < 0.6
    assert not [m for m in by_age.measurements if (m.group or "").startswith("gender+age")]


def test_an_intersection_that_could_not_be_counted_takes_no_verdict_along() -> None:
    given_inputs = inputs(
        ERRORS, GENDER, {"id": "age", "column": "age"}, intersections=[["gender", "age"]]
    )
    names = [request.name for request in ERRORS().observe(given_inputs)]
    assert names == ["errors:gender", "errors:age", "errors:gender+age"]
    even = outcomes(*cells("f", 300, 100, 100, 300), *cells("m", 300, 100, 100, 300))
    seen = Observations(
        {
            "errors:gender": even,
            "errors:age": CountTable(("group:age", "prediction", "label"), even.rows),
            "errors:gender+age": Missing("the column is gone"),
        }
    )
    by_gender, _ = ERRORS().judge(given_inputs, seen)
    assert by_gender.outcome is Outcome.PASS
    missing = number(by_gender, "true_positive_rate_difference", "gender+age")
    assert (missing.value, missing.reason) == (None, "the column is gone")


def test_outcomes_that_have_not_arrived_are_waited_for() -> None:
    known = [*cells("f", 150, 50, 50, 150), *cells("m", 150, 50, 50, 150)]
    assert errors(outcomes(*known, ("f", 1, None, 700))).outcome is Outcome.PASS
    assert errors(outcomes(*known, ("f", 1, None, 900))).outcome is Outcome.NOT_AVAILABLE
    assert errors(outcomes(("f", 1, None, 900))).outcome is Outcome.NOT_AVAILABLE
    assert errors(outcomes()).outcome is Outcome.NOT_AVAILABLE


def test_the_window_ends_when_the_label_delay_has_passed() -> None:
    delay = {"outcome": {"positive": 1, "label_delay": "P30D"}, "current": {"extend_to": "P7D"}}
    given_inputs = inputs(ERRORS, **delay)
    (request,) = ERRORS().observe(given_inputs)
    assert isinstance(request, GroupedCounts)
    start, end = request.source.span or ()
    assert (start.isoformat(), end.isoformat()) == (
        "2026-01-25T00:00:00+01:00",
        "2026-02-01T00:00:00+01:00",
    )
    counts = outcomes(*cells("f", 300, 100, 100, 300), *cells("m", 300, 100, 100, 300))
    finding = one(ERRORS, given_inputs, **{"errors:gender": counts})
    assert "from 2026-01-25 until before 2026-02-01" in finding.scope


# ------------------------------------------------------------------------------------ group sizes


@pytest.mark.parametrize(
    ("small", "outcome"), [(99, Outcome.FAIL), (100, Outcome.PASS), (1, Outcome.FAIL)]
)
def test_each_group_must_be_large_enough(small: int, outcome: Outcome) -> None:
    counts = offers(("f", 1, 500), ("m", 1, small), (None, 1, 3))
    finding = one(SIZES, inputs(SIZES), **{"counts:gender": counts})
    assert finding.outcome is outcome
    assert finding.severity is Severity.LOW


def test_without_any_value_there_is_nothing_to_count() -> None:
    finding = one(SIZES, inputs(SIZES), **{"counts:gender": offers((None, 1, 3))})
    assert finding.outcome is Outcome.NOT_AVAILABLE


# ----------------------------------------------------------------------------------------- names


def test_bands_are_named_by_their_edges() -> None:
    assert band_names([25, 40.5]) == ["under 25", "25 to under 40.5", "40.5 and over"]
    assert band_names([40]) == ["under 40", "40 and over"]


@pytest.mark.parametrize("name", ["female", "Köln", "25 to under 40", "f & under 40", "1"])
def test_group_names_are_published(name: str) -> None:
    assert publishable_label(name) == name


@pytest.mark.parametrize("name", ["a@example.org", "x" * 41, "line\nbreak", "‮evil", "😀"])
def test_other_values_are_not(name: str) -> None:
    assert publishable_label(name) != name


@given(st.text(max_size=60))
def test_a_published_name_is_short_and_printable(name: str) -> None:
    label = publishable_label(name)
    assert len(label) <= 40
    assert label.isprintable()
