"""One model's night against the script a user would write, and against one scan of its data.

Four programs run on the same two files, each in a fresh process with its imports done before the
clock starts; the median of several runs counts:

- the plain script: Great Expectations on pandas, Evidently's drift preset, Fairlearn on the rows;
- the shipped pipeline with an empty profile cache (cold) and with the reference's profiles (warm);
- the floor: one DuckDB scan with count, minimum and maximum of every column of both files.

Before any time is printed, the numbers that the pipeline publishes are held against the plain
script's: verdicts, counts, methods, distances and group rates.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-9
PLAIN, COLD, WARM, FLOOR = "plain script", "pipeline, cold", "pipeline, warm", "floor"
EVERY = {
    "pipeline, all checks": "all",
    "of these, scans": "pushed-down",
    "of these, samples": "sampled",
}
"""Rows of ``--all-checks``: what :mod:`bench.every_check` runs, each with an empty cache."""
_METHODS = {
    "Wasserstein distance (normed)": "wasserstein",
    "Jensen-Shannon distance": "jensenshannon",
}


@dataclass
class Runs:
    """What the processes of one program measured."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median time in seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """Largest memory of all runs in megabytes."""
        return max(self.peak_mb)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each of the two files")
    parser.add_argument("--repeat", type=int, default=3, help="runs of the pipeline and the floor")
    parser.add_argument("--plain-repeat", type=int, default=3, help="runs of the plain script")
    parser.add_argument(
        "--all-checks",
        action="store_true",
        help="also the pipeline with every check that applies, scans and samples apart",
    )
    parser.add_argument("--data", type=Path, default=ROOT / "bench" / "data")
    options = parser.parse_args(arguments)
    # Files of an older generator must not be taken for this one's.
    generator = hashlib.sha256((ROOT / "bench" / "data.py").read_bytes()).hexdigest()[:8]
    folder = options.data / f"{options.rows}-{generator}"
    say(f"two files of {options.rows:,} rows in {folder}")
    # In a process of its own: a parent's memory must not grow into its children's.
    python("-m", "bench.data", str(folder), str(options.rows))
    runs = _run_all(folder, options.repeat, options.plain_repeat)
    if options.all_checks and (crashed := _run_every_check(runs, folder, options.repeat)):
        say("Checks crashed, so no time is printed:", *crashed)
        return 1
    differences = [
        difference
        for plain in runs[PLAIN].outputs[:1]
        for ours in (*runs[COLD].outputs, *runs[WARM].outputs)
        for difference in compare(ours, plain)
    ]
    if differences:
        say("The outputs differ, so no time is printed:", *differences[:20])
        return 1
    _report(runs, options.rows)
    return 0


def _run_all(folder: Path, repeat: int, plain_repeat: int) -> dict[str, Runs]:
    runs = {name: Runs() for name in (PLAIN, COLD, WARM, FLOOR)}
    with tempfile.TemporaryDirectory(prefix="nachweis-bench-") as scratch:
        cache = Path(scratch) / "cache"
        for _ in range(repeat):
            _measure(runs, FLOOR, "bench.floor", folder)
            shutil.rmtree(cache, ignore_errors=True)
            _measure(runs, COLD, "bench.shipped", folder, cache)
            _measure(runs, WARM, "bench.shipped", folder, cache)
    for _ in range(plain_repeat):
        _measure(runs, PLAIN, "bench.peers", folder)
    return runs


def _run_every_check(runs: dict[str, Runs], folder: Path, repeat: int) -> list[str]:
    """Measure the rows of ``--all-checks``; returns the checks that crashed."""
    crashed: set[str] = set()
    for name, part in EVERY.items():
        runs[name] = Runs()
        for _ in range(repeat):
            with tempfile.TemporaryDirectory(prefix="nachweis-bench-") as cache:
                _measure(runs, name, "bench.every_check", folder, Path(cache), Path(part))
        crashed |= {key for one in runs[name].outputs for key in one["errors"]}
    return sorted(crashed)


def _measure(runs: dict[str, Runs], name: str, module: str, *arguments: Path) -> None:
    result = json.loads(python("-m", module, *map(str, arguments)).splitlines()[-1])
    runs[name].seconds.append(result["seconds"])
    runs[name].peak_mb.append(result["peak_mb"])
    runs[name].outputs.append(result["outputs"])
    say(f"  {name} has run")


def python(*arguments: str) -> str:
    """Run Python in a process of its own and return what it printed.

    Args:
        arguments: What follows ``python`` on the command line.

    Returns:
        Its standard output; a failure ends this program.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


# ------------------------------------------------------------------------------------ comparing


def compare(ours: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    """Where the pipeline's outputs differ from the plain script's.

    Args:
        ours: Outputs of the pipeline.
        plain: Outputs of the plain script.

    Returns:
        One sentence per difference; an output that only one side has is one too.
    """
    expected = dict(plain)
    expected["drift"] = {
        column: [_METHODS.get(method, method), *rest]
        for column, (method, *rest) in plain["drift"].items()
    }
    # The pipeline judges error rates by their difference only.
    expected["rates"] = {
        name: {key: value for key, value in rate.items() if key in ours["rates"].get(name, rate)}
        for name, rate in plain["rates"].items()
    }
    return _differences("", ours, expected)


def _differences(path: str, ours: Any, plain: Any) -> list[str]:
    if isinstance(plain, Mapping) and isinstance(ours, Mapping):
        keys = sorted({*plain, *ours})
        return [
            difference
            for key in keys
            for difference in _differences(f"{path}/{key}", ours.get(key), plain.get(key))
        ]
    if isinstance(plain, list) and isinstance(ours, list) and len(plain) == len(ours):
        pairs = enumerate(zip(ours, plain, strict=True))
        return [d for i, (a, b) in pairs for d in _differences(f"{path}[{i}]", a, b)]
    if isinstance(plain, float) and isinstance(ours, float | int):
        equal = abs(ours - plain) <= TOLERANCE * max(1.0, abs(plain))
    else:
        equal = ours == plain
    return [] if equal else [f"{path}: {ours!r} instead of {plain!r}"]


# ------------------------------------------------------------------------------------ reporting


def _report(runs: Mapping[str, Runs], rows: int) -> None:
    floor = runs[FLOOR].median
    plain = runs[PLAIN].median if runs[PLAIN].seconds else None
    if plain is None:
        say("Without the plain script: outputs were not compared.")
    else:
        drift, suite = (len(runs[PLAIN].outputs[0][key]) for key in ("drift", "suite"))
        say(f"Outputs agree to {TOLERANCE:g}: {suite} rules, {drift} columns, group rates.")
    say("", f"{'program':<22}{'seconds':>10}{'peak MB':>10}{'faster':>10}{'x floor':>10}")
    for name, run in runs.items():
        if run.seconds:
            faster = f"{plain / run.median:.1f}" if plain else "-"
            say(
                f"{name:<22}{run.median:>10.2f}{run.peak:>10.0f}{faster:>10}"
                f"{run.median / floor:>10.1f}"
            )
    say("", f"{rows:,} + {rows:,} rows; median time, largest memory, imports not timed.")


def say(*lines: str) -> None:
    """Print lines at once."""
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
