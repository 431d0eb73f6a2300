"""Rates of predictions against what happened, compared between groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nachweis.checks.fairness._due import (
    arrived_measurement,
    outcome_counts,
    scope_of,
    too_early,
    undeclared,
)
from nachweis.checks.fairness._groups import (
    attributes,
    counted,
    group_key,
    intersections,
    log_of,
    name_of,
    refusal,
)
from nachweis.checks.fairness._verdicts import (
    Judged,
    difference_measurement,
    group_measurements,
    judged,
    ratio_measurement,
)
from nachweis.domain.check import Check, Inputs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome
from nachweis.domain.manifest import FieldRole, ProtectedAttribute
from nachweis.domain.observation import CountTable, GroupedCounts, Observations
from nachweis.engines.fairness import GroupReport

MAX_DIFFERENCE = Param(
    "max_difference",
    0.1,
    "difference of rates",
    "design default of this project",
    "Largest allowed difference of a rate between two groups.",
    minimum=0.01,
    maximum=0.5,
)

Rates = Callable[[CountTable, Sequence[str]], Mapping[str, GroupReport]]
"""From counts and the keys of an attribute or intersection to its rates by name."""


def requests(inputs: Inputs) -> list[GroupedCounts]:
    """One grouped count per attribute and declared intersection.

    All checks of predictions against outcomes share it.
    """
    if undeclared(inputs):
        return []
    prediction = log_of(inputs).fields[FieldRole.PREDICTION]
    groups = [*((one,) for one in attributes(inputs)), *intersections(inputs)]
    return [
        outcome_counts(inputs, f"errors:{name_of(group)}", group, {"prediction": prediction})
        for group in groups
    ]


def findings(
    check: Check, inputs: Inputs, observations: Observations, rates: Rates
) -> Iterator[Finding]:
    """One finding per attribute; intersections add numbers to their first attribute's.

    Args:
        check: The check; it has the parameters ``max_difference``, ``min_arrived``,
            ``min_group_size`` and ``significance``.
        inputs: Its inputs.
        observations: Its observations.
        rates: Computes the rates that are compared.

    Yields:
        The findings.
    """
    for attribute in inputs.model.protected_attributes:
        if declare := undeclared(inputs) or refusal(inputs, attribute):
            yield check.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "The attribute cannot be compared before more is declared.",
                column=attribute.id,
                declare=declare,
            )
            continue
        yield _finding(check, inputs, observations, attribute, rates)


def _finding(
    check: Check,
    inputs: Inputs,
    observations: Observations,
    attribute: ProtectedAttribute,
    rates: Rates,
) -> Finding:
    table = counted(observations, f"errors:{attribute.id}")
    reason = table if isinstance(table, str) else too_early(inputs, table)
    if reason or isinstance(table, str):
        return check.finding(inputs, Outcome.NOT_AVAILABLE, reason, column=attribute.id)
    reports = rates(table, [group_key(attribute.id)])
    comparisons = len(reports) * len(attributes(inputs))
    verdicts = {
        name: judged(inputs, report, lambda one: _above(inputs, one), comparisons=comparisons)
        for name, report in reports.items()
    }
    return check.finding(
        inputs,
        _outcome(verdicts),
        _explanation(reports, verdicts),
        measurements=[
            arrived_measurement(inputs, table),
            *(one for item in reports.items() for one in _measurements(inputs, *item)),
            *(
                one
                for group in intersections(inputs)
                if group[0].id == attribute.id
                for one in _crossed(observations, group, rates, reports)
            ),
        ],
        column=attribute.id,
        scope=scope_of(inputs),
    )


def _crossed(
    observations: Observations,
    group: Sequence[ProtectedAttribute],
    rates: Rates,
    names: Iterable[str],
) -> Iterator[Measurement]:
    """Numbers of an intersection: reported, never judged, because its groups are small.

    They come from the rows of the attribute itself, whose outcomes have arrived.
    """
    name = name_of(group)
    table = counted(observations, f"errors:{name}")
    if isinstance(table, str):
        for rate in names:
            yield Measurement(name=f"{rate}_difference", value=None, group=name, reason=table)
        return
    for rate, report in rates(table, [group_key(one.id) for one in group]).items():
        yield difference_measurement(rate, report, group=name)
        yield ratio_measurement(rate, report, group=name)
        yield from group_measurements(rate, report, f"{name}: ")


def _above(inputs: Inputs, report: GroupReport) -> bool | None:
    return None if report.difference is None else report.difference > inputs.param("max_difference")


def _outcome(verdicts: Mapping[str, Judged]) -> Outcome:
    if any(one.failed for one in verdicts.values()):
        return Outcome.FAIL
    if any(one.reason for one in verdicts.values()):
        return Outcome.NOT_AVAILABLE
    return Outcome.PASS


def _explanation(reports: Mapping[str, GroupReport], verdicts: Mapping[str, Judged]) -> str:
    parts = []
    for name, one in verdicts.items():
        words, difference = name.replace("_", " "), reports[name].difference
        if one.reason or difference is None:
            parts.append(f"The {words} was not compared: {one.reason}.")
            continue
        found = f"The {words} differs by {difference:.2f} between two groups"
        if one.failed:
            parts.append(f"{found}, above the limit.")
        elif one.exceeded:
            parts.append(f"{found}, above the limit, but chance may explain it.")
        else:
            parts.append(f"{found}, within the limit.")
    return " ".join(parts)


def _measurements(inputs: Inputs, name: str, report: GroupReport) -> list[Measurement]:
    limit = inputs.threshold("max_difference", "<=")
    return [
        difference_measurement(name, report, threshold=limit),
        ratio_measurement(name, report),
        *group_measurements(name, report),
    ]
