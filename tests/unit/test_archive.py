"""The signed past: a store that lost entries is noticed, whatever the cache remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.pipeline.archive import Archive
from nachweis.storage import layout
from nachweis.storage.ledger import Ledger
from tests.memory_store import MemoryStore
from tests.signed_store import SignedStore, signer


@pytest.fixture
def store(tmp_path: Path) -> SignedStore:
    memory = MemoryStore()
    made = SignedStore(memory, Ledger(memory, signer(tmp_path)))
    made.night("2026-03-01")
    made.night("2026-03-02")
    return made


def test_the_cache_gives_the_same_past_as_the_store(store: SignedStore, tmp_path: Path) -> None:
    fresh = Archive(store.records, tmp_path / "cache")
    assert fresh.newest_night == "2026-03-02"
    store.records.reads.clear()
    cached = Archive(store.records, tmp_path / "cache")
    assert [item.night for item in cached.attempts] == [item.night for item in fresh.attempts]
    # Only whether another entry follows is asked of the store.
    assert store.records.reads == [layout.ledger(fresh.length + 1)]


def test_a_store_that_lost_entries_is_noticed(store: SignedStore, tmp_path: Path) -> None:
    length = Archive(store.records, tmp_path / "cache").length
    store.records.erase(layout.ledger(length))
    with pytest.raises(IntegrityError, match="shorter than what this machine has seen"):
        _ = Archive(store.records, tmp_path / "cache").length


def test_a_changed_cache_is_noticed(store: SignedStore, tmp_path: Path) -> None:
    _ = Archive(store.records, tmp_path / "cache").length
    path = next((tmp_path / "cache" / "ledger").glob("*2.json"))
    path.write_bytes(path.read_bytes().replace(b'"sig"', b'"gis"'))
    with pytest.raises(IntegrityError):
        _ = Archive(store.records, tmp_path / "cache").length


def test_the_ledger_of_another_organisation_is_refused(store: SignedStore, tmp_path: Path) -> None:
    Archive(MemoryStore(), tmp_path / "empty").demand_organisation("mine")
    Archive(store.records, tmp_path / "cache").demand_organisation("older than the field")
    store.night("2026-03-03", statement_change={"organisation": "mine"})
    archive = Archive(store.records, tmp_path / "cache")
    archive.demand_organisation("mine")
    with pytest.raises(NachweisError, match="nights of mine") as caught:
        archive.demand_organisation("yours")
    assert "NACHWEIS_STATE" in caught.value.remedy
