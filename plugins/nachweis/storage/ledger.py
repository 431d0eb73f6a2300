"""The ledger: a hash chain of signed entries, one object each; writing one is the commit point.

Everything a night writes before its ledger entry is content-addressed or unreferenced, so that a
kill at any moment leaves the last signed state valid. An entry is written with a conditional PUT:
of two writers one gets the sequence number, the other takes the next one and signs again.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from nachweis.domain.errors import (
    IntegrityError,
    NachweisError,
    StoreConflictError,
    StoreUnavailableError,
)
from nachweis.domain.record import Statement
from nachweis.storage import layout
from nachweis.storage.chain import (
    entry_at,
    follow,
    head,
    keys_in_force,
    latest_key_entry,
    read,
    read_back,
    signed_attempts,
)
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.entries import (
    NO_PREVIOUS,
    EntryKind,
    KeyPredicate,
    LedgerEntry,
    NightPredicate,
    Predicate,
    build_payload,
    moment,
    parse_payload,
)
from nachweis.storage.keyring import Keyring
from nachweis.storage.object_store import Lock, ObjectStore
from nachweis.storage.signing import public_key_pem, sign

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = [
    "Appended",
    "Ledger",
    "OvertakenError",
    "head",
    "night_predicate",
    "read",
    "read_back",
    "signed_attempts",
]

ENVELOPE_CONTENT_TYPE = "application/vnd.dsse.envelope+json"
TRIES = 200
"""How often a writer takes the next number before it gives up.

Each loss means that another entry was written, so the ledger grows whoever waits: the number bounds
how many entries may overtake one writer, and has to exceed what all writers append at once."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 2.0
"""Seconds; the pause after a loss is random and at most this, after the first loss less."""
REPEATS = 3
"""How often the same bytes are sent again to a store that does not answer."""


class OvertakenError(StoreConflictError):
    """Another night was signed meanwhile, which the statement does not know of yet."""


