"""Versions of data sets: a digest over the files that a night can read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nachweis.domain.canonical import digest
from nachweis.domain.manifest import DataSet
from nachweis.engines.sources import File, is_remote, s3_glob

UNPINNED = "unpinned"
"""Version of data that cannot be pinned; never ``confirmed``."""

UNREADABLE = "unreadable"
"""Version of a data set without any file that can be read."""


def is_pinned(version: str) -> bool:
    """Whether a version names one content, so that a result about it can be repeated."""
    return version not in (UNPINNED, UNREADABLE)


S3Lister = Callable[[str], Sequence[tuple[str, str, str]]]
"""Objects that match an ``s3://`` glob: URI, version id if known, entity tag or checksum."""

_RACY_SECONDS = 2.0


def version_of(
    data_set: DataSet, files: Sequence[File], cache: Path, s3_lister: S3Lister | None
) -> str:
    """Version of a data set.

    Args:
        data_set: Its declaration.
        files: Its files.
        cache: Folder for digests of local files.
        s3_lister: Lists objects with their versions; without it S3 data are unpinned.

    Returns:
        SHA-256 over the sorted names and digests, :data:`UNPINNED` or :data:`UNREADABLE`.
    """
    if data_set.pinned == "unpinned":
        return UNPINNED
    if not files:
        return UNREADABLE
    pins = _s3_pins(data_set, s3_lister) if any(file.remote for file in files) else {}
    entries: list[list[str]] = []
    for file in files:
        try:
            pin = pins.get(file.path) if file.remote else file_digest(Path(file.path), cache)
        except OSError:
            return UNREADABLE
        if not pin:
            return UNPINNED
        entries.append([file.name, pin])
    return digest(sorted(entries))


def version_of_rows(rows: Mapping[str, Sequence[object]]) -> str:
    """Version of a table in memory: a digest over its columns in order."""
    return digest([[name, [str(value) for value in values]] for name, values in rows.items()])


def _s3_pins(data_set: DataSet, lister: S3Lister | None) -> dict[str, str]:
    """Version and checksum of each object; objects of which the store tells neither are absent."""
    if lister is None:
        return {}
    pins: dict[str, str] = {}
    for location in filter(is_remote, data_set.locations):
        for uri, version, checksum in lister(s3_glob(location)):
            if checksum or version not in ("", "null"):
                pins[uri] = f"{version}:{checksum}"
    return pins


def file_digest(path: Path, cache: Path) -> str:
    """SHA-256 of a local file, remembered by path, size, modification time and inode.

    Args:
        path: The file.
        cache: Folder to remember digests in.

    Returns:
        64 hexadecimal characters.

    Raises:
        OSError: If the file cannot be read.
    """
    before = path.stat()
    identity = [str(path), before.st_size, before.st_mtime_ns, before.st_ino]
    note = cache / "digests" / f"{digest([str(path)])}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        remembered = json.loads(note.read_text())
        if remembered["identity"] == identity and len(remembered["sha256"]) == 64:
            return str(remembered["sha256"])
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    after = path.stat()
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    # A file changed within the clock's grain could change again unnoticed: do not remember it yet.
    if unchanged and time.time() - after.st_mtime > _RACY_SECONDS:
        _remember(note, {"identity": identity, "sha256": found})
    return found


def _remember(note: Path, content: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=note.parent, suffix=".part")
        with os.fdopen(handle, "w") as stream:
            json.dump(content, stream)
        Path(temporary).replace(note)
