"""Data sets as tables: windows, aggregates, profiles and overlaps through Ibis on DuckDB.

One :class:`Tables` serves one task. It opens each window of a data set once, as a temporary view
over the files (Parquet is projected lazily; text files are read once into a typed temporary
table), and logs every statement it sends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from nachweis.domain.errors import DataError
from nachweis.domain.manifest import DataSet, World
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.manifest.suite import Suite
from nachweis.domain.night import Night
from nachweis.domain.observation import (
    ArtefactFile,
    ArtefactFolder,
    ColumnProfile,
    CountTable,
    Expression,
    GroupedCounts,
    Missing,
    Overlap,
    OverlapCounts,
    Sample,
    Source,
    SuiteOutcome,
    TextCounts,
    TextScan,
    WindowFacts,
)
from nachweis.domain.s3access import S3Access
from nachweis.engines import aggregates
from nachweis.engines.artefact_folders import files_beside
from nachweis.engines.bases import Bases
from nachweis.engines.column_types import logical
from nachweis.engines.counts import Counter, structure
from nachweis.engines.duck import QueryLog, Session, literal
from nachweis.engines.duck_errors import guarded
from nachweis.engines.inference import infer_columns
from nachweis.engines.joins import Joiner, Side
from nachweis.engines.moments import zone_of
from nachweis.engines.opening import WindowOpener, label_of, place_of
from nachweis.engines.profile_reader import ProfileCache, kind_of, read_column, read_sample
from nachweis.engines.text import scan_texts
from nachweis.engines.two_stages import two_stages
from nachweis.engines.versions import UNPINNED, UNREADABLE, S3Lister, version_of, version_of_rows

__all__ = ["UNPINNED", "UNREADABLE", "S3Lister", "Tables", "infer_columns", "label_of"]


class Tables:
    """The data sets of a world as the engine sees them in one night; a context manager.

    Args:
        world: All manifests.
        bases: Data-set id to the folder that its relative locations start at.
        night: The night.
        cache: Local folder for digests, reference profiles and scratch files.
        threads: Threads of the engine; None is one per core.
        memory: Memory limit of the engine.
        s3: Access to data sets in S3.
        memory_tables: Data-set id to columns, for data sets that have no files (check examples).
        s3_lister: Lists objects with their versions, to pin data sets in S3.
        environment: Where the secrets of keyed hashes are looked up; default is the process's.
        shared: Read local files, too, through the engine that sessions on tables in memory share:
            without S3, and without a place to spill to.
    """

    def __init__(
        self,
        world: World,
        bases: Mapping[str, Path],
        night: Night,
        *,
        cache: Path,
        threads: int | None = None,
        memory: str = "2GB",
        s3: S3Access | None = None,
        memory_tables: Mapping[str, Mapping[str, list[Any]]] | None = None,
        s3_lister: S3Lister | None = None,
        environment: Mapping[str, str] | None = None,
        shared: bool = False,
    ) -> None:
        self._world = world
        self._night = night
        self._cache = cache
        self._s3_lister = s3_lister
        embedded = shared or (memory_tables is not None and not bases)
        self._session = Session(cache, threads=threads, memory=memory, s3=s3, embedded=embedded)
        self._memory_tables = memory_tables or {}
        self._bases = Bases(self._session, bases, night, self._memory_tables)
        self._windows = WindowOpener(self._session, self._bases, world, night)
        self._joiner = Joiner(
            self._session, night.zone, os.environ if environment is None else environment
        )
        self._profiles = ProfileCache(cache / "profiles")
        self._counters: dict[CurrentWindow | None, Counter] = {}
        self._overlaps: dict[Any, OverlapCounts] = {}
        self._versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and delete scratch files."""
        self._session.close()

    @property
    def backend(self) -> Any:
        """The Ibis backend; its one connection is shared with Great Expectations."""
        self._session.renew_s3()
        return self._session.backend

    @property
    def log(self) -> QueryLog:
        """Every statement sent so far."""
        return self._session.log

    # ------------------------------------------------------------------------------- windows

    def relation(self, source: Source, current: CurrentWindow | None = None) -> Any:
        """A window as an Ibis table, projected lazily; nothing is cast.

        Args:
            source: The data set and window.
            current: The model's declared current window; None is the default one.

        Returns:
            The Ibis table.

        Raises:
            DataError: If the data cannot be read.
        """
        return self._windows.open(source, current).table

    def view(self, source: Source, current: CurrentWindow | None = None) -> str:
        """Name of a temporary view of a window, for engines that send their own SQL."""
        return self._windows.open(source, current).view

    def schema(self, source: Source, current: CurrentWindow | None = None) -> dict[str, str]:
        """Column names and logical types as the engine sees them, in order."""
        types = self._windows.open(source, current).types
        return {name: logical(type_).value for name, type_ in types.items()}

    def facts(self, source: Source, current: CurrentWindow | None = None) -> WindowFacts:
        """What the window turned out to be: bounds, rows, and whether it was extended."""
        return self._windows.facts(source, current)

    # ------------------------------------------------------------------------- observations

    def scalars(
        self,
        source: Source,
        current: CurrentWindow | None,
        expressions: Mapping[str, Expression],
    ) -> dict[str, Any]:
        """Aggregates of a window, in one statement.

        Args:
            source: The data set and window.
            current: The model's declared current window.
            expressions: Name to aggregate.

        Returns:
            Name to value, or to :class:`Missing` where the data do not allow it.

        Raises:
            DataError: If the data cannot be read at all.
        """
        table = self._windows.open(source, current).table
        return aggregates.scalars(
            self._session, table, expressions, label_of(source), place_of(source)
        )

    def grouped(self, request: GroupedCounts, current: CurrentWindow | None = None) -> CountTable:
        """Row counts per combination of keys.

        Args:
            request: Keys, filter, sums and join.
            current: The model's declared current window.

        Returns:
            The counts.

        Raises:
            DataError: If the data do not allow it.
        """
        result = self.grouped_together([request], current)[0]
        if isinstance(result, Missing):
            raise DataError(result.reason, where=place_of(request.source))
        return result

    def grouped_together(
        self, requests: Sequence[GroupedCounts], current: CurrentWindow | None = None
    ) -> list[CountTable | Missing]:
        """Row counts for several requests about one source; equal keys and filters share a query.

        Args:
            requests: Requests of one source.
            current: The model's declared current window.

        Returns:
            One result per request, in order.

        Raises:
            DataError: If the source cannot be read at all.
        """
        return self._counter(current).count(requests)

    def _counter(self, current: CurrentWindow | None) -> Counter:
        return self._counters.setdefault(
            current,
            Counter(self._session, self._joiner, lambda source: self._side(source, current)),
        )

    def profile(
        self,
        source: Source,
        current: CurrentWindow | None,
        column: str,
        kind: Literal["numeric", "categorical", "auto"] = "auto",
    ) -> ColumnProfile:
        """The distribution of a column, read alone; that of pinned reference data is cached.

        Args:
            source: The data set and window.
            current: The model's declared current window.
            column: The column.
            kind: Kind of profile.

        Returns:
            The profile.

        Raises:
            DataError: If there is no such column or it has no such profile.
        """
        return self._begin_profile(source, current, column, kind)()

    def profiles(
        self,
        source: Source,
        current: CurrentWindow | None,
        wanted: Sequence[tuple[str, Literal["numeric", "categorical", "auto"]]],
    ) -> list[ColumnProfile | DataError]:
        """Distributions of several columns; while one is sorted and kept, the next is read.

        Args:
            source: The data set and window.
            current: The model's declared current window.
            wanted: Columns and their kinds of profile.

        Returns:
            One profile per column, in order, or why there is none; see :meth:`profile`.
        """
        return two_stages(wanted, lambda one: self._begin_profile(source, current, *one))

    def _begin_profile(
        self,
        source: Source,
        current: CurrentWindow | None,
        column: str,
        kind: Literal["numeric", "categorical", "auto"],
    ) -> Callable[[], ColumnProfile]:
        """Read a column; the rest of the work needs the engine no more."""
        from nachweis.engines.spilling import spill

        opened = self._windows.open(source, current)
        where = place_of(source)
        type_ = opened.type_of(column, where)
        chosen = kind_of(type_, kind, column, where)
        version = self._cacheable_version(source)
        if version and (cached := self._profiles.get(version, column, chosen)):
            return lambda: cached
        build = read_column(self._session, opened.view, column, chosen, label_of(source), where)
        scratch = self._session.scratch

        def build_and_keep() -> ColumnProfile:
            found = build()
            return spill(self._profiles.put(version, column, found) if version else found, scratch)

        return build_and_keep

    def _cacheable_version(self, source: Source) -> str | None:
        """The version under which profiles of a source may be kept: pinned reference data only."""
        data_set = self._data_set(source)
        if data_set.role.value != "reference" or source.window != "whole":
            return None
        version = self.versions([source.data_set])[source.data_set]
        return None if version in (UNPINNED, UNREADABLE) else version

    def overlap(self, request: Overlap, current: CurrentWindow | None = None) -> OverlapCounts:
        """How many rows and keys of a source have a partner in another data set.

        Args:
            request: The two sides and what counts as a partner.
            current: The model's declared current window.

        Returns:
            Counts only.

        Raises:
            DataError: If the data do not allow it.
        """
        left = self._side(request.source, current)
        right = self._side(request.other, current)
        identity = (
            replace(request, name="", where=None, other_where=None),
            structure(request.where, left.table),
            structure(request.other_where, right.table),
            current,
        )
        if identity not in self._overlaps:
            self._overlaps[identity] = self._joiner.overlap(request, left, right)
        return self._overlaps[identity]

    def suite(self, source: Source, current: CurrentWindow | None, suite: Suite) -> SuiteOutcome:
        """Validate an expectation suite on a window.

        Args:
            source: The data set and window.
            current: The model's declared current window.
            suite: The rules.

        Returns:
            One outcome per rule.

        Raises:
            DataError: If the data cannot be read.
        """
        from nachweis.engines.expectations import validate

        opened, label = self._windows.open(source, current), label_of(source)
        return guarded(
            lambda: validate(
                self.backend,
                opened.table,
                opened.view,
                suite,
                on_query=lambda sql: self.log.add(label, "suite", sql),
            ),
            place_of(source),
        )

    def sample(self, request: Sample, current: CurrentWindow | None = None) -> dict[str, Any]:
        """Rows chosen by a seeded hash of the data set's key.

        Args:
            request: Columns, size and seed.
            current: The model's declared current window.

        Returns:
            Column name to a NumPy array.

        Raises:
            DataError: If the data set declares no key, or a column is missing.
        """
        opened = self._windows.open(request.source, current)
        data_set, where = self._data_set(request.source), place_of(request.source)
        subject = data_set.subject_key.column if data_set.subject_key else None
        key = data_set.field("key") or subject
        if key is None:
            raise DataError(
                "rows cannot be sampled without a key",
                where=where,
                remedy="declare 'fields.key' or 'subject_key'",
            )
        side = self._side(request.source, current)
        if request.joins:
            counter = self._counter(current)
            side = counter.joined(side, request.source, None, request.joins)
        for column in (key, *request.columns):
            side.type_of(column)
        return read_sample(
            self._session,
            side.table.get_name() if request.joins else opened.view,
            key,
            request.columns,
            request.n,
            request.seed,
            label_of(request.source),
            where,
        )

    def texts(self, request: TextScan, current: CurrentWindow | None = None) -> TextCounts:
        """Identifiers in every text of a column.

        Args:
            request: Column, split, and what the organisation declared about its texts.
            current: The model's declared current window.

        Returns:
            Counts only.

        Raises:
            DataError: If the data cannot be read or a column is missing.
        """
        opened, where = self._windows.open(request.source, current), place_of(request.source)
        for column in (request.column, request.by):
            if column is not None:
                opened.type_of(column, where)
        return scan_texts(self._session, opened.view, request, label_of(request.source), where)

    def artefact_files(self, request: ArtefactFolder) -> tuple[ArtefactFile, ...]:
        """Stored models in the folders of declared artefacts.

        Args:
            request: The folders.

        Returns:
            Names and digests.

        Raises:
            DataError: If a folder cannot be listed.
        """
        base = self._bases.folder_of(self._data_set(request.source))
        return files_beside(
            request.folders,
            base,
            self._cache,
            self._s3_lister,
            below=request.below,
            known=request.known,
        )

    # ------------------------------------------------------------------------------ versions

    def versions(self, data_set_ids: Iterable[str]) -> dict[str, str]:
        """Versions of data sets: digests over all files that this night can read.

        For a location with one partition per night these are the partitions up to and including
        the night.

        Args:
            data_set_ids: Ids of declared data sets.

        Returns:
            Id to SHA-256, or to ``unpinned`` or ``unreadable``.
        """
        for id_ in data_set_ids:
            if id_ not in self._versions:
                self._versions[id_] = self._version(self._world.data_sets[id_])
        return {id_: self._versions[id_] for id_ in data_set_ids}

    def _version(self, data_set: DataSet) -> str:
        if self._bases.in_memory(data_set.id):
            rows = self._memory_tables[data_set.id]
            return version_of_rows(rows) if data_set.pinned == "snapshot" else UNPINNED
        try:
            files = self._bases.files_up_to_night(data_set)
            return version_of(data_set, files, self._cache, self._s3_lister)
        except DataError:
            return UNREADABLE

    def blob(self, uri: str) -> bytes:
        """Content of an object in S3.

        Args:
            uri: ``s3://`` URI.

        Returns:
            Its bytes.

        Raises:
            DataError: If it cannot be read.
        """
        self._session.use_s3(uri)
        sql = f"SELECT content FROM read_blob({literal(uri)})"
        rows = self._session.query(sql, uri, "schema", where=uri)
        if not rows:
            raise DataError("there is no such object", where=uri)
        return bytes(rows[0][0])

    # ------------------------------------------------------------------------------- helpers

    def _data_set(self, source: Source) -> DataSet:
        return self._world.data_sets[source.data_set]

    def _side(self, source: Source, current: CurrentWindow | None) -> Side:
        opened = self._windows.open(source, current)
        data_set = self._data_set(source)
        return Side(
            data_set, opened.table, opened.types, zone_of(data_set, self._night), label_of(source)
        )
