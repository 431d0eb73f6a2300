"""Large profiles in files instead of memory, so that those of a whole table can be held at once.

An exact profile of a million measured values takes eight megabytes, and a subject has dozens of
columns. The values of a large profile are therefore moved to an unnamed temporary file and mapped:
the profile is used as before, but its pages can be given back after each use, and the file is gone
with the last reference to it, even if the process is killed.
"""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.observation import ColumnProfile
from nachweis.engines.profiles import all_distinct

SMALLEST_SPILLED = 65_536
"""Distinct values from which a profile is worth a file."""


def spill(profile: ColumnProfile, folder: Path) -> ColumnProfile:
    """Move the values of a large numeric profile to an unnamed file.

    Args:
        profile: Any profile.
        folder: A private folder for the file.

    Returns:
        An equal profile with mapped values; the profile itself if it is small or categorical, or
        if the file cannot be written.
    """
    if profile.kind == "categorical" or len(profile.support) < SMALLEST_SPILLED:
        return profile
    counts = profile.counts
    try:
        if not all_distinct(profile):  # else counts are a view of a single 1
            counts = _mapped(counts, folder)
        return replace(profile, support=_mapped(profile.support, folder), counts=counts)
    except OSError:
        return profile


def release(*profiles: ColumnProfile) -> None:
    """Give the memory of mapped profiles back until they are used again.

    Args:
        *profiles: Any profiles; those that are not mapped stay as they are.
    """
    for profile in profiles:
        for array in (profile.support, profile.counts):
            pages = getattr(array.base, "obj", None)
            if isinstance(pages, mmap.mmap):
                pages.madvise(mmap.MADV_DONTNEED)


def _mapped(values: NDArray[Any], folder: Path) -> NDArray[Any]:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        values.tofile(file)
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(pages, dtype=values.dtype)
