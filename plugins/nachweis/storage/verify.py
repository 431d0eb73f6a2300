"""Verification of a whole store: ledger, keys, digests, versions and the anchor.

Every object is listed once and read at most once. A report never stops at the first problem: it
names all of them by a stable code, the key and a sentence.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nachweis.domain.errors import IntegrityError, StoreError
from nachweis.storage import layout
from nachweis.storage.chain import last_sequence
from nachweis.storage.entries import EntryKind, LedgerEntry, NightPredicate, ReferencePredicate
from nachweis.storage.inventory import Inventory
from nachweis.storage.narratives import TextRef, read_text
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.timestamps import Authority
from nachweis.storage.verify_chain import Chain
from nachweis.storage.verify_documents import Documents
from nachweis.storage.verify_report import Code, Notice, Problem, Remark, Remarks, VerifyReport

__all__ = ["Code", "Notice", "Point", "Problem", "Remark", "VerifyReport", "verify_store"]


@dataclass(frozen=True, slots=True)
class Point:
    """An entry of the ledger, up to which everything was verified before.

    Attributes:
        sequence: Its number.
        head: SHA-256 of its payload.
    """

    sequence: int
    head: str


def verify_store(
    records: ObjectStore,
    trusted_keys: Collection[str],
    *,
    anchor: ObjectStore | None = None,
    narratives: ObjectStore | None = None,
    since: Point | None = None,
    until: dt.datetime | None = None,
    stamps: Authority | None = None,
) -> VerifyReport:
    """Verify everything that the ledger vouches for, or a part of it.

    Args:
        records: The bucket ``records``.
        trusted_keys: Pinned fingerprints (see :func:`nachweis.storage.signing.pinned`). One key
            of the ledger must be among them: entries before its first signature are vouched for
            by the hash chain, entries after it by the authority it passed on.
        anchor: The bucket ``anchor``.
        narratives: The bucket ``narratives``.
        since: Look only at what was signed behind this entry. If the ledger does not hold it,
            that is a problem, and everything is looked at.
        until: Look only at what was signed up to this moment by the signers' clocks. Revocations
            and removals count whenever they were signed.
        stamps: Whose time stamps of checkpoints to believe.

    Returns:
        The report.

    Raises:
        StoreError: If a store cannot be reached.
    """
    remarks = Remarks()
    chain = Chain(remarks)
    inventory = _resumed(records, chain, since, remarks) if since else None
    whole = inventory is None
    if inventory is None:
        inventory = Inventory.take(records)
    chain.walk(records, inventory)
    chain.judge_keys(frozenset(trusted_keys))
    entries = list(chain.entries.values())
    if until is not None:
        last = max((e.sequence for e in entries if e.signed_at <= until), default=0)
        entries = [entry for entry in entries if entry.sequence <= last]
    end = chain.length if until is None else last
    anchored = chain.compare_with(anchor, until=None if until is None else end) if anchor else 0
    reach = None if until is None else end
    stamped = chain.compare_stamps(anchor, stamps, until=reach) if anchor else (0, "")
    if not whole:
        inventory.list_more(records, _night_folders(entries))
    removed = _removed(chain.entries.values())
    documents = Documents(
        records, inventory, remarks, removed, whole=whole, to_the_end=until is None
    )
    documents.verify(entries)
    if narratives is not None:
        _verify_texts(narratives, entries, remarks)
    return VerifyReport(
        entries=chain.count if until is None else len(entries),
        nights=sum(entry.kind is EntryKind.NIGHT for entry in entries),
        objects=sum(held.versions > 0 for held in inventory.held.values()),
        checked=len(entries) + documents.checked,
        head=chain.digest_of(end),
        anchored=anchored,
        keys=tuple(sorted(chain.keyring.active)),
        problems=tuple(remarks.problems),
        notices=tuple(remarks.notices),
        anchored_head=chain.digest_of(anchored),
        since=chain.begin,
        in_force=documents.in_force() if whole else (),
        timestamped=stamped[0],
        timestamped_at=stamped[1],
    )


def _resumed(
    records: ObjectStore, chain: Chain, since: Point, remarks: Remarks
) -> Inventory | None:
    """What the ledger holds behind an entry; None if it does not hold that entry."""
    if not chain.resume(records, since.sequence, since.head):
        remarks.problem(
            Code.LEDGER_REWRITTEN,
            layout.ledger(since.sequence),
            "The ledger no longer holds the entry that was verified before.",
        )
        return None
    last = last_sequence(records, hint=since.sequence)
    return Inventory.take(records, *_between(since.sequence, max(last, since.sequence + 1)))


def _between(before: int, last: int) -> list[str]:
    """Few prefixes that all keys of entries behind one number up to another begin with."""
    width = len(str(layout.LARGEST_SEQUENCE))
    digits = str(before).zfill(width)
    return [
        f"{layout.LEDGER}{digits[:place]}{digit}"
        for place in range(width)
        for digit in range(int(digits[place]) + 1, 10)
        if int(f"{digits[:place]}{digit}".ljust(width, "0")) <= last
    ]


def _night_folders(entries: Iterable[LedgerEntry]) -> list[str]:
    folders = set()
    for entry in entries:
        said = entry.predicate
        if isinstance(said, NightPredicate):
            with contextlib.suppress(StoreError):
                folders.add(layout.attempt_prefix(said.night, said.attempt))
    return sorted(folders)


def _removed(entries: Iterable[LedgerEntry]) -> dict[str, EntryKind]:
    """Objects that were withdrawn or disposed of, as signed entries say."""
    removals = {EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
    return {
        key: entry.kind for entry in entries if entry.kind in removals for key in entry.subjects
    }


def _verify_texts(
    narratives: ObjectStore, entries: Iterable[LedgerEntry], remarks: Remarks
) -> None:
    for entry in entries:
        said = entry.predicate
        if not isinstance(said, ReferencePredicate) or not said.text_ref:
            continue
        key = layout.text(said.text_ref)
        try:
            read_text(narratives, TextRef(said.text_ref, said.text_digest or ""))
        except KeyError:
            remarks.notice(Remark.TEXT_ERASED, key, "The text that an entry cites was erased.")
        except IntegrityError as error:
            remarks.problem(Code.TEXT_CHANGED, key, f"The text cannot be trusted: {error.what}.")
