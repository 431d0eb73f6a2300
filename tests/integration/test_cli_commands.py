"""The command line: every answer is a sentence, every exit code means one thing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis import cli, registry
from nachweis.domain.finding import Outcome, Severity
from nachweis.domain.manifest import ModelKind
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.pipeline.examples import replay
from nachweis.pipeline.findings import findings_of
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, SECOND, Place, command, place

pytestmark = pytest.mark.store

SUITE = "training_data_meets_suite:data_set/training"


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    """A world with one signed night."""
    with place(tmp_path_factory.mktemp("commands"), embedded_store) as found:
        code, out, err = command("run", "--night", FIRST)
        assert code == 0, err
        assert "Versions   2 written" in out
        assert "data_set/training" in err  # progress
        yield found


# ---------------------------------------------------------------------------------- runs


@pytest.mark.parametrize(
    ("severity", "expected"), [("critical", 0), ("high", 1), ("low", 1), ("severe", 2)]
)
def test_exit_codes_of_a_signed_night(here: Place, severity: str, expected: int) -> None:
    code, out, err = command("run", "--night", FIRST, "--fail-on", severity)
    assert code == expected
    if expected == 2:
        assert "not a severity" in err
        assert out == ""


def test_verify_in_words_and_as_json(here: Place) -> None:
    code, out, _ = command("verify")
    assert code == 0
    assert out.startswith("The store verifies.")
    code, out, _ = command("verify", "--json")
    report = json.loads(out)
    assert (code, report["status"], report["nights"]) == (0, "ok", 1)
    code, out, err = command("verify", "--trusted", "f" * 64)
    assert code == 1, err
    assert "DOES NOT VERIFY" in out


def test_the_plan_names_what_is_read_and_why_not(here: Place) -> None:
    code, out, _ = command("plan", "propensity")
    assert code == 0
    assert f"model/propensity in the night of {FIRST}" in out
    assert "profile of visits" in out
    assert "feature_distribution_stable" in out
    assert "Not looked at:" in out
    assert command("plan", "data_set/training", "--night", SECOND)[0] == 0


# ------------------------------------------------------------------------------- findings


def test_findings_are_listed_with_whole_keys_and_explained(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = command("finding", "list")
    assert code == 0
    assert f"new    {SUITE}\n" in out
    assert len(out.splitlines()) == 1 + sum(here.statement(FIRST).open_by_severity.values())
    listed = command("finding", "list", "--all", "--night", FIRST)[1].splitlines()
    assert len(listed) == 1 + sum(here.statement(FIRST).counts.values())
    code, out, _ = command("finding", "why", SUITE)
    assert code == 0
    assert out.startswith(f"fail (high)  {SUITE}\n")
    assert f"Open since the night of {FIRST}; state: new" in out
    assert "Evidence: " in out


def test_a_night_without_a_failure_says_what_could_not_run(here: Place) -> None:
    findings = [view.finding for view in findings_of(here.settings, FIRST)]
    unseen = here.statement(FIRST).counts["not_available"]
    assert unseen
    assert cli._none_open(findings) == f"No check failed; {unseen} could not run, see --all."
    passed = [finding for finding in findings if finding.outcome is Outcome.PASS]
    assert cli._none_open(passed) == "No check failed; all could run, see --all."


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (("init",), [*ModelKind, *LANGUAGES]),
        (("run",), list(Severity)),
    ],
)
def test_help_lists_the_choices(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], choices: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, out, _ = command(*arguments, "--help")
    assert code == 0
    assert [choice for choice in choices if choice not in out] == []


# ---------------------------------------------------------------------------------- checks


def test_checks_are_listed_shown_and_tried(here: Place) -> None:
    before = here.keys()
    code, out, _ = command("check", "list")
    assert code == 0
    assert len(out.splitlines()) == 1 + len(registry.checks())
    code, out, _ = command("check", "show", "drift/feature_distribution_stable")
    assert code == 0
    assert all(part in out for part in ("Why: ", "Method: ", "Leaves out: ", "Parameter "))
    code, out, _ = command("check", "try", "groups_large_enough", "--on", "propensity")
    assert code == 0
    assert out.startswith("fail (low)  groups_large_enough:model/propensity:region")
    assert here.keys() == before


def test_a_new_check_has_the_form_of_the_contract(tmp_path: Path) -> None:
    code, out, _ = command("check", "new", "drift/foo_stays_bar", "--folder", str(tmp_path))
    assert code == 0
    found = registry.checks(tmp_path)
    assert list(found) == ["foo_stays_bar"]
    about = found["foo_stays_bar"].subject.value
    assert f"nachweis check try foo_stays_bar --on {about}/ID\n" in out
    assert out.index("make docs") < out.index("templates/locales/de and da")
    assert replay(found.values()) == []
    code, _, err = command("check", "new", "drift/foo_stays_bar", "--folder", str(tmp_path))
    assert code == 2
    assert "exists already" in err


# ---------------------------------------------------------------------------------- lint


def test_lint_tells_order_problems_and_no_world_apart(
    here: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, out, _ = command("lint")
    assert code == 0
    assert out.endswith("0 errors, 0 warnings\n")
    broken = here.write("manifests/models/broken.yaml", "id: broken\nkindd: binary\n")
    code, out, _ = command("lint", "--quick")
    broken.unlink()
    assert code == 1
    assert "manifests/models/broken.yaml:2 kindd: unknown field 'kindd'. Did you mean" in out
    monkeypatch.setenv("NACHWEIS_WORLD", str(tmp_path))
    code, out, err = command("lint", "--quick")
    assert (code, out) == (2, "")
    assert "organisation.yaml" in err


# --------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--night", "20.10.2026"), "is not a night"),
        (("run", "--night", "2026-02-30"), "is not a date"),
        (("run",), "--night"),
        (("rum",), "rum"),
        (("check", "show", "retention_kep"), 'did you mean "retention_kept"?'),
        (("check", "try", "nothing_like_it", "--on", "propensity"), "there is no check"),
        (("check", "try", "retention_kept", "--on", "model/propensity"), "is about a data set"),
        (("check", "new", "Drift"), "write family/statement"),
        (("check", "new", "drift"), "write family/statement"),
        (("check", "new", "drift/a_b", "--folder", "/proc/nope"), "cannot be written"),
        (("check", "new", "drift/volume"), "snake case"),
        (("plan", "propensty"), 'did you mean "propensity"?'),
        (("plan", "planet/earth"), "not a kind of subject"),
        (("finding", "list", "--night", SECOND), f"nachweis run --night {SECOND}"),
        (("run", "--night", FIRST, "--fail-on", "bad"), "critical"),
        (("store", "start"), "another store than the embedded one"),
        (("finding", "why", SUITE.removesuffix("g")), SUITE),
        (("finding", "ack", SUITE, "--role", "ownr"), 'did you mean "owner"?'),
        (("finding", "ack", "nothing:model/x", "--role", "owner"), "no such open finding"),
        (("verify", "--trusted", "nowhere.pem"), "nowhere.pem"),
        (("site", "serve", "--port", "many"), "--port"),
        (("init", "--from", "nowhere.parquet"), "there is no file"),
        (("init", "--from", "/proc"), "name one file of it"),
    ],
)
def test_a_mistake_is_a_sentence(here: Place, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 6


def test_a_malformed_setting_is_named_without_its_value(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACHWEIS_DUCKDB_THREADS", "secret-looking")
    code, _, err = command("verify")
    assert code == 2
    assert "NACHWEIS_DUCKDB_THREADS" in err
    assert "secret-looking" not in err


def test_the_installed_command_helps() -> None:
    help_text = subprocess.run(
        [str(Path(sys.executable).with_name("nachweis")), "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    for name in ("init", "lint", "plan", "run", "verify", "site", "check", "finding", "store"):
        assert f"\n  {name} " in help_text
