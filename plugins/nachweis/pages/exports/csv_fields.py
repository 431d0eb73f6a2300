"""CSV: one row per field, for spreadsheets and scripts; UTF-8 with a mark, as Excel wants it.

A cell that a spreadsheet could take for a formula starts with an apostrophe. The JSON has the
texts as they were declared.
"""

from __future__ import annotations

import csv
import io

from nachweis.pages.exports._model import Format, Source, fields
from nachweis.pages.exports._values import field_text, resolved
from nachweis.pages.render import harmless

COLUMNS = (
    "document", "title", "version", "digest", "required_by_law", "section", "field", "label",
    "value", "origin",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    shown: str = harmless(cell)
    return f"'{shown}" if shown.lstrip(" \u00a0").startswith(_FORMULA) else shown


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
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


FORMAT = Format(
    name="csv",
    suffix="csv",
    kinds=frozenset({"record", "dossier", "register"}),
    render=_render,
    spoken=True,
    stored=True,
)
