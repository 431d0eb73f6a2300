"""Whether scores mean what they say."""

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
    realised_request,
    right_counts,
    score_counts,
    undeclared,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import FieldRole, ModelKind
from nachweis.domain.observation import CountTable, Observations, Request
from nachweis.engines.performance import Metric
from nachweis.engines.performance_calibration import expected_calibration_error, mean_gap

_GOOD = scored(400)
_TOO_SURE = scored(800, truth=[0.5] * 800)
_TOO_HIGH = scored(400, truth=[one / 2 for one in spread(400)])


class ScoresCalibrated(Check):
    """Does a score of 0.7 mean that seven in ten such cases happen?

    Why: People and rules read a score as a probability. If it is none, thresholds select too many
        or too few, and what is told about a person is inaccurate (Art. 5(1)(d) GDPR).
    Method: Due rows are joined with outcomes as in realised_quality_held. Calibration in the large:
        mean score minus share of positive outcomes (-1 to 1), fails if its whole 95 % interval lies
        beyond plus or minus ``max_mean_gap``. Expected calibration error: distance of mean score
        and share over ten bins of equal width, weighted by rows (0 to 1); fails if its lower
        limit, to which every bin adds only what lies outside its Wilson interval (all bins
        together at 95 %), is above ``max_error``. For multiclass models the score is read as the
        confidence in the predicted class and the outcome is whether it was right. Undefined where
        scores lie outside 0 to 1 or too few outcomes have arrived. Source: Guo et al. 2017;
        the limits are design defaults.
    Leaves out: Scores that only rank and are never read as a probability: declare this check not
        applicable with that reason. Calibration within groups of people.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORES, Needs.LOG_KEY, Needs.LOG_TIME, Needs.OUTCOMES)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS})
    params = (
        Param(
            "max_mean_gap",
            0.05,
            "difference of probabilities",
            "design default of this project",
            "Largest allowed difference of mean score and share of positive outcomes.",
            minimum=0.005,
            maximum=0.5,
        ),
        Param(
            "max_error",
            0.1,
            "difference of probabilities",
            "design default of this project",
            "Largest allowed expected calibration error.",
            minimum=0.01,
            maximum=0.5,
        ),
        MIN_ROWS,
        MIN_ARRIVED,
    )
    remediation = (
        "If the order of the scores is still good (realised_quality_held), fit a calibration curve "
        "on recent outcomes and put it behind the model, with a new version. If only the mean is "
        "off, look for a change in how often the outcome happens or is recorded."
    )
    examples = (
        Example("scores are probabilities", Outcome.PASS, late(_GOOD), MODEL),
        Example("scores are too extreme", Outcome.FAIL, late(_TOO_SURE), MODEL),
        Example("scores are twice too high", Outcome.FAIL, late(_TOO_HIGH), MODEL),
        Example(
            "scores are no probabilities",
            Outcome.NOT_AVAILABLE,
            late({**_GOOD, "p": [10 * one for one in spread(400)]}),
            MODEL,
        ),
        Example("scored too recently", Outcome.NOT_AVAILABLE, late(_TOO_HIGH, at=RECENT), MODEL),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The counts that realised_quality_held asks for."""
        return [] if _undeclared(inputs) else [realised_request(inputs)]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding."""
        if declare := _undeclared(inputs):
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "Scores cannot be compared with outcomes before more is declared.",
                    declare=declare,
                )
            ]
        table = counted(observations, "realised")
        if isinstance(table, str):
            return [self.finding(inputs, Outcome.NOT_AVAILABLE, table, scope=scope(inputs))]
        told = known(inputs, table)
        if reason := too_early(inputs, told, table.n):
            measured = [arrived_measurement(inputs, told, table.n)]
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    reason,
                    measurements=measured,
                    scope=scope(inputs),
                )
            ]
        return [self._finding(inputs, table, told)]

    def _finding(self, inputs: Inputs, table: CountTable, told: int) -> Finding:
        multiclass = inputs.model.kind is ModelKind.MULTICLASS
        counts = right_counts(table) if multiclass else score_counts(inputs, table)
        gap, error = mean_gap(counts), expected_calibration_error(counts)
        measurements = [
            arrived_measurement(inputs, told, table.n),
            _measurement(inputs, "mean_gap", "max_mean_gap", gap),
            _measurement(inputs, "expected_calibration_error", "max_error", error),
        ]
        if gap.interval is None or error.interval is None or gap.n < inputs.param("min_rows"):
            reason = gap.reason or "too few rows have both a score and an outcome"
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"Calibration cannot be judged: {reason}.",
                measurements=measurements,
                scope=scope(inputs),
            )
        limit = inputs.param("max_mean_gap")
        off = gap.interval[0] > limit or gap.interval[1] < -limit
        wide = error.interval[0] > inputs.param("max_error")
        parts = [
            "On average, scores lie beyond the limit from what happened."
            if off
            else "On average, scores agree with what happened, within the limit.",
            "Bin by bin they differ by more than the limit."
            if wide
            else "Bin by bin no difference beyond the limit is beyond chance.",
        ]
        return self.finding(
            inputs,
            Outcome.FAIL if off or wide else Outcome.PASS,
            " ".join(parts),
            measurements=measurements,
            scope=scope(inputs),
        )


def _undeclared(inputs: Inputs) -> str:
    log = inputs.data("scoring_log")
    if inputs.model.kind is ModelKind.MULTICLASS and log is not None:
        return "" if log.field(FieldRole.PREDICTION) else "'fields.prediction' of the scoring log"
    return undeclared(inputs)


def _measurement(inputs: Inputs, name: str, param: str, metric: Metric) -> Measurement:
    return Measurement(
        name=name,
        value=metric.value,
        unit="difference",
        threshold=inputs.threshold(param, "<="),
        n=metric.n,
        interval=metric.interval,
        interval_level=metric.level if metric.interval else None,
        recipe=metric.recipe,
        reason=metric.reason if metric.value is None else "",
    )
