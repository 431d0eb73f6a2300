"""``nachweis plan --explain``: what it says is read is what is read, and it reads nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nachweis import registry
from nachweis.domain.check import Check, Example
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.night import Night
from nachweis.domain.observation import SchemaOf, SuiteResult
from nachweis.engines.columns_used import columns_used
from nachweis.engines.tables import Tables
from nachweis.pages.catalogue import render_checks_markdown
from nachweis.pipeline.example_worlds import data_set_id, example_subject, example_world
from nachweis.pipeline.examples import run_example, worst_outcome
from nachweis.pipeline.explain_plan import PlanExplanation, explain
from nachweis.pipeline.judge import SubjectPlan, plan_subject
from nachweis.pipeline.observe import observe

CHECKS = list(registry.checks().values())


def planned(example: Example, *checks: type[Check]) -> tuple[SubjectPlan, PlanExplanation]:
    world = example_world(checks[0], example)
    night = Night.parse(example.night, world.organisation.timezone)
    plan = plan_subject(world, example_subject(checks[0], example), night, checks)
    return plan, explain(world, plan, example.night, world.models["model"].current)


def explained(check_id: str, *others: str, example: int = 0) -> PlanExplanation:
    check = registry.check(check_id)
    return planned(check.examples[example], check, *map(registry.check, others))[1]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_columns_said_to_be_read_are_enough(check: type[Check]) -> None:
    example = check.examples[0]
    plan, said = planned(example, check)
    requests = [one for many in plan.requests.values() for one in many]
    if any(isinstance(one, SchemaOf | SuiteResult) for one in requests):
        pytest.skip("it is about all columns, or about those its suite names")
    read: dict[str, set[str]] = {}
    for source in said.sources:
        assert source.columns is not None, "only the data could tell"
        read.setdefault(source.data_set, set()).update(source.columns)
    tables = {}
    for name, table in example.tables.items():
        keep = read.get(data_set_id(name), set())
        columns = table.declare.get("columns", [{"name": column} for column in table.rows])
        rows = {column: values for column, values in table.rows.items() if column in keep}
        assert rows or not keep, f"none of {sorted(keep)} is in {name}"
        tables[name] = replace(
            table,
            rows=rows or table.rows,
            declare={**table.declare, "columns": _typed(check, example, name, columns)},
        )
    assert worst_outcome(run_example(check, replace(example, tables=tables))) is example.outcome


def _typed(check: type[Check], example: Example, name: str, columns: list) -> list:
    """Declared columns with the types they had, so that only the rows are fewer."""
    data_set = example_world(check, example).data_sets[data_set_id(name)]
    return [{**one, "type": data_set.column(one["name"]).type} for one in columns]


@pytest.mark.parametrize(
    "check_id",
    [
        "data_fresh_enough",
        "error_rate_parity_held",
        "feature_distribution_stable",
        "legal_basis_held_for_rows_used",
        "target_leakage_absent",
        "train_test_overlap_absent",
    ],
)
def test_no_more_statements_are_sent_than_said(check_id: str, tmp_path: Path) -> None:
    check = registry.check(check_id)
    example = check.examples[0]
    plan, said = planned(example, check)
    world = example_world(check, example)
    night = Night.parse(example.night, world.organisation.timezone)
    memory = {data_set_id(name): dict(table.rows) for name, table in example.tables.items()}
    with Tables(world, {}, night, cache=tmp_path, threads=1, memory_tables=memory) as tables:
        observe(
            tables,
            plan.requests,
            model=world.models["model"],
            suites=world.suites,
            history=lambda *_: [],
        )
        sent = {
            label: sum(
                entry.source == label
                and entry.kind in ("aggregate", "window", "grouped", "profile", "sample", "overlap")
                for entry in tables.log.entries
            )
            for label in tables.log.sources()
        }
    assert sum(sent.values()) <= said.statements_at_most
    assert all(label.partition(":")[0] in {s.data_set for s in said.sources} for label in sent)


def test_what_several_checks_ask_for_is_shown_once_with_all_of_them() -> None:
    said = explained("feature_distribution_stable", "missing_share_stable")
    (log,) = [source for source in said.sources if source.role == "scoring_log"]
    profiles = [looked for looked in log.looked_at if looked.kind == "profile"]
    assert {tuple(looked.checks) for looked in profiles} == {
        ("feature_distribution_stable", "missing_share_stable")
    }
    assert log.asked["profile"] == 2 * log.at_most["profile"]


def test_profiles_of_the_reference_are_kept_and_those_of_the_log_are_not() -> None:
    said = explained("feature_distribution_stable")
    kept = {source.role: source.kept for source in said.sources}
    assert kept["reference"]
    assert kept["scoring_log"] == []
    assert "kept while the files are unchanged" in said.text(full=True)


def test_an_unpinned_reference_is_not_kept() -> None:
    check = registry.check("feature_distribution_stable")
    example = check.examples[0]
    reference = example.tables["reference"]
    loose = replace(reference, declare={**reference.declare, "pinned": "unpinned"})
    _, said = planned(replace(example, tables={**example.tables, "reference": loose}), check)
    assert all(source.kept == [] for source in said.sources)


def test_the_other_side_of_an_overlap_is_read_too() -> None:
    said = explained("train_test_overlap_absent", example=2)
    partner = {source.data_set: source.partner_of for source in said.sources}
    assert partner == {"training": ["reference"], "reference": []}
    assert all(source.columns == ["case"] for source in said.sources)


def test_a_check_that_cannot_run_says_what_to_declare() -> None:
    said = explained("scoring_ran", example=-1)
    assert said.checks == []
    assert said.sources == []
    (one,) = said.not_run
    assert one.outcome == "not_available"
    assert "data.scoring_log" in one.declare
    assert f"declare {one.declare}" in said.text(full=False)


def test_the_signed_past_is_named_beside_data_sets() -> None:
    said = explained("row_volume_in_expected_band")
    assert [one.kind for one in said.beside] == ["History"]
    assert "earlier nights" in said.text(full=False)


def test_json_says_what_the_words_say() -> None:
    said = explained("feature_distribution_stable")
    document = json.loads(json.dumps(said.document()))
    assert document["statements_at_most"] == said.statements_at_most
    assert [one["data_set"] for one in document["sources"]] == [s.data_set for s in said.sources]
    text = said.text(full=True)
    assert f"at most {said.statements_at_most} statements" in text
    for source in document["sources"]:
        for column in source["columns"]:
            assert column in text


def test_the_short_form_leaves_statements_out() -> None:
    said = explained("feature_distribution_stable")
    assert "statements" not in said.text(full=False)
    assert "profile of" in said.text(full=False)


def test_one_observation_is_no_plural() -> None:
    text = explained("missing_share_stable", "data_fresh_enough").text(full=False)
    numbers = re.findall(r": (\d+) (observations?)$", text, re.MULTILINE)
    assert ("1", "observation") in numbers
    assert all((count == "1") == (word == "observation") for count, word in numbers)


def test_columns_that_only_the_data_can_tell_are_said_to_be_unknown() -> None:
    assert columns_used([lambda table: table.gone.sum()], {"here": "integer"}) is None  # type: ignore[dict-item]
    assert columns_used([lambda table: table.count()], {}) is None
    assert columns_used(["named"], {}) == {"named"}


def test_the_current_window_is_told_as_declared() -> None:
    check = registry.check("feature_distribution_stable")
    example = check.examples[0]
    world = example_world(check, example)
    night = Night.parse(example.night, world.organisation.timezone)
    plan = plan_subject(world, example_subject(check, example), night, [check])
    said = explain(world, plan, example.night, CurrentWindow(min_rows=77, extend_to="P3D"))
    assert any("up to P3D for at least 77 rows" in source.window for source in said.sources)


# ------------------------------------------------------------------------------- what applies


@pytest.mark.parametrize("subject", ["model", "data_set"])
def test_the_catalogue_says_what_a_check_applies_to(subject: str) -> None:
    text = render_checks_markdown(registry.checks())
    about = subject.replace("_", " ")
    head, *rows = text[text.index(f"| about a {about} |") :].split("\n\n")[0].splitlines()
    kinds = [cell.strip() for cell in head.split("|")[2:-2]]
    told = {}
    for row in rows[1:]:
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        name = cells[0].partition("]")[0].lstrip("[")
        told[name] = {kind for kind, cell in zip(kinds, cells[1:-1], strict=True) if cell == "yes"}
    expected = {
        check.id: {
            kind.value.replace("_", " ")
            for kind in (check.model_kinds if subject == "model" else check.data_set_roles)
        }
        for check in CHECKS
        if check.subject.value == subject
    }
    assert told == expected
