"""Predictive values, calibration, exposure, subgroups and proxies: what is compared, what fails."""

from __future__ import annotations

from typing import Any

import pytest

from nachweis import registry
from nachweis.checks.fairness._examples import (
    MODEL,
    MODEL_WITH_OUTCOMES,
    audience,
    cells,
    features_log,
    log,
    offers,
    outcomes_of,
    scored_outcomes,
    with_people,
)
from nachweis.domain.canonical import canonical_bytes
from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.disclosure import seal_finding
from nachweis.domain.finding import Finding, Outcome, Severity
from nachweis.domain.manifest import DataSetRole
from nachweis.pipeline.examples import run_example

HEALTH = {"id": "gender", "column": "gender", "art9": "health"}
_WOMEN = cells("female", 90, 40, 30, 100)


def run(check: str | type[Check], tables: Any, model: Any = MODEL, **more: Any) -> list[Finding]:
    found = registry.check(check) if isinstance(check, str) else check
    return run_example(found, Example("x", Outcome.PASS, tables, model=model, **more))


def number(finding: Finding, name: str, group: str | None = None) -> Any:
    return next(m for m in finding.measurements if m.name == name and m.group == group)


def people_model(model: Any = MODEL_WITH_OUTCOMES) -> dict[str, Any]:
    elsewhere = {"id": "gender", "column": "gender", "data_set": "people"}
    return {**model, "protected_attributes": [elsewhere]}


# -------------------------------------------------------------------- attributes held elsewhere


@pytest.mark.parametrize("check", ["error_rate_parity_held", "predictive_parity_held"])
def test_an_attribute_held_elsewhere_gives_the_same_numbers(check: str) -> None:
    tables = outcomes_of(*_WOMEN, *cells("male", 30, 40, 90, 100))
    (own,) = run(check, tables, MODEL_WITH_OUTCOMES)
    (joined,) = run(check, with_people(tables), people_model())
    assert own.outcome is joined.outcome is Outcome.FAIL
    assert own.measurements == joined.measurements


def test_an_intersection_may_span_two_data_sets() -> None:
    tables = with_people(outcomes_of(*_WOMEN, *cells("male", 90, 40, 30, 100)))
    scoring_log, people = tables["scoring_log"], tables["people"]
    persons = people.rows["person"]
    ages = ExampleTable(
        people.role,
        {"person": persons, "age": [20 + 40 * (i % 2) for i in range(len(persons))]},
        people.declare,
    )
    model = {
        **MODEL,
        "protected_attributes": [
            {"id": "gender", "column": "gender", "data_set": "people"},
            {"id": "age", "column": "age", "data_set": "ages", "bands": [40]},
        ],
        "intersections": [["gender", "age"]],
        "current": {"window": "P60D", "min_rows": 1},
    }
    found = run(
        "selection_rate_parity_held",
        {"scoring_log": scoring_log, "people": people, "ages": ages},
        model,
    )
    assert {f.column: f.outcome for f in found} == {"gender": Outcome.PASS, "age": Outcome.PASS}
    by_gender = next(f for f in found if f.column == "gender")
    assert number(by_gender, "selection_rate", "gender+age: male & 40 and over").value is not None


# ----------------------------------------------------------------- selection: audiences, intervals


def test_ratio_and_difference_have_intervals() -> None:
    (finding,) = run("selection_rate_parity_held", offers((150, 50), (70, 130)))
    ratio, difference = (
        number(finding, f"selection_rate_{what}") for what in ("ratio", "difference")
    )
    assert ratio.interval[0] < ratio.value < ratio.interval[1] < 1
    assert 0 < difference.interval[0] < difference.value < difference.interval[1]


