"""Requests and metrics by kind of model: counts of scores, predictions and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nachweis.checks.performance._arrived import (
    LABEL,
    arrived,
    data_of,
    positive_outcome,
    positive_prediction,
    same,
)
from nachweis.domain.check import Inputs
from nachweis.domain.manifest import DataSet, FieldRole, ModelKind
from nachweis.domain.observation import CountTable, Expression, GroupedCounts
from nachweis.engines.performance import (
    Cells,
    ErrorSums,
    Metric,
    ScoreCounts,
    brier_score,
    classification,
    multiclass,
    regression,
    roc_auc,
    tied_share,
)
from nachweis.engines.performance_keys import (
    both_known,
    error_power,
    score_key,
    score_square,
    score_sum,
)

Counted = tuple[dict[str, str | Expression], dict[str, Expression]]
"""Keys and sums of a grouped count."""


def keys_and_sums(inputs: Inputs, data_set: DataSet, label: str | None) -> Counted:
    """What is counted in a data set with scores, predictions and, where known, outcomes."""
    score, prediction = data_set.field(FieldRole.SCORE), data_set.field(FieldRole.PREDICTION)
    if inputs.model.kind is ModelKind.REGRESSION:
        return _errors(prediction or score or "", label or "")
    by: dict[str, str | Expression] = {}
    sums: dict[str, Expression] = {}
    if score and inputs.model.kind is not ModelKind.RULES:
        by["score"] = score_key(score)
        sums = {"total": score_sum(score), "squares": score_square(score)}
    if prediction:
        by["prediction"] = prediction
    if label:
        by["label"] = label
    return by, sums


def _errors(prediction: str, label: str) -> Counted:
    sums = {
        "absolute": error_power(prediction, label, 0),
        "error": error_power(prediction, label, 1),
        "squares": error_power(prediction, label, 2),
        "fourth": error_power(prediction, label, 4),
    }
    return {"known": both_known(prediction, label)}, sums


def realised_request(inputs: Inputs) -> GroupedCounts:
    """Scores, predictions and outcomes of the rows that are due; shared by several checks."""
    return arrived(
        inputs, "realised", *keys_and_sums(inputs, data_of(inputs, "scoring_log"), LABEL)
    )


def reference_request(inputs: Inputs) -> GroupedCounts | None:
    """The same of the reference, where it declares its outcomes."""
    reference = inputs.data("reference")
    label = reference.field(FieldRole.LABEL) if reference else None
    if reference is None or label is None:
        return None
    by, sums = keys_and_sums(inputs, reference, label)
    return GroupedCounts("reference", inputs.source("reference"), by=by, sums=sums) if by else None


def known(inputs: Inputs, table: CountTable) -> int:
    """Rows whose outcome has arrived."""
    if inputs.model.kind is ModelKind.REGRESSION:
        return table.total(known=True)
    at = table.keys.index("label")
    return sum(n for row, n in table.rows.items() if row[at] is not None)


def metrics(inputs: Inputs, table: CountTable) -> dict[str, Metric]:
    """All metrics that the counts allow, by name."""
    if inputs.model.kind is ModelKind.REGRESSION:
        return regression(_error_sums(table))
    if inputs.model.kind is ModelKind.MULTICLASS:
        return multiclass(matrix(table)) if "prediction" in table.keys else {}
    if "prediction" in table.keys:
        found = classification(cells(inputs, table))
    else:
        absent = Metric(None, 0, reason="no prediction is declared")
        found = dict.fromkeys(("accuracy", "precision", "recall", "f1"), absent)
    if "score" in table.keys:
        counts = score_counts(inputs, table)
        return found | {
            "roc_auc": _with_ties(roc_auc(counts), counts),
            "brier": brier_score(counts),
        }
    return found | dict.fromkeys(
        ("roc_auc", "brier"), Metric(None, 0, reason="no score is declared")
    )


def _with_ties(metric: Metric, counts: ScoreCounts) -> Metric:
    ties = tied_share(counts) / 2
    recipe = f"{metric.recipe}; scores with three digits, at most {ties:.4f} off for equal ones"
    return Metric(metric.value, metric.n, metric.interval, recipe, metric.reason)


def undeclared(inputs: Inputs) -> str:
    """What must be declared before predictions can be compared with outcomes."""
    if inputs.model.kind not in {ModelKind.BINARY, ModelKind.RULES}:
        return ""
    return "" if positive_outcome(inputs) is not None else "'outcome.positive' of the model"


def _error_sums(table: CountTable) -> ErrorSums:
    key = (True,)
    sums = {name: float(values.get(key, 0.0)) for name, values in table.sums.items()}
    return ErrorSums(
        table.total(known=True), sums["error"], sums["absolute"], sums["squares"], sums["fourth"]
    )


def matrix(table: CountTable) -> dict[tuple[str, str], int]:
    """(outcome, prediction) to rows, without rows that lack one of them."""
    label, prediction = table.keys.index("label"), table.keys.index("prediction")
    found: dict[tuple[str, str], int] = {}
    for row, n in table.rows.items():
        if row[label] is not None and row[prediction] is not None:
            pair = (str(row[label]), str(row[prediction]))
            found[pair] = found.get(pair, 0) + n
    return found


def cells(inputs: Inputs, table: CountTable) -> Cells:
    """The confusion matrix of the positive outcome."""
    told, chosen = positive_outcome(inputs), positive_prediction(inputs)
    chosen = told if chosen is None else chosen
    at, of = table.keys.index("label"), table.keys.index("prediction")
    found = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for row, n in table.rows.items():
        if row[at] is not None and row[of] is not None:
            found[same(row[at], told), same(row[of], chosen)] += n
    return Cells(found[True, True], found[False, True], found[True, False], found[False, False])


def score_counts(inputs: Inputs, table: CountTable) -> ScoreCounts:
    """Rows per score; rows without score or outcome are left out."""
    told = positive_outcome(inputs)
    label = table.keys.index("label")
    return folded(table, lambda row: None if row[label] is None else same(row[label], told))


def right_counts(table: CountTable) -> ScoreCounts:
    """Rows per confidence: right predictions are positive, wrong ones negative."""
    label, prediction = table.keys.index("label"), table.keys.index("prediction")

    def right(row: tuple[Any, ...]) -> bool | None:
        if row[label] is None or row[prediction] is None:
            return None
        return str(row[label]) == str(row[prediction])

    return folded(table, right)


def folded(table: CountTable, side: Any) -> ScoreCounts:
    """Rows per score on two sides.

    Args:
        table: Counts with the key ``score`` and the sums ``total`` and ``squares``.
        side: Key values to true, false, or None for rows that do not count.

    Returns:
        The counts; ``positives`` are the rows on the true side.
    """
    import numpy as np

    at = table.keys.index("score")
    rows: dict[float, list[float]] = {}
    squares = positive_total = 0.0
    for row, n in table.rows.items():
        score, found = row[at], side(row)
        if score is None or found is None:
            continue
        total = table.sums["total"].get(row, 0.0)
        entry = rows.setdefault(float(score), [0.0, 0.0, 0.0])
        entry[0 if found else 1] += n
        entry[2] += total
        squares += table.sums["squares"].get(row, 0.0)
        positive_total += total if found else 0.0
    order = sorted(rows)
    values = np.array([rows[key] for key in order], dtype=np.float64).reshape(-1, 3)
    found_rows = values[:, 0] + values[:, 1]
    return ScoreCounts(
        values[:, 2] / found_rows, values[:, 0], values[:, 1], squares, positive_total
    )


def units(name: str) -> str:
    """Unit of a metric."""
    return _UNITS.get(name, "share")


_UNITS: Mapping[str, str] = {
    "roc_auc": "probability",
    "macro_roc_auc": "probability",
    "brier": "mean square",
    "f1": "F1",
    "macro_f1": "F1",
    "ndcg": "NDCG",
    "precision_at_k": "precision at k",
    "mae": "unit of the outcome",
    "rmse": "unit of the outcome",
    "bias": "unit of the outcome",
}
