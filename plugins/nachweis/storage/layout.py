"""Every object key of the store in one place: built from validated parts, and parsed back.

A key is built from and parsed by the same template, so that both directions cannot part company.
Parts are validated before they become a key: no part can hold a slash or a dot segment.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from nachweis.domain.errors import StoreError

LEDGER = "ledger/"
CHECKPOINTS = "checkpoints/"
TIMESTAMPS = "timestamps/"
APPROVALS = "approvals/"
SELF_TEST = "self-test/"
"""Scratch prefix of the store's self-test; its small locked objects are evidence of nothing."""
LARGEST_SEQUENCE = 9_999_999_999
LARGEST_VERSION = 999_999


class Kind(StrEnum):
    """What an object is, as its key tells."""

    EVIDENCE = "evidence"
    RECORD = "record"
    RECORD_RENDERING = "record_rendering"
    DOSSIER = "dossier"
    DOSSIER_RENDERING = "dossier_rendering"
    STATEMENT = "statement"
    ASSESSMENT = "assessment"
    RUN = "run"
    APPROVAL = "approval"
    INCIDENT = "incident"
    LEDGER = "ledger"
    GATE = "gate"
    CHECKPOINT = "checkpoint"
    TIMESTAMP = "timestamp"
    TEXT = "text"


MUTABLE = frozenset({Kind.GATE})
"""Kinds whose current version may change; all others are written once."""

COMPLIANCE_LOCKED = frozenset({Kind.LEDGER, Kind.STATEMENT, Kind.RECORD, Kind.DOSSIER})
"""Kinds that nobody can unlock early where the standard retention applies."""

_TEMPLATES: Mapping[Kind, str] = {
    Kind.EVIDENCE: "evidence/sha256/{aa}/{digest}.json.gz",
    Kind.RECORD: "records/{id}/v{version}/record.json",
    Kind.RECORD_RENDERING: "records/{id}/v{version}/{name}",
    Kind.DOSSIER: "dossiers/{id}/v{version}/dossier.json",
    Kind.DOSSIER_RENDERING: "dossiers/{id}/v{version}/{name}",
    Kind.STATEMENT: "nights/{night}/{attempt}/statement.json",
    Kind.ASSESSMENT: "nights/{night}/{attempt}/assessments/{digest}.json.gz",
    Kind.RUN: "nights/{night}/{attempt}/runs/{dag}/{digest}.json",
    Kind.APPROVAL: "approvals/{target}/{id}/v{version}/{event}.json",
    Kind.INCIDENT: "incidents/{id}/{event}.json",
    Kind.LEDGER: "ledger/{sequence}.json",
    Kind.GATE: "gates/{id}.json",
    Kind.CHECKPOINT: "checkpoints/{sequence}.json",
    Kind.TIMESTAMP: "timestamps/{sequence}.tsr",
    Kind.TEXT: "texts/{ref}.json",
}

_BY_FOLDER: Mapping[str, list[Kind]] = {
    folder: [kind for kind in Kind if _TEMPLATES[kind].partition("/")[0] == folder]
    for folder in {template.partition("/")[0] for template in _TEMPLATES.values()}
}

_PARTS: Mapping[str, str] = {
    "aa": r"[0-9a-f]{2}",
    "digest": r"[0-9a-f]{64}",
    "id": r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "version": r"[0-9]{6}",
    "event": r"[0-9]{6}",
    "sequence": r"[0-9]{10}",
    "name": r"[a-z0-9][a-z0-9_-]{0,62}(?:\.[a-z0-9]{1,10}){1,3}",
    "night": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "attempt": r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,126}[A-Za-z0-9])?",
    "dag": r"[a-z][a-z0-9_]{0,99}",
    "target": r"record|dossier",
    "ref": r"[0-9a-f]{32}",
}
_NUMBERS = frozenset({"version", "event", "sequence"})


@dataclass(frozen=True, slots=True)
class Location:
    """What a key says.

    Attributes:
        kind: What the object is.
        parts: Part name to its text, for example ``night`` or ``digest``.
    """

    kind: Kind
    parts: Mapping[str, str]

    def number(self, part: str) -> int:
        """A numeric part: ``version``, ``event`` or ``sequence``."""
        return int(self.parts[part])


@cache
def _pattern(kind: Kind) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", _TEMPLATES[kind])
    literal = [re.escape(piece) for piece in pieces[0::2]]
    named = [f"(?P<{part}>{_PARTS[part]})" for part in pieces[1::2]]
    body = "".join(a + b for a, b in zip(literal, [*named, ""], strict=True))
    return re.compile(body, re.ASCII)


def _valid(part: str, value: str) -> bool:
    return re.fullmatch(_PARTS[part], value, re.ASCII) is not None and _sensible(part, value)


def _sensible(part: str, value: str) -> bool:
    """Whether text of the right form is also a day, or a number from 1 on."""
    if part == "night":
        try:
            dt.date.fromisoformat(value)
        except ValueError:
            return False
    return not (part in _NUMBERS and int(value) == 0)


def _build(kind: Kind, **parts: str) -> str:
    for part, value in parts.items():
        if not _valid(part, value):
            raise StoreError(
                f"{part!r} is not of a form that may become part of an object key",
                where=f"key of a {kind.value}",
                remedy=f"it must match {_PARTS[part]}",
            )
    return _TEMPLATES[kind].format(**parts)


