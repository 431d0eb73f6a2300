"""Aggregates and counts that Great Expectations lacks, or computes row by row, on DuckDB.

Importing this module registers them for ``DuckDBExecutionEngine``. Where Great Expectations would
run a query of its own per column, they are aggregates that share the scan of the window; where it
would fetch values, only counts are fetched.
"""

# ruff: noqa: N805 - Great Expectations calls providers as class methods
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_partial,
)
from great_expectations.expectations.metrics.column_aggregate_metrics.column_outlier_statistics import (  # noqa: E501
    OutlierStatistics,
)
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    MulticolumnMapMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.expectations.metrics.util import (
    get_dbms_compatible_metric_domain_kwargs,
)
from great_expectations.validator.metric_configuration import MetricConfiguration

from nachweis.engines.gx_duckdb import DuckDBExecutionEngine
from nachweis.engines.gx_metrics_rows import is_in


class ColumnValuesUniqueCount(TableMetricProvider):
    """Rows whose value occurs more than once, by grouping the one column."""

    metric_name = "column_values.unique.unexpected_count"
    domain_keys = ColumnMapMetricProvider.condition_domain_keys

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        **kwargs: Any,
    ) -> int:
        domain = get_dbms_compatible_metric_domain_kwargs(
            metric_domain_kwargs, metrics["table.columns"]
        )
        source, _, accessor = execution_engine.get_compute_domain(domain, MetricDomainTypes.COLUMN)
        column: Any = sa.column(accessor["column"])
        return _rows_in_groups(execution_engine, source, [column], column.is_not(None))

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric: MetricConfiguration, *args: Any, **kwargs: Any
    ) -> dict[str, MetricConfiguration]:
        return _columns_of_table(metric, "column")


class CompoundColumnsUniqueCount(TableMetricProvider):
    """Rows whose combination of values occurs more than once; missing values equal each other."""

    metric_name = "compound_columns.unique.unexpected_count"
    domain_keys = MulticolumnMapMetricProvider.condition_domain_keys

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        **kwargs: Any,
    ) -> int:
        domain = get_dbms_compatible_metric_domain_kwargs(
            metric_domain_kwargs, metrics["table.columns"]
        )
        source, _, accessor = execution_engine.get_compute_domain(
            domain, MetricDomainTypes.MULTICOLUMN
        )
        columns: list[Any] = [sa.column(name) for name in accessor["column_list"]]
        return _rows_in_groups(execution_engine, source, columns, sa.true())

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric: MetricConfiguration, *args: Any, **kwargs: Any
    ) -> dict[str, MetricConfiguration]:
        return _columns_of_table(metric, "column_list", "ignore_row_if")


def _columns_of_table(
    metric: MetricConfiguration, *not_table: str
) -> dict[str, MetricConfiguration]:
    kwargs = {k: v for k, v in metric.metric_domain_kwargs.items() if k not in not_table}
    return {
        "table.columns": MetricConfiguration(
            metric_name="table.columns", metric_domain_kwargs=kwargs, metric_value_kwargs=None
        )
    }


def _rows_in_groups(
    engine: DuckDBExecutionEngine, source: Any, columns: list[Any], where: Any
) -> int:
    """Rows in groups of more than one."""
    groups = (
        sa.select(sa.func.count().label("n"))
        .select_from(_selectable(source))
        .where(where)
        .group_by(*columns)
        .subquery("groups")
    )
    query = sa.select(sa.func.sum(groups.c.n).filter(groups.c.n > 1).label("n"))
    return int(engine.execute_query(query).scalar() or 0)


def _selectable(source: Any) -> Any:
    return source.subquery() if isinstance(source, sa.Select) else source


class ColumnMedian(ColumnAggregateMetricProvider):
    """The median as an aggregate, so that it shares the scan."""

    metric_name = "column.median"

    @column_aggregate_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, **kwargs: Any) -> Any:
        return sa.func.quantile_cont(column, 0.5)


class ColumnStandardDeviation(ColumnAggregateMetricProvider):
    """The sample standard deviation, without waiting for the mean."""

    metric_name = "column.standard_deviation"

    @column_aggregate_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, **kwargs: Any) -> Any:
        return sa.func.stddev_samp(column)


_POSITIONS = {
    "nearest": lambda exact: [round(exact)],  # half to even, as NumPy rounds
    "lower": lambda exact: [math.floor(exact)],
    "higher": lambda exact: [math.ceil(exact)],
    "midpoint": lambda exact: [math.floor(exact), math.ceil(exact)],
}


