"""organisation.yaml and policy.yaml: who is responsible, and the organisation's own limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from nachweis.domain.manifest.common import (
    ContactPoint,
    Country,
    DpoFunction,
    Id,
    Manifest,
    Party,
    Period,
    RoleRef,
    Text,
    Uri,
    known_zone,
)


class OrganisationRole(StrEnum):
    """In which capacity the organisation keeps its records."""

    CONTROLLER = "controller"
    PROCESSOR = "processor"
    CONTROLLER_AND_PROCESSOR = "controller_and_processor"


class JointController(Manifest):
    """A joint controller with the arrangement of Art. 26 GDPR."""

    id: Id
    party: Party
    art26_arrangement: Uri | None = None


class Client(Manifest):
    """A controller for whom the organisation acts as processor (Art. 30(2)(a) GDPR)."""

    id: Id
    party: Party
    representative: Party | None = None
    dpo: DpoFunction | None = None
    contract: Uri | None = None


class Role(Manifest):
    """A role that owns, approves or advises; a deletable directory maps it to people."""

    id: RoleRef
    title: Text
    kind: Literal["owner", "dpo", "engineer", "auditor", "responder", "management", "reviewer"] = (
        "owner"
    )
    notify: str | None = None
    """Mailbox of the function for the nightly message."""


class EmployeeMonitoring(Manifest):
    """Why and since when staff figures of human review may be looked at."""

    agreement_ref: str | None = None
    reason: Text | None = None
    staff_informed_on: str

    @model_validator(mode="after")
    def _grounded(self) -> EmployeeMonitoring:
        if not self.agreement_ref and not self.reason:
            raise ValueError("needs agreement_ref or reason")
        return self


class Organisation(Manifest):
    """The organisation that keeps the records: parties, contact points, languages, time zone."""

    id: Id
    role: OrganisationRole = OrganisationRole.CONTROLLER
    controller: Party | None = None
    processor: Party | None = None
    joint_controllers: list[JointController] = []
    clients: list[Client] = []
    eu_representative: Party | None = None
    dpo: DpoFunction | None = None
    contact_points: list[ContactPoint] = []
    roles: list[Role] = Field(min_length=1)
    countries: list[Country] = Field(min_length=1)
    establishment: Country
    """Country of the main establishment."""
    region: str | None = None
    """Land or region, where the authority depends on it."""
    languages: list[Literal["en", "de", "da"]] = Field(default=["en", "de", "da"], min_length=1)
    controlling_language: Literal["en", "de", "da"] | None = None
    timezone: str = "Europe/Berlin"
    employee_monitoring: EmployeeMonitoring | None = None

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)

    @model_validator(mode="after")
    def _parties(self) -> Organisation:
        acts_as_processor = self.role is not OrganisationRole.CONTROLLER
        acts_as_controller = self.role is not OrganisationRole.PROCESSOR
        if acts_as_controller and self.controller is None:
            raise ValueError("a controller needs the party 'controller' (Art. 30(1)(a) GDPR)")
        if acts_as_processor and self.processor is None:
            raise ValueError("a processor needs the party 'processor' (Art. 30(2)(a) GDPR)")
        if self.controlling_language and self.controlling_language not in self.languages:
            raise ValueError("controlling_language must be one of languages")
        return self

    @property
    def main_language(self) -> str:
        """The controlling language, or the first declared one."""
        return self.controlling_language or self.languages[0]


class NotificationPolicy(Manifest):
    """Whom to tell after a night; counts and a link only."""

    email: list[str] = []
    webhook_connection: str | None = None
    """Airflow connection id of a webhook; its secret stays in the connection."""
    minimum_severity: Literal["info", "low", "medium", "high", "critical"] = "medium"


class Policy(Manifest):
    """policy.yaml: the organisation's own limits, laid over the checks' defaults."""

    checks: dict[str, dict[str, Any]] = {}
    """Check id to parameters."""
    review_interval: Period = "P12M"
    persistence: dict[Literal["nights", "of"], int] = {"nights": 2, "of": 3}
    """A statistical difference fails when seen on so many of the last so many nights."""
    retention_lock: Period = "P13M"
    notification: NotificationPolicy = NotificationPolicy()
    site_url: str | None = None
    """Where people open the site; printed in notifications."""
    vulnerability_feed: Uri | None = None
    """Copy of a vulnerability database in OSV format: JSON, JSON lines or a zip of JSON files."""
    model_stores: list[str] = []
    """Folders or s3:// prefixes in which models are kept, with everything below them; what lies
    there and no manifest names is undeclared. Relative ones start where manifests/ lies."""

    @model_validator(mode="after")
    def _persistent(self) -> Policy:
        nights, of = self.persistence.get("nights", 0), self.persistence.get("of", 0)
        if not 1 <= nights <= of <= 30:
            raise ValueError("persistence needs 1 <= nights <= of <= 30")
        return self
