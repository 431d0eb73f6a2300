"""Every check keeps the contract: complete, documented, and its examples give what they say."""

from __future__ import annotations

import ast
import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nachweis import registry
from nachweis.domain.check import Check, Example
from nachweis.domain.finding import Outcome
from nachweis.pages.wording import forbidden_words
from nachweis.pages.words import Words, translations
from nachweis.pipeline.examples import replay, run_example, worst_outcome
from nachweis.pipeline.load import load_controls
from nachweis.settings import PACKAGE_ROOT

CHECKS = list(registry.checks().values())
EXAMPLES = [(check, example) for check in CHECKS for example in check.examples]
CONTROLS = Path(__file__).parents[2] / "controls"
SPOKEN = [
    Words(language, {}, translations(PACKAGE_ROOT / "templates", language))
    for language in ("de", "da")
]


def name(case: Check | Example) -> str:
    return case.title.replace(" ", "-") if isinstance(case, Example) else case.id


@pytest.mark.parametrize(("check", "example"), EXAMPLES, ids=name)
def test_an_example_gives_its_outcome(check: type[Check], example: Example) -> None:
    found = run_example(check, example)
    told = [f"{finding.column}: {finding.outcome} {finding.explanation}" for finding in found]
    assert worst_outcome(found) is example.outcome, told


CARRIED = [(check, example) for check, example in EXAMPLES if check.carries_over]


@pytest.mark.parametrize(("check", "example"), CARRIED, ids=name)
def test_what_is_carried_over_does_not_depend_on_the_night(
    check: type[Check], example: Example
) -> None:
    night = (dt.date.fromisoformat(example.night) + dt.timedelta(days=5)).isoformat()
    assert run_example(check, replace(example, night=night)) == run_example(check, example)


@pytest.mark.parametrize(("check", "example"), EXAMPLES, ids=name)
def test_findings_of_an_example_are_complete(check: type[Check], example: Example) -> None:
    for finding in run_example(check, example):
        assert finding.explanation
        assert finding.controls == check.controls
        assert finding.remediation == check.remediation
        if finding.outcome in {Outcome.PASS, Outcome.FAIL}:
            assert finding.measurements or "cannot be read" in finding.explanation
        for measurement in finding.measurements:
            assert measurement.value is not None or measurement.reason
        # What the organisation declared, and what an engine says about a broken file, stay as said.
        if not re.search(r"^The observation |^Declared as |: artefact: ", finding.explanation):
            for words in SPOKEN:
                assert not words.explained(finding.explanation).foreign, finding.explanation


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_documentation_is_complete_and_honest(check: type[Check]) -> None:
    texts = (check.question, check.why, check.method, check.leaves_out, check.remediation)
    for text in texts:
        assert len(text) > 20
    assert forbidden_words(" ".join(texts)) == []
    assert check.question.endswith("?")
    assert "ource" in check.method or "Evidently" in check.method
    for param in check.params:
        assert param.description.endswith(".")


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_a_check_says_what_is_undefined(check: type[Check]) -> None:
    assert re.search(r"ndefined|must all be 0", check.method)


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_a_check_never_loads_writes_or_alerts(check: type[Check]) -> None:
    tree = ast.parse(registry.source_file(check).read_text(encoding="utf-8"))
    imported = {
        alias.name if isinstance(node, ast.Import) else (node.module or "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    allowed = ("nachweis.domain", "nachweis.engines", f"nachweis.checks.{check.family}.")
    own = {module for module in imported if module.startswith("nachweis")}
    assert all(module.startswith(allowed) for module in own)
    assert not imported & {"os", "pathlib", "io", "logging", "subprocess", "socket", "requests"}
    calls = {node.func.id for node in ast.walk(tree) if _is_named_call(node)}
    assert not calls & {"open", "print", "exec", "eval"}


def _is_named_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_controls_are_in_the_catalogue(check: type[Check]) -> None:
    known = load_controls(CONTROLS).controls
    assert set(check.controls) <= set(known)


def test_checks_about_consent_objection_and_erasure_cannot_be_waived() -> None:
    fixed = {check.id for check in CHECKS if not check.waivable}
    assert fixed == {
        "legal_basis_held_for_rows_used",
        "contact_permission_held_for_audience",
        "erased_subjects_absent",
        "child_consent_authorised",
        "models_free_of_erased_people",
        "soft_opt_in_recorded",
        "suppression_respected_in_time",
    }


def test_the_replay_finds_every_check_seeing() -> None:
    assert replay(CHECKS) == []
