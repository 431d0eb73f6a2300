"""Conditions on rows that Great Expectations lacks, or means differently, on DuckDB.

Importing this module registers them for ``DuckDBExecutionEngine``, the way Great Expectations
registers metrics of any engine. Each follows the pandas provider of the same name: that engine is
the referee of the parity tests. They also let a rule fail with a Python ``TypeError`` before a
statement is sent where a comparison would make DuckDB convert every value and fail on one of them.
"""

# ruff: noqa: N803, N805 - Great Expectations calls providers as class methods, with its own names
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from dateutil.parser import ParserError  # type: ignore[import-untyped]
from dateutil.parser import parse as parse_date
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    ColumnPairMapMetricProvider,
    MulticolumnMapMetricProvider,
    column_condition_partial,
    column_pair_condition_partial,
    multicolumn_condition_partial,
)

from nachweis.engines import gx_dialect
from nachweis.engines.gx_duckdb import DuckDBExecutionEngine

_Number = int | float | decimal.Decimal


# ------------------------------------------------------------------------------- comparisons


def _type_of(column: Any, metrics: dict[str, Any]) -> sa.types.TypeEngine[Any]:
    for described in metrics["table.column_types"]:
        if described["name"] == column.name:
            found: sa.types.TypeEngine[Any] = described["type"]
            return found
    return gx_dialect.OTHER()


def _as_moment(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    """A text or date as something the column can be compared with; TypeError if it cannot."""
    if isinstance(value, str):
        value = parse_date(value)
    if not isinstance(value, dt.date):
        raise TypeError("a date is compared with something else")
    aware = isinstance(value, dt.datetime) and value.tzinfo is not None
    if aware != isinstance(kind, gx_dialect.TIMESTAMPTZ):
        raise TypeError("a moment with a time zone is compared with one without")
    return value


def _comparable(column: Any, kind: sa.types.TypeEngine[Any], value: Any) -> tuple[Any, Any]:
    """Column and value in forms that DuckDB compares without converting the column's values."""
    if isinstance(kind, gx_dialect.NUMBERS):
        if not isinstance(value, _Number):
            raise TypeError("a number is compared with something else")
    elif isinstance(kind, sa.String):
        if not isinstance(value, str):
            raise TypeError("a text is compared with something else")
        if not isinstance(kind, gx_dialect.VARCHAR):
            column = sa.cast(column, sa.String)
    elif isinstance(kind, sa.Boolean):
        if not isinstance(value, _Number):
            raise TypeError("a truth value is compared with something else")
        column = sa.cast(column, sa.Integer)
        value = int(value) if isinstance(value, bool) else value
    elif isinstance(kind, gx_dialect.MOMENTS):
        value = _as_moment(kind, value)
    return column, value


def is_in(column: Any, values: Iterable[Any], metrics: dict[str, Any]) -> Any:
    """Membership; a value of another kind than the column is simply not there.

    Args:
        column: A SQLAlchemy column.
        values: The set.
        metrics: Resolved metrics; ``table.column_types`` is used.

    Returns:
        A condition that is null where the column is.
    """
    kind = _type_of(column, metrics)
    usable: list[Any] = []
    compared = column
    for value in values:
        if value is None:
            continue
        try:
            compared, converted = _comparable(column, kind, value)
        except (TypeError, ParserError, OverflowError):
            continue
        usable.append(converted)
    if not usable:
        return sa.false()
    if isinstance(kind, sa.String):
        # Evaluated once per distinct value of a dictionary-encoded column: eight times faster.
        return sa.func.list_contains(sa.func.list_value(*usable), compared)
    return compared.in_(usable)


class ColumnValuesBetween(ColumnMapMetricProvider):
    """Bounds of numbers, dates, texts and truth values."""

    condition_metric_name = "column_values.between"
    condition_value_keys = ("min_value", "max_value", "strict_min", "strict_max")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        _metrics: dict[str, Any],
        min_value: Any = None,
        max_value: Any = None,
        strict_min: bool | None = None,
        strict_max: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if min_value is None and max_value is None:
            raise ValueError("min_value and max_value cannot both be None")
        kind = _type_of(column, _metrics)
        conditions = []
        bounds = []
        for value, strict, upper in ((min_value, strict_min, False), (max_value, strict_max, True)):
            if value is None:
                continue
            compared, bound = _comparable(column, kind, value)
            bounds.append(bound)
            if upper:
                conditions.append(compared < bound if strict else compared <= bound)
            else:
                conditions.append(compared > bound if strict else compared >= bound)
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            raise ValueError("min_value cannot be greater than max_value")
        return sa.and_(*conditions)


class ColumnValuesInSet(ColumnMapMetricProvider):
    """Membership in a set."""

    condition_metric_name = "column_values.in_set"
    condition_value_keys = ("value_set",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, value_set: list[Any] | None, _metrics: dict[str, Any], **kwargs: Any
    ) -> Any:
        return sa.true() if value_set is None else is_in(column, value_set, _metrics)


class ColumnValuesNotInSet(ColumnMapMetricProvider):
    """Absence from a set."""

    condition_metric_name = "column_values.not_in_set"
    condition_value_keys = ("value_set",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, value_set: list[Any] | None, _metrics: dict[str, Any], **kwargs: Any
    ) -> Any:
        return sa.true() if value_set is None else sa.not_(is_in(column, value_set, _metrics))


# ------------------------------------------------------------------------------------- texts


def _matches(column: Any, regex: str) -> Any:
    return sa.func.regexp_matches(column, regex)


def _all_or_any(match_on: str | None, conditions: Sequence[Any]) -> Any:
    if not conditions:
        raise ValueError("at least one pattern is needed")
    if match_on not in {"any", "all"}:
        raise ValueError("match_on must be any or all")
    return sa.or_(*conditions) if match_on == "any" else sa.and_(*conditions)


class ColumnValuesMatchRegex(ColumnMapMetricProvider):
    """A pattern found anywhere in the text."""

    condition_metric_name = "column_values.match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex: str, **kwargs: Any) -> Any:
        return _matches(column, regex)


class ColumnValuesNotMatchRegex(ColumnMapMetricProvider):
    """A pattern found nowhere in the text."""

    condition_metric_name = "column_values.not_match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex: str, **kwargs: Any) -> Any:
        return sa.not_(_matches(column, regex))


class ColumnValuesMatchRegexList(ColumnMapMetricProvider):
    """Any or all of several patterns."""

    condition_metric_name = "column_values.match_regex_list"
    condition_value_keys = ("regex_list", "match_on")
    default_kwarg_values = {"match_on": "any"}

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, regex_list: list[str], match_on: str | None = "any", **kwargs: Any
    ) -> Any:
        return _all_or_any(match_on or "any", [_matches(column, regex) for regex in regex_list])


