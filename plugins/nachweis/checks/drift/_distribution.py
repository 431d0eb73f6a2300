"""Comparison of distributions, shared by the checks on features and on predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from nachweis.checks.drift._columns import Compared, scope, too_few_rows
from nachweis.checks.drift._nights import history_request, persistence
from nachweis.checks.drift._seasons import SEASON, Season, season
from nachweis.checks.drift._seasons import requests as season_requests
from nachweis.checks.drift._seasons import wanted as by_year
from nachweis.domain.check import Check, Inputs, Param
from nachweis.domain.errors import CheckDefinitionError, UndefinedError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Threshold
from nachweis.domain.observation import Observations, PastFinding, Request
from nachweis.engines.drift import (
    METHODS,
    DriftResult,
    RowsVerdict,
    benjamini_hochberg,
    choose_method,
    drift,
    enough_rows,
)

_RULE = "Evidently 0.7.23, default test selection"
_OPERATORS = {"below": ">=", "at_most": ">", "at_least": "<", "above": "<="}


def _method_param(kind: str) -> Param:
    known = sorted(name for name, method in METHODS.items() if kind in method.kinds)
    return Param(
        f"{kind}_method",
        "auto",
        "name of a method",
        _RULE,
        f"Method for {kind} columns; auto chooses by the number of rows and values.",
        choices=("auto", *known),
    )


def _threshold_param(kind: str) -> Param:
    return Param(
        f"{kind}_threshold",
        0.0,
        "unit of the method",
        _RULE,
        f"Limit for {kind} columns, with a named method; 0 takes the method's own.",
        minimum=0,
    )


PARAMS = (
    *(make(kind) for kind in ("numeric", "categorical") for make in (
        _method_param, _threshold_param
    )),
    SEASON,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column's comparison, or why there is none.

    Attributes:
        column: The column.
        result: The library's number and verdict, or None.
        rows: Whether there are enough rows for a verdict of our own.
        reason: Why there is no result.
        adjusted: The p-value after correction for all columns of the family.
        kind: ``numeric`` or ``categorical``; names the parameters that hold for the column.
        season: The same weeks of last year, where they are wanted.
    """

    column: str
    result: DriftResult | None = None
    rows: RowsVerdict | None = None
    reason: str = ""
    adjusted: float | None = None
    kind: str = "numeric"
    season: Season | None = None

    @property
    def seasonal(self) -> bool:
        """Whether the column differs from the reference, but not from last year's weeks."""
        return self.apart and self.season is not None and self.season.same

    @property
    def differs(self) -> bool:
        """Whether the column differs, and not as it did at this time last year."""
        return self.apart and not self.seasonal

    @property
    def apart(self) -> bool:
        """The method's rule, applied to the corrected number."""
        if self.result is None:
            return False
        if self.adjusted is None:
            return self.result.drifted
        method = METHODS[self.result.method]
        return method.drifted(self.adjusted, self.result.threshold)


def requests(inputs: Inputs, columns: Sequence[Compared]) -> Iterator[Request]:
    """Profiles of all columns, and the history.

    Raises:
        CheckDefinitionError: If a threshold is set without the method it belongs to.
    """
    for kind in ("numeric", "categorical"):
        if inputs.param(f"{kind}_threshold") and inputs.param(f"{kind}_method") == "auto":
            raise CheckDefinitionError(
                f"{kind}_threshold is set, but {kind}_method is auto",
                where="policy.yaml or model manifest",
                remedy=f"name the method as {kind}_method: distances and p-values share no limit",
            )
    for column in columns:
        yield from column.requests(inputs)
    yield from season_requests(inputs, columns)
    role = columns[0].role if columns else "scoring_log"
    yield history_request(inputs.source(role, "current"))


def findings(
    check: Check, inputs: Inputs, columns: Sequence[Compared], seen: Observations
) -> Iterator[Finding]:
    """One finding per column.

    Args:
        check: The check that reports.
        inputs: Its inputs.
        columns: The columns.
        seen: Their profiles and the history.

    Yields:
        The findings.
    """
    too_few = too_few_rows(inputs, seen, columns[0].role) if columns else ""
    compared = _corrected([_compare(inputs, column, seen, too_few) for column in columns])
    looked_at = scope(inputs, seen, columns)
    history: Iterable[PastFinding] = seen.get("history") or ()
    for one in compared:
        yield _finding(check, inputs, one, list(history), looked_at)


