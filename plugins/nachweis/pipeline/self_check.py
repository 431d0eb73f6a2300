"""The evidence looks after itself: does the store still verify, and was any night missed?

Runs apart from the nights, so that it also notices that none ran.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nachweis.domain.canonical import digest
from nachweis.domain.errors import NachweisError
from nachweis.domain.incident import IncidentKind
from nachweis.domain.night import Night
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.context import NightContext, open_context
from nachweis.pipeline.incidents import open_incident
from nachweis.pipeline.verification import Verification, verify_all, verify_new

LOOK_BACK_DAYS = 14
"""Nights before this one in which a missing one is still told."""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What the evidence's check of itself found.

    Attributes:
        night: The newest night that should be signed, ISO date.
        problems: Why the store does not verify, one sentence each; empty if it does.
        missing: Nights that should be signed and are not, oldest first.
        scope: What was looked at.
        incident: Id of the incident that was opened, or None.
        prolonged: How many locks end later now.
        locks: Why locks could not be prolonged; empty if there is nothing to tell.
    """

    night: str
    problems: tuple[str, ...]
    missing: tuple[str, ...]
    scope: str = ""
    incident: str | None = None
    prolonged: int = 0
    locks: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.problems or self.missing or self.locks)

    def document(self) -> dict[str, Any]:
        """JSON-able form for the task that tells people."""
        return {
            "night": self.night,
            "problems": list(self.problems),
            "missing": list(self.missing),
            "scope": self.scope,
            "incident": self.incident,
            "prolonged": self.prolonged,
            "locks": self.locks,
        }


def self_check(
    night: str | None = None, *, full: bool = False, now: Callable[[], dt.datetime] | None = None
) -> SelfCheck:
    """Verify what is new, or everything once a week, and look for nights that were missed.

    Args:
        night: The newest night that should be signed; default is yesterday in the organisation's
            zone.
        full: Verify everything.
        now: Clock; default is the machine's.

    Returns:
        What was found. A store that does not verify has opened an incident, once for the same
        problems.

    Raises:
        NachweisError: If the store cannot be reached or manifests are unusable.
    """
    moment = (now or (lambda: dt.datetime.now(dt.UTC)))()
    context = open_context(night or moment.date().isoformat())
    if night is None:
        today = moment.astimezone(context.night.zone).date()
        last = Night(today - dt.timedelta(days=1), context.loaded.world.organisation.timezone)
        context = dataclasses.replace(context, night=last)
    verification = (verify_all if full else verify_new)(context.settings)
    incident = None if verification.ok else _incident(context, verification)
    prolonged, locks = _prolonged(context, moment) if verification.ok else (0, "")
    archive = open_archive(context.settings)
    missing = [] if not verification.ok else missing_nights(archive, context.night.date)
    return SelfCheck(
        str(context.night),
        tuple(verification.sentences()),
        tuple(missing),
        verification.scope or "everything",
        incident,
        prolonged,
        locks,
    )


def _prolonged(context: NightContext, moment: dt.datetime) -> tuple[int, str]:
    """Prolong locks once a month; a note that got lost costs requests, nothing else."""
    from nachweis.pipeline.retention import prolong

    note = context.settings.state / "told" / f"locks-{moment:%Y-%m}"
    if note.exists():
        return 0, ""
    try:
        done = prolong(context.settings, now=lambda: moment)
    except NachweisError as error:
        return 0, f"locks were not prolonged: {error.what}"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    return done, ""


def missing_nights(archive: Archive, last: dt.date) -> list[str]:
    """Nights since the first signed one that are not signed.

    Args:
        archive: The signed past.
        last: The newest night that should be signed.

    Returns:
        ISO dates of the last fourteen nights; none before the first night was signed.
    """
    signed = {attempt.night for attempt in archive.attempts}
    if not signed:
        return []
    first = max(dt.date.fromisoformat(min(signed)), last - dt.timedelta(days=LOOK_BACK_DAYS - 1))
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    return [day.isoformat() for day in days if day.isoformat() not in signed]


def _incident(context: NightContext, verification: Verification) -> str | None:
    """Open an incident; a ledger that cannot be written to any more is told all the same."""
    from nachweis.storage.ledger import Ledger
    from nachweis.storage.s3 import open_store
    from nachweis.storage.signing import open_signer

    places = sorted({problem.key for problem in verification.report.problems})
    # The ledger may be what is broken, so what was opened is also remembered beside the caches.
    opened = context.settings.state / "told" / f"self-check-incident-{digest(places)[:16]}"
    if opened.exists():
        return None
    try:
        identifier = open_incident(
            context.records,
            Ledger(
                context.records,
                open_signer(context.settings),
                lock=context.lock,
                anchor=open_store(context.settings, "anchor"),
            ),
            context.lock,
            kind=IncidentKind.EVIDENCE_INTEGRITY,
            night=context.night,
            identity=digest(places),
            places=places,
            recorded=_recorded(context),
        )
    except (NachweisError, KeyError):
        return None
    opened.parent.mkdir(parents=True, exist_ok=True)
    opened.touch()
    return identifier


def _recorded(context: NightContext) -> frozenset[str]:
    try:
        return open_archive(context.settings).incidents()
    except NachweisError:
        return frozenset()


def message(found: Mapping[str, Any], link: str | None) -> tuple[str, str] | None:
    """What people are told: counts, dates and a link.

    Args:
        found: :meth:`SelfCheck.document`.
        link: Where people open the site.

    Returns:
        Subject and body, or None if there is nothing to tell.
    """
    problems, missing = list(found["problems"]), list(found["missing"])
    locks = str(found.get("locks", ""))
    if not (problems or missing or locks):
        return None
    parts = []
    if problems:
        parts.append(f"the evidence does not verify ({len(problems)} problems)")
    if missing:
        parts.append(f"{len(missing)} nights missed" if len(missing) > 1 else "a night was missed")
    if locks:
        parts.append("locks were not prolonged")
    body = [f"Check of the evidence up to the night of {found['night']}."]
    if problems:
        body.append("Do not write to this store before it is clear: nachweis verify")
    if missing:
        body.append(f"Not signed: {', '.join(missing)}. To run one: nachweis run --night DATE")
    if locks:
        body.append(f"{locks[:1].upper()}{locks[1:]}.")
    if link:
        body.append(link)
    return f"Nachweis {found['night']}: {'; '.join(parts)}", "\n".join(body) + "\n"


def notify(found: Mapping[str, Any], channel: str) -> dict[str, Any] | None:
    """The message and whom it goes to.

    Args:
        found: :meth:`SelfCheck.document`.
        channel: ``email`` or ``webhook``.

    Returns:
        As :func:`nachweis.pipeline.night.notify`; None if there is nothing to tell or this channel
        was told exactly this before.
    """
    context = open_context(str(found["night"]))
    policy = context.loaded.world.policy
    content = message(found, context.settings.site_url or policy.site_url)
    if content is None or _told(context, found, channel).exists():
        return None
    return {
        "subject": content[0],
        "body": content[1],
        "email": list(policy.notification.email),
        "webhook": policy.notification.webhook_connection,
    }


def told(found: Mapping[str, Any], channel: str) -> None:
    """Remember, after sending, that a channel was told about these problems and nights."""
    marker = _told(open_context(str(found["night"])), found, channel)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _told(context: NightContext, found: Mapping[str, Any], channel: str) -> Path:
    what: Sequence[Any] = [found["problems"], found["missing"]]
    if found.get("locks"):
        what = [*what, found["locks"]]
    return context.settings.state / "told" / f"self-check-{digest(what)[:16]}-{channel}"
