"""The rules of approval: who may do what, when, and what has to be said.

Roles come from organisation.yaml. That two people act, and not one in two roles, is decided by the
names in the deletable directory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from nachweis.domain.approval import Advice, Approval, ApprovalEvent, EventType, SignedEvent
from nachweis.domain.errors import LeakError, NachweisError, suggestion
from nachweis.domain.manifest import Verdict, World
from nachweis.pipeline.actors import same_person, unprintable
from nachweis.pipeline.leaks import demand_clean_text
from nachweis.pipeline.signed_versions import Assessed, Target

LONGEST_REASON = 4000
OLDEST_NIGHT = 7
"""Days that the newest night may lie back when a version is approved on it; docs/operating.md."""
_NO_AUTHORS = frozenset({"dpo", "auditor"})
"""Kinds of roles that never submit: who advises or audits does not propose."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to sign.

    Attributes:
        type: What shall be done.
        role: Role in which the person acts.
        actor: The person; kept in the deletable directory only.
        reason: Why, in words; kept in the deletable bucket only.
        version: The version meant; None is the current one.
        advice: What the data protection officer says.
    """

    type: EventType
    role: str
    actor: str
    reason: str = ""
    version: int | None = None
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What a decision has to look at.

    Attributes:
        target: The document.
        version: Its current version.
        digest: SHA-256 of it.
        approval: How far its approval is.
        assessed: Its newest assessment, if that is about this version.
        newest_night: The newest night that was signed, whether it assessed the document or not.
        today: The day it is where the organisation is.
    """

    target: Target
    version: int
    digest: str
    approval: Approval
    assessed: Assessed | None
    newest_night: str | None
    today: dt.date

    @property
    def name(self) -> str:
        """``record/newsletter version 7``."""
        return f"{'/'.join(self.target)} version {self.version}"

    @property
    def contradicted(self) -> list[str]:
        """Fields that the newest assessment says are contradicted."""
        verdicts = self.assessed.assessment.verdicts if self.assessed else ()
        return [item.field for item in verdicts if item.verdict is Verdict.CONTRADICTED]


def demand_role(world: World, role: str) -> None:
    """Demand a role of organisation.yaml."""
    roles = [item.id for item in world.organisation.roles]
    if role not in roles:
        raise NachweisError(
            f"there is no role {role!r}", where="organisation.yaml", valid=roles,
            remedy=suggestion(role, roles),
        )  # fmt: skip


def demand_reason(world: World, reason: str) -> None:
    """Demand a reason that may be stored: short, printable, without what looks like personal data.

    Raises:
        NachweisError: If it is not; never repeats the text.
    """
    if len(reason) > LONGEST_REASON:
        raise NachweisError(
            f"the reason has {len(reason)} characters",
            where="--reason",
            remedy=f"write at most {LONGEST_REASON}; cite a longer document by its place",
        )
    if unprintable(reason):
        raise NachweisError(
            "the reason holds control or invisible characters",
            where="--reason",
            remedy="write it without them",
        )
    try:
        demand_clean_text(world, reason, "the reason")
    except LeakError as error:
        raise LeakError(
            error.what,
            where="--reason",
            remedy="name roles instead of people, and no address, number or account",
        ) from error


def demand_allowed(
    world: World, case: Case, wish: Wish, name: Callable[[ApprovalEvent], str | None]
) -> None:
    """Demand that the rules of approval allow what a person wants to sign.

    Args:
        world: All manifests.
        case: What the decision is about.
        wish: What the person wants to sign.
        name: Looks up who acted in an event; None if that was erased.

    Raises:
        NachweisError: If a rule forbids it; says which, and what to do.
    """
    if wish.version not in {None, case.version}:
        raise NachweisError(
            f"version {wish.version} is not the current one",
            where="/".join(case.target),
            remedy="only the current version is decided on",
            valid=[str(case.version)],
        )
    match wish.type:
        case "submitted":
            _demand_submittable(world, case, wish)
        case "advice":
            _demand_advisable(world, case, wish, name)
        case "approved":
            _demand_approvable(world, case, wish, name)
        case "rejected":
            _demand_rejectable(world, case, wish)


def _demand_submittable(world: World, case: Case, wish: Wish) -> None:
    author = _author(world, case.target)
    if author is not None:
        _demand_one_of(wish, [author], "submits", case)
    else:
        allowed = [one.id for one in world.organisation.roles if one.kind not in _NO_AUTHORS]
        _demand_one_of(wish, allowed, "submits", case)
    if case.approval.submitted is not None:
        raise NachweisError(
            f"submitted already on {case.approval.submitted.day}, and not decided yet",
            where=case.name,
            remedy="wait for advice and decision",
        )


def _demand_advisable(
    world: World, case: Case, wish: Wish, name: Callable[[ApprovalEvent], str | None]
) -> None:
    allowed = [one.id for one in world.organisation.roles if one.kind == "dpo"]
    _demand_one_of(wish, allowed, "advises", case)
    submitted = _demand_submitted(case)
    if wish.advice == "objects" and not wish.reason.strip():
        raise NachweisError(
            "an objection needs a reason", where=case.name, remedy="say why with --reason TEXT"
        )
    _demand_another_person(case, wish, submitted, name, "advise on", "submitted")