def _compare(inputs: Inputs, column: Compared, seen: Observations, too_few: str) -> Comparison:
    profiles = column.profiles(seen)
    if isinstance(profiles, str):
        return Comparison(column.name, reason=profiles)
    reference, current = profiles
    wanted = str(inputs.param(f"{reference.kind}_method"))
    try:
        method = choose_method(reference, current) if wanted == "auto" else wanted
        limit = inputs.param(f"{reference.kind}_threshold") or None
        result = drift(reference, current, method, limit)
        rows = enough_rows(reference, current.valid, method, limit, distance=result.value)
    except UndefinedError as undefined:
        return Comparison(column.name, reason=undefined.what)
    if too_few:
        rows = replace(rows, enough=False, reason=too_few)
    earlier = season(inputs, column, current, seen, wanted, limit) if by_year(inputs) else None
    return Comparison(column.name, result, rows, kind=reference.kind, season=earlier)


def _corrected(compared: Sequence[Comparison]) -> list[Comparison]:
    """Correct the p-values of all judged columns together (Benjamini-Hochberg)."""
    family = [
        one.result.value
        for one in compared
        if one.result is not None and one.result.is_p_value and one.rows
    ]
    adjusted = iter(benjamini_hochberg(family))
    return [
        replace(one, adjusted=next(adjusted))
        if one.result is not None and one.result.is_p_value and one.rows
        else one
        for one in compared
    ]


def _finding(
    check: Check,
    inputs: Inputs,
    one: Comparison,
    history: Sequence[PastFinding],
    looked_at: str,
) -> Finding:
    if one.result is None or one.rows is None:
        return check.finding(
            inputs,
            Outcome.NOT_AVAILABLE,
            f"The distribution could not be compared: {one.reason}.",
            column=one.column,
            scope=looked_at,
        )
    measured = _measurements(inputs, one, one.result)
    if not one.rows.enough:
        return check.finding(
            inputs,
            Outcome.NOT_AVAILABLE,
            f"Too few rows for a verdict: {one.rows.reason}. {_library(one.result)}",
            measurements=measured,
            column=one.column,
            scope=looked_at,
        )
    nights = persistence(inputs, one.column, one.differs, history)
    failed = one.differs and nights.reached
    if one.seasonal:
        explanation = "Differs from the reference, but not from the same weeks of last year."
    elif not one.differs:
        explanation = _no_difference(one.result)
    elif failed:
        explanation = f"Differs from the reference on {nights.words}."
    else:
        explanation = f"Differs tonight, not yet persistent: {nights.words}."
    return check.finding(
        inputs,
        Outcome.FAIL if failed else Outcome.PASS,
        explanation,
        measurements=[*measured, *nights.measurements(one.differs)],
        column=one.column,
        severity=Severity.INFO if one.apart and not failed else None,
        scope=looked_at,
    )


def _no_difference(result: DriftResult) -> str:
    if result.drifted:
        return (
            "By the library's rule the column drifted, but not after correction for all columns "
            "that were tested together."
        )
    return f"No difference beyond the limit. {_library(result)}"


def _library(result: DriftResult) -> str:
    return f"By the library's rule the column {'drifted' if result.drifted else 'did not drift'}."


def _measurements(inputs: Inputs, one: Comparison, result: DriftResult) -> list[Measurement]:
    threshold = _threshold(inputs, result, one.kind)
    measured = [
        Measurement(
            name="p_value" if result.is_p_value else "distance",
            value=result.value,
            unit=result.method,
            threshold=threshold,
            n=result.n_current,
            recipe=result.recipe,
            drifted=result.drifted,
        )
    ]
    if one.adjusted is not None:
        measured.append(
            Measurement(
                name="p_value_adjusted",
                value=one.adjusted,
                unit=result.method,
                threshold=threshold,
                n=result.n_current,
                recipe="Benjamini-Hochberg over the columns of this model that were tested tonight",
            )
        )
    if one.season is not None:
        held = one.season.result
        limit = threshold if held is not None and held.method == result.method else None
        measured += one.season.measurements(limit)
    if one.rows is not None and one.rows.smallest_detectable is not None:
        measured.append(
            Measurement(
                name="distance_by_chance",
                value=one.rows.smallest_detectable,
                unit=result.method,
                n=result.n_current,
                recipe="95 % quantile of resamples of the reference at this number of rows",
            )
        )
    return measured


def _threshold(inputs: Inputs, result: DriftResult, kind: str) -> Threshold:
    name = f"{kind}_threshold"
    own = inputs.param(name) == result.threshold
    operator = _OPERATORS[METHODS[result.method].rule]
    return Threshold(
        value=result.threshold,
        operator=operator,
        source=inputs.params[name].source if own else f"library rule: {_RULE}",
    )