class ColumnValuesNotMatchRegexList(ColumnMapMetricProvider):
    """None of several patterns."""

    condition_metric_name = "column_values.not_match_regex_list"
    condition_value_keys = ("regex_list",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex_list: list[str], **kwargs: Any) -> Any:
        return sa.not_(_all_or_any("any", [_matches(column, regex) for regex in regex_list]))


class ColumnValuesMatchLikePattern(ColumnMapMetricProvider):
    """An SQL LIKE pattern."""

    condition_metric_name = "column_values.match_like_pattern"
    condition_value_keys = ("like_pattern", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, like_pattern: str, escape: str | None = None, **kwargs: Any
    ) -> Any:
        return column.like(like_pattern, escape=escape)


class ColumnValuesNotMatchLikePattern(ColumnMapMetricProvider):
    """Not an SQL LIKE pattern."""

    condition_metric_name = "column_values.not_match_like_pattern"
    condition_value_keys = ("like_pattern", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, like_pattern: str, escape: str | None = None, **kwargs: Any
    ) -> Any:
        return sa.not_(column.like(like_pattern, escape=escape))


class ColumnValuesMatchLikePatternList(ColumnMapMetricProvider):
    """Any or all of several LIKE patterns."""

    condition_metric_name = "column_values.match_like_pattern_list"
    condition_value_keys = ("like_pattern_list", "match_on", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        like_pattern_list: list[str],
        match_on: str | None = "any",
        escape: str | None = None,
        **kwargs: Any,
    ) -> Any:
        patterns = [column.like(pattern, escape=escape) for pattern in like_pattern_list]
        return _all_or_any(match_on or "any", patterns)


class ColumnValuesNotMatchLikePatternList(ColumnMapMetricProvider):
    """None of several LIKE patterns."""

    condition_metric_name = "column_values.not_match_like_pattern_list"
    condition_value_keys = ("like_pattern_list", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        like_pattern_list: list[str],
        escape: str | None = None,
        **kwargs: Any,
    ) -> Any:
        patterns = [column.like(pattern, escape=escape) for pattern in like_pattern_list]
        return sa.not_(_all_or_any("any", patterns))


# --------------------------------------------------------------------------- several columns


class ColumnPairValuesAGreaterThanB(ColumnPairMapMetricProvider):
    """A row with one missing value does not meet the rule."""

    condition_metric_name = "column_pair_values.a_greater_than_b"
    condition_value_keys = ("or_equal",)

    @column_pair_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column_A: Any,
        column_B: Any,
        or_equal: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        condition = column_A >= column_B if or_equal else column_A > column_B
        return sa.func.coalesce(condition, sa.false())


class ColumnPairValuesInSet(ColumnPairMapMetricProvider):
    """A missing value equals None in a pair."""

    condition_metric_name = "column_pair_values.in_set"
    condition_domain_keys = ("batch_id", "table", "column_A", "column_B", "ignore_row_if")
    condition_value_keys = ("value_pairs_set",)

    @column_pair_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column_A: Any,
        column_B: Any,
        _metrics: dict[str, Any],
        value_pairs_set: list[Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if value_pairs_set is None:
            return sa.true()
        pairs = [
            sa.and_(_equals(column_A, a, _metrics), _equals(column_B, b, _metrics))
            for a, b in value_pairs_set
        ]
        return sa.or_(sa.false(), *pairs)


def _equals(column: Any, value: Any, metrics: dict[str, Any]) -> Any:
    if value is None:
        return column.is_(None)
    return sa.func.coalesce(is_in(column, [value], metrics), sa.false())


class MulticolumnSumEqual(MulticolumnMapMetricProvider):
    """A sum with a missing value equals nothing."""

    condition_metric_name = "multicolumn_sum.equal"
    condition_value_keys = ("sum_total",)

    @multicolumn_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column_list: list[Any], sum_total: float, **kwargs: Any) -> Any:
        total = column_list[0]
        for column in column_list[1:]:
            total = total + column
        return sa.func.coalesce(total == sum_total, sa.false())