def test_recipients_of_a_bought_audience_need_no_predictions() -> None:
    def sent(women: int, men: int) -> list[Finding]:
        table = log(
            ({"gender": "female", "sent": True}, women),
            ({"gender": "female", "sent": False}, 400 - women),
            ({"gender": "male", "sent": True}, men),
            ({"gender": "male", "sent": False}, 400 - men),
            fields={"contacted": "sent"},
        )
        attributes = MODEL["protected_attributes"]
        model = {"kind": "external_audience", "protected_attributes": attributes}
        return run("selection_rate_parity_held", {"scoring_log": table}, model)

    (even,), (uneven,), (nobody,) = sent(200, 195), sent(100, 200), sent(0, 0)
    assert (even.outcome, uneven.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert number(uneven, "contact_rate_ratio").value == pytest.approx(0.5)
    assert nobody.outcome is Outcome.NOT_AVAILABLE


def test_a_log_without_predictions_and_contacts_says_what_to_declare() -> None:
    table = log(({"gender": "female", "x": 1}, 200), fields={})
    (finding,) = run("selection_rate_parity_held", {"scoring_log": table})
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "fields.contacted" in finding.declare


def test_values_that_occur_a_few_times_are_never_named() -> None:
    cells_ = [({"gender": f"secret-{i}", "offer": 1}, 1) for i in range(12)]
    table = log(
        ({"gender": "female", "offer": 1}, 100), ({"gender": "male", "offer": 1}, 100), *cells_
    )
    for check in ("selection_rate_parity_held", "groups_large_enough", "subgroup_gaps_bearable"):
        for finding in run(check, {"scoring_log": table}):
            assert b"secret" not in canonical_bytes(finding.model_dump(mode="json"))


# ----------------------------------------------------------------------------- predictive values


@pytest.mark.parametrize(
    ("men", "outcome"),
    [
        ((90, 40, 30, 100), Outcome.PASS),
        ((80, 40, 40, 100), Outcome.PASS),  # 0.083 is below the limit
        ((70, 40, 50, 100), Outcome.PASS),  # 0.17 is above it, but chance may explain it
        ((40, 40, 80, 100), Outcome.FAIL),
        ((90, 100, 30, 40), Outcome.FAIL),
        ((9, 40, 3, 100), Outcome.NOT_AVAILABLE),
    ],
)
def test_predictions_must_come_true_alike(men: tuple[int, ...], outcome: Outcome) -> None:
    tables = outcomes_of(*_WOMEN, *cells("male", *men))
    (finding,) = run("predictive_parity_held", tables, MODEL_WITH_OUTCOMES)
    assert finding.outcome is outcome


def test_predictive_values_are_reported_with_their_groups() -> None:
    tables = outcomes_of(*_WOMEN, *cells("male", 40, 40, 80, 100))
    (finding,) = run("predictive_parity_held", tables, MODEL_WITH_OUTCOMES)
    assert number(finding, "positive_predictive_value", "female").value == pytest.approx(0.75)
    assert number(finding, "positive_predictive_value", "male").value == pytest.approx(1 / 3)
    difference = number(finding, "positive_predictive_value_difference")
    assert difference.value == pytest.approx(0.75 - 1 / 3)
    assert difference.threshold.value == 0.1


# ------------------------------------------------------------------------------------ calibration


def calibration(*more: tuple[str, float, int, int], **kwargs: Any) -> Finding:
    model = kwargs.pop("model", MODEL_WITH_OUTCOMES)
    (finding,) = run("calibration_parity_held", scored_outcomes(*more), model, **kwargs)
    return finding


def test_a_small_gap_or_a_chance_gap_does_not_fail() -> None:
    women = ("female", 0.5, 400, 200)
    assert calibration(women, ("male", 0.5, 400, 210)).outcome is Outcome.PASS
    chance = calibration(women, ("male", 0.5, 400, 230))
    assert (chance.outcome, chance.severity) == (Outcome.PASS, Severity.INFO)
    assert "chance may explain" in chance.explanation
    assert calibration(women, ("male", 0.5, 400, 300)).outcome is Outcome.FAIL


def test_missing_scores_are_left_out_and_scores_at_the_ends_have_a_bin() -> None:
    nan = float("nan")
    finding = calibration(
        ("female", 0.0, 150, 0), ("female", nan, 50, 50), ("female", 1.0, 150, 150),
        ("male", 0.0, 150, 0), ("male", 1.0, 150, 150),
    )  # fmt: skip
    # Nothing varies within a bin, so there is nothing to test.
    assert finding.outcome is Outcome.NOT_AVAILABLE
    finding = calibration(("female", 0.1, 150, 10), ("female", nan, 50, 50), ("male", 0.1, 150, 20))
    assert number(finding, "calibration_gap", "female").n == 150


def test_a_small_group_is_not_compared() -> None:
    finding = calibration(("female", 0.5, 400, 200), ("male", 0.5, 40, 2))
    assert finding.outcome is Outcome.NOT_AVAILABLE


def crossed_calibration(*cells: tuple[str, int, int, int]) -> dict[str | None, Finding]:
    """Findings by attribute, from gender, age, people and how many of them bought."""
    tables = scored_outcomes(*((gender, 0.5, n, bought) for gender, _, n, bought in cells))
    scoring_log = tables["scoring_log"]
    ages = [age for _, age, n, _ in cells for _ in range(n)]
    tables = {
        **tables,
        "scoring_log": ExampleTable(
            scoring_log.role, {**scoring_log.rows, "age": ages}, scoring_log.declare
        ),
    }
    model = {
        **MODEL_WITH_OUTCOMES,
        "protected_attributes": [
            {"id": "gender", "column": "gender"},
            {"id": "age", "column": "age", "bands": [40]},
        ],
        "intersections": [["gender", "age"]],
    }
    return {one.column: one for one in run("calibration_parity_held", tables, model)}


def test_calibration_of_an_intersection_is_reported_and_never_fails() -> None:
    found = crossed_calibration(
        ("female", 20, 300, 225), ("female", 50, 300, 75),
        ("male", 20, 300, 75), ("male", 50, 300, 225),
    )  # fmt: skip
    assert {one.outcome for one in found.values()} == {Outcome.PASS}
    young_women = number(found["gender"], "calibration_gap", "gender+age: female & under 40")
    assert young_women.value == pytest.approx(0.25)
    against = number(found["gender"], "gap_against_others", "gender+age: male & under 40")
    assert against.value == pytest.approx(1 / 3, abs=0.01)
    assert against.threshold is None
    assert not [m for m in found["age"].measurements if "gender+age" in (m.group or "")]


def test_sizes_of_an_intersection_do_not_tell_how_small_its_smallest_group_is() -> None:
    found = crossed_calibration(
        ("female", 20, 300, 150), ("female", 50, 4, 2),
        ("male", 20, 300, 150), ("male", 50, 300, 150),
    )  # fmt: skip
    crossed = [m for m in found["gender"].measurements if "gender+age" in (m.group or "")]
    assert len(crossed) > 3
    assert all(m.n is None and m.interval is None for m in crossed)
    assert number(found["gender"], "calibration_gap", "female").n == 304


def test_without_a_positive_outcome_calibration_is_not_available() -> None:
    model = {**MODEL_WITH_OUTCOMES, "outcome": {"label_delay": "P30D"}, "decision": None}
    finding = calibration(("female", 0.5, 200, 100), ("male", 0.5, 200, 100), model=model)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "outcome.positive" in finding.declare


# --------------------------------------------------------------------------------------- exposure


def test_a_person_counts_once_over_all_nights() -> None:
    (finding,) = run("exposure_parity_held", audience({"f": (120, 150), "m": (60, 150)}))
    assert finding.outcome is Outcome.FAIL
    men = number(finding, "never_contacted_rate", "m")
    assert (men.value, men.n) == (0.6, 150)
    assert "from 2026-02-03 to 2026-03-02" in finding.scope


def test_only_the_nights_of_the_window_count() -> None:
    tables = audience({"f": (120, 150), "m": (120, 150)}, second_night=("f",))
    (finding,) = run("exposure_parity_held", tables, params={"window_nights": 1})
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "never_contacted_rate", "m").value == 1


