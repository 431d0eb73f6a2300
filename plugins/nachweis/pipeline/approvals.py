"""Submitting, advising on, approving and rejecting versions; each event is signed.

The ledger entry is the commit point. An event's object is written under a number of its own with a
conditional PUT, and cites the event that counted last; of two that cite the same one, only the one
that is signed first counts. Nothing is ever overwritten, and a decision never rests on an event
that its author could not know.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from nachweis.domain.approval import Advice, ApprovalEvent, EventType, SignedEvent
from nachweis.domain.errors import StoreConflictError
from nachweis.domain.manifest import World
from nachweis.pipeline.actors import acting, enter, name_of
from nachweis.pipeline.approval_history import approval_on, history, today_of
from nachweis.pipeline.approval_rules import (
    Case,
    Wish,
    demand_allowed,
    demand_reason,
    demand_role,
)
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.load import load_world
from nachweis.pipeline.signed_versions import find_target, newest_assessment, signed_versions
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import lock_for, write_document
from nachweis.storage.entries import EntryKind, ReferencePredicate, moment
from nachweis.storage.ledger import Ledger
from nachweis.storage.narratives import TextRef, write_text
from nachweis.storage.object_store import ObjectStore

TRIES = 20
"""How often a writer takes the next number of an event before it gives up."""


@dataclass(frozen=True)
class Desk:
    """Where decisions are made.

    Attributes:
        world: All manifests.
        archive: Reads the signed past afresh.
        narratives: The deletable bucket.
        ledger: The ledger.
        now: Clock.
    """

    world: World
    archive: Callable[[], Archive]
    narratives: ObjectStore
    ledger: Ledger
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)

    def case(self, archive: Archive, name: str) -> Case:
        """The current version of a document and what is known about it."""
        known = signed_versions(archive)
        target = find_target(known, name)
        current = max(known[target])
        today = today_of(self.world, self.now())
        assessed = newest_assessment(archive, target)
        if assessed is not None and assessed.assessment.target_version != current:
            assessed = None
        return Case(
            target,
            current,
            known[target][current].reference.digest,
            approval_on(history(archive), self.world, target, current, today),
            assessed,
            archive.newest_night,
            today,
        )

    def sign(self, name: str, wish: Wish) -> tuple[Case, SignedEvent]:
        """Sign what a person wants, if the rules allow it.

        Args:
            name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
            wish: What shall be signed.

        Returns:
            The case as it is afterwards, and the signed event.

        Raises:
            NachweisError: If a rule forbids it, or somebody else signed an event meanwhile.
        """
        demand_role(self.world, wish.role)
        demand_reason(self.world, wish.reason)
        person, text = None, None
        for _ in range(TRIES):
            archive = self.archive()
            archive.demand_organisation(self.world.organisation.id)
            case = self.case(archive, name)
            demand_allowed(self.world, case, wish, self._name)
            at = self.now()
            person = person or enter(self.narratives, wish.actor, at)
            text = text or (write_text(self.narratives, wish.reason) if wish.reason else None)
            event = _event(case, wish, self._free_number(case, archive), at, person, text)
            key = layout.approval(*case.target, case.version, event.event)
            try:
                write_document(
                    self.ledger.store, key, event.canonical(), lock=self.ledger.lock(key)
                )
            except StoreConflictError:
                continue  # another writer has the number; what it signs may change the case
            return self._appended(name, key, event, archive.length)
        raise StoreConflictError(
            "other people sign events of this version all the time",
            where=name,
            remedy="look at `nachweis approvals` and decide again",
        )

    def _appended(
        self, name: str, key: str, event: ApprovalEvent, hint: int
    ) -> tuple[Case, SignedEvent]:
        predicate = ReferencePredicate(
            id=f"{event.target_kind}/{event.target_id}/{event.target_version}",
            event=event.word,
            role=event.role,
            night=event.night,
            text_ref=event.text_ref,
            text_digest=event.text_digest,
        )
        self.ledger.append(EntryKind.DECISION, {key: event.digest()}, predicate, hint=hint)
        case = self.case(self.archive(), name)
        signed = next(
            (item for item in case.approval.events if item.digest == event.digest()), None
        )
        if signed is not None and not signed.counts and _knew_all(case, signed):
            raise StoreConflictError(
                "a night was signed at the same time, so that the approval does not rest on the "
                "newest evidence and does not count",
                where=case.name,
                remedy=f"look at what the night of {case.newest_night} found and decide again",
            )
        if signed is None or not signed.counts:
            raise StoreConflictError(
                "somebody else signed an event at the same time, and the first one counts",
                where=case.name,
                remedy=f"look at `nachweis approvals {name}` and decide again",
            )
        return case, signed

    def _free_number(self, case: Case, archive: Archive) -> int:
        """A number behind all events: written and never signed, or signed and removed."""
        prefix = layout.approvals_prefix(*case.target, case.version)
        keys = {item.key for item in self.ledger.store.list(prefix)}
        keys |= {key for entry in archive.entries for key in entry.subjects}
        taken = [layout.locate(key).number("event") for key in keys if key.startswith(prefix)]
        return max(taken, default=0) + 1

    def _name(self, event: ApprovalEvent) -> str | None:
        return name_of(self.narratives, event)


def _knew_all(case: Case, signed: SignedEvent) -> bool:
    """Whether an event cites the last one that counts, and does not count for another reason."""
    last = case.approval.last
    return signed.event.previous == (last.digest if last else None)


def _event(
    case: Case, wish: Wish, number: int, at: dt.datetime, person: TextRef, text: TextRef | None
) -> ApprovalEvent:
    last, assessed = case.approval.last, case.assessed
    kind, identifier = case.target
    return ApprovalEvent(
        target_kind="record" if kind == "record" else "dossier",
        target_id=identifier,
        target_version=case.version,
        target_digest=case.digest,
        event=number,
        previous=last.digest if last else None,
        type=wish.type,
        advice=wish.advice,
        role=wish.role,
        actor_ref=person.ref,
        actor_digest=person.digest,
        at=moment(at),
        night=assessed.night if assessed else None,
        assessment=assessed.digest if assessed else None,
        contradicted=assessed.assessment.contradicted if assessed else None,
        text_ref=text.ref if text else None,
        text_digest=text.digest if text else None,
    )


# ------------------------------------------------------------------------------- the store


def open_desk(settings: Settings) -> Desk:
    """The desk of the configured store.

    Args:
        settings: Resolved settings.

    Returns:
        The desk.
    """
    from nachweis.storage.s3 import open_store
    from nachweis.storage.signing import open_signer

    world = load_world(settings).world
    ledger = Ledger(
        open_store(settings, "records"),
        open_signer(settings),
        lock=lambda of: lock_for(
            of, retention=settings.retention_class, period=world.policy.retention_lock
        ),
        anchor=open_store(settings, "anchor"),
    )
    return Desk(world, lambda: open_archive(settings), open_store(settings, "narratives"), ledger)


def decide(
    settings: Settings,
    name: str,
    type_: EventType,
    *,
    role: str,
    actor: str | None = None,
    reason: str = "",
    version: int | None = None,
    advice: Advice | None = None,
) -> tuple[Case, SignedEvent]:
    """Sign an event in the approval of the current version of a document.

    Args:
        settings: Resolved settings.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
        type_: What shall be done.
        role: Role of organisation.yaml in which the person acts.
        actor: The person; default is the account of this machine.
        reason: Why, in words.
        version: The version meant; default is the current one.
        advice: What the data protection officer says.

    Returns:
        The case as it is afterwards, and the signed event.

    Raises:
        NachweisError: If a rule forbids it.
    """
    wish = Wish(type_, role, acting(actor), reason.strip(), version, advice)
    return open_desk(settings).sign(name, wish)
