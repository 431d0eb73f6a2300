"""Findings as people scan them: one group per check, each finding with its key numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nachweis.domain.finding import Finding, Measurement, Outcome
from nachweis.domain.record import FindingView

_MOST_KEY_NUMBERS = 3
_OUTCOME_ORDER: Mapping[Outcome, int] = {
    Outcome.ERROR: 0,
    Outcome.FAIL: 0,
    Outcome.NOT_AVAILABLE: 1,
    Outcome.NOT_APPLICABLE: 2,
    Outcome.PASS: 3,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One finding with the measurements that decided it.

    Attributes:
        view: The finding, its state and its evidence.
        numbers: Measurements that decided it, those nearest to their limit first.
    """

    view: FindingView
    numbers: tuple[Measurement, ...]

    @property
    def key(self) -> tuple[Measurement, ...]:
        """Measurements worth a place in a table, at most three."""
        return self.numbers[:_MOST_KEY_NUMBERS]

    @property
    def more(self) -> int:
        """How many such measurements are not among them."""
        return len(self.numbers) - len(self.key)

    @property
    def finding(self) -> Finding:
        """The finding itself."""
        return self.view.finding


@dataclass(frozen=True)
class Group:
    """Findings of one check.

    Attributes:
        check: Check id.
        rows: The findings.
    """

    check: str
    rows: tuple[Row, ...]

    @cached_property
    def subject(self) -> str:
        """The subject of all findings as ``kind/id``; empty where there are several."""
        found = {str(row.finding.subject) for row in self.rows}
        return found.pop() if len(found) == 1 else ""

    @cached_property
    def worst(self) -> Row:
        """The row that stands for the group in a heading."""
        return min(self.rows, key=_rank)

    @cached_property
    def remediations(self) -> tuple[str, ...]:
        """What to do, each sentence once."""
        return _once(row.finding.remediation for row in self.rows)

    @cached_property
    def recipes(self) -> tuple[str, ...]:
        """How the numbers were computed, each recipe once."""
        return _once(m.recipe for row in self.rows for m in row.finding.measurements)

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """What was looked at, each once."""
        return _once(row.finding.scope for row in self.rows)

    @cached_property
    def measured(self) -> int:
        """Number of measurements."""
        return sum(len(row.finding.measurements) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why findings have no verdict.

    Attributes:
        explanation: Why.
        declare: What to declare so that the check runs, or empty.
        rows: The findings it holds for.
    """

    explanation: str
    declare: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Unlooked:
    """What one check did not look at.

    Attributes:
        check: Check id.
        outcome: ``not_available`` or ``not_applicable``.
        reasons: Why, each reason once.
    """

    check: str
    outcome: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a page in the three parts in which they are read.

    Attributes:
        open: Failures and crashes, the most severe first.
        unlooked: What was not looked at and why.
        passed: What was looked at without a deviation.
        open_count: Number of open findings.
    """

    open: tuple[Group, ...]
    unlooked: tuple[Unlooked, ...]
    passed: tuple[Group, ...]
    open_count: int


def arrange(views: Iterable[FindingView]) -> Findings:
    """Group findings for reading.

    Args:
        views: Findings in any order, each once.

    Returns:
        Open ones, the rest by check; what was not looked at also by reason.
    """
    rows = sorted((Row(view, key_numbers(view.finding)) for view in views), key=_rank)
    open_rows = [row for row in rows if row.finding.is_open]
    passed = [row for row in rows if row.finding.outcome is Outcome.PASS]
    rest = [
        row
        for row in rows
        if row.finding.outcome in {Outcome.NOT_AVAILABLE, Outcome.NOT_APPLICABLE}
    ]
    return Findings(
        open=tuple(
            Group(check, tuple(found))
            for (check,), found in _by(open_rows, lambda row: (row.finding.check,))
        ),
        unlooked=tuple(
            Unlooked(
                check,
                outcome,
                tuple(
                    Reason(explanation, declare, tuple(why))
                    for (explanation, declare), why in _by(
                        found, lambda row: (row.finding.explanation, row.finding.declare)
                    )
                ),
            )
            for (check, outcome), found in _by(
                rest, lambda row: (row.finding.check, row.finding.outcome.value)
            )
        ),
        passed=tuple(
            Group(check, tuple(sorted(found, key=lambda row: row.finding.key)))
            for (check,), found in sorted(_by(passed, lambda row: (row.finding.check,)))
        ),
        open_count=len(open_rows),
    )


def key_numbers(finding: Finding) -> tuple[Measurement, ...]:
    """The measurements that decided a finding.

    Numbers beyond their limit come first; then those with a limit that say how sure they are
    (an interval or the library's own verdict); then any number with a limit.

    Args:
        finding: The finding.

    Returns:
        Measurements of the first kind that occurs, those nearest to their limit first.
    """
    limited = [m for m in finding.measurements if m.threshold is not None]
    kinds: Sequence[list[Measurement]] = (
        [m for m in limited if finding.is_open and beyond_limit(m)],
        [m for m in limited if m.interval is not None or m.drifted is not None],
        limited,
    )
    found = next((kind for kind in kinds if kind), [])
    beyond = [m for m in found if beyond_limit(m)]
    rest = [m for m in found if not beyond_limit(m)]
    return (*sorted(beyond, key=_gap, reverse=True), *sorted(rest, key=_gap))


def _gap(measurement: Measurement) -> float:
    """Distance between a number and its limit; where there is none to compare, the largest."""
    limit, value = measurement.threshold, measurement.value
    if limit is None or isinstance(limit.value, str) or not isinstance(value, int | float):
        return float("inf")
    return abs(value - limit.value)


def beyond_limit(measurement: Measurement) -> bool:
    """Whether a number is not as its limit demands; suppressed numbers are never compared."""
    limit, value = measurement.threshold, measurement.value
    if limit is None or value is None or isinstance(value, str | bool):
        return False
    return not limit.holds(value)


def _rank(row: Row) -> tuple[int, int, str]:
    found = row.finding
    return _OUTCOME_ORDER[found.outcome], -found.severity.rank, found.key


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _by(
    rows: Iterable[Row], key: Callable[[Row], tuple[str, ...]]
) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Rows by key, in the order in which keys first appear."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.items())
