"""The skeleton of an impact assessment: filled from manifests, never deciding, open for people."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pikepdf
import pypdfium2
import pytest

from nachweis.domain.manifest.common import LANGUAGES
from nachweis.pages.exports import Source, by_name, formats
from nachweis.pages.exports._values import flat
from nachweis.pages.exports.dpia import blocks
from nachweis.pipeline.derived import derived_sections
from tests.export_world import demo
from tests.html_page import Page
from tests.site_world import NIGHT, demo_world
from tests.wording import forbidden_words


def source(model: str = "campaign-propensity", language: str = "en") -> Source:
    return demo().source("dossier", model, language=language)


def parts(made: Source, name: str) -> list[dict[str, Any]]:
    return next([*item.parts] for item in blocks(made) if item.id == f"dpia-{name}")


def said(made: Source, name: str) -> str:
    return "\n".join(str(part["s"]) if "s" in part else flat(part) for part in parts(made, name))


def test_the_trigger_names_the_facts_each_criterion_rests_on() -> None:
    (table,) = [part for part in parts(source(), "trigger") if part["t"] == "table"]
    rows = {flat(row[0]): (flat(row[2]), flat(row[3])) for row in table["rows"]}
    assert list(rows) == [str(number) for number in range(1, 10)]
    assert rows["1"][0] == "yes" and "person" in rows["1"][1].lower()
    assert rows["5"][0] == "yes" and "Denmark" in rows["5"][1]
    assert rows["8"] == ("no", "–")
    assert "an impact assessment is due" in said(source(), "trigger")


def test_where_no_rule_applies_the_case_still_has_to_be_looked_at() -> None:
    made = source()
    assert made.only.assessment is not None
    derived = [
        {
            **section,
            "fields": [
                {**field, "value": {"required": False, "criteria_met": 1, "criteria_needed": 2}}
                if field["id"] == "dpia/trigger"
                else field
                for field in section["fields"]
            ],
        }
        for section in made.only.assessment["derived"]
    ]
    version = dataclasses.replace(
        made.only, assessment={**made.only.assessment, "derived": derived}
    )
    shown = said(dataclasses.replace(made, versions=(version,)), "trigger")
    assert "The assessment of the individual case remains necessary" in shown


def test_it_describes_people_data_recipients_and_time_limits_from_manifests() -> None:
    shown = said(source(), "description")
    for words in ("24 months", "Denmark", "10,000"):
        assert words in shown, words
    model = demo_world().models["campaign-propensity"]
    names = {field.id for field in derived_sections(demo_world(), model, NIGHT.date)[1].fields}
    assert {"dpia/recipients", "dpia/legal_basis", "dpia/retention", "dpia/data_flows"} <= names


def test_what_only_people_can_write_is_an_empty_box_that_says_whose_it_is() -> None:
    made = source()
    for name in ("trigger", "description", "necessity", "views", "dpo-advice", "decision"):
        assert any(part["t"] == "blank" for part in parts(made, name)), name
    assert "data protection officer" in said(made, "dpo-advice")
    decision = said(made, "decision")
    assert decision.count("☐") == 4
    assert "☒" not in decision and "☑" not in decision


def test_deviations_of_the_night_stand_beside_the_risks() -> None:
    made = source()
    assert made.only.assessment is not None
    found = [view["finding"] for view in made.only.assessment["findings"]]
    open_ones = [one for one in found if one["outcome"] in {"fail", "error"}]
    assert open_ones
    for one in open_ones:
        assert one["explanation"] in said(made, "risks")


def test_an_assessment_of_an_older_release_still_gives_a_skeleton() -> None:
    made = source()
    assert made.only.assessment is not None
    version = dataclasses.replace(made.only, assessment={**made.only.assessment, "derived": []})
    assert "not declared" in said(dataclasses.replace(made, versions=(version,)), "trigger")


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_pdf_are_sound_in_every_language(language: str) -> None:
    made = source("support-chatbot", language)
    page = Page(formats()["dpia"].render(made).decode())
    assert page.faults == []
    assert made.words.unknown == set()
    content = formats()["dpia-pdf"].render(made)
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert set(pdf.attachments) == {"dossier.json", "assessment.json"}
    text = "".join(
        page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(content)
    )
    assert made.words.label("dpia.shows_text").split(".")[0] in " ".join(text.split())
    assert not forbidden_words(page.text)


def test_only_a_dossier_has_one() -> None:
    assert by_name("dpia", "dossier").kinds == frozenset({"dossier"})
