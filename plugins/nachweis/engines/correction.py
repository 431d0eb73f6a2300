"""What a correction would change: reweighing of training rows, and thresholds per group.

Reweighing (Kamiran and Calders 2012) gives each row the weight ``P(g) P(y) / P(g, y)``, so that
group and outcome are independent in the weighted training set; the model itself never reads the
group. Thresholds per group do read it at decision time; they are computed for analysis.

Predictions are made out of fold: each row is scored by an estimator that has not seen it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.observation import CountTable
from nachweis.engines.intervals import Z, wilson_interval

FOLDS = 5
_MOST_CATEGORIES = 30
_RARE = 10

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def reweighing_weights(groups: Codes, labels: Flags) -> dict[tuple[int, bool], float]:
    """Weight of each combination of group and outcome that occurs.

    Args:
        groups: Code of each row's group; rows below 0 are left out.
        labels: Each row's outcome.

    Returns:
        Group and outcome to ``P(g) P(y) / P(g, y)``.
    """
    known = groups >= 0
    cells = Counter(zip(groups[known].tolist(), labels[known].tolist(), strict=True))
    n = cells.total()
    of_group, of_label = Counter[int](), Counter[bool]()
    for (group, label), rows in cells.items():
        of_group[group] += rows
        of_label[label] += rows
    return {
        (group, label): of_group[group] * of_label[label] / (n * rows)
        for (group, label), rows in sorted(cells.items())
    }


def row_weights(groups: Codes, labels: Flags) -> Floats:
    """Weight of each row; 1 for people whose group is not known."""
    weights = reweighing_weights(groups, labels)
    return np.array(
        [
            weights.get((group, label), 1.0)
            for group, label in zip(groups.tolist(), labels.tolist(), strict=True)
        ],
        dtype=np.float64,
    )


def equal_rate_thresholds(scores: Floats, groups: Codes, rate: float) -> dict[int, float]:
    """Threshold of each group at which the share selected is nearest to a common rate.

    Args:
        scores: Finite scores.
        groups: Code of each row's group; rows below 0 are left out.
        rate: The share that shall be selected in each group, 0 to 1.

    Returns:
        Group to the lowest score that is selected; infinity where nobody is.
    """
    found = {}
    for group in np.unique(groups[groups >= 0]).tolist():
        values, counts = np.unique(scores[groups == group], return_counts=True)
        # Rows selected by a threshold at each distinct score, the highest score first.
        selected = np.concatenate([[0], np.cumsum(counts[::-1])])
        nearest = int(np.argmin(np.abs(selected / selected[-1] - rate)))
        found[int(group)] = float(values[::-1][nearest - 1]) if nearest else math.inf
    return found


def decided(scores: Floats, groups: Codes, thresholds: Mapping[int, float], other: Flags) -> Flags:
    """Decisions under thresholds per group; rows of no known group keep their decision."""
    limits = np.array([thresholds.get(int(group), math.nan) for group in groups.tolist()])
    return np.where(np.isnan(limits), other, scores >= limits)


# ---------------------------------------------------------------------------------- weighted refit


@dataclass(frozen=True, slots=True)
class Refit:
    """Out-of-fold scores of the same estimator without and with weights."""

    plain: Floats
    weighted: Floats
    estimator: str


def refit(features: Mapping[str, NDArray[Any]], labels: Flags, groups: Codes) -> Refit:
    """Score every row with and without reweighing, by estimators that have not seen it.

    Args:
        features: The declared features.
        labels: Each row's outcome; both outcomes must occur.
        groups: Code of each row's group, -1 where not known.

    Returns:
        Probabilities of the outcome.
    """
    matrix = design_matrix(features)
    rows, size = np.arange(len(labels)), len(labels)
    # Samples are ordered by a hash of their key, so every FOLDS-th row is a random part.
    plain, weighted = np.zeros(size), np.zeros(size)
    for fold in range(FOLDS):
        held = rows % FOLDS == fold
        weights = row_weights(groups[~held], labels[~held])
        plain[held] = _fitted(matrix[~held], labels[~held], None, matrix[held])
        weighted[held] = _fitted(matrix[~held], labels[~held], weights, matrix[held])
    return Refit(plain, weighted, f"LogisticRegression of scikit-learn, {FOLDS} folds")


def _fitted(train: Floats, labels: Flags, weights: Floats | None, held: Floats) -> Floats:
    from sklearn.linear_model import LogisticRegression

    if labels.all() or not labels.any():
        return np.full(len(held), float(labels.all()))
    model = LogisticRegression(max_iter=2000)
    model.fit(train, labels, sample_weight=weights)
    return np.asarray(model.predict_proba(held)[:, 1], dtype=np.float64)


def design_matrix(features: Mapping[str, NDArray[Any]]) -> Floats:
    """Features as numbers: standardised, missing ones as the median with a sign of their own.

    Texts become one column per value that at least 10 rows have, at most 30 of them.

    Args:
        features: Column name to values.

    Returns:
        One row per row, at least one column.
    """
    columns: list[Floats] = []
    for values in features.values():
        if values.dtype.kind in "iuf":
            columns += _of_number(values.astype(np.float64))
        elif values.dtype.kind == "b":
            columns.append(values.astype(np.float64))
        elif values.dtype.kind == "M":
            moments = values.astype("datetime64[s]").astype(np.int64).astype(np.float64)
            columns += _of_number(np.where(np.isnat(values), np.nan, moments))
        else:
            columns += _of_text(values)
    size = len(next(iter(features.values()))) if features else 0
    return np.column_stack(columns) if columns else np.zeros((size, 1))


def _of_number(values: Floats) -> list[Floats]:
    missing = ~np.isfinite(values)
    if missing.all():
        return []
    filled = np.where(missing, np.median(values[~missing]), values)
    spread = float(filled.std())
    scaled = [(filled - filled.mean()) / spread] if spread > 0 else []
    return scaled + ([missing.astype(np.float64)] if missing.any() else [])


def _of_text(values: NDArray[Any]) -> list[Floats]:
    texts = np.array(["" if value is None else f"={value}" for value in values.tolist()])
    frequent = sorted(Counter(texts.tolist()).items(), key=lambda item: (-item[1], item[0]))
    kept = [text for text, n in frequent if n >= _RARE][:_MOST_CATEGORIES]
    return [(texts == text).astype(np.float64) for text in kept]


# --------------------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of right decisions before and after, on the same rows.

    Attributes:
        n: Rows with an outcome.
        before: Share before, with its 95 % interval.
        after: Share after, with its 95 % interval.
        change: After minus before.
        interval: 95 % interval of the change, from the rows whose decision changes.
    """

    n: int
    before: tuple[float, tuple[float, float]]
    after: tuple[float, tuple[float, float]]
    change: float
    interval: tuple[float, float]


