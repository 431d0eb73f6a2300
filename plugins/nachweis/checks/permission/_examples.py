"""Small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole

_TIMES = frozenset(
    {"given_at", "withdrawn_at", "expires_at", "received_at", "sale_at", "answered_at"}
)
TONIGHT = dt.datetime(2026, 3, 2, 10)
JANUARY = dt.datetime(2026, 1, 10, 9)


def columns_of(rows: Mapping[str, list[Any]]) -> list[dict[str, str]]:
    """Declarations of columns; times are times even where no row has one."""
    return [{"name": name, **({"type": "timestamp"} if name in _TIMES else {})} for name in rows]


def register_table(rows: Mapping[str, list[Any]], **declare: Any) -> ExampleTable:
    """A permission register whose columns are named after their meaning.

    Args:
        rows: Columns; ``person`` is the subject key.
        **declare: Further or other fields of the manifest.

    Returns:
        The table.
    """
    return ExampleTable(
        DataSetRole.PERMISSION_REGISTER,
        rows,
        {
            "columns": columns_of(rows),
            "subject_key": {"column": "person"},
            "fields": {name: name for name in rows if name != "person"},
            **declare,
        },
    )


def contact_log(
    contacted: list[bool] | None, at: dt.datetime = TONIGHT, **columns: list[Any]
) -> ExampleTable:
    """A scoring log about the people a, b and c of one night.

    Args:
        contacted: Who was contacted by e-mail; None leaves contacts out.
        at: When they were scored.
        **columns: Columns that replace these.

    Returns:
        The table.
    """
    rows: dict[str, list[Any]] = {"person": ["a", "b", "c"], "at": [at] * 3}
    fields = {}
    if contacted is not None:
        rows |= {"contacted": list(contacted), "channel": ["email"] * 3}
        fields = {"contacted": "contacted", "channel": "channel"}
    return ExampleTable(
        DataSetRole.SCORING_LOG,
        {**rows, **columns},
        {
            "subject_key": {"column": "person"},
            "time": {"column": "at"},
            "fields": fields,
            "contact_permission": {"register": "register", "purpose": "example"},
        },
    )


def objections_table(
    received: list[dt.datetime | None], people: list[str | None], **columns: list[Any]
) -> ExampleTable:
    """A list of objections.

    Args:
        received: When each was received.
        people: Who objected.
        **columns: Further columns named after their meaning.

    Returns:
        The table.
    """
    rows: dict[str, list[Any]] = {"person": people, "received_at": received, **columns}
    return ExampleTable(
        DataSetRole.OBJECTIONS,
        rows,
        {
            "columns": columns_of(rows),
            "subject_key": {"column": "person"},
            "fields": {name: name for name in rows if name != "person"},
        },
    )
