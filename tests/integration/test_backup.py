"""A backup is a copy that verifies, follows removals, and gives a store that verifies."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from nachweis.domain.errors import IntegrityError, NachweisError, StoreConflictError
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.backup import backup, restore
from nachweis.pipeline.removal import NEW_INCIDENT, ledger_of, withdraw
from nachweis.pipeline.verification import verify_all
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage import layout
from nachweis.storage.bootstrap import bootstrap
from nachweis.storage.entries import EntryKind, ReferencePredicate
from nachweis.storage.narratives import write_text
from nachweis.storage.offline import verify as offline
from nachweis.storage.removal import LockedBucket
from nachweis.storage.s3 import open_store
from nachweis.storage.s3_client import StoreAccess
from nachweis.storage.verify_report import Remark
from tests.signed_store import SignedStore

pytestmark = pytest.mark.store
TINY = PACKAGE_ROOT / "tests" / "fixtures" / "tiny"


@pytest.fixture
def settings(store_settings: Settings) -> Settings:
    return store_settings.model_copy(update={"world": str(TINY)})


@pytest.fixture
def store(settings: Settings) -> SignedStore:
    """A signed night, and a decision with a text."""
    made = SignedStore(open_store(settings, "records"), ledger_of(settings))
    made.night("2026-10-11")
    cited = write_text(open_store(settings, "narratives"), "why it was decided so")
    made.ledger.append(
        EntryKind.DECISION,
        {"decision:1": "0" * 64},
        ReferencePredicate(
            id="one", event="acknowledged", text_ref=cited.ref, text_digest=cited.digest
        ),
    )
    return made


def elsewhere(settings: Settings, administrator: StoreAccess) -> Settings:
    """The same organisation with fresh buckets."""
    mark = uuid.uuid4().hex[:10]
    names = {
        f"bucket_{role}": f"nachweis-{role}-{mark}"
        for role in ("records", "narratives", "site", "anchor")
    }
    fresh = settings.model_copy(update=names)
    bootstrap(fresh, administrator=administrator)
    return fresh


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_backup_verifies_grows_and_gives_a_store_that_verifies(
    store: SignedStore, settings: Settings, store_administrator: StoreAccess, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    first = backup(settings, folder)
    assert first.verification.ok
    said = {one.remark for one in first.verification.report.notices}
    assert said == {Remark.NOT_VERSIONED}, "a copy knows no versions; nothing else is to be said"
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*.json"))
    stamp = layout.timestamp(2)
    open_store(settings, "anchor").put_if_absent(
        stamp, b"a time stamp", content_type="application/timestamp-reply"
    )
    store.night("2026-10-12", "b" * 16)
    second = backup(settings, folder)
    assert second.verification.ok
    assert (second.kept, second.removed) == (first.written + first.kept, 0)
    assert second.verification.report.entries == first.verification.report.entries + 1
    assert backup(settings, folder).written == 0
    independent = offline.Verifier(
        offline.Box(str(folder)), str(store.ledger.signer.public_key.keyid)
    )
    independent.run()
    assert independent.problems == []

    fresh = elsewhere(settings, store_administrator)
    records = open_store(fresh, "records")
    body = (folder / layout.record("newsletter", 1)).read_bytes()
    # As an interrupted restore leaves it.
    records.put_if_absent(
        layout.record("newsletter", 1), body, content_type="application/json", lock=None
    )
    done = restore(fresh, folder)
    assert done.verification.ok
    assert done.kept == 1
    assert open_store(fresh, "anchor").get(stamp) == b"a time stamp"
    before, after = verify_all(settings).report, verify_all(fresh).report
    assert (after.head, after.nights, after.checked, after.anchored) == (
        before.head,
        before.nights,
        before.checked,
        before.anchored,
    )
    assert restore(fresh, folder).written == 0
    (version,) = LockedBucket(fresh).versions(layout.ledger(1))
    assert version.mode == "GOVERNANCE" and version.until is not None
    SignedStore(records, ledger_of(fresh)).night("2026-10-13", "c" * 16, activity="other")
    assert verify_all(fresh).ok, "and it goes on"
    with pytest.raises(StoreConflictError, match="that the backup does not"):
        restore(fresh, folder)


def test_a_backup_follows_withdrawals_and_erased_texts(
    store: SignedStore, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    backup(settings, folder)
    archive = open_archive(settings)
    digest = archive.statement(archive.attempts[0]).evidence["activity/newsletter"]
    (text,) = [key for key in files(folder) if key.startswith("texts/")]
    assert layout.evidence(digest) in files(folder)
    withdraw(settings, [digest], NEW_INCIDENT)
    open_store(settings, "narratives").delete(text)
    done = backup(settings, folder)
    assert done.verification.ok
    assert done.removed == 2
    assert not {text, layout.evidence(digest)} & set(files(folder))


def test_a_backup_that_does_not_verify_is_not_restored(
    store: SignedStore, settings: Settings, store_administrator: StoreAccess, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    backup(settings, folder)
    path = folder / layout.record("newsletter", 1)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Newsletter", b"Newsletters"))
    fresh = elsewhere(settings, store_administrator)
    with pytest.raises(IntegrityError, match="digest_mismatch at records/newsletter"):
        restore(fresh, folder)
    assert [
        one for one in open_store(fresh, "records").list("") if "self-test" not in one.key
    ] == []
    path.unlink()
    assert backup(settings, folder).written == 1, "the next backup mends it"

    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("not a backup")
    with pytest.raises(NachweisError, match="something other than a backup"):
        backup(settings, other)
    with pytest.raises(IntegrityError, match="holds no ledger"):
        restore(fresh, other)
    with pytest.raises(NachweisError, match="nothing was signed yet"):
        backup(fresh, tmp_path / "empty")
