"""Subtraction: what somebody can work out about few people from two published numbers.

The search stands for a reader who has every finding that was ever signed, knows how counts are
coarsened, and subtracts: a count tonight and the same one another night or in another attempt of
the same night, a total and the groups shown beside it, a group and the intersections within it.
For each number it keeps the *exact* counts that would have been published as this number. Only
where the remaining possibilities of a difference are all between 1 and 9 people, and fewer than
those that one published count leaves open, has the subtraction told a small count.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nachweis.domain.disclosure import (
    COUNT_UNITS,
    RATE_UNITS,
    SMALLEST_COUNT,
    seal_finding,
    sealed_count,
    sealed_rate,
)
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
)
from nachweis.domain.proportions import quantile, wilson_interval

OPEN = 5
"""Possible differences that the coarsest of two published counts leave open, whatever is
subtracted: a difference that leaves fewer was told by something else than counts."""
_SEARCHED = 4_000
"""Rates of more rows are three decimals of at least four people each."""


@dataclass(frozen=True, slots=True)
class Told:
    """A small number of people that a subtraction tells."""

    what: str
    possible: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.what}: {list(self.possible)}"


Published = Mapping[str, Mapping[str, Sequence[Finding]]]
"""Name of a signed attempt to subject to its findings as published."""


def small_counts(published: Published) -> list[Told]:
    """Every small count that subtracting any two published numbers tells.

    Args:
        published: All that was signed, from whichever nights and attempts.

    Returns:
        One entry per subtraction; empty if none tells anything.
    """
    found = [told for subjects in published.values() for told in _within(subjects)]
    for (first, before), (second, after) in itertools.combinations(published.items(), 2):
        for subject in before.keys() & after.keys():
            found += _between(f"{first} and {second}, {subject}", before[subject], after[subject])
    return found


# ---------------------------------------------------------------------------- between nights


def _between(where: str, before: Sequence[Finding], after: Sequence[Finding]) -> Iterator[Told]:
    earlier, later = _numbers(before), _numbers(after)
    for key in earlier.keys() & later.keys():
        yield from _told(f"{where}, {' '.join(map(str, key))}", later[key], earlier[key])


def _numbers(findings: Iterable[Finding]) -> dict[tuple[str, ...], frozenset[int]]:
    """Possible exact counts behind each published number, by what it is about."""
    found: dict[tuple[str, ...], frozenset[int]] = {}
    for finding in findings:
        for m in finding.measurements:
            key = (finding.check, finding.column or "", m.name, m.group or "")
            if counts := counts_behind(m):
                found[(*key, "count")] = counts
            sizes, having = parts_behind(m)
            if sizes:
                found[(*key, "size")] = sizes
            if having:
                found[(*key, "having")] = having
    return found


def _told(what: str, more: Iterable[int], less: Iterable[int]) -> Iterator[Told]:
    possible = sorted({a - b for a in more for b in less})
    sign = -1 if possible and possible[0] < 0 else 1
    few = all(0 < sign * one < SMALLEST_COUNT for one in possible)
    if possible and few and len(possible) < OPEN:
        yield Told(what, tuple(possible))


# ---------------------------------------------------------------------------- within a night


Counts = frozenset[int]
Pairs = frozenset[tuple[int, int]]
Interval = tuple[float, float]
Cells = dict[str, dict[str, Counts | None]]


def _within(subjects: Mapping[str, Sequence[Finding]]) -> Iterator[Told]:
    for subject, findings in subjects.items():
        by_check: dict[str, Cells] = defaultdict(lambda: defaultdict(dict))
        for finding in findings:
            where = f"{subject}, {finding.check} {finding.column or ''}"
            cells, totals = _cells(finding.measurements)
            for name, total in totals.items():
                if cells[name]:
                    yield from _rest(f"{where} {name}: the rest", total, cells[name].values())
            for name, groups in cells.items():
                by_check[finding.check][name] |= groups
        for check, cells in by_check.items():
            for name, total, parts in _crossings(cells):
                yield from _rest(f"{subject}, {check} {name}", total, parts)


def _cells(measurements: Sequence[Measurement]) -> tuple[Cells, dict[str, Counts]]:
    """Counts by name and group, None for one that is withheld; and totals of the same name."""
    cells: Cells = defaultdict(dict)
    totals: dict[str, Counts] = {}
    for m in measurements:
        if m.unit in COUNT_UNITS:
            told = counts_behind(m)
            if m.group is not None:
                cells[m.name][m.group] = None if m.value == "1-9" else told or None
            elif told:
                totals[m.name] = told
        elif m.unit in RATE_UNITS and m.group is not None:
            sizes, having = parts_behind(m)
            cells[f"{m.name} size"][m.group] = sizes or None
            cells[f"{m.name} having"][m.group] = having or None
    return cells, totals


def _crossings(cells: Cells) -> Iterator[tuple[str, Counts, list[Counts | None]]]:
    """Groups of one attribute, and the intersections with another one that make them up."""
    for name, groups in cells.items():
        crossed: dict[tuple[str, str], list[Counts | None]] = defaultdict(list)
        for group, cell in groups.items():
            attributes, _, values = group.partition(": ")
            for value in values.split(" & ") if values else ():
                crossed[(attributes, value)].append(cell)
        for (attributes, value), parts in crossed.items():
            size = groups.get(value)
            if size and len(parts) >= 2:
                yield f"{name} of {value} less {attributes}", size, parts


def _rest(what: str, total: Counts, groups: Collection[Counts | None]) -> Iterator[Told]:
    """The one part that is withheld, as the total less the others."""
    shown = [group for group in groups if group]
    if len(groups) - len(shown) != 1:
        return
    low = min(total) - sum(map(max, shown))
    high = max(total) - sum(map(min, shown))
    yield from _told(what, range(low, high + 1), (0,))


# ----------------------------------------------------------------------- what a number leaves


def counts_behind(m: Measurement) -> Counts:
    """Exact counts that would be published as this one; empty if it is no count or withheld."""
    if m.unit not in COUNT_UNITS or m.value is None or isinstance(m.value, bool):
        return frozenset()
    if isinstance(m.value, str):
        return frozenset(range(1, SMALLEST_COUNT)) if m.value == "1-9" else frozenset()
    return _class(round(m.value))


def parts_behind(m: Measurement) -> tuple[Counts, Counts]:
    """Exact sizes of a sample, and of those who have the property, that would be published so.

    Args:
        m: A measurement with a sample size.

    Returns:
        Sizes and, for a rate, people with the property; empty where nothing is told.
    """
    if m.n is None:
        return frozenset(), frozenset()
    sizes = _class(m.n)
    rated = m.unit in RATE_UNITS and isinstance(m.value, float) and 0 <= m.value <= 1
    if not rated or m.n > _SEARCHED:
        return sizes, frozenset()
    fitting = _fitting(float(m.value or 0), m.n, m.interval, m.interval_level or 0.95)
    # Where nothing fits, the rate is not a share of these rows and tells nothing about them.
    if not fitting:
        return sizes, frozenset()
    return frozenset(n for _, n in fitting), frozenset(k for k, _ in fitting)


@lru_cache(maxsize=100_000)
def _class(value: int) -> Counts:
    """Counts that are published as this number; the number alone where it is published exactly."""
    near = range(max(0, value - 9), value + 10)
    alike = frozenset(n for n in near if sealed_count(n) == value)
    return alike or frozenset({value})


@lru_cache(maxsize=100_000)
def _fitting(rate: float, size: int, interval: Interval | None, level: float) -> Pairs:
    """People with the property, and all, for which this rate, size and interval are published."""
    near = [
        (k, n)
        for n in _class(size)
        for k in range(max(0, math.floor(rate * n) - 12), min(n, math.ceil(rate * n) + 12) + 1)
        if n
    ]
    sealed = {pair for pair in near if sealed_rate(round(pair[0] / pair[1], 9), pair[1]) == rate}
    if interval is not None:
        narrower = {pair for pair in sealed if _sealed_interval(*pair, level) == interval}
        sealed = narrower or sealed
    # Of a rate that was published as it is, its nine digits and interval are the clue.
    exact = {pair for pair in near if abs(pair[0] / pair[1] - rate) < 1e-9}
    exactly = {
        pair
        for pair in exact
        if interval and _near(interval, wilson_interval(*pair, quantile(level)))
    }
    return frozenset(sealed or exactly or exact)


@lru_cache(maxsize=100_000)
def _sealed_interval(k: int, n: int, level: float) -> Interval | None:
    measured = Measurement(
        name="rate",
        value=k / n,
        unit="share",
        n=n,
        interval=wilson_interval(k, n, quantile(level)),
        interval_level=level,
    )
    finding = Finding(
        check="any",
        subject=Subject(kind=SubjectKind.MODEL, id="any"),
        outcome=Outcome.PASS,
        severity=Severity.INFO,
        explanation="",
        measurements=(measured,),
    )
    return seal_finding(finding).measurements[0].interval


def _near(one: Interval, other: Interval) -> bool:
    return all(abs(a - b) <= 1e-6 for a, b in zip(one, other, strict=True))
