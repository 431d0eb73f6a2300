"""What slipped in can be taken out, by the disposer alone, and never without an entry."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from nachweis.domain.errors import NachweisError, RemovedError, SettingsError, StoreError
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.removal import NEW_INCIDENT, PER_ENTRY, ledger_of, withdraw
from nachweis.pipeline.verification import verify_all
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage import layout
from nachweis.storage.documents import write_document
from nachweis.storage.entries import EntryKind
from nachweis.storage.object_store import Lock
from nachweis.storage.offline import verify as offline
from nachweis.storage.removal import LockedBucket
from nachweis.storage.s3 import open_store, writer_access
from nachweis.storage.s3_client import StoreAccess, client
from nachweis.storage.verify_report import Code, Remark
from tests import second_verifier
from tests.evidence_world import Copy, copy_of
from tests.integration.night_support import Place
from tests.signed_store import SignedStore

pytestmark = pytest.mark.store
TINY = PACKAGE_ROOT / "tests" / "fixtures" / "tiny"


@pytest.fixture(scope="module")
def settings(module_store_settings: Settings) -> Settings:
    return module_store_settings.model_copy(update={"world": str(TINY)})


@pytest.fixture(scope="module")
def store(settings: Settings) -> SignedStore:
    """Signed nights; each test takes out something of its own, and leaves a store that verifies."""
    made = SignedStore(open_store(settings, "records"), ledger_of(settings))
    for day in range(11, 16):
        made.night(f"2026-10-{day}", f"{day}" * 8)
    return made


def bundle_of(settings: Settings, night: str) -> str:
    archive = open_archive(settings)
    attempt = archive.current(night)
    assert attempt is not None
    return archive.statement(attempt).evidence["activity/newsletter"]


def without_disposer(settings: Settings) -> Settings:
    return settings.model_copy(update={"disposer_access_key": None, "disposer_secret_key": None})


def notices(settings: Settings, key: str) -> set[Remark]:
    return {one.remark for one in verify_all(settings).report.notices if one.key == key}


def test_a_withdrawn_document_is_gone_and_said_to_be_withdrawn(
    store: SignedStore, settings: Settings
) -> None:
    digest = bundle_of(settings, "2026-10-11")
    key = layout.evidence(digest)
    archive = open_archive(settings)
    archive.evidence(digest)  # leaves a copy in the cache
    done = withdraw(settings, [digest], NEW_INCIDENT)
    assert (done.keys, done.pending) == ((key,), ())
    assert list(store.records.versions(key)) == []
    assert verify_all(settings).ok
    assert notices(settings, key) == {Remark.WITHDRAWN}
    after = open_archive(settings)
    assert done.incident in after.incidents()
    assert not (after.cache / "objects" / digest[:2] / digest).exists()
    with pytest.raises(RemovedError, match="was withdrawn, as ledger entry"):
        after.evidence(digest)
    assert after.history("activity/newsletter", dt.date(2026, 10, 12), 1) == []
    length = after.length
    assert withdraw(settings, [digest], done.incident).keys == (key,)
    assert open_archive(settings).length == length, "once withdrawn, nothing more is signed"


def test_without_the_disposer_it_is_signed_first_and_completed_later(
    store: SignedStore, settings: Settings
) -> None:
    digest = bundle_of(settings, "2026-10-12")
    key = layout.evidence(digest)
    done = withdraw(without_disposer(settings), [digest], NEW_INCIDENT)
    assert (done.keys, done.pending) == ((), (key,))
    assert verify_all(settings).ok
    assert notices(settings, key) == {Remark.WITHDRAWN, Remark.STILL_PRESENT}
    done = withdraw(settings, [digest], done.incident)
    assert (done.keys, done.pending, done.entries) == ((key,), (), ())
    assert notices(settings, key) == {Remark.WITHDRAWN}


def test_a_compliance_lock_is_named_before_anything_is_signed(
    store: SignedStore, settings: Settings
) -> None:
    content = b"personal data in the wrong place"
    key = layout.incident("slip", 1)
    until = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(minutes=2)
    write_document(store.records, key, content, lock=Lock("COMPLIANCE", until))
    length = open_archive(settings).length
    with pytest.raises(StoreError, match="COMPLIANCE mode, so that nobody can remove it before"):
        withdraw(settings, [key], NEW_INCIDENT)
    assert open_archive(settings).length == length
    assert store.records.get(key) == content
    bucket = LockedBucket(settings)
    with pytest.raises(StoreError, match="refuses to remove"):
        bucket.remove(bucket.versions(key), bypass=True)
    assert store.records.get(key) == content, "the server itself refuses, whoever asks"


def test_nobody_but_the_disposer_removes_a_locked_version(
    store: SignedStore, settings: Settings, store_administrator: StoreAccess
) -> None:
    key = layout.evidence(bundle_of(settings, "2026-10-13"))
    bucket = LockedBucket(settings)
    (version,) = bucket.versions(key)
    assert version.mode == "GOVERNANCE"
    for access in (writer_access(settings), store_administrator):
        s3 = client(access)
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.delete_object(
                Bucket=settings.bucket_records,
                Key=key,
                VersionId=version.version,
                BypassGovernanceRetention=True,
            )
    with pytest.raises(StoreError):
        bucket.remove([version], bypass=False)
    assert list(store.records.versions(key))
    with pytest.raises(SettingsError, match="disposer's credentials"):
        LockedBucket(without_disposer(settings)).remove([version], bypass=True)


def test_removal_without_an_entry_is_named_missing_by_all_verifiers(
    store: SignedStore, settings: Settings, tmp_path: Path
) -> None:
    digest = bundle_of(settings, "2026-10-14")
    key = layout.evidence(digest)
    gone = layout.evidence(bundle_of(settings, "2026-10-15"))
    withdraw(settings, [digest], NEW_INCIDENT)
    bucket = LockedBucket(settings)
    bucket.remove(bucket.versions(gone), bypass=True)
    report = verify_all(settings).report
    assert [(one.code, one.key) for one in report.problems] == [(Code.OBJECT_MISSING, gone)]
    trusted = str(store.ledger.signer.public_key.keyid)
    folder = Copy(copy_of(Place(TINY, settings))).write(tmp_path)
    expected = {("object_missing", gone)}
    single_file = offline.Verifier(offline.Box(str(folder)), trusted)
    single_file.run()
    assert {(one["code"], one["key"]) for one in single_file.problems} == expected
    assert {one["code"] for one in single_file.notes if one["key"] == key} == {"withdrawn"}
    assert second_verifier.problems(folder, trusted) == expected
    assert notices(settings, key) == {Remark.WITHDRAWN}
    withdraw(settings, [gone], NEW_INCIDENT)
    assert verify_all(settings).ok, "signed too late is signed all the same"


def test_what_cannot_be_withdrawn_is_refused_in_words(
    store: SignedStore, settings: Settings
) -> None:
    length = open_archive(settings).length
    for name, incident, said in [
        ("ledger/0000000001.json", NEW_INCIDENT, "the chain of all later entries"),
        ("0" * 64, NEW_INCIDENT, "no such document"),
        ("../../etc/passwd", NEW_INCIDENT, "no such document"),
        ("ledger/0000000001.json", "nothing-happened", "no such incident"),
    ]:
        with pytest.raises(NachweisError, match=said):
            withdraw(settings, [name], incident)
    statement = open_archive(settings).attempts[0]
    key = layout.statement(statement.night, statement.attempt)
    with pytest.raises(NachweisError, match="every later verification begins"):
        withdraw(settings, [key], NEW_INCIDENT)
    assert open_archive(settings).length == length


def test_many_documents_take_as_many_entries_as_they_need(
    store: SignedStore, settings: Settings
) -> None:
    keys = [layout.incident(f"slips-{number}", 1) for number in range(PER_ENTRY + 1)]
    for key in keys:
        write_document(store.records, key, key.encode(), lock=store.ledger.lock(key))
    done = withdraw(settings, keys, NEW_INCIDENT)
    assert len(done.entries) == 2 and set(done.keys) == set(keys)
    said = [one for one in open_archive(settings).counted if one.sequence in done.entries]
    assert {one.kind for one in said} == {EntryKind.WITHDRAWAL}
    assert sum(len(one.subjects) for one in said) == PER_ENTRY + 1
    assert verify_all(settings).ok
