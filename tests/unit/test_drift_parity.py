"""Drift numbers and rules equal Evidently's own on the same rows."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd  # noqa: TID253 - the peer under comparison works on pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from nachweis.domain.errors import NachweisError, UndefinedError
from nachweis.engines import distances
from nachweis.engines.distances import METHODS, PARITY
from nachweis.engines.drift import (
    choose_method,
    drift,
    from_counts,
    profile_categorical,
    profile_numeric,
)
from nachweis.engines.two_sample import TWO_SAMPLE_TESTS

BY_NAME = sorted(set(METHODS) - {test.name for test in TWO_SAMPLE_TESTS})
"""The others are in test_drift_methods_parity.py."""
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def evidently_drift(reference: pd.Series, current: pd.Series, kind: str, method: str | None = None):
    """Evidently's ``ValueDrift`` path: clean, choose, test."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    column_type = ColumnType.Numerical if kind == "numeric" else ColumnType.Categorical
    clean = [s.replace([-np.inf, np.inf], np.nan).dropna() for s in (reference, current)]
    test = get_stattest(*clean, column_type, method)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = test(*clean, column_type, None)
    return test.name, float(result.drift_score), bool(result.drifted), result.actual_threshold


def profile(series: pd.Series, kind: str):
    if kind == "numeric":
        return profile_numeric(series.to_numpy(dtype=np.float64))
    counts = series.value_counts(dropna=True)
    return profile_categorical(list(counts.index), counts.to_numpy(), nulls=series.isna().sum())


def assert_equal_to_evidently(reference, current, kind, method=None):
    ours = drift(profile(reference, kind), profile(current, kind), method)
    name, value, drifted, threshold = evidently_drift(reference, current, kind, method)

    assert (ours.method, ours.threshold) == (name, threshold)
    assert ours.value == pytest.approx(value, rel=1e-9, abs=1e-9)
    if abs(value - threshold) > 1e-9:
        assert ours.drifted == drifted


def test_the_parity_claim_names_the_installed_version():
    assert version("evidently") in PARITY


finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)
with_gaps = st.one_of(finite, st.just(np.nan), st.just(np.inf), st.just(-np.inf))
column = st.lists(with_gaps, min_size=3, max_size=80).filter(lambda v: np.isfinite(v).any())
few_numbers = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5, -7.0, np.nan]), min_size=3, max_size=80)
categories = st.lists(
    st.sampled_from(["a", "b", "c", "d", "e", "f", None]), min_size=3, max_size=80
)


@SLOW
@given(column, column)
def test_small_numeric_columns(reference, current):
    assert_equal_to_evidently(pd.Series(reference), pd.Series(current), "numeric")


@SLOW
@given(
    few_numbers.filter(lambda v: np.isfinite(v).any()),
    few_numbers.filter(lambda v: np.isfinite(v).any()),
)
def test_small_columns_of_few_numbers(reference, current):
    assert_equal_to_evidently(pd.Series(reference), pd.Series(current), "numeric")


@SLOW
@given(categories.filter(any), categories.filter(any))
def test_small_categorical_columns(reference, current):
    assert_equal_to_evidently(
        pd.Series(reference, dtype=object), pd.Series(current, dtype=object), "categorical"
    )


@SLOW
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.tuples(st.integers(1001, 3000), st.integers(1, 3000)),
    decimals=st.sampled_from([0, 1, 8]),
    shift=st.floats(-2, 2),
    offset=st.sampled_from([0.0, 1e5]),
    gaps=st.floats(0, 0.9),
)
def test_large_numeric_columns(seed, rows, decimals, shift, offset, gaps):
    generator = np.random.default_rng(seed)
    reference = np.round(generator.normal(offset, 2, rows[0]), decimals)
    current = np.round(generator.normal(offset + shift, 3, rows[1]), decimals)
    current[1:][generator.random(rows[1] - 1) < gaps] = np.nan

    assert_equal_to_evidently(pd.Series(reference), pd.Series(current), "numeric")


