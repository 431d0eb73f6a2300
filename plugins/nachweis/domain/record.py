"""The documents of a night: record, dossier, assessment, evidence bundle and statement.

All of them are canonical JSON. A record and a dossier hold normative content only (declared facts
and served model versions); verdicts and numbers are in the assessment that cites their digest.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from nachweis.domain.canonical import canonical_bytes, digest
from nachweis.domain.finding import Finding
from nachweis.domain.manifest.common import Origin, Verdict


class Document(BaseModel):
    """Base of all stored documents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1

    def document(self) -> Any:
        """The document as JSON-able data."""
        return self.model_dump(mode="json")

    def canonical(self) -> bytes:
        """The document's RFC 8785 bytes: what is stored and what the digest covers."""
        return canonical_bytes(self.document())

    def digest(self) -> str:
        """SHA-256 of the canonical bytes."""
        return digest(self.document())


class RecordField(BaseModel):
    """One field of a record or dossier.

    Attributes:
        id: Stable path, for example ``purposes/newsletter``.
        label: Key of the label in ``controls/labels.csv`` or of the message catalogue.
        value: Declared value; a text in several languages is a map from language to text.
        origin: Where the value comes from; ``missing`` means that nothing was declared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    label: str
    value: JsonValue
    origin: Origin


class Section(BaseModel):
    """A group of fields under one heading, for example Art. 30(1)(b)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    label: str
    fields: tuple[RecordField, ...]


class Record(Document):
    """The Art. 30 record of one activity: normative content only."""

    kind: Literal["record"] = "record"
    id: str
    title: dict[str, str]
    capacity: Literal["controller", "joint_controller", "processor"]
    status: str
    languages: tuple[str, ...]
    controlling_language: str
    incomplete: tuple[str, ...] = ()
    """Ids of fields that Art. 30 asks for and nobody declared."""
    sections: tuple[Section, ...]
    """(a) to (g) of Art. 30(1), or (a) to (d) of Art. 30(2), in this order."""
    further: tuple[Section, ...] = ()
    """Further information, not required by Art. 30."""
    models: tuple[dict[str, JsonValue], ...] = ()
    """Served model versions: id, version, traffic share, live dates."""


class Dossier(Document):
    """The lifecycle documentation of one model, in Annex IV order."""

    kind: Literal["dossier"] = "dossier"
    id: str
    title: dict[str, str]
    model_kind: str
    stage: str
    draft: bool
    languages: tuple[str, ...]
    controlling_language: str
    incomplete: tuple[str, ...] = ()
    sections: tuple[Section, ...]
    activities: tuple[str, ...] = ()


class EvidenceRef(BaseModel):
    """A pointer into an evidence bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    pointer: str
    """JSON pointer, for example ``/findings/3``."""


class Pair(BaseModel):
    """One declared value beside what was observed; counts, names, months, regions, roles.

    Never a value about a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    """Name of the measurement or of the declared part."""
    declared: str | int | float | bool | None
    observed: str | int | float | bool | None
    unit: str = ""
    agrees: bool | None = None
    """Whether the two agree; None where nothing could be observed."""


class Comparison(BaseModel):
    """One rule of evidence applied to one field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    """For example ``EV-RETAIN``; see ``docs/coverage.md``."""
    verdict: Verdict
    reason: str = ""
    """Why nothing could be observed: part of the label key ``why.<reason>``."""
    scope: str = ""
    pairs: tuple[Pair, ...] = ()


class FieldVerdict(BaseModel):
    """How one field stands tonight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    origin: Origin
    verdict: Verdict
    scope: str = ""
    tested_on: str | None = None
    """Night of the evidence."""
    checks: tuple[str, ...] = ()
    """``check@subject`` of what was compared."""
    evidence: tuple[EvidenceRef, ...] = ()
    explanation: str = ""
    declared: str = ""
    observed: str = ""
    comparisons: tuple[Comparison, ...] = ()
    """Every rule that speaks about the field, also those that nothing observed tonight."""


class FindingView(BaseModel):
    """A finding as an assessment shows it: the finding, its state and its evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    finding: Finding
    state: str
    waiver: str | None = None
    since: str | None = None
    """First night of the current run of nights in which it was open, or open and then untested."""
    evidence: EvidenceRef


class Assessment(Document):
    """One night's verdicts on one version of a record or dossier."""

    kind: Literal["assessment"] = "assessment"
    night: str
    target_kind: Literal["record", "dossier"]
    target_id: str
    target_version: int
    target_digest: str
    verdicts: tuple[FieldVerdict, ...]
    findings: tuple[FindingView, ...]
    counts: dict[str, int]
    """Outcome to number of findings."""
    contradicted: int
    blind: tuple[str, ...] = ()
    derived: tuple[Section, ...] = ()
    """What follows from declared facts and the catalogues of the night: duties, assessments."""


class Evidence(Document):
    """All findings about one subject in one night, without personal data."""

    kind: Literal["evidence"] = "evidence"
    night: str
    subject: str
    data_versions: dict[str, str]
    """Data-set id to version; ``unpinned`` where it has none."""
    windows: dict[str, JsonValue]
    findings: tuple[Finding, ...]
    queries: dict[str, int]
    """Data-set window to number of queries sent."""
    software: dict[str, str]


class VersionRef(BaseModel):
    """A version of a record or dossier, and whether this night made it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["record", "dossier"]
    id: str
    version: int
    digest: str
    key: str
    new: bool
    renderings: dict[str, str] = {}
    """File name of a rendered form beside the document to SHA-256 of its bytes; empty in a
    statement that is older than this field."""


class NotRun(BaseModel):
    """Something that was planned and did not happen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    reason: str


class Statement(Document):
    """What a night ran, what it did not, and every digest."""

    kind: Literal["statement"] = "statement"
    night: str
    timezone: str
    attempt: str
    idempotency_key: str
    supersedes: str | None
    manifests_digest: str
    data_versions: dict[str, str]
    code_version: str
    software: dict[str, str]
    subjects: tuple[str, ...]
    not_run: tuple[NotRun, ...]
    blind: tuple[str, ...]
    """Checks whose failing example no longer fails."""
    evidence: dict[str, str]
    """Subject to evidence digest."""
    versions: tuple[VersionRef, ...]
    assessments: dict[str, str]
    """``record/id`` or ``dossier/id`` to assessment digest."""
    counts: dict[str, int]
    open_by_severity: dict[str, int]
    blocked: tuple[str, ...] = ()
    """Documents that the leak gate held back, by place."""
    store: dict[str, JsonValue]
    """Capabilities of the store as its self-test found them."""
    organisation: str | None = None
    """Id in organisation.yaml; None in a statement that is older than this field."""
    manifests_commits: tuple[str, ...] | None = None
    """Commits of the repositories that hold the manifests, in the order in which they were read;
    ``+changed`` where a file differed from it, ``unknown`` outside of git. None in a statement that
    is older than this field."""
