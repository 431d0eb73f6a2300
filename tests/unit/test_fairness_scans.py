"""Subgroup scan and proxies: against brute force, scipy and scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics  # noqa: TID253 - the peer under comparison

from nachweis.domain.observation import CountTable
from nachweis.engines.fairness_proxies import (
    auc,
    cramers_v,
    groups_of,
    mutual_information,
    strength,
)
from nachweis.engines.fairness_subgroups import benjamini_hochberg, corrected, subgroups

Z = 1.959963984540054


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_the_correction_for_many_subgroups_is_scipys(p_values):
    expected = stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(p_values) == pytest.approx(list(expected), abs=1e-12)


def test_no_subgroups_need_no_correction():
    assert benjamini_hochberg([]) == []
    assert corrected([], benjamini_hochberg) == []


rows = st.lists(
    st.tuples(
        st.sampled_from(["f", "m", None]), st.sampled_from(["x", "y", "z"]), st.integers(0, 1)
    ),
    min_size=1,
    max_size=80,
)


@given(rows, st.booleans())
@settings(max_examples=50, deadline=None)
def test_subgroups_are_what_looping_over_all_rows_finds(data, stratified):
    counts = CountTable(("g", "f", "y"), Counter(data))
    found = subgroups(counts, ["g", "f"], ("y", 1), 3, within="f" if stratified else None)
    known = [row for row in data if row[0] is not None]
    expected = {}
    for g, f in {(g, f) for g, f, _ in known}:
        own = [y for a, b, y in known if (a, b) == (g, f)]
        others = [y for a, b, y in known if (a, b) != (g, f) and (not stratified or b == f)]
        if min(len(own), len(others)) >= 3:
            expected[(("g", g), ("f", f))] = (
                len(own), sum(own) / len(own), len(others), sum(others) / len(others)
            )  # fmt: skip
    assert {one.parts: (one.n, one.rate, one.others, one.others_rate) for one in found} == expected
    for one in corrected(found, benjamini_hochberg):
        assert one.ratio is None or one.ratio == one.rate / one.others_rate
        low, high = one.difference_interval
        assert low <= one.difference <= high


def test_the_lowest_ratio_comes_first():
    counts = CountTable(
        ("g", "y"), {("a", 1): 50, ("a", 0): 50, ("b", 1): 10, ("b", 0): 90, ("c", 1): 100}
    )
    found = corrected(subgroups(counts, ["g"], ("y", 1), 10), benjamini_hochberg)
    assert [one.parts[0][1] for one in found] == ["b", "a", "c"]


# ---------------------------------------------------------------------------------------- proxies


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=80).filter(
        lambda data: len({positive for positive, _ in data}) == 2
    )
)
@settings(max_examples=50, deadline=None)
def test_the_area_is_scikit_learns(data):
    positive, scores = (np.array(part) for part in zip(*data, strict=True))
    expected = metrics.roc_auc_score(positive, scores)
    assert auc(positive, scores.astype(float)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.lists(st.integers(1, 40), min_size=3, max_size=3), min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_association_and_information_are_those_of_scipy_and_scikit_learn(table):
    counts = np.array(table)
    plain, less = cramers_v(counts)
    assert plain == pytest.approx(stats.contingency.association(counts, "cramer"), abs=1e-12)
    assert 0 <= less <= 1
    rows = np.repeat(*zip(*np.ndenumerate(counts.sum(axis=1)), strict=True))
    columns = np.concatenate([np.repeat([0, 1, 2], row) for row in counts])
    expected = metrics.mutual_info_score(np.ravel(rows), columns)
    assert mutual_information(counts) == pytest.approx(expected, abs=1e-9)


def test_what_has_nothing_to_do_with_the_group_tells_nothing():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 3, 5_000)
    for values in (rng.normal(size=5_000), rng.choice(list("abcdef"), 5_000).astype(object)):
        found = strength(groups, values, 100, Z)
        assert found.value < 0.05
        assert found.interval[0] < 0.02


def test_rare_values_do_not_tell_a_group_by_chance():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 2, 2_000)
    numbered = np.array([f"v{i // 2}" for i in range(2_000)], dtype=object)
    assert strength(groups, numbered, 100, Z) is None
    some = np.array([f"v{i % 150}" for i in range(2_000)], dtype=object)
    assert strength(groups, some, 100, Z).value < 0.2


def test_a_number_shifted_by_two_deviations_tells_the_group():
    rng = np.random.default_rng(4)
    groups = rng.integers(0, 2, 4_000)
    found = strength(groups, rng.normal(size=4_000) + 2 * groups, 100, Z)
    assert found.kind == "auc"
    assert found.value == pytest.approx(2 * stats.norm.cdf(2 / np.sqrt(2)) - 1, abs=0.03)
    low, high = found.interval
    assert low < found.value < high


def test_the_column_itself_tells_everything():
    groups = np.array([0, 1] * 200)
    exact = strength(groups, np.array(["f", "m"] * 200, dtype=object), 100, Z)
    assert (exact.value, exact.interval) == (1, (1, 1))
    assert strength(groups, groups.astype(float), 100, Z).value == 1


def test_missing_values_and_unknown_groups_are_left_out():
    groups = np.array([0, 1, -1, 0] * 100)
    values = np.array([1.0, 2.0, 9.0, np.nan] * 100)
    found = strength(groups, values, 50, Z)
    assert (found.n, found.value) == (200, 1)
    assert strength(groups, np.full(400, np.nan), 50, Z) is None
    assert strength(np.full(400, -1), values, 50, Z) is None
    moments = np.array(["2026-01-01", "NaT"] * 200, dtype="datetime64[us]")
    assert strength(groups, moments, 50, Z) is None


def test_groups_are_bands_of_a_number_or_the_values_themselves():
    ages = np.array([17.0, 30.0, np.nan, 59.9, 60.0])
    assert groups_of(ages, (30.0, 60.0)).tolist() == [0, 1, -1, 1, 2]
    texts = np.array(["m", None, "f", "m"], dtype=object)
    assert groups_of(texts, ()).tolist() == [1, -1, 0, 1]
    assert groups_of(texts, (30.0,)).tolist() == [-1] * 4
