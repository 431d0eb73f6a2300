"""What a night must report, read from ``defects.yaml``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

TABLE = Path(__file__).parent / "defects.yaml"

Expected = set[tuple[str, str, str]]
"""Check, subject as ``kind/id``, outcome."""


def expected(night: dt.date, judged_before: Iterable[dt.date] = ()) -> Expected:
    """The failures and errors that a night must report, and no others.

    Args:
        night: The night.
        judged_before: The nights of which findings exist when this one runs; a finding that needs
            persistence is only reported after an earlier night with the same difference.

    Returns:
        The exact set; empty for a clean night.
    """
    earlier = set(judged_before)
    return {
        (finding["check"], finding["subject"], finding["outcome"])
        for finding in _table().get(night, ())
        if "after_any_of" not in finding or earlier & set(finding["after_any_of"])
    }


@lru_cache(maxsize=1)
def _table() -> dict[dt.date, list[dict[str, Any]]]:
    content = YAML(typ="safe", pure=True).load(TABLE.read_text(encoding="utf-8"))
    nights: dict[dt.date, list[dict[str, Any]]] = content["nights"]
    return nights
