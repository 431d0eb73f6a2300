"""Running a suite through Great Expectations and keeping only counts and verdicts of it.

A suite runs on DuckDB first. Rules whose type has no provider there, and rules that DuckDB refused,
run once more on pandas, on their own columns only. What Great Expectations returns stays in here:
outcomes are built from the verdict, from named counts of the metric graph and from the class of an
exception, never from a result or a message.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import duckdb
import great_expectations as gx
from great_expectations.exceptions import MetricProviderError
from great_expectations.expectations.expectation import Expectation as GxExpectation
from great_expectations.validator.validation_graph import ValidationGraph

from nachweis.domain.errors import DataError
from nachweis.engines import (  # noqa: F401 - importing registers the metric providers
    gx_metrics_aggregates,
    gx_metrics_rows,
)
from nachweis.engines.gx_duckdb import DuckDBExecutionEngine, QuietPandasExecutionEngine
from nachweis.engines.gx_settle import StatementRefusedError

if TYPE_CHECKING:
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.validator.metric_configuration import MetricConfiguration

Engine = DuckDBExecutionEngine | QuietPandasExecutionEngine

_BOOLEAN_ONLY = {"result_format": "BOOLEAN_ONLY"}
_NULLS = "column_values.nonnull.unexpected_count"


@dataclass(frozen=True)
class Rule:
    """A rule of the suite as Great Expectations' object.

    Attributes:
        index: Position in the suite.
        expectation: The object.
        columns: Columns it is about; none for a rule about the table.
        filters: Columns of its row condition.
    """

    index: int
    expectation: GxExpectation
    columns: tuple[str, ...]
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What may be known of a rule's run.

    Attributes:
        success: Whether the data meet the rule; None if it could not be said.
        error: Class name of the exception, if there was one.
        rows: Rows looked at.
        unexpected: Rows that do not meet it.
        missing: Rows without a value.
        table_count: Rows or columns of the table, for rules about these.
        engine: ``duckdb`` or ``pandas``.
        refused: Whether the database, not the rule, is why it could not be said.
    """

    success: bool | None
    error: str | None = None
    rows: int | None = None
    unexpected: int | None = None
    missing: int | None = None
    table_count: int | None = None
    engine: str = "duckdb"
    refused: bool = False


@dataclass(frozen=True)
class _Plan:
    """A rule and the metrics it needs: by name, and all metrics below them."""

    rule: Rule
    expectation: GxExpectation
    metrics: Mapping[str, Any]
    graph: Mapping[Any, MetricConfiguration]


def run(
    connection: duckdb.DuckDBPyConnection,
    window: str,
    floats: Sequence[str],
    rules: Sequence[Rule],
    on_query: Callable[[str], None],
) -> tuple[dict[int, Verdict], int | None]:
    """Run rules on a view.

    Args:
        connection: The connection that holds the view.
        window: Its name.
        floats: Its columns that may hold NaN, which counts as missing.
        rules: What to run.
        on_query: Told each statement that reads data.

    Returns:
        Verdict per index, and the rows of the view if some rule needed them.
    """
    with _nan_as_null(connection, window, floats) as view:
        with _duckdb_batch(connection, view, on_query) as (batch, engine):
            verdicts = _evaluate(batch, engine, rules, "duckdb")
            rows = engine.rows
        again = [rule for rule in rules if verdicts[rule.index].refused and rule.columns]
        if again:
            verdicts |= _on_pandas(connection, view, again, on_query)
    return verdicts, rows


def _on_pandas(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    rules: Sequence[Rule],
    on_query: Callable[[str], None],
) -> dict[int, Verdict]:
    known = {row[0] for row in connection.execute(f"DESCRIBE {_quoted(view)}").fetchall()}
    named = {column for rule in rules for column in (*rule.columns, *rule.filters)}
    columns = sorted(named & known)
    if not columns:
        return {}
    statement = f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(view)}"
    on_query(statement)
    try:
        frame = connection.execute(statement).df()
    except Exception as error:  # noqa: BLE001 - an unreadable view makes the rules errors
        failed = Verdict(success=None, error=type(error).__name__, engine="pandas")
        return {rule.index: failed for rule in rules}
    with _pandas_batch(frame) as (batch, engine):
        return _evaluate(batch, engine, rules, "pandas")


# ---------------------------------------------------------------------------------- evaluation


def _evaluate(batch: Batch, engine: Engine, rules: Sequence[Rule], name: str) -> dict[int, Verdict]:
    engine.batch_manager.load_batch_list([batch])
    verdicts: dict[int, Verdict] = {}
    plans: list[_Plan] = []
    for rule in rules:
        try:
            plans.append(_plan(rule, engine, batch.id))
        except Exception as error:  # noqa: BLE001 - becomes the rule's error
            verdicts[rule.index] = _failed(error)
    suite = gx.ExpectationSuite(
        name="suite", expectations=[plan.rule.expectation for plan in plans]
    )
    engine.settle([metric for plan in plans for metric in plan.graph.values()])
    results = {}
    if plans:
        for result in batch.validate(suite, result_format=_BOOLEAN_ONLY).results:
            results[result.expectation_config.meta["index"]] = result
    for plan in plans:
        verdicts[plan.rule.index] = _verdict(plan, engine, results.get(plan.rule.index))
    return {index: replace(verdict, engine=name) for index, verdict in verdicts.items()}


