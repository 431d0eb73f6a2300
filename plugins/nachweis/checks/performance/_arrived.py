"""Scored rows whose outcomes are due, with their outcomes; the requests all checks here share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nachweis.domain.check import Inputs, Param
from nachweis.domain.finding import Measurement
from nachweis.domain.manifest import DataSet, FieldRole, before
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Join,
    Observations,
    Source,
)

LABEL = "joined_label"
"""Name under which an outcome lies beside its scored row."""

MIN_ARRIVED = Param(
    "min_arrived",
    0.5,
    "share of rows",
    "design default of this project",
    "Share of the due outcomes that must have arrived.",
    minimum=0,
    maximum=1,
)
MIN_ROWS = Param(
    "min_rows",
    200,
    "rows",
    "design default of this project",
    "Fewest rows with an outcome for a verdict.",
    minimum=30,
)


def data_of(inputs: Inputs, role: str) -> DataSet:
    """A data set whose need was declared."""
    found = inputs.data(role)
    if found is None:
        raise LookupError(f"the need {role!r} was not met")
    return found


def window(inputs: Inputs) -> tuple[dt.datetime, dt.datetime]:
    """When rows were scored whose outcomes are due at the end of the night."""
    end = before(inputs.night.end, inputs.model.outcome.label_delay)
    return before(end, inputs.model.current.extend_to), end


def scope(inputs: Inputs) -> str:
    """The window in words."""
    start, end = window(inputs)
    return f"rows scored from {start.date()} until before {end.date()}, with their outcomes"


def arrived(
    inputs: Inputs,
    name: str,
    by: Mapping[str, str | Expression],
    sums: Mapping[str, Expression] | None = None,
) -> GroupedCounts:
    """Counts of scored rows beside their outcomes; :data:`LABEL` is the outcome's column."""
    log, outcomes = data_of(inputs, "scoring_log"), data_of(inputs, "outcomes")
    start, end = window(inputs)
    shared = inputs.model.outcome.join_key
    # An outcome is told after its row was scored and until tonight.
    told = Source(outcomes.id, "span", (start, inputs.night.end))
    return GroupedCounts(
        name,
        Source(log.id, "span", (start, end)),
        by=by,
        where=eligible(log),
        sums=dict(sums or {}),
        join=Join(
            other=told,
            key=(shared or log.fields[FieldRole.KEY], shared or outcomes.fields[FieldRole.KEY]),
            columns=((LABEL, outcomes.fields[FieldRole.LABEL]),),
            time=outcomes.time.column if outcomes.time else None,
        ),
    )


def eligible(log: DataSet) -> Expression | None:
    """Filter on the eligible, where the log declares who is."""
    column = log.field(FieldRole.ELIGIBLE)
    return _truth(column) if column else None


@lru_cache(maxsize=256)
def _truth(column: str) -> Expression:
    return lambda table: table[column].cast("boolean")


def counted(seen: Observations, name: str) -> CountTable | str:
    """A table of counts, or why there is none."""
    reasons = dict(seen.missing())
    if name in reasons:
        return reasons[name]
    table: CountTable = seen[name]
    return table


def known_rows(table: CountTable, key: str = "label") -> int:
    """Rows whose outcome has arrived."""
    position = table.keys.index(key)
    return sum(n for row, n in table.rows.items() if row[position] is not None)


def too_early(inputs: Inputs, known: int, rows: int) -> str:
    """Why the outcomes that have arrived allow no verdict yet, or an empty string."""
    if not rows:
        return "No scored rows are old enough for their outcomes to be due."
    if not known or known / rows < inputs.param("min_arrived"):
        return "Too few of the due outcomes have arrived."
    if known < inputs.param("min_rows"):
        return f"Too few rows with an outcome; at least {inputs.param('min_rows')} rows are needed."
    return ""


def arrived_measurement(inputs: Inputs, known: int, rows: int) -> Measurement:
    """How many of the due outcomes have arrived."""
    return Measurement(
        name="outcomes_arrived",
        value=known / rows if rows else None,
        unit="share",
        threshold=inputs.threshold("min_arrived", ">="),
        n=rows,
        reason="" if rows else "no row is due",
    )


def same(value: Any, declared: Any) -> bool:
    """Whether a value is the declared one; a manifest may write 1 where the data holds ``'1'``."""
    return bool(value == declared) or str(value) == str(declared)


def positive_outcome(inputs: Inputs) -> Any:
    """The outcome that counts as positive; None where it is not declared."""
    declared = inputs.model.outcome.positive
    return positive_prediction(inputs) if declared is None else declared


def positive_prediction(inputs: Inputs) -> Any:
    """The favourable prediction; None where it is not declared."""
    decision = inputs.model.decision
    return decision.rule.positive if decision else None