class ColumnQuantileValues(ColumnAggregateMetricProvider):
    """Quantiles with pandas' meaning of ``allow_relative_error``: its interpolation method."""

    metric_name = "column.quantile_values"
    value_keys = ("quantiles", "allow_relative_error")

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        **kwargs: Any,
    ) -> list[Any]:
        quantiles = list(metric_value_kwargs["quantiles"])
        method = metric_value_kwargs.get("allow_relative_error") or "nearest"
        count = metrics["column_values.nonnull.count"]
        if not count:
            return [None] * len(quantiles)
        source, _, accessor = execution_engine.get_compute_domain(
            metric_domain_kwargs, MetricDomainTypes.COLUMN
        )
        column: Any = sa.column(accessor["column"])
        query = sa.select(
            *(
                _quantile(column, quantile, count, method).label(f"v{index}")
                for index, quantile in enumerate(quantiles)
            )
        ).select_from(_selectable(source))
        return list(execution_engine.execute_query(query).fetchone())

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric: MetricConfiguration, *args: Any, **kwargs: Any
    ) -> dict[str, MetricConfiguration]:
        dependencies: dict[str, MetricConfiguration] = super()._get_evaluation_dependencies(
            metric, *args, **kwargs
        )
        dependencies["column_values.nonnull.count"] = MetricConfiguration(
            metric_name="column_values.nonnull.count",
            metric_domain_kwargs=metric.metric_domain_kwargs,
        )
        return dependencies


def _quantile(column: Any, quantile: float, count: int, method: str) -> Any:
    if method == "linear":
        return sa.func.quantile_cont(column, quantile)
    if method not in _POSITIONS:
        raise ValueError("allow_relative_error must name an interpolation")
    # The k-th smallest of n values is the discrete quantile of any share within (k/n, (k+1)/n).
    picked = [
        sa.func.quantile_disc(column, (position + 0.5) / count)
        for position in _POSITIONS[method](quantile * (count - 1))
    ]
    return picked[0] if len(picked) == 1 else (picked[0] + picked[1]) / 2


class ColumnOutlierStatistics(ColumnAggregateMetricProvider):
    """Quartiles, or mean and sample standard deviation, of one column."""

    metric_name = "column.outlier_statistics"
    value_keys = ("method",)

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **kwargs: Any,
    ) -> Any:
        source, _, accessor = execution_engine.get_compute_domain(
            metric_domain_kwargs, MetricDomainTypes.COLUMN
        )
        column: Any = sa.column(accessor["column"])
        if metric_value_kwargs["method"] == "iqr":
            wanted = (sa.func.quantile_cont(column, 0.25), sa.func.quantile_cont(column, 0.75))
        else:
            wanted = (sa.func.avg(column), sa.func.stddev_samp(column))
        query = sa.select(wanted[0].label("a"), wanted[1].label("b")).select_from(
            _selectable(source)
        )
        first, second = execution_engine.execute_query(query).fetchone()
        if first is None or second is None:
            return OutlierStatistics.symmetric(center=None, spread=None)
        if metric_value_kwargs["method"] == "iqr":
            return OutlierStatistics(float(first), float(second), float(second) - float(first))
        return OutlierStatistics.symmetric(center=float(first), spread=float(second))


class ColumnDistinctValuesNotInSetCount(ColumnAggregateMetricProvider):
    """Distinct values outside a set, counted in the shared scan."""

    metric_name = "column.distinct_values.not_in_set.count"
    value_keys = ("value_set",)

    @column_aggregate_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, value_set: list[Any] | None, _metrics: dict[str, Any], **kwargs: Any
    ) -> Any:
        outside = sa.not_(is_in(column, value_set or [], _metrics))
        return sa.func.count(sa.distinct(column)).filter(outside)


class ColumnDistinctValuesMissingFromColumnCount(ColumnAggregateMetricProvider):
    """Values of a set that the column lacks, counted in the shared scan."""

    metric_name = "column.distinct_values.missing_from_column.count"
    value_keys = ("value_set",)

    @column_aggregate_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, value_set: list[Any] | None, _metrics: dict[str, Any], **kwargs: Any
    ) -> Any:
        values = value_set or []
        found = sa.func.count(sa.distinct(column)).filter(is_in(column, values, _metrics))
        return sa.literal(len(set(values))) - found


class ColumnDistinctValuesNotInSet(ColumnAggregateMetricProvider):
    """The values themselves are asked for by Great Expectations, and never fetched."""

    metric_name = "column.distinct_values.not_in_set"
    value_keys = ("value_set", "limit")

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(cls, **kwargs: Any) -> list[Any]:
        return []


class ColumnDistinctValuesMissingFromColumn(ColumnAggregateMetricProvider):
    """The values themselves are asked for by Great Expectations, and never fetched."""

    metric_name = "column.distinct_values.missing_from_column"
    value_keys = ("value_set", "limit")

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(cls, **kwargs: Any) -> list[Any]:
        return []
