"""Layouts of registers: data in ``templates/layouts/``, one file per authority.

A layout says which fields stand under which heading; it has no code. ``general.yaml`` is the
product's own, two capital letters name a country whose authority published another one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nachweis.domain.errors import ManifestError
from nachweis.pages.exports._model import Version, values
from nachweis.pages.exports._values import flat, part
from nachweis.pages.words import Words

GENERAL = "general"
_DOCUMENT = {"@title": "title", "@id": "id", "@status": "status"}


class Column(BaseModel):
    """One heading and the fields under it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: str = ""
    """The authority's own words, in its language."""
    label: str = ""
    """Key of the label in the reader's language; empty where there is none."""
    take: dict[str, list[str]]
    """Field id or its first part to the parts of the value; no parts take the whole value."""
    where: dict[str, list[str]] = {}
    """Only values whose part is one of these."""
    letter: str = ""
    art30: bool = False
    """Whether Art. 30 asks for it in every record, so that nothing there is a visible gap."""
    width: int = Field(default=32, ge=8, le=120)


class Layout(BaseModel):
    """How an authority arranges a register."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: dict[str, str]
    official: str
    shape: Literal["table", "form"]
    """One row per activity, or one sheet per activity."""
    source: str
    checked_on: dt.date
    certainty: Literal["verified", "secondary", "memory"]
    front: tuple[Column, ...]
    controller: tuple[Column, ...]
    processor: tuple[Column, ...]

    def columns(self, capacity: str) -> tuple[Column, ...]:
        """Columns for controllers, alone or jointly, or for processors."""
        return self.processor if capacity == "processor" else self.controller


def layouts(templates: Path) -> tuple[str, ...]:
    """Countries that have a layout."""
    return tuple(sorted(path.stem for path in (templates / "layouts").glob("[A-Z][A-Z].yaml")))


def load_layout(templates: Path, country: str) -> Layout:
    """Read a layout.

    Args:
        templates: Folder ``templates/``.
        country: Two capital letters; empty for the general one.

    Returns:
        The layout.

    Raises:
        ManifestError: If there is none or it is malformed.
    """
    if country and country not in layouts(templates):
        raise ManifestError("there is no such layout", where=country, valid=layouts(templates))
    path = templates / "layouts" / f"{country or GENERAL}.yaml"
    try:
        return _load(path, path.stat().st_mtime_ns)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ManifestError(
            f"the layout cannot be used ({type(error).__name__})", where=str(path)
        ) from error


@lru_cache(maxsize=16)
def _load(path: Path, stamp: int) -> Layout:
    return Layout.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def heading(column: Column, official: str, words: Words) -> str:
    """A heading: the authority's words, then the reader's where they are another language."""
    own = words.label(column.label) if column.label else ""
    if not column.head or not own:
        return column.head or own
    return column.head if words.language == official else f"{column.head}\n{own}"


def cell(column: Column, version: Version, document: Mapping[str, Any], words: Words) -> str:
    """What a document says under a heading.

    Args:
        column: The heading.
        version: The version.
        document: Its document, references resolved.
        words: The language.

    Returns:
        One line per fact; "not declared" where the law asks and nobody said anything.
    """
    said: list[str] = []
    for field, parts in column.take.items():
        if field == "@title":
            said.append(words.text(document["title"]))
        elif field in _DOCUMENT:
            name = _DOCUMENT[field]
            said.append(words.value(document[name], name))
        else:
            said += [
                _fact(value, parts, field, words)
                for _, found in values(document, field)
                for value in (found if isinstance(found, list) else [found])
                if _wanted(value, column.where)
            ]
    said = [line for line in said if line]
    if not said:
        return (
            words.label("export.not_declared" if column.art30 else "export.none_declared")
            if column.art30 or column.letter
            else ""
        )
    return said[0] if len(said) == 1 else "\n".join(f"• {line}" for line in said)


def _wanted(value: Any, where: Mapping[str, list[str]]) -> bool:
    return not where or (
        isinstance(value, Mapping) and all(value.get(key) in many for key, many in where.items())
    )


def _fact(value: Any, parts: list[str], field: str, words: Words) -> str:
    if not isinstance(value, Mapping):
        return flat(part(value, field.partition("/")[0], words))
    if all(item is True for item in value.values()):
        # A statement such as "there is no transfer" needs no "yes" behind it.
        return "; ".join(words.label(f"field.{name}") for name in value)
    if not parts:
        return flat(part(value, field.partition("/")[0], words))
    known = [_short(value[name], name, words) for name in parts if value.get(name)]
    return " · ".join(known)


def _short(value: Any, name: str, words: Words) -> str:
    """One part of a value on one line."""
    items = value if isinstance(value, list) else [value]
    return "; ".join(flat(part(item, name, words), 1) for item in items)
