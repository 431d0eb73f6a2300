"""How long evidence is kept: prolong locks of what is still referred to, dispose of what is due.

Everything is locked for the policy's ``retention_lock`` when it is written. What a live document
refers to is prolonged month by month. The versions of a record or dossier outlive its activity by
the periods of controls/dates.yaml. What nothing live refers to is disposed of once its time is
over: signed first, removed second, and never against a lock or a legal hold.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.errors import IntegrityError, NachweisError, RemovedError, SettingsError
from nachweis.domain.manifest import World
from nachweis.domain.manifest.activity import ActivityStatus
from nachweis.domain.manifest.common import after
from nachweis.domain.record import Assessment, Record
from nachweis.pipeline.archive import Archive, SignedAttempt, open_archive
from nachweis.pipeline.load import load_world
from nachweis.pipeline.removal import ledger_of, named, sign_removal
from nachweis.pipeline.signed_versions import SignedVersion, Target, signed_versions
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import read_document
from nachweis.storage.entries import EntryKind, RemovalPredicate
from nachweis.storage.layout import Kind
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.removal import HeldVersion, LockedBucket
from nachweis.storage.s3 import open_store

_log = logging.getLogger("nachweis.access")
EVIDENCE_RULE = "evidence-lock"
RECORD_RULE = "record-retention"
DANISH_RECORD_RULE = "record-retention-dk"
HIGH_RISK_RULE = "ai-act-documentation"
MONTH = "P1M"
WORKERS = 8
_NIGHTLY = frozenset({Kind.EVIDENCE, Kind.ASSESSMENT, Kind.RUN})
_VERSIONED = frozenset(
    {
        Kind.RECORD,
        Kind.RECORD_RENDERING,
        Kind.DOSSIER,
        Kind.DOSSIER_RENDERING,
        Kind.APPROVAL,
    }
)


@dataclass(frozen=True)
class Live:
    """What has to stay.

    Attributes:
        targets: Records and dossiers whose activity runs, or ended not long enough ago.
        keys: Object keys that live documents refer to; versions and approvals are not listed.
    """

    targets: frozenset[Target]
    keys: frozenset[str]

    def holds(self, key: str) -> bool:
        """Whether an object has to stay."""
        location = layout.locate(key)
        if location.kind in _NIGHTLY:
            return key in self.keys
        if location.kind in _VERSIONED:
            return _target(location) in self.targets
        return location.kind is not Kind.GATE  # ledger, statements and incidents always stay


@dataclass(frozen=True, slots=True)
class Disposal:
    """What is due.

    Attributes:
        due: Object key to the retention rule whose time is over, and its versions.
        waiting: Objects whose time is over and on which a lock or a legal hold still is.
        entries: Numbers of the ledger entries that were written.
    """

    due: Mapping[str, tuple[str, tuple[HeldVersion, ...]]]
    waiting: tuple[str, ...] = ()
    entries: tuple[int, ...] = ()


def live(archive: Archive, world: World, today: dt.date) -> Live:
    """What has to stay, as of a day.

    Args:
        archive: The signed past.
        world: All manifests and controls.
        today: The day.

    Returns:
        Live targets and the keys that they refer to.
    """
    known = signed_versions(archive)
    targets = _live_targets(archive, world, known, today)
    keys: set[str] = set()
    newest = archive.newest_night
    attempt = archive.current(newest) if newest else None
    if attempt is not None:
        keys |= _referred(archive, attempt, set(archive.statement(attempt).assessments))
        keys |= {layout.evidence(one) for one in archive.statement(attempt).evidence.values()}
    missing = {"/".join(target) for target in targets}
    for night in sorted({item.night for item in archive.attempts}, reverse=True):
        signed = archive.current(night)
        if signed is None or not missing:
            continue
        places = missing & set(archive.statement(signed).assessments)
        keys |= _referred(archive, signed, places)
        missing -= places
    return Live(frozenset(targets), frozenset(keys))


def prolong(
    settings: Settings, *, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
) -> int:
    """Let the locks of everything that has to stay last the full time again.

    A lock that began less than a month ago is left alone, so that a call each day costs one change
    per object and month. A demonstration's locks last a day and are not prolonged.

    Args:
        settings: Resolved settings.
        now: Clock.

    Returns:
        How many locks end later now.

    Raises:
        StoreError: If the store refuses or cannot be reached.
    """
    if settings.retention_class == "demonstration":
        return 0
    archive, world = open_archive(settings), load_world(settings).world
    moment = now().replace(microsecond=0)
    stays = live(archive, world, moment.date())
    until = after(moment, world.policy.retention_lock)

    def one(of: tuple[LockedBucket, HeldVersion]) -> int:
        bucket, held = of
        locked = bucket.lock_of(held)
        if locked.until is not None and after(locked.until, MONTH) > until:
            return 0
        bucket.prolong(locked, until)
        return 1

    records, anchor = LockedBucket(settings), LockedBucket(settings, anchor=True)
    work = [
        (records, held)
        for held in _held(archive.store)
        if not held.marker and held.key not in archive.removed and stays.holds(held.key)
    ]
    work += [(anchor, held) for held in _held(open_store(settings, "anchor")) if not held.marker]
    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(one, work))


def dispose(
    settings: Settings,
    *,
    dry_run: bool = False,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Disposal:
    """Dispose of what nothing live refers to and whose time is over.

    Args:
        settings: Resolved settings, with the disposer's credentials unless it is a dry run.
        dry_run: Only say what is due.
        now: Clock.

    Returns:
        What was, or would be, disposed of.

    Raises:
        SettingsError: If the disposer's credentials are missing; nothing is signed then.
        StoreError: If the store refuses; the next call completes it.
    """
    archive, world = open_archive(settings), load_world(settings).world
    archive.demand_organisation(world.organisation.id)
    bucket, moment = LockedBucket(settings), now()
    if not (dry_run or bucket.can_remove):
        raise SettingsError(
            "disposal takes the disposer's credentials, which the nightly runs do not have",
            where="NACHWEIS_DISPOSER_ACCESS_KEY",
            remedy="set it and NACHWEIS_DISPOSER_SECRET_KEY for this call only, or add --dry-run",
        )
    found = _due(archive, world, bucket, moment)
    if dry_run:
        return found
    entries: list[int] = []
    ledger = ledger_of(settings)
    for rule in sorted({rule for rule, _ in found.due.values()}):
        subjects = {
            key: digest_bytes(read_document(archive.store, key))
            for key, (of, _) in found.due.items()
            if of == rule and key not in archive.removed
        }
        entries += sign_removal(
            ledger, EntryKind.DISPOSAL, subjects, RemovalPredicate(rule=rule), archive.length
        )
    for _, versions in found.due.values():
        bucket.remove(versions, bypass=False)
    open_archive(settings).forget(found.due)
    return Disposal(found.due, found.waiting, tuple(entries))


def hold(settings: Settings, names: Sequence[str], *, on: bool | None) -> list[HeldVersion]:
    """Put a legal hold on documents, take it off, or look.

    Args:
        settings: Resolved settings; a change takes the disposer's credentials.
        names: SHA-256 of documents, or object keys.
        on: Whether they shall be held; None changes nothing.

    Returns:
        Every version with its lock and hold as they are afterwards.

    Raises:
        NachweisError: If there is no such document, or the store no longer holds it.
        SettingsError: If the disposer's credentials are missing.
        StoreError: If the store refuses.
    """
    archive = open_archive(settings)
    keys = sorted({key for name in names for key in named(archive, name)})
    bucket = LockedBucket(settings)
    found = {key: [one for one in bucket.versions(key) if not one.marker] for key in keys}
    for key, versions in found.items():
        if not versions:
            raise NachweisError("the store no longer holds it", where=key)
    every = [one for versions in found.values() for one in versions]
    if on is None:
        return every
    for one in every:
        bucket.hold(one, on=on)
        _log.info("legal hold %s: %s", "set" if on else "released", one.key)
    return [bucket.lock_of(one) for one in every]


# ------------------------------------------------------------------------------- inside


@dataclass(slots=True)
class _Found:
    due: dict[str, tuple[str, tuple[HeldVersion, ...]]] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)


def _due(archive: Archive, world: World, bucket: LockedBucket, moment: dt.datetime) -> Disposal:
    stays = live(archive, world, moment.date())
    found = _Found()
    many: dict[str, list[HeldVersion]] = {}
    for held in _held(archive.store):
        many.setdefault(held.key, []).append(held)
    for key, versions in many.items():
        disposed = key in archive.removed and archive.removed[key].kind is EntryKind.DISPOSAL
        if not disposed:
            kept_for = world.policy.retention_lock
            over = all(after(one.modified, kept_for) <= moment for one in versions)
            if key in archive.removed or stays.holds(key) or not over:
                continue
        kind = layout.locate(key).kind
        locked = [one if one.marker else bucket.lock_of(one) for one in versions]
        if any(one.held or one.locked(moment) for one in locked):
            found.waiting.append(key)
        else:
            rule = EVIDENCE_RULE if kind in _NIGHTLY else _record_rule(world)
            found.due[key] = (rule, tuple(locked))
    return Disposal(found.due, tuple(found.waiting))


def _held(store: ObjectStore) -> Iterable[HeldVersion]:
    """Every version of the objects of the layout that are written once."""
    for stored, marker in store.versions(""):
        try:
            kind = layout.locate(stored.key).kind
        except NachweisError:
            continue
        if kind not in layout.MUTABLE:
            yield HeldVersion(stored.key, stored.version_id or "", marker, stored.modified)


def _target(location: layout.Location) -> Target:
    if location.kind is Kind.APPROVAL:
        return location.parts["target"], location.parts["id"]
    is_record = location.kind in {Kind.RECORD, Kind.RECORD_RENDERING}
    return ("record" if is_record else "dossier"), location.parts["id"]


def _live_targets(
    archive: Archive,
    world: World,
    known: Mapping[Target, Mapping[int, SignedVersion]],
    today: dt.date,
) -> set[Target]:
    """Records that run or ended lately, and dossiers unless all their activities are long over."""
    found: set[Target] = set()
    over: set[str] = set()
    running: set[str] = set()
    for target, versions in known.items():
        if target[0] != "record":
            continue
        newest = versions[max(versions)]
        record = _record(archive, newest)
        ended = _ended_on(world, target[1], newest, record)
        models = {str(one["id"]) for one in record.models} if record is not None else set()
        if ended is None or _until(world, ended, _record_rule(world)) > today:
            found.add(target)
            running |= models
            continue
        for model in models:
            high = _is_high_risk(world, model)
            still = high and _until(world, ended, HIGH_RISK_RULE) > today
            (running if still else over).add(model)
    # A dossier that no record lists stays: nothing says that its time is over.
    found |= {
        target for target in known if target[0] == "dossier" and target[1] not in over - running
    }
    return found


def _record(archive: Archive, of: SignedVersion) -> Record | None:
    try:
        return archive.record(of.reference.key, of.reference.digest)
    except RemovedError:
        return None


def _ended_on(
    world: World, identifier: str, newest: SignedVersion, record: Record | None
) -> dt.date | None:
    """The day on which an activity ended; None while it runs, or if nothing says that it ended."""
    activity = world.activities.get(identifier)
    if activity is not None:
        return activity.ended_on if activity.status is ActivityStatus.ENDED else None
    if record is not None and record.status == ActivityStatus.ENDED.value:
        return dt.date.fromisoformat(newest.attempt.night)
    return None


def _referred(archive: Archive, attempt: SignedAttempt, places: Iterable[str]) -> set[str]:
    """Keys of an attempt's assessments of these documents, and of the evidence that they cite."""
    found: set[str] = set()
    assessments = archive.statement(attempt).assessments
    for place in places:
        digest = assessments[place]
        found.add(layout.assessment(attempt.night, attempt.attempt, digest))
        try:
            found |= {layout.evidence(one) for one in _cited(archive.assessment(attempt, digest))}
        except RemovedError:
            continue
    return found


def _cited(assessment: Assessment) -> set[str]:
    cited = {ref.digest for verdict in assessment.verdicts for ref in verdict.evidence}
    return cited | {item.evidence.digest for item in assessment.findings}


def _until(world: World, ended: dt.date, rule: str) -> dt.date:
    """The day until which a rule keeps what belongs to an activity that ended."""
    return after(dt.datetime.combine(ended, dt.time(), dt.UTC), _period(world, rule)).date()


def _is_high_risk(world: World, model: str) -> bool:
    declared = world.models.get(model)
    act = declared.ai_act if declared is not None else None
    return act is not None and act.risk_class == "high"


def _record_rule(world: World) -> str:
    return DANISH_RECORD_RULE if world.organisation.establishment == "DK" else RECORD_RULE


def _period(world: World, rule: str) -> str:
    """The period of a rule of controls/dates.yaml."""
    try:
        return world.controls.dates[rule].value
    except KeyError as error:
        raise IntegrityError(
            "the retention period is missing, so nothing can be disposed of",
            where=f"controls/dates.yaml, {rule}",
            remedy="restore the file as it was shipped",
        ) from error
