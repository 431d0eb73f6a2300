"""attestations/, waivers/ and events/: dated statements that people make about the rest."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field, model_validator

from nachweis.domain.manifest.common import Digest, Id, Manifest, RoleRef, Text, Uri

LONGEST_WAIVER_DAYS = 90


class Attestation(Manifest):
    """A dated, expiring statement for a control that no machine can probe."""

    id: Id
    control: str
    statement: Text
    scope: list[str] = []
    role: RoleRef
    issued_on: dt.date
    valid_until: dt.date
    report: Uri | None = None
    report_digest: Digest | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Attestation:
        if self.valid_until < self.issued_on:
            raise ValueError("valid_until lies before issued_on")
        return self


class Waiver(Manifest):
    """A time-limited acceptance of a failing check; the outcome stays ``fail``."""

    id: Id
    check: str
    subject: str = Field(pattern=r"^(data_set|model|activity)/[a-z0-9-]+$")
    column: str | None = None
    role: RoleRef
    reason: Text
    from_: dt.date = Field(alias="from")
    until: dt.date

    @model_validator(mode="after")
    def _short(self) -> Waiver:
        days = (self.until - self.from_).days
        if days < 0:
            raise ValueError("until lies before from")
        if days > LONGEST_WAIVER_DAYS:
            raise ValueError(f"a waiver lasts at most {LONGEST_WAIVER_DAYS} days, this one {days}")
        return self

    def covers(self, day: dt.date) -> bool:
        """Whether the waiver holds on a day."""
        return self.from_ <= day <= self.until


class Event(Manifest):
    """Something planned that moves data: a campaign, a season."""

    id: Id
    kind: Literal["campaign", "season", "price_change", "outage", "other"]
    title: Text
    from_: dt.date = Field(alias="from")
    until: dt.date
    models: list[Id] = []
    expects: list[str] = Field(default=[], description="check ids whose failures are expected")
    columns: list[str] = []

    @model_validator(mode="after")
    def _ordered(self) -> Event:
        if self.until < self.from_:
            raise ValueError("until lies before from")
        return self

    def covers(self, day: dt.date) -> bool:
        """Whether the event runs on a day."""
        return self.from_ <= day <= self.until
