"""Intervals and tests for proportions and means from counts alone."""

from __future__ import annotations

import math

from nachweis.domain.proportions import Z, newcombe_interval, ratio_interval, wilson_interval

__all__ = [
    "LEVEL",
    "Z",
    "mean_interval",
    "newcombe_interval",
    "normal_p_value",
    "ratio_interval",
    "two_proportion_p_value",
    "wilson_interval",
]

LEVEL = 0.95
_SMALLEST_EXPECTED = 5


def mean_interval(mean: float, squares: float, n: int, z: float = Z) -> tuple[float, float] | None:
    """Normal interval of a mean.

    Args:
        mean: The mean.
        squares: Sum of the squared values.
        n: Rows.
        z: Normal quantile of the level.

    Returns:
        Lower and upper limit; None for fewer than two rows.
    """
    if n < 2:
        return None
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    half = z * math.sqrt(variance / n)
    return mean - half, mean + half


def normal_p_value(z: float) -> float:
    """Two-sided p-value of a standard normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2))


def two_proportion_p_value(hits_1: int, n_1: int, hits_2: int, n_2: int) -> float:
    """Two-sided p-value of the hypothesis that two proportions are the same.

    Pooled z-test; Fisher's exact test where an expected count is below 5.

    Args:
        hits_1: Rows with the property in the first group.
        n_1: Rows of the first group, at least one.
        hits_2: Rows with the property in the second group.
        n_2: Rows of the second group, at least one.

    Returns:
        The p-value; 1 if all rows or none have the property.
    """
    from scipy import stats

    pooled = (hits_1 + hits_2) / (n_1 + n_2)
    if pooled in {0.0, 1.0}:
        return 1.0
    if min(n_1, n_2) * min(pooled, 1 - pooled) < _SMALLEST_EXPECTED:
        table = [[hits_1, n_1 - hits_1], [hits_2, n_2 - hits_2]]
        return float(stats.fisher_exact(table).pvalue)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n_1 + 1 / n_2))
    return float(2 * stats.norm.sf(abs(hits_1 / n_1 - hits_2 / n_2) / error))
