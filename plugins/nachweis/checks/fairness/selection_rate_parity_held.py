"""Selection rates between groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nachweis.checks.fairness._examples import MODEL, log, offers
from nachweis.checks.fairness._groups import (
    attributes,
    counted,
    counts,
    group_key,
    holdouts_of,
    intersections,
    name_of,
    refusal,
    without,
)
from nachweis.checks.fairness._verdicts import (
    HOLDOUT_ARMS,
    MIN_GROUP_SIZE,
    SIGNIFICANCE,
    Judged,
    difference_measurement,
    group_measurements,
    judged,
    ratio_measurement,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind, ProtectedAttribute
from nachweis.domain.observation import CountTable, Observations, Request
from nachweis.engines.fairness import GroupReport, selection_rates


class SelectionRateParityHeld(Check):
    """Are people of all groups selected about equally often?

    Why: Customers must not be treated worse because of their sex, age or origin (Art. 5(1)(a)
        GDPR; AGG and the Danish equality acts where they apply), also in campaigns and audiences.
    Method: Per group of a protected attribute, the share of eligible rows of the current window
        with the favourable prediction; where the log says who was contacted, also the share
        contacted, without hold-out arms. So a campaign's audience (selected) and its recipients
        (contacted) are judged apart; for an audience that somebody else chooses (kind
        external_audience) the log may hold contacts alone. Ratio of the lowest to the highest
        share, 0 to 1, and their difference, -1 to 1, both with 95 % intervals, of groups of at
        least ``min_group_size`` rows. A ratio below ``min_ratio`` fails only if the Newcombe
        interval of the difference excludes 0 and the test, corrected for all pairs, shares and
        attributes, is below ``significance``. Undefined with fewer than two groups or nobody
        selected. Computed by Fairlearn on counts; ratio intervals after Katz (1978). Source of the
        limit: 29 CFR 1607.4(D), a screening rule of the United States; European, German and Danish
        law set no number.
    Leaves out: Reasons for a difference, which may be lawful; whether selection is a benefit.
        Intersections are reported without a verdict. Groups that were never recorded.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("BIAS",)
    needs = (Needs.SELECTION_OR_CONTACTS, Needs.PROTECTED_ATTRIBUTES)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE}
    params = (
        Param(
            "min_ratio",
            0.8,
            "ratio of shares",
            "29 CFR 1607.4(D), a screening rule",
            "Lowest allowed ratio of the lowest to the highest share.",
            minimum=0.5,
            maximum=1,
        ),
        MIN_GROUP_SIZE,
        SIGNIFICANCE,
        HOLDOUT_ARMS,
    )
    remediation = (
        "Look for the feature or threshold that causes the difference and for a reason that "
        "justifies it. Reweighing the training data is the usual first correction; show the same "
        "number before and after in the next version."
    )
    examples = (
        Example("equal shares", Outcome.PASS, offers((100, 100), (96, 104)), model=MODEL),
        Example(
            "men half as often as women", Outcome.FAIL, offers((100, 100), (50, 150)), model=MODEL
        ),
        Example(
            "offers are equal, contacts are not",
            Outcome.FAIL,
            {
                "scoring_log": log(
                    ({"gender": "female", "offer": 1, "sent": True, "arm": "mail"}, 150),
                    ({"gender": "female", "offer": 1, "sent": False, "arm": "holdout"}, 50),
                    ({"gender": "male", "offer": 1, "sent": True, "arm": "mail"}, 75),
                    ({"gender": "male", "offer": 1, "sent": False, "arm": "mail"}, 75),
                    ({"gender": "male", "offer": 1, "sent": False, "arm": "holdout"}, 50),
                    fields={"prediction": "offer", "contacted": "sent", "arm": "arm"},
                )
            },
            model=MODEL,
        ),
        Example(
            "more hold-outs among men, contacts equal otherwise",
            Outcome.PASS,
            {
                "scoring_log": log(
                    ({"gender": "female", "offer": 1, "sent": True, "arm": "mail"}, 150),
                    ({"gender": "male", "offer": 1, "sent": True, "arm": "mail"}, 110),
                    ({"gender": "male", "offer": 1, "sent": False, "arm": "holdout"}, 90),
                    fields={"prediction": "offer", "contacted": "sent", "arm": "arm"},
                )
            },
            model=MODEL,
        ),
        Example(
            "men less often, but only the eligible count",
            Outcome.PASS,
            {
                "scoring_log": log(
                    ({"gender": "female", "offer": 1, "may": True}, 120),
                    ({"gender": "male", "offer": 1, "may": True}, 120),
                    ({"gender": "male", "offer": 0, "may": False}, 120),
                    fields={"prediction": "offer", "eligible": "may"},
                )
            },
            model=MODEL,
        ),
        Example(
            "recipients of a bought audience, women only half as often",
            Outcome.FAIL,
            {
                "scoring_log": log(
                    ({"gender": "female", "sent": True}, 50),
                    ({"gender": "female", "sent": False}, 150),
                    ({"gender": "male", "sent": True}, 100),
                    ({"gender": "male", "sent": False}, 100),
                    fields={"contacted": "sent"},
                )
            },
            model={
                "kind": "external_audience",
                "protected_attributes": MODEL["protected_attributes"],
            },
        ),
        Example("one group of 12", Outcome.NOT_AVAILABLE, offers((60, 60), (6, 6)), model=MODEL),
        Example(
            "an Art. 9 attribute without the declared conditions",
            Outcome.NOT_AVAILABLE,
            offers((100, 100), (50, 150)),
            model={
                **MODEL,
                "protected_attributes": [{"id": "gender", "column": "gender", "art9": "health"}],
            },
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One grouped count per attribute and declared intersection."""
        groups = [(attribute,) for attribute in attributes(inputs)]
        return [counts(inputs, group) for group in (*groups, *intersections(inputs))]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute; intersections add numbers to their first attribute's."""
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
            crossed = [
                one for group in intersections(inputs) if group[0].id == attribute.id
                for one in self._crossed(inputs, observations, group)
            ]  # fmt: skip
            table = counted(observations, f"counts:{attribute.id}")
            yield self._finding(inputs, attribute, table, crossed)

    def _finding(
        self,
        inputs: Inputs,
        attribute: ProtectedAttribute,
        table: CountTable | str,
        crossed: Sequence[Measurement],
    ) -> Finding:
        if isinstance(table, str):
            return self.finding(inputs, Outcome.NOT_AVAILABLE, table, column=attribute.id)
        reports = _reports(inputs, table, [group_key(attribute.id)])
        comparisons = len(reports) * len(attributes(inputs))
        verdicts = {
            what: judged(inputs, report, lambda one: _below(inputs, one), comparisons=comparisons)
            for what, report in reports.items()
        }
        outcome, severity = _outcome(verdicts)
        return self.finding(
            inputs,
            outcome,
            _explanation(reports, verdicts),
            measurements=[*_measurements(inputs, reports, limited=True), *crossed],
            column=attribute.id,
            severity=severity,
            scope="eligible rows of the current window",
        )

    def _crossed(
        self, inputs: Inputs, seen: Observations, group: Sequence[ProtectedAttribute]
    ) -> Iterator[Measurement]:
        """Numbers of an intersection: reported, never judged, because its groups are small."""
        table = counted(seen, f"counts:{name_of(group)}")
        if isinstance(table, str):
            yield Measurement(
                name="selection_rate_ratio", value=None, group=name_of(group), reason=table
            )
            return
        reports = _reports(inputs, table, [group_key(one.id) for one in group])
        yield from _measurements(inputs, reports, limited=False, group=name_of(group))


def _reports(inputs: Inputs, table: CountTable, keys: Sequence[str]) -> dict[str, GroupReport]:
    """Shares selected and, where the log says so, shares contacted."""
    smallest, decision = inputs.param("min_group_size"), inputs.model.decision
    positive = decision.rule.positive if decision else None
    reports = {}
    if "prediction" in table.keys and positive is not None:
        reports["selected"] = selection_rates(table, keys, "prediction", positive, smallest)
    if "contacted" in table.keys:
        exposed = table
        if "arm" in table.keys:
            exposed = without(table, "arm", holdouts_of(inputs))
        if exposed.total(contacted=True) or not reports:
            reports["contacted"] = selection_rates(exposed, keys, "contacted", True, smallest)
    return reports


def _below(inputs: Inputs, report: GroupReport) -> bool | None:
    return None if report.ratio is None else report.ratio < inputs.param("min_ratio")


def _outcome(verdicts: dict[str, Judged]) -> tuple[Outcome, Severity | None]:
    if any(one.failed for one in verdicts.values()):
        return Outcome.FAIL, None
    if not verdicts or any(one.reason for one in verdicts.values()):
        return Outcome.NOT_AVAILABLE, None
    by_chance = any(one.exceeded for one in verdicts.values())
    return Outcome.PASS, Severity.INFO if by_chance else None


def _explanation(reports: dict[str, GroupReport], verdicts: dict[str, Judged]) -> str:
    parts = []
    for what, one in verdicts.items():
        ratio = reports[what].ratio
        # Whole sentences, so that each can be translated.
        contacted = what == "contacted"
        if one.reason or ratio is None:
            parts.append(
                f"Shares contacted were not compared: {one.reason}."
                if contacted
                else f"Shares selected were not compared: {one.reason}."
            )
            continue
        found = (
            f"The lowest share contacted is {ratio:.2f} of the highest"
            if contacted
            else f"The lowest share selected is {ratio:.2f} of the highest"
        )
        if one.failed:
            parts.append(f"{found}, below the limit.")
        elif one.exceeded:
            parts.append(f"{found}, below the limit, but chance may explain it.")
        else:
            parts.append(f"{found}, within the limit.")
    return " ".join(parts)


def _measurements(
    inputs: Inputs, reports: dict[str, GroupReport], *, limited: bool, group: str | None = None
) -> Iterator[Measurement]:
    names = {"selected": "selection_rate", "contacted": "contact_rate"}
    limit = inputs.threshold("min_ratio", ">=") if limited else None
    for what, report in reports.items():
        name = names[what]
        yield ratio_measurement(name, report, group=group, threshold=limit)
        yield difference_measurement(name, report, group=group)
        yield from group_measurements(name, report, f"{group}: " if group else "")
