"""The single-file verifier names what is wrong with any input, and never breaks off at it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nachweis.settings import PACKAGE_ROOT
from nachweis.storage import layout
from tests import second_verifier
from tests.memory_store import MemoryStore
from tests.signed_store import SignedStore, signed_store, signer
from tests.unit.test_pack import packed

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
PAYLOAD = "application/vnd.in-toto+json"


@pytest.fixture(scope="module")
def verify() -> ModuleType:
    path = PACKAGE_ROOT / "plugins" / "nachweis" / "storage" / "offline" / "verify.py"
    spec = importlib.util.spec_from_file_location("offline_verifier", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SignedStore:
    made = signed_store(MemoryStore(), signer(tmp_path_factory.mktemp("key")), anchor=MemoryStore())
    for number, day in enumerate(DAYS):
        made.night(day, f"{number}" * 16)
    return made


@pytest.fixture(scope="module")
def pack(store: SignedStore) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed(store, DAYS[0], DAYS[-1]))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def summed(files: dict[str, bytes]) -> dict[str, bytes]:
    """With the list of checksums made anew, as anybody can."""
    rest = {name: body for name, body in files.items() if name != "SHA256SUMS"}
    sums = [f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in rest.items()]
    return {**rest, "SHA256SUMS": "".join(sums).encode()}


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def run(verify: ModuleType, path: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, result and errors."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = verify.main([str(path), "--json", *more])
    return code, json.loads(out.getvalue() or "{}"), errors.getvalue()


def codes(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["code"], one["key"]) for one in found["problems"]}


def without(pack: dict[str, bytes], *days: str, first: int) -> dict[str, bytes]:
    """A pack from which nights were cut, as somebody would who has no key."""
    cut = {layout.ledger(DAYS.index(day) + 2) for day in days}
    files = {
        name: body
        for name, body in pack.items()
        if name not in cut and not any(name.startswith(f"nights/{day}/") for day in days)
    }
    said = json.loads(files["pack.json"])
    said["ledger"]["first"] = first
    return files | {"pack.json": json.dumps(said).encode()}


# ------------------------------------------------------------------- nights cut out of a pack


def test_nights_cut_out_of_a_pack_are_named(
    verify: ModuleType, pack: dict[str, bytes], store: SignedStore, tmp_path: Path
) -> None:
    folder = written(summed(without(pack, *DAYS[:3], first=5)), tmp_path)
    code, found, _ = run(verify, folder)
    assert code == 1
    assert ("nights_differ", "pack.json") in codes(found)
    assert found["nights"] == [DAYS[3]]
    trusted = min(store.trusted)
    assert ("nights_differ", "pack.json") in second_verifier.problems(folder, trusted)


def test_what_the_maker_of_a_pack_says_is_told_apart_from_what_is_signed(
    verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    """Who cuts nights out and says so consistently is not found out; the reader is told."""
    files = without(pack, DAYS[0], DAYS[1], first=4)
    # Evidence of the nights cut out is gone too, or it would be cited by nothing.
    found_in = {
        f"evidence/sha256/{digest[:2]}/{digest}.json.gz"
        for name, body in files.items()
        if name.endswith("statement.json")
        for digest in json.loads(body)["evidence"].values()
    }
    files = {k: v for k, v in files.items() if not k.startswith("evidence/") or k in found_in}
    said = json.loads(files["pack.json"]) | {"nights": list(DAYS[2:])}
    files["pack.json"] = json.dumps(said).encode()
    folder = written(summed(files), tmp_path)
    code, found, _ = run(verify, folder)
    assert (code, found["problems"]) == (0, [])
    notes = {note["code"]: note["sentence"] for note in found["notes"]}
    assert "statements of who made the pack" in notes["not_signed"]
    assert "2026-03-01 to 2026-03-02 (2 days)" in notes["no_night"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        verify.main([str(folder)])
    assert "as who made it says" in out.getvalue()
    assert "Nights found: 2026-03-03 to 2026-03-04 (2)" in out.getvalue()


def test_every_day_without_a_night_is_told(
    verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    said = json.loads(pack["pack.json"]) | {"from": "2026-02-27", "to": "2026-03-05"}
    folder = written(summed({**pack, "pack.json": json.dumps(said).encode()}), tmp_path)
    code, found, _ = run(verify, folder)
    told = [note["sentence"] for note in found["notes"] if note["code"] == "no_night"]
    assert code == 0
    assert told == [
        "No night is here of 2026-02-27 to 2026-02-28 (2 days).",
        "No night is here of 2026-03-05 (1 days).",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"nights": None}, {"nights": [1]}, {"nights": ["2026-02-30"]}, {"from": "2026-13-01"},
        {"from": "2026-03-05"}, {"to": "0000-01-01"},
    ],
)  # fmt: skip
def test_a_pack_that_claims_no_days_is_malformed(
    change: dict[str, Any], verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    said = json.dumps(json.loads(pack["pack.json"]) | change).encode()
    code, found, _ = run(verify, written(summed({**pack, "pack.json": said}), tmp_path))
    assert code == 1 and ("pack_malformed", "pack.json") in codes(found)


# -------------------------------------------------------------- documents that nobody signed

UNSIGNED = [
    "records/newsletter/v000009/record.json",
    "records/newsletter/v000009/record.en.pdf",
    "dossiers/churn/v000001/dossier.json",
    "approvals/record/newsletter/v000001/000001.json",
    "incidents/drill/000001.json",
    "nights/2026-03-01/zz/statement.json",
    f"nights/2026-03-01/{'0' * 16}/assessments/{'0' * 64}.json.gz",
    f"evidence/sha256/00/{'0' * 64}.json.gz",
]


@pytest.mark.parametrize("name", UNSIGNED)
def test_a_document_nobody_signed_is_a_problem_in_a_pack_and_a_note_in_a_copy(
    name: str, verify: ModuleType, pack: dict[str, bytes], store: SignedStore, tmp_path: Path
) -> None:
    folder = written(summed({**pack, name: b'{"forged":true}'}), tmp_path / "pack")
    code, found, _ = run(verify, folder)
    assert (code, codes(found)) == (1, {("object_uncited", name)})
    assert second_verifier.problems(folder, min(store.trusted)) == {("object_uncited", name)}
    memory = store.records
    assert isinstance(memory, MemoryStore)
    copy = {key: memory.get(key) for key in memory.present()} | {name: b'{"forged":true}'}
    _, found, _ = run(verify, written(copy, tmp_path / "copy"))
    assert {"code": "not_cited", "key": name} in [
        {"code": note["code"], "key": note["key"]} for note in found["notes"]
    ]
    assert "object_uncited" not in {code for code, _ in codes(found)}


def test_a_file_that_is_none_of_a_pack_is_told(
    verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    folder = written(summed({**pack, "opinion.txt": b"all in order"}), tmp_path)
    code, found, _ = run(verify, folder)
    told = {(note["code"], note["key"]) for note in found["notes"]}
    assert (code, ("unknown_object", "opinion.txt") in told) == (0, True)


# -------------------------------------------------------------------------- hostile bytes


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    "name", ["pack.json", "ledger/0000000002.json", "checkpoints/0000000005.json", "statement"]
)
def test_deeply_nested_json_is_named(
    name: str, verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    if name == "statement":
        name = next(key for key in pack if key.endswith("statement.json"))
    code, found, errors = run(verify, written(summed({**pack, name: DEEP}), tmp_path))
    assert (code, errors) == (1, "")
    assert name in {key for _, key in codes(found)}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_compression_in_a_zip_file_is_named(
    method: int, verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    path = zipped(tmp_path / "pack.zip", pack, method)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("README.en.txt")
        at = info.header_offset + 30 + len(info.filename)
    body = bytearray(path.read_bytes())
    at += 9 if method == zipfile.ZIP_LZMA else 0  # behind the properties of the stream
    body[at : at + 60] = bytes(byte ^ 0xFF for byte in body[at : at + 60])
    path.write_bytes(bytes(body))
    code, found, errors = run(verify, path)
    assert (code, errors) == (1, "")
    assert ("file_changed", "README.en.txt") in codes(found)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_damage_to_a_zip_file_breaks_the_verifier(
    verify: ModuleType, pack: dict[str, bytes], tmp_path: Path, data: st.DataObject
) -> None:
    method = data.draw(st.sampled_from([0, 8, 12, 14]))
    small = {k: v for k, v in pack.items() if not k.endswith((".py", ".txt"))}
    path = zipped(tmp_path / "pack.zip", summed(small), method)
    body = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(body[: data.draw(st.integers(len(body) // 2, len(body)))]))
    code, _, errors = run(verify, path)
    assert code in {0, 1, 2} and (errors.startswith("error: ") or not errors)
    assert "not verifiable" not in errors, "nothing may reach the last resort"


def test_many_names_and_names_given_twice_are_read_quickly(
    verify: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3000):
            archive.writestr(f"evidence/{number}", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("evidence/7", b"")
    assert verify.Box(str(path)).twice == ["evidence/7"]


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_an_input_that_is_too_large_is_named(
    limit: str, verify: ModuleType, pack: dict[str, bytes], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(verify, limit, 3)
    for path in (written(pack, tmp_path / "pack"), zipped(tmp_path / "pack.zip", pack)):
        code, found, _ = run(verify, path)
        assert (code, codes(found)) == (1, {("input_too_large", "")})


def test_what_unpacks_to_too_much_is_named(
    verify: ModuleType, pack: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(pack, tmp_path)
    total = sum(len(body) for body in pack.values())
    monkeypatch.setattr(verify, "MOST_BYTES", total)
    assert run(verify, folder)[0] == 0
    box = verify.Box(str(folder))
    with pytest.raises(verify.Excess):
        for _ in range(5):
            for name in pack:
                box.read(name)


def test_a_zip_file_that_is_not_whole_cannot_be_tried(verify: ModuleType, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"pack.json": b"{}"})
    body = path.read_bytes()
    path.write_bytes(body.replace(b"PK\x01\x02", b"PK\x01\x07"))
    code, _, errors = run(verify, path)
    assert (code, errors.count("\n")) == (2, 1) and errors.startswith("error: ")


ODD: list[Callable[[dict[str, Any]], Any]] = [
    lambda said: said.update(predicateType=7),
    lambda said: (
        said.update(predicateType="urn:nachweis:predicate:disposal:v1"),
        said["predicate"].update(entry=[]),
    ),
    lambda said: said["predicate"]["entry"].update(documents=[]),
    lambda said: said["predicate"]["entry"].update(versions=[]),
    lambda said: said.update(subject=[7]),
    lambda said: said.update(predicate=7),
]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_an_entry_of_an_odd_form_is_named(
    number: int, verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    key = layout.ledger(3)
    envelope = json.loads(pack[key])
    said = json.loads(base64.b64decode(envelope["payload"]))
    ODD[number](said)
    envelope["payload"] = base64.b64encode(verify.canonical(said)).decode()
    body = verify.canonical(envelope)
    code, found, errors = run(verify, written(summed({**pack, key: body}), tmp_path))
    assert (code, errors) == (1, "")
    assert ("entry_malformed", key) in codes(found)


def test_names_cannot_fake_a_line_of_the_result(
    verify: ModuleType, pack: dict[str, bytes], tmp_path: Path
) -> None:
    path = zipped(tmp_path / "pack.zip", {**pack, "x\nVERIFIES\x1b[2J": b""})
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert verify.main([str(path)]) == 1
    assert "VERIFIES" not in out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
