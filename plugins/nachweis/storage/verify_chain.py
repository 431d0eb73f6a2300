"""Verification of the ledger itself: order, hash chain, signatures, keys, anchor."""

from __future__ import annotations

from dataclasses import dataclass, field

from nachweis.domain.errors import IntegrityError
from nachweis.storage import layout
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.entries import (
    NO_PREVIOUS,
    EntryKind,
    LedgerEntry,
    parse_payload,
)
from nachweis.storage.inventory import Inventory, fetch
from nachweis.storage.keyring import Keyring
from nachweis.storage.layout import Kind
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.signing import open_envelope, verify_envelope
from nachweis.storage.verify_report import Code, Remark, Remarks


@dataclass(slots=True)
class Chain:
    """A walk along the ledger.

    Attributes:
        remarks: What the walk finds.
        entries: Entries whose signature verifies, by number.
        length: Highest number that the ledger holds.
        keyring: Keys in force after the last entry.
    """

    remarks: Remarks
    entries: dict[int, LedgerEntry] = field(default_factory=dict)
    length: int = 0
    keyring: Keyring = field(default_factory=Keyring)
    _signers: dict[int, frozenset[str]] = field(default_factory=dict)
    _previous: str | None = NO_PREVIOUS
    _key_entry: int = 0

    @property
    def head(self) -> str:
        """Digest of the last entry's payload; empty if it does not verify or there is none."""
        return self.entries[self.length].digest if self.length in self.entries else ""

    def walk(self, records: ObjectStore, inventory: Inventory) -> None:
        """Read all entries in order; what follows a broken one is still looked at.

        Args:
            records: The bucket ``records``.
            inventory: What it holds.
        """
        keys = [key for key, _ in inventory.of(Kind.LEDGER)]
        for key, body in fetch(records, keys):
            number = layout.locate(key).number("sequence")
            if number != self.length + 1:
                self._gap(self.length + 1, number - 1)
            self.length = number
            if isinstance(body, bytes):
                self._entry(number, key, body)
            else:
                self._broken(Code.OBJECT_CORRUPT, key, "The entry cannot be read.")

    def judge_keys(self, trusted: frozenset[str]) -> None:
        """Is the ledger's origin pinned, and did no revoked key sign alone?

        Args:
            trusted: Pinned fingerprints.
        """
        if self._signers and not trusted & set(self.keyring.known):
            self.remarks.problem(
                Code.KEY_UNTRUSTED,
                layout.ledger(min(self._signers)),
                "No key of this ledger is among the trusted keys.",
            )
        revoked = self.keyring.revoked
        for number, keyids in self._signers.items():
            if all(revoked.get(keyid, number + 1) <= number for keyid in keyids):
                self.remarks.problem(
                    Code.KEY_REVOKED,
                    layout.ledger(number),
                    "Every key that signed the entry was revoked with effect from before it.",
                )

    def compare_with(self, anchor: ObjectStore) -> int:
        """Compare the ledger with the newest checkpoint.

        The chain covers every entry before the anchored one, so that older checkpoints add
        nothing.

        Args:
            anchor: The bucket ``anchor``.

        Returns:
            Number of the anchored entry, 0 if there is none.
        """
        newest = ""
        for stored in anchor.list(layout.CHECKPOINTS):
            newest = stored.key
        if not newest:
            if self.length:
                self.remarks.notice(Remark.NOT_ANCHORED, "", "The anchor holds no checkpoint.")
            return 0
        sequence = layout.locate(newest).number("sequence")
        if sequence > self.length:
            self.remarks.problem(
                Code.LEDGER_TRUNCATED,
                newest,
                f"The anchor knows {sequence} entries; the ledger holds {self.length}.",
            )
            return sequence
        try:
            envelope = verify_envelope(anchor.get(newest), self.keyring.known)
            point = Checkpoint.parse(envelope.payload)
        except (IntegrityError, KeyError):
            self.remarks.problem(
                Code.CHECKPOINT_INVALID, newest, "The checkpoint is malformed or not signed."
            )
            return sequence
        entry = self.entries.get(sequence)
        if point.sequence != sequence or (entry and entry.digest != point.head):
            self.remarks.problem(
                Code.CHECKPOINT_MISMATCH, newest, "The ledger is not the one that was anchored."
            )
        if sequence < self.length:
            self.remarks.notice(
                Remark.NOT_ANCHORED,
                layout.ledger(self.length),
                f"Entries after number {sequence} are newer than the newest checkpoint.",
            )
        return sequence

    # ------------------------------------------------------------------------------ inside

    def _gap(self, first: int, last: int) -> None:
        missing = f"Entries {first} to {last} are" if last > first else f"Entry {first} is"
        self._broken(Code.LEDGER_GAP, layout.ledger(first), f"{missing} missing.")

    def _broken(self, code: Code, key: str, sentence: str) -> None:
        """A place at which the chain cannot be followed; the next entry is not blamed for it."""
        self.remarks.problem(code, key, sentence)
        self._previous = None

    def _entry(self, number: int, key: str, body: bytes) -> None:
        try:
            entry = parse_payload(open_envelope(body))
        except IntegrityError as error:
            self._broken(Code.ENTRY_MALFORMED, key, f"The entry is malformed: {error.what}.")
            return
        if entry.sequence != number:
            self.remarks.problem(
                Code.ENTRY_MISPLACED, key, f"The entry says that it is number {entry.sequence}."
            )
        if self._previous is not None:
            if entry.previous != self._previous:
                self.remarks.problem(
                    Code.CHAIN_BROKEN, key, "The entry does not continue the entry before it."
                )
            elif entry.key_entry != self._key_entry:
                self.remarks.problem(
                    Code.CHAIN_BROKEN, key, "The entry names a wrong key entry before it."
                )
        self._previous = entry.digest
        try:
            _, self._signers[number] = self.keyring.admit(body)
        except IntegrityError as error:
            self.remarks.problem(
                Code.SIGNATURE_INVALID, key, f"The signature does not verify: {error.what}."
            )
            return
        if entry.kind is EntryKind.KEY:
            self._key_entry = number
        self.entries[number] = entry
