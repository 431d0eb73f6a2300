"""The register as a spreadsheet: every authority's arrangement, readable, and text throughout."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import get_args

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from nachweis.domain.approval import EventType
from nachweis.domain.errors import ManifestError, NachweisError
from nachweis.pages.exports import Decision, formats
from nachweis.pages.exports._layout import layouts, load_layout
from nachweis.pages.exports.xlsx import LONGEST_CELL
from tests.export_world import bank, demo, hostile
from tests.site_world import TEMPLATES

LAYOUTS = ("", "DE", "DK", "FR", "IE", "UK")


def _sheets(content: bytes) -> list[Worksheet]:
    return list(openpyxl.load_workbook(io.BytesIO(content)).worksheets)


def _texts(sheet: Worksheet) -> list[str]:
    return [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value]


def test_the_layouts_that_ship_are_those_of_five_authorities() -> None:
    assert layouts(TEMPLATES) == LAYOUTS[1:]
    for country in LAYOUTS:
        layout = load_layout(TEMPLATES, country)
        for column in (*layout.front, *layout.controller, *layout.processor):
            words = demo().words("de")
            assert column.head or column.label
            if column.label:
                words.label(column.label)
            assert words.unknown == set(), (country, column)


@pytest.mark.parametrize("country", LAYOUTS)
def test_each_layout_says_all_that_art_30_asks_for(country: str) -> None:
    source = demo().source("register", language="de", layout=country)
    said = "\n".join(
        text for sheet in _sheets(formats()["xlsx"].render(source)) for text in _texts(sheet)
    )
    for version in source.versions:
        for section in version.document["sections"]:
            for field in section["fields"]:
                value = field["value"]
                name = field["id"].partition("/")[0]
                if name in {"purposes", "data_subjects", "data_categories", "recipients"}:
                    if value:
                        assert value["text"]["de"] in said, (country, field["id"])
                elif name == "toms":
                    assert value["statement"]["de"] in said
                elif name == "retention":
                    assert demo().words("de").period(value["period"]) in said
        assert version.digest in said
    assert "Beispielkai 1, 00000 Musterhafen" in said
    assert source.words.unknown == set()


@pytest.mark.parametrize("country", LAYOUTS)
def test_a_processor_has_its_own_columns(country: str) -> None:
    source = hostile("a text", "https://example.org/doc").source(
        "register", language="da", layout=country
    )
    said = "\n".join(
        text for sheet in _sheets(formats()["xlsx"].render(source)) for text in _texts(sheet)
    )
    layout = load_layout(TEMPLATES, country)
    for column in (*layout.controller, *layout.processor):
        assert (column.head or source.words.label(column.label)) in said


def test_a_table_is_readable_on_screen_and_on_paper() -> None:
    source = demo().source("register", language="da", layout="DK")
    sheet = _sheets(formats()["xlsx"].render(source))[0]
    assert sheet.title == "Dataansvarlig"
    assert sheet.freeze_panes is not None and sheet.print_title_rows is not None
    assert sheet.page_setup.orientation == "landscape" and sheet.page_setup.fitToHeight == 0
    assert "&P / &N" in str(sheet.oddFooter.right.text) or "&P" in str(sheet.oddFooter.right)
    headed = int(sheet.print_title_rows.strip("$").split(":")[0].strip("$"))
    for cell in sheet[headed]:
        assert cell.font.bold and cell.alignment.wrap_text
        assert sheet.column_dimensions[cell.column_letter].width >= 8
    assert all(cell.alignment.wrap_text for cell in sheet[headed + 1])


def test_a_form_has_a_sheet_per_activity_in_two_languages_of_heading() -> None:
    source = bank().source("register", language="en", layout="DE")
    names = [sheet.title for sheet in _sheets(formats()["xlsx"].render(source))]
    assert names == ["Front sheet", "1 telemarketing", "About this document"]
    form = _sheets(formats()["xlsx"].render(source))[1]
    assert any(
        text.endswith("Zwecke der Verarbeitung\nPurposes of the processing")
        for text in _texts(form)
    )


def test_every_cell_is_text_whatever_it_starts_with() -> None:
    source = hostile("=cmd|' /C calc'!A0", "=HYPERLINK(1)").source("register", layout="UK")
    book = openpyxl.load_workbook(io.BytesIO(formats()["xlsx"].render(source)))
    seen = 0
    for sheet in book.worksheets:
        assert not sheet._hyperlinks
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in {"s", "n"} and (cell.data_type == "s" or not cell.value)
                if str(cell.value or "").startswith("="):
                    seen += 1
                    assert cell.quotePrefix
    assert seen > 3
    assert book.defined_names == {}


def test_a_cell_that_would_be_too_long_says_that_it_is_shortened() -> None:
    source = hostile("x" * 19_000, "https://example.org/doc").source("record", "controller")
    cells = [text for sheet in _sheets(formats()["xlsx"].render(source)) for text in _texts(sheet)]
    assert max(map(len, cells)) == LONGEST_CELL
    assert any(text.endswith("shortened; the signed JSON has the whole text") for text in cells)


def test_an_unknown_or_broken_layout_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as error:
        load_layout(TEMPLATES, "XX")
    assert "DK" in str(error.value)
    folder = tmp_path / "layouts"
    folder.mkdir()
    (folder / "SE.yaml").write_text("name: {en: x}\nshape: circle\n", encoding="utf-8")
    with pytest.raises(NachweisError, match="cannot be used"):
        load_layout(tmp_path, "SE")


def test_every_event_of_an_approval_has_words() -> None:
    words = demo().words("da")
    for event in ("submitted", "advice_agrees", "advice_objects", "approved", "rejected"):
        words.label(f"export.event_{event}")
    assert words.unknown == set()
    assert {f"export.event_{event}" for event in get_args(EventType) if event != "advice"} <= set(
        words.labels
    )


def test_names_are_told_to_an_authority_and_only_as_text() -> None:
    source = demo().source("record", "newsletter", language="de", layout="DE")
    urn = source.only.urn
    decisions = {
        urn: (
            Decision("approved", "owner", "=cmd|Ann\u202e", "2026-11-21"),
            Decision("submitted", "engineer", "", "2026-11-20"),
        )
    }
    named = dataclasses.replace(source, decisions=decisions)
    said = "\n".join(
        text for sheet in _sheets(formats()["xlsx"].render(named)) for text in _texts(sheet)
    )
    assert "Name: =cmd|Ann\ufffd" in said
    assert "21. November 2026" in said and "nicht mehr gespeichert" in said
    assert formats()["csv"].render(named) == formats()["csv"].render(source)
