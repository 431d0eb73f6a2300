"""Living with a finding: it is explained without reading code, and accepted for a while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nachweis import registry
from nachweis.pipeline import night
from nachweis.pipeline.archive import night_of, open_archive
from nachweis.pipeline.context import open_context
from nachweis.pipeline.publish import summarise
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, Place, command, place

pytestmark = pytest.mark.store

SUITE = "training_data_meets_suite:data_set/training"
LATER = "2026-12-01"
ROLE = ("--role", "owner")
REASON = ("--reason", "en=A new region is on its way.", "--reason", "de=Eine neue Region kommt.")


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    """A world in two languages with one signed night."""
    with place(tmp_path_factory.mktemp("waive"), embedded_store) as found:
        role = {
            "id": "owner",
            "title": {"en": "Head of marketing", "de": "Marketingleitung"},
            "notify": "marketing@example.com",
        }
        found.change("manifests/organisation.yaml", languages=["en", "de"], roles=[role])
        found.run(FIRST)
        yield found


def waivers(here: Place) -> list[Path]:
    return sorted((here.world / "manifests" / "waivers").glob("*.yaml"))


def test_a_finding_is_explained_to_somebody_who_does_not_know_the_check(here: Place) -> None:
    code, out, _ = command("finding", "why", SUITE)
    check = registry.check("training_data_meets_suite")
    assert code == 0
    assert f"What it means: {check.why}" in out
    assert f"What to try: {check.remediation}" in out
    reproduce = f"nachweis check try {check.id} --on data_set/training --night {FIRST}"
    assert f"How to reproduce it: {reproduce}\n" in out
    assert "Head of marketing (role owner, marketing@example.com) owns model/propensity" in out
    assert "owns activity/marketing" in out
    again = command(*reproduce.split()[1:])
    assert again[0] == 0
    assert again[1].startswith(f"fail (high)  {SUITE}\n")


def test_the_digest_of_a_role_is_the_message_that_it_gets(here: Place) -> None:
    archive = open_archive(here.settings)
    found = summarise(open_context(FIRST), archive, night_of(archive, FIRST))
    told = night.notify(FIRST, found.model_dump(mode="json"), "email")
    assert told is not None
    code, out, _ = command("finding", "digest")
    assert (code, out) == (0, f"{told['subject']}\n\n{told['body']}")
    assert "training_data_meets_suite (high)" in out
    code, out, _ = command("finding", "digest", *ROLE, "--night", FIRST)
    assert code == 0
    assert ", about what this role owns." in out
    assert [out] == [f"{one['subject']}\n\n{one['body']}" for one in told["owners"]]
    code, _, err = command("finding", "digest", "--role", "ownr")
    assert code == 2
    assert 'did you mean "owner"?' in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((SUITE, "--role", "ownr", "--until", LATER, *REASON), 'did you mean "owner"?'),
        ((SUITE[:-1], *ROLE, "--until", LATER, *REASON), SUITE),
        ((SUITE, *ROLE, "--until", LATER, "--reason", "only English"), "the reason lacks de"),
        ((SUITE, *ROLE, "--until", LATER, *REASON, "--reason", "da=x"), "does not write da"),
        ((SUITE, *ROLE, "--until", "2027-02-01", *REASON), "at most 90 days"),
        ((SUITE, *ROLE, "--until", "2026-10-01", *REASON), "until lies before from"),
        ((SUITE, *ROLE, "--until", "soon", *REASON), "not a day"),
        ((SUITE, *ROLE, "--until", LATER, *REASON, "--from", "2026-10-01"), "reach back"),
        (
            ("schema_as_declared:data_set/training", *ROLE, "--until", LATER, *REASON),
            "this finding is pass",
        ),
        (
            (SUITE, *ROLE, "--until", LATER, *REASON[:3], "de=Frag anna.beispiel@mail.example"),
            "personal data",
        ),
    ],
)
def test_what_cannot_be_waived_is_refused_and_nothing_is_written(
    here: Place, arguments: tuple[str, ...], said: str
) -> None:
    first = () if "--from" in arguments else ("--from", FIRST)
    code, out, err = command("finding", "waive", *arguments, *first)
    assert code == 2
    assert said in err
    assert out == ""
    assert waivers(here) == []


def test_a_check_that_cannot_be_waived_is_refused(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.check("training_data_meets_suite"), "waivable", False)
    code, _, err = command(
        "finding", "waive", SUITE, *ROLE, "--until", LATER, *REASON, "--from", FIRST
    )
    assert code == 2
    assert "training_data_meets_suite cannot be waived" in err
    assert waivers(here) == []
    assert "this check cannot be waived" in command("finding", "why", SUITE)[1]


def test_a_waiver_is_a_valid_manifest_and_the_outcome_stays(here: Place) -> None:
    arguments = ("finding", "waive", SUITE, *ROLE, "--until", LATER, *REASON, "--from", FIRST)
    code, out, err = command(*arguments)
    assert code == 0, err
    (written,) = waivers(here)
    assert f"written  {written}\n" in out
    assert yaml.safe_load(written.read_text("utf-8")) == {
        "id": written.stem,
        "check": "training_data_meets_suite",
        "subject": "data_set/training",
        "role": "owner",
        "reason": {"en": "A new region is on its way.", "de": "Eine neue Region kommt."},
        "from": dt.date.fromisoformat(FIRST),
        "until": dt.date.fromisoformat(LATER),
    }
    problems = command("lint", "--quick")[1]
    assert "waivers" not in problems
    assert "exists already" in command(*arguments)[2]
    here.run(FIRST)
    view = here.view(FIRST, SUITE)
    assert (view.finding.outcome.value, view.state, view.waiver) == ("fail", "waived", written.stem)
    assert "fail (waived)" in command("finding", "list")[1]
