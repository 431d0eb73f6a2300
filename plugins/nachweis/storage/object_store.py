"""The object store as the rest of the package sees it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Lock:
    """Write protection of one object.

    Attributes:
        mode: Object Lock mode.
        until: Whole seconds, aware.
    """

    mode: Literal["COMPLIANCE", "GOVERNANCE"]
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing or a head tells about an object."""

    key: str
    size: int
    etag: str
    version_id: str | None
    modified: dt.datetime


class ObjectStore(Protocol):
    """One bucket; every write carries a SHA-256 checksum, every read verifies it."""

    bucket: str

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        """Write an immutable object.

        Args:
            key: Object key.
            body: Content.
            content_type: MIME type.
            lock: Write protection sent in the same request.

        Returns:
            True if this call wrote it; False if the key already holds exactly these bytes.

        Raises:
            StoreConflictError: If the key holds other bytes.
            StoreUnavailableError: If the store could not be reached.
        """
        ...

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Write a mutable (derived) object."""
        ...

    def get(self, key: str) -> bytes:
        """Read an object and verify its checksum.

        Raises:
            KeyError: If there is no such object.
            IntegrityError: If the checksum does not match.
        """
        ...

    def head(self, key: str) -> StoredObject | None:
        """Facts about an object, or None."""
        ...

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
        """Objects below a prefix in key order."""
        ...

    def versions(self, prefix: str) -> Iterator[tuple[StoredObject, bool]]:
        """All object versions below a prefix; the flag marks delete markers."""
        ...
