"""Fused aggregates: the expressions of many checks in one statement."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from nachweis.domain.errors import DataError, DataUnavailableError
from nachweis.domain.observation import Expression, Missing
from nachweis.engines.duck import QueryKind, Session


def bind(expression: str | Expression, table: Any) -> Any:
    """Apply an expression to a table.

    Args:
        expression: A column name, or a function from an Ibis table.
        table: The table.

    Returns:
        The Ibis value, or :class:`Missing` with the reason why the columns found do not allow it.
    """
    import ibis
    from ibis.common.annotations import ValidationError
    from ibis.common.exceptions import IbisError

    if isinstance(expression, str):
        if expression in table.columns:
            return table[expression]
        return Missing(f"there is no column {expression!r} in the data")
    try:
        value = expression(table)
        return value if isinstance(value, ibis.Value) else ibis.literal(value)
    except (IbisError, ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        column = _missing_column(error, table)
    except Exception as error:  # noqa: BLE001 - one check's fault must not take the others along
        return Missing(f"{type(error).__name__} in its expression", crashed=True)
    if column is not None:
        return Missing(f"there is no column {column!r} in the data")
    return Missing("columns have other types in the data than this observation needs")


def _missing_column(error: Exception, table: Any) -> str | None:
    if isinstance(error, AttributeError) and error.obj is table:
        return error.name
    found = re.match(r"Column '(.*?)' is not found in table", str(error))
    return found.group(1) if found else None


@lru_cache(maxsize=1)
def _compensated() -> tuple[Callable[..., Any], Callable[..., Any]]:
    import ibis

    # "fsum" and "favg" carry the rounding error along (Kahan), so that the order in which threads
    # deliver rows does not show in the digits that are published.
    def fsum(value: float) -> float:
        raise NotImplementedError

    def favg(value: float) -> float:
        raise NotImplementedError

    return ibis.udf.agg.builtin(fsum), ibis.udf.agg.builtin(favg)


def deterministic(value: Any) -> Any:
    """Replace sums and means of floating-point numbers by compensated ones."""
    from ibis.expr import operations as ops

    fsum, favg = _compensated()
    if not value.op().find((ops.Mean, ops.Sum)):
        return value

    def replace(node: Any, changed: dict[str, Any] | None) -> Any:
        node = node.__recreate__(changed) if changed else node
        if isinstance(node, ops.Mean | ops.Sum) and (
            isinstance(node, ops.Mean) or node.arg.dtype.is_floating()
        ):
            function = favg if isinstance(node, ops.Mean) else fsum
            where = None if node.where is None else node.where.to_expr()
            return function(node.arg.to_expr().cast("float64"), where=where).op()
        return node

    return value.op().replace(replace).to_expr()


def plain(value: Any) -> Any:
    """A result of the engine as int, float, bool, text, aware or naive datetime, date or None."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return value


def scalars(
    session: Session, table: Any, expressions: Mapping[str, Expression], label: str, where: str
) -> dict[str, Any]:
    """Compute all expressions in one statement; equal ones are computed once.

    Args:
        session: The task's session.
        table: The window as an Ibis table.
        expressions: Name to aggregate.
        label: Source label for the query log.
        where: Data set, for errors.

    Returns:
        Name to value, or to :class:`Missing` where the columns found do not allow it.
    """
    results: dict[str, Any] = {}
    bound: dict[str, Any] = {}
    for name, expression in expressions.items():
        value = bind(expression, table)
        if not isinstance(value, Missing) and not value.op().shape.is_scalar():
            value = Missing("the expression gives a column, not one value")
        if isinstance(value, Missing):
            results[name] = value
        else:
            bound[name] = deterministic(value)
    distinct = {value.op(): value for value in bound.values()}
    computed = _compute(session, table, list(distinct.values()), label, where)
    by_operation = dict(zip(distinct, computed, strict=True))
    return results | {name: by_operation[value.op()] for name, value in bound.items()}


def _compute(
    session: Session, table: Any, values: Sequence[Any], label: str, where: str
) -> list[Any]:
    if not values:
        return []
    try:
        return _compute_together(session, table, values, label, where, "aggregate")
    except DataError as error:
        if len(values) == 1:
            return [_missing(error)]
    # One part failed on the data and took the others with it: only now, ask one by one.
    results: list[Any] = []
    for value in values:
        try:
            results += _compute_together(session, table, [value], label, where, "retry")
        except DataError as error:
            results.append(_missing(error))
    return results


def _missing(error: DataError) -> Missing:
    retriable = isinstance(error, DataUnavailableError)
    return Missing(f"{error.where}: {error.what}", retriable=retriable)


def _compute_together(
    session: Session, table: Any, values: Sequence[Any], label: str, where: str, kind: QueryKind
) -> list[Any]:
    named = {f"v{i}": value for i, value in enumerate(values)}
    if any(_is_derived(value) for value in values):
        # A number of a derived table alone would be repeated for each row of this one.
        named["rows"] = table.count()
    query = table.aggregate(**named)
    row = session.query(session.backend.compile(query), label, kind, where=where)[0]
    return [plain(value) for value in row[: len(values)]]


def _is_derived(value: Any) -> bool:
    from ibis.expr import operations as ops

    return bool(value.op().find(ops.ScalarSubquery))
