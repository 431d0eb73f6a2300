"""``nachweis verify``: the whole store, what is new, one document, or the store as of a day.

What was verified last is noted in the state folder. The note shortens the next verification and
excuses nothing: its entry is read, verified and compared with its checkpoint once more, a note that
does not fit is a problem, and after a week everything is read again whatever the note says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.manifest.common import Digest
from nachweis.pipeline.ledger_walk import keep_cached
from nachweis.settings import Settings
from nachweis.storage.folder_store import FolderStore
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.signing import open_signer, pinned
from nachweis.storage.timestamps import authority
from nachweis.storage.verify import Point, verify_store
from nachweis.storage.verify_one import verify_document
from nachweis.storage.verify_report import VerifyReport

FULL_EVERY = dt.timedelta(days=7)
"""After so long an incremental verification reads everything again."""


@dataclass(frozen=True, slots=True)
class Verification:
    """A report with its words.

    Attributes:
        report: What was found.
        trusted: Fingerprint that was trusted.
        scope: What was looked at, as a sentence.
    """

    report: VerifyReport
    trusted: str
    scope: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything verifies; an empty store does."""
        return self.report.ok

    def sentences(self) -> list[str]:
        """One sentence per problem."""
        return [f"{p.code.value} at {p.key}: {p.sentence}" for p in self.report.problems]

    def document(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        content = dataclasses.asdict(self.report)
        return {
            **content,
            "status": self.report.status,
            "trusted": self.trusted,
            "scope": self.scope,
        }

    def text(self) -> str:
        """The report for a person at a terminal."""
        report = self.report
        words = {
            "ok": "The store verifies.",
            "empty": "The store is empty: nothing has been signed yet.",
            "failed": "The store DOES NOT VERIFY.",
        }
        lines = [
            words[report.status],
            *([f"Scope      {self.scope}"] if self.scope else []),
            f"Entries    {report.entries} in the ledger, {report.nights} of them nights",
            f"Objects    {report.objects}, {report.checked} compared with a signed digest",
            f"Head       {report.head or '-'}",
            f"Anchored   up to entry {report.anchored}" if report.anchored else "Anchored   no",
            f"Stamped    up to entry {report.timestamped}, at {report.timestamped_at}"
            if report.timestamped
            else "Stamped    no time stamp of another party was verified",
            f"Trusted    {self.trusted}",
        ]
        lines += [f"Problem    {sentence}" for sentence in self.sentences()]
        lines += [f"Note       {n.remark.value} at {n.key}: {n.sentence}" for n in report.notices]
        return "\n".join(lines)


class _Verified(BaseModel):
    """What this machine noted about its last verification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(ge=1)
    head: Digest
    full_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a verification reads.

    Attributes:
        records: The bucket ``records``, or a local copy.
        anchor: The bucket ``anchor``.
        narratives: The bucket ``narratives``.
    """

    records: ObjectStore
    anchor: ObjectStore
    narratives: ObjectStore

    @classmethod
    def of(cls, settings: Settings, copy: Path | None = None) -> Buckets:
        """The buckets of the settings, or a local copy of all of them."""
        from nachweis.storage.s3 import open_store

        if copy is not None:
            folder = FolderStore(copy)
            return cls(folder, folder, folder)
        return cls(
            open_store(settings, "records"),
            open_store(settings, "anchor"),
            open_store(settings, "narratives"),
        )


def verify_all(
    settings: Settings, trusted: str | None = None, *, copy: Path | None = None
) -> Verification:
    """Verify everything that the ledger vouches for.

    Args:
        settings: Resolved settings.
        trusted: Fingerprint or public key file; default is the own signer's key.
        copy: Folder with a copy of the buckets; default are the buckets themselves.

    Returns:
        The verification.

    Raises:
        NachweisError: If a store cannot be reached or the key cannot be read.
    """
    pin, where = _pin(settings, trusted), Buckets.of(settings, copy)
    report = verify_store(
        where.records,
        {pin},
        anchor=where.anchor,
        narratives=where.narratives,
        stamps=authority(settings),
    )
    if copy is None:
        _note(settings, report, dt.datetime.now(dt.UTC))
    return Verification(report, pin, f"local copy {copy}" if copy else "")


def verify_new(settings: Settings, trusted: str | None = None) -> Verification:
    """Verify what was signed since the last verification on this machine.

    Args:
        settings: Resolved settings.
        trusted: Fingerprint or public key file; default is the own signer's key.

    Returns:
        The verification; of everything if nothing was noted, the last full one is older than a
        week, or the ledger no longer holds what was noted.

    Raises:
        NachweisError: If a store cannot be reached or the key cannot be read.
    """
    known = _noted(settings)
    if known is None or dt.datetime.now(dt.UTC) - known.full_at > FULL_EVERY:
        return verify_all(settings, trusted)
    pin, where = _pin(settings, trusted), Buckets.of(settings)
    report = verify_store(
        where.records,
        {pin},
        anchor=where.anchor,
        narratives=where.narratives,
        since=Point(known.sequence, known.head),
        stamps=authority(settings),
    )
    _note(settings, report, known.full_at)
    scope = f"entries behind number {report.since}"
    return Verification(report, pin, f"{scope}; everything was read on {known.full_at:%Y-%m-%d}")


def verify_one(settings: Settings, name: str, trusted: str | None = None) -> Verification:
    """Verify the ledger and one document.

    Args:
        settings: Resolved settings.
        name: Object key, digest, or ``record/<id>`` or ``dossier/<id>`` with or without a version.
        trusted: Fingerprint or public key file; default is the own signer's key.

    Returns:
        The verification.

    Raises:
        NachweisError: If nothing signed cites the document, or a store cannot be reached.
    """
    pin, where = _pin(settings, trusted), Buckets.of(settings)
    report = verify_document(where.records, {pin}, name, anchor=where.anchor)
    return Verification(report, pin, f"the ledger and {name}")


def verify_as_of(settings: Settings, day: dt.date, trusted: str | None = None) -> Verification:
    """Verify what was signed up to the end of a day, UTC.

    Args:
        settings: Resolved settings.
        day: The day, by the signers' clocks.
        trusted: Fingerprint or public key file; default is the own signer's key.

    Returns:
        The verification; its scope names the versions in force on that day.

    Raises:
        NachweisError: If a store cannot be reached or the key cannot be read.
    """
    pin, where = _pin(settings, trusted), Buckets.of(settings)
    end = dt.datetime.combine(day, dt.time.max, dt.UTC)
    report = verify_store(
        where.records,
        {pin},
        anchor=where.anchor,
        narratives=where.narratives,
        until=end,
        stamps=authority(settings),
    )
    versions = ", ".join(report.in_force) or "none"
    return Verification(report, pin, f"signed up to {day}; versions in force: {versions}")


def _pin(settings: Settings, trusted: str | None) -> str:
    return pinned(trusted) if trusted else str(open_signer(settings).public_key.keyid)


def _place(settings: Settings) -> Path:
    store = digest_bytes(f"{settings.s3_endpoint}|{settings.bucket_records}".encode())[:16]
    return settings.state / "verified" / f"{store}.json"


def _noted(settings: Settings) -> _Verified | None:
    try:
        return _Verified.model_validate_json(_place(settings).read_bytes())
    except (OSError, ValidationError):
        return None


def _note(settings: Settings, report: VerifyReport, full_at: dt.datetime) -> None:
    """Note the last anchored entry of a store that verifies; a full disk only costs time."""
    path = _place(settings)
    if not report.ok or not report.anchored or not report.anchored_head:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return
    content = {
        "sequence": report.anchored,
        "head": report.anchored_head,
        "full_at": full_at.isoformat(),
    }
    keep_cached(path, json.dumps(content).encode())
