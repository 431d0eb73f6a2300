"""Whether scores tell who was in the training set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nachweis.checks.privacy._examples import table
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole, FieldRole, ModelKind
from nachweis.domain.observation import ColumnProfile, Observations, Profile, Request
from nachweis.engines.membership import attacks

_LEVEL = 0.95


def _tables(sharper: float, n: int = 300) -> dict[str, ExampleTable]:
    """Scores of a training set that are more confident than those of the reference."""
    scores = [(i * 37 % 100) / 100 * 0.4 + 0.3 for i in range(n)]
    sharp = [0.5 + (score - 0.5) * sharper for score in scores]
    fields: dict[str, Any] = {"fields": {"score": "score"}}
    return {
        "training": table({"score": sharp}, **fields),
        "reference": table({"score": scores}, DataSetRole.REFERENCE, **fields),
    }


class MembershipInferenceBounded(Check):
    """Do the model's scores not tell who was in its training set?

    Why: Where scores betray who was trained on, a model holds personal data of those people, and
        anybody who may ask it can learn of them (EDPB Opinion 28/2024).
    Method: Scores of the training set against scores of the reference, which the model never saw,
        by one version: how often a rule (high, low or confident scores) ranks a member above a
        non-member (AUC, 0.5 to 1) with DeLong's interval, Bonferroni over the rules; the lower end
        must not exceed ``max_auc``. Beside it the attacker's advantage (largest true-positive minus
        false-positive rate, 0 to 1). Undefined with fewer than ``min_rows`` scores on a side.
        Source: Yeom et al. 2018; DeLong et al. 1988.
    Leaves out: Stronger attacks with shadow models, with the label, or with many questions about
        one person. A change of customers between training and reference looks the same.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    model_kinds = frozenset(
        {ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.REGRESSION, ModelKind.UPLIFT}
    )
    controls = ("LEAKAGE",)
    needs = (Needs.TRAINING_SCORES,)
    params = (
        Param(
            "max_auc",
            0.6,
            "probability",
            "design default of this project",
            "Largest tolerated probability of ranking a member above a non-member.",
            minimum=0.5,
            maximum=1,
        ),
        Param(
            "min_rows",
            200,
            "rows",
            "design default of this project",
            "Fewest scores on each side.",
            minimum=20,
        ),
    )
    remediation = (
        "First look whether training set and reference come from the same time and customers. If "
        "so, regularise the model, stop training earlier, drop features that identify single "
        "people, or put out coarser scores; then score both sets again with the new version."
    )
    examples = (
        Example("scores of both sets alike", Outcome.PASS, _tables(1.0)),
        Example("members have confident scores", Outcome.FAIL, _tables(2.0)),
        Example("few scores", Outcome.NOT_AVAILABLE, _tables(1.0, n=50)),
        Example(
            "the training set was not scored",
            Outcome.NOT_AVAILABLE,
            {**_tables(1.0), "training": table({"spend": [1.0, 2.0]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Both distributions of scores."""
        for role in ("training", "reference"):
            data_set = inputs.data(role)
            if data_set is not None:
                column = data_set.fields[FieldRole.SCORE]
                yield Profile(role, inputs.source(role), column, "numeric")

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per model."""
        members: ColumnProfile = observations["training"]
        others: ColumnProfile = observations["reference"]
        n = min(members.valid, others.valid)
        if n < inputs.param("min_rows"):
            yield self.finding(
                inputs, Outcome.NOT_AVAILABLE, "A side has too few scores to tell the two apart."
            )
            return
        found = attacks(members, others, _LEVEL)
        failed = [one.name for one in found if one.interval[0] > inputs.param("max_auc")]
        numbers = [
            Measurement(
                name="attack_auc",
                value=one.auc,
                unit="probability",
                interval=one.interval,
                interval_level=_LEVEL,
                threshold=inputs.threshold("max_auc", "<="),
                n=n,
                group=one.name,
                recipe="Mann-Whitney on profiles, DeLong variance, Bonferroni over the rules",
            )
            for one in found
        ]
        numbers += [
            Measurement(
                name="attack_advantage",
                value=one.advantage,
                unit="difference",
                n=n,
                group=one.name,
            )
            for one in found
        ]
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            f"Members of the training set can be told by: {', '.join(failed)}."
            if failed
            else "Scores of the training set cannot be told from others beyond the limit.",
            measurements=numbers,
            scope="all scored rows of the training set and of the reference",
        )
