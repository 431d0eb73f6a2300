"""The Jinja2 environment of all pages: autoescape, strict, translated, with labels and dates."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest.common import LANGUAGES, text_in

Labels = Mapping[str, Mapping[str, str]]

_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")
_LINKED_SCHEMES = frozenset({"http", "https", "mailto"})


class Translations(NullTranslations):
    """Messages of one language, read from its ``.po`` file."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(None)
        self.catalog = catalog

    def gettext(self, message: str) -> str:
        """The translation, or the message itself."""
        found = self.catalog.get(message)
        text = found.string if found is not None and not found.fuzzy else ""
        return text if isinstance(text, str) and text else message

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        """The plural form for a number."""
        found = self.catalog.get(singular)
        strings = found.string if found is not None else ()
        if isinstance(strings, tuple | list) and any(strings):
            # All three languages have two forms: one, and everything else.
            return str(strings[min(int(n != 1), len(strings) - 1)])
        return singular if n == 1 else plural


@functools.cache
def translations(templates: Path, language: str) -> Translations:
    """Read the catalogue of a language once per process."""
    path = templates / "locales" / language / "LC_MESSAGES" / "messages.po"
    try:
        with path.open("rb") as stream:
            return Translations(read_po(stream, locale=language, abort_invalid=True))
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

    @property
    def locale(self) -> Locale:
        """CLDR locale."""
        return Locale.parse(self.language)

    def label(self, key: str) -> str:
        """Text of a label key; an unknown key is shown as it is."""
        found = self.labels.get(key, {})
        if self.language not in found:
            self.unknown.add(key)
            return found.get("en", key)
        return found[self.language]

    def value(self, key: str, raw: object) -> str:
        """Text of an allowed value such as ``delete``; any other text stays as people wrote it."""
        found = self.labels.get(key, {}).get(self.language)
        return found if found is not None else without_bidi(str(raw))

    def text(self, value: Mapping[str, str] | None) -> str:
        """One language of a text that people declared."""
        return without_bidi(text_in(dict(value) if value else None, self.language))

    def date(self, value: str | dt.date) -> str:
        """A date in words, for example 20 November 2026."""
        day = dt.date.fromisoformat(value[:10]) if isinstance(value, str) else value
        return format_date(day, format="long", locale=self.locale)

    def moment(self, value: str) -> str:
        """A time stamp with its zone."""
        return format_datetime(
            dt.datetime.fromisoformat(value), format="d MMMM yyyy, HH:mm:ss 'UTC'",
            locale=self.locale, tzinfo=dt.UTC,
        )  # fmt: skip

    def number(self, value: float) -> str:
        """A number with the language's separators, at most nine significant digits."""
        return format_decimal(value, format="#,##0.#########", locale=self.locale)

    def period(self, value: str) -> str:
        """An ISO 8601 period in words; what is not one stays as it is."""
        match = _PERIOD.fullmatch(value)
        if match is None or not any(match.groups()):
            return value
        units = ("year", "month", "week", "day")
        return ", ".join(
            _unit(int(count), unit, self.locale)
            for count, unit in zip(match.groups(), units, strict=True)
            if count
        )


def _unit(count: int, unit: str, locale: Locale) -> str:
    from babel.units import format_unit

    return format_unit(count, f"duration-{unit}", length="long", locale=locale)


def without_bidi(text: str) -> str:
    """Text without the controls that let it run backwards over its surroundings."""
    return _BIDI_CONTROLS.sub("\ufffd", text)


def anchor(name: str) -> str:
    """A field's id as the id of an element."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-").lower() or "field"


def safe_link(value: str) -> str | None:
    """A URI that may become a link (http, https, mailto), or None."""
    try:
        scheme = urlsplit(value).scheme
    except ValueError:
        return None
    return value if scheme in _LINKED_SCHEMES and not re.search(r"[\s<>\"]", value) else None


def is_text_map(value: Any) -> bool:
    """Whether a value is a text in several languages."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(key in LANGUAGES and isinstance(text, str) for key, text in value.items())
    )


def environment(templates: Path, words: Words) -> Environment:
    """The environment for one language.

    Args:
        templates: Folder ``templates/``.
        words: Labels and messages.

    Returns:
        An environment that escapes everything and refuses undefined names.
    """
    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(words.catalogue, newstyle=True)  # type: ignore[attr-defined]
    filters: Mapping[str, Callable[..., Any]] = {
        "label": words.label,
        "text": words.text,
        "day": words.date,
        "moment": words.moment,
        "num": words.number,
        "period": words.period,
        "link": safe_link,
        "visible": without_bidi,
        "value_label": words.value,
        "anchor": anchor,
    }
    made.filters.update(filters)
    made.tests["text_map"] = is_text_map
    made.tests["date_text"] = lambda v: isinstance(v, str) and bool(_DATE.fullmatch(v))
    made.tests["period_text"] = lambda v: (
        isinstance(v, str) and bool(len(v) > 2 and _PERIOD.fullmatch(v))
    )
    made.globals["language"] = words.language
    return made
