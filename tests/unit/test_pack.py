"""A pack holds what belongs to one activity, and never what was done for another client."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest

from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.pipeline import pack
from nachweis.pipeline.archive import Archive
from nachweis.settings import PACKAGE_ROOT
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind, RemovalPredicate
from tests import second_verifier
from tests.memory_store import MemoryStore
from tests.signed_store import SignedStore, signed_store, signer

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


@pytest.fixture
def store(tmp_path: Path) -> SignedStore:
    return signed_store(MemoryStore(), signer(tmp_path), anchor=MemoryStore())


def packed(store: SignedStore, start: str, end: str, activity: str = "newsletter") -> bytes:
    anchor = store.ledger.anchor
    assert anchor is not None
    with tempfile.TemporaryDirectory() as cache:
        work = pack._Packing(Archive(store.records, Path(cache)), activity, start, end)
        work.collect(anchor)
    work.add_readmes(PACKAGE_ROOT / "templates" / "pack")
    return work.zipped()


def verified(content: bytes, folder: Path, trusted: str) -> set[tuple[str, str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return second_verifier.problems(folder, trusted)


def test_a_pack_holds_the_nights_asked_for_and_the_ledger_to_its_end(
    store: SignedStore, tmp_path: Path
) -> None:
    for day in DAYS:
        store.night(day)
    content = packed(store, DAYS[1], DAYS[1])
    names = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    assert {name for name in names if name.startswith("ledger/")} == {
        layout.ledger(number) for number in (1, 3, 4)
    }
    assert {name.split("/")[1] for name in names if name.startswith("nights/")} == {DAYS[1]}
    assert verified(content, tmp_path / "pack", min(store.trusted)) == set()
    assert packed(store, DAYS[1], DAYS[1]) == content


def test_another_client_is_never_in_a_pack(store: SignedStore) -> None:
    store.night(DAYS[0], "a" * 16, clients=("north",))
    before = packed(store, DAYS[0], DAYS[0])
    store.night(DAYS[1], "b" * 16, activity="campaigns", clients=("south",))
    for start, end in ((DAYS[0], DAYS[0]), (DAYS[0], DAYS[1])):
        with pytest.raises(NachweisError, match="other clients"):
            packed(store, start, end)
    with pytest.raises(NachweisError, match="other clients"):
        packed(store, DAYS[0], DAYS[1], "campaigns")
    south = {version for version, number in store.versions.items() if number == 2}
    assert south and not any(digest.encode() in before for digest in south)


def test_an_activity_for_two_clients_gives_no_pack(store: SignedStore) -> None:
    store.night(DAYS[0], clients=("north", "south"))
    with pytest.raises(NachweisError, match="other clients"):
        packed(store, DAYS[0], DAYS[0])


def test_own_activities_give_no_pack_beside_those_of_clients(store: SignedStore) -> None:
    store.night(DAYS[0], "a" * 16)
    store.night(DAYS[1], "b" * 16, activity="campaigns", clients=("south",))
    with pytest.raises(NachweisError, match="other clients"):
        packed(store, DAYS[0], DAYS[0])


def test_withdrawn_objects_stay_out_of_packs(store: SignedStore, tmp_path: Path) -> None:
    statement, _ = store.night(DAYS[0])
    (bundle,) = statement.evidence.values()
    key = layout.evidence(bundle)
    store.ledger.append(EntryKind.WITHDRAWAL, {key: bundle}, RemovalPredicate(incident="inc-1"))
    store.night(DAYS[1], "b" * 16)
    content = packed(store, DAYS[0], DAYS[1])
    assert key not in zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert verified(content, tmp_path / "pack", min(store.trusted)) == set()


def test_older_removals_of_other_objects_stay_out_of_packs(
    store: SignedStore, tmp_path: Path
) -> None:
    store.night(DAYS[0], "a" * 16, activity="campaigns", clients=("south",))
    key = layout.record("campaigns", 1)
    removal = store.ledger.append(
        EntryKind.WITHDRAWAL, {key: "ab" * 32}, RemovalPredicate(incident="inc-1")
    )
    store.night(DAYS[1], "b" * 16, clients=("north",))
    content = packed(store, DAYS[1], DAYS[1])
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert layout.ledger(removal.entry.sequence) not in names
    assert layout.ledger(removal.entry.sequence + 1) in names
    assert verified(content, tmp_path / "pack", min(store.trusted)) == set()


def test_an_older_removal_of_what_a_pack_cites_is_in_it(store: SignedStore, tmp_path: Path) -> None:
    statement, _ = store.night(DAYS[0])
    (version,) = statement.versions
    removal = store.ledger.append(
        EntryKind.WITHDRAWAL, {version.key: version.digest}, RemovalPredicate(incident="inc-1")
    )
    again, _ = store.night(DAYS[1], "b" * 16)
    assert [item.key for item in again.versions] == [version.key]
    content = packed(store, DAYS[1], DAYS[1])
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert layout.ledger(removal.entry.sequence) in names
    assert version.key not in names
    assert verified(content, tmp_path / "pack", min(store.trusted)) == set()


def test_an_older_removal_that_names_another_clients_objects_too_gives_no_pack(
    store: SignedStore,
) -> None:
    store.night(DAYS[0], "a" * 16, activity="campaigns", clients=("south",))
    statement, _ = store.night(DAYS[1], "b" * 16, clients=("north",))
    (version,) = statement.versions
    removed = {version.key: version.digest, layout.record("campaigns", 1): "ab" * 32}
    store.ledger.append(EntryKind.WITHDRAWAL, removed, RemovalPredicate(incident="inc-1"))
    store.night(DAYS[2], "c" * 16, clients=("north",))
    with pytest.raises(NachweisError, match="other clients"):
        packed(store, DAYS[2], DAYS[2])


def test_what_does_not_verify_is_not_packed(store: SignedStore) -> None:
    store.night(DAYS[0])
    memory = store.records
    assert isinstance(memory, MemoryStore)
    memory.overwrite(layout.record("newsletter", 1), b"{}")
    with pytest.raises(IntegrityError):
        packed(store, DAYS[0], DAYS[0])


def test_dates_of_the_zip_file_say_nothing(store: SignedStore) -> None:
    store.night(DAYS[0])
    with zipfile.ZipFile(io.BytesIO(packed(store, DAYS[0], DAYS[0]))) as archive:
        infos = archive.infolist()
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}


def test_a_pack_explains_all_it_holds_in_three_languages(store: SignedStore) -> None:
    store.night(DAYS[0])
    with zipfile.ZipFile(io.BytesIO(packed(store, DAYS[0], DAYS[0]))) as archive:
        held = {name.split("/")[0] for name in archive.namelist()}
        texts = {
            language: archive.read(f"README.{language}.txt").decode("utf-8")
            for language in ("en", "de", "da")
        }
    assert len(set(texts.values())) == 3
    for language, text in texts.items():
        assert "newsletter" in text and DAYS[0] in text and "$" not in text
        assert "--key" in text and "openssl" in text
        named = {line.split()[0].rstrip("/") for line in text.splitlines() if line[:2] == "  "}
        unexplained = {name for name in held - named if not name.startswith("README.")}
        assert unexplained == set(), language
