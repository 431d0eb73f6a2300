"""Drift of a column between two profiles, with the default rules and values of Evidently.

A drifted column is not yet a failure: :func:`enough_rows` says whether so few rows could show such
a distance by chance alone, and :func:`benjamini_hochberg` corrects a family of p-values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.distances import (
    METHODS,
    Method,
    method_for,
)
from nachweis.engines.profiles import (
    from_counts,
    infinite_share,
    merge,
    missing_share,
    profile_categorical,
    profile_numeric,
    rebin,
    unseen,
)
from nachweis.engines.shares import Floats, null_cells
from nachweis.engines.spilling import release

__all__ = [
    "METHODS",
    "SMALLEST_SAMPLE",
    "DriftResult",
    "RowsVerdict",
    "benjamini_hochberg",
    "choose_method",
    "drift",
    "enough_rows",
    "from_counts",
    "infinite_share",
    "merge",
    "missing_share",
    "null_quantile",
    "profile_categorical",
    "profile_numeric",
    "rebin",
    "unseen",
]

_SMALL_REFERENCE = 1000  # Evidently tests significance up to here, distance above
_FEW_VALUES = 5  # Evidently treats numbers with so few distinct values as categories
_NULL_BINS = 512
_NULL_DRAWS = 100
_NULL_CELLS_IN_FULL = 4096
_SMALLEST_EXPECTED = 5
SMALLEST_SAMPLE = 30
"""Rows below which no verdict is given, whatever was measured."""


@dataclass(frozen=True, slots=True)
class DriftResult:
    """The library's number and rule for one column.

    Attributes:
        method: Evidently's name of the method.
        value: Distance or p-value.
        threshold: The limit it was held against.
        drifted: Verdict of the method's rule.
        recipe: Method, cells, null handling, numbers of rows and parity, in words.
        n_reference: Rows of the reference with a finite value.
        n_current: Rows of the current window with a finite value.
        is_p_value: Whether ``value`` is a p-value, small where the column drifted.
    """

    method: str
    value: float
    threshold: float
    drifted: bool
    recipe: str
    n_reference: int
    n_current: int
    is_p_value: bool


@dataclass(frozen=True, slots=True)
class RowsVerdict:
    """Whether a window holds enough rows for a drift verdict; true in a condition if it does.

    Attributes:
        enough: The answer.
        smallest_detectable: For distances, what chance alone reaches at this number of rows (its
            95 % quantile); None for p-values.
        reason: The rule and the numbers, in one sentence.
    """

    enough: bool
    smallest_detectable: float | None
    reason: str

    def __bool__(self) -> bool:
        return self.enough


def choose_method(reference: ColumnProfile, current: ColumnProfile) -> str:
    """Choose the method as Evidently does by default.

    The choice depends on the reference's rows with a finite value and on the number of distinct
    values of both sets together.

    Args:
        reference: Profile of the reference.
        current: Profile of the current window.

    Returns:
        The method's name.
    """
    values = _distinct_up_to(reference, current, _FEW_VALUES + 1)
    continuous = reference.kind == "numeric" and values > _FEW_VALUES
    if reference.valid > _SMALL_REFERENCE:
        return "wasserstein" if continuous else "jensenshannon"
    if continuous:
        return "ks"
    return "chisquare" if values > 2 else "z"


def _distinct_up_to(reference: ColumnProfile, current: ColumnProfile, limit: int) -> int:
    """Distinct values of both profiles, or ``limit`` if there are at least so many."""
    if max(len(reference.support), len(current.support)) >= limit:
        return limit
    return min(limit, len(set(reference.support.tolist()) | set(current.support.tolist())))


def drift(
    reference: ColumnProfile,
    current: ColumnProfile,
    method: str | None = None,
    threshold: float | None = None,
) -> DriftResult:
    """Measure how far a column moved from its reference.

    Args:
        reference: Profile of the reference.
        current: Profile of the current window.
        method: Evidently's name of a method; None chooses as Evidently does.
        threshold: The limit; None takes Evidently's default for the method.

    Returns:
        The number and the verdict of the method's rule.

    Raises:
        UndefinedError: If a profile holds no finite value, the kinds differ, or the method has no
            finite value for these data.
        NachweisError: If there is no such method for this kind of column.
    """
    _require_comparable(reference, current)
    chosen = method_for(method or choose_method(reference, current), reference.kind)
    limit = chosen.threshold if threshold is None else threshold
    score = chosen.score(reference, current)
    release(reference, current)
    if not np.isfinite(score.value):
        raise UndefinedError(f"the {chosen.title} has no finite value for these data")
    return DriftResult(
        method=chosen.name,
        value=score.value,
        threshold=limit,
        drifted=chosen.drifted(score.value, limit),
        recipe=_recipe(chosen, score.cells, reference, current),
        n_reference=reference.valid,
        n_current=current.valid,
        is_p_value=chosen.is_p_value,
    )


def _require_comparable(reference: ColumnProfile, current: ColumnProfile) -> None:
    if reference.kind != current.kind:
        raise UndefinedError(
            f"the column is {reference.kind} in the reference and {current.kind} in the window"
        )
    for profile, name in ((reference, "reference"), (current, "window")):
        if profile.n == 0:
            raise UndefinedError(f"the {name} holds no rows")
        if profile.valid == 0:
            raise UndefinedError(f"the column holds no finite value in the {name}")


def _recipe(method: Method, cells: str, reference: ColumnProfile, current: ColumnProfile) -> str:
    exact = reference.exact and current.exact
    return "; ".join(
        [
            f"{method.title}: {cells}",
            "nulls and infinities left out",
            f"{reference.valid} reference rows and {current.valid} current rows",
            method.parity if exact else "on binned profiles, approximates Evidently 0.7.23",
        ]
    )


# ---------------------------------------------------------------------------- how many rows


def null_quantile(
    reference: ColumnProfile,
    n: int,
    method: str,
    *,
    draws: int = _NULL_DRAWS,
    level: float = 0.95,
    seed: int = 0,
) -> float:
    """The distance that chance alone reaches at ``n`` rows although nothing has changed.

    The reference is resampled and each sample is compared with it. Two approximations keep this
    to milliseconds for any number of rows. First, numeric references are reduced to 512 quantile
    bins before resampling. Second, that the reference is a sample itself is accounted for by the
    effective size ``n * n_reference / (n + n_reference)``, at which one sample varies around the
    truth as two samples of these sizes vary around each other. Both are compared with the full
    two-sample bootstrap in the tests.

    Args:
        reference: Profile of the reference.
        n: Rows of the window with a finite value.
        method: A distance, not a p-value.
        draws: Number of resamples; fewer are drawn beyond 4,096 categories, where the distance
            hardly varies.
        level: Which quantile of the resampled distances.
        seed: Seed of the random numbers.

    Returns:
        The quantile.

    Raises:
        UndefinedError: If there are no rows to resample.
        NachweisError: If the method is unknown.
        ValueError: If the method yields a p-value.
    """
    chosen = method_for(method, reference.kind)
    if n < 1 or reference.valid < 1:
        raise UndefinedError("there are no rows to resample")
    if chosen.between is not None:
        reduced = rebin(reference, _NULL_BINS)
        p = reduced.counts / reduced.valid
        distances_of: Callable[[Floats, Floats], Floats] = partial(chosen.between, reduced)
    elif chosen.kernel is not None:
        p = null_cells(reference, n, of_distinct=chosen.name == "hellinger")
        distances_of = chosen.kernel
    else:
        raise ValueError(f"{method} is a p-value: its level holds for any number of rows")
    release(reference)
    distances = distances_of(p, _resampled_shares(p, n, reference.valid, draws, seed))
    return float(np.quantile(distances, level))


def _resampled_shares(p: Floats, n: int, n_reference: int, draws: int, seed: int) -> Floats:
    effective = max(1, round(n * n_reference / (n + n_reference)))
    draws = max(10, min(draws, draws * _NULL_CELLS_IN_FULL // len(p)))
    generator = np.random.default_rng(seed)
    return np.asarray(generator.multinomial(effective, p, size=draws) / effective)


def enough_rows(
    reference: ColumnProfile,
    n: int,
    method: str,
    threshold: float | None = None,
    *,
    distance: float | None = None,
    seed: int = 0,
) -> RowsVerdict:
    """Whether a window of ``n`` rows can tell a drift of the size of the threshold from chance.

    Distances grow with noise: a small window lies far from its own reference. There must be so
    many rows that the 95 % quantile of chance stays below the threshold.

    Fewer rows are enough for a distance that chance does not explain. Where the distance is a
    metric, the triangle inequality bounds what lies behind it: the distance between reference and
    population is at least the measured one less the distance of the window from its population,
    for which the quantile stands. If the rest still reaches the threshold, the column differs;
    that it does *not* differ can never be said from so few rows. At least 30 rows are asked for
    all the same, because a handful may be one batch.

    A p-value takes the number of rows into account itself, so only the conditions of its
    approximation are asked for: chi-square and G-test want an expected count of at least 5 in at
    least 80 % of the reference's values and of at least 1 in all (Cochran 1954), the others at
    least 30 rows on each side. Evidently's chi-square takes the reference's shares as known; with a
    window as large as the reference it therefore rejects more often than its level says.

    Args:
        reference: Profile of the reference.
        n: Rows of the window with a finite value.
        method: The method that is used.
        threshold: The limit; None takes Evidently's default.
        distance: What was measured, to accept fewer rows for a large distance.
        seed: Seed of the resampling.

    Returns:
        The verdict with the numbers behind it.

    Raises:
        NachweisError: If the method is unknown.
    """
    chosen = method_for(method, reference.kind)
    if n < 1 or reference.valid < 1:
        return RowsVerdict(False, None, "there are no rows to compare")
    if chosen.name in ("chisquare", "g_test"):
        return _enough_for_chi_square(reference, n)
    if chosen.is_p_value:
        smaller = min(n, reference.valid)
        reason = f"{smaller} rows on the smaller side, {SMALLEST_SAMPLE} are needed"
        return RowsVerdict(smaller >= SMALLEST_SAMPLE, None, reason)
    limit = chosen.threshold if threshold is None else threshold
    quantile = null_quantile(reference, n, method, seed=seed)
    reason = (
        f"at {n} rows chance alone reaches {quantile:.3g} in one of 20 windows, "
        f"the threshold is {limit:.3g}"
    )
    beyond = (
        chosen.is_metric
        and n >= SMALLEST_SAMPLE
        and distance is not None
        and distance - quantile >= limit
    )
    return RowsVerdict(quantile < limit or beyond, quantile, reason)


def _enough_for_chi_square(reference: ColumnProfile, n: int) -> RowsVerdict:
    expected = reference.counts * (n / reference.valid)
    large = float(np.mean(expected >= _SMALLEST_EXPECTED))
    enough = large >= 0.8 and float(expected.min()) >= 1
    reason = (
        f"{large:.0%} of the values have an expected count of at least {_SMALLEST_EXPECTED} and "
        f"the smallest is {expected.min():.3g}; 80 % and 1 are needed"
    )
    return RowsVerdict(enough, None, reason)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of tests for the false discovery rate.

    Args:
        p_values: p-values of one family, in any order.

    Returns:
        Adjusted p-values in the same order: rejecting those below q keeps the expected share of
        false rejections below q.
    """
    from scipy import stats

    if not p_values:
        return []
    return [float(p) for p in stats.false_discovery_control(np.asarray(p_values), method="bh")]
