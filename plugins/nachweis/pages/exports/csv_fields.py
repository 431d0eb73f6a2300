"""CSV: one row per field, for spreadsheets and scripts; UTF-8 with a mark, as Excel wants it.

Where a spreadsheet could take a text for a formula stands an apostrophe: at the start of a cell,
and behind a separator within it, because a spreadsheet set to German or Danish splits a line at its
semicolons, not at its commas. The JSON has the texts as they were declared.
"""

from __future__ import annotations

import csv
import io
import re

from nachweis.pages.exports._model import Format, Source, fields
from nachweis.pages.exports._values import field_text, resolved
from nachweis.pages.render import harmless

COLUMNS = (
    "document", "title", "version", "night", "digest", "required_by_law", "section", "field",
    "label", "value", "origin",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
VERIFY = "nachweis verify"
_SEPARATORS = frozenset(";,\t\r\n")
_BETWEEN = re.compile(r'[;,\s"]+')
"""What can stand between the end of one cell and the text of the next, wherever lines are split."""


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, at whatever separator it splits lines."""
    shown = _BETWEEN.sub(_split, harmless(cell))
    start = shown.lstrip(" \u00a0").startswith(("\t", "\r", "\n"))
    return f"'{shown}" if start or shown.lstrip().startswith(_FORMULA) else shown


def _split(between: re.Match[str]) -> str:
    opens = between.string.startswith(_FORMULA, between.end())
    return f"{between[0]}'" if opens and _SEPARATORS & set(between[0]) else between[0]


def _render(source: Source) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    words = source.words
    for version in source.versions:
        document = resolved(version.document)
        lead = (
            f"{document['kind']}/{version.id}",
            words.text(document["title"]),
            str(version.version),
            version.night,
            version.digest,
        )
        for part, section, field in fields(document):
            row = (
                *lead,
                "yes" if part == "sections" and document["kind"] == "record" else "no",
                words.label(str(section.get("label", ""))),
                str(field.get("id", "")),
                words.label(str(field.get("label", ""))),
                field_text(field, words),
                str(field.get("origin", "")),
            )
            writer.writerow([inert(cell) for cell in row])
        for key, said in (("shows", words.label("export.shows_text")), ("verify", VERIFY)):
            label = words.label(f"export.{key}")
            row = (*lead, "no", words.label("export.about"), f"about/{key}", label, said, "")
            writer.writerow([inert(cell) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


FORMAT = Format(
    name="csv",
    suffix="csv",
    kinds=frozenset({"record", "dossier", "register"}),
    render=_render,
    spoken=True,
    stored=True,
)
