"""Age of open requests of data subjects against the period for answering them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.checks.permission._examples import columns_of
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.disclosure import whole_months
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole, FieldRole, after
from nachweis.domain.observation import Expression, Observations, Request, Scalar, Source
from nachweis.engines.moments import comparable, zone_of

_ANSWER, _EXTENSION = "data-subject-request", "data-subject-request-extension"
_SATURDAY = 5
_WEEKEND = 2
_FEBRUARY = dt.datetime(2026, 2, 20, 9)
_JANUARY = dt.datetime(2026, 1, 20, 9)


def _tables(
    received: list[dt.datetime | None], answered: list[dt.datetime | None], **columns: list[Any]
) -> dict[str, ExampleTable]:
    rows: dict[str, list[Any]] = {"received_at": received, "answered_at": answered, **columns}
    declared = [{**one, "type": "timestamp"} for one in columns_of(rows)]
    fields = {name: name for name in rows}
    return {
        "requests": ExampleTable(
            DataSetRole.SUBJECT_REQUESTS, rows, {"columns": declared, "fields": fields}
        )
    }


class RequestAgesInTime(Check):
    """Is no request of a data subject open for longer than the law allows?

    Why: Information on the action taken is due without undue delay and within one month of receipt
        (Art. 12(3) GDPR); requests that lie in a mailbox are the most frequent reason for
        complaints.
    Method: Open requests (no ``answered_at`` by the end of the night) whose last day has passed:
        the day of receipt plus one month by the calendar, or plus three where ``extended_at`` says
        that the person was told of an extension by the end of the night and within the first month
        (33 days: the longest month and a weekend); a last day on a weekend moves to Monday. Periods
        from the catalogue of legal dates. Numbers: open and late requests, 0 or more; late ones
        must be 0; age of the oldest open one in whole months. Undefined without requests, and
        where an open request has no time of receipt. Source: Art. 12(3) GDPR; Regulation
        (EEC, Euratom) No 1182/71, Art. 3.
    Leaves out: Public holidays, whether an extension was necessary, whether the answer was right,
        and requests that nobody entered.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    controls = ("DSR",)
    needs = (Needs.REQUEST_TIMES,)
    data_set_roles = frozenset({DataSetRole.SUBJECT_REQUESTS})
    remediation = (
        "Answer the late requests now and say why it took so long. Where a request is complex, "
        "tell the person of the extension within the first month and enter it. Look for the step "
        "at which requests wait."
    )
    examples = (
        Example("open for ten days", Outcome.PASS, _tables([_FEBRUARY], [None])),
        Example(
            "answered long ago",
            Outcome.PASS,
            _tables([_JANUARY], [dt.datetime(2026, 1, 25)]),
        ),
        Example("open for six weeks", Outcome.FAIL, _tables([_JANUARY], [None])),
        Example(
            "open for six weeks, extended",
            Outcome.PASS,
            _tables([_JANUARY], [None], extended_at=[dt.datetime(2026, 2, 10)]),
        ),
        Example(
            "open for four months, extended",
            Outcome.FAIL,
            _tables([dt.datetime(2025, 11, 1)], [None], extended_at=[dt.datetime(2025, 11, 20)]),
        ),
        Example(
            "extended when the month had long passed",
            Outcome.FAIL,
            _tables([_JANUARY], [None], extended_at=[dt.datetime(2026, 2, 26)]),
        ),
        Example("received at an unknown time", Outcome.NOT_AVAILABLE, _tables([None], [None])),
        Example("no requests", Outcome.NOT_AVAILABLE, _tables([], [])),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Five aggregates, in one scan."""
        fields, night = inputs.data_set.fields, inputs.night
        received, zone = fields[FieldRole.RECEIVED_AT], zone_of(inputs.data_set, night)
        is_open = _open(fields[FieldRole.ANSWERED_AT], received, night.end, zone)
        extended = inputs.data_set.field(FieldRole.EXTENDED_AT)
        limits = [_first_in_time(inputs, [_ANSWER]), _first_in_time(inputs, [_ANSWER, _EXTENSION])]
        source = Source(inputs.data_set.id)
        yield Scalar("requests", source, lambda table: table.count())
        yield Scalar("open", source, lambda table: table.count(where=is_open(table)))
        yield Scalar("undated", source, _undated(is_open, received))
        told = _told(inputs, extended, received, zone) if extended else None
        yield Scalar("late", source, _late(is_open, received, told, limits, zone))
        yield Scalar("oldest", source, lambda table: table[received].min(where=is_open(table)))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about all open requests."""
        requests, opened, undated, late = (
            int(observations[name] or 0) for name in ("requests", "open", "undated", "late")
        )
        if late:
            outcome = Outcome.FAIL
            explanation = "Requests are open although their last day has passed."
        elif requests == 0:
            outcome, explanation = Outcome.NOT_AVAILABLE, "The data set holds no request."
        elif undated:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "An open request has no time of receipt, so it cannot be judged."
        else:
            outcome = Outcome.PASS
            explanation = "No request is open beyond its last day."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=_measurements(inputs, opened, undated, late, observations["oldest"]),
            scope="all requests received by the end of the night",
        )


