"""How well two samples can be told apart by their scores: the bound of a membership attack."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nachweis.domain.observation import ColumnProfile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    rules: dict[str, Callable[[Any], Any]] = {
        "high scores": lambda x: x,
        "low scores": lambda x: -x,
    }
    if both.min() >= 0 and both.max() <= 1:
        rules["confident scores"] = lambda x: np.abs(x - 0.5)
    from scipy import stats

    z = float(stats.norm.ppf(1 - (1 - level) / (2 * len(rules))))
    return [
        _attack(name, (rule(m[0]), m[1]), (rule(o[0]), o[1]), z) for name, rule in rules.items()
    ]


def _weighted(profile: ColumnProfile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    return profile.support.astype(np.float64), profile.counts.astype(np.float64)


def _attack(name: str, members: tuple[Any, Any], others: tuple[Any, Any], z: float) -> Attack:
    import numpy as np

    values, place = np.unique(np.concatenate([members[0], others[0]]), return_inverse=True)
    split = len(members[0])
    a = np.bincount(place[:split], weights=members[1], minlength=len(values))
    b = np.bincount(place[split:], weights=others[1], minlength=len(values))
    m, n = a.sum(), b.sum()
    below = np.concatenate([[0.0], np.cumsum(b)[:-1]])
    above = m - np.cumsum(a)
    # Placement values of each member among the others, and of each other among the members.
    of_members, of_others = (below + b / 2) / n, (above + a / 2) / m
    auc = float(np.sum(a * of_members) / m)
    variance = (
        np.sum(a * (of_members - auc) ** 2) / (m - 1) / m
        + np.sum(b * (of_others - auc) ** 2) / (n - 1) / n
    )
    half = z * math.sqrt(float(variance))
    distance = np.cumsum(b) / n - np.cumsum(a) / m
    return Attack(
        name,
        auc,
        (max(0.0, auc - half), min(1.0, auc + half)),
        max(0.0, float(distance.max())),
    )
