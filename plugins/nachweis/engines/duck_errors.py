"""Errors of DuckDB in our own words: kind, place and remedy, never a value of the data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from nachweis.domain.errors import DataError, DataUnavailableError

T = TypeVar("T")


def guarded(action: Callable[[], T], where: str, places: Mapping[str, str] | None = None) -> T:
    """Run an action of the engine and turn its errors into our own.

    The engine's own messages may quote values of the data, so nothing of them is passed on, not
    even as the cause of the new error.

    Args:
        action: What to run.
        where: Data set or file an error belongs to.
        places: Path to place, to name the file that the engine complains about.

    Returns:
        The action's result.

    Raises:
        DataError: If the engine refuses.
    """
    import duckdb

    try:
        return action()
    except duckdb.Error as error:
        text = str(error)
        named = [place for path, place in (places or {}).items() if path in text]
        failure = translated(error, named[0] if len(named) == 1 else where)
    raise failure


_HTTP_STATUS = re.compile(r"HTTP(?: Error)?.{0,80}?\b([45]\d\d)\b|\(HTTP ([45]\d\d)\)", re.DOTALL)
_CERTIFICATE = re.compile(
    r"SSL (peer certificate|server verification)|Problem with the SSL CA cert"
)
_KNOWN: Sequence[tuple[str, str, str]] = (
    (
        "Could not set lock on file",
        "another program has the database open for writing",
        "close it there, or give a copy of the file",
    ),
    ("No files found", "there is no file", "check the location in the manifest"),
    ("too small to be a Parquet", "the file is empty or cut off", "write the file again"),
    ("No magic bytes", "the file is not Parquet, or cut off", "write the file again"),
    ("not utf-8 encoded", "the text is not in the encoding assumed", "declare csv.encoding"),
    ("is not latin-1 encoded", "the text is not in the encoding declared", "correct csv.encoding"),
    ("is not utf-16 encoded", "the text is not in the encoding declared", "correct csv.encoding"),
    ("invalid UTF-8", "the text is not UTF-8", "write the file again as UTF-8"),
    ("TProtocolException", "the Parquet file is damaged", "write the file again"),
    ("Input is not a GZIP stream", "the file is not gzip", "write the file again"),
    ("state machine", "the file is not a regular CSV table", "declare csv.delimiter and csv.quote"),
    ("sniffing file", "the file is not a regular CSV table", "declare csv.delimiter and csv.quote"),
    # The engine's line numbers of JSON errors are off by one or more: better none than a wrong one.
    ("Malformed JSON", "a line is not valid JSON", "write the file again"),
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
    if _CERTIFICATE.search(text):
        return DataUnavailableError(
            "the certificate of the S3 endpoint is not signed by an authority that is trusted",
            where=where,
            remedy="name the file with its authority in AWS_CA_BUNDLE",
        )
    if status := _HTTP_STATUS.search(text):
        return _http_error(int(status.group(1) or status.group(2)), where)
    malformed = _malformed(text, where)
    if malformed is not None:
        return malformed
    if "No space left on device" in text:
        return DataUnavailableError(
            "the disk is full", where=where, remedy="make room in the state folder"
        )
    for needle, what, remedy in _KNOWN:
        if needle in text:
            return DataError(what, where=where, remedy=remedy)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    for name, what, remedy in _BY_CLASS:
        if name in kinds:
            surroundings = name in ("OutOfMemoryException", "PermissionException")
            return (DataUnavailableError if surroundings else DataError)(
                what, where=where, remedy=remedy
            )
    return DataError(f"the engine refused ({type(error).__name__})", where=where)


def _malformed(text: str, where: str) -> DataError | None:
    """Errors of CSV rows: line and number of fields only; the engine quotes the whole line."""
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if line is None or "not utf-8 encoded" in text:
        return None
    place = f"{where}, line {line.group(1)}"
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        what = f"the row has {found.group(2)} fields instead of {found.group(1)}"
    elif "unterminated quote" in text:
        what = "a quoted field is not closed"
    else:
        what = "the row is not a regular CSV row"
    return DataError(what, where=place, remedy="write the file again or correct how it is read")


def _http_error(status: int, where: str) -> DataError:
    if status == 404:
        return DataError("there is no such object in S3", where=where, remedy="check the location")
    if status in (401, 403):
        return DataUnavailableError(
            f"S3 refused access (HTTP {status})", where=where, remedy="check key, secret and policy"
        )
    if status >= 500:
        return DataUnavailableError(
            f"S3 failed (HTTP {status})", where=where, remedy="try again later"
        )
    return DataError(f"S3 refused the request (HTTP {status})", where=where)
