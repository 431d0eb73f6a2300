"""Reweighing and thresholds per group: their definitions, and Fairlearn's ThresholdOptimizer."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer  # noqa: TID253 - the peer under comparison
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: TID253 - for the peer

from nachweis.engines.correction import (
    accuracy,
    affected,
    counts_of,
    decided,
    design_matrix,
    equal_rate_thresholds,
    refit,
    reweighing_weights,
    row_weights,
)
from nachweis.engines.fairness import selection_rates

people = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=60)


def test_the_published_example_of_reweighing():
    # Kamiran and Calders 2012: of five men four were accepted, of five women two.
    groups = np.array([0] * 5 + [1] * 5)
    labels = np.array([True, True, False, False, False, True, True, True, True, False])
    weights = reweighing_weights(groups, labels)
    assert weights == pytest.approx(
        {(0, True): 1.5, (0, False): 2 / 3, (1, True): 0.75, (1, False): 2.0}
    )


@given(people)
@settings(max_examples=50, deadline=None)
def test_a_weight_is_what_the_formula_says(data):
    groups, labels = (np.array(part) for part in zip(*data, strict=True))
    n = len(data)
    for (group, label), weight in reweighing_weights(groups, labels).items():
        of_group = Fraction(sum(g == group for g, _ in data), n)
        of_label = Fraction(sum(y == label for _, y in data), n)
        of_both = Fraction(sum((g, y) == (group, label) for g, y in data), n)
        assert weight == pytest.approx(float(of_group * of_label / of_both), rel=1e-12)


@given(people)
@settings(max_examples=50, deadline=None)
def test_group_and_outcome_are_independent_after_weighing(data):
    groups, labels = (np.array(part) for part in zip(*data, strict=True))
    weights = row_weights(groups, labels)
    cells = {(g, bool(y)) for g, y in data}
    whole = {y for _, y in cells}
    for group in set(groups.tolist()):
        if {y for g, y in cells if g == group} == whole:
            own = groups == group
            rate = weights[own & labels].sum() / weights[own].sum()
            assert rate == pytest.approx(labels.mean(), abs=1e-9)


def test_people_whose_group_is_not_known_keep_their_weight():
    groups, labels = np.array([-1, 0, 0, 1]), np.array([True, True, False, False])
    assert row_weights(groups, labels)[0] == 1
    assert set(reweighing_weights(groups, labels)) == {(0, False), (0, True), (1, False)}


# ------------------------------------------------------------------------------------- thresholds


class _Scores(ClassifierMixin, BaseEstimator):
    """A fitted model whose only feature is its score."""

    classes_ = np.array([0, 1])

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, features, labels):
        return self

    def predict_proba(self, features):
        return np.column_stack([1 - features[:, 0], features[:, 0]])


def biased(n=1500, seed=5):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 2, n)
    scores = np.where(groups == 1, rng.beta(2, 4, n), rng.beta(4, 2, n))
    return scores, groups, rng.random(n) < scores


def test_rates_and_accuracy_are_near_those_of_fairlearns_optimizer():
    scores, groups, labels = biased()
    peer = ThresholdOptimizer(
        estimator=_Scores(), constraints="demographic_parity", prefit=True,
        predict_method="predict_proba",
    )  # fmt: skip
    features = scores.reshape(-1, 1)
    peer.fit(features, labels.astype(int), sensitive_features=groups)
    expected = peer._pmf_predict(features, sensitive_features=groups)[:, 1]
    rate = float(expected[groups == 0].mean())
    assert rate == pytest.approx(float(expected[groups == 1].mean()), abs=2e-3)

    limits = equal_rate_thresholds(scores, groups, rate)
    found = decided(scores, groups, limits, np.zeros(len(scores), dtype=bool))
    for group in (0, 1):
        own = groups == group
        assert abs(found[own].mean() - rate) <= 1 / own.sum()
        # The peer mixes two thresholds at random; ours is the one that gives the same rate.
        mixed = expected[own]
        assert np.all(found[own][mixed >= 1 - 1e-9])
        assert not np.any(found[own][mixed <= 1e-9])
    ours = float((found == labels).mean())
    theirs = float(np.where(labels, expected, 1 - expected).mean())
    assert ours == pytest.approx(theirs, abs=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=1, max_size=60),
    st.floats(0, 1),
)
@settings(max_examples=50, deadline=None)
def test_no_other_threshold_comes_nearer_to_the_rate(data, rate):
    groups, scores = (np.array(part) for part in zip(*data, strict=True))
    for group, limit in equal_rate_thresholds(scores.astype(float), groups, rate).items():
        own = scores[groups == group]
        distance = abs(np.mean(own >= limit) - rate)
        for other in [*own.tolist(), math.inf]:
            assert distance <= abs(np.mean(own >= other) - rate) + 1e-12


def test_rows_of_no_known_group_keep_their_decision():
    scores, groups = np.array([0.9, 0.1, 0.5]), np.array([0, -1, -1])
    kept = decided(scores, groups, {0: 0.8}, np.array([False, True, False]))
    assert kept.tolist() == [True, True, False]


# ---------------------------------------------------------------------------------- weighted refit


def unequal(n=4000, seed=6):
    """Group 1 was selected less often at equal quality, and a feature stands in for the group."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 2, n)
    quality = rng.normal(size=n)
    proxy = np.where(groups == 1, "x", "y").astype(object)
    proxy[rng.random(n) < 0.1] = None
    labels = quality + rng.normal(size=n) - 1.2 * groups > 0
    return {"quality": quality, "proxy": proxy}, labels, groups


