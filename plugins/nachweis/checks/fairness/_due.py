"""Scored rows whose outcomes are due, joined with the outcomes that have arrived."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from nachweis.checks.fairness._groups import (
    attribute_joins,
    eligible,
    group_expressions,
    log_of,
)
from nachweis.domain.check import Inputs, Param
from nachweis.domain.finding import Measurement
from nachweis.domain.manifest import DataSet, FieldRole, ProtectedAttribute, before
from nachweis.domain.observation import CountTable, Expression, GroupedCounts, Join, Source

MIN_ARRIVED = Param(
    "min_arrived",
    0.5,
    "share of rows",
    "design default of this project",
    "Share of the due outcomes that must have arrived.",
    minimum=0,
    maximum=1,
)

LABEL_COLUMN = "joined_label"
"""Column of the outcome beside the rows of the scoring log."""

_MARGIN = dt.timedelta(days=1)


def undeclared(inputs: Inputs) -> str:
    """What must be declared before it is known which outcomes are due, or an empty string."""
    return "" if log_of(inputs).time else "'time' of the scoring log"


def due_window(inputs: Inputs) -> tuple[dt.datetime, dt.datetime]:
    """When rows were scored whose outcomes are due: as long as the model's ``extend_to``."""
    end = before(inputs.night.end, inputs.model.outcome.label_delay)
    return before(end, inputs.model.current.extend_to), end


def scope_of(inputs: Inputs) -> str:
    """The window in words."""
    start, end = due_window(inputs)
    return f"rows scored from {start.date()} until before {end.date()}, with their outcomes"


def outcome_counts(
    inputs: Inputs,
    name: str,
    group: Sequence[ProtectedAttribute],
    by: Mapping[str, str | Expression],
    sums: Mapping[str, Expression] | None = None,
) -> GroupedCounts:
    """Rows per group, outcome and further keys; only the nights in question are read.

    Args:
        inputs: The inputs.
        name: Name of the request.
        group: The attribute, or attributes of an intersection, whose groups are counted.
        by: Further keys, between group and outcome.
        sums: Further sums per group.

    Returns:
        The request; requests with equal keys share a query.
    """
    scored = log_of(inputs)
    return GroupedCounts(
        name,
        Source(scored.id, "span", due_window(inputs)),
        by={**group_expressions(inputs, group), **by, "label": LABEL_COLUMN},
        where=eligible(scored),
        sums=sums or {},
        join=(outcome_join(inputs), *attribute_joins(inputs, group)),
    )


def outcome_join(inputs: Inputs) -> Join:
    """The outcomes that have arrived for rows of the window, laid beside the scoring log."""
    scored, outcomes = log_of(inputs), _outcomes(inputs)
    shared, (start, _) = inputs.model.outcome.join_key, due_window(inputs)
    return Join(
        # An outcome cannot be told before its row was scored; a day is left for coarse times.
        other=Source(outcomes.id, "span", (start - _MARGIN, inputs.night.end)),
        key=(shared or scored.fields[FieldRole.KEY], shared or outcomes.fields[FieldRole.KEY]),
        columns=((LABEL_COLUMN, outcomes.fields[FieldRole.LABEL]),),
        time=outcomes.time.column if outcomes.time else None,
    )


def _outcomes(inputs: Inputs) -> DataSet:
    found = inputs.data("outcomes")
    if found is None:
        raise LookupError("the need 'outcomes' was not met")
    return found


def too_early(inputs: Inputs, table: CountTable) -> str:
    """Why outcomes cannot be judged yet, or an empty string."""
    known, rows = _arrived(table)
    if not rows:
        return "No scored rows are old enough for their outcomes to be due."
    if known / rows < inputs.param("min_arrived") or not known:
        return "Too few of the due outcomes have arrived."
    return ""


def arrived_measurement(inputs: Inputs, table: CountTable) -> Measurement:
    """Share of the due outcomes that have arrived."""
    known, rows = _arrived(table)
    return Measurement(
        name="outcomes_arrived",
        value=known / rows,
        unit="share",
        threshold=inputs.threshold("min_arrived", ">="),
        n=rows,
    )


def _arrived(table: CountTable) -> tuple[int, int]:
    position = table.keys.index("label")
    known = sum(n for row, n in table.rows.items() if row[position] is not None)
    return known, table.n
