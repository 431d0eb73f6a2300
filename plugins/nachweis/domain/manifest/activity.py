"""activities/*.yaml: one processing activity in the sense of Art. 30 GDPR."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from nachweis.domain.manifest.common import (
    ContactPoint,
    Country,
    Id,
    Iri,
    Manifest,
    Period,
    RoleRef,
    Text,
    Uri,
)


class ActivityStatus(StrEnum):
    """Life of an activity; its manifest may be deleted only after ``ended``."""

    PLANNED = "planned"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"


class Art9(StrEnum):
    """Special categories of Art. 9(1) GDPR."""

    RACIAL_OR_ETHNIC_ORIGIN = "racial_or_ethnic_origin"
    POLITICAL_OPINIONS = "political_opinions"
    RELIGIOUS_OR_PHILOSOPHICAL_BELIEFS = "religious_or_philosophical_beliefs"
    TRADE_UNION_MEMBERSHIP = "trade_union_membership"
    GENETIC = "genetic"
    BIOMETRIC = "biometric"
    HEALTH = "health"
    SEX_LIFE_OR_ORIENTATION = "sex_life_or_orientation"


class LegalBasis(Manifest):
    """Why the processing is lawful; not the same as permission to advertise."""

    art6: Literal["a", "b", "c", "d", "e", "f"]
    """Point of Art. 6(1) GDPR."""
    art9: Literal["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] | None = None
    """Point of Art. 9(2) GDPR."""
    national: str | Text | None = None
    """The provision of Union or national law, where the basis refers to one (Art. 6(3))."""
    lia: Uri | None = None
    """Balancing memo for Art. 6(1)(f)."""
    interest: Text | None = None
    """The legitimate interest pursued, in words."""

    @property
    def code(self) -> str:
        """Short form, for example ``6(1)(f)``."""
        return f"6(1)({self.art6})"


class Compatibility(Manifest):
    """Re-use of data for a further purpose (Art. 6(4) GDPR)."""

    purpose: Id
    assessment: Uri


class Purpose(Manifest):
    """One purpose of the activity (Art. 30(1)(b))."""

    id: Id
    text: Text
    benefit: Text | None = None
    """What customers gain from it; printed in the notice."""
    dpv: list[Iri] = []
    models: list[Id] = []
    legal_basis: LegalBasis | None = None
    since: dt.date | None = None
    compatible_with: Compatibility | None = None


class DataSubjects(Manifest):
    """One category of data subjects (Art. 30(1)(c))."""

    id: Id
    text: Text
    dpv: Iri | None = None
    vulnerable: bool = False
    count_band: (
        Literal["<100", "100-1000", "1000-10000", "10000-100000", "100000-1000000", ">1000000"]
        | None
    ) = None
    countries: list[Country] = []


class DataCategory(Manifest):
    """One category of personal data (Art. 30(1)(c)) and the columns that hold it."""

    id: Id
    text: Text
    dpv: Iri | None = None
    columns: list[str] = []
    """``data-set.column`` for each column of this category."""
    art9: Art9 | None = None
    art10: bool = False
    derived: bool = False
    pseudonymised: bool = False
    key_holder: RoleRef | None = None
    source: Literal["data_subject", "third_party", "public", "derived"] | None = None
    source_detail: Text | None = None
    mandatory: bool | None = None
    consequence: Text | None = None


class Recipient(Manifest):
    """One category of recipients (Art. 30(1)(d))."""

    id: Id
    kind: Literal[
        "internal", "processor", "sub_processor", "joint_controller", "third_party", "authority"
    ]
    text: Text
    country: Country
    contract: Uri | None = None
    contract_until: dt.date | None = None
    access_roles: list[str] = []
    """Technical principals through which this recipient reads the data."""


class Transfer(Manifest):
    """One transfer to a third country or an international organisation (Art. 30(1)(e))."""

    recipient: Id
    country: Country | None = None
    international_organisation: str | None = None
    mechanism: Literal["adequacy", "dpf", "scc", "bcr", "art49"]
    instrument: Uri | None = None
    safeguards: Text | None = None
    """Documentation of suitable safeguards; required for Art. 49(1) second subparagraph."""
    tia_date: dt.date | None = None
    support_access_only: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Transfer:
        if not self.country and not self.international_organisation:
            raise ValueError("name the country or the international organisation")
        if self.mechanism == "art49" and self.safeguards is None:
            raise ValueError("mechanism art49 needs 'safeguards' (Art. 30(1)(e) GDPR)")
        return self


class StartEvent(StrEnum):
    """What a retention period counts from."""

    COLLECTED = "collected"
    LAST_ACTIVITY = "last_activity"
    CONTRACT_END = "contract_end"
    CAMPAIGN_END = "campaign_end"
    WITHDRAWAL = "withdrawal"
    CREATED = "created"


class RetainedDataSet(Manifest):
    """A data set a retention rule holds for, and the column its age is read from."""

    name: Id
    time_column: str


class RetentionRule(Manifest):
    """Envisaged time limit for erasure of categories of data (Art. 30(1)(f))."""

    id: Id
    categories: list[Id] = Field(min_length=1)
    period: Period
    grace: Period = "P0D"
    start_event: StartEvent
    basis: Text
    method: Literal["delete", "anonymise", "crypto_shred"] = "delete"
    datasets: list[RetainedDataSet] = []
    backup_lag: Period | None = None


class Measure(Manifest):
    """A declared technical or organisational measure (Art. 30(1)(g), Art. 32(1))."""

    control: str
    """Id from controls/, for example ENC-REST."""
    statement: Text
    scope: list[str] = []
    expected: dict[str, str | int | bool] = {}
    """What a probe shall find, for example {algorithm: AES256}."""


class ProcessingFor(Manifest):
    """Categories of processing carried out for a client (Art. 30(2)(b))."""

    client: Id
    text: Text
    operations: list[Iri] = []


class BiasSpecialCategoryProcessing(Manifest):
    """Special-category data used for bias work (Art. 4a AI Act); all fields are conditions."""

    class Alternative(Manifest):
        """Other data that was tried first, and why it did not do."""

        method: str
        result: Text
        date: dt.date

    attributes: list[Art9] = Field(min_length=1)
    alternatives_tested: list[Alternative] = Field(min_length=1)
    store: Id
    technical_reuse_block: Literal[True]
    access_roles: list[RoleRef] = Field(min_length=1)
    recipients: list[Id] = Field(max_length=0, default=[])
    delete_by: dt.date
    bias_closed_at: dt.date | None = None
    record_statement: Text
    likely_harm: Text


class Sovereignty(Manifest):
    """Where data is hosted and who could reach it."""

    host_country: Country
    operator: str
    operator_parent: str | None = None
    operator_parent_country: Country | None = None
    key_custody: Text | None = None
    exit_plan: Uri | None = None


class Links(Manifest):
    """Documents beside the record."""

    notice: Uri | None = None
    consent_records: Uri | None = None
    contracts: list[Uri] = []
    dpia: Uri | None = None
    breach_records: Uri | None = None
    locations: list[str] = []


class Rights(Manifest):
    """How people exercise their rights."""

    contact: ContactPoint | None = None
    channels: list[Text] = []
    withdrawal_url: Uri | None = None


class Notice(Manifest):
    """The published privacy notice of this activity."""

    version: str | None = None
    published_at: dt.date | None = None
    published_text: Uri | None = None
    copies: dict[str, Uri] = {}
    """Language to a copy of the published text, as a path from the folder that holds manifests/;
    each night compares it with the notice generated from the record."""
    delivery: list[Text] = []
    objection_block: Text | None = None


class ActivityMeta(Manifest):
    """Administrative facts."""

    department: Text | None = None
    introduced_on: dt.date | None = None
    last_changed: dt.date | None = None
    review_interval: Period | None = None
    systems: list[str] = []


class Activity(Manifest):
    """One purpose cluster: the unit of the record of processing activities."""

    id: Id
    title: Text
    status: ActivityStatus = ActivityStatus.ACTIVE
    ended_on: dt.date | None = None
    capacity: Literal["controller", "joint_controller", "processor"] = "controller"
    owner: RoleRef
    author: RoleRef | None = None
    models: list[Id] = []
    purposes: list[Purpose] = []
    data_subjects: list[DataSubjects] = []
    data_categories: list[DataCategory] = []
    recipients: list[Recipient] = []
    transfers: list[Transfer] = []
    no_transfers: bool = False
    """Set to true to state that there is no transfer to a third country."""
    retention: list[RetentionRule] = []
    toms: list[Measure] = []
    processing_for: list[ProcessingFor] = []
    joint_controllers: list[Id] = []
    bias_special_category_processing: BiasSpecialCategoryProcessing | None = None
    sovereignty: Sovereignty | None = None
    rights: Rights = Rights()
    notice: Notice = Notice()
    links: Links = Links()
    meta: ActivityMeta = ActivityMeta()

    @model_validator(mode="after")
    def _complete(self) -> Activity:
        if self.status is ActivityStatus.ENDED and self.ended_on is None:
            raise ValueError("an ended activity needs ended_on")
        if self.transfers and self.no_transfers:
            raise ValueError("no_transfers contradicts the listed transfers")
        if self.capacity == "processor":
            if not self.processing_for:
                raise ValueError("a processor's activity needs processing_for (Art. 30(2)(b) GDPR)")
        elif self.status is not ActivityStatus.PLANNED and not self.purposes:
            raise ValueError("needs at least one purpose (Art. 30(1)(b) GDPR)")
        return self
