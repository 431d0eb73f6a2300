"""The tables of docs/reliability.md are those of the tests, and the page says enough."""

from __future__ import annotations

from tests import fault_cases, reliability
from tests.tamper_cases import CASES, SERVER_CASES


def test_the_tables_are_up_to_date() -> None:
    page = reliability.PAGE.read_text(encoding="utf-8")
    assert page == reliability.render(page), "run `make reliability`"


def test_every_case_is_listed_once() -> None:
    page = reliability.PAGE.read_text(encoding="utf-8")
    names = [case.id for case in (*CASES, *SERVER_CASES)]
    assert len(names) == len(set(names)) >= 40
    for name in names:
        assert page.count(f"`{name}`") == 1


def test_every_fault_is_listed_once() -> None:
    page = reliability.PAGE.read_text(encoding="utf-8")
    names = [case.id for case in (*fault_cases.CASES, *fault_cases.SERVER_CASES)]
    assert len(names) == len(set(names)) >= 13
    for name in names:
        assert page.count(f"`{name}`") == 1
