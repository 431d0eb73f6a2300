"""Ledger entries: in-toto statements that hold digests, ids and dates, never a text or a value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from nachweis.domain.canonical import canonical_bytes, digest_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.domain.manifest.common import Digest

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
LARGEST_PAYLOAD = 4096
NO_PREVIOUS = "0" * 64
"""What the first entry names as the digest of its predecessor."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$")]
"""An id, key or code: too narrow a form for a sentence or an address."""
About = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"
        r"|[a-z0-9_]{1,100}:[a-z_]{1,20}/[a-z0-9-]{1,63}:[^\x00-\x1f\x7f]{1,200})$"
    ),
]
"""A name, or the key of a finding, which may end with a column's name as the data spells it."""
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Moment = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
]


class EntryKind(StrEnum):
    """What an entry of the ledger records."""

    NIGHT = "night"
    KEY = "key"
    DECISION = "decision"
    WAIVER = "waiver"
    INCIDENT = "incident"
    GATE = "gate"
    WITHDRAWAL = "withdrawal"
    DISPOSAL = "disposal"


def predicate_type(kind: str) -> str:
    """URN of the first version of a kind's predicate."""
    return f"urn:nachweis:predicate:{kind}:v1"


class Predicate(BaseModel):
    """Base of what an entry says beyond its subjects."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NightPredicate(Predicate):
    """One signed attempt of a night; the statement holds every other digest."""

    night: Day
    attempt: Name
    statement: Digest
    idempotency_key: Digest
    supersedes: Name | None = None
    versions: dict[Name, Digest] | None = None
    """``record/id/7`` to digest; left out where the entry would grow too large."""
    documents: dict[Literal["evidence", "versions", "assessments"], int]


class KeyPredicate(Predicate):
    """A key becomes valid, takes over from another, or stops being valid.

    A new key signs its own entry together with a key that was valid before, which proves both its
    possession and its authority. The very first entry is vouched for by the pinned trust root.
    """

    action: Literal["announce", "rotate", "revoke"]
    keyid: Digest
    public_key: Annotated[str, StringConstraints(max_length=2000)] | None = None
    """PEM; absent for a revocation."""
    replaces: Digest | None = None
    """For a rotation: the key that is valid no longer."""
    from_sequence: Annotated[int, Field(ge=1)] | None = None
    """For a revocation: entries from this one on that the key signed are not to be trusted."""
    reason: Literal["superseded", "compromised", "lost"] | None = None
    valid_from: Moment | None = None

    @model_validator(mode="after")
    def _complete(self) -> KeyPredicate:
        if (self.public_key is None) != (self.action == "revoke"):
            raise ValueError("a public key belongs to every key entry but a revocation")
        if (self.replaces is not None) != (self.action == "rotate"):
            raise ValueError("exactly a rotation names the key that it replaces")
        if (self.from_sequence is not None) != (self.action == "revoke"):
            raise ValueError("exactly a revocation says from which entry on it counts")
        return self


class ReferencePredicate(Predicate):
    """A decision, waiver, incident or gate: the subject is the object that holds it."""

    id: About
    event: Name
    role: Name | None = None
    """Role that decided; never a person."""
    night: Day | None = None
    """Night the decision is about."""
    text_ref: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Name of a text in the deletable bucket."""
    text_digest: Digest | None = None
    """Salted digest of that text."""


class RemovalPredicate(Predicate):
    """The subjects were withdrawn (with an incident) or disposed of (by a retention rule)."""

    incident: Name | None = None
    rule: Name | None = None


_PREDICATES: Mapping[EntryKind, type[Predicate]] = {
    EntryKind.NIGHT: NightPredicate,
    EntryKind.KEY: KeyPredicate,
    EntryKind.DECISION: ReferencePredicate,
    EntryKind.WAIVER: ReferencePredicate,
    EntryKind.INCIDENT: ReferencePredicate,
    EntryKind.GATE: ReferencePredicate,
    EntryKind.WITHDRAWAL: RemovalPredicate,
    EntryKind.DISPOSAL: RemovalPredicate,
}
_KINDS = {predicate_type(kind.value): kind for kind in EntryKind}


