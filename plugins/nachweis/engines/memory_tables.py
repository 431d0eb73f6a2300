"""Small tables in memory, for the examples of checks: columns of Python values to Arrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.manifest import DataSet
from nachweis.domain.manifest.dataset import ColumnType


def arrow_table(data_set: DataSet, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Columns of Python values as an Arrow table.

    Declared types are used where the values fit them, and for columns without any value; a column
    that breaks its declaration gets the type of its values, as a file would have.

    Args:
        data_set: The declaration.
        columns: Column name to values; None is missing.

    Returns:
        A ``pyarrow.Table``.
    """
    import pyarrow as pa

    declared = {column.name: column.type for column in data_set.columns}
    return pa.table(
        {name: _array(list(values), declared.get(name)) for name, values in columns.items()}
    )


def _array(values: list[Any], type_: ColumnType | None) -> Any:
    import pyarrow as pa

    if type_ in (ColumnType.TIMESTAMP, ColumnType.DATE):
        values = [_moment(value) for value in values]
    present = [value for value in values if value is not None]
    target = _arrow_type(type_, present)
    try:
        array = pa.array(values, type=target)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        try:
            array = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            array = pa.array([None if value is None else str(value) for value in values])
    return array.cast(pa.string()) if pa.types.is_null(array.type) else array


def _moment(value: Any) -> Any:
    """ISO text as a date or datetime; anything else as it is."""
    if not isinstance(value, str):
        return value
    for read in (dt.date.fromisoformat, dt.datetime.fromisoformat):
        try:
            return read(value)
        except ValueError:
            continue
    return value


def _arrow_type(type_: ColumnType | None, present: Sequence[Any]) -> Any:
    import pyarrow as pa

    if type_ is ColumnType.TIMESTAMP:
        aware = [isinstance(value, dt.datetime) and value.tzinfo is not None for value in present]
        return pa.timestamp("us", tz="UTC") if aware and all(aware) else pa.timestamp("us")
    if type_ is ColumnType.DATE:
        # A datetime in a column declared as a date must stay visible as such.
        return None if any(isinstance(value, dt.datetime) for value in present) else pa.date32()
    if type_ is ColumnType.STRING:
        return pa.string()
    if type_ is ColumnType.BOOLEAN:
        return pa.bool_()
    if type_ is ColumnType.INTEGER:
        return None if present else pa.int64()
    if type_ is ColumnType.NUMBER:
        return pa.float64()
    return None
