"""Who read the demo's data: one line per access, as CloudTrail says it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np

from demo.clock import moments
from demo.defects import planted_on
from demo.population import rng_for

READERS = {
    "role/nightly-governance": 0.35,
    "role/campaign-engine": 0.3,
    "campaign-reader": 0.15,
    "ticket-agent": 0.2,
}
"""Principals and their share of the accesses; the manifest declares them."""
REGIONS = ("eu-central-1", "eu-north-1")

_WORKING_DAY, _WEEKEND_DAY = 160, 80
_SATURDAY = 5
_WRITES = 0.1
_COPY = 1_200


def accesses(day: dt.date) -> list[dict[str, object]]:
    """The accesses of one day, in the order of time.

    Args:
        day: The day.

    Returns:
        One row an access.
    """
    rng = rng_for(140, day.toordinal())
    usual = _WEEKEND_DAY if day.weekday() >= _SATURDAY else _WORKING_DAY
    n = int(usual * rng.uniform(0.9, 1.1))
    rows = list(_usual(day, n, rng))
    if planted_on(day).copied_abroad:
        rows += _copied(day, rng)
    return sorted(rows, key=lambda row: str(row["eventTime"]))


def _usual(day: dt.date, n: int, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    times = _times(day, rng.integers(0, 23 * 3600, n))
    who = rng.choice(list(READERS), n, p=list(READERS.values()))
    where = rng.choice(REGIONS, n, p=[0.8, 0.2])
    writes = rng.random(n) < _WRITES
    sizes = rng.integers(20_000, 400_000, n)
    for i in range(n):
        yield {
            "eventTime": times[i],
            "eventName": "PutObject" if writes[i] else "GetObject",
            "awsRegion": str(where[i]),
            "actor": str(who[i]),
            "bytes": int(sizes[i]),
        }


def _copied(day: dt.date, rng: np.random.Generator) -> list[dict[str, object]]:
    times = _times(day, rng.integers(1 * 3600, 3 * 3600, _COPY))
    return [
        {
            "eventTime": time,
            "eventName": "GetObject",
            "awsRegion": "us-east-1",
            "actor": "user/temporary-export",
            "bytes": 4_000_000,
        }
        for time in times
    ]


def _times(day: dt.date, seconds: np.ndarray) -> list[str]:
    written = np.datetime_as_string(moments(day, seconds), unit="s", timezone="UTC")
    return [str(time) for time in written]
