"""A night is signed once; the same inputs change nothing, other inputs supersede it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis.engines.tables import Tables
from nachweis.pipeline import night
from nachweis.pipeline.context import open_context
from nachweis.pipeline.summary import NightSummary, OpenFinding, summary_text
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import EntryKind
from tests.integration.night_support import FIRST, Place, place

pytestmark = pytest.mark.store

ACTIVITY = "manifests/activities/marketing.yaml"


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("signed"), embedded_store) as found:
        found.change("manifests/organisation.yaml", languages=["en", "de", "da"])
        yield found


@pytest.fixture(scope="module")
def first(here: Place) -> NightSummary:
    """The night, signed once."""
    return here.run(FIRST)


def test_the_ledger_begins_with_the_key_and_holds_the_night(
    here: Place, first: NightSummary
) -> None:
    assert [entry.kind for entry in here.archive.entries] == [EntryKind.KEY, EntryKind.NIGHT]
    assert first.sequence == 2
    assert first.chain_ok
    assert here.verify().ok


def test_first_versions_are_written_with_pages_in_every_language(
    here: Place, first: NightSummary
) -> None:
    assert {(item.kind, item.id, item.version) for item in first.versions} == {
        ("record", "marketing", 1),
        ("dossier", "propensity", 1),
    }
    stored = here.everything()
    for language in ("en", "de", "da"):
        for target, document in (
            ("records/marketing", "record"),
            ("dossiers/propensity", "dossier"),
        ):
            page = stored[f"{target}/v000001/{document}.{language}.html"].decode()
            assert f'lang="{language}"' in page


def test_the_statement_accounts_for_every_subject_and_finding(
    here: Place, first: NightSummary
) -> None:
    statement = here.statement(FIRST)
    assert set(statement.evidence) == set(statement.subjects)
    assert statement.not_run == statement.blind == statement.blocked == ()
    findings = [
        finding
        for subject in statement.subjects
        for finding in here.evidence(FIRST, subject).findings
    ]
    for outcome, count in statement.counts.items():
        assert sum(item.outcome.value == outcome for item in findings) == count
    assert statement.counts == first.counts
    assert set(statement.data_versions) == {"reference", "scores", "training"}
    assert statement.store["checks"]


def test_the_summary_tells_what_happened_worst_first(here: Place, first: NightSummary) -> None:
    text = summary_text(first)
    assert "1 model, 3 data sets" in text
    assert "training_data_meets_suite on data_set/training" in text
    assert text.index("high     fail") < text.index("low      fail")
    assert "record marketing v1, dossier propensity v1" in text
    assert "sequence 2; the chain verifies" in text


def test_the_site_shows_the_night(here: Place, first: NightSummary) -> None:
    site = here.settings.site
    assert Path(first.site) == site / "index.html"
    assert first.site_problem == ""
    for language in ("en", "de", "da"):
        page = (site / language / "nights" / f"{FIRST}.html").read_text("utf-8")
        assert "training_data_meets_suite" in page
        index = (site / language / "nights" / "index.html").read_text("utf-8")
        assert f"{FIRST}.html" in index


def test_the_message_leads_to_a_page_that_exists(
    here: Place, first: NightSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACHWEIS_SITE_URL", "https://governance.example.com/site/")
    summary = first.model_dump(mode="json")
    told = night.notify(FIRST, summary, "email")
    assert told is not None
    assert told["email"] == ["governance@example.com"]
    link = told["body"].splitlines()[-1].removeprefix("https://governance.example.com/site/")
    assert (here.settings.site / link).is_file()


def test_the_role_that_owns_what_a_finding_is_about_is_told_too(
    here: Place, first: NightSummary
) -> None:
    before = here.manifest("manifests/organisation.yaml")
    failed = OpenFinding(
        check="retention_kept",
        subject="model/propensity",
        column=None,
        outcome="fail",
        severity="high",
        state="new",
    )
    others = failed.model_copy(update={"subject": "model/of-somebody-else"})
    try:
        role = {"id": "owner", "title": {"en": "Owner"}, "notify": "marketing@example.com"}
        here.change("manifests/organisation.yaml", roles=[role])
        for found, told_about in (((failed, others), 1), ((others,), 0)):
            night_of = first.model_copy(update={"open": found, "not_run": ()})
            said = night.notify(FIRST, night_of.model_dump(mode="json"), "email")
            assert said is not None
            assert len(said["owners"]) == told_about
            for one in said["owners"]:
                assert one["email"] == ["marketing@example.com"]
                assert one["subject"].endswith(": 1 high")
    finally:
        here.write("manifests/organisation.yaml", before)


def test_each_channel_is_told_once_about_an_attempt_however_often_the_task_runs(
    here: Place, first: NightSummary
) -> None:
    again = first.model_copy(update={"repeated": True}).model_dump(mode="json")
    assert night.notify(FIRST, again, "webhook") is not None, "signed, and nobody was told"
    night.told(FIRST, again, "webhook")
    assert night.notify(FIRST, again, "webhook") is None
    assert night.notify(FIRST, again, "email") is not None


def test_the_same_night_again_reads_no_data_and_writes_no_object(
    here: Place, first: NightSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("data were read")

    for method in ("relation", "facts", "view", "schema", "scalars", "grouped_together", "profile"):
        monkeypatch.setattr(Tables, method, refuse)
    before = {role: here.keys(role) for role in ("records", "narratives", "site", "anchor")}
    again = here.run(FIRST)
    assert {role: here.keys(role) for role in before} == before
    assert again.repeated
    assert again.versions == ()
    assert (again.sequence, again.attempt, again.counts) == (
        first.sequence,
        first.attempt,
        first.counts,
    )
    assert "nothing changed" in summary_text(again)


def test_statements_about_other_nights_leave_the_identity_alone(
    here: Place, first: NightSummary
) -> None:
    signed = here.signed(FIRST).identity
    waiver = {
        "id": "later",
        "check": "training_data_meets_suite",
        "subject": "data_set/training",
        "role": "owner",
        "reason": {"en": "Being corrected"},
        "from": "2026-10-20",
        "until": "2026-10-30",
    }
    event = {
        "id": "sale",
        "kind": "campaign",
        "title": {"en": "Sale"},
        "from": "2026-10-20",
        "until": "2026-10-21",
    }
    waiver_file = here.write("manifests/waivers/later.yaml", waiver)
    event_file = here.write("manifests/events/sale.yaml", event)
    policy = here.manifest("manifests/policy.yaml")
    here.change("manifests/policy.yaml", site_url="https://governance.example.com")
    try:
        assert open_context(FIRST).identity == signed
        here.write("manifests/waivers/later.yaml", {**waiver, "from": FIRST})
        assert open_context(FIRST).identity != signed
    finally:
        waiver_file.unlink()
        event_file.unlink()
        here.write("manifests/policy.yaml", policy)


def test_changed_inputs_supersede_and_only_normative_ones_make_versions(
    here: Place, first: NightSummary
) -> None:
    training = here.world / "data" / "training.csv"
    training.write_text(training.read_text("utf-8") + "c19999,3,south,0.5,1\n", "utf-8")
    other_data = here.run(FIRST)
    assert not other_data.repeated
    assert other_data.versions == ()
    statement = here.statement(FIRST)
    assert statement.supersedes == first.attempt
    assert {item.version for item in statement.versions} == {1}
    assert not any(item.new for item in statement.versions)
    assert "nothing normative changed" in summary_text(other_data)

    activity = here.manifest(ACTIVITY)
    activity["purposes"][0]["text"] = {"en": "Choosing whom to write to, once a month"}
    here.write(ACTIVITY, activity)
    other_text = here.run(FIRST)
    assert [(item.kind, item.id, item.version) for item in other_text.versions] == [
        ("record", "marketing", 2)
    ]
    assert here.statement(FIRST).supersedes == other_data.attempt
    assert here.verify().ok
    assert [item.night for item in here.archive.attempts] == [FIRST] * 3
