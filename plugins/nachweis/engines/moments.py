"""Moments as columns of any time type can be compared with them, for expressions of checks."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.domain.manifest import DataSet
from nachweis.domain.night import Night


def zone_of(data_set: DataSet, night: Night) -> ZoneInfo:
    """Zone in which a data set writes times that carry none.

    Args:
        data_set: The data set.
        night: For the organisation's zone, which is the default.

    Returns:
        The zone.
    """
    declared = data_set.time.zone if data_set.time else None
    return ZoneInfo(declared) if declared else night.zone


def comparable(column: Any, moment: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """A moment in the form in which a column's values can be compared with it.

    Columns that carry a zone are compared as moments. Times without a zone, and dates, are wall
    clock of ``zone``; the engine's own session zone then plays no part.

    Args:
        column: An Ibis column of a time type.
        moment: An aware moment.
        zone: Zone of times that carry none.

    Returns:
        The same moment, aware or as the zone's wall clock.
    """
    kind = column.type()
    if kind.is_timestamp() and kind.timezone is not None:
        return moment
    return moment.astimezone(zone).replace(tzinfo=None)