def _demand_approvable(
    world: World, case: Case, wish: Wish, name: Callable[[ApprovalEvent], str | None]
) -> None:
    _demand_one_of(wish, [_owner(world, case.target)], "approves", case)
    submitted, advice = _demand_submitted(case), case.approval.advice
    _demand_another_person(case, wish, submitted, name, "approve", "submitted")
    if advice is not None:
        _demand_another_person(case, wish, advice, name, "approve", "advised on")
    if case.assessed is None:
        raise NachweisError(
            "no night has assessed this version, so that there is no evidence to approve it on",
            where=case.name,
            remedy="run a night first: nachweis run --night YYYY-MM-DD",
        )
    _demand_newest_night(case, case.assessed)
    if case.contradicted or case.assessed.assessment.contradicted:
        raise NachweisError(
            f"the night of {case.assessed.night} contradicts "
            f"{case.assessed.assessment.contradicted} of its fields: "
            f"{', '.join(case.contradicted[:5])}",
            where=case.name,
            remedy="correct the manifest or what it describes, run a night, then approve",
        )
    against = advice is not None and advice.event.advice == "objects"
    if (advice is None or against) and not wish.reason.strip():
        raise NachweisError(
            "the data protection officer objects"
            if against
            else "the data protection officer has not advised",
            where=case.name,
            remedy="say why you approve all the same with --reason TEXT, or "
            + ("reject it" if against else "wait: nachweis advise"),
        )
    _demand_recent_night(case, case.assessed)


def _demand_newest_night(case: Case, assessed: Assessed) -> None:
    """Demand that it is the newest night that assessed the version."""
    if assessed.night != case.newest_night:
        raise NachweisError(
            f"the newest night, {case.newest_night}, holds no assessment of it (not planned, or "
            f"held back); that of {assessed.night} is no longer the newest evidence",
            where=case.name,
            remedy=f"see what held it back, then: nachweis run --night {case.newest_night}",
        )


def _demand_recent_night(case: Case, assessed: Assessed) -> None:
    """Demand that the assessment tells about the present."""
    if dt.date.fromisoformat(assessed.night) < case.today - dt.timedelta(days=OLDEST_NIGHT):
        raise NachweisError(
            f"the newest night, {assessed.night}, lies more than {OLDEST_NIGHT} days back",
            where=case.name,
            remedy=f"run a present one, then approve: nachweis run --night "
            f"{case.today - dt.timedelta(days=1)}",
        )


def _demand_rejectable(world: World, case: Case, wish: Wish) -> None:
    _demand_one_of(wish, [_owner(world, case.target)], "rejects", case)
    if case.approval.submitted is None and case.approval.approved is None:
        raise NachweisError(
            "there is nothing to reject: this version was not submitted"
            if case.approval.rejected is None
            else "this version was rejected already",
            where=case.name,
            remedy="submit it first: nachweis submit",
        )
    if not wish.reason.strip():
        raise NachweisError(
            "a rejection needs a reason", where=case.name, remedy="say why with --reason TEXT"
        )


def _demand_submitted(case: Case) -> SignedEvent:
    if case.approval.submitted is None:
        decided = case.approval.approved or case.approval.rejected
        raise NachweisError(
            f"{decided.event.type} already on {decided.day}" if decided else "not submitted yet",
            where=case.name,
            remedy="submit it first: nachweis submit",
        )
    return case.approval.submitted


def _demand_one_of(wish: Wish, allowed: list[str], does: str, case: Case) -> None:
    if wish.role not in allowed:
        raise NachweisError(
            f"{wish.role} is not the role that {does} this document"
            if allowed
            else f"no role {does} this document: organisation.yaml declares none",
            where=case.name,
            valid=allowed,
        )


def _demand_another_person(
    case: Case,
    wish: Wish,
    event: SignedEvent,
    name: Callable[[ApprovalEvent], str | None],
    act: str,
    acted: str,
) -> None:
    """Demand that somebody else acts than in an earlier event; both are people, not roles."""
    earlier = name(event.event)
    if earlier is None:
        raise NachweisError(
            f"nobody can tell any more who {acted} it: the entry of the directory was erased",
            where=case.name,
            remedy="have it rejected and submitted again",
        )
    if same_person(earlier, wish.actor):
        raise NachweisError(
            f"who {acted} a version cannot {act} it, whatever the role",
            where=case.name,
            remedy="let another person decide; --actor names who acts",
        )


def _author(world: World, target: Target) -> str | None:
    return world.activities[target[1]].author if _declared(world, target) == "record" else None


def _owner(world: World, target: Target) -> str:
    if _declared(world, target) == "record":
        return world.activities[target[1]].owner
    return world.models[target[1]].owner


def _declared(world: World, target: Target) -> str:
    kind, identifier = target
    if identifier not in (world.activities if kind == "record" else world.models):
        raise NachweisError(
            "no valid manifest declares it any more, so that nobody owns it",
            where="/".join(target),
            remedy="see `nachweis lint`",
        )
    return kind
