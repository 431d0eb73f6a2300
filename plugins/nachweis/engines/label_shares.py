"""Two distributions of labels: how far apart they are, surely and by convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nachweis.domain.observation import ColumnProfile
from nachweis.engines.intervals import newcombe_interval, wilson_interval
from nachweis.engines.shares import counts_by_value, jensen_shannon

_LEVEL = 0.999


@dataclass(frozen=True, slots=True)
class LabelShift:
    """How labels are distributed now and before.

    Attributes:
        difference: Largest change of a class's share, with its sign; 0 to 1 in size.
        interval: Its interval at 99.9 % after correction for all classes.
        distance: Jensen-Shannon distance, natural logarithm, 0 to sqrt(log 2).
        p_value: Of the chi-square test of homogeneity.
        classes: Classes that occur on either side.
        new: Classes that occur now and did not before.
        gone: Classes that occurred before and do not now.
    """

    difference: float
    interval: tuple[float, float]
    distance: float
    p_value: float
    classes: int
    new: int
    gone: int

    def surely_beyond(self, limit: float) -> bool:
        """Whether the whole interval lies beyond a limit."""
        return self.interval[0] > limit or self.interval[1] < -limit


def label_shift(before: ColumnProfile, now: ColumnProfile) -> LabelShift:
    """Compare two profiles of labels.

    Args:
        before: Profile with at least one label.
        now: Profile with at least one label.

    Returns:
        The comparison.
    """
    first, second = counts_by_value(as_classes(before), as_classes(now))
    old, new = [int(n) for n in first], [int(n) for n in second]
    p, q = first / first.sum(), second / second.sum()
    largest = int(abs(q - p).argmax())
    return LabelShift(
        difference=float(q[largest] - p[largest]),
        interval=_interval(old, new, largest),
        distance=float(jensen_shannon(p, q)),
        p_value=_homogeneity(old, new),
        classes=len(old),
        new=sum(a == 0 and b > 0 for a, b in zip(old, new, strict=True)),
        gone=sum(a > 0 and b == 0 for a, b in zip(old, new, strict=True)),
    )


def as_classes(profile: ColumnProfile) -> ColumnProfile:
    """A profile whose values are the names of classes: the number 1 is the class "1".

    Args:
        profile: A profile of either kind.

    Returns:
        The profile with its values as sorted texts.
    """
    import numpy as np

    if profile.kind == "categorical":
        return profile
    names = [str(int(v)) if float(v).is_integer() else str(float(v)) for v in profile.support]
    order = sorted(range(len(names)), key=names.__getitem__)
    return replace(
        profile,
        kind="categorical",
        support=np.array([names[i] for i in order], dtype=object),
        counts=profile.counts[order],
    )


def _interval(old: Sequence[int], new: Sequence[int], position: int) -> tuple[float, float]:
    from scipy import stats

    # The class was chosen as the one that differs most: corrected as if all had been tested.
    z = float(stats.norm.isf((1 - _LEVEL) / (2 * len(old))))
    n_old, n_new = sum(old), sum(new)
    return newcombe_interval(
        new[position] / n_new,
        wilson_interval(new[position], n_new, z),
        old[position] / n_old,
        wilson_interval(old[position], n_old, z),
    )


def _homogeneity(old: Sequence[int], new: Sequence[int]) -> float:
    from scipy import stats

    if len(old) < 2:
        return 1.0
    return float(stats.chi2_contingency([list(old), list(new)], correction=False).pvalue)
