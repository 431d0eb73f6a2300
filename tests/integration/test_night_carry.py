"""Findings of unchanged inputs count again, and say since when; anything changed is looked at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from nachweis import registry
from nachweis.domain.finding import Finding, Outcome
from nachweis.pipeline.carry import LONGEST_DAYS, _usable
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import FIRST, SECOND, THIRD, Place, place

pytestmark = pytest.mark.store

TRAINING = "data_set/training"


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("carry"), embedded_store) as found:
        declared = found.manifest("manifests/datasets/training.yaml")["columns"]
        columns = [{**column, "feature": column["name"] != "customer"} for column in declared]
        found.change("manifests/datasets/training.yaml", columns=columns)
        found.run(FIRST)
        found.run(SECOND)
        training = found.world / "data" / "training.csv"
        training.write_text(training.read_text() + training.read_text().splitlines()[-1] + "\n")
        found.run(THIRD)
        yield found


def carried(here: Place, night: str) -> list[Finding]:
    return [item for item in here.evidence(night, TRAINING).findings if item.carried_from]


def test_the_first_night_looks_at_everything(here: Place) -> None:
    assert carried(here, FIRST) == []


def test_unchanged_inputs_are_not_looked_at_again_and_the_finding_says_so(here: Place) -> None:
    found = carried(here, SECOND)
    assert found
    before = {item.key: item for item in here.evidence(FIRST, TRAINING).findings}
    for item in found:
        assert item.carried_from == FIRST
        assert registry.check(item.check).carries_over
        assert item.model_copy(update={"carried_from": None}) == before[item.key]


def test_every_check_still_has_its_findings(here: Place) -> None:
    keys = [{item.key for item in here.evidence(n, TRAINING).findings} for n in (FIRST, SECOND)]
    assert keys[0] == keys[1]


def test_nothing_is_read_for_what_is_carried_over(here: Place) -> None:
    queries = [sum(here.evidence(n, TRAINING).queries.values()) for n in (FIRST, SECOND, THIRD)]
    assert queries[1] < queries[0]
    assert queries[2] == queries[0]


def test_changed_data_are_looked_at(here: Place) -> None:
    assert carried(here, THIRD) == []


def test_the_store_still_verifies(here: Place) -> None:
    assert here.verify().ok


def finding(outcome: Outcome, since: str | None = None) -> Finding:
    check = registry.check("near_duplicate_floods_absent")
    return Finding.model_validate(
        {
            "check": check.id,
            "subject": {"kind": "data_set", "id": "training"},
            "outcome": outcome,
            "severity": check.severity,
            "explanation": "-",
            "carried_from": since,
        }
    )


@pytest.mark.parametrize("outcome", [Outcome.ERROR, Outcome.NOT_AVAILABLE])
def test_what_could_not_be_judged_is_tried_again(outcome: Outcome) -> None:
    tonight = dt.date(2026, 11, 20)
    assert not _usable([finding(Outcome.PASS), finding(outcome)], "2026-11-19", tonight)
    assert _usable([finding(Outcome.PASS), finding(Outcome.FAIL)], "2026-11-19", tonight)
    assert not _usable([], "2026-11-19", tonight)


def test_after_a_week_a_check_runs_again_although_nothing_changed() -> None:
    tonight = dt.date(2026, 11, 20)
    for days, usable in ((LONGEST_DAYS, True), (LONGEST_DAYS + 1, False)):
        first = (tonight - dt.timedelta(days=days)).isoformat()
        assert _usable([finding(Outcome.PASS, first)], "2026-11-19", tonight) is usable
