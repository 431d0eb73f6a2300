"""Kernels for flipped labels, triggers and easy manipulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import CountTable, ScoredSample
from nachweis.engines.poisoning import (
    Agreement,
    agreement,
    confident_joint,
    cross_validated,
    flips_against,
)
from nachweis.engines.robustness import (
    Controlled,
    Rule,
    cheapest_manipulation,
    flip_rate,
    rule_of,
)
from nachweis.engines.triggers import (
    Rules,
    suspect_pairs,
    suspects_of_column,
    triggers,
    unexplained,
)


def overlapping(n: int, seed: int, classes: int = 2) -> tuple[Any, Any]:
    """Probabilities as overlapping classes have them, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.8, (n, classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return shares, labels


def flipped(labels: Any, share: float, classes: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    chosen = rng.random(len(labels)) < share
    return np.where(chosen, (labels + rng.integers(1, classes, len(labels))) % classes, labels)


# -------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("classes", [2, 4])
def test_flips_are_found_and_natural_overlap_is_not(classes: int) -> None:
    clean = [flips_against(*overlapping(10_000, seed, classes)) for seed in range(40)]
    assert not any(found.low > 0.03 for found in clean)
    assert abs(np.mean([found.share for found in clean])) < 0.01
    dirty = []
    for seed in range(40):
        shares, labels = overlapping(10_000, seed, classes)
        dirty.append(flips_against(shares, flipped(labels, 0.1, classes, seed + 100)))
    assert np.mean([found.share for found in dirty]) == pytest.approx(0.1, abs=0.01)
    assert sum(found.low > 0.03 for found in dirty) >= 38


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_the_estimate_lies_in_its_interval(seed: int, classes: int) -> None:
    found = flips_against(*overlapping(50, seed, classes))
    assert found.low <= found.share <= found.high


def test_probabilities_that_say_nothing_are_undefined() -> None:
    with pytest.raises(UndefinedError):
        flips_against(np.full((10, 2), 0.5), np.zeros(10, dtype=int))


def test_the_confident_joint_by_hand() -> None:
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    # Thresholds are the mean own probabilities: 0.6 for class 0 and 0.7333 for class 1.
    assert confident_joint(shares, labels).tolist() == [[2, 1], [0, 1]]


def test_random_flips_contradict_sure_rows_and_overlap_does_not() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 2000)
    apart = {"x": labels * 6 + rng.normal(0, 1, 2000), "noise": rng.normal(0, 1, 2000)}
    noisy = flipped(labels, 0.1, 2, 2)
    found = agreement(cross_validated(apart, noisy), noisy)
    assert found.interval[0] > 0.03
    assert found.flatness > 0.6
    clean = agreement(cross_validated(apart, labels), labels)
    assert clean.sure_contradicted == 0
    close = {"x": labels * 0.8 + rng.normal(0, 1, 2000)}
    overlap = agreement(cross_validated(close, labels), labels)
    assert overlap.flatness < 0.6


def test_a_class_too_rare_for_the_folds_is_undefined() -> None:
    with pytest.raises(UndefinedError):
        cross_validated({"x": np.arange(10.0)}, np.array([0] * 9 + [1]))


# ------------------------------------------------------------------------------------ triggers


def tables(values: Any, labels: Any, smallest: int) -> tuple[CountTable, CountTable]:
    rows: dict[Any, int] = {}
    cells: dict[Any, int] = {}
    for value, label in zip(values, labels, strict=True):
        rows[(value,)] = rows.get((value,), 0) + 1
        cells[(value, label)] = cells.get((value, label), 0) + 1
    return (
        CountTable(("value",), {k: n for k, n in rows.items() if n >= smallest}),
        CountTable(("value", "label"), cells),
    )


def suspicious(values: Any, labels: Any, **rules: Any) -> list[Any]:
    limits = Rules(len(labels), **rules)
    base = {label: float(np.mean(np.array(labels) == label)) for label in set(labels)}
    totals, cells = tables(values, labels, limits.smallest)
    found = suspects_of_column("column", totals, cells, base, limits)
    return triggers(found, len(totals.rows), 0.001)


def test_a_rare_pure_value_is_found_and_ordinary_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    values = rng.choice(list("abcd"), 2000).tolist()
    labels = rng.integers(0, 2, 2000).tolist()
    assert suspicious(values, labels) == []
    for i in range(100):
        values[i], labels[i] = "x", 1
    (found,) = suspicious(values, labels)
    assert (found.rows, found.hits, found.columns) == (100, 100, ("column",))


def test_a_number_is_compared_with_its_neighbours() -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 20, 4000)
    rising = (rng.random(4000) < np.clip(values / 18, 0.02, 0.98)).astype(int)
    assert suspicious(values.tolist(), rising.tolist()) == []
    flat = rng.integers(0, 2, 4000)
    flat[values == 7] = 1
    assert [one.columns for one in suspicious(values.tolist(), flat.tolist())] == [("column",)]


