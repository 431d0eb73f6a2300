"""The signed past: a store that lost entries is noticed, whatever the cache remembers."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
from pathlib import Path

import pytest

from nachweis.domain.canonical import canonical_bytes
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
    store.records.lists = store.records.heads = 0
    cached = Archive(store.records, tmp_path / "cache")
    assert [item.night for item in cached.attempts] == [item.night for item in fresh.attempts]
    # Only whether another entry follows is asked of the store.
    assert (store.records.reads, store.records.lists, store.records.heads) == ([], 1, 0)


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


def forged(path: Path, *, payload: bool) -> None:
    """Write a cached entry anew in the right form, without the key that signs it."""
    envelope = json.loads(path.read_bytes())
    if payload:
        content = base64.b64decode(envelope["payload"])
        changed = content.replace(b"2026-03-0", b"2026-04-0")
        assert changed != content
        envelope["payload"] = base64.b64encode(changed).decode()
    else:
        signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
        signature[0] ^= 1
        envelope["signatures"][0]["sig"] = base64.b64encode(bytes(signature)).decode()
    path.write_bytes(canonical_bytes(envelope))


@pytest.mark.parametrize(("entry", "found"), [(2, "the chain is broken"), (3, "does not verify")])
def test_a_cached_entry_cannot_be_rewritten(
    store: SignedStore, tmp_path: Path, entry: int, found: str
) -> None:
    """Its signature is not verified each time, but the newest one is, and the chain up to it."""
    _ = Archive(store.records, tmp_path / "cache").length
    forged(tmp_path / "cache" / "ledger" / Path(layout.ledger(entry)).name, payload=True)
    with pytest.raises(IntegrityError, match=found):
        _ = Archive(store.records, tmp_path / "cache").length


def test_who_signed_a_cached_entry_is_verified_once_a_key_was_revoked(
    store: SignedStore, tmp_path: Path
) -> None:
    _ = Archive(store.records, tmp_path / "cache").length
    forged(tmp_path / "cache" / "ledger" / Path(layout.ledger(2)).name, payload=False)
    assert Archive(store.records, tmp_path / "cache").length == 3
    first, second = store.ledger, signer(tmp_path, "second")
    first.rotate(second, announce_only=True)
    later = dataclasses.replace(first, signer=second)
    later.revoke(first.signer.public_key.keyid, from_sequence=4, reason="compromised")
    with pytest.raises(IntegrityError, match="does not verify"):
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


def test_a_night_that_only_a_revoked_key_signed_is_no_evidence(
    store: SignedStore, tmp_path: Path
) -> None:
    store.night("2026-03-02", "f" * 16, supersedes="0123456789abcdef")
    store.night("2026-03-03")
    first, second = store.ledger, signer(tmp_path, "second")
    joined = first.rotate(second, announce_only=True).entry.sequence
    store.ledger = dataclasses.replace(first, signer=second)
    store.night("2026-03-04")
    store.ledger.revoke(first.signer.public_key.keyid, from_sequence=4, reason="compromised")
    archive = Archive(store.records, tmp_path / "cache")
    # The second key signed its own announcement too, so that this one counts.
    assert archive.untrusted == {4, 5} and joined == 6
    assert [(item.night, item.sequence) for item in archive.attempts] == [
        ("2026-03-01", 2), ("2026-03-02", 3), ("2026-03-04", 7),
    ]  # fmt: skip
    current = archive.current("2026-03-02")
    assert current is not None and current.sequence == 3
    assert archive.current("2026-03-03") is None
    activity = "activity/newsletter"
    looked_back = archive.history(activity, dt.date(2026, 3, 5), 9)
    assert [night for night, _ in looked_back] == ["2026-03-04", "2026-03-02", "2026-03-01"]
    assert (archive.length, len(archive.entries), len(archive.every_attempt)) == (8, 8, 5)
