"""Logical column types: from the engine's names, and for the text of CSV and JSON files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nachweis.domain.manifest.dataset import ColumnType

_EXACT: Mapping[str, ColumnType] = {
    "BOOLEAN": ColumnType.BOOLEAN,
    "DATE": ColumnType.DATE,
    "BLOB": ColumnType.BINARY,
    "BIT": ColumnType.BINARY,
    "FLOAT": ColumnType.NUMBER,
    "DOUBLE": ColumnType.NUMBER,
    "VARCHAR": ColumnType.STRING,
    "UUID": ColumnType.STRING,
    "TIME": ColumnType.STRING,
    "INTERVAL": ColumnType.STRING,
    "JSON": ColumnType.NESTED,
}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


def logical(engine_type: str) -> ColumnType:
    """The logical type of an engine's column type.

    Args:
        engine_type: Name as DuckDB's DESCRIBE gives it.

    Returns:
        The logical type; unknown names count as nested.
    """
    if engine_type.endswith(("]", ")")) and not engine_type.startswith(("DECIMAL", "ENUM")):
        return ColumnType.NESTED
    if engine_type in _EXACT:
        return _EXACT[engine_type]
    if engine_type.removeprefix("U") in _INTEGERS:
        return ColumnType.INTEGER
    if engine_type.startswith("DECIMAL"):
        whole = engine_type.rstrip(")").endswith(",0")
        return ColumnType.INTEGER if whole else ColumnType.NUMBER
    if engine_type.startswith("TIMESTAMP"):
        return ColumnType.TIMESTAMP
    if engine_type.startswith(("ENUM", "TIME")):
        return ColumnType.STRING
    return ColumnType.NESTED


@dataclass(frozen=True, slots=True)
class Fit:
    """A type that a text column may turn out to have.

    Attributes:
        type: The engine's type.
        expression: SQL that gives the typed value, or null where a text does not fit.
    """

    type: str
    expression: str


_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"[ T]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
_OFFSET = r"\s?(Z|z|[+-]\d{2}(:?\d{2})?)"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


def _when(text: str, pattern: str, expression: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, '{pattern}') THEN {expression} END"


def _boolean(text: str, true: Sequence[str], false: Sequence[str]) -> Fit:
    def words(values: Sequence[str]) -> str:
        return ", ".join(f"'{value}'" for value in values)

    lower = f"lower({text})"
    return Fit(
        "BOOLEAN",
        f"CASE WHEN {lower} IN ({words(true)}) THEN true "
        f"WHEN {lower} IN ({words(false)}) THEN false END",
    )


def _integer(text: str, *, strict: bool) -> Fit:
    digits = "[+-]?(0|[1-9][0-9]{0,18})" if strict else "[+-]?[0-9]{1,19}"
    return Fit("BIGINT", _when(text, digits, f"TRY_CAST({text} AS BIGINT)"))


def _number(text: str, decimal: str) -> Fit:
    point = "[.]" if decimal == "." else ","
    finite = rf"[+-]?([0-9]+({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?"
    pattern = f"{finite}|(?i:[+-]?inf|[+-]?infinity|nan)"
    value = text if decimal == "." else f"replace({text}, ',', '.')"
    return Fit("DOUBLE", _when(text, pattern, f"TRY_CAST({value} AS DOUBLE)"))


def _moments(text: str, format_: str | None) -> list[Fit]:
    if format_:
        form = "'" + format_.replace("'", "''") + "'"
        type_ = "TIMESTAMP WITH TIME ZONE" if "%z" in format_ or "%Z" in format_ else "TIMESTAMP"
        return [Fit(type_, f"try_strptime({text}, {form})")]
    # A minute without seconds is ISO 8601, but the engine reads it only without an offset.
    padded = f"regexp_replace({text}, '^({_DATE}[ T][0-9:]{{5}})([Zz+-]|\\s)', '\\1:00\\2')"
    aware = f"TRY_CAST({padded} AS TIMESTAMP WITH TIME ZONE)"
    return [
        Fit("TIMESTAMP WITH TIME ZONE", _when(text, _DATE + _CLOCK + _OFFSET, aware)),
        Fit("TIMESTAMP", _when(text, f"{_DATE}({_CLOCK})?", f"TRY_CAST({text} AS TIMESTAMP)")),
    ]


def _date(text: str) -> Fit:
    return Fit("DATE", _when(text, _DATE, f"TRY_CAST({text} AS DATE)"))


def declared_fits(
    column: str, type_: ColumnType, *, decimal: str, moment_format: str | None
) -> list[Fit]:
    """Types that meet a declaration, the preferred one last where all values are null.

    Args:
        column: The text column as an SQL identifier.
        type_: Declared type.
        decimal: Decimal mark.
        moment_format: strptime format of timestamps, if declared.

    Returns:
        Candidates in order; none for types that text cannot hold.
    """
    text = f"trim({column})"
    if type_ is ColumnType.STRING:
        return [Fit("VARCHAR", column)]
    if type_ is ColumnType.INTEGER:
        return [_integer(text, strict=False)]
    if type_ is ColumnType.NUMBER:
        return [_number(text, decimal)]
    if type_ is ColumnType.BOOLEAN:
        return [_boolean(text, _TRUE, _FALSE)]
    if type_ is ColumnType.DATE:
        return [_date(text)]
    if type_ is ColumnType.TIMESTAMP:
        return _moments(text, moment_format)
    return []


def only_if_empty(fits: Sequence[Fit]) -> list[Fit]:
    """The same types for a column without any value; a text that is there stays a text."""
    return [Fit(fit.type, f"CAST(NULL AS {fit.type})") for fit in fits]


def inferred_fits(
    column: str, *, decimal: str, moment_format: str | None, times_only: bool
) -> list[Fit]:
    """Types to try for a column that nothing is declared about, narrowest first.

    Digits with a leading zero stay text: they are codes, not numbers.

    Args:
        column: The text column as an SQL identifier.
        decimal: Decimal mark.
        moment_format: strptime format of timestamps, if declared.
        times_only: Whether only dates and timestamps are written as text in this format.

    Returns:
        Candidates in order.
    """
    text = f"trim({column})"
    times = [_date(text), *_moments(text, moment_format)]
    if times_only:
        return times
    return [
        _integer(text, strict=True),
        _number(f"CASE WHEN NOT regexp_matches({text}, '^0[0-9]') THEN {text} END", decimal),
        _boolean(text, ("true",), ("false",)),
        *times,
    ]
