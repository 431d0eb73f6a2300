"""Grouped counts: one statement per set of keys and filter, with columns joined by key."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nachweis.domain.errors import DataError
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Join,
    Missing,
    Source,
)
from nachweis.engines.aggregates import bind, deterministic, plain
from nachweis.engines.duck import Session
from nachweis.engines.joins import Joiner, Side


def structure(expression: Expression | None, table: Any) -> Any:
    """A filter's structure, by which equal filters are found."""
    if expression is None:
        return None
    value = bind(expression, table)
    return value.reason if isinstance(value, Missing) else value.op()


class Counter:
    """Answers grouped counts about one source together.

    Args:
        session: The task's session.
        joiner: The task's joins.
        side: Opens a source.
    """

    def __init__(self, session: Session, joiner: Joiner, side: Callable[[Source], Side]) -> None:
        self._session = session
        self._joiner = joiner
        self._side = side
        self._joined: dict[Any, Any] = {}

    def count(self, requests: Sequence[GroupedCounts]) -> list[CountTable | Missing]:
        """Count rows per combination of keys; equal keys and filters share a statement.

        Args:
            requests: Requests about one source.

        Returns:
            One result per request, in order.

        Raises:
            DataError: If the source cannot be read at all.
        """
        results: dict[int, CountTable | Missing] = {}
        groups: dict[Any, _Group] = {}
        for position, request in enumerate(requests):
            left = self._side(request.source)
            try:
                prepared = _prepare(request, self._table(request, left))
            except DataError as error:
                prepared = Missing(f"{error.where}: {error.what}")
            if isinstance(prepared, Missing):
                results[position] = prepared
            else:
                _add(groups, position, request.at_least, *prepared)
        for group in groups.values():
            results |= _count(self._session, group, self._side(requests[0].source))
        return [results[position] for position in range(len(requests))]

    def _table(self, request: GroupedCounts, left: Side) -> Any:
        """What a request counts in: the source, or the source with joined columns."""
        return self.joined(left, request.source, request.where, request.joins).table

    def joined(
        self, left: Side, source: Source, where: Expression | None, joins: Sequence[Join]
    ) -> Side:
        """A source with joined columns; built once per filter and joins.

        Args:
            left: The opened source.
            source: The source.
            where: Filter on it, applied before the first join.
            joins: What to lay beside it, in order.

        Returns:
            The side itself where there is nothing to join.

        Raises:
            DataError: If a column is missing, or a new name exists already, or a secret is not set.
        """
        identity: tuple[Any, ...] = (source, structure(where, left.table))
        for number, join in enumerate(joins):
            right = self._side(join.other)
            filtered = structure(join.where, right.table)
            identity = (*identity, join.other, filtered, join.key, join.columns, join.time)
            if identity not in self._joined:
                self._joined[identity] = self._joiner.joined(
                    left, where if number == 0 else None, join, right
                )
            types = {new: right.type_of(column) for new, column in join.columns}
            left = replace(left, table=self._joined[identity], types={**left.types, **types})
        return left


@dataclass
class _Group:
    """Requests that one statement answers: same rows, same keys."""

    table: Any
    keys: tuple[Any, ...]
    at_least: int = 0
    sums: dict[Any, Any] = field(default_factory=dict)
    members: list[tuple[int, tuple[str, ...], dict[str, Any]]] = field(default_factory=list)


def _add(
    groups: dict[Any, _Group],
    position: int,
    at_least: int,
    rows: Any,
    keys: dict[str, Any],
    sums: dict[str, Any],
) -> None:
    """Put a request to the others with the same rows, keys and smallest count."""
    identity = (rows.op(), tuple(key.op() for key in keys.values()), at_least)
    group = groups.setdefault(identity, _Group(rows, tuple(keys.values()), at_least))
    group.sums |= {value.op(): value for value in sums.values()}
    operations = {name: value.op() for name, value in sums.items()}
    group.members.append((position, tuple(keys), operations))


