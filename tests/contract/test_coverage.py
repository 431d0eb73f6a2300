"""docs/coverage.md is what the rules say, and names every field that documents have."""

from __future__ import annotations

from nachweis.pipeline import coverage
from nachweis.pipeline.assemble import assemble_dossier, assemble_record
from tests.site_world import MOMENT, demo_world


def test_the_page_is_up_to_date() -> None:
    assert coverage.PATH.read_text(encoding="utf-8") == coverage.render(), (
        "run `python -m nachweis.pipeline.coverage`"
    )


def test_every_letter_of_art_30_and_every_point_of_annex_iv_is_there() -> None:
    record = {place for place, _, _ in coverage.RECORD}
    assert {f"30(1)({letter})" for letter in "abcdefg"} <= record
    assert {f"30(2)({letter})" for letter in "abcd"} <= record
    dossier = {place[0] for place, _, _ in coverage.DOSSIER}
    assert dossier == set("123456789")


def test_fields_of_real_documents_are_covered() -> None:
    world = demo_world()
    named = {
        field.partition("/")[0]
        for items in (coverage.RECORD, coverage.DOSSIER, coverage.NOTICE)
        for _, _, fields in items
        for field in fields
    }
    parts = {
        field.id.partition("/")[0]
        for activity in world.activities.values()
        for section in assemble_record(world, activity, MOMENT).sections
        for field in section.fields
    }
    assert parts <= named
    parts = {
        field.id.partition("/")[0]
        for model in world.models.values()
        for section in assemble_dossier(world, model, MOMENT).sections
        for field in section.fields
    }
    assert parts - {"kind", "owner", "outcome", "protected_attributes"} <= named
