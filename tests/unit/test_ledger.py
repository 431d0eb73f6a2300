"""The ledger grows by one signed entry at a time, whoever else writes and whatever fails."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.canonical import digest, digest_bytes
from nachweis.domain.errors import (
    IntegrityError,
    NachweisError,
    StoreConflictError,
    StoreUnavailableError,
)
from nachweis.settings import Settings
from nachweis.storage import chain, ledger, signing
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.entries import (
    LARGEST_PAYLOAD,
    NO_PREVIOUS,
    EntryKind,
    KeyPredicate,
    NightPredicate,
    Predicate,
    ReferencePredicate,
    build_payload,
)
from nachweis.storage.layout import checkpoint as checkpoint_key
from nachweis.storage.layout import incident
from nachweis.storage.layout import ledger as ledger_key
from nachweis.storage.layout import statement as statement_key
from nachweis.storage.object_store import Lock
from tests.memory_store import MemoryStore

NOW = dt.datetime(2026, 3, 3, 2, 0, 0, tzinfo=dt.UTC)
SAID = ReferencePredicate(id="inc-1", event="opened")


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("keys")
    paths = [signing.generate_key(folder / f"{n}.pem") for n in range(3)]
    return [signing.open_signer(Settings(signer=f"file2:{path}")) for path in paths]


@pytest.fixture
def writer(signers: list[object]) -> Callable[..., ledger.Ledger]:
    def make(store: object, signer: int = 0, **more: object) -> ledger.Ledger:
        return ledger.Ledger(
            store,  # type: ignore[arg-type]
            signers[signer],  # type: ignore[arg-type]
            now=lambda: NOW,
            sleep=lambda _: None,
            **more,  # type: ignore[arg-type]
        )

    return make


def _record(book: ledger.Ledger, number: int = 1, hint: int | None = None) -> ledger.Appended:
    return book.append(
        EntryKind.INCIDENT, {incident("inc-1", number): f"{number:064x}"}, SAID, hint=hint
    )


def test_the_first_entry_announces_the_key(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    book = writer(store)
    appended = _record(book)
    assert store.present() == [ledger_key(1), ledger_key(2)]
    first, second = ledger.read(store)
    assert first.kind is EntryKind.KEY
    assert first.previous == NO_PREVIOUS
    assert isinstance(first.predicate, KeyPredicate)
    assert first.predicate.keyid == book.signer.public_key.keyid
    assert signing.fingerprint(first.predicate.public_key or "") == first.predicate.keyid
    assert second == appended.entry
    assert (second.sequence, second.previous, second.key_entry) == (2, first.digest, 1)
    assert second.signed_at == NOW


def test_an_entry_is_an_in_toto_statement_of_the_previous_payload(
    writer: Callable[..., ledger.Ledger],
) -> None:
    store = MemoryStore()
    _record(writer(store))
    envelopes = [store.get(ledger_key(n)) for n in (1, 2)]
    payloads = [signing.open_envelope(envelope) for envelope in envelopes]
    statement = json.loads(payloads[1])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:nachweis:predicate:incident:v1"
    assert statement["predicate"]["previous"] == digest_bytes(payloads[0])
    assert statement["predicate"]["sequence"] == statement["predicate"]["count"] == 2
    assert json.loads(envelopes[1])["payloadType"] == "application/vnd.in-toto+json"
    assert all(len(payload) <= LARGEST_PAYLOAD for payload in payloads)


def test_every_entry_is_locked(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    lock = Lock("GOVERNANCE", NOW)
    _record(writer(store, lock=lambda key: lock))
    assert store.locks == {ledger_key(1): lock, ledger_key(2): lock}


@given(st.integers(0, 60), st.integers(0, 70))
@settings(deadline=None, max_examples=40)
def test_the_end_is_found_from_any_hint(length: int, hint: int) -> None:
    store = MemoryStore()
    for number in range(1, length + 1):
        store.put_if_absent(ledger_key(number), b"x", content_type="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "PAGE", 4)
        assert chain.last_sequence(store, hint=hint) == length


def test_the_end_of_a_long_ledger_costs_few_requests() -> None:
    store = MemoryStore()
    for number in range(1, 12_346):
        store.put_if_absent(ledger_key(number), b"x", content_type="")
    assert chain.last_sequence(store) == 12_345
    assert store.heads + store.lists <= 16
    store.heads = store.lists = 0
    assert chain.last_sequence(store, hint=12_340) == 12_345
    assert (store.heads, store.lists) == (1, 1)


def test_appending_reads_few_objects(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    book = writer(store)
    for number in range(1, 30):
        _record(book, number)
    store.reads.clear()
    _record(book, 30)
    assert len(store.reads) <= 6


def test_writers_at_the_same_time_lose_no_entry(
    writer: Callable[..., ledger.Ledger], signers: list[object]
) -> None:
    store = MemoryStore()
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: _record(writer(store), n), range(1, 25)))
    entries = list(ledger.read(store))
    assert [entry.sequence for entry in entries] == list(range(1, 26))
    assert {entry.subjects.popitem()[0] for entry in entries[1:]} == {  # type: ignore[attr-defined]
        incident("inc-1", number) for number in range(1, 25)
    }
    assert all(appended.written for appended in done)
    for before, after in pairwise(entries):
        assert after.previous == before.digest


class _Rival(MemoryStore):
    """Before each of our writes, another writer takes the number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rivals: list[Callable[[], None]] = []

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        if self.rivals:
            self.rivals.pop()()
        return super().put_if_absent(key, body, content_type=content_type, lock=lock)


