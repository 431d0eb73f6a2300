"""Small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import PastFinding

NOON = dt.datetime(2026, 3, 2, 12)
"""When the rows of an example were written."""
LAST_NIGHT = "2026-03-01"


def normal(n: int, mean: float, seed: int) -> list[float]:
    """Numbers from a normal distribution of standard deviation 1."""
    generator = random.Random(seed)  # noqa: S311 - example data
    return [round(generator.gauss(mean, 1.0), 6) for _ in range(n)]


def tables(
    reference: Mapping[str, Sequence[Any]],
    current: Mapping[str, Sequence[Any]],
    fields: Mapping[str, str] | None = None,
) -> dict[str, ExampleTable]:
    """A reference and a scoring log of one night.

    Args:
        reference: Columns of the reference.
        current: Columns of the scoring log; a time column is added.
        fields: Meanings of columns in both.

    Returns:
        Both tables; columns without a meaning are features.
    """
    meanings = dict(fields or {})

    def columns(names: Sequence[str]) -> list[dict[str, Any]]:
        return [{"name": name, "feature": name not in meanings.values()} for name in names]

    rows = len(next(iter(current.values())))
    return {
        "reference": ExampleTable(
            DataSetRole.REFERENCE,
            {name: list(values) for name, values in reference.items()},
            {"columns": columns(list(reference)), "fields": meanings},
        ),
        "scoring_log": ExampleTable(
            DataSetRole.SCORING_LOG,
            {**{name: list(values) for name, values in current.items()}, "at": [NOON] * rows},
            {
                "columns": [*columns(list(current)), {"name": "at"}],
                "fields": meanings,
                "time": {"column": "at"},
            },
        ),
    }


def differed(column: str) -> tuple[PastFinding, ...]:
    """History: the column differed on the night before."""
    return (
        PastFinding(
            night=LAST_NIGHT, outcome="pass", column=column, drifted=True, values={"differs": True}
        ),
    )
