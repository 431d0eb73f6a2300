"""The Jinja2 environment of all pages: autoescape, strict, translated, harmless output only."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from nachweis.domain.manifest.common import LANGUAGES
from nachweis.pages.pairs import pair_name, pair_value
from nachweis.pages.words import PERIOD, Words

_HARMFUL = re.compile(
    # Direction controls let a text run backwards over its surroundings; other controls are
    # not allowed in HTML.
    "[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
_LINKED_SCHEMES = frozenset({"http", "https", "mailto"})
_COLUMN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.\S.*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}\S*")
_MOST_TABLE_COLUMNS = 6
_SHORT_WORD = 40

CODE_KEYS = frozenset(
    {
        "access_roles", "artefact_digest", "code_version", "column", "data_set", "digest", "dpv",
        "features", "join_key", "name", "operations", "reviews", "store", "time_column", "uri",
    }
)  # fmt: skip
"""Fields whose values are technical names."""

READING_ORDER = (
    "met", "required", "name", "title", "legal_name", "text", "statement", "party", "purpose",
    "category", "version", "function", "address", "country", "email", "phone", "register_no",
    "categories", "period", "start_event", "grace", "method", "datasets", "basis", "kind",
    "used_as", "data_role", "art6", "art9", "interest", "window", "min_rows", "extend_to", "date",
    "options", "choice", "reason", "role", "risk_class",
)  # fmt: skip
"""Parts that are read first; stored documents sort their keys by the alphabet."""

READ_LAST = ("columns", "dpv", "overrides")
"""Parts that are read last: long lists and technical terms."""

FREE_KEYS = frozenset({"expected", "overrides"})
"""Fields whose own keys are chosen by people or checks, so that no label can exist."""


def harmless(value: Any) -> Any:
    """Output without direction and control characters; every expression passes through here."""
    if isinstance(value, str) and _HARMFUL.search(value):
        return type(value)(_HARMFUL.sub("\ufffd", value))
    return value


def anchor(name: str) -> str:
    """A field's id as the id of an element."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-").lower() or "field"


def safe_link(value: Any) -> str | None:
    """A URI that may become a link (http, https, mailto), or None."""
    if not isinstance(value, str) or re.search(r"[\s<>\"]", value) or _HARMFUL.search(value):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    if parts.scheme not in _LINKED_SCHEMES or not (parts.netloc or parts.scheme == "mailto"):
        return None
    return value


def is_text_map(value: Any) -> bool:
    """Whether a value is a text in several languages."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(key in LANGUAGES and isinstance(text, str) for key, text in value.items())
    )


def is_row_like(value: Sequence[Any]) -> bool:
    """Whether a list reads better as a table: several small, flat, similar entries."""
    return (
        len(value) > 1
        and all(isinstance(item, Mapping) and not is_text_map(item) for item in value)
        and all(_flat(part) for item in value for part in item.values())
        and len(all_keys(value)) <= _MOST_TABLE_COLUMNS
    )


def _flat(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or is_text_map(value)


def is_short_list(value: Sequence[Any]) -> bool:
    """Whether a list fits on a line."""
    return all(
        isinstance(item, int | float | bool) or (isinstance(item, str) and len(item) <= _SHORT_WORD)
        for item in value
    )


def is_column_names(value: Sequence[Any]) -> bool:
    """Whether all entries are written ``data-set.column``."""
    return all(isinstance(item, str) and _COLUMN_NAME.fullmatch(item) for item in value)


def is_date(value: Any) -> bool:
    """Whether a text is a calendar date that exists."""
    return _parses(value, _DATE, dt.date.fromisoformat)


def is_moment(value: Any) -> bool:
    """Whether a text is a time stamp that exists."""
    return _parses(value, _MOMENT, dt.datetime.fromisoformat)


def _parses(value: Any, form: re.Pattern[str], parse: Callable[[str], object]) -> bool:
    if not isinstance(value, str) or not form.fullmatch(value):
        return False
    try:
        parse(value)
    except ValueError:
        return False
    return True


def is_period(value: Any) -> bool:
    """Whether a text is an ISO 8601 period of years, months, weeks or days."""
    match = PERIOD.fullmatch(value) if isinstance(value, str) else None
    return match is not None and any(match.groups())


def all_keys(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Keys of several mappings, in reading order."""
    return sorted(dict.fromkeys(key for item in items for key in item), key=_reading_rank)


def in_reading_order(parts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Named parts as people read them: name and text first, long lists last."""
    return sorted(parts.items(), key=lambda part: _reading_rank(part[0]))


def _reading_rank(key: str) -> int:
    if key in READ_LAST:
        return len(READING_ORDER) + 1 + READ_LAST.index(key)
    return READING_ORDER.index(key) if key in READING_ORDER else len(READING_ORDER)


def by_data_set(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Group ``data-set.column`` by data set."""
    parts = sorted(name.split(".", 1) for name in names)
    return [
        (data_set, [column for _, column in found])
        for data_set, found in groupby(parts, key=lambda part: part[0])
    ]


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
        finalize=harmless,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        words.catalogue.gettext, words.catalogue.ngettext, newstyle=True
    )
    filters: Mapping[str, Callable[..., Any]] = {
        "label": words.label,
        "message": words.message,
        "explained": words.explained,
        "named": words.named,
        "text": words.text,
        "text_language": words.text_language,
        "day": words.date,
        "moment": words.moment,
        "num": words.number,
        "declared_number": words.declared_number,
        "short": words.short,
        "period": words.period,
        "value_label": words.value,
        "link": safe_link,
        "anchor": anchor,
        "all_keys": all_keys,
        "in_reading_order": in_reading_order,
        "by_data_set": by_data_set,
        "pair_name": partial(pair_name, words=words),
        "pair_value": partial(pair_value, words=words),
        "labelled": lambda name: f"field.{name}" in words.labels,
        "field_key": lambda field_id: field_id.partition("/")[0],
    }
    made.filters.update(filters)
    made.tests.update(
        {
            "text_map": is_text_map,
            "row_like": is_row_like,
            "short_list": is_short_list,
            "column_names": is_column_names,
            "date_text": is_date,
            "moment_text": is_moment,
            "period_text": is_period,
        }
    )
    made.globals.update(language=words.language, code_keys=CODE_KEYS, free_keys=FREE_KEYS)
    return made
