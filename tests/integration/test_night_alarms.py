"""What a night never lets pass in silence: leaks, blind checks, activities that vanish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from nachweis import registry
from nachweis.domain.canonical import parse
from nachweis.domain.finding import Finding, Outcome
from nachweis.pipeline import night
from nachweis.pipeline.summary import NightSummary
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import EntryKind
from tests.integration.night_support import (
    FIRST,
    SECOND,
    THIRD,
    Place,
    command,
    forget_replay,
    place,
)

pytestmark = pytest.mark.store

LEAKED = "anna.leaked@mail.example"
BLIND = "schema_as_declared"
ACTIVITY = "manifests/activities"


@dataclass(frozen=True)
class Nights:
    """A leak; then a blind check and two activities without manifests; then a quiet night."""

    here: Place
    leaking: NightSummary
    blind: tuple[int, str, str]
    quiet: NightSummary


@pytest.fixture(scope="module")
def nights(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Nights]:
    with place(tmp_path_factory.mktemp("alarms"), embedded_store) as here:
        scores = here.world / "data" / "scores"
        (scores / f"{THIRD}.csv").write_bytes((scores / f"{SECOND}.csv").read_bytes())
        marketing = here.manifest(f"{ACTIVITY}/marketing.yaml")
        clean = {**marketing, "id": "support", "title": {"en": "Support"}}
        here.write(f"{ACTIVITY}/support.yaml", {**clean, "title": {"en": f"Ask {LEAKED}"}})
        here.write(f"{ACTIVITY}/newsletter.yaml", {**marketing, "id": "newsletter"})
        ended = {**marketing, "id": "survey", "status": "ended", "ended_on": "2026-01-31"}
        here.write(f"{ACTIVITY}/survey.yaml", ended)
        leaking = here.run(FIRST)
        here.write(f"{ACTIVITY}/support.yaml", clean)
        for name in ("newsletter", "survey"):
            (here.world / ACTIVITY / f"{name}.yaml").unlink()
        with blinded():
            blind = command("run", "--night", SECOND)
        yield Nights(here, leaking, blind, here.run(THIRD))


@contextmanager
def blinded() -> Iterator[None]:
    """The check no longer sees a failure, not even in its own example."""
    check = registry.check(BLIND)
    real = check.judge

    def nothing_wrong(self: Any, inputs: Any, seen: Any) -> Iterable[Finding]:
        for finding in real(self, inputs, seen):
            yield finding.model_copy(update={"outcome": Outcome.PASS})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "judge", nothing_wrong)
        forget_replay(BLIND)
        yield
    forget_replay(BLIND)


# ------------------------------------------------------------------------------------- leaks


def test_a_document_with_personal_data_is_held_back_alone(nights: Nights) -> None:
    statement = nights.here.statement(FIRST)
    assert {item.id for item in statement.versions} == {
        "marketing",
        "newsletter",
        "survey",
        "propensity",
    }
    # The model's assessment names the activities that it serves, this one too.
    assert sorted(statement.blocked) == ["assessment of dossier/propensity", "record support"]
    assert nights.leaking.blocked == statement.blocked
    assert nights.leaking.chain_ok


def test_what_was_held_back_is_nowhere(nights: Nights) -> None:
    stored = nights.here.everything()
    assert not any(LEAKED.encode() in content for content in stored.values())
    assert not any(key.startswith("records/support/") for key in stored if "v000002" in key)
    pages = nights.here.settings.site.rglob("*.html")
    assert not any(LEAKED in page.read_text("utf-8") for page in pages)


def incidents(here: Place) -> dict[str, list[Any]]:
    """Incident id to the events that the ledger vouches for."""
    found: dict[str, list[Any]] = {}
    for entry in here.archive.entries:
        if entry.kind is EntryKind.INCIDENT:
            for key in entry.subjects:
                found.setdefault(entry.predicate.id, []).append(  # type: ignore[attr-defined]
                    parse(here.archive.store.get(key))
                )
    return found


def test_a_leak_and_a_blind_check_open_one_signed_incident_each(nights: Nights) -> None:
    found = incidents(nights.here)
    assert [event["incident"] for (event,) in found.values()] == ["security_event", "blind_night"]
    leak, blind = (event for (event,) in found.values())
    assert (leak["night"], blind["night"]) == (FIRST, SECOND)
    assert leak["places"] == list(nights.here.statement(FIRST).blocked)
    assert blind["places"] == [BLIND]
    assert leak["is_personal_data_breach"] is None


def test_once_corrected_the_document_is_published(nights: Nights) -> None:
    versions = {item.id: item for item in nights.here.statement(SECOND).versions}
    assert (versions["support"].version, versions["support"].new) == (1, True)


# ------------------------------------------------------------------------------------- blind


def test_a_blind_night_says_so_and_is_signed(nights: Nights) -> None:
    code, out, _ = nights.blind
    assert code == 0
    assert f"Blind      {BLIND}" in out
    assert nights.here.statement(SECOND).blind == (BLIND,)


def test_passes_of_a_blind_check_do_not_count(nights: Nights) -> None:
    for name in ("training", "reference", "scores"):
        finding = nights.here.finding(SECOND, f"{BLIND}:data_set/{name}")
        assert finding.outcome is Outcome.NOT_AVAILABLE
        assert "blind" in finding.explanation
        assert nights.here.finding(THIRD, finding.key).outcome is Outcome.PASS


def test_a_blind_night_is_told(nights: Nights) -> None:
    summary = night.publish(SECOND, {"repeated": True, "runs": {}})
    told = night.notify(SECOND, summary, "email")
    assert told is not None
    assert "1 blind" in told["subject"]


# ----------------------------------------------------------------------------------- vanished


def test_an_activity_that_vanished_is_named_every_night(nights: Nights) -> None:
    for of in (SECOND, THIRD):
        assert [item.what for item in nights.here.statement(of).not_run] == ["activity/newsletter"]
    assert "never ended" in nights.here.statement(THIRD).not_run[0].reason


def test_an_ended_activity_may_go(nights: Nights) -> None:
    assert "survey" not in str(nights.quiet.not_run)


def test_everything_verifies(nights: Nights) -> None:
    report = nights.here.verify()
    assert report.ok, report.text()
