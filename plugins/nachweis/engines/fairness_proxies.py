"""How well one column tells to which group a person belongs, from sampled rows.

Numbers are judged by the area under the ROC curve, everything else by Cramér's V. Both are brought
to one scale from 0 (tells nothing) to 1 (tells the group exactly).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_MOST_CATEGORIES = 50
_RARE = 10


@dataclass(frozen=True, slots=True)
class Strength:
    """How well a column tells a group.

    Attributes:
        kind: ``auc`` for numbers, ``cramers_v`` for everything else.
        value: 0 to 1: ``|2 AUC - 1|`` of the group that is told best, or the bias-corrected V.
        interval: Its interval at the level asked for.
        n: Rows with a value and a known group.
        raw: The AUC, or V without correction.
        information: Mutual information of column and groups in nats; None for numbers.
    """

    kind: Literal["auc", "cramers_v"]
    value: float
    interval: tuple[float, float]
    n: int
    raw: float
    information: float | None = None


def groups_of(values: NDArray[Any], edges: tuple[float, ...]) -> NDArray[np.int64]:
    """Codes of groups: -1 where the attribute is not known, else 0 and up.

    Args:
        values: Values of an attribute.
        edges: Inner edges of bands of a number; empty if the values are the groups.

    Returns:
        One code per row.
    """
    if edges:
        numbers = _numbers(values)
        if numbers is None:
            return np.full(len(values), -1, dtype=np.int64)
        codes = np.searchsorted(np.asarray(edges), numbers, side="right")
        return np.where(np.isfinite(numbers), codes, -1).astype(np.int64)
    return _codes(values)


def names_of(values: NDArray[Any]) -> list[str]:
    """Names of the groups whose codes :func:`groups_of` gives, in the order of the codes."""
    return sorted({text for value in values.tolist() if (text := _text(value)) is not None})


def strength(
    groups: NDArray[np.int64], values: NDArray[Any], min_group: int, z: float
) -> Strength | None:
    """How well a column tells the groups apart.

    Args:
        groups: Codes of groups, -1 where not known.
        values: Values of the column, in the same order.
        min_group: Fewest rows of a group, and of all others, that is looked at.
        z: Normal quantile of the interval.

    Returns:
        The strength; None where fewer than two groups are large enough or nothing varies.
    """
    numbers = _numbers(values)
    if numbers is None:
        return _of_categories(groups, _codes(values), min_group, z)
    known = (groups >= 0) & np.isfinite(numbers)
    return _of_numbers(groups[known], numbers[known], min_group, z)


def auc(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often a positive row has the larger score, ties counting half.

    Args:
        positive: Which rows belong to the group; at least one does and one does not.
        scores: Finite numbers.

    Returns:
        0 to 1.
    """
    return _auc(positive, _ranks(scores))


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal scores share their mean rank."""
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[position], dtype=np.float64)


def _auc(positive: NDArray[np.bool_], ranks: NDArray[np.float64]) -> float:
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n)))


def cramers_v(table: NDArray[np.int64]) -> tuple[float, float]:
    """Cramér's V of a table without empty rows and columns, and its bias-corrected form.

    Args:
        table: Counts, at least two rows and columns.

    Returns:
        V as ``scipy.stats.contingency.association`` gives it, and V after Bergsma (2013).
    """
    n = int(table.sum())
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / expected).sum()) / n
    rows, columns = table.shape
    plain = math.sqrt(phi / (min(rows, columns) - 1))
    less = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return plain, min(1.0, math.sqrt(less / smaller)) if smaller > 0 else 0.0


def mutual_information(table: NDArray[np.int64]) -> float:
    """Mutual information of rows and columns of a table of counts, in nats."""
    shares = table / table.sum()
    product = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    there = shares > 0
    return float((shares[there] * np.log(shares[there] / product[there])).sum())


# ------------------------------------------------------------------------------------ internals


def _of_numbers(
    groups: NDArray[np.int64], numbers: NDArray[np.float64], min_group: int, z: float
) -> Strength | None:
    n, best = len(numbers), None
    if n == 0 or numbers.min() == numbers.max():
        return None
    ranks = _ranks(numbers)
    for group in np.unique(groups):
        positive = groups == group
        size = int(positive.sum())
        if min(size, n - size) < max(2, min_group):
            continue
        found = _auc(positive, ranks)
        if best is None or abs(found - 0.5) > abs(best[0] - 0.5):
            best = found, size
    if best is None:
        return None
    found, size = best
    half = z * _auc_error(max(found, 1 - found), size, n - size)
    value = abs(2 * found - 1)
    interval = (max(0.0, value - 2 * half), min(1.0, value + 2 * half))
    return Strength("auc", value, interval, n, found)


def _auc_error(area: float, n: int, others: int) -> float:
    """Standard error of an AUC (Hanley, McNeil 1982)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (n - 1) * (first - area**2) + (others - 1) * (second - area**2)
    ) / (n * others)
    return math.sqrt(max(0.0, variance))


def _of_categories(
    groups: NDArray[np.int64], codes: NDArray[np.int64], min_group: int, z: float
) -> Strength | None:
    known = (groups >= 0) & (codes >= 0)
    groups, codes = groups[known], _lumped(codes[known])
    sizes = np.bincount(groups) if len(groups) else np.zeros(0, dtype=np.int64)
    large = np.flatnonzero(sizes >= max(2, min_group))
    kept = np.isin(groups, large)
    rows, columns = np.unique(groups[kept]), np.unique(codes[kept])
    if len(rows) < 2 or len(columns) < 2:
        return None
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(
        table, (np.searchsorted(rows, groups[kept]), np.searchsorted(columns, codes[kept])), 1
    )
    n = int(table.sum())
    plain, value = cramers_v(table)
    return Strength("cramers_v", value, _fisher(value, n, z), n, plain, mutual_information(table))


def _fisher(value: float, n: int, z: float) -> tuple[float, float]:
    """Interval of a correlation by Fisher's transformation; V of a 2 x 2 table is one."""
    if value >= 1 or n <= 3:
        return (value, value) if n > 3 else (0.0, 1.0)
    middle, half = math.atanh(value), z / math.sqrt(n - 3)
    return max(0.0, math.tanh(middle - half)), math.tanh(middle + half)


def _lumped(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rare values, and all but the most frequent ones, as one value.

    A table with nearly as many columns as rows would tell every group by chance.
    """
    counts = np.bincount(codes) if len(codes) else np.zeros(0, dtype=np.int64)
    frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    frequent = frequent[counts[frequent] >= _RARE]
    return np.where(np.isin(codes, frequent), codes, len(counts))


def _numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Values as numbers, NaN where missing; None if they are no numbers."""
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    if values.dtype.kind == "M":
        numbers = values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(values), np.nan, numbers)
    return None


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Codes of distinct values in the order of their text, -1 where missing."""
    texts = [_text(value) for value in values.tolist()]
    order = {text: code for code, text in enumerate(sorted({t for t in texts if t is not None}))}
    return np.array([-1 if text is None else order[text] for text in texts], dtype=np.int64)


def _text(value: Any) -> str | None:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if missing else str(value)
