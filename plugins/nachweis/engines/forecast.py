"""When a slowly rising number reaches its limit: Theil-Sen slope with interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALLEST_SERIES = 10
"""Points below which no trend is looked for."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The straight line through a series, and when it reaches a limit.

    Attributes:
        slope: Median of the slopes between all pairs of points, per day.
        slope_interval: Its interval (Sen 1968).
        level: The line's value at the last day.
        crossing: Days after the last one until the line reaches the limit; None if the interval of
            the slope does not lie above 0, 0 if the line is there already.
        crossing_interval: The same for the steepest and the flattest slope of the interval.
    """

    slope: float
    slope_interval: tuple[float, float]
    level: float
    crossing: float | None
    crossing_interval: tuple[float, float] | None

    @property
    def rises(self) -> bool:
        """Whether the whole interval of the slope lies above 0."""
        return self.slope_interval[0] > 0


def trend(
    days: Sequence[float], values: Sequence[float], limit: float, confidence: float
) -> Trend | None:
    """Fit a straight line that a third of outliers cannot bend, and extend it to a limit.

    The line goes through the median of what remains after the slope is taken out. The interval of
    the crossing comes from the ends of the slope's interval, each with its own line.

    Args:
        days: Day of each point; gaps are allowed.
        values: The points.
        limit: The limit that the line is extended to.
        confidence: Confidence of the slope's interval, 0 to 1.

    Returns:
        The trend; None for fewer than 10 points, for points that are not finite, or for points of
        fewer than three days.
    """
    from scipy import stats

    x, y = np.asarray(days, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(y) < SMALLEST_SERIES or len(np.unique(x)) < 3 or not np.all(np.isfinite(y)):
        return None
    x = x - x.max()
    fitted = stats.theilslopes(y, x, confidence)
    slope, low, high = (float(v) for v in (fitted.slope, fitted.low_slope, fitted.high_slope))
    low, high = min(low, high), max(low, high)
    level = _level(x, y, slope)
    if not (np.isfinite(low) and np.isfinite(high)) or low <= 0:
        return Trend(slope, (low, high), level, None, None)

    def days_until(steepness: float) -> float:
        return max(0.0, (limit - _level(x, y, steepness)) / steepness)

    soonest, latest = sorted((days_until(high), days_until(low)))
    return Trend(slope, (low, high), level, days_until(slope), (soonest, latest))


def _level(x: np.ndarray, y: np.ndarray, slope: float) -> float:
    """Value at the last day of the line with this slope."""
    return float(np.median(y - slope * x))
