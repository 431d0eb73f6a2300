"""Windows over a data set: which moments and nights they cover, as SQL and in the right zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from nachweis.domain.errors import DataError
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.night import Night

NAIVE_TIMES = ("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S")
AWARE_TIMES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, as a rule one that ends with the night.

    Attributes:
        start: First moment, aware.
        end: First moment after it, aware.
        nights: The calendar dates it touches, oldest first.
    """

    start: dt.datetime
    end: dt.datetime
    nights: tuple[dt.date, ...]


def night_span(night: Night) -> Span:
    """The night itself."""
    return Span(night.start, night.end, (night.date,))


def span_between(start: dt.datetime, end: dt.datetime, night: Night) -> Span:
    """A stretch between two aware moments, with the calendar dates it touches."""
    first = start.astimezone(night.zone).date()
    last = (end - dt.timedelta(microseconds=1)).astimezone(night.zone).date()
    days = (last - first).days
    return Span(start, end, tuple(first + dt.timedelta(days=day) for day in range(days + 1)))


def spans(night: Night, current: CurrentWindow) -> list[Span]:
    """The declared current window and its extensions, day by day, narrowest first.

    Args:
        night: The night that all spans end with.
        current: The declared window, its minimum and how far it may reach.

    Returns:
        At least one span.
    """
    start, end = night.window(current.window)
    found = [Span(start, end, tuple(night.dates(current.window)))]
    for first in reversed(night.dates(current.extend_to)):
        midnight = dt.datetime.combine(first, dt.time(), night.zone)
        if midnight < start:
            days = (night.date - first).days
            dates = tuple(first + dt.timedelta(days=day) for day in range(days + 1))
            found.append(Span(midnight, end, dates))
    return found


def choose(counts: Sequence[int], minimum: int) -> int:
    """Position of the narrowest span with enough rows, else of the widest.

    Args:
        counts: Rows per span, narrowest first.
        minimum: Rows wanted.

    Returns:
        The position.
    """
    return next((i for i, rows in enumerate(counts) if rows >= minimum), len(counts) - 1)


def within(column: str, type_: str, zone: ZoneInfo, span: Span, where: str) -> str:
    """The condition that a row's time lies in a span, as SQL.

    Bounds become constants of the column's own type, so that the engine can skip row groups.
    Aware times are compared as moments. Naive times are in ``zone``: the bounds are turned into
    that zone's wall clock, which is exact on days with a clock change too. Dates are calendar
    dates of the organisation.

    Args:
        column: The column as an SQL identifier.
        type_: The engine's type of the column.
        zone: Zone of naive times.
        span: The span.
        where: Data set, for errors.

    Returns:
        An SQL condition; rows without a time do not meet it.

    Raises:
        DataError: If the column holds no times.
    """
    if type_ == "DATE":
        last = span.end - dt.timedelta(microseconds=1)
        low, high = span.start.date(), last.date() + dt.timedelta(days=1)
        return f"{column} >= DATE '{low}' AND {column} < DATE '{high}'"
    if type_ in AWARE_TIMES:
        bounds = [_literal(moment.astimezone(dt.UTC), type_) for moment in (span.start, span.end)]
    elif type_ in NAIVE_TIMES:
        bounds = [
            _literal(moment.astimezone(zone).replace(tzinfo=None), type_)
            for moment in (span.start, span.end)
        ]
    else:
        raise DataError(
            f"the time column {column} holds no times but {type_}",
            where=where,
            remedy="store it as a timestamp, or declare another time column",
        )
    return f"{column} >= {bounds[0]} AND {column} < {bounds[1]}"


def _literal(moment: dt.datetime, type_: str) -> str:
    return f"CAST('{moment.isoformat(sep=' ')}' AS {type_})"


def as_instant(column: str, type_: str, zone: ZoneInfo, where: str) -> str:
    """A time column as a moment, as SQL; dates are the midnight that begins them.

    Args:
        column: The column as an SQL expression.
        type_: The engine's type of the column.
        zone: Zone of naive times.
        where: Data set, for errors.

    Returns:
        An SQL expression of type TIMESTAMP WITH TIME ZONE.

    Raises:
        DataError: If the column holds no times.
    """
    if type_ in AWARE_TIMES:
        return f"CAST({column} AS TIMESTAMP WITH TIME ZONE)"
    if type_ in NAIVE_TIMES or type_ == "DATE":
        return f"timezone('{zone.key}', CAST({column} AS TIMESTAMP))"
    raise DataError(
        f"the column {column} holds no times but {type_}",
        where=where,
        remedy="store it as a timestamp or date",
    )


def as_local_date(column: str, type_: str, zone: ZoneInfo, local: ZoneInfo, where: str) -> str:
    """A time column as a calendar date of the organisation, as SQL; see :func:`as_instant`."""
    if type_ == "DATE":
        return column
    return f"CAST(timezone('{local.key}', {as_instant(column, type_, zone, where)}) AS DATE)"