def _numbered(value: int, largest: int, part: str) -> str:
    if not 1 <= value <= largest:
        raise StoreError(f"{part} must lie between 1 and {largest}", where="object key")
    return str(value).zfill(len(str(largest)))


def locate(key: str) -> Location:
    """Parse a key.

    Args:
        key: Object key.

    Returns:
        What the key says.

    Raises:
        StoreError: If no template of this layout gives this key.
    """
    for kind in _BY_FOLDER.get(key.partition("/")[0], ()):
        match = _pattern(kind).fullmatch(key)
        if match is None:
            continue
        parts = match.groupdict()
        consistent = kind is not Kind.EVIDENCE or parts["digest"].startswith(parts["aa"])
        if consistent and all(_sensible(part, value) for part, value in parts.items()):
            return Location(kind, parts)
    raise StoreError("no object of the store's layout has such a key", where="object key")


def evidence(digest: str) -> str:
    """Key of an evidence bundle, gzip-compressed; the digest is of its uncompressed bytes."""
    return _build(Kind.EVIDENCE, aa=digest[:2], digest=digest)


def record(activity: str, version: int) -> str:
    """Key of a version of an activity's record."""
    return _build(Kind.RECORD, id=activity, version=_numbered(version, LARGEST_VERSION, "version"))


def dossier(model: str, version: int) -> str:
    """Key of a version of a model's dossier."""
    return _build(Kind.DOSSIER, id=model, version=_numbered(version, LARGEST_VERSION, "version"))


def versioned(target: str, identifier: str, version: int) -> str:
    """Key of a version of a ``record`` or ``dossier``, whichever ``target`` says."""
    if target not in {"record", "dossier"}:
        raise StoreError("only records and dossiers have versions", where="object key")
    return (record if target == "record" else dossier)(identifier, version)


def versions_prefix(target: str, identifier: str) -> str:
    """Prefix of all versions of a record or dossier."""
    return versioned(target, identifier, 1).rsplit("/", 2)[0] + "/"


def rendering(target: str, identifier: str, version: int, name: str) -> str:
    """Key of a rendered form of a version, for example ``record.de.html``."""
    document = versioned(target, identifier, version)
    kind = Kind.RECORD_RENDERING if target == "record" else Kind.DOSSIER_RENDERING
    number = _numbered(version, LARGEST_VERSION, "version")
    key = _build(kind, id=identifier, version=number, name=name)
    if key == document:
        raise StoreError("a rendering cannot take the name of the document", where=key)
    return key


def night_prefix(night: str) -> str:
    """Prefix of all attempts of a night."""
    if not _valid("night", night):
        raise StoreError("a night is written YYYY-MM-DD", where="object key")
    return f"nights/{night}/"


def attempt_prefix(night: str, attempt: str) -> str:
    """Prefix of everything that belongs to one attempt."""
    return statement(night, attempt).removesuffix("statement.json")


def statement(night: str, attempt: str) -> str:
    """Key of an attempt's statement."""
    return _build(Kind.STATEMENT, night=night, attempt=attempt)


def assessment(night: str, attempt: str, digest: str) -> str:
    """Key of one assessment, gzip-compressed; the digest is of its uncompressed bytes."""
    return _build(Kind.ASSESSMENT, night=night, attempt=attempt, digest=digest)


def run(night: str, attempt: str, dag: str, digest: str) -> str:
    """Key of what an upstream DAG hands to ``processing_records``, by digest."""
    return _build(Kind.RUN, night=night, attempt=attempt, dag=dag, digest=digest)


def runs_prefix(night: str, attempt: str, dag: str) -> str:
    """Prefix of what one upstream DAG handed over; the most recently modified one counts."""
    return run(night, attempt, dag, "0" * 64).rsplit("/", 1)[0] + "/"


def approval(target: str, identifier: str, version: int, event: int) -> str:
    """Key of one event in the approval of a version."""
    return _build(
        Kind.APPROVAL,
        target=target,
        id=identifier,
        version=_numbered(version, LARGEST_VERSION, "version"),
        event=_numbered(event, LARGEST_VERSION, "event"),
    )


def approvals_prefix(target: str, identifier: str, version: int) -> str:
    """Prefix of all events in the approval of a version."""
    return approval(target, identifier, version, 1).rsplit("/", 1)[0] + "/"


def incident(identifier: str, event: int) -> str:
    """Key of one event of an incident."""
    return _build(Kind.INCIDENT, id=identifier, event=_numbered(event, LARGEST_VERSION, "event"))


def ledger(sequence: int) -> str:
    """Key of a ledger entry."""
    return _build(Kind.LEDGER, sequence=_numbered(sequence, LARGEST_SEQUENCE, "sequence"))


def gate(model: str) -> str:
    """Key of a model's gate: mutable, versioned by the store."""
    return _build(Kind.GATE, id=model)


def checkpoint(sequence: int) -> str:
    """Key of a checkpoint in the anchor bucket."""
    return _build(Kind.CHECKPOINT, sequence=_numbered(sequence, LARGEST_SEQUENCE, "sequence"))


def timestamp(sequence: int) -> str:
    """Key of a checkpoint's time stamp in the anchor bucket."""
    return _build(Kind.TIMESTAMP, sequence=_numbered(sequence, LARGEST_SEQUENCE, "sequence"))


def text(ref: str) -> str:
    """Key of a text written by people, in the deletable bucket ``narratives``."""
    return _build(Kind.TEXT, ref=ref)
