"""What ``nachweis approvals`` prints: every event of a document, and how far it is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from nachweis.domain.approval import ApprovalEvent, SignedEvent, Standing
from nachweis.pipeline.actors import UNPRINTABLE, name_of
from nachweis.pipeline.approval_history import history
from nachweis.pipeline.approval_rules import Case
from nachweis.pipeline.approvals import open_desk
from nachweis.settings import Settings
from nachweis.storage.narratives import TextRef, read_text
from nachweis.storage.object_store import ObjectStore

ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event as it is listed.

    Attributes:
        version: Version it is about.
        event: What was done, for example ``advice: objects``.
        role: Role that acted.
        signed_at: When, UTC.
        night: Night of the assessment that was newest then.
        assessment: Digest of that assessment.
        entry: Number of its ledger entry.
        counts: Whether it counts.
        reason: Why, unless that was erased or not said.
        who: Who acted, if that was asked for.
    """

    version: int
    event: str
    role: str
    signed_at: str
    night: str | None
    assessment: str | None
    entry: int
    counts: bool
    reason: str
    who: str

    @property
    def evidence(self) -> str:
        """Night and short digest."""
        return f"{self.night} {self.assessment[:12]}" if self.assessment else "-"


@dataclass(frozen=True, slots=True)
class ApprovalList:
    """All events of a document, oldest first.

    Attributes:
        target: ``record/ID`` or ``dossier/ID``.
        version: The current version.
        standing: How far it is.
        due: Day on which its review is due.
        sentence: The same in words.
        events: The events.
    """

    target: str
    version: int
    standing: Standing
    due: str | None
    sentence: str
    events: tuple[ListedEvent, ...]

    def document(self) -> dict[str, Any]:
        """The list as JSON-able data."""
        return dataclasses.asdict(self)


def list_approvals(settings: Settings, name: str, *, names: bool = False) -> ApprovalList:
    """List every event in the approval of a document's versions.

    Args:
        settings: Resolved settings.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
        names: Look up who acted.

    Returns:
        The list.

    Raises:
        NachweisError: If nothing signed has this name.
    """
    desk = open_desk(settings)
    archive = desk.archive()
    case = desk.case(archive, name)
    versions = history(archive).get(case.target, {})
    events = [item for many in versions.values() for item in many]
    return ApprovalList(
        "/".join(case.target),
        case.version,
        case.approval.standing,
        case.approval.due.isoformat() if case.approval.due else None,
        sentence(case),
        tuple(
            _listed(item, desk.narratives, names=names)
            for item in sorted(events, key=lambda one: one.sequence)
        ),
    )


def sentence(case: Case) -> str:
    """How far the approval of a version is, in a sentence or two."""
    approval = case.approval
    submitted, advice = approval.submitted, approval.advice
    match approval.standing:
        case Standing.APPROVED | Standing.EXPIRED if approval.approved is not None:
            said = f"approved {_when(approval.approved)}; review due {approval.due}"
            if approval.standing is Standing.EXPIRED:
                said = f"review overdue since {approval.due}; approved {_when(approval.approved)}"
            if submitted is not None:
                said += f"; submitted again {_when(submitted)}"
        case Standing.SUBMITTED | Standing.OBJECTED if submitted is not None:
            said = f"submitted {_when(submitted)}, not decided"
        case Standing.REJECTED if approval.rejected is not None:
            said = f"rejected {_when(approval.rejected)}"
        case _:
            said = "not submitted"
    if submitted is not None and advice is not None:
        word = "objects" if advice.event.advice == "objects" else "agrees"
        said += f"; data protection officer {word}"
    if approval.approved is None and approval.before is not None:
        number = approval.before.event.target_version
        said += f". Version {number} was approved {_when(approval.before)}"
    if case.assessed is not None and case.assessed.assessment.contradicted:
        number = case.assessed.assessment.contradicted
        said += (
            f". The night of {case.assessed.night} contradicts {number} "
            f"{'field' if number == 1 else 'fields'}"
        )
    return f"{case.name}: {said}."


def _when(item: SignedEvent) -> str:
    return f"{item.day} by role {item.event.role}"


def _listed(item: SignedEvent, narratives: ObjectStore, *, names: bool) -> ListedEvent:
    event = item.event
    return ListedEvent(
        event.target_version,
        f"advice: {event.advice}" if event.advice else event.type,
        event.role,
        item.signed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        event.night,
        event.assessment,
        item.sequence,
        item.counts,
        _reason(event, narratives),
        _shown(name_of(narratives, event) or ERASED) if names else "",
    )


def _reason(event: ApprovalEvent, narratives: ObjectStore) -> str:
    if event.text_ref is None or event.text_digest is None:
        return ""
    try:
        return _shown(read_text(narratives, TextRef(event.text_ref, event.text_digest)))
    except KeyError:
        return ERASED


def _shown(text: str) -> str:
    """A text on one line, without what could act on a terminal."""
    return UNPRINTABLE.sub("\ufffd", " ".join(text.split("\n")))
