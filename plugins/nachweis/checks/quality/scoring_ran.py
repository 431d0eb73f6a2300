"""Whether a model was used in the night, by the versions that are declared as live."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.quality._versions import (
    REQUEST,
    Live,
    live_in,
    log_of,
    log_source,
    rows_per_version,
    versions_request,
)
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import Observations, Request, Scalar
from nachweis.engines.intervals import wilson_interval

_NIGHT = dt.datetime(2026, 3, 2, 5)
_Z = 3.2905267314919255  # 99.95 % quantile of the standard normal distribution
_LEVEL = 0.999
_SATURDAY = 5


def _log(**rows: int) -> dict[str, ExampleTable]:
    """A night's log: version (``v1`` is "1") to rows."""
    versions = [name.removeprefix("v") for name, count in rows.items() for _ in range(count)]
    declare = {
        "columns": [{"name": "version", "type": "string"}, {"name": "at", "type": "timestamp"}],
        "fields": {"model_version": "version"},
        "time": {"column": "at"},
    }
    columns: dict[str, list[Any]] = {"version": versions, "at": [_NIGHT] * len(versions)}
    return {"scoring_log": ExampleTable(DataSetRole.SCORING_LOG, columns, declare)}


def _served(**shares: float) -> dict[str, Any]:
    return {
        "versions": [
            {
                "version": name.removeprefix("v"),
                "traffic_share": share,
                "live_from": "2026-01-01T00:00:00+01:00",
            }
            for name, share in shares.items()
        ]
    }


