"""Where a data set's files are: globs, folders, partitions per night, formats, plain damage."""

from __future__ import annotations

import datetime as dt
import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from nachweis.domain.errors import DataError, NotDeliveredError
from nachweis.domain.manifest import DataSet
from nachweis.engines.databases import inspect_database

Format = Literal["parquet", "csv", "jsonl", "duckdb"]
ListS3 = Callable[[str], Sequence[str]]
"""Objects that match an ``s3://`` glob."""

_SUFFIXES: Mapping[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
}
_ANY_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_MAGIC = b"PAR1"
_SMALLEST_PARQUET = 12


@dataclass(frozen=True, slots=True)
class File:
    """One file of a data set.

    Attributes:
        path: Absolute path or ``s3://`` URI.
        name: Name for people and digests: relative to the manifests' folder where it lies below.
        night: The night it holds, where the location has one partition per night.
        keys: Hive partition keys of its path.
    """

    path: str
    name: str
    night: dt.date | None = None
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def remote(self) -> bool:
        """Whether it lies in S3."""
        return is_remote(self.path)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a data set that a window may touch, all of one format."""

    data_set: str
    format: Format
    files: tuple[File, ...]

    @property
    def place(self) -> str:
        """Place of errors: the data set, and the file if it is the only one."""
        only = f", {self.files[0].name}" if len(self.files) == 1 else ""
        return f"data set {self.data_set}{only}"

    @property
    def remote(self) -> bool:
        """Whether any file lies in S3."""
        return any(file.remote for file in self.files)

    def of(self, nights: Iterable[dt.date]) -> tuple[File, ...]:
        """Files that hold these nights."""
        wanted = set(nights)
        return tuple(file for file in self.files if file.night in wanted)


def is_remote(location: str) -> bool:
    """Whether a location is in S3."""
    return location.startswith("s3://")


def is_database(location: str) -> bool:
    """Whether a location names a database, of which a table has to be declared."""
    return _suffix(location) == "duckdb"


def locate(
    data_set: DataSet,
    base: Path,
    *,
    nights: Sequence[dt.date] | None,
    last: dt.date,
    list_s3: ListS3,
) -> Files:
    """Find a data set's files.

    Args:
        data_set: The data set.
        base: Folder that relative locations start at.
        nights: For locations with ``{date}``: the nights wanted; None is every night up to
            ``last``.
        last: The night of the run.
        list_s3: Lists ``s3://`` globs.

    Returns:
        At least one file; nights without a file are simply absent.

    Raises:
        DataError: If there is no file at all, or formats are mixed or unknown, or a local file is
            plainly empty, cut off or of another format.
    """
    found = files_of(data_set, base, nights=nights, last=last, list_s3=list_s3)
    where = f"data set {data_set.id}"
    location = f"{where}, {', '.join(data_set.locations)}"
    if not found:
        raise NotDeliveredError(
            f"there is no file{_for_nights(data_set, nights)}",
            where=location,
            remedy="check the location in the manifest and that the file has been delivered",
        )
    format_ = _format(data_set, found, location)
    for file in found:
        if not file.remote:
            _inspect(file, format_, f"{where}, {file.name}")
    return Files(data_set.id, format_, found)


def files_of(
    data_set: DataSet,
    base: Path,
    *,
    nights: Sequence[dt.date] | None,
    last: dt.date,
    list_s3: ListS3,
) -> tuple[File, ...]:
    """Find a data set's files without looking into them; see :func:`locate`."""
    found: dict[str, File] = {}
    for declared in data_set.locations:
        # "./log" and "log//x" are found as "log" and "log/x".
        location = declared if is_remote(declared) else str(PurePosixPath(declared))
        for pattern, night in _patterns(location, nights):
            for path in _expand(pattern, base, list_s3):
                held = night or _night_in(location, base, path)
                if "{date}" in location and (held is None or (nights is None and held > last)):
                    continue
                found[path] = File(path, _name(path, base), held, _hive_keys(path))
    return tuple(found[path] for path in sorted(found))


def _for_nights(data_set: DataSet, nights: Sequence[dt.date] | None) -> str:
    if not data_set.partitioned_by_night or not nights:
        return ""
    if len(nights) == 1:
        return f" for the night {nights[0]}"
    return f" for the nights {nights[0]} to {nights[-1]}"


def _patterns(location: str, nights: Sequence[dt.date] | None) -> list[tuple[str, dt.date | None]]:
    if "{date}" not in location:
        return [(location, None)]
    if nights is None:
        return [(location.replace("{date}", _ANY_DATE), None)]
    return [(location.replace("{date}", night.isoformat()), night) for night in nights]


def _absolute(pattern: str, base: Path) -> str:
    if is_remote(pattern) or Path(pattern).is_absolute():
        return pattern
    return f"{glob.escape(str(base))}{os.sep}{pattern}"


