"""How much was read in a night against earlier days of the same log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.checks.access._log import ROLES, TONIGHT, access_log, reads_of, scope_of
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import FieldRole
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Observations,
    Request,
    Source,
)
from nachweis.engines.bands import Band, expected_band
from nachweis.engines.moments import comparable, zone_of

_LOOK_BACK = 42
_DAY = 86_400
_FEWEST_ACCESSES = 20
"""Below this median the usual spread of so few accesses hides everything."""
_SATURDAY = 5
_WORKING = (26, 30, 28, 25, 27, 29, 31, 24, 28, 30, 26, 27)
"""Accesses on earlier working days of the examples."""


def _tables(tonight: int, size: int = 1000, days: int = 12, **fields: str) -> dict[str, Any]:
    """About thirty accesses on earlier working days, some tonight."""
    nights = [TONIGHT - dt.timedelta(days=back) for back in range(1, 40)]
    working = [night for night in nights if night.weekday() < _SATURDAY][:days]
    at = [night for night, n in zip(working, _WORKING, strict=False) for _ in range(n)]
    sizes = [1000] * len(at) + [size] * tonight
    return access_log({"at": at + [TONIGHT] * tonight, "bytes": sizes, **fields})


class AccessVolumeUsual(Check):
    """Was no more read in this night than on earlier days?

    Why: A copy of a whole table, or an export that runs away, shows first in how much leaves; a
        leak must be noticed before others notice it (Art. 32(1)(b), 33(1) GDPR).
    Method: Accesses and, where ``fields.bytes`` is declared, bytes of the night's rows that read
        data, against the days of the same log before (at most 42) of the same kind, Monday to
        Friday or weekend. Upper limit = median x factor with
        factor = exp(max(log(``min_factor``), ``deviations`` x 1.4826 x MAD)), MAD = median absolute
        deviation of the logarithms; accesses and bytes, 0 or more. Only more than usual fails.
        Undefined with fewer than ``min_days`` earlier days with accesses, where their median is
        below 20 accesses, and in a night without any. Source: this project; Hampel (1974) for the
        median absolute deviation.
    Leaves out: Who read so much, slow growth, which moves the limit, and exports that are small
        against the usual volume. A planned export is declared as an event for its night.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    controls = ("ACCESS", "LOGGING", "LEAKAGE")
    needs = (Needs.TIME,)
    data_set_roles = ROLES
    params = (
        Param(
            "min_days",
            10,
            "days",
            "design default of this project",
            "Earlier days of the same kind that are needed for a verdict.",
            minimum=5,
            maximum=30,
        ),
        Param(
            "min_factor",
            3.0,
            "factor",
            "design default of this project",
            "Smallest factor above the median that counts.",
            minimum=1.05,
            maximum=1000,
        ),
        Param(
            "deviations",
            8.0,
            "robust standard deviations",
            "chosen for few false alarms",
            "Distance of the limit from the median on the scale of logarithms.",
            minimum=3,
            maximum=20,
        ),
    )
    remediation = (
        "List the readers of that night by what they read, in the log itself. If it was a planned "
        "export, declare an event for its night; else stop the reader, withdraw its key, and have "
        "the data protection officer decide whether this is an incident."
    )
    examples = (
        Example("as much as usual", Outcome.PASS, _tables(30)),
        Example("less than usual", Outcome.PASS, _tables(3)),
        Example("ten times as many accesses", Outcome.FAIL, _tables(300)),
        Example("as many accesses to files as large as tables", Outcome.FAIL, _tables(30, 10**6)),
        Example("six days are no history", Outcome.NOT_AVAILABLE, _tables(300, days=6)),
        Example("nothing was read", Outcome.NOT_AVAILABLE, _tables(0)),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Accesses and bytes per day, in one query."""
        night, time = inputs.night, inputs.data_set.time
        if time is None:
            raise LookupError("the need 'time' was not met")
        size = inputs.data_set.field(FieldRole.BYTES)
        first = night.start - dt.timedelta(days=_LOOK_BACK)
        yield GroupedCounts(
            "days",
            Source(inputs.data_set.id, "span", (first, night.end)),
            {"back": _days_back(time.column, night.start, zone_of(inputs.data_set, night))},
            where=reads_of(inputs),
            sums={"bytes": lambda table: table[size]} if size else {},
        )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about accesses and bytes."""
        table: CountTable = observations["days"]
        per_day = {int(key[0]): n for key, n in table.rows.items() if key[0] is not None}
        per_day[0] = sum(per_day.pop(back) for back in list(per_day) if back <= 0)
        earlier = [back for back in sorted(per_day) if back > 0 and _same_kind(inputs, back)]
        series = [_Series("accesses", "rows", per_day[0], [per_day[back] for back in earlier])]
        if sizes := table.sums.get("bytes"):
            by_day = {int(key[0]): total for key, total in sizes.items() if key[0] is not None}
            tonight = sum(total for back, total in by_day.items() if back <= 0)
            series.append(_Series("bytes", "bytes", tonight, [by_day[back] for back in earlier]))
        scope = f"{scope_of(inputs)}, against {len(earlier)} earlier days of the same kind"
        if reason := _no_verdict(inputs, series[0]):
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"No verdict on how much was read: {reason}.",
                measurements=[
                    Measurement(name=s.name, value=s.tonight, unit=s.unit) for s in series
                ],
                scope=scope,
            )
            return
        limits = [
            expected_band(one.before, inputs.param("deviations"), inputs.param("min_factor"))
            for one in series
        ]
        beyond = [
            one.name for one, band in zip(series, limits, strict=True) if one.tonight > band.high
        ]
        yield self.finding(
            inputs,
            Outcome.FAIL if beyond else Outcome.PASS,
            f"Far more than on earlier days: {' and '.join(beyond)}."
            if beyond
            else "No more was read than on earlier days.",
            measurements=[
                number
                for one, band in zip(series, limits, strict=True)
                for number in _measurements(inputs, one, band)
            ],
            scope=scope,
        )


