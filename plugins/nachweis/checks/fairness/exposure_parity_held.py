"""Who is never contacted, between groups, over several weeks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from nachweis.checks.fairness._examples import MODEL, audience
from nachweis.checks.fairness._groups import (
    attribute_joins,
    attributes,
    counted,
    eligible,
    group_expressions,
    group_key,
    holdouts_of,
    log_of,
    refusal,
    truth,
)
from nachweis.checks.fairness._verdicts import (
    HOLDOUT_ARMS,
    MIN_GROUP_SIZE,
    SIGNIFICANCE,
    difference_measurement,
    group_measurements,
    judged,
    ratio_measurement,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, FieldRole, ModelKind, ProtectedAttribute
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Observations,
    Request,
    Source,
)
from nachweis.engines.fairness import group_shares

PERSONS, REACHED = "persons", "reached"


class ExposureParityHeld(Check):
    """Are people of all groups left without any contact about equally often?

    Why: Each campaign alone may look even while the same people are never reached. Whoever never
        hears of an offer cannot take it (Art. 5(1)(a) GDPR; equal treatment, also in campaigns).
    Method: All eligible people of the scoring log over ``window_nights`` nights up to this one,
        without rows of hold-out arms; a person counts once. Per group of a protected attribute, the
        share of people with no contact in any row, 0 to 1. The largest difference between groups
        of at least ``min_group_size`` people, with Newcombe interval (95 %), and the ratio. A
        difference above ``max_difference`` fails only if the interval excludes 0 and the test,
        corrected for all pairs and attributes, is below ``significance``. Undefined with fewer than
        two such groups, or while nobody was contacted. Counted exactly by the engine, one query per
        attribute. Source: exposure as in Singh and Joachims 2018, as a share of people; the limit
        is a design default, European, German and Danish law set no number.
    Leaves out: People who were never scored, and contacts that the log does not hold. How often
        somebody was contacted. Reasons such as a missing consent, unless the log says who is
        eligible. A person whose group changes within the window counts in both groups.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("BIAS",)
    needs = (Needs.CONTACTS, Needs.PROTECTED_ATTRIBUTES, Needs.LOG_SUBJECT_KEY)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE}
    params = (
        Param(
            "window_nights",
            28,
            "nights",
            "design default of this project: four weeks",
            "How many nights up to this one are looked at.",
            minimum=1,
            maximum=92,
        ),
        Param(
            "max_difference",
            0.1,
            "difference of shares",
            "design default of this project",
            "Largest allowed difference between two groups in the share never contacted.",
            minimum=0.01,
            maximum=0.5,
        ),
        MIN_GROUP_SIZE,
        SIGNIFICANCE,
        HOLDOUT_ARMS,
    )
    remediation = (
        "Find out at which step people of the group drop out: consent, channel, eligibility or "
        "selection. Widen the audience or rotate contacts where nothing justifies the difference; "
        "state the reason in the dossier where something does."
    )
    examples = (
        Example(
            "both groups reached alike over a week",
            Outcome.PASS,
            audience({"female": (120, 150), "male": (115, 150)}),
            model=MODEL,
        ),
        Example(
            "half of the men are never reached",
            Outcome.FAIL,
            audience({"female": (135, 150), "male": (75, 150)}),
            model=MODEL,
        ),
        Example(
            "men missed on one night are reached on another",
            Outcome.PASS,
            audience({"female": (120, 150), "male": (120, 150)}, second_night=("male",)),
            model=MODEL,
        ),
        Example(
            "men are in the hold-out more often, reached alike otherwise",
            Outcome.PASS,
            audience({"female": (120, 150), "male": (120, 150)}, holdout={"male": 150}),
            model=MODEL,
        ),
        Example(
            "nobody was contacted",
            Outcome.NOT_AVAILABLE,
            audience({"female": (0, 150), "male": (0, 150)}),
            model=MODEL,
        ),
        Example(
            "one group of 12",
            Outcome.NOT_AVAILABLE,
            audience({"female": (120, 150), "male": (6, 12)}),
            model=MODEL,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One grouped count of people per attribute."""
        return [_counts(inputs, attribute) for attribute in attributes(inputs)]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute."""
        for attribute in inputs.model.protected_attributes:
            if declare := refusal(inputs, attribute):
                yield self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "The attribute may not be counted before more is declared.",
                    column=attribute.id,
                    declare=declare,
                )
                continue
            table = counted(observations, f"exposure:{attribute.id}")
            yield self._finding(inputs, attribute, table)

    def _finding(
        self, inputs: Inputs, attribute: ProtectedAttribute, table: CountTable | str
    ) -> Finding:
        if isinstance(table, str):
            return self.finding(inputs, Outcome.NOT_AVAILABLE, table, column=attribute.id)
        if not sum(table.sums[REACHED].values()):
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "Nobody was contacted in these nights.",
                column=attribute.id,
            )
        report = group_shares(
            table,
            group_key(attribute.id),
            PERSONS,
            REACHED,
            inputs.param("min_group_size"),
            metric="never_contacted_rate",
        )
        limit = inputs.param("max_difference")
        verdict = judged(
            inputs,
            report,
            lambda one: None if one.difference is None else one.difference > limit,
            comparisons=len(attributes(inputs)),
        )
        outcome = Outcome.FAIL if verdict.failed else Outcome.PASS
        found = (
            f"The share of people never contacted differs by {report.difference:.2f} between two "
            "groups"
            if report.difference is not None
            else ""
        )
        if verdict.reason:
            outcome, said = Outcome.NOT_AVAILABLE, f"Groups were not compared: {verdict.reason}."
        elif verdict.failed:
            said = f"{found}, above the limit."
        elif verdict.exceeded:
            said = f"{found}, above the limit, but chance may explain it."
        else:
            said = f"{found}, within the limit."
        by_chance = verdict.exceeded and not verdict.failed
        return self.finding(
            inputs,
            outcome,
            said,
            severity=Severity.INFO if by_chance else None,
            measurements=[
                difference_measurement(
                    "never_contacted_rate",
                    report,
                    threshold=inputs.threshold("max_difference", "<="),
                ),
                ratio_measurement("never_contacted_rate", report),
                *group_measurements("never_contacted_rate", report),
            ],
            column=attribute.id,
            scope=_scope(inputs),
        )


