"""JSON, its published schema, and CSV: what is signed, whole, and readable by machines."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nachweis.domain.errors import IntegrityError, LeakError, NachweisError
from nachweis.domain.manifest.common import LANGUAGES, DpoFunction
from nachweis.pages import exports
from nachweis.pages.exports import Source, by_name, formats, renderings
from nachweis.pages.exports.csv_fields import inert
from nachweis.pages.exports.json_document import schemas
from nachweis.pages.exports.model_card import markdown
from nachweis.pages.render import harmless
from nachweis.pipeline.leaks import demand_clean_export
from nachweis.settings import PACKAGE_ROOT
from tests.export_world import bank, demo
from tests.html_page import Page

PUBLISHED = PACKAGE_ROOT / "docs" / "schema"


def test_the_published_schemas_are_those_of_the_domain_models() -> None:
    stored = {path.name: path.read_text(encoding="utf-8") for path in PUBLISHED.iterdir()}
    assert stored == schemas(), "run `nachweis export schema --out docs/schema`"


@pytest.mark.parametrize("world", [demo, bank])
def test_json_is_what_was_signed_and_fits_its_schema(world) -> None:  # type: ignore[no-untyped-def]
    made = formats()["json"]
    for source in world().every():
        content = made.render(source)
        schema = json.loads(schemas()[f"{source.kind}.schema.json"])
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(json.loads(content))
        if source.kind == "register":
            listed = json.loads(content)["records"]
            assert [item["digest"] for item in listed] == [v.digest for v in source.versions]
        else:
            stored = {**world().data.records, **world().data.dossiers}[source.only.id][-1]
            document = getattr(stored, source.kind)
            assert content == document.canonical()


def test_a_schema_refuses_what_is_no_record() -> None:
    schema = json.loads(schemas()["record.schema.json"])
    document = json.loads(formats()["json"].render(demo().source("record", "newsletter")))
    for broken in ({**document, "kind": "dossier"}, {**document, "extra": 1}):
        assert not Draft202012Validator(schema).is_valid(broken)


def test_json_of_another_digest_is_refused() -> None:
    source = demo().source("record", "newsletter")
    version = source.only
    forged = type(version)(
        {**version.document, "status": "ended"}, version.version, version.digest, version.night
    )
    with pytest.raises(IntegrityError):
        formats()["json"].render(type(source)("record", (forged,), source.words, source.templates))


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_csv_has_every_field_of_every_activity_once() -> None:
    source = demo().source("register", language="de")
    rows = _rows(formats()["csv"].render(source))
    declared = [
        (f"record/{version.id}", field["id"])
        for version in source.versions
        for part in ("sections", "further")
        for section in version.document[part]
        for field in section["fields"]
    ]
    found = [(row["document"], row["field"]) for row in rows]
    assert [one for one in found if not one[1].startswith("about/")] == declared
    assert len(found) == len(declared) + 2 * len(source.versions)
    assert source.words.unknown == set()
    by_field = {(row["document"], row["field"]): row for row in rows}
    period = by_field["record/direct-marketing", "retention/campaign-logs-6-months"]
    assert "6 Monate" in period["value"]
    assert "Besuche im Webshop und geöffnete Newsletter" in period["value"]
    assert period["required_by_law"] == "yes"
    none = by_field["record/direct-marketing", "special_categories"]
    assert (none["value"], none["origin"]) == ("", "missing")


@given(st.text(max_size=20))
def test_no_cell_of_a_csv_can_start_a_formula(text: str) -> None:
    assert not inert(text).strip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert inert(text).endswith(inert(text).removeprefix("'"))
    assert inert(text).replace("'", "") == harmless(text).replace("'", "")  # nothing else changes


@given(st.text(alphabet=' ;,\t\n"=+-@1\u2003\uff1d', max_size=12))
def test_no_part_of_a_cell_starts_a_formula_behind_a_separator(text: str) -> None:
    for part in re.split("[;,\t\r\n]", inert(text)):
        assert not part.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Newsletter;=HYPERLINK(1)", "Newsletter;'=HYPERLINK(1)"),
        ("\u2003=1", "'\u2003=1"),
        ("a\n=1", "a\n'=1"),
        ('a; "=1"', 'a; "\'=1"'),
        ("a, b; c - d", "a, b; c - d"),
    ],
)
def test_a_cell_stays_readable(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_each_format_is_found_by_its_name_and_a_mistake_lists_them() -> None:
    assert {"json", "csv"} <= set(formats())
    for name, made in formats().items():
        assert made.name == name
        assert not (made.stored and made.nightly), "a version's folder holds no night's findings"
    with pytest.raises(NachweisError, match="not a format") as error:
        by_name("jsno", "record")
    assert "json" in str(error.value)


def test_a_format_that_fails_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: Source) -> bytes:
        if source.words.language == "da":
            raise ZeroDivisionError
        raise NachweisError("cannot be set")

    known = {key: made for key, made in formats().items() if key in {"csv", "xlsx", "dpv"}}
    failing = {**known, "pdf": dataclasses.replace(formats()["pdf"], render=broken)}
    monkeypatch.setattr(exports, "formats", lambda: failing)
    found = dict(
        renderings(
            {key: bank().source("record", "telemarketing", language=key) for key in ("en", "da")}
        )
    )
    failed = {name for name, content in found.items() if isinstance(content, NachweisError)}
    assert failed == {"record.en.pdf", "record.da.pdf"}
    assert {"record.en.csv", "record.da.xlsx", "record.jsonld"} <= set(found)


@pytest.mark.parametrize("name", ["record.en.csv", "dossier.en.md", "record.jsonld"])
def test_declared_contacts_may_leave_and_other_addresses_may_not(name: str) -> None:
    world = demo().world
    dpo = DpoFunction(function={"en": "DPO"}, email="data_office@musterhafen.example")
    organisation = world.organisation.model_copy(update={"dpo": dpo})
    world = world.model_copy(update={"organisation": organisation})

    def written(address: str) -> bytes:
        if name.endswith(".jsonld"):
            return json.dumps({"dpv:hasContact": [address]}).encode()
        return (markdown(address) if name.endswith(".md") else f"a,{address}").encode()

    demand_clean_export(world, name, written(dpo.email), "x")
    with pytest.raises(LeakError):
        demand_clean_export(world, name, written("some_person@mail.example"), "x")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_names_categories_clients_and_roles_and_not_their_ids(language: str) -> None:
    made = demo().source("record", "direct-marketing", language=language)
    shown = Page(formats()["html"].render(made).decode()).text
    category = {"en": "Country, form of address and age", "de": "Land, Anrede und Alter",
                "da": "Land, tiltaleform og alder"}[language]  # fmt: skip
    limits = shown[shown.rindex(made.words.label("a30.1f")) :]
    assert category in limits[:400] and "campaign-demographics" not in limits[:400]
    role = {"en": "Head of marketing", "de": "Leitung Marketing", "da": "Marketingchef"}[language]
    assert role in shown
    released = (
        formats()["csv"]
        .render(demo().source("dossier", "campaign-propensity", language=language))
        .decode("utf-8-sig")
    )
    assert role in released and "head-of-marketing" not in released


def test_reasons_why_a_check_does_not_apply_are_in_words() -> None:
    made = demo().source("dossier", "support-chatbot", language="de")
    for name in ("html", "csv"):
        shown = formats()[name].render(made).decode("utf-8-sig")
        assert "not_applicable" not in shown
        assert "Es werden keine Merkmale" in shown or "Nicht anwendbar" in shown
