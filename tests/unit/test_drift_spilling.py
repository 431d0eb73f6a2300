"""Large profiles lie in unnamed files and behave like any other."""

from __future__ import annotations

import mmap
from dataclasses import replace

import numpy as np
import pytest

from nachweis.engines.drift import drift, enough_rows, profile_categorical, profile_numeric
from nachweis.engines.spilling import SMALLEST_SPILLED, release, spill

GENERATOR = np.random.default_rng(8)
DISTINCT = profile_numeric(GENERATOR.normal(size=SMALLEST_SPILLED), nulls=3)
REPEATED = profile_numeric(np.repeat(GENERATOR.normal(size=SMALLEST_SPILLED), 2))


@pytest.mark.parametrize("profile", [DISTINCT, REPEATED])
def test_a_spilled_profile_equals_the_one_in_memory(profile, tmp_path):
    spilled = spill(profile, tmp_path)

    assert isinstance(spilled.support.base.obj, mmap.mmap)
    assert np.array_equal(spilled.support, profile.support)
    assert np.array_equal(spilled.counts, profile.counts)
    assert replace(spilled, support=None, counts=None) == replace(
        profile, support=None, counts=None
    )


def test_numbers_are_the_same_before_and_after_memory_is_given_back(tmp_path):
    spilled = [spill(profile, tmp_path) for profile in (DISTINCT, REPEATED)]
    expected = drift(DISTINCT, REPEATED), enough_rows(DISTINCT, 900, "wasserstein")

    for _ in range(2):
        assert (drift(*spilled), enough_rows(spilled[0], 900, "wasserstein")) == expected
        release(*spilled)


def test_no_file_can_be_found_by_its_name(tmp_path):
    spilled = spill(DISTINCT, tmp_path)

    assert list(tmp_path.iterdir()) == []
    tmp_path.rmdir()
    assert spilled.support[0] == DISTINCT.support[0]


def test_small_and_categorical_profiles_stay_in_memory(tmp_path):
    small = profile_numeric(np.arange(SMALLEST_SPILLED - 1.0))
    words = profile_categorical([str(i) for i in range(SMALLEST_SPILLED)], [1] * SMALLEST_SPILLED)

    assert spill(small, tmp_path) is small
    assert spill(words, tmp_path) is words
    release(small, words)


def test_a_full_or_missing_folder_keeps_the_profile_in_memory(tmp_path):
    assert spill(DISTINCT, tmp_path / "gone") is DISTINCT


def test_a_comparison_leaves_no_pages_behind(tmp_path):
    spilled = [spill(profile, tmp_path) for profile in (DISTINCT, REPEATED)]
    drift(*spilled)
    enough_rows(spilled[0], 900, "wasserstein")

    assert resident_bytes(spilled[0].support.base.obj) == 0


def resident_bytes(mapped: mmap.mmap) -> int:
    """Resident bytes of a mapping, by its address in the kernel's list."""
    address = np.frombuffer(mapped, dtype=np.uint8).__array_interface__["data"][0]
    inside = False
    with open("/proc/self/smaps", encoding="ascii") as smaps:
        for line in smaps:
            head = line.split()[0]
            if "-" in head and not head.endswith(":"):
                low, high = (int(part, 16) for part in head.split("-"))
                inside = low <= address < high
            elif inside and head == "Rss:":
                return int(line.split()[1]) * 1024
    raise AssertionError("the mapping was not found")
