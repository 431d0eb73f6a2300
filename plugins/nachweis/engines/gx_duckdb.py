"""Great Expectations on the task's DuckDB connection, through its own extension points.

``DuckDBDatasource`` is a fluent data source, ``DuckDBExecutionEngine`` an execution engine; the
metric providers that DuckDB needs are in :mod:`nachweis.engines.gx_metrics_rows` and
:mod:`nachweis.engines.gx_metrics_aggregates`. Nothing of Great Expectations is patched.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import sqlalchemy as sa
from great_expectations.compatibility import pydantic
from great_expectations.datasource.fluent import PandasDatasource, SQLDatasource
from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset
from great_expectations.datasource.fluent.sql_datasource import TableAsset
from great_expectations.execution_engine import PandasExecutionEngine, SqlAlchemyExecutionEngine
from great_expectations.util import convert_to_json_serializable
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

from nachweis.engines import gx_dialect
from nachweis.engines.gx_settle import (
    AggregateUnit,
    Computation,
    RowsNeeded,
    RowsUnit,
    SettledMetrics,
    StatementRefusedError,
    Unit,
)

if TYPE_CHECKING:
    import duckdb

STATEMENTS = 3
"""Statements that one suite may send; the fourth of the budget is the pandas fallback's."""


class DuckDBExecutionEngine(SettledMetrics, SqlAlchemyExecutionEngine):
    """Runs metrics on a borrowed DuckDB connection, in few statements.

    Args:
        engine: From :func:`nachweis.engines.gx_dialect.borrowed_engine`.
        statements: How many statements may be sent.
        **kwargs: See ``SqlAlchemyExecutionEngine``.
    """

    def __init__(self, engine: sa.Engine, statements: int = STATEMENTS, **kwargs: Any) -> None:
        super().__init__(engine=engine, create_temp_table=False, **kwargs)
        self.dialect_module = gx_dialect.TYPE_NAMES
        self._statements_left = statements
        self._answers: dict[str, list[tuple[Any, ...]] | StatementRefusedError] = {}
        self._fields: dict[str, tuple[str, ...]] = {}

    def execute_query(self, query: Any) -> Any:
        """Answer a metric function's query, or suspend the function until it has been run.

        Args:
            query: A SQLAlchemy SELECT.

        Returns:
            A buffered result.
        """
        compiled = query.compile(dialect=self.dialect)
        key = f"{compiled.string} {compiled.params!r}"
        if key not in self._answers:
            raise RowsNeeded(key, query)
        answer = self._answers[key]
        if isinstance(answer, StatementRefusedError):
            raise answer
        return IteratorResult(SimpleResultMetaData(self._fields[key]), iter(answer))

    def _aggregate(self, computation: Computation) -> Unit:
        kwargs = dict(computation.domain or {})
        source = self.get_domain_records(domain_kwargs=kwargs)
        if isinstance(source, sa.Select):
            source = source.subquery()
        key = repr(sorted((k, v) for k, v in kwargs.items() if v is not None))
        return AggregateUnit(computation, key, source)

    def _ask(self, units: list[Unit]) -> None:
        """Run everything in one statement, without what DuckDB would not even plan."""
        # Two metrics may ask the same question.
        units = list({getattr(unit, "key", id(unit)): unit for unit in units}.values())
        if self._refusal(units) is not None:
            refusals = [(unit, self._refusal([unit])) for unit in units]
            units = [unit for unit, refusal in refusals if refusal is None]
            for unit, refusal in refusals:
                if refusal is not None:
                    self._fail(unit, refusal)
        error = self._attempt(units) if units else None
        if error is not None:
            for unit in units:
                self._fail(unit, error)

    def _refusal(self, units: list[Unit]) -> StatementRefusedError | None:
        """Why DuckDB would not even plan a statement; reads no data."""
        try:
            with self.engine.connect() as connection:
                connection.execute(gx_dialect.Explain(_merged(_blocks(units))))
        except Exception as error:  # noqa: BLE001 - any refusal takes the units out
            return StatementRefusedError.of(error)
        return None

    def _attempt(self, units: list[Unit]) -> StatementRefusedError | None:
        if self._statements_left == 0:
            return StatementRefusedError("StatementBudgetError")
        self._statements_left -= 1
        blocks = _blocks(units)
        try:
            with self.engine.connect() as connection:
                answers = connection.execute(_merged(blocks)).one()
        except Exception as error:  # noqa: BLE001 - e.g. a file that broke off
            return StatementRefusedError.of(error)
        for (query, members), answer in zip(blocks, answers, strict=True):
            structs = answer or []
            fields = tuple(structs[0]) if structs else tuple(query.selected_columns.keys())
            rows = [tuple(struct.values()) for struct in structs]
            self._deliver(members, fields, rows)
        return None

    def _deliver(
        self, members: list[Unit], fields: tuple[str, ...], rows: list[tuple[Any, ...]]
    ) -> None:
        for position, unit in enumerate(members):
            if isinstance(unit, RowsUnit):
                self._answers[unit.key] = rows
                self._fields[unit.key] = fields
            else:
                value = convert_to_json_serializable(rows[0][position])
                self._put(unit.computation, value)

    def _fail(self, unit: Unit, error: StatementRefusedError) -> None:
        if isinstance(unit, RowsUnit):
            self._answers[unit.key] = error
        else:
            self.failures[unit.computation.id] = error


