"""OSCAL: valid for the reference implementation, and nothing untested is satisfied."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.poam import PlanOfActionAndMilestones

from nachweis.domain.errors import NachweisError
from nachweis.pages.exports import Source, formats
from tests.export_world import bank, demo

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) *a* `b` \u202e =cmd {{ 7*191 }}\n"


def _results(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(formats()["oscal"].render(source))["assessment-results"]
    AssessmentResults.model_validate(found)
    return found


def _poam(source: Source) -> dict[str, Any]:
    made = formats()["oscal-poam"].render(source)
    found: dict[str, Any] = json.loads(made)["plan-of-action-and-milestones"]
    PlanOfActionAndMilestones.model_validate(found)
    return found


def _all(value: Any, key: str) -> list[Any]:
    if isinstance(value, dict):
        own = [value[key]] if key in value else []
        return own + [found for item in value.values() for found in _all(item, key)]
    if isinstance(value, list):
        return [found for item in value for found in _all(item, key)]
    return []


@pytest.mark.parametrize(
    ("kind", "key"),
    [("dossier", "campaign-propensity"), ("record", "direct-marketing"), ("register", "")],
)
def test_results_are_valid_and_refer_to_what_they_hold(kind: Any, key: str) -> None:
    found = _results(demo().source(kind, key))
    assert found["metadata"]["oscal-version"] == "1.2.1"
    ids = _all(found, "uuid")
    assert [uuid for uuid, n in Counter(ids).items() if n > 1] == []
    for name in ("observation-uuid", "risk-uuid", "subject-uuid", "party-uuids"):
        for used in _all(found, name):
            assert set([used] if isinstance(used, str) else used) <= set(ids), name
    assert found["import-ap"]["href"].removeprefix("#") in ids


def test_a_control_is_satisfied_only_if_all_that_applies_passed() -> None:
    source = demo().source("dossier", "campaign-propensity")
    views = source.only.assessment["findings"]  # type: ignore[index]
    (result,) = _results(source)["results"]
    states = set()
    for finding in result["findings"]:
        control = finding["target"]["target-id"]
        outcomes = {
            view["finding"]["outcome"] for view in views if control in view["finding"]["controls"]
        }
        satisfied = outcomes - {"not_applicable"} == {"pass"}
        assert (finding["target"]["status"]["state"] == "satisfied") is satisfied, control
        if not outcomes & {"pass", "fail", "error", "not_available"}:
            assert finding["target"]["status"]["remarks"] == "Not tested."
        states.add(finding["target"]["status"]["state"])
    assert states == {"satisfied", "not-satisfied"}


def _with_findings(source: Source, findings: list[dict[str, Any]]) -> Source:
    version = source.only
    view = version.assessment["findings"][0]  # type: ignore[index]
    views = [{**view, "finding": {**view["finding"], **finding}} for finding in findings]
    changed = type(version)(
        version.document, 1, version.digest, version.night,
        {**(version.assessment or {}), "findings": views}, "ab" * 32,
    )  # fmt: skip
    return type(source)("dossier", (changed,), source.words, source.templates, source.controls)


@pytest.mark.parametrize(
    ("outcomes", "state", "reason", "remark"),
    [
        (["pass"] + ["not_available"] * 9, "not-satisfied", "other", "9 of 10 not tested."),
        (["not_available"], "not-satisfied", "other", "1 of 1 not tested."),
        (["fail", "pass", "not_available"], "not-satisfied", "fail", "1 of 3 not tested."),
        (["pass", "error"], "not-satisfied", "fail", None),
        (["pass", "not_applicable"], "satisfied", "pass", None),
        (["pass", "not_applicable", "not_available"], "not-satisfied", "other",
         "1 of 2 not tested."),
        (["not_applicable"], "not-satisfied", "other", "Not tested."),
    ],
)  # fmt: skip
def test_what_was_not_tested_satisfies_no_control(
    outcomes: list[str], state: str, reason: str, remark: str | None
) -> None:
    findings: list[dict[str, Any]] = [
        {"outcome": outcome, "controls": ["a-control"], "column": f"column_{place}"}
        for place, outcome in enumerate(outcomes)
    ]
    source = _with_findings(demo().source("dossier", "campaign-propensity"), findings)
    (finding,) = _results(source)["results"][0]["findings"]
    status = finding["target"]["status"]
    assert (status["state"], status["reason"], status.get("remarks")) == (state, reason, remark)


def test_a_carried_finding_was_collected_in_the_night_that_observed_it() -> None:
    source = demo().source("dossier", "campaign-propensity")
    night = source.only.assessment["night"]  # type: ignore[index]
    carried = _with_findings(
        source,
        [{"column": "old", "carried_from": "2025-12-24"}, {"column": "new", "carried_from": None}],
    )
    observed = _results(carried)["results"][0]["observations"][:2]
    assert [item["collected"][:10] for item in observed] == ["2025-12-24", night]


def test_every_finding_and_every_field_is_an_observation_with_its_evidence() -> None:
    source = demo().source("dossier", "campaign-propensity")
    assessment = source.only.assessment
    assert assessment is not None
    (result,) = _results(source)["results"]
    observed = result["observations"]
    assert len(observed) == len(assessment["findings"]) + len(assessment["verdicts"])
    for item in observed:
        if item["methods"] == ["TEST"]:
            evidence = item["relevant-evidence"][0]
            assert evidence["href"].startswith("evidence/sha256/ab/ab")
            assert evidence["href"].partition("#")[2].startswith("/findings/")
            assert item["expires"] > item["collected"]


def test_a_plan_has_one_item_per_open_finding_and_contradicted_field() -> None:
    source = demo().source("dossier", "campaign-propensity")
    assessment = source.only.assessment
    assert assessment is not None
    opened = [v for v in assessment["findings"] if v["finding"]["outcome"] in {"fail", "error"}]
    wanted = len(opened) + assessment["contradicted"]
    assert len(_poam(source)["poam-items"]) == wanted > 3


def test_what_was_open_and_could_not_be_tested_stays_on_the_plan() -> None:
    source = demo().source("dossier", "campaign-propensity")
    version = source.only
    views = [dict(view) for view in version.assessment["findings"]]  # type: ignore[index]
    before = len(_poam(source)["poam-items"])
    gap = next(view for view in views if view["finding"]["outcome"] == "not_available")
    gap |= {"state": "untested", "since": "2026-01-05"}
    changed = type(version)(
        version.document, 1, version.digest, version.night,
        {**(version.assessment or {}), "findings": views}, version.assessment_digest,
    )  # fmt: skip
    plan = _poam(
        type(source)("dossier", (changed,), source.words, source.templates, source.controls)
    )
    assert len(plan["poam-items"]) == before + 1
    assert any(
        "since the night of 2026-01-05" in item["description"] for item in plan["poam-items"]
    )


def test_no_plan_is_made_of_nothing() -> None:
    with pytest.raises(NachweisError, match="nothing is open"):
        _poam(bank().source("dossier", "deposit-propensity"))


def test_results_without_any_finding_are_valid() -> None:
    (result,) = _results(bank().source("record", "telemarketing"))["results"]
    assert "findings" not in result


def test_a_waived_finding_is_a_deviation_that_was_approved() -> None:
    source = demo().source("dossier", "campaign-propensity")
    version = source.only
    views = [dict(view) for view in version.assessment["findings"]]  # type: ignore[index]
    for view in views:
        view["waiver"] = "accepted"
    changed = type(version)(
        version.document, 1, version.digest, version.night,
        {**(version.assessment or {}), "findings": views, "verdicts": []}, "ab" * 32,
    )  # fmt: skip
    waived = type(source)("dossier", (changed,), source.words, source.templates, source.controls)
    assert {risk["status"] for risk in _poam(waived)["risks"]} == {"deviation-approved"}


def test_hostile_text_stays_text() -> None:
    source = demo().source("dossier", "campaign-propensity")
    version = source.only
    view = dict(version.assessment["findings"][0])  # type: ignore[index]
    view["finding"] = {
        **view["finding"], "explanation": HOSTILE * 1000, "column": HOSTILE, "scope": HOSTILE,
        "outcome": "fail", "remediation": HOSTILE,
        "measurements": [{"name": HOSTILE, "value": HOSTILE, "unit": " ", "reason": HOSTILE}],
    }  # fmt: skip
    changed = type(version)(
        version.document, 1, version.digest, version.night,
        {**(version.assessment or {}), "findings": [view]}, "ab" * 32,
    )  # fmt: skip
    hostile = type(source)("dossier", (changed,), source.words, source.templates, source.controls)
    for text in (json.dumps(_results(hostile)), json.dumps(_poam(hostile))):
        assert "\u202e" not in json.loads(text).__str__()
    (result,) = _results(hostile)["results"]
    for key in ("description", "title", "statement"):
        for said in _all(result, key):
            assert "<script" not in said.replace("\\<script", "")
            assert "](" not in said.replace("\\]", "")