# ------------------------------------------------------------------------------------- requests


def _span(inputs: Inputs) -> tuple[dt.datetime, dt.datetime]:
    return inputs.night.window(f"P{inputs.param('window_nights')}D")


def _scope(inputs: Inputs) -> str:
    start, _ = _span(inputs)
    return f"eligible people scored from {start.date()} to {inputs.night.date}, without hold-outs"


def _counts(inputs: Inputs, attribute: ProtectedAttribute) -> GroupedCounts:
    log = log_of(inputs)
    key = log.subject_key.column if log.subject_key else ""
    return GroupedCounts(
        f"exposure:{attribute.id}",
        _source(inputs, log),
        by=group_expressions(inputs, (attribute,)),
        where=_rows(log, holdouts_of(inputs)),
        sums={PERSONS: _persons(key), REACHED: _reached(key, log.fields[FieldRole.CONTACTED])},
        join=attribute_joins(inputs, (attribute,)) or None,
    )


def _source(inputs: Inputs, log: DataSet) -> Source:
    return Source(log.id, "span", _span(inputs))


def _rows(log: DataSet, holdouts: frozenset[str]) -> Expression | None:
    arm = log.field(FieldRole.ARM)
    return _outside_arms(arm, holdouts, eligible(log)) if arm else eligible(log)


@lru_cache(maxsize=64)
def _outside_arms(column: str, arms: frozenset[str], also: Expression | None) -> Expression:
    """Rows of no hold-out arm; a row without an arm is in none."""

    def rows(table: Any) -> Any:
        name = table[column].cast("string").strip().lower()
        outside = name.isnull() | name.notin(sorted(arms))
        return outside if also is None else outside & also(table)

    return rows


@lru_cache(maxsize=64)
def _persons(key: str) -> Expression:
    return lambda table: table[key].nunique()


@lru_cache(maxsize=64)
def _reached(key: str, contacted: str) -> Expression:
    is_contacted = truth(contacted)
    return lambda table: table[key].nunique(where=is_contacted(table))
