"""Rates per group from counts: Fairlearn's values, with sample sizes, intervals and gaps marked.

Fairlearn receives one weighted row per combination of group, label and prediction, which gives
bit for bit what it gives on the rows themselves. What Fairlearn leaves out is added here: groups
too small to compare, groups whose rate is undefined (Fairlearn reports 0), people whose attribute
is not known, intervals, and whether chance explains the largest difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from nachweis.domain.observation import CountTable
from nachweis.engines.intervals import (
    LEVEL,
    mean_interval,
    newcombe_interval,
    two_proportion_p_value,
    wilson_interval,
)

UNDECLARED = "undeclared"
_PARITY = "Fairlearn 0.15.0 on weighted counts"
_INTERVALS = "Wilson intervals per group, Newcombe interval of the difference, 95 %"

Group = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class GroupValue:
    """One group's rate or mean.

    Attributes:
        group: The group's value; values of an intersection are joined by `` & ``.
        value: The rate or mean, None where it is undefined.
        n: Rows it is computed from (its denominator).
        interval: 95 % interval, None where the value is undefined.
        compared: Whether the group takes part in difference and ratio.
        reason: Why it does not, or empty.
    """

    group: str
    value: float | None
    n: int
    interval: tuple[float, float] | None
    compared: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A rate or mean by group, and the largest difference between the groups compared.

    Attributes:
        metric: Name of the rate or mean.
        groups: All groups by name; the undeclared last.
        difference: Largest minus smallest value of the groups compared.
        ratio: Smallest over largest value of the groups compared.
        difference_interval: 95 % interval of the difference of the two extreme groups.
        highest: Group with the largest value.
        lowest: Group with the smallest value.
        p_value: Of the hypothesis that the two extreme groups have the same rate, times the number
            of pairs they were picked from.
        recipe: How all this was computed, in words.
        reason: Why difference or ratio is undefined, or empty.
        level: Level of the intervals.
    """

    metric: str
    groups: tuple[GroupValue, ...]
    difference: float | None
    ratio: float | None
    difference_interval: tuple[float, float] | None
    highest: str | None
    lowest: str | None
    p_value: float | None
    recipe: str
    reason: str = ""
    level: float = LEVEL

    @property
    def compared(self) -> tuple[GroupValue, ...]:
        """Groups that take part in difference and ratio."""
        return tuple(value for value in self.groups if value.compared)

    def of(self, group: str) -> GroupValue:
        """The value of one group.

        Args:
            group: Name of the group.

        Returns:
            Its value.

        Raises:
            KeyError: If there is no such group.
        """
        for value in self.groups:
            if value.group == group:
                return value
        raise KeyError(group)


def selection_rates(
    counts: CountTable,
    group: str | Sequence[str],
    prediction: str,
    positive: Any,
    min_group: int,
) -> GroupReport:
    """Share of rows with the favourable prediction, by group (demographic parity).

    Args:
        counts: Counts whose keys include the group keys and the prediction.
        group: Key of the attribute, or keys of an intersection.
        prediction: Key of the prediction; rows without one are left out.
        positive: The favourable prediction.
        min_group: Fewest rows a group must have to be compared.

    Returns:
        The rates and their largest difference.
    """
    tallies = _tally(counts, group, prediction, prediction, positive, positive)
    return _rate_report("selection_rate", tallies, min_group, lambda cells: cells)


def error_rates(
    counts: CountTable,
    group: str | Sequence[str],
    label: str,
    prediction: str,
    positive: Any,
    min_group: int,
    *,
    positive_label: Any = None,
) -> dict[str, GroupReport]:
    """True and false positive rate by group (equalised odds, equal opportunity).

    Args:
        counts: Counts whose keys include the group keys, the label and the prediction.
        group: Key of the attribute, or keys of an intersection.
        label: Key of the outcome; rows whose outcome has not arrived are left out.
        prediction: Key of the prediction; rows without one are left out.
        positive: The favourable prediction.
        min_group: Fewest rows with the outcome in question a group must have to be compared.
        positive_label: The outcome that the favourable prediction foresees, if it is written
            differently from it.

    Returns:
        Reports under ``true_positive_rate`` and ``false_positive_rate``.
    """
    foreseen = positive if positive_label is None else positive_label
    tallies = _tally(counts, group, label, prediction, foreseen, positive)
    return {
        "true_positive_rate": _rate_report(
            "true_positive_rate", tallies, min_group, lambda cells: _with_label(cells, 1)
        ),
        "false_positive_rate": _rate_report(
            "false_positive_rate", tallies, min_group, lambda cells: _with_label(cells, 0)
        ),
    }


def group_means(
    counts: CountTable,
    group: str | Sequence[str],
    total: str,
    min_group: int,
    *,
    squares: str | None = None,
) -> GroupReport:
    """Mean of a summed quantity, by group.

    Args:
        counts: Counts with the group keys and the sum.
        group: Key of the attribute, or keys of an intersection.
        total: Name of the sum.
        min_group: Fewest rows a group must have to be compared.
        squares: Name of the sum of squares; without it there are no intervals.

    Returns:
        The means and their largest difference; there is no p-value.
    """
    rows: dict[Group, int] = {}
    sums: dict[Group, list[float]] = {}
    for key, name, n in _by_group(counts, group):
        rows[name] = rows.get(name, 0) + n
        first, second = sums.setdefault(name, [0.0, 0.0])
        squared = float(counts.sums[squares].get(key, 0.0)) if squares else 0.0
        sums[name] = [first + float(counts.sums[total].get(key, 0.0)), second + squared]
    values = []
    for name, n in rows.items():
        mean = sums[name][0] / n
        interval = mean_interval(mean, sums[name][1], n) if squares else None
        values.append(_group_value(name, mean, n, interval, min_group))
    return _compare(f"mean_{total}", values, "means of weighted counts", p_value=None)


