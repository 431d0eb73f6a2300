"""Drift of a column between two profiles, with the rules and values of Evidently."""

from __future__ import annotations

from nachweis.engines.profiles import (
    from_counts,
    infinite_share,
    merge,
    missing_share,
    profile_categorical,
    profile_numeric,
    rebin,
    unseen,
)

__all__ = [
    "from_counts",
    "infinite_share",
    "merge",
    "missing_share",
    "profile_categorical",
    "profile_numeric",
    "rebin",
    "unseen",
]
