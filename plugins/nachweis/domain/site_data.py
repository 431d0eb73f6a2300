"""What the pages are rendered from: signed documents of all nights, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nachweis.domain.approval import Approval, SignedEvent
from nachweis.domain.control import ControlCatalogue
from nachweis.domain.finding import Finding
from nachweis.domain.record import Assessment, Dossier, Record, Statement


@dataclass(frozen=True, slots=True)
class SignedNight:
    """One attempt of a night with its ledger entry.

    Attributes:
        statement: The signed statement.
        statement_digest: SHA-256 of its bytes.
        sequence: Sequence number in the ledger.
        keyid: Id of the key that signed it.
        signed_at: ISO timestamp of the ledger entry.
        current: Whether no later attempt of the same night supersedes it.
    """

    statement: Statement
    statement_digest: str
    sequence: int
    keyid: str
    signed_at: str
    current: bool


@dataclass(frozen=True, slots=True)
class VersionedRecord:
    """A stored version of a record with its digest and the night that made it."""

    record: Record
    version: int
    digest: str
    night: str


@dataclass(frozen=True, slots=True)
class VersionedDossier:
    """A stored version of a dossier with its digest and the night that made it."""

    dossier: Dossier
    version: int
    digest: str
    night: str


@dataclass(frozen=True, slots=True)
class CheckPage:
    """What the pages print about a check; taken from its class."""

    id: str
    family: str
    question: str
    why: str
    method: str
    leaves_out: str
    severity: str
    lifecycle: str
    subject: str
    controls: tuple[str, ...]
    params: tuple[Mapping[str, Any], ...]
    remediation: str
    waivable: bool
    examples: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """How a document stood in one signed night.

    Attributes:
        night: The night.
        version: Version of the document that was assessed.
        digest: SHA-256 of the night's assessment.
        contradicted: Fields it calls contradicted.
    """

    night: str
    version: int
    digest: str
    contradicted: int


@dataclass(frozen=True, slots=True)
class PastNight:
    """What a signed night found about a model.

    Attributes:
        night: The night.
        findings: Findings whose numbers are followed from night to night.
    """

    night: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a document besides the document and one night's assessment.

    Attributes:
        past: Signed nights up to the reported one, newest first.
        on: Day of a declared release to the newest night that was signed by then; days by which
            none was signed are not in it.
        events: Signed events of its approval, oldest first.
        roles: Role id to its title, per language.
        waivers: Waiver id to what its manifest says: ``role``, ``from`` and ``until``.
        corrections: Digest and document of corrections that people had computed, newest first;
            nothing signed cites them.
        checks: Check id to what is printed about it.
    """

    past: tuple[PastNight, ...] = ()
    on: Mapping[str, Moment] = field(default_factory=dict)
    events: tuple[SignedEvent, ...] = ()
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    waivers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    corrections: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    checks: Mapping[str, CheckPage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteData:
    """Everything the site shows.

    Attributes:
        organisation: Name, parties and contact points, as declared tonight.
        languages: Languages to render, the controlling one first.
        nights: All attempts, newest night first.
        records: Activity id to its versions, oldest first.
        dossiers: Model id to its versions, oldest first.
        assessments: (``record/id`` or ``dossier/id``, night) to the assessment of the current
            attempt; may read it when it is asked for.
        checks: Check id to what is printed about it.
        catalogue: Controls, legal dates and labels.
        store: ``demonstration`` or ``production``.
        write_protection: Mode and date until which the newest entry is protected.
        code: Digest of the code that renders; pages are made anew when it changes.
        approvals: ``record/id`` or ``dossier/id`` to the approval of its newest version today.
        approval_events: The same to all events of all versions, oldest first.
        roles: Role id to its title, per language.
        removed: Keys of documents that were withdrawn or disposed of.
    """

    organisation: Mapping[str, Any]
    languages: tuple[str, ...]
    nights: tuple[SignedNight, ...]
    records: Mapping[str, tuple[VersionedRecord, ...]]
    dossiers: Mapping[str, tuple[VersionedDossier, ...]]
    assessments: Mapping[tuple[str, str], Assessment]
    checks: Mapping[str, CheckPage]
    catalogue: ControlCatalogue = field(default_factory=ControlCatalogue)
    store: str = "demonstration"
    write_protection: str = ""
    code: str = ""
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    approval_events: Mapping[str, tuple[SignedEvent, ...]] = field(default_factory=dict)
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    behind: Mapping[str, Behind] = field(default_factory=dict)
