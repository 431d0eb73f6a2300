"""Copying the store to a folder, and a store back from it; both end with a verification.

A backup is a local copy as docs/evidence-format.md describes it, so that ``nachweis verify --copy``
and the offline verifier read it. It follows removals: what the ledger says was withdrawn or
disposed of, and texts that were erased, leave it with the next call.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nachweis.domain.errors import IntegrityError, NachweisError, StoreConflictError
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.load import load_world
from nachweis.pipeline.verification import Verification, verify_all
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import content_type, lock_for
from nachweis.storage.layout import Kind
from nachweis.storage.ledger import ENVELOPE_CONTENT_TYPE
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.s3 import BucketRole, open_store

WORKERS = 8
_BUCKETS: tuple[BucketRole, ...] = ("records", "anchor", "narratives")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup or restore did.

    Attributes:
        written: Objects written.
        kept: Objects that were there already.
        removed: Objects that left the backup, because the store has removed them.
        verification: The copy's, or the restored store's.
    """

    written: int
    kept: int
    removed: int
    verification: Verification


def backup(settings: Settings, folder: Path, trusted: str | None = None) -> Copied:
    """Copy records, checkpoints and texts to a folder, and verify the copy.

    The ledger is listed first and copied as far as it went then, so that nights may be signed
    meanwhile. Written once is copied once: a second call adds what is new.

    Args:
        settings: Resolved settings.
        folder: New or empty folder, or an earlier backup of the same store.
        trusted: Fingerprint or public key file; default is the own signer's key.

    Returns:
        What was done; the verification may have found problems, which the store then has too.

    Raises:
        NachweisError: If the folder holds something else, or cannot be written.
        StoreError: If the store cannot be reached.
    """
    archive = open_archive(settings)
    length = archive.length
    if not length:
        raise NachweisError("nothing was signed yet, so there is nothing to back up")
    _demand_backup(folder, archive.entries[0].digest)
    wanted: dict[str, BucketRole] = {}
    for bucket in _BUCKETS:
        for stored in open_store(settings, bucket).list(""):
            if _copied(stored.key, bucket, length) and stored.key not in archive.removed:
                wanted[stored.key] = bucket
    stores = {bucket: open_store(settings, bucket) for bucket in _BUCKETS}
    # By its first entry an interrupted backup is known to be one of this store.
    _write(folder / layout.ledger(1), stores["records"].get(layout.ledger(1)))

    def one(key: str) -> int:
        path = folder / key
        if path.exists() and layout.locate(key).kind not in layout.MUTABLE:
            return 0
        try:
            content = stores[wanted[key]].get(key)
        except KeyError:
            return 0  # erased or removed since it was listed
        _write(path, content)
        return 1

    with ThreadPoolExecutor(WORKERS) as pool:
        written = sum(pool.map(one, wanted))
    gone = [key for key in _keys(folder) if key not in wanted]
    for key in gone:
        (folder / key).unlink()
    verification = verify_all(settings, trusted, copy=folder)
    return Copied(written, len(wanted) - written, len(gone), verification)


