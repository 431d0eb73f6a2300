"""The performance checks: what is joined, what is held against what, when a difference fails."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest

from nachweis import registry
from nachweis.checks.performance._examples import (
    MODEL,
    happened,
    late,
    scored,
    spread,
)
from nachweis.domain.check import Check, Example, ExampleTable, Inputs
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.night import Night
from nachweis.domain.observation import CountTable, GroupedCounts, Missing, Observations
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.examples import run_example

NIGHT = Night(dt.date(2026, 3, 2))
REALISED = registry.check("realised_quality_held")
ESTIMATED = registry.check("estimated_quality_held")
CALIBRATED = registry.check("scores_calibrated")
SLICES = registry.check("worst_slices_bearable")
RANKING = registry.check("ranking_quality_held")
UPLIFT = registry.check("uplift_held_against_holdout")


def inputs(
    check: type[Check],
    *,
    params: dict[str, Any] | None = None,
    fields: dict[str, str] | None = None,
    columns: Iterable[dict[str, Any]] = (),
    reference: dict[str, str] | None = None,
    **model: Any,
) -> Inputs:
    declare: dict[str, Any] = {
        "fields": fields or {"score": "p", "prediction": "offer", "key": "row"},
        "time": {"column": "at"},
    }
    names = {*declare["fields"].values(), "at"}
    declare["columns"] = [
        *({"name": name, "type": "timestamp" if name == "at" else "number"} for name in names),
        *columns,
    ]
    tables = {
        "scoring_log": ExampleTable(DataSetRole.SCORING_LOG, {}, declare),
        "outcomes": ExampleTable(
            DataSetRole.OUTCOMES, {}, {"fields": {"key": "row", "label": "y"}}
        ),
    }
    if reference is not None:
        tables["reference"] = ExampleTable(DataSetRole.REFERENCE, {}, {"fields": reference})
    world = example_world(check, Example("x", Outcome.PASS, tables, model={**MODEL, **model}))
    subject = Subject(kind=SubjectKind.MODEL, id="model")
    return Inputs(world, subject, NIGHT, check.effective_params(params or {}, {}))


def counts(*rows: tuple[Any, ...]) -> CountTable:
    """Score, prediction, outcome, rows."""
    table = {(score, prediction, label): n for score, prediction, label, n in rows}
    return CountTable(
        ("score", "prediction", "label"),
        table,
        {
            "total": {key: key[0] * n for key, n in table.items() if key[0] is not None},
            "squares": {key: key[0] ** 2 * n for key, n in table.items() if key[0] is not None},
        },
    )


def ordered(right: int, wrong: int) -> CountTable:
    """Two scores; as many rows of each class lie on the right and on the wrong side."""
    return counts((0.9, 1, 1, right), (0.9, 1, 0, wrong), (0.1, 0, 1, wrong), (0.1, 0, 0, right))


def one(check: type[Check], given: Inputs, **seen: Any) -> Finding:
    (finding,) = check().judge(given, Observations(dict(seen)))
    return finding


def number(finding: Finding, name: str, group: str | None = None) -> Any:
    return next(m for m in finding.measurements if m.name == name and m.group == group)


def ran(check: type[Check], tables: dict[str, ExampleTable], **more: Any) -> Finding:
    model = {**MODEL, **more.pop("model", {})}
    (finding,) = run_example(check, Example("x", Outcome.PASS, tables, model=model, **more))
    return finding


# ---------------------------------------------------------------------------- what is joined


def test_rows_count_once_their_outcomes_are_due() -> None:
    given = inputs(REALISED, current={"window": "P1D", "extend_to": "P3D"})
    (request,) = REALISED().observe(given)
    assert isinstance(request, GroupedCounts)
    end = NIGHT.end - dt.timedelta(days=30)
    assert request.source.span == (end - dt.timedelta(days=3), end)
    (join,) = request.joins
    assert join.other.span == (end - dt.timedelta(days=3), NIGHT.end)


def test_quality_and_calibration_ask_for_the_same() -> None:
    (first,) = REALISED().observe(inputs(REALISED))
    (second,) = CALIBRATED().observe(inputs(CALIBRATED))
    assert first == second


def test_all_slices_cost_one_request() -> None:
    columns = [{"name": f"c{i}", "type": "string", "feature": True} for i in range(5)]
    (request,) = SLICES().observe(inputs(SLICES, columns=columns))
    assert set(request.by) == {"slice", "prediction", "label"}  # type: ignore[attr-defined]


# --------------------------------------------------------------------------- realised quality


def test_a_declared_value_goes_before_the_reference() -> None:
    declared = inputs(REALISED, metrics=[{"id": "auc", "value": 0.8}])
    finding = one(REALISED, declared, realised=ordered(150, 50), reference=ordered(190, 10))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "roc_auc_before").value == 0.8
    assert number(finding, "roc_auc_before").recipe == "model manifest"


def test_without_a_declared_value_the_reference_counts() -> None:
    given = inputs(REALISED, metrics=[{"id": "auc"}])
    finding = one(REALISED, given, realised=ordered(150, 50), reference=ordered(190, 10))
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "roc_auc_worse_by").value == pytest.approx(0.2)
    assert number(finding, "roc_auc_worse_by").interval[0] > 0.05


def test_what_chance_may_explain_does_not_fail() -> None:
    finding = one(REALISED, inputs(REALISED), realised=ordered(80, 25), reference=ordered(90, 15))
    assert number(finding, "roc_auc_worse_by").value > 0.05
    assert finding.outcome is Outcome.PASS
    assert "chance may explain it" in finding.explanation


@pytest.mark.parametrize(
    ("metric", "value", "outcome"),
    [
        ("true-positive-rate", 0.75, Outcome.PASS),
        ("recall", 0.95, Outcome.FAIL),
        ("precision", 0.95, Outcome.FAIL),
        ("brier-score", 0.21, Outcome.PASS),
        ("brier-score", 0.05, Outcome.FAIL),
        ("accuracy", 0.5, Outcome.PASS),
    ],
)
def test_metrics_are_known_by_their_usual_names(
    metric: str, value: float, outcome: Outcome
) -> None:
    given = inputs(REALISED, metrics=[{"id": metric, "value": value}])
    assert one(REALISED, given, realised=ordered(375, 125)).outcome is outcome


def test_every_declared_metric_must_be_judged_for_a_pass() -> None:
    metrics = [{"id": "accuracy", "value": 0.7}, {"id": "recall"}]
    finding = one(REALISED, inputs(REALISED, metrics=metrics), realised=ordered(375, 125))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "fields.label" in finding.declare


def test_a_declared_metric_that_needs_scores_is_not_replaced() -> None:
    fields = {"prediction": "offer", "key": "row"}
    given = inputs(REALISED, fields=fields, metrics=[{"id": "roc-auc", "value": 0.9}])
    table = CountTable(("prediction", "label"), {(1, 1): 200, (0, 0): 200})
    finding = one(REALISED, given, realised=table)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "no score is declared" in finding.explanation


def test_a_metric_that_is_not_computed_here_gives_way_to_the_usual_one() -> None:
    given = inputs(REALISED, metrics=[{"id": "customer-satisfaction", "value": 0.9}])
    finding = one(REALISED, given, realised=ordered(180, 20), reference=ordered(180, 20))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "roc_auc_worse_by").value == pytest.approx(0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (counts(), "old enough"),
        (counts((0.9, 1, None, 500)), "arrived"),
        (counts((0.9, 1, 1, 300), (0.1, 0, None, 500)), "arrived"),
        (ordered(20, 5), "at least 200 rows"),
        (counts((0.9, 1, 1, 200), (0.1, 0, 1, 200)), "one class only"),
        (counts((None, 1, 1, 200), (None, 0, 0, 200)), "one class only"),
        (Missing("the column is gone"), "the column is gone"),
    ],
)
def test_what_allows_no_verdict_is_not_available(table: Any, words: str) -> None:
    finding = one(REALISED, inputs(REALISED), realised=table, reference=ordered(100, 10))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert words in finding.explanation


def test_a_positive_outcome_must_be_declared() -> None:
    for check in (REALISED, CALIBRATED, UPLIFT):
        given = inputs(check, outcome={"label_delay": "P30D"}, decision=None)
        assert not list(check().observe(given))
        finding = one(check, given)
        assert finding.outcome is Outcome.NOT_AVAILABLE
        assert finding.declare == "'outcome.positive' of the model"


@pytest.mark.parametrize(("yes", "no", "declared"), [("1", "0", 1), ("yes", "no", "yes")])
def test_outcomes_may_be_texts(yes: str, no: str, declared: Any) -> None:
    rows = scored(400)
    rows = {**rows, "bought": [yes if one else no for one in rows["bought"]]}
    finding = ran(
        REALISED,
        late(rows, outcome_type="string"),
        model={
            "outcome": {"positive": declared, "label_delay": "P30D"},
            "metrics": [{"id": "accuracy", "value": 0.75}],
        },
    )
    assert finding.outcome is Outcome.PASS


def test_outcomes_may_be_truth_values() -> None:
    rows = scored(400)
    rows = {**rows, "bought": [bool(one) for one in rows["bought"]]}
    finding = ran(
        REALISED,
        late(rows, outcome_type="boolean"),
        model={
            "outcome": {"positive": True, "label_delay": "P30D"},
            "metrics": [{"id": "accuracy", "value": 0.75}],
        },
    )
    assert finding.outcome is Outcome.PASS


def test_missing_and_infinite_scores_are_left_out() -> None:
    rows = {name: list(values) for name, values in scored(600).items()}
    for position in range(0, 600, 6):
        rows["p"][position] = (None, float("nan"), float("inf"))[position % 3]
    finding = ran(REALISED, late(rows, reference=scored(600)))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "roc_auc").n == 500


def test_the_better_a_regression_the_less_it_fails() -> None:
    amounts = [100 * one for one in spread(300)]

    def off(by: float) -> dict[str, list[float]]:
        return {"p": amounts, "spent": [x + by * (-1) ** i for i, x in enumerate(amounts)]}

    for by, outcome in ((3.0, Outcome.PASS), (4.4, Outcome.PASS), (6.0, Outcome.FAIL)):
        finding = ran(
            REALISED,
            late(off(by), reference=off(4.0), label="spent", outcome_type="number"),
            model={"kind": "regression"},
        )
        assert finding.outcome is outcome
        assert number(finding, "mae").value == pytest.approx(by)


# ------------------------------------------------------------------------------- calibration


def test_the_whole_interval_must_be_off() -> None:
    off = counts((0.5, 1, 1, 42), (0.5, 1, 0, 58), (0.4, 0, 1, 40), (0.4, 0, 0, 60))
    finding = one(CALIBRATED, inputs(CALIBRATED, params={"min_rows": 100}), realised=off)
    assert finding.outcome is Outcome.PASS
    many = counts((0.5, 1, 1, 4200), (0.5, 1, 0, 5800), (0.4, 0, 1, 3000), (0.4, 0, 0, 7000))
    finding = one(CALIBRATED, inputs(CALIBRATED), realised=many)
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "mean_gap").value == pytest.approx(0.09)


def test_gaps_that_cancel_out_show_bin_by_bin() -> None:
    table = counts((0.9, 1, 1, 300), (0.9, 1, 0, 200), (0.1, 0, 1, 200), (0.1, 0, 0, 300))
    finding = one(CALIBRATED, inputs(CALIBRATED), realised=table)
    assert number(finding, "mean_gap").value == pytest.approx(0)
    assert number(finding, "expected_calibration_error").value == pytest.approx(0.3)
    assert finding.outcome is Outcome.FAIL


def test_a_confidence_is_held_against_right_predictions() -> None:
    right, wrong = (0.9, "a", "a", 450), (0.9, "a", "b", 50)
    given = inputs(CALIBRATED, kind="multiclass")
    assert one(CALIBRATED, given, realised=counts(right, wrong)).outcome is Outcome.PASS
    unsure = counts((0.9, "a", "a", 250), (0.9, "a", "b", 250))
    assert one(CALIBRATED, given, realised=unsure).outcome is Outcome.FAIL


# -------------------------------------------------------------------------------- estimation

LABELLED = {"score": "p", "prediction": "offer", "label": "y"}


def waiting(table: CountTable) -> CountTable:
    """The same rows before their outcomes are known."""
    rows: dict[tuple[Any, ...], int] = {}
    for (score, prediction, _), n in table.rows.items():
        rows[score, prediction] = rows.get((score, prediction), 0) + n
    sums = {"total": {key: key[0] * n for key, n in rows.items()}, "squares": {}}
    return CountTable(("score", "prediction"), rows, sums)


def estimated(current: CountTable, reference: CountTable, **more: Any) -> Finding:
    given = inputs(ESTIMATED, reference=LABELLED, **more)
    return one(ESTIMATED, given, current=current, reference=reference)


def test_the_estimate_needs_no_outcome() -> None:
    finding = estimated(waiting(ordered(450, 50)), ordered(450, 50))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "estimated_accuracy").value == pytest.approx(0.9)
    assert "assumes" in number(finding, "estimated_accuracy").recipe


@pytest.mark.parametrize(
    ("current", "reference", "words"),
    [
        (ordered(10, 2), ordered(450, 50), "at least 200 rows"),
        (ordered(450, 50), ordered(10, 2), "at least 200 rows"),
        (ordered(450, 50), counts((0.1, 0, 0, 300), (0.9, 1, 0, 300)), "one class only"),
        (
            counts((0.99, 1, None, 300), (0.5, 1, None, 300)),
            ordered(450, 50),
            "outside the range",
        ),
    ],
)
def test_what_cannot_be_estimated_is_not_available(
    current: CountTable, reference: CountTable, words: str
) -> None:
    finding = estimated(waiting(current), reference)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert words in finding.explanation


def test_only_an_interval_beyond_the_limit_fails() -> None:
    reference = counts(
        (0.9, 1, 1, 900), (0.9, 1, 0, 100), (0.5, 1, 1, 500), (0.5, 1, 0, 500), (0.1, 0, 0, 900),
        (0.1, 0, 1, 100),
    )  # fmt: skip
    metrics = [{"id": "precision", "value": 0.7}]
    lower = {"metrics": metrics}
    few = waiting(counts((0.9, 1, None, 70), (0.5, 1, None, 190)))
    assert estimated(few, reference, **lower).outcome is Outcome.PASS
    many = waiting(counts((0.9, 1, None, 700), (0.5, 1, None, 4300)))
    assert estimated(many, reference, **lower).outcome is Outcome.FAIL


# ------------------------------------------------------------------------------------ slices


def test_values_of_the_data_are_not_published() -> None:
    rows = scored(800)
    device = ["canary-7f3a" if i % 4 == 0 else "other-91bc" for i in range(800)]
    turned = [
        1 - y if d.startswith("canary") else y for y, d in zip(rows["bought"], device, strict=True)
    ]
    finding = ran(
        SLICES,
        late({**rows, "bought": turned, "device": device}),
        model={"features": ["device"]},
    )
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "right_predictions_gap", "device, value 1 of 2").value < -0.4
    assert number(finding, "slices_beyond").value == 1
    written = finding.model_dump_json()
    assert "canary" not in written
    assert "91bc" not in written


def test_numbers_are_cut_by_declared_bands() -> None:
    rows = scored(800)
    age = [20 if i % 2 else 70 for i in range(800)]
    turned = [1 - y if a == 70 else y for y, a in zip(rows["bought"], age, strict=True)]
    attribute = {"id": "age-band", "column": "age", "bands": [30, 60]}
    finding = ran(
        SLICES,
        late({**rows, "bought": turned, "age": age}),
        model={"protected_attributes": [attribute]},
    )
    assert number(finding, "right_predictions_gap", "age-band, value 2 of 2").value < -0.4


def test_what_must_not_be_cut_by_is_left_out() -> None:
    columns = [
        {"name": "words", "type": "string", "feature": True, "free_text": True},
        {"name": "mail", "type": "string", "feature": True, "direct_identifier": True},
        {"name": "health", "type": "string", "feature": True, "art9": "health"},
        {"name": "amount", "type": "number", "feature": True},
    ]
    attribute = {"id": "health-a", "column": "health", "art9": "health"}
    given = inputs(SLICES, columns=columns, protected_attributes=[attribute])
    assert not list(SLICES().observe(given))
    assert one(SLICES, given).outcome is Outcome.NOT_AVAILABLE


def sliced(*rows: tuple[str | None, Any, Any, int]) -> Finding:
    columns = [{"name": "device", "type": "string", "feature": True}]
    table = CountTable(("slice", "prediction", "label"), {row[:3]: row[3] for row in rows})
    return one(SLICES, inputs(SLICES, columns=columns), slices=table)


def test_small_slices_and_missing_values_are_not_compared() -> None:
    finding = sliced(("0:a", 1, 1, 400), ("0:b", 1, 1, 390), ("0:c", 1, 0, 20), (None, 1, 0, 300))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "slices_compared").value == 2
    assert number(finding, "slices_too_small").value == 1
    assert number(finding, "right_predictions_gap", "device, value 1 of 3").n is None


def test_one_large_slice_alone_is_not_available() -> None:
    assert sliced(("0:a", 1, 1, 400), ("0:b", 1, 1, 9)).outcome is Outcome.NOT_AVAILABLE


def test_slices_wait_for_their_outcomes() -> None:
    finding = sliced(("0:a", 1, None, 400), ("0:b", 1, None, 400), ("0:b", 1, 1, 100))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "arrived" in finding.explanation


# ----------------------------------------------------------------------------------- ranking

RANKED = {"kind": "ranking", "metrics": [{"id": "ndcg", "value": 0.9}]}


def lists(n: int, places: list[int | None]) -> dict[str, list[Any]]:
    """Lists of four; the relevant row stands at the given places in turn, None is unknown."""
    at = [places[i % len(places)] for i in range(n)]
    return {
        "list": [f"s{i}" for i in range(n) for _ in range(4)],
        "place": [place for _ in range(n) for place in (1, 2, 3, 4)],
        "clicked": [None if one is None else int(p == one) for one in at for p in (1, 2, 3, 4)],
    }


def ranked(rows: dict[str, list[Any]], **more: Any) -> Finding:
    tables = late(rows, label="clicked", fields={"query": "list", "rank": "place"})
    return ran(RANKING, tables, model=RANKED, **more)


def test_lists_without_outcomes_do_not_count() -> None:
    finding = ranked(lists(240, [1, None]))
    assert finding.outcome is Outcome.PASS
    assert number(finding, "lists_judged").value == 120
    assert number(finding, "ndcg").value == 1


def test_a_list_whose_relevant_row_stands_second() -> None:
    finding = ranked(lists(150, [2]), params={"k": 3})
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "ndcg").value == pytest.approx(0.6309, abs=1e-4)
    assert number(finding, "precision_at_k").value == pytest.approx(1 / 3)


def test_beyond_k_nothing_counts() -> None:
    assert number(ranked(lists(150, [4]), params={"k": 3}), "ndcg").value == 0


def test_places_count_from_one() -> None:
    rows = lists(150, [1])
    rows["place"] = [place - 1 for place in rows["place"]]
    assert ranked(rows).outcome is Outcome.NOT_AVAILABLE


# ------------------------------------------------------------------------------------ uplift


def arms(treated: tuple[int, int], held: tuple[int, int], **more: Any) -> Finding:
    """Rows and hits of both arms at the score 0.1."""
    rows = {
        (0.1, "mail", 1): treated[1],
        (0.1, "mail", 0): treated[0] - treated[1],
        (0.1, "holdout", 1): held[1],
        (0.1, "holdout", 0): held[0] - held[1],
    }
    table = CountTable(
        ("score", "arm", "label"), rows, {"total": {k: k[0] * n for k, n in rows.items()}}
    )
    fields = {"score": "p", "key": "row", "arm": "arm"}
    return one(UPLIFT, inputs(UPLIFT, fields=fields, kind="uplift", **more), arms=table)


@pytest.mark.parametrize(
    ("treated", "held", "outcome"),
    [
        ((2000, 400), (500, 55), Outcome.PASS),
        ((2000, 220), (500, 55), Outcome.FAIL),  # no effect where 0.1 was predicted
        ((150, 20), (150, 18), Outcome.PASS),  # the interval reaches what was predicted
        ((2000, 400), (50, 5), Outcome.NOT_AVAILABLE),
    ],
)
def test_the_effect_is_held_against_the_prediction(
    treated: tuple[int, int], held: tuple[int, int], outcome: Outcome
) -> None:
    assert arms(treated, held).outcome is outcome


def test_an_effect_below_the_demanded_one_fails() -> None:
    params = {"min_uplift": 0.2, "max_shortfall": 0.5}
    finding = arms((2000, 400), (500, 55), params=params)
    assert finding.outcome is Outcome.FAIL
    assert number(finding, "uplift").value == pytest.approx(0.09)
    assert number(finding, "uplift_predicted").value == pytest.approx(0.1)


def test_the_organisation_names_its_hold_out() -> None:
    finding = arms((2000, 400), (500, 55), params={"holdout_arms": "control"})
    assert finding.outcome is Outcome.NOT_AVAILABLE


def test_only_selected_rows_are_compared() -> None:
    """Those who were not selected are contacted in no arm and would hide the effect."""
    n = 1200
    arm = ["holdout" if i % 3 == 0 else "mail" for i in range(n)]
    offer = [int(i < 600) for i in range(n)]
    rate = [0.2 + 0.3 * (a == "mail") * o for a, o in zip(arm, offer, strict=True)]
    rows = {"p": [0.3] * n, "arm": arm, "offer": offer, "bought": happened(rate)}
    finding = ran(UPLIFT, late(rows, fields={"arm": "arm"}), model={"kind": "uplift"})
    assert number(finding, "uplift").value == pytest.approx(0.3, abs=0.05)
    assert finding.outcome is Outcome.PASS
