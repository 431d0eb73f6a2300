"""Tables of DuckDB database files, read once into the task's own engine.

The file is opened by a connection of its own, read-only and for as long as its rows are copied:
an attached database would be one for all tasks that share an engine, and would stay locked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nachweis.domain.errors import DataError
from nachweis.engines.duck import Session, quote
from nachweis.engines.duck_errors import guarded

if TYPE_CHECKING:
    import duckdb

_MAGIC, _MAGIC_AT = b"DUCK", 8
_CONFIG: dict[str, Any] = {
    "access_mode": "read_only",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "memory_limit": "512MB",
    "temp_directory": "",
}
_TABLES = "SELECT table_schema, table_name, table_type FROM information_schema.tables ORDER BY ALL"


def inspect_database(path: Path, where: str) -> None:
    """Refuse a local file that is no database, or whose content is not all in the file.

    Args:
        path: The file.
        where: Data set and file, for errors.

    Raises:
        DataError: If it cannot be read as it is.
        OSError: If it cannot be opened.
    """
    with path.open("rb") as stream:
        head = stream.read(_MAGIC_AT + len(_MAGIC))
    if head[_MAGIC_AT:] != _MAGIC:
        raise DataError(
            "the file is not a DuckDB database", where=where, remedy="correct the location"
        )
    if path.with_name(f"{path.name}.wal").exists():
        # The digest of the file, which names the version of the data, would not cover them.
        raise DataError(
            "the database has changes that are not in its file yet",
            where=where,
            remedy="run CHECKPOINT and close the database, or give a copy of it",
        )


def stage_table(session: Session, path: str, table: str | None, label: str, where: str) -> str:
    """Copy a table into a temporary one of the session.

    Args:
        session: The task's session.
        path: The database file.
        table: ``schema.table``, or a name that only one schema has.
        label: Source label for the query log.
        where: Data set and file, for errors.

    Returns:
        Name of the temporary table.

    Raises:
        DataError: If there is no such table, it is a view, or it cannot be read.
    """
    import duckdb

    database = guarded(lambda: duckdb.connect(path, config=_CONFIG), where)
    try:
        database.execute("SET arrow_lossless_conversion = true")
        source = _qualified(database, table, where)
        rows = guarded(
            lambda: database.execute(f"SELECT * FROM {source}").to_arrow_reader(100_000), where
        )
        name = session.name("table")
        with session.registered(rows) as arrow:
            sql = f"CREATE TEMP TABLE {name} AS SELECT * FROM {arrow}"
            session.query(sql, label, "load", where=where)
        return name
    finally:
        database.close()


def _qualified(database: duckdb.DuckDBPyConnection, table: str | None, where: str) -> str:
    found = guarded(lambda: database.execute(_TABLES).fetchall(), where)
    named = [row for row in found if table in (row[1], f"{row[0]}.{row[1]}")]
    if len(named) != 1:
        what = f"there is no table {table!r}" if table and not named else "no one table is named"
        raise DataError(
            f"{what} in the database",
            where=where,
            remedy="name one as schema.table",
            valid=[f"{row[0]}.{row[1]}" for row in found if row[2] == "BASE TABLE"][:20],
        )
    schema, name, kind = named[0]
    if kind != "BASE TABLE":
        raise DataError(
            f"{table!r} is a view, whose rows may lie outside the database",
            where=where,
            remedy="name a table, or write the view's rows into one",
        )
    return f"{quote(schema)}.{quote(name)}"
