"""Reading the ledger: its end, its entries, the keys in force, with few requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import islice

from nachweis.domain.errors import IntegrityError, StoreError
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind, LedgerEntry, NightPredicate, parse_payload
from nachweis.storage.keyring import Keyring
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.signing import open_envelope

PAGE = 1000
"""Keys that one listing request returns."""
CLOCK_SKEW = dt.timedelta(hours=1)
"""How far the clocks of the signer and of the store may differ."""


def latest_key_entry(last: LedgerEntry | None) -> int:
    """Number of the key entry in force after an entry; 0 before the first one."""
    if last is None:
        return 0
    return last.sequence if last.kind is EntryKind.KEY else last.key_entry


def entry_at(store: ObjectStore, sequence: int) -> LedgerEntry:
    """Read one entry without verifying its signature.

    Args:
        store: The bucket ``records``.
        sequence: Its number.

    Returns:
        The entry.

    Raises:
        IntegrityError: If it is missing, malformed or under a wrong number.
    """
    return _parse_at(_envelope_at(store, sequence), sequence)


def head(store: ObjectStore, *, hint: int = 0) -> LedgerEntry | None:
    """The last entry, found with few requests.

    Args:
        store: The bucket ``records``.
        hint: A sequence number that is known to exist.

    Returns:
        The entry, or None if the ledger is empty.

    Raises:
        IntegrityError: If it is malformed.
    """
    sequence = last_sequence(store, hint=hint)
    return entry_at(store, sequence) if sequence else None


def last_sequence(store: ObjectStore, *, hint: int = 0) -> int:
    """The highest number in the ledger; 0 if it is empty.

    One listing after the hint is enough in the common case. Where more than a page follows, the
    end is enclosed by doubling steps and bisection, so that the cost grows with the logarithm.

    Args:
        store: The bucket ``records``.
        hint: A sequence number that is known to exist; a wrong one is noticed.

    Returns:
        The number.
    """
    if hint and store.head(layout.ledger(hint)) is None:
        hint = 0
    page = _numbers(store, hint)
    last = page[-1] if page else hint
    if len(page) < PAGE:
        return last
    step = PAGE
    while store.head(layout.ledger(last + step)) is not None:
        last += step
        step *= 2
    while step > PAGE:
        step //= 2
        if store.head(layout.ledger(last + step)) is not None:
            last += step
    while page := _numbers(store, last):
        last = page[-1]
    return last


def read(store: ObjectStore, start: int = 1) -> Iterator[LedgerEntry]:
    """Entries in order, without verifying their signatures.

    Args:
        store: The bucket ``records``.
        start: First number.

    Yields:
        Entries up to the end.

    Raises:
        IntegrityError: If one is malformed.
    """
    after = "" if start <= 1 else layout.ledger(start - 1)
    for stored in store.list(layout.LEDGER, start_after=after):
        yield entry_at(store, _number(stored.key))


def read_back(store: ObjectStore, *, hint: int = 0) -> Iterator[LedgerEntry]:
    """Entries from the last to the first, without verifying their signatures."""
    for sequence in range(last_sequence(store, hint=hint), 0, -1):
        yield entry_at(store, sequence)


def signed_attempts(store: ObjectStore, night: str, *, hint: int = 0) -> list[LedgerEntry]:
    """The attempts of a night that count, oldest first.

    An entry follows the statement that it cites, so that the search ends at entries that are
    older than the night's first statement; a night without a statement costs one listing.

    Args:
        store: The bucket ``records``.
        night: The night, YYYY-MM-DD.
        hint: A sequence number that is known to exist.

    Returns:
        Its ``night`` entries.
    """
    written = [
        stored.modified
        for stored in store.list(layout.night_prefix(night))
        if stored.key.endswith("/statement.json")
    ]
    found: list[LedgerEntry] = []
    if not written:
        return found
    earliest = min(written) - CLOCK_SKEW
    for entry in read_back(store, hint=hint):
        if entry.signed_at < earliest:
            break
        if isinstance(entry.predicate, NightPredicate) and entry.predicate.night == night:
            found.append(entry)
    return found[::-1]


def keys_in_force(store: ObjectStore, last: LedgerEntry) -> Keyring:
    """The keys in force after an entry, and a check of the key entries and of that entry.

    Args:
        store: The bucket ``records``.
        last: The entry after which somebody wants to write.

    Returns:
        The keys; each key entry names its predecessor, so that only those are read.

    Raises:
        IntegrityError: If a key entry or the last entry does not verify.
    """
    chain: list[int] = []
    at = latest_key_entry(last)
    while at:
        if chain and at >= chain[-1]:
            raise IntegrityError("key entries do not lead back", where=layout.ledger(at))
        chain.append(at)
        at = entry_at(store, at).key_entry
    keyring = Keyring()
    for sequence in reversed(chain):
        keyring.admit(_envelope_at(store, sequence))
    if last.kind is not EntryKind.KEY:
        keyring.admit(_envelope_at(store, last.sequence))
    return keyring


def follow(store: ObjectStore, keyring: Keyring, last: LedgerEntry) -> Iterator[LedgerEntry]:
    """The entries that were written behind one, verified, with one request each.

    Args:
        store: The bucket ``records``.
        keyring: The keys in force after that entry; follows along.
        last: The entry.

    Yields:
        The entries behind it, in order.

    Raises:
        IntegrityError: If one does not verify or does not continue the chain.
    """
    while True:
        key = layout.ledger(last.sequence + 1)
        try:
            envelope = store.get(key)
        except KeyError:
            return
        entry = _parse_at(envelope, last.sequence + 1)
        if entry.previous != last.digest:
            raise IntegrityError("the entry does not continue the one before it", where=key)
        keyring.admit(envelope)
        yield entry
        last = entry


def _numbers(store: ObjectStore, after: int) -> list[int]:
    start = layout.ledger(after) if after else ""
    page = islice(store.list(layout.LEDGER, start_after=start), PAGE)
    return [_number(stored.key) for stored in page]


def _number(key: str) -> int:
    try:
        return layout.locate(key).number("sequence")
    except StoreError as error:
        raise IntegrityError(
            "the ledger's folder holds something that is not an entry", where=layout.LEDGER
        ) from error


def _envelope_at(store: ObjectStore, sequence: int) -> bytes:
    key = layout.ledger(sequence)
    try:
        return store.get(key)
    except KeyError as error:
        raise IntegrityError("an entry of the ledger is missing", where=key) from error


def _parse_at(envelope: bytes, sequence: int) -> LedgerEntry:
    key = layout.ledger(sequence)
    try:
        entry = parse_payload(open_envelope(envelope))
    except IntegrityError as error:
        raise IntegrityError(error.what, where=key) from error
    if entry.sequence != sequence:
        raise IntegrityError("the entry is stored under another number than its own", where=key)
    return entry
