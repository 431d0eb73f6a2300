"""Many signatures at once: on all cores where there are enough of them to be worth a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nachweis.storage import signature_worker
from nachweis.storage.signature_worker import LENGTH, SIGNATURE, verdicts

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signature

WORTH_A_PROCESS = 1000
"""Signatures below which a process costs more time than it saves."""
BATCH = 4000
"""Signatures that one process gets."""
PROCESSES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Job:
    """One signature to verify.

    Attributes:
        key: The key that is said to have made it.
        signature: The signature.
        message: What was signed.
    """

    key: Key
    signature: Signature
    message: bytes


def verify_all(jobs: Sequence[Job]) -> list[bool]:
    """Verify signatures.

    Args:
        jobs: The signatures.

    Returns:
        Whether each verifies, in the same order.
    """
    return list(map(bool, _verdicts(jobs)))


class Queue:
    """Verifies signatures beside the reading of more: full batches in processes of their own."""

    def __init__(self) -> None:
        self._waiting: list[tuple[list[Job], Callable[[bool], None]]] = []
        self._running: list[tuple[Future[bytes], list[tuple[int, Callable[[bool], None]]]]] = []
        self._pool = ThreadPoolExecutor(PROCESSES)

    def add(self, jobs: list[Job], then: Callable[[bool], None]) -> None:
        """Verify signatures some time before :meth:`finish` returns.

        Args:
            jobs: All of them have to verify.
            then: Is told whether they do; called in the order of the calls of this method.
        """
        self._waiting.append((jobs, then))
        if len(self._waiting) >= BATCH and PROCESSES > 1:
            self._start(_elsewhere)

    def finish(self) -> None:
        """Verify what is left, and tell everybody."""
        if len(self._waiting) < WORTH_A_PROCESS or PROCESSES == 1:
            self._start(_verdicts)
        else:
            half = -(-len(self._waiting) // PROCESSES)
            rest = self._waiting
            for start in range(0, len(rest), half):
                self._waiting = rest[start : start + half]
                self._start(_elsewhere)
        while self._running:
            self._tell()
        self._pool.shutdown()

    def _start(self, verify: Callable[[Sequence[Job]], bytes]) -> None:
        jobs = [job for several, _ in self._waiting for job in several]
        told = [(len(several), then) for several, then in self._waiting]
        self._waiting = []
        self._running.append((self._pool.submit(verify, jobs), told))
        if len(self._running) > 2 * PROCESSES:
            self._tell()

    def _tell(self) -> None:
        future, told = self._running.pop(0)
        verdicts, at = future.result(), 0
        for count, then in told:
            then(all(verdicts[at : at + count]))
            at += count


def _verdicts(jobs: Sequence[Job]) -> bytes:
    """One byte per signature, verified in this process."""
    if all(map(_is_ed25519, jobs)):
        return verdicts(memoryview(_frames(jobs)))
    return bytes(map(_verify, jobs))


def _is_ed25519(job: Job) -> bool:
    return job.key.keytype == "ed25519" and len(bytes.fromhex(job.signature.signature)) == SIGNATURE


def _verify(job: Job) -> bool:
    from securesystemslib.exceptions import UnverifiedSignatureError

    try:
        job.key.verify_signature(job.signature, job.message)
    except UnverifiedSignatureError:
        return False
    return True


def _frames(jobs: Sequence[Job]) -> bytes:
    frames = bytearray()
    for job in jobs:
        frames += bytes.fromhex(job.key.keyval["public"])
        frames += bytes.fromhex(job.signature.signature)
        frames += len(job.message).to_bytes(LENGTH, "big")
        frames += job.message
    return bytes(frames)


def _elsewhere(jobs: Sequence[Job]) -> bytes:
    """The same in another process; where none can be started, in this one."""
    if not all(map(_is_ed25519, jobs)):
        return _verdicts(jobs)
    frames = _frames(jobs)
    script = Path(signature_worker.__file__).resolve()
    try:
        done = subprocess.run(  # noqa: S603 - our own script, by its path
            [sys.executable, "-I", str(script)], input=frames, capture_output=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return verdicts(memoryview(frames))
    return done.stdout if len(done.stdout) == len(jobs) else verdicts(memoryview(frames))
