"""Drift of what people really did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from nachweis.checks.drift._columns import labels
from nachweis.checks.drift._distribution import PARAMS, findings, requests
from nachweis.checks.drift._examples import NOON, differed, normal
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole, ModelKind
from nachweis.domain.observation import Observations, Request

_SMALL = {"current": {"min_rows": 100, "extend_to": "P1D"}}


def _worlds(
    before: list[Any], now: list[Any], *, labelled: bool = True, at: dt.datetime = NOON
) -> dict[str, ExampleTable]:
    """A reference with labels and outcomes that arrived on one night."""
    numbers = {"columns": [{"name": "bought"}], "fields": {"label": "bought"} if labelled else {}}
    return {
        "reference": ExampleTable(DataSetRole.REFERENCE, {"bought": before}, numbers),
        "outcomes": ExampleTable(
            DataSetRole.OUTCOMES,
            {"id": list(range(len(now))), "bought": now, "at": [at] * len(now)},
            {"fields": {"key": "id", "label": "bought"}, "time": {"column": "at"}},
        ),
    }


def _bought(n: int, hits: int) -> list[int]:
    return [1] * hits + [0] * (n - hits)


class OutcomeDistributionStable(Check):
    """Do people still act about as often as in the data the model was approved on?

    Why: When the outcome itself becomes more or less frequent, scores learned before are wrong for
        people even where inputs and scores have not moved (Art. 5(1)(d) GDPR).
    Method: The labels that arrived in the current window, once they are known, are compared with
        the reference's labels as in feature_distribution_stable: Evidently 0.7.23 chooses method
        and limit (p-value below 0.05, or a distance of 0.1 and more), and the check fails only with
        enough rows and persistently (policy: default 2 of 3 judged nights). Undefined without
        labels on either side.
    Leaves out: Labels that have not arrived yet. Which people the outcomes are known for: where
        only those who were contacted can act, a change of the audience moves the labels too.
        Whether the model is right, which the performance checks measure.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.OUTCOMES, Needs.REFERENCE_LABELS)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = PARAMS
    remediation = (
        "Check first whether all outcomes were delivered and mean the same as before. If people "
        "really act differently, look at calibration and error rates on recent outcomes, and have "
        "the owner decide about a new reference or a new version of the model."
    )
    examples = (
        Example(
            "about as many purchases",
            Outcome.PASS,
            _worlds(_bought(400, 100), _bought(300, 80)),
        ),
        Example(
            "twice as many purchases on two nights",
            Outcome.FAIL,
            _worlds(_bought(400, 100), _bought(300, 150)),
            history=differed("bought"),
        ),
        Example(
            "twice as many purchases tonight only",
            Outcome.PASS,
            _worlds(_bought(400, 100), _bought(300, 150)),
        ),
        Example(
            "the amounts bought for moved on two nights",
            Outcome.FAIL,
            _worlds(normal(400, 0.0, seed=1), normal(300, 1.0, seed=2)),
            history=differed("bought"),
        ),
        Example(
            "few outcomes have arrived",
            Outcome.NOT_AVAILABLE,
            _worlds(_bought(400, 100), _bought(60, 40)),
            model=_SMALL,
            history=differed("bought"),
        ),
        Example(
            "no outcome has arrived",
            Outcome.NOT_AVAILABLE,
            _worlds(_bought(400, 100), _bought(300, 150), at=dt.datetime(2026, 2, 1)),
        ),
        Example(
            "reference without labels",
            Outcome.NOT_AVAILABLE,
            _worlds(_bought(400, 100), _bought(300, 80), labelled=False),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Profiles of the labels on both sides."""
        return requests(inputs, labels(inputs))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the label."""
        return findings(self, inputs, labels(inputs), observations)