class ScoringRan(Check):
    """Did the model score in the night, with the versions that are declared as live?

    Why: A model that did not run leaves yesterday's decisions in force without anybody having
        decided so, and a version that scores without being declared was approved by nobody.
    Method: In the night's rows of the scoring log (dialogues, if there is none): rows must be more
        than 0; every version declared as live with traffic during the whole night must occur; no
        declared version may occur that was not live; and where several versions share the traffic,
        the share of each (0 to 1) must be as declared: it fails if it differs by more than
        ``max_difference`` and its Wilson interval at 99.9 % lies wholly beyond that. Shares are not
        compared in a night in which a version was switched on or off. Undefined (not available)
        where the log cannot be read; a log that was not delivered is a failure. Source: this
        project; Wilson (1927) for the interval.
    Leaves out: Values that no manifest declares, and rows that name no version (see
        inventory_complete). Whether everybody who should have been scored was.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR", "CHANGE", "LOGGING")
    needs = (Needs.LOG,)
    params = (
        Param(
            "days",
            "all",
            "days of the week",
            "design default of this project",
            "On which days the model scores.",
            choices=("all", "monday_to_friday"),
        ),
        Param(
            "max_difference",
            0.05,
            "share",
            "design default of this project",
            "How far a version's share of traffic may be from the declared one.",
            minimum=0.001,
            maximum=1,
        ),
    )
    remediation = (
        "If nothing was scored: look at the scoring job's log, run it again, and tell those who "
        "act on the scores which night they are from. If versions differ: compare what is deployed "
        "with 'versions' in the model's manifest, and have the version that serves approved or "
        "rolled back."
    )
    examples = (
        Example("one version scored", Outcome.PASS, _log(v1=20), model=_served(v1=1)),
        Example(
            "two versions share the traffic as declared",
            Outcome.PASS,
            _log(v1=176, v2=24),
            model=_served(v1=0.9, v2=0.1),
        ),
        Example(
            "nothing was scored",
            Outcome.FAIL,
            {
                "scoring_log": ExampleTable(
                    DataSetRole.SCORING_LOG,
                    {"at": [_NIGHT - dt.timedelta(days=9)]},
                    {"time": {"column": "at"}},
                )
            },
        ),
        Example(
            "a live version is missing",
            Outcome.FAIL,
            _log(v1=20),
            model=_served(v1=0.9, v2=0.1),
        ),
        Example(
            "the shares are the other way round",
            Outcome.FAIL,
            _log(v1=24, v2=176),
            model=_served(v1=0.9, v2=0.1),
        ),
        Example(
            "a version scores that is no longer live",
            Outcome.FAIL,
            _log(v1=20, v0=5),
            model={
                "versions": [
                    *_served(v1=1)["versions"],
                    {
                        "version": "0",
                        "live_from": "2025-01-01T00:00:00+01:00",
                        "live_to": "2026-01-01T00:00:00+01:00",
                    },
                ]
            },
        ),
        Example(
            "no log declared",
            Outcome.NOT_AVAILABLE,
            {"reference": ExampleTable(DataSetRole.REFERENCE, {"x": [1]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The night's rows, and rows per version."""
        yield Scalar("rows", log_source(inputs), lambda table: table.count())
        request = versions_request(inputs)
        if request is not None:
            yield request

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the model."""
        scope = f"{log_of(inputs).id}, window night"
        absent = observations.not_delivered("rows")
        rows = 0 if absent else int(observations["rows"])
        counted = Measurement(
            name="rows",
            value=rows,
            unit="rows",
            threshold=Threshold(value=0, operator=">", source="this check"),
        )
        if not rows:
            resting = inputs.param("days") != "all" and inputs.night.date.weekday() >= _SATURDAY
            yield self.finding(
                inputs,
                Outcome.PASS if resting else Outcome.FAIL,
                "Nothing was scored, as declared for this day of the week."
                if resting
                else "Nothing was scored: the night's log was not delivered."
                if absent
                else "Nothing was scored: the night's log holds no rows.",
                measurements=[counted],
                scope=scope,
            )
            return
        table = observations.get(REQUEST)
        if table is None:
            yield self.finding(
                inputs,
                Outcome.PASS,
                "The model scored; which version it was does not stand in the log.",
                measurements=[counted],
                scope=scope,
            )
            return
        judged = _Judged(inputs, rows_per_version(table), live_in(inputs))
        yield self.finding(
            inputs,
            Outcome.FAIL if judged.problems else Outcome.PASS,
            " ".join(judged.problems) or judged.words,
            measurements=[counted, *judged.measurements],
            scope=scope,
        )


class _Judged:
    """Seen versions against live ones."""

    def __init__(self, inputs: Inputs, seen: Mapping[str | None, int], live: Live) -> None:
        self._inputs, self._seen = inputs, seen
        self.problems: list[str] = []
        self.measurements: list[Measurement] = []
        declared = {version.version for version in inputs.model.versions}
        self.words = (
            "The model scored with every version that is declared as live."
            if live.always or live.sometimes
            else "The model scored; no version is declared as live in this night."
        )
        missing = sorted(name for name in live.always if not seen.get(name))
        dead = sorted(declared - set(live.always) - set(live.sometimes))
        stray = sum(seen.get(name, 0) for name in dead)
        if missing:
            self.problems.append(f"Declared as live, but without a row: {', '.join(missing)}.")
        if stray:
            self.problems.append("Versions scored that are not declared as live in this night.")
        self.measurements += [
            _count("live_versions", len(live.always) + len(live.sometimes)),
            _count("live_versions_without_rows", len(missing), must_be_none=True),
            Measurement(
                name="rows_of_versions_not_live",
                value=stray,
                unit="rows",
                threshold=Threshold(value=0, operator="==", source="manifest of the model"),
            ),
        ]
        if len(live.always) > 1 and not live.sometimes:
            self._compare_shares(live)

    def _compare_shares(self, live: Live) -> None:
        total = sum(self._seen.get(name, 0) for name in live.always)
        planned = sum(version.traffic_share for version in live.always.values())
        limit = self._inputs.param("max_difference")
        differing = []
        for name, version in sorted(live.always.items()):
            if not total:
                continue
            hits, wanted = self._seen.get(name, 0), version.traffic_share / planned
            low, high = wilson_interval(hits, total, _Z)
            differs = low > wanted + limit or high < wanted - limit
            if differs:
                differing.append(name)
            self.measurements.append(
                Measurement(
                    name="traffic_share",
                    value=hits / total,
                    unit="share",
                    threshold=Threshold(
                        value=round(wanted, 6), operator="==", source="manifest of the model"
                    ),
                    n=total,
                    interval=(low, high),
                    interval_level=_LEVEL,
                    group=name,
                    recipe="Wilson interval; shares of the versions that are live all night",
                    drifted=abs(hits / total - wanted) > limit,
                )
            )
        if differing:
            self.problems.append(f"Another share of traffic than declared: {', '.join(differing)}.")


def _count(name: str, value: int, *, must_be_none: bool = False) -> Measurement:
    limit = Threshold(value=0, operator="==", source="manifest of the model")
    return Measurement(
        name=name, value=value, unit="versions", threshold=limit if must_be_none else None
    )
