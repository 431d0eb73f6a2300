"""CSV and JSON-lines files: encoding, delimiter, and typed columns in a temporary table.

A text file has no types of its own. A column gets its declared type if every value fits, else the
narrowest type that every value fits, so that a file that breaks its declaration is still readable
and its true type is a fact that a check can report.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from nachweis.domain.errors import DataError
from nachweis.domain.manifest.dataset import Csv

_CHUNK = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_RECORDS_TO_SNIFF = 200
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A local text file that the engine can read as UTF-8.

    Attributes:
        path: The file itself, or a UTF-8 copy in the session's scratch folder.
        compressed: Whether it is gzip.
        encoding: Encoding of the original.
    """

    path: Path
    compressed: bool
    encoding: str


def prepare(path: Path, *, encoding: str | None, scratch: Path, where: str) -> TextFile:
    """Check a text file from its first to its last byte and bring it to UTF-8.

    The whole file is read once, so that a gzip file cut off at the end of a row is noticed, and
    an odd character in the last row too. A carriage return on its own, in a file whose lines end
    with a line feed, becomes a space: it belongs to a field, and no reader agrees on it.

    Args:
        path: The file.
        encoding: Declared encoding; None is sniffed (UTF-8, UTF-16, else Windows-1252 or Latin-1).
        scratch: Folder for a UTF-8 copy, if one is needed.
        where: Data set and file, for errors.

    Returns:
        What the engine should read.

    Raises:
        DataError: If the file is cut off, not gzip, or not in the declared encoding.
    """
    compressed = _is_gzip(path, where)
    codec = _codec(encoding, where) if encoding else _sniff_encoding(path, compressed, where)
    texts = _texts(path, compressed, codec, where)
    if codec in ("utf-8", "ascii") and not _has_lone_returns(texts):
        return TextFile(path, compressed, codec)
    copy = scratch / f"text-{len(list(scratch.glob('text-*')))}"
    with copy.open("wb") as target:
        for text in _mended(_texts(path, compressed, codec, where)):
            target.write(text.encode("utf-8"))
    return TextFile(copy, False, codec)


def _is_gzip(path: Path, where: str) -> bool:
    with path.open("rb") as stream:
        magic = stream.read(2) == b"\x1f\x8b"
    if path.suffix == ".gz" and not magic:
        raise DataError("the file is not gzip", where=where, remedy="write the file again")
    return magic


def _codec(encoding: str, where: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise DataError(
            f"the declared encoding {encoding!r} is unknown",
            where=where,
            remedy="declare csv.encoding as Python names it, for example utf-8, latin-1 or cp1252",
        ) from error


def _opened(path: Path, compressed: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if compressed else path.open("rb")


def _chunks(path: Path, compressed: bool, where: str) -> Iterator[bytes]:
    try:
        with _opened(path, compressed) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except EOFError as error:
        raise DataError(
            "the gzip file is cut off", where=where, remedy="write the file again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            "the gzip file is damaged", where=where, remedy="write the file again"
        ) from error


def _sniff_encoding(path: Path, compressed: bool, where: str) -> str:
    head = next(_chunks(path, compressed, where), b"")
    for mark, name in _BOMS:
        if head.startswith(mark):
            # A UTF-8 byte-order mark is read past by the engine itself.
            return "utf-8" if mark == codecs.BOM_UTF8 else name
    if len(head) >= 4 and 0 in head:
        if head[1::2].count(0) > len(head) // 4:
            return "utf-16-le"
        if head[::2].count(0) > len(head) // 4:
            return "utf-16-be"
    for codec in ("utf-8", "cp1252"):
        if _decodes(path, compressed, codec, where):
            return codec
    return "iso8859-1"


def _decodes(path: Path, compressed: bool, codec: str, where: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for chunk in _chunks(path, compressed, where):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _texts(path: Path, compressed: bool, codec: str, where: str) -> Iterator[str]:
    """A file's text in pieces, none of which parts a carriage return from what follows it."""
    decoder = codecs.getincrementaldecoder(codec)()
    held = ""
    bad = False
    try:
        for chunk in _chunks(path, compressed, where):
            text = held + decoder.decode(chunk)
            held = "\r" if text.endswith("\r") else ""
            yield text.removesuffix("\r")
        yield held + decoder.decode(b"", final=True)
    except UnicodeError:
        bad = True  # raised below: the codec's own error carries the bytes
    if bad:
        raise DataError(
            f"the text is not encoded as {codec}",
            where=where,
            remedy="declare csv.encoding, or write the file again as UTF-8",
        )


_LONE_RETURN = re.compile(r"\r(?!\n)")


def _has_lone_returns(texts: Iterator[str]) -> bool:
    found = feeds = False
    for text in texts:
        feeds = feeds or "\n" in text
        found = found or ("\r" in text and _LONE_RETURN.search(text) is not None)
    return found and feeds


def _mended(texts: Iterator[str]) -> Iterator[str]:
    feeds: bool | None = None
    for text in texts:
        feeds = "\n" in text if feeds is None else feeds
        yield _LONE_RETURN.sub(" ", text) if feeds else text


def delimiter_of(file: TextFile, declared: Csv, where: str) -> str:
    """The declared delimiter, or the one that splits the first records most evenly.

    Args:
        file: The prepared file.
        declared: How the manifest says to read it.
        where: Data set and file, for errors.

    Returns:
        One character.
    """
    if declared.delimiter:
        return declared.delimiter
    best, best_score = ",", (0.0, 0)
    for candidate in _DELIMITERS:
        if candidate == declared.quote:
            continue
        widths = [len(row) for row in _records(file, candidate, declared.quote, where) if row]
        if not widths or widths[0] < 2:
            continue
        regular = sum(width == widths[0] for width in widths) / len(widths)
        if (regular, widths[0]) > best_score:
            best, best_score = candidate, (regular, widths[0])
    return best


def header_of(file: TextFile, declared: Csv, delimiter: str, where: str) -> list[str]:
    """Column names of a CSV file; empty ones are numbered and repeated ones told apart.

    Args:
        file: The prepared file.
        declared: How the manifest says to read it.
        delimiter: Its delimiter.
        where: Data set and file, for errors.

    Returns:
        One name per column; ``column0``, ``column1``... for a file without a header.

    Raises:
        DataError: If the file has no first record.
    """
    first = next(_records(file, delimiter, declared.quote, where), None)
    if not first:
        raise DataError("the CSV file has no header", where=where, remedy="write the file again")
    if not declared.header:
        return [f"column{i}" for i in range(len(first))]
    names: list[str] = []
    for i, cell in enumerate(first):
        name = cell.strip() or f"column{i}"
        taken = {other.lower() for other in names}
        unique, repeat = name, 0
        while unique.lower() in taken:
            repeat += 1
            unique = f"{name}_{repeat}"
        names.append(unique)
    return names


def _records(file: TextFile, delimiter: str, quote: str, where: str) -> Iterator[list[str]]:
    with _opened(file.path, file.compressed) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=delimiter, quotechar=quote, doublequote=True)
        try:
            for number, row in enumerate(reader):
                if number >= _RECORDS_TO_SNIFF:
                    return
                yield row
        except csv.Error as error:
            # Python's own reader refuses fields beyond 128 kB; the engine then decides.
            if "field larger" not in str(error):
                raise DataError(
                    "the file is not a regular CSV table", where=where, remedy="declare csv.quote"
                ) from None