def test_the_loser_takes_the_next_number(writer: Callable[..., ledger.Ledger]) -> None:
    store = _Rival()
    book = writer(store)
    _record(book, 1)
    store.rivals = [_rival(book, store, 9), _rival(book, store, 8)]
    appended = _record(book, 2)
    assert appended.rebased == 2
    assert [sorted(e.subjects)[0] for e in ledger.read(store)][1:] == [
        incident("inc-1", number) for number in (1, 8, 9, 2)
    ]


@pytest.mark.parametrize("order", [(2,), (2, 7), (7, 2)])
def test_the_same_fact_is_not_recorded_twice_by_a_race(
    writer: Callable[..., ledger.Ledger], order: tuple[int, ...]
) -> None:
    store = _Rival()
    book = writer(store)
    _record(book, 1)

    def rivals() -> None:
        for number in order:
            _rival(book, store, number, dt.timedelta(minutes=1))()

    store.rivals = [rivals]
    appended = _record(book, 2)
    assert not appended.written
    assert appended.entry.subjects == {incident("inc-1", 2): f"{2:064x}"}
    assert appended.entry.sequence == 3 + order.index(2)
    assert len(store.present()) == 2 + len(order)


def test_identical_bytes_of_another_writer_are_not_claimed(
    writer: Callable[..., ledger.Ledger],
) -> None:
    store = _Rival()
    book = writer(store)
    _record(book, 1)
    store.rivals = [_rival(book, store, 2)]
    assert not _record(book, 2).written
    assert len(store.present()) == 3


def test_what_was_recorded_behind_the_callers_back_is_not_recorded_again(
    writer: Callable[..., ledger.Ledger],
) -> None:
    store = MemoryStore()
    book = writer(store)
    _record(book, 1)
    assert not _record(book, 1, hint=1).written
    assert not _record(book, 1, hint=0).written
    assert len(store.present()) == 2
    assert _record(book, 1, hint=2).written, "the caller knew of the first one"
    assert _record(book, 1).written


def test_a_writer_that_always_loses_gives_up(writer: Callable[..., ledger.Ledger]) -> None:
    store = _Rival()
    book = writer(store)
    _record(book, 1)
    store.rivals = [_rival(book, store, number) for number in range(100, 100 + ledger.TRIES)]
    with pytest.raises(StoreConflictError, match="in a row"):
        _record(book, 2)


def _rival(
    book: ledger.Ledger, store: MemoryStore, number: int, later: dt.timedelta = dt.timedelta()
) -> Callable[[], None]:
    """Another writer's append, which no further rival disturbs."""

    def append() -> None:
        last = ledger.head(store)
        assert last is not None
        payload = build_payload(
            EntryKind.INCIDENT,
            {incident("inc-1", number): f"{number:064x}"},
            SAID,
            sequence=last.sequence + 1,
            previous=last.digest,
            key_entry=1,
            signed_at=NOW + later,
        )
        envelope = signing.sign(book.signer, payload)
        MemoryStore.put_if_absent(
            store, ledger_key(last.sequence + 1), envelope, content_type="application/json"
        )

    return append


class _Flaky(MemoryStore):
    """Writes time out; some of them arrive all the same."""

    arrives: list[bool]

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        if self.arrives:
            if self.arrives.pop(0):
                super().put_if_absent(key, body, content_type=content_type, lock=lock)
            raise StoreUnavailableError("timeout")
        return super().put_if_absent(key, body, content_type=content_type, lock=lock)


