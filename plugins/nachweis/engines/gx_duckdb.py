"""Great Expectations on the task's DuckDB connection, through its own extension points.

``DuckDBDatasource`` is a fluent data source, ``DuckDBExecutionEngine`` an execution engine; metric
providers that DuckDB needs are in :mod:`nachweis.engines.gx_metrics`. Nothing of Great Expectations
is patched. Two things differ from its own SQL engine:

* *One statement per level.* Great Expectations fuses aggregates, but metrics such as quantiles,
  value counts or pairs of columns each run a statement of their own. Here a metric that needs rows
  is suspended, all statements of the level are merged into one, and the metric is run again on the
  answer. A metric function is pure in its inputs and rows, so running it twice is safe.
* *Errors stay what they are.* Great Expectations retries and logs the text of a database error,
  which may quote a value. Here a metric fails once, its exception is kept aside, and the text that
  Great Expectations sees is the name of the exception's class.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import sqlalchemy as sa
from great_expectations.compatibility import pydantic
from great_expectations.datasource.fluent import PandasDatasource, SQLDatasource
from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset
from great_expectations.datasource.fluent.sql_datasource import TableAsset
from great_expectations.exceptions import MetricResolutionError
from great_expectations.execution_engine import PandasExecutionEngine, SqlAlchemyExecutionEngine
from great_expectations.util import convert_to_json_serializable
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

from nachweis.engines import gx_dialect

if TYPE_CHECKING:
    import duckdb
    from great_expectations.execution_engine import ExecutionEngine
    from great_expectations.validator.metric_configuration import MetricConfiguration

MetricId = tuple[str, str, str]
MetricTable = dict[MetricId, Any]

_PARTIALS = (".condition", ".map", ".aggregate_fn")

STATEMENTS = 3
"""Statements that one suite may send; the fourth of the budget is the pandas fallback's."""


