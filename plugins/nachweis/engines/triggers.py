"""Rare values and pairs of values that give the label away, as a backdoor would."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import CountTable
from nachweis.engines.poisoning import Floats, Ints, cross_validated, is_missing

_MOST_VALUES = 30
_BINS = 10


@dataclass(frozen=True, slots=True)
class Trigger:
    """A value or pair of values with an extreme share of one label; never the value itself.

    Attributes:
        columns: One or two column names.
        rows: Rows that have it.
        hits: Of them, rows with the label.
        p_value: Exact binomial test against the share that is still plausible, corrected.
        cell: What was tested; stays inside.
    """

    columns: tuple[str, ...]
    rows: int
    hits: int
    p_value: float
    cell: Suspect


@dataclass(frozen=True, slots=True)
class Suspect:
    """A cell to be tested; it knows its values and never leaves the worker.

    Attributes:
        columns: One or two columns.
        rows: Rows of the cell.
        hits: Of them, rows with the label.
        plausible: Share of the label that is still plausible.
        label: The label, as text.
        inside: Which rows of a sample belong to the cell.
    """

    columns: tuple[str, ...]
    rows: int
    hits: int
    plausible: float
    label: str
    inside: Callable[[Mapping[str, NDArray[Any]]], NDArray[np.bool_]]


def suspects_of_column(
    column: str,
    totals: CountTable,
    cells: CountTable,
    base: Mapping[Any, float],
    rules: Rules,
) -> list[Suspect]:
    """Values of one column, each with the label it has most often.

    Args:
        column: The column.
        totals: Rows per value; frequent values only.
        cells: Rows per value and label; frequent ones only.
        base: Share of each label in all rows.
        rules: What counts as rare and extreme.

    Returns:
        The cells to be tested.
    """
    n = rules.n
    rows = {key[0]: count for key, count in totals.rows.items() if key[0] is not None}
    hits: dict[Any, tuple[Any, int]] = {}
    for (value, label), count in cells.rows.items():
        rare = label is not None and base.get(label, 1.0) <= rules.commonest
        if value in rows and rare and count > hits.get(value, (None, 0))[1]:
            hits[value] = (label, count)
    by_label = {(v, la): count for (v, la), count in cells.rows.items()}
    ordered = _ordered(rows)
    found = []
    for value, (label, count) in hits.items():
        if not rules.smallest <= rows[value] <= rules.largest_share * n:
            continue
        plausible = rules.plausible(base[label])
        if ordered is not None:
            around = ordered.around(value)
            near = sum(rows[v] for v in around)
            if near >= rules.smallest:
                rate = sum(by_label.get((v, label), 0) for v in around) / near
                plausible = max(plausible, rate + rules.margin)
        if plausible < 1.0:
            found.append(
                Suspect((column,), rows[value], count, plausible, str(label), _has(column, value))
            )
    return found


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as a trigger.

    Attributes:
        n: All rows.
        min_rate: Share of one label from which a value is extreme, 0 to 1.
        smallest: Fewest rows of a value.
        largest_share: Largest share of all rows that still counts as rare.
        commonest: Labels more common than this are not looked at: nearly pure groups are natural.
        margin: How far neighbours, or the sum of both parts, must lie below.
    """

    n: int
    min_rate: float = 0.8
    smallest: int = 30
    largest_share: float = 0.2
    commonest: float = 0.75
    margin: float = 0.1

    def plausible(self, base: float) -> float:
        """Share of a label that is still plausible for a value."""
        return max(self.min_rate, (1.0 + base) / 2)


@dataclass(frozen=True, slots=True)
class _Order:
    values: tuple[Any, ...]

    def around(self, value: Any) -> tuple[Any, ...]:
        position = self.values.index(value)
        return (*self.values[max(0, position - 2) : position],
                *self.values[position + 1 : position + 3])  # fmt: skip


def _ordered(rows: Mapping[Any, int]) -> _Order | None:
    """Values in order, for columns of numbers."""
    numbers = [v for v in rows if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) != len(rows) or len(rows) < 3 or len(rows) > 5000:
        return None
    return _Order(tuple(sorted(numbers)))


