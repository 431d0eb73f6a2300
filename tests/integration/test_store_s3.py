"""The store against a real S3 server: write once, locks, versions, identities, lost answers."""

from __future__ import annotations

import datetime as dt
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from nachweis.domain.errors import StoreConflictError, StoreError
from nachweis.settings import Settings
from nachweis.storage.bootstrap import bootstrap, self_test
from nachweis.storage.capabilities import Guarantee
from nachweis.storage.object_store import Lock
from nachweis.storage.s3 import (
    BucketRole,
    anchor_access,
    data_access,
    list_versions,
    open_store,
    writer_access,
)
from nachweis.storage.s3_client import StoreAccess, client
from nachweis.storage.s3_store import S3Store
from tests.tcp_proxy import running_proxy

pytestmark = pytest.mark.store

LAYOUT_KEYS = [
    "dossiers/churn-eu/v000001/dossier.json",
    "dossiers/churn/v000001/dossier.de.html",
    "dossiers/churn/v000001/dossier.json",
    "dossiers/churn/v000002/dossier.json",
    "dossiers/churn2/v000001/dossier.json",
    "gates/churn-eu.json",
    "gates/churn.json",
]


@pytest.fixture
def records(store_settings: Settings) -> S3Store:
    return open_store(store_settings, "records")


def lock(minutes: int = 10) -> Lock:
    return Lock("GOVERNANCE", dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes))


def refused(attempt: Callable[[], Any]) -> str:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        attempt()
    return str(caught.value.response["Error"]["Code"])


# ----------------------------------------------------------------------------- objects


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 3, b"x" * 6_000_000])
def test_bytes_come_back_as_they_were(records: S3Store, body: bytes) -> None:
    assert records.put_if_absent("evidence/a", body, content_type="application/json") is True
    assert records.put_if_absent("evidence/a", body, content_type="application/json") is False
    assert records.get("evidence/a") == body
    head = records.head("evidence/a")
    assert head is not None
    assert head.size == len(body)
    assert abs(dt.datetime.now(dt.UTC) - head.modified) < dt.timedelta(minutes=5)


def test_other_bytes_under_a_written_key_are_a_conflict(records: S3Store) -> None:
    records.put_if_absent("ledger/1", b"ours", content_type="application/json", lock=lock())
    with pytest.raises(StoreConflictError):
        records.put_if_absent("ledger/1", b"theirs", content_type="application/json", lock=lock())
    assert records.get("ledger/1") == b"ours"
    assert len(list(records.versions("ledger/1"))) == 1


def test_content_type_lock_and_encryption_are_stored_with_the_object(
    records: S3Store, store_administrator: StoreAccess
) -> None:
    wanted = lock()
    records.put_if_absent("a.html", b"<p>", content_type="text/html; charset=utf-8", lock=wanted)
    head = client(store_administrator).head_object(Bucket=records.bucket, Key="a.html")
    assert head["ContentType"] == "text/html; charset=utf-8"
    assert head["ServerSideEncryption"] == "AES256"
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] == wanted.until.replace(microsecond=0)


def test_an_object_without_an_own_lock_gets_the_default_one(
    records: S3Store, store_administrator: StoreAccess
) -> None:
    records.put("gates/m.json", b"{}", content_type="application/json")
    s3 = client(store_administrator)
    assert s3.head_object(Bucket=records.bucket, Key="gates/m.json")["ObjectLockMode"]


@pytest.mark.parametrize("role", ["records", "site"])
def test_listings_are_in_key_order(store_settings: Settings, role: BucketRole) -> None:
    store = open_store(store_settings, role)
    for key in reversed(LAYOUT_KEYS):
        store.put(key, b"x", content_type="application/json")
    assert [found.key for found in store.list("dossiers/")] == LAYOUT_KEYS[:5]
    assert [found.key for found in store.list("g")] == LAYOUT_KEYS[5:]


