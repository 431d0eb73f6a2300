"""How one language says things: labels, messages, dates, numbers, periods and countries."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent, format_scientific
from babel.units import format_unit

from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.pages.explanations import Explanations

Labels = Mapping[str, Mapping[str, str]]

PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")
"""Periods that can be said in words; those with hours stay as they were written."""

# Days before months: the readers are in Europe.
_LOCALES = {"en": "en_GB"}
_COUNTRY_KEYS = frozenset({"country", "countries", "host_country", "operator_parent_country"})
_SHARE_KEYS = frozenset({"traffic_share", "share_reviewed"})
_SHOWN_DIGITS = 4
_SMALLEST_PLAIN = 1e-4


class Said(NamedTuple):
    """What a check says, and whether it is English on a page in another language."""

    text: str
    foreign: bool


class Translations:
    """Messages of one language, read from its ``.po`` files.

    Args:
        catalog: Messages of the templates.
        explanations: What checks say; None in English.
    """

    def __init__(self, catalog: Catalog, explanations: Explanations | None = None) -> None:
        self.explanations = explanations
        self._one: dict[str, str] = {}
        self._many: dict[str, tuple[str, ...]] = {}
        for message in catalog:
            if message.fuzzy or not message.id:
                continue
            if isinstance(message.id, tuple | list):
                self._many[message.id[0]] = tuple(message.string or ())
            elif isinstance(message.string, str) and message.string:
                self._one[message.id] = message.string

    def gettext(self, message: str) -> str:
        """The translation, or the message itself."""
        return self._one.get(message, message)

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        """The plural form for a number; all three languages have one and everything else."""
        forms = self._many.get(singular, ())
        if len(forms) == 2 and all(forms):
            return forms[int(n != 1)]
        return singular if n == 1 else plural


@functools.cache
def translations(templates: Path, language: str) -> Translations:
    """Read the catalogue of a language once per process."""
    messages = _read(templates, language, "messages")
    if language == "en":
        return Translations(messages)
    explained = {
        message.id: message.string
        for message in _read(templates, language, "checks")
        if isinstance(message.id, str) and message.id and isinstance(message.string, str)
    }
    locale = Locale.parse(_LOCALES.get(language, language))
    return Translations(messages, Explanations(explained, lambda value: _period(value, locale)))


def _read(templates: Path, language: str, name: str) -> Catalog:
    path = templates / "locales" / language / "LC_MESSAGES" / f"{name}.po"
    try:
        with path.open("rb") as stream:
            return read_po(stream, locale=language, abort_invalid=True)
    except OSError as error:
        raise NachweisError(
            "the message catalogue is missing", where=str(path), valid=LANGUAGES
        ) from error


@dataclass(frozen=True)
class Words:
    """How one language says things.

    Attributes:
        language: ``en``, ``de`` or ``da``.
        labels: Label key to text per language.
        catalogue: Translated messages.
    """

    language: str
    labels: Labels
    catalogue: Translations
    unknown: set[str] = field(default_factory=set)
    """Label keys that nobody has written; a test demands that there are none."""

    @functools.cached_property
    def locale(self) -> Locale:
        """CLDR locale."""
        return Locale.parse(_LOCALES.get(self.language, self.language))

    def label(self, key: str) -> str:
        """Text of a label key; an unknown key is shown as it is."""
        found = self.labels.get(key, {})
        if self.language not in found:
            self.unknown.add(key)
            return found.get("en", key)
        return found[self.language]

    def message(self, text: str) -> str:
        """A message that comes from data, such as a check's question; escaped like all data."""
        return self.catalogue.gettext(text)

    def explained(self, text: str) -> Said:
        """What a check says, in this language if it is known, else in English."""
        known = self.catalogue.explanations
        said = known.said(text) if known is not None and text else text
        return Said(text if said is None else said, said is None)

    def named(self, name: str, kind: str) -> Said:
        """A measurement or unit by its label; without one as the check calls it, in English."""
        found = self.labels.get(label_key(kind, name), {}).get(self.language)
        if found is None:
            return Said(name.replace("_", " "), self.language != "en")
        return Said(found, False)

    def value(self, raw: object, key: str) -> str:
        """An allowed value in words, known by the field it stands in; other text stays."""
        found = self.labels.get(f"value.{key}.{raw}", {}).get(self.language)
        if found is None and key in _COUNTRY_KEYS:
            found = self.locale.territories.get(str(raw))
        return found if found is not None else str(raw)

    def text(self, value: Mapping[str, str] | None) -> str:
        """One language of a text that people declared."""
        return value[text_language(value, self.language)] if value else ""

    def text_language(self, value: Mapping[str, str]) -> str:
        """The language that :meth:`text` takes."""
        return text_language(value, self.language)

    def date(self, value: str | dt.date) -> str:
        """A date in words, for example 20 November 2026."""
        day = dt.date.fromisoformat(value[:10]) if isinstance(value, str) else value
        return _day(day, self.locale)

    def numeric_date(self, value: str) -> str:
        """A date for the head of a narrow column, for example 20.11.2026."""
        return format_date(dt.date.fromisoformat(value[:10]), format="medium", locale=self.locale)

    def moment(self, value: str) -> str:
        """A time stamp in UTC; one without a zone is read as UTC."""
        moment = dt.datetime.fromisoformat(value)
        moment = moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        clock = format_time(moment.time(), format="medium", locale=self.locale)
        return f"{_day(moment.date(), self.locale)}, {clock} UTC"

    def declared_number(self, value: float, key: str) -> str:
        """A declared number; shares as a percentage."""
        if key in _SHARE_KEYS:
            return format_percent(value, format="#,##0.## %", locale=self.locale)
        return self.number(value)

    def number(self, value: float) -> str:
        """A number with the language's separators, at most nine significant digits."""
        return _number(value, self.locale)

    def short(self, value: float) -> str:
        """A number as people compare it: whole, or with four significant digits."""
        return _short(value, self.locale)

    def period(self, value: str) -> str:
        """An ISO 8601 period in words; what is not one stays as it is."""
        return _period(value, self.locale)


@functools.lru_cache(maxsize=65_536)
def _number(value: float, locale: Locale) -> str:
    return format_decimal(value, format="#,##0.#########", locale=locale)


@functools.lru_cache(maxsize=65_536)
def _short(value: float, locale: Locale) -> str:
    if value == int(value):
        return format_decimal(int(value), locale=locale)
    if abs(value) < _SMALLEST_PLAIN:
        return format_scientific(value, format="0.0##E0", locale=locale)
    return _number(float(f"{value:.{_SHOWN_DIGITS}g}"), locale)


@functools.lru_cache(maxsize=4096)
def _day(day: dt.date, locale: Locale) -> str:
    return format_date(day, format="long", locale=locale)


def _period(value: str, locale: Locale) -> str:
    match = PERIOD.fullmatch(value)
    if match is None or not any(match.groups()):
        return value
    units = ("year", "month", "week", "day")
    return ", ".join(
        format_unit(int(count), f"duration-{unit}", length="long", locale=locale)
        for count, unit in zip(match.groups(), units, strict=True)
        if count
    )


def label_key(kind: str, name: str) -> str:
    """Key of the label of a name that a check gave, such as a measurement's."""
    return f"{kind}.{name.lower().replace(' ', '_')}"


def text_language(value: Mapping[str, str], language: str) -> str:
    """The language in which a declared text is shown: the wanted one, English, or any."""
    return next((key for key in (language, "en") if key in value), next(iter(value)))
