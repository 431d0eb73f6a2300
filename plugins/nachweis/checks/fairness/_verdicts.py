"""What group rates amount to, and how they are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nachweis.domain.check import Inputs, Param
from nachweis.domain.disclosure import SMALLEST_COUNT
from nachweis.domain.finding import Measurement, Threshold
from nachweis.engines.fairness import UNDECLARED, GroupReport, GroupValue

MIN_GROUP_SIZE = Param(
    "min_group_size",
    100,
    "rows",
    "design default of this project",
    "Smallest group that is compared; smaller ones are reported without a verdict.",
    minimum=10,
)
SIGNIFICANCE = Param(
    "significance",
    0.0002,
    "p-value",
    "design default of this project: at most one failure by chance in a thousand nights, shared by "
    "the checks of this family",
    "A difference that chance explains with at least this probability, after correction for "
    "everything the check compares, is no failure.",
    minimum=0.0001,
    maximum=0.2,
)

HOLDOUT_ARMS = Param(
    "holdout_arms",
    "holdout,control",
    "names of arms, separated by commas",
    "design default of this project",
    "Arms that are not contacted on purpose; they are left out of everything about contacts.",
)

SMALL_GROUPS = "(groups of fewer than 10 rows)"
"""Stands for groups so small that their names could name somebody."""

_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class Judged:
    """What a report of group rates amounts to.

    Attributes:
        exceeded: Whether the limit is exceeded.
        significant: Whether chance does not explain the largest difference.
        reason: Why there is no verdict, or empty.
    """

    exceeded: bool = False
    significant: bool = False
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Beyond the limit, and not by chance."""
        return self.exceeded and self.significant


def judged(
    inputs: Inputs,
    report: GroupReport,
    exceeds: Callable[[GroupReport], bool | None],
    *,
    comparisons: int = 1,
) -> Judged:
    """Apply a limit and the significance rule to a report.

    Args:
        inputs: For the parameter ``significance``.
        report: Rates by group; its p-value is corrected for the pairs of its own groups.
        exceeds: Whether the report exceeds the limit; None where its number is undefined.
        comparisons: How many such reports the check judges tonight; the p-value is multiplied.

    Returns:
        The verdict.
    """
    exceeded = exceeds(report)
    if exceeded is None:
        return Judged(reason=report.reason or "the number is undefined")
    interval = report.difference_interval
    by_interval = interval is not None and not interval[0] <= 0 <= interval[1]
    limit = inputs.param("significance")
    by_test = report.p_value is not None and report.p_value * max(1, comparisons) < limit
    return Judged(exceeded, by_interval and by_test)


def group_measurements(name: str, report: GroupReport, prefix: str = "") -> list[Measurement]:
    """One measurement per group; a group that is too small is named without its rate.

    Groups of fewer than 10 rows are not even named: such a value may be true of one person only.
    """
    tiny = [one for one in report.groups if _is_tiny(one)]
    together = [
        Measurement(
            name=name,
            value=None,
            unit="share",
            n=sum(one.n for one in tiny),
            group=prefix + SMALL_GROUPS,
            reason="too small to compare",
        )
    ]
    return [
        Measurement(
            name=name,
            value=one.value if one.compared else None,
            unit="share",
            n=one.n,
            interval=one.interval if one.compared else None,
            interval_level=report.level if one.compared and one.interval else None,
            group=prefix + label(one),
            reason=_reason(one),
        )
        for one in report.groups
        if one not in tiny
    ] + (together if tiny else [])


def _is_tiny(value: GroupValue) -> bool:
    return value.group != UNDECLARED and value.n < SMALLEST_COUNT


def size_measurements(
    sizes: Mapping[str, int], limit: Threshold | None = None
) -> Iterable[Measurement]:
    """One measurement of its size per group; those of fewer than 10 rows are put together.

    Args:
        sizes: Group to its rows.
        limit: The limit that is printed with each.

    Yields:
        The measurements.
    """
    shown = {name: n for name, n in sizes.items() if n >= SMALLEST_COUNT}
    tiny = sum(n for name, n in sizes.items() if name not in shown)
    for name, n in [
        *((publishable_label(name), n) for name, n in shown.items()),
        *([(SMALL_GROUPS, tiny)] if tiny else []),
    ]:
        yield Measurement(name="group_size", value=n, unit="rows", threshold=limit, group=name)


def _reason(value: GroupValue) -> str:
    """Why a group is not compared, without its size."""
    return value.reason.split(":", 1)[0] if not value.compared else ""


def label(value: GroupValue) -> str:
    """Name of a group as it may be published; free text or a very long value is not one."""
    return publishable_label(value.group)


def publishable_label(name: str) -> str:
    """A group's value if it looks like the name of a group, else a stand-in."""
    plain = name.isascii() or all(c.isalnum() or c in " -_&/.,()" for c in name)
    if len(name) <= _LONGEST_LABEL and name.isprintable() and plain and "@" not in name:
        return name
    return "(a value that is no group name)"


def difference_measurement(
    name: str, report: GroupReport, *, group: str | None = None, threshold: Threshold | None = None
) -> Measurement:
    """The largest difference between two groups, with its interval, test and recipe."""
    return Measurement(
        name=f"{name}_difference",
        value=report.difference,
        unit="difference",
        threshold=threshold,
        interval=report.difference_interval,
        interval_level=report.level if report.difference_interval else None,
        group=group,
        **_told(report, report.difference),
    )


def ratio_measurement(
    name: str, report: GroupReport, *, group: str | None = None, threshold: Threshold | None = None
) -> Measurement:
    """The lowest value over the highest, with its interval, test and recipe."""
    return Measurement(
        name=f"{name}_ratio",
        value=report.ratio,
        unit="ratio",
        threshold=threshold,
        interval=report.ratio_interval,
        interval_level=report.level if report.ratio_interval else None,
        group=group,
        **_told(report, report.ratio),
    )


def _told(report: GroupReport, value: float | None) -> dict[str, Any]:
    pair = (
        f"; {publishable_label(report.lowest)} against {publishable_label(report.highest)}"
        if report.lowest and report.highest
        else ""
    )
    probability = f"; p = {report.p_value:.3g}" if report.p_value is not None else ""
    return {
        "recipe": report.recipe + pair + probability,
        "reason": (report.reason or "undefined") if value is None else "",
        "n": sum(one.n for one in report.compared) or None,
    }
