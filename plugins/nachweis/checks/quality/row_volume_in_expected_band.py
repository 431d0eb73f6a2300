"""Rows of a night against the nights before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import History, Observations, PastFinding, Request, Scalar
from nachweis.engines.bands import Band, expected_band

_LOOK_BACK = 42
_FEWEST_ROWS = 20
"""Below this median the usual spread of so few rows hides everything."""
_SMALL_BAND = 5
"""Stands for a signed count that was published as 1 to 9."""
_SATURDAY = 5


def _table(rows: int) -> dict[str, ExampleTable]:
    at = [dt.datetime(2026, 3, 2, 5)] * rows + [dt.datetime(2026, 2, 2, 5)]
    declare = {"time": {"column": "at"}}
    return {"log": ExampleTable(DataSetRole.SCORING_LOG, {"at": at}, declare)}


def _past(*rows: int, weekdays_only: bool = True) -> tuple[PastFinding, ...]:
    """Signed nights before 2 March 2026, newest first."""
    nights = [dt.date(2026, 3, 1) - dt.timedelta(days=back) for back in range(3 * len(rows))]
    fitting = [night for night in nights if (night.weekday() < _SATURDAY) is weekdays_only]
    return tuple(
        PastFinding(night.isoformat(), "pass", None, None, {"rows": count})
        for night, count in zip(fitting, rows, strict=False)
    )


_USUAL = (100, 105, 95, 100, 110, 90, 100, 105, 95)


class RowVolumeInExpectedBand(Check):
    """Did about as many rows arrive as on earlier nights?

    Why: A filter that was added, a source that delivers half or everything twice changes who is
        decided about, and every later number describes other people than it says
        (Art. 5(1)(d) GDPR).
    Method: The night's rows are compared with those of the signed nights before (at most 42) of the
        same kind of day, Monday to Friday or weekend. Band = median x factor or / factor, with
        factor = exp(max(log(``min_factor``), ``deviations`` x 1.4826 x MAD)), MAD = median absolute
        deviation of the logarithms; rows, 0 or more. Undefined with fewer than ``min_nights``
        earlier nights of the kind, or where their median is below 20 rows. By simulation, with
        8 earlier nights whose logarithms are normal, at most 4 of 1,000 nights leave the band, with
        20 at most 1 of 5,000. Source: this project; Hampel (1974) for the median absolute
        deviation.
    Leaves out: Holidays, which a declared event covers, and slow growth, which moves the band.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-QUALITY", "MONITOR")
    needs = (Needs.NIGHTLY,)
    data_set_roles = frozenset(
        {
            DataSetRole.SOURCE,
            DataSetRole.FEATURES,
            DataSetRole.TRAINING,
            DataSetRole.SCORING_LOG,
            DataSetRole.OUTCOMES,
            DataSetRole.REVIEWS,
            DataSetRole.DIALOGUES,
        }
    )
    params = (
        Param(
            "min_nights",
            8,
            "nights",
            "design default of this project",
            "Earlier nights of the same kind of day that are needed for a verdict.",
            minimum=5,
            maximum=30,
        ),
        Param(
            "min_factor",
            2.0,
            "factor",
            "design default of this project",
            "Smallest factor between the night and the median that counts.",
            minimum=1.05,
            maximum=100,
        ),
        Param(
            "deviations",
            8.0,
            "robust standard deviations",
            "chosen by simulation for few false alarms",
            "Half width of the band on the scale of logarithms.",
            minimum=3,
            maximum=20,
        ),
    )
    remediation = (
        "Compare the delivery with its source: a filter, a join that multiplies rows, a file that "
        "was cut off or loaded twice. If the volume was meant to change, declare an event for the "
        "nights in question."
    )
    examples = (
        Example("as many as usual", Outcome.PASS, _table(104), history=_past(*_USUAL)),
        Example("a third of what is usual", Outcome.FAIL, _table(33), history=_past(*_USUAL)),
        Example("loaded three times", Outcome.FAIL, _table(300), history=_past(*_USUAL)),
        Example(
            "a third, where nights differ as much",
            Outcome.PASS,
            _table(33),
            history=_past(100, 30, 310, 40, 90, 250, 60, 150, 35),
        ),
        Example(
            "five nights are no history",
            Outcome.NOT_AVAILABLE,
            _table(33),
            history=_past(*_USUAL[:5]),
        ),
        Example(
            "weekends say nothing about a Monday",
            Outcome.NOT_AVAILABLE,
            _table(33),
            history=_past(*_USUAL, weekdays_only=False),
        ),
        Example(
            "data that do not arrive by the night",
            Outcome.NOT_AVAILABLE,
            {"log": ExampleTable(DataSetRole.TRAINING, {"x": [1]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The night's rows and those of earlier nights as they were signed."""
        source = inputs.rows_in_question
        yield Scalar("rows", source, lambda table: table.count())
        yield History("history", source, nights=_LOOK_BACK)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding; the rows are reported even without a verdict, for later nights."""
        absent = observations.not_delivered("rows")
        rows = 0 if absent else int(observations["rows"])
        weekend = inputs.night.date.weekday() >= _SATURDAY
        earlier = _rows_before(inputs, observations.get("history") or (), weekend=weekend)
        kind = "weekend" if weekend else "Monday to Friday"
        scope = f"the night against {len(earlier)} signed nights, {kind}"
        reason = _no_verdict(inputs, earlier)
        if reason:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"No verdict on the number of rows: {reason}.",
                measurements=[Measurement(name="rows", value=rows, unit="rows")],
                scope=scope,
            )
            return
        band = expected_band(earlier, inputs.param("deviations"), inputs.param("min_factor"))
        inside = band.holds(rows)
        words = "within" if inside else ("below" if rows < band.median else "above")
        yield self.finding(
            inputs,
            Outcome.PASS if inside else Outcome.FAIL,
            "Nothing was delivered for the night."
            if absent
            else f"The night's number of rows is {words} the band of earlier nights.",
            measurements=_measurements(inputs, rows, band, len(earlier)),
            scope=scope,
        )


def _rows_before(inputs: Inputs, past: Iterable[PastFinding], *, weekend: bool) -> list[float]:
    """Rows of earlier nights of the same kind of day, one number per night."""
    found: dict[str, float] = {}
    for finding in past:
        rows = _count(finding.values.get("rows"))
        if rows is None or finding.night >= str(inputs.night) or finding.night in found:
            continue
        if (dt.date.fromisoformat(finding.night).weekday() >= _SATURDAY) is weekend:
            found[finding.night] = rows
    return list(found.values())


def _count(value: Any) -> float | None:
    """A signed count as a number; counts below ten were published as a band."""
    if isinstance(value, str):
        return _SMALL_BAND
    return None if value is None or isinstance(value, bool) else float(value)


def _no_verdict(inputs: Inputs, earlier: list[float]) -> str:
    needed = inputs.param("min_nights")
    if len(earlier) < needed:
        return f"{len(earlier)} earlier nights of this kind of day are signed, {needed} are needed"
    middle = sorted(earlier)[len(earlier) // 2]
    if middle < _FEWEST_ROWS:
        return f"the nights usually hold fewer than {_FEWEST_ROWS} rows"
    return ""


def _measurements(inputs: Inputs, rows: int, band: Band, nights: int) -> list[Measurement]:
    recipe = "median and median absolute deviation of the logarithms of signed row counts"
    outside = not band.holds(rows)
    return [
        Measurement(name="rows", value=rows, unit="rows", drifted=outside),
        Measurement(name="median_before", value=round(band.median), unit="rows", recipe=recipe),
        Measurement(name="smallest_expected", value=round(band.low), unit="rows", recipe=recipe),
        Measurement(name="largest_expected", value=round(band.high), unit="rows", recipe=recipe),
        Measurement(
            name="factor",
            value=max(rows, 0.5) / band.median,
            unit="ratio",
            threshold=Threshold(
                value=round(band.high / band.median, 3),
                operator="<=",
                source=inputs.params["min_factor"].source,
            ),
            n=round(band.median),
            recipe="the night's rows / median; in order from 1 / limit to limit",
        ),
        Measurement(name="earlier_nights", value=nights, unit="nights"),
    ]
