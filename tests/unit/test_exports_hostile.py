"""Whatever people write stays text in every format: it runs nothing, hides and breaks nothing."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import openpyxl
import pikepdf
import pypdfium2
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.canonical import canonical_bytes, digest_bytes
from nachweis.domain.errors import NachweisError
from nachweis.pages.exports import Source, Version, formats
from nachweis.pages.render import harmless
from tests.export_world import Exports, demo, hostile

HOSTILE = (
    "=cmd|' /C calc'!A0 </td><script>alert(1)</script><img src=x onerror=alert(1)>\"' "
    '{{ 7 * 191 }} {% raw %} #import "x" $x$ [a](javascript:alert(1)) &amp; \\w '
    "\u202e\u2066\u200f\x00\x1b \ufffe 漢字"
    ' ;=HYPERLINK(1);"=1"\t@SUM(1)\n+1, -1'
)
BAD_ADDRESS = "javascript:alert(1)//\u202ehttps://example.org/"
LONG = "=cmd " + "long" * 25_000


@pytest.fixture(scope="module")
def world() -> Exports:
    return hostile(HOSTILE, BAD_ADDRESS)


def _sources(world: Exports) -> list[Source]:
    return [
        world.source("record", "controller"),
        world.source("record", "processor", language="de"),
        world.source("dossier", "an-id", language="da"),
        world.source("register"),
    ]


def _render(name: str, source: Source) -> bytes | None:
    """The bytes, or None where there is nothing to write about."""
    made = formats()[name]
    if source.kind not in made.kinds:
        return None
    try:
        return made.render(source)
    except NachweisError as error:
        assert "nothing is open" in error.what
        return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def test_csv_holds_no_formula_and_no_hidden_character(world: Exports) -> None:
    for source in _sources(world):
        made = _render("csv", source)
        assert made is not None
        rows = list(csv.reader(io.StringIO(made.decode("utf-8-sig"), newline="")))
        assert {len(row) for row in rows} == {11}
        seen = 0
        for cell in (cell for row in rows for cell in row):
            assert not cell.lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r"))
            assert harmless(cell) == cell
            seen += cell.startswith("'=cmd")
        assert seen


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_holds_no_formula_wherever_a_spreadsheet_splits_it(
    world: Exports, separator: str
) -> None:
    """A spreadsheet set to German or Danish splits at semicolons."""
    for source in _sources(world):
        text = (_render("csv", source) or b"").decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        assert any(len(row) > 1 for row in rows)
        for cell in (cell for row in rows for cell in row):
            assert not cell.lstrip(' \u00a0"').startswith(("=", "+", "-", "@")), cell


@pytest.mark.parametrize("layout", ["", "DE", "UK"])
def test_spreadsheets_hold_text_only(world: Exports, layout: str) -> None:
    source = dataclasses.replace(world.source("register"), layout=layout)
    made = _render("xlsx", source)
    assert made is not None
    book = openpyxl.load_workbook(io.BytesIO(made))
    for sheet in book.worksheets:
        assert not sheet._hyperlinks
        for cell in (cell for row in sheet.iter_rows() for cell in row if cell.value is not None):
            assert cell.data_type == "s"
            assert harmless(str(cell.value)) == cell.value


def test_pages_print_it_and_follow_no_bad_address(world: Exports) -> None:
    for source in _sources(world):
        made = _render("pdf", source)
        assert made is not None
        with pikepdf.open(io.BytesIO(made)) as pdf:
            assert b"/JavaScript" not in made and b"/Launch" not in made
            for page in pdf.pages:
                for note in page.get("/Annots", []):
                    assert "/A" not in note or not str(note.A.get("/URI", "")).startswith("java")
        said = "".join(
            page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(made)
        )
        assert "1337" not in said
        assert "{{ 7 * 191 }}" in said and "</script>" in said and "#import" in said
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", said)


@pytest.mark.parametrize("name", ["dpv", "cyclonedx", "oscal", "oscal-poam", "openlineage"])
def test_machine_readable_texts_hold_no_hidden_character(world: Exports, name: str) -> None:
    for source in _sources(world):
        made = _render(name, source)
        for line in (made or b"").splitlines():
            for text in _strings(json.loads(line)):
                assert harmless(text) == text, text


def test_json_ld_keeps_its_own_context_and_names(world: Exports) -> None:
    made = json.loads(_render("dpv", world.source("record", "controller")) or b"")
    assert made["@context"]["dpv"] == "https://w3id.org/dpv#"

    def names(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "@id" in value:
                yield value["@id"]
            for key, item in value.items():
                if key != "@context":
                    yield from names(item)
        elif isinstance(value, list):
            for item in value:
                yield from names(item)

    for name in names(made):
        assert re.fullmatch(r"urn:nachweis:[A-Za-z0-9._:/#-]+", name)


def test_a_bill_of_materials_stays_strictly_valid(world: Exports) -> None:
    made = _render("cyclonedx", world.source("dossier", "an-id"))
    assert made is not None
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(made.decode()) is None


def test_the_signed_json_keeps_what_was_written(world: Exports) -> None:
    made = json.loads(_render("json", world.source("record", "controller")) or b"")
    assert made["title"]["en"] == HOSTILE


def _with_text(version: Version, text: str) -> Version:
    """The version with another title and other declared texts."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == {"en", "de", "da"}:
                return dict.fromkeys(value, text)
            return {key: changed(item) for key, item in value.items()}
        return [changed(item) for item in value] if isinstance(value, list) else value

    document = {
        **version.document,
        "title": {**version.document["title"], "en": text},
        "sections": changed(list(version.document["sections"][1:2])),
        "further": [],
    }
    digest = digest_bytes(canonical_bytes(document))
    return dataclasses.replace(version, document=document, digest=digest)


@pytest.mark.parametrize("name", sorted(formats()))
def test_very_long_texts_are_written_by_every_format(name: str) -> None:
    sources = (
        demo().source("record", "newsletter"),
        demo().source("dossier", "campaign-propensity"),
    )
    for source in sources:
        if source.kind not in formats()[name].kinds or name == "html":
            continue
        if name == "pdf" and source.kind == "dossier":
            continue  # over a million characters; the record shows the same
        long = dataclasses.replace(source, versions=(_with_text(source.only, LONG),))
        made = _render(name, long)
        assert made or (name, source.kind) == ("oscal-poam", "record")
        if name == "pdf":
            assert made is not None and len(pypdfium2.PdfDocument(made)) > 20


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_printed(text: str) -> None:
    source = demo().source("record", "direct-marketing")
    changed = _with_text(source.only, text)
    made = formats()["pdf"].render(dataclasses.replace(source, versions=(changed,)))
    assert made.startswith(b"%PDF-")
