"""Background processes of our own: started detached, remembered in a file, stopped by id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOP_SECONDS = 20.0
_PROC = Path("/proc/self/stat")


@dataclass(frozen=True, slots=True)
class Process:
    """One process we started.

    Attributes:
        name: What it is.
        pid: Process id, also the id of its session and process group.
        birth: When the kernel started it; a reused id has another birth.
    """

    name: str
    pid: int
    birth: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _birth(self.pid) == self.birth


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start a process in a session of its own, writing to a log.

    Args:
        name: What it is.
        command: Program and arguments.
        environment: Its whole environment.
        log: File that takes its output.

    Returns:
        The process.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawnp(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process(name, pid, _birth(pid))


def stop(processes: Sequence[Process]) -> None:
    """End each in turn, the last started first: ask, wait, then end it with its children.

    Args:
        processes: In the order in which they were started; the first serve the later ones.
    """
    for process in reversed(processes):
        if not process.alive:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while process.alive and time.monotonic() < deadline:
            time.sleep(0.1)
        # The group's number stays taken while a child of the process is in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def save(file: Path, processes: Sequence[Process], facts: Mapping[str, Any]) -> None:
    """Remember processes and facts about them, readable by this user only."""
    content = {**facts, "processes": [[p.name, p.pid, p.birth] for p in processes]}
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(content, stream)


def read(file: Path) -> tuple[list[Process], dict[str, Any]]:
    """Read what `save` wrote; nothing if there is no such file or it is damaged."""
    try:
        content = json.loads(file.read_text())
        found = [Process(name, pid, birth) for name, pid, birth in content.pop("processes")]
    except (OSError, ValueError, KeyError, TypeError):
        return [], {}
    return found, content


def _birth(pid: int) -> str:
    """Start time of a running process; empty if there is none or it has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    if not _PROC.exists():  # not Linux: an id is all there is to go by
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        return "unknown"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]