def _expand(pattern: str, base: Path, list_s3: ListS3) -> list[str]:
    """Files that a pattern stands for; a folder stands for the data files below it."""
    if is_remote(pattern):
        found = list_s3(s3_glob(pattern))
        return [path for path in found if _is_data_file(path) or path == pattern]
    paths: list[str] = []
    for match in map(Path, glob.glob(_absolute(pattern, base), recursive=True)):  # noqa: PTH207
        if match.is_dir():
            below = (str(path) for path in match.rglob("*") if path.is_file())
            paths += filter(_is_data_file, below)
        elif not glob.has_magic(pattern) or _is_data_file(str(match)):
            paths.append(str(match))
    return paths


def s3_glob(location: str) -> str:
    """An ``s3://`` location as a glob over objects; one without a file suffix is a folder."""
    pattern = location.replace("{date}", _ANY_DATE)
    last = pattern.rsplit("/", 1)[-1].replace(_ANY_DATE, "date")
    if PurePosixPath(last).suffix or glob.has_magic(last):
        return pattern
    return f"{pattern.rstrip('/')}/**"


def _is_data_file(path: str) -> bool:
    """Whether a file found in a folder or by a glob is data: no marker, checksum or hidden file.

    A database is read only where it is named: its table has to be named too.
    """
    hidden = PurePosixPath(path).name.startswith((".", "_"))
    return not hidden and _suffix(path) not in (None, "duckdb")


def _suffix(path: str) -> Format | None:
    name = PurePosixPath(path.lower())
    if name.suffix == ".gz":
        name = name.with_suffix("")
    return _SUFFIXES.get(name.suffix)


def _night_in(location: str, base: Path, path: str) -> dt.date | None:
    """The night in a path that was found with the date left open."""
    if "{date}" not in location:
        return None
    if not is_remote(location) and not Path(location).is_absolute():
        path = path.removeprefix(f"{base}{os.sep}")
    first, *others = (_as_regex(part) for part in location.split("{date}"))
    pattern = rf"{first}(?P<night>\d{{4}}-\d{{2}}-\d{{2}}){'(?P=night)'.join(others)}(?:/.*)?"
    match = re.fullmatch(pattern, path, re.DOTALL)
    try:
        return dt.date.fromisoformat(match["night"]) if match else None
    except ValueError:
        return None


def _as_regex(pattern: str) -> str:
    """A glob without its anchors; ``*`` may span folders, for the engine has matched already."""
    return re.sub(r"^\(\?s:(.*)\)\\[Zz]$", r"\1", fnmatch.translate(pattern), flags=re.DOTALL)


def _name(path: str, base: Path) -> str:
    if is_remote(path):
        return path
    try:
        return PurePosixPath(Path(path).relative_to(base)).as_posix()
    except ValueError:
        return PurePosixPath(path).as_posix()


def _hive_keys(path: str) -> tuple[tuple[str, str], ...]:
    parts = PurePosixPath(path).parent.parts
    return tuple(
        (part.partition("=")[0], part.partition("=")[2])
        for part in parts
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=[^=]*", part)
    )


def _format(data_set: DataSet, files: Sequence[File], where: str) -> Format:
    if data_set.format != "auto":
        return data_set.format
    formats = {_suffix(file.path) or _format_by_content(file) for file in files}
    if len(formats) > 1:
        raise DataError(
            "the location mixes file formats", where=where, remedy="narrow the location"
        )
    format_ = formats.pop()
    if format_ is None:
        raise DataError(
            "the file format cannot be told from the name",
            where=where,
            remedy="declare 'format'",
            valid=("parquet", "csv", "jsonl"),
        )
    return format_


def _format_by_content(file: File) -> Format | None:
    if file.remote:
        return None
    with Path(file.path).open("rb") as stream:
        return "parquet" if stream.read(4) == _MAGIC else None


def _inspect(file: File, format_: Format, where: str) -> None:
    """Refuse a local file that is plainly broken, in clearer words than the engine's."""
    remedy = "write the file again"
    try:
        size = Path(file.path).stat().st_size
        if size == 0:
            raise DataError("the file is empty (0 bytes)", where=where, remedy=remedy)
        if format_ == "duckdb":
            inspect_database(Path(file.path), where)
        if format_ != "parquet":
            return
        with Path(file.path).open("rb") as stream:
            head = stream.read(4)
            stream.seek(-min(4, size), os.SEEK_END)
            tail = stream.read(4)
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({type(error).__name__})",
            where=where,
            remedy="grant read access",
        ) from error
    if head != _MAGIC:
        raise DataError("the file is not Parquet", where=where, remedy="correct 'format'")
    if tail != _MAGIC or size < _SMALLEST_PARQUET:
        raise DataError("the Parquet file is cut off", where=where, remedy=remedy)
