"""Age of a data set's newest row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.disclosure import whole_months
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.manifest.common import before
from nachweis.domain.observation import Observations, Request, Scalar, Source
from nachweis.engines.moments import comparable, zone_of

_DAYS_SHOWN = 31
"""Older rows are told by whole months."""


def _table(*times: dt.datetime | None, nightly: bool = False, **declare: Any) -> dict[str, Any]:
    role = DataSetRole.SCORING_LOG if nightly else DataSetRole.TRAINING
    rows: dict[str, list[Any]] = {"customer": list(range(len(times))), "at": list(times)}
    columns = [{"name": "customer"}, {"name": "at", "type": "timestamp"}]
    return {
        "rows": ExampleTable(role, rows, {"time": {"column": "at"}, "columns": columns, **declare})
    }


class DataFreshEnough(Check):
    """Is the newest row young enough?

    Why: A delivery that stopped is not seen in the rows that are there: checks keep passing on old
        data, and a model keeps deciding about people on what is no longer true of them
        (Art. 5(1)(d) GDPR).
    Method: Age = end of the night - time of the newest row that is not later than that end, by the
        data set's ``time`` column and zone; 0 or more, in days. In order if it is at most the data
        set's ``max_age``, else, for data that arrive by the night, ``nightly_hours``. Data that
        arrive by the night and are not there are not young enough either. Undefined where no row
        carries a time, or for other data without ``max_age``. Source: this project.
    Leaves out: Whether all rows are young, and whether the time column tells the truth. Only the
        night's rows are read where that suffices.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-QUALITY", "MONITOR")
    needs = (Needs.TIME,)
    params = (
        Param(
            "nightly_hours",
            24,
            "hours",
            "design default of this project: one row in the night",
            "How old the newest row of data that arrive by the night may be.",
            minimum=1,
            maximum=24,
        ),
    )
    remediation = (
        "Ask the owner of the delivery when it last ran and whether it reached this location. "
        "Until then, tell those who act on results of this data set that they rest on old rows. "
        "If data of this age are in order, declare 'max_age'."
    )
    examples = (
        Example(
            "a row of the night", Outcome.PASS, _table(dt.datetime(2026, 3, 2, 5), nightly=True)
        ),
        Example(
            "a night without rows",
            Outcome.FAIL,
            _table(dt.datetime(2026, 2, 20, 5), nightly=True),
        ),
        Example(
            "training data older than declared",
            Outcome.FAIL,
            _table(dt.datetime(2025, 1, 20, 5), max_age="P12M"),
        ),
        Example(
            "training data as young as declared",
            Outcome.PASS,
            _table(dt.datetime(2025, 6, 1, 5), None, max_age="P12M"),
        ),
        Example("no row carries a time", Outcome.NOT_AVAILABLE, _table(None, None, max_age="P12M")),
        Example(
            "no age declared for a snapshot",
            Outcome.NOT_AVAILABLE,
            _table(dt.datetime(2025, 6, 1, 5)),
        ),
        Example("no time column declared", Outcome.NOT_AVAILABLE, _table(time=None)),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Rows within the limit and the newest time, in the statement of all other aggregates."""
        limit = _limit(inputs)
        if limit is None or inputs.data_set.time is None:
            return
        column = inputs.data_set.time.column
        zone, end = zone_of(inputs.data_set, inputs.night), inputs.night.end
        source = limit.source

        def fresh(table: Any) -> Any:
            time = table[column]
            return (
                (time >= comparable(time, limit.oldest, zone))
                & (time < comparable(time, end, zone))
            ).sum()

        def newest(table: Any) -> Any:
            time = table[column]
            return time.max(where=time < comparable(time, end, zone))

        yield Scalar("rows", source, lambda table: table.count())
        yield Scalar("fresh", source, fresh)
        yield Scalar("newest", source, newest)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the whole data set."""
        limit = _limit(inputs)
        if limit is None:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "Nothing says how old these data may be.",
                declare="'max_age' of the data set, for example P12M",
            )
            return
        nightly = limit.source.window == "night"
        scope = f"{inputs.subject.id}, window {limit.source.window}"
        if nightly and observations.not_delivered("rows"):
            yield self.finding(
                inputs,
                Outcome.FAIL,
                "Nothing was delivered for the night.",
                measurements=[_fresh_rows(0, limit.threshold)],
                scope=scope,
            )
            return
        rows, fresh, newest = (observations[name] for name in ("rows", "fresh", "newest"))
        if newest is None and (rows or not nightly):
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No row carries a time before the end of the night."
                if rows
                else "The data set holds no rows.",
                scope=scope,
            )
            return
        measurements = [_fresh_rows(int(fresh or 0), None)]
        if newest is not None:
            measurements.insert(0, _age(inputs, newest, limit.threshold))
        yield self.finding(
            inputs,
            Outcome.PASS if fresh else Outcome.FAIL,
            _explained(limit.words, fresh=bool(fresh), dated=newest is not None),
            measurements=measurements,
            scope=scope,
        )


@dataclass(frozen=True, slots=True)
class _Limit:
    """How old the newest row may be."""

    oldest: dt.datetime
    threshold: Threshold
    words: str
    source: Source


def _limit(inputs: Inputs) -> _Limit | None:
    rows = inputs.rows_in_question
    declared, night = inputs.data_set.max_age, inputs.night
    if declared:
        oldest = before(night.end, declared)
        threshold = Threshold(value=declared, operator="<=", source="manifest of the data set")
        words = declared
    elif rows.window == "night":
        hours = inputs.param("nightly_hours")
        oldest = max(night.start, night.end - dt.timedelta(hours=hours))
        threshold = inputs.threshold("nightly_hours", "<=")
        words = f"{hours} hours"
    else:
        return None
    # Rows of the night suffice unless older ones would do as well.
    source = rows if oldest >= night.start else Source(rows.data_set)
    return _Limit(oldest, threshold, words, source)


def _fresh_rows(rows: int, threshold: Threshold | None) -> Measurement:
    return Measurement(name="rows_within_limit", value=rows, unit="rows", threshold=threshold)


def _age(inputs: Inputs, newest: Any, threshold: Threshold) -> Measurement:
    if not isinstance(newest, dt.datetime):
        newest = dt.datetime.combine(newest, dt.time())
    if newest.tzinfo is None:
        newest = newest.replace(tzinfo=zone_of(inputs.data_set, inputs.night))
    days = (inputs.night.end - newest).total_seconds() / 86_400
    recipe = "end of the night minus the newest time before it, rounded down"
    if days <= _DAYS_SHOWN:
        value, unit = int(days), "days"
    else:
        value, unit = whole_months(days), "months"
    return Measurement(name="age", value=value, unit=unit, threshold=threshold, recipe=recipe)


def _explained(limit: str, *, fresh: bool, dated: bool) -> str:
    if not dated:
        return "The night has no rows."
    if fresh:
        return f"The newest row is within the limit of {limit}."
    return f"The newest row is not within the limit of {limit}."
