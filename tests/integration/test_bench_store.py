"""The benchmark of the store runs, with few entries; an unchanged model costs few requests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.store_nights import second_night
from nachweis import registry
from nachweis.pipeline import night
from nachweis.settings import PACKAGE_ROOT
from nachweis.storage.embedded import EmbeddedStore
from tests.integration.night_support import place


def test_the_benchmark_prints_figures() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.store", "--only", "verify"),
            *("--entries", "1500", "--nights", "3"),
        ],
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"1500 entries +\d+\.\d\d s +\d+ entries/s", done.stdout)
    assert re.search(r"3 nights +\d+\.\d\d s +\d+ nights/s", done.stdout)


@pytest.mark.store
def test_an_unchanged_model_costs_few_requests(
    tmp_path: Path, embedded_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a night costs besides, each further model adds at most ten requests."""
    every = registry.applicable
    monkeypatch.setattr(registry, "applicable", lambda world, of: every(world, of)[::40])
    monkeypatch.setattr(night, "render", lambda *_: {})  # reads what the night left on this machine
    counts = []
    for models in (1, 3):
        with place(tmp_path / str(models), embedded_store) as here:
            counts.append(second_night(here, models).count)
    assert 0 < (counts[1] - counts[0]) / 2 <= 10
