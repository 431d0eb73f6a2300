"""Looking at signed findings, and signing what a person says about them."""

from __future__ import annotations

from pydantic import ValidationError

from nachweis.domain.errors import NachweisError, suggestion
from nachweis.domain.record import FindingView
from nachweis.pipeline.archive import night_of, open_archive
from nachweis.pipeline.decide import key_digest, waivable
from nachweis.pipeline.load import load_world
from nachweis.pipeline.views import views_of
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import lock_for
from nachweis.storage.entries import EntryKind, ReferencePredicate


def findings_of(settings: Settings, night: str | None) -> list[FindingView]:
    """Findings of a signed night, worst first.

    Args:
        settings: Resolved settings.
        night: ``YYYY-MM-DD``; default is the newest signed night.

    Returns:
        Findings with their states.

    Raises:
        NachweisError: If the night was not signed.
    """
    archive, world = open_archive(settings), load_world(settings).world
    return views_of(archive, night_of(archive, night), world)


def acknowledge(
    settings: Settings, key: str, *, role: str, night: str | None, false_alarm: bool
) -> int:
    """Sign that a role has seen an open finding.

    Args:
        settings: Resolved settings.
        key: The finding's key.
        role: Role of organisation.yaml; never a person.
        night: The night of the finding; default is the newest signed one.
        false_alarm: Say that the finding is a false alarm.

    Returns:
        Sequence number of the ledger entry. From the next night on, the state is shown.

    Raises:
        NachweisError: If there is no such open finding or no such role, or the check cannot be
            waived and the finding is called a false alarm.
    """
    from nachweis.storage.ledger import Ledger
    from nachweis.storage.s3 import open_store
    from nachweis.storage.signing import open_signer

    world = load_world(settings).world
    roles = [item.id for item in world.organisation.roles]
    if role not in roles:
        raise NachweisError(
            f"there is no role {role!r}", where="organisation.yaml", valid=roles,
            remedy=suggestion(role, roles),
        )  # fmt: skip
    archive = open_archive(settings)
    archive.demand_organisation(world.organisation.id)
    attempt = night_of(archive, night)
    open_ones = {i.finding.key: i for i in views_of(archive, attempt, world) if i.finding.is_open}
    if key not in open_ones:
        raise NachweisError(
            "there is no such open finding in this night",
            where=key,
            remedy=suggestion(key, open_ones) or "see `nachweis finding list`",
        )
    finding = open_ones[key].finding
    if false_alarm and not waivable(finding.check):
        raise NachweisError(
            "findings of this check cannot be called a false alarm",
            where=key,
            remedy="acknowledge it; correct the data or the check if it errs",
        )
    evidence = open_ones[key].evidence.digest
    ledger = Ledger(
        open_store(settings, "records"),
        open_signer(settings),
        lock=lambda of: lock_for(
            of, retention=settings.retention_class, period=world.policy.retention_lock
        ),
        anchor=open_store(settings, "anchor"),
    )
    appended = ledger.append(
        EntryKind.DECISION,
        {layout.evidence(evidence): evidence},
        ReferencePredicate(
            id=_ledger_id(key),
            event="false_alarm" if false_alarm else "acknowledged",
            role=role,
            night=attempt.night,
        ),
        hint=archive.length,
    )
    return appended.entry.sequence


def _ledger_id(key: str) -> str:
    """The key of a finding, or its digest where a column's name is no name for the ledger."""
    try:
        ReferencePredicate(id=key, event="acknowledged")
    except ValidationError:
        return key_digest(key)
    return key
