"""Estimates from one score per class equal the same steps of scikit-learn taken row by row."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics  # noqa: TID253 - the peer under comparison
from sklearn.isotonic import IsotonicRegression  # noqa: TID253 - the peer under comparison

from nachweis import registry
from nachweis.checks.performance._classes import against_the_rest, fitted, without_score
from nachweis.checks.performance._examples import MODEL, late
from nachweis.domain.check import Example
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import DataSet
from nachweis.domain.observation import CountTable
from nachweis.engines.performance_estimation import estimate_classes
from nachweis.pipeline.examples import run_example

NAMES = ["a", "b", "c"]
TONIGHT = dt.datetime(2026, 3, 2, 12)

rows = st.lists(
    st.tuples(st.tuples(*(st.integers(0, 20) for _ in NAMES)), st.sampled_from(NAMES)),
    min_size=3,
    max_size=40,
)


def counted(scores: np.ndarray, told: np.ndarray) -> CountTable:
    """What the engine counts: each row once per class."""
    found = Counter(
        (f"{k}:{row[k]}", name) for row, name in zip(scores.tolist(), told, strict=True)
        for k in range(len(NAMES))
    )  # fmt: skip
    return CountTable(("scored", "told"), dict(found))


def split(items: list[tuple[tuple[int, ...], str]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([scores for scores, _ in items]) / 20, np.array([name for _, name in items])


def estimated(now: tuple[Any, Any], before: tuple[Any, Any]) -> dict[str, Any]:
    tables = [against_the_rest(counted(*one), NAMES) for one in (now, before)]
    return estimate_classes(fitted(*tables))


def row_by_row(now: tuple[Any, Any], before: tuple[Any, Any]) -> dict[str, float]:
    """Expected accuracy, macro F1 and macro ROC AUC from one probability per row and class."""
    scores, predicted = now
    hits, f1, areas = 0.0, [], []
    for k, name in enumerate(NAMES):
        curve = IsotonicRegression(out_of_bounds="clip")
        curve.fit(before[0][:, k], (before[1] == name).astype(float))
        p, chosen = curve.predict(scores[:, k]), predicted == name
        hits += p[chosen].sum()
        if chosen.sum() + p.sum() == 0:
            continue
        f1.append(2 * p[chosen].sum() / (chosen.sum() + p.sum()))
        one_class = p.sum() <= 0 or (1 - p).sum() <= 0
        areas.append(
            None
            if one_class
            else metrics.roc_auc_score(
                np.repeat([1, 0], len(p)),
                np.tile(scores[:, k], 2),
                sample_weight=np.concatenate([p, 1 - p]),
            )
        )
    found = {"accuracy": hits / len(predicted), "macro_f1": float(np.mean(f1))}
    return found if None in areas else found | {"macro_roc_auc": float(np.mean(areas))}


@settings(max_examples=40, deadline=None)
@given(rows, rows)
def test_estimates_equal_those_of_single_rows(now: Any, before: Any) -> None:
    now, before = split(now), split(before)
    found = estimated(now, before)
    peer = row_by_row(now, before)
    for name, metric in found.items():
        if name not in peer:
            assert metric.value is None
            continue
        assert metric.value == pytest.approx(peer[name], abs=1e-9)
        low, high = metric.interval
        assert 0 <= low <= metric.value <= high <= 1


def drawn(n: int, sharpness: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with three digits, the most likely class, and a class drawn by the scores."""
    rng = np.random.default_rng(seed)
    raw = np.exp(sharpness * rng.normal(size=(n, len(NAMES))))
    scores = np.round(raw / raw.sum(axis=1, keepdims=True), 3)
    names = np.array(NAMES)
    uniform = rng.random(n)[:, None] * scores.sum(axis=1, keepdims=True)
    happened = names[np.argmax(uniform < np.cumsum(scores, axis=1), axis=1)]
    return scores, names[scores.argmax(axis=1)], happened


def test_what_is_realised_lies_in_the_estimated_interval() -> None:
    inside = Counter()
    for seed in range(60):
        scores, predicted, happened = drawn(600, 1.5, seed)
        known, _, told = drawn(1500, 2.0, 1000 + seed)
        found = estimated((scores, predicted), (known, told))
        realised = {
            "accuracy": metrics.accuracy_score(happened, predicted),
            "macro_f1": metrics.f1_score(happened, predicted, average="macro"),
        }
        for name, value in realised.items():
            low, high = found[name].interval
            inside[name] += low <= value <= high
    # 95 % are meant; the interval of macro F1 is no narrower than any dependence makes it.
    assert inside["accuracy"] >= 52
    assert inside["macro_f1"] >= 55


def told_by(now: Any, before: Any, **declared: Any) -> Finding:
    """The check's finding on data that the engine counts itself."""

    def columns(scores: np.ndarray, predicted: np.ndarray, told: np.ndarray) -> dict[str, Any]:
        each = {f"p_{name}": scores[:, k].tolist() for k, name in enumerate(NAMES)}
        return {
            "p": scores.max(axis=1).tolist(),
            "offer": predicted.tolist(),
            **each,
            "bought": told.tolist(),
        }

    tables = late(
        columns(*now), reference=columns(*before), at=TONIGHT, outcome_type="string"
    )  # fmt: skip
    scores = {name: f"p_{name}" for name in NAMES}
    for name in ("scoring_log", "reference"):
        table = tables[name]
        own = {"class_scores": declared.get(name, scores)}
        tables[name] = replace(table, declare={**table.declare, **own})
    check = registry.check("estimated_quality_held")
    example = Example("x", Outcome.PASS, tables, model={**MODEL, "kind": "multiclass"})
    (finding,) = run_example(check, example)
    return finding


def values(finding: Finding) -> dict[str, Any]:
    return {one.name: one.value for one in finding.measurements}


def test_the_check_counts_what_single_rows_give() -> None:
    now, before = drawn(700, 0.5, 1), drawn(900, 2.0, 2)
    finding = told_by(now, before)
    peer = row_by_row(now[:2], (before[0], before[2]))
    measured = values(finding)
    assert finding.outcome is Outcome.FAIL  # scores have become unsure
    for name, value in peer.items():
        assert measured[f"estimated_{name}"] == pytest.approx(value, abs=1e-6)


def test_without_equal_classes_on_both_sides_the_confidence_is_used() -> None:
    now, before = drawn(700, 2.0, 1), drawn(900, 2.0, 2)
    measured = values(told_by(now, before, reference={}))
    assert measured["estimated_accuracy"] is not None
    assert "estimated_macro_f1" not in measured


def test_a_class_without_a_column_is_not_guessed() -> None:
    now, before = drawn(700, 2.0, 1), drawn(900, 2.0, 2)
    two = {name: f"p_{name}" for name in NAMES[:2]}
    finding = told_by(now, before, scoring_log=two, reference=two)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "class_scores" in finding.explanation


def test_what_is_told_of_unknown_classes_is_noticed() -> None:
    assert without_score([CountTable(("scored", "told"), {("0:0.5", "d"): 1})], NAMES)
    assert not without_score([CountTable(("scored", "told"), {(None, None): 1})], NAMES)


def test_a_column_of_class_scores_must_be_declared() -> None:
    with pytest.raises(ValidationError, match=r"class_scores\.a"):
        DataSet.model_validate(
            {
                "id": "log",
                "role": "scoring_log",
                "location": "x.parquet",
                "columns": [{"name": "p_b", "type": "number"}],
                "class_scores": {"a": "p_a"},
            }
        )