class StatementRefusedError(Exception):
    """DuckDB, or the budget of statements, refused a metric's statement.

    Args:
        reason: Class name of the driver's exception; its text may quote a value and is dropped.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @classmethod
    def of(cls, error: Exception) -> StatementRefusedError:
        """From whatever SQLAlchemy or the driver raised."""
        return cls(type(getattr(error, "orig", None) or error).__name__)


class _RowsNeeded(BaseException):
    """Suspends a metric function whose statement has not run yet; not an error to be caught."""

    def __init__(self, key: str, statement: Any) -> None:
        super().__init__()
        self.key = key
        self.statement = statement


class SettledMetrics:
    """Settles metrics in its own order; keeps values and exceptions where they can be read.

    A mixin for execution engines. Great Expectations walks its graph level by level; what it asks
    for after :meth:`settle` is already known.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settled: MetricTable = {}
        self.failures: dict[MetricId, Exception] = {}
        self.rows: int | None = None

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: MetricTable | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> MetricTable:
        """Answer Great Expectations' graph.

        Args:
            metrics_to_resolve: Metrics whose dependencies are resolved.
            metrics: Values of earlier levels; they were settled here.
            runtime_configuration: Has no influence on metrics of this package.

        Returns:
            Metric id to value.

        Raises:
            MetricResolutionError: If some failed; names the class of the first exception only.
        """
        wanted = list(metrics_to_resolve)
        self.settle(wanted)
        failed = [metric for metric in wanted if metric.id in self.failures]
        if failed:
            raise MetricResolutionError(
                message=type(self.failures[failed[0].id]).__name__, failed_metrics=failed
            )
        return {metric.id: self.settled[metric.id] for metric in wanted}

    def settle(self, metrics: Iterable[MetricConfiguration]) -> None:
        """Compute metrics and what they depend on, asking the data as rarely as possible.

        Everything that needs no rows is computed first, then all rows needed so far are asked for
        at once, and so on. A metric below a failed one stays out.

        Args:
            metrics: All metrics of a graph, in any order.
        """
        waiting = {
            m.id: m for m in metrics if m.id not in self.settled and m.id not in self.failures
        }
        parked: list[tuple[_Computation, _Unit]] = []
        while True:
            moved = False
            for metric in [m for m in waiting.values() if self._ready(m)]:
                moved = True
                del waiting[metric.id]
                self._start(metric, parked)
            if moved:
                continue
            if not parked:
                return
            self._ask([unit for _, unit in parked])
            resumed = [computation for computation, unit in parked if isinstance(unit, _RowsUnit)]
            parked = []
            for computation in resumed:
                self._try(computation, parked)

    def _ready(self, metric: MetricConfiguration) -> bool:
        """Whether a metric can be started; building SQL never waits for the row count."""
        builds_sql = metric.metric_name.endswith(_PARTIALS)
        return all(
            dependency.id in self.settled
            or (builds_sql and dependency.metric_name == "table.row_count")
            for name, dependency in metric.metric_dependencies.items()
            if not self._is_aggregate(metric) or name == "metric_partial_fn"
        )

    @staticmethod
    def _is_aggregate(metric: MetricConfiguration) -> bool:
        return "metric_partial_fn" in metric.metric_dependencies

    def _start(self, metric: MetricConfiguration, parked: list[tuple[_Computation, _Unit]]) -> None:
        known = {
            dependency.id: self.settled.get(dependency.id)
            for dependency in metric.metric_dependencies.values()
        }
        engine = cast("ExecutionEngine", self)
        try:
            direct, bundled = engine._build_direct_and_bundled_metric_computation_configurations(
                [metric], known, {}
            )
        except Exception as error:  # noqa: BLE001 - kept aside, becomes the expectation's error
            self.failures[metric.id] = error
            return
        counts_rows = metric.metric_name == "table.row_count" and not any(
            metric.metric_domain_kwargs.get(name) for name in ("row_condition", "table")
        )
        found = (direct or bundled)[0]
        computation = _Computation(
            metric.id,
            found.metric_fn,
            found.metric_provider_kwargs,
            domain=None if direct else found.compute_domain_kwargs or {},
            counts_rows=counts_rows,
        )
        self._try(computation, parked)

    def _try(self, computation: _Computation, parked: list[tuple[_Computation, _Unit]]) -> None:
        """Settle or fail a metric, or park it with the rows it needs."""
        try:
            if computation.domain is not None:
                parked.append((computation, self._aggregate(computation)))
            else:
                self._put(computation, computation.function(**computation.arguments))
        except _RowsNeeded as suspension:
            parked.append((computation, _RowsUnit(suspension.key, suspension.statement)))
        except Exception as error:  # noqa: BLE001 - kept aside, becomes the expectation's error
            self.failures[computation.id] = error

    def _put(self, computation: _Computation, value: Any) -> None:
        self.settled[computation.id] = value
        if computation.counts_rows:
            self.rows = value

    def _aggregate(self, computation: _Computation) -> _Unit:
        raise NotImplementedError

    def _ask(self, units: list[_Unit]) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class _Computation:
    """How to compute one metric: by a function, or as an aggregate of a domain."""

    id: MetricId
    function: Any
    arguments: Mapping[str, Any]
    domain: Mapping[str, Any] | None
    counts_rows: bool


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
            raise _RowsNeeded(key, query)
        answer = self._answers[key]
        if isinstance(answer, StatementRefusedError):
            raise answer
        return IteratorResult(SimpleResultMetaData(self._fields[key]), iter(answer))

    def _aggregate(self, computation: _Computation) -> _Unit:
        kwargs = dict(computation.domain or {})
        source = self.get_domain_records(domain_kwargs=kwargs)
        if isinstance(source, sa.Select):
            source = source.subquery()
        key = repr(sorted((k, v) for k, v in kwargs.items() if v is not None))
        return _AggregateUnit(computation, key, source)

    def _ask(self, units: list[_Unit]) -> None:
        """Run everything in one statement; if DuckDB refuses it, once more without the culprits."""
        error = self._attempt(units)
        if error is not None and len(units) > 1:
            refusals = [(unit, self._refusal(unit)) for unit in units]
            for unit, refusal in refusals:
                if refusal is not None:
                    self._fail(unit, refusal)
            units = [unit for unit, refusal in refusals if refusal is None]
            error = self._attempt(units) if units else None
        if error is not None:
            for unit in units:
                self._fail(unit, error)

    def _attempt(self, units: list[_Unit]) -> StatementRefusedError | None:
        if self._statements_left == 0:
            return StatementRefusedError("StatementBudgetError")
        self._statements_left -= 1
        blocks = _blocks(units)
        statement = sa.select(
            *(_as_list(query, f"q{index}") for index, (query, _) in enumerate(blocks))
        )
        try:
            with self.engine.connect() as connection:
                answers = connection.execute(statement).one()
        except Exception as error:  # noqa: BLE001 - whatever the driver raises decides the retry
            return StatementRefusedError.of(error)
        for (query, members), answer in zip(blocks, answers, strict=True):
            structs = answer or []
            fields = tuple(structs[0]) if structs else tuple(query.selected_columns.keys())
            rows = [tuple(struct.values()) for struct in structs]
            self._deliver(members, fields, rows)
        return None

    def _deliver(
        self, members: list[_Unit], fields: tuple[str, ...], rows: list[tuple[Any, ...]]
    ) -> None:
        for position, unit in enumerate(members):
            if isinstance(unit, _RowsUnit):
                self._answers[unit.key] = rows
                self._fields[unit.key] = fields
            else:
                value = convert_to_json_serializable(rows[0][position])
                self._put(unit.computation, value)

    def _fail(self, unit: _Unit, error: StatementRefusedError) -> None:
        if isinstance(unit, _RowsUnit):
            self._answers[unit.key] = error
        else:
            self.failures[unit.computation.id] = error

    def _refusal(self, unit: _Unit) -> StatementRefusedError | None:
        """Why DuckDB would not even plan a unit; reads no data."""
        [(query, _)] = _blocks([unit])
        compiled = query.compile(dialect=self.dialect, compile_kwargs={"render_postcompile": True})
        parameters = tuple(compiled.params[name] for name in compiled.positiontup or ())
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql(f"EXPLAIN {compiled.string}", parameters)
        except Exception as error:  # noqa: BLE001 - any refusal takes the unit out
            return StatementRefusedError.of(error)
        return None


@dataclass(frozen=True)
class _RowsUnit:
    """A query of a metric function."""

    key: str
    query: Any


@dataclass(frozen=True)
class _AggregateUnit:
    """One aggregate of a domain; those of the same domain share a scan."""

    computation: _Computation
    domain: str
    source: Any


_Unit = _RowsUnit | _AggregateUnit


def _blocks(units: list[_Unit]) -> list[tuple[Any, list[_Unit]]]:
    """Queries and the units each of them answers."""
    blocks: list[tuple[Any, list[_Unit]]] = []
    domains: dict[str, list[_AggregateUnit]] = {}
    for unit in units:
        if isinstance(unit, _RowsUnit):
            blocks.append((unit.query, [unit]))
        else:
            domains.setdefault(unit.domain, []).append(unit)
    for members in domains.values():
        selected = [unit.computation.function.label(f"a{i}") for i, unit in enumerate(members)]
        blocks.append((sa.select(*selected).select_from(members[0].source), list(members)))
    return blocks


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
