"""One DuckDB connection per task, its query log, and errors in words without data values."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from nachweis.domain.errors import DataError, DataUnavailableError
from nachweis.domain.s3access import S3Access

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


class Session:
    """A DuckDB connection that Ibis and Great Expectations share, closed with its spill files.

    Args:
        cache: Local folder; spill files of this session go into a folder of their own below it.
        threads: Threads; None is one per core.
        memory: Memory limit, for example ``2GB``.
        s3: Access to data sets in S3.
        embedded: Only tables in memory will be read: S3 and encrypted spilling stay off, which
            saves a tenth of a second per session.
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
        import duckdb
        import ibis

        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.scratch = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
        self.log = QueryLog()
        self._s3 = s3
        self._s3_ready = False
        self._names = 0
        config: dict[str, Any] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_persistent_secrets": "false",
            "preserve_insertion_order": "false",
            "memory_limit": memory,
            "temp_directory": str(self.scratch / "spill"),
        }
        if threads is not None:
            config["threads"] = threads
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:", config=config)
        if not embedded:
            self.connection.execute(f"LOAD {literal(str(_httpfs_extension()))}")
            self.connection.execute("SET temp_file_encryption = true")
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
        return guarded(lambda: self.connection.execute(sql).fetchall(), where)

    def column(self, sql: str, source: str, kind: QueryKind, *, where: str) -> dict[str, Any]:
        """Run a statement and fetch its columns as NumPy arrays; see :meth:`query`."""
        self.log.add(source, kind, sql)
        return guarded(lambda: dict(self.connection.execute(sql).fetchnumpy()), where)

    def batches(
        self, sql: str, source: str, kind: QueryKind, *, where: str, rows: int = 100_000
    ) -> Iterator[Any]:
        """Run a statement and stream its result as Arrow record batches; see :meth:`query`."""
        self.log.add(source, kind, sql)
        reader = guarded(lambda: self.connection.execute(sql).to_arrow_reader(rows), where)
        while True:
            batch = guarded(lambda: next(reader, None), where)
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
        """Hand the S3 credentials to the engine, once.

        Args:
            where: Data set that needs them.

        Raises:
            DataError: If no access is configured.
        """
        if self._s3_ready:
            return
        if self._s3 is None:
            raise DataError(
                "the data set lies in S3 and no access to S3 is configured",
                where=where,
                remedy="set the endpoint and the key for reading data sets",
            )
        # Not through the log: the statement carries the secret.
        statement = _secret_statement(self._s3)
        guarded(lambda: self.connection.execute(statement), "access to S3")
        self._s3_ready = True


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
    if access.endpoint:
        host = re.sub(r"^https?://", "", access.endpoint).rstrip("/")
        options |= {"ENDPOINT": literal(host), "URL_STYLE": "'path'"}
    text = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"CREATE OR REPLACE SECRET nachweis_s3 (TYPE s3, {text})"


def guarded(action: Callable[[], T], where: str) -> T:
    """Run an action of the engine and turn its errors into our own.

    The engine's own messages may quote values of the data, so nothing of them is passed on, not
    even as the cause of the new error.

    Args:
        action: What to run.
        where: Data set or file an error belongs to.

    Returns:
        The action's result.

    Raises:
        DataError: If the engine refuses.
    """
    import duckdb

    try:
        return action()
    except duckdb.Error as error:
        failure = translated(error, where)
    raise failure


_HTTP_STATUS = re.compile(r"HTTP(?: Error)?.{0,80}?\b([45]\d\d)\b|\(HTTP ([45]\d\d)\)", re.DOTALL)
_KNOWN: Sequence[tuple[str, str, str]] = (
    ("No files found", "there is no file", "check the location in the manifest"),
    ("too small to be a Parquet", "the file is empty or cut off", "write the file again"),
    ("No magic bytes", "the file is not Parquet, or cut off", "write the file again"),
    ("not utf-8 encoded", "the text is not in the encoding assumed", "declare csv.encoding"),
    ("is not latin-1 encoded", "the text is not in the encoding declared", "correct csv.encoding"),
    ("is not utf-16 encoded", "the text is not in the encoding declared", "correct csv.encoding"),
    ("invalid UTF-8", "the text is not UTF-8", "write the file again as UTF-8"),
    ("Input is not a GZIP stream", "the file is not gzip", "write the file again"),
    ("sniffing file", "the file is not a regular CSV table", "declare csv.delimiter and csv.quote"),
    ("expected records", "the lines are not JSON objects", "write one JSON object per line"),
)
_BY_CLASS: Sequence[tuple[str, str, str]] = (
    (
        "OutOfMemoryException",
        "the memory limit of the engine is too small for this query",
        "raise the memory limit",
    ),
    ("PermissionException", "the engine may not read it", "grant read access"),
    (
        "ConversionException",
        "values do not have the type that the query needs",
        "compare the declared types with the file's",
    ),
    (
        "BinderException",
        "the query does not fit the columns found",
        "compare the declared columns with the file's",
    ),
    (
        "CatalogException",
        "the query does not fit the columns found",
        "compare the declared columns with the file's",
    ),
    ("OutOfRangeException", "a number is out of the range of its type", "check the extreme values"),
    ("IOException", "the file cannot be read", "check that it is complete and readable"),
    ("InvalidInputException", "the file is damaged", "write the file again"),
)


def translated(error: Exception, where: str) -> DataError:
    """An error of the engine in our words: kind, place and remedy, no values.

    Args:
        error: The engine's error.
        where: Data set or file it belongs to.

    Returns:
        The error to raise.
    """
    text = str(error)
    if "Could not connect" in text or "timed out" in text.lower():
        return DataUnavailableError(
            "the S3 endpoint cannot be reached", where=where, remedy="check endpoint and network"
        )
    if status := _HTTP_STATUS.search(text):
        return _http_error(int(status.group(1) or status.group(2)), where)
    malformed = _malformed(text, where)
    if malformed is not None:
        return malformed
    for needle, what, remedy in _KNOWN:
        if needle in text:
            return DataError(what, where=where, remedy=remedy)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    for name, what, remedy in _BY_CLASS:
        if name in kinds:
            return DataError(what, where=where, remedy=remedy)
    return DataError(f"the engine refused ({type(error).__name__})", where=where)


def _malformed(text: str, where: str) -> DataError | None:
    """Errors of CSV and JSON files: line and column counts only; the engine quotes the line."""
    line = re.search(r"(?:CSV Error on Line: |Malformed JSON.{0,400}? in line )(\d+)", text, re.S)
    if line is None or "invalid UTF-8" in text or "not utf-8 encoded" in text:
        return None
    place = f"{where}, line {line.group(1)}"
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        what = f"the row has {found.group(2)} fields instead of {found.group(1)}"
    elif "unterminated quote" in text:
        what = "a quoted field is not closed"
    elif "Malformed JSON" in text:
        what = "the line is not valid JSON"
    else:
        what = "the row is not a regular CSV row"
    return DataError(what, where=place, remedy="write the file again or correct how it is read")


def _http_error(status: int, where: str) -> DataError:
    if status == 404:
        return DataError("there is no such object in S3", where=where, remedy="check the location")
    if status in (401, 403):
        return DataError(
            f"S3 refused access (HTTP {status})", where=where, remedy="check key, secret and policy"
        )
    if status >= 500:
        return DataUnavailableError(
            f"S3 failed (HTTP {status})", where=where, remedy="try again later"
        )
    return DataError(f"S3 refused the request (HTTP {status})", where=where)
