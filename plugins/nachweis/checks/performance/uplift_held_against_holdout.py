"""What a campaign really changes, measured against people who were held out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nachweis.checks.performance._arrived import (
    LABEL,
    MIN_ARRIVED,
    arrived,
    arrived_measurement,
    counted,
    data_of,
    known_rows,
    positive_outcome,
    positive_prediction,
    same,
    scope,
)
from nachweis.checks.performance._examples import MODEL, RECENT, Rows, late, spread
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import FieldRole, ModelKind
from nachweis.domain.observation import CountTable, Observations, Request
from nachweis.engines.performance import Metric
from nachweis.engines.performance_keys import score_key, score_sum
from nachweis.engines.performance_uplift import (
    ArmCounts,
    arm_counts,
    mean_score,
    qini_coefficient,
    uplift,
    uplift_by_part,
)

if TYPE_CHECKING:
    from nachweis.domain.observation import Expression

_UPLIFT = {**MODEL, "kind": "uplift"}
_N = 600


def _campaign(effect: float, promised: float = 0.3) -> Rows:
    """Half of the people are held out; of the others more buy, by the effect."""
    arm = ["holdout" if i % 2 else "mail" for i in range(_N)]
    score = [promised * (0.5 + one) for one in spread(_N)]
    seen = {"holdout": 0, "mail": 0}
    bought = []
    for one in arm:
        rate = 0.3 if one == "holdout" else 0.3 + effect
        seen[one] += 1
        bought.append(int(seen[one] * rate) - int((seen[one] - 1) * rate))
    return {"p": score, "arm": arm, "bought": bought}


class UpliftHeldAgainstHoldout(Check):
    """Does treating people really change what they do, as much as the model says?

    Why: Only the hold-out shows whether a campaign changes anything. If it does not, people's data
        are used and people are bothered to no effect (Art. 5(1)(b) and (c) GDPR).
    Method: Due rows are joined with outcomes by key. Uplift: share of positive outcomes among
        selected rows of the treated arms minus that among selected rows of the hold-out (-1 to 1),
        with Newcombe's 95 % interval; where the log holds no selection, over all rows. Fails if the
        whole interval lies below ``min_uplift``, or below the model's own mean prediction for the
        treated by more than ``max_shortfall``. Printed without a limit: uplift by tenth of the
        score, highest first, and the Qini coefficient per treated row with a resampled interval
        (0 is an order no better than chance). Undefined with fewer than ``min_arm`` rows with an
        outcome in an arm, or while fewer than ``min_arrived`` of the due ones have arrived.
        Source: Radcliffe 2007; the limits are design defaults.
    Leaves out: Whether the arms were drawn by chance. Effects on people who were not selected.
        Outcomes after the label delay.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORES, Needs.ARM, Needs.LOG_KEY, Needs.LOG_TIME, Needs.OUTCOMES)
    model_kinds = frozenset({ModelKind.UPLIFT})
    params = (
        Param(
            "min_uplift",
            0.0,
            "difference of shares",
            "design default of this project",
            "Smallest uplift that justifies the treatment.",
            minimum=-0.5,
            maximum=0.5,
        ),
        Param(
            "max_shortfall",
            0.03,
            "difference of shares",
            "design default of this project",
            "How far the uplift may stay below the mean prediction.",
            minimum=0.001,
            maximum=0.5,
        ),
        Param(
            "min_arm",
            100,
            "rows",
            "design default of this project",
            "Fewest rows with an outcome in each arm.",
            minimum=30,
        ),
        Param(
            "holdout_arms",
            "holdout,control",
            "names of arms, separated by commas",
            "design default of this project",
            "Arms that are not treated on purpose; all others are treated.",
        ),
        MIN_ARRIVED,
    )
    remediation = (
        "Check first that the hold-out really was not treated and the treated were reached. If the "
        "effect is gone, stop or change the campaign; if it is smaller than predicted, train on "
        "the newest arms and raise the score from which people are selected."
    )
    examples = (
        Example(
            "the effect is as predicted",
            Outcome.PASS,
            late(_campaign(0.3), fields={"arm": "arm"}),
            _UPLIFT,
        ),
        Example(
            "the effect is gone",
            Outcome.FAIL,
            late(_campaign(0.0), fields={"arm": "arm"}),
            _UPLIFT,
        ),
        Example(
            "treatment keeps people from buying",
            Outcome.FAIL,
            late(_campaign(-0.2, promised=0.0), fields={"arm": "arm"}),
            _UPLIFT,
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            late(_campaign(0.0), fields={"arm": "arm"}, at=RECENT),
            _UPLIFT,
        ),
        Example(
            "nobody was held out",
            Outcome.NOT_AVAILABLE,
            late({**_campaign(0.3), "arm": ["mail"] * _N}, fields={"arm": "arm"}),
            _UPLIFT,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Counts by score, arm, selection and outcome."""
        if positive_outcome(inputs) is None:
            return []
        log = data_of(inputs, "scoring_log")
        score = log.fields[FieldRole.SCORE]
        by: dict[str, str | Expression] = {
            "score": score_key(score),
            "arm": log.fields[FieldRole.ARM],
            "label": LABEL,
        }
        if (selected := log.field(FieldRole.PREDICTION)) is not None:
            by["prediction"] = selected
        return [arrived(inputs, "arms", by, {"total": score_sum(score)})]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding."""
        if positive_outcome(inputs) is None:
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "An effect cannot be measured before the positive outcome is declared.",
                    declare="'outcome.positive' of the model",
                )
            ]
        table = counted(observations, "arms")
        if isinstance(table, str):
            return [self.finding(inputs, Outcome.NOT_AVAILABLE, table, scope=scope(inputs))]
        told = known_rows(table)
        measured = [arrived_measurement(inputs, told, table.n)]
        counts = _arms(inputs, table)
        if reason := _reason(inputs, table, told, counts):
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    reason,
                    measurements=measured,
                    scope=scope(inputs),
                )
            ]
        return [self._finding(inputs, counts, measured)]

    def _finding(self, inputs: Inputs, counts: ArmCounts, measured: list[Measurement]) -> Finding:
        found, predicted = uplift(counts), mean_score(counts)
        least, shortfall = inputs.param("min_uplift"), inputs.param("max_shortfall")
        upper = found.interval[1] if found.interval else 1.0
        none = upper < least
        short = predicted is not None and upper < predicted - shortfall
        if none:
            explanation = "The treated do less than the limit demands, compared with the hold-out."
        elif short:
            explanation = "The effect is smaller than predicted by more than the limit."
        else:
            explanation = "The effect against the hold-out is within the limits."
        return self.finding(
            inputs,
            Outcome.FAIL if none or short else Outcome.PASS,
            explanation,
            measurements=[
                *measured,
                _measurement(inputs, found),
                Measurement(
                    name="uplift_predicted",
                    value=predicted,
                    unit="difference",
                    n=found.n,
                    recipe="mean score of the treated rows that were compared",
                    reason="" if predicted is not None else "no scores",
                ),
                _shortfall(inputs, found, predicted),
                *_by_tenth(counts),
                _qini(qini_coefficient(counts)),
            ],
            scope=scope(inputs),
        )


