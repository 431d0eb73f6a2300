"""Shares of rows per cell of two profiles, and the distances between such shares.

Cells are values or, for numbers with many values, equal-width bins laid as Evidently lays them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ColumnProfile

Floats = NDArray[np.float64]

_FEW_VALUES = 20  # Evidently counts values instead of binning numbers up to here


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Jensen-Shannon distance with the natural logarithm; the last axis runs over the cells."""
    p, q = _normalised(p), _normalised(q)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def population_stability(p: Floats, q: Floats) -> Floats:
    """Population stability index, empty cells filled as Evidently fills them."""
    p, q = _filled(p), _filled(q)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def kullback_leibler(p: Floats, q: Floats) -> Floats:
    """Kullback-Leibler divergence of q from p, empty cells filled as Evidently fills them."""
    return _relative_entropy(_normalised(_filled(p)), _normalised(_filled(q)))


def hellinger(p: Floats, q: Floats) -> Floats:
    """Hellinger distance."""
    return np.asarray(np.sqrt(1 - np.clip(np.sqrt(p * q).sum(axis=-1), 0, 1)))


def _normalised(shares: Floats) -> Floats:
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    ratio = np.divide(p, q, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=p > 0)
    return np.asarray((p * np.log(ratio)).sum(axis=-1))


def _filled(shares: Floats) -> Floats:
    """Replace empty cells by 0.0001, or by a millionth of the smallest share if that is smaller."""
    smallest = np.min(shares, axis=-1, keepdims=True, initial=1.0, where=shares > 0)
    return np.where(shares == 0, np.where(smallest <= 0.0001, smallest / 1e6, 0.0001), shares)


# --------------------------------------------------------------------------------------- cells


def sturges_edges(low: float, high: float, size: int) -> Floats:
    """Edges of equal-width bins by Sturges' rule, as NumPy lays them.

    Args:
        low: Smallest value.
        high: Largest value.
        size: Number of values.

    Returns:
        The edges, one more than there are bins.

    Raises:
        UndefinedError: If the values lie too close together for so many bins.
    """
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    width = (high - low) / (np.log2(size) + 1.0)
    edges = np.linspace(low, high, int(np.ceil((high - low) / width)) + 1)
    if np.any(edges[:-1] >= edges[1:]):
        raise UndefinedError("the values lie too close together to be put into bins")
    return edges


def shares_by_value(reference: ColumnProfile, current: ColumnProfile) -> tuple[Floats, Floats]:
    """Shares of rows per value that occurs in either profile, in the order of the values."""
    reference_counts, current_counts = counts_by_value(reference, current)
    return reference_counts / reference.valid, current_counts / current.valid


def counts_by_value(
    reference: ColumnProfile, current: ColumnProfile
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows per value that occurs in either profile, in the order of the values."""
    values = np.union1d(reference.support, current.support)
    aligned = []
    for profile in (reference, current):
        counts = np.zeros(len(values), dtype=np.int64)
        counts[np.searchsorted(values, profile.support)] = profile.counts
        aligned.append(counts)
    return aligned[0], aligned[1]


def rows_of(*profiles: ColumnProfile) -> list[Floats]:
    """The rows of numeric profiles, sorted."""
    return [np.repeat(profile.support, profile.counts) for profile in profiles]


def binned_shares(profile: ColumnProfile, edges: Floats) -> Floats:
    """Shares of a profile's rows per bin."""
    counts = np.histogram(profile.support, bins=edges, weights=profile.counts)[0]
    return np.asarray(counts / profile.valid)


def value_or_bin_shares(
    reference: ColumnProfile, current: ColumnProfile
) -> tuple[Floats, Floats, str]:
    """Shares of both profiles in the same cells, and what the cells are, in words."""
    if reference.kind == "categorical" or len(reference.support) <= _FEW_VALUES:
        p, q = shares_by_value(reference, current)
        return p, q, f"{len(p)} values"
    low, high = support_range(reference, current)
    edges = sturges_edges(low, high, reference.valid + current.valid)
    cells = f"{len(edges) - 1} equal-width Sturges bins over reference and current together"
    return binned_shares(reference, edges), binned_shares(current, edges), cells


def support_range(reference: ColumnProfile, current: ColumnProfile) -> tuple[float, float]:
    """Smallest and largest value of two numeric profiles together."""
    low = min(reference.support[0], current.support[0])
    high = max(reference.support[-1], current.support[-1])
    return float(low), float(high)


def null_cells(reference: ColumnProfile, n: int, *, of_distinct: bool = False) -> Floats:
    """The reference's shares in the cells a method would compare it in with ``n`` further rows.

    Args:
        reference: Profile of the reference.
        n: Rows that would be compared with it.
        of_distinct: Whether the method lays its bins over the distinct values.

    Returns:
        Shares of the cells.
    """
    few = reference.kind == "categorical" or len(reference.support) <= _FEW_VALUES
    if few and not (of_distinct and reference.kind == "numeric"):
        return np.asarray(reference.counts / reference.valid)
    size = len(reference.support) if of_distinct else reference.valid + n
    low, high = support_range(reference, reference)
    return binned_shares(reference, sturges_edges(low, high, size))
