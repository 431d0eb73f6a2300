"""One DuckDB connection per task and its query log.

Tasks that run in the same process share an engine, unless they read S3; a connection's views and
tables are its own.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from nachweis.domain.errors import DataError
from nachweis.domain.s3access import S3Access
from nachweis.engines.duck_errors import guarded

if TYPE_CHECKING:
    import duckdb

QueryKind = Literal[
    "aggregate",
    "grouped",
    "profile",
    "suite",
    "overlap",
    "keys",
    "window",
    "sample",
    "text",
    "schema",
    "load",
    "retry",
]
"""What a statement is for. ``schema`` and ``load`` prepare a source; ``retry`` repeats the parts
of a fused statement of which one part failed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueryLogEntry:
    """One statement sent to the engine."""

    source: str
    kind: QueryKind
    sql: str


class QueryLog:
    """Every statement of a task, by source and kind, in order."""

    def __init__(self) -> None:
        self.entries: list[QueryLogEntry] = []

    def add(self, source: str, kind: QueryKind, sql: str) -> None:
        """Record a statement.

        Args:
            source: Label of the source, ``data-set:window``.
            kind: What the statement is for.
            sql: Its text.
        """
        self.entries.append(QueryLogEntry(source, kind, sql))

    def count(self, source: str, kind: QueryKind | None = None, *, since: int = 0) -> int:
        """Number of statements for a source.

        Args:
            source: Label of the source.
            kind: Only this kind; default all.
            since: Position in the log to count from.

        Returns:
            The number.
        """
        return sum(
            entry.source == source and kind in (None, entry.kind) for entry in self.entries[since:]
        )

    def sources(self) -> list[str]:
        """Labels of all sources, sorted."""
        return sorted({entry.source for entry in self.entries})


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _config(threads: int | None, memory: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        # A file that is replaced within a second would be read from the cache as it was before.
        "enable_external_file_cache": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_persistent_secrets": "false",
        "preserve_insertion_order": "false",
        "memory_limit": memory,
    }
    return config if threads is None else {**config, "threads": threads}


_ENGINES: dict[tuple[Any, ...], duckdb.DuckDBPyConnection] = {}
"""Engines by process, kind and settings. A fork inherits entries that it neither uses nor closes:
their threads stayed behind."""


def _shared(kind: str, *settings: Any, start: Callable[[], Any]) -> Any:
    """A new connection to the engine that the sessions of this process share.

    Starting an engine takes longer than most examples of checks run. Sessions see nothing of each
    other: all their views and tables are temporary and belong to their own connection.

    Args:
        kind: Name of the kind of engine; at most one of a kind is kept.
        *settings: Everything that `start` depends on.
        start: Starts the engine.
    """
    import duckdb

    key = (os.getpid(), kind, *settings)
    try:
        connection = _ENGINES[key].cursor()
        connection.execute("SELECT 1")
    except (KeyError, duckdb.Error):  # the latter where an internal error has stopped it
        for old in [found for found in _ENGINES if found[:2] == key[:2]]:
            del _ENGINES[old]
        connection = _ENGINES.setdefault(key, start()).cursor()
    return connection


def _in_memory(threads: int | None, memory: str) -> duckdb.DuckDBPyConnection:
    """An engine for tables in memory."""
    import duckdb

    return duckdb.connect(":memory:", config=_config(threads, memory))


def _spilling(threads: int | None, memory: str, folder: Path) -> duckdb.DuckDBPyConnection:
    """An engine for files that spills to a folder, encrypted."""
    import duckdb

    engine = duckdb.connect(
        ":memory:", config={**_config(threads, memory), "temp_directory": str(folder)}
    )
    # httpfs reads S3, and its cryptography is the only one that may write: spilling needs it too.
    engine.execute(f"LOAD {literal(str(_httpfs_extension()))}")
    engine.execute("SET temp_file_encryption = true")
    return engine