def _arms(inputs: Inputs, table: CountTable) -> ArmCounts:
    told, chosen = positive_outcome(inputs), positive_prediction(inputs)
    held = {name.strip() for name in str(inputs.param("holdout_arms")).split(",")}
    at = {name: table.keys.index(name) for name in table.keys}
    cells: dict[float, list[float]] = {}
    for row, n in table.rows.items():
        score, arm, label = (row[at[name]] for name in ("score", "arm", "label"))
        if score is None or arm is None or label is None:
            continue
        if "prediction" in at and chosen is not None and not same(row[at["prediction"]], chosen):
            continue
        entry = cells.setdefault(float(score), [0.0] * 5)
        first = 2 if str(arm) in held else 0
        entry[first] += n
        entry[first + 1] += n if same(label, told) else 0
        entry[4] += table.sums["total"].get(row, 0.0)
    return arm_counts(cells)


def _reason(inputs: Inputs, table: CountTable, told: int, counts: ArmCounts) -> str:
    if not table.n:
        return "No scored rows are old enough for their outcomes to be due."
    if not told or told / table.n < inputs.param("min_arrived"):
        return "Too few of the due outcomes have arrived."
    smallest = min(counts.treated.sum(), counts.held.sum())
    if smallest < inputs.param("min_arm"):
        return "An arm has too few selected rows with an outcome."
    return ""


def _measurement(inputs: Inputs, metric: Metric) -> Measurement:
    return Measurement(
        name="uplift",
        value=metric.value,
        unit="difference",
        threshold=inputs.threshold("min_uplift", ">="),
        n=metric.n,
        interval=metric.interval,
        interval_level=metric.level,
        recipe=metric.recipe,
    )


def _shortfall(inputs: Inputs, found: Metric, predicted: float | None) -> Measurement:
    known = predicted is not None and found.value is not None
    return Measurement(
        name="uplift_shortfall",
        value=(predicted or 0.0) - (found.value or 0.0) if known else None,
        unit="difference",
        threshold=inputs.threshold("max_shortfall", "<="),
        n=found.n,
        recipe="predicted minus measured",
        reason="" if known else "no scores",
    )


def _by_tenth(counts: ArmCounts) -> list[Measurement]:
    return [
        Measurement(
            name="uplift_by_tenth",
            value=metric.value,
            unit="difference",
            n=metric.n,
            interval=metric.interval,
            interval_level=metric.level if metric.interval else None,
            group=f"{number} of 10",
            recipe="tenths of the score, highest first",
            reason=metric.reason if metric.value is None else "",
        )
        for number, metric in uplift_by_part(counts)
    ]


def _qini(metric: Metric) -> Measurement:
    return Measurement(
        name="qini_coefficient",
        value=metric.value,
        unit="difference",
        n=metric.n,
        interval=metric.interval,
        interval_level=metric.level if metric.interval else None,
        recipe=metric.recipe,
        reason=metric.reason if metric.value is None else "",
    )
