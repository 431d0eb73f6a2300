"""Manifests: every problem is reported with file, line, field, and what to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis import registry
from nachweis.domain.errors import ManifestError
from nachweis.pipeline.lint import lint, pattern_problem
from nachweis.pipeline.lint_history import commits_of, not_compared
from nachweis.pipeline.load import load_world, schemas
from nachweis.pipeline.yaml_files import read_yaml
from nachweis.settings import PACKAGE_ROOT, Settings

ORGANISATION = """
id: example
controller: {legal_name: Example, address: "Street 1", country: DE, email: privacy@example.com}
roles:
  - {id: owner, title: {en: Owner}}
countries: [DE]
establishment: DE
languages: [en]
"""
DATA_SET = """
id: log
role: scoring_log
location: data/log.parquet
columns:
  - {name: id, type: string}
  - {name: score, type: number}
fields: {score: score}
"""
MODEL = """
id: propensity
title: {en: Propensity}
kind: binary
unit: person
stage: draft
owner: owner
activities: [marketing]
data: {scoring_log: log}
"""
ACTIVITY = """
id: marketing
title: {en: Marketing}
owner: owner
models: [propensity]
no_transfers: true
purposes:
  - {id: ads, text: {en: Advertising}, models: [propensity]}
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    files = {
        "manifests/organisation.yaml": ORGANISATION,
        "manifests/datasets/log.yaml": DATA_SET,
        "manifests/models/propensity.yaml": MODEL,
        "manifests/activities/marketing.yaml": ACTIVITY,
    }
    for name, text in files.items():
        write(tmp_path, name, text)
    return tmp_path


def write(world: Path, name: str, text: str) -> None:
    path = world / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")


def problems(world: Path) -> list[str]:
    settings = Settings(world=str(world), state=world / "state")
    return [str(problem) for problem in lint(settings, registry.checks())]


def test_a_correct_world_has_no_problems(world: Path) -> None:
    assert problems(world) == []


def test_all_problems_are_reported_at_once(world: Path) -> None:
    write(world, "manifests/models/propensity.yaml", MODEL + "colour: red\nlimits: {en: ''}\n")
    write(world, "manifests/datasets/log.yaml", DATA_SET.replace("scoring_log", "scoring_logs"))
    found = problems(world)
    assert any("models/propensity.yaml:9 colour: unknown field 'colour'" in text for text in found)
    assert any("limits: empty text for en" in text for text in found)
    assert any("datasets/log.yaml:2 role: not an allowed value" in text for text in found)
    assert any("scoring_log" in text and "allowed:" in text for text in found)


def test_an_unknown_field_is_answered_with_the_nearest_known_one(world: Path) -> None:
    write(world, "manifests/datasets/log.yaml", DATA_SET.replace("location:", "locaton:"))
    (unknown,) = [text for text in problems(world) if "locaton" in text]
    assert 'Did you mean "location"?' in unknown
    assert "datasets/log.yaml:3" in unknown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: a\nid: b\n", "the key 'id' stands here twice"),
        ("a: &x [1]\nb: *x\n", "an alias"),
        ("a: !!python/object:os.system x\n", "a YAML tag is used"),
        ("a: !custom x\n", "a YAML tag is used"),
        ("a: [1, 2\n", "not valid YAML"),
        ("", "the file is empty"),
        ("- 1\n", None),
    ],
)
def test_yaml_form(tmp_path: Path, text: str, said: str | None) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    found = read_yaml(path).problems
    assert (said is None and not found) or any(said in problem.what for problem in found)


