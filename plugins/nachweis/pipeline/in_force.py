"""The time machine: what was in force on a day, approved on which evidence."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from nachweis.domain.approval import Approval, SignedEvent, Standing
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import World
from nachweis.pipeline.approval_history import approval_on, history, today_of
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.changes import SHOWS
from nachweis.pipeline.load import load_world
from nachweis.pipeline.signed_versions import (
    Assessed,
    SignedVersion,
    Target,
    described,
    facts,
    find_target,
    newest_assessment,
    signed_versions,
)
from nachweis.settings import Settings


@dataclass(frozen=True)
class InForce:
    """What was in force at the end of a day, as far as it was signed by then.

    Attributes:
        target: The document.
        day: The day, UTC.
        version: The version in force.
        approval: Its approval as of that day.
        assessed: Its newest assessment of that day.
    """

    target: Target
    day: dt.date
    version: SignedVersion
    approval: Approval
    assessed: Assessed | None

    def document(self) -> dict[str, Any]:
        """The answer as JSON-able data."""
        approval, assessed = self.approval, self.assessed
        return {
            "target": "/".join(self.target),
            "as_of": self.day.isoformat(),
            "version": facts(self.version),
            "approval": {
                "standing": approval.standing.value,
                "due": approval.due.isoformat() if approval.due else None,
                "approved": _event_facts(approval.approved),
                "before": _event_facts(approval.before),
            },
            "assessment": {
                "night": assessed.night,
                "digest": assessed.digest,
                "version": assessed.assessment.target_version,
                "contradicted": assessed.assessment.contradicted,
            }
            if assessed
            else None,
        }

    def text(self) -> str:
        """The answer for a person at a terminal."""
        approval = self.approval
        number = self.version.reference.version
        lines = [
            f"{'/'.join(self.target)}: version {number} was in force at the end of {self.day} UTC",
            f"made      {described(self.version)}",
            f"sha256    {self.version.reference.digest}",
        ]
        if approval.approved is not None:
            lines.append(f"approved  {_approved(approval.approved)}")
            overdue = approval.standing is Standing.EXPIRED
            lines.append(
                f"review    overdue since {approval.due}"
                if overdue
                else f"review    {approval.due}"
            )
        else:
            lines.append(f"approved  no: {approval.standing.value.replace('_', ' ')}")
            if approval.before is not None:
                before = approval.before
                lines.append(
                    f"before    version {before.event.target_version}, {_approved(before)}"
                )
        if self.assessed is not None:
            found = self.assessed.assessment
            lines.append(
                f"assessed  night of {self.assessed.night}, version {found.target_version}, "
                f"{found.contradicted} contradicted, sha256 {self.assessed.digest}"
            )
        return "\n".join([*lines, "", SHOWS])


def in_force(settings: Settings, name: str, day: dt.date) -> InForce:
    """Which version of a document was in force on a day, approved on which evidence.

    Args:
        settings: Resolved settings.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
        day: The day, by the signers' clocks, UTC.

    Returns:
        The answer.

    Raises:
        NachweisError: If nothing of this name was signed by then, or the day has not come yet.
    """
    return in_force_on(open_archive(settings), load_world(settings).world, name, day)


def in_force_on(
    archive: Archive, world: World, name: str, day: dt.date, today: dt.date | None = None
) -> InForce:
    """What was in force on a day; arguments as in :func:`in_force`."""
    if day > (today or today_of(world)):
        raise NachweisError(
            "this day has not come yet", where="--as-of", remedy="name today or a day before"
        )
    everything = signed_versions(archive)
    target = find_target(everything, name)
    end = dt.datetime.combine(day, dt.time.max, dt.UTC)
    known = signed_versions(archive, end).get(target)
    if not known:
        first = min(item.attempt.signed_at for item in everything[target].values())
        raise NachweisError(
            f"nothing was signed about it up to the end of {day}",
            where="/".join(target),
            remedy=f"its first version was signed on {first:%Y-%m-%d}",
        )
    version = max(known)
    return InForce(
        target,
        day,
        known[version],
        approval_on(history(archive, end), world, target, version, day),
        newest_assessment(archive, target, end),
    )


def _event_facts(item: SignedEvent | None) -> dict[str, Any] | None:
    if item is None:
        return None
    event = item.event
    return {
        "version": event.target_version,
        "role": event.role,
        "signed_at": item.signed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ledger_entry": item.sequence,
        "night": event.night,
        "assessment": event.assessment,
        "digest": item.digest,
    }


def _approved(item: SignedEvent) -> str:
    return (
        f"{item.day} by role {item.event.role} as ledger entry {item.sequence}, on the evidence of "
        f"the night of {item.event.night}, sha256 {item.event.assessment}"
    )