def suspect_pairs(
    columns: Mapping[str, NDArray[Any]], labels: Ints, names: Sequence[str], rules: Rules
) -> list[Suspect]:
    """Pairs of values of two columns in a sample.

    Numbers with many values are put into ten bins of equal size. What the two values would give
    together if each only added its own log-odds counts as plausible.

    Args:
        columns: Inputs of the sample.
        labels: Index of each row's label.
        names: The labels, as texts.
        rules: What counts as rare and extreme; ``n`` is the size of the sample.

    Returns:
        The cells to be tested.
    """
    coded = {name: _codes(values) for name, values in columns.items()}
    coded = {name: codes for name, codes in coded.items() if codes.max(initial=0) + 1 >= 2}
    found = []
    base = [float(share) for share in np.bincount(labels, minlength=len(names)) / len(labels)]
    rare = [j for j, share in enumerate(base) if share <= rules.commonest]
    for (first, a), (second, b) in itertools.combinations(coded.items(), 2):
        width = int(b.max()) + 1
        valid = (a >= 0) & (b >= 0)
        cell = np.where(valid, a * width + b, 0)
        size = int(a.max() + 1) * width
        rows = np.bincount(cell[valid], minlength=size)
        good = np.flatnonzero(
            (rows >= rules.smallest) & (rows <= rules.largest_share * len(labels))
        )
        if not len(good):
            continue
        for j in rare:
            is_label = labels == j
            hits = np.bincount(cell[valid & is_label], minlength=size)
            extreme = good[hits[good] >= rules.min_rate * rows[good]]
            for at in extreme:
                expected = _additive(
                    a, b, int(at // width), int(at % width), is_label, float(base[j])
                )
                plausible = max(rules.plausible(base[j]), expected + rules.margin)
                if plausible < 1.0:
                    found.append(
                        Suspect(
                            (first, second),
                            int(rows[at]),
                            int(hits[at]),
                            plausible,
                            names[j],
                            _are(a, int(at // width), b, int(at % width)),
                        )
                    )
    return found


def _has(column: str, value: Any) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[np.bool_]]:
    def inside(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        values = columns[column]
        if values.dtype.kind in "iuf" and isinstance(value, int | float):
            return np.asarray(values.astype(np.float64) == float(value))
        return np.array([str(one) == str(value) for one in values], dtype=bool)

    return inside


def _are(
    a: Ints, one: int, b: Ints, other: int
) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[np.bool_]]:
    return lambda _: np.asarray((a == one) & (b == other))


def unexplained(
    found: Sequence[Trigger],
    columns: Mapping[str, NDArray[Any]],
    labels: Ints,
    names: Sequence[str],
    *,
    tested: int,
    rules: Rules,
    significance: float,
    at_most: int = 8,
) -> list[Trigger]:
    """Triggers whose rows would not have the label for another reason.

    Where the label follows from other columns, a value derived from them goes with it naturally.
    Held-out probabilities of a small model without the trigger's own columns say how often the
    rows would have the label anyway; that share plus the margin is plausible too.

    Args:
        found: Triggers, the most certain first.
        columns: All inputs of the sample, texts among them.
        labels: Index of each row's label.
        names: The labels, as texts.
        tested: How many cells were tested in all.
        rules: For the margin.
        significance: Level for all tests together.
        at_most: Sets of columns that are looked at; the others stay.

    Returns:
        What is left, in the same order.
    """
    by_columns: dict[tuple[str, ...], Floats] = {}
    left: list[Trigger] = []
    for one in found:
        rows = np.flatnonzero(one.cell.inside(columns))
        if len(rows) < 10 or one.cell.label not in names:
            left.append(one)
            continue
        if one.columns not in by_columns:
            others = {name: values for name, values in columns.items() if name not in one.columns}
            if len(by_columns) >= at_most or not others:
                left.append(one)
                continue
            try:
                by_columns[one.columns] = cross_validated(others, labels)
            except UndefinedError:
                left.append(one)
                continue
        expected = by_columns[one.columns][rows, list(names).index(one.cell.label)].mean()
        plausible = max(one.cell.plausible, float(expected) + rules.margin)
        if plausible < 1.0:
            left += triggers([replace(one.cell, plausible=plausible)], tested, significance)
    return left


def _additive(
    a: Ints, b: Ints, one: int, other: int, is_label: NDArray[np.bool_], base: float
) -> float:
    """Share of a label that both values would give if their log-odds added up."""

    def odds(inside: NDArray[np.bool_]) -> float:
        n, k = int(inside.sum()), int((inside & is_label).sum())
        return math.log((k + 0.5) / (n - k + 0.5)) if n else math.log(base / (1 - base))

    first = odds((a == one) & (b != other))
    second = odds((b == other) & (a != one))
    total = first + second - math.log(base / (1 - base))
    return max(1 / (1 + math.exp(-value)) for value in (total, first, second))


def _codes(values: NDArray[Any]) -> Ints:
    """Values as small numbers; -1 for missing and rare ones."""
    missing = is_missing(values)
    if values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        valid = np.isfinite(numbers)
        distinct = np.unique(numbers[valid])
        if len(distinct) <= _MOST_VALUES:
            codes = np.searchsorted(distinct, np.where(valid, numbers, distinct[:1].sum()))
        else:
            edges = np.unique(np.quantile(numbers[valid], np.linspace(0, 1, _BINS + 1)[1:-1]))
            codes = np.searchsorted(edges, np.where(valid, numbers, 0.0), side="right")
        return np.where(valid, codes, -1).astype(np.int64)
    texts = values.astype(str)
    names, counts = np.unique(texts[~missing], return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")[:_MOST_VALUES]]
    position = {name: i for i, name in enumerate(kept)}
    return np.array(
        [-1 if lost else position.get(text, -1) for text, lost in zip(texts, missing, strict=True)],
        dtype=np.int64,
    )


def triggers(suspects: Sequence[Suspect], tested: int, significance: float) -> list[Trigger]:
    """Cells whose share of a label exceeds what is plausible, beyond chance.

    Args:
        suspects: The cells.
        tested: How many cells were looked at in all, for the correction (Bonferroni).
        significance: Level for all tests together.

    Returns:
        Triggers, the most certain first.
    """
    from scipy import stats

    found = []
    for one in suspects:
        if one.hits <= one.plausible * one.rows:
            continue
        p = float(stats.binom.sf(one.hits - 1, one.rows, one.plausible)) * max(tested, 1)
        if p < significance:
            found.append(Trigger(one.columns, one.rows, one.hits, min(1.0, p), one))
    return sorted(found, key=lambda t: (t.p_value, -t.rows, t.columns))
