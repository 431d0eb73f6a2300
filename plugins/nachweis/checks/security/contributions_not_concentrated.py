"""Training rows that come from one contributor or one day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from statistics import median
from typing import Any

from nachweis.checks.security._common import training
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole, FieldRole
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Observations,
    Request,
    Source,
)
from nachweis.engines.intervals import wilson_interval

_FEWEST_DAYS = 14
_BURST_SHARE = 0.02
_Z_999 = 3.090232306167813
_START = dt.datetime(2026, 1, 1, 12)


def _rows(sources: list[str], burst: int = 0) -> dict[str, ExampleTable]:
    n = len(sources)
    days = [_START + dt.timedelta(days=0 if i < burst else i % 30) for i in range(n)]
    values: dict[str, list[Any]] = {
        "visits": [i % 7 for i in range(n)],
        "bought": [i % 2 for i in range(n)],
        "source": sources,
        "at": days,
    }
    return training(values)


_THREE = ["shop", "app", "phone"]


class ContributionsNotConcentrated(Check):
    """Do the training rows come from many contributors and days, rather than from one?

    Why: A flood of rows from one contributor or in one day decides what a model learns, whether it
        was meant as an attack or is a broken feed (ATLAS AML.T0010.002, AML.T0020).
    Method: Two shares of all rows (0 to 1), counted in the engine. The largest contributor's share
        fails if its 99.9 % lower Wilson limit exceeds ``max_source_share``; it is undefined with
        fewer than three contributors. The busiest day fails if it holds more than ``max_burst``
        times the rows of the median day and, by its lower limit, at least 2 % of all rows; it is
        undefined with fewer than 14 days. Source: this project; Wilson (1927).
    Leaves out: Many contributors that belong to one attacker. Slow concentration over months.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset({DataSetRole.TRAINING})
    controls = ("POISONING",)
    needs = (Needs.CONTRIBUTOR_OR_TIME,)
    params = (
        Param(
            "max_source_share",
            0.8,
            "share of rows",
            "design default of this project",
            "Largest share of one contributor.",
            minimum=0.1,
            maximum=1,
        ),
        Param(
            "max_burst",
            10.0,
            "times the median day",
            "design default of this project",
            "Largest number of rows of one day, relative to the median day.",
            minimum=2,
        ),
    )
    remediation = (
        "Look at the rows of the named kind (contributor or day): who delivered them, and do they "
        "look like the others? Limit or weight what one contributor or day can add, or correct the "
        "feed and take the rows out."
    )
    examples = (
        Example("three contributors, even days", Outcome.PASS, _rows(_THREE * 150)),
        Example("one contributor for nearly all", Outcome.FAIL, _rows(["app"] * 420 + _THREE * 10)),
        Example("a day with half of the rows", Outcome.FAIL, _rows(_THREE * 150, burst=220)),
        Example(
            "neither contributor nor time",
            Outcome.NOT_AVAILABLE,
            training({"visits": [1, 2], "bought": [0, 1]}),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Rows per contributor and per day."""
        source, time = Source(inputs.data_set.id, "whole"), inputs.data_set.time
        if column := inputs.data_set.field(FieldRole.SOURCE):
            yield GroupedCounts("sources", source, {"source": column})
        if time is not None:
            yield GroupedCounts("days", source, {"day": _day_of(time.column)})

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about contributors and one about days, where each is declared."""
        if inputs.data_set.field(FieldRole.SOURCE):
            yield self._sources(inputs, observations["sources"])
        if inputs.data_set.time is not None:
            yield self._days(inputs, observations["days"])

    def _sources(self, inputs: Inputs, table: CountTable) -> Finding:
        column = inputs.data_set.field(FieldRole.SOURCE)
        counts = [count for (source,), count in table.rows.items() if source is not None]
        n = sum(counts)
        if len(counts) < 3 or n < 100:
            text = "There are fewer than three contributors, or fewer than 100 rows."
            return self.finding(inputs, Outcome.NOT_AVAILABLE, text, column=column)
        largest = max(counts)
        low, high = wilson_interval(largest, n, _Z_999)
        failed = low > inputs.param("max_source_share")
        measured = Measurement(
            name="largest_contributor_share",
            value=largest / n,
            unit="share",
            threshold=inputs.threshold("max_source_share", "<="),
            n=n,
            interval=(low, high),
            interval_level=0.998,
            recipe=f"{len(counts)} contributors",
        )
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            "One contributor delivered nearly all rows."
            if failed
            else "No contributor delivered nearly all rows.",
            measurements=[measured],
            column=column,
            scope="all rows with a contributor",
        )

    def _days(self, inputs: Inputs, table: CountTable) -> Finding:
        column = inputs.data_set.time.column if inputs.data_set.time else None
        counts = [count for (day,), count in table.rows.items() if day is not None]
        n = sum(counts)
        if len(counts) < _FEWEST_DAYS or n < 100:
            text = f"There are fewer than {_FEWEST_DAYS} days, or fewer than 100 rows."
            return self.finding(inputs, Outcome.NOT_AVAILABLE, text, column=column)
        busiest, usual = max(counts), median(counts)
        low, _ = wilson_interval(busiest, n, _Z_999)
        failed = busiest > inputs.param("max_burst") * usual and low > _BURST_SHARE
        measured = [
            Measurement(
                name="busiest_day_to_median",
                value=busiest / usual,
                unit="ratio",
                threshold=inputs.threshold("max_burst", "<="),
                n=round(usual),
                recipe=f"rows per calendar day, {len(counts)} days",
            ),
            Measurement(name="busiest_day_share", value=busiest / n, unit="share", n=n),
        ]
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            "One day holds far more rows than the others."
            if failed
            else "No day holds far more rows than the others.",
            measurements=measured,
            column=column,
            scope="all rows with a time",
        )


def _day_of(column: str) -> Expression:
    return lambda table: table[column].date()
