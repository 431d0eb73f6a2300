"""Verification accepts what the pipeline wrote and names every way of tampering with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.canonical import canonical_bytes, digest_bytes
from nachweis.domain.errors import StoreUnavailableError
from nachweis.storage import layout, signing
from nachweis.storage.chain import entry_at
from nachweis.storage.documents import encode
from nachweis.storage.entries import (
    EntryKind,
    KeyPredicate,
    LedgerEntry,
    Predicate,
    ReferencePredicate,
    RemovalPredicate,
    build_payload,
)
from nachweis.storage.layout import Kind
from nachweis.storage.ledger import head
from nachweis.storage.narratives import read_text, write_text
from nachweis.storage.verify import Code, Remark, VerifyReport, verify_store
from tests.memory_store import MemoryStore
from tests.signed_store import NOW, SignedStore, signed_store, signer

NIGHTS = ("2026-03-01", "2026-03-02", "2026-03-03")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder: Path = tmp_path_factory.mktemp("keys")
    return [signer(folder, str(number)) for number in range(3)]


@pytest.fixture
def store(keys: list[Any]) -> SignedStore:
    """Three nights, the third with a new version, and checkpoints."""
    made = signed_store(MemoryStore(), keys[0], anchor=MemoryStore())
    made.night(NIGHTS[0])
    made.night(NIGHTS[1])
    made.night(NIGHTS[2], status="suspended")
    return made


def _verify(store: SignedStore, **more: Any) -> VerifyReport:
    more.setdefault("anchor", store.ledger.anchor)
    return verify_store(store.records, store.trusted, **more)


def _codes(report: VerifyReport) -> set[Code]:
    return {problem.code for problem in report.problems}


def _remarks(report: VerifyReport) -> set[Remark]:
    return {notice.remark for notice in report.notices}


def _memory(store: SignedStore) -> MemoryStore:
    assert isinstance(store.records, MemoryStore)
    return store.records


def _keys(store: SignedStore, kind: Kind) -> list[str]:
    return [key for key in _memory(store).present() if layout.locate(key).kind is kind]


def test_an_empty_store_is_in_order() -> None:
    report = verify_store(MemoryStore(), set(), anchor=MemoryStore(), narratives=MemoryStore())
    assert (report.ok, report.status, report.entries) == (True, "empty", 0)


def test_what_the_pipeline_wrote_verifies(store: SignedStore) -> None:
    report = _verify(store)
    assert report.problems == ()
    assert report.notices == ()
    assert (report.status, report.entries, report.nights) == ("ok", 4, 3)
    # 4 entries, 3 statements, 3 evidence bundles, 3 assessments, 2 versions
    assert report.checked == report.objects == 15
    assert report.anchored == 4
    last = head(store.records)
    assert last is not None
    assert report.head == last.digest
    assert set(report.keys) == store.trusted


def test_the_bucket_is_listed_once_and_no_object_is_read_twice(store: SignedStore) -> None:
    memory = _memory(store)
    memory.reads.clear()
    memory.lists = 0
    _verify(store)
    assert memory.lists == 1
    assert len(memory.reads) == len(set(memory.reads)) == 15


@pytest.mark.parametrize("position", range(15))
def test_a_flipped_bit_in_any_object_is_found(store: SignedStore, position: int) -> None:
    key = _memory(store).present()[position]
    _memory(store).corrupt(key)
    report = _verify(store)
    assert Code.OBJECT_CORRUPT in _codes(report)
    assert key in {problem.key for problem in report.problems}


@pytest.mark.parametrize("position", range(15))
def test_a_missing_object_is_found(store: SignedStore, position: int) -> None:
    key = _memory(store).present()[position]
    kind = layout.locate(key).kind
    _memory(store).erase(key)
    report = _verify(store)
    expected = {
        Kind.LEDGER: {Code.LEDGER_GAP, Code.LEDGER_TRUNCATED},
        Kind.RECORD: {Code.OBJECT_MISSING},
    }.get(kind, {Code.OBJECT_MISSING})
    assert _codes(report) & expected
    assert not report.ok


@pytest.mark.parametrize("position", range(15))
def test_a_delete_marker_and_a_second_version_are_found(store: SignedStore, position: int) -> None:
    key = _memory(store).present()[position]
    body = _memory(store).get(key)
    _memory(store).put(key, body, content_type="")
    assert Code.OBJECT_OVERWRITTEN in _codes(_verify(store))
    _memory(store).hide(key)
    assert {Code.OBJECT_DELETED, Code.OBJECT_OVERWRITTEN} <= _codes(_verify(store))


@pytest.mark.parametrize("kind", [Kind.EVIDENCE, Kind.ASSESSMENT, Kind.RECORD, Kind.STATEMENT])
def test_a_replaced_document_is_found(store: SignedStore, kind: Kind) -> None:
    key = _keys(store, kind)[0]
    _memory(store).overwrite(key, encode(key, b"{}"))
    report = _verify(store)
    assert _codes(report) == {Code.DIGEST_MISMATCH}
    assert [problem.key for problem in report.problems] == [key]


def test_a_document_that_is_no_longer_packed_is_found(store: SignedStore) -> None:
    key = _keys(store, Kind.EVIDENCE)[0]
    _memory(store).overwrite(key, b"{}")
    assert _codes(_verify(store)) == {Code.OBJECT_CORRUPT}


# ------------------------------------------------------------------------------- the chain


def _forge(
    store: SignedStore,
    keys: list[Any],
    number: int,
    *,
    by: int = 0,
    change: Callable[[LedgerEntry], dict[str, Any]] = lambda entry: {},
) -> None:
    """Rewrite an entry with some fields changed and sign it with some key."""
    entry = entry_at(store.records, number)
    entry = dataclasses.replace(entry, **change(entry))
    payload = build_payload(
        entry.kind,
        entry.subjects,
        entry.predicate,
        sequence=entry.sequence,
        previous=entry.previous,
        key_entry=entry.key_entry,
        signed_at=entry.signed_at,
    )
    _memory(store).overwrite(layout.ledger(number), signing.sign(keys[by], payload))


def test_an_entry_signed_by_a_stranger_is_found(store: SignedStore, keys: list[Any]) -> None:
    _forge(store, keys, 3, by=1)
    report = _verify(store)
    assert Code.SIGNATURE_INVALID in _codes(report)
    assert (report.entries, report.nights) == (4, 2)


def test_an_entry_rewritten_by_the_key_holder_breaks_the_chain(
    store: SignedStore, keys: list[Any]
) -> None:
    _forge(store, keys, 3, change=lambda e: {"signed_at": NOW.replace(year=2025)})
    report = _verify(store)
    assert Code.CHAIN_BROKEN in _codes(report)
    assert layout.ledger(4) in {problem.key for problem in report.problems}


def test_a_rewritten_end_is_found_by_the_anchor_only(store: SignedStore, keys: list[Any]) -> None:
    _forge(store, keys, 4, change=lambda e: {"signed_at": NOW.replace(year=2025)})
    assert _codes(_verify(store, anchor=None)) == set()
    assert _codes(_verify(store)) == {Code.CHECKPOINT_MISMATCH}


def test_a_ledger_cut_short_is_found_by_the_anchor(store: SignedStore) -> None:
    _memory(store).erase(layout.ledger(4))
    assert _verify(store, anchor=None).ok
    assert _codes(_verify(store)) == {Code.LEDGER_TRUNCATED}


def test_a_ledger_that_vanished_is_found_by_the_anchor(store: SignedStore) -> None:
    for number in range(1, 5):
        _memory(store).erase(layout.ledger(number))
    report = _verify(store)
    assert report.status == "failed"
    assert _codes(report) == {Code.LEDGER_TRUNCATED}


def test_a_wrong_pointer_to_the_keys_is_found(store: SignedStore, keys: list[Any]) -> None:
    _forge(store, keys, 4, change=lambda e: {"key_entry": 2})
    assert Code.CHAIN_BROKEN in _codes(_verify(store, anchor=None))


def test_swapped_entries_are_found(store: SignedStore) -> None:
    memory = _memory(store)
    two, three = memory.get(layout.ledger(2)), memory.get(layout.ledger(3))
    memory.overwrite(layout.ledger(2), three)
    memory.overwrite(layout.ledger(3), two)
    assert {Code.ENTRY_MISPLACED, Code.CHAIN_BROKEN} <= _codes(_verify(store))


def test_noise_in_the_place_of_an_entry_is_found(store: SignedStore) -> None:
    _memory(store).overwrite(layout.ledger(2), b"noise")
    report = _verify(store)
    assert _codes(report) == {Code.ENTRY_MALFORMED}
    assert report.nights == 2


def test_a_ledger_of_another_origin_is_not_trusted(store: SignedStore, keys: list[Any]) -> None:
    other = {keys[1].public_key.keyid}
    assert _codes(verify_store(store.records, other)) == {Code.KEY_UNTRUSTED}
    assert _codes(verify_store(store.records, set())) == {Code.KEY_UNTRUSTED}


# ------------------------------------------------------------------------------------ keys


def test_a_rotation_verifies_from_either_key(store: SignedStore, keys: list[Any]) -> None:
    store.ledger.rotate(keys[1])
    after = dataclasses.replace(store.ledger, signer=keys[1])
    SignedStore(store.records, after, dict(store.versions)).night("2026-03-04", "b" * 16)
    for pinned in (0, 1):
        report = verify_store(
            store.records, {keys[pinned].public_key.keyid}, anchor=store.ledger.anchor
        )
        assert report.problems == ()
        assert report.keys == (keys[1].public_key.keyid,)


def _append(store: SignedStore, by: Any, kind: EntryKind, said: Predicate, **subjects: str) -> None:
    """Append as somebody who does not use our code."""
    last = head(store.records)
    assert last is not None
    payload = build_payload(
        kind,
        subjects,
        said,
        sequence=last.sequence + 1,
        previous=last.digest,
        key_entry=last.sequence if last.kind is EntryKind.KEY else last.key_entry,
        signed_at=NOW,
    )
    signers = by if isinstance(by, list) else [by]
    store.records.put_if_absent(
        layout.ledger(last.sequence + 1), signing.sign(*_first(signers, payload)), content_type=""
    )


def _first(signers: list[Any], payload: bytes) -> tuple[Any, ...]:
    return signers[0], payload, *signers[1:]


@pytest.mark.parametrize(
    ("signed_by", "action"),
    [([1], "announce"), ([0], "announce"), ([1, 2], "announce"), ([1, 2], "rotate")],
)
def test_a_key_without_authority_or_possession_is_found(
    store: SignedStore, keys: list[Any], signed_by: list[int], action: str
) -> None:
    new = keys[1].public_key
    said = KeyPredicate(
        action=action,  # type: ignore[arg-type]
        keyid=new.keyid,
        public_key=signing.public_key_pem(new),
        replaces=keys[0].public_key.keyid if action == "rotate" else None,
    )
    signers = [keys[number] for number in signed_by]
    _append(store, signers, EntryKind.KEY, said, **{f"key:{new.keyid}": new.keyid})
    report = _verify(store)
    assert _codes(report) == {Code.SIGNATURE_INVALID}
    assert set(report.keys) == store.trusted


def test_entries_of_a_revoked_key_are_found(store: SignedStore, keys: list[Any]) -> None:
    store.ledger.rotate(keys[1], announce_only=True)
    _append(
        store, keys[0], EntryKind.GATE, ReferencePredicate(id="churn", event="open"), x="0" * 64
    )
    second = dataclasses.replace(store.ledger, signer=keys[1])
    second.revoke(keys[0].public_key.keyid, from_sequence=6, reason="compromised")
    report = _verify(store)
    assert [(p.code, p.key) for p in report.problems] == [(Code.KEY_REVOKED, layout.ledger(6))]
    assert report.keys == (keys[1].public_key.keyid,)


def test_a_key_cannot_revoke_itself(store: SignedStore, keys: list[Any]) -> None:
    keyid = keys[0].public_key.keyid
    said = KeyPredicate(action="revoke", keyid=keyid, from_sequence=1, reason="lost")
    _append(store, keys[0], EntryKind.KEY, said, **{f"key:{keyid}": keyid})
    assert _codes(_verify(store)) == {Code.SIGNATURE_INVALID}


# ------------------------------------------------------------------------- what is cited


def test_withdrawn_disposed_and_missing_are_told_apart(store: SignedStore) -> None:
    first, second, third = _keys(store, Kind.EVIDENCE)
    digests = {key: layout.locate(key).parts["digest"] for key in (first, second)}
    store.ledger.append(
        EntryKind.WITHDRAWAL, {first: digests[first]}, RemovalPredicate(incident="inc-1")
    )
    store.ledger.append(
        EntryKind.DISPOSAL, {second: digests[second]}, RemovalPredicate(rule="evidence")
    )
    still = _verify(store)
    assert still.ok
    assert {notice.remark for notice in still.notices} == {
        Remark.WITHDRAWN,
        Remark.DISPOSED,
        Remark.STILL_PRESENT,
    }
    for key in (first, second, third):
        _memory(store).erase(key)
    report = _verify(store)
    assert [(p.code, p.key) for p in report.problems] == [(Code.OBJECT_MISSING, third)]
    assert {(n.remark, n.key) for n in report.notices} == {
        (Remark.WITHDRAWN, first),
        (Remark.DISPOSED, second),
    }


def test_a_withdrawal_may_leave_a_delete_marker(store: SignedStore) -> None:
    key = _keys(store, Kind.EVIDENCE)[0]
    digest = layout.locate(key).parts["digest"]
    store.ledger.append(EntryKind.WITHDRAWAL, {key: digest}, RemovalPredicate(incident="inc-1"))
    _memory(store).erase(key)
    _memory(store).hide(key)
    assert _verify(store).ok


def test_a_forged_withdrawal_excuses_nothing(store: SignedStore, keys: list[Any]) -> None:
    key = _keys(store, Kind.EVIDENCE)[0]
    said = RemovalPredicate(incident="inc-1")
    _append(store, keys[1], EntryKind.WITHDRAWAL, said, **{key: "0" * 64})
    _memory(store).erase(key)
    assert _codes(_verify(store)) == {Code.SIGNATURE_INVALID, Code.OBJECT_MISSING}


def test_a_run_that_broke_off_is_no_fault(store: SignedStore) -> None:
    store.night("2026-03-04", "c" * 16, status="ended", sign=False)
    report = _verify(store)
    assert report.ok
    assert _remarks(report) == {Remark.NOT_CITED}
    assert len(report.notices) == 4


def test_versions_without_a_number_between_are_found(store: SignedStore) -> None:
    store.records.put_if_absent(layout.record("newsletter", 4), b"{}", content_type="")
    report = _verify(store)
    assert [(p.code, p.key) for p in report.problems] == [(Code.VERSION_GAP, "records/newsletter")]


def test_a_withdrawn_version_is_no_gap(store: SignedStore) -> None:
    key = layout.record("newsletter", 1)
    digest = next(iter(store.versions))
    store.ledger.append(EntryKind.WITHDRAWAL, {key: digest}, RemovalPredicate(incident="inc-1"))
    _memory(store).erase(key)
    assert _verify(store).ok


def test_events_of_an_incident_without_a_number_between_are_found(store: SignedStore) -> None:
    store.records.put_if_absent(layout.incident("inc-1", 2), b"{}", content_type="")
    assert _codes(_verify(store)) == {Code.EVENT_GAP}


def test_a_version_that_later_has_another_content_is_found(store: SignedStore) -> None:
    store.versions.clear()  # forget: the next night takes number 1 again
    _memory(store).erase(layout.record("newsletter", 1))
    store.night("2026-03-04", "d" * 16, status="ended")
    assert Code.VERSION_REWRITTEN in _codes(_verify(store))


def test_attempts_supersede_only_signed_ones(store: SignedStore) -> None:
    store.night(NIGHTS[0], "e" * 16, supersedes="0123456789abcdef")
    assert _verify(store).ok
    store.night(NIGHTS[1], "f" * 16, supersedes="a" * 16)
    assert _codes(_verify(store)) == {Code.SUPERSEDES_UNKNOWN}


def test_a_statement_of_an_unknown_form_is_found(store: SignedStore) -> None:
    store.night("2026-03-04", "d" * 16, statement_change={"schema_version": 99})
    assert _codes(_verify(store)) == {Code.STATEMENT_MALFORMED}


def test_a_statement_that_cites_no_digest_is_found(store: SignedStore) -> None:
    store.night("2026-03-04", "d" * 16, statement_change={"evidence": {"model/x": "../../x"}})
    assert _codes(_verify(store)) == {Code.STATEMENT_MALFORMED}


def test_a_version_under_a_wrong_key_is_found(store: SignedStore) -> None:
    statement, _ = store.night("2026-03-04", "c" * 16)
    wrong = statement.versions[0].model_copy(update={"key": layout.record("other", 1)})
    store.night("2026-03-05", "d" * 16, statement_change={"versions": (wrong,)})
    assert _codes(_verify(store)) == {Code.STATEMENT_CONTRADICTS_ENTRY}


def test_gates_may_change(store: SignedStore) -> None:
    key = layout.gate("churn")
    for body in (b'{"gate":"open"}', b'{"gate":"hold"}'):
        store.records.put(key, body, content_type="application/json")
    store.ledger.append(
        EntryKind.GATE, {key: "0" * 64}, ReferencePredicate(id="churn", event="hold")
    )
    assert _verify(store).ok


def test_foreign_objects_are_named(store: SignedStore) -> None:
    store.records.put("probe/x", b"", content_type="")
    report = _verify(store)
    assert report.ok
    assert _remarks(report) == {Remark.UNKNOWN_OBJECT}


# ------------------------------------------------------------------------- anchor and texts


def test_entries_after_the_checkpoint_are_named(store: SignedStore) -> None:
    ledger = dataclasses.replace(store.ledger, anchor=None)
    SignedStore(store.records, ledger, store.versions).night("2026-03-04", "b" * 16)
    report = _verify(store)
    assert report.ok
    assert _remarks(report) == {Remark.NOT_ANCHORED}
    assert report.anchored == 4


def test_an_anchor_without_checkpoints_is_named(store: SignedStore) -> None:
    assert _remarks(_verify(store, anchor=MemoryStore())) == {Remark.NOT_ANCHORED}


@pytest.mark.parametrize("how", ["noise", "stranger"])
def test_a_checkpoint_must_be_signed(store: SignedStore, keys: list[Any], how: str) -> None:
    anchor = store.ledger.anchor
    assert isinstance(anchor, MemoryStore)
    key = layout.checkpoint(4)
    payload = signing.open_envelope(anchor.get(key))
    anchor.overwrite(key, b"noise" if how == "noise" else signing.sign(keys[1], payload))
    assert _codes(_verify(store)) == {Code.CHECKPOINT_INVALID}


def test_texts_may_be_erased_but_not_changed(store: SignedStore) -> None:
    narratives = MemoryStore()
    cited = write_text(narratives, "what happened, in words")
    store.records.put_if_absent(
        layout.incident("inc-1", 1), canonical_bytes({"ref": cited.ref}), content_type=""
    )
    document = canonical_bytes({"ref": cited.ref})
    store.ledger.append(
        EntryKind.INCIDENT,
        {layout.incident("inc-1", 1): digest_bytes(document)},
        ReferencePredicate(
            id="inc-1", event="opened", text_ref=cited.ref, text_digest=cited.digest
        ),
    )
    assert read_text(narratives, cited) == "what happened, in words"
    assert _verify(store, narratives=narratives).ok
    key = layout.text(cited.ref)
    changed = json.loads(narratives.get(key)) | {"text": "something else"}
    narratives.overwrite(key, canonical_bytes(changed))
    assert _codes(_verify(store, narratives=narratives)) == {Code.TEXT_CHANGED}
    narratives.erase(key)
    report = _verify(store, narratives=narratives)
    assert report.ok
    assert _remarks(report) == {Remark.TEXT_ERASED}


def test_a_salt_keeps_equal_texts_apart() -> None:
    narratives = MemoryStore()
    one, two = write_text(narratives, "no"), write_text(narratives, "no")
    assert one.digest != two.digest


def test_a_store_that_cannot_be_reached_is_no_verdict(store: SignedStore) -> None:
    class Down(MemoryStore):
        def get(self, key: str) -> bytes:
            raise StoreUnavailableError("timeout", where=key)

    down = Down()
    down._versions = _memory(store)._versions
    with pytest.raises(StoreUnavailableError):
        verify_store(down, store.trusted)


def test_sentences_hold_no_exception_text(store: SignedStore) -> None:
    for key in _memory(store).present():
        _memory(store).corrupt(key)
    for problem in _verify(store).problems:
        assert problem.sentence.endswith(".")
        assert "Error" not in problem.sentence
        assert "Traceback" not in problem.sentence
