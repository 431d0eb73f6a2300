"""Which versions of records and dossiers were signed, by which night, and how assessed."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nachweis.domain.errors import NachweisError, RemovedError, suggestion
from nachweis.domain.record import Assessment, Dossier, Record, Statement, VersionRef
from nachweis.pipeline.archive import Archive, SignedAttempt

_COMMIT = re.compile(r"([0-9a-f]{40})(?:\+.*)?")

Target = tuple[str, str]
"""``record`` or ``dossier``, and the id of the activity or model."""


@dataclass(frozen=True, slots=True)
class SignedVersion:
    """A version and the attempt that made it.

    Attributes:
        reference: The version.
        attempt: The first attempt that signed it.
        statement: What that attempt ran.
    """

    reference: VersionRef
    attempt: SignedAttempt
    statement: Statement


@dataclass(frozen=True, slots=True)
class Assessed:
    """The newest assessment of a document, with its night and digest."""

    night: str
    digest: str
    assessment: Assessment


def signed_versions(
    archive: Archive, until: dt.datetime | None = None
) -> dict[Target, dict[int, SignedVersion]]:
    """All versions that were signed up to a moment.

    Args:
        archive: The signed past.
        until: By the signers' clocks; default is everything.

    Returns:
        Kind and id to version number to version, in ascending order.
    """
    found: dict[Target, dict[int, SignedVersion]] = {}
    for attempt in _until(archive, until):
        statement = archive.statement(attempt)
        for item in statement.versions:
            many = found.setdefault((item.kind, item.id), {})
            if item.version not in many:
                many[item.version] = SignedVersion(item, attempt, statement)
    return {key: dict(sorted(many.items())) for key, many in found.items()}


def _until(archive: Archive, until: dt.datetime | None) -> Iterable[SignedAttempt]:
    return [item for item in archive.attempts if until is None or item.signed_at <= until]


def find_target(known: Iterable[Target], name: str) -> Target:
    """The document that a person named.

    Args:
        known: Documents that were signed.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.

    Returns:
        Kind and id.

    Raises:
        NachweisError: If nothing signed has this name, or two documents have it.
    """
    kind, _, identifier = name.rpartition("/")
    listed = sorted(known)
    fitting = [item for item in listed if item[1] == identifier and kind in {"", item[0]}]
    if len(fitting) != 1:
        raise NachweisError(
            "an activity and a model have this id" if fitting else "nothing signed has this id",
            where=name,
            remedy=suggestion(identifier, [item[1] for item in listed])
            or ("" if listed else "sign a night first: nachweis run --night YYYY-MM-DD"),
            valid=[f"{a}/{b}" for a, b in listed],
        )
    return fitting[0]


def numbered(text: str, where: str) -> int:
    """A version as people write it: ``7`` or ``v7``."""
    match = re.fullmatch(r"v?0*([1-9][0-9]{0,5})", text, re.IGNORECASE | re.ASCII)
    if match is None:
        raise NachweisError("not a version", where=where, remedy="write it as v7 or 7")
    return int(match[1])


def content(archive: Archive, reference: VersionRef) -> Record | Dossier:
    """The document of a version."""
    if reference.kind == "record":
        return archive.record(reference.key, reference.digest)
    return archive.dossier(reference.key, reference.digest)


def newest_assessment(
    archive: Archive, target: Target, until: dt.datetime | None = None
) -> Assessed | None:
    """The assessment of a document in the newest night that has one.

    Args:
        archive: The signed past.
        target: The document.
        until: By the signers' clocks; default is everything.

    Returns:
        Night, digest and assessment; None if no night assessed it.
    """
    current = {attempt.night: attempt for attempt in _until(archive, until)}
    place = "/".join(target)
    for night in sorted(current, reverse=True):
        digest = archive.statement(current[night]).assessments.get(place)
        if digest is not None:
            with contextlib.suppress(RemovedError):
                return Assessed(night, digest, archive.assessment(current[night], digest))
    return None


def _commits(item: SignedVersion) -> tuple[str, ...]:
    """The commits of the manifests; in an older statement the one of the code that ran."""
    found = item.statement.manifests_commits
    return (item.statement.code_version,) if found is None else found


def _commit(item: SignedVersion) -> str | None:
    """The commit that holds the owner's manifests, which are read last."""
    match = _COMMIT.fullmatch(_commits(item)[-1]) if _commits(item) else None
    return match[1] if match else None


def _said_commits(item: SignedVersion) -> str:
    said = []
    for name in _commits(item):
        match = _COMMIT.fullmatch(name)
        changed = " with uncommitted changes" if name.endswith("+changed") else ""
        said.append(f"{match[1][:12]}{changed}" if match else "not known")
    return ", ".join(said) or "not known"


def facts(item: SignedVersion) -> dict[str, Any]:
    """A version with its source as JSON-able data."""
    return {
        "version": item.reference.version,
        "digest": item.reference.digest,
        "night": item.attempt.night,
        "signed_at": item.attempt.signed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ledger_entry": item.attempt.sequence,
        "manifests_digest": item.statement.manifests_digest,
        "code_version": item.statement.code_version,
        "commit": _commit(item),
        "manifests_commits": list(_commits(item)) if item.statement.manifests_commits else None,
    }


def described(item: SignedVersion) -> str:
    """A version with its source, in words."""
    return (
        f"version {item.reference.version}, night of {item.attempt.night}, signed "
        f"{item.attempt.signed_at:%Y-%m-%d} as ledger entry {item.attempt.sequence}, "
        f"manifests {item.statement.manifests_digest[:12]}, "
        f"commit {_said_commits(item)}"
    )
