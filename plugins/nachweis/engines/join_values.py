"""Values of two data sets written so that the engine can compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nachweis.domain.manifest.dataset import ColumnType
from nachweis.engines.column_types import logical
from nachweis.engines.duck import quote

if TYPE_CHECKING:
    from nachweis.engines.joins import Side

_EXACT_FLOATS = 2**53


def comparable(column: str, type_: str, *, native: bool) -> str:
    """A key as itself where both sides have one type, else as text; not-a-number is no key."""
    kind = logical(type_)
    if type_ in ("FLOAT", "DOUBLE"):
        if native:
            return f"CASE WHEN NOT isnan({column}) THEN {column} END"
        # Whole numbers with missing values often arrive as floats: 7.0 is the key "7".
        whole = f"{column} = trunc({column}) AND abs({column}) < {_EXACT_FLOATS}"
        return (
            f"CASE WHEN isnan({column}) THEN NULL "
            f"WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) "
            f"ELSE CAST({column} AS VARCHAR) END"
        )
    if native:
        return column
    if kind is ColumnType.INTEGER and type_.startswith("DECIMAL"):
        return f"CAST(CAST({column} AS HUGEINT) AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"


def equal(left: Side, a: str, right: Side, b: str) -> str:
    """Whether two values are equal, as SQL: as themselves where both sides have one type."""
    types = left.type_of(a), right.type_of(b)
    native = types[0] == types[1] or all(logical(t) is ColumnType.INTEGER for t in types)
    first = comparable(f"l.{quote(a)}", types[0], native=native)
    second = comparable(f"r.{quote(b)}", types[1], native=native)
    return f"{first} = {second}"


def equal_texts(left: Side, a: str, right: Side, b: str) -> str:
    """Whether two values are equal as texts, as SQL; null where one is missing or empty."""
    for side, column in ((left, a), (right, b)):
        side.type_of(column)
    first, second = (
        f"NULLIF(upper(trim(CAST({name} AS VARCHAR))), '')"
        for name in (f"l.{quote(a)}", f"r.{quote(b)}")
    )
    return f"{first} = {second}"
