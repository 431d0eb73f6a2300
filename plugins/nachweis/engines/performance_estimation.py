"""Quality before outcomes arrive: confidence-based performance estimation (CBPE).

Scores are turned into probabilities by an isotonic curve fitted on the reference; the probabilities
give an expected confusion matrix of the current rows, and that gives the expected metrics. The
interval is meant for the value that will be realised: it holds the chance of the outcomes and the
limited size of the reference. It assumes that the curve still holds (no concept drift) and that the
current scores lie where the reference has rows.

With one score per class, each class has its own curve (one against the rest), as NannyML has; the
probabilities of a row are not scaled to add up to 1 afterwards, because rows are only counted here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nachweis.engines.performance import Array, Metric
from nachweis.engines.performance_calibration import Calibrator, clipped, quantile_for

RECIPE = (
    "CBPE: isotonic calibration on the reference, expected confusion matrix; assumes that scores "
    "still mean what they meant in the reference; 95 % interval of the value to be realised"
)

CLASSES_RECIPE = (
    "CBPE with one isotonic curve per class, fitted on the reference; assumes that scores still "
    "mean what they meant in the reference; 95 % interval of the value to be realised, "
)


@dataclass(frozen=True, slots=True)
class Scored:
    """Current rows per score, ascending, without outcomes.

    Attributes:
        score: Mean score of the rows that share a place.
        selected: Rows predicted positive at each score.
        rest: Rows predicted negative at each score.
    """

    score: Array
    selected: Array
    rest: Array

    @property
    def rows(self) -> Array:
        """Rows at each score."""
        return self.selected + self.rest


def estimate(current: Scored, curve: Calibrator) -> dict[str, Metric]:
    """Expected accuracy, precision, recall, F1 and ROC AUC.

    Args:
        current: Current rows per score.
        curve: Curve of the reference.

    Returns:
        Metric by name; one whose expected denominator is 0 is undefined.
    """
    p = curve.probabilities(current.score)
    rows, n = current.rows, float(current.rows.sum())
    hits, chosen = float((current.selected * p).sum()), float(current.selected.sum())
    positives = float((rows * p).sum())
    right = hits + float((current.rest * (1 - p)).sum())
    sized = _Sizer(current, curve, p)
    both = chosen + positives
    return {
        "accuracy": sized(right, n, 1.0, -1.0),
        "precision": sized(hits, chosen, 1.0, 0.0),
        "recall": sized(hits, positives, 1 - _ratio(hits, positives), -_ratio(hits, positives)),
        "f1": sized(2 * hits, both, 2 - _ratio(2 * hits, both), -_ratio(2 * hits, both)),
        "roc_auc": _roc_auc(current, sized, p),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class _Sizer:
    """Makes metrics of ratios and gives them their intervals."""

    current: Scored
    curve: Calibrator
    p: Array

    def __call__(self, part: float, whole: float, chosen: float, rest: float) -> Metric:
        """A ratio, given its numerator's derivatives by the probability of a row (times whole)."""
        n = int(self.current.rows.sum())
        if whole <= 0:
            return Metric(None, n, reason="the expected denominator is 0")
        half = self.half(np.full_like(self.p, chosen / whole), np.full_like(self.p, rest / whole))
        return Metric(part / whole, n, clipped(part / whole, half), RECIPE)

    def half(self, chosen: Array, rest: Array) -> float:
        """Half the interval, given derivatives by the probability of rows of both predictions."""
        certain = self.p * (1 - self.p)
        drawn = (self.current.selected * chosen**2 + self.current.rest * rest**2) * certain
        slope = self.current.selected * chosen + self.current.rest * rest
        variance = float(drawn.sum()) + self.curve.variance(self.current.score, slope)
        return quantile_for(1) * math.sqrt(variance)


def _roc_auc(current: Scored, sized: _Sizer, p: Array) -> Metric:
    rows = current.rows
    positives, negatives = rows * p, rows * (1 - p)
    all_positives, all_negatives = float(positives.sum()), float(negatives.sum())
    if all_positives <= 0 or all_negatives <= 0:
        return Metric(None, int(rows.sum()), reason="one class only is expected")
    below = np.cumsum(negatives) - negatives / 2
    above = all_positives - np.cumsum(positives) + positives / 2
    pairs = all_positives * all_negatives
    value = float((positives * below).sum()) / pairs
    slope = (below - above) / pairs - value * (1 / all_positives - 1 / all_negatives)
    return Metric(value, int(rows.sum()), clipped(value, sized.half(slope, slope)), RECIPE)


def expected_accuracy(confidence: Array, rows: Array, curve: Calibrator) -> Metric:
    """Expected share of right predictions from the confidence in the predicted class.

    Args:
        confidence: Confidences, ascending.
        rows: Rows at each.
        curve: Curve from confidence to the share of right predictions of the reference.

    Returns:
        The metric; undefined without rows.
    """
    current = Scored(confidence, rows, np.zeros_like(rows))
    return estimate(current, curve)["precision"]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class against the rest.

    Attributes:
        current: Current rows per score of this class; selected are those predicted as it.
        curve: Curve from this class's score to its share of the reference.
    """

    current: Scored
    curve: Calibrator


def estimate_classes(classes: Mapping[str, ClassScores]) -> dict[str, Metric]:
    """Expected accuracy, macro F1 and macro ROC AUC of several classes.

    Args:
        classes: Class to its current scores and its curve; every row is predicted as one of them.

    Returns:
        Metric by name. The macro averages go over classes that are predicted or expected, as
        scikit-learn's do over those that occur; ROC AUC is one against the rest.
    """
    parts = {name: estimate(one.current, one.curve) for name, one in classes.items()}
    occurring = [found for found in parts.values() if found["f1"].value is not None]
    return {
        "accuracy": _accuracy(list(classes.values())),
        "macro_f1": _mean([found["f1"] for found in occurring]),
        "macro_roc_auc": _mean([found["roc_auc"] for found in occurring]),
    }


def _accuracy(classes: Sequence[ClassScores]) -> Metric:
    n = sum(float(one.current.selected.sum()) for one in classes)
    if n <= 0:
        return Metric(None, 0, reason="there are no predictions")
    hits = variance = 0.0
    for one in classes:
        p = one.curve.probabilities(one.current.score)
        hits += float((one.current.selected * p).sum())
        slope = np.full_like(p, 1 / n)
        # Each row counts through the class that it is predicted as, so that variances add up.
        half = _Sizer(one.current, one.curve, p).half(slope, np.zeros_like(p))
        variance += half**2
    interval = clipped(hits / n, math.sqrt(variance))
    recipe = f"{CLASSES_RECIPE}variances of the classes added"
    return Metric(hits / n, int(n), interval, recipe)


def _mean(metrics: Sequence[Metric]) -> Metric:
    known = [metric for metric in metrics if metric.value is not None]
    if not metrics or len(known) < len(metrics):
        reason = next((m.reason for m in metrics if m.value is None), "no class is expected")
        return Metric(None, 0, reason=reason)
    value = sum(metric.value or 0.0 for metric in known) / len(known)
    half = sum(_half(metric) for metric in known) / len(known)
    recipe = f"{CLASSES_RECIPE}no narrower than any dependence between the classes makes it"
    return Metric(value, known[0].n, clipped(value, half), recipe)


def _half(metric: Metric) -> float:
    """Half of an interval that may have been cut off at 0 or 1 on one side."""
    if metric.value is None or metric.interval is None:
        return 0.0
    return max(metric.value - metric.interval[0], metric.interval[1] - metric.value)
