"""Rows of an access log that read data, and small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.check import ExampleTable, Inputs
from nachweis.domain.manifest import DataSetRole, FieldRole
from nachweis.domain.manifest.dataset import AccessRule
from nachweis.domain.observation import Expression

TONIGHT = dt.datetime(2026, 3, 2, 10)
ROLES = frozenset({DataSetRole.ACCESS_LOG})


def rule_of(inputs: Inputs) -> AccessRule:
    """What the data set declares as usual."""
    return inputs.data_set.access or AccessRule()


def reads_of(inputs: Inputs) -> Expression | None:
    """Rows that read data; None where every row does."""
    action, reads = inputs.data_set.field(FieldRole.ACTION), rule_of(inputs).reads
    return in_list(action, reads) if action and reads else None


def in_list(column: str, names: Sequence[str]) -> Expression:
    """Whether a column holds one of these names; a name may end with ``*`` for any ending.

    Args:
        column: The column.
        names: At least one name.

    Returns:
        A boolean expression, false where the column is empty.
    """
    exact = [name for name in names if not name.endswith("*")]
    heads = [name.removesuffix("*") for name in names if name.endswith("*")]

    def listed(table: Any) -> Any:
        text = table[column].cast("string")
        found = text.isin(exact) if exact else (text.isnull() & text.notnull())
        for head in heads:
            found = found | text.startswith(head)
        return found.fill_null(False)

    return listed


def named(column: str) -> Expression:
    """Whether a column says anything; logs write a hyphen where there is nothing to say."""

    def says_something(table: Any) -> Any:
        return table[column].cast("string").fill_null("").strip().notin(["", "-"])

    return says_something


def scope_of(inputs: Inputs) -> str:
    """What was looked at, in words."""
    reads = "rows that read data" if reads_of(inputs) else "all rows"
    return f"{reads} of {inputs.data_set.id}, window night"


def access_log(
    rows: Mapping[str, Sequence[Any]], access: Mapping[str, Any] | None = None
) -> dict[str, ExampleTable]:
    """A log whose columns are named after their meaning, each row at the time of the night.

    Args:
        rows: Columns of equal length; ``at`` sets other times.
        access: What is declared as usual.

    Returns:
        The table.
    """
    n = len(next(iter(rows.values())))
    columns = {"at": [TONIGHT] * n, **{name: list(values) for name, values in rows.items()}}
    declare = {
        "time": {"column": "at"},
        "fields": {name: name for name in rows if name != "at"},
        **({"access": access} if access else {}),
    }
    return {"log": ExampleTable(DataSetRole.ACCESS_LOG, columns, declare)}
