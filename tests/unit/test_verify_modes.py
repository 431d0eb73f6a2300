"""Parts of a store can be verified: what is new, what was signed by a day, one document."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
from pathlib import Path

import pytest

from nachweis.domain.errors import NachweisError, StoreError
from nachweis.storage import layout
from nachweis.storage.chain import entry_at
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.entries import (
    EntryKind,
    ReferencePredicate,
    RemovalPredicate,
    build_payload,
    parse_payload,
)
from nachweis.storage.folder_store import FolderStore
from nachweis.storage.signing import sign
from nachweis.storage.verify import Code, Point, Remark, VerifyReport, verify_store
from nachweis.storage.verify_one import verify_document
from tests.memory_store import MemoryStore
from tests.signed_store import NOW, SignedStore, signed_store, signer

DAYS = [f"2026-03-{number:02}" for number in range(1, 6)]


@pytest.fixture
def store(tmp_path: Path) -> SignedStore:
    """Five nights, each signed a day after the one before; the third makes a new version."""
    made = signed_store(MemoryStore(), signer(tmp_path), anchor=MemoryStore())
    for number, day in enumerate(DAYS):
        moment = NOW + dt.timedelta(days=number)
        made.ledger = dataclasses.replace(made.ledger, now=lambda moment=moment: moment)
        made.night(day, f"{number}" * 16, status="active" if number < 2 else "suspended")
    return made


def _memory(store: SignedStore) -> MemoryStore:
    assert isinstance(store.records, MemoryStore)
    return store.records


def _anchor(store: SignedStore) -> MemoryStore:
    assert isinstance(store.ledger.anchor, MemoryStore)
    return store.ledger.anchor


def _verify(store: SignedStore, **more: object) -> VerifyReport:
    return verify_store(store.records, store.trusted, anchor=_anchor(store), **more)  # type: ignore[arg-type]


def _codes(report: VerifyReport) -> set[Code]:
    return {problem.code for problem in report.problems}


def _point(store: SignedStore, number: int) -> Point:
    assert _verify(store).ok
    return Point(number, entry_at(store.records, number).digest)


# ------------------------------------------------------------------------------- what is new


def test_only_what_is_new_is_read(store: SignedStore) -> None:
    point = _point(store, 4)
    _memory(store).reads.clear()
    report = _verify(store, since=point)
    assert (report.ok, report.since, report.entries, report.nights) == (True, 4, 2, 2)
    read = set(_memory(store).reads)
    assert layout.ledger(2) not in read and layout.ledger(3) not in read
    assert {layout.ledger(n) for n in (1, 4, 5, 6)} <= read
    assert not any("2026-03-01" in key or key.startswith("records/") for key in read)
    # The statements, evidence bundles and assessments of two nights, and the entries.
    assert report.checked == 2 + 6


def test_nothing_new_is_in_order(store: SignedStore) -> None:
    report = _verify(store, since=_point(store, 6))
    assert (report.status, report.entries) == ("ok", 0)
    assert report.head == _point(store, 6).head
    assert report.anchored == 6


@pytest.mark.parametrize("kind", ["evidence", "assessments", "statement", "ledger"])
def test_tampering_with_what_is_new_is_found(store: SignedStore, kind: str) -> None:
    point = _point(store, 4)
    memory = _memory(store)
    statement = next(key for key in memory.present() if DAYS[4] in key and "statement" in key)
    before = set(memory.copy().present())
    fresh = {
        "statement": statement,
        "assessments": next(k for k in before if DAYS[4] in k and "assessments" in k),
        "ledger": layout.ledger(6),
        "evidence": next(k for k in sorted(before) if k.startswith("evidence/") and _new(k, store)),
    }[kind]
    memory.hide(fresh)
    report = _verify(store, since=point)
    assert not report.ok
    assert fresh in {problem.key for problem in report.problems} or kind == "ledger"
    assert kind != "ledger" or Code.LEDGER_TRUNCATED in _codes(report)


def _new(key: str, store: SignedStore) -> bool:
    return DAYS[4].encode() in gzip.decompress(_memory(store).get(key))


def test_a_note_that_does_not_fit_is_a_problem_and_everything_is_read(store: SignedStore) -> None:
    report = _verify(store, since=Point(4, "0" * 64))
    assert _codes(report) == {Code.LEDGER_REWRITTEN}
    assert (report.since, report.entries, report.nights) == (0, 6, 5)
    report = _verify(store, since=Point(99, "0" * 64))
    assert _codes(report) == {Code.LEDGER_REWRITTEN}


def test_a_rewritten_old_entry_is_found_by_what_was_noted(store: SignedStore) -> None:
    point = _point(store, 4)
    body = _memory(store).get(layout.ledger(3))
    _memory(store).overwrite(layout.ledger(4), body)
    assert Code.LEDGER_REWRITTEN in _codes(_verify(store, since=point))


def test_a_checkpoint_that_was_relied_on_must_stay(store: SignedStore) -> None:
    point = _point(store, 4)
    _anchor(store).hide(layout.checkpoint(4))
    assert _codes(_verify(store, since=point)) == {Code.OBJECT_DELETED}
    _anchor(store).erase(layout.checkpoint(4))
    assert _codes(_verify(store, since=point)) == {Code.OBJECT_MISSING}


def test_old_documents_are_left_to_the_full_verification(store: SignedStore) -> None:
    point = _point(store, 4)
    old = next(key for key in _memory(store).present() if DAYS[0] in key)
    _memory(store).corrupt(old)
    assert _verify(store, since=point).ok
    assert Code.OBJECT_CORRUPT in _codes(_verify(store))


# ------------------------------------------------------------------------------- as of a day


def test_as_of_a_day_only_what_was_signed_by_then_counts(store: SignedStore) -> None:
    end = NOW + dt.timedelta(days=1)
    report = _verify(store, until=end)
    assert report.ok
    assert (report.entries, report.nights, report.anchored) == (3, 2, 3)
    assert report.in_force == ("record/newsletter/1",)
    assert _verify(store).in_force == ("record/newsletter/2",)
    assert not [n for n in report.notices if n.remark is Remark.NOT_CITED]
    late = next(key for key in _memory(store).present() if DAYS[4] in key)
    _memory(store).corrupt(late)
    assert _verify(store, until=end).ok
    early = next(key for key in _memory(store).present() if DAYS[0] in key)
    _memory(store).corrupt(early)
    assert _codes(_verify(store, until=end)) == {Code.OBJECT_CORRUPT}


def test_a_key_revoked_later_counts_as_of_every_day(store: SignedStore, tmp_path: Path) -> None:
    second = signer(tmp_path, "second")
    store.ledger.rotate(second, announce_only=True)
    after = dataclasses.replace(store.ledger, signer=second)
    old = store.ledger.signer.public_key.keyid
    after.revoke(old, from_sequence=3, reason="compromised")
    report = _verify(store, until=NOW + dt.timedelta(days=1))
    assert Code.KEY_REVOKED in _codes(report)


def test_a_day_before_the_first_night_is_empty(store: SignedStore) -> None:
    report = _verify(store, until=NOW - dt.timedelta(days=1))
    assert (report.status, report.nights, report.head) == ("empty", 0, "")


# ------------------------------------------------------------------------------ one document


def _one(store: SignedStore, name: str) -> VerifyReport:
    return verify_document(store.records, store.trusted, name, anchor=_anchor(store))


def test_one_document_can_be_named_in_several_ways(store: SignedStore) -> None:
    key = layout.record("newsletter", 2)
    digest = next(d for d, number in store.versions.items() if number == 2)
    for name in ("record/newsletter", "record/newsletter/2", key, digest):
        report = _one(store, name)
        assert report.ok
        (cited,) = (notice for notice in report.notices if notice.remark is Remark.CITED)
        assert cited.key == layout.ledger(6)
        assert digest in cited.sentence
    first = _one(store, "record/newsletter/1")
    assert [n.key for n in first.notices if n.remark is Remark.CITED] == [layout.ledger(3)]


def test_a_changed_document_is_found_others_do_not_matter(store: SignedStore) -> None:
    _memory(store).corrupt(layout.record("newsletter", 1))
    assert _one(store, "record/newsletter/2").ok
    report = _one(store, "record/newsletter/1")
    assert [(p.code, p.key) for p in report.problems] == [
        (Code.OBJECT_CORRUPT, layout.record("newsletter", 1))
    ]
    _memory(store).put(layout.record("newsletter", 2), b"{}", content_type="")
    assert {Code.DIGEST_MISMATCH, Code.OBJECT_OVERWRITTEN} == _codes(
        _one(store, "record/newsletter")
    )


def test_a_withdrawn_document_is_said_to_be_withdrawn(store: SignedStore) -> None:
    key, digest = layout.record("newsletter", 1), next(iter(store.versions))
    store.ledger.append(EntryKind.WITHDRAWAL, {key: digest}, RemovalPredicate(incident="inc-1"))
    _memory(store).erase(key)
    report = _one(store, "record/newsletter/1")
    assert report.ok
    assert Remark.WITHDRAWN in {notice.remark for notice in report.notices}
    assert Remark.CITED not in {notice.remark for notice in report.notices}


def test_what_nobody_signed_is_refused(store: SignedStore) -> None:
    for name in ("record/other", "0" * 64, "record/newsletter/9", "../../etc", "key:x"):
        with pytest.raises(NachweisError, match="nothing that is signed"):
            _one(store, name)


# ------------------------------------------------------------------------------ a local copy


def test_a_local_copy_verifies_and_cannot_be_written(store: SignedStore, tmp_path: Path) -> None:
    for bucket in (store.records, store.ledger.anchor):
        assert isinstance(bucket, MemoryStore)
        for key in bucket.present():
            path = tmp_path / "copy" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bucket.get(key))
    folder = FolderStore(tmp_path / "copy")
    report = verify_store(folder, store.trusted, anchor=folder, narratives=folder)
    assert report.problems == ()
    assert (report.nights, report.anchored) == (5, 6)
    assert {notice.remark for notice in report.notices} == {Remark.NOT_VERSIONED}
    with pytest.raises(StoreError, match="only read"):
        folder.put("x", b"", content_type="")
    with pytest.raises(StoreError, match="only read"):
        folder.put_if_absent("x", b"", content_type="")
    with pytest.raises(StoreError, match="no such folder"):
        FolderStore(tmp_path / "nowhere")
    assert folder.head(layout.ledger(1)) is not None
    assert folder.head(layout.ledger(99)) is None
    with pytest.raises(KeyError):
        folder.get(layout.ledger(99))


def test_older_checkpoints_contradict_a_rewritten_end(store: SignedStore) -> None:
    """Whoever has the key and may write to both buckets still cannot remove old checkpoints."""
    key = store.ledger.signer
    previous = entry_at(store.records, 4).digest
    for number in (5, 6):
        entry = entry_at(store.records, number)
        payload = build_payload(
            entry.kind, entry.subjects, entry.predicate, sequence=number, previous=previous,
            key_entry=1, signed_at=entry.signed_at + dt.timedelta(seconds=1),
        )  # fmt: skip
        _memory(store).overwrite(layout.ledger(number), sign(key, payload))
        previous = parse_payload(payload).digest
    point = Checkpoint(6, 6, previous)
    _anchor(store).overwrite(layout.checkpoint(6), sign(key, point.payload(layout.ledger(6))))
    report = _verify(store)
    assert [(p.code, p.key) for p in report.problems] == [
        (Code.CHECKPOINT_MISMATCH, layout.checkpoint(5))
    ]


def test_entries_of_another_kind_are_part_of_what_is_new(store: SignedStore) -> None:
    point = _point(store, 6)
    key = layout.incident("inc-1", 1)
    store.records.put_if_absent(key, b"{}", content_type="")
    said = ReferencePredicate(id="inc-1", event="opened")
    store.ledger.append(EntryKind.INCIDENT, {key: "0" * 64}, said)
    report = _verify(store, since=point)
    assert [(p.code, p.key) for p in report.problems] == [(Code.DIGEST_MISMATCH, key)]