def _prepare(
    request: GroupedCounts, table: Any
) -> tuple[Any, dict[str, Any], dict[str, Any]] | Missing:
    rows = table
    if request.where is not None and not request.joins:
        condition = bind(request.where, table)
        if isinstance(condition, Missing):
            return condition
        rows = table.filter(condition)
    keys = {name: bind(key, rows) for name, key in request.by.items()}
    sums = {name: bind(value, rows) for name, value in request.sums.items()}
    for value in (*keys.values(), *sums.values()):
        if isinstance(value, Missing):
            return value
    # A sum may be asked for as a column or as a ready aggregate.
    totals = {
        name: deterministic(value.sum() if value.op().shape.is_columnar() else value)
        for name, value in sums.items()
    }
    return rows, keys, totals


def _count(session: Session, group: _Group, side: Side) -> dict[int, CountTable | Missing]:
    """Results of a group's requests by position."""
    names = [f"nachweis_k{i}__" for i in range(len(group.keys))]
    metrics = {"n": group.table.count()}
    metrics |= {f"s{i}": value for i, value in enumerate(group.sums.values())}
    by = [value.name(name) for name, value in zip(names, group.keys, strict=True)]
    if any(_in_stages(value) for value in group.keys):
        # Window functions and unnested lists are columns first; they cannot stand in GROUP BY.
        staged = group.table.mutate(*by)
        metrics["n"] = staged.count()
        query = staged.aggregate(by=names, **metrics)
    elif group.at_least and group.sums:
        query = _of_frequent(group, by, names)
    else:
        query = group.table.aggregate(by=by, **metrics)
    folds = bool(group.at_least) and not group.sums
    if folds:
        query = _folded(query, names, group.at_least)
    elif group.at_least:
        query = query.filter(query["n"] >= group.at_least)
    try:
        sql = session.backend.compile(query)
        found = session.query(sql, side.label, "grouped", where=side.where)
    except DataError as error:
        missing = Missing(f"{error.where}: {error.what}")
        return {position: missing for position, _, _ in group.members}
    width = len(names)
    left_out = 0
    if folds:
        left_out = sum(int(row[width + 1]) for row in found if not row[width + 2])
        found = [row for row in found if row[width + 2]]
    positions = {operation: width + 1 + i for i, operation in enumerate(group.sums)}
    rows: dict[tuple[Any, ...], int] = {}
    totals: dict[Any, dict[tuple[Any, ...], float]] = {operation: {} for operation in positions}
    for row in found:
        key = tuple(_key(value) for value in row[:width])
        rows[key] = rows.get(key, 0) + int(row[width])
        for operation, position in positions.items():
            total = totals[operation].get(key, 0.0) + float(row[position] or 0)
            totals[operation][key] = total
    return {
        position: CountTable(
            keys, rows, {name: totals[sums[name]] for name in sums}, left_out if folds else None
        )
        for position, keys, sums in group.members
    }


def _folded(counted: Any, names: list[str], at_least: int) -> Any:
    """Frequent groups as they are; all others in one row, with the number of groups in it."""
    import ibis

    frequent = counted["n"] >= at_least
    kept = counted.mutate(
        **{name: ibis.ifelse(frequent, counted[name], ibis.null()) for name in names},
        nachweis_frequent__=frequent,
    )
    folded = kept.aggregate(
        by=[*names, "nachweis_frequent__"], n=kept["n"].sum(), groups=kept.count()
    )
    return folded.select(*names, "n", "groups", "nachweis_frequent__")


def _of_frequent(group: _Group, by: list[Any], names: list[str]) -> Any:
    """Sums of frequent groups: which they are is counted first, and only their rows are summed."""
    counted = group.table.aggregate(by=by, n=group.table.count())
    frequent = counted.filter(counted["n"] >= group.at_least)
    same = [
        value.identical_to(frequent[name]) for name, value in zip(names, group.keys, strict=True)
    ]
    rows = group.table.semi_join(frequent, same)
    replaced = {group.table.op(): rows.op()}
    sums = {
        f"s{i}": value.op().replace(replaced).to_expr()
        for i, value in enumerate(group.sums.values())
    }
    keys = [value.op().replace(replaced).to_expr() for value in by]
    return rows.aggregate(by=keys, n=rows.count(), **sums)


def _in_stages(value: Any) -> bool:
    """Whether a key must be computed before rows are grouped by it."""
    from ibis.expr import operations as ops

    return bool(value.op().find((ops.WindowFunction, ops.Unnest)))


def _key(value: Any) -> Any:
    """A key's value; not-a-number is no value, as everywhere in this package."""
    value = plain(value)
    return None if isinstance(value, float) and math.isnan(value) else value
