"""The band in which a count is expected after what earlier counts were: robust, on a log scale."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

NORMAL_SCALE = 1.482602218505602
"""Median absolute deviation to standard deviation for normal values: 1 / Phi^-1(3/4)."""

_HALF_A_ROW = 0.5
"""Stands for no rows, whose logarithm does not exist."""


@dataclass(frozen=True, slots=True)
class Band:
    """Counts that are expected.

    Attributes:
        median: Median of the earlier counts.
        low: Smallest expected count.
        high: Largest expected count.
    """

    median: float
    low: float
    high: float

    def holds(self, count: float) -> bool:
        """Whether a count is expected."""
        return self.low <= max(count, _HALF_A_ROW) <= self.high


def expected_band(counts: Sequence[float], deviations: float, factor: float) -> Band:
    """The band around the median of earlier counts, in which a count may differ by a factor.

    Counts of rows differ by factors, not by amounts, so median and median absolute deviation are
    taken of their logarithms.

    Args:
        counts: Earlier counts, at least one.
        deviations: Half width in robust standard deviations.
        factor: Smallest factor that counts as a difference, above 1.

    Returns:
        exp(median of logs -/+ max(log(factor), deviations x 1.4826 x MAD of logs)).
    """
    logs = [math.log(max(count, _HALF_A_ROW)) for count in counts]
    middle = statistics.median(logs)
    spread = NORMAL_SCALE * statistics.median(abs(value - middle) for value in logs)
    half = max(math.log(factor), deviations * spread)
    # A spread that no number of rows can leave is as good as infinite.
    half = min(half, 700.0 - abs(middle))
    return Band(math.exp(middle), math.exp(middle - half), math.exp(middle + half))
