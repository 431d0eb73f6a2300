"""Moments of the demo: local times of a night, as UTC."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

ZONE = ZoneInfo("Europe/Berlin")
LAST_NIGHT = dt.date(2026, 11, 20)
DAYS = 60

Moments = NDArray[np.datetime64]


def midnight(day: dt.date) -> np.datetime64:
    """First moment of a local day, as UTC microseconds without a zone."""
    local = dt.datetime.combine(day, dt.time(), ZONE).astimezone(dt.UTC)
    return np.datetime64(local.replace(tzinfo=None), "us")


def moments(day: dt.date, seconds: NDArray[np.integer]) -> Moments:
    """Moments of a local day, given as seconds after its midnight (below 82,800)."""
    return midnight(day) + seconds.astype("timedelta64[s]").astype("timedelta64[us]")


def spread(first: dt.date, last: dt.date, n: int, rng: np.random.Generator) -> Moments:
    """Random whole seconds between two days, the last one excluded."""
    start, end = midnight(first), midnight(last)
    span = int((end - start) // np.timedelta64(1, "s"))
    return start + rng.integers(0, span, n).astype("timedelta64[s]").astype("timedelta64[us]")


def nights(until: dt.date, days: int) -> list[dt.date]:
    """The last nights up to and including ``until``, oldest first."""
    return [until - dt.timedelta(days=back) for back in range(days - 1, -1, -1)]
