"""Which libraries are worth loading once a worker; imports none of them."""

from __future__ import annotations

import sys

HEAVY = (
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


def loaded() -> list[str]:
    """Those that this process holds already."""
    return [name for name in HEAVY if name in sys.modules]
