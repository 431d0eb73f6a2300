"""Scan for subgroups that are selected less often than comparable people, from tables of counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nachweis.domain.observation import CountTable
from nachweis.engines.fairness_groups import same_value
from nachweis.engines.intervals import (
    newcombe_interval,
    ratio_interval,
    two_proportion_p_value,
    wilson_interval,
)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A subgroup and the people it is compared with.

    Attributes:
        parts: Key and value of each of its one or two properties.
        n: Its rows.
        rate: Share of them that is selected.
        others: Rows it is compared with.
        others_rate: Share of those that is selected.
        p_value: Of the hypothesis that both shares are the same; after :func:`corrected`, adjusted
            for all subgroups looked at.
        ratio_interval: 95 % interval of the ratio of the shares, None where a share is 0.
        difference_interval: 95 % interval of the difference of the shares.
    """

    parts: tuple[tuple[str, Any], ...]
    n: int
    rate: float
    others: int
    others_rate: float
    p_value: float
    ratio_interval: tuple[float, float] | None
    difference_interval: tuple[float, float]

    @property
    def ratio(self) -> float | None:
        """Share of the subgroup over that of the others; None where nobody of them is selected."""
        return self.rate / self.others_rate if self.others_rate > 0 else None

    @property
    def difference(self) -> float:
        """Share of the subgroup minus that of the others."""
        return self.rate - self.others_rate


Selected = tuple[str, Any]
"""Key of the selection and the value that means selected."""


def subgroups(
    counts: CountTable,
    keys: Sequence[str],
    selected: Selected,
    min_group: int,
    *,
    within: str | None = None,
) -> list[Subgroup]:
    """Subgroups of one or two properties, each beside all others.

    Args:
        counts: Counts whose keys include all named ones.
        keys: One or two keys whose values form the subgroups.
        selected: Key and value of the selection; rows without a value are left out.
        min_group: Fewest rows of a subgroup and of the people it is compared with.
        within: The key among ``keys`` that others must share with the subgroup; without it,
            a subgroup is compared with everybody else.

    Returns:
        Subgroups that are large enough; rows that lack one of the properties are left out.
    """
    positions = [counts.keys.index(key) for key in keys]
    selection, wanted = counts.keys.index(selected[0]), selected[1]
    cells: dict[tuple[Any, ...], tuple[int, int]] = {}
    for row, n in counts.rows.items():
        values = tuple(row[position] for position in positions)
        if row[selection] is None or any(value is None for value in values):
            continue
        hits, rows = cells.get(values, (0, 0))
        cells[values] = (hits + n * same_value(row[selection], wanted), rows + n)
    shared = None if within is None else list(keys).index(within)
    totals: dict[Any, tuple[int, int]] = {}
    for values, (hits, n) in cells.items():
        stratum = None if shared is None else values[shared]
        before = totals.get(stratum, (0, 0))
        totals[stratum] = (before[0] + hits, before[1] + n)
    found = []
    for values, (hits, n) in cells.items():
        all_hits, all_rows = totals[None if shared is None else values[shared]]
        if min(n, all_rows - n) >= max(1, min_group):
            parts = tuple(zip(keys, values, strict=True))
            found.append(_subgroup(parts, hits, n, all_hits - hits, all_rows - n))
    return found


def _subgroup(
    parts: tuple[tuple[str, Any], ...], hits: int, n: int, other_hits: int, others: int
) -> Subgroup:
    rate, others_rate = hits / n, other_hits / others
    return Subgroup(
        parts=parts,
        n=n,
        rate=rate,
        others=others,
        others_rate=others_rate,
        p_value=two_proportion_p_value(hits, n, other_hits, others),
        ratio_interval=ratio_interval(hits, n, other_hits, others),
        difference_interval=newcombe_interval(
            rate, wilson_interval(hits, n), others_rate, wilson_interval(other_hits, others)
        ),
    )


def corrected(
    found: Iterable[Subgroup], adjust: Callable[[Sequence[float]], Sequence[float]]
) -> list[Subgroup]:
    """Subgroups with p-values adjusted for all that were looked at, the lowest ratio first.

    Args:
        found: All subgroups of a scan.
        adjust: Adjusts a family of p-values.

    Returns:
        The subgroups in order; those without a ratio last.
    """
    looked_at = list(found)
    adjusted = adjust([one.p_value for one in looked_at]) if looked_at else []
    return sorted(
        (replace(one, p_value=p) for one, p in zip(looked_at, adjusted, strict=True)),
        key=lambda one: (
            one.ratio is None,
            one.ratio if one.ratio is not None else 0.0,
            str(one.parts),
        ),
    )


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the share of false discoveries (Benjamini, Hochberg 1995)."""
    size = len(p_values)
    order = sorted(range(size), key=lambda i: p_values[i], reverse=True)
    adjusted, smallest = [0.0] * size, 1.0
    for rank, index in zip(range(size, 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * size / rank)
        adjusted[index] = smallest
    return adjusted
