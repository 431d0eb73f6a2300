"""Parts of datasets/*.yaml about privacy: releases, anonymity, turns, what texts may hold."""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

from pydantic import Field, field_validator

from nachweis.domain.manifest.common import (
    ColumnName,
    Digest,
    Id,
    Manifest,
    RoleRef,
    Text,
    Uri,
)

IdentifierKind = Literal[
    "email",
    "phone",
    "iban",
    "payment_card",
    "danish_cpr",
    "german_tax_id",
    "ip_address",
    "secret",
]
"""Kinds of identifiers that can be told by their form."""


class Release(Manifest):
    """A data set that is given away without names: how alike its rows must be."""

    quasi_identifiers: list[ColumnName] = Field(min_length=1)
    """Columns that somebody outside could know of a person."""
    sensitive: list[ColumnName] = []
    """Columns that nobody shall learn about a person."""
    k: int = Field(default=10, ge=2)
    """Fewest rows that share the same quasi-identifiers."""
    l: int | None = Field(default=None, ge=2)  # noqa: E741 - its name in the literature
    """Fewest different values of each sensitive column among them."""
    t: float | None = Field(default=None, gt=0, le=1)
    """Largest distance of their sensitive values from those of all rows."""


class AnonymityDossier(Manifest):
    """Why data are held to be no personal data (recital 26 GDPR; three criteria of WP 216)."""

    singling_out: Text
    """Why nobody can be singled out, and how that was tested."""
    linkability: Text
    """Why records about one person cannot be linked."""
    inference: Text
    """Why nothing can be inferred about a person."""
    means_considered: Text | None = None
    """Means reasonably likely to be used, by whom, at what cost."""
    assessed_on: dt.date
    valid_until: dt.date
    role: RoleRef
    report: Uri | None = None
    report_digest: Digest | None = None


class Turns(Manifest):
    """How the turns of dialogues are read: who speaks (``fields.source``) and asks for whom."""

    ai: list[str] = Field(default=["assistant"], min_length=1)
    """Values of ``fields.source`` for turns of the AI system."""
    customers: list[str] = Field(default=["customer"], min_length=1)
    """Values of ``fields.source`` for turns of customers."""
    staff: list[str] = []
    """Values of ``fields.source`` for turns of staff."""
    others: list[str] = []
    """Values of ``fields.source`` for turns that nobody reads: of the system, of tools."""
    channels: list[str] = []
    """Values of the channel column that may be named in reports."""
    asks_for_person: dict[str, list[str]] = {}
    """Per language: words by which a customer asks for a person, for example "a human"."""
    handover_within: int = Field(default=1, ge=0)
    """Answers of the AI that may still come after the request."""

    @property
    def speakers(self) -> list[str]:
        """Everybody who is declared to speak."""
        return [*self.ai, *self.customers, *self.staff, *self.others]


def _expression(value: str) -> str:
    # Look-around, back references and possessive quantifiers are not in the RE2 subset.
    if re.search(r"\(\?[=!<]|\\[1-9]|\(\?P=|[*+?}]\+", value):
        raise ValueError("stay in the common subset of RE2 and Java, without look-around")
    try:
        compiled = re.compile(value)
    except re.error as error:
        raise ValueError("not a regular expression") from error
    if compiled.match(""):
        raise ValueError("must not match an empty text")
    return value


class TextPatterns(Manifest):
    """An organisation's own numbers in its texts, as regular expressions."""

    identifiers: dict[Id, str] = {}
    """Name to expression of numbers that point to a person or order, for example order-number."""
    harmless: list[str] = []
    """Expressions of numbers that point to nobody, for example parcel numbers."""

    @field_validator("identifiers")
    @classmethod
    def _named(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _expression(one) for name, one in value.items()}

    @field_validator("harmless")
    @classmethod
    def _listed(cls, value: list[str]) -> list[str]:
        return [_expression(one) for one in value]
