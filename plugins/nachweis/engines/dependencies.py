"""Lock files held against a vulnerability feed in OSV format, without a network."""

from __future__ import annotations

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nachweis.domain.errors import DataError
from nachweis.domain.observation import LockAuditFacts
from nachweis.engines.artefacts import FileReader

_ECOSYSTEM = "PyPI"
_PIN = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([A-Za-z0-9.!+_-]+)\s*(?:;|\s--|$)"
)
_INCLUDES = re.compile(r"-r|--requirem")
_EDITABLE = re.compile(r"-e|--ed")
"""Options as pip reads them: a value may follow at once, and long names may be shortened."""
_COMMENT = re.compile(r"(^|\s)#.*$")


def audit(files: FileReader, lock: str, feed: str) -> LockAuditFacts:
    """Look up every pinned package of a lock file in a feed.

    Args:
        files: Opens both.
        lock: requirements.txt with pins, or uv.lock, poetry.lock, pylock.toml.
        feed: OSV entries: a JSON list or object, JSON lines, or a zip of JSON files.

    Returns:
        Counts and what is known about the pinned versions.

    Raises:
        DataError: If a file cannot be read or is of no known form.
    """
    with files.open(lock) as stream:
        pins, unpinned = read_lock(stream.read(), lock)
    with files.open(feed) as stream:
        entries = list(_entries(stream.read(), feed))
    wanted = {name for name, _ in pins}
    by_package: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    counted, newest = 0, ""
    for entry in entries:
        newest = max(newest, str(entry.get("modified", ""))[:10])
        concerned = list(_affected(entry))
        counted += bool(concerned)
        if entry.get("withdrawn"):
            continue
        for name, affected in concerned:
            if name in wanted:
                by_package.setdefault(name, []).append((str(entry.get("id", "")), affected))
    known = []
    for name, version in sorted(pins):
        ids = {id_ for id_, item in by_package.get(name, ()) if is_affected(version, item)}
        if ids:
            known.append((name, version, tuple(sorted(ids))))
    return LockAuditFacts(len(pins), unpinned, counted, newest, tuple(known))


def read_lock(content: bytes, where: str) -> tuple[set[tuple[str, str]], int]:
    """Pinned packages of a lock file.

    Args:
        content: Its bytes.
        where: Its name, for errors.

    Returns:
        Normalised name and version of each pin, and how many entries have no exact version: ranges,
        wildcards, addresses, paths and editable installs too.

    Raises:
        DataError: If it is no text, holds no package, or includes other files.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("the lock file is no text", where=where) from error
    if where.endswith((".lock", ".toml")) and "[[package" in text:
        return _toml(text, where)
    pins, unpinned = set(), 0
    for line in () if text.lstrip().startswith("{") else _requirements(text):
        if _INCLUDES.match(line):
            raise DataError(
                "the lock file includes other files, which are not read",
                where=where,
                remedy="declare one that holds every package",
            )
        if pinned := _PIN.match(line):
            pins.add((normalised(pinned[1]), pinned[2]))
        elif _EDITABLE.match(line) or not line.startswith("-"):
            unpinned += 1
    if not pins and not unpinned:
        raise DataError("the lock file names no package", where=where)
    return pins, unpinned


def _requirements(text: str) -> Iterator[str]:
    """Lines of a requirements file as pip sees them: continued lines joined, comments left out."""
    begun = ""
    for line in text.splitlines():
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            begun += line[:-1]
            continue
        if whole := _COMMENT.sub("", begun + " " * comment + line).strip():
            yield whole
        begun = ""
    if whole := _COMMENT.sub("", begun).strip():
        yield whole


def _toml(text: str, where: str) -> tuple[set[tuple[str, str]], int]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError("the lock file is no TOML", where=where) from error
    packages = document.get("package") or document.get("packages") or []
    named = [one for one in packages if isinstance(one, dict) and isinstance(one.get("name"), str)]
    pins = {
        (normalised(one["name"]), one["version"])
        for one in named
        if isinstance(one.get("version"), str)
    }
    return pins, sum(not isinstance(one.get("version"), str) for one in named)


def normalised(name: str) -> str:
    """A package name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether a version lies in an OSV entry's ``affected`` item.

    Args:
        version: The pinned version.
        affected: ``versions`` and ``ranges`` as the OSV schema defines them.

    Returns:
        Whether it does; a version that cannot be compared counts as affected if the item has
        ranges, because nothing shows that it is not.
    """
    from packaging.version import InvalidVersion, Version

    listed = affected.get("versions") or []
    if version in listed:
        return True
    try:
        wanted = Version(version)
        if any(_same(wanted, str(one)) for one in listed):
            return True
        return any(
            _in_range(wanted, one.get("events") or [])
            for one in affected.get("ranges") or []
            if one.get("type") == "ECOSYSTEM"
        )
    except InvalidVersion:
        return bool(affected.get("ranges"))


def _same(wanted: Any, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return bool(wanted == Version(other))
    except InvalidVersion:
        return False


def _in_range(wanted: Any, events: Iterable[Mapping[str, str]]) -> bool:
    """The OSV algorithm: events sorted by version switch between affected and not."""
    from packaging.version import Version

    def at(value: str) -> Any:
        return Version("0.dev0" if value == "0" else value)

    order = {"introduced": 0, "fixed": 1, "last_affected": 2}
    steps = sorted(
        ((at(value), order[kind]) for event in events for kind, value in event.items()
         if kind in order),
    )  # fmt: skip
    inside = False
    for moment, kind in steps:
        if kind == 0 and wanted >= moment:
            inside = True
        elif (kind == 1 and wanted >= moment) or (kind == 2 and wanted > moment):
            inside = False
    return inside


def _affected(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in entry.get("affected") or []:
        package = item.get("package") or {}
        if package.get("ecosystem") == _ECOSYSTEM and isinstance(package.get("name"), str):
            yield normalised(package["name"]), item


def _entries(content: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    try:
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    if name.endswith(".json"):
                        yield from _listed(json.loads(archive.read(name)))
            return
        try:
            yield from _listed(json.loads(content))
        except json.JSONDecodeError:
            for line in content.splitlines():
                if line.strip():
                    yield from _listed(json.loads(line))
    except (ValueError, zipfile.BadZipFile) as error:
        raise DataError("the vulnerability feed is no JSON", where=where) from error


def _listed(found: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, dict) and isinstance(found.get("vulns"), list):
        found = found["vulns"]
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict):
            yield one
