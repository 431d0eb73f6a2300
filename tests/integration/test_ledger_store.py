"""The ledger on a real S3 server: races, kills, tampering through the API, verification."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from nachweis.domain.canonical import digest, digest_bytes
from nachweis.domain.errors import StoreConflictError
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import lock_for, read_document, write_document
from nachweis.storage.entries import EntryKind, ReferencePredicate
from nachweis.storage.ledger import Ledger, head, read, signed_attempts
from nachweis.storage.narratives import write_text
from nachweis.storage.object_store import Lock
from nachweis.storage.s3 import open_store
from nachweis.storage.s3_client import StoreAccess, client
from nachweis.storage.signing import open_signer
from nachweis.storage.verify import Code, Remark, VerifyReport, verify_store
from tests.signed_store import SignedStore

pytestmark = pytest.mark.store


def _lock(key: str) -> Lock | None:
    return lock_for(key, retention="demonstration")


@pytest.fixture
def store(store_settings: Settings) -> SignedStore:
    records = open_store(store_settings, "records")
    ledger = Ledger(
        records,
        open_signer(store_settings),
        lock=_lock,
        anchor=open_store(store_settings, "anchor"),
    )
    return SignedStore(records, ledger)


@pytest.fixture
def verified(store: SignedStore, store_settings: Settings) -> Callable[[], VerifyReport]:
    return lambda: verify_store(
        store.records,
        store.trusted,
        anchor=open_store(store_settings, "anchor"),
        narratives=open_store(store_settings, "narratives"),
    )


def test_nights_are_signed_locked_and_verified(
    store: SignedStore, verified: Callable[[], VerifyReport], store_administrator: StoreAccess
) -> None:
    assert verified().status == "empty"
    statement, first = store.night("2026-03-01")
    _, second = store.night("2026-03-02", status="suspended")
    assert first is not None and second is not None
    assert first.anchor_problem == second.anchor_problem == ""
    report = verified()
    assert report.problems == ()
    assert (report.status, report.entries, report.nights) == ("ok", 3, 2)
    assert report.anchored == 3
    assert report.head == second.entry.digest
    assert not {notice.remark for notice in report.notices} - {Remark.UNKNOWN_OBJECT}
    assert [e.sequence for e in signed_attempts(store.records, "2026-03-02")] == [3]

    (found,) = statement.evidence.values()
    assert digest_bytes(read_document(store.records, layout.evidence(found))) == found
    kept = client(store_administrator).get_object_retention(
        Bucket=store.records.bucket, Key=layout.ledger(3)
    )["Retention"]
    assert kept["Mode"] == "GOVERNANCE"
    assert kept["RetainUntilDate"] > dt.datetime.now(dt.UTC)


def test_writers_at_the_same_time_keep_the_chain(
    store: SignedStore, verified: Callable[[], VerifyReport]
) -> None:
    def append(number: int) -> int:
        said = ReferencePredicate(id=f"churn-{number}", event="hold")
        subject = {f"gate:churn-{number}": f"{number:064x}"}
        return store.ledger.append(EntryKind.GATE, subject, said).entry.sequence

    with ThreadPoolExecutor(3) as pool:
        sequences = list(pool.map(append, range(6)))
    assert sorted(sequences) == list(range(2, 8))
    assert [entry.sequence for entry in read(store.records)] == list(range(1, 8))
    assert verified().ok


def test_a_night_that_breaks_off_before_its_entry_leaves_the_last_signed_state_valid(
    store: SignedStore, verified: Callable[[], VerifyReport]
) -> None:
    store.night("2026-03-01")
    before = head(store.records)
    store.night("2026-03-02", status="suspended", sign=False)
    report = verified()
    assert report.ok
    assert Remark.NOT_CITED in {notice.remark for notice in report.notices}
    assert head(store.records) == before
    store.night("2026-03-02", status="suspended")
    report = verified()
    assert report.ok
    assert Remark.NOT_CITED not in {notice.remark for notice in report.notices}


def test_what_was_signed_cannot_be_replaced_and_tampering_is_found(
    store: SignedStore, verified: Callable[[], VerifyReport], store_administrator: StoreAccess
) -> None:
    statement, _ = store.night("2026-03-01")
    key = layout.statement(statement.night, statement.attempt)
    for target in (layout.ledger(1), key):
        with pytest.raises(StoreConflictError):
            store.records.put_if_absent(target, b"{}", content_type="application/json")
    assert write_document(store.records, key, statement.canonical(), lock=_lock(key)) is False
    assert verified().ok

    evidence = layout.evidence(next(iter(statement.evidence.values())))
    body = store.records.get(evidence)
    store.records.put(evidence, body, content_type="application/gzip")
    assert {(p.code, p.key) for p in verified().problems} == {(Code.OBJECT_OVERWRITTEN, evidence)}

    hostile = client(store_administrator)
    hostile.delete_bucket_policy(Bucket=store.records.bucket)
    hostile.delete_object(Bucket=store.records.bucket, Key=key)
    assert (Code.OBJECT_DELETED, key) in {(p.code, p.key) for p in verified().problems}


def test_a_missed_checkpoint_is_made_up_for_and_a_text_can_be_erased(
    store: SignedStore, store_settings: Settings, verified: Callable[[], VerifyReport]
) -> None:
    away = store_settings.model_copy(update={"bucket_anchor": "nachweis-no-such-bucket"})
    ledger = dataclasses.replace(store.ledger, anchor=open_store(away, "anchor"))
    narratives = open_store(store_settings, "narratives")
    cited = write_text(narratives, "in words")
    said = ReferencePredicate(
        id="inc-1", event="opened", text_ref=cited.ref, text_digest=cited.digest
    )
    appended = ledger.append(EntryKind.DECISION, {"decision:inc-1": digest("y")}, said)
    assert "no checkpoint" in appended.anchor_problem
    assert Remark.NOT_ANCHORED in {notice.remark for notice in verified().notices}
    assert store.ledger.checkpoint(appended.entry) == ""
    assert verified().anchored == appended.entry.sequence

    narratives.delete(layout.text(cited.ref))
    report = verified()
    assert report.ok
    assert Remark.TEXT_ERASED in {notice.remark for notice in report.notices}
