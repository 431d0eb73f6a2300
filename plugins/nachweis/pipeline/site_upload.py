"""The rendered site in its bucket: a derived copy, brought up to date after each rendering."""

from __future__ import annotations

import hashlib
import mimetypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nachweis.storage.object_store import ObjectStore

_AT_ONCE = 8


class DerivedStore(ObjectStore, Protocol):
    """A bucket without versions, whose objects may go again."""

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was done: objects written, left alone and deleted."""

    written: int
    unchanged: int
    deleted: int


def mirror(folder: Path, store: DerivedStore) -> Uploaded:
    """Make a bucket hold exactly the files of the site.

    A file is left alone if the object's entity tag is the MD5 of its bytes, as S3 makes it for
    objects written in one piece; where a key service encrypts them it is not, and all are written.

    Args:
        folder: The rendered site.
        store: The bucket ``site``.

    Returns:
        What was done.

    Raises:
        StoreError: If the store refuses or cannot be reached; the site in the folder is complete.
    """
    known = {found.key: found.etag.strip('"') for found in store.list("")}
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    changed = [key for key, path in files.items() if known.get(key) != _tag(path)]
    gone = sorted(set(known) - set(files))

    def write(key: str) -> None:
        store.put(key, files[key].read_bytes(), content_type=_type(key))

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(write, changed))
        list(threads.map(store.delete, gone))
    return Uploaded(len(changed), len(files) - len(changed), len(gone))


def _tag(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _type(key: str) -> str:
    kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
