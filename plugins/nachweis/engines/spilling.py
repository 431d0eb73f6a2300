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
from typing import Any, BinaryIO

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
        An equal profile with mapped values; the profile itself if it is small, categorical or
        mapped already, or if the file cannot be written.
    """
    if profile.kind == "categorical" or len(profile.support) < SMALLEST_SPILLED:
        return profile
    if _pages_of(profile.support) is not None:
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
            pages = _pages_of(array)
            if pages is not None:
                pages.madvise(mmap.MADV_DONTNEED)


def _pages_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The mapping that an array is a view of."""
    pages = getattr(array.base, "obj", None)
    return pages if isinstance(pages, mmap.mmap) else None


def _mapped(values: NDArray[Any], folder: Path) -> NDArray[Any]:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        values.tofile(file)
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(pages, dtype=values.dtype)


def write_arrays(file: BinaryIO, *arrays: NDArray[Any]) -> None:
    """Write arrays one behind the other, in NumPy's own format.

    Args:
        file: A file at its beginning.
        *arrays: One-dimensional arrays of numbers. Arrays stay aligned if the sizes of those before
            them are multiples of eight bytes.
    """
    for array in arrays:
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def map_arrays(path: Path) -> list[NDArray[Any]]:
    """Map the arrays of a file, without reading them.

    Args:
        path: A file that :func:`write_arrays` wrote.

    Returns:
        The arrays, as :func:`release` knows them.

    Raises:
        OSError: If there is no such file.
        ValueError: If it is damaged or holds something else.
    """
    found: list[NDArray[Any]] = []
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        while file.tell() < len(pages):
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("an unknown version of the format")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype.hasobject or len(shape) != 1:
                raise ValueError("not an array of numbers")
            place = file.tell()
            found.append(
                np.frombuffer(pages, dtype, shape[0], place) if shape[0] else np.empty(0, dtype)
            )
            file.seek(place + dtype.itemsize * shape[0])
    return found
