"""Drift tests that Evidently offers by name: equal values, equal verdicts, equal refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd  # noqa: TID253 - the peer under comparison works on pandas
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from nachweis.domain.errors import UndefinedError
from nachweis.engines.distances import METHODS
from nachweis.engines.drift import (
    drift,
    enough_rows,
    null_quantile,
    profile_categorical,
    profile_numeric,
)
from tests.unit.test_drift_parity import assert_equal_to_evidently, evidently_drift

NUMERIC = ("anderson", "cramer_von_mises", "mannw", "es", "t_test", "ed")
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def column(size: int, seed: int, decimals: int, shift: float = 0.0) -> pd.Series:
    generator = np.random.default_rng(seed)
    return pd.Series(np.round(generator.normal(3 + shift, 2, size), decimals))


def words(counts: dict[str, int]) -> pd.Series:
    return pd.Series(np.repeat(list(counts), list(counts.values())), dtype=object)


def categorical(series: pd.Series):
    counts = series.value_counts()
    return profile_categorical(list(counts.index), counts.to_numpy())


def test_every_tabular_method_of_evidently_is_offered_with_its_default_limit() -> None:
    from evidently.legacy.calculations.stattests import registry

    known = {
        name: next(iter(kinds.values())).default_threshold
        for name, kinds in registry._registered_stat_tests.items()
        if "text" not in name
    }
    assert {name: method.threshold for name, method in METHODS.items()} == known


@pytest.mark.parametrize("method", NUMERIC)
@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("sizes", [(1200, 900), (40, 300), (31, 30)])
def test_numeric_methods_by_name(method: str, decimals: int, sizes: tuple[int, int]) -> None:
    for shift in (0.0, 0.1, 0.6):
        reference = column(sizes[0], 1, decimals)
        current = column(sizes[1], 2, decimals, shift)
        assert_equal_to_evidently(reference, current, "numeric", method)


@FEW
@example("mannw", [0] * 5, [0] * 5)
@example("mannw", [0] * 30, [0] * 9)
@given(
    method=st.sampled_from(NUMERIC),
    reference=st.lists(st.integers(-5, 5), min_size=5, max_size=30),
    current=st.lists(st.integers(-5, 5), min_size=5, max_size=30),
)
def test_small_samples_with_many_ties(method, reference, current) -> None:
    pair = [pd.Series(values, dtype=float) for values in (reference, current)]
    sets = [profile_numeric(values.to_numpy()) for values in pair]
    if method == "cramer_von_mises" and max(map(len, pair)) <= 20:
        # Evidently's copy of the exact distribution counts in half precision, or crashes.
        expected = stats.cramervonmises_2samp(*pair).pvalue
    else:
        try:
            expected = evidently_drift(*pair, "numeric", method)[1]
        except ValueError:
            expected = np.nan
    if np.isfinite(expected):
        assert drift(*sets, method).value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    else:
        with pytest.raises(UndefinedError):
            drift(*sets, method)


@pytest.mark.parametrize(("rows", "others"), [(6, 200), (8, 5), (2, 40)])
def test_the_exact_distribution_of_few_ranks(rows: int, others: int) -> None:
    assert_equal_to_evidently(column(rows, 3, 8), column(others, 4, 8, 0.5), "numeric", "mannw")


def test_numbers_that_evidently_publishes() -> None:
    def repeated(counts: list[int]) -> np.ndarray:
        return np.repeat([1.0, 2, 3, 4, 5, 6], counts)

    reference = profile_numeric(repeated([16, 18, 16, 14, 12, 12]))
    current = profile_numeric(repeated([16, 16, 16, 16, 16, 8]))
    assert drift(reference, current, "mannw").value == pytest.approx(0.481, abs=1e-3)


# ------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ({"a": 5, "b": 5, "c": 8}, {"a": 4, "b": 6, "c": 8}),
        ({"a": 500, "b": 300, "c": 200}, {"a": 450, "b": 320, "c": 230}),
        ({"a": 50, "b": 50}, {"a": 40, "b": 40, "new": 20}),
        ({"a": 50, "gone": 50}, {"a": 100}),
    ],
)
def test_the_g_test_of_equally_many_rows(reference, current) -> None:
    assert_equal_to_evidently(words(reference), words(current), "categorical", "g_test")


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ({"a": 5, "b": 5}, {"a": 9, "b": 1}),
        ({"a": 90, "b": 110}, {"a": 100, "b": 100}),
        ({"a": 40}, {"a": 20, "b": 20}),
        ({"a": 40}, {"a": 40}),
        ({"a": 40}, {"b": 40}),
    ],
)
def test_fishers_test_of_two_values(reference, current) -> None:
    assert_equal_to_evidently(words(reference), words(current), "categorical", "fisher_exact")


@pytest.mark.parametrize("method", ["g_test", "fisher_exact"])
def test_what_evidently_refuses_is_undefined_here(method: str) -> None:
    reference, current = words({"a": 20, "b": 20}), words({"a": 20, "b": 21})
    with pytest.raises(ValueError, match=r".+"):
        evidently_drift(reference, current, "categorical", method)
    with pytest.raises(UndefinedError, match="equally many rows"):
        drift(categorical(reference), categorical(current), method)


def test_fishers_test_takes_no_third_value() -> None:
    with pytest.raises(UndefinedError, match="two values"):
        drift(
            categorical(words({"a": 9, "b": 9})),
            categorical(words({"a": 9, "c": 9})),
            "fisher_exact",
        )


# ------------------------------------------------------------------------------- random draws


def within_draws(ours: float, theirs: float, draws: int) -> bool:
    """Whether two shares of so many draws may estimate the same probability."""
    middle = min(max((ours + theirs) / 2, 1 / draws), 1 - 1 / draws)
    return abs(ours - theirs) <= 4 * np.sqrt(2 * middle * (1 - middle) / draws)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ({"a": 40, "b": 40, "c": 20}, {"a": 35, "b": 25, "c": 20}),
        ({"a": 15, "b": 15}, {"a": 8, "b": 7}),
    ],
)
def test_total_variation_within_the_error_of_evidentlys_draws(reference, current) -> None:
    pair = words(reference), words(current)
    ours = drift(*map(categorical, pair), "TVD").value
    assert within_draws(ours, evidently_drift(*pair, "categorical", "TVD")[1], 1000)


def test_total_variation_of_two_values_is_fishers_exact_test_in_the_limit() -> None:
    reference, current = {"a": 300, "b": 100}, {"a": 260, "b": 140}
    exact = stats.fisher_exact([[300, 100], [260, 140]]).pvalue
    ours = drift(categorical(words(reference)), categorical(words(current)), "TVD").value
    assert within_draws(ours, exact, 1000)


@pytest.mark.parametrize("shift", [0.0, 0.25, 1.0])
def test_the_mean_discrepancy_within_the_error_of_evidentlys_draws(shift: float) -> None:
    pair = column(90, 5, 3), column(70, 6, 3, shift)
    np.random.seed(1)
    theirs = evidently_drift(*pair, "numeric", "empirical_mmd")[1]
    ours = drift(*(profile_numeric(s.to_numpy()) for s in pair), "empirical_mmd").value
    assert within_draws(ours, theirs, 100)


def test_draws_are_seeded_and_not_claimed_to_be_equal() -> None:
    sets = categorical(words({"a": 40, "b": 60})), categorical(words({"a": 30, "b": 50}))
    first, second = drift(*sets, "TVD"), drift(*sets, "TVD")
    assert first == second
    assert "within the error of its 1,000 draws" in first.recipe
    assert "equals Evidently" not in first.recipe


def test_all_pairs_are_compared_up_to_a_limit_only() -> None:
    many = profile_numeric(np.arange(1500.0))
    with pytest.raises(UndefinedError, match="2000 rows"):
        drift(many, many, "empirical_mmd")


# --------------------------------------------------------------------------------- other rules


def test_the_energy_distance_drifts_only_above_its_limit() -> None:
    method = METHODS["ed"]
    assert not method.drifted(0.1, 0.1)
    assert method.drifted(0.1000001, 0.1)
    assert not method.is_p_value


@pytest.mark.parametrize("n", [60, 800])
def test_chance_of_the_energy_distance_is_close_to_the_full_bootstrap(n: int) -> None:
    generator = np.random.default_rng(7)
    values = generator.normal(0, 2, 1500)
    exact = np.quantile(
        [
            stats.energy_distance(generator.choice(values, 1500), generator.choice(values, n))
            for _ in range(200)
        ],
        0.95,
    )
    fast = null_quantile(profile_numeric(values), n, "ed", draws=300)
    assert fast == pytest.approx(exact, rel=0.2)


def test_the_g_test_needs_expected_counts_as_chi_square_does() -> None:
    rare = profile_categorical(["a", "b", "c"], [500, 300, 2])
    assert not enough_rows(rare, 100, "g_test")
    assert enough_rows(profile_categorical(["a", "b"], [500, 300]), 100, "g_test")


@pytest.mark.parametrize("method", [*NUMERIC, "empirical_mmd"])
def test_a_constant_column_never_drifts_from_itself(method: str) -> None:
    same = profile_numeric(np.full(50, 4.0))
    try:
        assert not drift(same, same, method).drifted
    except UndefinedError as undefined:
        assert undefined.what
