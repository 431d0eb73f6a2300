"""A SQLAlchemy dialect over one DuckDB connection that somebody else opened and will close.

Great Expectations talks to SQL through SQLAlchemy. The task's only DuckDB connection belongs to
Ibis and holds the temporary views of the windows, which a second connection would not see, so the
dialect never opens one: an engine is built around the open connection, results are buffered the
moment a statement ran, and closing, committing or rolling back touches nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import duckdb
import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.compiler import GenericTypeCompiler, IdentifierPreparer, SQLCompiler

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedPrimaryKeyConstraint


class BIGINT(sa.BIGINT):
    """64-bit integer."""


class INTEGER(sa.INTEGER):
    """32-bit integer."""


class SMALLINT(sa.SMALLINT):
    """16-bit integer."""


class TINYINT(sa.Integer):
    """8-bit integer."""


class HUGEINT(sa.Integer):
    """128-bit integer."""


class UBIGINT(sa.Integer):
    """Unsigned 64-bit integer."""


class UINTEGER(sa.Integer):
    """Unsigned 32-bit integer."""


class USMALLINT(sa.Integer):
    """Unsigned 16-bit integer."""


class UTINYINT(sa.Integer):
    """Unsigned 8-bit integer."""


class DOUBLE(sa.Float):  # type: ignore[type-arg]
    """64-bit float."""


class FLOAT(sa.Float):  # type: ignore[type-arg]
    """32-bit float."""


class DECIMAL(sa.Numeric):  # type: ignore[type-arg]
    """Fixed-point number."""


class VARCHAR(sa.String):
    """Text."""


class ENUM(sa.String):
    """Text out of a closed set."""


class UUID(sa.String):
    """Universally unique identifier."""


class BOOLEAN(sa.Boolean):
    """Truth value."""


class DATE(sa.Date):
    """Calendar date."""


class TIMESTAMP(sa.DateTime):
    """Date and time without zone."""


class TIMESTAMPTZ(sa.DateTime):
    """Moment in time."""


class TIME(sa.Time):
    """Time of day."""


class BLOB(sa.LargeBinary):
    """Bytes."""


class OTHER(sa.types.NullType):
    """A nested or rare type that no expectation computes with."""


INTEGERS: tuple[type[sa.types.TypeEngine[Any]], ...] = (sa.Integer,)
NUMBERS: tuple[type[sa.types.TypeEngine[Any]], ...] = (sa.Integer, sa.Float, sa.Numeric)
MOMENTS: tuple[type[sa.types.TypeEngine[Any]], ...] = (sa.Date, sa.DateTime)

_BY_NAME: dict[str, type[sa.types.TypeEngine[Any]]] = {
    kind.__name__: kind
    for kind in (
        BIGINT, INTEGER, SMALLINT, TINYINT, HUGEINT, UBIGINT, UINTEGER, USMALLINT, UTINYINT,
        DOUBLE, FLOAT, DECIMAL, VARCHAR, BOOLEAN, DATE, TIMESTAMP, TIMESTAMPTZ, TIME, BLOB,
        ENUM, UUID,
    )
}  # fmt: skip
_BY_NAME |= {
    "TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ,
    "TIMESTAMP_S": TIMESTAMP,
    "TIMESTAMP_MS": TIMESTAMP,
    "TIMESTAMP_NS": TIMESTAMP,
}

# Expectations about types are written once and hold on both engines: beside DuckDB's own names,
# the names that pandas gives to the same column are understood.
_PANDAS_NAMES: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "int": sa.Integer,
    "int64": BIGINT,
    "int32": INTEGER,
    "int16": SMALLINT,
    "int8": TINYINT,
    "uint64": UBIGINT,
    "uint32": UINTEGER,
    "uint16": USMALLINT,
    "uint8": UTINYINT,
    "float": sa.Float,
    "float64": DOUBLE,
    "float32": FLOAT,
    "str": VARCHAR,
    "string": VARCHAR,
    "bool": BOOLEAN,
    "datetime64": TIMESTAMP,
    "datetime64[ns]": TIMESTAMP,
    "datetime64[us]": TIMESTAMP,
}

TYPE_NAMES = SimpleNamespace(__name__=__name__, **_BY_NAME, **_PANDAS_NAMES)
"""What Great Expectations looks type names up in, in place of a dialect's module."""


