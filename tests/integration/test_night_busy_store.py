"""Nights over a real S3 server that is busy, or that the process does not live to hear from."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nachweis.pipeline import night
from nachweis.pipeline.verification import verify_all
from nachweis.storage import bootstrap, ledger, s3_client
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import EntryKind
from nachweis.storage.s3_client import Patience, StoreAccess
from nachweis.storage.s3_store import S3Store
from tests.http_proxy import busy_before
from tests.integration.night_support import FIRST, Place, command, place
from tests.integration.test_night_kill import CAPABILITIES, Killed, remember

pytestmark = pytest.mark.store

NIGHT = "ledger/0000000002.json"
"""The entry after the one that introduces the key."""


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    with (
        place(tmp_path_factory.mktemp("busy"), embedded_store) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(night, "replay", lambda _: [])
        remember(patch, night, "observe_subject", lambda of, subject, **_: (of.night, subject))
        yield found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are repeated as often as ever, without the pauses."""
    monkeypatch.setattr(s3_client.Patience, "pause", lambda *_: None)


def fresh_buckets(
    here: Place, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, state: Path
) -> Place:
    """The same world over new buckets and with an empty state folder."""
    mark = uuid.uuid4().hex[:10]
    names = {
        f"bucket_{role}": f"nachweis-{role}-{mark}"
        for role in ("records", "narratives", "site", "anchor")
    }
    settings = here.settings.model_copy(update={**names, "state": state})
    for name, value in {**names, "state": str(state)}.items():
        monkeypatch.setenv(f"NACHWEIS_{name.upper()}", value)
    admin = store.keys.administrator
    bootstrap.bootstrap(
        settings,
        administrator=StoreAccess(store.endpoint, settings.s3_region, admin.key, admin.secret),
    )
    return Place(here.world, settings)


def test_a_busy_server_costs_patience_and_nothing_else(
    here: Place, embedded_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with busy_before(embedded_store.endpoint, lambda number, *_: number % 3 == 0) as busy:
        monkeypatch.setenv("NACHWEIS_S3_ENDPOINT", busy.endpoint)
        code, out, err = command("run", "--night", FIRST)
    assert (code, "the chain verifies" in out) == (0, True), err
    assert sum(busy.refused.values()) > 20
    monkeypatch.undo()
    statement = here.statement(FIRST)
    assert statement.not_run == ()
    assert {item.version for item in statement.versions} == {1}
    assert here.verify().ok


@pytest.mark.parametrize("what", ["records/marketing/v000001/record.json", NIGHT])
def test_a_server_that_stays_busy_is_told_and_the_night_can_be_run_again(
    here: Place,
    embedded_store: EmbeddedStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    what: str,
) -> None:
    there = fresh_buckets(here, embedded_store, monkeypatch, tmp_path / "state")
    monkeypatch.setattr(night, "render", lambda *_: None)
    with busy_before(
        embedded_store.endpoint, lambda _, method, path: method == "PUT" and path.endswith(what)
    ) as busy:
        with monkeypatch.context() as patch:
            patch.setenv("NACHWEIS_S3_ENDPOINT", busy.endpoint)
            code, out, err = command("run", "--night", FIRST)
        assert (code, out) == (2, "")
        assert "could not be written (SlowDown, HTTP 503)" in err
        assert "What to do: " in err
        assert "Traceback" not in err
        assert busy.endpoint not in err
        assert busy.refused
        assert max(busy.refused.values()) <= Patience().attempts * ledger.REPEATS
    assert there.archive.current(FIRST) is None
    assert {entry.kind for entry in there.archive.entries} <= {EntryKind.KEY}
    assert there.verify().ok
    code, out, err = command("run", "--night", FIRST)
    assert (code, "the chain verifies" in out) == (0, True), err
    assert {item.version for item in there.statement(FIRST).versions} == {1}
    assert there.verify().ok


@pytest.mark.parametrize(
    ("what", "landed"),
    [("evidence/", False), ("statement.json", True), (NIGHT, False), (NIGHT, True)],
)
def test_a_kill_at_a_write_to_the_real_server_leaves_the_last_signed_state(
    here: Place,
    embedded_store: EmbeddedStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    what: str,
    landed: bool,
) -> None:
    there = fresh_buckets(here, embedded_store, monkeypatch, tmp_path / "state")
    monkeypatch.setattr(bootstrap, "self_test", lambda _: CAPABILITIES)
    monkeypatch.setattr(night, "render", lambda *_: None)
    put = S3Store.put_if_absent

    def fatal(store: S3Store, key: str, *content: Any, **more: Any) -> bool:
        if what in key:
            if landed:
                put(store, key, *content, **more)
            raise Killed
        return put(store, key, *content, **more)

    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "put_if_absent", fatal)
        with pytest.raises(Killed):
            night.run_night(FIRST)
    assert verify_all(there.settings).ok
    signed = landed and what == NIGHT
    assert (there.archive.current(FIRST) is not None) is signed
    summary = night.run_night(FIRST)
    assert (summary.chain_ok, summary.repeated) == (True, signed)
    kinds = [entry.kind for entry in there.archive.entries]
    assert kinds == [EntryKind.KEY, EntryKind.NIGHT]
    assert {item.version for item in there.statement(FIRST).versions} == {1}
    assert verify_all(there.settings).ok
