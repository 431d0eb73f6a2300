"""How documents become objects: encoding by suffix, write protection by kind, safe rewriting."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zlib
from typing import Literal

from nachweis.domain.errors import IntegrityError, StoreConflictError
from nachweis.domain.manifest.common import after
from nachweis.storage import layout
from nachweis.storage.object_store import Lock, ObjectStore

LARGEST_DOCUMENT = 256 * 1024 * 1024
"""Bytes a compressed document may unpack to; a larger one is refused, not read."""

DEMONSTRATION_LOCK = "P1D"
STANDARD_LOCK = "P13M"


def encode(key: str, content: bytes) -> bytes:
    """The bytes stored under a key for a document's bytes.

    Args:
        key: Object key; the suffix ``.gz`` asks for compression.
        content: The document's bytes.

    Returns:
        The same bytes, or their gzip form without a time stamp.
    """
    return gzip.compress(content, compresslevel=6, mtime=0) if key.endswith(".gz") else content


def decode(key: str, body: bytes) -> bytes:
    """The document's bytes for what is stored under a key.

    Args:
        key: Object key.
        body: Stored bytes.

    Returns:
        The document's bytes, which its digest covers.

    Raises:
        IntegrityError: If compressed bytes are broken or unpack to more than is allowed.
    """
    if not key.endswith(".gz"):
        return body
    if not body:
        raise IntegrityError("the object is empty", where=key)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            content = stream.read(LARGEST_DOCUMENT + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise IntegrityError(
            f"the object is not a gzip stream ({type(error).__name__})", where=key
        ) from error
    if len(content) > LARGEST_DOCUMENT:
        raise IntegrityError("the object unpacks to more bytes than are allowed", where=key)
    return content


def content_type(key: str) -> str:
    """MIME type stored with a key."""
    suffix = key.rsplit(".", 1)[-1]
    return {
        "gz": "application/gzip",
        "html": "text/html; charset=utf-8",
        "json": "application/json",
        "jsonld": "application/ld+json",
        "pdf": "application/pdf",
        "csv": "text/csv; charset=utf-8",
        "md": "text/markdown; charset=utf-8",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }.get(suffix, "application/octet-stream")


def lock_for(
    key: str,
    *,
    retention: Literal["demonstration", "standard"],
    period: str = STANDARD_LOCK,
    now: dt.datetime | None = None,
) -> Lock | None:
    """Write protection for an object of the records bucket.

    Args:
        key: Object key of the layout.
        retention: ``demonstration`` protects everything for one day in GOVERNANCE mode.
        period: Length of the standard protection, ``policy.retention_lock``.
        now: Aware present time; default is the clock.

    Returns:
        The lock in whole seconds, or None for a mutable object.
    """
    kind = layout.locate(key).kind
    if kind in layout.MUTABLE:
        return None
    moment = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)
    if retention == "demonstration":
        return Lock("GOVERNANCE", after(moment, DEMONSTRATION_LOCK))
    mode: Literal["COMPLIANCE", "GOVERNANCE"] = (
        "COMPLIANCE" if kind in layout.COMPLIANCE_LOCKED else "GOVERNANCE"
    )
    return Lock(mode, after(moment, period))


def write_document(
    store: ObjectStore, key: str, content: bytes, *, lock: Lock | None = None
) -> bool:
    """Write a document once; writing the same document again is not a conflict.

    Another release of the compression library may pack the same document into other bytes, so
    that a conflict is decided by the unpacked content.

    Args:
        store: The bucket.
        key: Object key.
        content: The document's bytes.
        lock: Write protection.

    Returns:
        True if this call wrote it, False if the document was already there.

    Raises:
        StoreConflictError: If the key holds another document.
    """
    try:
        return store.put_if_absent(
            key, encode(key, content), content_type=content_type(key), lock=lock
        )
    except StoreConflictError:
        if key.endswith(".gz") and read_document(store, key) == content:
            return False
        raise


def read_document(store: ObjectStore, key: str) -> bytes:
    """Read a document's bytes.

    Args:
        store: The bucket.
        key: Object key.

    Returns:
        Unpacked bytes.

    Raises:
        KeyError: If there is no such object.
        IntegrityError: If it is broken.
    """
    return decode(key, store.get(key))
