"""Predictive values between groups, once outcomes are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from nachweis.checks.fairness._due import MIN_ARRIVED
from nachweis.checks.fairness._examples import MODEL_WITH_OUTCOMES, cells, outcomes_of
from nachweis.checks.fairness._outcome_parity import MAX_DIFFERENCE, findings, requests
from nachweis.checks.fairness._verdicts import MIN_GROUP_SIZE, SIGNIFICANCE
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request
from nachweis.engines.fairness import predictive_values

_WOMEN = cells("female", 90, 40, 30, 100)


class PredictiveParityHeld(Check):
    """Does the same prediction come true about equally often for people of all groups?

    Why: Whoever acts on a prediction trusts it alike for everybody. If "will buy" comes true less
        often in one group, its people are bothered for nothing, or are passed over wrongly
        (Art. 5(1)(a) and (d) GDPR).
    Method: Scored rows are joined with outcomes by key, as for error rates. Per group the positive
        predictive value (share of favourable predictions that came true; precision) and the
        negative predictive value (share of the other predictions that came true), 0 to 1; the
        largest difference of each between groups with at least ``min_group_size`` such
        predictions. A difference above ``max_difference`` fails only if its 95 % Newcombe interval
        excludes 0 and the test, corrected for all pairs, values and attributes, is below
        ``significance``. Undefined with fewer than two such groups, or while fewer than
        ``min_arrived`` of the outcomes have arrived. Source: predictive parity (Chouldechova
        2017); the limit is a design default, European, German and Danish law set no number.
    Leaves out: Groups that really differ in how often the outcome happens cannot have equal error
        rates and equal predictive values at once; which of the two matters is for people to
        decide. Outcomes that are only learned for people who were selected. Intersections are
        reported without a verdict.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("BIAS", "MONITOR")
    needs = (
        Needs.PREDICTIONS,
        Needs.POSITIVE,
        Needs.PROTECTED_ATTRIBUTES,
        Needs.LOG_KEY,
        Needs.OUTCOMES,
    )
    model_kinds = frozenset(
        {ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.RANKING, ModelKind.RULES}
    )
    params = (MAX_DIFFERENCE, MIN_ARRIVED, MIN_GROUP_SIZE, SIGNIFICANCE)
    remediation = (
        "Compare how often the outcome happens in the groups and how well each group is "
        "represented in the training rows. Look at calibration_parity_held: if scores mean "
        "different things, recalibrate before moving any threshold. Write down in the dossier "
        "which of error rates and predictive values counts for this decision, and why."
    )
    examples = (
        Example(
            "same predictive values",
            Outcome.PASS,
            outcomes_of(*_WOMEN, *cells("male", 88, 42, 31, 99)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "offers to men come true half as often",
            Outcome.FAIL,
            outcomes_of(*_WOMEN, *cells("male", 45, 40, 75, 100)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "men without an offer buy far more often",
            Outcome.FAIL,
            outcomes_of(*_WOMEN, *cells("male", 90, 90, 30, 50)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "few offers to men",
            Outcome.NOT_AVAILABLE,
            outcomes_of(*_WOMEN, *cells("male", 10, 40, 10, 100)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            outcomes_of(
                *_WOMEN, *cells("male", 45, 40, 75, 100), scored=dt.datetime(2026, 2, 20, 12)
            ),
            model=MODEL_WITH_OUTCOMES,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The counts that the check of error rates asks for too."""
        return requests(inputs)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute; intersections add numbers to their first attribute's."""
        decision = inputs.model.decision
        return findings(
            self,
            inputs,
            observations,
            lambda table, group: predictive_values(
                table,
                group,
                "label",
                "prediction",
                decision.rule.positive if decision else None,
                inputs.param("min_group_size"),
                positive_label=inputs.model.outcome.positive,
            ),
        )
