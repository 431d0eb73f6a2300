"""The oversight checks: first turns, requests for a person, and reviews without reviewers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from nachweis.checks.oversight._dialogues import any_of, plain
from nachweis.checks.oversight._examples import ANSWER, NOON, QUESTION, TOLD, chats
from nachweis.checks.oversight.ai_disclosed_in_first_turn import AiDisclosedInFirstTurn
from nachweis.checks.oversight.decisions_reviewed_by_people import (
    DecisionsReviewedByPeople,
    _tables,
)
from nachweis.checks.oversight.escalation_to_human_honoured import EscalationToHumanHonoured
from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.finding import Finding, Outcome
from nachweis.pipeline.examples import run_example

INFORMED = {"employee_monitoring": {"reason": {"en": "safety"}, "staff_informed_on": "2026-01-01"}}


def run(check: type[Check], tables: dict[str, ExampleTable], **more: Any) -> Finding:
    (finding,) = run_example(check, Example("x", Outcome.PASS, tables, **more))
    return finding


def number(finding: Finding, name: str, group: str | None = None) -> Any:
    return next(m.value for m in finding.measurements if m.name == name and m.group == group)


def model(**disclosure: str) -> dict[str, Any]:
    act = {"role": "deployer", "risk_class": "transparency", "disclosure": disclosure}
    return {"ai_act": act, "languages": sorted(disclosure)}


def in_language(tables: dict[str, ExampleTable], *languages: str) -> dict[str, ExampleTable]:
    """The same dialogues, one language each."""
    given = tables["dialogues"]
    spoken = [languages[int(name[1:])] for name in given.rows["dialogue"]]
    return {
        "dialogues": ExampleTable(given.role, {**given.rows, "language": spoken}, given.declare)
    }


# ---------------------------------------------------------------------------------- disclosure


def test_the_words_must_be_those_of_the_dialogues_language() -> None:
    words = model(en="You are chatting with an AI", de="Sie chatten mit einer KI")
    german = [("assistant", "Guten Tag! Sie  chatten mit einer KI."), ("customer", "Hallo")]
    english = [("assistant", TOLD), ("customer", QUESTION)]
    good = in_language(chats(german, english), "de", "en")
    assert run(AiDisclosedInFirstTurn, good, model=words).outcome is Outcome.PASS
    swapped = run(
        AiDisclosedInFirstTurn, in_language(chats(german, english), "de", "de"), model=words
    )
    assert swapped.outcome is Outcome.FAIL
    assert number(swapped, "share_disclosed_by_language", "de") == 0.5


def test_a_language_that_nobody_declared_is_not_named() -> None:
    words = model(en="You are chatting with an AI")
    finding = run(
        AiDisclosedInFirstTurn, in_language(chats([("assistant", TOLD)]), "sv"), model=words
    )
    assert finding.outcome is Outcome.PASS
    assert number(finding, "share_disclosed_by_language", "other") == 1.0
    assert "sv" not in finding.model_dump_json()


def test_only_the_first_turn_of_the_ai_counts_and_each_dialogue_once() -> None:
    words = model(en="You are chatting with an AI")
    late = [("customer", QUESTION), ("assistant", ANSWER), ("assistant", TOLD)]
    told = [("customer", QUESTION), ("assistant", TOLD), ("assistant", ANSWER)]
    finding = run(AiDisclosedInFirstTurn, chats(late, told, told), model=words)
    assert number(finding, "dialogues_without_disclosure") == 1
    assert finding.measurements[0].n == 3


def test_a_dialogue_that_goes_on_after_midnight_is_left_out() -> None:
    words = model(en="You are chatting with an AI")
    begun = dt.datetime.combine(NOON - dt.timedelta(days=1), dt.time(23, 58))
    goes_on = [("assistant", TOLD), *[("customer", QUESTION), ("assistant", ANSWER)] * 3]
    finding = run(AiDisclosedInFirstTurn, chats(goes_on, at=begun), model=words)
    assert finding.outcome is Outcome.NOT_AVAILABLE


def test_a_turn_without_a_text_holds_no_words() -> None:
    given = chats([("assistant", TOLD)])["dialogues"]
    empty = ExampleTable(given.role, {**given.rows, "text": [None]}, given.declare)
    finding = run(AiDisclosedInFirstTurn, {"dialogues": empty}, model=model(en="You are chatting"))
    assert finding.outcome is Outcome.FAIL


# ---------------------------------------------------------------------------------- escalation

ASK = ("customer", "Please let me talk to A PERSON.")


@pytest.mark.parametrize(("answers", "honoured"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_only_so_many_answers_may_come_before_the_person(answers: int, honoured: float) -> None:
    dialogue = [ASK, *[("assistant", ANSWER)] * answers, ("assistant", "Hi", True)]
    finding = run(EscalationToHumanHonoured, chats(dialogue))
    assert number(finding, "share_honoured") == honoured


def test_being_handed_over_before_asking_is_not_an_answer() -> None:
    dialogue = [("assistant", "Hi", True), ASK, ("assistant", ANSWER)]
    assert number(run(EscalationToHumanHonoured, chats(dialogue)), "share_honoured") == 0.0


def test_answers_before_the_request_and_words_of_the_ai_do_not_count() -> None:
    before = [*[("assistant", ANSWER)] * 5, ASK, ("assistant", "Hi", True)]
    offered = [("assistant", "Would you like a person?"), ("customer", "no")]
    finding = run(EscalationToHumanHonoured, chats(before, offered))
    assert number(finding, "share_honoured") == 1.0
    assert finding.measurements[0].n == 1


def test_few_broken_requests_are_reported_and_many_fail() -> None:
    good = [ASK, ("assistant", "Hi", True)]
    bad = [ASK, ("assistant", ANSWER), ("assistant", ANSWER)]
    assert run(EscalationToHumanHonoured, chats(*[good] * 19, bad)).outcome is Outcome.PASS
    assert run(EscalationToHumanHonoured, chats(*[good] * 10, *[bad] * 5)).outcome is Outcome.FAIL


def test_languages_are_reported_where_several_are_declared() -> None:
    turns = {"asks_for_person": {"en": ["a person"], "da": ["et menneske"]}}
    danish = [("customer", "jeg vil tale med et menneske"), ("assistant", ANSWER)]
    tables = in_language(chats([ASK, ("assistant", "Hi", True)], danish, turns=turns), "en", "da")
    finding = run(EscalationToHumanHonoured, tables)
    assert number(finding, "share_honoured_by_language", "en") == 1.0
    assert number(finding, "share_honoured_by_language", "da") == 0.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a person", True),
        ("is there a person?", True),
        ("a personal matter", False),
        ("alpha person", False),
        ("c++ (expert)", True),
    ],
)
def test_phrases_are_whole_words(text: str, found: bool) -> None:
    import duckdb

    pattern = any_of(["A  person", "c++ (expert)"])
    row = duckdb.execute("SELECT regexp_matches(?, ?)", [plain(text), pattern]).fetchone()
    assert row == (found,)


# ------------------------------------------------------------------------------------- reviews


def review(reviewed: int, share: float = 0.5, **more: Any) -> Finding:
    return run(
        DecisionsReviewedByPeople,
        _tables(reviewed, **more),
        model={"oversight": {"reviews": "reviews", "share_reviewed": share}},
        organisation=INFORMED,
    )


def test_no_finding_names_or_splits_people() -> None:
    finding = review(150)
    assert finding.outcome is Outcome.PASS
    assert all(m.group is None for m in finding.measurements)
    assert "p0" not in finding.model_dump_json()


@pytest.mark.parametrize(("reviewed", "people"), [(49, 8), (150, 4)])
def test_little_work_gives_no_numbers_at_all(reviewed: int, people: int) -> None:
    finding = review(reviewed, people=people)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert finding.measurements == ()


def test_a_share_fails_only_if_chance_does_not_explain_it() -> None:
    assert review(92).outcome is Outcome.PASS  # 46 % of 200 against 50 %
    assert review(70).outcome is Outcome.FAIL


def test_changed_decisions_and_the_median_time_are_measured() -> None:
    finding = review(150)
    assert number(finding, "share_changed_by_people") == 0.1
    assert number(finding, "median_review_time") == 39
