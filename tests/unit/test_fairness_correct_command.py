"""``nachweis correct``: what is proposed, what is kept, and what is never exported."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nachweis import registry
from nachweis.checks.fairness._examples import MODEL_WITH_OUTCOMES
from nachweis.cli_correct import _print
from nachweis.cli_correct import correct as command
from nachweis.domain.canonical import digest_bytes
from nachweis.domain.check import Example, ExampleTable
from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Outcome
from nachweis.domain.manifest import Attestation, DataSet, DataSetRole
from nachweis.domain.night import Night
from nachweis.pipeline import correct
from nachweis.pipeline.context import NightContext
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.load import Loaded
from nachweis.settings import Settings
from nachweis.storage.documents import read_document
from tests.memory_store import MemoryStore
from tests.unit.data_worlds import parquet

NIGHT = Night(dt.date(2026, 3, 2))
SCORED = dt.datetime(2026, 1, 30, 12)
GENDER = {"id": "gender", "column": "gender"}
HEALTH = {**GENDER, "art9": "health"}
SPECIAL = {
    "attributes": ["health"],
    "alternatives_tested": [{"method": "synthetic", "result": {"en": "no"}, "date": "2026-01-01"}],
    "store": "scoring-log",
    "technical_reuse_block": True,
    "access_roles": ["owner"],
    "delete_by": "2026-12-31",
    "record_statement": {"en": "needed"},
    "likely_harm": {"en": "worse offers"},
}
REVIEWED = {
    "id": "review",
    "control": "EQUAL-TREATMENT-REVIEW",
    "statement": {"en": "assessed"},
    "scope": ["model"],
    "role": "owner",
    "issued_on": "2026-02-01",
    "valid_until": "2026-06-30",
}


def people(n: int = 800) -> dict[str, Any]:
    """Men were selected less often at equal quality; a feature stands in for gender."""
    rng = np.random.default_rng(7)
    man, quality = rng.random(n) < 0.5, rng.normal(size=n)
    bought = quality + rng.normal(size=n) - 1.2 * man > 0
    score = np.clip(0.5 + 0.2 * quality - 0.15 * man, 0, 1)
    return {
        "person": [f"p{i}" for i in range(n)],
        "gender": ["male" if one else "female" for one in man],
        "quality": quality.tolist(),
        "title": [("Mr" if one else "Ms") if i % 10 else None for i, one in enumerate(man)],
        "score": score.tolist(),
        "offer": (score >= 0.5).astype(int).tolist(),
        "bought": bought.astype(int).tolist(),
    }


def context(
    folder: Path,
    attribute: dict[str, Any] = GENDER,
    activity: dict[str, Any] | None = None,
    attestation: dict[str, Any] | None = None,
    gender_in: str = "training",
    **model: Any,
) -> NightContext:
    rows = people()
    n = len(rows["person"])
    tables = {
        "training": ("person", "quality", "title", "bought"),
        "scoring_log": ("person", "score", "offer"),
        "outcomes": ("person", "bought"),
        "people": ("person",),
    }
    declared = {
        "training": {"fields": {"label": "bought"}},
        "scoring_log": {
            "fields": {"key": "person", "score": "score", "prediction": "offer"},
            "time": {"column": "at"},
        },
        "outcomes": {"fields": {"key": "person", "label": "bought"}},
        "people": {},
    }
    roles = {
        "training": DataSetRole.TRAINING,
        "scoring_log": DataSetRole.SCORING_LOG,
        "outcomes": DataSetRole.OUTCOMES,
        "people": DataSetRole.SOURCE,
    }
    example_tables = {}
    for name, columns in tables.items():
        found = {column: rows[column] for column in columns}
        if (name == "training" and gender_in == "training") or name == "people":
            found["gender"] = rows["gender"]
        if name == "scoring_log":
            found |= {"gender": rows["gender"], "at": [SCORED] * n}
        parquet(folder / f"{name}.parquet", found)
        example_tables[name] = ExampleTable(
            roles[name],
            found,
            {
                "columns": [
                    {"name": column, "feature": column in {"quality", "title"}} for column in found
                ],
                "subject_key": {"column": "person"},
                **declared[name],
            },
        )
    settings = {
        **MODEL_WITH_OUTCOMES,
        "features": ["quality", "title"],
        "protected_attributes": [attribute],
        "decision": {"rule": {"positive": 1, "score_at_least": 0.5}},
        **model,
    }
    check = registry.check("selection_rate_parity_held")
    example = Example("x", Outcome.PASS, example_tables, model=settings, activity=activity or {})
    world = example_world(check, example)
    sets: dict[str, DataSet] = {
        key: one.model_copy(update={"location": f"{key.replace('-', '_')}.parquet"})
        for key, one in world.data_sets.items()
    }
    attested = Attestation.model_validate(attestation) if attestation else None
    world = world.model_copy(
        update={
            "data_sets": sets,
            "attestations": {attested.id: attested} if attested else {},
        }
    )
    loaded = Loaded(world, dict.fromkeys(sets, folder), {})
    return NightContext(Settings(state=folder / "state"), loaded, NIGHT)


def number(part: list[dict[str, Any]], name: str, group: str | None = None) -> dict[str, Any]:
    return next(one for one in part if one["name"] == name and one.get("group") == group)


def test_reweighing_shows_before_after_cost_and_whose_decision_changes(tmp_path: Path) -> None:
    document = correct.propose(context(tmp_path), "model", "reweighing").document
    (result,) = document["attributes"]
    before, after = (
        number(result[part], "selection_rate_difference") for part in ("before", "after")
    )
    assert after["value"] < before["value"] / 2
    assert before["interval"][0] < before["value"] < before["interval"][1]
    assert number(result["cost"], "accuracy_change")["value"] < 0
    assert number(result["affected"], "share_gaining", "male")["value"] > 0.05
    assert {(one["group"], one["outcome"]) for one in result["weights"]} == {
        (group, outcome) for group in ("female", "male") for outcome in (False, True)
    }
    assert (document["mark"], result["threshold"]) == ("", 0.5)
    assert result["estimated_rows_of_current_window"] is not None
    assert any("trained again" in sentence for sentence in document["to_decide"])


def test_a_gender_held_elsewhere_gives_the_same_proposal(tmp_path: Path) -> None:
    own = correct.propose(context(tmp_path / "a"), "model", "reweighing").document
    attribute = {**GENDER, "data_set": "people"}
    other = correct.propose(
        context(tmp_path / "b", attribute, gender_in="people"), "model", "reweighing"
    ).document
    assert own["attributes"] == other["attributes"]


def test_thresholds_are_analysed_and_marked_and_not_in_the_evidence(tmp_path: Path) -> None:
    proposal = correct.propose(context(tmp_path), "model", "thresholds")
    (result,) = proposal.document["attributes"]
    assert proposal.document["mark"] == (
        "uses the characteristic at decision time; legal assessment needed"
    )
    assert number(result["before"], "selection_rate_difference")["value"] > 0.2
    assert number(result["after"], "selection_rate_difference")["value"] < 0.01
    limits = proposal.thresholds["gender"]
    assert limits["male"] < limits["female"]
    text = json.dumps(proposal.document)
    assert not any(f"{limit:.4f}" in text for limit in limits.values())


def test_a_proposal_is_kept_as_canonical_json_and_stored_under_its_digest(
    tmp_path: Path,
) -> None:
    tonight = context(tmp_path)
    store = MemoryStore()
    tonight.__dict__["records"] = store
    proposal = correct.propose(tonight, "model", "reweighing")
    path = correct.keep(tonight, proposal)
    assert digest_bytes(path.read_bytes()) == proposal.digest
    assert proposal.digest[:12] in path.name
    key = correct.store(tonight, proposal)
    assert key.startswith("evidence/sha256/")
    assert read_document(store, key) == path.read_bytes()  # type: ignore[arg-type]
    again = correct.propose(tonight, "model", "reweighing")
    assert again.digest == proposal.digest


def test_what_is_printed_names_the_costs_and_the_decisions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _print(correct.propose(context(tmp_path), "model", "thresholds").document)
    told = capsys.readouterr().out
    for words in ("Analysis only", "accuracy_change", "decisions that change", "To be decided"):
        assert words in told


# ---------------------------------------------------------------------------------------- exports


@pytest.mark.parametrize(
    "changed",
    [
        None,
        {"control": "BIAS"},
        {"scope": ["other-model"]},
        {"scope": []},
        {"valid_until": "2026-03-01"},
        {"issued_on": "2026-03-03"},
    ],
)
def test_thresholds_are_not_exported_without_a_valid_legal_review(
    tmp_path: Path, changed: dict[str, Any] | None
) -> None:
    attestation = None if changed is None else {**REVIEWED, **changed}
    tonight = context(tmp_path, attestation=attestation)
    proposal = correct.propose(tonight, "model", "thresholds")
    with pytest.raises(NachweisError, match="EQUAL-TREATMENT-REVIEW"):
        correct.export(tonight, proposal, "gender", tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_a_reviewed_export_carries_its_mark_and_its_attestation(tmp_path: Path) -> None:
    tonight = context(tmp_path, attestation=REVIEWED)
    proposal = correct.propose(tonight, "model", "thresholds")
    correct.export(tonight, proposal, "gender", tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_bytes())
    assert written["thresholds"] == pytest.approx(proposal.thresholds["gender"])
    assert (written["attestation"], written["correction"]) == ("review", proposal.digest)
    assert "legal assessment needed" in written["mark"]


def test_thresholds_by_a_special_category_are_never_exported(tmp_path: Path) -> None:
    activity = {"bias_special_category_processing": SPECIAL}
    tonight = context(tmp_path, HEALTH, activity, attestation=REVIEWED)
    proposal = correct.propose(tonight, "model", "thresholds")
    with pytest.raises(NachweisError, match="never exported"):
        correct.export(tonight, proposal, "gender", tmp_path / "out.json")


@pytest.mark.parametrize("method", ["reweighing", "thresholds"])
def test_a_special_category_is_not_read_without_the_declaration(
    tmp_path: Path, method: Any
) -> None:
    with pytest.raises(NachweisError, match=r"Art\. 4a"):
        correct.propose(context(tmp_path, HEALTH), "model", method)


def test_a_reweighing_has_nothing_to_export(tmp_path: Path) -> None:
    tonight = context(tmp_path, attestation=REVIEWED)
    proposal = correct.propose(tonight, "model", "reweighing")
    with pytest.raises(NachweisError, match="no thresholds"):
        correct.export(tonight, proposal, "gender", tmp_path / "out.json")


# --------------------------------------------------------------------------------- what is missing


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"protected_attributes": []}, "protected_attributes"),
        ({"kind": "regression"}, "binary models only"),
        ({"outcome": {}, "decision": None}, "outcome.positive"),
        ({"features": ["unknown"]}, "feature: true"),
    ],
)
def test_what_is_not_declared_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(NachweisError, match=said):
        correct.propose(context(tmp_path, **changed), "model", "reweighing")


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NachweisError, match="no model"):
        correct.propose(context(tmp_path), "nobody", "reweighing")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "magic"}, "not a method"),
        ({"method": "thresholds", "export": Path("x.json")}, "which thresholds"),
    ],
)
def test_the_command_refuses_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(NachweisError, match=said):
        command("model", **options)
