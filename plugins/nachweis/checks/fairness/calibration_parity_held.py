"""Calibration between groups, once outcomes are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from nachweis.checks.fairness._calibration import measurements
from nachweis.checks.fairness._due import (
    MIN_ARRIVED,
    arrived_measurement,
    outcome_counts,
    scope_of,
    too_early,
    undeclared,
)
from nachweis.checks.fairness._examples import MODEL_WITH_OUTCOMES, scored_outcomes
from nachweis.checks.fairness._groups import (
    attributes,
    counted,
    group_key,
    intersections,
    log_of,
    name_of,
    refusal,
)
from nachweis.checks.fairness._verdicts import (
    MIN_GROUP_SIZE,
    SIGNIFICANCE,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import FieldRole, ModelKind, ProtectedAttribute
from nachweis.domain.observation import CountTable, Expression, GroupedCounts, Observations, Request
from nachweis.engines.fairness_calibration import (
    BINS,
    OUTSIDE,
    Gap,
    calibration_by_group,
    rows_outside,
)

_EQUAL = (("female", 0.25, 100, 30), ("female", 0.75, 100, 72), ("male", 0.25, 100, 28))


class CalibrationParityHeld(Check):
    """Does the same score mean the same for people of all groups?

    Why: A threshold is one number for all. If a score of 0.6 comes true less often for one group,
        that number treats its people unlike others, even where no attribute is used (Art. 5(1)(a)
        and (d) GDPR).
    Method: Scored rows are joined with outcomes by key. Per group: share in which the outcome
        happened minus mean score (-1 to 1, 95 % interval) and expected calibration error over ten
        bins of width 0.1. Compared is each group's gap with that of all others in the same bins,
        over all bins (weighted as by Mantel and Haenszel) and in each bin with ``min_group_size``
        rows on both sides. A difference beyond ``max_gap`` fails only if the normal test with
        pooled variance, corrected for all groups, bins and attributes, is below ``significance``.
        Undefined for scores outside 0 to 1, for fewer than two large groups, or while fewer than
        ``min_arrived`` of the outcomes have arrived. Source: calibration within groups (Kleinberg
        et al. 2016), bins as scikit-learn's calibration_curve lays them; the limit is a design
        default, European, German and Danish law set no number.
    Leaves out: Scores that are off for everybody alike; that is a matter of performance. Outcomes
        that are only learned for people who were selected. Intersections are reported without a
        verdict.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("BIAS", "MONITOR")
    needs = (Needs.SCORES, Needs.PROTECTED_ATTRIBUTES, Needs.LOG_KEY, Needs.OUTCOMES)
    model_kinds = frozenset({ModelKind.BINARY})
    params = (
        Param(
            "max_gap",
            0.05,
            "difference of shares",
            "design default of this project",
            "Largest difference between a group and all others in how far outcomes lie from "
            "scores.",
            minimum=0.005,
            maximum=0.5,
        ),
        MIN_ARRIVED,
        MIN_GROUP_SIZE,
        SIGNIFICANCE,
    )
    remediation = (
        "Look for features that mean different things in the groups, and for groups with few or "
        "old training rows. Add training rows of the group or a feature that explains the "
        "difference, then recalibrate the model as a whole; show the same number before and after."
    )
    examples = (
        Example(
            "same score, same share",
            Outcome.PASS,
            scored_outcomes(*_EQUAL, ("male", 0.75, 100, 74)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "high scores of men come true half as often",
            Outcome.FAIL,
            scored_outcomes(*_EQUAL, ("male", 0.75, 100, 36)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "all scores are too high, for everybody alike",
            Outcome.PASS,
            scored_outcomes(("female", 0.75, 150, 50), ("male", 0.75, 150, 52)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "scores are points, not probabilities",
            Outcome.NOT_AVAILABLE,
            scored_outcomes(("female", 75.0, 100, 70), ("male", 75.0, 100, 36)),
            model=MODEL_WITH_OUTCOMES,
        ),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            scored_outcomes(*_EQUAL, ("male", 0.75, 100, 36), scored=dt.datetime(2026, 2, 20, 12)),
            model=MODEL_WITH_OUTCOMES,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One grouped count per attribute and intersection, by bin of the score, with outcomes."""
        if undeclared(inputs) or _positive(inputs) is None:
            return []
        groups = [*((one,) for one in attributes(inputs)), *intersections(inputs)]
        return [_counts(inputs, group) for group in groups]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute; intersections add numbers to their first attribute's."""
        for attribute in inputs.model.protected_attributes:
            declare = undeclared(inputs) or refusal(inputs, attribute)
            if not declare and _positive(inputs) is None:
                declare = "'outcome.positive': the outcome whose probability the score is"
            if declare:
                yield self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "The attribute cannot be compared before more is declared.",
                    column=attribute.id,
                    declare=declare,
                )
                continue
            table = counted(observations, f"calibration:{attribute.id}")
            crossed = [
                one for group in intersections(inputs) if group[0].id == attribute.id
                for one in self._crossed(inputs, observations, group)
            ]  # fmt: skip
            yield self._finding(inputs, attribute, table, crossed)

    def _finding(
        self,
        inputs: Inputs,
        attribute: ProtectedAttribute,
        table: CountTable | str,
        crossed: Sequence[Measurement],
    ) -> Finding:
        reason = table if isinstance(table, str) else too_early(inputs, table)
        if not reason and not isinstance(table, str) and rows_outside(table, "bin"):
            reason = "Some scores lie outside 0 to 1, so they are no probabilities."
        if reason or isinstance(table, str):
            return self.finding(inputs, Outcome.NOT_AVAILABLE, reason, column=attribute.id)
        smallest = inputs.param("min_group_size")
        groups = calibration_by_group(
            table, group_key(attribute.id), "bin", "label", _positive(inputs), smallest
        )
        judged = [one for one in groups if one.n >= smallest and one.against_others is not None]
        if len(judged) < 2:
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "Fewer than two groups are large enough to be compared.",
                measurements=[arrived_measurement(inputs, table)],
                column=attribute.id,
                scope=scope_of(inputs),
            )
        compared = [gap for one in judged for gap in (one.against_others, one.worst_bin) if gap]
        # The worst bin was picked from all bins of its group.
        tests = len(attributes(inputs)) * (len(judged) + sum(one.bins for one in judged))
        worst = max(compared, key=lambda gap: abs(gap.value))
        failed = [gap for gap in compared if _beyond(inputs, gap, tests)]
        by_chance = abs(worst.value) > inputs.param("max_gap")
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            _explanation(worst, failed, by_chance),
            severity=Severity.INFO if by_chance and not failed else None,
            measurements=[
                arrived_measurement(inputs, table),
                *measurements(inputs, groups, judged, tests),
                *crossed,
            ],
            column=attribute.id,
            scope=scope_of(inputs),
        )

    def _crossed(
        self, inputs: Inputs, seen: Observations, group: Sequence[ProtectedAttribute]
    ) -> Iterator[Measurement]:
        """Numbers of an intersection: reported, never judged, because its groups are small."""
        name = name_of(group)
        table = counted(seen, f"calibration:{name}")
        if isinstance(table, str) or rows_outside(table, "bin"):
            reason = table if isinstance(table, str) else "some scores lie outside 0 to 1"
            yield Measurement(name="calibration_gap", value=None, group=name, reason=reason)
            return
        keys, smallest = [group_key(one.id) for one in group], inputs.param("min_group_size")
        groups = calibration_by_group(table, keys, "bin", "label", _positive(inputs), smallest)
        large = [one for one in groups if one.n >= smallest]
        tests = sum(1 + one.bins for one in large)
        yield from measurements(inputs, groups, large, tests, prefix=f"{name}: ", crossed=True)


# ------------------------------------------------------------------------------------- requests


def _positive(inputs: Inputs) -> Any:
    """The outcome whose probability the score is."""
    decision, declared = inputs.model.decision, inputs.model.outcome.positive
    return declared if declared is not None else decision and decision.rule.positive


def _counts(inputs: Inputs, group: Sequence[ProtectedAttribute]) -> GroupedCounts:
    score = log_of(inputs).fields[FieldRole.SCORE]
    return outcome_counts(
        inputs,
        f"calibration:{name_of(group)}",
        group,
        {"bin": _bin(score)},
        {"score": _score(score), "score_squared": _square(score)},
    )


@lru_cache(maxsize=64)
def _score(column: str) -> Expression:
    return lambda table: table[column].cast("float64")


@lru_cache(maxsize=64)
def _square(column: str) -> Expression:
    return lambda table: table[column].cast("float64") * table[column].cast("float64")


@lru_cache(maxsize=64)
def _bin(column: str) -> Expression:
    """Bin 0 to 9 of a score, closed on the right; none for a missing score."""

    def expression(table: Any) -> Any:
        score = table[column].cast("float64")
        inside = (score >= 0) & (score <= 1)
        position = (score * BINS).ceil().cast("int64") - 1
        position = (position < 0).ifelse(0, position)
        return score.isnan().ifelse(None, inside.ifelse(position, OUTSIDE))

    return expression


# -------------------------------------------------------------------------------------- results


def _beyond(inputs: Inputs, gap: Gap, tests: int) -> bool:
    large = abs(gap.value) > inputs.param("max_gap")
    return bool(large and gap.p_value * tests < inputs.param("significance"))


def _explanation(worst: Gap, failed: Sequence[Gap], by_chance: bool) -> str:
    place = "all scores together" if worst.bin is None else "one tenth of the scores"
    found = (
        "At equal scores the outcome of one group differs from that of all others by up to "
        f"{abs(worst.value):.2f} (over {place})"
    )
    if failed:
        return f"{found}, above the limit."
    return (
        f"{found}, above the limit, but chance may explain it."
        if by_chance
        else (f"{found}, within the limit.")
    )