def test_a_listing_begins_behind_a_key(records: S3Store) -> None:
    for key in LAYOUT_KEYS:
        records.put_if_absent(key, b"x", content_type="application/json")
    for number, key in enumerate(LAYOUT_KEYS):
        behind = [found.key for found in records.list("", start_after=key)]
        assert [found for found in behind if not found.startswith("self-test/")] == LAYOUT_KEYS[
            number + 1 :
        ]


def test_versions_are_told_newest_first(records: S3Store) -> None:
    for body in (b"1", b"22", b"333"):
        records.put("gates/m.json", body, content_type="application/json")
    versions = list(records.versions("gates/"))
    assert [(found.size, marker) for found, marker in versions] == [
        (3, False),
        (2, False),
        (1, False),
    ]
    assert len({found.version_id for found, _ in versions}) == 3


def test_a_missing_bucket_is_said_to_be_missing(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    absent = S3Store(client(store_administrator), f"{store_settings.bucket_records}-absent")
    for attempt in (lambda: absent.get("a"), lambda: absent.head("a"), lambda: [*absent.list("")]):
        with pytest.raises(StoreError, match="bucket does not exist"):
            attempt()


def test_a_link_opens_one_object_and_no_other(records: S3Store) -> None:
    for key in ("one", "two"):
        records.put_if_absent(key, key.encode(), content_type="text/plain")
    link = records.presigned_url("one", seconds=60)
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == b"one"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link.replace("/one?", "/two?"), timeout=10)
    assert caught.value.code == 403


def test_a_link_expires(records: S3Store) -> None:
    records.put_if_absent("one", b"one", content_type="text/plain")
    link = records.presigned_url("one", seconds=1)
    opened, refused = 0, 0
    for _ in range(40):
        try:
            with urllib.request.urlopen(link, timeout=10):
                opened += 1
        except urllib.error.HTTPError as error:
            assert error.code == 403
            error.close()
            refused += 1
            break
        time.sleep(0.5)
    assert refused == 1, f"still open after {opened} requests"
    for seconds in (0, 7 * 24 * 3600 + 1):
        with pytest.raises(ValueError, match="seven days"):
            records.presigned_url("one", seconds=seconds)


# -------------------------------------------------------------------------------- races


def test_one_of_twenty_concurrent_writers_wins(records: S3Store) -> None:
    begin = threading.Barrier(20)

    def write(number: int) -> str:
        begin.wait()
        try:
            body = f"entry of writer {number}".encode()
            done = records.put_if_absent("ledger/7", body, content_type="text/plain", lock=lock())
        except StoreConflictError:
            return "conflict"
        return f"{number}" if done else "again"

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(write, range(20)))
    winners = [result for result in results if result.isdigit()]
    assert len(winners) == 1
    assert results.count("conflict") == 19
    assert records.get("ledger/7") == f"entry of writer {winners[0]}".encode()
    assert len(list(records.versions("ledger/7"))) == 1


def test_a_write_whose_answer_was_lost_is_found_and_not_doubled(store_settings: Settings) -> None:
    port = urlsplit(str(store_settings.s3_endpoint)).port
    assert port
    with running_proxy(port) as proxy:
        behind = open_store(
            store_settings.model_copy(update={"s3_endpoint": proxy.endpoint}), "records"
        )
        proxy.faults.append("lose_answer")
        assert behind.put_if_absent("ledger/1", b"x", content_type="text/plain", lock=lock())
        assert proxy.lost == 1
        proxy.faults.extend(["refuse", "lose_answer"])
        assert behind.put_if_absent("ledger/2", b"y", content_type="text/plain", lock=lock())
    records = open_store(store_settings, "records")
    assert [len(list(records.versions(f"ledger/{number}"))) for number in (1, 2)] == [1, 1]


# --------------------------------------------------------------------------- identities