def column_type(name: str) -> sa.types.TypeEngine[Any]:
    """The SQLAlchemy type of a DuckDB type name.

    Args:
        name: As ``DESCRIBE`` prints it, for example ``DECIMAL(18,3)``.

    Returns:
        An instance of one of this module's types.
    """
    if name.endswith("]") or name.startswith(("STRUCT", "MAP", "UNION")):
        return OTHER()
    return _BY_NAME.get(re.sub(r"\(.*", "", name), OTHER)()


class _Preparer(IdentifierPreparer):
    """Quotes every name, so that no list of DuckDB's reserved words is needed."""

    def _requires_quotes(self, value: str) -> bool:
        return True


class _TypeCompiler(GenericTypeCompiler):
    """DuckDB's FLOAT has 32 bits; SQLAlchemy's generic float means the usual 64."""

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        return "DOUBLE"


class _BufferedCursor:
    """A DB-API cursor that holds all rows of its statement, whatever the connection does next."""

    arraysize = 1
    rowcount = -1
    lastrowid = None

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, on_query: Callable[[str], None] | None
    ) -> None:
        self._connection = connection
        self._on_query = on_query
        self._rows: list[tuple[Any, ...]] = []
        self.description: list[tuple[Any, ...]] | None = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        if self._on_query is not None and statement.startswith("SELECT"):
            self._on_query(statement)
        result = self._connection.execute(statement, list(parameters))
        self.description = result.description
        self._rows = result.fetchall()

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


class _BorrowedConnection:
    """The DB-API face of an open DuckDB connection; transactions and closing are its owner's."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, on_query: Callable[[str], None] | None
    ) -> None:
        self._connection = connection
        self._on_query = on_query

    def cursor(self) -> _BufferedCursor:
        return _BufferedCursor(self._connection, self._on_query)

    def commit(self) -> None:
        """Leave transactions to the owner."""

    def rollback(self) -> None:
        """Leave transactions to the owner."""

    def close(self) -> None:
        """Leave the connection open."""


class DuckDBDialect(DefaultDialect):
    """Enough of DuckDB for SELECT statements and the columns of a view."""

    name = "duckdb"
    driver = "borrowed"
    paramstyle = "qmark"
    preparer = _Preparer
    type_compiler_cls = _TypeCompiler
    supports_native_boolean = True
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """DuckDB's Python module is a DB-API 2 module."""
        return duckdb

    def initialize(self, connection: sa.Connection) -> None:
        """Nothing has to be asked of an embedded database."""

    def get_columns(
        self, connection: sa.Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedColumn]:
        """Names and types of a table's or view's columns, from the catalogue alone."""
        quoted = self.identifier_preparer.quote_identifier(table_name)
        rows = connection.exec_driver_sql(f"DESCRIBE {quoted}").fetchall()
        return [
            {"name": row[0], "type": column_type(row[1]), "nullable": True, "default": None}
            for row in rows
        ]

    def get_pk_constraint(
        self, connection: sa.Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> ReflectedPrimaryKeyConstraint:
        """Views have no primary key."""
        return {"constrained_columns": [], "name": None}


class Explain(sa.Executable, sa.ClauseElement):
    """Plans a statement without running it.

    Args:
        statement: Any SELECT.
    """

    inherit_cache = False

    def __init__(self, statement: sa.ClauseElement) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN {compiler.process(element.statement, **kw)}"


def borrowed_engine(
    connection: duckdb.DuckDBPyConnection, on_query: Callable[[str], None] | None = None
) -> sa.Engine:
    """A SQLAlchemy engine around an open DuckDB connection.

    Args:
        connection: The connection; it stays open.
        on_query: Told the text of each statement that reads data, without its parameters.

    Returns:
        The engine.
    """
    dialect = DuckDBDialect(dbapi=cast("Any", duckdb), paramstyle="qmark")
    borrow: Any = functools.partial(_BorrowedConnection, connection, on_query)
    pool = StaticPool(borrow, dialect=dialect)
    return sa.Engine(pool, dialect, sa.make_url("duckdb+borrowed://"), hide_parameters=True)
