"""Intervals and tests from counts equal the published formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nachweis.engines.intervals import (
    mean_interval,
    newcombe_interval,
    two_proportion_p_value,
    wilson_interval,
)


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_wilson_equals_scipys(n, share):
    hits = round(share * n)
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")

    assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0000)),
        ((10, 10), (0, 10), (0.6075, 1.0000)),
    ],
)
def test_newcombe_equals_the_published_table(first, second, expected):
    interval = newcombe_interval(
        first[0] / first[1],
        wilson_interval(*first),
        second[0] / second[1],
        wilson_interval(*second),
    )

    assert interval == pytest.approx(expected, abs=6e-5)


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1))
def test_the_newcombe_interval_holds_the_difference_and_stays_within_bounds(n_1, n_2, s_1, s_2):
    (k_1, k_2) = (round(s_1 * n_1), round(s_2 * n_2))
    low, high = newcombe_interval(
        k_1 / n_1, wilson_interval(k_1, n_1), k_2 / n_2, wilson_interval(k_2, n_2)
    )

    assert -1 - 1e-12 <= low <= k_1 / n_1 - k_2 / n_2 <= high <= 1 + 1e-12


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0, 1), st.floats(0, 1))
def test_the_p_value_is_chi_squares_for_large_and_fishers_for_small_counts(n_1, n_2, s_1, s_2):
    k_1, k_2 = round(s_1 * n_1), round(s_2 * n_2)
    table = [[k_1, n_1 - k_1], [k_2, n_2 - k_2]]
    p_value = two_proportion_p_value(k_1, n_1, k_2, n_2)

    if k_1 + k_2 in {0, n_1 + n_2}:
        assert p_value == 1.0
    elif stats.contingency.expected_freq(table).min() >= 5 + 1e-9:
        expected = stats.chi2_contingency(table, correction=False).pvalue
        assert p_value == pytest.approx(expected, rel=1e-6, abs=1e-12)
    else:
        assert p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=0.5, abs=0.05)


def test_a_mean_of_one_row_has_no_interval():
    assert mean_interval(1.0, 1.0, 1) is None
