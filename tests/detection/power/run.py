"""Measure detection and false alarms, and write docs/detection.md.

Run ``python -m tests.detection.power.run [--seeds 20] [--nights 2000]``. With ``--state FILE`` a
run that was interrupted goes on where it stopped; the file belongs to one state of the code.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nachweis.domain.finding import Outcome
from nachweis.settings import PACKAGE_ROOT
from tests.detection.power.defects import DEFECTS, Defect
from tests.detection.power.measure import NIGHTS_PER_SEED, CleanNights, clean_nights, seen
from tests.detection.power.report import PROMISED_NIGHTS, PROMISED_SEEDS, Results, page
from tests.detection.power.world import Base

PAGE = PACKAGE_ROOT / "docs" / "detection.md"


class State:
    """Counts so far, by name, in a file if one is given.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.known: dict[str, Any] = {}
        if path is not None and path.is_file():
            self.known = json.loads(path.read_text(encoding="utf-8"))

    def put(self, name: str, value: Any) -> None:
        """Keep a count."""
        self.known[name] = value
        if self._path is not None:
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(self.known), encoding="utf-8")
            temporary.replace(self._path)


def main(arguments: list[str] | None = None) -> int:
    """Command line.

    Args:
        arguments: Arguments; default is those of the process.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.detection.power.run")
    parser.add_argument("--seeds", type=int, default=PROMISED_SEEDS)
    parser.add_argument("--nights", type=int, default=PROMISED_NIGHTS, help="clean model-nights")
    parser.add_argument("--only", default="", help="checks, separated by commas; writes no page")
    parser.add_argument("--state", type=Path, help="file to go on from")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    only = set(filter(None, given.only.split(",")))
    chosen = [defect for defect in DEFECTS if not only or defect.check in only]
    state, results = State(given.state), Results()
    folder = Path(tempfile.mkdtemp(prefix="nachweis-detection-"))
    try:
        base = Base(folder / "base")
        _detect(base, chosen, given.seeds, folder, state, results)
        if not only:
            _alarms(base, given.nights, folder, state, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if only:
        print(page(results))
    else:
        given.out.write_text(page(results), encoding="utf-8")
    return 0


def _detect(
    base: Base, defects: list[Defect], seeds: int, folder: Path, state: State, results: Results
) -> None:
    for defect in defects:
        for strength in defect.strengths:
            started = time.process_time()
            for seed in range(seeds):
                name = f"{defect.check}/{defect.words(strength)}/{seed}"
                if name not in state.known:
                    outcome = seen(base, defect, strength, seed, folder / "draw")
                    shutil.rmtree(folder / "draw", ignore_errors=True)
                    state.put(name, outcome.value if outcome else None)
                value = state.known[name]
                found = results.seen.setdefault((defect, strength), [])
                found.append(Outcome(value) if value else None)
            hits, n = results.detected(defect, strength)
            used = time.process_time() - started
            _say(f"{defect.check}, {defect.words(strength)}: {hits} of {n} ({used:.1f} s)")


def _alarms(base: Base, nights: int, folder: Path, state: State, results: Results) -> None:
    for seed, first in enumerate(range(0, nights, NIGHTS_PER_SEED)):
        n = min(NIGHTS_PER_SEED, nights - first)
        name = f"clean/{seed}/{n}"
        started = time.process_time()
        if name not in state.known:
            counts = clean_nights(base, seed, n, folder / "draw")
            shutil.rmtree(folder / "draw", ignore_errors=True)
            # Not asdict: it makes Counters of pairs.
            kept = {field.name: getattr(counts, field.name) for field in dataclasses.fields(counts)}
            state.put(name, kept)
        results.clean.add(
            CleanNights(
                **{
                    field: Counter(value) if isinstance(value, dict) else value
                    for field, value in state.known[name].items()
                }
            )
        )
        clean = results.clean
        raised = {check: times for check, times in clean.by_check.items() if times}
        used = time.process_time() - started
        _say(f"{clean.nights} clean nights, {clean.alarms} alarms {raised} ({used:.1f} s)")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
