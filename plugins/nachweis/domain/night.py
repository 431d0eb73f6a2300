"""The night: the calendar date of the data window in the organisation's time zone."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest.common import before


@dataclass(frozen=True, slots=True)
class Night:
    """One night: [00:00, next 00:00) local time of ``date``.

    Attributes:
        date: Calendar date of the data window.
        timezone: IANA name of the organisation's zone.
    """

    date: dt.date
    timezone: str = "Europe/Berlin"

    @classmethod
    def parse(cls, text: str, timezone: str = "Europe/Berlin") -> Night:
        """Read ``YYYY-MM-DD``.

        Args:
            text: The date.
            timezone: IANA name.

        Returns:
            The night.

        Raises:
            NachweisError: If the text is not a date.
        """
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise NachweisError(f"{text!r} is not a night", remedy="write it as YYYY-MM-DD")
        try:
            return cls(dt.date.fromisoformat(text), timezone)
        except ValueError as error:
            raise NachweisError(
                f"{text!r} is not a date", remedy="write it as YYYY-MM-DD"
            ) from error

    def __str__(self) -> str:
        return self.date.isoformat()

    @property
    def zone(self) -> ZoneInfo:
        """The organisation's zone."""
        return ZoneInfo(self.timezone)

    @property
    def start(self) -> dt.datetime:
        """First moment of the night, aware."""
        return dt.datetime.combine(self.date, dt.time(), self.zone)

    @property
    def end(self) -> dt.datetime:
        """First moment after the night, aware."""
        return dt.datetime.combine(self.date + dt.timedelta(days=1), dt.time(), self.zone)

    def window(self, period: str) -> tuple[dt.datetime, dt.datetime]:
        """The window of a period that ends with this night.

        Args:
            period: ISO 8601 duration, for example P7D.

        Returns:
            Aware start (inclusive) and end (exclusive), by the local calendar.
        """
        first = before(self.end.replace(tzinfo=None), period)
        return first.replace(tzinfo=self.zone), self.end

    def dates(self, period: str) -> list[dt.date]:
        """Calendar dates that a window touches, oldest first."""
        start, end = self.window(period)
        last = (end.replace(tzinfo=None) - dt.timedelta(microseconds=1)).date()
        days = (last - start.date()).days
        return [start.date() + dt.timedelta(days=day) for day in range(days + 1)]
