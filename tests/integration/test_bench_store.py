"""The benchmark of verification runs, with few entries."""

from __future__ import annotations

import re
import subprocess
import sys

from nachweis.settings import PACKAGE_ROOT


def test_the_benchmark_prints_figures() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.store", "--entries", "1500", "--nights", "3"],
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"1500 entries +\d+\.\d\d s +\d+ entries/s", done.stdout)
    assert re.search(r"3 nights +\d+\.\d\d s +\d+ nights/s", done.stdout)
