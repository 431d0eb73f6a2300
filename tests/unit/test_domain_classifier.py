"""Telling two samples apart: held against scikit-learn, chance stays chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.engines.domain_classifier import area_under_curve, ridge_weights, tell_apart


def rows(n: int, seed: int, shift: float = 0.0, dependence: float = 0.0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    x, noise = generator.normal(shift, 1, n), generator.normal(0, 1, n)
    return {
        "x": x,
        "y": dependence * (x - shift) + np.sqrt(1 - dependence**2) * noise,
        "word": generator.choice(["a", "b", "c"], n).astype(object),
    }


NAMES = ["x", "y", "word"]
scores = st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=25)


@settings(max_examples=25, deadline=None)
@given(scores, scores)
def test_the_area_equals_scikit_learns_and_its_definition(first, second) -> None:
    from sklearn.metrics import roc_auc_score

    area, variance = area_under_curve(np.array(first), np.array(second))
    labels = [0] * len(first) + [1] * len(second)
    assert area == pytest.approx(roc_auc_score(labels, first + second), rel=1e-9)

    wins = np.array([[(b > a) + 0.5 * (b == a) for b in second] for a in first])
    by_definition = np.var(wins.mean(axis=1), ddof=1) / len(first)
    by_definition += np.var(wins.mean(axis=0), ddof=1) / len(second)
    assert variance == pytest.approx(by_definition, rel=1e-9, abs=1e-12)


def test_the_regression_equals_scikit_learns() -> None:
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(4)
    terms, target = generator.normal(size=(200, 6)), generator.normal(size=200)
    ours = ridge_weights(terms.T @ terms, terms.T @ target, 3.0)
    theirs = Ridge(alpha=3.0, fit_intercept=False).fit(terms, target).coef_
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_equal_populations_are_told_apart_no_better_than_by_chance() -> None:
    found = [tell_apart(rows(250, i), rows(250, 1000 + i), NAMES) for i in range(30)]
    areas = [told.area for told in found if told is not None]
    assert len(areas) == 30
    assert np.mean(areas) == pytest.approx(0.5, abs=0.015)
    assert max(told.interval[0] for told in found if told is not None) < 0.6


def test_a_shift_is_told_by_the_feature_that_moved() -> None:
    told = tell_apart(rows(400, 1), rows(400, 2, shift=1.0), NAMES)
    assert told is not None
    assert told.interval[0] > 0.6
    assert next(iter(told.alone)) == "x"
    # The best classifier for a shift by one standard deviation reaches 0.76.
    assert told.area == pytest.approx(0.76, abs=0.05)


def test_a_dependence_is_told_although_no_feature_moved() -> None:
    told = tell_apart(rows(400, 1), rows(400, 2, dependence=0.9), NAMES)
    assert told is not None
    assert told.interval[0] > 0.6
    assert max(told.alone.values()) < 0.56
    pair, change = next(iter(told.dependence.items()))
    assert pair == ("x", "y")
    assert change == pytest.approx(0.89, abs=0.1)


def test_a_changed_mix_of_words_is_told() -> None:
    first, second = rows(400, 1), rows(400, 2)
    second["word"] = np.where(np.arange(400) % 4 < 3, "a", "b").astype(object)
    told = tell_apart(first, second, NAMES)
    assert told is not None
    assert told.interval[0] > 0.6
    assert next(iter(told.alone)) == "word"


def test_one_in_many_features_is_found() -> None:
    def wide(seed: int, shift: float) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        columns = {f"x{i}": generator.normal(size=600) for i in range(40)}
        columns["x7"] = columns["x7"] + shift
        return columns

    told = tell_apart(wide(1, 0.0), wide(2, 1.5), [f"x{i}" for i in range(40)])
    assert told is not None
    assert told.interval[0] > 0.7


@pytest.mark.parametrize(
    "change",
    [
        lambda side: {name: values[:99] for name, values in side.items()},
        lambda side: {name: np.full(len(values), 3.0) for name, values in side.items()},
        lambda side: {name: np.full(len(values), np.nan) for name, values in side.items()},
        lambda side: {name: np.full(len(values), None) for name, values in side.items()},
        lambda side: {name: values[:0] for name, values in side.items()},
    ],
)
def test_too_few_rows_or_nothing_that_varies_gives_no_answer(change) -> None:
    assert tell_apart(change(rows(300, 1)), change(rows(300, 2)), NAMES) is None
    assert tell_apart({}, {}, []) is None


def test_missing_and_infinite_numbers_are_survived() -> None:
    first, second = rows(300, 1), rows(300, 2)
    first["x"][:50], second["y"][:40] = np.nan, np.inf
    second["word"][:30] = None
    told = tell_apart(first, second, NAMES)
    assert told is not None
    assert 0 <= told.interval[0] <= told.area <= told.interval[1] <= 1


def test_gaps_tell_nothing() -> None:
    first, second = rows(400, 1), rows(400, 2)
    second["x"][:250], second["word"][100:300] = np.nan, None
    told = tell_apart(first, second, NAMES)
    assert told is not None
    assert told.interval[0] < 0.55

    second["x"][:] = np.nan
    told = tell_apart(first, second, NAMES)
    assert told is not None
    assert "x" not in told.alone


def test_the_answer_is_repeatable() -> None:
    pair = rows(200, 1), rows(200, 2, shift=0.3)
    assert tell_apart(*pair, NAMES) == tell_apart(*pair, NAMES)
