"""Documents survive packing, and packing them differently is not a conflict."""

from __future__ import annotations

import datetime as dt
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.errors import IntegrityError, StoreConflictError
from nachweis.storage import documents, layout
from tests.memory_store import MemoryStore

KEY = layout.evidence("ab" * 32)
NOW = dt.datetime(2026, 11, 20, 1, 2, 3, 456, tzinfo=dt.UTC)


@given(st.binary(max_size=2000))
def test_packing_is_reversible_and_repeatable(content: bytes) -> None:
    for key in (KEY, layout.record("a", 1)):
        body = documents.encode(key, content)
        assert documents.encode(key, content) == body
        assert documents.decode(key, body) == content


def test_other_packing_of_the_same_document_is_no_conflict() -> None:
    store = MemoryStore()
    store.put_if_absent(KEY, gzip.compress(b"{}", 1, mtime=99), content_type="application/gzip")
    assert documents.write_document(store, KEY, b"{}") is False
    with pytest.raises(StoreConflictError):
        documents.write_document(store, KEY, b"[]")


@pytest.mark.parametrize("body", [b"", b"not gzip", gzip.compress(b"{}" * 99, mtime=0)[:-6]])
def test_broken_packing_is_an_integrity_error(body: bytes) -> None:
    with pytest.raises(IntegrityError):
        documents.decode(KEY, body)


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 1000)
    with pytest.raises(IntegrityError, match="more bytes"):
        documents.decode(KEY, gzip.compress(b"0" * 1001, mtime=0))


def test_locks_follow_kind_and_retention() -> None:
    demo = documents.lock_for(layout.ledger(1), retention="demonstration", now=NOW)
    assert demo is not None
    assert (demo.mode, demo.until) == (
        "GOVERNANCE",
        dt.datetime(2026, 11, 21, 1, 2, 3, tzinfo=dt.UTC),
    )
    for key, mode in (
        (layout.ledger(1), "COMPLIANCE"),
        (layout.statement("2026-11-20", "a"), "COMPLIANCE"),
        (layout.record("a", 1), "COMPLIANCE"),
        (KEY, "GOVERNANCE"),
        (layout.rendering("record", "a", 1, "record.en.html"), "GOVERNANCE"),
    ):
        lock = documents.lock_for(key, retention="standard", now=NOW)
        assert lock is not None
        assert (lock.mode, lock.until.date()) == (mode, dt.date(2027, 12, 20))
    assert documents.lock_for(layout.gate("a"), retention="standard") is None