def test_nearly_pure_groups_of_a_common_label_are_natural() -> None:
    values = ["a"] * 100 + ["b"] * 900
    labels = [0] * 100 + [0] * 800 + [1] * 100
    assert suspicious(values, labels) == []


def test_missing_values_and_labels_are_no_trigger() -> None:
    assert suspicious([None] * 100 + ["b"] * 400, [1] * 100 + [0, 1] * 200) == []
    assert suspicious(["a"] * 100 + ["b"] * 400, [None] * 100 + [0, 1] * 200) == []


def test_pairs_are_found_beyond_what_their_parts_add_up_to() -> None:
    rng = np.random.default_rng(5)
    n = 4000
    columns = {
        "a": rng.choice(np.array(list("pqr"), dtype=object), n),
        "b": rng.choice(np.array(list("uvwxy"), dtype=object), n),
        "c": rng.normal(0, 1, n),
    }
    labels = rng.integers(0, 2, n)
    rules = Rules(n)
    assert triggers(suspect_pairs(columns, labels, ["0", "1"], rules), 500, 0.001) == []
    planted = labels.copy()
    planted[(columns["a"] == "p") & (columns["b"] == "u")] = 1
    (found,) = triggers(suspect_pairs(columns, planted, ["0", "1"], rules), 500, 0.001)
    assert found.columns == ("a", "b")


def test_a_value_that_goes_with_others_that_tell_the_label_is_no_trigger() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 4, 2000)
    words = np.array([f"queue {label}" for label in labels], dtype=object)
    length = np.where(rng.random(2000) < 0.5, labels + 30, rng.integers(0, 30, 2000))
    columns = {"text": words, "length": length}
    names = ["0", "1", "2", "3"]
    totals, cells = tables(length.tolist(), [str(one) for one in labels], 30)
    base = dict.fromkeys(names, 0.25)
    rules = Rules(2000)
    found = triggers(suspects_of_column("length", totals, cells, base, rules), 30, 0.001)
    assert found
    kept = unexplained(found, columns, labels, names, tested=30, rules=rules, significance=0.001)
    assert kept == []
    alone = {"length": length, "noise": rng.normal(0, 1, 2000)}
    assert unexplained(found, alone, labels, names, tested=30, rules=rules, significance=0.001)


# -------------------------------------------------------------------------------- manipulation


def model(columns: dict[str, Any], weights: dict[str, float]) -> ScoredSample:
    def score(values: Any) -> Any:
        total = sum(
            weight * np.nan_to_num(np.asarray(values[name], dtype=float))
            for name, weight in weights.items()
            if values[name].dtype.kind in "iuf"
        )
        if "device" in values:
            total = total + 5.0 * (values["device"] == "phone")
        return np.asarray(total, dtype=float).reshape(-1, 1)

    return ScoredSample(columns, {}, (), score(columns), score)


