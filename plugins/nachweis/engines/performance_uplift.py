"""What a campaign changes, measured against a hold-out: uplift, its deciles, Qini coefficient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nachweis.engines.intervals import newcombe_interval, wilson_interval
from nachweis.engines.performance import Array, Metric

DRAWS = 200
"""Resamples behind the interval of the Qini coefficient."""
_SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Rows per distinct score, ascending, in both arms.

    Attributes:
        score: Predicted uplift.
        treated: Treated rows at each score.
        treated_hits: Those of them with a positive outcome.
        held: Rows of the hold-out at each score.
        held_hits: Those of them with a positive outcome.
    """

    score: Array
    treated: Array
    treated_hits: Array
    held: Array
    held_hits: Array


def arm_counts(cells: Mapping[float, Sequence[float]]) -> ArmCounts:
    """Lay out counts per score.

    Args:
        cells: Score to treated rows, hits among them, rows of the hold-out, hits among them, and
            the sum of the scores.

    Returns:
        The counts in ascending order; a score that several rows share is their mean.
    """
    order = sorted(cells)
    values = np.array([cells[key] for key in order], dtype=np.float64).reshape(-1, 5)
    score = values[:, 4] / np.maximum(1, values[:, 0] + values[:, 2])
    return ArmCounts(score, values[:, 0], values[:, 1], values[:, 2], values[:, 3])


def uplift(counts: ArmCounts) -> Metric:
    """Share of positive outcomes among the treated minus that of the hold-out.

    Args:
        counts: Rows of both arms.

    Returns:
        The difference with Newcombe's interval; undefined while an arm is empty.
    """
    n, held = int(counts.treated.sum()), int(counts.held.sum())
    if not n or not held:
        return Metric(None, n + held, reason="one arm has no rows with an outcome")
    hits, held_hits = int(counts.treated_hits.sum()), int(counts.held_hits.sum())
    first, second = hits / n, held_hits / held
    limits = newcombe_interval(
        first, wilson_interval(hits, n), second, wilson_interval(held_hits, held)
    )
    return Metric(
        first - second, n + held, limits, "treated minus hold-out; Newcombe interval, 95 %"
    )


def mean_score(counts: ArmCounts) -> float | None:
    """Mean predicted uplift over the treated rows; None without any."""
    n = float(counts.treated.sum())
    return float((counts.treated * counts.score).sum()) / n if n else None


def uplift_by_part(counts: ArmCounts, parts: int = 10) -> list[tuple[int, Metric]]:
    """Uplift within parts of about equal size, highest scores first; equal scores stay together.

    Args:
        counts: Rows of both arms.
        parts: How many parts, ten for deciles.

    Returns:
        Number from 1 and metric of each part that has rows.
    """
    rows = (counts.treated + counts.held)[::-1]
    total = float(rows.sum())
    if not total:
        return []
    middle = np.cumsum(rows) - rows / 2
    place = np.minimum((middle / total * parts).astype(np.int64), parts - 1)[::-1]
    found = []
    for part in range(parts):
        chosen = place == part
        if chosen.any():
            own = ArmCounts(
                counts.score[chosen],
                counts.treated[chosen],
                counts.treated_hits[chosen],
                counts.held[chosen],
                counts.held_hits[chosen],
            )
            found.append((part + 1, uplift(own)))
    return found


def qini_coefficient(counts: ArmCounts) -> Metric:
    """How much better the order of the scores is than chance at finding who is moved.

    Treating the share x of people with the highest scores gains Q(x) positive outcomes per treated
    row: hits of the treated minus hits of the hold-out scaled to the same number of rows (Radcliffe
    2007). The coefficient is the area between Q and the straight line from 0 to Q(1), by the
    trapezoid rule over shares of the treated.

    Args:
        counts: Rows of both arms.

    Returns:
        The coefficient with a percentile interval over resampled rows; 0 is an order no better than
        chance. Undefined while an arm is empty.
    """
    n, held = int(counts.treated.sum()), int(counts.held.sum())
    if not n or not held:
        return Metric(None, n + held, reason="one arm has no rows with an outcome")
    cells = np.stack(
        [
            counts.treated_hits,
            counts.treated - counts.treated_hits,
            counts.held_hits,
            counts.held - counts.held_hits,
        ]
    )[:, ::-1]
    value = float(_area(cells[None])[0])
    rng = np.random.default_rng(_SEED)
    drawn = rng.poisson(cells[None], (DRAWS, *cells.shape)).astype(np.float64)
    usable = (drawn[:, :2].sum(axis=(1, 2)) > 0) & (drawn[:, 2:].sum(axis=(1, 2)) > 0)
    areas = _area(drawn[usable])
    interval = None
    if len(areas) > 1:
        low, high = np.quantile(areas, [0.025, 0.975])
        interval = (min(value, float(low)), max(value, float(high)))
    recipe = f"Qini coefficient per treated row; 95 % interval over {DRAWS} Poisson resamples"
    return Metric(value, n + held, interval, recipe)


def _area(cells: Array) -> Array:
    """Area between the Qini curve and the straight line, for a stack of tables."""
    treated = np.cumsum(cells[:, 0] + cells[:, 1], axis=1)
    held = np.cumsum(cells[:, 2] + cells[:, 3], axis=1)
    hits, held_hits = np.cumsum(cells[:, 0], axis=1), np.cumsum(cells[:, 2], axis=1)
    scale = np.divide(treated, held, out=np.zeros_like(held), where=held > 0)
    gained = (hits - held_hits * scale) / treated[:, -1:]
    share = treated / treated[:, -1:]
    start = np.zeros((len(cells), 1))
    x, y = np.hstack([start, share]), np.hstack([start, gained])
    area = (np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2).sum(axis=1)
    result: Array = area - y[:, -1] / 2
    return result
