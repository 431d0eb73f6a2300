"""Forecast of when a slowly drifting feature reaches its limit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import NO_DATA_SET, History, Observations, PastFinding, Request
from nachweis.engines.forecast import SMALLEST_SERIES, Trend, trend

_MEASURED_BY = "feature_distribution_stable"
_DISTANCE = "distance"
_FAMILY_ERROR = 0.01
_LOOK_BACK = 30
_NAMED = 5
_STALE_DAYS = 7
_RECIPE = (
    "Theil-Sen slope of the signed distances of earlier nights; interval of Sen (1968) at a level "
    "of 99 % for all features together"
)


def _past(values: Mapping[str, Sequence[float]], limit: float = 0.1) -> tuple[PastFinding, ...]:
    """Signed distances of the nights before 2026-03-02, newest first."""
    last = dt.date(2026, 3, 1)
    return tuple(
        PastFinding(
            night=(last - dt.timedelta(days=age)).isoformat(),
            outcome="pass",
            column=column,
            drifted=False,
            values={_DISTANCE: value},
            units={_DISTANCE: "wasserstein"},
            limits={_DISTANCE: limit},
        )
        for column, series in values.items()
        for age, value in enumerate(reversed(series))
    )


_NOISE = (0.004, -0.003, 0.001, 0.005, -0.004, 0.0, 0.002, -0.002, 0.003, -0.001)


def _series(n: int, start: float, step: float) -> list[float]:
    return [start + step * i + _NOISE[i % len(_NOISE)] for i in range(n)]


_MODEL = {"features": ["income", "age"]}
_NO_TABLES: Mapping[str, ExampleTable] = {}


class DriftThresholdNotInSight(Check):
    """Will slowly drifting inputs stay within their limits over the coming nights?

    Why: A feature that moves a little every night gives warning before it crosses its limit; with
        notice the owner can act before scores for people become wrong.
    Method: For each feature, the distances to the reference that feature_distribution_stable signed
        on the last 30 nights, with the same method and limit. The slope per night is the median of
        the slopes between all pairs of nights (Theil 1950, Sen 1968), with an interval that holds
        at 99 % for all features together. Where the whole interval lies above 0, the line is
        extended to the limit: nights until then, 0 or more, with the nights for both ends of the
        interval. The check fails, at low severity only, if the line reaches the limit within
        ``horizon`` nights. Undefined below 10 nights, where the newest
        distance is older than 7 days, and for p-values, which have no trend.
        Source: scipy.stats.theilslopes.
    Leaves out: Features beyond their limit already, which feature_distribution_stable reports.
        Steps, seasons and curves: a straight line knows none of them. Where the interval holds 0,
        nothing is said about the future, which does not mean that nothing will happen. Windows that
        were widened overlap, which makes intervals look narrower than they are.
    """

    severity = Severity.LOW
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.FEATURES,)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    aliases = ("drift_forecast",)
    params = (
        Param(
            "horizon",
            14,
            "nights",
            "design default of this project",
            "Nights ahead within which a limit must not be reached.",
            minimum=1,
            maximum=90,
        ),
    )
    remediation = (
        "Look at the feature named first and ask its source what changes gradually: prices, "
        "audience, a filling table. Plan a look at recent outcomes, a new reference or a new "
        "version before the night that is forecast."
    )
    examples = (
        Example(
            "distances go up and down",
            Outcome.PASS,
            _NO_TABLES,
            model=_MODEL,
            history=_past({"income": _series(20, 0.03, 0.0), "age": _series(20, 0.04, 0.0)}),
        ),
        Example(
            "a distance rises towards its limit",
            Outcome.FAIL,
            _NO_TABLES,
            model=_MODEL,
            history=_past({"income": _series(20, 0.02, 0.003), "age": _series(20, 0.04, 0.0)}),
        ),
        Example(
            "a distance rises, but its limit is months away",
            Outcome.PASS,
            _NO_TABLES,
            model=_MODEL,
            history=_past({"income": _series(20, 0.02, 0.001)}, limit=0.5),
        ),
        Example(
            "a distance beyond its limit already",
            Outcome.PASS,
            _NO_TABLES,
            model=_MODEL,
            history=_past({"income": _series(20, 0.15, 0.003)}),
        ),
        Example(
            "nine nights",
            Outcome.NOT_AVAILABLE,
            _NO_TABLES,
            model=_MODEL,
            history=_past({"income": _series(9, 0.02, 0.006)}),
        ),
        Example("no signed night yet", Outcome.NOT_AVAILABLE, _NO_TABLES, model=_MODEL),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """What feature_distribution_stable signed on earlier nights; no data are read."""
        yield History("history", NO_DATA_SET, nights=_LOOK_BACK, of=_MEASURED_BY)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding; the feature that reaches its limit first is named first."""
        series = list(_series_of(observations["history"], inputs.night.date))
        long_enough = [one for one in series if len(one.values) >= SMALLEST_SERIES]
        if not long_enough:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"A trend needs {SMALLEST_SERIES} signed nights with a distance of the same "
                "feature, method and limit; there are fewer.",
                severity=Severity.INFO,
                declare=f"whatever {_MEASURED_BY} asks for, so that it gives distances every night",
            )
            return
        confidence = 1 - _FAMILY_ERROR / len(long_enough)
        forecasts = _forecasts(inputs, long_enough, confidence)
        yield self._finding(inputs, forecasts, len(series) - len(long_enough))

    def _finding(self, inputs: Inputs, forecasts: Sequence[_Forecast], short: int) -> Finding:
        horizon = inputs.param("horizon")
        rising = sorted(
            (one for one in forecasts if one.nights is not None),
            key=lambda one: (one.nights or 0.0, one.column),
        )
        soon = [one for one in rising if one.nights is not None and one.nights <= horizon]
        return self.finding(
            inputs,
            Outcome.FAIL if soon else Outcome.PASS,
            _explanation(rising, soon, forecasts, horizon),
            measurements=[
                *_counts(forecasts, rising, short),
                *(m for one in rising for m in _measurements(inputs, one)),
            ],
            severity=None if soon else Severity.INFO,
            scope=f"signed distances of {len(forecasts)} features on up to {_LOOK_BACK} nights",
        )