# ------------------------------------------------------------------------------------ internals

Cells = Mapping[tuple[int, int], int]
"""Rows per label and prediction, each coded 1 for positive and 0 for the rest."""


def _with_label(cells: Cells, label: int) -> Cells:
    return {cell: n for cell, n in cells.items() if cell[0] == label}


def _by_group(
    counts: CountTable, group: str | Sequence[str]
) -> list[tuple[tuple[Any, ...], Group, int]]:
    """All counted keys with their group; whoever lacks a part of an intersection is undeclared."""
    names = (group,) if isinstance(group, str) else tuple(group)
    positions = [counts.keys.index(name) for name in names]
    found = []
    for key, n in counts.rows.items():
        name = tuple(key[position] for position in positions)
        if n > 0:
            found.append((key, (None,) if None in name else name, n))
    return found


def _tally(
    counts: CountTable,
    group: str | Sequence[str],
    label: str,
    prediction: str,
    positive_label: Any,
    positive: Any,
) -> dict[Group, dict[tuple[int, int], int]]:
    """Rows per group, label and prediction, without rows that lack label or prediction."""
    label_at, prediction_at = counts.keys.index(label), counts.keys.index(prediction)
    tallies: dict[Group, dict[tuple[int, int], int]] = {}
    for key, name, n in _by_group(counts, group):
        cells = tallies.setdefault(name, {})
        if key[label_at] is None or key[prediction_at] is None:
            continue
        cell = (
            int(_same(key[label_at], positive_label)),
            int(_same(key[prediction_at], positive)),
        )
        cells[cell] = cells.get(cell, 0) + n
    return tallies


def _same(value: Any, declared: Any) -> bool:
    """Whether a value is the declared one; a manifest may write 1 where the data holds ``'1'``."""
    return bool(value == declared) or str(value) == str(declared)


def _rate_report(
    metric: str,
    tallies: Mapping[Group, Cells],
    min_group: int,
    base: Callable[[Cells], Cells],
) -> GroupReport:
    """Report one of Fairlearn's rates; ``base`` picks the cells that form its denominator."""
    denominators = {name: sum(base(cells).values()) for name, cells in tallies.items()}
    hits = {
        name: sum(n for (_, prediction), n in base(cells).items() if prediction)
        for name, cells in tallies.items()
    }
    values = [
        _group_value(
            name,
            _fairlearn_rate(metric, tallies[name]) if n else None,
            n,
            wilson_interval(hits[name], n) if n else None,
            min_group,
        )
        for name, n in denominators.items()
    ]
    by_label = {_label(name): (hits[name], n) for name, n in denominators.items()}

    def p_value(highest: str, lowest: str, pairs: int) -> float:
        return min(1.0, pairs * two_proportion_p_value(*by_label[highest], *by_label[lowest]))

    recipe = f"{_PARITY}; {_INTERVALS}; groups of at least {min_group} rows are compared"
    return _compare(metric, values, recipe, p_value)


def _fairlearn_rate(metric: str, cells: Cells) -> float:
    """Fairlearn's value of a rate for one group, from one weighted row per cell.

    This is what ``MetricFrame`` computes for the group from its rows, without its bookkeeping,
    which costs more than the rates themselves.
    """
    from fairlearn import metrics

    labels, predictions = zip(*cells, strict=True)
    weights = np.array(list(cells.values()), dtype=np.float64)
    rate = getattr(metrics, metric)
    return float(rate(labels, predictions, pos_label=1, sample_weight=weights))


def _label(name: Group) -> str:
    return UNDECLARED if None in name else " & ".join(map(str, name))


def _group_value(
    name: Group,
    value: float | None,
    n: int,
    interval: tuple[float, float] | None,
    min_group: int,
) -> GroupValue:
    reason = ""
    if None in name:
        reason = "attribute not declared, not compared"
    elif value is None:
        reason = "undefined: no rows in its denominator"
    elif n < min_group:
        reason = f"too small to compare: {n} rows, {min_group} are needed"
    return GroupValue(_label(name), value, n, interval, not reason, reason)


def _compare(
    metric: str,
    values: Sequence[GroupValue],
    recipe: str,
    p_value: Callable[[str, str, int], float] | None,
) -> GroupReport:
    groups = tuple(sorted(values, key=lambda v: (v.group == UNDECLARED, v.group)))
    compared = [(v.value, v) for v in groups if v.compared and v.value is not None]
    if len(compared) < 2:
        reason = f"{len(compared)} group(s) large enough to compare, two are needed"
        return GroupReport(metric, groups, None, None, None, None, None, None, recipe, reason)
    largest, highest = max(compared, key=lambda pair: pair[0])
    smallest, lowest = min(compared, key=lambda pair: pair[0])
    ratio = smallest / largest if largest > 0 and smallest >= 0 else None
    interval = None
    if highest.interval and lowest.interval:
        interval = newcombe_interval(largest, highest.interval, smallest, lowest.interval)
    return GroupReport(
        metric=metric,
        groups=groups,
        difference=largest - smallest,
        ratio=ratio,
        difference_interval=interval,
        highest=highest.group,
        lowest=lowest.group,
        p_value=p_value(highest.group, lowest.group, comb(len(compared), 2)) if p_value else None,
        recipe=recipe,
        reason="" if ratio is not None else "the ratio is undefined: no group has a positive value",
    )
