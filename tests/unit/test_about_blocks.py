"""On every document: night, version, digest, what it shows and what not, and how to verify."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from pathlib import Path

import openpyxl
import pypdfium2
import pytest

from nachweis.domain.manifest.common import LANGUAGES
from nachweis.domain.record import VersionRef
from nachweis.pages.exports import Source, formats
from nachweis.pages.website import render_site
from nachweis.pipeline.archive import SignedAttempt
from nachweis.pipeline.changes import SHOWS, Comparison
from nachweis.pipeline.signed_versions import SignedVersion
from tests.export_world import demo
from tests.html_page import Page
from tests.site_world import NIGHT, TEMPLATES, demo_world, site, statement

PEOPLE = {"html", "pdf", "xlsx", "csv", "model-card", "notice", "disclosure", "evidence",
          "evidence-pdf", "dpia", "dpia-pdf"}  # fmt: skip
"""Formats that people read; the others are for programs and cite version and digest."""
SIGNED_ITSELF = {"json"}
"""The signed bytes: a digest cannot stand within what it covers; a register's stand beside it."""
KEYS = {"record": "direct-marketing", "dossier": "campaign-propensity", "register": ""}
CASES = [
    (name, kind)
    for name, made in formats().items()
    for kind in ("record", "dossier", "register")
    if kind in made.kinds
]


def read(name: str, content: bytes) -> str:
    """What stands in a document, white space aside."""
    if formats()[name].suffix.endswith("pdf"):
        pages = [page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(content)]
        text = " ".join(pages).replace("\u200b", "")
    elif name == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(content))
        text = " ".join(
            str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row
            if cell.value is not None
        )  # fmt: skip
    elif formats()[name].suffix.endswith("html"):
        text = Page(content.decode()).text
    else:
        text = content.decode()
    return plain(text)


def plain(text: str) -> str:
    """A text without what line breaks, hyphenation and Markdown add to it."""
    return re.sub("[\x02\\s\\\\\u00ad\u2010\ufffe\u200b-]", "", text)


def source(kind: str, language: str = "en") -> Source:
    return demo().source(kind, KEYS[kind], language=language)  # type: ignore[arg-type]


def test_every_format_is_one_for_people_or_for_programs() -> None:
    programs = {"json", "dpv", "cyclonedx", "oscal", "oscal-poam", "openlineage"}
    assert set(formats()) == PEOPLE | programs


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_document_names_its_night_version_and_digest(name: str, kind: str) -> None:
    made = source(kind)
    shown = read(name, formats()[name].render(made))
    for version in made.versions:
        if name in SIGNED_ITSELF and kind != "register":
            continue
        assert version.digest in shown
        assert str(version.version) in shown
    days = {plain(made.newest_night), plain(made.words.date(made.newest_night))}
    assert any(day in shown for day in days) or (name in SIGNED_ITSELF and kind != "register")


@pytest.mark.parametrize(
    ("name", "kind", "language"),
    [
        (*case, language)
        for case in CASES
        if case[0] in PEOPLE
        # A register is made by the code of a record, and large.
        for language in (LANGUAGES if case[1] != "register" else ("en",))
    ],
)
def test_a_document_for_people_says_what_it_shows_and_how_to_verify(
    name: str, kind: str, language: str
) -> None:
    made = source(kind, language)
    shown = read(name, formats()[name].render(made))
    said = {
        "notice": "notice.shows", "disclosure": "notice.shows", "evidence": "report.shows_text",
        "evidence-pdf": "report.shows_text", "dpia": "dpia.shows_text",
        "dpia-pdf": "dpia.shows_text",
    }.get(name, "export.shows_text")  # fmt: skip
    text = made.words.label(said)
    if name == "html":
        text = made.words.message(
            "It shows what was declared. Whether checks support or contradict it stands in the "
            "evidence report of each night. What nobody declared is marked."
        )
    assert plain(text) in shown
    assert "nachweisverify" in shown


@pytest.mark.parametrize("name", ["dpv", "cyclonedx", "oscal", "oscal-poam", "openlineage"])
def test_a_document_for_programs_says_what_it_shows_and_how_to_verify(name: str) -> None:
    kind = "dossier" if "record" not in formats()[name].kinds else "record"
    shown = read(name, formats()[name].render(source(kind)))
    assert "evidencereport" in shown or "Neitheradeviationnoritsabsence" in shown
    assert "nachweisverify" in shown
    if name == "dpv":
        assert "evidencereport" in shown and "Nachweisbericht" in shown


def test_every_page_of_the_site_names_night_digest_and_how_to_verify(tmp_path: Path) -> None:
    world = demo_world()
    only = {"activities": {"newsletter": world.activities["newsletter"]},
            "models": {"support-chatbot": world.models["support-chatbot"]}}  # fmt: skip
    data = site(world.model_copy(update=only), {})
    digest = data.nights[0].statement_digest
    folder = render_site(data, tmp_path / "site", TEMPLATES).folder
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        if path.parent.name == "checks" and path.name != "index.html":
            continue  # all made from one template, and many
        shown = Page(path.read_text(encoding="utf-8")).text
        assert digest in shown, path
        assert "2026" in shown and "nachweis verify" in shown, path
    shown_versions = {
        "activities/newsletter": data.records["newsletter"][-1].digest,
        "models/support-chatbot": data.dossiers["support-chatbot"][-1].digest,
    }
    for name, found in shown_versions.items():
        shown = Page((folder / f"en/{name}.html").read_text(encoding="utf-8")).text
        assert found in shown and "Version 1" in shown


def test_a_comparison_of_versions_names_both_and_what_it_does_not_show() -> None:
    night = statement({})
    made = [
        SignedVersion(
            VersionRef(
                kind="record", id="newsletter", version=number, digest=f"{number:02d}" * 32,
                key="records/newsletter/v000001/record.json", new=True,
            ),
            SignedAttempt(
                str(NIGHT), "a1", "ef" * 32, night.digest(), 2, "cd" * 32,
                dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
            ),
            night,
        )
        for number in (1, 2)
    ]  # fmt: skip
    shown = Comparison(("record", "newsletter"), made[0], made[1], (), demo().words("en")).text()
    assert "01" * 32 in shown and "02" * 32 in shown
    assert f"night of {NIGHT}" in shown
    assert shown.endswith(SHOWS)
    facts = json.dumps(
        Comparison(("record", "newsletter"), made[0], made[1], (), demo().words("en")).document()
    )
    assert "01" * 32 in facts
