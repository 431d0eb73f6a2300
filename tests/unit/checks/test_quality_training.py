"""The quality checks of training data: labels, overlap with test data, leakage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.stats.contingency import association

from nachweis import registry
from nachweis.domain.check import Example, ExampleTable
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import ColumnProfile, PastFinding
from nachweis.engines.coincidences import expected_coincidences, most_by_chance
from nachweis.engines.label_shares import label_shift
from nachweis.engines.leakage import auc, best_separation, cramers_v
from nachweis.pipeline.examples import run_example

NOON = dt.datetime(2026, 3, 2, 12)
YESTERDAY = "2026-03-01"


def run(check: str, tables: dict[str, ExampleTable], **more: Any) -> dict[str | None, Finding]:
    example = Example("a case", Outcome.PASS, tables, **more)
    return {f.column: f for f in run_example(registry.check(check), example)}


def numbers(finding: Finding) -> dict[str, Any]:
    return {m.name: m.value for m in finding.measurements}


# --------------------------------------------------------------------------------------- labels


def profile(**counts: int) -> ColumnProfile:
    names = sorted(name for name, n in counts.items() if n)
    sizes = np.array([counts[name] for name in names], dtype=np.int64)
    n = int(sizes.sum())
    return ColumnProfile("categorical", np.array(names, dtype=object), sizes, 0, 0, n)


some = st.lists(st.integers(0, 500), min_size=2, max_size=5)


@settings(max_examples=40)
@given(some, some)
def test_distance_and_test_are_scipys(one: list[int], other: list[int]) -> None:
    size = min(len(one), len(other))
    before, now = one[:size], other[:size]
    assume(sum(before) and sum(now))
    both = [(a, b) for a, b in zip(before, now, strict=True) if a or b]
    assume(len(both) > 1)
    names = [f"c{i}" for i in range(size)]
    shift = label_shift(
        profile(**dict(zip(names, before, strict=True))),
        profile(**dict(zip(names, now, strict=True))),
    )
    p, q = np.array(both, dtype=float).T
    assert shift.distance == pytest.approx(jensenshannon(p, q), abs=1e-9)
    expected = stats.chi2_contingency(np.array(both).T, correction=False).pvalue
    assert shift.p_value == pytest.approx(expected, rel=1e-9)
    assert shift.interval[0] <= shift.difference <= shift.interval[1]
    assert abs(shift.difference) == pytest.approx(np.abs(q / q.sum() - p / p.sum()).max())


def test_the_number_one_and_the_text_one_are_one_class() -> None:
    numeric = ColumnProfile("numeric", np.array([0.0, 1.0]), np.array([30, 70]), 0, 0, 100)
    shift = label_shift(numeric, profile(**{"0": 30, "1": 70}))
    assert (shift.classes, shift.difference, shift.new) == (2, 0.0, 0)


def labels(role: DataSetRole, values: Sequence[Any], **declare: Any) -> ExampleTable:
    rows = {"y": list(values), "at": [NOON] * len(values)}
    return ExampleTable(role, rows, {"fields": {"label": "y"}, "time": {"column": "at"}, **declare})


def training_and_outcomes(before: Sequence[Any], now: Sequence[Any]) -> dict[str, ExampleTable]:
    return {
        "training": labels(DataSetRole.TRAINING, before),
        "outcomes": labels(DataSetRole.OUTCOMES, now),
    }


def differed(*nights: str) -> tuple[PastFinding, ...]:
    return tuple(
        PastFinding(night, "pass", "outcomes.y", None, {"differs": True}) for night in nights
    )


def test_a_rare_class_that_happens_not_to_occur_tonight_is_no_failure() -> None:
    tables = training_and_outcomes([1] * 5 + [0] * 495, [0] * 150)
    for history in ((), differed(YESTERDAY)):
        found = run("label_distribution_plausible", tables, history=history)
        assert found["outcomes.y"].outcome is Outcome.PASS


def test_a_large_change_fails_from_the_second_night_on() -> None:
    tables = training_and_outcomes([1] * 100 + [0] * 300, [1] * 300 + [0] * 100)
    first = run("label_distribution_plausible", tables)["outcomes.y"]
    assert (first.outcome, first.severity.value) == (Outcome.PASS, "info")
    assert numbers(first)["differs"] is True
    second = run("label_distribution_plausible", tables, history=differed(YESTERDAY))
    assert second["outcomes.y"].outcome is Outcome.FAIL


def test_a_change_that_few_rows_cannot_prove_is_no_difference() -> None:
    tables = training_and_outcomes([1] * 50 + [0] * 150, [1] * 38 + [0] * 72)
    found = run("label_distribution_plausible", tables, history=differed(YESTERDAY))
    assert found["outcomes.y"].outcome is Outcome.PASS
    assert numbers(found["outcomes.y"])["differs"] is False


def test_a_second_training_set_that_is_read_whole_fails_at_once() -> None:
    tables = {
        "training": labels(DataSetRole.TRAINING, [1] * 100 + [0] * 300),
        "reference": labels(DataSetRole.REFERENCE, [1] * 300 + [0] * 100),
    }
    found = run("label_distribution_plausible", tables)
    assert found["reference.y"].outcome is Outcome.PASS
    assert found["training.y"].outcome is Outcome.FAIL
    assert "from those of reference." in found["training.y"].explanation


def test_names_of_classes_are_never_told() -> None:
    tables = training_and_outcomes(["zebra9", "b"] * 200, ["zebra9", "quagga7", "b"] * 200)
    for finding in run("label_distribution_plausible", tables).values():
        assert "zebra9" not in finding.model_dump_json()
        assert "quagga7" not in finding.model_dump_json()


@pytest.mark.parametrize("empty", [[], [None] * 300])
def test_no_labels_tonight_is_no_verdict(empty: list[None]) -> None:
    tables = training_and_outcomes([1, 0] * 200, empty)
    tables["outcomes"] = labels(
        DataSetRole.OUTCOMES,
        empty,
        columns=[{"name": "y", "type": "integer"}, {"name": "at", "type": "timestamp"}],
    )
    found = run("label_distribution_plausible", tables)
    assert found["outcomes.y"].outcome is Outcome.NOT_AVAILABLE


# -------------------------------------------------------------------------------------- overlap


def test_agreement_by_chance_is_bounded_from_above() -> None:
    generator = np.random.default_rng(3)
    sizes, beyond = (400, 300), 0
    for _ in range(200):
        one, other = (generator.integers(0, 40_000, n) for n in sizes)
        distinct = (len(set(one)), len(set(other)))
        across = sum((one[:, None] == other[None, :]).sum(axis=0) > 0)
        beyond += across > most_by_chance(expected_coincidences(sizes, distinct))
    assert beyond == 0


def test_nothing_can_be_said_without_pairs() -> None:
    assert expected_coincidences((1, 1), (1, 1)) == float("inf")


@given(st.floats(0.1, 200))
@settings(max_examples=25)
def test_the_limit_is_poissons(expected: float) -> None:
    limit = most_by_chance(expected)
    assert stats.poisson.sf(limit, expected) <= 1e-4
    assert limit == 0 or stats.poisson.sf(limit - 1, expected) > 1e-4


NAMES = ("a", "b", "c")


def rows(n: int, seed: int, kinds: int | None = None) -> list[tuple[float, ...]]:
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, kinds, (n, 3)) if kinds else generator.normal(0, 1, (n, 3))
    return [tuple(float(v) for v in row) for row in drawn]


def sets(training: list[Any], tested: list[Any]) -> dict[str, ExampleTable]:
    def one(role: DataSetRole, values: list[Any]) -> ExampleTable:
        columns = {name: [row[i] for row in values] for i, name in enumerate(NAMES)}
        declare = [{"name": name, "type": "number", "feature": True} for name in NAMES]
        return ExampleTable(role, columns, {"columns": declare})

    return {
        "training": one(DataSetRole.TRAINING, training),
        "evaluation": one(DataSetRole.EVALUATION, tested),
    }


def overlap(training: list[Any], tested: list[Any]) -> Finding:
    return run("train_test_overlap_absent", sets(training, tested))[None]


@pytest.mark.parametrize("seed", range(8))
def test_inputs_that_agree_by_chance_are_no_overlap(seed: int) -> None:
    found = overlap(rows(400, seed, kinds=60), rows(300, seed + 100, kinds=60))
    assert found.outcome is Outcome.PASS


def test_copied_rows_are_found_and_counted() -> None:
    known = rows(400, 1)
    found = overlap(known, [*known[:30], *rows(270, 2)])
    assert found.outcome is Outcome.FAIL
    assert numbers(found)["overlap_rows"] == 30


def test_training_rows_that_are_there_twice_are_no_overlap() -> None:
    known = rows(200, 1)
    found = overlap(known + known, rows(200, 2))
    assert found.outcome is Outcome.NOT_AVAILABLE  # rows no longer tell themselves apart


def test_coarse_inputs_give_no_verdict() -> None:
    found = overlap(rows(400, 1, kinds=3), rows(300, 2, kinds=3))
    assert found.outcome is Outcome.NOT_AVAILABLE
    assert "do not tell rows apart" in found.explanation


def test_empty_test_data_give_no_verdict() -> None:
    assert overlap(rows(50, 1), []).outcome is Outcome.NOT_AVAILABLE


def keyed(column: str, training: list[Any], tested: list[Any], other: str = "") -> Any:
    def one(role: DataSetRole, name: str, values: list[Any]) -> ExampleTable:
        return ExampleTable(role, {name: values}, {"fields": {"key": name}})

    return {
        "training": one(DataSetRole.TRAINING, column, training),
        "reference": one(DataSetRole.REFERENCE, other or column, tested),
    }


def test_keys_of_other_columns_are_not_compared() -> None:
    tables = keyed("case", ["1", "2"], ["1", "2"], other="scoring")
    assert run("train_test_overlap_absent", tables)[None].outcome is Outcome.NOT_AVAILABLE


def test_rows_without_a_key_are_no_overlap() -> None:
    tables = keyed("case", ["a", None], [None, "b"])
    assert run("train_test_overlap_absent", tables)[None].outcome is Outcome.PASS
    nothing = keyed("case", ["a"], ["b", None])
    assert numbers(run("train_test_overlap_absent", nothing)[None])["overlap_share"] == 0


# -------------------------------------------------------------------------------------- leakage


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=60))
def test_auc_is_that_of_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import roc_auc_score

    scores = np.array([float(score) for score, _ in pairs])
    positive = np.array([flag for _, flag in pairs])
    assume(0 < positive.sum() < len(positive))
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-9)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=80))
def test_cramers_v_is_scipys(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(side) for side in zip(*pairs, strict=True))
    assume(len(set(one)) > 1 and len(set(other)) > 1)
    counts = stats.contingency.crosstab(one, other).count
    assert cramers_v(one, other) == pytest.approx(association(counts, method="cramer"), abs=1e-9)


def halves(n: int) -> np.ndarray[Any, Any]:
    return np.arange(n) * 7919 % n < n // 2


def test_a_column_of_unique_values_tells_nothing() -> None:
    y = halves(1000).astype(int)
    ids = np.array([f"id{i}" for i in range(1000)], dtype=object)
    found = best_separation(ids, y, 200)
    assert found is not None
    assert found.auc == 0.5


def test_noise_stays_far_from_the_limit() -> None:
    generator = np.random.default_rng(4)
    y = halves(400).astype(int)
    for _ in range(40):
        for values in (generator.normal(0, 1, 400), generator.integers(0, 9, 400)):
            found = best_separation(values, y, 100)
            assert found is not None
            assert found.auc < 0.7


@pytest.mark.parametrize("how", ["order", "values", "missing"])
def test_each_way_to_hold_the_answer_is_seen(how: str) -> None:
    generator = np.random.default_rng(6)
    y = halves(600)
    noise = generator.normal(0, 1, 600)
    columns: dict[str, Any] = {
        "order": noise + 9 * y,
        # Neither rising nor falling with the label: only the values tell.
        "values": np.where(y, generator.choice([1, 3, 5], 600), generator.choice([0, 2, 4], 600)),
        "missing": np.where(y, np.nan, noise),
    }
    found = best_separation(columns[how], y.astype(int), 200)
    assert found is not None
    assert found.auc > 0.99
    assert found.how == how


def test_one_of_many_classes_is_enough() -> None:
    y = np.arange(900) % 3
    found = best_separation(np.where(y == 2, 1.0, 0.0), np.array(["a", "b", "c"])[y], 200)
    assert found is not None
    assert (found.auc, found.smaller) == (1.0, 300)


def test_small_classes_give_no_verdict() -> None:
    y = np.array([1] * 50 + [0] * 5000)
    assert best_separation(y.astype(float), y, 200) is None


def leaky(late: int = 0, **columns: list[Any]) -> dict[str, ExampleTable]:
    n = len(next(iter(columns.values())))
    rows = {
        "key": [f"k{i}" for i in range(n)],
        **columns,
        "at": [NOON] * n,
        "seen_at": [NOON + dt.timedelta(hours=1 if i < late else 0) for i in range(n)],
    }
    features = [name for name in columns if name != "y"]
    declare: dict[str, Any] = {
        "columns": [
            {"name": "key"},
            *({"name": f, "feature": True, "known_at": "seen_at"} for f in features),
            {"name": "y"},
            {"name": "at"},
            {"name": "seen_at"},
        ],
        "fields": {"key": "key", "label": "y"},
        "time": {"column": "at"},
    }
    return {"training": ExampleTable(DataSetRole.TRAINING, rows, declare)}


def leakage(**given_: Any) -> Finding:
    return run("target_leakage_absent", leaky(**given_))["training"]


Y = [int(flag) for flag in halves(500)]


def test_a_near_copy_is_found_and_a_good_input_is_not() -> None:
    generator = np.random.default_rng(8)
    y = np.array(Y)
    flipped = np.where(generator.random(500) < 0.002, 1 - y, y)
    good = (y + generator.normal(0, 0.6, 500)).round(4)  # AUC about 0.88
    assert leakage(x=[int(v) for v in flipped], y=Y).outcome is Outcome.FAIL
    found = leakage(x=[float(v) for v in good], y=Y)
    assert found.outcome is Outcome.PASS
    assert 0.8 < numbers(found)["auc"] < 0.95


def test_a_value_known_at_the_rows_own_time_is_in_order() -> None:
    noise = [float(v) for v in np.random.default_rng(9).normal(0, 1, 500)]
    assert leakage(x=noise, y=Y).outcome is Outcome.PASS
    late = leakage(x=noise, y=Y, late=1)
    assert late.outcome is Outcome.FAIL
    assert numbers(late)["rows_known_late"] == 1


@pytest.mark.parametrize("values", [[None] * 500, [1.0] * 500, [float("nan")] * 500])
def test_a_column_without_variety_is_in_order(values: list[Any]) -> None:
    tables = leaky(x=values, y=Y)
    columns = tables["training"].declare["columns"]
    for column in columns:
        if column["name"] == "x":
            column["type"] = "number"
    found = run("target_leakage_absent", tables)["training"]
    assert found.outcome is Outcome.PASS
    assert numbers(found)["auc"] == 0.5


def test_values_of_the_data_are_never_told() -> None:
    copied = [("zebra9", "quagga7")[flag] for flag in Y]
    finding = leakage(x=copied, y=Y)
    assert finding.outcome is Outcome.FAIL
    assert "x" in finding.explanation
    assert "zebra9" not in finding.model_dump_json()
