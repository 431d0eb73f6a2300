"""The trend of a series and when it reaches a limit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nachweis.engines.forecast import trend

DAYS = list(range(20))


def test_a_straight_line_reaches_its_limit_when_it_should() -> None:
    found = trend(DAYS, [0.02 + 0.002 * day for day in DAYS], 0.1, 0.99)
    assert found is not None
    assert found.slope == pytest.approx(0.002)
    assert found.level == pytest.approx(0.058)
    assert found.crossing == pytest.approx(21.0)
    assert found.crossing_interval == pytest.approx((21.0, 21.0))


def test_slope_and_interval_equal_scipys() -> None:
    generator = np.random.default_rng(3)
    values = 0.03 + 0.001 * np.arange(20) + generator.normal(0, 0.004, 20)
    found = trend(DAYS, list(values), 0.1, 0.95)
    expected = stats.theilslopes(values, DAYS, 0.95)
    assert found is not None
    assert found.slope == pytest.approx(expected.slope, rel=1e-9)
    assert found.slope_interval == pytest.approx((expected.low_slope, expected.high_slope))
    pairs = [(values[j] - values[i]) / (j - i) for i, j in itertools.combinations(range(20), 2)]
    assert found.slope == pytest.approx(float(np.median(pairs)), rel=1e-9)


def test_gaps_between_nights_count_as_days() -> None:
    days = list(range(0, 60, 3))
    found = trend(days, [0.001 * day for day in days], 0.1, 0.99)
    assert found is not None
    assert found.crossing == pytest.approx(43.0)


def test_outliers_do_not_bend_the_line() -> None:
    values = [0.02 + 0.002 * day for day in DAYS]
    values[4], values[11], values[17] = 0.9, 0.0, 0.7
    found = trend(DAYS, values, 0.1, 0.95)
    assert found is not None
    assert found.slope == pytest.approx(0.002, rel=0.05)


def test_noise_without_a_trend_says_nothing_about_the_future() -> None:
    generator = np.random.default_rng(1)
    said = 0
    for _ in range(200):
        found = trend(DAYS, list(0.05 + generator.normal(0, 0.01, 20)), 0.1, 0.99)
        said += found is not None and found.crossing is not None
    assert said <= 4


def test_a_falling_line_reaches_no_limit_above_it() -> None:
    found = trend(DAYS, [0.09 - 0.002 * day for day in DAYS], 0.1, 0.99)
    assert found is not None
    assert not found.rises
    assert found.crossing is None


@pytest.mark.parametrize(
    ("days", "values"),
    [
        (list(range(9)), [0.1] * 9),
        ([1] * 6 + [2] * 6, [0.1] * 12),
        (DAYS, [float("nan")] * 20),
        (DAYS, [float("inf"), *[0.1] * 19]),
        ([], []),
    ],
)
def test_too_short_or_undefined_series_have_no_trend(days, values) -> None:
    assert trend(days, values, 0.1, 0.99) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=10, max_size=30), st.floats(0.01, 2))
def test_the_forecast_lies_within_its_own_interval_or_says_nothing(values, limit) -> None:
    found = trend(list(range(len(values))), values, limit, 0.95)
    assert found is not None
    if found.crossing is None:
        assert found.crossing_interval is None
    else:
        low, high = found.crossing_interval or (0.0, 0.0)
        assert 0 <= low <= high
        assert found.crossing >= 0
        assert found.rises
