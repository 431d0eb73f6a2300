"""What is due goes with an entry, what is live stays locked, and a hold outlasts both."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nachweis.domain.errors import NachweisError, SettingsError, StoreError
from nachweis.domain.manifest.common import after
from nachweis.pipeline.archive import open_archive
from nachweis.pipeline.retention import dispose, hold, prolong
from nachweis.pipeline.verification import verify_all
from nachweis.settings import PACKAGE_ROOT, Settings
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind, RemovalPredicate
from nachweis.storage.ledger import Ledger
from nachweis.storage.object_store import Lock
from nachweis.storage.removal import LockedBucket
from nachweis.storage.s3 import open_store
from nachweis.storage.signing import open_signer
from nachweis.storage.verify_report import Remark
from tests.signed_store import SignedStore

pytestmark = pytest.mark.store
TINY = PACKAGE_ROOT / "tests" / "fixtures" / "tiny"
NIGHTS = ("2026-10-11", "2026-10-12", "2026-10-13")


def soon(_: str) -> Lock:
    """A lock that a test can wait for."""
    return Lock("GOVERNANCE", dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(0, 2))


def in_future(period: str) -> Callable[[], dt.datetime]:
    moment = after(dt.datetime.now(dt.UTC), period)
    return lambda: moment


@pytest.fixture
def settings(store_settings: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(TINY / "manifests", tmp_path / "world" / "manifests")
    return store_settings.model_copy(update={"world": str(tmp_path / "world")})


@pytest.fixture
def store(settings: Settings) -> SignedStore:
    """Three nights whose locks end at once."""
    ledger = Ledger(
        open_store(settings, "records"),
        open_signer(settings),
        soon,
        open_store(settings, "anchor"),
    )
    made = SignedStore(ledger.store, ledger)
    for number, night in enumerate(NIGHTS):
        made.night(night, f"{number}" * 16)
    return made


def nightly(settings: Settings, night: str) -> set[str]:
    archive = open_archive(settings)
    attempt = archive.current(night)
    assert attempt is not None
    statement = archive.statement(attempt)
    return {layout.evidence(one) for one in statement.evidence.values()} | {
        layout.assessment(night, attempt.attempt, one) for one in statement.assessments.values()
    }


def test_what_nothing_live_refers_to_goes_when_its_time_is_over(
    store: SignedStore, settings: Settings
) -> None:
    old = nightly(settings, NIGHTS[0]) | nightly(settings, NIGHTS[1])
    assert dispose(settings).due == {}, "thirteen months are not over"
    later = in_future("P14M")
    plan = dispose(settings, dry_run=True, now=later)
    assert set(plan.due) == old
    assert {rule for rule, _ in plan.due.values()} == {"evidence-lock"}
    without = settings.model_copy(update={"disposer_access_key": None, "disposer_secret_key": None})
    length = open_archive(settings).length
    with pytest.raises(SettingsError, match="disposer's credentials"):
        dispose(without, now=later)
    assert open_archive(settings).length == length, "nothing was signed in vain"

    held = min(old)
    hold(settings, [held], on=True)
    time.sleep(2.1)  # the locks end
    done = dispose(settings, now=later)
    assert (set(done.due), done.waiting) == (old - {held}, (held,))
    (entry,) = [one for one in open_archive(settings).counted if one.kind is EntryKind.DISPOSAL]
    assert entry.predicate == RemovalPredicate(rule="evidence-lock")
    report = verify_all(settings).report
    assert report.ok
    disposed = {one.key for one in report.notices if one.remark is Remark.DISPOSED}
    assert disposed == old - {held}
    assert nightly(settings, NIGHTS[2]) <= {one.key for one in store.records.list("")}

    hold(settings, [held], on=False)
    assert set(dispose(settings, now=later).due) == {held}
    assert dispose(settings, now=later).due == {}
    assert verify_all(settings).ok


def test_versions_outlive_their_activity_by_the_controllers_country(
    store: SignedStore, settings: Settings
) -> None:
    path = Path(settings.world) / "manifests" / "organisation.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    versions = {layout.record("newsletter", 1), layout.record("newsletter", 2)}

    def due(country: str, period: str) -> dict[str, str]:
        path.write_text(yaml.safe_dump(content | {"establishment": country}), encoding="utf-8")
        found = dispose(settings, dry_run=True, now=in_future(period)).due
        return {key: rule for key, (rule, _) in found.items()}

    assert not versions & set(due("DE", "P9Y")), "it runs"
    store.night("2026-10-14", "e" * 16, status="ended")
    for country, kept, over, rule in [
        ("DE", "P2Y", "P4Y", "record-retention"),
        ("DK", "P4Y", "P6Y", "record-retention-dk"),
    ]:
        assert not versions & set(due(country, kept))
        gone = due(country, over)
        assert {gone[key] for key in versions} == {rule}
        assert not [key for key in gone if key.startswith(("ledger/", "nights/2026-10-14"))]


def test_locks_of_what_is_live_are_prolonged_once_a_month_and_hold(
    store: SignedStore, settings: Settings
) -> None:
    assert prolong(settings) == 0, "a demonstration's locks last a day"
    standard = settings.model_copy(update={"retention": "standard"})
    bucket, anchor = LockedBucket(settings), LockedBucket(settings, anchor=True)
    old = nightly(settings, NIGHTS[0])
    count = prolong(standard)
    live = {one.key for one in store.records.list("") if not one.key.startswith("self-test/")}
    live -= old | nightly(settings, NIGHTS[1])
    points = [one.key for one in open_store(settings, "anchor").list("checkpoints/")]
    assert count == len(live) + len(points) and points
    until = after(dt.datetime.now(dt.UTC), "P13M") - dt.timedelta(minutes=10)
    for key in live:
        (version,) = bucket.versions(key)
        assert version.until is not None and version.until > until and version.mode == "GOVERNANCE"
    assert all(one.until and one.until > until for key in points for one in anchor.versions(key))
    assert prolong(standard) == 0, "less than a month ago"
    assert prolong(standard, now=in_future("P35D")) == count
    assert verify_all(settings).ok, "nothing but the locks changed"
    (version,) = bucket.versions(layout.record("newsletter", 1))
    with pytest.raises(StoreError, match="refuses to remove"):
        bucket.remove([version], bypass=False)
    with pytest.raises(StoreError):
        bucket.prolong(version, dt.datetime.now(dt.UTC) + dt.timedelta(days=1))


def test_a_held_document_stays_whoever_asks(store: SignedStore, settings: Settings) -> None:
    key = layout.record("newsletter", 1)
    bucket = LockedBucket(settings)
    assert [one.held for one in hold(settings, [key], on=None)] == [False]
    assert [one.held for one in hold(settings, [key], on=True)] == [True]
    with pytest.raises(StoreError):
        bucket.remove(bucket.versions(key), bypass=True)
    assert [one.obstacle(dt.datetime.now(dt.UTC)) for one in bucket.versions(key)] == [
        "a legal hold is on it"
    ]
    without = settings.model_copy(update={"disposer_access_key": None, "disposer_secret_key": None})
    with pytest.raises(SettingsError):
        hold(without, [key], on=False)
    with pytest.raises(NachweisError, match="no such document"):
        hold(settings, ["0" * 64], on=True)
    hold(settings, [key], on=False)
    bucket.remove(bucket.versions(key), bypass=True)
    with pytest.raises(NachweisError, match="no longer holds"):
        hold(settings, [key], on=None)
