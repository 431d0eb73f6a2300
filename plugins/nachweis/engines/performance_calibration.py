"""Whether scores mean what they say, and an isotonic curve that makes them do so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nachweis.engines.intervals import wilson_interval
from nachweis.engines.performance import Array, Interval, Metric, ScoreCounts, brier_score

BINS = 10
_LEVEL = 0.95


def quantile_for(comparisons: int, level: float = _LEVEL) -> float:
    """Two-sided normal quantile that holds for several intervals together (Bonferroni).

    Args:
        comparisons: How many intervals.
        level: Level of all of them together.

    Returns:
        The quantile.
    """
    return NormalDist().inv_cdf(1 - (1 - level) / (2 * max(1, comparisons)))


def mean_gap(counts: ScoreCounts) -> Metric:
    """Calibration in the large: mean score minus share of positive outcomes.

    Args:
        counts: Rows per score.

    Returns:
        The difference with a normal interval; undefined where scores are no probabilities.
    """
    brier = brier_score(counts)
    if brier.value is None:
        return Metric(None, counts.n, reason=brier.reason)
    n = counts.n
    value = float((counts.rows * counts.score).sum() - counts.positives.sum()) / n
    variance = max(0.0, brier.value - value * value) / max(1, n - 1)
    half = quantile_for(1) * math.sqrt(variance)
    recipe = "mean score minus share of positive outcomes; normal interval of a mean, 95 %"
    return Metric(value, n, (value - half, value + half), recipe)


def expected_calibration_error(counts: ScoreCounts, bins: int = BINS) -> Metric:
    """Mean distance of score and outcome over bins of equal width, weighted by rows.

    Args:
        counts: Rows per score.
        bins: Number of bins between 0 and 1.

    Returns:
        The error. Its interval adds up the distances from each bin's mean score to the nearest and
        the farthest limit of Wilson's interval of its outcomes, all bins together at 95 %, so that
        chance alone rarely lifts the lower limit above 0.
    """
    n = counts.n
    if n == 0 or counts.score[0] < 0 or counts.score[-1] > 1:
        reason = "scores lie outside 0 to 1" if n else "there are no rows with score and outcome"
        return Metric(None, n, reason=reason)
    place = np.minimum((counts.score * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, counts.rows, bins)
    scored = np.bincount(place, counts.rows * counts.score, bins)
    happened = np.bincount(place, counts.positives, bins)
    filled = np.flatnonzero(rows > 0)
    z = quantile_for(len(filled))
    value = low = high = 0.0
    for one in filled:
        mean, weight = scored[one] / rows[one], rows[one] / n
        limits = wilson_interval(int(happened[one]), int(rows[one]), z)
        value += weight * abs(mean - happened[one] / rows[one])
        low += weight * max(0.0, limits[0] - mean, mean - limits[1])
        high += weight * max(abs(limits[0] - mean), abs(limits[1] - mean))
    recipe = f"expected calibration error over {bins} bins of equal width; Wilson limits per bin"
    return Metric(value, n, (low, high), recipe)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """An isotonic curve from scores to probabilities; linear between its points, flat beyond.

    Attributes:
        score: Scores of the reference, ascending.
        probability: Fitted probability at each.
        block: Number of the block of equal probability that each belongs to.
        block_rows: Rows of the reference per block.
        block_probability: Probability per block.
    """

    score: Array
    probability: Array
    block: np.ndarray
    block_rows: Array
    block_probability: Array

    def probabilities(self, score: Array) -> Array:
        """Probability at each score."""
        return np.interp(score, self.score, self.probability)

    def outside(self, score: Array, rows: Array) -> float:
        """Share of rows whose score the reference does not reach."""
        beyond = (score < self.score[0]) | (score > self.score[-1])
        total = float(rows.sum())
        return float(rows[beyond].sum()) / total if total else 0.0

    def variance(self, score: Array, slope: Array) -> float:
        """Variance that the reference's limited size gives a number computed from the curve.

        Args:
            score: Scores at which the curve is used.
            slope: Derivative of the number by the probability at each score.

        Returns:
            The variance by the delta method.
        """
        right = np.clip(np.searchsorted(self.score, score), 1, max(1, len(self.score) - 1))
        right = np.minimum(right, len(self.score) - 1)
        left = np.maximum(right - 1, 0)
        width = self.score[right] - self.score[left]
        part = np.where(width > 0, (score - self.score[left]) / np.where(width > 0, width, 1), 1.0)
        part = np.clip(part, 0.0, 1.0)
        blocks = len(self.block_rows)
        total = np.bincount(self.block[right], slope * part, blocks)
        total += np.bincount(self.block[left], slope * (1 - part), blocks)
        # Two successes and two failures are added: a block of one class is not known for certain.
        n = self.block_rows + 4
        p = (self.block_probability * self.block_rows + 2) / n
        return float((total**2 * p * (1 - p) / n).sum())


def isotonic(counts: ScoreCounts) -> Calibrator:
    """Fit the curve by pooling adjacent violators (weighted least squares).

    Args:
        counts: Rows per score of labelled reference data; at least one row.

    Returns:
        The curve; equal to scikit-learn's ``IsotonicRegression(out_of_bounds="clip")``.
    """
    hits: list[float] = []
    rows: list[float] = []
    members: list[int] = []
    for positive, n in zip(counts.positives.tolist(), counts.rows.tolist(), strict=True):
        hits.append(positive)
        rows.append(n)
        members.append(1)
        while len(rows) > 1 and hits[-2] * rows[-1] >= hits[-1] * rows[-2]:
            last = hits.pop(), rows.pop(), members.pop()
            hits[-1] += last[0]
            rows[-1] += last[1]
            members[-1] += last[2]
    block_rows = np.array(rows)
    probability = np.array(hits) / block_rows
    block = np.repeat(np.arange(len(members)), members)
    return Calibrator(counts.score, probability[block], block, block_rows, probability)


def clipped(value: float, half: float) -> Interval:
    """An interval around a share, within 0 and 1."""
    return max(0.0, value - half), min(1.0, value + half)
