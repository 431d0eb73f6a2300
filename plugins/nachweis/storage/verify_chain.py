"""Verification of the ledger itself: order, hash chain, signatures, keys, anchor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from nachweis.domain.errors import IntegrityError
from nachweis.storage import layout
from nachweis.storage.chain import entry_at, keys_in_force, latest_key_entry
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.entries import NO_PREVIOUS, EntryKind, LedgerEntry, read_payload
from nachweis.storage.inventory import Inventory, fetch
from nachweis.storage.keyring import Keyring
from nachweis.storage.layout import Kind
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.signature_batch import Job, Queue, verify_all
from nachweis.storage.signing import WRONG_SIGNATURE, jobs_of, open_signed
from nachweis.storage.timestamps import Authority, verify_token
from nachweis.storage.verify_report import Code, Remark, Remarks


@dataclass(slots=True)
class Chain:
    """A walk along the ledger.

    Attributes:
        remarks: What the walk finds.
        entries: Entries whose signature verifies, by number.
        length: Highest number that the ledger holds.
        count: Number of entries that were found.
        begin: Number of the entry before the walk, 0 for a walk along all of it.
        keyring: Keys in force after the last entry.
    """

    remarks: Remarks
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    length: int = 0
    count: int = 0
    begin: int = 0
    keyring: Keyring = field(default_factory=Keyring)
    _signers: dict[int, frozenset[str]] = field(default_factory=dict)
    _previous: str | None = NO_PREVIOUS
    _key_entry: int = 0
    _queue: Queue = field(default_factory=Queue)
    _digests: dict[int, str] = field(default_factory=dict)

    def digest_of(self, number: int) -> str:
        """Digest of an entry's payload; empty if the entry does not verify."""
        known = number in self.entries or number == self.begin
        return self._digests.get(number, "") if known else ""

    def resume(self, records: ObjectStore, sequence: int, digest: str) -> bool:
        """Begin the walk behind an entry that was verified before.

        The entry itself and all key entries up to it are read and verified once more.

        Args:
            records: The bucket ``records``.
            sequence: Number of the entry.
            digest: Digest of its payload.

        Returns:
            False if the ledger no longer holds this entry; then begin at its first one.
        """
        try:
            entry = entry_at(records, sequence)
            keyring = keys_in_force(records, entry)
        except IntegrityError:
            return False
        if entry.digest != digest:
            return False
        self.begin = self.length = sequence
        self.keyring = keyring
        self._previous, self._digests[sequence] = digest, digest
        self._key_entry = latest_key_entry(entry)
        return True

    def walk(self, records: ObjectStore, inventory: Inventory) -> None:
        """Read all entries in order; what follows a broken one is still looked at.

        Args:
            records: The bucket ``records``.
            inventory: What it holds.
        """
        numbers = [location.number("sequence") for _, location in inventory.of(Kind.LEDGER)]
        numbers = [number for number in numbers if number > self.begin]
        found = fetch(records, [layout.ledger(number) for number in numbers])
        for number, (key, body) in zip(numbers, found, strict=True):
            if number != self.length + 1:
                self._gap(self.length + 1, number - 1)
            self.length = number
            self.count += 1
            if isinstance(body, bytes):
                self._entry(number, key, body)
            else:
                self._broken(Code.OBJECT_CORRUPT, key, "The entry cannot be read.")
        self._queue.finish()
        self.entries = dict(sorted(self.entries.items()))

    def judge_keys(self, trusted: frozenset[str]) -> None:
        """Is the ledger's origin pinned, and did no revoked key sign alone?

        Args:
            trusted: Pinned fingerprints.
        """
        if (self.count or self.begin) and not trusted & set(self.keyring.known):
            self.remarks.problem(
                Code.KEY_UNTRUSTED,
                layout.ledger(min(self._signers, default=self.begin or 1)),
                "No key of this ledger is among the trusted keys.",
            )
        revoked = self.keyring.revoked
        for number, keyids in sorted(self._signers.items()):
            if all(revoked.get(keyid, number + 1) <= number for keyid in keyids):
                self.remarks.problem(
                    Code.KEY_REVOKED,
                    layout.ledger(number),
                    "Every key that signed the entry was revoked with effect from before it.",
                )

    def compare_with(self, anchor: ObjectStore, *, until: int | None = None) -> int:
        """Compare the ledger with its checkpoints.

        Every checkpoint counts, not only the newest one: whoever rewrites the end of the ledger
        can sign a new checkpoint for it, but cannot remove the older ones that contradict it.

        Args:
            anchor: The bucket ``anchor``.
            until: Only checkpoints up to this entry.

        Returns:
            Number of the last anchored entry, 0 if there is none.
        """
        inventory = Inventory.take(anchor, layout.CHECKPOINTS)
        for key, held in inventory.held.items():
            if held.markers:
                self.remarks.problem(
                    Code.OBJECT_DELETED, key, "A delete marker hides a checkpoint."
                )
            if held.versions > 1:
                self.remarks.problem(
                    Code.OBJECT_OVERWRITTEN, key, f"The checkpoint has {held.versions} versions."
                )
        found = [
            location.number("sequence")
            for _, location in inventory.of(Kind.CHECKPOINT)
            if until is None or location.number("sequence") <= until
        ]
        if not found:
            if self.length:
                self.remarks.notice(Remark.NOT_ANCHORED, "", "The anchor holds no checkpoint.")
            return 0
        newest = max(found)
        if self.begin and self.begin not in found:
            self.remarks.problem(
                Code.OBJECT_MISSING,
                layout.checkpoint(self.begin),
                "The checkpoint that the last verification relied on is gone.",
            )
        if newest > self.length:
            self.remarks.problem(
                Code.LEDGER_TRUNCATED,
                layout.checkpoint(newest),
                f"The anchor knows {newest} entries; the ledger holds {self.length}.",
            )
        self._compare(anchor, [number for number in found if self.begin <= number <= self.length])
        if newest < self.length:
            self.remarks.notice(
                Remark.NOT_ANCHORED,
                layout.ledger(self.length),
                f"Entries after number {newest} are newer than the newest checkpoint.",
            )
        return newest

    def compare_stamps(
        self, anchor: ObjectStore, trusted: Authority | None, *, until: int | None = None
    ) -> tuple[int, str]:
        """Verify the time stamps of checkpoints.

        Args:
            anchor: The bucket ``anchor``.
            trusted: The authority to believe; without one, stamps are only said to be there.
            until: Only stamps of checkpoints up to this entry.

        Returns:
            Number of the last entry whose checkpoint is stamped, and when; 0 if there is none.
        """
        inventory = Inventory.take(anchor, layout.TIMESTAMPS)
        for key, held in inventory.held.items():
            if held.markers:
                self.remarks.problem(
                    Code.OBJECT_DELETED, key, "A delete marker hides a time stamp."
                )
            if held.versions > 1:
                self.remarks.problem(
                    Code.OBJECT_OVERWRITTEN, key, f"The time stamp has {held.versions} versions."
                )
        found = [
            location.number("sequence")
            for _, location in inventory.of(Kind.TIMESTAMP)
            if until is None or location.number("sequence") <= until
        ]
        if trusted is None:
            if found:
                self.remarks.notice(
                    Remark.NOT_TIMESTAMPED,
                    layout.timestamp(max(found)),
                    "There are time stamps, and no certificates are named to verify them by.",
                )
            return 0, ""
        last, moment = 0, ""
        for number in (one for one in found if one >= self.begin):
            stamped_at = self._stamped(anchor, number, trusted)
            if stamped_at is not None:
                last, moment = number, stamped_at
        if last < self.length and until is None:
            behind = f"Entries after number {last}" if last else "The entries"
            self.remarks.notice(
                Remark.NOT_TIMESTAMPED,
                layout.ledger(self.length),
                f"{behind} carry no time stamp.",
            )
        return last, moment

    # ------------------------------------------------------------------------------ inside

    def _stamped(self, anchor: ObjectStore, number: int, trusted: Authority) -> str | None:
        try:
            token, checkpoint = (
                anchor.get(key) for key in (layout.timestamp(number), layout.checkpoint(number))
            )
            return verify_token(token, checkpoint, trusted).isoformat()
        except KeyError:
            return None  # a marker or a missing checkpoint, which is reported already
        except IntegrityError as error:
            self.remarks.problem(
                Code.TIMESTAMP_INVALID, layout.timestamp(number), f"{error.what.capitalize()}."
            )
            return None

    def _compare(self, anchor: ObjectStore, numbers: Iterable[int]) -> None:
        waiting: list[tuple[str, int, Checkpoint, list[Job]]] = []
        for key, body in fetch(anchor, [layout.checkpoint(number) for number in numbers]):
            if isinstance(body, KeyError):
                continue  # a delete marker hides it, which is reported already
            try:
                if isinstance(body, IntegrityError):
                    raise body
                opened = open_signed(body)
                point = Checkpoint.read(opened.document)
                jobs = jobs_of(opened, self.keyring.known)
            except IntegrityError:
                self._invalid(key)
                continue
            waiting.append((key, layout.locate(key).number("sequence"), point, jobs))
        verdicts = iter(verify_all([job for *_, jobs in waiting for job in jobs]))
        for key, number, point, jobs in waiting:
            if not all(list(islice(verdicts, len(jobs)))):
                self._invalid(key)
            elif point.sequence != number or point.head != self._digests.get(number, point.head):
                self.remarks.problem(
                    Code.CHECKPOINT_MISMATCH, key, "The ledger is not the one that was anchored."
                )

    def _invalid(self, key: str) -> None:
        self.remarks.problem(
            Code.CHECKPOINT_INVALID, key, "The checkpoint is malformed or not signed."
        )

    def _gap(self, first: int, last: int) -> None:
        missing = f"Entries {first} to {last} are" if last > first else f"Entry {first} is"
        self._broken(Code.LEDGER_GAP, layout.ledger(first), f"{missing} missing.")

    def _broken(self, code: Code, key: str, sentence: str) -> None:
        """A place at which the chain cannot be followed; the next entry is not blamed for it."""
        self.remarks.problem(code, key, sentence)
        self._previous = None

    def _entry(self, number: int, key: str, body: bytes) -> None:
        try:
            opened = open_signed(body)
            entry = read_payload(opened.payload, opened.document)
        except IntegrityError as error:
            self._broken(Code.ENTRY_MALFORMED, key, f"The entry is malformed: {error.what}.")
            return
        if entry.sequence != number:
            self.remarks.problem(
                Code.ENTRY_MISPLACED, key, f"The entry says that it is number {entry.sequence}."
            )
            entry = replace(entry, sequence=number)
        if self._previous is not None:
            if entry.previous != self._previous:
                self.remarks.problem(
                    Code.CHAIN_BROKEN, key, "The entry does not continue the entry before it."
                )
            elif entry.key_entry != self._key_entry:
                self.remarks.problem(
                    Code.CHAIN_BROKEN, key, "The entry names a wrong key entry before it."
                )
        self._previous = self._digests[number] = entry.digest
        try:
            if entry.kind is EntryKind.KEY:
                # What a key entry says decides who may sign the next one.
                self._signers[number] = self.keyring.take(opened, entry)
                self._key_entry = number
                self.entries[number] = entry
            else:
                jobs = jobs_of(opened, self.keyring.active)
                self._queue.add(jobs, partial(self._settle, number, entry, jobs))
        except IntegrityError as error:
            self._unsigned(number, error.what)

    def _settle(self, number: int, entry: LedgerEntry, jobs: list[Job], verified: bool) -> None:
        if verified:
            self.entries[number] = entry
            self._signers[number] = frozenset(job.key.keyid for job in jobs)
        else:
            self._unsigned(number, WRONG_SIGNATURE)

    def _unsigned(self, number: int, why: str) -> None:
        self.remarks.problem(
            Code.SIGNATURE_INVALID,
            layout.ledger(number),
            f"The signature does not verify: {why}.",
        )