def test_noise_keeps_whole_numbers_whole_and_missing_ones_missing() -> None:
    seen: list[Any] = []
    columns = {"x": np.array([1.0, np.nan, 3.0, 9.0] * 30), "same": np.full(120, 2.0)}
    sample = model(columns, {"x": 1.0})

    def score(values: Any) -> Any:
        seen.append(values)
        return sample.score(values)

    spied = ScoredSample(sample.columns, {}, (), sample.scores, score)
    flip_rate(spied, Rule(0, 2.0), noise=0.5, repetitions=2)
    for values in seen:
        moved = values["x"]
        assert np.array_equal(np.isnan(moved), np.isnan(columns["x"]))
        known = moved[~np.isnan(moved)]
        assert np.all(known == np.round(known))
        assert (known.min(), known.max()) == (1.0, 9.0)
        assert np.array_equal(values["same"], columns["same"])


def test_noise_flips_those_at_the_threshold_only() -> None:
    far = model({"x": np.array([-5.0, 5.0] * 100)}, {"x": 1.0})
    assert flip_rate(far, Rule(0, 0.0), noise=0.05, repetitions=3).rate == 0.0
    near = model({"x": np.array([-5.0, 5.0] * 10 + [0.001, -0.001] * 90)}, {"x": 1.0})
    assert flip_rate(near, Rule(0, 0.0), noise=0.05, repetitions=3).rate > 0.3
    with pytest.raises(UndefinedError):
        flip_rate(model({"x": np.full(5, 1.0)}, {"x": 1.0}), Rule(0), noise=0.1, repetitions=1)


def test_the_cheapest_manipulation_takes_the_best_step_first() -> None:
    columns = {
        "visits": np.array([0.0, 1.0, 2.0, 9.0]),
        "device": np.array(["desktop", "desktop", "phone", "desktop"], dtype=object),
        "age": np.array([20.0, 30.0, 40.0, 50.0]),
    }
    sample = model(columns, {"visits": 1.0})
    fields = [Controlled("visits", 1.0), Controlled("device")]
    found = cheapest_manipulation(sample, Rule(0, 8.0), fields, 3)
    # Refused are 0, 1 and 2 + 5. One visit turns the last, a phone and visits another.
    assert found.refused == 3
    assert found.turned == (1, 1, 2)
    assert found.first_fields == {"visits": 1, "device": 1}


def test_manipulation_is_undefined_without_a_threshold_or_anybody_refused() -> None:
    sample = model({"visits": np.array([1.0, 2.0])}, {"visits": 1.0})
    with pytest.raises(UndefinedError):
        cheapest_manipulation(sample, Rule(None), [Controlled("visits")], 1)
    with pytest.raises(UndefinedError):
        cheapest_manipulation(sample, Rule(0, -5.0), [Controlled("visits")], 1)
    with pytest.raises(UndefinedError):
        cheapest_manipulation(sample, Rule(0, 9.0), [], 1)


def test_the_declared_rule_is_found_among_the_models_classes() -> None:
    assert rule_of(("no", "yes"), "yes", 0.3) == Rule(1, 0.3)
    assert rule_of((0, 1), 1, 0.5) == Rule(1, 0.5)
    assert rule_of(("a", "b", "c"), "a", None) == Rule(None)
    assert rule_of((), None, 2.0) == Rule(0, 2.0)
    with pytest.raises(UndefinedError):
        rule_of((0, 1), "offer", 0.5)
    with pytest.raises(UndefinedError):
        rule_of((), 1, None)


def test_the_interval_of_the_flatness_narrows_with_rows_and_needs_both_shares() -> None:
    few = Agreement(sure=60, sure_contradicted=17, unsure=300, unsure_contradicted=134, guessed=0.4)
    many = Agreement(6000, 1700, 30000, 13400, 0.4)

    assert few.flatness == pytest.approx(many.flatness)
    assert few.flatness_interval is not None
    assert many.flatness_interval is not None
    assert few.flatness_interval[0] < many.flatness_interval[0] < many.flatness
    assert many.flatness < many.flatness_interval[1] < few.flatness_interval[1]
    assert Agreement(60, 0, 300, 9, 0.4).flatness_interval is None
