"""Several nights: what persists fails, decisions are shown, a backfill leaves the present alone."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nachweis.domain.finding import Measurement, Outcome
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import EntryKind, ReferencePredicate
from tests.integration.night_support import FIRST, SECOND, THIRD, Place, command, place

pytestmark = pytest.mark.store

BEFORE = "2026-10-18"
COLUMN = "Visits\t(per month)"
"""A column whose name the ledger cannot hold as it is."""

SUITE = "training_data_meets_suite:data_set/training"
GROUPS = "groups_large_enough:model/propensity:region"
VISITS = f"feature_distribution_stable:model/propensity:{COLUMN}"

Row = dict[str, str]


def rewrite(path: Path, change: Callable[[Row], Row]) -> None:
    """Change each row of a CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [change(row) for row in csv.DictReader(stream)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def renamed(row: Row) -> Row:
    return {COLUMN if name == "visits" else name: value for name, value in row.items()}


def moved(row: Row) -> Row:
    return {**row, COLUMN: str(int(row[COLUMN]) + 20)}


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    """Three signed nights whose visits have moved, then the night before them."""
    with place(tmp_path_factory.mktemp("history"), embedded_store) as found:
        prepare(found)
        found.run(FIRST)
        acknowledge(SUITE)
        found.run(SECOND)
        acknowledge(VISITS, "--false-alarm")
        correct_training_data(found)
        found.run(THIRD)
        activity = found.manifest("manifests/activities/marketing.yaml")
        found.change("manifests/activities/marketing.yaml", title={"en": "Marketing by letter"})
        found.run(BEFORE)
        found.write("manifests/activities/marketing.yaml", activity)
        yield found


def prepare(found: Place) -> None:
    scores = found.world / "data" / "scores"
    for path in (found.world / "data" / "reference.csv", *scores.iterdir()):
        rewrite(path, renamed)
    rewrite(scores / f"{FIRST}.csv", moved)
    for night in (BEFORE, SECOND, THIRD):
        shutil.copy(scores / f"{FIRST}.csv", scores / f"{night}.csv")
    for name in ("reference", "scores"):
        manifest = found.manifest(f"manifests/datasets/{name}.yaml")
        manifest["columns"][1]["name"] = COLUMN
        found.write(f"manifests/datasets/{name}.yaml", manifest)
    found.write("published.txt", "Nothing of this notice.")
    found.change(
        "manifests/activities/marketing.yaml",
        links={"locations": ["evidence-store"]},
        notice={"copies": {"en": "published.txt"}},
    )


def acknowledge(key: str, *more: str) -> None:
    code, out, err = command("finding", "ack", key, "--role", "owner", *more)
    assert (code, err) == (0, ""), err
    assert "signed as ledger entry" in out


def correct_training_data(found: Place) -> None:
    rewrite(
        found.world / "data" / "training.csv",
        lambda row: {**row, "region": row["region"] if row["region"] == "north" else "south"},
    )
    waiver = {
        "id": "small-groups",
        "check": "groups_large_enough",
        "subject": "model/propensity",
        "role": "owner",
        "reason": {"en": "Few customers in the south"},
        "from": THIRD,
        "until": THIRD,
    }
    found.write("manifests/waivers/small-groups.yaml", waiver)


def test_an_acknowledged_failure_stays_a_failure_until_it_is_resolved(here: Place) -> None:
    seen = [here.view(night, SUITE) for night in (FIRST, SECOND, THIRD)]
    assert [(item.finding.outcome, item.state, item.since) for item in seen] == [
        (Outcome.FAIL, "new", FIRST),
        (Outcome.FAIL, "acknowledged", FIRST),
        (Outcome.PASS, "resolved", None),
    ]


def test_a_decision_is_kept_whatever_the_column_is_called(here: Place) -> None:
    seen = [here.view(night, VISITS) for night in (FIRST, SECOND, THIRD)]
    assert [(item.finding.outcome, item.state, item.since) for item in seen] == [
        (Outcome.PASS, "", None),
        (Outcome.FAIL, "new", SECOND),
        (Outcome.FAIL, "false_alarm", SECOND),
    ]


def test_a_waived_failure_stays_a_failure(here: Place) -> None:
    seen = [here.view(night, GROUPS) for night in (SECOND, THIRD)]
    assert [(item.finding.outcome, item.state, item.waiver) for item in seen] == [
        (Outcome.FAIL, "new", None),
        (Outcome.FAIL, "waived", "small-groups"),
    ]


def test_the_ledger_holds_who_decided_as_a_role(here: Place) -> None:
    said = [entry.predicate for entry in here.archive.entries if entry.kind is EntryKind.DECISION]
    assert all(isinstance(item, ReferencePredicate) and item.role == "owner" for item in said)
    assert [getattr(item, "event", "") for item in said] == ["acknowledged", "false_alarm"]


def named(here: Place, night: str) -> dict[str, Measurement]:
    return {item.name: item for item in here.finding(night, VISITS).measurements}


def test_a_difference_fails_when_it_persists(here: Place) -> None:
    nights = (FIRST, SECOND, THIRD)
    assert [here.finding(night, VISITS).outcome for night in nights] == [
        Outcome.PASS,
        Outcome.FAIL,
        Outcome.FAIL,
    ]
    assert [named(here, night)["nights_different"].value for night in nights] == [1, 2, 3]
    for night in nights:
        assert any(item.drifted for item in here.finding(night, VISITS).measurements)


def test_a_backfilled_night_looks_back_only(here: Place) -> None:
    assert here.finding(BEFORE, VISITS).outcome is Outcome.PASS
    assert named(here, BEFORE)["nights_different"].value == 1
    assert here.view(BEFORE, SUITE).state in {"", "new"}


def test_a_backfilled_night_grows_the_ledger_and_changes_no_current_version(here: Place) -> None:
    signed = here.archive
    assert [item.night for item in signed.attempts] == [FIRST, SECOND, THIRD, BEFORE]
    assert signed.newest_night == THIRD
    statement = here.statement(BEFORE)
    assert {(item.id, item.version, item.new) for item in statement.versions} == {
        ("marketing", 1, False),
        ("propensity", 1, False),
    }
    assessed = signed.assessment(here.signed(BEFORE), statement.assessments["record/marketing"])
    version = next(item for item in statement.versions if item.id == "marketing")
    assert (assessed.target_version, assessed.target_digest) == (1, version.digest)
    assert signed.record(version.key, version.digest).title == {"en": "Marketing"}
    assert not any("v000002" in key for key in here.everything())


def test_a_backfilled_night_signs_nothing_that_was_seen_later(here: Place) -> None:
    def reasons(night: str) -> dict[str, set[str]]:
        found = here.archive.assessment(
            here.signed(night), here.statement(night).assessments["record/marketing"]
        )
        said: dict[str, set[str]] = {}
        for verdict in found.verdicts:
            for item in verdict.comparisons:
                if verdict.field.partition("/")[0] in {"transfers", "parties"}:
                    said.setdefault(item.rule, set()).add(item.reason or item.verdict.value)
        return said

    assert reasons(BEFORE)["EV-REGION"] == {"observed_later"}
    assert reasons(BEFORE)["EV-NOTICE"] == {"observed_later"}
    for night in (FIRST, THIRD):
        assert "observed_later" not in reasons(night)["EV-REGION"]
        assert reasons(night)["EV-NOTICE"] == {"contradicted"}


def test_everything_verifies(here: Place) -> None:
    report = here.verify()
    assert report.ok, report.text()
    assert report.report.nights == 4
