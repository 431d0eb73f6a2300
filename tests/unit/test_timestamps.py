"""Time stamps of another party: obtained, verified, told when absent, nobody else believed."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.errors import SettingsError
from nachweis.pipeline.verification import Verification
from nachweis.settings import Settings
from nachweis.storage import layout, timestamps
from nachweis.storage.verify import Code, Remark, VerifyReport, verify_store
from tests.memory_store import MemoryStore
from tests.signed_store import SignedStore, signed_store, signer
from tests.time_authority import TimeAuthority, answering, time_authority


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeAuthority]:
    with answering(time_authority(tmp_path_factory.mktemp("tsa") / "own", "Root")) as found:
        yield found


@pytest.fixture(scope="module")
def forger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeAuthority]:
    """An authority of the same names with other keys, whose tokens bring their root along."""
    folder = tmp_path_factory.mktemp("forger") / "own"
    with answering(time_authority(folder, "Root", with_root=True)) as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> SignedStore:
    made = signed_store(MemoryStore(), signer(tmp_path), anchor=MemoryStore("anchor"))
    made.night("2026-03-01")
    return made


def anchor_of(store: SignedStore) -> MemoryStore:
    assert isinstance(store.ledger.anchor, MemoryStore)
    return store.ledger.anchor


def settings_for(tsa: TimeAuthority, **more: Any) -> Settings:
    return Settings(timestamp_url=tsa.url, timestamp_certificates=tsa.root, **more)


def stamp(store: SignedStore, settings: Settings, sequence: int = 2) -> str:
    return timestamps.stamp(settings, anchor_of(store), sequence, lambda _: None)


def report_of(store: SignedStore, settings: Settings) -> VerifyReport:
    trusted = timestamps.authority(settings)
    return verify_store(store.records, store.trusted, anchor=anchor_of(store), stamps=trusted)


def remarks(report: VerifyReport) -> set[Remark]:
    return {notice.remark for notice in report.notices}


def test_a_stamped_checkpoint_is_verified_and_its_time_told(
    store: SignedStore, tsa: TimeAuthority
) -> None:
    settings = settings_for(tsa)
    assert stamp(store, settings) == ""
    report = report_of(store, settings)
    assert report.ok
    assert report.timestamped == 2
    told = dt.datetime.fromisoformat(report.timestamped_at)
    assert abs(dt.datetime.now(dt.UTC) - told) < dt.timedelta(minutes=5)
    assert Remark.NOT_TIMESTAMPED not in remarks(report)
    text = Verification(report, "-").text()
    assert f"Stamped    up to entry 2, at {report.timestamped_at}" in text


def test_openssl_agrees(store: SignedStore, tsa: TimeAuthority, tmp_path: Path) -> None:
    assert stamp(store, settings_for(tsa)) == ""
    for key in (layout.checkpoint(2), layout.timestamp(2)):
        (tmp_path / key.partition("/")[0]).write_bytes(anchor_of(store).get(key))
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", tmp_path / "checkpoints", "-in",
         tmp_path / "timestamps", "-CAfile", tsa.root],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_absence_is_told_and_no_fault(store: SignedStore, tsa: TimeAuthority) -> None:
    without = report_of(store, Settings())
    assert without.ok
    assert (without.timestamped, without.timestamped_at) == (0, "")
    assert Remark.NOT_TIMESTAMPED not in remarks(without)
    assert "no time stamp of another party was verified" in Verification(without, "-").text()
    wanted = report_of(store, settings_for(tsa))
    assert wanted.ok
    assert Remark.NOT_TIMESTAMPED in remarks(wanted)


def test_entries_behind_the_newest_stamp_are_told(store: SignedStore, tsa: TimeAuthority) -> None:
    settings = settings_for(tsa)
    stamp(store, settings)
    store.night("2026-03-02", status="suspended")
    report = report_of(store, settings)
    assert (report.ok, report.timestamped) == (True, 2)
    [notice] = [n for n in report.notices if n.remark is Remark.NOT_TIMESTAMPED]
    assert notice.sentence == "Entries after number 2 carry no time stamp."


def test_stamps_are_not_believed_without_certificates(
    store: SignedStore, tsa: TimeAuthority
) -> None:
    stamp(store, settings_for(tsa))
    report = report_of(store, Settings())
    assert (report.ok, report.timestamped) == (True, 0)
    assert Remark.NOT_TIMESTAMPED in remarks(report)


def test_who_is_not_trusted_stamps_nothing(
    store: SignedStore, tsa: TimeAuthority, forger: TimeAuthority
) -> None:
    asked = settings_for(tsa).model_copy(update={"timestamp_url": forger.url})
    assert "does not verify" in stamp(store, asked)
    assert anchor_of(store).head(layout.timestamp(2)) is None
    # The same token, put there by somebody who can write to the anchor.
    assert stamp(store, settings_for(forger)) == ""
    report = report_of(store, settings_for(tsa))
    assert [(p.code, p.key) for p in report.problems] == [
        (Code.TIMESTAMP_INVALID, layout.timestamp(2))
    ]
    assert report.timestamped == 0


def test_a_stamp_of_another_checkpoint_is_found(store: SignedStore, tsa: TimeAuthority) -> None:
    settings = settings_for(tsa)
    store.night("2026-03-02", status="suspended")
    assert stamp(store, settings, 3) == ""
    anchor = anchor_of(store)
    anchor.overwrite(layout.timestamp(2), anchor.get(layout.timestamp(3)))
    report = report_of(store, settings)
    assert [(p.code, p.key) for p in report.problems] == [
        (Code.TIMESTAMP_INVALID, layout.timestamp(2))
    ]
    assert report.timestamped == 3


@pytest.mark.parametrize("at", [3, 40, 300, -3])
def test_a_changed_stamp_is_found(store: SignedStore, tsa: TimeAuthority, at: int) -> None:
    settings, anchor = settings_for(tsa), anchor_of(store)
    stamp(store, settings)
    token = bytearray(anchor.get(layout.timestamp(2)))
    token[at] ^= 1
    anchor.overwrite(layout.timestamp(2), bytes(token))
    assert {p.code for p in report_of(store, settings).problems} == {Code.TIMESTAMP_INVALID}


def test_a_night_is_stamped_once(store: SignedStore, tsa: TimeAuthority) -> None:
    settings = settings_for(tsa)
    assert [stamp(store, settings), stamp(store, settings)] == ["", ""]
    assert len(list(anchor_of(store).versions(layout.TIMESTAMPS))) == 1


def test_an_authority_that_does_not_answer_costs_the_stamp_only(
    store: SignedStore, tsa: TimeAuthority
) -> None:
    away = settings_for(tsa).model_copy(update={"timestamp_url": "http://127.0.0.1:9/secret-path"})
    said = stamp(store, away)
    assert said.startswith("no time stamp was obtained: the authority does not answer")
    assert "secret-path" not in said
    assert report_of(store, away).ok


def test_settings_that_cannot_work_are_refused(tsa: TimeAuthority, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for wrong in (
        Settings(timestamp_url=tsa.url),
        Settings(timestamp_url="ftp://x/y", timestamp_certificates=tsa.root),
        Settings(timestamp_certificates=tmp_path / "no.pem"),
        Settings(timestamp_certificates=tmp_path / "absent.pem"),
    ):
        with pytest.raises(SettingsError):
            timestamps.authority(wrong)