class Session:
    """A DuckDB connection that Ibis and Great Expectations share, closed with its spill files.

    Args:
        cache: Local folder; spill files go into a folder of their own below it.
        threads: Threads; None is one per core.
        memory: Memory limit, for example ``2GB``.
        s3: Access to data sets in S3.
        embedded: Only tables in memory will be read: S3 and spilling stay off.
    """

    def __init__(
        self,
        cache: Path,
        *,
        threads: int | None = None,
        memory: str = "2GB",
        s3: S3Access | None = None,
        embedded: bool = False,
    ) -> None:
        import ibis

        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.scratch = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
        self.log = QueryLog()
        self._s3 = s3
        self._s3_given: S3Access | None = None
        self._names = 0
        self._places: dict[str, str] = {}
        self.connection: duckdb.DuckDBPyConnection
        if embedded:
            self.connection = _shared(
                "memory", threads, memory, start=lambda: _in_memory(threads, memory)
            )
        elif s3 is None:
            spill = cache / f"spill-{os.getpid()}"
            self.connection = _shared(
                "files", threads, memory, spill, start=lambda: _spilling(threads, memory, spill)
            )
        else:
            # Access to S3 belongs to an engine, not to a connection.
            self.connection = _spilling(threads, memory, self.scratch / "spill")
        # DuckDB 1.5.5 answers count(*) from Parquet statistics and fails with an internal error
        # where a filter on the file's name was optimised away; without this pass it scans.
        self.connection.execute("SET disabled_optimizers = 'statistics_propagation'")
        self.backend: Any = ibis.duckdb.from_connection(self.connection)

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
        """Close the connection and delete what it spilled."""
        self.connection.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def name(self, stem: str) -> str:
        """A new name for a temporary view or table."""
        self._names += 1
        return f"nachweis_{stem}_{self._names}"

    def knows(self, path: str, place: str) -> None:
        """Let errors about a file name it as people know it.

        Args:
            path: Path or URI as the engine sees it.
            place: Data set and file name.
        """
        self._places[path] = place

    def _guarded(self, action: Callable[[], T], where: str) -> T:
        return guarded(action, where, self._places)

    def table(self, name: str, where: str) -> Any:
        """A view or table as an Ibis table.

        Args:
            name: Its name.
            where: Data set an error belongs to.

        Returns:
            The Ibis table.

        Raises:
            DataError: If the engine refuses.
        """
        return self._guarded(lambda: self.backend.table(name), where)

    def query(self, sql: str, source: str, kind: QueryKind, *, where: str) -> list[tuple[Any, ...]]:
        """Run a statement and fetch all its rows.

        Args:
            sql: The statement.
            source: Label for the log.
            kind: Kind for the log.
            where: Data set or file an error belongs to.

        Returns:
            The rows.

        Raises:
            DataError: If the engine refuses, in words without data values.
        """
        self.log.add(source, kind, sql)
        self.renew_s3()
        return self._guarded(lambda: self.connection.execute(sql).fetchall(), where)

    def column(self, sql: str, source: str, kind: QueryKind, *, where: str) -> dict[str, Any]:
        """Run a statement and fetch its columns as NumPy arrays; see :meth:`query`."""
        self.log.add(source, kind, sql)
        self.renew_s3()
        return self._guarded(lambda: dict(self.connection.execute(sql).fetchnumpy()), where)

    def batches(
        self, sql: str, source: str, kind: QueryKind, *, where: str, rows: int = 100_000
    ) -> Iterator[Any]:
        """Run a statement and stream its result as Arrow record batches; see :meth:`query`."""
        self.log.add(source, kind, sql)
        self.renew_s3()
        reader = self._guarded(lambda: self.connection.execute(sql).to_arrow_reader(rows), where)
        while True:
            batch = self._guarded(lambda: next(reader, None), where)
            if batch is None:
                return
            yield batch

    @contextmanager
    def registered(self, table: Any) -> Iterator[str]:
        """An Arrow table under a temporary name.

        Args:
            table: The Arrow table.

        Yields:
            The name.
        """
        name = self.name("arrow")
        self.connection.register(name, table)
        try:
            yield name
        finally:
            self.connection.unregister(name)

    def use_s3(self, where: str) -> None:
        """Let the engine read from S3 from now on.

        Args:
            where: Data set that needs it.

        Raises:
            DataError: If no access is configured, or its credentials cannot be had.
        """
        if self._s3_given is not None:
            return
        if self._s3 is None:
            raise DataError(
                "the data set lies in S3 and no access to S3 is configured",
                where=where,
                remedy="set the endpoint and the key for reading data sets",
            )
        self.connection.execute("SET enable_server_cert_verification = true")
        if self._s3.ca_file is not None:
            self.connection.execute(f"SET ca_cert_file = {literal(str(self._s3.ca_file))}")
        self._hand_over(self._s3.current())

    def renew_s3(self) -> None:
        """Hand over the credentials that hold now, where S3 is read; those of a role expire."""
        if self._s3_given is not None and self._s3_given.renew is not None:
            self._hand_over(self._s3_given.current())

    def _hand_over(self, access: S3Access) -> None:
        if access != self._s3_given:
            # Not through the log: the statement carries the secret.
            statement = _secret_statement(access)
            guarded(lambda: self.connection.execute(statement), "access to S3")
            self._s3_given = access


def _httpfs_extension() -> Path:
    """The extension file of the package duckdb-extension-httpfs that fits this DuckDB."""
    import duckdb
    import duckdb_extension_httpfs

    folder = Path(duckdb_extension_httpfs.__file__).parent / "extensions"
    return folder / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"


def _secret_statement(access: S3Access) -> str:
    options = {
        "KEY_ID": literal(access.key),
        "SECRET": literal(access.secret),
        "REGION": literal(access.region),
        "USE_SSL": "true" if access.use_ssl else "false",
    }
    if access.token:
        options["SESSION_TOKEN"] = literal(access.token)
    if access.endpoint:
        host = re.sub(r"^https?://", "", access.endpoint).rstrip("/")
        options |= {"ENDPOINT": literal(host), "URL_STYLE": "'path'"}
    text = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"CREATE OR REPLACE SECRET nachweis_s3 (TYPE s3, {text})"
