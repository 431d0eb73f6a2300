"""Approving from the command line, as three people and a newcomer meet it, over a real store."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nachweis.domain.errors import NachweisError
from nachweis.pipeline.approval_rules import Wish
from nachweis.pipeline.approvals import decide, open_desk
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, SECOND, Place, command, place

pytestmark = pytest.mark.store

ROLES = [
    {"id": "owner", "title": {"en": "Head of marketing"}},
    {"id": "engineer", "title": {"en": "Engineering"}, "kind": "engineer"},
    {"id": "dpo", "title": {"en": "Data protection officer"}, "kind": "dpo"},
]
PROPOSER, DECIDER, ADVISER = (
    ("--actor", "Author Account"),
    ("--actor", "Owner Account"),
    ("--actor", "Adviser Account"),
)


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    """A world with three roles and one signed night."""
    with place(tmp_path_factory.mktemp("approvals"), embedded_store) as found:
        found.change("manifests/organisation.yaml", roles=ROLES)
        found.change("manifests/activities/marketing.yaml", author="engineer")
        found.run(FIRST)
        yield found


def test_a_newcomer_is_told_what_there_is_and_what_to_do_next(here: Place) -> None:
    code, out, _ = command("approvals", "marketing")
    assert (code, out) == (0, "record/marketing version 1: not submitted.\n")
    code, _, err = command("approve", "marketing", "--role", "owner")
    assert code == 2
    assert "record/marketing version 1: not submitted yet" in err
    assert "What to do: submit it first: nachweis submit" in err
    code, _, err = command("submit", "marketin", "--role", "engineer")
    assert code == 2
    assert 'did you mean "marketing"?' in err
    assert "Valid names: dossier/propensity, record/marketing" in err
    code, _, err = command("advise", "marketing", "maybe", "--role", "dpo")
    assert code == 2
    assert "Valid names: agree, object" in err


def test_three_people_bring_a_model_to_its_approval(here: Place) -> None:
    code, out, err = command("submit", "propensity", "--role", "engineer", *PROPOSER)
    assert code == 0, err
    assert "signed as ledger entry" in out
    assert "dossier/propensity version 1: submitted" in out
    code, _, err = command("approve", "propensity", "--role", "owner", *PROPOSER)
    assert code == 2
    assert "who submitted a version cannot approve it" in err
    why = "The features are <b>not</b> explained. [red]x[/red]"
    assert (
        command("advise", "propensity", "object", "--role", "dpo", "--reason", why, *ADVISER)[0]
        == 0
    )
    code, _, err = command("approve", "propensity", "--role", "owner", *DECIDER)
    contradicted = "contradicts" in err
    assert code == 2
    assert contradicted or "the data protection officer objects" in err
    code, out, _ = command("approvals", "propensity")
    assert why in out
    assert "Adviser Account" not in out
    code, out, _ = command("approvals", "propensity", "--names", "--json")
    listed = json.loads(out)
    assert [item["who"] for item in listed["events"]] == ["Author Account", "Adviser Account"]
    assert listed["standing"] == "objected"
    assert (
        command("reject", "propensity", "--role", "owner", "--reason", "As advised.", *DECIDER)[0]
        == 0
    )
    assert command("verify")[0] == 0


def test_of_two_who_submit_at_once_over_a_real_store_one_counts(here: Place) -> None:
    def attempt(number: int) -> bool:
        try:
            decide(here.settings, "marketing", "submitted", role="engineer", actor=f"P{number}")
        except NachweisError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(attempt, range(4))).count(True) == 1
    listed = json.loads(command("approvals", "marketing", "--json")[1])
    assert [item["counts"] for item in listed["events"]].count(True) == 1
    report = here.verify().report
    assert report.problems == ()


def test_an_overdue_review_is_in_the_assessment_and_on_the_page(here: Place) -> None:
    def long_ago() -> dt.datetime:
        return dt.datetime(2025, 1, 1, 12, tzinfo=dt.UTC)

    desk = open_desk(here.settings)
    past = dataclasses.replace(
        desk, now=long_ago, ledger=dataclasses.replace(desk.ledger, now=long_ago)
    )
    why = "The function is vacant."
    past.sign("marketing", Wish("rejected", "owner", "Owner Account", why))
    past.sign("marketing", Wish("submitted", "engineer", "Author Account"))
    past.sign("marketing", Wish("approved", "owner", "Owner Account", why))
    purpose = {"en": "Ranking people by their propensity to buy"}
    here.change("manifests/models/propensity.yaml", intended_purpose=purpose)
    here.run(SECOND)
    statement = here.statement(SECOND)
    found = here.archive.assessment(here.signed(SECOND), statement.assessments["record/marketing"])
    (overdue,) = [item for item in found.verdicts if item.field == "approval"]
    assert (overdue.verdict.value, overdue.explanation) == (
        "expired", "review overdue since 2026-01-01",
    )  # fmt: skip
    assert (
        "record/marketing version 1: review overdue since 2026-01-01"
        in (command("approvals", "marketing")[1])
    )
    assert command("site", "render")[0] == 0
    page = (here.settings.site / "en" / "activities" / "marketing.html").read_text("utf-8")
    assert "Review overdue since 1 January 2026" in page
    assert "Owner Account" not in page
    assert why not in page
    index = (here.settings.site / "en" / "index.html").read_text("utf-8")
    assert "review overdue" in index
    assert here.verify().report.problems == ()


def test_what_changed_is_told_with_its_source(here: Place) -> None:
    code, out, err = command("diff", "propensity", "v1", "v2")
    assert code == 0, err
    assert "dossier/propensity: version 1 to version 2" in out
    assert "added: " in out
    assert "Ranking people by their propensity to buy" in out
    assert f"source  version 2, night of {SECOND}" in out
    found = json.loads(command("diff", "propensity", "--json")[1])
    assert [item["field"] for item in found["changes"]] == ["intended_purpose"]
    code, out, _ = command(
        "diff", "propensity", "--as-of", dt.datetime.now(dt.UTC).date().isoformat()
    )
    assert code == 0
    assert "dossier/propensity: version 2 was in force" in out
    assert "approved  no: not submitted" in out
    code, _, err = command("diff", "propensity", "v1", "--as-of", "2026-01-01")
    assert code == 2
    assert "not both" in err
    assert command("diff", "propensity", "v1", "v2", "--lang", "de")[0] == 2
