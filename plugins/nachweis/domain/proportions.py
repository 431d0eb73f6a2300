"""Intervals of proportions, for checks and for what is published of them.

They are here and not with the engines because published intervals are worked out anew from
published counts (:mod:`nachweis.domain.disclosure`).
"""

from __future__ import annotations

import math
from statistics import NormalDist

Z = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


def quantile(level: float) -> float:
    """Normal quantile of a two-sided level such as 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson_interval(hits: int, n: int, z: float = Z) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927).

    Args:
        hits: Rows with the property.
        n: All rows, at least one.
        z: Normal quantile of the level.

    Returns:
        Lower and upper limit, within 0 and 1.
    """
    share, square = hits / n, z * z
    centre = share + square / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    low, high = (centre - half) / (1 + square / n), (centre + half) / (1 + square / n)
    # At the ends the limit is exactly the share; rounding would leave it a few 1e-17 away.
    return (0.0 if hits == 0 else low, 1.0 if hits == n else high)


def newcombe_interval(
    first: float,
    first_interval: tuple[float, float],
    second: float,
    second_interval: tuple[float, float],
) -> tuple[float, float]:
    """Interval of a difference from the two parts' own intervals (Newcombe 1998, method 10).

    Args:
        first: First value.
        first_interval: Its interval.
        second: Second value.
        second_interval: Its interval.

    Returns:
        Lower and upper limit of first minus second.
    """
    difference = first - second
    below = math.hypot(first - first_interval[0], second_interval[1] - second)
    above = math.hypot(first_interval[1] - first, second - second_interval[0])
    return difference - below, difference + above


def ratio_interval(
    hits_1: int, n_1: int, hits_2: int, n_2: int, z: float = Z
) -> tuple[float, float] | None:
    """Interval of a ratio of two proportions, on the logarithmic scale (Katz et al. 1978).

    Args:
        hits_1: Rows with the property in the first group.
        n_1: Rows of the first group, at least one.
        hits_2: Rows with the property in the second group.
        n_2: Rows of the second group, at least one.
        z: Normal quantile of the level.

    Returns:
        Lower and upper limit of first over second; None where nobody of a group has the property.
    """
    if not hits_1 or not hits_2:
        return None
    ratio = (hits_1 / n_1) / (hits_2 / n_2)
    factor = math.exp(z * math.sqrt(1 / hits_1 - 1 / n_1 + 1 / hits_2 - 1 / n_2))
    return ratio / factor, ratio * factor
