"""Sizes of the groups that are compared."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.fairness._examples import MODEL, offers
from nachweis.checks.fairness._groups import attributes, counted, counts, group_key, refusal
from nachweis.checks.fairness._verdicts import MIN_GROUP_SIZE, size_measurements
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.observation import CountTable, Observations, Request


class GroupsLargeEnough(Check):
    """Is every group of every protected attribute large enough to be compared?

    Why: A group that is too small is left out of every comparison, so a model may treat it worse
        without any other check saying so.
    Method: Rows per group among the eligible of the current window, 0 or more, each against
        ``min_group_size``; rows without a value form no group. Undefined without rows or where no
        row has a value. Source: design default; European, German and Danish law set no number.
    Leaves out: Groups that do not occur in the window at all. Intersections, which are often
        small. Whether the attribute was recorded rightly.
    """

    severity = Severity.LOW
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("BIAS",)
    needs = (Needs.SCORING_LOG, Needs.PROTECTED_ATTRIBUTES)
    params = (MIN_GROUP_SIZE,)
    remediation = (
        "Widen the model's current window, merge groups where that makes sense, or have the group "
        "tested with other data. State in the dossier which groups could not be compared."
    )
    examples = (
        Example("two large groups", Outcome.PASS, offers((60, 60), (60, 60)), model=MODEL),
        Example("one group of 12", Outcome.FAIL, offers((60, 60), (6, 6)), model=MODEL),
        Example(
            "no protected attribute declared", Outcome.NOT_AVAILABLE, offers((60, 60), (60, 60))
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The counts that the parity checks ask for too."""
        return [counts(inputs, (attribute,)) for attribute in attributes(inputs)]

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
            table = counted(observations, f"counts:{attribute.id}")
            yield self._finding(inputs, attribute.id, table)

    def _finding(self, inputs: Inputs, attribute: str, table: CountTable | str) -> Finding:
        if isinstance(table, str):
            return self.finding(inputs, Outcome.NOT_AVAILABLE, table, column=attribute)
        key = group_key(attribute)
        groups = [value for value in table.values(key) if value is not None]
        if not groups:
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No row of the window has a value of this attribute.",
                column=attribute,
            )
        smallest = inputs.param("min_group_size")
        sizes = {value: table.total(**{key: value}) for value in groups}
        small = [value for value, n in sizes.items() if n < smallest]
        limit = inputs.threshold("min_group_size", ">=")
        return self.finding(
            inputs,
            Outcome.FAIL if small else Outcome.PASS,
            f"{len(small)} of {len(groups)} groups are too small to be compared."
            if small
            else f"All {len(groups)} groups are large enough to be compared.",
            measurements=size_measurements({str(value): n for value, n in sizes.items()}, limit),
            column=attribute,
            scope="eligible rows of the current window",
        )
