"""Drift of a model's inputs."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.drift._columns import features
from nachweis.checks.drift._distribution import PARAMS, findings, requests
from nachweis.checks.drift._examples import differed, normal, tables, with_last_year
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request

_REFERENCE = {"income": normal(400, 0.0, seed=1)}
_SHIFTED = {"income": normal(400, 1.5, seed=3)}


class FeatureDistributionStable(Check):
    """Do the model's inputs still look like the data it was approved on?

    Why: A model is accurate for data like those it was tested on; when the inputs move, its scores
        for people may be wrong although nothing in the model has changed (Art. 5(1)(d) GDPR).
    Method: For each feature, the distribution of the current window is compared with the
        reference's by the method that Evidently 0.7.23 chooses: up to 1,000 reference rows a
        p-value (Kolmogorov-Smirnov, chi-square or z-test, limit 0.05), above them a distance
        (Wasserstein in standard deviations of the reference, 0 or more, or Jensen-Shannon, 0 to
        0.83, limit 0.1). p-values of all features are corrected together (Benjamini-Hochberg). A
        column fails if the corrected rule is met, there are enough rows (the model's ``min_rows``,
        and so many that chance alone stays below the limit in resamples of the reference, unless
        the distance exceeds the limit by more than chance), and the difference is persistent
        (policy: default 2 of 3 judged nights). With ``season: year`` a column that looks as it did
        in the same weeks of last year does not fail, where the data reach back. Undefined without
        values on either side. The library's own verdict is always reported as ``drifted``.
    Leaves out: Nulls, infinities and new categories, which are measured by
        missing_share_stable. Dates, nested values and free text. Changes in how features depend
        on each other. Windows that were widened overlap, so their nights are not independent.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORING_LOG, Needs.REFERENCE, Needs.FEATURES)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = PARAMS
    remediation = (
        "Find out whether the world or the pipeline changed: compare the feature's source and its "
        "transformations first. If people really changed, measure the model on recent outcomes and "
        "have the owner decide about retraining or a new reference."
    )
    examples = (
        Example(
            "same distribution",
            Outcome.PASS,
            tables(_REFERENCE, {"income": normal(400, 0.0, seed=2)}),
        ),
        Example(
            "mean shifted on two nights",
            Outcome.FAIL,
            tables(_REFERENCE, _SHIFTED),
            history=differed("income"),
        ),
        Example("mean shifted tonight only", Outcome.PASS, tables(_REFERENCE, _SHIFTED)),
        Example(
            "shifted on two nights, distance of a large reference",
            Outcome.FAIL,
            tables({"income": normal(1500, 0.0, seed=4)}, {"income": normal(1500, 1.5, seed=5)}),
            history=differed("income"),
        ),
        Example(
            "shifted on two nights, but as in the same week of last year",
            Outcome.PASS,
            with_last_year(tables(_REFERENCE, _SHIFTED), {"income": normal(600, 1.5, seed=6)}),
            history=differed("income"),
            params={"season": "year"},
        ),
        Example(
            "shifted on two nights, last year looked as the reference",
            Outcome.FAIL,
            with_last_year(tables(_REFERENCE, _SHIFTED), {"income": normal(600, 0.0, seed=6)}),
            history=differed("income"),
            params={"season": "year"},
        ),
        Example(
            "shifted on two nights, the data do not reach back a year",
            Outcome.FAIL,
            tables(_REFERENCE, _SHIFTED),
            history=differed("income"),
            params={"season": "year"},
        ),
        Example(
            "ten rows",
            Outcome.NOT_AVAILABLE,
            tables(_REFERENCE, {"income": normal(10, 1.5, seed=3)}),
            history=differed("income"),
        ),
        Example(
            "fewer rows than the model declares as its minimum",
            Outcome.NOT_AVAILABLE,
            tables(_REFERENCE, _SHIFTED),
            model={"current": {"min_rows": 401, "extend_to": "P1D"}},
            history=differed("income"),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Profiles of every feature on both sides."""
        return requests(inputs, features(inputs))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per feature."""
        return findings(self, inputs, features(inputs), observations)
