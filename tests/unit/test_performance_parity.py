"""Metrics from counts are the values scikit-learn gives on the rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics  # noqa: TID253 - the peer under comparison
from sklearn.calibration import calibration_curve  # noqa: TID253 - the peer under comparison
from sklearn.isotonic import IsotonicRegression  # noqa: TID253 - the peer under comparison

from nachweis.engines.performance import (
    Cells,
    ErrorSums,
    ScoreCounts,
    brier_score,
    classification,
    multiclass,
    regression,
    roc_auc,
    tied_share,
)
from nachweis.engines.performance_calibration import (
    expected_calibration_error,
    isotonic,
    mean_gap,
)
from nachweis.engines.performance_ranking import discounts, ndcg

EXACT = 1e-9

rows = st.lists(
    st.tuples(st.integers(0, 20), st.booleans(), st.integers(1, 5)), min_size=2, max_size=25
)


def counts_of(items: list[tuple[int, bool, int]]) -> ScoreCounts:
    table: dict[float, list[float]] = {}
    for score, positive, n in items:
        table.setdefault(score / 20, [0, 0])[0 if positive else 1] += n
    order = sorted(table)
    both = np.array([table[key] for key in order], dtype=float)
    return ScoreCounts(np.array(order), both[:, 0], both[:, 1])


def expanded(items: list[tuple[int, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    score, label, weight = (np.array(part) for part in zip(*items, strict=True))
    return label.astype(int), score / 20, weight


@settings(max_examples=60, deadline=None)
@given(rows)
def test_area_and_brier_score(items: list[tuple[int, bool, int]]) -> None:
    label, score, weight = expanded(items)
    counts = counts_of(items)
    brier = metrics.brier_score_loss(label, score, sample_weight=weight, pos_label=1)
    assert brier_score(counts).value == pytest.approx(brier, abs=EXACT)
    found = roc_auc(counts)
    if len(set(label)) == 1:
        assert found.value is None
        assert found.reason
    else:
        wanted = metrics.roc_auc_score(label, score, sample_weight=weight)
        assert found.value == pytest.approx(wanted, abs=EXACT)
        assert found.interval is not None
        assert found.interval[0] <= found.value <= found.interval[1]


def test_the_area_has_delongs_variance() -> None:
    """The variance of DeLong 1988, computed from all pairs of rows."""
    rng = np.random.default_rng(4)
    positive, negative = rng.normal(1, 1, 40).round(1), rng.normal(0, 1, 60).round(1)
    kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = kernel.mean(axis=1).var(ddof=1) / 40 + kernel.mean(axis=0).var(ddof=1) / 60
    support = np.unique(np.concatenate([positive, negative]))
    found = roc_auc(
        ScoreCounts(
            support,
            np.array([(positive == one).sum() for one in support], dtype=float),
            np.array([(negative == one).sum() for one in support], dtype=float),
        )
    )
    assert found.value == pytest.approx(kernel.mean(), abs=EXACT)
    assert found.interval is not None
    half = 1.959963984540054 * np.sqrt(variance)
    assert found.interval[1] - found.value == pytest.approx(half, abs=EXACT)


def test_a_perfect_order_is_not_known_for_certain() -> None:
    counts = ScoreCounts(np.array([0.1, 0.9]), np.array([0.0, 30.0]), np.array([30.0, 0.0]))
    found = roc_auc(counts)
    assert found.value == 1
    assert found.interval is not None
    assert found.interval[0] < 0.95


def test_scores_counted_together_bound_the_error_of_the_area() -> None:
    rng = np.random.default_rng(1)
    score = rng.random(2000)
    label = (rng.random(2000) < score).astype(int)
    coarse = score.round(1)
    support = np.unique(coarse)
    counts = ScoreCounts(
        support,
        np.array([label[coarse == one].sum() for one in support], dtype=float),
        np.array([(1 - label[coarse == one]).sum() for one in support], dtype=float),
    )
    found = roc_auc(counts)
    assert found.value is not None
    off = abs(found.value - metrics.roc_auc_score(label, score))
    assert 0 < off <= tied_share(counts) / 2


@settings(max_examples=60, deadline=None)
@given(*(st.integers(0, 30) for _ in range(4)))
def test_two_classes(tp: int, fp: int, fn: int, tn: int) -> None:
    found = classification(Cells(tp, fp, fn, tn))
    label = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    predicted = np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    for name, function in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        value = found[name].value
        if value is not None:
            assert value == pytest.approx(function(label, predicted), abs=EXACT)
            interval = found[name].interval
            assert interval is not None
            assert interval[0] - EXACT <= value <= interval[1] + EXACT
    assert (found["precision"].value is None) == (tp + fp == 0)
    assert (found["recall"].value is None) == (tp + fn == 0)
    if len(label):
        assert found["accuracy"].value == pytest.approx(
            metrics.accuracy_score(label, predicted), abs=EXACT
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abc")), min_size=1))
def test_several_classes(pairs: list[tuple[str, str]]) -> None:
    found = multiclass(Counter(pairs))
    label, predicted = zip(*pairs, strict=True)
    assert found["accuracy"].value == pytest.approx(
        metrics.accuracy_score(label, predicted), abs=EXACT
    )
    wanted = metrics.f1_score(label, predicted, average="macro", zero_division=0)
    assert found["macro_f1"].value == pytest.approx(wanted, abs=EXACT)


def test_the_interval_of_macro_f1_has_the_width_that_resamples_have() -> None:
    rng = np.random.default_rng(7)
    shares = np.array([[0.3, 0.05, 0.02], [0.06, 0.25, 0.04], [0.03, 0.05, 0.2]])
    n = 1500
    values = []
    for _ in range(300):
        drawn = rng.multinomial(n, shares.ravel()).reshape(3, 3)
        values.append(multiclass({(i, j): int(drawn[i, j]) for i in range(3) for j in range(3)}))
    spread = np.std([one["macro_f1"].value for one in values])
    interval = values[0]["macro_f1"].interval
    assert interval is not None
    assert (interval[1] - interval[0]) / 2 / 1.96 == pytest.approx(spread, rel=0.2)


def test_errors_of_a_regression() -> None:
    rng = np.random.default_rng(2)
    y, p = rng.normal(50, 10, 300), rng.normal(51, 11, 300)
    e = p - y
    found = regression(ErrorSums(300, e.sum(), np.abs(e).sum(), (e**2).sum(), (e**4).sum()))
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(y, p), abs=EXACT)
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y, p), abs=EXACT)
    assert found["bias"].value == pytest.approx(e.mean(), abs=EXACT)


def test_errors_that_overflow_are_undefined() -> None:
    found = regression(ErrorSums(10, 1.0, 1.0, float("inf"), float("inf")))
    assert {metric.value for metric in found.values()} == {None}


@settings(max_examples=40, deadline=None)
@given(rows)
def test_calibration_error(items: list[tuple[int, bool, int]]) -> None:
    repeated = [(s, y, 1) for s, y, n in items for _ in range(n)]
    label, score, _ = expanded(repeated)
    counts = counts_of(items)
    found = expected_calibration_error(counts)
    # scikit-learn's bins are closed on the right; scores on an edge are moved off it.
    shifted = np.minimum(score + 1e-9, 1)
    happened, mean = calibration_curve(label, shifted, n_bins=10)
    sizes = np.bincount(np.minimum((score * 10).astype(int), 9), minlength=10)
    sizes = sizes[sizes > 0] / len(score)
    assert found.value == pytest.approx(float((sizes * np.abs(happened - mean)).sum()), abs=1e-7)
    gap = mean_gap(counts)
    assert gap.value == pytest.approx(score.mean() - label.mean(), abs=EXACT)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_the_isotonic_curve(items: list[tuple[int, bool, int]]) -> None:
    label, score, weight = expanded(items)
    theirs = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
    theirs.fit(score, label, sample_weight=weight)
    asked = np.linspace(-0.2, 1.2, 57)
    ours = isotonic(counts_of(items)).probabilities(asked)
    assert ours == pytest.approx(theirs.predict(asked), abs=EXACT)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=15), st.integers(1, 12))
def test_ndcg(relevance: list[int], k: int) -> None:
    found = ndcg(relevance, k)
    if not any(relevance):
        assert found is None
    else:
        order = [-float(place) for place in range(len(relevance))]
        assert found == pytest.approx(metrics.ndcg_score([relevance], [order], k=k), abs=EXACT)


def test_the_discount_starts_with_one() -> None:
    assert discounts(2) == [1.0, 1 / np.log2(3)]
