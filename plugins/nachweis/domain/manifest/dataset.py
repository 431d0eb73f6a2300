"""datasets/*.yaml: a declared source of data with its columns, keys, times and purposes."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator, model_validator

from nachweis.domain.manifest.activity import Art9
from nachweis.domain.manifest.common import (
    ColumnName,
    Id,
    Manifest,
    Period,
    RoleRef,
    Text,
    known_zone,
)
from nachweis.domain.manifest.privacy import (
    AnonymityDossier,
    IdentifierKind,
    Release,
    TextPatterns,
    Turns,
)


class DataSetRole(StrEnum):
    """What a data set is for."""

    SOURCE = "source"
    FEATURES = "features"
    TRAINING = "training"
    EVALUATION = "evaluation"
    REFERENCE = "reference"
    SCORING_LOG = "scoring_log"
    OUTCOMES = "outcomes"
    PERMISSION_REGISTER = "permission_register"
    SUPPRESSION_LIST = "suppression_list"
    OBJECTIONS = "objections"
    ERASURE_LEDGER = "erasure_ledger"
    REVIEWS = "reviews"
    DIALOGUES = "dialogues"
    SUBJECT_REQUESTS = "subject_requests"
    ACCESS_LOG = "access_log"


class ColumnType(StrEnum):
    """Logical types; engines map their own names onto these."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BINARY = "binary"
    NESTED = "nested"


class Column(Manifest):
    """One column and what kind of personal data it holds."""

    name: ColumnName
    type: ColumnType
    nullable: bool = True
    required: bool = True
    """Whether the column must be present."""
    category: Id | None = None
    """Id of a data category of an activity; null means no personal data by itself."""
    direct_identifier: bool = False
    free_text: bool = False
    art9: Art9 | None = None
    feature: bool = False
    """Whether models read it as an input."""
    customer_controlled: bool = False
    """Whether the person scored can easily choose the value, for example by visiting more often."""
    step: float | None = Field(default=None, gt=0)
    """Smallest change of a number that a person can make, for example 1 visit."""
    immutable: bool = False
    """Whether nobody can change the value, for example a year of birth."""
    personal_default: bool = True
    """Whether published numbers about it are treated as numbers about people."""
    personal: bool | None = None
    """False states that the column says nothing about a person, where it has no category."""
    holds: list[IdentifierKind] | None = None
    """Identifiers that this text is known to hold; others are reported."""
    precision: Literal["year", "month", "day", "hour", "minute"] | None = None
    """Finest unit of a time that the purpose needs."""
    decimals: int | None = Field(default=None, ge=0, le=15)
    """Decimal places of a number that the purpose needs."""
    needed_for: Text | None = None
    """Why the column is kept although models gain little or nothing from it."""
    known_at: ColumnName | None = None
    """Column that says when this row's value became known; a model's input must not be known only
    after the row's own time."""
    description: Text | None = None


class Csv(Manifest):
    """How to read a CSV file; what is left out is sniffed."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    encoding: str | None = None
    header: bool = True
    null_values: list[str] = [""]
    decimal: Literal[".", ","] = "."
    timestamp_format: str | None = None


class SubjectKey(Manifest):
    """The column that identifies a person, and in which form."""

    column: ColumnName
    form: Literal["plain", "hmac_sha256"] = "plain"
    key_env: str | None = None
    """For keyed hashes: the environment variable that holds the secret, hexadecimal."""
    shredded_on: dt.date | None = None
    """Day on which the secret was destroyed; who is meant can no longer be looked for."""

    @model_validator(mode="after")
    def _secret(self) -> SubjectKey:
        if self.form == "hmac_sha256" and not self.key_env:
            raise ValueError("hmac_sha256 needs key_env, the name of the variable with the secret")
        if self.form == "plain" and self.shredded_on is not None:
            raise ValueError("plain keys have no secret that could be destroyed")
        return self


class TimeColumn(Manifest):
    """The column that places a row in time."""

    column: ColumnName
    zone: str | None = None
    """Zone of naive timestamps; default is the organisation's."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return value if value is None else known_zone(value)


class FieldRole(StrEnum):
    """Meaning of columns that checks ask for by meaning, not by name."""

    KEY = "key"
    SCORE = "score"
    PREDICTION = "prediction"
    LABEL = "label"
    ELIGIBLE = "eligible"
    ARM = "arm"
    MODEL_VERSION = "model_version"
    CONTACTED = "contacted"
    CHANNEL = "channel"
    COUNTRY = "country"
    PURPOSE = "purpose"
    PHASE = "phase"
    BASIS = "basis"
    GIVEN_AT = "given_at"
    WITHDRAWN_AT = "withdrawn_at"
    EXPIRES_AT = "expires_at"
    RECEIVED_AT = "received_at"
    ERASED_AT = "erased_at"
    SCOPE = "scope"
    TEXT = "text"
    HANDED_OVER = "handed_over"
    """Whether a person had taken over a dialogue."""
    REVIEWER = "reviewer"
    """Who reviewed; only the number of different ones is read."""
    REVIEW_SECONDS = "review_seconds"
    """How long a review took."""
    LANGUAGE = "language"
    REVIEWER_DECISION = "reviewer_decision"
    SOURCE = "source"
    """Who or what contributed a row: a system, a channel, a supplier, the speaker of a turn."""
    CALLER = "caller"
    """Who asked for a score: an account, a client id; default is the subject key."""
    CONVERSATION = "conversation"
    """The dialogue that a turn belongs to."""
    WEIGHT = "weight"
    QUERY = "query"
    """The list a ranked row belongs to: a search, a session, a mail."""
    RANK = "rank"
    """The place of a row in its list, from 1."""
    ANSWERED_AT = "answered_at"
    """When a person's request was answered; null while it is open."""
    EXTENDED_AT = "extended_at"
    """When the person was told that the answer takes longer."""
    BORN_ON = "born_on"
    """Date of birth, in a register of permissions."""
    GUARDIAN = "guardian"
    """Whether a holder of parental responsibility gave or authorised the consent."""
    SALE_AT = "sale_at"
    """When the address was received in the course of a sale."""
    OBJECTION_NOTICE = "objection_notice"
    """Proof that the right to object was pointed out when the address was received."""
    REMOVED_FROM = "removed_from"
    """Data set that an erased person was removed from, in an erasure ledger."""
    ACTOR = "actor"
    """Who read, in a log of accesses: a technical principal or a role."""
    ACTION = "action"
    """What was done, in a log of accesses."""
    BYTES = "bytes"
    """How much left, in a log of accesses."""
    REGION = "region"
    """From where data were read, in a log of accesses."""


