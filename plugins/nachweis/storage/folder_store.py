"""A local copy of the buckets as a read-only store: one file per object, named by its key."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

from nachweis.domain.errors import StoreError
from nachweis.storage.object_store import Lock, StoredObject


class FolderStore:
    """A folder whose files are objects; it holds neither versions nor checksums.

    The prefixes of all buckets differ, so that one folder can hold the copies of ``records``,
    ``anchor`` and ``narratives`` together.

    Args:
        folder: The folder.

    Raises:
        StoreError: If there is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise StoreError("there is no such folder", where=str(folder))
        self.bucket = str(folder)
        self._folder = folder

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        """Refuse: a copy is only read."""
        raise StoreError("a local copy is only read", where=key)

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Refuse: a copy is only read."""
        raise StoreError("a local copy is only read", where=key)

    def get(self, key: str) -> bytes:
        """Read a file.

        Raises:
            KeyError: If there is none.
        """
        try:
            with open(f"{self.bucket}/{key}", "rb") as stream:  # noqa: PTH123 - many small files
                return stream.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise KeyError(key) from error
        except OSError as error:
            raise StoreError(f"a file cannot be read ({type(error).__name__})", where=key) from None

    def head(self, key: str) -> StoredObject | None:
        """Facts about a file, or None."""
        path = self._folder / key
        return self._stored(key, path.stat()) if path.is_file() else None

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
        """Files below a prefix in key order."""
        root = self._folder / prefix.rpartition("/")[0]
        found = []
        for folder, _, names in os.walk(root):
            relative = os.path.relpath(folder, self._folder).replace(os.sep, "/")
            for name in names:
                key = name if relative == "." else f"{relative}/{name}"
                if key.startswith(prefix) and key > start_after:
                    found.append(key)
        for key in sorted(found):
            yield self._stored(key, (self._folder / key).stat())

    def versions(self, prefix: str) -> Iterator[tuple[StoredObject, bool]]:
        """The same files: a copy knows one version of each object and no delete marker."""
        for stored in self.list(prefix):
            yield stored, False

    @staticmethod
    def _stored(key: str, found: os.stat_result) -> StoredObject:
        modified = dt.datetime.fromtimestamp(found.st_mtime, dt.UTC)
        return StoredObject(key, found.st_size, "", None, modified)
