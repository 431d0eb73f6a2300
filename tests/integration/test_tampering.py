"""Every way of tampering is found and named, by three verifiers that share no code."""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.util
import json
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.errors import NachweisError
from nachweis.pipeline.pack import make_pack
from nachweis.pipeline.verification import verify_all
from nachweis.settings import PACKAGE_ROOT
from nachweis.storage import layout
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.folder_store import FolderStore
from nachweis.storage.s3_client import StoreAccess, client
from nachweis.storage.signing import generate_key, open_signer
from nachweis.storage.verify import verify_store
from tests import second_verifier
from tests.evidence_world import Copy, EvidenceWorld, build
from tests.integration.night_support import FIRST, SECOND, command, place
from tests.tamper_cases import CASES, PACK_CASES, SERVER_CASES, Case, ServerCase

pytestmark = pytest.mark.store
FIRST_DAY, LAST_DAY = dt.date.fromisoformat(FIRST), dt.date.fromisoformat(SECOND)
VERIFIER = PACKAGE_ROOT / "plugins" / "nachweis" / "storage" / "offline" / "verify.py"


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[EvidenceWorld]:
    with place(tmp_path_factory.mktemp("tampering"), embedded_store) as here:
        yield build(here)


@pytest.fixture(scope="module")
def signers(world: EvidenceWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    stranger = generate_key(tmp_path_factory.mktemp("stranger") / "key.pem")
    foreign = world.old.model_copy(update={"signer": f"file2:{stranger}"})
    return {
        "old": open_signer(world.old),
        "new": open_signer(world.new),
        "stranger": open_signer(foreign),
    }


@pytest.fixture(scope="module")
def offline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify", VERIFIER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Found = set[tuple[str, str]]


def product(folder: Path, trusted: str) -> Found:
    store = FolderStore(folder)
    report = verify_store(store, {trusted}, anchor=store, narratives=store)
    return {(problem.code.value, problem.key) for problem in report.problems}


def single_file(module: ModuleType, folder: Path, trusted: str) -> Found:
    verifier = module.Verifier(module.Box(str(folder)), trusted)
    verifier.run()
    return {(problem["code"], problem["key"]) for problem in verifier.problems}


def keyless(found: Found) -> Found:
    """A ledger of foreign origin as a whole has no key of its own to be named at."""
    return {(code, "" if code == "key_untrusted" else key) for code, key in found}


def test_the_untouched_copy_verifies_for_all_three(
    world: EvidenceWorld, offline: ModuleType, tmp_path: Path
) -> None:
    folder = Copy(dict(world.objects)).write(tmp_path)
    for trusted in (world.first_key, str(open_signer(world.new).public_key.keyid)):
        assert product(folder, trusted) == set()
        assert single_file(offline, folder, trusted) == set()
        assert second_verifier.problems(folder, trusted) == set()


def test_what_repeats_a_withdrawn_bundle_is_named_and_nothing_else(world: EvidenceWorld) -> None:
    bundle = world.withdrawn.split("/")[-1][:64].encode()
    assessments = [key for key in world.objects if "/assessments/" in key]
    citing = [key for key in assessments if bundle in gzip.decompress(world.objects[key])]
    assert world.withdrawn not in world.objects, "the real disposer removed it from the server"
    assert citing and sorted(world.repeated) == sorted(citing)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_tampering_is_found_and_named_by_all_three(
    case: Case, world: EvidenceWorld, signers: dict[str, Any], offline: ModuleType, tmp_path: Path
) -> None:
    copy = Copy(dict(world.objects), signers)
    key = case.tamper(copy)
    folder = copy.write(tmp_path)
    ours = keyless(product(folder, world.first_key))
    theirs = keyless(single_file(offline, folder, world.first_key))
    second = keyless(second_verifier.problems(folder, world.first_key))
    assert (case.code, key) in ours
    assert ours == theirs == second


@pytest.mark.parametrize("number", range(1, 9))
def test_an_entry_that_cannot_be_read_is_named_alike(
    number: int, world: EvidenceWorld, offline: ModuleType, whole: Path
) -> None:
    key = layout.ledger(number)
    body = world.objects[key]
    (whole / key).write_bytes(b"[" + body[1:])
    try:
        ours = keyless(product(whole, world.first_key))
        assert ("entry_malformed", key) in ours
        assert ours == keyless(single_file(offline, whole, world.first_key))
        assert ours == keyless(second_verifier.problems(whole, world.first_key))
    finally:
        (whole / key).write_bytes(body)


@pytest.fixture(scope="module")
def whole(world: EvidenceWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Copy(dict(world.objects)).write(tmp_path_factory.mktemp("whole"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found_by_all_three(
    world: EvidenceWorld, offline: ModuleType, whole: Path, data: st.DataObject
) -> None:
    """But for what tasks handed over, and bytes of a gzip file that change nothing inside it."""
    evident = [key for key in sorted(world.objects) if not re.match("texts/|nights/.*/runs/", key)]
    key = data.draw(st.sampled_from(evident))
    body = world.objects[key]
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    (whole / key).write_bytes(changed)
    try:
        ours = keyless(product(whole, world.first_key))
        assert ours == keyless(single_file(offline, whole, world.first_key))
        assert ours == keyless(second_verifier.problems(whole, world.first_key))
    finally:
        (whole / key).write_bytes(body)
    if not ours:
        assert gzip.decompress(changed) == gzip.decompress(body)


# -------------------------------------------------------------------------- in a pack


@pytest.fixture(scope="module")
def packed(world: EvidenceWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of both nights, unpacked."""
    place = tmp_path_factory.mktemp("pack")
    made = make_pack(world.new, "marketing", FIRST_DAY, LAST_DAY, place / "pack.zip")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(place / "files")
    return place


@pytest.mark.parametrize(
    "case", [*(case for case in CASES if case.in_pack), *PACK_CASES], ids=lambda c: c.id
)
def test_tampering_with_a_pack_is_found_and_named(
    case: Case, packed: Path, world: EvidenceWorld, signers: dict[str, Any], offline: ModuleType,
    tmp_path: Path,
) -> None:  # fmt: skip
    copy = files_of(packed / "files", signers)
    key = case.tamper(copy)
    with_sums(copy)
    folder = copy.write(tmp_path)
    found = keyless(single_file(offline, folder, world.first_key))
    assert (case.code, key) in found
    assert found == keyless(second_verifier.problems(folder, world.first_key))


def files_of(folder: Path, signers: dict[str, Any]) -> Copy:
    return Copy(
        {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*")
            if p.is_file()
        },
        signers,
    )


def with_sums(copy: Copy) -> None:
    """Write the list of checksums anew, as anybody can."""
    copy.files.pop("SHA256SUMS")
    sums = [f"{digest_bytes(body)}  {name}\n" for name, body in sorted(copy.files.items())]
    copy.files["SHA256SUMS"] = "".join(sums).encode()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("file_changed", lambda files: files.update({"README.en.txt": b"All is well."})),
        ("file_missing", lambda files: files.pop("README.da.txt")),
        ("file_unlisted", lambda files: files.update({"notes.txt": b"trust me"})),
        ("pack_malformed", lambda files: files.update({"pack.json": b"{}"})),
    ],
)
def test_a_damaged_pack_is_named(
    code: str, change: Callable[[dict[str, bytes]], Any], packed: Path, offline: ModuleType,
    tmp_path: Path, world: EvidenceWorld,
) -> None:  # fmt: skip
    copy = files_of(packed / "files", {})
    change(copy.files)
    folder = copy.write(tmp_path)
    assert code in {code for code, _ in single_file(offline, folder, world.first_key)}


# A process that finds neither this package nor, in the second form, any package at all.
ALONE = {
    "with cryptography": [sys.executable, "-I", "-c"],
    "with openssl": [sys.executable, "-I", "-S", "-c"],
}
WITHOUT_US = """
import runpy, sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nachweis":
            raise ImportError(name)
sys.meta_path.insert(0, Gone())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("how", ALONE)
def test_the_pack_verifies_in_a_process_without_the_package(
    how: str, packed: Path, world: EvidenceWorld, tmp_path: Path
) -> None:
    def verify(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
        script = packed / "files" / "verify.py"
        command = [*ALONE[how], WITHOUT_US, str(script), str(path), *more]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    for path in (packed / "pack.zip", packed / "files"):
        done = verify(path, "--key", world.first_key)
        assert (done.returncode, done.stderr) == (0, "")
        assert "VERIFIES" in done.stdout
    assert "NO KEY WAS GIVEN" in verify(packed / "pack.zip").stdout
    foreign = verify(packed / "pack.zip", "--key", "0" * 64)
    assert (foreign.returncode, "key_untrusted" in foreign.stdout) == (1, True)
    nothing = verify(tmp_path / "nothing", "--key", world.first_key)
    assert (nothing.returncode, nothing.stdout) == (2, "")


def test_the_same_store_gives_the_same_bytes(
    world: EvidenceWorld, packed: Path, tmp_path: Path
) -> None:
    again = make_pack(world.new, "marketing", FIRST_DAY, LAST_DAY, tmp_path / "again.zip")
    assert again.path.read_bytes() == (packed / "pack.zip").read_bytes()
    text = (packed / "files" / "README.de.txt").read_text("utf-8")
    assert "marketing" in text and "$" not in text


def test_a_pack_is_made_from_the_command_line(world: EvidenceWorld, tmp_path: Path) -> None:
    path = tmp_path / "taken-away.zip"
    code, out, _ = command("pack", "marketing", "--from", FIRST, "--to", FIRST, "--out", str(path))
    assert (code, "1 nights" in out) == (0, True)
    assert digest_bytes(path.read_bytes()) in out
    code, _, err = command("pack", "marketing", "--from", SECOND, "--to", FIRST)
    assert (code, "before the first" in err) == (2, True)
    code, _, err = command("pack", "marketing", "--from", "yesterday", "--to", FIRST)
    assert (code, "--from" in err) == (2, True)


def test_a_pack_of_nothing_is_refused(world: EvidenceWorld, tmp_path: Path) -> None:
    with pytest.raises(NachweisError, match="no record of this activity"):
        make_pack(world.new, "marketting", FIRST_DAY, LAST_DAY, tmp_path / "x.zip")
    day = dt.date(2020, 1, 1)
    with pytest.raises(NachweisError, match="no night of this time"):
        make_pack(world.new, "marketing", day, day, tmp_path / "x.zip")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- versions, on the server


@dataclass(frozen=True)
class OnServer:
    """What the store's administrator can do to its versions; undone after each case."""

    s3: Any
    bucket: str
    put: list[tuple[str, str]] = field(default_factory=list)

    def write(self, key: str, body: bytes) -> None:
        answer = self.s3.put_object(
            Bucket=self.bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256"
        )
        self.put.append((key, answer["VersionId"]))

    def hide(self, key: str) -> None:
        answer = self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.put.append((key, answer["VersionId"]))

    def body(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def undo(self) -> None:
        for key, version in self.put:
            self.s3.delete_object(
                Bucket=self.bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
            )


@pytest.mark.parametrize("case", SERVER_CASES, ids=lambda case: case.id)
def test_tampering_with_versions_on_the_server_is_found_and_named(
    case: ServerCase, world: EvidenceWorld, store_administrator: StoreAccess
) -> None:
    bucket = world.new.bucket_anchor if case.anchor else world.new.bucket_records
    s3 = client(store_administrator)
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    hand = OnServer(s3, bucket)
    try:
        key = case.tamper(hand, Copy(dict(world.objects)))
        code, out, _ = command("verify", "--trusted", world.first_key)
        assert (code, f"{case.code} at {key}" in out) == (1, True)
    finally:
        hand.undo()
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)


def test_the_server_refuses_to_delete_what_is_locked(
    world: EvidenceWorld, store_administrator: StoreAccess
) -> None:
    s3, bucket = client(store_administrator), world.new.bucket_records
    key = layout.ledger(2)
    version = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
    for attempt in (
        lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=version),
        lambda: s3.delete_object(Bucket=bucket, Key=key),
    ):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            attempt()
    assert verify_all(world.new, world.first_key).ok


# --------------------------------------------------------------------- the command line


def test_every_way_to_verify_works_from_the_command_line(
    world: EvidenceWorld, tmp_path: Path
) -> None:
    assert command("verify")[0] == 0
    code, out, _ = command("verify", "--incremental")
    assert (code, "Scope      entries behind number" in out) == (0, True)
    code, out, _ = command("verify", "--document", "record/marketing")
    assert (code, "cited at ledger/" in out) == (0, True)
    code, out, _ = command("verify", "--as-of", "2020-01-01")
    assert (code, "nothing has been signed yet" in out) == (0, True)
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    code, out, _ = command("verify", "--as-of", today)
    assert (code, "versions in force: dossier/propensity/1, record/marketing/2" in out) == (0, True)
    folder = Copy(dict(world.objects)).write(tmp_path)
    code, out, _ = command("verify", "--copy", str(folder), "--trusted", world.first_key)
    assert (code, "not_versioned" in out) == (0, True)
    code, _, err = command("verify", "--copy", str(folder), "--incremental")
    assert (code, "exclude each other" in err) == (2, True)


def test_a_forged_note_of_the_last_verification_hides_no_rewritten_entry(
    world: EvidenceWorld,
) -> None:
    assert command("verify")[0] == 0
    (note,) = (world.new.state / "verified").iterdir()
    content = json.loads(note.read_text())
    note.write_text(json.dumps({**content, "head": "0" * 64}))
    code, out, _ = command("verify", "--incremental")
    assert (code, "ledger_rewritten" in out) == (1, True)
    note.write_text("noise")
    code, out, _ = command("verify", "--incremental")
    assert (code, "Scope" in out) == (0, False)
    long_ago = {**content, "full_at": "2020-01-01T00:00:00+00:00"}
    note.write_text(json.dumps(long_ago))
    code, out, _ = command("verify", "--incremental")
    assert (code, "Scope" in out) == (0, False)


def test_keys_are_listed_made_and_revoked_from_the_command_line(
    world: EvidenceWorld, tmp_path: Path
) -> None:
    code, out, _ = command("key", "list")
    old, new = out.splitlines()
    assert code == 0
    assert old.startswith(world.first_key) and "ended by entry" in old
    assert "in force" in new
    path = tmp_path / "keys" / "third.pem"
    code, out, _ = command("key", "new", str(path))
    assert (code, stat.S_IMODE(path.stat().st_mode)) == (0, 0o600)
    code, _, err = command("key", "new", str(path))
    assert (code, "a file already" in err) == (2, True)
    code, _, err = command("key", "revoke", "0" * 64, "--from-entry", "1", "--reason", "forgotten")
    assert (code, "superseded" in err) == (2, True)


def test_a_lost_key_is_revoked_and_the_ledger_goes_on(
    world: EvidenceWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runbook for a lost key: a second key in force stands ready, and takes over."""
    reserve = tmp_path / "reserve.pem"
    command("key", "new", str(reserve))
    monkeypatch.setenv("NACHWEIS_SIGNER", str(world.new.signer))
    code, out, err = command("key", "rotate", "--to", f"file2:{reserve}", "--keep")
    assert (code, err) == (0, "")
    number = int(out.split("ledger entry ")[1].split()[0])
    lost = str(open_signer(world.new).public_key.keyid)
    monkeypatch.setenv("NACHWEIS_SIGNER", f"file2:{reserve}")
    code, out, _ = command(
        "key", "revoke", lost, "--from-entry", str(number + 1), "--reason", "lost"
    )
    assert code == 0
    code, out, _ = command("verify", "--trusted", world.first_key)
    assert (code, f"Anchored   up to entry {number + 1}" in out) == (0, True)
    listed = command("key", "list")[1]
    assert f"{lost}  since" in listed
    assert f"not trusted from entry {number + 1} on" in listed
