"""Real support messages: what is found in them, and that none of it leaves the data.

The messages hold handles, order numbers and telephone numbers that the publisher's masking
missed. They are read by every check, so every stored byte is searched for them.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import gzip
import html
import io
import json
import logging
import random
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import pikepdf
import pypdfium2
import pytest

from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.context import open_context
from nachweis.pipeline.load import load_world
from nachweis.pipeline.night import observe_subject, run_night
from nachweis.pipeline.summary import NightSummary
from nachweis.pipeline.verification import verify_all
from nachweis.settings import Settings
from nachweis.storage.documents import decode
from nachweis.storage.s3 import open_store
from tests.detection.real_data import MESSAGES, night_settings, prepare_support, real_file
from tests.raw_values import Published, declared, everything, raw_values

pytestmark = pytest.mark.store

NIGHT = "2017-11-30"
SUBJECT = Subject(kind=SubjectKind.DATA_SET, id="messages")
PHONE = re.compile(r"[(]?[0-9]{3}[)]?[-. ]{1,2}[0-9]{3}[-. ][0-9]{4}")
IDENTIFIERS = (
    re.compile(r"@\w{3,}"),
    re.compile(r"(?<![0-9A-Za-z])\+?[0-9][0-9 ()./-]{8,}[0-9](?![0-9A-Za-z])"),
    re.compile(r"\b[0-9]{7,}\b"),
    re.compile(r"\b(?=[A-Z0-9-]*[0-9])(?=[A-Z0-9-]*[A-Z])[A-Z0-9-]{6,}\b"),
    re.compile(r"[\w.%+-]+@[\w-]+[.][A-Za-z]{2,}"),
    re.compile(r"https?://t\.co/\w+"),
)
"""Handles, telephone and order numbers, codes, e-mail addresses, links to people's posts."""


@dataclass(frozen=True)
class Run:
    """A signed night, and everything that the process said meanwhile."""

    summary: NightSummary
    said: str


@pytest.fixture(scope="module")
def messages() -> list[dict[str, str]]:
    with gzip.open(real_file(MESSAGES), "rt", encoding="utf-8", newline="") as stream:
        # Two messages hold a carriage return of their own, which is no end of a row.
        text = stream.read().replace("\r\n", "\n").replace("\r", " ")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, module_store_settings: Settings) -> Iterator[Run]:
    world = prepare_support(tmp_path_factory.mktemp("support"))
    settings = module_store_settings.model_copy(update={"world": str(world)})
    spoken = io.StringIO()
    handler = logging.StreamHandler(spoken)
    product, root = logging.getLogger("nachweis"), logging.getLogger()
    level = product.level
    root.addHandler(handler)
    product.setLevel(logging.DEBUG)
    try:
        with (
            night_settings(settings),
            contextlib.redirect_stdout(spoken),
            contextlib.redirect_stderr(spoken),
        ):
            summary = run_night(NIGHT, progress=print)
        with night_settings(settings):
            yield Run(summary, spoken.getvalue())
    finally:
        root.removeHandler(handler)
        product.setLevel(level)


def everything_stored(settings: Settings) -> dict[str, str]:
    """Every object of every bucket and every page of the local site, decoded, by name."""
    found = {}
    for role in ("records", "narratives", "site", "anchor"):
        store = open_store(settings, role)
        for item in store.list(""):
            content = _text(item.key, decode(item.key, store.get(item.key)))
            found[f"{role}/{item.key}"] = f"{item.key}\n{content}\n{_payload(content)}"
    for path in settings.site.rglob("*"):
        if path.is_file():
            found[f"local/{path.name}"] = html.unescape(path.read_text("utf-8", "replace"))
    return found


@pytest.fixture(scope="module")
def stored(run: Run) -> dict[str, str]:
    return everything_stored(Settings())


