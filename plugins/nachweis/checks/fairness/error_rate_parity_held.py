"""Error rates between groups, once outcomes are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.checks.fairness._examples import MODEL_WITH_OUTCOMES, cells, outcomes_of
from nachweis.checks.fairness._groups import (
    attributes,
    counted,
    eligible,
    group_expressions,
    group_key,
    held_by_log,
    refusal,
)
from nachweis.checks.fairness._verdicts import (
    MIN_GROUP_SIZE,
    SIGNIFICANCE,
    Judged,
    comparison,
    group_measurements,
    judged,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import (
    DataSet,
    FieldRole,
    ModelKind,
    ProtectedAttribute,
    before,
)
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Join,
    Observations,
    Request,
)
from nachweis.engines.fairness import GroupReport, error_rates
from nachweis.engines.moments import comparable, zone_of

_WOMEN = cells("female", 90, 30, 30, 90)


class ErrorRateParityHeld(Check):
    """Is the model wrong about equally often for people of all groups?

    Why: Equal selection rates can hide that one group's interested people are passed over or
        another group's are bothered; both show only against what people did later (Art. 5(1)(a)
        and (d) GDPR).
    Method: Scored rows are joined with outcomes by key. Rows count once the declared label delay
        has passed at the end of the night, over a window as long as the model's ``extend_to``.
        True positive rate and false positive rate per group, 0 to 1; the largest difference of
        each between groups with at least ``min_group_size`` rows of the outcome in question. A
        difference above ``max_difference`` fails only if its 95 % Newcombe interval excludes 0 and
        the test, corrected for all pairs, is below ``significance``. Undefined with fewer than two
        such groups, or while fewer than ``min_arrived`` of the outcomes have arrived. Computed by
        Fairlearn on counts. Source: equalised odds (Hardt et al. 2016); the limit is a design
        default, European, German and Danish law set no number.
    Leaves out: Outcomes that are only learned for people who were selected: their errors cannot
        be seen. Reasons for a difference. Intersections.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("BIAS", "MONITOR")
    needs = (
        Needs.PREDICTIONS,
        Needs.POSITIVE,
        Needs.PROTECTED_ATTRIBUTES,
        Needs.LOG_KEY,
        Needs.OUTCOMES,
    )
    model_kinds = frozenset(
        {ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.RANKING, ModelKind.RULES}
    )
    params = (
        Param(
            "max_difference",
            0.1,
            "difference of rates",
            "design default of this project",
            "Largest allowed difference of a rate between two groups.",
            minimum=0.01,
            maximum=0.5,
        ),
        Param(
            "min_arrived",
            0.5,
            "share of rows",
            "design default of this project",
            "Share of the due outcomes that must have arrived.",
            minimum=0,
            maximum=1,
        ),
        MIN_GROUP_SIZE,
        SIGNIFICANCE,
    )
    remediation = (
        "Compare the features and the training rows of the groups: missing values and few examples "
        "are the usual causes. Reweighing is the usual first correction; a threshold per group "
        "uses the characteristic at decision time and needs a legal assessment."
    )
    examples = (
        Example(
            "same rates",
            Outcome.PASS,
            outcomes_of(*_WOMEN, *cells("male", 92, 28, 29, 91)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "interested men are passed over",
            Outcome.FAIL,
            outcomes_of(*_WOMEN, *cells("male", 50, 70, 30, 90)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "uninterested men are bothered",
            Outcome.FAIL,
            outcomes_of(*_WOMEN, *cells("male", 90, 30, 70, 50)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "no outcome has arrived",
            Outcome.NOT_AVAILABLE,
            outcomes_of(("female", 1, None, 150), ("male", 0, None, 150)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            outcomes_of(
                *_WOMEN, *cells("male", 50, 70, 30, 90), scored=dt.datetime(2026, 2, 20, 12)
            ),
            model=MODEL_WITH_OUTCOMES,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One grouped count per attribute, joined with the outcomes."""
        if _undeclared(inputs):
            return []
        return [
            _counts(inputs, attribute)
            for attribute in attributes(inputs)
            if held_by_log(inputs, attribute)
        ]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute."""
        for attribute in inputs.model.protected_attributes:
            declare = _undeclared(inputs) or refusal(inputs, attribute)
            if not declare and not held_by_log(inputs, attribute):
                declare = f"the column of {attribute.id} in the scoring log itself"
            if declare:
                yield self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "The attribute cannot be compared before more is declared.",
                    column=attribute.id,
                    declare=declare,
                )
                continue
            table = counted(observations, f"errors:{attribute.id}")
            yield self._finding(inputs, attribute, table)

    def _finding(
        self, inputs: Inputs, attribute: ProtectedAttribute, table: CountTable | str
    ) -> Finding:
        reason = table if isinstance(table, str) else _too_early(inputs, table)
        if reason or isinstance(table, str):
            return self.finding(inputs, Outcome.NOT_AVAILABLE, reason, column=attribute.id)
        model = inputs.model
        reports = error_rates(
            table,
            group_key(attribute.id),
            "label",
            "prediction",
            model.decision.rule.positive if model.decision else None,
            inputs.param("min_group_size"),
            positive_label=model.outcome.positive,
        )
        verdicts = {
            name: judged(inputs, report, lambda one: _above(inputs, one))
            for name, report in reports.items()
        }
        start, end = _window(inputs)
        return self.finding(
            inputs,
            _outcome(verdicts),
            _explanation(reports, verdicts),
            measurements=[
                _arrived_measurement(inputs, table),
                *(one for item in reports.items() for one in _measurements(inputs, *item)),
            ],
            column=attribute.id,
            scope=f"rows scored from {start.date()} until before {end.date()}, with their outcomes",
        )


# ------------------------------------------------------------------------------------- requests


def _data(inputs: Inputs, role: str) -> DataSet:
    found = inputs.data(role)
    if found is None:
        raise LookupError(f"the need {role!r} was not met")
    return found


def _undeclared(inputs: Inputs) -> str:
    return "" if _data(inputs, "scoring_log").time else "'time' of the scoring log"


def _window(inputs: Inputs) -> tuple[dt.datetime, dt.datetime]:
    """When rows were scored whose outcomes are due."""
    end = before(inputs.night.end, inputs.model.outcome.label_delay)
    return before(end, inputs.model.current.extend_to), end


def _counts(inputs: Inputs, attribute: ProtectedAttribute) -> GroupedCounts:
    scored, outcomes = _data(inputs, "scoring_log"), _data(inputs, "outcomes")
    shared = inputs.model.outcome.join_key
    time = scored.time.column if scored.time else ""
    told = outcomes.time.column if outcomes.time else None
    return GroupedCounts(
        f"errors:{attribute.id}",
        inputs.source("scoring_log", "whole"),
        by={
            **group_expressions(inputs, (attribute,)),
            "prediction": scored.fields[FieldRole.PREDICTION],
            "label": "joined_label",
        },
        where=_due(time, *_window(inputs), zone_of(scored, inputs.night), eligible(scored)),
        join=Join(
            other=inputs.source("outcomes"),
            key=(shared or scored.fields[FieldRole.KEY], shared or outcomes.fields[FieldRole.KEY]),
            columns=(("joined_label", outcomes.fields[FieldRole.LABEL]),),
            where=_told_before(told, inputs.night.end, zone_of(outcomes, inputs.night))
            if told
            else None,
            time=told,
        ),
    )


@lru_cache(maxsize=64)
def _due(
    column: str, start: dt.datetime, end: dt.datetime, zone: ZoneInfo, also: Expression | None
) -> Expression:
    """Rows scored in the window; built once per window, so that attributes share a filter."""

    def rows(table: Any) -> Any:
        time = table[column]
        inside = (time >= comparable(time, start, zone)) & (time < comparable(time, end, zone))
        return inside if also is None else inside & also(table)

    return rows


@lru_cache(maxsize=64)
def _told_before(column: str, end: dt.datetime, zone: ZoneInfo) -> Expression:
    return lambda table: table[column] < comparable(table[column], end, zone)


# -------------------------------------------------------------------------------------- results


def _arrived(table: CountTable) -> tuple[int, int]:
    position = table.keys.index("label")
    known = sum(n for row, n in table.rows.items() if row[position] is not None)
    return known, table.n


def _too_early(inputs: Inputs, table: CountTable) -> str:
    known, rows = _arrived(table)
    if not rows:
        return "No scored rows are old enough for their outcomes to be due."
    if known / rows < inputs.param("min_arrived") or not known:
        return "Too few of the due outcomes have arrived."
    return ""


def _arrived_measurement(inputs: Inputs, table: CountTable) -> Measurement:
    known, rows = _arrived(table)
    return Measurement(
        name="outcomes_arrived",
        value=known / rows,
        unit="share",
        threshold=inputs.threshold("min_arrived", ">="),
        n=rows,
    )


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
    return [
        comparison(
            f"{name}_difference",
            report,
            report.difference,
            {
                "unit": "difference",
                "threshold": inputs.threshold("max_difference", "<="),
                "interval": report.difference_interval,
                "interval_level": report.level if report.difference_interval else None,
            },
        ),
        *group_measurements(name, report),
    ]
