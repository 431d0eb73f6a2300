"""Progress of a night: printed by `make nightly`, logged by a scheduled task."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from nachweis.domain.errors import NachweisError

_log = logging.getLogger("nachweis.progress")
_listeners: list[Callable[[str], None]] = []
_planned: list[str] = []
"""Subjects still to come, where the plan was made in this process; else empty."""
_total = 0


def tell(line: str) -> None:
    """Report one step to the task's log and to whoever listens.

    Args:
        line: What happened, in one line without data values.
    """
    for listener in _listeners:
        listener(line)
    log(line)


def log(line: str) -> None:
    """Write to the task's log only."""
    _log.info(line)


def expect(subjects: Sequence[str]) -> None:
    """Note what is going to run, so that each step can say how far the night is."""
    global _total
    _planned[:] = subjects
    _total = len(subjects)


def position(subject: str) -> str:
    """How far the night is with this subject, for example ``"3/23 "``.

    A worker of a scheduler runs one task and knows of no others: there it is empty.
    """
    if subject not in _planned:
        return ""
    _planned.remove(subject)
    return f"{_total - len(_planned)}/{_total} "


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Let somebody hear each step for a while.

    Args:
        listener: Called with each line.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Report a failure of what runs inside, by its own words or by its type, and pass it on.

    Args:
        name: What runs.
    """
    try:
        yield
    except NachweisError as error:
        tell(f"{name} did not run: {error.what}")
        raise
    except Exception as error:
        tell(f"{name} did not run: {type(error).__name__}")
        raise


class Printer:
    """Prints each step with the time since the start.

    Args:
        stream: Where to print.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()

    def __enter__(self) -> Printer:
        _listeners.append(self.line)
        return self

    def __exit__(self, *_: object) -> None:
        _listeners.remove(self.line)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def line(self, text: str) -> None:
        """Print one step."""
        self._stream.write(f"[{self.elapsed:5.1f} s] {text}\n")
        self._stream.flush()