def test_reweighing_brings_the_groups_nearer_at_some_cost_of_accuracy():
    features, labels, groups = unequal()
    found = refit(features, labels, groups)
    before, after = found.plain >= 0.5, found.weighted >= 0.5
    names = {0: "a", 1: "b"}
    gap_before, gap_after = (
        selection_rates(counts_of(names, groups, decision), "group", "prediction", 1, 10).difference
        for decision in (before, after)
    )
    assert gap_after < gap_before / 2
    cost = accuracy(labels, before, after)
    assert -0.1 < cost.change < 0
    assert cost.interval[0] < cost.change < cost.interval[1] < 0
    changed = affected(groups, before, after)
    assert changed[1].gaining > changed[1].losing
    assert changed[0].losing > changed[0].gaining
    assert sum(one.n for one in changed.values()) == len(groups)


def test_a_refit_is_repeatable_and_survives_one_outcome_only():
    features, labels, groups = unequal(n=300)
    one, two = (refit(features, labels, groups) for _ in range(2))
    assert np.array_equal(one.weighted, two.weighted)
    nobody = refit(features, np.zeros(300, dtype=bool), groups)
    assert not nobody.plain.any()


def test_features_of_every_type_become_numbers():
    found = design_matrix(
        {
            "number": np.array([1.0, np.nan, 3.0, np.inf] * 10),
            "constant": np.ones(40),
            "empty": np.full(40, np.nan),
            "flag": np.array([True, False] * 20),
            "text": np.array(["a", "b", None, "a"] * 10, dtype=object),
            "rare": np.array([f"v{i}" for i in range(40)], dtype=object),
            "day": np.array(["2026-01-01", "2026-01-02", "NaT", "2026-01-05"] * 10, dtype="M8[us]"),
        }
    )
    assert found.shape == (40, 2 + 1 + 3 + 2)
    assert np.isfinite(found).all()
    assert design_matrix({"constant": np.ones(5)}).shape == (5, 1)


def test_accuracy_of_nobody_is_undefined():
    nothing = np.zeros(0, dtype=bool)
    assert accuracy(nothing, nothing, nothing) is None
    same = accuracy(np.array([True, False]), np.array([True, True]), np.array([True, True]))
    assert (same.change, same.interval) == (0, (0, 0))
