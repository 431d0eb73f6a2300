"""Which libraries are worth loading once a worker, and how they are loaded; imports none itself."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from collections.abc import Iterable

FIRST = ("skops.io",)
"""To be loaded before Airflow: skops looks each function of SciPy up in every module there is, and
Airflow's answer with a deprecation warning each."""

HEAVY = (
    *FIRST,
    "numpy",
    "pandas",
    "pyarrow",
    "duckdb",
    "ibis",
    "scipy.stats",
    "sklearn.metrics",
    "great_expectations",
    "evidently",
    "fairlearn.metrics",
    "boto3",
)
"""Their import costs more than a task's own work."""

_NEW_OBJECTS = 50_000
"""After how many new objects unreachable cycles are looked for."""

_log = logging.getLogger(__name__)


def loaded() -> list[str]:
    """Those that this process holds already."""
    return [name for name in HEAVY if name in sys.modules]


def load(names: Iterable[str]) -> list[str]:
    """Import modules; one broken library must not stop a worker.

    Args:
        names: Modules, in the order in which they are imported.

    Returns:
        Those that could not be imported; a task that needs one fails with its own error.
    """
    missing = []
    # What imports make stays: looking for garbage in it costs a fifth of the time and finds none.
    # Frozen, it is also not written to by later collections, so that forked workers share it. And
    # Airflow, Ibis and Jinja make so many small objects that live on that looking after each 700
    # new ones, Python's default, costs more than a fourth of their own work.
    gc.disable()
    try:
        for name in names:
            try:
                importlib.import_module(name)
            except (ImportError, OSError) as error:
                missing.append(name)
                _log.warning("%s was not preloaded: %s", name, type(error).__name__)
    finally:
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS, 20, 20)
        gc.enable()
    return missing