@SLOW
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.tuples(st.integers(1001, 3000), st.integers(1, 3000)),
    values=st.integers(1, 40),
    kind=st.sampled_from(["numeric", "categorical"]),
)
def test_large_columns_of_few_values(seed, rows, values, kind):
    generator = np.random.default_rng(seed)
    reference = pd.Series(generator.integers(0, values, rows[0]))
    current = pd.Series(np.minimum(generator.integers(0, values + 2, rows[1]), values))
    if kind == "categorical":
        reference, current = reference.map("v{}".format), current.map("v{}".format)
    else:
        reference, current = reference.astype(float), current.astype(float)

    assert_equal_to_evidently(reference, current, kind)


@SLOW
@given(
    method=st.sampled_from(BY_NAME),
    kind=st.sampled_from(["numeric", "categorical"]),
    seed=st.integers(0, 2**32 - 1),
    values=st.sampled_from([2, 4, 15, 30, 100_000]),
    rows=st.tuples(st.integers(50, 2000), st.integers(50, 2000)),
)
def test_methods_by_name(method, kind, seed, values, rows):
    if kind not in METHODS[method].kinds or (kind == "numeric" and method in {"chisquare", "z"}):
        return  # Evidently offers these for categories only, when they are asked for by name
    if kind == "categorical" and values > 30:
        values = 30
    generator = np.random.default_rng(seed)
    reference = pd.Series(generator.integers(0, values, rows[0]).astype(float))
    current = pd.Series((generator.random(rows[1]) ** 1.3 * values).astype(int).astype(float))
    if kind == "categorical":
        reference, current = reference.map("v{}".format), current.map("v{}".format)

    assert_equal_to_evidently(reference, current, kind, method)


def test_many_rows_take_the_asymptotic_distribution_of_ks():
    generator = np.random.default_rng(5)
    reference = pd.Series(np.round(generator.normal(size=900), 2))
    current = pd.Series(np.round(generator.normal(0.03, 1, size=30_000), 2))

    assert_equal_to_evidently(reference, current, "numeric")
    assert drift(profile(reference, "numeric"), profile(current, "numeric")).method == "ks"


def test_evidentlys_published_numbers():
    def repeated(counts):
        return pd.Series(np.repeat([1.0, 2, 3, 4, 5, 6], counts))

    reference = profile(repeated([16, 18, 16, 14, 12, 12]), "numeric")
    current = profile(repeated([16, 16, 16, 16, 16, 8]), "numeric")
    assert drift(reference, current, "chisquare").value == pytest.approx(0.67309, abs=1e-5)

    reference = profile(repeated([16, 18, 16, 14, 12, 12]).map(str), "categorical")
    current = profile(repeated([16, 16, 16, 16, 16, 8]).map(str), "categorical")
    assert drift(reference, current, "hellinger").value == pytest.approx(0.06812, abs=1e-5)


