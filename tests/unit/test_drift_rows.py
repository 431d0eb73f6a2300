"""How many rows a drift verdict needs, and how families of p-values are corrected."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.errors import UndefinedError
from nachweis.engines.drift import (
    METHODS,
    benjamini_hochberg,
    drift,
    enough_rows,
    null_quantile,
    profile_categorical,
    profile_numeric,
)

GENERATOR = np.random.default_rng(20)
SHAPES = {
    "normal": GENERATOR.normal(5, 2, 3000),
    "log-normal": GENERATOR.lognormal(0, 1, 3000),
    "whole numbers": GENERATOR.poisson(4, 3000).astype(float),
    "mostly zero": np.where(GENERATOR.random(3000) < 0.9, 0.0, GENERATOR.exponential(3, 3000)),
    "two humps": np.concatenate([GENERATOR.normal(0, 1, 1500), GENERATOR.normal(30, 1, 1500)]),
}


def bootstrap_quantile(values: np.ndarray, n: int, method: str, draws: int = 300) -> float:
    """The full two-sample bootstrap: both sides are resampled row by row."""
    generator = np.random.default_rng(1)
    distances = [
        drift(
            profile_numeric(generator.choice(values, len(values))),
            profile_numeric(generator.choice(values, n)),
            method,
        ).value
        for _ in range(draws)
    ]
    return float(np.quantile(distances, 0.95))


@pytest.mark.parametrize("n", [50, 700, 3000])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_fast_resamples_are_close_to_the_full_bootstrap(shape, n):
    exact = bootstrap_quantile(SHAPES[shape], n, "wasserstein")
    fast = null_quantile(profile_numeric(SHAPES[shape]), n, "wasserstein", draws=300)

    assert fast == pytest.approx(exact, rel=0.2)


@pytest.mark.parametrize("method", ["jensenshannon", "hellinger"])
@pytest.mark.parametrize("n", [100, 2000])
def test_resamples_of_cells_are_close_to_the_full_bootstrap(method, n):
    values = SHAPES["whole numbers"]
    exact = bootstrap_quantile(values, n, method)

    assert null_quantile(profile_numeric(values), n, method, draws=300) == pytest.approx(
        exact, rel=0.2
    )


@given(st.integers(1, 10**12), st.integers(1, 10))
@settings(max_examples=25, deadline=None)
def test_any_number_of_rows_can_be_asked_for(n, factor):
    reference = profile_numeric(SHAPES["normal"])

    few, many = (null_quantile(reference, n * k, "wasserstein") for k in (1, 10 * factor))
    assert 0 <= many <= few * 1.3


@pytest.mark.parametrize("method", sorted(m for m in METHODS if not METHODS[m].is_p_value))
def test_a_window_without_change_stays_below_the_quantile_in_19_of_20_nights(method):
    generator, n = np.random.default_rng(2), 400
    below = []
    for _ in range(150):
        reference = profile_numeric(generator.normal(5, 2, 2000))
        tonight = drift(reference, profile_numeric(generator.normal(5, 2, n)), method)
        below.append(tonight.value < null_quantile(reference, n, method))

    assert np.mean(below) > 0.9


def test_the_answer_is_repeatable_and_says_why():
    reference = profile_numeric(SHAPES["normal"])
    few = enough_rows(reference, 30, "wasserstein")
    many = enough_rows(reference, 2500, "wasserstein")

    assert not few
    assert many
    assert few.smallest_detectable > 0.1 > many.smallest_detectable
    assert "30 rows" in few.reason
    assert few == enough_rows(reference, 30, "wasserstein")
    assert enough_rows(reference, 30, "wasserstein", threshold=2.0)


def test_few_rows_are_enough_for_a_distance_that_chance_does_not_explain():
    reference = profile_numeric(SHAPES["normal"])
    chance = enough_rows(reference, 30, "wasserstein").smallest_detectable
    assert chance is not None
    assert chance > 0.1

    assert not enough_rows(reference, 30, "wasserstein", distance=chance + 0.09)
    assert enough_rows(reference, 30, "wasserstein", distance=chance + 0.11)
    assert not enough_rows(reference, 29, "wasserstein", distance=100.0)


def test_the_triangle_inequality_is_not_used_where_it_does_not_hold():
    reference = profile_numeric(SHAPES["normal"])
    assert not enough_rows(reference, 30, "psi")

    assert not enough_rows(reference, 30, "psi", distance=100.0)


@pytest.mark.parametrize("n", [30, 60, 200])
def test_small_windows_of_an_unchanged_population_hardly_ever_get_a_verdict_of_drift(n):
    generator = np.random.default_rng(n)
    reference = profile_numeric(generator.normal(5, 2, 2000))
    judged_different = 0
    for _ in range(200):
        tonight = drift(reference, profile_numeric(generator.normal(5, 2, n)), "wasserstein")
        enough = enough_rows(reference, n, "wasserstein", distance=tonight.value)
        judged_different += bool(enough) and tonight.drifted

    assert judged_different <= 2


def test_many_categories_are_resampled_too():
    reference = profile_categorical([str(i) for i in range(30_000)], [5] * 30_000)

    assert not enough_rows(reference, 1000, "jensenshannon")


def test_chi_square_needs_expected_counts():
    reference = profile_categorical(["a", "b", "c"], [500, 300, 200])

    assert not enough_rows(reference, 10, "chisquare")
    assert enough_rows(reference, 25, "chisquare")
    rare = profile_categorical(["a", "b", "c", "d", "e"], [500, 300, 100, 98, 2])
    assert not enough_rows(rare, 400, "chisquare")
    assert enough_rows(rare, 500, "chisquare")


@pytest.mark.parametrize("method", ["ks", "z"])
def test_other_p_values_need_thirty_rows_on_each_side(method):
    reference = profile_numeric(np.arange(40.0))

    assert not enough_rows(reference, 29, method)
    assert enough_rows(reference, 30, method)
    assert not enough_rows(profile_numeric(np.arange(29.0)), 1000, method)


def test_no_rows_are_never_enough():
    empty, full = profile_numeric(np.array([np.nan])), profile_numeric(np.arange(10.0))

    assert not enough_rows(empty, 100, "wasserstein")
    assert not enough_rows(full, 0, "wasserstein")
    with pytest.raises(UndefinedError):
        null_quantile(full, 0, "wasserstein")
    with pytest.raises(ValueError, match="p-value"):
        null_quantile(full, 10, "ks")


def test_a_family_of_p_values_is_corrected_as_published():
    # Benjamini and Hochberg (1995), section 3.2: four hypotheses are rejected at q = 0.05.
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip

    assert sum(p <= 0.05 for p in benjamini_hochberg(published)) == 4
    assert benjamini_hochberg([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_correction_keeps_order_and_never_makes_a_p_value_smaller(p_values):
    adjusted = benjamini_hochberg(p_values)

    assert all(
        0 <= before <= after + 1e-15 for before, after in zip(p_values, adjusted, strict=True)
    )
    by_raw = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert all(a <= b + 1e-15 for a, b in itertools.pairwise(by_raw))
