"""Reading approvals: the signed events of each version, and what they amount to on a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from nachweis.domain.approval import Approval, ApprovalEvent, SignedEvent, Standing, approval_of
from nachweis.domain.canonical import parse
from nachweis.domain.errors import IntegrityError, StoreError
from nachweis.domain.manifest import World
from nachweis.domain.manifest.common import Origin, Verdict
from nachweis.domain.record import Assessment, FieldVerdict
from nachweis.pipeline.archive import Archive
from nachweis.pipeline.signed_versions import Target
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind
from nachweis.storage.layout import Kind, Location

History = Mapping[Target, Mapping[int, list[SignedEvent]]]
"""Document to version to its events in the order of the ledger."""

REVIEW = "approval"
"""Id under which an assessment says that the review of the approval is overdue."""


def history(archive: Archive, until: dt.datetime | None = None) -> History:
    """All approval events that the ledger vouches for.

    Args:
        archive: The signed past.
        until: By the signers' clocks; default is everything.

    Returns:
        The events. One that was written without knowledge of an event that was signed before it
        does not count: of two people who decide at the same time, the first signature holds. One
        that only revoked keys signed is as if it had never been signed.

    Raises:
        IntegrityError: If an event is missing, differs from its digest, or stands in a wrong place.
    """
    removals = {EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
    removed = {key for one in archive.counted if one.kind in removals for key in one.subjects}
    found: dict[Target, dict[int, list[SignedEvent]]] = {}
    last: dict[tuple[Target, int], str] = {}
    for entry in archive.counted:
        if entry.kind is not EntryKind.DECISION or (until and entry.signed_at > until):
            continue
        for key, digest in entry.subjects.items():
            place = _place(key)
            if place is None:
                continue
            target = (place.parts["target"], place.parts["id"])
            version = place.number("version")
            if key in removed:
                last[target, version] = digest
                continue
            event = _event(archive.content(key, digest), key, place)
            counts = event.previous == last.get((target, version))
            if counts:
                last[target, version] = digest
            signed = SignedEvent(event, digest, entry.sequence, entry.signed_at, counts)
            found.setdefault(target, {}).setdefault(version, []).append(signed)
    return found


def _place(key: str) -> Location | None:
    if not key.startswith(layout.APPROVALS):
        return None
    try:
        return layout.locate(key)
    except StoreError as error:
        raise IntegrityError("the ledger cites an approval that cannot be", where=key) from error


def _event(content: bytes, key: str, place: Location) -> ApprovalEvent:
    try:
        event = ApprovalEvent.model_validate(parse(content))
    except ValidationError as error:
        raise IntegrityError("the event is not of a known form", where=key) from error
    said = (event.target_kind, event.target_id, event.target_version, event.event)
    parts = place.parts
    if place.kind is not Kind.APPROVAL or said != (
        parts["target"], parts["id"], place.number("version"), place.number("event"),
    ):  # fmt: skip
        raise IntegrityError("the event is about another version than its key says", where=key)
    return event


def review_interval(world: World, target: Target) -> str:
    """After which time the approval of a document has to be reviewed.

    Args:
        world: All manifests.
        target: The document.

    Returns:
        The activity's own interval, else the policy's, as an ISO 8601 duration.
    """
    activity = world.activities.get(target[1]) if target[0] == "record" else None
    own = activity.meta.review_interval if activity else None
    return own or world.policy.review_interval


def approval_on(
    events: History, world: World, target: Target, version: int, today: dt.date
) -> Approval:
    """What the events of a version amount to on a day, and which version was approved before it.

    Args:
        events: All events.
        world: All manifests, for the review interval.
        target: The document.
        version: Its version.
        today: The day that is asked about.

    Returns:
        The approval.
    """
    interval, many = review_interval(world, target), events.get(target, {})
    before = None
    for earlier in sorted((one for one in many if one < version), reverse=True):
        before = approval_of(earlier, many[earlier], interval, today).approved
        if before is not None:
            break
    return approval_of(version, many.get(version, ()), interval, today, before)


def today_of(world: World, now: dt.datetime | None = None) -> dt.date:
    """The day it is where the organisation is."""
    moment = now or dt.datetime.now(dt.UTC)
    return moment.astimezone(ZoneInfo(world.organisation.timezone)).date()


def with_review(assessment: Assessment, approval: Approval) -> Assessment:
    """Add that the review of an approval is overdue; nothing is added otherwise.

    Args:
        assessment: A night's verdicts.
        approval: Approval of the assessed version, as of that night.

    Returns:
        The assessment.
    """
    if approval.standing is not Standing.EXPIRED or approval.approved is None:
        return assessment
    overdue = FieldVerdict(
        field=REVIEW,
        origin=Origin.DERIVED,
        verdict=Verdict.EXPIRED,
        scope=f"version {approval.version}",
        tested_on=approval.approved.day,
        explanation=f"review overdue since {approval.due}",
    )
    return assessment.model_copy(update={"verdicts": (*assessment.verdicts, overdue)})