def accuracy(labels: Flags, before: Flags, after: Flags) -> Accuracy | None:
    """What a correction costs in accuracy; None without rows."""
    n = len(labels)
    if not n:
        return None
    right = [int((decision == labels).sum()) for decision in (before, after)]
    shares = [(hits / n, wilson_interval(hits, n)) for hits in right]
    better = int(((after == labels) & (before != labels)).sum())
    worse = int(((after != labels) & (before == labels)).sum())
    change = (better - worse) / n
    half = Z * math.sqrt(max(0.0, (better + worse) / n - change**2) / n)
    return Accuracy(n, shares[0], shares[1], change, (change - half, change + half))


def counts_of(
    group_names: Mapping[int, str], groups: Codes, decisions: Flags, labels: Flags | None = None
) -> CountTable:
    """Decisions per group as a table of counts, for the same rates as the nightly checks."""
    rows: Counter[tuple[Any, ...]] = Counter()
    told = [None] * len(groups) if labels is None else labels.tolist()
    for group, decision, label in zip(groups.tolist(), decisions.tolist(), told, strict=True):
        name = group_names.get(group)
        rows[name, int(decision), None if label is None else int(label)] += 1
    return CountTable(("group", "prediction", "label"), dict(rows))


@dataclass(frozen=True, slots=True)
class Affected:
    """Whose decision changes in one group."""

    n: int
    gaining: int
    losing: int


def affected(groups: Codes, before: Flags, after: Flags) -> dict[int, Affected]:
    """Rows per group, and how many of them gain or lose the favourable decision."""
    return {
        int(group): Affected(
            n=int((groups == group).sum()),
            gaining=int(((groups == group) & after & ~before).sum()),
            losing=int(((groups == group) & before & ~after).sum()),
        )
        for group in np.unique(groups[groups >= 0])
    }
