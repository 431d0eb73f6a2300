"""Exports of a signed night: what lies beside a version, and what people take away."""

from __future__ import annotations

import getpass
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pypdfium2
import pytest

from nachweis.pages.exports import formats
from nachweis.pipeline.summary import NightSummary
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, SECOND, Place, command, place

pytestmark = pytest.mark.store

ROLES = [
    {"id": "owner", "title": {"en": "Head of marketing"}},
    {"id": "engineer", "title": {"en": "Engineering"}, "kind": "engineer"},
]
RECORD, DOSSIER = "records/marketing/v000001", "dossiers/propensity/v000001"


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("exports"), embedded_store) as found:
        found.change("manifests/organisation.yaml", languages=["de", "en"], roles=ROLES)
        found.change("manifests/activities/marketing.yaml", author="engineer")
        yield found


@pytest.fixture(scope="module")
def night(here: Place) -> NightSummary:
    return here.run(FIRST)


@pytest.fixture(scope="module")
def stored(here: Place, night: NightSummary) -> dict[str, bytes]:
    assert night.chain_ok and not night.blocked
    return here.everything()


def _export(*arguments: str) -> bytes:
    code, out, err = command("export", *arguments)
    assert code == 0, err
    return Path(out.removeprefix("written  ").strip()).read_bytes()


def test_every_format_that_shows_a_version_alone_lies_beside_it(stored: dict[str, bytes]) -> None:
    for folder, kind in ((RECORD, "record"), (DOSSIER, "dossier")):
        wanted = {f"{kind}.json", f"{kind}.de.html", f"{kind}.en.html"}
        for made in formats().values():
            if made.stored and kind in made.kinds:
                wanted |= {made.file_name(kind, language) for language in ("de", "en")}
        found = {key.rpartition("/")[2] for key in stored if key.startswith(f"{folder}/")}
        assert found == wanted
        assert any(name.endswith(".de.pdf") for name in found)


def test_the_statement_vouches_for_each_of_them(here: Place, stored: dict[str, bytes]) -> None:
    for version in here.statement(FIRST).versions:
        folder = version.key.rpartition("/")[0]
        assert version.renderings == {
            key.rpartition("/")[2]: hashlib.sha256(content).hexdigest()
            for key, content in stored.items()
            if key.startswith(f"{folder}/") and key != version.key
        }


def test_a_night_without_changes_writes_no_rendering(here: Place, stored: dict[str, bytes]) -> None:
    assert here.run(SECOND).versions == ()
    later = {key for key in here.everything() if key.startswith(("records/", "dossiers/"))}
    assert later == {key for key in stored if key.startswith(("records/", "dossiers/"))}
    assert here.verify().ok


@pytest.mark.parametrize("name", sorted(formats()))
def test_each_format_is_exported_from_the_store(
    here: Place, stored: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    made = formats()[name]
    for kind, target, folder in (
        ("record", "marketing", RECORD), ("dossier", "dossier/propensity", DOSSIER),
        ("register", "register", ""),
    ):  # fmt: skip
        if kind not in made.kinds:
            continue
        content = _export(
            target, "--format", name, "--lang", "en", "--night", FIRST, "--out", str(tmp_path)
        )
        assert content
        beside = f"{folder}/{made.file_name(kind, 'en')}"  # type: ignore[arg-type]
        if beside in stored and not made.enriched:
            assert content == stored[beside], "an export is the file that was signed"


def test_json_is_the_signed_document_and_its_register_holds_it(
    here: Place, stored: dict[str, bytes], tmp_path: Path
) -> None:
    content = _export("marketing", "--out", str(tmp_path))
    assert content == stored[f"{RECORD}/record.json"]
    register = json.loads(_export("register", "--out", str(tmp_path / "all.json")))
    assert [item["record"] for item in register["records"]] == [json.loads(content)]


def test_an_authoritys_layout_goes_into_a_file_and_never_into_the_store(
    here: Place, stored: dict[str, bytes], tmp_path: Path
) -> None:
    before = here.keys()
    code, _, _ = command(
        "export", "register", "--format", "xlsx", "--for", "dk", "--lang", "de",
        "--night", FIRST, "--out", str(tmp_path),
    )  # fmt: skip
    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"register-{FIRST}-dk.de.xlsx"]
    assert here.keys() == before


def _cells(content: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return "\n".join(
        str(cell.value)
        for sheet in book.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if cell.value
    )


def test_only_an_export_for_an_authority_names_who_decided(
    here: Place, stored: dict[str, bytes], tmp_path: Path
) -> None:
    signed = command("submit", "marketing", "--role", "engineer", "--actor", "Ann Author")
    assert signed[0] == 0, signed[2]
    named = _export("register", "--for", "DE", "--lang", "de", "--out", str(tmp_path / "a.xlsx"))
    assert "Ann Author" in _cells(named) and "vorgelegt" in _cells(named)
    assert "Engineering" in _cells(named), "the role's title"
    page = _export(
        "marketing", "--format", "pdf", "--for", "authority", "--out", str(tmp_path / "b.pdf")
    )
    said = "".join(p.get_textpage().get_text_bounded() for p in pypdfium2.PdfDocument(page))
    assert "Ann Author" in said
    for name in ("xlsx", "json", "csv", "html"):
        plain = _export("marketing", "--format", name, "--out", str(tmp_path / name))
        assert "Ann Author" not in (_cells(plain) if name == "xlsx" else plain.decode())
    earlier = _export(
        "register", "--for", "DE", "--night", FIRST, "--out", str(tmp_path / "c.xlsx")
    )
    assert "Ann Author" not in _cells(earlier), "nobody had decided on the day after that night"
    assert not any(b"Ann Author" in content for content in here.everything().values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("marketin",), 'did you mean "marketing"?'),
        (("marketing", "--format", "pdff"), 'did you mean "pdf"?'),
        (("marketing", "--format", "model-card"), "a record cannot be written as model-card"),
        (("marketing", "--format", "csv", "--for", "DK"), "looks the same for every authority"),
        (("register", "--format", "xlsx", "--for", "SE"), "DE, DK, FR, IE, UK"),
        (("marketing", "--lang", "da"), "not written in this language"),
        (("marketing", "--version", "7"), "there is no version 7"),
        (("register", "--version", "1"), "no version of its own"),
        (("marketing", "--night", "2020-01-01"), "was not signed"),
        (("marketing", "--out", "/proc/nope/x.json"), "cannot be written"),
    ],
)
def test_a_mistake_is_a_sentence(
    here: Place, night: NightSummary, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = command("export", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_what_is_taken_away_is_written_down_with_who_took_it(
    here: Place, night: NightSummary, tmp_path: Path
) -> None:
    folder = here.settings.state / "access"
    before = "".join(path.read_text() for path in folder.glob("*.log"))
    made = _export("record/marketing", "--format", "xlsx", "--out", str(tmp_path))
    pack = tmp_path / "pack.zip"
    assert command("pack", "marketing", "--from", FIRST, "--to", FIRST, "--out", str(pack))[0] == 0
    _export("register", "--format", "xlsx", "--for", "DK", "--out", str(tmp_path / "register.xlsx"))
    written = "".join(path.read_text() for path in folder.glob("*.log")).removeprefix(before)
    first, second, third = written.splitlines()
    assert getpass.getuser() in first
    assert "export of record/marketing" in first
    assert hashlib.sha256(made).hexdigest() in first
    assert "pack of activity marketing, nights" in second
    assert "export of register" in third
    secrets = [here.settings.s3_secret_key, here.settings.anchor_secret_key]
    assert not any(one.get_secret_value() in written for one in secrets if one is not None)
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.log"))