def test_the_report_itself_gives_the_same_numbers():
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    generator = np.random.default_rng(11)
    frames = [
        pd.DataFrame(
            {
                "measure": generator.normal(shift, 1, 1500),
                "word": generator.choice(["a", "b", "c"], 1500, p=[0.5 - shift, 0.3, 0.2 + shift]),
                "flag": generator.integers(0, 2, 1500),
            }
        )
        for shift in (0.0, 0.2)
    ]
    frames[1].loc[:200, "measure"] = np.nan
    definition = DataDefinition(numerical_columns=["measure"], categorical_columns=["word", "flag"])
    reference, current = (Dataset.from_pandas(f, data_definition=definition) for f in frames)
    snapshot = Report([ValueDrift(column=c) for c in frames[0].columns]).run(current, reference)
    values = [metric["value"] for metric in snapshot.dict()["metrics"]]

    ours = [
        drift(*(profile(f[c], "numeric" if c == "measure" else "categorical") for f in frames))
        for c in frames[0].columns
    ]
    assert [result.value for result in ours] == pytest.approx(values, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "values", "kind", "expected"),
    [
        (1000, 2, "numeric", "z"),
        (1000, 3, "numeric", "chisquare"),
        (1000, 5, "numeric", "chisquare"),
        (1000, 6, "numeric", "ks"),
        (1001, 5, "numeric", "jensenshannon"),
        (1001, 6, "numeric", "wasserstein"),
        (1000, 2, "categorical", "z"),
        (1000, 30, "categorical", "chisquare"),
        (1001, 30, "categorical", "jensenshannon"),
    ],
)
def test_the_default_method_follows_rows_and_values(rows, values, kind, expected):
    series = pd.Series(np.arange(rows) % values).astype(float)
    if kind == "categorical":
        series = series.map(str)
    sets = profile(series, kind), profile(series[: rows // 2], kind)

    assert choose_method(*sets) == expected


def test_rows_are_counted_after_nulls_and_infinities_are_left_out():
    values = np.arange(1500, dtype=float)
    values[:499] = np.nan
    assert choose_method(profile_numeric(values), profile_numeric(values)) == "wasserstein"
    values[499] = np.inf
    assert choose_method(profile_numeric(values), profile_numeric(values)) == "ks"


def test_a_value_that_only_the_window_has_counts_for_the_choice():
    reference = profile_numeric(np.arange(2000) % 5.0)
    assert choose_method(reference, profile_numeric(np.array([9.0]))) == "wasserstein"


def test_the_recipe_names_what_the_number_depends_on():
    reference = profile_categorical(["a", "b"], [700, 800], nulls=3)
    result = drift(reference, profile_categorical(["a", "c"], [5, 5]))

    for part in ("Jensen-Shannon", "3 values", "natural logarithm", "nulls", "1500", "10", PARITY):
        assert part in result.recipe
    assert (result.n_reference, result.n_current) == (1500, 10)


@pytest.mark.parametrize(
    ("reference", "current", "reason"),
    [
        (
            profile_numeric(np.array([])),
            profile_numeric(np.array([1.0])),
            "reference holds no rows",
        ),
        (profile_numeric(np.array([1.0])), profile_numeric(np.array([])), "window holds no rows"),
        (
            profile_numeric(np.array([1.0])),
            profile_numeric(np.array([np.nan, np.inf])),
            "no finite value in the window",
        ),
        (
            profile_categorical([None], [3]),
            profile_categorical(["a"], [3]),
            "no finite value in the reference",
        ),
        (
            profile_categorical(["a"], [3]),
            profile_numeric(np.array([1.0])),
            "categorical in the reference and numeric",
        ),
    ],
)
def test_what_cannot_be_compared_is_undefined_with_its_reason(reference, current, reason):
    with pytest.raises(UndefinedError, match=reason):
        drift(reference, current)


def test_a_constant_column_does_not_drift_from_itself():
    small, large = profile_numeric(np.ones(10)), profile_numeric(np.ones(2000))
    assert drift(small, small).value == 1.0
    assert drift(large, small).value == 0.0
    with pytest.raises(UndefinedError, match="only one value"):
        drift(small, small, "chisquare")


def test_values_too_close_for_bins_are_undefined():
    neighbours = 1e15 + np.arange(22) * np.spacing(1e15)
    close = from_counts("numeric", neighbours, [10**8] * 22)
    with pytest.raises(UndefinedError, match="too close"):
        drift(close, close, "psi")


def test_an_unknown_method_names_the_valid_ones():
    words = profile_categorical(["a"], [3])
    with pytest.raises(NachweisError, match="jensenshannon") as caught:
        drift(words, words, "jensenshanon")
    assert "wasserstein" not in caught.value.valid


@pytest.mark.parametrize("piece", [1, 3, 50])
@pytest.mark.parametrize("sizes", [(1200, 1200), (1100, 40), (1001, 2500)])
def test_the_pieces_of_a_comparison_do_not_show(monkeypatch, piece, sizes):
    generator = np.random.default_rng(sum(sizes) + piece)
    reference = np.round(generator.normal(0, 5, sizes[0]), 1)
    current = np.round(generator.normal(1, 6, sizes[1]), 1)
    monkeypatch.setattr(distances, "_PIECE", piece)

    assert_equal_to_evidently(pd.Series(reference), pd.Series(current), "numeric", "wasserstein")
    monkeypatch.setattr(distances, "_LARGEST_EXACT_KS", 10)
    value = drift(profile_numeric(reference), profile_numeric(current), "ks").value
    expected = ks_2samp(reference, current, method="asymp").pvalue
    assert value == pytest.approx(expected, rel=1e-9)
