"""Quality of predictions from counts: what scikit-learn gives on the rows, with intervals.

Every function takes weighted counts: a confusion matrix, or for scores the distinct scores in
ascending order with the numbers of positive and negative rows at each. Expanding the counts to rows
and calling scikit-learn gives the same values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.engines.intervals import LEVEL, wilson_interval

Array = NDArray[np.float64]
Interval = tuple[float, float]

_Z = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        value: The value, None where it is undefined.
        n: Rows it was computed from (its denominator, where it is a share).
        interval: 95 % interval, None where the value is undefined.
        recipe: How value and interval were computed.
        reason: Why it is undefined, or empty.
        level: Level of the interval.
    """

    value: float | None
    n: int
    interval: Interval | None = None
    recipe: str = ""
    reason: str = ""
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Cells:
    """A confusion matrix of two classes.

    Attributes:
        tp: Positive rows that were predicted positive.
        fp: Negative rows that were predicted positive.
        fn: Positive rows that were predicted negative.
        tn: Negative rows that were predicted negative.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        """All rows."""
        return self.tp + self.fp + self.fn + self.tn


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """Rows per distinct score, ascending.

    Attributes:
        score: Mean score of the rows that share a place, strictly ascending.
        positives: Positive rows at each score.
        negatives: Negative rows at each score.
        squares: Sum of the squared scores over all rows; None computes it from ``score``.
        positive_total: Sum of the scores of positive rows; None computes it from ``score``.
    """

    score: Array
    positives: Array
    negatives: Array
    squares: float | None = None
    positive_total: float | None = None

    @property
    def n(self) -> int:
        """All rows."""
        return int(self.positives.sum() + self.negatives.sum())

    @property
    def rows(self) -> Array:
        """Rows at each score."""
        return self.positives + self.negatives


def share(hits: int, n: int, what: str) -> Metric:
    """A share with Wilson's interval.

    Args:
        hits: Rows with the property.
        n: All rows.
        what: Name of the denominator, for the reason where there is none.

    Returns:
        The share; undefined without rows.
    """
    if n <= 0:
        return Metric(None, 0, reason=f"there are no {what}")
    return Metric(hits / n, n, wilson_interval(hits, n), "share of rows; Wilson interval, 95 %")


def classification(cells: Cells) -> dict[str, Metric]:
    """Accuracy, precision, recall and F1 of two classes.

    Args:
        cells: The confusion matrix.

    Returns:
        Metric by name. Where scikit-learn reports 0 for an empty denominator, it is undefined here.
    """
    return {
        "accuracy": share(cells.tp + cells.tn, cells.n, "rows with an outcome"),
        "precision": share(cells.tp, cells.tp + cells.fp, "rows predicted positive"),
        "recall": share(cells.tp, cells.tp + cells.fn, "positive rows"),
        "f1": _f1(cells),
    }


def _f1(cells: Cells) -> Metric:
    relevant = cells.tp + cells.fp + cells.fn
    if relevant == 0:
        return Metric(None, 0, reason="no row is positive or predicted positive")
    # F1 rises with the Jaccard index tp / relevant, which is a share: its limits carry over.
    low, high = (2 * j / (1 + j) for j in wilson_interval(cells.tp, relevant))
    value = 2 * cells.tp / (2 * cells.tp + cells.fp + cells.fn)
    return Metric(value, relevant, (low, high), "F1; Wilson interval of the Jaccard index, 95 %")


def roc_auc(counts: ScoreCounts) -> Metric:
    """Area under the ROC curve: how often a positive row has a higher score than a negative one.

    Args:
        counts: Rows per score.

    Returns:
        The area with DeLong's interval (1988); undefined with one class only.
    """
    positives, negatives = float(counts.positives.sum()), float(counts.negatives.sum())
    if positives < 1 or negatives < 1:
        return Metric(None, counts.n, reason="the outcomes hold one class only")
    below = np.cumsum(counts.negatives) - counts.negatives / 2
    above = positives - np.cumsum(counts.positives) + counts.positives / 2
    of_positive, of_negative = below / negatives, above / positives
    value = float((counts.positives * of_positive).sum() / positives)
    recipe = "ROC AUC, ties count half; DeLong interval, 95 %"
    if positives < 2 or negatives < 2:
        return Metric(value, counts.n, (0.0, 1.0), recipe)
    spread = (counts.positives * (of_positive - value) ** 2).sum() / (positives - 1) / positives
    spread += (counts.negatives * (of_negative - value) ** 2).sum() / (negatives - 1) / negatives
    half = max(_Z * math.sqrt(float(spread)), _least_half(value, positives, negatives))
    return Metric(value, counts.n, (max(0.0, value - half), min(1.0, value + half)), recipe)


def _least_half(value: float, positives: float, negatives: float) -> float:
    """An interval never shrinks to a point where all pairs are ordered alike (rule of three)."""
    return 3 / min(positives, negatives) if value in {0.0, 1.0} else 0.0


def tied_share(counts: ScoreCounts) -> float:
    """Share of pairs of a positive and a negative row that have the same score.

    Half of it bounds how far the area can be off where near scores were counted together.

    Args:
        counts: Rows per score.

    Returns:
        The share, 0 with one class only.
    """
    pairs = float(counts.positives.sum() * counts.negatives.sum())
    return float((counts.positives * counts.negatives).sum()) / pairs if pairs else 0.0


def brier_score(counts: ScoreCounts) -> Metric:
    """Mean squared difference between score and outcome (0 or 1).

    Args:
        counts: Rows per score.

    Returns:
        The mean with a normal interval; undefined where scores are no probabilities.
    """
    n = counts.n
    if n == 0:
        return Metric(None, 0, reason="there are no rows with score and outcome")
    if counts.score[0] < 0 or counts.score[-1] > 1:
        return Metric(None, n, reason="scores lie outside 0 to 1")
    squares = counts.squares
    if squares is None:
        squares = float((counts.rows * counts.score**2).sum())
    product = counts.positive_total
    if product is None:
        product = float((counts.positives * counts.score).sum())
    value = (squares - 2 * product + float(counts.positives.sum())) / n
    first = counts.positives * ((1 - counts.score) ** 2 - value) ** 2
    second = counts.negatives * (counts.score**2 - value) ** 2
    half = _Z * math.sqrt(float((first + second).sum()) / max(1, n - 1) / n)
    interval = (max(0.0, value - half), min(1.0, value + half))
    return Metric(value, n, interval, "Brier score; normal interval of a mean, 95 %")


def multiclass(matrix: Mapping[tuple[Any, Any], int]) -> dict[str, Metric]:
    """Accuracy and macro F1 of several classes.

    Args:
        matrix: (outcome, prediction) to rows.

    Returns:
        Metric by name; both undefined without rows. Macro F1 averages over the classes that occur
        as outcome or prediction, as scikit-learn does.
    """
    classes = sorted({value for pair in matrix for value in pair}, key=str)
    at = {value: index for index, value in enumerate(classes)}
    table = np.zeros((len(classes), len(classes)))
    for (outcome, prediction), n in matrix.items():
        table[at[outcome], at[prediction]] += n
    n = int(table.sum())
    hits = int(np.trace(table))
    return {"accuracy": share(hits, n, "rows with an outcome"), "macro_f1": _macro_f1(table)}


def _macro_f1(table: Array) -> Metric:
    n = int(table.sum())
    sizes = table.sum(axis=0) + table.sum(axis=1)
    kept = sizes > 0
    if n == 0 or not kept.any():
        return Metric(None, 0, reason="there are no rows with an outcome")
    hits, sizes = np.diag(table)[kept], sizes[kept]
    value = float((2 * hits / sizes).mean())
    # Derivative by each cell's share: delta method on the multinomial table.
    inner = table[np.ix_(kept, kept)] / n
    loss = -2 * hits * n / sizes**2
    slope = (loss[:, None] + loss[None, :] + np.diag(2 * n / sizes)) / len(hits)
    mean = float((inner * slope).sum())
    spread = max(0.0, float((inner * slope**2).sum()) - mean**2) / n
    half = max(_Z * math.sqrt(spread), 3 / n if value in {0.0, 1.0} else 0.0)
    interval = (max(0.0, value - half), min(1.0, value + half))
    return Metric(value, n, interval, "mean of F1 over classes; delta-method interval, 95 %")


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """Sums over rows of prediction minus outcome.

    Attributes:
        n: Rows.
        error: Sum of the errors.
        absolute: Sum of their absolute values.
        squares: Sum of their squares.
        fourth: Sum of their fourth powers.
    """

    n: int
    error: float
    absolute: float
    squares: float
    fourth: float


def regression(sums: ErrorSums) -> dict[str, Metric]:
    """Mean absolute error, root mean squared error and bias.

    Args:
        sums: Sums over the rows.

    Returns:
        Metric by name, in the unit of the outcome; undefined with fewer than two rows or where a
        sum is not finite.
    """
    parts = (sums.error, sums.absolute, sums.squares, sums.fourth)
    if sums.n < 2 or not all(math.isfinite(part) for part in parts):
        reason = "fewer than two rows" if sums.n < 2 else "an error is too large to be summed"
        return {name: Metric(None, sums.n, reason=reason) for name in ("mae", "rmse", "bias")}
    n = sums.n
    absolute, bias, squared = sums.absolute / n, sums.error / n, sums.squares / n
    low, high = _mean_interval(squared, sums.fourth, n)
    roots = (math.sqrt(max(0.0, low)), math.sqrt(max(0.0, high)))
    normal = "normal interval of a mean, 95 %"
    return {
        "mae": Metric(
            absolute, n, _mean_interval(absolute, sums.squares, n), f"mean absolute error; {normal}"
        ),
        "rmse": Metric(
            math.sqrt(squared), n, roots, "root mean squared error; interval of the mean square"
        ),
        "bias": Metric(
            bias, n, _mean_interval(bias, sums.squares, n), f"prediction minus outcome; {normal}"
        ),
    }


def _mean_interval(mean: float, squares: float, n: int) -> Interval:
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    half = _Z * math.sqrt(variance / n)
    return mean - half, mean + half
