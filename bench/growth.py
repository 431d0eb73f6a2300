"""How time and memory of the shipped pipeline grow with rows and columns, all checks on.

Each size runs in a fresh process with its imports done before the clock starts and an empty profile
cache: one model, its training set, reference, scoring log and outcomes. A check that crashes stops
the benchmark, because a time without its answer says nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.one_model import python, say  # noqa: E402 - also run as a file

ROWS = (100_000, 1_000_000)
FULL = 10_000_000
COLUMNS = (10, 30, 100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), help="rows per file")
    parser.add_argument("--columns", type=int, nargs="+", default=list(COLUMNS))
    parser.add_argument("--full", action="store_true", help=f"also {FULL:,} rows; takes long")
    parser.add_argument("--keep", action="store_true", help="keep the generated data")
    parser.add_argument("--data", type=Path, default=ROOT / "bench" / "data")
    options = parser.parse_args(arguments)
    rows = [*options.rows, *([FULL] if options.full else [])]
    say(f"{'rows':>12}{'columns':>9}{'seconds':>10}{'peak MB':>10}{'findings':>10}")
    for count in rows:
        for columns in options.columns:
            result = run(options.data, count, columns, keep=options.keep)
            if result["outputs"]["errors"]:
                say("Checks crashed, so no time is printed:", *result["outputs"]["errors"])
                return 1
            findings = sum(result["outputs"]["outcomes"].values())
            say(
                f"{count:>12,}{columns:>9}{result['seconds']:>10.1f}{result['peak_mb']:>10.0f}"
                f"{findings:>10}"
            )
    say("", "Rows of each of two files; one run, largest memory, imports not timed.")
    return 0


def run(data: Path, rows: int, columns: int, *, keep: bool = False) -> dict[str, Any]:
    """Measure one size in a process of its own.

    Args:
        data: Where generated files lie.
        rows: Rows of each of the two files.
        columns: Columns of each.
        keep: Leave the files for the next run; those of ten million rows are large.

    Returns:
        ``seconds``, ``peak_mb`` and ``outputs`` as :mod:`bench.every_check` returns them.
    """
    generator = hashlib.sha256((ROOT / "bench" / "growth_data.py").read_bytes()).hexdigest()[:8]
    folder = data / f"growth-{rows}-{columns}-{generator}"
    python("-m", "bench.growth_data", str(folder), str(rows), str(columns))
    try:
        with tempfile.TemporaryDirectory(prefix="nachweis-bench-") as cache:
            said = python("-m", "bench.every_check", str(folder), cache, "all", str(columns))
    finally:
        if not keep:
            shutil.rmtree(folder)
    result: dict[str, Any] = json.loads(said.splitlines()[-1])
    return result


if __name__ == "__main__":
    sys.exit(main())
