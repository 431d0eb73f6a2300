"""Small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole

_NOON = dt.datetime(2026, 3, 2, 12)

MODEL: Mapping[str, Any] = {
    "decision": {"rule": {"positive": 1}},
    "protected_attributes": [{"id": "gender", "column": "gender"}],
}
"""A model with a favourable prediction and one protected attribute."""


def log(*cells: tuple[Mapping[str, Any], int], **declare: Any) -> ExampleTable:
    """A scoring log of one night.

    Args:
        *cells: Values of a row, and how many such rows there are.
        **declare: Further fields of its manifest.

    Returns:
        The table, with a time column.
    """
    names = list(cells[0][0])
    rows = {name: [row[name] for row, n in cells for _ in range(n)] for name in names}
    rows["at"] = [declare.pop("at", _NOON)] * sum(n for _, n in cells)
    return ExampleTable(
        DataSetRole.SCORING_LOG,
        rows,
        {"time": {"column": "at"}, "fields": {"prediction": "offer"}, **declare},
    )


def offers(women: tuple[int, int], men: tuple[int, int]) -> dict[str, ExampleTable]:
    """A scoring log with offers by gender.

    Args:
        women: Women with and without an offer.
        men: Men with and without an offer.

    Returns:
        The table of a model.
    """
    return {
        "scoring_log": log(
            ({"gender": "female", "offer": 1}, women[0]),
            ({"gender": "female", "offer": 0}, women[1]),
            ({"gender": "male", "offer": 1}, men[0]),
            ({"gender": "male", "offer": 0}, men[1]),
        )
    }


MODEL_WITH_OUTCOMES = {**MODEL, "outcome": {"positive": 1, "label_delay": "P30D"}}
_SCORED = dt.datetime(2026, 1, 30, 12)
_TOLD = dt.datetime(2026, 2, 27, 12)


def outcomes_of(
    *cells: tuple[str, int, int | None, int], scored: dt.datetime = _SCORED
) -> dict[str, ExampleTable]:
    """A scoring log and the outcomes of its rows.

    Args:
        *cells: Gender, offer, outcome (None = not known yet) and number of people.
        scored: When the rows were scored.

    Returns:
        Both tables.
    """
    people = [(gender, offer, bought) for gender, offer, bought, n in cells for _ in range(n)]
    scoring_log = log(
        *(
            ({"gender": gender, "offer": offer, "row": f"r{index}"}, 1)
            for index, (gender, offer, _) in enumerate(people)
        ),
        at=scored,
        fields={"prediction": "offer", "key": "row"},
    )
    told = [(f"r{i}", bought) for i, (*_, bought) in enumerate(people) if bought is not None]
    outcomes = ExampleTable(
        DataSetRole.OUTCOMES,
        {
            "row": [row for row, _ in told],
            "bought": [bought for _, bought in told],
            "told_at": [_TOLD] * len(told),
        },
        {
            "columns": [
                {"name": "row", "type": "string"},
                {"name": "bought", "type": "integer"},
                {"name": "told_at", "type": "timestamp"},
            ],
            "fields": {"key": "row", "label": "bought"},
            "time": {"column": "told_at"},
        },
    )
    return {"scoring_log": scoring_log, "outcomes": outcomes}


def cells(gender: str, hits: int, misses: int, alarms: int, rest: int) -> list[Any]:
    """Cells of one gender: true and missed positives, false alarms and true negatives."""
    counts = {(1, 1): hits, (0, 1): misses, (1, 0): alarms, (0, 0): rest}
    return [(gender, offer, bought, n) for (offer, bought), n in counts.items()]
