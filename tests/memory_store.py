"""An object store in memory that keeps the protocol's promises: conflicts, versions, checksums."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from nachweis.domain.errors import IntegrityError, StoreConflictError
from nachweis.storage.object_store import Lock, StoredObject


@dataclass(slots=True)
class _Version:
    stored: StoredObject
    body: bytes
    checksum: str
    marker: bool = False


@dataclass
class MemoryStore:
    """One versioned bucket; ``reads``, ``lists`` and ``heads`` count requests."""

    bucket: str = "memory"
    clock: dt.datetime = dt.datetime(2026, 3, 3, 2, 0, tzinfo=dt.UTC)
    reads: list[str] = field(default_factory=list)
    lists: int = 0
    heads: int = 0
    locks: dict[str, Lock | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mutex = threading.Lock()
        self._versions: dict[str, list[_Version]] = {}
        self._ids = itertools.count(1)

    # --------------------------------------------------------------- the protocol

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        with self._mutex:
            current = self._current(key)
            if current is not None:
                if current.body == body:
                    return False
                raise StoreConflictError("the key holds other bytes", where=key)
            self._add(key, body)
            self.locks[key] = lock
            return True

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        with self._mutex:
            self._add(key, body)

    def get(self, key: str) -> bytes:
        self.reads.append(key)
        current = self._current(key)
        if current is None:
            raise KeyError(key)
        if hashlib.sha256(current.body).hexdigest() != current.checksum:
            raise IntegrityError("the checksum does not match", where=key)
        return current.body

    def head(self, key: str) -> StoredObject | None:
        self.heads += 1
        current = self._current(key)
        return current.stored if current else None

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
        self.lists += 1
        for key in sorted(self._versions):
            if key.startswith(prefix) and key > start_after and (found := self._current(key)):
                yield found.stored

    def versions(self, prefix: str) -> Iterator[tuple[StoredObject, bool]]:
        self.lists += 1
        for key in sorted(self._versions):
            if key.startswith(prefix):
                for version in reversed(self._versions[key]):
                    yield version.stored, version.marker

    # --------------------------------------------------------------- what an attacker can do

    def overwrite(self, key: str, body: bytes) -> None:
        """Replace the only version, as with access to the disk."""
        with self._mutex:
            self._versions[key] = []
            self._add(key, body)

    def corrupt(self, key: str) -> None:
        """Flip a bit without telling the checksum."""
        version = self._versions[key][-1]
        version.body = bytes([version.body[0] ^ 1]) + version.body[1:]

    def erase(self, key: str) -> None:
        """Remove every version."""
        with self._mutex:
            del self._versions[key]

    def hide(self, key: str) -> None:
        """Put a delete marker on top."""
        with self._mutex:
            self._add(key, b"", marker=True)

    def copy(self) -> MemoryStore:
        """A store with the same current objects."""
        other = MemoryStore(self.bucket, self.clock)
        for key in self._versions:
            if current := self._current(key):
                other._add(key, current.body)
        return other

    def present(self) -> list[str]:
        """Keys of current objects."""
        return [key for key in sorted(self._versions) if self._current(key)]

    # --------------------------------------------------------------- inside

    def _current(self, key: str) -> _Version | None:
        versions = self._versions.get(key)
        return None if not versions or versions[-1].marker else versions[-1]

    def _add(self, key: str, body: bytes, *, marker: bool = False) -> None:
        checksum = hashlib.sha256(body).hexdigest()
        number = next(self._ids)
        modified = self.clock + dt.timedelta(milliseconds=number)
        stored = StoredObject(key, len(body), checksum, f"v{number}", modified)
        self._versions.setdefault(key, []).append(_Version(stored, body, checksum, marker))