# --------------------------------------------------------------------------------------- series


@dataclass(frozen=True, slots=True)
class _Series:
    """Distances of one feature, oldest first, all by one method and against one limit."""

    column: str
    nights: tuple[dt.date, ...]
    values: tuple[float, ...]
    limit: float


def _series_of(history: Iterable[PastFinding], tonight: dt.date) -> Iterator[_Series]:
    """Distances by feature, as far as the newest is recent.

    Nights with another method or limit than the newest are left out.
    """
    found: dict[str, dict[str, PastFinding]] = {}
    for past in history:
        value = past.values.get(_DISTANCE)
        if (
            past.column is None
            or past.night >= str(tonight)
            or past.outcome not in {"pass", "fail"}
        ):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(past.column, {}).setdefault(past.night, past)
    for column, by_night in sorted(found.items()):
        newest = by_night[max(by_night)]
        if (tonight - dt.date.fromisoformat(newest.night)).days > _STALE_DAYS:
            continue
        limit = newest.limits.get(_DISTANCE)
        if limit is None:
            continue
        kept = [
            (night, past)
            for night, past in sorted(by_night.items())
            if past.limits.get(_DISTANCE) == limit
            and past.units.get(_DISTANCE) == newest.units.get(_DISTANCE)
        ]
        yield _Series(
            column,
            tuple(dt.date.fromisoformat(night) for night, _ in kept),
            tuple(float(past.values[_DISTANCE] or 0.0) for _, past in kept),
            limit,
        )


# ------------------------------------------------------------------------------------ forecasts


@dataclass(frozen=True, slots=True)
class _Forecast:
    """What is said about one feature.

    Attributes:
        column: The feature.
        limit: Its limit.
        trend: Its trend; None where the points allow none.
        beyond: Whether its last distance, or the line, is at the limit already.
        nights: Nights from tonight until the limit; None if nothing can be said.
        interval: The same for both ends of the slope's interval.
        points: Nights looked at.
        confidence: Confidence of the interval of this feature's slope.
    """

    column: str
    limit: float
    trend: Trend | None
    beyond: bool
    nights: float | None
    interval: tuple[float, float] | None
    points: int
    confidence: float


def _forecasts(inputs: Inputs, series: Sequence[_Series], confidence: float) -> list[_Forecast]:
    found = []
    for one in series:
        days = [night.toordinal() for night in one.nights]
        line = trend(days, one.values, one.limit, confidence)
        beyond = one.values[-1] >= one.limit or (line is not None and line.level >= one.limit)
        nights, interval = None, None
        if line is not None and line.crossing is not None and not beyond:
            gone = inputs.night.date.toordinal() - days[-1]
            nights = max(0.0, line.crossing - gone)
            if line.crossing_interval is not None:
                soonest, latest = line.crossing_interval
                interval = (max(0.0, soonest - gone), max(0.0, latest - gone))
        found.append(
            _Forecast(one.column, one.limit, line, beyond, nights, interval, len(days), confidence)
        )
    return found


def _explanation(
    rising: Sequence[_Forecast],
    soon: Sequence[_Forecast],
    forecasts: Sequence[_Forecast],
    horizon: int,
) -> str:
    beyond = sum(one.beyond for one in forecasts)
    after = f" {beyond} of them reached their limit before." if beyond else ""
    if soon:
        named = "; ".join(_words(one) for one in soon[:_NAMED])
        more = f"; and {len(soon) - _NAMED} more" if len(soon) > _NAMED else ""
        return f"If the trend goes on, limits are reached soon: {named}{more}.{after}"
    if rising:
        return (
            f"{len(rising)} of {len(forecasts)} features move steadily, but none reaches its limit "
            f"within {horizon} nights; the first would be {_words(rising[0])}.{after}"
        )
    return (
        f"When a limit is reached cannot be said: none of {len(forecasts)} features moves steadily "
        f"towards its limit.{after}"
    )


def _words(one: _Forecast) -> str:
    low, high = one.interval or (0.0, 0.0)
    return f"{one.column} in about {one.nights:.0f} nights ({low:.0f} to {high:.0f})"


def _counts(
    forecasts: Sequence[_Forecast], rising: Sequence[_Forecast], short: int
) -> list[Measurement]:
    return [
        Measurement(name="features_with_trend", value=len(rising), unit="features", recipe=_RECIPE),
        Measurement(name="features_looked_at", value=len(forecasts), unit="features"),
        Measurement(name="features_with_too_few_nights", value=short, unit="features"),
    ]


def _measurements(inputs: Inputs, one: _Forecast) -> Iterator[Measurement]:
    if one.trend is None:
        return
    yield Measurement(
        name="nights_until_limit",
        value=one.nights,
        unit="nights",
        threshold=inputs.threshold("horizon", ">"),
        interval=one.interval,
        interval_level=one.confidence,
        recipe=_RECIPE,
        group=one.column,
    )
    yield Measurement(
        name="slope_per_night",
        value=one.trend.slope,
        unit="distance per night",
        threshold=Threshold(value=0, operator="<=", source="a rising line has a slope above 0"),
        interval=one.trend.slope_interval,
        interval_level=one.confidence,
        recipe=f"{_RECIPE}; {one.points} nights",
        group=one.column,
    )
