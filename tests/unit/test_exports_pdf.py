"""PDFs: tagged, readable in every language, nothing clipped, the signed JSON inside."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from typing import Any

import pikepdf
import pypdfium2
import pytest

from nachweis.pages.exports import Source, formats
from nachweis.pages.exports.pdf import breakable
from tests.export_world import bank, demo, hostile

CASES = (
    ("record", "direct-marketing", "en"),
    ("record", "customer-service", "de"),
    ("dossier", "campaign-propensity", "da"),
    ("register", "", "de"),
)


def _pdf(source: Source) -> bytes:
    return formats()["pdf"].render(source)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def made(request: pytest.FixtureRequest) -> tuple[Source, bytes]:
    kind, key, language = request.param
    source = demo().source(kind, key, language=language)
    return source, _pdf(source)


def _tags(pdf: pikepdf.Pdf) -> Counter[str]:
    found: Counter[str] = Counter()
    waiting: list[Any] = [pdf.Root.StructTreeRoot.K]
    while waiting:
        item = waiting.pop()
        if isinstance(item, pikepdf.Array):
            waiting += list(item)
        elif isinstance(item, pikepdf.Dictionary):
            if "/S" in item:
                found[str(item.S)] += 1
            if "/K" in item:
                waiting.append(item.K)
    return found


def _pages(content: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(content)
    return [page.get_textpage().get_text_bounded() for page in document]


def test_it_is_tagged_titled_and_says_its_language(made: tuple[Source, bytes]) -> None:
    source, content = made
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang).startswith(source.words.language)
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        with pdf.open_metadata() as metadata:
            assert metadata.pdfa_status == "3A"
            assert metadata["pdfuaid:part"] == "1"
            assert source.kind == "register" or source.words.text(
                source.only.document["title"]
            ) in str(metadata["dc:title"])
            assert str(metadata["xmp:CreateDate"]).startswith("2026-11-20")
        tags = _tags(pdf)
        assert tags["/H1"] >= 5 and tags["/H2"] >= 5
        assert tags["/Table"] >= 1 and tags["/TH"] >= 2 and tags["/TD"] >= 2
        assert "/JavaScript" not in pdf.Root.get("/Names", {})


def _fonts(pdf: pikepdf.Pdf) -> list[pikepdf.Dictionary]:
    """Every font of every page; of a composite font the one that has the glyphs."""
    found = []
    for page in pdf.pages:
        for font in page.get("/Resources", {}).get("/Font", {}).values():
            found.append(font.DescendantFonts[0] if "/DescendantFonts" in font else font)
    return found


def test_it_bears_the_marks_that_pdf_a_3_demands(made: tuple[Source, bytes]) -> None:
    """What a validator looks at first; none is at hand that checks the whole standard."""
    _, content = made
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert pdf.check_pdf_syntax() == []
        assert not pdf.is_encrypted and content.startswith(b"%PDF-1.7")
        assert all(byte > 127 for byte in content.split(b"\n", 2)[1][1:5]), "read as binary"
        assert len(pdf.trailer.ID) == 2
        (intent,) = pdf.Root.OutputIntents
        assert str(intent.S) == "/GTS_PDFA1"
        profile = intent.DestOutputProfile
        assert int(profile.N) == 3 and profile.read_bytes()[36:40] == b"acsp"
        assert not {"/OpenAction", "/AA", "/AcroForm"} & set(pdf.Root.keys())
        assert "/Metadata" in pdf.Root and "/Filter" not in pdf.Root.Metadata
        assert "/ParentTree" in pdf.Root.StructTreeRoot
        for name, file in pdf.attachments.items():
            spec = file.obj
            assert {"/F", "/UF", "/Desc", "/AFRelationship"} <= set(spec.keys()), name
            assert str(spec.EF.F.Subtype) == "/application/json"
            assert "/ModDate" in spec.EF.F.Params
        fonts = _fonts(pdf)
        assert fonts
        for font in fonts:
            kinds = set(font.FontDescriptor.keys()) & {"/FontFile", "/FontFile2", "/FontFile3"}
            assert len(kinds) == 1, f"{font.BaseFont} is not inside"
            assert str(font.BaseFont)[7] == "+", "only the glyphs that are used"
        for page in pdf.pages:
            assert str(page.get("/Tabs")) == "/S"
            for note in page.get("/Annots", []):
                assert int(note.F) & 4, "annotations are printed"
                assert "/Contents" in note or "/StructParent" in note
        for item in pdf.objects:
            if isinstance(item, pikepdf.Stream):
                assert "/LZWDecode" not in str(item.get("/Filter", ""))
                assert "/F" not in item, "nothing lies outside the file"


def test_the_signed_json_is_inside_byte_for_byte(made: tuple[Source, bytes]) -> None:
    source, content = made
    with pikepdf.open(io.BytesIO(content)) as pdf:
        inside = {name: spec.get_file().read_bytes() for name, spec in pdf.attachments.items()}
        assert {str(spec.AFRelationship) for spec in pdf.Root.AF} == {"/Source"}
    found = {hashlib.sha256(item).hexdigest() for item in inside.values()}
    assert found == {version.digest for version in source.versions}
    if source.kind != "register":
        assert set(inside) == {f"{source.kind}.json"}


def test_every_page_has_its_number_and_the_digest(made: tuple[Source, bytes]) -> None:
    source, content = made
    pages = _pages(content)
    assert len(pages) >= 3
    for number, text in enumerate(pages, start=1):
        page = source.words.label("export.page")
        assert page.format(page=number, pages=len(pages)) in text
        assert "SHA-256 " in text
        assert source.kind == "register" or source.only.digest in text


def test_nothing_leaves_the_page(made: tuple[Source, bytes]) -> None:
    document = pypdfium2.PdfDocument(made[1])
    for page in document:
        width, height = page.get_size()
        text = page.get_textpage()
        for index in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(index)
            assert 40 <= left <= right <= width - 40 or left == right, (index, left, right)
            assert 20 <= bottom <= top <= height - 20 or bottom == top


def test_what_was_declared_stands_on_the_pages(made: tuple[Source, bytes]) -> None:
    source, content = made
    said = "".join("".join(_pages(content)).split()).replace("\u200b", "").replace("\ufffe", "")
    said = said.replace("\u00ad", "").replace("-", "")
    for version in source.versions:
        for section in version.document["sections"]:
            heading = source.words.label(section["label"])
            assert "".join(heading.split()).replace("-", "") in said, heading
    assert source.words.unknown == set()


def test_links_lead_only_to_web_and_mail() -> None:
    source = demo().source("record", "newsletter")
    with pikepdf.open(io.BytesIO(_pdf(source))) as pdf:
        actions = [
            str(note.A.URI)
            for page in pdf.pages
            for note in page.get("/Annots", [])
            if "/A" in note and "/URI" in note.A
        ]
    assert "https://musterhafen.example/privacy" in actions
    assert all(action.startswith(("https://", "http://", "mailto:")) for action in actions)


def test_characters_the_font_lacks_are_marked_and_kept_inside() -> None:
    source = hostile("漢字 😀 text", "https://example.org/doc").source("record", "controller")
    content = _pdf(source)
    said = "".join(_pages(content))
    assert "\ufffd\ufffd \ufffd text" in said
    assert source.words.label("export.replaced")[:30] in said
    with pikepdf.open(io.BytesIO(content)) as pdf:
        inside = pdf.attachments["record.json"].get_file().read_bytes()
    assert "漢字 😀 text" in inside.decode("utf-8")


def test_the_bank_data_and_a_processor_can_be_printed() -> None:
    for source in (
        *bank().every("da"),
        hostile("a text", "https://example.org/doc").source("record", "processor", language="de"),
    ):
        assert _pdf(source).startswith(b"%PDF-")


def test_long_words_may_break_and_short_ones_do_not() -> None:
    assert breakable("a short text") == "a short text"
    assert breakable("https://example.org/a-long/path") != "https://example.org/a-long/path"
    cited = breakable("Art. 6 Abs. 1 Buchst. f DSGVO; artikel 6, stk. 1, litra f; a rest. And more")
    assert cited.count("\u00a0") == 6 and "rest. And" in cited
    word = "Eintrittswahrscheinlichkeit"
    for written in (f"{word},", f"({word})", f"„{word}“.", f"{word}"):
        assert breakable(written) == written, "punctuation makes no word a name"
    broken = breakable("x" * 100_000)
    assert broken.replace("\u200b", "") == "x" * 100_000
    assert max(map(len, broken.split("\u200b"))) <= 24
