"""How well one column alone tells classes apart: area under the ROC curve, cross-fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FEW_VALUES = 50
"""Up to so many distinct values a column of numbers is also read as one of categories."""
_SMOOTHING = 1.0


@dataclass(frozen=True, slots=True)
class Separation:
    """How well a column tells one class from all others.

    Attributes:
        auc: Area under the ROC curve, in whichever direction it is larger; 0.5 to 1.
        smaller: Rows of the smaller of both sides.
        how: ``order``, ``values`` or ``missing``: what of the column tells them apart.
    """

    auc: float
    smaller: int
    how: str


def auc(scores: Floats, positive: Flags) -> float:
    """Area under the ROC curve: the probability that a positive row scores higher, ties half.

    Args:
        scores: Finite numbers.
        positive: Which rows are positive; both sides must occur.

    Returns:
        0 to 1.
    """
    from scipy.stats import rankdata

    hits = int(positive.sum())
    rank_sum = float(rankdata(scores)[positive].sum())
    return (rank_sum - hits * (hits + 1) / 2) / (hits * (len(scores) - hits))


def best_separation(values: NDArray[Any], labels: NDArray[Any], fewest: int) -> Separation | None:
    """The class that a column tells best from all others.

    Args:
        values: The column; missing are None or not-a-number.
        labels: A label per row, none missing.
        fewest: Rows that both sides need.

    Returns:
        The best separation; None if no class is large enough.
    """
    codes, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)[1:]
    found: list[Separation] = []
    for code, count in enumerate(counts):
        if min(count, len(labels) - count) < fewest:
            continue
        found += _separations(values, codes == code, fewest)
        if len(counts) == 2:
            break
    return max(found, key=lambda one: one.auc, default=None)


def _separations(values: NDArray[Any], positive: Flags, fewest: int) -> list[Separation]:
    missing = _missing(values)
    smaller = int(min(positive.sum(), (~positive).sum()))
    found = []
    if 0 < missing.sum() < len(values):
        found.append(Separation(_either_way(missing.astype(float), positive), smaller, "missing"))
    numeric = values.dtype.kind in "iufb"
    if numeric:
        known = ~missing & np.isfinite(values.astype(np.float64))
        side = positive[known]
        few = int(min(side.sum(), (~side).sum()))
        if few >= fewest:
            scores = values[known].astype(np.float64)
            found.append(Separation(_either_way(scores, side), few, "order"))
    codes = _codes(values, missing)
    if not numeric or codes.max(initial=0) < _FEW_VALUES:
        found.append(Separation(_by_value(codes, positive), smaller, "values"))
    return found


def _either_way(scores: Floats, positive: Flags) -> float:
    found = auc(scores, positive)
    return max(found, 1 - found)


def _missing(values: NDArray[Any]) -> Flags:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind == "O":
        return np.array([v is None or v != v for v in values], dtype=bool)
    if values.dtype.kind in "Mm":
        return np.asarray(np.isnat(values))
    return np.zeros(len(values), dtype=bool)


def _codes(values: NDArray[Any], missing: Flags) -> NDArray[np.int64]:
    plain = values if values.dtype.kind in "iufb" else values.astype(str)
    codes: NDArray[np.int64] = np.unique(plain, return_inverse=True)[1].astype(np.int64)
    return codes * 2 + missing


def _by_value(codes: NDArray[np.int64], positive: Flags) -> float:
    """AUC of rates per value that were learned on the other half of the rows.

    Learned on the same rows, any column with as many values as rows would seem to tell everything.
    """
    halves = np.arange(len(codes)) % 2 == 0
    size = int(codes.max()) + 1
    found = []
    for learn, use in ((halves, ~halves), (~halves, halves)):
        if not 0 < positive[use].sum() < use.sum():
            continue
        base = positive[learn].mean() if learn.any() else 0.5
        n = np.bincount(codes[learn], minlength=size)
        hits = np.bincount(codes[learn], weights=positive[learn], minlength=size)
        rates = (hits + _SMOOTHING * base) / (n + _SMOOTHING)
        found.append(auc(rates[codes[use]], positive[use]))
    return float(np.mean(found)) if found else 0.5


def cramers_v(values: NDArray[Any], labels: NDArray[Any]) -> float:
    """Cramer's V of two columns of categories.

    Args:
        values: Categories of a column, none missing.
        labels: A label per row.

    Returns:
        0 (independent) to 1 (one is a recoding of the other); 0 where one of them is constant.
    """
    from scipy.stats import chi2_contingency

    rows = np.unique(values.astype(str), return_inverse=True)[1]
    columns = np.unique(labels.astype(str), return_inverse=True)[1]
    table = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
    np.add.at(table, (rows, columns), 1)
    if min(table.shape) < 2:
        return 0.0
    chi_square = float(chi2_contingency(table, correction=False).statistic)
    return float(np.sqrt(chi_square / len(values) / (min(table.shape) - 1)))