def _period(inputs: Inputs, key: str) -> str:
    known = inputs.world.controls.dates.get(key)
    return known.value if known else {"data-subject-request": "P1M"}.get(key, "P2M")


def _first_in_time(inputs: Inputs, periods: list[str]) -> dt.datetime:
    """Requests received before this moment are late at the end of the night.

    A period ends with the day of the same number, or the last day of a shorter month; on a
    weekend nothing ends.
    """
    today = inputs.night.date
    while today.weekday() >= _SATURDAY:
        today -= dt.timedelta(days=1)
    end = dt.datetime.combine(today, dt.time())
    day = end
    while _due(inputs, day, periods) > end:
        day -= dt.timedelta(days=1)
    return (day + dt.timedelta(days=1)).replace(tzinfo=inputs.night.zone)


def _due(inputs: Inputs, received: dt.datetime, periods: list[str]) -> dt.datetime:
    for key in periods:
        received = after(received, _period(inputs, key))
    return received


def _open(answered: str, received: str, end: dt.datetime, zone: ZoneInfo) -> Expression:
    """Requests that had come and were not answered by the end of the night."""

    def is_open(table: Any) -> Any:
        answer, came = table[answered], table[received]
        unanswered = answer.isnull() | (answer >= comparable(answer, end, zone))
        return unanswered & (came.isnull() | (came < comparable(came, end, zone)))

    return is_open


def _undated(is_open: Expression, received: str) -> Expression:
    return lambda table: table.count(where=is_open(table) & table[received].isnull())


def _told(inputs: Inputs, extended: str, received: str, zone: ZoneInfo) -> Expression:
    """Requests whose extension the person was told of in time, and by the end of the night."""
    starts = [dt.datetime(inputs.night.date.year, month, 1) for month in range(1, 13)]
    longest = max((_due(inputs, day, [_ANSWER]) - day).days for day in starts)

    def told(table: Any) -> Any:
        when, came = table[extended], table[received]
        known = when.notnull() & (when < comparable(when, inputs.night.end, zone))
        waited = when.cast("date").delta(came.cast("date"), unit="day")
        return (known & (waited <= longest + _WEEKEND)).fill_null(False)

    return told


def _late(
    is_open: Expression,
    received: str,
    told: Expression | None,
    limits: list[dt.datetime],
    zone: ZoneInfo,
) -> Expression:
    def late(table: Any) -> Any:
        came = table[received]
        beyond, beyond_all = (came < comparable(came, limit, zone) for limit in limits)
        if told is None:
            return table.count(where=is_open(table) & beyond)
        return table.count(where=is_open(table) & ((beyond & ~told(table)) | beyond_all))

    return late


def _measurements(
    inputs: Inputs, opened: int, undated: int, late: int, oldest: Any
) -> list[Measurement]:
    known = oldest is not None and oldest == oldest  # NaT is not equal to itself
    months = None
    if known:
        day = oldest.date() if isinstance(oldest, dt.datetime) else oldest
        months = whole_months((inputs.night.date - day).days)
    return [
        Measurement(name="requests_open", value=opened, unit="rows"),
        Measurement(
            name="requests_late",
            value=late,
            unit="rows",
            threshold=Threshold(value=0, operator="==", source="Art. 12(3) GDPR"),
        ),
        Measurement(name="requests_without_time", value=undated, unit="rows"),
        Measurement(
            name="oldest_open",
            value=months,
            unit="months",
            reason="" if known else "no open request has a time of receipt",
        ),
    ]
