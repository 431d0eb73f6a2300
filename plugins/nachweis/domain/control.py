"""Controls: which law and standard a check or a declared measure answers to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Control(BaseModel):
    """One control of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,60}$")
    title: dict[str, str]
    gdpr: list[str] = []
    ai_act: list[str] = []
    iso27001: list[str] = []
    iso42001: list[str] = []
    nist_ai_rmf: list[str] = []
    other: list[str] = []
    evidence: list[Literal["automated", "attestation"]] = []
    interval: str | None = None
    source: str
    checked_on: dt.date


class LegalDate(BaseModel):
    """A date, deadline, retention or limit that law or the organisation sets; data, never code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    value: str
    text: dict[str, str]
    source: str
    checked_on: dt.date
    certainty: Literal["verified", "secondary", "memory", "default"]


class AttackTechnique(BaseModel):
    """A technique of MITRE ATLAS: to which models it applies and which checks look for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^AML\.T\d{4}(\.\d{3})?$")
    title: str
    kinds: list[str] = Field(description="model kinds it applies to; empty = all")
    when: list[
        Literal["trained_here", "stored_file", "free_text", "self_service", "automated", "tools"]
    ] = Field(default=[], description="facts of the manifest that must hold as well")
    checks: list[str] = Field(default=[], description="ids of checks that look for it")
    attestations: list[str] = Field(default=[], description="controls that answer it by statement")
    source: str
    checked_on: dt.date


class InjectionPattern(BaseModel):
    """Words by which somebody tries to talk a generative model out of its rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9-]{3,60}$")
    technique: str
    pattern: str = Field(description="RE2, matched against lower-case text")
    source: str
    checked_on: dt.date


class ControlCatalogue(BaseModel):
    """All controls and legal dates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    controls: Mapping[str, Control] = {}
    dates: Mapping[str, LegalDate] = {}
    authorities: Mapping[str, Mapping[str, Any]] = {}
    labels: Mapping[str, Mapping[str, str]] = {}
    techniques: Mapping[str, AttackTechnique] = {}
    injection_patterns: Mapping[str, InjectionPattern] = {}
    regions: Mapping[str, Mapping[str, Any]] = {}
    """Region of a store to the country it lies in."""
    eea: Mapping[str, Any] = {}
    """Countries to which no transfer in the sense of Chapter V GDPR takes place."""
    duties: tuple[Mapping[str, Any], ...] = ()
    """Duties of the AI Act: article, whom it binds, from which date."""
    dpia: Mapping[str, Any] = {}
    """When an impact assessment is due: criteria and national lists."""
