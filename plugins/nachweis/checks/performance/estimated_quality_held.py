"""Quality of predictions before outcomes arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from nachweis.checks.performance._arrived import (
    MIN_ROWS,
    counted,
    data_of,
    eligible,
    positive_prediction,
    same,
)
from nachweis.checks.performance._classes import (
    CLASS_COUNTS,
    against_the_rest,
    class_requests,
    declared_classes,
    fitted,
    without_score,
)
from nachweis.checks.performance._examples import (
    MODEL,
    TONIGHT,
    Rows,
    happened,
    late,
    scored,
    spread,
)
from nachweis.checks.performance._measured import (
    folded,
    keys_and_sums,
    metrics,
    reference_request,
    right_counts,
    score_counts,
    undeclared,
)
from nachweis.checks.performance._verdicts import MAX_DROP, compare, conclude, targets
from nachweis.domain.check import (
    Check,
    Example,
    ExampleTable,
    Inputs,
    Lifecycle,
    Needs,
    Param,
)
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import CountTable, GroupedCounts, Observations, Request
from nachweis.engines.performance import Metric
from nachweis.engines.performance_calibration import isotonic
from nachweis.engines.performance_estimation import (
    Scored,
    estimate,
    estimate_classes,
    expected_accuracy,
)

if TYPE_CHECKING:
    from nachweis.engines.performance_calibration import Calibrator

_REFERENCE = scored(400)
_SAME = dict(_REFERENCE)
_MIDDLE = [0.4 + one / 5 for one in spread(400)]
_UNSURE: Rows = {
    "p": _MIDDLE,
    "offer": [int(one >= 0.5) for one in _MIDDLE],
    "bought": _REFERENCE["bought"],
}
_BEYOND: Rows = {**_SAME, "p": [0.9 + one / 2 for one in spread(400)]}
_ASKED = ["returns", "delivery"] * 400
_RIGHT = happened([0.5 + one / 2 for one in spread(800)])
_SURE_QUEUES: Rows = {
    "p": [0.5 + one / 2 for one in spread(800)],
    "offer": _ASKED,
    "bought": [q if right else "account" for q, right in zip(_ASKED, _RIGHT, strict=True)],
}
_NAMES = ("returns", "delivery", "invoice")


def _queues(lowest: float, highest: float) -> Rows:
    """Three queues in turn; the score of the predicted one lies between two bounds."""
    p = [round(lowest + one * (highest - lowest), 3) for one in spread(450)]
    asked = [_NAMES[i % 3] for i in range(450)]
    others = [_NAMES[(i + 1 + i // 3 % 2) % 3] for i in range(450)]
    told = [a if hit else o for a, o, hit in zip(asked, others, happened(p), strict=True)]
    scores = {
        f"p_{name}": [
            one if a == name else round((1 - one) / 2, 3) for one, a in zip(p, asked, strict=True)
        ]
        for name in _NAMES
    }
    return {"p": p, "offer": asked, **scores, "bought": told}


def _by_class(now: Rows, before: Rows) -> dict[str, ExampleTable]:
    """Scoring log, outcomes and reference with one score per queue."""
    tables = late(now, reference=before, at=TONIGHT, outcome_type="string")
    scores = {"class_scores": {name: f"p_{name}" for name in _NAMES}}
    return {
        name: replace(table, declare={**table.declare, **scores}) if name != "outcomes" else table
        for name, table in tables.items()
    }


_QUEUES, _UNSURE_QUEUES = _queues(0.4, 1.0), _queues(0.4, 0.5)


class EstimatedQualityHeld(Check):
    """Are the predictions of tonight probably as good as before, although no outcome is known yet?

    Why: Outcomes arrive weeks later. Until then a model can decide about people on inaccurate
        grounds (Art. 5(1)(d) GDPR) without anybody noticing.
    Method: CBPE (confidence-based performance estimation). An isotonic curve from scores to
        outcomes is fitted on the labelled reference; the current window's scores become
        probabilities and give an expected confusion matrix, from it expected accuracy, precision,
        recall, F1 and ROC AUC (0 to 1). Multiclass: where log and reference declare
        ``class_scores``, one curve per class against the rest gives expected accuracy, macro F1 and
        macro ROC AUC; else expected accuracy from the confidence in the predicted class. The 95 %
        interval holds the chance of the outcomes and the size of the reference. Fails if the whole
        99 % interval of the difference from the declared value, else from the reference's, lies
        beyond ``max_drop``. It assumes that a score still means what it meant in the reference
        (inputs may shift, the relation to the outcome may not). Undefined with fewer than
        ``min_rows`` rows on a side, one class only in the reference, or where more than
        ``max_outside`` of the rows have scores the reference does not reach. Source: NannyML's
        CBPE; scikit-learn's isotonic regression.
    Leaves out: A change of what leads to the outcome (concept drift): only realised_quality_held
        sees it. Macro F1 of multiclass models without a score per class. With one, probabilities
        of a row are not scaled to add up to 1. A reference of a few hundred rows makes the
        estimate a little too good, within its interval.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORES, Needs.PREDICTIONS, Needs.REFERENCE, Needs.REFERENCE_LABELS)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS})
    params = (
        MAX_DROP,
        MIN_ROWS,
        Param(
            "max_outside",
            0.1,
            "share of rows",
            "design default of this project",
            "Largest share of rows whose score lies outside the reference's range.",
            minimum=0,
            maximum=0.5,
        ),
    )
    remediation = (
        "Scores have moved to where the model has always been less sure. See which features moved "
        "(feature_distribution_stable) and whether they arrive as the model expects them. Wait for "
        "the outcomes before training again, and consider leaving unsure cases to a person."
    )
    examples = (
        Example(
            "scores as in the reference",
            Outcome.PASS,
            late(_SAME, reference=_REFERENCE, at=TONIGHT),
            MODEL,
        ),
        Example(
            "scores have become unsure",
            Outcome.FAIL,
            late(_UNSURE, reference=_REFERENCE, at=TONIGHT),
            MODEL,
        ),
        Example(
            "confidences have become low",
            Outcome.FAIL,
            late(
                {**_SURE_QUEUES, "p": [0.5 + one / 10 for one in spread(800)]},
                reference=_SURE_QUEUES,
                at=TONIGHT,
                outcome_type="string",
            ),
            {**MODEL, "kind": "multiclass"},
        ),
        Example(
            "one score per class, as in the reference",
            Outcome.PASS,
            _by_class(_QUEUES, _QUEUES),
            {**MODEL, "kind": "multiclass"},
        ),
        Example(
            "one score per class, all of them unsure",
            Outcome.FAIL,
            _by_class(_UNSURE_QUEUES, _QUEUES),
            {**MODEL, "kind": "multiclass", "metrics": [{"id": "macro-f1", "value": 0.8}]},
        ),
        Example(
            "a class without a score of its own",
            Outcome.NOT_AVAILABLE,
            _by_class(_QUEUES, {**_QUEUES, "bought": ["account", *_QUEUES["bought"][1:]]}),
            {**MODEL, "kind": "multiclass"},
        ),
        Example(
            "the reference has no outcomes",
            Outcome.NOT_AVAILABLE,
            late(_UNSURE, at=TONIGHT),
            MODEL,
        ),
        Example(
            "scores beyond the reference",
            Outcome.NOT_AVAILABLE,
            late(_BEYOND, reference=_REFERENCE, at=TONIGHT),
            MODEL,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Current scores and predictions, and the reference's with their outcomes."""
        reference = None if undeclared(inputs) else reference_request(inputs)
        if reference is None:
            return []
        log = data_of(inputs, "scoring_log")
        by, sums = keys_and_sums(inputs, log, None)
        source = inputs.source("scoring_log", "current")
        current = GroupedCounts("current", source, by=by, where=eligible(log), sums=sums)
        return [current, reference, *class_requests(inputs)]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding."""
        if declare := undeclared(inputs):
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "Nothing can be estimated before more is declared.",
                    declare=declare,
                )
            ]
        current, reference = (counted(observations, name) for name in ("current", "reference"))
        for table in (current, reference):
            if isinstance(table, str):
                return [self.finding(inputs, Outcome.NOT_AVAILABLE, table)]
        if isinstance(current, str) or isinstance(reference, str):
            return []
        if declared_classes(inputs):
            tables = [counted(observations, name) for name in CLASS_COUNTS]
            for table in tables:
                if isinstance(table, str):
                    return [self.finding(inputs, Outcome.NOT_AVAILABLE, table)]
            estimated = _of_classes(inputs, *(one for one in tables if not isinstance(one, str)))
        else:
            estimated = _estimated(inputs, current, reference)
        return [self._finding(inputs, current, reference, estimated)]

    def _finding(
        self, inputs: Inputs, current: CountTable, reference: CountTable, estimated: _Estimate
    ) -> Finding:
        scope = "rows of the current window, before their outcomes are known"
        reason, now, outside = estimated
        measured = [
            Measurement(
                name="outside_reference",
                value=outside,
                unit="share",
                threshold=inputs.threshold("max_outside", "<="),
                n=current.n,
                recipe="rows whose score is below or above every score of the reference",
                reason="" if outside is not None else "there is nothing to compare",
            )
        ]
        if reason:
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"Nothing can be estimated: {reason}.",
                measurements=measured,
                scope=scope,
            )
        before = metrics(inputs, reference)
        compared = [compare(inputs, target, now, before) for target in targets(inputs, now)]
        return conclude(
            self, inputs, compared, now, looked_at=scope, also=measured, prefix="estimated_"
        )


_Estimate = tuple[str, dict[str, Metric], float | None]
"""Why nothing can be estimated, the estimated metrics, and the share out of reach."""


def _of_classes(inputs: Inputs, current: CountTable, reference: CountTable) -> _Estimate:
    """An estimate from one score per class."""
    names, minimum = declared_classes(inputs), inputs.param("min_rows")
    if without_score((current, reference), names):
        return "a class is predicted or happens that has no column in class_scores", {}, None
    now, before = (against_the_rest(one, names) for one in (current, reference))
    if min(one.n for many in (now, before) for one in many.values()) < minimum:
        return f"at least {minimum} rows are needed on both sides, for each class", {}, None
    if sum(one.positives.sum() > 0 for one in before.values()) < 2:
        return "the outcomes of the reference hold one class only", {}, None
    curves = fitted(now, before)
    outside = max(one.curve.outside(one.current.score, one.current.rows) for one in curves.values())
    if outside > inputs.param("max_outside"):
        return "too many scores of a class lie outside the range of the reference's", {}, outside
    return "", estimate_classes(curves), outside


def _estimated(inputs: Inputs, current: CountTable, reference: CountTable) -> _Estimate:
    """An estimate from one score: of the positive outcome, or of the predicted class."""
    if "score" not in reference.keys or "prediction" not in reference.keys:
        return "the reference declares no scores or no predictions", {}, None
    multiclass = inputs.model.kind is ModelKind.MULTICLASS
    labelled = right_counts(reference) if multiclass else score_counts(inputs, reference)
    scores = _scored(inputs, current, multiclass=multiclass)
    minimum = inputs.param("min_rows")
    if labelled.n < minimum or scores.rows.sum() < minimum:
        return f"at least {minimum} rows are needed on both sides", {}, None
    if not labelled.positives.sum() or not labelled.negatives.sum():
        return "the outcomes of the reference hold one class only", {}, None
    curve: Calibrator = isotonic(labelled)
    outside = curve.outside(scores.score, scores.rows)
    if outside > inputs.param("max_outside"):
        return "too many scores lie outside the range of the reference's", {}, outside
    if multiclass:
        return "", {"accuracy": expected_accuracy(scores.score, scores.rows, curve)}, outside
    return "", estimate(scores, curve), outside


def _scored(inputs: Inputs, table: CountTable, *, multiclass: bool) -> Scored:
    chosen = positive_prediction(inputs)
    chosen = inputs.model.outcome.positive if chosen is None else chosen
    of = table.keys.index("prediction")

    def side(row: tuple[object, ...]) -> bool | None:
        if row[of] is None:
            return None
        return True if multiclass else same(row[of], chosen)

    found = folded(table, side)
    return Scored(found.score, found.positives, found.negatives)
