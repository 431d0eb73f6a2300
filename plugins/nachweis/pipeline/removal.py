"""``nachweis withdraw``: take out what should never have been stored, and say so in the ledger.

The entry comes first, the removal second: whoever is interrupted between them leaves a store that
verifies and says *withdrawn, still present*, and the same call completes it. The other way round it
would say *missing*.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nachweis.domain.canonical import digest as digest_of
from nachweis.domain.canonical import digest_bytes
from nachweis.domain.errors import NachweisError, RemovedError, StoreError
from nachweis.domain.incident import IncidentKind
from nachweis.domain.night import Night
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.incidents import open_incident
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import lock_for, read_document
from nachweis.storage.entries import EntryKind, RemovalPredicate
from nachweis.storage.layout import Kind
from nachweis.storage.ledger import Ledger
from nachweis.storage.object_store import Lock
from nachweis.storage.removal import HeldVersion, LockedBucket
from nachweis.storage.verify_documents import citations

PER_ENTRY = 15
"""Objects that one entry of at most 4096 bytes names."""
NEW_INCIDENT = "new"
"""Written instead of an incident's id to open one."""
_STAYS: Mapping[Kind, str] = {
    Kind.LEDGER: "the chain of all later entries rests on it; it holds digests and ids only",
    Kind.CHECKPOINT: "it lies in the anchor and holds digests only",
    Kind.STATEMENT: "every later verification begins with it; it holds digests, ids and counts",
    Kind.GATE: "a gate is replaced, not withdrawn",
    Kind.TEXT: "texts by people lie in a bucket that can delete: erase it there",
}
"""Kinds that are never removed, and why."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of a removal.

    Attributes:
        incident: Id of the incident, empty for a disposal.
        keys: Objects that are gone.
        pending: Objects that the ledger says are removed and that the store still holds.
        entries: Numbers of the ledger entries that were written.
        repeated: Other documents that repeat what was removed.
    """

    incident: str
    keys: tuple[str, ...]
    pending: tuple[str, ...] = ()
    entries: tuple[int, ...] = ()
    repeated: tuple[str, ...] = ()


