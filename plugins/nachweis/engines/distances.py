"""Distances and two-sample tests between column profiles, equal in value to Evidently's.

Every method takes two profiles and returns a number together with the cells it looked at. Nulls
and infinities are no part of a profile's support, so they are left out, as Evidently does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from nachweis.domain.errors import NachweisError, UndefinedError, suggestion
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.drift_method import PARITY, Method, Score
from nachweis.engines.shares import (
    Floats,
    binned_shares,
    counts_by_value,
    hellinger,
    jensen_shannon,
    kullback_leibler,
    population_stability,
    rows_of,
    shares_by_value,
    sturges_edges,
    support_range,
    value_or_bin_shares,
)
from nachweis.engines.two_sample import TWO_SAMPLE_TESTS

__all__ = ["METHODS", "PARITY", "Method", "Score", "method_for", "standard_deviation"]

_LARGEST_EXACT_KS = 10_000  # scipy's ks_2samp turns to the asymptotic distribution above
_PIECE = 16_384
SMALLEST_SPREAD = 0.001  # Evidently's floor of the standard deviation


# ------------------------------------------------------------------------------------- methods


def _on_shares(
    kernel: Callable[[Floats, Floats], Floats], note: str
) -> Callable[[ColumnProfile, ColumnProfile], Score]:
    def score(reference: ColumnProfile, current: ColumnProfile) -> Score:
        p, q, cells = value_or_bin_shares(reference, current)
        return Score(float(kernel(p, q)), f"{cells}; {note}")

    return score


def _hellinger(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Hellinger distance; Evidently lays its bins over the distinct values, however few."""
    if reference.kind == "categorical":
        p, q = shares_by_value(reference, current)
        return Score(float(hellinger(p, q)), f"{len(p)} values")
    low, high = support_range(reference, current)
    distinct = len(np.union1d(reference.support, current.support))
    edges = sturges_edges(low, high, distinct)
    p, q = binned_shares(reference, edges), binned_shares(current, edges)
    return Score(
        float(hellinger(p, q)),
        f"{len(edges) - 1} equal-width Sturges bins over the distinct values",
    )


def standard_deviation(profile: ColumnProfile) -> float:
    """Population standard deviation of a numeric profile."""
    mean = float(np.sum(profile.support * profile.counts)) / profile.valid
    deviation = profile.support - mean
    np.square(deviation, out=deviation)
    deviation *= profile.counts
    return float(np.sqrt(np.sum(deviation) / profile.valid))


