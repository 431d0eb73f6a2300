"""Types shared by all manifests: ids, texts in several languages, periods, parties."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import isodate
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

LANGUAGES = ("en", "de", "da")
"""Languages the product can write documents in."""


class Manifest(BaseModel):
    """Base of everything read from YAML: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Id = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    Field(description="lower-case letters, digits and hyphens, 1 to 63 characters"),
]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Country = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="ISO 3166-1 alpha-2 code")
]
RoleRef = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    Field(description="id of a role in organisation.yaml; never a person's name"),
]
Digest = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(description="SHA-256, hexadecimal")
]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Iri = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]*:[A-Za-z0-9-]+$"),
    Field(description="term of the Data Privacy Vocabulary, for example dpv:DirectMarketing"),
]


def _period(value: str) -> str:
    if not re.fullmatch(
        r"P(?!$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?", value
    ):
        raise ValueError("not an ISO 8601 duration such as P24M, P90D or PT6H")
    return value


Period = Annotated[
    str, AfterValidator(_period), Field(description="ISO 8601 duration, for example P24M")
]


def before(moment: dt.datetime, period: str) -> dt.datetime:
    """The moment one period earlier, by the calendar.

    Args:
        moment: An aware datetime.
        period: ISO 8601 duration.

    Returns:
        The earlier datetime; the last day of a shorter month where needed.
    """
    result: dt.datetime = moment - isodate.parse_duration(period)
    return result


def after(moment: dt.datetime, period: str) -> dt.datetime:
    """The moment one period later, by the calendar."""
    result: dt.datetime = moment + isodate.parse_duration(period)
    return result


def _known_languages(value: dict[str, str]) -> dict[str, str]:
    unknown = sorted(set(value) - set(LANGUAGES))
    if unknown:
        raise ValueError(f"unknown language {', '.join(unknown)}; allowed: {', '.join(LANGUAGES)}")
    if not value:
        raise ValueError("at least one language is needed")
    empty = sorted(key for key, text in value.items() if not text.strip())
    if empty:
        raise ValueError(f"empty text for {', '.join(empty)}")
    return value


Text = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=20_000)]],
    AfterValidator(_known_languages),
    Field(description="text per language, for example {en: ..., de: ..., da: ...}"),
]


class Party(Manifest):
    """A legal person with its contact data."""

    legal_name: str
    address: str
    country: Country
    email: str
    phone: str | None = None
    register_no: str | None = None


class ContactPoint(Manifest):
    """A function that people can reach; never a person."""

    function: Text
    email: str
    phone: str | None = None
    url: str | None = None


class DpoFunction(Manifest):
    """The data protection officer as a function (Art. 37(7) GDPR)."""

    function: Text
    email: str
    phone: str | None = None


class Verdict(StrEnum):
    """How a declared field stands against what was observed."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_TESTED = "not_tested"
    EXPIRED = "expired"
    NOT_APPLICABLE = "not_applicable"


class Origin(StrEnum):
    """Where a field's value comes from."""

    OBSERVED = "observed"
    DERIVED = "derived"
    DECLARED = "declared"
    MISSING = "missing"


def text_in(text: dict[str, str] | None, language: str, fallback: str = "en") -> str:
    """One language of a text, falling back to a declared one.

    Args:
        text: Text per language or None.
        language: Wanted language.
        fallback: Language tried next; then the first one present.

    Returns:
        The text, or an empty string for None.
    """
    if not text:
        return ""
    for key in (language, fallback):
        if key in text:
            return text[key]
    return next(iter(text.values()))


def json_of(model: BaseModel) -> Any:
    """A manifest as JSON-able data, without unset optional fields."""
    return model.model_dump(mode="json", exclude_none=True)


def known_zone(value: str) -> str:
    """Demand an IANA time zone.

    Args:
        value: Its name.

    Returns:
        The same name.

    Raises:
        ValueError: If there is no such zone.
    """
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("unknown time zone; use a name such as Europe/Berlin") from error
    return value
