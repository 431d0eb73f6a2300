"""What every measured process does: import first, then run once and print one line of JSON."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

Run = Callable[[Path], dict[str, Any]]


def measure(modules: Iterable[str], run: Run) -> None:
    """Import, run on the folder named by the first argument, print time, memory and outputs.

    Args:
        modules: Imported before the clock starts.
        run: Takes the folder of the data sets and returns what it found.
    """
    for module in modules:
        import_module(module)
    gc.collect()
    started = time.perf_counter()
    outputs = run(Path(sys.argv[1]))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_megabytes(), "outputs": outputs}))


def peak_megabytes() -> float:
    """Largest resident memory of this process since its start, in megabytes of 10^6 bytes."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6
