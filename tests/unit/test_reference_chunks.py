"""The range in which a reference's own chunks vary."""

from __future__ import annotations

import numpy as np
import pytest

from nachweis.domain.errors import UndefinedError
from nachweis.engines.drift import drift, profile_numeric
from nachweis.engines.reference_chunks import chunk_range, chunks_of, prediction_p_value

DAYS = np.arange(20 * 60) // 60


def numbers(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_mean_deviation_and_limit_are_nannymls() -> None:
    values = numbers(1200, 1)
    found = chunk_range(values, DAYS, numbers(80, 2), "numeric")
    whole = profile_numeric(values)
    distances = [
        drift(whole, profile_numeric(values[day == DAYS]), "wasserstein").value for day in range(20)
    ]
    assert found.mean == pytest.approx(np.mean(distances), rel=1e-9)
    assert found.deviation == pytest.approx(np.std(distances), rel=1e-9)
    assert found.limit == pytest.approx(np.mean(distances) + 3 * np.std(distances), rel=1e-9)
    assert (found.chunks, found.rows) == (20, 60)


def test_a_window_of_the_same_population_lies_inside() -> None:
    outside = [
        chunk_range(numbers(1200, i), DAYS, numbers(80, 900 + i), "numeric").p_value < 0.001
        for i in range(60)
    ]
    assert sum(outside) <= 1


def test_a_shift_lies_outside() -> None:
    found = chunk_range(numbers(1200, 1), DAYS, numbers(80, 2, shift=1.0), "numeric")
    assert found.outside
    assert found.distance > found.largest
    assert found.p_value < 0.001


def test_days_that_differ_from_each_other_widen_the_range() -> None:
    daily = np.random.default_rng(5).normal(0, 0.8, 20)[DAYS]
    found = chunk_range(numbers(1200, 1) + daily, DAYS, numbers(80, 2, shift=1.0), "numeric")
    assert not found.outside
    assert found.p_value > 0.001


def test_words_are_compared_too() -> None:
    generator = np.random.default_rng(3)
    before = generator.choice(["a", "b"], 1200, p=[0.8, 0.2]).astype(object)
    same = generator.choice(["a", "b"], 80, p=[0.8, 0.2]).astype(object)
    other = generator.choice(["a", "b", None], 80, p=[0.2, 0.7, 0.1])
    assert chunk_range(before, DAYS, same, "auto").p_value > 0.001
    found = chunk_range(before, DAYS, other, "auto")
    assert found.method == "jensenshannon"
    assert found.outside


def test_a_constant_column_is_inside_as_long_as_it_stays() -> None:
    before = np.full(1200, 4.0)
    assert chunk_range(before, DAYS, np.full(80, 4.0), "numeric").p_value == 1.0
    assert chunk_range(before, DAYS, np.full(80, 5.0), "numeric").p_value == 0.0


@pytest.mark.parametrize(
    ("chunks", "current", "reason"),
    [
        (DAYS // 3, 80, "fewer than 10 chunks"),
        (np.arange(1200) // 20, 80, "fewer than 10 chunks"),
        (np.full(1200, -1), 80, "fewer than 10 chunks"),
        (DAYS, 29, "half as many rows"),
        (DAYS, 0, "half as many rows"),
    ],
)
def test_what_cannot_be_compared_is_undefined(chunks, current, reason) -> None:
    with pytest.raises(UndefinedError, match=reason):
        chunk_range(numbers(1200, 1), chunks, numbers(current, 2), "numeric")


def test_a_column_without_values_is_undefined() -> None:
    with pytest.raises(UndefinedError):
        chunk_range(np.full(1200, np.nan), DAYS, numbers(80, 2), "numeric")


def test_the_prediction_test_is_calibrated_for_log_normal_distances() -> None:
    generator = np.random.default_rng(8)
    found = [
        prediction_p_value(*(lambda d: (float(d[0]), d[1:]))(generator.lognormal(-3, 0.4, 23)))
        for _ in range(2000)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_times_are_cut_into_days_and_weeks() -> None:
    times = np.array(
        ["2026-03-02T23:59", "2026-03-03T00:00", "NaT", "2026-03-09T12:00"], dtype="datetime64[us]"
    )
    assert chunks_of(times, 1).tolist() == [0, 1, -1, 7]
    assert chunks_of(times, 7).tolist() == [0, 0, -1, 1]


def test_one_weekday_can_be_kept() -> None:
    times = np.array(["2026-03-02", "2026-03-03", "2026-03-09"], dtype="datetime64[us]")
    assert chunks_of(times, 1, weekday=0).tolist() == [0, -1, 7]


@pytest.mark.parametrize("dtype", ["datetime64[us]", object])
def test_a_column_without_times_is_undefined(dtype) -> None:
    with pytest.raises(UndefinedError, match="no row"):
        chunks_of(np.array(["NaT", "NaT"], dtype=dtype), 1)
