"""Small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole

NOON = dt.datetime(2026, 3, 2, 12)
PLAIN = (
    "Where is my parcel for order 4711001?",
    "Die Lampe kam beschädigt an.",
    "Tak for hjælpen.",
)
"""Texts without an identifier."""


def turns(
    *said: tuple[str, str], times: int = 10, columns: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, ExampleTable]:
    """Dialogues of one night.

    Args:
        *said: Speaker and text.
        times: How often the plain texts are repeated before them.
        columns: Further fields of the column with the text.
        **more: Further fields of the manifest.

    Returns:
        The table of a model or data set.
    """
    plain = [("customer", PLAIN[0]), ("assistant", PLAIN[1]), ("customer", PLAIN[2])] * times
    rows = [*plain, *said]
    return {
        "dialogues": ExampleTable(
            DataSetRole.DIALOGUES,
            {
                "turn": [f"t{i}" for i in range(len(rows))],
                "at": [NOON] * len(rows),
                "speaker": [speaker for speaker, _ in rows],
                "text": [text for _, text in rows],
            },
            {
                "columns": [
                    {"name": "turn"},
                    {"name": "at", "type": "timestamp"},
                    {"name": "speaker"},
                    {"name": "text", "type": "string", "free_text": True, **(columns or {})},
                ],
                "time": {"column": "at"},
                "fields": {"key": "turn", "text": "text", "source": "speaker"},
                **more,
            },
        )
    }


def table(
    rows: Mapping[str, Sequence[Any]],
    role: DataSetRole = DataSetRole.TRAINING,
    columns: Mapping[str, Mapping[str, Any]] | None = None,
    **more: Any,
) -> ExampleTable:
    """A table whose columns are declared.

    Args:
        rows: Column name to values.
        role: Role of the data set.
        columns: Column name to further fields of its declaration.
        **more: Further fields of the manifest.

    Returns:
        The table.
    """
    declared = [{"name": name, **(columns or {}).get(name, {})} for name in rows]
    return ExampleTable(
        role, {name: list(values) for name, values in rows.items()}, {"columns": declared, **more}
    )