def test_an_anchor_bomb_is_refused_without_expansion(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    document = read_yaml(path)
    assert any("alias" in problem.what for problem in document.problems)
    assert len(repr(document.data)) < 2 * path.stat().st_size


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_a_tower_of_brackets_is_refused_and_does_not_kill_the_process(
    tmp_path: Path, opening: str, closing: str
) -> None:
    path = tmp_path / "tower.yaml"
    path.write_text(f"a: {opening * 50_000}1{closing * 50_000}\n")
    assert any("nested deeper" in problem.what for problem in read_yaml(path).problems)


def test_a_dangling_link_beside_the_manifests_stops_nothing(world: Path) -> None:
    (world / "manifests" / "datasets" / ".#log.yaml").symlink_to("/nowhere/at/all")
    load_world(Settings(world=str(world)))


def test_an_unknown_zone_of_a_data_set_is_reported(world: Path) -> None:
    path = world / "manifests" / "datasets" / "log.yaml"
    path.write_text(path.read_text() + "\ntime: { column: at, zone: Mars/Olympus }\n")
    assert any("time zone" in text for text in problems(world))


def test_values_are_read_by_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("country: NO\nanswer: yes\ntime: 12:30\ncode: '007'\nreal: 1e3\nflag: true\n")
    assert read_yaml(path).data == {
        "country": "NO",
        "answer": "yes",
        "time": "12:30",
        "code": "007",
        "real": 1000.0,
        "flag": True,
    }


@given(st.binary(max_size=400))
def test_any_bytes_are_a_problem_or_data_of_json_types(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(raw)
    document = read_yaml(path)
    if not document.problems:
        assert json.loads(json.dumps(document.data, allow_nan=False)) == document.data


def test_an_id_that_leaves_its_folder_is_refused(world: Path) -> None:
    write(world, "manifests/models/propensity.yaml", MODEL.replace("id: propensity", "id: ../x"))
    assert any("models/propensity.yaml:1 id" in text for text in problems(world))


def test_a_location_with_dots_is_refused(world: Path) -> None:
    write(world, "manifests/datasets/log.yaml", DATA_SET.replace("data/log", "../log"))
    assert any("leaves its folder" in text for text in problems(world))


def test_dangling_references_are_named_with_the_valid_ones(world: Path) -> None:
    write(
        world,
        "manifests/models/propensity.yaml",
        MODEL.replace("scoring_log: log", "scoring_log: lug"),
    )
    (text,) = [text for text in problems(world) if "lug" in text]
    assert "there is no data set 'lug'" in text
    assert 'Did you mean "log"?' in text
    assert "allowed: log" in text


def test_a_metric_of_an_unknown_column_or_name_is_answered_with_the_known_ones(
    world: Path,
) -> None:
    path = next((world / "manifests" / "models").glob("*.yaml"))
    path.write_text(
        path.read_text() + "evidently:\n- {metric: MeanValue, column: no_such_column, at_most: 1}\n"
    )
    (found,) = problems(world)
    assert "evidently.0.column" in found
    assert "no_such_column" not in found.split("evidently.0.column")[0]
    path.write_text(path.read_text().replace("MeanValue", "MaxValue"))
    (found,) = problems(world)
    assert "ValueDrift" in found, "names what can be named"


def test_a_broken_model_does_not_hide_the_others(world: Path) -> None:
    write(world, "manifests/models/other.yaml", MODEL.replace("propensity", "other"))
    write(world, "manifests/models/propensity.yaml", "id: [")
    loaded = load_world(Settings(world=str(world), state=world / "state"))
    assert list(loaded.world.models) == ["other"]
    assert loaded.problems


def test_an_unreadable_file_is_reported_once_and_not_by_all_that_name_it(world: Path) -> None:
    write(world, "manifests/datasets/log.yaml", "id: [")
    found = problems(world)
    assert len(found) == 1
    assert "datasets/log.yaml" in found[0]


def test_without_an_organisation_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"organisation\.yaml"):
        load_world(Settings(world=str(tmp_path), state=tmp_path))


def test_texts_must_be_in_every_language_of_the_organisation(world: Path) -> None:
    write(world, "manifests/organisation.yaml", ORGANISATION.replace("[en]", "[en, da]"))
    assert any("marketing.yaml:2 title: the text lacks da" in text for text in problems(world))


def test_copies_of_a_notice_are_in_languages_of_the_organisation_but_need_not_be_in_all(
    world: Path,
) -> None:
    write(world, "manifests/organisation.yaml", ORGANISATION.replace("[en]", "[en, da]"))
    copies = "notice:\n  copies:\n    {}: notices/published.html\n"
    write(world, "manifests/activities/marketing.yaml", ACTIVITY + copies.format("da"))
    assert not any("notice" in text for text in problems(world))
    write(world, "manifests/activities/marketing.yaml", ACTIVITY + copies.format("dk"))
    assert any("no language of the organisation 'dk'" in text for text in problems(world))


def test_check_parameters_are_validated(world: Path) -> None:
    write(
        world,
        "manifests/models/propensity.yaml",
        MODEL + "checks:\n  selection_rate_parity_held: {min_ratio: high, min_rato: 0.9}\n",
    )
    found = "\n".join(problems(world))
    assert "must be a number" in found
    assert "no parameter 'min_rato'" in found


def test_waivers_of_permission_checks_are_refused(world: Path) -> None:
    write(
        world,
        "manifests/waivers/late.yaml",
        """
        id: late
        check: contact_permission_held_for_audience
        subject: model/propensity
        role: owner
        reason: {en: Not yet}
        from: 2026-01-01
        until: 2026-02-01
        """,
    )
    assert any("cannot be waived" in text for text in problems(world))


def test_a_waiver_of_more_than_ninety_days_is_refused(world: Path) -> None:
    write(
        world,
        "manifests/waivers/long.yaml",
        """
        id: long
        check: groups_large_enough
        subject: model/propensity
        role: owner
        reason: {en: Small pilot}
        from: 2026-01-01
        until: 2026-06-01
        """,
    )
    assert any("at most 90 days" in text for text in problems(world))


def test_error_texts_do_not_repeat_the_offending_value(world: Path) -> None:
    write(world, "manifests/models/propensity.yaml", MODEL.replace("binary", "anna@example.com"))
    assert not any("anna@example.com" in text for text in problems(world))


@pytest.mark.parametrize("pattern", ["(?=x)y", r"(a)\1", "a++", "(?<!x)y"])
def test_patterns_outside_the_common_subset_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern) is not None


