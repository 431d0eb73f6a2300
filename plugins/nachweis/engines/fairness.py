"""Rates per group from counts: Fairlearn's values, with sample sizes, intervals and gaps marked.

Fairlearn receives one weighted row per combination of group, label and prediction, which gives
bit for bit what it gives on the rows themselves. What Fairlearn leaves out is added here: groups
too small to compare, groups whose rate is undefined (Fairlearn reports 0), people whose attribute
is not known, intervals, and whether chance explains the largest difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nachweis.domain.observation import CountTable
from nachweis.engines.fairness_groups import (
    UNDECLARED,
    Cells,
    Group,
    GroupReport,
    GroupValue,
    compare_groups,
    group_value,
    rate_report,
    rows_by_group,
    tally,
)
from nachweis.engines.intervals import mean_interval

__all__ = [
    "UNDECLARED",
    "GroupReport",
    "GroupValue",
    "error_rates",
    "group_means",
    "group_shares",
    "predictive_values",
    "selection_rates",
]

_PARITY = "Fairlearn 0.15.0 on weighted counts"


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
    tallies = tally(counts, group, prediction, prediction, positive, positive)
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
    tallies = tally(counts, group, label, prediction, foreseen, positive)
    return {
        "true_positive_rate": _rate_report(
            "true_positive_rate", tallies, min_group, lambda cells: _with_label(cells, 1)
        ),
        "false_positive_rate": _rate_report(
            "false_positive_rate", tallies, min_group, lambda cells: _with_label(cells, 0)
        ),
    }


def predictive_values(
    counts: CountTable,
    group: str | Sequence[str],
    label: str,
    prediction: str,
    positive: Any,
    min_group: int,
    *,
    positive_label: Any = None,
) -> dict[str, GroupReport]:
    """Positive and negative predictive value by group (predictive parity).

    The positive predictive value is the precision; Fairlearn has no function of its own for either
    and applies scikit-learn's to each group.

    Args:
        counts: Counts whose keys include the group keys, the label and the prediction.
        group: Key of the attribute, or keys of an intersection.
        label: Key of the outcome; rows whose outcome has not arrived are left out.
        prediction: Key of the prediction; rows without one are left out.
        positive: The favourable prediction.
        min_group: Fewest rows with the prediction in question a group must have to be compared.
        positive_label: The outcome that the favourable prediction foresees, if it is written
            differently from it.

    Returns:
        Reports under ``positive_predictive_value`` and ``negative_predictive_value``.
    """
    foreseen = positive if positive_label is None else positive_label
    tallies = tally(counts, group, label, prediction, foreseen, positive)

    def counted(wanted: int) -> dict[Group, tuple[int, int]]:
        return {
            name: (
                cells.get((wanted, wanted), 0),
                sum(n for (_, predicted), n in cells.items() if predicted == wanted),
            )
            for name, cells in tallies.items()
        }

    parity = "precision of scikit-learn as Fairlearn applies it to groups, from counts"
    return {
        name: rate_report(name, counted(wanted), min_group, parity)
        for name, wanted in (("positive_predictive_value", 1), ("negative_predictive_value", 0))
    }


def group_shares(
    counts: CountTable,
    group: str | Sequence[str],
    total: str,
    having: str,
    min_group: int,
    *,
    metric: str,
) -> GroupReport:
    """Share of people without a property, by group, from two counts of people per group.

    Args:
        counts: Counts with the group keys and two sums.
        group: Key of the attribute, or keys of an intersection.
        total: Name of the sum of people.
        having: Name of the sum of people with the property.
        min_group: Fewest people a group must have to be compared.
        metric: Name of the share.

    Returns:
        The shares and their largest difference.
    """
    found: dict[Group, tuple[int, int]] = {}
    for key, name, _ in rows_by_group(counts, group):
        people = round(counts.sums[total].get(key, 0.0))
        lacking = people - round(counts.sums[having].get(key, 0.0))
        before = found.get(name, (0, 0))
        found[name] = (before[0] + lacking, before[1] + people)
    return rate_report(metric, found, min_group, "exact counts of people")


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
    for key, name, n in rows_by_group(counts, group):
        rows[name] = rows.get(name, 0) + n
        first, second = sums.setdefault(name, [0.0, 0.0])
        squared = float(counts.sums[squares].get(key, 0.0)) if squares else 0.0
        sums[name] = [first + float(counts.sums[total].get(key, 0.0)), second + squared]
    values = []
    for name, n in rows.items():
        mean = sums[name][0] / n
        interval = mean_interval(mean, sums[name][1], n) if squares else None
        values.append(group_value(name, mean, n, interval, min_group))
    return compare_groups(f"mean_{total}", values, "means of weighted counts", p_value=None)


# ------------------------------------------------------------------------------------ internals


def _with_label(cells: Cells, label: int) -> Cells:
    return {cell: n for cell, n in cells.items() if cell[0] == label}


def _rate_report(
    metric: str,
    tallies: Mapping[Group, Cells],
    min_group: int,
    base: Callable[[Cells], Cells],
) -> GroupReport:
    """Report one of Fairlearn's rates; ``base`` picks the cells that form its denominator."""
    counted = {
        name: (
            sum(n for (_, prediction), n in base(cells).items() if prediction),
            sum(base(cells).values()),
        )
        for name, cells in tallies.items()
    }
    return rate_report(
        metric, counted, min_group, _PARITY, lambda name: _fairlearn_rate(metric, tallies[name])
    )


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
