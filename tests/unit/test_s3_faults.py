"""A store that is busy, breaks off, lies or refuses: what reaches the rest of the product."""

from __future__ import annotations

import datetime as dt
import pickle
import socket
from collections.abc import Iterator

import pytest

from nachweis.domain.errors import (
    IntegrityError,
    NachweisError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
)
from nachweis.storage.object_store import Lock
from nachweis.storage.s3_client import Patience, StoreAccess, new_client
from nachweis.storage.s3_store import S3Store
from tests.s3_stub import Fault, Stub, running_stub

SECRET = "a-secret-nobody-may-see"
KEY = "/bucket/ledger/1.json"


def store_at(endpoint: str) -> S3Store:
    access = StoreAccess(endpoint, "eu-central-1", "KEYID", SECRET)
    client = new_client(access, read_timeout=5)
    return S3Store(client, "bucket", patience=Patience(attempts=4, sleep=lambda _: None))


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as running:
        yield running


@pytest.fixture
def store(stub: Stub) -> S3Store:
    return store_at(stub.endpoint)


def written(store: S3Store, body: bytes = b"ours") -> bool:
    return store.put_if_absent("ledger/1.json", body, content_type="application/json")


# ---------------------------------------------------------------------------------- reads


@pytest.mark.parametrize("faults", [["503", "503"], ["reset"], ["cut"], ["503", "reset", "cut"]])
def test_a_read_is_repeated_until_the_whole_object_arrived(
    stub: Stub, store: S3Store, faults: list[Fault]
) -> None:
    stub.objects[KEY] = b"a whole object"
    stub.faults.extend(faults)
    assert store.get("ledger/1.json") == b"a whole object"
    assert stub.methods == ["GET"] * (len(faults) + 1)


def test_a_store_that_stays_busy_is_reported_as_unavailable(stub: Stub, store: S3Store) -> None:
    stub.faults.extend(["503"] * 10)
    with pytest.raises(StoreUnavailableError, match="SlowDown, HTTP 503") as caught:
        store.get("ledger/1.json")
    assert caught.value.where == "s3://bucket/ledger/1.json"
    assert caught.value.remedy
    assert len(stub.requests) == 4


def test_bytes_that_differ_from_their_checksum_are_not_returned(stub: Stub, store: S3Store) -> None:
    stub.objects[KEY] = b"signed"
    stub.faults.append("corrupt")
    with pytest.raises(IntegrityError, match="does not match its stored checksum"):
        store.get("ledger/1.json")


def test_an_object_without_checksum_was_not_written_by_the_product(
    stub: Stub, store: S3Store
) -> None:
    stub.objects[KEY] = b"planted"
    stub.faults.append("unmarked")
    with pytest.raises(IntegrityError, match="no SHA-256 checksum"):
        store.get("ledger/1.json")


def test_a_missing_key_is_a_key_error_and_no_head(stub: Stub, store: S3Store) -> None:
    with pytest.raises(KeyError):
        store.get("ledger/1.json")
    assert store.head("ledger/1.json") is None


def test_a_listing_goes_through_all_pages_and_survives_faults(stub: Stub, store: S3Store) -> None:
    keys = [f"ledger/{number:010d}.json" for number in range(7)]
    stub.objects.update({f"/bucket/{key}": b"x" for key in [*keys, "nights/x.json"]})
    stub.faults.extend(["none", "503", "reset"])
    assert [found.key for found in store.list("ledger/")] == keys
    assert [found.key for found in store.list("ledger/", start_after=keys[4])] == keys[5:]


# --------------------------------------------------------------------------- write once


@pytest.mark.parametrize("fault", ["503", "reset", "409"])
def test_a_write_that_did_not_happen_is_repeated(stub: Stub, store: S3Store, fault: Fault) -> None:
    stub.faults.append(fault)
    assert written(store) is True
    assert stub.objects == {KEY: b"ours"}
    assert stub.methods == ["PUT", "GET", "PUT"]


def test_a_write_whose_answer_was_lost_is_read_back_and_not_repeated(
    stub: Stub, store: S3Store
) -> None:
    stub.faults.append("lost_answer")
    assert written(store) is True
    assert stub.methods == ["PUT", "GET"]


def test_writing_the_same_bytes_again_is_not_a_write(stub: Stub, store: S3Store) -> None:
    assert [written(store), written(store)] == [True, False]


@pytest.mark.parametrize("faults", [[], ["503"], ["reset"], ["409"]])
def test_a_key_with_other_bytes_is_a_conflict_and_stays(
    stub: Stub, store: S3Store, faults: list[Fault]
) -> None:
    stub.objects[KEY] = b"theirs"
    stub.faults.extend(faults)
    with pytest.raises(StoreConflictError):
        written(store)
    assert stub.objects[KEY] == b"theirs"


def test_a_write_that_never_succeeds_ends(stub: Stub, store: S3Store) -> None:
    for _ in range(4):
        stub.faults.extend(["503", "none"])
    with pytest.raises(StoreUnavailableError):
        written(store)
    assert stub.objects == {}


def test_lock_checksum_encryption_and_condition_travel_in_one_request(
    stub: Stub, store: S3Store
) -> None:
    until = dt.datetime(2027, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
    store.put_if_absent(
        "ledger/1.json", b"x", content_type="application/json", lock=Lock("COMPLIANCE", until)
    )
    [(method, _, headers)] = stub.requests
    sent = {name.lower(): value for name, value in headers.items()}
    assert method == "PUT"
    assert sent["if-none-match"] == "*"
    assert sent["content-type"] == "application/json"
    assert sent["x-amz-server-side-encryption"] == "AES256"
    assert sent["x-amz-checksum-sha256"] == "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
    assert sent["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert sent["x-amz-object-lock-retain-until-date"].startswith("2027-01-02T03:04:05Z")


def test_a_mutable_object_is_replaced_also_after_a_lost_answer(stub: Stub, store: S3Store) -> None:
    stub.faults.extend(["lost_answer", "none", "503"])
    for body in (b"1", b"2"):
        store.put("gates/m.json", body, content_type="application/json")
    assert stub.objects == {"/bucket/gates/m.json": b"2"}


# ------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("fault", "says"), [("403", "refused the request"), ("no_bucket", "bucket does not exist")]
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(
    stub: Stub, store: S3Store, fault: Fault, says: str
) -> None:
    for attempt in (lambda: written(store), lambda: store.get("ledger/1.json")):
        stub.faults.append(fault)
        stub.requests.clear()
        with pytest.raises(StoreError, match=says) as caught:
            attempt()
        assert len(stub.requests) == 1
        assert caught.value.remedy
        assert not isinstance(caught.value, StoreUnavailableError)


def test_no_secret_and_no_address_appears_in_any_text(stub: Stub) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    closed = store_at(f"http://127.0.0.1:{port}")
    errors: list[NachweisError] = []
    for attempt in (lambda: closed.get("a"), lambda: closed.head("a"), lambda: written(closed)):
        with pytest.raises(StoreUnavailableError) as caught:
            attempt()
        errors.append(caught.value)
    for error in errors:
        for text in (str(error), repr(error), str(pickle.loads(pickle.dumps(error)))):
            assert SECRET not in text
            assert "127.0.0.1" not in text
    assert SECRET not in repr(StoreAccess(stub.endpoint, "eu-central-1", "KEYID", SECRET))
