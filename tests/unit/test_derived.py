"""Duties and impact assessment follow from declared facts and from data in controls/."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

import pytest

from nachweis.domain.manifest import Origin, World
from nachweis.pipeline.derived import criteria, derived_sections
from tests.site_world import demo_world

DAY = dt.date(2026, 11, 20)


@cache
def world() -> World:
    return demo_world()


def fields(model: str, day: dt.date = DAY, **changes: Any) -> dict[str, Any]:
    found = world().models[model].model_copy(update=changes)
    sections = derived_sections(world(), found, day)
    return {field.id: field for section in sections for field in section.fields}


def bound(model: str, day: dt.date = DAY, **ai_act: Any) -> dict[str, dict[str, Any]]:
    declared = world().models[model].ai_act
    assert declared is not None
    rows = fields(model, day, ai_act=declared.model_copy(update=ai_act))["duties"].value
    return {row["article"]: row for row in rows if row["binds"]}


def test_a_minimal_model_is_bound_by_what_binds_everybody() -> None:
    assert set(bound("campaign-propensity")) == {"Art. 4", "Art. 5"}


def test_a_chatbot_must_disclose_from_the_date_in_the_catalogue() -> None:
    duty = bound("support-chatbot")["Art. 50"]
    assert duty["applies_from"] == world().controls.dates["ai-act-transparency"].value
    assert duty["applies_now"]
    assert not bound("support-chatbot", dt.date(2026, 8, 1))["Art. 50"]["applies_now"]


@pytest.mark.parametrize(
    ("role", "only"),
    [("provider", "Art. 9"), ("deployer", "Art. 26"), ("provider_and_deployer", "Art. 9")],
)
def test_duties_of_high_risk_systems_depend_on_the_role(role: str, only: str) -> None:
    found = bound("campaign-propensity", role=role, risk_class="high")
    assert only in found
    assert not found[only]["applies_now"]
    assert ("Art. 26" in found) == ("deployer" in role)


def test_every_duty_names_a_date_and_controls_of_the_catalogue() -> None:
    for duty in world().controls.duties:
        assert duty["date"] in world().controls.dates, duty["article"]
        assert set(duty["evidence"]) <= set(world().controls.controls), duty["article"]
        assert duty["source"] and duty["checked_on"] and duty["certainty"]
        assert set(duty["text"]) == {"en", "de", "da"}


def test_criteria_come_from_declared_facts() -> None:
    model = world().models["campaign-propensity"]
    met = criteria(world(), model, world().activities_of(model.id))
    assert met[1] and met[3] and met[5]
    assert not (met[2] or met[7] or met[8] or met[9])


def test_a_list_of_a_country_where_nobody_is_addressed_says_nothing() -> None:
    german = fields("support-chatbot")["dpia/national"].value
    assert {row["country"] for row in german} <= set(world().organisation.countries)
    assert "DE-11" in {row["entry"] for row in german}


def test_the_skeleton_is_filled_from_manifests_and_leaves_peoples_parts_empty() -> None:
    found = fields("campaign-propensity")
    assert found["dpia/trigger"].value["required"] is True
    assert found["dpia/trigger"].origin is Origin.DERIVED
    for key in ("description", "necessity", "risks", "measures"):
        assert found[f"dpia/{key}"].value, key
    for key in ("dpo_advice", "prior_consultation"):
        assert found[f"dpia/{key}"].origin is Origin.MISSING, key
