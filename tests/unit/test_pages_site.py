"""The site: complete, well formed, the same everywhere, and written only where it changed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.domain.site_data import SiteData
from nachweis.pages.documents import render_documents
from nachweis.pages.website import RenderReport, render_site
from tests.html_page import Page
from tests.site_world import TEMPLATES, demo_world, filled_world, site
from tests.wording import forbidden_words, official_labels


@pytest.fixture(scope="module")
def data() -> SiteData:
    return site(demo_world())


@pytest.fixture(scope="module")
def rendered(data: SiteData, tmp_path_factory: pytest.TempPathFactory) -> RenderReport:
    return render_site(data, tmp_path_factory.mktemp("site"), TEMPLATES)


@pytest.fixture(scope="module")
def pages(rendered: RenderReport) -> dict[str, Page]:
    return {
        path.relative_to(rendered.folder).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(rendered.folder.rglob("*.html"))
    }


def test_there_is_a_page_for_everything_in_every_language(
    data: SiteData, pages: dict[str, Page]
) -> None:
    wanted = {"index.html", "nights/2026-11-20.html"}
    for language in LANGUAGES:
        wanted |= {
            f"{language}/{name}.html"
            for name in (
                "index", "models/index", "nights/index", "checks/index", "nights/2026-11-20",
                *(f"activities/{key}" for key in data.records),
                *(f"models/{key}" for key in data.dossiers),
                *(f"checks/{key}" for key in data.checks),
            )
        }  # fmt: skip
    assert set(pages) == wanted


def test_pages_are_well_formed_accessible_and_passive(
    data: SiteData, pages: dict[str, Page]
) -> None:
    assert {name: page.faults for name, page in pages.items() if page.faults} == {}
    for name, page in pages.items():
        folder = name.split("/")[0]
        assert page.language == (folder if folder in LANGUAGES else data.languages[0]), name
        assert {"main", "header", "footer", "nav"} <= set(page.landmarks), name


def test_links_are_relative_and_lead_to_pages_that_exist(
    pages: dict[str, Page], rendered: RenderReport
) -> None:
    for name, page in pages.items():
        here = (rendered.folder / name).parent
        for link in [*page.links, *page.style_sheets]:
            parts = urlsplit(link)
            if parts.scheme in {"http", "https", "mailto"} and link not in page.style_sheets:
                continue  # declared by people
            assert not parts.scheme and not parts.netloc and not link.startswith("/"), link
            target = Path(os.path.normpath(here / parts.path)) if parts.path else here / name
            if parts.path:
                assert target.is_file(), f"{name} links to {link}"


def test_every_page_states_night_signing_time_and_demonstration(pages: dict[str, Page]) -> None:
    words = {
        "en": ("Night of 20 November 2026", "21 November 2026, 01:02:03 UTC", "demonstration"),
        "de": ("Nacht des 20. November 2026", "21. November 2026, 01:02:03 UTC", "Demonstration"),
        "da": ("Natten den 20. november 2026", "21. november 2026, 01.02.03 UTC", "demonstration"),
    }
    for name, page in pages.items():
        for said in words[page.language]:
            assert said in page.text, name


def test_a_production_store_is_not_called_a_demonstration(data: SiteData, tmp_path: Path) -> None:
    real = dataclasses.replace(data, store="production", languages=("en",))
    folder = render_site(real, tmp_path, TEMPLATES).folder
    for path in folder.rglob("*.html"):
        assert "emonstration" not in Page(path.read_text(encoding="utf-8")).text, path


def test_only_a_pass_or_a_supported_field_is_green(rendered: RenderReport) -> None:
    for path in rendered.folder.rglob("*.html"):
        for chip in path.read_text(encoding="utf-8").split('<span class="chip ')[1:]:
            look, rest = chip.split('"', 1)
            symbol = rest.split('aria-hidden="true">', 1)[1][0]
            assert (look == "good") == (symbol == "✓"), path
            assert rest.split("</span>", 2)[1].strip(), "a chip needs words beside its symbol"


def test_labels_are_known_for_everything_that_can_be_printed(
    rendered: RenderReport, tmp_path: Path
) -> None:
    assert rendered.unlabelled == frozenset()
    assert render_site(site(filled_world()), tmp_path, TEMPLATES).unlabelled == frozenset()


def test_a_second_rendering_writes_nothing_and_stale_pages_go(
    data: SiteData, tmp_path: Path
) -> None:
    one = dataclasses.replace(data, languages=("en",))
    first = render_site(one, tmp_path, TEMPLATES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = render_site(one, tmp_path, TEMPLATES)
    assert (again.written, again.unchanged, again.removed) == (0, first.written, 0)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}

    gone = dict(data.records)
    key, _ = gone.popitem()
    fewer = render_site(dataclasses.replace(one, records=gone), tmp_path, TEMPLATES)
    assert fewer.removed == 1
    assert not (tmp_path / "en" / "activities" / f"{key}.html").exists()


def test_the_page_of_a_past_night_is_made_again_only_if_it_has_to_be(
    data: SiteData, tmp_path: Path
) -> None:
    one = dataclasses.replace(data, languages=("en",))
    folder = tmp_path / "site"
    render_site(one, folder, TEMPLATES)
    night = data.nights[0].statement.night
    page = folder / "en" / "nights" / f"{night}.html"
    rendered = page.read_bytes()

    # Without assessments a page that is rendered would show no finding.
    blind = dataclasses.replace(one, assessments={})
    render_site(blind, folder, TEMPLATES)
    assert page.read_bytes() == rendered, "left alone: what was signed did not change"

    page.write_bytes(rendered.replace(b"Nachweis", b"Somebody"))
    render_site(one, folder, TEMPLATES)
    assert page.read_bytes() == rendered, "an altered page is put right"

    render_site(dataclasses.replace(blind, code="another"), folder, TEMPLATES)
    assert page.read_bytes() != rendered, "other code makes every page anew"


def test_what_is_known_about_pages_needs_no_trust(data: SiteData, tmp_path: Path) -> None:
    one = dataclasses.replace(data, languages=("en",))
    folder = tmp_path / "site"
    first = render_site(one, folder, TEMPLATES)
    (tmp_path / ".site.json").write_text('{"en/index.html": 3, "x')
    again = render_site(one, folder, TEMPLATES)
    assert (again.written, again.unchanged) == (0, first.written)


ROOT = Path(__file__).resolve().parents[2]
_ELSEWHERE = """
import sys
from pathlib import Path
from nachweis.pages.website import render_site
from tests.site_world import TEMPLATES, demo_world, site
render_site(site(demo_world()), Path(sys.argv[1]), TEMPLATES)
"""


def test_the_bytes_depend_on_no_folder_time_zone_locale_or_hash_seed(
    rendered: RenderReport, tmp_path: Path
) -> None:
    environment = {
        **os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "da_DK.UTF-8", "LANGUAGE": "da",
        "PYTHONHASHSEED": "99", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, str(tmp_path)],
        check=True, env=environment, cwd=tmp_path,
    )  # fmt: skip

    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    assert content(tmp_path) == content(rendered.folder)


def test_pages_claim_nothing_they_should_not(pages: dict[str, Page]) -> None:
    official = [text for text in official_labels() if forbidden_words(text)]
    for name, page in pages.items():
        text = page.text
        for label in official:
            text = text.replace(label, "")
        assert forbidden_words(text) == [], name


def test_without_a_signed_night_there_is_a_remedy_instead_of_a_site(
    data: SiteData, tmp_path: Path
) -> None:
    with pytest.raises(NachweisError, match="no night was signed yet"):
        render_site(dataclasses.replace(data, nights=()), tmp_path, TEMPLATES)


def test_findings_of_one_check_share_a_heading_and_each_number_is_shown_once_per_table(
    tmp_path: Path,
) -> None:
    world = demo_world()
    failing = [
        Finding(
            check="feature_distribution_stable",
            subject=Subject(kind=SubjectKind.MODEL, id="churn"),
            column=f"feature_{number}",
            outcome=Outcome.FAIL,
            severity=Severity.MEDIUM,
            explanation="It moved.",
            remediation="Look at the source.",
        )
        for number in range(20)
    ]
    data = dataclasses.replace(site(world, {"model/churn": failing}), languages=("en",))
    folder = render_site(data, tmp_path, TEMPLATES).folder
    page = Page((folder / "en" / "nights" / "2026-11-20.html").read_text(encoding="utf-8"))
    assert page.text.count("Do the model's inputs still look like") == 1
    assert page.text.count("Look at the source.") == 1
    assert all(page.text.count(f"feature_{number} ") == 1 for number in range(20))
    assert "20 open findings" in page.text


def test_signed_documents_stand_alone_and_name_their_version(data: SiteData) -> None:
    for item in data.records["direct-marketing"]:
        documents = render_documents(
            item.record, version=7, digest=item.digest, night="2026-11-20", templates=TEMPLATES,
            labels=data.catalogue.labels,
        )  # fmt: skip
        assert set(documents) == {f"record.{language}.html" for language in LANGUAGES}
        for name, text in documents.items():
            page = Page(text)
            assert page.faults == [], name
            assert page.style_sheets == []
            assert "default-src 'none'; style-src 'sha256-" in text
            assert item.digest in page.text
        assert (
            "Version 7, first recorded for the night of 20 November 2026"
            in Page(documents["record.en.html"]).text
        )
        assert "Maßgebliche Sprache" not in documents["record.de.html"]
        assert "Dokumentets gældende sprog er tysk." in documents["record.da.html"]


def test_what_may_be_absent_is_not_shown_as_missing(data: SiteData) -> None:
    (item,) = data.records["direct-marketing"]
    documents = render_documents(
        item.record, version=1, digest=item.digest, night="2026-11-20", templates=TEMPLATES,
        labels=data.catalogue.labels,
    )  # fmt: skip
    assert "parties/representative" not in item.record.incomplete
    text = Page(documents["record.en.html"]).text
    assert "Representative of the controller none declared" in text
    assert "not declared" not in text.replace("none declared", "")
