"""Measure detection and false alarms, and write docs/detection.md.

Run ``python -m tests.detection.power.run [--seeds 20] [--nights 2000]``. With ``--state FILE`` a
run that was interrupted goes on where it stopped. The file belongs to one state of the code: its
commit is kept with the counts and stands on the page. ``--page --planted FILE`` takes the planted
defects from another run, whose commit is then named beside that of the clean nights.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nachweis.domain.finding import Outcome
from nachweis.settings import PACKAGE_ROOT
from tests.detection.power.base import Base
from tests.detection.power.defect import Defect
from tests.detection.power.defects import DEFECTS
from tests.detection.power.measure import (
    MENDED_ON,
    NIGHTS_PER_SEED,
    CleanNights,
    clean_nights,
    seen,
)
from tests.detection.power.real import NOTHING, REAL_DEFECTS, RealBase, present, seen_in_real
from tests.detection.power.report import PROMISED_NIGHTS, PROMISED_SEEDS, Results, page

PAGE = PACKAGE_ROOT / "docs" / "detection.md"
_MEASURED = "measured/"
"""Begins the names under which a state keeps the commits at which a part was measured."""


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

    def measuring(self, part: str) -> None:
        """Keep the commit at which a part is measured."""
        commit = _commit()
        before = self.known.get(_MEASURED + part, [])
        if commit and commit not in before:
            self.put(_MEASURED + part, [*before, commit])

    @property
    def commits(self) -> dict[str, list[str]]:
        """Part to the commits at which it was measured, as far as they are known."""
        return {
            name.removeprefix(_MEASURED): commits
            for name, commits in self.known.items()
            if name.startswith(_MEASURED)
        }


def _commit() -> str:
    """The commit of the working copy; empty outside of one."""
    command = ["git", "-C", str(PACKAGE_ROOT), "rev-parse", "--short", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


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
    parser.add_argument("--page", action="store_true", help="only write what the state file knows")
    parser.add_argument("--planted", type=Path, help="with --page: file with planted defects")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    only = set(filter(None, given.only.split(",")))
    chosen = [defect for defect in DEFECTS if not only or defect.check in only]
    state, results = State(given.state), Results()
    if given.page:
        planted = State(given.planted) if given.planted else state
        given.out.write_text(page(known(state, planted)), encoding="utf-8")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="nachweis-detection-"))
    try:
        base = Base(folder / "base")
        real = RealBase(folder / "real") if present() and not only else None
        draws = 0 if only else -(-given.nights // NIGHTS_PER_SEED)
        # What was made so far lives as long as the run: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        # In turns, so that a run that is interrupted knows something of both.
        for turn in range(max(given.seeds, draws)):
            if turn < given.seeds:
                state.measuring("planted")
                _detect(base, chosen, turn, folder, state, results)
                if real is not None:
                    _detect_in_real(real, turn, folder, state, results)
            if turn < draws:
                state.measuring("clean")
                n = min(NIGHTS_PER_SEED, given.nights - turn * NIGHTS_PER_SEED)
                _alarms(base, turn, n, folder, state, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results.commits = state.commits
    if only:
        print(page(results))
    else:
        given.out.write_text(page(results), encoding="utf-8")
    return 0


def known(state: State, planted: State | None = None) -> Results:
    """Everything that a state file knows, without running anything.

    Args:
        state: What was counted.
        planted: What was counted about planted defects, where it was another run.

    Returns:
        The results.
    """
    planted = planted or state
    commits = {"planted": planted.commits.get("planted"), "clean": state.commits.get("clean")}
    results = Results(commits={part: found for part, found in commits.items() if found})
    for defects, kept, name_of in (
        (DEFECTS, results.seen, _name),
        (REAL_DEFECTS, results.real, _name_in_real),
    ):
        for defect in defects:
            for strength in (NOTHING, *defect.strengths):
                for seed in range(PROMISED_SEEDS):
                    name = name_of(defect, strength, seed)
                    if name in planted.known:
                        value = planted.known[name]
                        found = kept.setdefault((defect, strength), [])
                        found.append(Outcome(value) if value else None)
    for name, counts in state.known.items():
        if name.startswith("clean/"):
            _add_nights(results, int(name.split("/")[1]), _counts(counts))
    return results


def _name(defect: Defect, strength: float, seed: int) -> str:
    return f"{defect.check}/{defect.words(strength)}/{seed}"


def _name_in_real(defect: Defect, strength: float, seed: int) -> str:
    return f"real/{defect.check}/{strength:g}/{seed}"


def _add_nights(results: Results, draw: int, counts: CleanNights) -> None:
    results.clean.add(counts)
    if draw not in MENDED_ON:
        results.fresh.add(counts)


def _counts(kept: Mapping[str, Any]) -> CleanNights:
    """Counts of clean nights as they were kept."""
    return CleanNights(
        **{
            field: Counter(value) if isinstance(value, dict) else value
            for field, value in kept.items()
        }
    )


def _detect(
    base: Base, defects: list[Defect], seed: int, folder: Path, state: State, results: Results
) -> None:
    """Plant every defect at every strength with one seed."""
    started, hits = time.process_time(), 0
    for defect in defects:
        for strength in defect.strengths:
            name = _name(defect, strength, seed)
            if name not in state.known:
                outcome = seen(base, defect, strength, seed, folder / "draw")
                shutil.rmtree(folder / "draw", ignore_errors=True)
                state.put(name, outcome.value if outcome else None)
            value = state.known[name]
            found = results.seen.setdefault((defect, strength), [])
            found.append(Outcome(value) if value else None)
            hits += found[-1] is Outcome.FAIL
            if defect.promised and strength == defect.strengths[-1] and value != Outcome.FAIL:
                _say(f"seed {seed}: {defect.check}, {defect.words(strength)}: {value}")
    used = time.process_time() - started
    _say(f"seed {seed}: {hits} of {3 * len(defects)} plantings detected ({used:.1f} s)")


def _detect_in_real(
    base: RealBase, seed: int, folder: Path, state: State, results: Results
) -> None:
    """Plant every defect in real data with one seed, and nothing."""
    for defect in REAL_DEFECTS:
        for strength in (NOTHING, *defect.strengths):
            name = _name_in_real(defect, strength, seed)
            if name not in state.known:
                outcome = seen_in_real(base, defect, strength, seed, folder / "draw")
                shutil.rmtree(folder / "draw", ignore_errors=True)
                state.put(name, outcome.value if outcome else None)
            value = state.known[name]
            found = results.real.setdefault((defect, strength), [])
            found.append(Outcome(value) if value else None)


def _alarms(
    base: Base, seed: int, nights: int, folder: Path, state: State, results: Results
) -> None:
    """Judge the clean nights of one draw."""
    name = f"clean/{seed}/{nights}"
    started = time.process_time()
    if name not in state.known:
        counts = clean_nights(base, seed, nights, folder / "draw")
        shutil.rmtree(folder / "draw", ignore_errors=True)
        # Not asdict: it makes Counters of pairs.
        kept = {field.name: getattr(counts, field.name) for field in dataclasses.fields(counts)}
        state.put(name, kept)
    _add_nights(results, seed, _counts(state.known[name]))
    clean = results.clean
    raised = {check: times for check, times in clean.by_check.items() if times}
    crashed = {check: times for check, times in clean.errors.items() if times}
    used = time.process_time() - started
    _say(
        f"{clean.nights} clean nights, {clean.alarms} alarms {raised}, crashed {crashed} "
        f"({used:.1f} s)"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