class PermissionRule(Manifest):
    """Against which register rows of this data set need a basis or a permission."""

    register_: Id = Field(alias="register")
    """Id of a data set with role permission_register."""
    purpose: Id | None = None
    """Purpose the register must name for these rows."""
    phase: Literal["development", "deployment"] | None = None
    channel: str | None = None
    """Fixed channel for contact permission where the rows carry none."""
    max_age: Period | None = None
    """How old a permission may be; the organisation's own limit, for example P24M."""


class AccessRule(Manifest):
    """What is usual in a log of accesses."""

    readers: list[str] = []
    """Technical principals that may read, beside the recipients' ``access_roles``; a final ``*``
    stands for any ending."""
    regions: list[str] = []
    """Regions from which data may be read, as the log writes them."""
    reads: list[str] = []
    """Values of ``fields.action`` that read data; default is every row."""
    covers: list[Id] = []
    """Data sets whose accesses stand in the log. Recipients and access measures of an activity are
    confirmed only by logs that together cover all of its data sets."""


class DataSet(Manifest):
    """A declared data set."""

    id: Id
    title: Text | None = None
    role: DataSetRole
    owner: RoleRef | None = None
    location: str | list[str]
    """Path, glob or s3:// URI; ``{date}`` stands for each night of a window (YYYY-MM-DD).
    Relative paths start at the folder that holds manifests/."""
    format: Literal["auto", "parquet", "csv", "jsonl"] = "auto"
    engine: Literal["duckdb", "pyspark", "postgres", "snowflake", "bigquery", "trino"] = "duckdb"
    connection: str | None = None
    """Connection id for engines other than the embedded one."""
    table: str | None = None
    csv: Csv = Csv()
    columns: list[Column] = []
    additional_columns: Literal["forbidden", "allowed"] = "forbidden"
    subject_key: SubjectKey | None = None
    time: TimeColumn | None = None
    fields: dict[FieldRole, ColumnName] = {}
    """Meaning to column name, for example {score: p_buy, prediction: selected}."""
    class_scores: dict[str, ColumnName] = {}
    """Class to the column with its score, for models of several classes that log one per class."""
    max_age: Period | None = None
    """How old the newest row may be at the end of a night, for example P1D or P12M."""
    purposes: list[Id] = []
    """Purpose tags: for which declared purposes these data may be used."""
    permission: PermissionRule | None = None
    contact_permission: PermissionRule | None = None
    access: AccessRule | None = None
    """What is usual, for data sets with role access_log."""
    suite: Id | None = None
    """Expectation suite; default is the suite of the same id, if there is one."""
    pinned: Literal["content", "s3_versions", "snapshot", "unpinned"] = "content"
    identifiability: Literal["identified", "pseudonymised", "anonymised"] | None = None
    """Whether people are named in it, can be named with a key, or (with dossier) by nobody."""
    anonymity: AnonymityDossier | None = None
    """Needed where ``identifiability`` is anonymised."""
    release: Release | None = None
    """For data sets that are given away: how alike rows must be."""
    turns: Turns | None = None
    """How turns are read, for data sets with role dialogues."""
    text_patterns: TextPatterns | None = None
    """Own numbers in free texts."""

    @model_validator(mode="after")
    def _consistent(self) -> DataSet:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"columns declared twice: {', '.join(twice)}")
        if names:
            used = {
                "time.column": self.time.column if self.time else None,
                "subject_key.column": self.subject_key.column if self.subject_key else None,
                **{f"fields.{role.value}": column for role, column in self.fields.items()},
                **{f"class_scores.{name}": column for name, column in self.class_scores.items()},
                **{f"columns.{c.name}.known_at": c.known_at for c in self.columns},
                **self._released(),
            }
            for field, column in used.items():
                if column is not None and column not in names:
                    raise ValueError(f"{field}: column {column!r} is not among columns")
        return self

    def _released(self) -> dict[str, str]:
        if self.release is None:
            return {}
        return {
            f"release.{part}[{place}]": column
            for part in ("quasi_identifiers", "sensitive")
            for place, column in enumerate(getattr(self.release, part))
        }

    @property
    def locations(self) -> list[str]:
        """The location as a list."""
        return [self.location] if isinstance(self.location, str) else list(self.location)

    @property
    def partitioned_by_night(self) -> bool:
        """Whether the location holds one folder or file per night."""
        return any("{date}" in location for location in self.locations)

    def column(self, name: str) -> Column | None:
        """A declared column, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def field(self, role: FieldRole | str) -> str | None:
        """Column name for a meaning, or None."""
        return self.fields.get(FieldRole(role))