def test_nobody_deletes_or_unlocks_a_record(
    records: S3Store, store_settings: Settings, store_administrator: StoreAccess
) -> None:
    records.put_if_absent("ledger/1", b"x", content_type="text/plain", lock=lock(60))
    head = records.head("ledger/1")
    assert head is not None
    assert head.version_id
    place: dict[str, Any] = {"Bucket": records.bucket, "Key": "ledger/1"}
    version = place | {"VersionId": head.version_id}
    sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": lock(5).until}
    batch = {"Objects": [{"Key": "ledger/1", "VersionId": head.version_id}]}
    for access in (writer_access(store_settings), store_administrator):
        s3 = client(access)
        for attempt in (
            lambda s3=s3: s3.delete_object(**place),
            lambda s3=s3: s3.delete_object(**version),
            lambda s3=s3: s3.delete_object(**version, BypassGovernanceRetention=True),
            lambda s3=s3: s3.put_object_retention(**version, Retention=sooner),
            lambda s3=s3: s3.delete_bucket(Bucket=records.bucket),
        ):
            assert refused(attempt) == "AccessDenied"
        answer = s3.delete_objects(Bucket=records.bucket, Delete=batch)
        assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    # An administrator's bypass is what GOVERNANCE mode leaves open; the writer has none.
    answer = client(writer_access(store_settings)).delete_objects(
        Bucket=records.bucket, Delete=batch, BypassGovernanceRetention=True
    )
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    assert records.get("ledger/1") == b"x"
    assert len(list(records.versions("ledger/"))) == 1


def test_compliance_mode_holds_against_the_administrator(
    records: S3Store, store_administrator: StoreAccess
) -> None:
    locked = Lock("COMPLIANCE", lock(5).until)
    records.put_if_absent("ledger/1", b"x", content_type="text/plain", lock=locked)
    head = records.head("ledger/1")
    assert head is not None
    s3 = client(store_administrator)
    s3.delete_bucket_policy(Bucket=records.bucket)
    place: dict[str, Any] = {"Bucket": records.bucket, "BypassGovernanceRetention": True}
    item = {"Key": "ledger/1", "VersionId": str(head.version_id)}
    assert refused(lambda: s3.delete_object(**place, **item)) == "AccessDenied"
    assert s3.delete_objects(**place, Delete={"Objects": [item]})["Errors"]
    assert refused(lambda: s3.delete_bucket(Bucket=records.bucket))
    assert records.get("ledger/1") == b"x"


def test_the_writer_can_neither_administer_nor_hide(store_settings: Settings) -> None:
    s3 = client(writer_access(store_settings))
    bucket = store_settings.bucket_records
    open_store(store_settings, "records").put_if_absent("a", b"x", content_type="text/plain")
    for attempt in (
        lambda: s3.delete_object(Bucket=bucket, Key="a"),
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}"),
        lambda: s3.delete_bucket_policy(Bucket=bucket),
        lambda: s3.put_object_lock_configuration(
            Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        ),
        lambda: s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
        lambda: s3.create_bucket(Bucket=f"{bucket}-more"),
        lambda: s3.put_object(Bucket=store_settings.bucket_anchor, Key="a", Body=b"x"),
        lambda: s3.get_object(Bucket=store_settings.bucket_anchor, Key="a"),
    ):
        assert refused(attempt) == "AccessDenied"


def test_each_identity_stays_within_its_buckets(store_settings: Settings) -> None:
    anchor = client(anchor_access(store_settings))
    assert open_store(store_settings, "anchor").put_if_absent(
        "checkpoints/1", b"x", content_type="text/plain", lock=lock()
    )
    open_store(store_settings, "narratives").put("texts/1", b"x", content_type="text/plain")
    reading = data_access(store_settings)
    assert reading is not None
    reader = client(StoreAccess(reading.endpoint, reading.region, reading.key, reading.secret))
    for attempt in (
        lambda: anchor.put_object(Bucket=store_settings.bucket_records, Key="a", Body=b"x"),
        lambda: reader.put_object(Bucket=store_settings.bucket_records, Key="a", Body=b"x"),
        lambda: reader.get_object(Bucket=store_settings.bucket_narratives, Key="texts/1"),
    ):
        assert refused(attempt) == "AccessDenied"


