"""Approval of a version: its events, and what they amount to on a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from nachweis.domain.manifest.common import after
from nachweis.domain.record import Document

EventType = Literal["submitted", "advice", "approved", "rejected"]
Advice = Literal["agrees", "objects"]


class ApprovalEvent(Document):
    """One event in the approval of a version; names and texts lie in a deletable bucket.

    Attributes:
        target_kind: Kind of the document.
        target_id: Id of the activity or model.
        target_version: Its version.
        target_digest: SHA-256 of the version's canonical bytes.
        event: Number of the event's object, from 1.
        previous: Digest of the event that was known to count last. An event that was written
            without knowledge of one that was signed before it does not count.
        type: What was done.
        advice: What the data protection officer says; null for other events.
        role: Role that acted; never a person.
        actor_ref: Random name under which the deletable directory holds who acted.
        actor_digest: Salted digest of that entry.
        at: When, UTC.
        night: Night of the assessment that was newest then.
        assessment: Digest of that assessment.
        contradicted: Number of fields that it says are contradicted.
        text_ref: Random name of the reason in the deletable bucket.
        text_digest: Salted digest of that text.
    """

    kind: Literal["approval"] = "approval"
    target_kind: Literal["record", "dossier"]
    target_id: str
    target_version: int
    target_digest: str
    event: int
    previous: str | None
    type: EventType
    advice: Advice | None = None
    role: str
    actor_ref: str
    actor_digest: str
    at: str
    night: str | None = None
    assessment: str | None = None
    contradicted: int | None = None
    text_ref: str | None = None
    text_digest: str | None = None

    @property
    def word(self) -> str:
        """What was done as one word, for example ``advice_objects``."""
        return f"{self.type}_{self.advice}" if self.advice else self.type


class Standing(StrEnum):
    """How far the approval of a version is."""

    NOT_SUBMITTED = "not_submitted"
    SUBMITTED = "submitted"
    OBJECTED = "objected"
    APPROVED = "approved"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class SignedEvent:
    """An event as the ledger vouches for it.

    Attributes:
        event: The event.
        digest: SHA-256 of its canonical bytes.
        sequence: Sequence number of its ledger entry.
        signed_at: When the entry was signed, by the signer's clock.
        counts: Whether it knew every event that was signed before it.
    """

    event: ApprovalEvent
    digest: str
    sequence: int
    signed_at: dt.datetime
    counts: bool

    @property
    def day(self) -> str:
        """Day of signing, UTC."""
        return self.signed_at.date().isoformat()


@dataclass(frozen=True, slots=True)
class Approval:
    """What the events of a version amount to on a day.

    Attributes:
        version: The version.
        standing: How far it is.
        events: All events, oldest first, also those that do not count.
        submitted: Submission that waits for a decision.
        advice: Newest advice on it.
        approved: Approval in force, or expired.
        rejected: Rejection that stands.
        due: Day on which the review of the approval is due.
        before: Newest version approved before this one, with its approval; None if there is none.
    """

    version: int
    standing: Standing = Standing.NOT_SUBMITTED
    events: tuple[SignedEvent, ...] = ()
    submitted: SignedEvent | None = None
    advice: SignedEvent | None = None
    approved: SignedEvent | None = None
    rejected: SignedEvent | None = None
    due: dt.date | None = None
    before: SignedEvent | None = None

    @property
    def last(self) -> SignedEvent | None:
        """The newest event that counts."""
        return next((item for item in reversed(self.events) if item.counts), None)


def approval_of(
    version: int,
    events: Sequence[SignedEvent],
    interval: str,
    today: dt.date,
    before: SignedEvent | None = None,
) -> Approval:
    """Derive how far the approval of a version is.

    Args:
        version: The version.
        events: Its events in the order of the ledger.
        interval: ISO 8601 duration after which an approval has to be reviewed.
        today: The day that is asked about.
        before: Approval of an earlier version.

    Returns:
        What the events amount to. An approval stays while a new submission waits for a decision.
    """
    submitted = advice = approved = rejected = None
    for item in events:
        if not item.counts:
            continue
        match item.event.type:
            case "submitted":
                submitted, advice, rejected = item, None, None
            case "advice":
                advice = item
            case "approved":
                approved, submitted = item, None
            case "rejected":
                rejected, approved, submitted = item, None, None
    due = after(approved.signed_at, interval).date() if approved else None
    if due is not None:
        standing = Standing.EXPIRED if due < today else Standing.APPROVED
    elif submitted is not None:
        objected = advice is not None and advice.event.advice == "objects"
        standing = Standing.OBJECTED if objected else Standing.SUBMITTED
    else:
        standing = Standing.REJECTED if rejected else Standing.NOT_SUBMITTED
    return Approval(
        version, standing, tuple(events), submitted, advice, approved, rejected, due, before
    )
