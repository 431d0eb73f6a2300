"""Small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole

SCORED = dt.datetime(2026, 1, 30, 12)
RECENT = dt.datetime(2026, 2, 20, 12)
TONIGHT = dt.datetime(2026, 3, 2, 12)
TOLD = dt.datetime(2026, 2, 27, 12)

MODEL: Mapping[str, Any] = {
    "decision": {"rule": {"positive": 1}},
    "outcome": {"positive": 1, "label_delay": "P30D"},
}
"""A binary model whose outcomes are known after thirty days."""

Rows = Mapping[str, Sequence[Any]]


def spread(n: int) -> list[float]:
    """Scores from 0 to 1 in equal steps."""
    return [(i + 0.5) / n for i in range(n)]


def happened(probability: Sequence[float]) -> list[int]:
    """Outcomes that happen as often as the probabilities say, along their order."""
    found, carried = [], 0.0
    for one in probability:
        carried += one
        found.append(int(carried >= 1))
        carried -= found[-1]
    return found


def scored(n: int, truth: Sequence[float] | None = None) -> Rows:
    """Scores, predictions from 0.5 on, and outcomes.

    Args:
        n: Rows.
        truth: Probability of each outcome; default is the score itself.

    Returns:
        Columns ``p``, ``offer`` and ``bought``.
    """
    p = spread(n)
    return {"p": p, "offer": [int(one >= 0.5) for one in p], "bought": happened(truth or p)}


def late(
    rows: Rows,
    *,
    reference: Rows | None = None,
    label: str = "bought",
    fields: Mapping[str, str] | None = None,
    at: dt.datetime = SCORED,
    outcomes: int | None = None,
    outcome_type: str = "integer",
) -> dict[str, ExampleTable]:
    """A scoring log, its outcomes and, if wanted, a labelled reference.

    Args:
        rows: Columns of the log, and the outcome under ``label``.
        reference: The same of the reference.
        label: Column with the outcome.
        fields: Further fields of log and reference.
        at: When the rows were scored.
        outcomes: How many outcomes have arrived; default is all.
        outcome_type: Type of the outcome.

    Returns:
        The tables.
    """
    n = len(rows[label])
    meaning = {"score": "p", "prediction": "offer", "key": "row", **(fields or {})}
    shown = {name: list(values) for name, values in rows.items() if name != label}
    meaning = {role: name for role, name in meaning.items() if name in {*shown, "row"}}
    told = n if outcomes is None else outcomes
    tables = {
        "scoring_log": ExampleTable(
            DataSetRole.SCORING_LOG,
            {**shown, "row": [f"r{i}" for i in range(n)], "at": [at] * n},
            {"time": {"column": "at"}, "fields": meaning},
        ),
        "outcomes": ExampleTable(
            DataSetRole.OUTCOMES,
            {
                "row": [f"r{i}" for i in range(told)],
                label: list(rows[label])[:told],
                "told_at": [TOLD] * told,
            },
            {
                "columns": [
                    {"name": "row", "type": "string"},
                    {"name": label, "type": outcome_type},
                    {"name": "told_at", "type": "timestamp"},
                ],
                "fields": {"key": "row", "label": label},
                "time": {"column": "told_at"},
            },
        ),
    }
    if reference is not None:
        tables["reference"] = labelled(reference, label, meaning)
    return tables


def labelled(rows: Rows, label: str, fields: Mapping[str, str]) -> ExampleTable:
    """A reference with outcomes."""
    n = len(rows[label])
    own = {role: name for role, name in fields.items() if name in rows}
    return ExampleTable(
        DataSetRole.REFERENCE,
        {**{name: list(v) for name, v in rows.items()}, "row": [f"q{i}" for i in range(n)]},
        {"fields": {**own, "key": "row", "label": label}},
    )