class _Digests(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: Digest


class _Subject(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    digest: _Digests


class _Chained(BaseModel):
    """The part of a predicate that all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal[1]
    sequence: int = Field(ge=1)
    count: int = Field(ge=1)
    previous: Digest
    key_entry: int = Field(ge=0)
    signed_at: Moment
    entry: dict[str, Any]


class _Statement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[_Subject] = Field(min_length=1)
    predicateType: str  # noqa: N815 - the name in the in-toto specification
    predicate: _Chained


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the ledger.

    Attributes:
        sequence: Position, from 1.
        kind: What it records.
        subjects: Object key, or ``key:<fingerprint>``, to SHA-256.
        predicate: What it says about them.
        previous: SHA-256 of the previous entry's payload.
        key_entry: Position of the latest ``key`` entry before this one, 0 if there is none, so
            that the keys in force are found without reading the whole ledger.
        signed_at: When it was signed, UTC, by the signer's clock.
        digest: SHA-256 of this entry's payload.
    """

    sequence: int
    kind: EntryKind
    subjects: Mapping[str, str]
    predicate: Predicate
    previous: str
    key_entry: int
    signed_at: dt.datetime
    digest: str

    def says_the_same(self, kind: EntryKind, subjects: Mapping[str, str], said: Predicate) -> bool:
        """Whether it records the same fact, whatever its place and time."""
        return self.kind is kind and self.subjects == subjects and self.predicate == said


def moment(value: dt.datetime) -> str:
    """An aware datetime as the text that entries hold."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build_payload(
    kind: EntryKind,
    subjects: Mapping[str, str],
    predicate: Predicate,
    *,
    sequence: int,
    previous: str,
    key_entry: int,
    signed_at: dt.datetime,
) -> bytes:
    """Serialise an entry.

    Args:
        kind: What it records.
        subjects: Name to SHA-256; at least one.
        predicate: What it says.
        sequence: Its position.
        previous: Digest of the previous payload.
        key_entry: Position of the latest key entry before it.
        signed_at: Aware time of signing.

    Returns:
        Canonical JSON, at most 4 kB.

    Raises:
        NachweisError: If it is too large or not of the form of its kind.
    """
    if not isinstance(predicate, _PREDICATES[kind]):
        raise NachweisError(f"a {kind.value} entry cannot say a {type(predicate).__name__}")
    payload = canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": digest}}
                for name, digest in sorted(subjects.items())
            ],
            "predicateType": predicate_type(kind.value),
            "predicate": {
                "schema_version": 1,
                "sequence": sequence,
                "count": sequence,
                "previous": previous,
                "key_entry": key_entry,
                "signed_at": moment(signed_at),
                "entry": predicate.model_dump(mode="json", exclude_none=True),
            },
        }
    )
    if len(payload) > LARGEST_PAYLOAD:
        raise NachweisError(
            f"a ledger entry of {len(payload)} bytes is larger than {LARGEST_PAYLOAD}",
            where=f"{kind.value} entry",
            remedy="cite one document that holds the digests, or append several entries",
        )
    try:
        parse_payload(payload)
    except IntegrityError as error:
        raise NachweisError(
            "the entry holds something other than digests, ids, numbers and dates",
            where=f"{kind.value} entry",
        ) from error
    return payload


def parse_payload(payload: bytes) -> LedgerEntry:
    """Parse an entry.

    Args:
        payload: Payload of its envelope.

    Returns:
        The entry.

    Raises:
        IntegrityError: If it is not an entry of a known kind and version.
    """
    try:
        document = parse(payload)
    except NachweisError as error:
        raise IntegrityError(f"not a ledger entry ({type(error).__name__})") from error
    return read_payload(payload, document)


def read_payload(payload: bytes, document: Any) -> LedgerEntry:
    """Read an entry whose payload was parsed already; see :func:`parse_payload`.

    Args:
        payload: Payload of its envelope.
        document: The same, parsed.

    Returns:
        The entry.

    Raises:
        IntegrityError: If it is not an entry of a known kind and version.
    """
    if len(payload) > LARGEST_PAYLOAD:
        raise IntegrityError("a ledger entry is larger than allowed")
    try:
        statement = _Statement.model_validate(document)
        kind = _KINDS[statement.predicateType]
        chained = statement.predicate
        predicate = _PREDICATES[kind].model_validate(chained.entry)
        signed_at = dt.datetime.fromisoformat(chained.signed_at.removesuffix("Z"))
    except (ValidationError, NachweisError, KeyError, ValueError) as error:
        raise IntegrityError(f"not a ledger entry ({type(error).__name__})") from error
    if chained.count != chained.sequence:
        raise IntegrityError("the entry's count differs from its sequence number")
    subjects = {subject.name: subject.digest.sha256 for subject in statement.subject}
    if len(subjects) != len(statement.subject):
        raise IntegrityError("the entry names a subject twice")
    return LedgerEntry(
        sequence=chained.sequence,
        kind=kind,
        subjects=subjects,
        predicate=predicate,
        previous=chained.previous,
        key_entry=chained.key_entry,
        signed_at=signed_at.replace(tzinfo=dt.UTC),
        digest=digest_bytes(payload),
    )
