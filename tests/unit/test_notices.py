"""Notices: generated from the record in plain words, and compared with what was published."""

from __future__ import annotations

from pathlib import Path

import pytest

from nachweis.domain.canonical import parse
from nachweis.domain.record import Record
from nachweis.pages.exports import formats
from nachweis.pages.notice import Notice, notice_text
from nachweis.pages.wording import forbidden_words
from nachweis.pages.words import Words, translations
from nachweis.pipeline.assemble import assemble_record
from nachweis.pipeline.load import Loaded, Origin, load_world
from nachweis.pipeline.notices import published_notices
from nachweis.pipeline.yaml_files import YamlDocument
from nachweis.settings import PACKAGE_ROOT, Settings
from tests.export_world import demo
from tests.site_world import MOMENT, demo_world

LANGUAGES = ("en", "de", "da")
ART_13 = (
    "identity", "purposes", "categories", "obligation", "recipients", "transfers", "storage",
    "adm", "rights", "complaint", "contact",
)  # fmt: skip


def notice(key: str, language: str) -> Notice:
    source = demo().source("record", key, language=language)
    return Notice(source.only.document, source.words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_says_what_art_13_asks_for(language: str) -> None:
    parts = {part.id: part for part in notice("direct-marketing", language).parts()}
    assert set(ART_13) <= set(parts)
    assert all(part.paragraphs for part in parts.values())
    text = notice_text(list(parts.values()))
    assert "datenschutz@musterhafen.example" in text
    assert "%(" not in text
    assert forbidden_words(text) == []


def test_the_objection_to_advertising_has_a_heading_of_its_own() -> None:
    parts = notice("direct-marketing", "en").parts()
    (own,) = [part for part in parts if part.id == "object"]
    assert own.paragraphs[0].startswith("You can object")


def test_customers_read_their_benefit_and_the_logic_in_words() -> None:
    text = notice_text(notice("direct-marketing", "en").parts())
    assert "What you gain: Fewer advertisements" in text
    assert "the higher the estimate" in text


@pytest.mark.parametrize(
    ("key", "held", "not_held"),
    [
        ("direct-marketing", "object", "portability"),  # legitimate interests
        ("customer-service", "portability", "object"),  # contract
        ("privacy-requests", "erasure", "portability"),  # legal obligation
    ],
)
def test_only_rights_that_the_legal_basis_gives_are_named(
    key: str, held: str, not_held: str
) -> None:
    made = notice(key, "en")
    (said,) = [line for line in made.rights() if line.startswith("You have these rights")]
    assert made.words.label(f"notice.right_{held}") in said
    assert made.words.label(f"notice.right_{not_held}") not in said


def test_a_notice_speaks_to_the_reader() -> None:
    text = notice_text(notice("direct-marketing", "de").parts())
    assert "(Quelle: von Ihnen)" in text and "betroffene Person" not in text
    assert "auch bei der für Ihren Wohnort zuständigen" in text


def test_a_chatbots_disclosure_stands_in_notice_and_disclosure() -> None:
    said = "You are chatting with an AI system."
    assert said in notice_text(notice("customer-service", "en").parts())
    page = formats()["disclosure"].render(demo().source("dossier", "support-chatbot"))
    assert said in page.decode("utf-8")


def test_an_undeclared_disclosure_is_not_invented() -> None:
    page = formats()["disclosure"].render(demo().source("dossier", "churn")).decode("utf-8")
    assert "No disclosure text is declared" in page


def test_every_notice_names_version_digest_and_how_to_verify() -> None:
    source = demo().source("record", "direct-marketing", language="de")
    page = formats()["notice"].render(source).decode("utf-8")
    for said in (source.only.digest, "nachweis verify", "SHA-256 dieses Textes"):
        assert said in page


@pytest.fixture
def compared(tmp_path: Path) -> tuple[Loaded, Record, Path]:
    """The demo's marketing activity with a copy of its published notice."""
    world = demo_world()
    path = tmp_path / "published.html"
    activity = world.activities["direct-marketing"]
    told = activity.notice.model_copy(update={"copies": {"de": "published.html"}})
    activity = activity.model_copy(update={"notice": told})
    world = world.model_copy(update={"activities": {"direct-marketing": activity}})
    origin = Origin(tmp_path, "x.yaml", YamlDocument({}))
    loaded = Loaded(world, {}, {("activities", "direct-marketing"): origin})
    return loaded, assemble_record(world, activity, MOMENT), path


def _found(compared: tuple[Loaded, Record, Path]) -> tuple[int, int, str]:
    loaded, record, _ = compared
    settings = Settings(world=str(PACKAGE_ROOT))
    ((item,),) = published_notices(settings, loaded, {record.id: record}).values()
    return item.paragraphs, item.found, item.problem


def test_a_published_page_with_the_generated_text_agrees(
    compared: tuple[Loaded, Record, Path],
) -> None:
    source = demo().source("record", "direct-marketing", language="de")
    page = formats()["notice"].render(source).decode("utf-8")
    compared[2].write_text(f"<html><body><nav>Shop</nav>{page}</body></html>", encoding="utf-8")
    wanted, found, problem = _found(compared)
    assert (found, problem) == (wanted, "")
    assert wanted > 20


def test_a_published_page_that_is_older_differs(compared: tuple[Loaded, Record, Path]) -> None:
    source = demo().source("record", "direct-marketing", language="de")
    page = formats()["notice"].render(source).decode("utf-8").replace("24 Monate", "36 Monate")
    compared[2].write_text(page, encoding="utf-8")
    wanted, found, problem = _found(compared)
    assert (wanted - found, problem) == (1, "")


def test_a_copy_that_is_not_there_is_not_tested(compared: tuple[Loaded, Record, Path]) -> None:
    assert _found(compared) == (0, 0, "copy_unreadable")


@pytest.mark.parametrize(("capacity", "parties"), [("processor", 0), ("controller", 2)])
def test_only_lines_that_name_a_party_count_as_parties(
    compared: tuple[Loaded, Record, Path], capacity: str, parties: int
) -> None:
    loaded, record, path = compared
    record = record.model_copy(update={"capacity": capacity})
    path.write_text("Nothing of this.", encoding="utf-8")
    settings = Settings(world=str(PACKAGE_ROOT))
    ((item,),) = published_notices(settings, loaded, {record.id: record}).values()
    assert (item.parties, item.parties_found) == (parties, 0)


def test_the_demo_shows_a_notice_that_agrees_and_one_that_is_out_of_date() -> None:
    settings = Settings(world=f"{PACKAGE_ROOT}:{PACKAGE_ROOT / 'demo'}")
    loaded = load_world(settings)
    activity = loaded.world.activities["direct-marketing"]
    record = assemble_record(loaded.world, activity, MOMENT)
    (found,) = published_notices(settings, loaded, {record.id: record}).values()
    missing = {item.language: item.paragraphs - item.found for item in found}
    assert missing == {"de": 0, "da": 1}


HIDING = (
    "<!-- {} -->",
    "<!-- {}",
    '<p title="{}">Shop</p>',
    '<meta name="description" content="{}">',
    "<script>{}</script>",
    '<script type="text/template"><p>{}</p></script>',
    "<style>{}</style>",
    "<template><p>{}</p></template>",
    "<noscript>{}</noscript>",
    "<head><title>{}</title></head>",
    "<div hidden>{}</div>",
    "<div hidden/>{}</div>",
    "<section HIDDEN><ul><li>a<li>{}</ul></section>",
    '<div style="display: none">{}</div>',
    '<div style="color:red; DISPLAY : none !important;"><p>{}</p></div>',
    '<span style="visibility:hidden">{}</span>',
    '<p style="font-size:0px">{}</p>',
    "<dialog>{}</dialog>",
    "<style>a, .old { color: red; display: none }</style><p class='x old'>{}</p>",
    "<style>#one.two{display:block} #one{visibility:hidden}</style><p id=one>{}</p>",
    "<p>{}2</p>",
    "<p>x{}</p>",
)
SHOWING = (
    "{}",
    "Write to <privacy@example.com>\n{}\n",
    "<p>{}</p>",
    "<body><script>x</script><main>{}</main></body>",
    "<p hidden>old<p>{}",
    "<ul><li hidden>old<li>{}</ul>",
    "<div hidden>old<br></div>{}",
    '<div style="opacity:0.9">{}</div>',
    "<style>@media print { .new { display: none } } .old{display:none}</style><p class=new>{}</p>",
    "<style>.tab.now{display:block} .tab{display:none}</style><p class='tab now'>{}</p>",
    "<style>.tab{display:none}</style><p class=tab style='display:block'>{}</p>",
    "<p>({})</p>",
    "<dialog open>{}</dialog>",
    "<details><summary>More</summary>{}</details>",
)


def _parties_found(compared: tuple[Loaded, Record, Path], form: str) -> tuple[int, int]:
    loaded, record, path = compared
    words = Words(
        "de", loaded.world.controls.labels, translations(PACKAGE_ROOT / "templates", "de")
    )
    lines = list(Notice(parse(record.canonical()), words).identity())
    path.write_text("\n".join(form.replace("{}", line) for line in lines), encoding="utf-8")
    settings = Settings(world=str(PACKAGE_ROOT))
    ((item,),) = published_notices(settings, loaded, {record.id: record}).values()
    assert item.parties == len(lines) == 2
    return item.parties, item.parties_found


@pytest.mark.parametrize("form", HIDING)
def test_what_no_reader_sees_is_not_published(
    compared: tuple[Loaded, Record, Path], form: str
) -> None:
    assert _parties_found(compared, form) == (2, 0)


@pytest.mark.parametrize("form", SHOWING)
def test_what_readers_see_is_published(compared: tuple[Loaded, Record, Path], form: str) -> None:
    assert _parties_found(compared, form) == (2, 2)
