"""Predictive values, calibration and shares of people by group equal what libraries say."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from fairlearn import metrics as fairlearn_metrics  # noqa: TID253 - the peer under comparison
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics  # noqa: TID253 - the peer under comparison
from sklearn.calibration import calibration_curve  # noqa: TID253 - the peer under comparison

from nachweis.domain.observation import CountTable
from nachweis.engines.fairness import group_shares, predictive_values
from nachweis.engines.fairness_calibration import (
    OUTSIDE,
    calibration_by_group,
    rows_outside,
)
from nachweis.engines.intervals import normal_p_value, ratio_interval

rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 1)),
    min_size=1,
    max_size=80,
)


@given(rows)
@settings(max_examples=20, deadline=None)
def test_predictive_values_are_what_fairlearn_computes_with_scikit_learn_per_group(data):
    counts = CountTable(("group", "label", "prediction"), Counter(data))
    reports = predictive_values(counts, "group", "label", "prediction", 1, 1)
    groups, labels, predictions = zip(*data, strict=True)
    for name, positive in (("positive_predictive_value", 1), ("negative_predictive_value", 0)):
        frame = fairlearn_metrics.MetricFrame(
            metrics=lambda t, p, positive=positive: sklearn_metrics.precision_score(
                t, p, pos_label=positive, zero_division=0
            ),
            y_true=labels,
            y_pred=predictions,
            sensitive_features=list(groups),
        )
        for value in reports[name].groups:
            n = sum(g == value.group and p == positive for g, _, p in data)
            assert value.n == n
            if n:
                assert value.value == pytest.approx(frame.by_group[value.group], abs=1e-12)
            else:
                assert value.value is None


@given(st.integers(1, 50), st.integers(0, 200), st.integers(1, 50), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_the_interval_of_a_ratio_is_scipys(hits_1, more_1, hits_2, more_2):
    n_1, n_2 = hits_1 + more_1, hits_2 + more_2
    found = ratio_interval(hits_1, n_1, hits_2, n_2)
    peer = stats.contingency.relative_risk(hits_1, n_1, hits_2, n_2).confidence_interval(0.95)
    assert found == pytest.approx((peer.low, peer.high), rel=1e-9)


def test_a_ratio_of_nobody_has_no_interval():
    assert ratio_interval(0, 10, 5, 10) is None
    assert ratio_interval(5, 10, 0, 10) is None


@pytest.mark.parametrize("z", [0.0, 0.5, -1.96, 5.0])
def test_the_normal_p_value_is_scipys(z):
    assert normal_p_value(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-12)


def test_shares_of_people_come_from_two_sums():
    counts = CountTable(
        ("group",),
        {("a",): 900, ("b",): 700, (None,): 5},
        {
            "people": {("a",): 300.0, ("b",): 200.0, (None,): 5.0},
            "reached": {("a",): 240.0, ("b",): 100.0, (None,): 0.0},
        },
    )
    report = group_shares(counts, "group", "people", "reached", 100, metric="never")
    assert [(v.group, v.value, v.n) for v in report.compared] == [("a", 0.2, 300), ("b", 0.5, 200)]
    assert report.difference == pytest.approx(0.3)
    assert report.ratio == pytest.approx(0.4)
    assert not report.of("undeclared").compared


# ---------------------------------------------------------------------------------- calibration


def binned(groups, scores, outcomes):
    """The counts that the engine would give for these rows."""
    found: dict[tuple, list[float]] = {}
    for group, score, outcome in zip(groups, scores, outcomes, strict=True):
        inside = 0 <= score <= 1
        position = max(0, math.ceil(score * 10) - 1) if inside else OUTSIDE
        cell = found.setdefault((group, position, outcome), [0, 0.0, 0.0])
        cell[0] += 1
        cell[1] += score
        cell[2] += score * score
    return CountTable(
        ("group", "bin", "label"),
        {key: int(cell[0]) for key, cell in found.items()},
        {
            "score": {key: cell[1] for key, cell in found.items()},
            "score_squared": {key: cell[2] for key, cell in found.items()},
        },
    )


def world(n=4000, shift=0.0, seed=1):
    """Two groups with different scores; outcomes of b happen more often than the score says."""
    rng = np.random.default_rng(seed)
    groups = np.where(rng.random(n) < 0.4, "b", "a")
    scores = np.where(groups == "b", rng.beta(4, 2, n), rng.beta(2, 4, n))
    chance = np.clip(scores + shift * (groups == "b"), 0, 1)
    return groups.tolist(), scores.tolist(), (rng.random(n) < chance).astype(int).tolist()


def test_gap_and_error_of_a_group_equal_scikit_learns_calibration_curve():
    groups, scores, outcomes = world()
    found = {
        one.group: one
        for one in calibration_by_group(
            binned(groups, scores, outcomes), "group", "bin", "label", 1, 50
        )
    }
    for name, one in found.items():
        own = [i for i, group in enumerate(groups) if group == name]
        y, s = np.array(outcomes)[own], np.array(scores)[own]
        true, foreseen = calibration_curve(y, s, n_bins=10)
        edges = np.linspace(0, 1, 11)
        weights = np.bincount(np.searchsorted(edges[1:-1], s), minlength=10)
        weights = weights[weights > 0] / len(s)
        assert one.error == pytest.approx(float((weights * abs(true - foreseen)).sum()), abs=1e-9)
        assert one.gap == pytest.approx(float(np.mean(y - s)), abs=1e-12)
        half = stats.norm.ppf(0.975) * np.std(y - s, ddof=1) / math.sqrt(len(s))
        assert one.gap_interval == pytest.approx((one.gap - half, one.gap + half), abs=1e-9)


def test_groups_with_other_scores_but_the_same_meaning_do_not_differ():
    a, b = calibration_by_group(binned(*world()), "group", "bin", "label", 1, 50)
    assert max(abs(a.against_others.value), abs(b.against_others.value)) < 0.03
    assert min(a.against_others.p_value, b.against_others.p_value) > 0.01


def test_a_score_that_means_less_than_what_happens_is_seen():
    a, b = calibration_by_group(binned(*world(shift=0.15)), "group", "bin", "label", 1, 50)
    assert b.against_others.value == pytest.approx(0.15, abs=0.04)
    assert a.against_others.value == pytest.approx(-b.against_others.value)
    assert b.against_others.p_value < 1e-6
    low, high = b.against_others.interval
    assert low < b.against_others.value < high


def test_the_test_rejects_as_often_as_it_should_where_nothing_differs():
    p_values = [
        calibration_by_group(binned(*world(n=600, seed=seed)), "group", "bin", "label", 1, 50)[
            1
        ].against_others.p_value
        for seed in range(200)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_rows_that_cannot_be_judged_are_left_out():
    groups, scores, outcomes = ["a", "b", None, "a"], [0.5, 0.5, 0.5, 7.0], [1, 0, 1, 1]
    counts = binned(groups, scores, outcomes)
    assert rows_outside(counts, "bin") == 1
    found = calibration_by_group(counts, "group", "bin", "label", 1, 1)
    assert [(one.group, one.n) for one in found] == [("a", 1), ("b", 1)]
    assert all(one.against_others is None for one in found)
    unknown = CountTable(
        ("group", "bin", "label"),
        {("a", None, 1): 5, ("a", 3, None): 5},
        {"score": {}, "score_squared": {}},
    )
    assert calibration_by_group(unknown, "group", "bin", "label", 1, 1) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(0, 1), st.integers(0, 1)),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=40, deadline=None)
def test_calibration_never_crashes_and_stays_within_its_bounds(data):
    for one in calibration_by_group(
        binned(*zip(*data, strict=True)), "group", "bin", "label", 1, 2
    ):
        assert -1 <= one.gap <= 1
        assert 0 <= one.error <= 1 + 1e-12
        for gap in (one.against_others, one.worst_bin):
            assert gap is None or (-2 <= gap.value <= 2 and 0 <= gap.p_value <= 1)
