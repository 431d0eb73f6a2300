"""The ledger's keys: which are in force, a new one takes over, a lost one is revoked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nachweis.domain.errors import NachweisError
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings
from nachweis.storage.documents import lock_for
from nachweis.storage.entries import EntryKind, KeyPredicate
from nachweis.storage.ledger import Appended, Ledger
from nachweis.storage.object_store import Lock
from nachweis.storage.signing import open_signer

Reason = Literal["superseded", "compromised", "lost"]


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key of the ledger.

    Attributes:
        keyid: Its fingerprint.
        since: Number of the entry that announced it.
        until: Number of the entry that ended it, None while it is in force.
        untrusted_from: First entry that it is not trusted for, None if it was not revoked.
        own: Whether it is the key of the settings' signer.
    """

    keyid: str
    since: int
    until: int | None
    untrusted_from: int | None
    own: bool

    def __str__(self) -> str:
        state = "in force" if self.until is None else f"ended by entry {self.until}"
        if self.untrusted_from is not None:
            state += f", not trusted from entry {self.untrusted_from} on"
        return f"{self.keyid}  since entry {self.since}, {state}{', own' if self.own else ''}"


def list_keys(settings: Settings) -> list[KeyState]:
    """All keys that the ledger ever announced, oldest first.

    Args:
        settings: Resolved settings.

    Returns:
        The keys; empty for an empty ledger.
    """
    own = open_signer(settings).public_key.keyid
    found: dict[str, KeyState] = {}
    for entry in open_archive(settings).entries:
        said = entry.predicate
        if entry.kind is not EntryKind.KEY or not isinstance(said, KeyPredicate):
            continue
        if said.action == "revoke":
            old = found[said.keyid]
            limits = [n for n in (old.untrusted_from, said.from_sequence) if n is not None]
            until = entry.sequence if old.until is None else old.until
            found[said.keyid] = replace(old, until=until, untrusted_from=min(limits))
            continue
        if said.replaces is not None:
            found[said.replaces] = replace(found[said.replaces], until=entry.sequence)
        found[said.keyid] = KeyState(said.keyid, entry.sequence, None, None, said.keyid == own)
    return list(found.values())


def rotate(settings: Settings, successor: Settings, *, keep: bool = False) -> Appended:
    """Let another key take over from the settings' signer, or join it.

    Args:
        settings: Resolved settings whose signer is in force.
        successor: The same with the signer that takes over.
        keep: Keep the present key in force as well.

    Returns:
        The key entry; its checkpoint is signed by the successor.

    Raises:
        NachweisError: If the ledger is empty or knows the key already.
    """
    ledger, new = _ledger(settings), open_signer(successor)
    appended = ledger.rotate(new, announce_only=keep)
    return _anchored(replace(ledger, signer=new), appended)


def revoke(settings: Settings, keyid: str, *, from_sequence: int, reason: Reason) -> Appended:
    """Declare that a key is not to be trusted from some entry on.

    Args:
        settings: Resolved settings whose signer is in force and not that key.
        keyid: Fingerprint of the key.
        from_sequence: First entry that is not to be trusted if only this key signed it.
        reason: Why.

    Returns:
        The key entry.

    Raises:
        NachweisError: If the key is the own one or was never announced.
    """
    ledger = _ledger(settings)
    appended = ledger.revoke(keyid, from_sequence=from_sequence, reason=reason)
    return _anchored(ledger, appended)


def _anchored(ledger: Ledger, appended: Appended) -> Appended:
    return replace(appended, anchor_problem=ledger.checkpoint(appended.entry))


def _ledger(settings: Settings) -> Ledger:
    from nachweis.storage.s3 import open_store

    records = open_store(settings, "records")
    if not open_archive(settings).length:
        raise NachweisError(
            "the ledger is empty: the first night announces the signer's key by itself",
            where=f"s3://{records.bucket}/ledger/",
        )
    period = load_world(settings).world.policy.retention_lock

    def lock(key: str) -> Lock | None:
        return lock_for(key, retention=settings.retention_class, period=period)

    return Ledger(records, open_signer(settings), lock, open_store(settings, "anchor"))
