"""Many signatures are verified together, in other processes or not, with the same verdicts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nachweis.domain.canonical import canonical_bytes
from nachweis.settings import Settings
from nachweis.storage import signature_batch as batch
from nachweis.storage import signing
from nachweis.storage.signature_batch import Job, Queue, verify_all
from tests.signed_store import signer


def jobs_of(key: Any, count: int, wrong: set[int]) -> list[Job]:
    found = []
    for number in range(count):
        opened = signing.open_signed(signing.sign(key, canonical_bytes({"n": number})))
        (job,) = signing.jobs_of(opened, {key.public_key.keyid: key.public_key})
        message = job.message + b"x" if number in wrong else job.message
        found.append(Job(job.key, job.signature, message))
    return found


@pytest.fixture
def ecdsa(tmp_path: Path) -> Any:
    path = tmp_path / "ecdsa.pem"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    return signing.open_signer(Settings(signer=f"file2:{path}"))


def queued(jobs: list[Job]) -> list[bool]:
    told: list[bool] = []
    queue = Queue()
    for job in jobs:
        queue.add([job], told.append)
    queue.finish()
    return told


@pytest.mark.parametrize("how", ["here", "in processes", "no process can be started"])
def test_verdicts_are_the_same_wherever_they_are_made(
    how: str, tmp_path: Path, ecdsa: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how != "here":
        monkeypatch.setattr(batch, "WORTH_A_PROCESS", 2)
        monkeypatch.setattr(batch, "BATCH", 5)
        monkeypatch.setattr(batch, "PROCESSES", 2)
    if how == "no process can be started":

        def refuse(*_: Any, **__: Any) -> Any:
            raise OSError

        monkeypatch.setattr(subprocess, "run", refuse)
    wrong = {0, 4, 5, 11}
    jobs = jobs_of(signer(tmp_path), 12, wrong)
    expected = [number not in wrong for number in range(12)]
    assert verify_all(jobs) == expected
    assert queued(jobs) == expected
    # One key of another kind, and one signature of another length.
    mixed = [*jobs_of(ecdsa, 2, {1}), *jobs[:3]]
    short = Job(jobs[1].key, type(jobs[1].signature)(jobs[1].key.keyid, "00"), jobs[1].message)
    assert verify_all([*mixed, short]) == queued([*mixed, short])
    assert verify_all([*mixed, short]) == [True, False, False, True, True, False]


def test_all_signatures_of_one_entry_have_to_verify(tmp_path: Path) -> None:
    good, bad = jobs_of(signer(tmp_path), 2, {1})
    told: list[bool] = []
    queue = Queue()
    queue.add([good, good], told.append)
    queue.add([good, bad], told.append)
    queue.finish()
    assert told == [True, False]


def test_nothing_to_verify_is_in_order() -> None:
    Queue().finish()
    assert verify_all([]) == []
