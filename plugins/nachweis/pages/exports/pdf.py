"""PDF: tagged, by the PDF/A-3a and PDF/UA-1 profiles of Typst, with the signed JSON inside.

Rendered by these profiles, which is not the same as validated by a second program: the document
itself makes no claim about it beyond its metadata.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.errors import NachweisError
from nachweis.pages.documents import LETTERS
from nachweis.pages.exports._layout import layouts
from nachweis.pages.exports._model import Format, Source, Version
from nachweis.pages.exports._values import Part, decided, part, resolved, table, text
from nachweis.pages.exports.json_document import FORMAT as JSON
from nachweis.pages.exports.json_document import signed_bytes
from nachweis.pages.render import harmless
from nachweis.pages.words import Words

_LONG_WORD = {False: re.compile(r"\S{19,}"), True: re.compile(r"\S{11,}")}
"""Words that may break, on the page and in the narrow cells of a table."""
_BREAK_AFTER = re.compile(r"([._/@:=&?-])(?=\S)")
_CITED = re.compile(r"(\b(?:Art|Abs|Buchst|Nr|stk|nr|no)\.|\b(?:litra|artikel|Artikel)) (?=[\w(])")
"""A citation and its number are never parted."""
_UNBROKEN = 24
_PUNCTUATION = ".,;:!?()[]„“”»«'\""
_LONGEST_WORD = 32
"""Longer than nearly all words of the three languages; what is longer is a name or an id."""
_LONGEST_TITLE = 500
"""Titles become bookmarks and metadata, which the format bounds."""
_LONGEST_RUNNING = 80
_ROUNDS = 3
_NOT_SHOWN = re.compile(r'the text `"(.*?)"` could not be displayed', re.DOTALL)
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
_BEYOND_LATIN = re.compile("[^\t\n\x20-\u024f\u2010-\u2027\u2030-\u205e\u20ac\ufffd\u200b]")


def _render(source: Source) -> bytes:
    made = _Document(source)
    files = [
        {
            "name": made.file_name(version),
            "content": signed_bytes(version).decode("utf-8"),
            "description": f"{version.urn} sha256:{version.digest}",
        }
        for version in source.versions
    ]
    folder = source.templates / "typst"
    return compiled(folder, made.data(), files, source.newest_night, source.words)


def compiled(
    folder: Path, data: dict[str, Any], files: Sequence[Any], night: str, words: Words
) -> bytes:
    """Set a document; characters that the font lacks are shown as such, and said so.

    Args:
        folder: Folder of the template.
        data: Everything the template needs.
        files: What is embedded: ``name``, ``content``, ``description``.
        night: The date that the file carries.
        words: The language.

    Returns:
        PDF.

    Raises:
        NachweisError: If it cannot be set.
    """
    import typst

    template = (folder / "document.typ").read_bytes()
    moment = dt.datetime.fromisoformat(night).replace(tzinfo=dt.UTC)
    shown = data
    for attempt in range(_ROUNDS + 1):
        compiler = typst.Compiler(
            input=template,
            root=folder,
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps({**shown, "files": files}, ensure_ascii=False)},
        )
        try:
            found = compiler.compile(format="pdf", pdf_standards=["a-3a", "ua-1"], timestamp=moment)
        except typst.TypstError as error:
            lacking = _lacking(str(error.diagnostic))
            if not lacking or attempt == _ROUNDS:
                raise NachweisError(
                    "the document cannot be set as PDF", where=str(data["footer"])
                ) from error
            last = attempt == _ROUNDS - 1
            pattern = _BEYOND_LATIN if last else re.compile(f"[{re.escape(lacking)}]")
            shown = _replaced(shown, pattern)
            note = words.label("export.replaced")
            paragraphs = shown["about"]["paragraphs"]
            if note not in paragraphs:
                shown["about"]["paragraphs"] = [*paragraphs, note]
            continue
        if isinstance(found, bytes):
            return found
    raise NachweisError("the document cannot be set as PDF", where=str(data["footer"]))


def _lacking(diagnostic: str) -> str:
    """Characters that the font cannot show, as the typesetter reports them."""
    found = "".join(_NOT_SHOWN.findall(diagnostic))
    said = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), found)
    return "".join(sorted({char for char in said if not char.isascii()}))


def _replaced(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub("\ufffd", value)
    if isinstance(value, list | tuple):
        return [_replaced(item, pattern) for item in value]
    if isinstance(value, Mapping):
        return {key: _replaced(item, pattern) for key, item in value.items()}
    return value


def running(title: str) -> str:
    """A title as it runs along the head of every page."""
    return shorten(title, _LONGEST_RUNNING, placeholder="…")


def breakable(words: str, *, narrow: bool = False) -> str:
    """Text whose long words may break, so that no column and no page clips them."""

    def broken(match: re.Match[str]) -> str:
        if match[0].strip(_PUNCTUATION).isalpha() and len(match[0]) <= _LONGEST_WORD:
            return match[0]  # the typesetter knows where such a word parts
        pieces = _BREAK_AFTER.sub("\\1\u200b", match[0]).split("\u200b")
        return "\u200b".join(
            piece[start : start + _UNBROKEN]
            for piece in pieces
            for start in range(0, len(piece), _UNBROKEN)
        )

    return _LONG_WORD[narrow].sub(broken, _CITED.sub("\\1\u00a0", words))


def printable(value: Part, *, narrow: bool = False) -> Part:
    """A part for paper: breakable words, and tables whose columns fit their content.

    Args:
        value: The part.
        narrow: Whether it stands in a cell of a table.

    Returns:
        The part as the template draws it.
    """
    kind = value["t"]
    if kind == "facts":
        rows = [[breakable(label), printable(item, narrow=narrow)] for label, item in value["rows"]]
        return {"t": "facts", "rows": rows}
    if kind == "list":
        return {"t": "list", "items": [printable(item, narrow=narrow) for item in value["items"]]}
    if kind == "table":
        rows = [[printable(cell, narrow=True) for cell in row] for row in value["rows"]]
        return {
            "t": "table",
            "head": [breakable(label, narrow=True) for label in value["head"]],
            "rows": rows,
            "widths": value.get("widths") or _widths(value),
            **({"caption": value["caption"]} if "caption" in value else {}),
        }
    shown = {**value, "s": breakable(harmless(value["s"]), narrow=narrow)}
    return {**shown, "url": value["s"]} if kind == "link" else shown


def _widths(value: Part) -> list[int]:
    """Relative widths of columns: by their longest cell, within limits."""
    found = []
    for place, label in enumerate(value["head"]):
        longest = max((_length(row[place]) for row in value["rows"]), default=0)
        found.append(max(8, min(36, max(longest, len(label)))))
    return found


def _length(cell: Part) -> int:
    if "s" not in cell:
        return 30
    return len(cell["s"]) * 5 // 4 if cell["t"] == "code" else len(cell["s"])


class _Document:
    """The words and values of one PDF."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = source.words
        self.register = source.kind == "register"

    def file_name(self, version: Version) -> str:
        """Name of an embedded file; the one document keeps the name it has in the store."""
        kind = version.document["kind"]
        return f"{kind}-{version.id}-v{version.version}.json" if self.register else f"{kind}.json"

    def data(self) -> dict[str, Any]:
        """Everything the template needs."""
        first = self.source.versions[0]
        words = self.words
        kicker = words.label("doc.ropa" if self.register else _kind_label(first.document))
        night = words.date(self.source.newest_night)
        heading = kicker if self.register else self._title(first)
        dossier = first.document["kind"] == "dossier"
        made = {
            "lang": words.language,
            "title": harmless(f"{heading} – {kicker}" if not self.register else kicker),
            "running": harmless(running(heading)),
            "kicker": "Nachweis" if self.register else kicker,
            "kicker_short": words.label("doc.lifecycle" if dossier else "doc.ropa"),
            "heading": breakable(harmless(heading)),
            "lead": f"{words.label('export.state')} {night}"
            if self.register
            else self._lead(first),
            "date": [int(item) for item in self.source.newest_night.split("-")],
            "page": words.label("export.page"),
            "footer": self._footer(),
            "digest_line": self._digest_line(),
            "contents": words.label("export.contents") if self.register or dossier else "",
            "contents_depth": 1,
            "documents": [self._document(version) for version in self.source.versions],
            "about": self._about(),
        }
        if self.register:
            made["overview_heading"] = words.label("export.overview")
            made["overview"] = self._overview()
        return made

    def _title(self, version: Version) -> str:
        title = self.words.text(version.document["title"])
        if len(title) <= _LONGEST_TITLE:
            return title
        return f"{title[:_LONGEST_TITLE]} […] {self.words.label('export.shortened')}"

    def _lead(self, version: Version) -> str:
        words = self.words
        lead = (
            f"{words.label('meta.version')} {version.version}, "
            f"{words.label('export.first_recorded')} {words.date(version.night)}"
        )
        controlling = version.document.get("controlling_language")
        if controlling and controlling != words.language:
            name = words.label(f"language.{controlling}")
            lead += f"\n{words.label('export.translation')} {name}"
        return lead

    def _footer(self) -> str:
        if self.register:
            return f"{self.words.label('doc.ropa')} · {self.words.date(self.source.newest_night)}"
        only = self.source.only
        kind, version = only.document["kind"], self.words.label("meta.version")
        return f"{kind}/{only.id} · {version} {only.version}"

    def _digest_line(self) -> str:
        """What the pages were rendered from; a register is signed record by record."""
        if self.register:
            return f"SHA-256 {digest_bytes(JSON.render(self.source))} (register.json)"
        return f"SHA-256 {self.source.only.digest}"

    def _document(self, version: Version) -> dict[str, Any]:
        document = resolved(version.document)
        words = self.words
        missing = frozenset(document.get("incomplete") or ())
        sections = [self._section(section, missing) for section in document.get("sections") or ()]
        if document.get("models"):
            rows = printable(table(document["models"], words))
            whole = {"label": "", "item": "", "part": rows}
            heading = words.label("field.served_versions")
            sections.append({"heading": harmless(heading), "fields": [whole]})
        return {
            "chapter": harmless(self._title(version)) if self.register else "",
            "lead": harmless(
                f"{_kind_said(document, words)}\n{self._lead(version)}\nSHA-256 "
                + "\u200b".join(version.digest[i : i + 16] for i in range(0, 64, 16))
            ),
            "notes": self._notes(document),
            "sections": sections,
            "further_heading": words.label("export.further"),
            "further": [
                self._section(section, missing) for section in document.get("further") or ()
            ],
        }

    def _notes(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        words = self.words
        notes: list[dict[str, Any]] = []
        if document.get("draft"):
            notes.append({"text": words.label("export.draft"), "items": []})
        missing = document.get("incomplete") or ()
        if missing:
            labels = {
                item["id"]: words.label(str(item["label"]))
                for section in document.get("sections") or ()
                for item in section["fields"]
            }
            items = [
                harmless(
                    labels.get(name, name) + (f" ({name.split('/')[-1]})" if "/" in name else "")
                )
                for name in missing
            ]
            notes.append({"text": words.label("export.undeclared"), "items": items})
        return notes

    def _section(self, section: Mapping[str, Any], missing: frozenset[str]) -> dict[str, Any]:
        letter = LETTERS.get(str(section.get("id", "")), "")
        heading = self.words.label(str(section.get("label", "")))
        return {
            "heading": harmless(f"{letter} {heading}".strip()),
            "fields": [self._field(section, item, missing) for item in section.get("fields") or ()],
        }

    def _field(
        self, section: Mapping[str, Any], item: Mapping[str, Any], missing: frozenset[str]
    ) -> dict[str, Any]:
        name = str(item.get("id", ""))
        prefix, _, rest = name.partition("/")
        own = item.get("label") != section.get("label")
        label = self.words.label(str(item.get("label", ""))) if own else ""
        plain = prefix == "parties" or str(item.get("label", "")).startswith("ctrl.")
        shown = printable(part(item.get("value"), prefix, self.words))
        if shown["t"] == "missing" and name not in missing:
            shown["s"] = self.words.label("export.none_declared")
        return {
            "label": breakable(harmless(label)),
            "item": "" if plain else breakable(harmless(rest)),
            "part": shown,
        }

    def _overview(self) -> Part:
        words = self.words
        rows = [
            [
                text(self._title(version)),
                {"t": "code", "s": version.id},
                text(words.value(version.document.get("capacity", ""), "capacity")),
                text(words.value(version.document.get("status", ""), "status")),
                text(str(version.version)),
            ]
            for version in self.source.versions
        ]
        keys = ("meta.activity_name", "meta.activity_id", "field.capacity", "field.status",
                "meta.version")  # fmt: skip
        return printable({"t": "table", "head": [words.label(key) for key in keys], "rows": rows})

    def _about(self) -> dict[str, Any]:
        words = self.words
        facts: list[list[Any]] = []
        for version in self.source.versions:
            name = f"{version.document['kind']}/{version.id}"
            if not self.register:
                facts.append([words.label("export.document"), {"t": "code", "s": name}])
                facts.append([words.label("meta.version"), text(str(version.version))])
                facts.append([words.label("export.night"), text(words.date(version.night))])
            halves = f"{version.digest[:32]}\n{version.digest[32:]}"
            label = breakable(name) if self.register else words.label("export.digest")
            facts.append([label, {"t": "code", "s": halves}])
            decisions = self.source.decisions.get(version.urn)
            if decisions:
                table_of = printable(decided(decisions, words))
                facts.append([words.label("export.decisions"), table_of])
        embedded = ", ".join(self.file_name(version) for version in self.source.versions)
        facts.append([words.label("export.embedded"), {"t": "code", "s": breakable(embedded)}])
        facts.append([words.label("export.verify"), {"t": "code", "s": "nachweis verify"}])
        return {
            "heading": words.label("export.about"),
            "paragraphs": [words.label("export.shows_text"), words.label("export.embedded_text")],
            "facts": {"t": "facts", "rows": facts},
        }


def _kind_label(document: Mapping[str, Any]) -> str:
    if document["kind"] == "dossier":
        return "doc.lifecycle"
    processor = document.get("capacity") == "processor"
    return "doc.ropa_processor" if processor else "doc.ropa_controller"


def _kind_said(document: Mapping[str, Any], words: Words) -> str:
    return words.label(_kind_label(document))


FORMAT = Format(
    name="pdf",
    suffix="pdf",
    kinds=frozenset({"record", "dossier", "register"}),
    render=_render,
    spoken=True,
    stored=True,
    layouts=layouts,
)