def _wasserstein(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """First Wasserstein distance over the reference's standard deviation."""
    parts = [
        float(np.sum(np.abs(difference, out=difference) * gaps))
        for gaps, difference in _distribution_differences(reference, current)
    ]
    distance = math.fsum(parts) / (reference.valid * current.valid)
    spread = max(standard_deviation(reference), SMALLEST_SPREAD)
    return Score(distance / spread, "all values; divided by max(reference std, 0.001)")


def _wasserstein_of_shares(reduced: ColumnProfile, p: Floats, resampled: Floats) -> Floats:
    spread = max(standard_deviation(reduced), SMALLEST_SPREAD)
    between = np.abs(np.cumsum(resampled - p, axis=1)[:, :-1])
    return np.asarray(between @ np.diff(reduced.support) / spread)


def _energy(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Energy distance, in the square root of the column's unit."""
    parts = [
        float(np.sum(np.square(difference, out=difference) * gaps))
        for gaps, difference in _distribution_differences(reference, current)
    ]
    squared = 2 * math.fsum(parts) / (float(reference.valid) * float(current.valid)) ** 2
    return Score(math.sqrt(squared), "all values; not divided by the column's spread")


def _energy_of_shares(reduced: ColumnProfile, p: Floats, resampled: Floats) -> Floats:
    between = np.square(np.cumsum(resampled - p, axis=1)[:, :-1])
    return np.asarray(np.sqrt(2 * (between @ np.diff(reduced.support))))


def _kolmogorov_smirnov(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Two-sided K-S p-value: exact up to 10,000 rows, then scipy's asymptotic distribution."""
    from scipy import stats

    smaller, larger = sorted((reference.valid, current.valid))
    if larger <= _LARGEST_EXACT_KS:
        p_value = stats.ks_2samp(*rows_of(reference, current)).pvalue
        return Score(float(p_value), "all values; exact distribution")
    largest = max(
        float(np.max(np.abs(difference), where=gaps > 0, initial=0.0))
        for gaps, difference in _distribution_differences(reference, current)
    )
    statistic = largest / (smaller * larger)
    effective = np.round(float(larger) * float(smaller) / (larger + smaller))
    p_value = float(np.clip(stats.kstwo.sf(statistic, effective), 0, 1))
    return Score(p_value, "all values; asymptotic distribution")


def _distribution_differences(
    reference: ColumnProfile, current: ColumnProfile
) -> Iterator[tuple[Floats, Floats]]:
    """Walk through all points in order, in pieces that stay in the processor's cache.

    A point that both profiles have stands twice: the first time with gap 0 and half a difference.
    The last point has gap 0 too; both distribution functions are 1 there.

    Yields:
        Per point: the gap to the next one, and reference's minus current's distribution function
        times the rows of both. Scaled so, every sum is a whole number and exact (below 2**53).
    """
    level = 0.0
    starts = _pieces(reference.support, current.support)
    for (i, j), (next_i, next_j) in pairwise(starts):
        points = np.concatenate([reference.support[i:next_i], current.support[j:next_j]])
        steps = np.empty(len(points))
        np.multiply(reference.counts[i:next_i], current.valid, out=steps[: next_i - i])
        np.multiply(current.counts[j:next_j], -reference.valid, out=steps[next_i - i :])
        order = np.argsort(points, kind="stable")  # two sorted runs: merged in linear time
        points, difference = points[order], steps[order]
        difference[0] += level
        np.cumsum(difference, out=difference)
        level = float(difference[-1])
        following = [*reference.support[next_i : next_i + 1], *current.support[next_j : next_j + 1]]
        yield np.diff(points, append=min(following, default=points[-1])), difference


def _pieces(first: Floats, second: Floats) -> list[tuple[int, int]]:
    """Positions that cut two sorted arrays at the same values, with both ends."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    cuts = np.arange(_PIECE, len(longer), _PIECE)
    other = np.searchsorted(shorter, longer[cuts])
    pairs = zip(*((cuts, other) if longer is first else (other, cuts)), strict=True)
    return [(0, 0), *((int(i), int(j)) for i, j in pairs), (len(first), len(second))]


def _chi_square(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Chi-square goodness of fit of the current counts to the reference's shares."""
    from scipy import stats

    expected, observed = counts_by_value(reference, current)
    if len(observed) < 2:
        raise UndefinedError("there is only one value in reference and current together")
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = expected * (current.valid / reference.valid)
        p_value = float(stats.chisquare(observed, scaled).pvalue)
    return Score(p_value, f"{len(observed)} values; reference shares taken as known")


def _z_test(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Two-sided z-test of the share of rows that do not hold the smallest value."""
    from scipy import stats

    first, second = counts_by_value(reference, current)
    if len(first) == 1:
        return Score(1.0, "1 value in both")
    share_first = 1 - first[0] / reference.valid
    share_second = 1 - second[0] / current.valid
    pooled = 1 - (first[0] + second[0]) / (reference.valid + current.valid)
    error = np.sqrt(pooled * (1 - pooled) * (1 / reference.valid + 1 / current.valid))
    p_value = float(2 * stats.norm.sf(abs(share_first - share_second) / error))
    return Score(p_value, f"smallest of {len(first)} values against the rest")


_BOTH = ("numeric", "categorical")
_EMPTY_KEPT = "empty cells kept; natural logarithm"
_EMPTY_FILLED = "empty cells filled with 0.0001 or a millionth of the smallest share"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("ks", "K-S p-value", 0.05, "at_most", ("numeric",), _kolmogorov_smirnov),
        Method("chisquare", "chi-square p-value", 0.05, "below", _BOTH, _chi_square),
        Method("z", "z-test p-value", 0.05, "below", _BOTH, _z_test),
        Method(
            "wasserstein",
            "Wasserstein distance (normed)",
            0.1,
            "at_least",
            ("numeric",),
            _wasserstein,
            between=_wasserstein_of_shares,
            is_metric=True,
        ),
        Method(
            "ed",
            "energy distance",
            0.1,
            "above",
            ("numeric",),
            _energy,
            between=_energy_of_shares,
            is_metric=True,
        ),
        Method(
            "jensenshannon",
            "Jensen-Shannon distance",
            0.1,
            "at_least",
            _BOTH,
            _on_shares(jensen_shannon, _EMPTY_KEPT),
            jensen_shannon,
            is_metric=True,
        ),
        Method(
            "psi",
            "PSI",
            0.1,
            "at_least",
            _BOTH,
            _on_shares(population_stability, _EMPTY_FILLED),
            population_stability,
        ),
        Method(
            "kl_div",
            "Kullback-Leibler divergence",
            0.1,
            "at_least",
            _BOTH,
            _on_shares(kullback_leibler, _EMPTY_FILLED),
            kullback_leibler,
        ),
        Method("hellinger", "Hellinger distance", 0.1, "at_least", _BOTH, _hellinger, hellinger),
        *TWO_SAMPLE_TESTS,
    )
}


def method_for(name: str, kind: str) -> Method:
    """Look a method up.

    Args:
        name: Its name.
        kind: Kind of the column, ``numeric`` or ``categorical``.

    Returns:
        The method.

    Raises:
        NachweisError: If there is no such method for this kind of column.
    """
    valid = sorted(key for key, value in METHODS.items() if kind in value.kinds)
    if name not in valid:
        raise NachweisError(
            f'there is no drift method "{name}" for {kind} columns',
            remedy=suggestion(name, valid),
            valid=valid,
        )
    return METHODS[name]
