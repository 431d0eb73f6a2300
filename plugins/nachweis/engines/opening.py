"""Windows of data sets, opened once per task as temporary views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nachweis.domain.errors import DataError
from nachweis.domain.manifest import DataSet, World
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.night import Night
from nachweis.domain.observation import Source, WindowFacts
from nachweis.engines.bases import Base, Bases
from nachweis.engines.duck import Session, literal, quote
from nachweis.engines.moments import zone_of
from nachweis.engines.text_tables import FILE_COLUMN
from nachweis.engines.windows import Span, choose, night_span, span_between, spans, within


def label_of(source: Source) -> str:
    """Label of a source in the query log: ``data-set:window``."""
    return source.label


def place_of(source: Source) -> str:
    """Place of errors about a source."""
    return f"data set {source.data_set}"


@dataclass(frozen=True)
class Opened:
    """A window of a data set, ready to be queried.

    Attributes:
        view: Name of a temporary view.
        table: The view as an Ibis table.
        types: Column names and engine types, in order.
        span: The stretch of time, or None for all rows.
        extended: Whether the declared window held too few rows.
    """

    view: str
    table: Any
    types: Mapping[str, str]
    span: Span | None
    extended: bool = False

    def type_of(self, column: str, where: str) -> str:
        """Engine type of a column.

        Args:
            column: The column.
            where: Data set, for errors.

        Returns:
            The type.

        Raises:
            DataError: If the data have no such column.
        """
        if column not in self.types:
            raise DataError(
                f"there is no column {column!r} in the data",
                where=where,
                remedy="compare the declared columns with the file's",
            )
        return self.types[column]


class WindowOpener:
    """Opens each window once and remembers why one could not be opened.

    Args:
        session: The task's session.
        bases: The data sets' rows.
        world: All manifests.
        night: The night.
    """

    def __init__(self, session: Session, bases: Bases, world: World, night: Night) -> None:
        self._session = session
        self._bases = bases
        self._world = world
        self._night = night
        self._opened: dict[tuple[Source, CurrentWindow | None], Opened | DataError] = {}
        self._facts: dict[tuple[Source, CurrentWindow | None], WindowFacts] = {}

    def facts(self, source: Source, current: CurrentWindow | None = None) -> WindowFacts:
        """What the window turned out to be: bounds, rows, and whether it was extended."""
        key = _key(source, current)
        opened = self.open(source, current)
        if key not in self._facts:
            sql = f"SELECT count(*) FROM {opened.view}"
            rows = self._session.query(sql, label_of(source), "window", where=place_of(source))
            self._facts[key] = facts_of(opened, int(rows[0][0]))
        return self._facts[key]

    def open(self, source: Source, current: CurrentWindow | None) -> Opened:
        """Open a window.

        Args:
            source: The data set and window.
            current: The model's declared current window; None is the default one.

        Returns:
            The window.

        Raises:
            DataError: If the data cannot be read.
        """
        key = _key(source, current)
        if key not in self._opened:
            try:
                self._opened[key] = self._open_new(source, current or CurrentWindow())
            except DataError as error:
                self._opened[key] = error
        opened = self._opened[key]
        if isinstance(opened, DataError):
            raise opened
        return opened

    def _open_new(self, source: Source, current: CurrentWindow) -> Opened:
        data_set = self._world.data_sets[source.data_set]
        label = label_of(source)
        candidates = self._spans(source, data_set, current)
        nights = candidates[-1].nights if candidates else None
        base = self._bases.open(data_set, nights, label)
        conditions = [self._condition(data_set, base, span) for span in candidates]
        if not candidates:
            return self._opened_as(base, "", None, label, data_set)
        chosen = 0
        if source.window == "current":
            counts = self._count(base, candidates, conditions, label, data_set)
            chosen = choose(counts, current.min_rows)
            opened = self._opened_as(
                base, conditions[chosen], candidates[chosen], label, data_set, chosen > 0
            )
            self._facts[_key(source, current)] = facts_of(opened, counts[chosen])
            return opened
        return self._opened_as(base, conditions[0], candidates[0], label, data_set)

    def _spans(self, source: Source, data_set: DataSet, current: CurrentWindow) -> list[Span]:
        """Spans of time to choose from; none where the window is all rows."""
        window = source.window
        if window == "whole" or (data_set.time is None and not data_set.partitioned_by_night):
            return []
        if source.span is not None:
            return [span_between(*source.span, self._night)]
        return [night_span(self._night)] if window == "night" else spans(self._night, current)

    def _condition(self, data_set: DataSet, base: Base, span: Span) -> str:
        """Which rows of a base lie in a span, by partition and by time column."""
        where = f"data set {data_set.id}"
        conditions = []
        if data_set.partitioned_by_night and base.files is not None:
            paths = ", ".join(literal(file.path) for file in base.files.of(span.nights))
            conditions.append(f"{FILE_COLUMN} IN ({paths})" if paths else "false")
        if data_set.time is not None:
            column = data_set.time.column
            if column not in base.types:
                raise DataError(
                    f"the time column {column!r} is not in the data",
                    where=where,
                    remedy="compare the declared columns with the file's",
                )
            zone = zone_of(data_set, self._night)
            conditions.append(within(quote(column), base.types[column], zone, span, where))
        return " AND ".join(conditions) or "true"

    def _count(
        self,
        base: Base,
        candidates: Sequence[Span],
        conditions: Sequence[str],
        label: str,
        data_set: DataSet,
    ) -> list[int]:
        """Rows of each candidate window, in one statement."""
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
        sql = f"SELECT {counts} FROM {base.name} WHERE {conditions[len(candidates) - 1]}"
        row = self._session.query(sql, label, "window", where=f"data set {data_set.id}")[0]
        return [int(count) for count in row]

    def _opened_as(
        self,
        base: Base,
        condition: str,
        span: Span | None,
        label: str,
        data_set: DataSet,
        extended: bool = False,
    ) -> Opened:
        view = self._session.name("window")
        hidden = f" EXCLUDE ({FILE_COLUMN})" if base.has_file_column else ""
        where = f" WHERE {condition}" if condition else ""
        place = f"data set {data_set.id}"
        sql = f"CREATE TEMP VIEW {view} AS SELECT *{hidden} FROM {base.name}{where}"
        self._session.query(sql, label, "schema", where=place)
        self._session.log.add(label, "schema", f"DESCRIBE {view}")
        return Opened(view, self._session.table(view, place), base.types, span, extended)


def _key(source: Source, current: CurrentWindow | None) -> tuple[Source, CurrentWindow | None]:
    return source, (current or CurrentWindow()) if source.window == "current" else None


def facts_of(opened: Opened, rows: int) -> WindowFacts:
    """Facts of an opened window with this many rows."""
    if opened.span is None:
        return WindowFacts("", "", rows)
    start, end = opened.span.start.isoformat(), opened.span.end.isoformat()
    return WindowFacts(start, end, rows, opened.extended)
