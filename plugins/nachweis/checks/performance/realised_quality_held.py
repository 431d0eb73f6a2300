"""Quality of predictions, once outcomes are known."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.performance._arrived import (
    MIN_ARRIVED,
    MIN_ROWS,
    arrived_measurement,
    counted,
    scope,
    too_early,
)
from nachweis.checks.performance._examples import MODEL, RECENT, late, scored, spread
from nachweis.checks.performance._measured import (
    known,
    metrics,
    realised_request,
    reference_request,
    undeclared,
)
from nachweis.checks.performance._verdicts import MAX_DROP, MAX_RISE, compare, conclude, targets
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request
from nachweis.engines.performance import Metric

_GOOD = scored(400)
_CHANCE = scored(400, truth=[0.5] * 400)
_AMOUNTS = {"p": [100 * one for one in spread(300)]}
_REGRESSION = {**MODEL, "kind": "regression"}
_QUEUES = ["returns", "delivery", "account"] * 100
_MULTICLASS = {**MODEL, "kind": "multiclass"}


class RealisedQualityHeld(Check):
    """Are the model's predictions as good as declared, now that outcomes have arrived?

    Why: A model whose predictions have become worse decides about people on inaccurate grounds
        (Art. 5(1)(d) GDPR), and nothing shows it as directly as what people did later.
    Method: Scored rows are joined with outcomes by key. Rows count once the declared label delay
        has passed, over a window as long as the model's ``extend_to``. Binary: accuracy, precision,
        recall, F1 (0 to 1), ROC AUC (0 to 1, scores rounded to three digits, DeLong interval) and
        Brier score; multiclass: accuracy and macro F1; regression: MAE, RMSE and bias in the unit
        of the outcome; rules: as binary without scores. Metrics that the model declares are held
        against the declared value, else against the reference's outcomes; without a declared one,
        ROC AUC, accuracy or MAE is. Fails if the whole 99 % interval of the difference lies beyond
        ``max_drop`` (errors of regression: ``max_relative_rise``); nights are not counted, because
        the interval already has to clear the limit. Undefined with one class only, fewer than
        ``min_rows`` outcomes, or while fewer than ``min_arrived`` of the due ones have arrived.
        Source: scikit-learn's definitions on weighted counts; DeLong 1988; Newcombe 1998.
    Leaves out: Outcomes that the decision itself changes or that are only learned for people who
        were selected. Which people the errors concern; see worst_slices_bearable.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORE_OR_PREDICTION, Needs.LOG_KEY, Needs.LOG_TIME, Needs.OUTCOMES)
    model_kinds = frozenset(
        {ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.REGRESSION, ModelKind.RULES}
    )
    params = (MAX_DROP, MAX_RISE, MIN_ROWS, MIN_ARRIVED)
    remediation = (
        "Look first at the outcomes: a changed definition, a late or reversed delivery looks like "
        "a bad model. Then compare features and scores with the reference and find the rows that "
        "are wrong (worst_slices_bearable). If the world has changed, train on newer rows and have "
        "the new version approved."
    )
    examples = (
        Example("as good as the reference", Outcome.PASS, late(_GOOD, reference=_GOOD), MODEL),
        Example(
            "as good as declared",
            Outcome.PASS,
            late(_GOOD),
            {**MODEL, "metrics": [{"id": "roc-auc", "value": 0.82}]},
        ),
        Example("scores say nothing any more", Outcome.FAIL, late(_CHANCE, reference=_GOOD), MODEL),
        Example(
            "recall below the declared value",
            Outcome.FAIL,
            late(_CHANCE),
            {**MODEL, "metrics": [{"id": "true-positive-rate", "value": 0.75}]},
        ),
        Example(
            "errors of a regression doubled",
            Outcome.FAIL,
            late(
                {**_AMOUNTS, "spent": [x + 8 * (-1) ** i for i, x in enumerate(_AMOUNTS["p"])]},
                reference={
                    **_AMOUNTS,
                    "spent": [x + 4 * (-1) ** i for i, x in enumerate(_AMOUNTS["p"])],
                },
                label="spent",
                outcome_type="number",
            ),
            _REGRESSION,
        ),
        Example(
            "one queue is confused with another",
            Outcome.FAIL,
            late(
                {"offer": ["returns" if q == "account" else q for q in _QUEUES], "queue": _QUEUES},
                label="queue",
                outcome_type="string",
            ),
            {**_MULTICLASS, "metrics": [{"id": "macro-f1", "value": 0.9}]},
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            late(_CHANCE, reference=_GOOD, at=RECENT),
            MODEL,
        ),
        Example("nothing to hold it against", Outcome.NOT_AVAILABLE, late(_CHANCE), MODEL),
        Example(
            "one class only",
            Outcome.NOT_AVAILABLE,
            late({**_GOOD, "bought": [0] * 400}, reference=_GOOD),
            MODEL,
        ),
        Example(
            "few outcomes have arrived",
            Outcome.NOT_AVAILABLE,
            late(_CHANCE, reference=_GOOD, outcomes=100),
            MODEL,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Counts of scores, predictions and outcomes, of the due rows and of the reference."""
        if undeclared(inputs):
            return []
        reference = reference_request(inputs)
        return [realised_request(inputs), *([reference] if reference else [])]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding."""
        if declare := undeclared(inputs):
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "Predictions cannot be compared with outcomes before more is declared.",
                    declare=declare,
                )
            ]
        table = counted(observations, "realised")
        if isinstance(table, str):
            return [self.finding(inputs, Outcome.NOT_AVAILABLE, table, scope=scope(inputs))]
        told = known(inputs, table)
        measured = arrived_measurement(inputs, told, table.n)
        if reason := too_early(inputs, told, table.n):
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    reason,
                    measurements=[measured],
                    scope=scope(inputs),
                )
            ]
        now = metrics(inputs, table)
        before = _reference(inputs, observations)
        compared = [compare(inputs, target, now, before) for target in targets(inputs, now)]
        return [conclude(self, inputs, compared, now, looked_at=scope(inputs), also=[measured])]


def _reference(inputs: Inputs, observations: Observations) -> dict[str, Metric]:
    table = observations.get("reference")
    return metrics(inputs, table) if table is not None else {}
