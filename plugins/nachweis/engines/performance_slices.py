"""Slices of rows in which a model does worse than elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nachweis.engines.intervals import newcombe_interval, wilson_interval
from nachweis.engines.performance import Interval
from nachweis.engines.performance_calibration import quantile_for


@dataclass(frozen=True, slots=True)
class SliceGap:
    """One slice against all other rows.

    Attributes:
        column: Position of its column.
        ordinal: Position of its value among the column's values, from 1.
        of: How many values the column has.
        n: Rows of the slice.
        rate: Share of right predictions in the slice.
        others: Share of right predictions elsewhere.
        gap: Slice minus elsewhere; negative is worse.
        interval: Interval of the gap, all slices together at 95 %.
    """

    column: int
    ordinal: int
    of: int
    n: int
    rate: float
    others: float
    gap: float
    interval: Interval


def slice_gaps(
    cells: Sequence[Mapping[str, tuple[int, int]]], minimum: int
) -> tuple[list[SliceGap], int]:
    """Compare every slice that is large enough with the other rows of its column.

    Args:
        cells: Per column: value to (right predictions, rows).
        minimum: Fewest rows of a slice and of what it is compared with.

    Returns:
        The slices, worst first, and how many were too small.
    """
    wanted: list[tuple[int, int, int, int, int, int, int]] = []
    small = 0
    for column, values in enumerate(cells):
        right, rows = (sum(part[i] for part in values.values()) for i in (0, 1))
        for ordinal, name in enumerate(sorted(values), start=1):
            hits, n = values[name]
            if n < minimum or rows - n < minimum:
                small += 1
                continue
            wanted.append((column, ordinal, len(values), hits, n, right - hits, rows - n))
    z = quantile_for(len(wanted))
    found = [_gap(*one, z) for one in wanted]
    return sorted(found, key=lambda gap: (gap.gap, gap.column, gap.ordinal)), small


def _gap(
    column: int, ordinal: int, of: int, hits: int, n: int, others: int, rest: int, z: float
) -> SliceGap:
    rate, elsewhere = hits / n, others / rest
    interval = newcombe_interval(
        rate, wilson_interval(hits, n, z), elsewhere, wilson_interval(others, rest, z)
    )
    return SliceGap(column, ordinal, of, n, rate, elsewhere, rate - elsewhere, interval)
