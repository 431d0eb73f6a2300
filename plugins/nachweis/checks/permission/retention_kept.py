"""Age of rows against the retention rules of the record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import Activity, ColumnType, DataSet, DataSetRole, before
from nachweis.domain.manifest.activity import RetentionRule
from nachweis.domain.observation import Expression, Observations, Request, Scalar, Source
from nachweis.engines.moments import comparable, zone_of


def _tables(*times: dt.datetime | None) -> dict[str, ExampleTable]:
    columns = [{"name": "collected", "type": "timestamp"}]
    return {
        "customers": ExampleTable(
            DataSetRole.SOURCE, {"collected": list(times)}, {"columns": columns}
        )
    }


_RULE = {
    "retention": [
        {
            "id": "two-years",
            "categories": ["contact-data"],
            "period": "P24M",
            "grace": "P1M",
            "start_event": "collected",
            "basis": {"en": "limitation of claims"},
            "datasets": [{"name": "customers", "time_column": "collected"}],
        }
    ]
}


class RetentionKept(Check):
    """Is every row younger than the retention period declared for it?

    Why: The record states time limits for erasure (Art. 30(1)(f) GDPR); data kept longer are
        processed without a purpose (Art. 5(1)(e) GDPR).
    Method: For each retention rule that lists the data set, rows whose declared time lies before
        the end of the night minus period minus grace, counted by the calendar. Numbers: rows
        beyond the limit, 0 or more, must be 0; age of the oldest row
        in whole months; rows without a time, which cannot be judged. Undefined where no row has a
        time. Source: Art. 5(1)(e) GDPR, periods from the activity.
    Leaves out: Backups, copies that are not declared as data sets, and legal holds. Whether the
        declared column is the event the period counts from. Objects without rows.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("RETENTION",)
    needs = (Needs.RETENTION,)
    remediation = (
        "Delete or anonymise the rows beyond the limit with the method the rule declares, and "
        "repair the job that should have done so. If they must be kept, declare the rule and its "
        "basis that says so."
    )
    examples = (
        Example(
            "the oldest row is within the period",
            Outcome.PASS,
            _tables(dt.datetime(2024, 6, 1), dt.datetime(2026, 2, 1)),
            activity=_RULE,
        ),
        Example(
            "beyond the period but within the grace",
            Outcome.PASS,
            _tables(dt.datetime(2024, 2, 20)),
            activity=_RULE,
        ),
        Example(
            "a row is three years old",
            Outcome.FAIL,
            _tables(dt.datetime(2023, 3, 1), dt.datetime(2026, 2, 1)),
            activity=_RULE,
        ),
        Example("no row has a time", Outcome.NOT_AVAILABLE, _tables(None, None), activity=_RULE),
        Example("no rule", Outcome.NOT_AVAILABLE, _tables(dt.datetime(2023, 3, 1))),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Four aggregates per rule, all in one scan."""
        source, zone = Source(inputs.data_set.id), zone_of(inputs.data_set, inputs.night)
        for applied in _rules(inputs):
            time = _time(inputs.data_set, applied.column)
            yield Scalar(f"rows:{applied.key}", source, lambda table: table.count())
            yield Scalar(f"beyond:{applied.key}", source, _before(time, applied.limit, zone))
            yield Scalar(f"oldest:{applied.key}", source, _oldest(time))
            yield Scalar(f"undated:{applied.key}", source, _undated(time))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding over all rules."""
        measurements: list[Measurement] = []
        beyond_rules, undated_rules = [], []
        for applied in _rules(inputs):
            rows = int(observations[f"rows:{applied.key}"])
            beyond = int(observations[f"beyond:{applied.key}"] or 0)
            undated = int(observations[f"undated:{applied.key}"] or 0)
            oldest = observations[f"oldest:{applied.key}"]
            measurements += _measurements(applied, beyond, undated, oldest, inputs.night.date)
            if beyond:
                beyond_rules.append(applied.key)
            if undated == rows:
                undated_rules.append(applied.key)
        if beyond_rules:
            outcome = Outcome.FAIL
            explanation = f"Rows are older than allowed by: {', '.join(beyond_rules)}."
        elif undated_rules:
            outcome = Outcome.NOT_AVAILABLE
            explanation = f"No row has a time to judge by: {', '.join(undated_rules)}."
        else:
            outcome, explanation = Outcome.PASS, "No dated row is older than its rule allows."
        yield self.finding(
            inputs, outcome, explanation, measurements=measurements, scope="all rows"
        )


@dataclass(frozen=True, slots=True)
class _Applied:
    """A retention rule as it applies tonight."""

    key: str
    column: str
    rule: RetentionRule
    limit: dt.datetime


def _rules(inputs: Inputs) -> Iterator[_Applied]:
    for activity in inputs.activities:
        for rule, column in _of(activity, inputs.data_set.id):
            limit = before(before(inputs.night.end, rule.period), rule.grace)
            yield _Applied(f"{activity.id}/{rule.id}/{column}", column, rule, limit)


def _of(activity: Activity, data_set_id: str) -> Iterator[tuple[RetentionRule, str]]:
    for rule in activity.retention:
        columns = {kept.time_column for kept in rule.datasets if kept.name == data_set_id}
        for column in sorted(columns):
            yield rule, column


def _time(data_set: DataSet, name: str) -> Expression:
    """The time column; text is read as a timestamp, so that a date in a text file counts."""
    declared = data_set.column(name)
    if declared is not None and declared.type in {ColumnType.DATE, ColumnType.TIMESTAMP}:
        return lambda table: table[name]
    return lambda table: table[name].cast("timestamp")


def _before(time: Expression, limit: dt.datetime, zone: ZoneInfo) -> Expression:
    def beyond(table: Any) -> Any:
        moment = time(table)
        return table.count(where=moment < comparable(moment, limit, zone))

    return beyond


def _oldest(time: Expression) -> Expression:
    return lambda table: time(table).min()


def _undated(time: Expression) -> Expression:
    return lambda table: table.count(where=time(table).isnull())


def _measurements(
    applied: _Applied, beyond: int, undated: int, oldest: Any, tonight: dt.date
) -> Iterator[Measurement]:
    period = applied.rule.period + (
        f" + {applied.rule.grace}" if applied.rule.grace != "P0D" else ""
    )
    yield Measurement(
        name="rows_beyond_period",
        value=beyond,
        unit="rows",
        threshold=Threshold(value=0, operator="==", source=f"retention rule, {period}"),
        group=applied.key,
    )
    yield Measurement(
        name="oldest_age",
        value=_whole_months(oldest, tonight),
        unit="months",
        group=applied.key,
        reason="" if oldest is not None else "no row has a time",
    )
    yield Measurement(name="rows_without_time", value=undated, unit="rows", group=applied.key)


def _whole_months(oldest: Any, tonight: dt.date) -> int | None:
    if oldest is None or oldest != oldest:  # NaT is not equal to itself
        return None
    day = oldest.date() if isinstance(oldest, dt.datetime) else oldest
    months = (tonight.year - day.year) * 12 + tonight.month - day.month
    return months - (tonight.day < day.day)