def withdraw(
    settings: Settings,
    names: Sequence[str],
    incident: str,
    *,
    repeats: bool = False,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Removed:
    """Withdraw documents: sign that they are withdrawn, then remove every version of them.

    Args:
        settings: Resolved settings; without the disposer's credentials it is signed only.
        names: SHA-256 of documents, or object keys.
        incident: Id of the incident that is the reason, or ``new`` to open one.
        repeats: Also withdraw what repeats it: assessments with findings of an evidence bundle,
            rendered forms of a version.
        now: Clock.

    Returns:
        What is gone, and what somebody with the disposer's credentials has to complete.

    Raises:
        NachweisError: If there is no such document or incident, or the document is of a kind that
            stays.
        StoreError: If a COMPLIANCE lock or a legal hold is on a document, before anything is
            signed; or if the store refuses.
    """
    archive = open_archive(settings)
    known = archive.incidents()
    if incident != NEW_INCIDENT and incident not in known:
        raise NachweisError(
            "there is no such incident",
            where=incident,
            remedy=f"name the incident that is the reason, or --incident {NEW_INCIDENT} to open "
            "one",
            valid=sorted(known)[-10:],
        )
    found: dict[str, str] = {}
    for name in names:
        found |= named(archive, name)
    others = {key: one for key, one in _repeating(archive, found).items() if key not in found}
    if repeats:
        found |= others
        others = {}
    for key in found:
        _demand_removable(key)
    bucket = LockedBucket(settings)
    held = {key: bucket.versions(key) for key in found}
    _demand_free(held, now())
    ledger = ledger_of(settings)
    fresh = {key: value for key, value in found.items() if key not in archive.removed}
    if incident == NEW_INCIDENT:
        incident = _opened(archive, ledger, sorted(found), now())
    entries = sign_removal(
        ledger, EntryKind.WITHDRAWAL, fresh, RemovalPredicate(incident=incident), archive.length
    )
    gone, pending = _remove(bucket, held)
    open_archive(settings).forget(found)
    return Removed(incident, gone, pending, entries, tuple(sorted(others)))


def sign_removal(
    ledger: Ledger,
    kind: EntryKind,
    subjects: Mapping[str, str],
    said: RemovalPredicate,
    hint: int,
) -> tuple[int, ...]:
    """Sign that objects are removed, as many to an entry as fit.

    Args:
        ledger: The ledger.
        kind: ``withdrawal`` or ``disposal``.
        subjects: Object key to SHA-256 of the document.
        said: Incident or rule.
        hint: A number that the ledger is known to hold.

    Returns:
        Numbers of the entries.
    """
    keys = sorted(subjects)
    return tuple(
        ledger.append(
            kind, {key: subjects[key] for key in keys[at : at + PER_ENTRY]}, said, hint=hint
        ).entry.sequence
        for at in range(0, len(keys), PER_ENTRY)
    )


def ledger_of(settings: Settings) -> Ledger:
    """The ledger of the configured store, with the locks of the policy.

    Args:
        settings: Resolved settings.
    """
    from nachweis.storage.s3 import open_store
    from nachweis.storage.signing import open_signer

    period = load_world(settings).world.policy.retention_lock

    def lock(key: str) -> Lock | None:
        return lock_for(key, retention=settings.retention_class, period=period)

    return Ledger(
        open_store(settings, "records"), open_signer(settings), lock, open_store(settings, "anchor")
    )


def named(archive: Archive, name: str) -> dict[str, str]:
    """Key and digest of the documents that a name means.

    Args:
        archive: The signed past.
        name: SHA-256 or object key.

    Raises:
        NachweisError: If the store holds no such document.
    """
    wanted = name.strip()
    if re.fullmatch("[0-9a-fA-F]{64}", wanted):
        wanted = wanted.lower()
    signed = _signed(archive)
    found = {key: value for key, value in signed.items() if wanted in (key, value)}
    if found:
        return found
    keys = [layout.evidence(wanted)] if re.fullmatch("[0-9a-f]{64}", wanted) else [wanted]
    for key in keys:  # what a run that broke off left behind is cited by nothing
        try:
            layout.locate(key)
            return {key: digest_bytes(read_document(archive.store, key))}
        except (KeyError, StoreError):
            continue
    raise NachweisError(
        "the store holds no such document",
        where=name,
        remedy="name its SHA-256 digest, or its object key as `nachweis verify` prints it",
    )


# ------------------------------------------------------------------------------- inside


def _signed(archive: Archive) -> dict[str, str]:
    """Key to digest of everything that is signed, removed objects included."""
    found: dict[str, str] = {}
    for entry in archive.entries:
        found |= {key: value for key, value in entry.subjects.items() if "/" in key}
    for attempt in archive.every_attempt:
        try:
            found |= dict(citations(archive.statement(attempt)))
        except RemovedError:
            continue
    return found


def _repeating(archive: Archive, found: Mapping[str, str]) -> dict[str, str]:
    """Assessments with findings of these evidence bundles, renderings of these versions."""
    bundles = {value for key, value in found.items() if key.startswith("evidence/")}
    repeating: dict[str, str] = {}
    for attempt in archive.every_attempt:
        statement = archive.statement(attempt)
        for version in statement.versions:
            if version.key in found:
                repeating |= {
                    layout.rendering(version.kind, version.id, version.version, name): digest
                    for name, digest in version.renderings.items()
                }
        for digest in statement.assessments.values() if bundles else ():
            try:
                shown = archive.assessment(attempt, digest).findings
            except RemovedError:
                continue
            if any(item.evidence.digest in bundles for item in shown):
                key = layout.assessment(attempt.night, attempt.attempt, digest)
                repeating[key] = digest
    return {key: digest for key, digest in repeating.items() if key not in archive.removed}


def _demand_removable(key: str) -> None:
    kind = layout.locate(key).kind
    if kind in _STAYS:
        raise NachweisError(f"it cannot be withdrawn: {_STAYS[kind]}", where=key)


def _demand_free(held: Mapping[str, Sequence[HeldVersion]], now: dt.datetime) -> None:
    for key, versions in held.items():
        for one in versions:
            if obstacle := one.obstacle(now):
                raise StoreError(
                    f"it cannot be removed: {obstacle}",
                    where=key,
                    remedy="release the hold with `nachweis hold release`"
                    if one.held
                    else "nothing was signed or removed; record in the incident what remains and "
                    "until when (docs/security.md), keep people away from it by the rights of the "
                    "readers, and withdraw it on that day",
                )


def _opened(archive: Archive, ledger: Ledger, keys: Sequence[str], now: dt.datetime) -> str:
    world_night = archive.newest_night or now.date().isoformat()
    newest = archive.current(world_night)
    zone = archive.statement(newest).timezone if newest is not None else "UTC"
    identity = digest_of(list(keys))
    kind = IncidentKind.UNLAWFUL_PROCESSING
    opened = open_incident(
        ledger.store,
        ledger,
        ledger.lock,
        kind=kind,
        night=Night.parse(world_night, zone),
        identity=identity,
        places=keys,
        recorded=archive.incidents(),
    )
    return opened or f"{kind.value.replace('_', '-')}-{world_night}-{identity[:8]}"


def _remove(
    bucket: LockedBucket, held: Mapping[str, Sequence[HeldVersion]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove what is held; keys that are gone, and keys that wait for the disposer."""
    present = [key for key, versions in held.items() if versions]
    if present and not bucket.can_remove:
        return _gone(held), tuple(sorted(present))
    for key in present:
        bucket.remove(held[key], bypass=True)
    return tuple(sorted(held)), ()


def _gone(held: Mapping[str, Iterable[HeldVersion]]) -> tuple[str, ...]:
    return tuple(sorted(key for key, versions in held.items() if not list(versions)))
