"""Error rates between groups, once outcomes are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from nachweis.checks.fairness._due import MIN_ARRIVED
from nachweis.checks.fairness._examples import MODEL_WITH_OUTCOMES, cells, outcomes_of, with_people
from nachweis.checks.fairness._outcome_parity import MAX_DIFFERENCE, findings, requests
from nachweis.checks.fairness._verdicts import MIN_GROUP_SIZE, SIGNIFICANCE
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request
from nachweis.engines.fairness import error_rates

_WOMEN = cells("female", 90, 30, 30, 90)


class ErrorRateParityHeld(Check):
    """Is the model wrong about equally often for people of all groups?

    Why: Equal selection rates can hide that one group's interested people are passed over or
        another group's are bothered; both show only against what people did later (Art. 5(1)(a)
        and (d) GDPR).
    Method: Scored rows are joined with outcomes by key. Rows count once the declared label delay
        has passed at the end of the night, over a window as long as the model's ``extend_to``.
        True positive rate and false positive rate per group, 0 to 1; the largest difference of
        each between groups with at least ``min_group_size`` rows of the outcome in question. A
        difference above ``max_difference`` fails only if its 95 % Newcombe interval excludes 0 and
        the test, corrected for all pairs, rates and attributes, is below ``significance``.
        Undefined with fewer than two such groups, or while fewer than ``min_arrived`` of the
        outcomes have arrived. An attribute that another data set holds is joined by the subject
        key. Computed by Fairlearn on counts. Source: equalised odds (Hardt et al. 2016); the limit
        is a design default, European, German and Danish law set no number.
    Leaves out: Outcomes that are only learned for people who were selected: their errors cannot
        be seen. Reasons for a difference. Intersections are reported without a verdict.
    """

    severity = Severity.HIGH
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
        "Compare the features and the training rows of the groups: missing values and few examples "
        "are the usual causes. Reweighing is the usual first correction; a threshold per group "
        "uses the characteristic at decision time and needs a legal assessment."
    )
    examples = (
        Example(
            "same rates",
            Outcome.PASS,
            outcomes_of(*_WOMEN, *cells("male", 92, 28, 29, 91)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "interested men are passed over",
            Outcome.FAIL,
            outcomes_of(*_WOMEN, *cells("male", 50, 70, 30, 90)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "uninterested men are bothered",
            Outcome.FAIL,
            outcomes_of(*_WOMEN, *cells("male", 90, 30, 70, 50)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "interested men are passed over, gender is held elsewhere",
            Outcome.FAIL,
            with_people(outcomes_of(*_WOMEN, *cells("male", 50, 70, 30, 90))),
            model={
                **MODEL_WITH_OUTCOMES,
                "protected_attributes": [
                    {"id": "gender", "column": "gender", "data_set": "people"}
                ],
            },
        ),
        Example(
            "no outcome has arrived",
            Outcome.NOT_AVAILABLE,
            outcomes_of(("female", 1, None, 150), ("male", 0, None, 150)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            outcomes_of(
                *_WOMEN, *cells("male", 50, 70, 30, 90), scored=dt.datetime(2026, 2, 20, 12)
            ),
            model=MODEL_WITH_OUTCOMES,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One grouped count per attribute and intersection, joined with the outcomes."""
        return requests(inputs)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute; intersections add numbers to their first attribute's."""
        decision = inputs.model.decision
        return findings(
            self,
            inputs,
            observations,
            lambda table, group: error_rates(
                table,
                group,
                "label",
                "prediction",
                decision.rule.positive if decision else None,
                inputs.param("min_group_size"),
                positive_label=inputs.model.outcome.positive,
            ),
        )