@dataclass(frozen=True, slots=True)
class _Series:
    """How much was read tonight and on earlier days."""

    name: str
    unit: str
    tonight: float
    before: Sequence[float]


def _days_back(column: str, start: dt.datetime, zone: ZoneInfo) -> Expression:
    """How many days before the night a row lies; 0 for the night itself."""

    def back(table: Any) -> Any:
        time = table[column]
        if time.type().is_date():
            time = time.cast("timestamp")
        begin = comparable(time, start, zone)
        if begin.tzinfo is None:
            begin = begin.replace(tzinfo=dt.UTC)
        return (int(begin.timestamp()) + _DAY - 1 - time.epoch_seconds()) // _DAY

    return back


def _same_kind(inputs: Inputs, back: int) -> bool:
    """Whether a day is a working day or a weekend as the night is."""
    day = inputs.night.date - dt.timedelta(days=back)
    return (day.weekday() >= _SATURDAY) is (inputs.night.date.weekday() >= _SATURDAY)


def _no_verdict(inputs: Inputs, accesses: _Series) -> str:
    needed = inputs.param("min_days")
    if not accesses.tonight:
        return "the log holds no access in this night"
    if len(accesses.before) < needed:
        return (
            f"{len(accesses.before)} earlier days of this kind hold accesses, {needed} are needed"
        )
    if sorted(accesses.before)[len(accesses.before) // 2] < _FEWEST_ACCESSES:
        return f"days usually hold fewer than {_FEWEST_ACCESSES} accesses"
    return ""


def _measurements(inputs: Inputs, one: _Series, band: Band) -> list[Measurement]:
    recipe = "median and median absolute deviation of the logarithms of earlier days"
    return [
        Measurement(name=one.name, value=round(one.tonight), unit=one.unit),
        Measurement(
            name=f"{one.name}_median_before", value=round(band.median), unit=one.unit, recipe=recipe
        ),
        Measurement(
            name=f"{one.name}_factor",
            value=max(one.tonight, 0.5) / band.median,
            unit="ratio",
            threshold=Threshold(
                value=round(band.high / band.median, 3),
                operator="<=",
                source=inputs.params["min_factor"].source,
            ),
            n=round(band.median),
            recipe=recipe,
        ),
    ]
