"""What group rates amount to, and how they are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nachweis.domain.check import Inputs, Param
from nachweis.domain.finding import Measurement
from nachweis.engines.fairness import GroupReport, GroupValue

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
    0.05,
    "p-value",
    "convention",
    "A difference that chance explains with at least this probability is no failure.",
    minimum=0.0001,
    maximum=0.2,
)

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
    inputs: Inputs, report: GroupReport, exceeds: Callable[[GroupReport], bool | None]
) -> Judged:
    """Apply a limit and the significance rule to a report.

    Args:
        inputs: For the parameter ``significance``.
        report: Rates by group.
        exceeds: Whether the report exceeds the limit; None where its number is undefined.

    Returns:
        The verdict.
    """
    exceeded = exceeds(report)
    if exceeded is None:
        return Judged(reason=report.reason or "the number is undefined")
    interval = report.difference_interval
    by_interval = interval is not None and not interval[0] <= 0 <= interval[1]
    by_test = report.p_value is not None and report.p_value < inputs.param("significance")
    return Judged(exceeded, by_interval and by_test)


def group_measurements(name: str, report: GroupReport, prefix: str = "") -> list[Measurement]:
    """One measurement per group; a group that is too small is named without its rate."""
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
    ]


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


def comparison(
    name: str, report: GroupReport, value: float | None, measurement: Mapping[str, Any]
) -> Measurement:
    """The number that is held against the limit, with its interval, test and recipe."""
    pair = (
        f"; {publishable_label(report.lowest)} against {publishable_label(report.highest)}"
        if report.lowest and report.highest
        else ""
    )
    probability = f"; p = {report.p_value:.3g}" if report.p_value is not None else ""
    return Measurement(
        name=name,
        value=value,
        recipe=report.recipe + pair + probability,
        reason=report.reason if value is None else "",
        n=sum(one.n for one in report.compared) or None,
        **measurement,
    )
