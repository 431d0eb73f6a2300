"""Column profiles are exact, mergeable and reducible."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

numbers = st.lists(
    st.one_of(
        st.floats(allow_nan=True, allow_infinity=True, width=64),
        st.integers(-3, 3).map(float),
    ),
    max_size=60,
)
words = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "ä", "👍", ""])), max_size=60)


def categorical(values: list[str | None]):
    counted = Counter(values)
    return profile_categorical(list(counted), list(counted.values()))


@given(numbers)
def test_a_numeric_profile_counts_every_row_once(values):
    profile = profile_numeric(np.array(values, dtype=np.float64))

    finite = Counter(v for v in values if math.isfinite(v))
    assert dict(zip(profile.support.tolist(), profile.counts.tolist(), strict=True)) == finite
    assert profile.nulls == sum(math.isnan(v) for v in values)
    assert profile.infinite == sum(math.isinf(v) for v in values)
    assert profile.n == len(values)
    assert profile.valid == sum(finite.values())
    assert np.all(np.diff(profile.support) > 0)


def test_nulls_and_infinities_counted_elsewhere_are_added():
    profile = profile_numeric(np.array([1.0, np.nan, np.inf]), nulls=4, infinite=2)

    assert (profile.n, profile.nulls, profile.infinite, profile.valid) == (9, 5, 3, 1)
    assert missing_share(profile) == 5 / 9
    assert infinite_share(profile) == 3 / 9


def test_the_callers_array_is_left_alone_unless_it_is_given_away():
    values = np.array([3.0, 1.0, 2.0])
    profile_numeric(values)
    assert values.tolist() == [3.0, 1.0, 2.0]

    given_away = profile_numeric(values, overwrite=True)
    assert np.shares_memory(given_away.support, values)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.bool_])
def test_other_number_types_become_float64_even_when_given_away(dtype):
    profile = profile_numeric(np.array([1, 0, 1], dtype=dtype), overwrite=True)

    assert profile.support.dtype == np.float64
    assert profile.counts.tolist() == [1, 2]


def test_a_read_only_array_can_be_profiled():
    values = np.array([2.0, 1.0])
    values.setflags(write=False)

    assert profile_numeric(values, overwrite=True).support.tolist() == [1.0, 2.0]


@given(words)
def test_a_categorical_profile_is_sorted_and_counts_none_as_null(values):
    profile = categorical(values)

    assert profile.support.tolist() == sorted({v for v in values if v is not None})
    assert profile.nulls == values.count(None)
    assert profile.n == len(values)
    assert profile.infinite == 0


def test_counted_values_may_repeat_and_may_be_empty():
    profile = from_counts("numeric", [2.0, 1.0, 2.0, None, math.inf, 5.0], [1, 2, 3, 4, 5, 0])

    assert profile.support.tolist() == [1.0, 2.0]
    assert profile.counts.tolist() == [2, 4]
    assert (profile.nulls, profile.infinite, profile.n) == (4, 5, 15)
    assert categorical([]).n == 0
    assert missing_share(categorical([])) is None
    assert infinite_share(categorical([])) is None


@given(numbers, numbers)
def test_merging_equals_profiling_all_rows_at_once(left, right):
    merged = merge(profile_numeric(np.array(left)), profile_numeric(np.array(right)))
    whole = profile_numeric(np.array(left + right))

    assert np.array_equal(merged.support, whole.support)
    assert np.array_equal(merged.counts, whole.counts)
    assert (merged.nulls, merged.infinite, merged.n) == (whole.nulls, whole.infinite, whole.n)


@given(words, words)
def test_merging_categories_equals_profiling_all_rows_at_once(left, right):
    merged, whole = merge(categorical(left), categorical(right)), categorical(left + right)

    assert merged.support.tolist() == whole.support.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.nulls == whole.nulls


def test_kinds_do_not_mix():
    with pytest.raises(ValueError, match="different kinds"):
        merge(categorical(["a"]), profile_numeric(np.array([1.0])))


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.integers(1, 50),
)
def test_rebinning_keeps_rows_order_and_mean(values, bins):
    exact = profile_numeric(np.array(values))
    binned = rebin(exact, bins)

    assert len(binned.support) <= max(bins, 1)
    assert binned.valid == exact.valid
    assert np.all(np.diff(binned.support) >= 0)
    assert binned.exact == (len(exact.support) <= bins)
    assert np.average(binned.support, weights=binned.counts) == pytest.approx(
        np.mean(values), abs=1e-6
    )


def test_a_heavy_value_keeps_a_bin_of_its_own():
    values = np.concatenate([np.zeros(900), np.linspace(1, 2, 100)])
    binned = rebin(profile_numeric(values), 20)

    assert binned.support[0] == 0.0
    assert binned.counts[0] == 900


@given(words, words)
def test_unseen_counts_rows_and_categories_that_the_reference_lacks(reference, current):
    known = {v for v in reference if v is not None}
    new = [v for v in current if v is not None and v not in known]

    assert unseen(categorical(reference), categorical(current)) == (len(new), len(set(new)))


def test_unseen_numbers_are_found_too():
    reference = profile_numeric(np.array([1.0, 2.0]))
    assert unseen(reference, profile_numeric(np.array([1.0, 3.0, 3.0, 4.0]))) == (3, 2)
