"""Generate the data of the demo world.

Run ``python -m demo.generate [--out demo/data] [--until 2026-11-20] [--days 60]``. The same
arguments give the same bytes; a second run finds its marker and does nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

from demo.clock import DAYS, LAST_NIGHT, nights
from demo.nights import Nights
from demo.population import population
from demo.registers import environment, write_registers
from demo.training import train, write_references

HERE = Path(__file__).parent
MARKER = "generated.txt"
ENVIRONMENT = "demo.env"

_LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "skops")
_READERS = frozenset({"expected.py"})
"""Modules that read the table of defects and write nothing."""


def generate(out: Path, until: dt.date = LAST_NIGHT, days: int = DAYS) -> bool:
    """Write the demo data.

    Args:
        out: Folder to write to.
        until: Last night.
        days: Number of nights.

    Returns:
        Whether anything was written; False if the folder already holds exactly this.
    """
    wanted = _identity(until, days)
    marker = out / MARKER
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        _say(f"{out} already holds the nights up to {until}; nothing to do")
        return False
    marker.unlink(missing_ok=True)
    started = time.monotonic()

    def progress(what: str) -> None:
        _say(f"[{time.monotonic() - started:5.1f} s] {what}")

    progress("customers and registers")
    people = population()
    write_registers(people, out)
    progress("training sets and models")
    models = train(people, out)
    write_references(people, models, out)
    writer = Nights(people, models, out)
    for number, night in enumerate(nights(until, days), start=1):
        writer.write(night)
        if number % 10 == 0 or number == days:
            progress(f"night {night} ({number} of {days})")
    (out / ENVIRONMENT).write_text(environment(), encoding="utf-8")
    marker.write_text(wanted, encoding="utf-8")
    progress(f"done: {_megabytes(out):.0f} MB in {out}")
    return True


def main(arguments: list[str] | None = None) -> int:
    """Command line.

    Args:
        arguments: Arguments; default is those of the process.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m demo.generate", description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "data", help="folder to write to")
    parser.add_argument("--until", type=dt.date.fromisoformat, default=LAST_NIGHT)
    parser.add_argument("--days", type=int, default=DAYS, help="number of nights")
    given = parser.parse_args(arguments)
    if given.days < 1:
        parser.error("--days must be at least 1")
    generate(given.out, given.until, given.days)
    return 0


def _identity(until: dt.date, days: int) -> str:
    """What the content depends on: this generator's source, the libraries and the arguments."""
    source = hashlib.sha256()
    for path in sorted(HERE.glob("*.py")):
        if path.name not in _READERS:
            source.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    libraries = " ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"generator {source.hexdigest()}\n{libraries}\nuntil {until} days {days}\n"


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress of a command


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
