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
from nachweis.storage.entries import EntryKind, LedgerEntry, ReferencePredicate, moment
from nachweis.storage.layout import Kind, Location

History = Mapping[Target, Mapping[int, list[SignedEvent]]]
"""Document to version to its events in the order of the ledger."""

NO_DIGEST, NO_REFERENCE = "0" * 64, "0" * 32
"""What stands for digests and references that were removed with an event; they name nothing."""
_OBJECTION = "advice_objects"

REVIEW = "approval"
"""Id under which an assessment says that the review of the approval is overdue."""


def history(archive: Archive, until: dt.datetime | None = None) -> History:
    """All approval events that the ledger vouches for.

    Args:
        archive: The signed past.
        until: By the signers' clocks; default is everything.

    Returns:
        The events. One that was written without knowledge of an event that was signed before it
        does not count: of two people who decide at the same time, the first signature holds. Nor
        does an approval that rests on another assessment than the newest that was signed before it.
        Of an event that was withdrawn or disposed of, only what stands in the way of an approval
        keeps its effect, by the word of the ledger's entry. An event that only revoked keys signed
        is as if it had never been signed.

    Raises:
        IntegrityError: If an event is missing, differs from its digest, or stands in a wrong place.
    """
    removals = {EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
    removed = {key for one in archive.counted if one.kind in removals for key in one.subjects}
    found: dict[Target, dict[int, list[SignedEvent]]] = {}
    chains: dict[tuple[Target, int], _Chain] = {}
    for entry in archive.counted:
        if entry.kind is not EntryKind.DECISION or (until and entry.signed_at > until):
            continue
        for key, digest in entry.subjects.items():
            place = _place(key)
            if place is None:
                continue
            target = (place.parts["target"], place.parts["id"])
            version = place.number("version")
            chain = chains.setdefault((target, version), _Chain())
            if key in removed:
                event = _remainder(entry, place)
                counts = event is not None
                chain.remove(digest, stands_in_the_way=counts)
            else:
                event = _event(archive.content(key, digest), key, place)
                counts = chain.knew(event) and _is_on_newest(archive, event, entry.sequence)
                if counts:
                    chain.advance(digest)
            if event is not None:
                signed = SignedEvent(event, digest, entry.sequence, entry.signed_at, counts)
                found.setdefault(target, {}).setdefault(version, []).append(signed)
    return found


class _Chain:
    """Which event a new one of the same version has to cite in order to count.

    Whether a removed event counted can no longer be read. So both what counted before it and the
    removed event itself may be cited; an approval, though, never passes over a removed event that
    may have stood in its way.
    """

    def __init__(self) -> None:
        self._last: set[str | None] = {None}
        self._last_for_approval: set[str | None] = {None}

    def knew(self, event: ApprovalEvent) -> bool:
        """Whether an event cites one that may have counted last."""
        approves = event.type == "approved"
        return event.previous in (self._last_for_approval if approves else self._last)

    def advance(self, digest: str) -> None:
        """Go on with an event that counts."""
        self._last, self._last_for_approval = {digest}, {digest}

    def remove(self, digest: str, *, stands_in_the_way: bool) -> None:
        """Pass over an event that was removed."""
        self._last.add(digest)
        if stands_in_the_way:
            self._last_for_approval = {digest}
        else:
            self._last_for_approval.add(digest)


def _remainder(entry: LedgerEntry, place: Location) -> ApprovalEvent | None:
    """What the ledger alone says of a removed rejection or objection; None for other events."""
    said = entry.predicate
    if not isinstance(said, ReferencePredicate) or said.event not in {"rejected", _OBJECTION}:
        return None
    return ApprovalEvent(
        target_kind="record" if place.parts["target"] == "record" else "dossier",
        target_id=place.parts["id"],
        target_version=place.number("version"),
        target_digest=NO_DIGEST,
        event=place.number("event"),
        previous=None,
        type="advice" if said.event == _OBJECTION else "rejected",
        advice="objects" if said.event == _OBJECTION else None,
        role=said.role or "",
        actor_ref=NO_REFERENCE,
        actor_digest=NO_DIGEST,
        at=moment(entry.signed_at),
        night=said.night,
        text_ref=said.text_ref,
        text_digest=said.text_digest,
    )


def _is_on_newest(archive: Archive, event: ApprovalEvent, sequence: int) -> bool:
    """Whether an event, if it approves, cites the newest assessment signed before its entry."""
    if event.type != "approved":
        return True
    attempts = [item for item in archive.attempts if item.sequence < sequence]
    if not attempts:
        return event.assessment is None
    newest = max(attempts, key=lambda item: (item.night, item.sequence))
    place = f"{event.target_kind}/{event.target_id}"
    digest = archive.statement(newest).assessments.get(place)
    return (event.night, event.assessment) == (newest.night, digest)


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