def test_a_text_is_gone_when_it_is_deleted(store_settings: Settings) -> None:
    narratives = open_store(store_settings, "narratives")
    narratives.put("texts/1", b"a person wrote this", content_type="text/plain")
    narratives.delete("texts/1")
    narratives.delete("texts/1")
    assert narratives.head("texts/1") is None
    assert list(narratives.versions("")) == []


def test_a_wrong_secret_is_told_from_other_refusals(store_settings: Settings) -> None:
    good = writer_access(store_settings)
    wrong = StoreAccess(good.endpoint, good.region, good.key, "not-the-secret")
    with pytest.raises(StoreError, match="does not accept the credentials") as caught:
        S3Store(client(wrong), store_settings.bucket_records).get("a")
    assert "not-the-secret" not in str(caught.value)


# ------------------------------------------------------------------------- data and set-up


def test_files_of_data_sets_are_listed_with_what_pins_them(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    s3, bucket = client(store_administrator), f"lake-{store_settings.bucket_records[-10:]}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    for name in ("2026-10-01.csv", "2026-10-02.csv", "old/2026-09-30.csv"):
        s3.put_object(Bucket=bucket, Key=f"log/{name}", Body=b"a,b\n")
    listing = list_versions(store_settings)
    first = f"s3://{bucket}/log/2026-10-01.csv"
    assert [row[0] for row in listing(f"s3://{bucket}/log/*.csv")] == [
        first,
        f"s3://{bucket}/log/2026-10-02.csv",
    ]
    assert len(listing(f"s3://{bucket}/log/**")) == 3
    before = listing(first)
    s3.put_object(Bucket=bucket, Key="log/2026-10-01.csv", Body=b"a,b\n1,2\n")
    after = listing(first)
    assert before[0][1] != after[0][1]
    assert before[0][2] != after[0][2]


def test_the_embedded_server_gives_every_guarantee(store_settings: Settings) -> None:
    found = self_test(store_settings)
    assert found.failed == ()
    assert found.endpoint == "loopback"
    assert found.server is not None
    assert found.server.startswith("SeaweedFS")
    text = found.model_dump_json()
    for hidden in ("127.0.0.1", *(str(store_settings.s3_access_key),)):
        assert hidden not in text


def test_setting_up_twice_changes_nothing(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    records = open_store(store_settings, "records")
    records.put_if_absent("ledger/1", b"x", content_type="text/plain", lock=lock())
    s3 = client(store_administrator)

    def form() -> list[Any]:
        return [
            s3.get_object_lock_configuration(Bucket=records.bucket)["ObjectLockConfiguration"],
            s3.get_bucket_versioning(Bucket=records.bucket)["Status"],
            s3.get_bucket_policy(Bucket=records.bucket)["Policy"],
            s3.get_bucket_encryption(Bucket=records.bucket)["ServerSideEncryptionConfiguration"],
        ]

    before = form()
    found = bootstrap(store_settings, administrator=store_administrator)
    assert form() == before
    assert found.proven
    assert found.status(Guarantee.DEFAULT_LOCK) == "passed"
    assert found.status(Guarantee.DELETION_DENIED) == "passed"
    assert found.status(Guarantee.PUBLIC_ACCESS_BLOCKED) == "not_supported"
    assert records.get("ledger/1") == b"x"


def test_a_writer_uses_buckets_that_somebody_else_set_up(store_settings: Settings) -> None:
    found = bootstrap(store_settings)
    assert found.proven
    assert found.status(Guarantee.DELETION_DENIED) == "not_tried"


def test_a_writer_cannot_create_buckets_and_is_told_so(store_settings: Settings) -> None:
    absent = store_settings.model_copy(
        update={"bucket_records": f"{store_settings.bucket_records}-absent"}
    )
    with pytest.raises(StoreError, match="refused the request"):
        bootstrap(absent)
