"""What stands behind a document besides one night: earlier nights, releases, corrections.

Nothing of it is part of a version: another measurement or another computed correction makes none.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nachweis import registry
from nachweis.domain.approval import SignedEvent
from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import NachweisError, RemovedError
from nachweis.domain.manifest import World
from nachweis.domain.site_data import Behind, Moment, PastNight
from nachweis.pages.catalogue import check_pages
from nachweis.pages.evidence_measured import NIGHTS_SHOWN
from nachweis.pipeline.archive import Archive, SignedAttempt
from nachweis.pipeline.signed_versions import Target

_log = logging.getLogger(__name__)
_CORRECTIONS_SHOWN = 4
_FOLLOWED = "drift"
"""Family of the checks whose numbers are followed from night to night."""


def behind(
    archive: Archive,
    world: World,
    state: Path,
    target: Target,
    night: str,
    events: tuple[SignedEvent, ...] = (),
) -> Behind:
    """Collect what stands behind a document as of a night.

    Args:
        archive: The signed past.
        world: All manifests.
        state: Local state folder, in which computed corrections are kept.
        target: The document.
        night: The reported night.
        events: Signed events of its approval.

    Returns:
        What was found; of measurements those of the newest nights.
    """
    checks = check_pages(registry.checks())
    shared: dict[str, Any] = {
        "events": events,
        "roles": {role.id: role.title for role in world.organisation.roles},
        "waivers": {
            key: {
                "role": waiver.role,
                "from": waiver.from_.isoformat(),
                "until": waiver.until.isoformat(),
            }
            for key, waiver in world.waivers.items()
        },
        "checks": checks,
    }
    kind, name = target
    if kind != "dossier":
        return Behind(**shared)
    followed = {key for key, check in checks.items() if check.family == _FOLLOWED}
    past = tuple(
        PastNight(day, tuple(one for one in found if one.check in followed))
        for day, found in _nights(archive, f"model/{name}", night)
    )
    model = world.models.get(name)
    days = {one.approved_on for one in model.versions if one.approved_on} if model else set()
    on = {day.isoformat(): found for day in days for found in _signed_by(archive, target, day)}
    return Behind(past=past, on=on, corrections=tuple(_corrections(state, name, night)), **shared)


def _nights(archive: Archive, subject: str, night: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Findings about a subject in the newest signed nights up to one, newest first."""
    days = sorted({item.night for item in archive.attempts if item.night <= night}, reverse=True)
    for day in days[:NIGHTS_SHOWN]:
        attempt = archive.current(day)
        digest = archive.statement(attempt).evidence.get(subject) if attempt else None
        if digest is None:
            continue
        try:
            found = archive.evidence(digest).findings
        except RemovedError:
            continue
        yield day, found


def _signed_by(archive: Archive, target: Target, day: dt.date) -> Iterator[Moment]:
    """How a document stood in the newest night that was signed up to a day."""
    signed = [item for item in archive.attempts if item.signed_at.date() <= day]
    by_night: dict[str, SignedAttempt] = {item.night: item for item in signed}
    for night in sorted(by_night, reverse=True):
        attempt = by_night[night]
        digest = archive.statement(attempt).assessments.get("/".join(target))
        if digest is None:
            continue
        try:
            found = archive.assessment(attempt, digest)
        except RemovedError:
            continue
        yield Moment(night, found.target_version, digest, found.contradicted)
        return


def _corrections(state: Path, model: str, night: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Corrections kept by ``nachweis correct``, newest first; a changed file is passed over."""
    shown = 0
    for path in sorted((state / "corrections" / model).glob("*.json"), reverse=True):
        try:
            content = path.read_bytes()
            found: Any = parse(content)
            fits = found["kind"] == "correction" and found["subject"] == f"model/{model}"
        except (OSError, NachweisError, KeyError, TypeError):
            fits, content = False, b""
        digest = digest_bytes(content)
        if not fits or not path.stem.endswith(digest[:12]):
            _log.warning("%s is not shown: it is not a correction as it was computed", path.name)
        elif str(found["night"]) <= night:
            yield digest, found
            shown += 1
        if shown == _CORRECTIONS_SHOWN:
            return
