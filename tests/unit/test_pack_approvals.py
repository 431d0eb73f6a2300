"""Packs hold who approved what: roles and digests, verified, and no name of a person."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nachweis.storage import layout, offline
from tests import second_verifier
from tests.approval_desk import (
    ADVISER,
    AUTHOR,
    DECIDER,
    DPO,
    OWNER,
    PROPOSER,
    TARGET,
    Office,
)
from tests.unit.test_pack import packed

EVENTS = [layout.approval("record", TARGET, 1, number) for number in (1, 2, 3)]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path / "office")
    made.folder.mkdir()
    made.night("2026-03-01")
    made.submit()
    made.advise()
    made.approve(reason="Looked at with the department.")
    return made


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def rewritten(content: bytes, folder: Path, **change: Any) -> Path:
    """The pack in a folder; files that are None are taken out, checksums follow."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    for name in change.get("without", ()):
        (folder / name).unlink()
        sums = [line for line in sums if not line.endswith(f"  {name}")]
    (folder / "SHA256SUMS").write_text("".join(f"{line}\n" for line in sums))
    return folder


def verified(folder: Path, office: Office) -> tuple[set[tuple[str, str]], dict[str, Any]]:
    """What both verifiers find: problems, which have to agree, and what verify.py says."""
    trusted = min(office.store.trusted)
    script = Path(offline.__file__).with_name("verify.py")
    ran = subprocess.run(
        [sys.executable, str(script), str(folder), "--key", trusted, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(ran.stdout)
    found = {(one["code"], one["key"]) for one in said["problems"]}
    assert second_verifier.problems(folder, trusted) == found
    return found, said


def test_a_pack_says_who_approved_by_role_and_never_by_name(office: Office, tmp_path: Path) -> None:
    content = packed(office.store, "2026-03-01", "2026-03-01", TARGET)
    assert set(EVENTS) <= set(names(content))
    assert not any(name.startswith("texts/") for name in names(content))
    for person in (PROPOSER, DECIDER, ADVISER, "Looked at with the department."):
        assert person.encode() not in content
    found, said = verified(rewritten(content, tmp_path / "pack"), office)
    assert found == set()
    assert [(one["event"], one["role"]) for one in said["approvals"]] == [
        ("submitted", AUTHOR), ("advice agrees", DPO), ("approved", OWNER),
    ]  # fmt: skip
    assert {(one["document"], one["version"], one["night"]) for one in said["approvals"]} == {
        (f"record/{TARGET}", "1", "2026-03-01")
    }


def test_an_approval_from_before_the_first_night_comes_with_its_entries(
    office: Office, tmp_path: Path
) -> None:
    office.later(days=1)
    office.night("2026-03-02")
    content = packed(office.store, "2026-03-02", "2026-03-02", TARGET)
    assert set(EVENTS) <= set(names(content))
    assert layout.statement("2026-03-01", "0123456789abcdef") not in names(content)
    found, said = verified(rewritten(content, tmp_path / "pack"), office)
    assert found == set()
    assert len(said["approvals"]) == 3


def test_a_pack_that_lacks_an_event_it_claims_does_not_verify(
    office: Office, tmp_path: Path
) -> None:
    content = packed(office.store, "2026-03-01", "2026-03-01", TARGET)
    folder = rewritten(content, tmp_path / "pack", without=[EVENTS[1]])
    assert verified(folder, office)[0] == {("object_missing", EVENTS[1])}


def test_a_changed_event_is_named(office: Office, tmp_path: Path) -> None:
    content = packed(office.store, "2026-03-01", "2026-03-01", TARGET)
    folder = rewritten(content, tmp_path / "pack")
    path = folder / EVENTS[2]
    path.write_bytes(path.read_bytes().replace(b'"approved"', b'"rejected"'))
    found, said = verified(folder, office)
    assert ("digest_mismatch", EVENTS[2]) in found
    assert all(one["event"] != "rejected" for one in said["approvals"])


def test_a_pack_of_an_older_release_verifies_without_events(office: Office, tmp_path: Path) -> None:
    content = packed(office.store, "2026-03-01", "2026-03-01", TARGET)
    folder = rewritten(content, tmp_path / "pack", without=[*EVENTS, "pack.json"])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        claims = json.loads(archive.read("pack.json"))
    del claims["approvals"]
    (folder / "pack.json").write_text(json.dumps(claims))
    found, said = verified(folder, office)
    assert found == {("file_unlisted", "pack.json")}
    assert said["approvals"] == []
