"""Column profiles: exact or binned weighted distributions, built, merged and reduced with NumPy.

A profile is all that drift needs to know of a column. Sorting is the only costly step (a million
floats take about 10 ms), so a profile is built with one sort and no hash table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.observation import ColumnProfile

MAX_BINS = 4096


def profile_numeric(
    values: NDArray[Any], *, nulls: int = 0, infinite: int = 0, overwrite: bool = False
) -> ColumnProfile:
    """Build the exact profile of a numeric column.

    Args:
        values: Numbers in any order; NaN counts as null, infinities are counted and left out.
        nulls: Null rows that are not among the values.
        infinite: Infinite rows that are not among the values.
        overwrite: Sort the given array itself instead of a copy; saves memory for large columns.

    Returns:
        A profile with one support point per distinct finite value.
    """
    own = overwrite and values.dtype == np.float64 and values.flags.writeable
    ordered = values if own else np.array(values, dtype=np.float64)
    ordered.sort()
    # After sorting, -inf stands first, then the finite values, then +inf, then NaN.
    first, last, end = (
        int(np.searchsorted(ordered, -np.inf, side="right")),
        int(np.searchsorted(ordered, np.inf, side="left")),
        int(np.searchsorted(ordered, np.inf, side="right")),
    )
    support, counts = _run_lengths(ordered[first:last])
    return ColumnProfile(
        kind="numeric",
        support=support,
        counts=counts,
        nulls=nulls + len(ordered) - end,
        infinite=infinite + first + (end - last),
        n=len(ordered) + nulls + infinite,
    )


def profile_categorical(
    values: Sequence[Any], counts: Iterable[int], *, nulls: int = 0
) -> ColumnProfile:
    """Build the profile of a categorical column from its counted values.

    Args:
        values: Categories; None counts as null, everything else is taken by its text.
        counts: Rows per category.
        nulls: Null rows that are not among the values.

    Returns:
        A profile with one support point per distinct category that occurs.
    """
    return from_counts("categorical", values, counts, nulls=nulls)


def from_counts(
    kind: Literal["numeric", "categorical"],
    values: Sequence[Any] | NDArray[Any],
    counts: Iterable[int],
    *,
    nulls: int = 0,
    infinite: int = 0,
) -> ColumnProfile:
    """Build a profile from values that are already counted.

    Args:
        kind: Kind of the column.
        values: Values in any order; a value may occur more than once.
        counts: Rows per value; values with no rows are left out.
        nulls: Null rows that are not among the values.
        infinite: Infinite rows that are not among the values.

    Returns:
        The exact profile.
    """
    weights = np.fromiter(counts, dtype=np.int64, count=len(values))
    if kind == "categorical":
        return _categorical_from_counts(values, weights, nulls)
    points = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    unknown, unbounded = np.isnan(points), np.isinf(points)
    nulls += int(weights[unknown].sum())
    infinite += int(weights[unbounded].sum())
    kept = ~unknown & ~unbounded & (weights > 0)
    support, totals = _combine(points[kept], weights[kept])
    n = int(totals.sum()) + nulls + infinite
    return ColumnProfile("numeric", support, totals, nulls, infinite, n)


def _categorical_from_counts(
    values: Sequence[Any] | NDArray[Any], weights: NDArray[np.int64], nulls: int
) -> ColumnProfile:
    totals: dict[str, int] = {}
    for value, weight in zip(values, weights.tolist(), strict=True):
        if value is None:
            nulls += weight
        elif weight > 0:
            totals[str(value)] = totals.get(str(value), 0) + weight
    support = np.array(sorted(totals), dtype=object)
    counts = np.array([totals[key] for key in support], dtype=np.int64)
    return ColumnProfile("categorical", support, counts, nulls, 0, int(counts.sum()) + nulls)


def merge(first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    """Profile of the rows of both profiles together; exact if both are.

    Args:
        first: A profile.
        second: A profile of the same kind.

    Returns:
        The merged profile.

    Raises:
        ValueError: If the kinds differ.
    """
    if first.kind != second.kind:
        raise ValueError("profiles of different kinds cannot be merged")
    support, counts = _combine(
        np.concatenate([first.support, second.support]),
        np.concatenate([first.counts, second.counts]),
    )
    return ColumnProfile(
        kind=first.kind,
        support=support,
        counts=counts,
        nulls=first.nulls + second.nulls,
        infinite=first.infinite + second.infinite,
        n=first.n + second.n,
        exact=first.exact and second.exact,
    )


def rebin(profile: ColumnProfile, bins: int = MAX_BINS) -> ColumnProfile:
    """Reduce a numeric profile to quantile bins.

    Each bin holds about the same number of rows and is represented by its mean, so the mean of the
    column stays and its spread shrinks by the spread within the bins only. A value with more rows
    than a bin keeps a bin of its own.

    Args:
        profile: A numeric profile; categorical profiles are returned unchanged.
        bins: Largest number of support points.

    Returns:
        A profile with at most ``bins`` support points; the same profile if it already has so few.
    """
    if profile.kind == "categorical" or len(profile.support) <= bins:
        return profile
    edges = -(-np.arange(bins, dtype=np.int64) * profile.valid // bins)
    if all_distinct(profile):
        starts = edges
    else:
        # The middle of a value's rows decides its bin: a heavy value cannot straddle two.
        middle = np.cumsum(profile.counts) - (profile.counts + 1) // 2
        starts = np.unique(np.searchsorted(middle, edges))
        starts = starts[starts < len(middle)]
    counts = np.add.reduceat(profile.counts, starts)
    # Offsets from a value in the middle keep the sums small where values lie far from zero.
    origin = profile.support[len(profile.support) // 2]
    offsets = np.add.reduceat((profile.support - origin) * profile.counts, starts)
    return ColumnProfile(
        kind="numeric",
        support=origin + offsets / counts,
        counts=counts,
        nulls=profile.nulls,
        infinite=profile.infinite,
        n=profile.n,
        exact=False,
    )


def all_distinct(profile: ColumnProfile) -> bool:
    """Whether every row has a value of its own, so that all counts are 1."""
    return len(profile.support) == profile.valid


def ones(n: int) -> NDArray[np.int64]:
    """Counts of ``n`` distinct values: a read-only view of a single 1, which takes no memory."""
    return np.broadcast_to(np.int64(1), (n,))


def missing_share(profile: ColumnProfile) -> float | None:
    """Share of rows without a value (null or NaN); None for a profile without rows."""
    return profile.nulls / profile.n if profile.n else None


def infinite_share(profile: ColumnProfile) -> float | None:
    """Share of rows with an infinite value; None for a profile without rows."""
    return profile.infinite / profile.n if profile.n else None


def unseen(reference: ColumnProfile, current: ColumnProfile) -> tuple[int, int]:
    """Rows and distinct values of the current profile that the reference does not have.

    Args:
        reference: Profile of the reference.
        current: Profile of the current window.

    Returns:
        Number of rows and number of distinct values.
    """
    if reference.kind == "numeric":
        new = ~np.isin(current.support, reference.support, assume_unique=True)
    else:
        known = set(reference.support.tolist())
        new = np.array([value not in known for value in current.support], dtype=bool)
    return int(current.counts[new].sum()), int(new.sum())


def _run_lengths(ordered: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct values of a sorted array and how often each occurs."""
    if len(ordered) == 0:
        return ordered, np.empty(0, dtype=np.int64)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    if len(changes) == len(ordered) - 1:
        # All distinct, the usual case of a measured quantity: a view of a single 1 costs no memory.
        return ordered, ones(len(ordered))
    starts = np.concatenate(([0], changes + 1))
    return ordered[starts], np.diff(starts, append=len(ordered))


def _combine(
    values: NDArray[Any], counts: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sort values and add the counts of equal ones."""
    if len(values) == 0:
        return values, counts
    order = np.argsort(values, kind="stable")  # runs that are already sorted merge in linear time
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return ordered[starts], np.add.reduceat(counts[order], starts)