def restore(
    settings: Settings,
    folder: Path,
    trusted: str | None = None,
    *,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Copied:
    """Write a backup to buckets that are empty, or that an interrupted restore left, and verify.

    Documents come first and the ledger's entries last, in order: whoever is interrupted leaves a
    store whose ledger vouches for nothing that is not there.

    Args:
        settings: Resolved settings of the new store, whose buckets are set up.
        folder: A backup.
        trusted: Fingerprint or public key file; default is the own signer's key.
        now: Clock, for the new locks.

    Returns:
        What was done.

    Raises:
        IntegrityError: If the backup does not verify; nothing is written then.
        StoreConflictError: If the store holds something that the backup does not.
        StoreError: If the store refuses or cannot be reached.
    """
    before = verify_all(settings, trusted, copy=folder)
    keys = sorted(_keys(folder), key=_order)
    if not before.ok or not before.report.entries:
        problem = next(iter(before.sentences()), "it holds no ledger")
        raise IntegrityError(
            f"the backup does not verify ({problem})",
            where=str(folder),
            remedy="take another one, or find out what changed it: nachweis verify --copy FOLDER",
        )
    stores = {bucket: open_store(settings, bucket) for bucket in _BUCKETS}
    _demand_nothing_else(stores.values(), set(keys))
    period = load_world(settings).world.policy.retention_lock

    def one(key: str) -> int:
        content = (folder / key).read_bytes()
        kind = layout.locate(key).kind
        store = stores[_bucket(kind)]
        if kind in layout.MUTABLE:
            store.put(key, content, content_type=content_type(key))
            return 1
        lock = lock_for(key, retention=settings.retention_class, period=period, now=now())
        signed = kind in {Kind.LEDGER, Kind.CHECKPOINT}
        return store.put_if_absent(
            key,
            content,
            content_type=ENVELOPE_CONTENT_TYPE if signed else content_type(key),
            lock=None if kind is Kind.TEXT else lock,
        )

    last = [key for key in keys if layout.locate(key).kind is Kind.LEDGER]
    points = [key for key in keys if layout.locate(key).kind is Kind.CHECKPOINT]
    first = [key for key in keys if key not in {*last, *points}]
    with ThreadPoolExecutor(WORKERS) as pool:
        written = sum(pool.map(one, first))
    written += sum(map(one, last))
    with ThreadPoolExecutor(WORKERS) as pool:
        written += sum(pool.map(one, points))
    return Copied(written, len(keys) - written, 0, verify_all(settings, trusted))


# ------------------------------------------------------------------------------- inside


def _copied(key: str, bucket: BucketRole, length: int) -> bool:
    """Whether an object belongs into a backup: of the layout, in its bucket, not newer than it."""
    try:
        location = layout.locate(key)
    except NachweisError:
        return False
    if _bucket(location.kind) != bucket:
        return False
    numbered = location.kind in {Kind.LEDGER, Kind.CHECKPOINT, Kind.TIMESTAMP}
    return not numbered or location.number("sequence") <= length


def _bucket(kind: Kind) -> BucketRole:
    if kind is Kind.TEXT:
        return "narratives"
    return "anchor" if kind in {Kind.CHECKPOINT, Kind.TIMESTAMP} else "records"


def _order(key: str) -> tuple[bool, str]:
    return layout.locate(key).kind in {Kind.LEDGER, Kind.CHECKPOINT, Kind.TIMESTAMP}, key


def _keys(folder: Path) -> list[str]:
    """Keys of the layout that a folder holds; nothing else in it is touched."""
    found = []
    for path in folder.rglob("*"):
        key = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink():
            try:
                layout.locate(key)
            except NachweisError:
                continue
            found.append(key)
    return found


def _demand_backup(folder: Path, first: str) -> None:
    """Refuse a folder that is no backup of this store: following it would delete files."""
    from nachweis.storage.chain import entry_at
    from nachweis.storage.folder_store import FolderStore

    if folder.exists() and not folder.is_dir():
        raise NachweisError("not a folder", where=str(folder))
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        own = entry_at(FolderStore(folder), 1).digest == first
    except IntegrityError:
        own = False
    if not own:
        raise NachweisError(
            "the folder holds something other than a backup of this store",
            where=str(folder),
            remedy="name a new folder",
        )


def _demand_nothing_else(stores: Iterable[ObjectStore], known: set[str]) -> None:
    for store in stores:
        for stored in store.list(""):
            try:
                kind = layout.locate(stored.key).kind
            except NachweisError:
                continue
            if stored.key not in known:
                raise StoreConflictError(
                    f"the bucket holds a {kind.value} that the backup does not",
                    where=f"s3://{store.bucket}/{stored.key}",
                    remedy="restore into buckets of their own; a store is never merged with "
                    "another",
                )


def _write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NachweisError(
            f"the backup cannot be written ({error.strerror})",
            where=str(path.parent),
            remedy="check the folder and the space left, then run it again: it goes on",
        ) from error
