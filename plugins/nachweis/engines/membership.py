"""How well two samples can be told apart by their scores: the bound of a membership attack."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nachweis.domain.observation import ColumnProfile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
    """Distinct scores and the rows that have them."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What one rule that looks at scores alone can tell.

    Attributes:
        name: The rule.
        auc: Probability that it ranks a member above a non-member, ties as a half.
        interval: Interval of it (DeLong et al. 1988).
        advantage: Largest true-positive rate minus false-positive rate over all limits.
    """

    name: str
    auc: float
    interval: tuple[float, float]
    advantage: float


def attacks(members: ColumnProfile, others: ColumnProfile, level: float = 0.95) -> list[Attack]:
    """Attacks on scores: high ones, low ones and, for probabilities, confident ones.

    Args:
        members: Scores of rows the model was trained on, numeric.
        others: Scores of rows it never saw, numeric.
        level: Level that all intervals hold together (Bonferroni).

    Returns:
        One entry per rule; empty where a side has no two values.
    """
    import numpy as np

    if members.valid < 2 or others.valid < 2:
        return []
    m, o = _weighted(members), _weighted(others)
    both = np.concatenate([m[0], o[0]])
    confident = bool(both.min() >= 0 and both.max() <= 1)
    from scipy import stats

    z = float(stats.norm.ppf(1 - (1 - level) / (2 * (3 if confident else 2))))
    high, low = _attack(m, o, z)
    found = [replace(high, name="high scores"), replace(low, name="low scores")]
    if confident:
        by_confidence, _ = _attack((np.abs(m[0] - 0.5), m[1]), (np.abs(o[0] - 0.5), o[1]), z)
        found.append(replace(by_confidence, name="confident scores"))
    return found


def _weighted(profile: ColumnProfile) -> _Scores:
    import numpy as np

    return profile.support.astype(np.float64), profile.counts.astype(np.float64)


def _attack(members: _Scores, others: _Scores, z: float) -> tuple[Attack, Attack]:
    """The attack that takes high values for members', and the one that takes low ones."""
    import numpy as np

    values = np.concatenate([members[0], others[0]])
    # Both sides are sorted, or made of few sorted pieces: a stable sort merges them.
    order = np.argsort(values, kind="stable")
    ordered, of_member = values[order], order < len(members[0])
    rows = np.concatenate([members[1], others[1]])[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    a = np.add.reduceat(np.where(of_member, rows, 0.0), starts)
    b = np.add.reduceat(np.where(of_member, 0.0, rows), starts)
    m, n = a.sum(), b.sum()
    to_a, to_b = np.cumsum(a), np.cumsum(b)
    # Placement values of each member among the others, and of each other among the members.
    of_members, of_others = (to_b - b / 2) / n, (m - to_a + a / 2) / m
    auc = float(np.sum(a * of_members) / m)
    variance = (
        np.sum(a * (of_members - auc) ** 2) / (m - 1) / m
        + np.sum(b * (of_others - auc) ** 2) / (n - 1) / n
    )
    half = z * math.sqrt(float(variance))
    distance = to_b / n - to_a / m

    def attack(ranked: float, furthest: float) -> Attack:
        limits = (max(0.0, ranked - half), min(1.0, ranked + half))
        return Attack("", ranked, limits, max(0.0, furthest))

    return attack(auc, float(distance.max())), attack(1 - auc, float(-distance.min()))
