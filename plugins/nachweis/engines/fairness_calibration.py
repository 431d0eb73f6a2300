"""Calibration by group from binned counts: what happened minus what the score foresaw.

A score that is off for everybody is a matter of performance. What is compared here is whether the
same score means the same in each group: the gap of a group minus the gap of all others, at equal
scores, so that groups with different scores are not mistaken for groups that are treated unalike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nachweis.domain.observation import CountTable
from nachweis.engines.fairness_groups import (
    UNDECLARED,
    Group,
    label_of,
    rows_by_group,
    same_value,
)
from nachweis.engines.intervals import Z, mean_interval, normal_p_value

BINS = 10
OUTSIDE = -1
"""Bin of scores that are no probabilities."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How much more often something happens in a group than in all others at equal scores.

    Attributes:
        value: Difference of the two gaps, -1 to 1.
        interval: 95 % normal interval.
        p_value: Of the hypothesis that it is 0.
        bin: The bin, or None for all bins together.
        n: Rows of the group in the bins compared.
    """

    value: float
    interval: tuple[float, float]
    p_value: float
    bin: int | None
    n: int


@dataclass(frozen=True, slots=True)
class GroupCalibration:
    """Calibration of one group.

    Attributes:
        group: The group's value.
        n: Rows with a score and an outcome.
        observed: Share in which the outcome happened.
        mean_score: Mean score.
        gap: ``observed`` minus ``mean_score``.
        gap_interval: Its 95 % interval; None for fewer than two rows.
        error: Expected calibration error: mean of the absolute gaps of the bins, by rows.
        against_others: The gap beside that of all others; None where it cannot be compared.
        worst_bin: The bin that differs most from all others; None where none is large enough.
        bins: Bins in which both sides are large enough.
    """

    group: str
    n: int
    observed: float
    mean_score: float
    gap: float
    gap_interval: tuple[float, float] | None
    error: float
    against_others: Gap | None
    worst_bin: Gap | None
    bins: int


@dataclass(frozen=True, slots=True)
class _Cell:
    """Rows of one group in one bin: number, outcomes, scores and squared residuals."""

    n: int = 0
    hits: int = 0
    scores: float = 0.0
    squares: float = 0.0

    def __add__(self, other: _Cell) -> _Cell:
        return _Cell(
            self.n + other.n,
            self.hits + other.hits,
            self.scores + other.scores,
            self.squares + other.squares,
        )

    @property
    def gap(self) -> float:
        return (self.hits - self.scores) / self.n

    @property
    def spread(self) -> float:
        """Sum of squared deviations of the residuals from their mean."""
        return max(0.0, self.squares - self.n * self.gap**2)


_Cells = Mapping[int, _Cell]


def rows_outside(counts: CountTable, bin_key: str) -> int:
    """Rows whose score is no probability."""
    return counts.total(**{bin_key: OUTSIDE})


def calibration_by_group(
    counts: CountTable,
    group: str | Sequence[str],
    bin_key: str,
    label: str,
    positive_label: Any,
    min_group: int,
) -> list[GroupCalibration]:
    """Calibration of each group, and beside all others at equal scores.

    Args:
        counts: Counts by group, bin of the score and outcome, with the sums ``score`` and
            ``score_squared``.
        group: Key of the attribute, or keys of an intersection.
        bin_key: Key of the bin; rows without a score are left out.
        label: Key of the outcome; rows whose outcome has not arrived are left out.
        positive_label: The outcome whose probability the score is.
        min_group: Fewest rows of a group, and of a group and all others in a bin, for a comparison.

    Returns:
        One value per group by name; people whose attribute is not known count among the others
        but form no group.
    """
    groups = _cells(counts, group, bin_key, label, positive_label)
    found = []
    for name, cells in groups.items():
        if None in name:
            continue
        others: dict[int, _Cell] = {}
        for other, more in groups.items():
            for position, cell in more.items() if other != name else ():
                others[position] = others.get(position, _Cell()) + cell
        found.append(_group(label_of(name), cells, others, min_group))
    return sorted(found, key=lambda one: (one.group == UNDECLARED, one.group))


def _cells(
    counts: CountTable, group: str | Sequence[str], bin_key: str, label: str, positive_label: Any
) -> dict[Group, dict[int, _Cell]]:
    """Cells per group and bin; the squares are of outcome minus score."""
    at = [counts.keys.index(name) for name in (bin_key, label)]
    groups: dict[Group, dict[int, _Cell]] = {}
    for key, name, n in rows_by_group(counts, group):
        position, outcome = (key[index] for index in at)
        if position is None or position == OUTSIDE or outcome is None:
            continue
        happened = same_value(outcome, positive_label)
        total = float(counts.sums["score"].get(key, 0.0))
        squares = float(counts.sums["score_squared"].get(key, 0.0))
        residuals = n - 2 * total + squares if happened else squares
        cell = _Cell(n, n if happened else 0, total, residuals)
        bins = groups.setdefault(name, {})
        bins[int(position)] = bins.get(int(position), _Cell()) + cell
    return groups


def _group(name: str, cells: _Cells, others: _Cells, min_group: int) -> GroupCalibration:
    whole = sum(cells.values(), _Cell())
    gaps = {
        position: gap
        for position, cell in cells.items()
        if (gap := _gap([(cell, others.get(position, _Cell()))], position, min_group))
    }
    # Bins that one of the sides hardly reaches say nothing at equal scores.
    shared = [
        (cell, others[position])
        for position, cell in cells.items()
        if position in others and min(cell.n, others[position].n) >= 2
    ]
    return GroupCalibration(
        group=name,
        n=whole.n,
        observed=whole.hits / whole.n,
        mean_score=whole.scores / whole.n,
        gap=whole.gap,
        gap_interval=mean_interval(whole.gap, whole.squares, whole.n),
        error=sum(cell.n * abs(cell.gap) for cell in cells.values()) / whole.n,
        against_others=_gap(shared, None, min_group),
        worst_bin=min(
            gaps.values(), key=lambda one: (one.p_value, -abs(one.value), one.bin), default=None
        ),
        bins=len(gaps),
    )


def _gap(pairs: Sequence[tuple[_Cell, _Cell]], position: int | None, min_group: int) -> Gap | None:
    """Gap of a group minus that of the others; bins weigh as by Mantel and Haenszel.

    The variance of residuals is pooled per bin, as the hypothesis of no difference says.
    """
    n, rest = sum(own.n for own, _ in pairs), sum(other.n for _, other in pairs)
    if min(n, rest) < max(2, min_group):
        return None
    weights = [own.n * other.n / (own.n + other.n) for own, other in pairs]
    value = variance = 0.0
    for (own, other), share in zip(pairs, weights, strict=True):
        weight = share / sum(weights)
        value += weight * (own.gap - other.gap)
        pooled = (own.spread + other.spread) / (own.n + other.n - 2)
        variance += weight**2 * pooled * (1 / own.n + 1 / other.n)
    if variance <= 0:
        return None
    error = math.sqrt(variance)
    half = Z * error
    return Gap(value, (value - half, value + half), normal_p_value(value / error), position, n)
