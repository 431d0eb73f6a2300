"""Declared values of any shape as readable parts, and as plain text; the same reading as on pages.

A part is JSON: ``{"t": ..., ...}`` with ``t`` one of ``missing, text, code, link, facts, table,
list``. Formats draw the parts in their own way and never interpret the text in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.pages.exports._model import Decision, fields
from nachweis.pages.render import (
    CODE_KEYS,
    FREE_KEYS,
    all_keys,
    by_data_set,
    harmless,
    in_reading_order,
    is_column_names,
    is_date,
    is_moment,
    is_period,
    is_row_like,
    is_short_list,
    is_text_map,
    safe_link,
)
from nachweis.pages.words import Words

Part = dict[str, Any]


def text(content: str) -> Part:
    """A part that is a run of text."""
    return {"t": "text", "s": harmless(content)}


def part(value: Any, key: str, words: Words) -> Part:
    """A declared value as parts.

    Args:
        value: Any JSON value.
        key: Name it has in its manifest; allowed values are translated under it.
        words: The language.

    Returns:
        The part.
    """
    if value is None or value == {} or value == []:
        return {"t": "missing", "s": words.label("export.not_declared")}
    if is_text_map(value):
        return {**text(words.text(value)), "lang": words.text_language(value)}
    if isinstance(value, Mapping):
        rows = [_fact(name, item, key, words) for name, item in in_reading_order(value)]
        return {"t": "facts", "rows": rows}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed(value, key, words)
    return _scalar(value, key, words)


def _fact(name: str, value: Any, key: str, words: Words) -> list[Any]:
    if key in FREE_KEYS:
        label = words.label(f"field.{name}") if f"field.{name}" in words.labels else str(name)
        return [harmless(label), part(value, key, words)]
    return [harmless(words.label(f"field.{name}")), part(value, name, words)]


def _listed(value: Sequence[Any], key: str, words: Words) -> Part:
    if key == "columns" and is_column_names(value):
        items = [
            text(f"{data_set}: {', '.join(columns)}") for data_set, columns in by_data_set(value)
        ]
        return items[0] if len(items) == 1 else {"t": "list", "items": items}
    if is_row_like(value):
        return table(value, words)
    if len(value) == 1:
        return part(value[0], key, words)
    if is_short_list(value):
        shown = ", ".join(flat(part(item, key, words)) for item in value)
        return {"t": "code" if key in CODE_KEYS else "text", "s": shown}
    return {"t": "list", "items": [part(item, key, words) for item in value]}


def table(rows: Sequence[Mapping[str, Any]], words: Words) -> Part:
    """Similar entries as a table."""
    names = all_keys(rows)
    return {
        "t": "table",
        "head": [harmless(words.label(f"field.{name}")) for name in names],
        "rows": [
            [part(row[name], name, words) if name in row else text("–") for name in names]
            for row in rows
        ],
    }


def _scalar(value: Any, key: str, words: Words) -> Part:
    if isinstance(value, bool):
        return text(words.label("export.yes" if value else "export.no"))
    if isinstance(value, int | float):
        return text(words.declared_number(value, key))
    if is_moment(value):
        return text(words.moment(value))
    if is_date(value):
        return text(words.date(value))
    if is_period(value):
        return text(words.period(value))
    if safe_link(value):
        return {"t": "link", "s": value}
    if key in CODE_KEYS:
        return {"t": "code", "s": harmless(str(value))}
    return text(words.value(value, key))


def decided(decisions: Sequence[Decision], words: Words) -> Part:
    """Who decided about a version, as a table."""
    return {
        "t": "table",
        "head": [
            harmless(words.label(f"export.{key}")) for key in ("event", "role", "name", "signed")
        ],
        "rows": [
            [
                text(words.label(f"export.event_{item.word}")),
                text(item.role),
                text(item.name or words.label("export.name_erased")),
                text(words.date(item.day)),
            ]
            for item in decisions
        ],
    }


def flat(value: Part, depth: int = 0) -> str:
    """A part as plain text, one line per fact or entry."""
    kind = value["t"]
    if kind == "facts":
        return _lines([(label, flat(item, depth + 1)) for label, item in value["rows"]], depth)
    if kind == "table":
        return "\n".join(
            "; ".join(
                f"{label}: {flat(cell, depth + 1)}"
                for label, cell in zip(value["head"], row, strict=True)
                if flat(cell) != "–"
            )
            for row in value["rows"]
        )
    if kind == "list":
        return "\n".join(f"– {flat(item, depth + 1)}" for item in value["items"])
    return str(value["s"])


def _lines(rows: Sequence[tuple[str, str]], depth: int) -> str:
    return ("\n" if depth == 0 else "; ").join(
        f"{label}: {said}" if "\n" not in said else f"{label}:\n{said}" for label, said in rows
    )


def field_text(field: Mapping[str, Any], words: Words) -> str:
    """A field of a record or dossier as plain text; empty where nothing was declared."""
    if field.get("value") is None:
        return ""
    return flat(part(field["value"], str(field.get("id", "")).partition("/")[0], words))


_NAMED = {
    "categories": "data_categories",
    "category": "data_categories",
    "client": "clients",
    "compatible_with": "purposes",
    "recipient": "recipients",
}


def resolved(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document in which references to its own fields are the texts they refer to.

    A retention rule names its categories by id; who reads a filed sheet knows no ids.

    Args:
        document: A parsed record or dossier.

    Returns:
        A copy; references that lead nowhere stay as they are.
    """
    names: dict[str, dict[str, Any]] = {}
    for _, _, item in fields(document):
        prefix, _, rest = str(item.get("id", "")).partition("/")
        value = item.get("value")
        if rest and isinstance(value, Mapping) and is_text_map(value.get("text")):
            names.setdefault(prefix, {})[rest] = value["text"]
        if rest and isinstance(value, Mapping) and isinstance(value.get("party"), Mapping):
            names.setdefault(prefix, {})[rest] = value["party"]["legal_name"]

    def said(value: Any, key: str) -> Any:
        known = names.get(_NAMED.get(key, ""), {})
        if isinstance(value, str):
            return known.get(value, value)
        if isinstance(value, list):
            return [said(item, key) for item in value]
        if isinstance(value, Mapping) and not is_text_map(value):
            return {name: said(item, name) for name, item in value.items()}
        return value

    def field(item: Mapping[str, Any]) -> dict[str, Any]:
        return {**item, "value": said(item.get("value"), "")}

    def section(item: Mapping[str, Any]) -> dict[str, Any]:
        return {**item, "fields": [field(one) for one in item.get("fields") or ()]}

    return {
        **document,
        **{
            part: [section(item) for item in document.get(part) or ()]
            for part in ("sections", "further")
            if part in document
        },
    }
