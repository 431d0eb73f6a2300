"""Drift of a model's outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nachweis.checks.drift._columns import outputs
from nachweis.checks.drift._distribution import PARAMS, findings, requests
from nachweis.checks.drift._examples import differed, normal, tables
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request

_FIELDS = {"score": "p", "prediction": "offer"}


def _outputs(n: int, mean: float, positives: int, seed: int) -> dict[str, list[Any]]:
    return {
        "p": normal(n, mean, seed),
        "offer": [1] * positives + [0] * (n - positives),
    }


_REFERENCE = _outputs(400, 0.0, 100, seed=1)


class PredictionDistributionStable(Check):
    """Do the model's scores and predictions still look like those it was approved with?

    Why: Outputs move when inputs move together or when the deployed model is not the approved one;
        either changes how people are treated before any outcome is known.
    Method: The score and the prediction of the current window are compared with the reference's
        as in feature_distribution_stable: Evidently 0.7.23 chooses method and limit (p-value below
        0.05, or a distance of 0.1 and more), p-values are corrected together, and a column fails
        only with enough rows and persistently. Undefined without values on either side.
    Leaves out: Whether the outputs are right, which needs outcomes. A change that leaves the
        distribution as it was, such as swapped scores.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORING_LOG, Needs.REFERENCE, Needs.SCORE_OR_PREDICTION)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = PARAMS
    remediation = (
        "Check that the deployed artefact is the approved one, then look at the features that "
        "moved. If the shift was planned (another threshold, another audience), renew the "
        "reference with the approval of the owner."
    )
    examples = (
        Example(
            "same scores and share of offers",
            Outcome.PASS,
            tables(_REFERENCE, _outputs(400, 0.0, 104, seed=2), _FIELDS),
        ),
        Example(
            "scores shifted on two nights",
            Outcome.FAIL,
            tables(_REFERENCE, _outputs(400, 1.5, 104, seed=3), _FIELDS),
            history=differed("p"),
        ),
        Example(
            "three times as many offers on two nights",
            Outcome.FAIL,
            tables(_REFERENCE, _outputs(400, 0.0, 300, seed=2), _FIELDS),
            history=differed("offer"),
        ),
        Example(
            "ten rows",
            Outcome.NOT_AVAILABLE,
            tables(_REFERENCE, _outputs(10, 1.5, 10, seed=3), _FIELDS),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Profiles of score and prediction on both sides."""
        return requests(inputs, outputs(inputs))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per output column."""
        return findings(self, inputs, outputs(inputs), observations)