def test_people_of_the_hold_out_are_not_missed_people() -> None:
    tables = audience({"f": (120, 150), "m": (120, 150)}, holdout={"m": 400})
    assert run("exposure_parity_held", tables)[0].outcome is Outcome.PASS
    (finding,) = run("exposure_parity_held", tables, params={"holdout_arms": "none"})
    assert finding.outcome is Outcome.FAIL


# -------------------------------------------------------------------------------------- subgroups


def by_device(men_on_a_phone: int, n: int = 200, **declare: Any) -> dict[str, ExampleTable]:
    cells_ = [
        ({"gender": gender, "device": device, "offer": offer}, rows)
        for gender in ("female", "male")
        for device in ("phone", "desktop")
        for offer, rows in (
            ((1, men_on_a_phone), (0, n - men_on_a_phone))
            if (gender, device) == ("male", "phone")
            else ((1, n // 2), (0, n // 2))
        )
        if rows
    ]
    names = ("gender", "device", "offer", "at")
    columns = [{"name": name, "feature": name == "device"} for name in names]
    return {"scoring_log": log(*cells_, **{"columns": columns, **declare})}


@pytest.mark.parametrize(
    ("offers_to_them", "outcome"),
    [(100, Outcome.PASS), (85, Outcome.PASS), (75, Outcome.PASS), (40, Outcome.FAIL)],
)
def test_a_subgroup_fails_far_below_the_others_and_beyond_chance(
    offers_to_them: int, outcome: Outcome
) -> None:
    (finding,) = run("subgroup_gaps_bearable", by_device(offers_to_them))
    assert finding.outcome is outcome
    worst = next(m for m in finding.measurements if m.name == "subgroup_rate_ratio")
    if outcome is Outcome.FAIL:
        assert worst.group == "gender: male & device: phone"
        assert worst.value == pytest.approx(0.4)
        assert worst.interval[1] < 0.8
        published = seal_finding(finding).measurements
        rate, reference, ratio = (
            next(m for m in published if (m.name, m.group) == (name, worst.group))
            for name in ("subgroup_rate", "subgroup_rate_reference", "subgroup_rate_ratio")
        )
        # What is published says no more than the two published rates do.
        assert ratio.value == pytest.approx(rate.value / reference.value, abs=0.0006)


@pytest.mark.parametrize("women", [(250, 250), (496, 4)])
def test_a_subgroup_with_few_selected_is_named_without_its_numbers(women: tuple[int, int]) -> None:
    (finding,) = run("subgroup_gaps_bearable", offers(women, (4, 476)))
    assert finding.outcome is Outcome.FAIL
    compared = [m for m in finding.measurements if m.name.startswith("subgroup_rate_")]
    assert compared
    for one in compared:
        assert (one.value, one.interval, one.recipe) == (None, None, "")
        assert "how few people" in one.reason


def test_a_feature_that_decides_is_no_subgroup_by_itself() -> None:
    cells_ = [
        ({"gender": gender, "device": device, "offer": int(device == "phone")}, 200)
        for gender in ("female", "male")
        for device in ("phone", "desktop")
    ]
    names = ("gender", "device", "offer", "at")
    table = log(*cells_, columns=[{"name": name, "feature": name == "device"} for name in names])
    (finding,) = run("subgroup_gaps_bearable", {"scoring_log": table})
    assert finding.outcome is Outcome.PASS


def test_free_text_identifiers_and_special_categories_are_no_features() -> None:
    for mark in ({"free_text": True}, {"direct_identifier": True}, {"art9": "health"}):
        columns = [
            {"name": "gender"}, {"name": "device", "feature": True, **mark},
            {"name": "offer"}, {"name": "at"},
        ]  # fmt: skip
        (finding,) = run("subgroup_gaps_bearable", by_device(40, columns=columns))
        assert not [m for m in finding.measurements if m.group and "device" in m.group]


def test_the_scan_takes_contacts_without_hold_outs_where_there_are_no_predictions() -> None:
    cells_ = [
        ({"gender": "f", "sent": True, "arm": "a"}, 200),
        ({"gender": "m", "sent": True, "arm": "a"}, 190),
        ({"gender": "m", "sent": False, "arm": " Control"}, 400),
    ]
    table = log(*cells_, fields={"contacted": "sent", "arm": "arm"})
    model = {"kind": "external_audience", "protected_attributes": MODEL["protected_attributes"]}
    assert run("subgroup_gaps_bearable", {"scoring_log": table}, model)[0].outcome is Outcome.PASS


# ---------------------------------------------------------------------------------------- proxies


def test_a_proxy_is_seen_where_the_attribute_is_held_elsewhere() -> None:
    tables = features_log(lambda gender, i: {"orders": i % 7.0, "device": gender[0]})
    scoring_log = tables["scoring_log"]
    rows = dict(scoring_log.rows)
    people = ExampleTable(
        DataSetRole.SOURCE,
        {"person": rows["person"], "gender": rows.pop("gender")},
        {"subject_key": {"column": "person"}},
    )
    columns = [column for column in scoring_log.declare["columns"] if column["name"] != "gender"]
    declare = {**scoring_log.declare, "columns": columns, "subject_key": {"column": "person"}}
    found = run(
        "protected_attribute_proxies_absent",
        {"scoring_log": ExampleTable(scoring_log.role, rows, declare), "people": people},
        people_model(MODEL),
    )
    assert [f.outcome for f in found] == [Outcome.FAIL]
    assert "device" in found[0].explanation
    assert "orders" not in found[0].explanation


def test_a_log_without_a_key_cannot_be_sampled() -> None:
    tables = features_log(lambda gender, i: {"orders": i % 7.0, "device": "a"})
    declare = {**tables["scoring_log"].declare, "fields": {}}
    table = ExampleTable(DataSetRole.SCORING_LOG, tables["scoring_log"].rows, declare)
    (finding,) = run("protected_attribute_proxies_absent", {"scoring_log": table})
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "key" in finding.explanation


def test_a_limit_and_the_strength_of_each_feature_are_printed() -> None:
    tables = features_log(lambda gender, i: {"orders": i % 7.0, "device": gender[0]})
    (finding,) = run("protected_attribute_proxies_absent", tables)
    assert number(finding, "strength", "device").value == 1
    assert number(finding, "strength", "device").threshold.value == 0.5
    assert number(finding, "strength", "orders").value < 0.1
    strict = {"max_strength": 0.9, "justified_features": "orders, device"}
    (finding,) = run("protected_attribute_proxies_absent", tables, params=strict)
    assert finding.outcome is Outcome.PASS
    assert number(finding, "strength", "device").threshold is None


# ----------------------------------------------------------------- special categories, everywhere


@pytest.mark.parametrize(
    "check",
    [
        "predictive_parity_held",
        "calibration_parity_held",
        "exposure_parity_held",
        "subgroup_gaps_bearable",
        "protected_attribute_proxies_absent",
    ],
)
def test_special_categories_are_not_read_without_the_declaration(check: str) -> None:
    scored = scored_outcomes(("female", 0.5, 200, 100), ("male", 0.5, 200, 20))
    scoring_log = scored["scoring_log"]
    rows = {**scoring_log.rows, "sent": [True, False] * 200, "x": list(range(400))}
    fields = {**scoring_log.declare["fields"], "contacted": "sent"}
    declare = {
        **scoring_log.declare,
        "fields": fields,
        "subject_key": {"column": "row"},
        "columns": [{"name": name, "feature": name == "x"} for name in rows],
    }
    tables = {**scored, "scoring_log": ExampleTable(scoring_log.role, rows, declare)}
    model = {**MODEL_WITH_OUTCOMES, "protected_attributes": [HEALTH]}
    found = run(check, tables, model)
    assert {f.outcome for f in found} == {Outcome.NOT_AVAILABLE}
    assert all("Art. 4a" in f.declare for f in found)