@pytest.mark.parametrize("arrives", [[True], [False], [False, True], [True, True], [False, False]])
def test_a_timeout_neither_loses_nor_doubles_an_entry(
    writer: Callable[..., ledger.Ledger], arrives: list[bool]
) -> None:
    store = _Flaky()
    store.arrives = []
    book = writer(store)
    _record(book, 1)
    store.arrives = list(arrives)
    appended = _record(book, 2)
    assert appended.written
    assert len(list(ledger.read(store))) == 3


def test_a_store_that_never_answers_is_an_error(writer: Callable[..., ledger.Ledger]) -> None:
    store = _Flaky()
    store.arrives = []
    book = writer(store)
    _record(book, 1)
    store.arrives = [False] * 10
    with pytest.raises(StoreUnavailableError):
        _record(book, 2)
    assert len(store.present()) == 2


def test_an_entry_that_is_too_large_is_refused(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    subjects = {incident("inc-1", number): f"{number:064x}" for number in range(1, 60)}
    with pytest.raises(NachweisError, match="larger than 4096"):
        writer(store).append(EntryKind.INCIDENT, subjects, SAID)


@pytest.mark.parametrize("text", ["a sentence with spaces", "ä", "x" * 201, "", "<b>"])
def test_an_entry_holds_no_sentence(writer: Callable[..., ledger.Ledger], text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        ReferencePredicate(id=text, event="opened")
    with pytest.raises(NachweisError):
        writer(MemoryStore()).append(EntryKind.INCIDENT, {text: "0" * 64}, SAID)
    with pytest.raises(NachweisError):
        writer(MemoryStore()).append(EntryKind.INCIDENT, {"a": "not a digest"}, SAID)


@pytest.mark.parametrize("column", ["age", "emp.var.rate", "Größe in cm", "a:b/c"])
def test_a_decision_names_a_finding_about_any_column(
    writer: Callable[..., ledger.Ledger], column: str
) -> None:
    store = MemoryStore()
    said = ReferencePredicate(id=f"missing_share_stable:model/churn:{column}", event="waived")
    writer(store).append(EntryKind.DECISION, {"evidence/x": "0" * 64}, said)
    last = ledger.head(store)
    assert last is not None
    assert last.predicate == said


def test_a_kind_accepts_only_its_own_predicate(writer: Callable[..., ledger.Ledger]) -> None:
    with pytest.raises(NachweisError, match="cannot say"):
        writer(MemoryStore()).append(EntryKind.NIGHT, {"a": "0" * 64}, SAID)


def test_an_unknown_signer_cannot_go_on(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    _record(writer(store, 0))
    with pytest.raises(IntegrityError, match="does not know the signer"):
        _record(writer(store, 1), 2)


def test_rotation_hands_over(writer: Callable[..., ledger.Ledger], signers: list[object]) -> None:
    store = MemoryStore()
    old, new = writer(store, 0), writer(store, 1)
    _record(old, 1)
    old.rotate(signers[1])  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        _record(old, 2)
    entry = _record(new, 2).entry
    assert entry.key_entry == 3
    keyring = chain.keys_in_force(store, entry)
    assert set(keyring.active) == {new.signer.public_key.keyid}


def test_a_second_key_joins_and_revokes_the_first(
    writer: Callable[..., ledger.Ledger], signers: list[object]
) -> None:
    store = MemoryStore()
    first, second = writer(store, 0), writer(store, 1)
    _record(first, 1)
    first.rotate(signers[1], announce_only=True)  # type: ignore[arg-type]
    _record(first, 2)
    _record(second, 3)
    revoked = first.signer.public_key.keyid
    entry = second.revoke(revoked, from_sequence=5, reason="lost").entry
    keyring = chain.keys_in_force(store, entry)
    assert set(keyring.active) == {second.signer.public_key.keyid}
    assert keyring.revoked == {revoked: 5}


def test_a_key_that_was_replaced_can_still_be_revoked(
    writer: Callable[..., ledger.Ledger], signers: list[object]
) -> None:
    store = MemoryStore()
    first, second = writer(store, 0), writer(store, 1)
    _record(first, 1)
    first.rotate(signers[1])  # type: ignore[arg-type]
    replaced = first.signer.public_key.keyid
    entry = second.revoke(replaced, from_sequence=2, reason="compromised").entry
    assert chain.keys_in_force(store, entry).revoked == {replaced: 2}


def test_a_key_entry_that_could_not_verify_is_never_written(
    writer: Callable[..., ledger.Ledger], signers: list[object]
) -> None:
    store = MemoryStore()
    first, second = writer(store, 0), writer(store, 1)
    own, stranger = (signer.public_key.keyid for signer in signers[::2])  # type: ignore[attr-defined]
    _record(first, 1)
    first.rotate(signers[1], announce_only=True)  # type: ignore[arg-type]
    before = store.present()
    with pytest.raises(NachweisError, match="cannot revoke itself"):
        first.revoke(own, from_sequence=2, reason="lost")
    with pytest.raises(NachweisError, match="never announced"):
        first.revoke(stranger, from_sequence=2, reason="lost")
    with pytest.raises(NachweisError, match="a key comes once"):
        second.rotate(signers[0])  # type: ignore[arg-type]
    assert store.present() == before
    assert _record(first, 2).written
    assert _record(second, 3).written


def test_a_revoked_key_cannot_write(
    writer: Callable[..., ledger.Ledger], signers: list[object]
) -> None:
    store = MemoryStore()
    first, second = writer(store, 0), writer(store, 1)
    _record(first, 1)
    first.rotate(signers[1], announce_only=True)  # type: ignore[arg-type]
    second.revoke(first.signer.public_key.keyid, from_sequence=4, reason="compromised")
    with pytest.raises(IntegrityError):
        _record(first, 2)
    assert _record(second, 2).written


def test_a_tampered_end_is_not_built_upon(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    book = writer(store)
    _record(book, 1)
    envelope = json.loads(store.get(ledger_key(2)))
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="
    store.overwrite(ledger_key(2), json.dumps(envelope).encode())
    with pytest.raises(IntegrityError):
        _record(book, 2)
    assert len(store.present()) == 2


def test_a_checkpoint_goes_to_the_anchor(writer: Callable[..., ledger.Ledger]) -> None:
    anchor = MemoryStore()
    book = writer(MemoryStore(), anchor=anchor)
    entry = _record(book).entry
    envelope = anchor.get(checkpoint_key(2))
    keys = {book.signer.public_key.keyid: book.signer.public_key}
    payload = signing.verify_envelope(envelope, keys).payload
    assert Checkpoint.parse(payload) == Checkpoint(2, 2, entry.digest)


def test_a_broken_anchor_does_not_cost_the_entry(writer: Callable[..., ledger.Ledger]) -> None:
    anchor = _Flaky()
    anchor.arrives = [False] * 10
    store = MemoryStore()
    appended = _record(writer(store, anchor=anchor))
    assert "no checkpoint" in appended.anchor_problem
    assert ledger.head(store) == appended.entry


def _night(night: str, attempt: str) -> NightPredicate:
    return NightPredicate(
        night=night,
        attempt=attempt,
        statement=digest([night, attempt]),
        idempotency_key="0" * 64,
        documents={"evidence": 1, "versions": 1, "assessments": 1},
    )


def _sign_night(store: MemoryStore, book: ledger.Ledger, night: str, attempt: str) -> None:
    key = statement_key(night, attempt)
    store.put_if_absent(key, b"{}", content_type="application/json")
    said: Predicate = _night(night, attempt)
    book.append(EntryKind.NIGHT, {key: digest([night, attempt])}, said)


def test_attempts_of_a_night_are_found_in_order(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    book = writer(store)
    for night, attempt in (("2026-03-02", "a"), ("2026-03-01", "b"), ("2026-03-02", "c")):
        _sign_night(store, book, night, attempt)
    store.put_if_absent(statement_key("2026-02-28", "killed"), b"{}", content_type="")
    found = ledger.signed_attempts(store, "2026-03-02")
    assert [entry.predicate.attempt for entry in found] == ["a", "c"]  # type: ignore[attr-defined]
    assert ledger.signed_attempts(store, "2026-02-28") == []
    store.reads.clear()
    assert ledger.signed_attempts(store, "2026-02-27") == []
    assert store.reads == []


def test_the_search_for_a_night_ends_at_older_entries(
    writer: Callable[..., ledger.Ledger],
) -> None:
    store = MemoryStore()
    book = writer(store)
    for number in range(1, 20):
        _record(book, number)
    store.clock = NOW + dt.timedelta(days=3)
    store.put_if_absent(statement_key("2026-03-05", "killed"), b"{}", content_type="")
    store.reads.clear()
    assert ledger.signed_attempts(store, "2026-03-05") == []
    assert len(store.reads) == 1


def test_an_entry_under_a_wrong_number_is_noticed(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    _record(writer(store))
    store.put_if_absent(ledger_key(3), store.get(ledger_key(2)), content_type="")
    with pytest.raises(IntegrityError, match="another number"):
        ledger.head(store)


def test_something_else_in_the_folder_is_noticed(writer: Callable[..., ledger.Ledger]) -> None:
    store = MemoryStore()
    store.put("ledger/readme.txt", b"", content_type="")
    with pytest.raises(IntegrityError, match="not an entry"):
        _record(writer(store))
