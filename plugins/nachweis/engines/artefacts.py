"""Model files, read without loading them: digest, format, and what they would run.

A pickle is a program. Its opcodes are followed without executing any (``artefact_pickles``), and
every name it would import or call is held against an allow-list. What is not on the list is
refused: a scanner that looks for known bad names misses the next one. Such a scanner, picklescan,
is asked as a second opinion.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nachweis.domain.errors import DataError, NotDeliveredError
from nachweis.domain.observation import ArtefactFacts
from nachweis.engines.artefact_allowlist import SKOPS_LOADERS, skops_allows
from nachweis.engines.artefact_forms import form_of
from nachweis.engines.artefact_pickles import PickleReader, shown
from nachweis.engines.second_opinion import LARGEST as LARGEST_FOR_SECOND
from nachweis.engines.second_opinion import dangerous_imports

LARGEST = 2_000_000_000
"""Bytes beyond which a file is not inspected."""
_LARGEST_MEMBER = 500_000_000
_SHOWN = 5

SIGNATURES = (".sig", ".sigstore", ".sigstore.json", ".bundle")
"""Endings under which signatures are kept beside a file (OpenSSF Model Signing, Sigstore)."""

_SKOPS_NAMES = (("__module__", "__class__"), ("module_path", "function"))
"""Where a skops file names what it imports; the second pair is that of its oldest protocol."""


@dataclass(frozen=True)
class FileReader:
    """Opens files that manifests name: models, lock files, feeds.

    Attributes:
        folders: World folders; a relative path starts at the first one that has it.
        memory: Contents by URI, for examples.
        remote: Reads an ``s3://`` object.
    """

    folders: tuple[Path, ...] = ()
    memory: Mapping[str, bytes] = field(default_factory=dict)
    remote: Callable[[str], bytes] | None = None

    def exists(self, uri: str) -> bool:
        """Whether there is such a file; objects in S3 are asked for only by reading them."""
        if uri in self.memory:
            return True
        return self._path(uri) is not None

    def open(self, uri: str) -> BinaryIO:
        """Open a file for reading.

        Args:
            uri: Path relative to a world folder, absolute path, or ``s3://`` URI.

        Returns:
            A seekable stream; the caller closes it.

        Raises:
            DataError: If it cannot be read.
        """
        if uri in self.memory:
            return io.BytesIO(self.memory[uri])
        if uri.startswith("s3://"):
            if self.remote is None:
                raise DataError("the file lies in S3 and no access to S3 is configured", where=uri)
            return io.BytesIO(self.remote(uri))
        if re.match(r"[a-z][a-z0-9+.-]*://", uri):
            raise DataError("the model is a service: there is no file to inspect", where="artefact")
        path = self._path(uri)
        if path is None:
            raise NotDeliveredError(
                "there is no such file", where=uri, remedy="check 'artefact.uri' of the version"
            )
        try:
            if path.stat().st_size > LARGEST:
                raise DataError("the file is too large to be inspected", where=uri)
            return path.open("rb")
        except OSError as error:
            raise DataError(
                f"the file cannot be read ({type(error).__name__})", where=uri
            ) from error

    def _path(self, uri: str) -> Path | None:
        if Path(uri).is_absolute():
            return Path(uri) if Path(uri).is_file() else None
        return next((f / uri for f in self.folders if (f / uri).is_file()), None)


def inspect_artefact(files: FileReader, uri: str) -> ArtefactFacts:
    """Read a model file without loading it.

    Args:
        files: Opens it.
        uri: The file.

    Returns:
        Digest, format, what was refused, and signatures beside it.

    Raises:
        DataError: If it cannot be read.
    """
    with files.open(uri) as stream:
        digest = _digest(stream)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        format_, listing = _inspected(stream, uri)
    beside = tuple(ending for ending in SIGNATURES if files.exists(f"{uri}{ending}"))
    refused, imports, dangerous = tuple(_few(listing.refused)), listing.imports, listing.dangerous
    return ArtefactFacts(digest, size, format_, refused, imports, beside, dangerous)


@dataclass(frozen=True)
class _Listing:
    """What was listed of a file or a part of it.

    Attributes:
        refused: What is not on the allow-list, in words.
        imports: How many names it imports.
        dangerous: How many of them picklescan holds to be dangerous; None without its opinion.
    """

    refused: tuple[str, ...] = ()
    imports: int = 0
    dangerous: int | None = None

    def __add__(self, other: _Listing) -> _Listing:
        known = [one for one in (self.dangerous, other.dangerous) if one is not None]
        return _Listing(
            self.refused + other.refused,
            self.imports + other.imports,
            sum(known) if known else None,
        )


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    while block := stream.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _inspected(stream: BinaryIO, uri: str) -> tuple[str, _Listing]:
    head = stream.read(16)
    stream.seek(0)
    if not head:
        return "unknown", _Listing(("the file is empty",))
    if zipfile.is_zipfile(stream):
        stream.seek(0)
        form, found = _zip(stream)
        if not head.startswith(b"PK"):
            # Whoever reads it from the start, as an unpickler does, reads something else.
            found += _Listing(("an archive behind other bytes",))
        return form, found
    stream.seek(0)
    form = form_of(stream, uri)
    if form in {"pickle", "joblib"}:
        if head[:2] in {b"\x1f\x8b", b"x\x9c"} or head[:3] == b"BZh" or head[:4] == b"\xfd7zX":
            return form, _Listing(("a compressed pickle, which is not unpacked for inspection",))
        return form, _pickle(stream)
    if form == "unknown":
        return form, _Listing(("a format that this check does not know",))
    return form, _Listing()


# ----------------------------------------------------------------------------------- archives


def _zip(stream: BinaryIO) -> tuple[str, _Listing]:
    found = _Listing()
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            twice = len(names) != len(set(names))
            if twice:
                found += _Listing(("an archive that holds a name twice",))
            if any(name.startswith("/") or ".." in name.split("/") for name in names):
                found += _Listing(("an archive with paths that leave its folder",))
            skops = "schema.json" in names
            for member in members:
                if member.file_size > _LARGEST_MEMBER:
                    found += _Listing(("a member too large to be inspected",))
                    continue
                content = archive.read(member)
                if skops and member.filename == "schema.json":
                    untrusted, types = _untrusted(content)
                    found += _Listing(tuple(untrusted), types)
                elif member.filename.endswith(".npy"):
                    found += _Listing(tuple(_npy(content)))
                elif member.filename.endswith((".pkl", ".pickle")) or content[:1] == b"\x80":
                    found += _Listing(("a pickle inside the archive",))
                    found += _pickle(io.BytesIO(content))
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, NotImplementedError):
        return "zip", _Listing(("an archive that cannot be read",), found.imports, found.dangerous)
    return ("skops" if skops else "zip"), found


def _npy(content: bytes) -> list[str]:
    """Arrays of objects are pickles inside an array file."""
    header = content[:512]
    return ["an array of objects, which is a pickle"] if b"'|O'" in header else []


def _untrusted(schema: bytes) -> tuple[list[str], int]:
    """Types and functions of a skops file that are not allowed; reads JSON only."""
    try:
        content = json.loads(schema)
    except ValueError:
        return ["a skops file whose schema cannot be read"], 0
    pairs = {
        (node[module], node[name])
        for node in _nodes(content)
        for module, name in _SKOPS_NAMES
        if isinstance(node.get(module), str) and isinstance(node.get(name), str)
    }
    found = {f"{module}.{name}": "." not in str(name) for module, name in pairs}
    refused = [
        f"the type {shown(name)}"
        for name, plain in sorted(found.items())
        if not (plain and skops_allows(name))
    ]
    loaders = {str(node["__loader__"]) for node in _nodes(content) if "__loader__" in node}
    if loaders - SKOPS_LOADERS:
        refused.append("a stored method, reduction or other way to build an object")
    return refused, len(found)


def _nodes(content: object) -> Iterator[dict[str, object]]:
    open_ = [content]
    while open_:
        node = open_.pop()
        if isinstance(node, dict):
            yield node
            open_ += node.values()
        elif isinstance(node, list):
            open_ += node


# ------------------------------------------------------------------------------------ pickles


def _pickle(stream: BinaryIO) -> _Listing:
    """What a pickle would import and do that is not on the allow-list; nothing is executed."""
    reader = PickleReader()
    start = stream.tell()
    try:
        reader.read(stream)
    except Exception:  # noqa: BLE001 - a pickle that cannot be read to its end is refused
        refused = (*_few(reader.refused), "bytes that are no complete pickle")
        return _Listing(refused, reader.imports)
    refused = tuple(_few(reader.refused))
    if stream.tell() - start > LARGEST_FOR_SECOND:
        return _Listing(refused, reader.imports)
    stream.seek(start)
    dangerous = dangerous_imports(stream)
    refused = tuple(
        _few([*reader.refused, *(f"the import {shown(one)}" for one in dangerous or ())])
    )
    return _Listing(refused, reader.imports, None if dangerous is None else len(dangerous))


def _few(refused: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(refused))
    more = len(found) - _SHOWN
    return found[:_SHOWN] + ([f"{more} more"] if more > 0 else [])
