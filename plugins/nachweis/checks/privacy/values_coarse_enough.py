"""Precision of times, coordinates and numbers against what the purpose needs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nachweis.checks.privacy._examples import table
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import Column, ColumnType
from nachweis.domain.observation import Expression, Observations, Request, Scalar

_UNITS = {"year": "Y", "month": "M", "day": "D", "hour": "h", "minute": "m"}
_BIRTH = re.compile(r"birth|dob|geburt|f(ø|oe)dsel|foedt|født", re.IGNORECASE)
_PLACE = re.compile(r"(^|_)(lat|lon|lng|latitude|longitude|breitengrad|l(ä|ae)ngengrad)(_|$)", re.I)
_DECIMALS_OF_PLACE = 3
_NOISE = 1e-6
_DAYS = [dt.date(1980, 1, 1), dt.date(1991, 7, 1)] * 10


class ValuesCoarseEnough(Check):
    """Are times, places and numbers no finer than their purpose needs?

    Why: A full date of birth or a place to the metre singles people out, where a year or a district
        would do (Art. 5(1)(c) and 25(2) GDPR).
    Method: Share of values, 0 to 1, that are finer than the column's declared ``precision`` or
        ``decimals``, against ``max_share``. Without a declaration dates of birth count as needed to
        the month and coordinates to 3 decimals (about 100 m), told by the column's name. Times with
        a zone are compared with full hours where a day or more is declared. Undefined without a
        value. Source: Art. 5(1)(c) GDPR; design defaults.
    Leaves out: Columns with neither declaration nor telling name. Whether the declared precision is
        really needed.
    """

    severity = Severity.LOW
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-MIN",)
    needs = (Needs.COLUMNS,)
    params = (
        Param(
            "max_share",
            0.01,
            "share",
            "design default of this project",
            "Largest share of values that may be finer.",
            minimum=0,
            maximum=1,
        ),
    )
    remediation = (
        "Round the values where they are extracted: year or month of birth, coordinates with three "
        "decimals, times to the hour or day. If the purpose needs more, declare so in the column's "
        "'precision' or 'decimals'."
    )
    examples = (
        Example("birth by month", Outcome.PASS, {"rows": table({"birth_date": _DAYS})}),
        Example(
            "full dates of birth",
            Outcome.FAIL,
            {"rows": table({"birth_date": [dt.date(1980, 1, 1 + i) for i in range(20)]})},
        ),
        Example(
            "coordinates to the metre",
            Outcome.FAIL,
            {"rows": table({"lat": [54.32312 + i / 7 for i in range(20)]})},
        ),
        Example(
            "seconds where hours were declared",
            Outcome.FAIL,
            {
                "rows": table(
                    {"seen": [dt.datetime(2026, 3, 1, 8, i, 17) for i in range(20)]},
                    columns={"seen": {"type": "timestamp", "precision": "hour"}},
                )
            },
        ),
        Example(
            "coordinates that are needed",
            Outcome.PASS,
            {
                "rows": table(
                    {"lat": [54.32312] * 20}, columns={"lat": {"type": "number", "decimals": 5}}
                )
            },
        ),
        Example("nothing declared", Outcome.NOT_AVAILABLE, {"rows": table({"spend": [1.25]})}),
        Example(
            "no values",
            Outcome.NOT_AVAILABLE,
            {"rows": table({"lat": [None, None]}, columns={"lat": {"type": "number"}})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Two counts per column, all in one scan."""
        source = inputs.rows_in_question
        for rule in _rules(inputs):
            yield Scalar(f"valued:{rule.column}", source, _valued(rule.column))
            yield Scalar(f"finer:{rule.column}", source, _finer(rule))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set: columns are named."""
        numbers, finer = [], []
        for rule in _rules(inputs):
            n = int(observations[f"valued:{rule.column}"] or 0)
            if not n:
                continue
            share = int(observations[f"finer:{rule.column}"] or 0) / n
            numbers.append(
                Measurement(
                    name="share_finer",
                    value=share,
                    unit="share",
                    n=n,
                    group=rule.column,
                    threshold=inputs.threshold("max_share", "<="),
                    recipe=f"needed: {rule.words}",
                )
            )
            if share > inputs.param("max_share"):
                finer.append(f"{rule.column} (needed: {rule.words})")
        if not numbers:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No column with a value has a declared precision, or a name that tells one.",
                declare="'precision' of columns with times, 'decimals' of columns with numbers",
            )
            return
        yield self.finding(
            inputs,
            Outcome.FAIL if finer else Outcome.PASS,
            f"Values are finer than needed: {', '.join(finer)}."
            if finer
            else "Values are no finer than needed.",
            measurements=numbers,
            scope="rows of the night" if inputs.rows_in_question.window == "night" else "all rows",
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """How fine a column may be."""

    column: str
    unit: str | None
    decimals: int | None

    @property
    def words(self) -> str:
        return f"{self.decimals} decimals" if self.unit is None else self.unit


def _rules(inputs: Inputs) -> list[_Rule]:
    found = (_rule(column) for column in inputs.data_set.columns)
    return [rule for rule in found if rule is not None]


def _rule(column: Column) -> _Rule | None:
    if column.type in {ColumnType.DATE, ColumnType.TIMESTAMP}:
        unit = column.precision or ("month" if _BIRTH.search(column.name) else None)
        return _Rule(column.name, unit, None) if unit else None
    if column.type is ColumnType.NUMBER:
        decimals = column.decimals
        if decimals is None and _PLACE.search(column.name):
            decimals = _DECIMALS_OF_PLACE
        return _Rule(column.name, None, decimals) if decimals is not None else None
    return None


def _valued(name: str) -> Expression:
    return lambda table: table.count(where=table[name].notnull())


def _finer(rule: _Rule) -> Expression:
    def finer(table: Any) -> Any:
        value = table[rule.column]
        if rule.unit is None:
            scaled = (value.cast("float64") * 10 ** (rule.decimals or 0)).abs()
            rest = scaled % 1
            # Not-a-number is no value, and larger than any number in the engine.
            finite = scaled < float("inf")
            return table.count(where=finite & (rest > _NOISE) & (rest < 1 - _NOISE))
        unit = _UNITS[rule.unit]
        kind = value.type()
        if kind.is_timestamp() and kind.timezone is not None and unit in "YMD":
            unit = "h"
        if kind.is_date() and unit in "hm":
            unit = "D"
        return table.count(where=value != value.truncate(unit))

    return finer
