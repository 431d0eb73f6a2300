"""XLSX: the register in the arrangement of an authority; every cell is text, never a formula."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

from nachweis.pages.exports._layout import Column, Layout, cell, heading, layouts, load_layout
from nachweis.pages.exports._model import Format, Source, Version
from nachweis.pages.exports._values import decided, flat, resolved
from nachweis.pages.render import harmless
from nachweis.pages.words import Words

LONGEST_CELL = 32_767
"""Characters a cell can hold; the signed JSON has the rest."""
_LONGEST_SHEET_NAME = 31
_LONGEST_FOOTER = 200
_FORM_WIDTHS = (44, 88)
_A4 = 9


def _render(source: Source) -> bytes:
    import xlsxwriter

    layout = load_layout(source.templates, source.layout)
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    night = dt.datetime.fromisoformat(source.newest_night)
    title = _clean(source.words.label("doc.ropa"))
    book.set_properties({"title": title, "created": night, "author": "Nachweis"})
    _Writer(book, layout, source, title).write()
    book.close()
    return buffer.getvalue()


class _Writer:
    """One workbook on its way."""

    def __init__(self, book: Any, layout: Layout, source: Source, title: str) -> None:
        self.book = book
        self.layout = layout
        self.source = source
        self.title = title
        self.words: Words = source.words
        text = {"text_wrap": True, "valign": "top", "border": 1, "border_color": "#9AA3AD"}
        # A quoted cell stays text when somebody edits it, whatever it starts with.
        self.plain = book.add_format({**text, "quote_prefix": True})
        self.head = book.add_format(
            {**text, "quote_prefix": True, "bold": True, "bg_color": "#DCE6EF"}
        )
        self.further = book.add_format(
            {**text, "quote_prefix": True, "bold": True, "bg_color": "#EEEEEE"}
        )
        self.large = book.add_format({"bold": True, "font_size": 14, "quote_prefix": True})
        self.documents = {version.urn: resolved(version.document) for version in source.versions}

    def write(self) -> None:
        """All sheets."""
        by_capacity = {
            "controller": [v for v in self.source.versions if not _is_processor(v)],
            "processor": [v for v in self.source.versions if _is_processor(v)],
        }
        if self.layout.shape == "form":
            self._front_sheet()
            for number, version in enumerate(self.source.versions, start=1):
                self._form(f"{number} {version.id}", version)
        else:
            for capacity, versions in by_capacity.items():
                if versions:
                    self._table(capacity, versions)
        self._about()

    def _sheet(self, name: str, *, portrait: bool) -> Any:
        sheet = self.book.add_worksheet(name[:_LONGEST_SHEET_NAME].strip("'"))
        sheet.set_paper(_A4)
        if portrait:
            sheet.set_portrait()
        else:
            sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.7)
        digest = self.source.versions[0].digest if len(self.source.versions) == 1 else ""
        left = f"{self.title} · {digest}"[:_LONGEST_FOOTER].replace("&", "&&")
        sheet.set_footer(f"&L&8{left}&R&8&P / &N")
        return sheet

    def _text(self, sheet: Any, row: int, column: int, text: str, look: Any) -> None:
        shown = _clean(text)
        if len(shown) > LONGEST_CELL:
            note = f" […] {self.words.label('export.shortened')}"
            shown = shown[: LONGEST_CELL - len(note)] + note
        sheet.write_string(row, column, shown, look)

    def _look(self, column: Column) -> Any:
        return self.head if column.art30 or column.letter else self.further

    def _headings(self, columns: Sequence[Column]) -> list[tuple[str, Any]]:
        found = []
        for column in columns:
            said = heading(column, self.layout.official, self.words)
            text = f"{column.letter} {said}" if column.letter else said
            found.append((text, self._look(column)))
        return found

    def _front(self, version: Version) -> list[tuple[str, str]]:
        """The organisation's block; every record repeats it, so the first one of a kind does."""
        document = self.documents[version.urn]
        rows = []
        for column in self.layout.front:
            said = cell(column, version, document, self.words)
            if said:
                rows.append((heading(column, self.layout.official, self.words), said))
        return rows

    # ------------------------------------------------------------------------------ sheets

    def _table(self, capacity: str, versions: Sequence[Version]) -> None:
        columns = self.layout.columns(capacity)
        sheet = self._sheet(_name(self.words.label(f"export.sheet_{capacity}")), portrait=False)
        key = "doc.ropa_processor" if capacity == "processor" else "doc.ropa_controller"
        self._text(sheet, 0, 0, self.words.label(key), self.large)
        row = 1
        for label, said in self._front(versions[0]):
            self._text(sheet, row, 0, label, self.head)
            last = min(3, len(columns) - 1)
            sheet.merge_range(row, 1, row, last, "", self.plain)
            self._text(sheet, row, 1, said, self.plain)
            sheet.set_row(row, 15 * (said.count("\n") + 1))
            row += 1
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width)
        trailing = [self.words.label("meta.version"), self.words.label("export.digest")]
        sheet.set_column(len(columns), len(columns), 9)
        sheet.set_column(len(columns) + 1, len(columns) + 1, 24)
        for place, (said, look) in enumerate(
            [*self._headings(columns), *((text, self.further) for text in trailing)]
        ):
            self._text(sheet, row, place, said, look)
        for number, version in enumerate(versions, start=row + 1):
            document = self.documents[version.urn]
            for place, column in enumerate(columns):
                said = cell(column, version, document, self.words)
                self._text(sheet, number, place, said, self.plain)
            self._text(sheet, number, len(columns), str(version.version), self.plain)
            self._text(sheet, number, len(columns) + 1, version.digest, self.plain)
        sheet.freeze_panes(row + 1, 1)
        sheet.repeat_rows(row)
        sheet.autofilter(row, 0, row + len(versions), len(columns) + 1)

    def _front_sheet(self) -> None:
        sheet = self._sheet(_name(self.words.label("export.sheet_front")), portrait=True)
        sheet.set_column(0, 0, _FORM_WIDTHS[0])
        sheet.set_column(1, 1, _FORM_WIDTHS[1])
        self._text(sheet, 0, 0, self.title, self.large)
        row = 1
        seen: set[tuple[str, str]] = set()
        for version in self.source.versions:
            for pair in self._front(version):
                if pair not in seen:
                    seen.add(pair)
                    self._text(sheet, row, 0, pair[0], self.head)
                    self._text(sheet, row, 1, pair[1], self.plain)
                    row += 1
        row += 1
        for version in self.source.versions:
            document = self.documents[version.urn]
            self._text(sheet, row, 0, version.id, self.head)
            self._text(sheet, row, 1, self.words.text(document["title"]), self.plain)
            row += 1

    def _form(self, name: str, version: Version) -> None:
        document = self.documents[version.urn]
        sheet = self._sheet(_name(name), portrait=True)
        sheet.set_column(0, 0, _FORM_WIDTHS[0])
        sheet.set_column(1, 1, _FORM_WIDTHS[1])
        self._text(sheet, 0, 0, self.words.text(document["title"]), self.large)
        columns = self.layout.columns(str(document.get("capacity", "")))
        row = 1
        for (said, look), column in zip(self._headings(columns), columns, strict=True):
            self._text(sheet, row, 0, said, look)
            self._text(sheet, row, 1, cell(column, version, document, self.words), self.plain)
            row += 1
        for label, said in (
            (self.words.label("meta.version"), str(version.version)),
            (self.words.label("export.digest"), version.digest),
        ):
            self._text(sheet, row, 0, label, self.further)
            self._text(sheet, row, 1, said, self.plain)
            row += 1
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)

    def _about(self) -> None:
        words = self.words
        sheet = self._sheet(_name(words.label("export.about")), portrait=True)
        sheet.set_column(0, 0, _FORM_WIDTHS[0])
        sheet.set_column(1, 1, _FORM_WIDTHS[1])
        self._text(sheet, 0, 0, words.label("export.about"), self.large)
        name = words.text(self.layout.name)
        rows = [
            (words.label("export.shows"), words.label("export.shows_text")),
            (words.label("export.layout"), f"{name}. {words.label('export.layout_text')}"),
            (words.label("export.layout_source"), self.layout.source),
            (words.label("export.verify"), "nachweis verify"),
        ]
        rows += [
            (
                f"{version.document['kind']}/{version.id}",
                f"{words.label('meta.version')} {version.version}, {words.date(version.night)}\n"
                f"SHA-256 {version.digest}",
            )
            for version in self.source.versions
        ]
        rows += [
            (
                f"{words.label('export.decisions')}: {version.document['kind']}/{version.id}",
                flat(decided(decisions, words)),
            )
            for version in self.source.versions
            if (decisions := self.source.decisions.get(version.urn))
        ]
        for row, (label, said) in enumerate(rows, start=1):
            self._text(sheet, row, 0, label, self.further)
            self._text(sheet, row, 1, said, self.plain)


def _is_processor(version: Version) -> bool:
    return version.document.get("capacity") == "processor"


def _name(text: str) -> str:
    """A sheet's name: without the characters that Excel refuses."""
    return "".join("-" if char in "[]:*?/\\'" else char for char in _clean(text))


def _clean(text: str) -> str:
    """Text that XML can hold; noncharacters would make the file unreadable."""
    shown: str = harmless(text)
    return "".join("\ufffd" if char in "\ufffe\uffff" else char for char in shown)


FORMAT = Format(
    name="xlsx",
    suffix="xlsx",
    kinds=frozenset({"record", "register"}),
    render=_render,
    spoken=True,
    stored=True,
    layouts=layouts,
)
