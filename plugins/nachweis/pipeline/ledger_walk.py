"""The ledger as this machine knows it: entries from the local cache, what follows from the store.

Each entry is verified by its signature before it enters the cache. From there on its payload is
bound by the hash chain to the newest entry, whose signature is verified each time, so that the
cache needs no trust: who rewrites a cached payload has to rewrite all that follow, the last
signature too. Once a key was revoked it matters which key signed what; then all signatures are
verified each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nachweis.domain.errors import IntegrityError
from nachweis.storage import layout
from nachweis.storage.documents import read_document
from nachweis.storage.entries import NO_PREVIOUS, EntryKind, LedgerEntry, read_payload
from nachweis.storage.keyring import Keyring
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.signature_batch import verify_all
from nachweis.storage.signing import WRONG_SIGNATURE, Opened, jobs_of, open_signed

if TYPE_CHECKING:
    from securesystemslib.signer import Key


@dataclass(frozen=True, slots=True)
class Walked:
    """The whole ledger.

    Attributes:
        entries: Each entry with the fingerprints of the keys that signed it, oldest first.
        revoked: Fingerprint to the first number that the key is not trusted for.
    """

    entries: list[tuple[LedgerEntry, frozenset[str]]]
    revoked: dict[str, int]


def keep_cached(path: Path, content: bytes) -> None:
    """Write a file that may be lost in one step; a full disk only costs the file."""
    temporary = path.with_name(f".{path.name}.{id(content):x}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


def walk(store: ObjectStore, cache: Path) -> Walked:
    """Read the ledger; one request tells whether anything was signed since the last time.

    Args:
        store: The bucket ``records``.
        cache: Local folder.

    Returns:
        The ledger.

    Raises:
        IntegrityError: If an entry does not verify, or the store's ledger is shorter than the
            cache's.
    """
    known = _cached(cache)
    # From the last known entry on: it has to be there still, and what follows is new.
    after = layout.ledger(known - 1) if known > 1 else ""
    listed = {stored.key for stored in store.list(layout.LEDGER, start_after=after)}
    if known and layout.ledger(known) not in listed:
        raise IntegrityError(
            "the store's ledger is shorter than what this machine has seen of it",
            where=layout.ledger(known),
            remedy="find out who shortened or reset the store; if you did so on purpose, "
            f"delete {cache}",
        )
    keyring, found = Keyring(), list[tuple[LedgerEntry, frozenset[str]]]()
    deferred: list[tuple[Opened, dict[str, Key]]] = []
    active: dict[str, Key] = {}
    previous, sequence = NO_PREVIOUS, 1
    while sequence <= known or layout.ledger(sequence) in listed:
        key = layout.ledger(sequence)
        envelope = _file(cache, sequence).read_bytes() if sequence <= known else None
        body = envelope if envelope is not None else read_document(store, key)
        opened, entry = _parsed(body)
        keyids = frozenset(opened.signatures) & active.keys()
        if envelope is not None and entry.kind is not EntryKind.KEY and keyids:
            deferred.append((opened, active))
        else:
            keyids = keyring.take(opened, entry)
            active = dict(keyring.active) if entry.kind is EntryKind.KEY else active
        if entry.sequence != sequence or entry.previous != previous:
            raise IntegrityError(
                "the chain is broken here",
                where=key,
                remedy="run `nachweis verify`; do not write to this store before it is clear",
            )
        if envelope is None:
            keep_cached(_file(cache, sequence), body)
        found.append((entry, keyids))
        previous, sequence = entry.digest, sequence + 1
    asked = deferred if keyring.revoked else deferred[-1:]
    if not all(verify_all([job for opened, keys in asked for job in jobs_of(opened, keys)])):
        raise IntegrityError(WRONG_SIGNATURE, where=layout.LEDGER)
    return Walked(found, keyring.revoked)


@lru_cache(maxsize=8192)
def _parsed(envelope: bytes) -> tuple[Opened, LedgerEntry]:
    """An entry, read once per process: a night opens its archive several times."""
    opened = open_signed(envelope)
    return replace(opened, document=None), read_payload(opened.payload, opened.document)


def _file(cache: Path, sequence: int) -> Path:
    return cache / "ledger" / Path(layout.ledger(sequence)).name


def _cached(cache: Path) -> int:
    """How many entries from the first on are cached without a gap."""
    folder = cache / "ledger"
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    count = 0
    while _file(cache, count + 1).name in names:
        count += 1
    return count