def _text(key: str, content: bytes) -> str:
    """What a person can read in an object; a PDF also holds the signed JSON that lies beside it."""
    if key.endswith(".xlsx"):
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            return "\n".join(parts.read(name).decode("utf-8") for name in parts.namelist())
    if not key.endswith(".pdf"):
        return content.decode("utf-8")
    document = pypdfium2.PdfDocument(content)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def _payload(content: str) -> str:
    """What a signed envelope carries, which is base64 on the outside."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return base64.b64decode(json.loads(content)["payload"]).decode("utf-8")
    return ""


def identifiers(text: str) -> set[str]:
    return {found.strip() for pattern in IDENTIFIERS for found in pattern.findall(text)}


def appearing(tokens: set[str], text: str) -> set[str]:
    """Tokens that stand in a text as words of their own, not inside a digest."""
    return {
        token
        for token in tokens
        if token in text and re.search(rf"(?<![0-9A-Za-z]){re.escape(token)}(?![0-9A-Za-z])", text)
    }


# ------------------------------------------------------------------------------ what is found


@pytest.fixture(scope="module")
def found(run: Run) -> dict[str, Finding]:
    context = open_context(NIGHT)
    seen = observe_subject(context, SUBJECT).findings
    return {finding.check: finding for finding in seen}


def test_the_columns_are_read_as_declared(found: dict[str, Finding]) -> None:
    assert found["schema_as_declared"].outcome is Outcome.PASS


def test_the_suite_fails_for_the_telephone_numbers_that_masking_missed(
    found: dict[str, Finding], messages: list[dict[str, str]]
) -> None:
    suite = found["training_data_meets_suite"]
    broken = [one for one in suite.measurements if one.value not in (0, True)]

    assert (suite.outcome, suite.severity) == (Outcome.FAIL, Severity.MEDIUM)
    assert len(suite.measurements) == 7
    assert [(one.name, one.group) for one in broken] == [
        ("expect_column_values_to_not_match_regex", "text")
    ]
    assert broken[0].value == sum(bool(PHONE.search(row["text"])) for row in messages) > 0
    assert broken[0].n == len(messages) == 5000


def test_messages_older_than_their_retention_are_counted(
    found: dict[str, Finding], messages: list[dict[str, str]]
) -> None:
    old = sum(int(row["created_at"][-4:]) < 2015 for row in messages)
    retention = found["retention_kept"]
    (beyond,) = [one for one in retention.measurements if one.name == "rows_beyond_period"]

    assert retention.outcome is Outcome.FAIL
    assert beyond.value == old == 1


def test_a_count_of_one_message_is_not_published(run: Run) -> None:
    archive = open_archive(Settings())
    attempt = archive.current(NIGHT)
    assert attempt is not None
    evidence = archive.evidence(archive.statement(attempt).evidence[str(SUBJECT)])

    (beyond,) = [
        one
        for finding in evidence.findings
        if finding.check == "retention_kept"
        for one in finding.measurements
        if one.name == "rows_beyond_period"
    ]
    assert beyond.value == "1-9"


# ---------------------------------------------------------------------------- what is stored


def test_the_night_is_signed_and_nothing_was_held_back(run: Run) -> None:
    assert (run.summary.models, run.summary.data_sets) == (1, 1)
    assert (run.summary.not_run, run.summary.blocked) == ((), ())
    assert run.summary.counts["error"] == 0
    assert {item.check for item in run.summary.open} == {
        "dialogues_free_of_identifiers",
        "retention_kept",
        "training_data_meets_suite",
    }
    verification = verify_all(Settings())
    assert verification.ok, verification.text()


def test_no_identifier_of_200_messages_is_stored_or_said(
    run: Run, stored: dict[str, str], messages: list[dict[str, str]]
) -> None:
    chosen = random.Random(20171031).sample(messages, 200)
    tokens = set().union(*(identifiers(row["text"]) for row in chosen))
    # The rare kinds are taken from all messages: every telephone and order number there is.
    tokens |= {
        token
        for row in messages
        for token in identifiers(row["text"])
        if not token.startswith(("@", "http"))
    }
    source = "\n".join(row["text"] for row in messages)
    assert len(tokens) > 300
    assert appearing(tokens, source) == tokens, "the search must be able to find them"

    kinds = {name.split("/")[1] for name in stored if name.startswith("records/")}
    assert {"evidence", "records", "dossiers", "nights", "ledger"} <= kinds
    assert any(name.endswith(".html") for name in stored)
    leaks = {name: len(appearing(tokens, text)) for name, text in stored.items()}
    assert {name: count for name, count in leaks.items() if count} == {}
    assert len(appearing(tokens, run.said)) == 0


def test_no_wording_of_200_messages_is_stored_or_said(
    run: Run, stored: dict[str, str], messages: list[dict[str, str]]
) -> None:
    chosen = random.Random(20171101).sample([r for r in messages if len(r["text"]) > 60], 200)
    fragments = {row["text"][start : start + 20] for row in chosen for start in (0, 20, 40)}
    everything = "\n".join([*stored.values(), run.said])

    assert "messages" in everything
    assert sum(fragment in everything for fragment in fragments) == 0


def test_no_account_of_an_author_is_stored_or_said(
    run: Run, stored: dict[str, str], messages: list[dict[str, str]]
) -> None:
    authors = {row["author_id"] for row in messages if len(row["author_id"]) > 5}
    everything = "\n".join([*stored.values(), run.said])

    assert len(authors) > 500
    assert len(appearing(authors, everything)) == 0


def test_no_author_and_no_message_of_them_all_is_stored(run: Run) -> None:
    settings = Settings()
    (folder,) = settings.world_folders
    raw = raw_values(load_world(settings).world, folder, [NIGHT])
    published = everything(settings)

    assert len(raw.keys) > 1_000
    assert len(raw.rare) > 4_000
    assert {"gzip", "zip", "pdf", "base64"} <= published.kinds
    assert published.found(raw, lambda: declared(folder)) == {}


def test_the_search_finds_a_message_however_it_is_packed(
    messages: list[dict[str, str]], run: Run
) -> None:
    settings = Settings()
    (folder,) = settings.world_folders
    raw = raw_values(load_world(settings).world, folder, [NIGHT])
    text = next(row["text"] for row in messages if len(row["text"]) > 100)
    packed, sheet = gzip.compress(json.dumps({"said": text}).encode()), io.BytesIO()
    with zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/sharedStrings.xml", f"<t>{html.escape(text)}</t>")
    wrapped = json.dumps({"payload": base64.b64encode(text.encode()).decode()}).encode()
    for content in (text.encode(), packed, sheet.getvalue(), wrapped, pdf_with(text)):
        one = Published()
        one.add("planted", content)
        assert one.found(raw)["messages, text"] >= 1


def pdf_with(text: str) -> bytes:
    """A PDF file without a page that shows a text but with one attached."""
    written = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.attachments["record.json"] = pikepdf.AttachedFileSpec(pdf, text.encode())
        pdf.save(written)
    return written.getvalue()
