"""Groups of people in a table of counts: their tallies, what is compared, and by how much.

Groups too small to compare, groups whose rate is undefined and people whose attribute is not known
are kept and marked, so that nobody disappears from a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Any

from nachweis.domain.observation import CountTable
from nachweis.engines.intervals import (
    LEVEL,
    newcombe_interval,
    ratio_interval,
    two_proportion_p_value,
    wilson_interval,
)

UNDECLARED = "undeclared"
INTERVALS = (
    "Wilson intervals per group, Newcombe interval of the difference, "
    "log interval of the ratio, 95 %"
)

Group = tuple[Any, ...]

Cells = Mapping[tuple[int, int], int]
"""Rows per label and prediction, each coded 1 for positive and 0 for the rest."""


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
        ratio_interval: Interval of the ratio of the two extreme groups.
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
    ratio_interval: tuple[float, float] | None = None

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


def rate_report(
    metric: str,
    counts: Mapping[Group, tuple[int, int]],
    min_group: int,
    parity: str,
    rate: Callable[[Group], float] | None = None,
) -> GroupReport:
    """Report a rate by group and its largest difference.

    Args:
        metric: Name of the rate.
        counts: Group to rows with the property and all rows of its denominator.
        min_group: Fewest rows a group must have to be compared.
        parity: What the rates equal, in words.
        rate: A library's value of the rate for a group; default is hits over rows.

    Returns:
        The report, with intervals and a p-value corrected for all pairs.
    """
    values = [
        group_value(
            name,
            (rate(name) if rate else hits / n) if n else None,
            n,
            wilson_interval(hits, n) if n else None,
            min_group,
        )
        for name, (hits, n) in counts.items()
    ]
    by_label = {label_of(name): found for name, found in counts.items()}

    def p_value(highest: str, lowest: str, pairs: int) -> float:
        return min(1.0, pairs * two_proportion_p_value(*by_label[highest], *by_label[lowest]))

    recipe = f"{parity}; {INTERVALS}; groups of at least {min_group} rows are compared"
    report = compare_groups(metric, values, recipe, p_value)
    if report.ratio is None or report.lowest is None or report.highest is None:
        return report
    return replace(
        report, ratio_interval=ratio_interval(*by_label[report.lowest], *by_label[report.highest])
    )


def rows_by_group(
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


def tally(
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
    for key, name, n in rows_by_group(counts, group):
        cells = tallies.setdefault(name, {})
        if key[label_at] is None or key[prediction_at] is None:
            continue
        cell = (
            int(same_value(key[label_at], positive_label)),
            int(same_value(key[prediction_at], positive)),
        )
        cells[cell] = cells.get(cell, 0) + n
    return tallies


def same_value(value: Any, declared: Any) -> bool:
    """Whether a value is the declared one; a manifest may write 1 where the data holds ``'1'``."""
    return bool(value == declared) or str(value) == str(declared)


def label_of(name: Group) -> str:
    """Name of a group in reports."""
    return UNDECLARED if None in name else " & ".join(map(str, name))


def group_value(
    name: Group,
    value: float | None,
    n: int,
    interval: tuple[float, float] | None,
    min_group: int,
) -> GroupValue:
    """A group's value, with the reason why it is not compared, if so."""
    reason = ""
    if None in name:
        reason = "attribute not declared, not compared"
    elif value is None:
        reason = "undefined: no rows in its denominator"
    elif n < min_group:
        reason = f"too small to compare: {n} rows, {min_group} are needed"
    return GroupValue(label_of(name), value, n, interval, not reason, reason)


def compare_groups(
    metric: str,
    values: Sequence[GroupValue],
    recipe: str,
    p_value: Callable[[str, str, int], float] | None,
) -> GroupReport:
    """Compare the largest with the smallest value of the groups that may be compared.

    Args:
        metric: Name of the rate or mean.
        values: One value per group.
        recipe: How they were computed, in words.
        p_value: From the two extreme groups' names and the number of pairs; None without a test.

    Returns:
        The report; without difference and ratio where fewer than two groups may be compared.
    """
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