@pytest.mark.parametrize("pattern", [r"^[A-Z]{2}\d+$", "a|b", "(?:x)+", "(?i)abc"])
def test_ordinary_patterns_are_accepted(pattern: str) -> None:
    assert pattern_problem(pattern) is None


def test_stored_schemas_are_the_generated_ones() -> None:
    folder = PACKAGE_ROOT / "manifests" / "schema"
    stored = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    assert stored == schemas(), "run `nachweis lint --write-schemas`"


# ---------------------------------------------------------------- drafts and vanished manifests


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(
        ["git", "-C", folder, *identity, "-c", "commit.gpgsign=false", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def repository(world: Path) -> Path:
    """The world in a folder of a repository, all of it committed."""
    inner = world / "inner"
    inner.mkdir()
    (world / "manifests").rename(inner / "manifests")
    git(world, "init", "-q")
    commit(inner)
    return inner


def commit(world: Path) -> None:
    git(world, "add", "--all", ".")
    git(world, "commit", "-q", "--allow-empty", "-m", "change")


GONE = "the manifest is gone although its activity has not ended"


def activity(name: str, status: str = "active") -> str:
    return f"id: {name}\ntitle: {{en: Some}}\nowner: owner\nstatus: {status}\nno_transfers: true\n"


def gone(world: Path) -> list[str]:
    return [problem.split(":")[0] for problem in problems(world) if GONE in problem]


def test_texts_of_the_draft_are_a_warning_each_until_they_are_written(world: Path) -> None:
    draft = ACTIVITY.replace("{en: Marketing}", "{en: TO DO}").replace("Advertising", "TO DO")
    write(world, "manifests/activities/marketing.yaml", draft)
    write(world, "manifests/organisation.yaml", ORGANISATION.replace('"Street 1"', "MANGLER"))
    found = lint(Settings(world=str(world)), registry.checks())
    assert [(p.file, p.line, p.field, p.warning) for p in found] == [
        ("manifests/activities/marketing.yaml", 2, "title", True),
        ("manifests/activities/marketing.yaml", 7, "purposes.0.text", True),
        ("manifests/organisation.yaml", 2, "controller.address", True),
    ]
    assert all("still holds the text of the draft" in str(problem) for problem in found)


def test_words_of_the_draft_within_a_text_are_nobodys_business(world: Path) -> None:
    text = ACTIVITY.replace("{en: Marketing}", "{en: What is TO DO about MANGLER}")
    write(world, "manifests/activities/marketing.yaml", text)
    assert problems(world) == []


@pytest.mark.parametrize("committed", [True, False])
def test_an_activity_that_vanished_before_its_end_is_an_error(
    repository: Path, committed: bool
) -> None:
    for name, status in (("support", "active"), ("churn", "ended"), ("plans", "planned")):
        write(repository, f"manifests/activities/{name}.yaml", activity(name, status))
    commit(repository)
    assert (gone(repository), not_compared(Settings(world=str(repository)))) == ([], [])
    for name in ("support", "churn", "plans"):
        (repository / f"manifests/activities/{name}.yaml").unlink()
    if committed:
        commit(repository)
        write(repository, "unrelated.txt", "later")
        commit(repository)
    assert gone(repository) == [
        "manifests/activities/plans.yaml",
        "manifests/activities/support.yaml",
    ]
    write(repository, "manifests/activities/support.yaml", activity("support", "ended"))
    assert gone(repository) == ["manifests/activities/plans.yaml"]


def test_the_commits_of_the_manifests_are_told_and_whether_they_hold_what_was_read(
    repository: Path, tmp_path: Path
) -> None:
    write(repository, "manifests/activities/old.yaml", activity("old"))
    commit(repository)
    (head,) = commits_of(Settings(world=str(repository)))
    assert re.fullmatch(r"[0-9a-f]{40}", head)
    write(repository, "unrelated.txt", "nothing a night reads")
    assert commits_of(Settings(world=str(repository))) == (head,)
    write(repository, "manifests/activities/new.yaml", activity("new"))
    assert commits_of(Settings(world=str(repository))) == (f"{head}+changed",)
    outside = tmp_path / "outside"
    outside.mkdir()
    both = f"{outside}{os.pathsep}{repository}"
    assert commits_of(Settings(world=both))[-1] == f"{head}+changed"


def test_an_activity_that_ended_may_go_even_if_it_once_was_active(repository: Path) -> None:
    for status in ("active", "ended"):
        write(repository, "manifests/activities/old.yaml", activity("old", status))
        commit(repository)
    (repository / "manifests/activities/old.yaml").unlink()
    commit(repository)
    assert gone(repository) == []


def test_a_renamed_activity_has_vanished_under_its_old_name(repository: Path) -> None:
    write(repository, "manifests/activities/old.yaml", activity("old"))
    commit(repository)
    (repository / "manifests/activities/old.yaml").unlink()
    write(repository, "manifests/activities/new.yaml", activity("new"))
    commit(repository)
    assert gone(repository) == ["manifests/activities/old.yaml"]


def test_an_activity_that_moved_to_another_world_folder_has_not_vanished(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    write(repository, "manifests/activities/moved.yaml", activity("moved"))
    commit(repository)
    (repository / "manifests/activities/moved.yaml").rename(other / "moved.yaml")
    write(other, "manifests/activities/moved.yaml", activity("moved"))
    settings = Settings(world=f"{repository}:{other}")
    assert not [p for p in lint(settings, registry.checks()) if GONE in p.what]
    assert not_compared(settings) == [other]


def test_a_deletion_that_a_merge_brought_is_seen(repository: Path) -> None:
    write(repository, "manifests/activities/side.yaml", activity("side"))
    commit(repository)
    git(repository, "checkout", "-q", "-b", "branch")
    (repository / "manifests/activities/side.yaml").unlink()
    commit(repository)
    git(repository, "checkout", "-q", "-")
    write(repository, "unrelated.txt", "meanwhile")
    commit(repository)
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", "branch")
    assert gone(repository) == ["manifests/activities/side.yaml"]


def test_without_a_whole_history_lint_says_that_it_did_not_compare(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path_factory.mktemp("plain")
    write(plain, "manifests/activities/marketing.yaml", ACTIVITY)
    assert not_compared(Settings(world=str(plain))) == [plain]
    commit(repository)
    git(plain, "clone", "-q", "--depth=1", repository.parent.as_uri(), "copy")
    shallow = plain / "copy" / repository.name
    assert not_compared(Settings(world=str(shallow))) == [shallow]
    assert not_compared(Settings(world=str(repository))) == []
    monkeypatch.setenv("PATH", str(plain))
    assert not_compared(Settings(world=str(repository))) == [repository]
    assert problems(repository) == []


def test_a_log_that_covers_an_unknown_data_set_is_named(world: Path) -> None:
    log = (
        "id: accesses\nrole: access_log\nlocation: log.csv\naccess: {covers: [accesses, nothing]}\n"
    )
    write(world, "manifests/datasets/accesses.yaml", log)
    found = [
        item for item in lint(Settings(world=str(world)), registry.checks()) if not item.warning
    ]
    assert [(item.file, item.field) for item in found] == [
        ("manifests/datasets/accesses.yaml", "access.covers.1")
    ]
