"""Nights that are published at the same time: whoever comes second knows of the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.errors import StoreConflictError
from nachweis.pipeline import context, load, night, publish
from nachweis.pipeline.verification import verify_all
from nachweis.storage.entries import EntryKind
from nachweis.storage.ledger import Ledger
from tests.integration.night_support import FIRST, SECOND, THIRD, Place
from tests.integration.test_night_kill import Disk, here, on, remember

__all__ = ["here"]

ACTIVITY = "manifests/activities/marketing.yaml"


_observed: dict[Any, Any] = {}


@pytest.fixture
def there(here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A store with one signed night, and a record that is new since then."""
    found = Place(here.world, on(Disk(), monkeypatch, tmp_path / "state"))
    monkeypatch.setattr(context, "load_world", load.load_world)
    monkeypatch.setattr(publish, "renderings", lambda _: ())
    remember(
        monkeypatch,
        night,
        "observe_subject",
        lambda of, subject, **_: (of.night, subject),
        known=_observed,
    )
    found.run(FIRST)
    change(found, "Choosing whom to write to, once a month")
    return found


def change(place: Place, purpose: str) -> None:
    activity = place.manifest(ACTIVITY)
    activity["purposes"][0]["text"] = {"en": purpose}
    place.write(ACTIVITY, activity)


def first_comes(monkeypatch: pytest.MonkeyPatch, other: Callable[[], Any], times: int = 1) -> None:
    """Let another publisher sign just before each of the next entries of a night."""
    append, left, busy = Ledger.append_night, [None] * times, [False]

    def late(*arguments: Any, **more: Any) -> Any:
        if left and not busy[0]:
            left.pop()
            busy[0] = True
            other()
            busy[0] = False
        return append(*arguments, **more)

    monkeypatch.setattr(Ledger, "append_night", late)


def signed(place: Place) -> list[str]:
    return [attempt.night for attempt in place.archive.attempts]


def test_a_task_that_runs_twice_at_once_signs_once(
    there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_comes(monkeypatch, lambda: night.run_night(SECOND))
    summary = night.run_night(SECOND)
    assert signed(there) == [FIRST, SECOND]
    assert summary.sequence == there.signed(SECOND).sequence
    assert verify_all(there.settings).ok


def test_the_same_night_from_other_inputs_is_superseded_and_both_stay(
    there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody_else() -> None:
        change(there, "Choosing whom to write to, once a week")
        night.run_night(SECOND)

    first_comes(monkeypatch, somebody_else)
    night.run_night(SECOND)
    assert signed(there) == [FIRST, SECOND, SECOND]
    earlier, later = (there.archive.statement(item) for item in there.archive.attempts[1:])
    assert later.supersedes == earlier.attempt
    versions = [
        {item.id: (item.version, item.new) for item in statement.versions}["marketing"]
        for statement in (earlier, later)
    ]
    assert versions == [(3, True), (4, True)]
    assert verify_all(there.settings).ok


def test_a_change_makes_one_version_though_two_nights_meet_it(
    there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_comes(monkeypatch, lambda: night.run_night(THIRD))
    summary = night.run_night(SECOND)
    assert signed(there) == [FIRST, THIRD, SECOND]
    assert summary.later_night == THIRD
    found = [
        {item.id: (item.version, item.new) for item in there.statement(of).versions}["marketing"]
        for of in (SECOND, THIRD)
    ]
    assert sorted(found) == [(found[0][0], False), (found[0][0], True)]
    kinds = [entry.kind for entry in there.archive.entries]
    assert kinds.count(EntryKind.NIGHT) == 3
    assert verify_all(there.settings).ok


def test_who_is_always_overtaken_gives_up_and_has_signed_nothing(
    there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "REBUILDS", 2)
    others = iter((SECOND, THIRD))
    first_comes(monkeypatch, lambda: night.run_night(next(others)), times=2)
    with pytest.raises(StoreConflictError, match="2 times in a row"):
        night.run_night("2026-10-22")
    assert signed(there) == [FIRST, SECOND, THIRD]
    assert verify_all(there.settings).ok
