"""Which columns an expression of a check reads, found without any data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nachweis.domain.manifest.dataset import ColumnType
from nachweis.domain.observation import Expression, Missing
from nachweis.engines.aggregates import bind

_TYPES = {
    ColumnType.INTEGER: "int64",
    ColumnType.NUMBER: "float64",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.STRING: "string",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.BINARY: "binary",
    ColumnType.NESTED: "json",
}


def columns_used(
    expressions: list[str | Expression | None], declared: Mapping[str, ColumnType]
) -> set[str] | None:
    """Columns that expressions read.

    Args:
        expressions: Column names, functions of a table, or None.
        declared: The table's columns with their declared types.

    Returns:
        Column names; None if an expression does not fit the declared columns, so that only the
        data can tell.
    """
    found = {one for one in expressions if isinstance(one, str)}
    functions = [one for one in expressions if one is not None and not isinstance(one, str)]
    if not functions:
        return found
    if not declared:
        return None
    table = _table(declared)
    for expression in functions:
        value = bind(expression, table)
        if isinstance(value, Missing):
            return None
        found |= _fields(value)
    return found


def _table(declared: Mapping[str, ColumnType]) -> Any:
    import ibis

    return ibis.table({name: _TYPES[type_] for name, type_ in declared.items()}, name="declared")


def _fields(value: Any) -> set[str]:
    from ibis.expr import operations as ops

    return {field.name for field in value.op().find(ops.Field)}
