"""Estimation without outcomes, uplift and slices: against direct definitions and simulations."""

from __future__ import annotations

from typing import Any

import ibis  # noqa: TID253 - keys are tried in the engine itself
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics  # noqa: TID253 - the peer under comparison

from nachweis.engines.counts import _in_stages
from nachweis.engines.performance import ScoreCounts
from nachweis.engines.performance_calibration import isotonic, quantile_for
from nachweis.engines.performance_estimation import Scored, estimate, expected_accuracy
from nachweis.engines.performance_keys import score_key, slice_key
from nachweis.engines.performance_ranking import list_keys, ndcg
from nachweis.engines.performance_slices import slice_gaps
from nachweis.engines.performance_uplift import (
    ArmCounts,
    mean_score,
    qini_coefficient,
    uplift,
    uplift_by_part,
)


def folded(score: np.ndarray, positive: np.ndarray) -> ScoreCounts:
    support, place = np.unique(score, return_inverse=True)
    hits = np.bincount(place, positive, len(support))
    return ScoreCounts(support, hits, np.bincount(place, minlength=len(support)) - hits)


def scored(score: np.ndarray, chosen: np.ndarray) -> Scored:
    counts = folded(score, chosen)
    return Scored(counts.score, counts.positives, counts.negatives)


# --------------------------------------------------------------------------- estimation