class _Put(Enum):
    """How a conditional PUT ended, whatever the network did."""

    WRITTEN = "we wrote it"
    THERE = "another writer wrote the same bytes"
    TAKEN = "another writer has the number"


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an append.

    Attributes:
        entry: The entry in the ledger.
        written: False if another writer had already recorded the same fact.
        rebased: How many times another writer took the number first.
        anchor_problem: Why no checkpoint could be copied to the anchor; empty if one was, or if
            there is no anchor. The entry stands all the same.
    """

    entry: LedgerEntry
    written: bool
    rebased: int
    anchor_problem: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger that can be written.

    Attributes:
        store: The bucket ``records``.
        signer: Signer whose key the ledger announces or announced.
        lock: Write protection of new entries, computed for each.
        anchor: The bucket ``anchor``, if there is one.
        now: Clock.
        sleep: Waits between tries.
    """

    store: ObjectStore
    signer: Signer
    lock: Callable[[str], Lock | None] = lambda _: None
    anchor: ObjectStore | None = None
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    sleep: Callable[[float], None] = time.sleep

    def append(
        self,
        kind: EntryKind,
        subjects: Mapping[str, str],
        predicate: Predicate,
        *,
        hint: int | None = None,
    ) -> Appended:
        """Append an entry; the first one of a ledger is preceded by the signer's key.

        Args:
            kind: What it records.
            subjects: Object key to SHA-256 of the document.
            predicate: What it says.
            hint: How many entries the caller has read; it shortens the search for the end. What
                an entry behind them says already is not recorded a second time.

        Returns:
            The entry and what happened on the way.

        Raises:
            NachweisError: If the entry is too large or malformed.
            IntegrityError: If the end of the ledger does not verify, or the signer's key is not
                in force.
            StoreError: If the store cannot be reached or others always come first.
        """
        return self._append(kind, subjects, predicate, hint, alone=False)

    def append_night(
        self, key: str, statement: Statement, *, hint: int | None = None, alone: bool = False
    ) -> Appended:
        """Append the entry that makes an attempt of a night count.

        Args:
            key: Key under which the statement was written.
            statement: The statement.
            hint: How many entries the caller has read.
            alone: Append only if no other night was signed behind these.

        Returns:
            The entry and what happened on the way.

        Raises:
            OvertakenError: If ``alone`` and another night was signed meanwhile.
        """
        predicate = night_predicate(statement)
        subjects = {key: statement.digest()}
        return self._append(EntryKind.NIGHT, subjects, predicate, hint, alone=alone)

    def rotate(self, successor: Signer, *, announce_only: bool = False) -> Appended:
        """Let another key take over from this ledger's signer, or join it.

        Args:
            successor: Signer with the new key; it signs the entry too.
            announce_only: Keep the present key in force as well.

        Returns:
            The key entry. Open a new ``Ledger`` with the successor to go on.

        Raises:
            NachweisError: If the ledger announced that key before. Such an entry would not verify,
                and nothing could follow it.
        """
        if successor.public_key.keyid in self._known_keys():
            raise NachweisError(
                "the ledger announced this key before, and a key comes once",
                where=f"key:{successor.public_key.keyid}",
                remedy="generate a new key",
            )
        action: Literal["announce", "rotate"] = "announce" if announce_only else "rotate"
        replaces = None if announce_only else self.signer.public_key.keyid
        predicate = self._key_predicate(successor, action, replaces)
        keyid = successor.public_key.keyid
        return self._commit(EntryKind.KEY, {f"key:{keyid}": keyid}, predicate, (successor,), None)

    def revoke(
        self,
        keyid: str,
        *,
        from_sequence: int,
        reason: Literal["superseded", "compromised", "lost"],
    ) -> Appended:
        """Declare that a key is not to be trusted from some entry on.

        Args:
            keyid: Fingerprint of a key other than this ledger's signer.
            from_sequence: First entry that is not to be trusted if this key signed it.
            reason: Why.

        Returns:
            The key entry.

        Raises:
            NachweisError: If the key is this ledger's own, or was never announced. Such an entry
                would not verify, and nothing could follow it.
        """
        if keyid == self.signer.public_key.keyid:
            raise NachweisError(
                "a key cannot revoke itself: nobody could tell who wrote the entry",
                where=f"key:{keyid}",
                remedy="let another key join or take over first, then revoke this one with it",
            )
        known = self._known_keys()
        if keyid not in known:
            raise NachweisError(
                "the ledger never announced this key", where=f"key:{keyid}", valid=sorted(known)
            )
        predicate = KeyPredicate(
            action="revoke", keyid=keyid, from_sequence=from_sequence, reason=reason
        )
        return self._commit(EntryKind.KEY, {f"key:{keyid}": keyid}, predicate, (), None)

    def checkpoint(self, entry: LedgerEntry) -> str:
        """Copy a signed checkpoint to the anchor.

        Args:
            entry: The end of the ledger.

        Returns:
            A sentence that says why it failed, or an empty string.
        """
        if self.anchor is None:
            return ""
        point = Checkpoint(entry.sequence, entry.sequence, entry.digest)
        key = layout.checkpoint(entry.sequence)
        try:
            envelope = sign(self.signer, point.payload(layout.ledger(entry.sequence)))
            self.anchor.put_if_absent(
                key, envelope, content_type=ENVELOPE_CONTENT_TYPE, lock=self.lock(key)
            )
        except NachweisError as error:
            return f"no checkpoint was copied to the anchor: {error.what}"
        return ""

    # ------------------------------------------------------------------------------ inside

    def _append(
        self,
        kind: EntryKind,
        subjects: Mapping[str, str],
        predicate: Predicate,
        hint: int | None,
        *,
        alone: bool,
    ) -> Appended:
        if head(self.store, hint=hint or 0) is None:
            self._announce()
        result = self._commit(kind, subjects, predicate, (), hint, alone=alone)
        problem = self.checkpoint(result.entry) if result.written else ""
        return Appended(result.entry, result.written, result.rebased, problem)

    def _announce(self) -> None:
        keyid = self.signer.public_key.keyid
        predicate = self._key_predicate(self.signer, "announce", None)
        payload = self._payload(EntryKind.KEY, {f"key:{keyid}": keyid}, predicate, None)
        self._put(layout.ledger(1), sign(self.signer, payload))

    def _key_predicate(
        self, signer: Signer, action: Literal["announce", "rotate"], replaces: str | None
    ) -> KeyPredicate:
        return KeyPredicate(
            action=action,
            keyid=signer.public_key.keyid,
            public_key=public_key_pem(signer.public_key),
            replaces=replaces,
            valid_from=moment(self.now()),
        )

    def _commit(
        self,
        kind: EntryKind,
        subjects: Mapping[str, str],
        predicate: Predicate,
        others: tuple[Signer, ...],
        seen: int | None,
        *,
        alone: bool = False,
    ) -> Appended:
        last = head(self.store, hint=seen or 0)
        if last is None:
            raise IntegrityError("the first entry of the ledger is gone", where=layout.ledger(1))
        keyring = keys_in_force(self.store, last)
        behind = () if seen is None else range(seen + 1, last.sequence + 1)
        rivals: Iterable[LedgerEntry] = [entry_at(self.store, number) for number in behind]
        for rebased in range(TRIES):
            overtaken = 0
            for rival in rivals:
                if rival.says_the_same(kind, subjects, predicate):
                    return Appended(rival, written=False, rebased=rebased)
                overtaken = rival.sequence if rival.kind is EntryKind.NIGHT else overtaken
                last = rival
            if overtaken and alone:
                raise OvertakenError(
                    "another night was signed meanwhile", where=layout.ledger(overtaken)
                )
            self._require_in_force(keyring, last)
            payload = self._payload(kind, subjects, predicate, last)
            key = layout.ledger(last.sequence + 1)
            result = self._put(key, sign(self.signer, payload, *others))
            if result is not _Put.TAKEN:
                written = result is _Put.WRITTEN
                return Appended(parse_payload(payload), written=written, rebased=rebased)
            # Requests for one key wait for each other at some stores, for a second each time; so
            # writers had better not come back together.
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(rebased, 6))
            self.sleep(random.uniform(0, pause))  # noqa: S311 - jitter
            rivals = follow(self.store, keyring, last)
        raise StoreConflictError(
            f"other writers took the next number {TRIES} times in a row",
            where=layout.LEDGER,
            remedy="run it again; if it stays so, look for a writer that never stops",
        )

    def _payload(
        self,
        kind: EntryKind,
        subjects: Mapping[str, str],
        predicate: Predicate,
        last: LedgerEntry | None,
    ) -> bytes:
        return build_payload(
            kind,
            subjects,
            predicate,
            sequence=last.sequence + 1 if last else 1,
            previous=last.digest if last else NO_PREVIOUS,
            key_entry=latest_key_entry(last),
            signed_at=self.now(),
        )

    def _put(self, key: str, body: bytes) -> _Put:
        for repeat in range(REPEATS):
            try:
                wrote = self.store.put_if_absent(
                    key, body, content_type=ENVELOPE_CONTENT_TYPE, lock=self.lock(key)
                )
            except StoreConflictError:
                return _Put.TAKEN
            except StoreUnavailableError:
                # The request may have arrived. Sending the same bytes again settles it: either
                # they are written, or the store holds them already, or another writer won.
                if repeat == REPEATS - 1:
                    raise
                self.sleep(0.5 * 2**repeat)
            else:
                # After a timeout, the same bytes in the store are our own.
                return _Put.WRITTEN if wrote or repeat else _Put.THERE
        raise AssertionError("unreachable: the last repeat returns or raises")

    def _known_keys(self) -> set[str]:
        """Fingerprints of all keys that the ledger ever announced."""
        last = head(self.store)
        return set(keys_in_force(self.store, last).known) if last is not None else set()

    def _require_in_force(self, keyring: Keyring, last: LedgerEntry) -> None:
        if self.signer.public_key.keyid not in keyring.active:
            raise IntegrityError(
                "the ledger does not know the signer's key, or not any longer",
                where=layout.ledger(last.sequence),
                remedy="let the key in force announce it: nachweis verify lists the keys",
            )


def night_predicate(statement: Statement) -> NightPredicate:
    """What the ledger says about a night: digests of new versions while they fit, and counts.

    Args:
        statement: The night's statement.

    Returns:
        The predicate.
    """
    new = {
        f"{version.kind}/{version.id}/{version.version}": version.digest
        for version in statement.versions
        if version.new
    }
    roomy = sum(len(name) + 70 for name in new) <= 2000
    return NightPredicate(
        night=statement.night,
        attempt=statement.attempt,
        statement=statement.digest(),
        idempotency_key=statement.idempotency_key,
        supersedes=statement.supersedes,
        versions=new if roomy else None,
        documents={
            "evidence": len(statement.evidence),
            "versions": len(statement.versions),
            "assessments": len(statement.assessments),
        },
    )