def _blocks(units: list[Unit]) -> list[tuple[Any, list[Unit]]]:
    """Queries and the units each of them answers."""
    blocks: list[tuple[Any, list[Unit]]] = []
    domains: dict[str, list[AggregateUnit]] = {}
    for unit in units:
        if isinstance(unit, RowsUnit):
            blocks.append((unit.query, [unit]))
        else:
            domains.setdefault(unit.domain, []).append(unit)
    for members in domains.values():
        selected = [unit.computation.function.label(f"a{i}") for i, unit in enumerate(members)]
        blocks.append((sa.select(*selected).select_from(members[0].source), list(members)))
    return blocks


def _merged(blocks: list[tuple[Any, list[Unit]]]) -> Any:
    """One statement with the rows of each block as one value."""
    return sa.select(*(_as_list(query, f"q{index}") for index, (query, _) in enumerate(blocks)))


def _as_list(query: Any, name: str) -> Any:
    """All rows of a query as one value, a list of structs."""
    rows = query.subquery(name)
    return (
        sa.select(sa.func.list(sa.literal_column(f'"{name}"')))
        .select_from(rows)
        .scalar_subquery()
        .label(name)
    )


class QuietPandasExecutionEngine(SettledMetrics, PandasExecutionEngine):
    """Great Expectations' pandas engine, with exceptions kept aside."""


class DuckDBTableAsset(TableAsset):
    """A view on the borrowed connection."""

    type: Literal["table"] = "table"

    def test_connection(self) -> None:
        """The view was made by this task on this connection; probing it would read data."""


class DuckDBDatasource(SQLDatasource):
    """A data source on a DuckDB connection that somebody else opened and will close."""

    asset_types: ClassVar[list[Any]] = [DuckDBTableAsset]
    type: Literal["duckdb"] = "duckdb"
    connection_string: str = "duckdb+borrowed://"
    assets: list[DuckDBTableAsset] = []

    _TableAsset: Any = pydantic.PrivateAttr(DuckDBTableAsset)

    @property
    def execution_engine_type(self) -> Any:
        """The engine class."""
        return DuckDBExecutionEngine

    def borrow(
        self,
        connection: duckdb.DuckDBPyConnection,
        on_query: Callable[[str], None] | None,
    ) -> DuckDBExecutionEngine:
        """Build the execution engine on an open connection.

        Args:
            connection: Stays open.
            on_query: Told each statement that reads data.

        Returns:
            The engine that all assets of this source share.
        """
        self._engine = gx_dialect.borrowed_engine(connection, on_query)
        self._execution_engine = DuckDBExecutionEngine(engine=self._engine)
        return self._execution_engine

    def get_engine(self) -> sa.Engine:
        """The SQLAlchemy engine on the borrowed connection."""
        if self._engine is None:
            raise ValueError("no connection has been borrowed yet")
        return self._engine

    def get_execution_engine(self) -> DuckDBExecutionEngine:
        """The engine on the borrowed connection."""
        if not isinstance(self._execution_engine, DuckDBExecutionEngine):
            raise ValueError("no connection has been borrowed yet")
        return self._execution_engine

    def test_connection(self, test_assets: bool = True) -> None:
        """The connection is open; there is nothing to test."""


class QuietPandasDatasource(PandasDatasource):
    """Data frames of projected columns, for expectation types that SQL cannot express."""

    asset_types: ClassVar[list[Any]] = [DataFrameAsset]
    type: Literal["quiet_pandas"] = "quiet_pandas"
    assets: list[DataFrameAsset] = []

    @property
    def execution_engine_type(self) -> Any:
        """The engine class."""
        return QuietPandasExecutionEngine