def drawn(rng: np.random.Generator, n: int, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and outcomes that happen with the square of the score: calibration is needed."""
    score = rng.beta(a, b, n).round(3)
    return score, (rng.random(n) < score**2).astype(float)


def test_the_estimate_equals_the_expected_confusion_matrix_row_by_row() -> None:
    rng = np.random.default_rng(3)
    reference, label = drawn(rng, 3000, 2, 2)
    current, _ = drawn(rng, 2000, 3, 2)
    curve = isotonic(folded(reference, label))
    chosen = current >= 0.6
    p = curve.probabilities(current)
    found = {name: one.value for name, one in estimate(scored(current, chosen), curve).items()}
    tp, fp = p[chosen].sum(), (1 - p[chosen]).sum()
    fn, tn = p[~chosen].sum(), (1 - p[~chosen]).sum()
    assert found["accuracy"] == pytest.approx((tp + tn) / 2000, abs=1e-9)
    assert found["precision"] == pytest.approx(tp / (tp + fp), abs=1e-9)
    assert found["recall"] == pytest.approx(tp / (tp + fn), abs=1e-9)
    assert found["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-9)
    wanted = metrics.roc_auc_score(
        np.repeat([1, 0], 2000), np.tile(current, 2), sample_weight=np.concatenate([p, 1 - p])
    )
    assert found["roc_auc"] == pytest.approx(wanted, abs=1e-9)


def realised(score: np.ndarray, label: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float((label == chosen).mean()),
        "precision": float(label[chosen].mean()),
        "recall": float(chosen[label == 1].mean()),
        "f1": float(metrics.f1_score(label, chosen)),
        "roc_auc": float(metrics.roc_auc_score(label, score)),
    }


def test_what_is_realised_lies_in_the_estimated_interval() -> None:
    """Inputs shift and outcomes keep their relation to the score: nine in ten at the very least."""
    rng = np.random.default_rng(11)
    inside: dict[str, int] = {}
    runs = 60
    for _ in range(runs):
        curve = isotonic(folded(*drawn(rng, 2500, 2, 2)))
        score, label = drawn(rng, 1500, 2.6, 2)
        chosen = score >= 0.6
        truth = realised(score, label, chosen)
        for name, one in estimate(scored(score, chosen), curve).items():
            assert one.interval is not None
            low, high = one.interval
            inside[name] = inside.get(name, 0) + (low <= truth[name] <= high)
    assert min(inside.values()) >= 0.9 * runs, inside


def test_the_estimate_is_near_what_is_realised() -> None:
    rng = np.random.default_rng(12)
    curve = isotonic(folded(*drawn(rng, 40_000, 2, 2)))
    score, label = drawn(rng, 40_000, 2.6, 2)
    chosen = score >= 0.6
    truth = realised(score, label, chosen)
    for name, one in estimate(scored(score, chosen), curve).items():
        assert one.value == pytest.approx(truth[name], abs=0.02), name


def test_a_denominator_of_zero_is_undefined() -> None:
    curve = isotonic(ScoreCounts(np.array([0.1, 0.9]), np.array([0.0, 9.0]), np.array([9.0, 0.0])))
    found = estimate(Scored(np.array([0.05]), np.array([0.0]), np.array([50.0])), curve)
    assert found["precision"].value is None
    assert found["recall"].value is None
    assert found["roc_auc"].value is None
    assert found["accuracy"].value == 1


def test_a_certain_block_of_the_reference_still_has_a_variance() -> None:
    curve = isotonic(ScoreCounts(np.array([0.1, 0.9]), np.array([0.0, 9.0]), np.array([9.0, 0.0])))
    found = estimate(Scored(np.array([0.05]), np.array([0.0]), np.array([50.0])), curve)
    assert found["accuracy"].interval is not None
    assert found["accuracy"].interval[0] < 0.95


def test_scores_beyond_the_reference_are_counted() -> None:
    curve = isotonic(ScoreCounts(np.array([0.2, 0.8]), np.array([1.0, 9.0]), np.array([9.0, 1.0])))
    rows = np.array([10.0, 20.0, 70.0])
    assert curve.outside(np.array([0.1, 0.2, 0.5]), rows) == pytest.approx(0.1)


def test_accuracy_from_confidence() -> None:
    curve = isotonic(
        ScoreCounts(np.array([0.5, 0.9]), np.array([50.0, 90.0]), np.array([50.0, 10.0]))
    )
    found = expected_accuracy(np.array([0.5, 0.9]), np.array([100.0, 300.0]), curve)
    assert found.value == pytest.approx(0.8)


# ------------------------------------------------------------------------------- uplift


def direct_qini(score: np.ndarray, treated: np.ndarray, hit: np.ndarray) -> float:
    """Area between the Qini curve and the straight line, point by point of distinct scores."""
    x, y = [0.0], [0.0]
    for limit in sorted(set(score), reverse=True):
        top = score >= limit
        n, held = (top & treated).sum(), (top & ~treated).sum()
        gained = hit[top & treated].sum()
        if held:
            gained = gained - hit[top & ~treated].sum() * n / held
        x.append(n / treated.sum())
        y.append(gained / treated.sum())
    return float(np.trapezoid(y, x) - y[-1] / 2)


def arms(score: np.ndarray, treated: np.ndarray, hit: np.ndarray) -> ArmCounts:
    support, place = np.unique(score, return_inverse=True)

    def count(rows: np.ndarray) -> np.ndarray:
        return np.bincount(place[rows], minlength=len(support)).astype(float)

    one = hit == 1
    return ArmCounts(
        support, count(treated), count(treated & one), count(~treated), count(~treated & one)
    )


def campaign(n: int, effect: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.random(n).round(2)
    treated = rng.random(n) < 0.6
    hit = (rng.random(n) < 0.2 + effect * score * treated).astype(int)
    return score, treated, hit


@pytest.mark.parametrize("seed", range(4))
def test_the_qini_coefficient_equals_its_definition(seed: int) -> None:
    rows = campaign(400, 0.3, seed)
    found = qini_coefficient(arms(*rows))
    assert found.value == pytest.approx(direct_qini(*rows), abs=1e-9)


def test_an_order_that_finds_the_moved_has_a_positive_coefficient() -> None:
    score, treated, hit = campaign(6000, 0.5, 1)
    found = qini_coefficient(arms(score, treated, hit))
    assert found.interval is not None
    assert found.interval[0] > 0
    turned = qini_coefficient(arms((1 - score).round(2), treated, hit))
    assert turned.interval is not None
    assert turned.interval[1] < 0


def test_uplift_and_its_tenths() -> None:
    score, treated, hit = campaign(6000, 0.5, 2)
    counts = arms(score, treated, hit)
    found = uplift(counts)
    assert found.value == pytest.approx(hit[treated].mean() - hit[~treated].mean())
    parts = uplift_by_part(counts)
    assert [number for number, _ in parts] == list(range(1, 11))
    assert sum(one.n for _, one in parts) == 6000
    assert (parts[0][1].value or 0) > (parts[-1][1].value or 0)
    assert mean_score(counts) == pytest.approx(score[treated].mean())


def test_without_a_hold_out_nothing_is_defined() -> None:
    score, _, hit = campaign(100, 0.5, 3)
    counts = arms(score, np.ones(100, dtype=bool), hit)
    assert uplift(counts).value is None
    assert qini_coefficient(counts).value is None


# ------------------------------------------------------------------------------- slices


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=2, max_size=5))
def test_a_slice_is_compared_with_all_others(parts: list[tuple[int, int]]) -> None:
    cells = {f"v{i}": (right, right + wrong) for i, (right, wrong) in enumerate(parts)}
    gaps, small = slice_gaps([cells], 50)
    assert len(gaps) + small == len(cells)
    for gap in gaps:
        right, rows = cells[f"v{gap.ordinal - 1}"]
        others = sum(one[0] for one in cells.values()) - right
        rest = sum(one[1] for one in cells.values()) - rows
        assert gap.gap == pytest.approx(right / rows - others / rest)
        assert gap.interval[0] <= gap.gap <= gap.interval[1]
    assert [gap.gap for gap in gaps] == sorted(gap.gap for gap in gaps)


def test_more_slices_need_stronger_evidence() -> None:
    assert quantile_for(1) == pytest.approx(1.959963984540054)
    two = {"a": (60, 100), "b": (90, 100)}
    few, _ = slice_gaps([two], 50)
    many, _ = slice_gaps([two] * 10, 50)
    assert many[0].interval[1] > few[0].interval[1]


# --------------------------------------------------------------------- keys of the engine


@pytest.fixture(scope="module")
def backend() -> Any:
    return ibis.duckdb.connect()


def grouped(backend: Any, keys: dict[str, Any], table: Any) -> list[tuple[Any, ...]]:
    named = [expression(table).name(f"key_{name}") for name, expression in keys.items()]
    assert all(_in_stages(key) for key in named) or len(named) == 1
    staged = table.mutate(*named)
    query = staged.aggregate(by=[f"key_{name}" for name in keys], n=staged.count())
    return backend.raw_sql(backend.compile(query)).fetchall()


def test_scores_are_rounded_to_three_digits_and_odd_ones_are_no_key(backend: Any) -> None:
    odd = "'nan'::DOUBLE, 'inf'::DOUBLE, '-inf'::DOUBLE, NULL"
    table = backend.sql(f"SELECT unnest([0.123456, 0.0123449, -7.777, 0, 1e-300, 1, {odd}]) AS s")
    keys = score_key("s")(table)
    found = backend.raw_sql(backend.compile(table.select(k=keys))).fetchall()
    assert [key for (key,) in found] == pytest.approx(
        [0.123, 0.0123, -7.78, 0, 0, 1, None, None, None, None], nan_ok=True
    )


def test_rows_are_counted_once_per_column(backend: Any) -> None:
    table = backend.sql("SELECT unnest(['x', 'y', NULL]) AS a, unnest([20, 40, 60]) AS b")
    found = dict(grouped(backend, {"s": slice_key((("a", ()), ("b", (30.0, 50.0))))}, table))
    assert found == {"0:x": 1, "0:y": 1, None: 1, "1:0": 1, "1:1": 1, "1:2": 1}


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=7), min_size=1, max_size=6),
    st.integers(1, 6),
)
def test_lists_are_counted_by_their_ndcg(backend: Any, lists: list[list[int]], k: int) -> None:
    rows = [(q, r, grade) for q, one in enumerate(lists) for r, grade in enumerate(one, start=1)]
    values = ", ".join(f"('q{q}', {r}, {grade})" for q, r, grade in rows)
    table = backend.sql(f"SELECT * FROM (VALUES {values}) t(q, r, y)")
    found = grouped(backend, dict(list_keys("q", "r", "y", k)), table)
    counted = {
        (value, hits): n for first, state, value, hits, n in found if first and state == "known"
    }
    wanted: dict[Any, int] = {}
    for one in lists:
        value = ndcg(one, k)
        key = (None if value is None else round(value, 4), sum(grade > 0 for grade in one[:k]))
        wanted[key] = wanted.get(key, 0) + 1
    assert sum(counted.values()) == len(lists)
    assert sorted(counted, key=str) == [
        (value if value is None else pytest.approx(value, abs=1.1e-4), hits)
        for value, hits in sorted(wanted, key=str)
    ]