def _plan(rule: Rule, engine: Engine, batch_id: str) -> _Plan:
    configuration = rule.expectation.configuration
    configuration.kwargs["batch_id"] = batch_id
    expectation = configuration.to_domain_obj()
    needed = expectation.get_validation_dependencies(
        execution_engine=engine, runtime_configuration=dict(_BOOLEAN_ONLY)
    )
    graph = ValidationGraph(execution_engine=engine)
    for metric in needed.get_metric_configurations():
        graph.build_metric_dependency_graph(metric, dict(_BOOLEAN_ONLY))
    vertices = [v for edge in graph.edges for v in (edge.left, edge.right) if v is not None]
    return _Plan(rule, expectation, needed.metric_configurations, {v.id: v for v in vertices})


def _verdict(plan: _Plan, engine: Engine, result: Any) -> Verdict:
    for metric_id in plan.graph:
        if metric_id in engine.failures:
            return _failed(engine.failures[metric_id])
    values = {name: engine.settled.get(m.id) for name, m in plan.metrics.items()}
    if result is None or _raised(result):
        return Verdict(success=None, error=_error_of_validation(plan, engine))
    rows = _count(values.get("table.row_count"))
    return Verdict(
        success=bool(result.success),
        rows=rows,
        unexpected=_unexpected(plan, values),
        missing=_missing(values, rows),
        table_count=_table_count(plan, values),
    )


def _raised(result: Any) -> bool:
    """Whether Great Expectations turned an exception into this result."""
    info = result.exception_info or {}
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return bool(info)


def _error_of_validation(plan: _Plan, engine: Engine) -> str:
    """Judge the resolved metrics once more, to see the exception itself and not its text."""
    try:
        plan.expectation.metrics_validate(
            metrics=engine.settled,
            execution_engine=engine,
            runtime_configuration=dict(_BOOLEAN_ONLY),
        )
    except Exception as error:  # noqa: BLE001 - only its class is used
        return type(error).__name__
    return "MetricResolutionError"


def _failed(error: Exception) -> Verdict:
    if isinstance(error, StatementRefusedError):
        return Verdict(success=None, error=error.reason, refused=True)
    return Verdict(
        success=None,
        error=type(error).__name__,
        refused=isinstance(error, MetricProviderError),
    )


# --------------------------------------------------------------------------------------- counts


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _count_or_zero(value: Any, rows: int | None) -> int | None:
    """A count; the sum over no rows is null in SQL."""
    return 0 if value is None and rows == 0 else _count(value)


def _unexpected(plan: _Plan, values: Mapping[str, Any]) -> int | None:
    metric = getattr(plan.expectation, "map_metric", None)
    name = f"{metric}.unexpected_count"
    return _count_or_zero(values[name], values.get("table.row_count")) if name in values else None


def _missing(values: Mapping[str, Any], rows: int | None) -> int | None:
    if _NULLS in values:
        return _count_or_zero(values[_NULLS], rows)
    for name, value in values.items():
        if name.endswith(".filtered_row_count") and rows is not None and value is not None:
            return rows - int(value)
    return None


def _table_count(plan: _Plan, values: Mapping[str, Any]) -> int | None:
    """Rows or columns, for rules that name no column."""
    if plan.rule.columns:
        return None
    for name in ("table.row_count", "table.column_count"):
        if values.get(name) is not None:
            return int(values[name])
    return None


# -------------------------------------------------------------------------------------- batches


@functools.cache
def _context() -> EphemeralDataContext:
    """One context per process: in memory, no project folder, no progress bars."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


@contextlib.contextmanager
def _duckdb_batch(
    connection: duckdb.DuckDBPyConnection, view: str, on_query: Callable[[str], None]
) -> Iterator[tuple[Batch, DuckDBExecutionEngine]]:
    sources = _context().data_sources
    source = sources.add_duckdb(name=uuid.uuid4().hex)
    try:
        engine = source.borrow(connection, on_query)
        asset = source.add_table_asset(name="window", table_name=_quoted(view))
        yield asset.add_batch_definition_whole_table("window").get_batch(), engine
    finally:
        sources.delete(source.name)


@contextlib.contextmanager
def _pandas_batch(frame: Any) -> Iterator[tuple[Batch, QuietPandasExecutionEngine]]:
    sources = _context().data_sources
    source = sources.add_quiet_pandas(name=uuid.uuid4().hex)
    try:
        asset = source.add_dataframe_asset(name="columns")
        definition = asset.add_batch_definition_whole_dataframe("columns")
        yield definition.get_batch({"dataframe": frame}), source.get_execution_engine()
    finally:
        sources.delete(source.name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Great Expectations, and what it calls, from logging values or warning with them."""
    loggers = [logging.getLogger(name) for name in ("great_expectations", "sqlalchemy")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _nan_as_null(
    connection: duckdb.DuckDBPyConnection, window: str, floats: Sequence[str]
) -> Iterator[str]:
    """A temporary view of a view in which NaN is null."""
    view = f"{window}__expectations"
    masked = ", ".join(f"nullif({_quoted(c)}, 'nan'::DOUBLE) AS {_quoted(c)}" for c in floats)
    columns = f"* REPLACE ({masked})" if masked else "*"
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {_quoted(view)} AS SELECT {columns}"
            f" FROM {_quoted(window)}"
        )
    except duckdb.Error as error:
        raise DataError(
            f"the rows cannot be read ({type(error).__name__})",
            where=window,
            remedy="check that the files of the data set exist, are complete and as declared",
        ) from None
    try:
        yield view
    finally:
        connection.execute(f"DROP VIEW IF EXISTS {_quoted(view)}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
