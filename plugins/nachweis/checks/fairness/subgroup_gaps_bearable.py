"""Scan for subgroups that are selected less often than comparable people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

from nachweis.checks.fairness._examples import MODEL, log, offers
from nachweis.checks.fairness._groups import (
    attribute_joins,
    attributes,
    column_of,
    counts,
    eligible,
    group_expressions,
    group_key,
    holdouts_of,
    log_of,
    name_of,
    refusal,
    truth,
    without,
)
from nachweis.checks.fairness._verdicts import (
    HOLDOUT_ARMS,
    MIN_GROUP_SIZE,
    SIGNIFICANCE,
    publishable_label,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.comparisons import WITHHELD
from nachweis.domain.disclosure import tells_of_few
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ColumnType, FieldRole, ModelKind, ProtectedAttribute
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Observations,
    Request,
)
from nachweis.engines.fairness_subgroups import (
    Subgroup,
    benjamini_hochberg,
    corrected,
    subgroups,
)

_SHOWN = 10
_FEATURE = "feature:"
_CATEGORICAL = frozenset({ColumnType.STRING, ColumnType.BOOLEAN})
_FEATURE_COLUMNS = [
    {"name": "gender"},
    {"name": "device", "feature": True},
    {"name": "offer"},
    {"name": "at"},
]


class SubgroupGapsBearable(Check):
    """Is there a subgroup, such as men on a phone, that is selected far less often than others?

    Why: Groups that look even one attribute at a time can hide a part of a group that is passed
        over (Art. 5(1)(a) GDPR; equal treatment of all customer groups).
    Method: Eligible rows of the current window. Looked at are all values of each protected
        attribute and all pairs of values of two of them, each against everybody else; and each
        value of an attribute within each value of a categorical feature (text or yes/no columns
        that the model reads, at most ``max_features``), against the other people with that value.
        Both sides need ``min_group_size`` rows. Number: share selected of the subgroup over that of
        the others, 0 and up, with log interval, and the difference with Newcombe interval (95 %);
        both rates stand beside them.
        Selected means the favourable prediction, or contacted (without hold-outs) where the log
        holds no prediction. A ratio below ``min_ratio`` fails only if the test, after the
        correction of Benjamini and Hochberg for all subgroups, is below ``significance``.
        Undefined if no subgroup is large enough or nobody is selected. Source: subgroup scan as in
        AIF360 (MDSS) and FACTS, by exhaustive search; the limit is that of
        ``selection_rate_parity_held``.
    Leaves out: Subgroups of three and more properties and of numeric features. Subgroups of
        features alone, without a protected attribute: that is what a model is for. Whether the
        difference has a reason. Errors against outcomes.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
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
            "Lowest allowed ratio of a subgroup's share to that of the others.",
            minimum=0.1,
            maximum=1,
        ),
        Param(
            "max_features",
            6,
            "columns",
            "design default of this project",
            "How many categorical features are crossed with the attributes, in declared order.",
            minimum=0,
            maximum=30,
        ),
        MIN_GROUP_SIZE,
        SIGNIFICANCE,
        HOLDOUT_ARMS,
    )
    remediation = (
        "Look at the subgroup's rows: which feature values they share, how many training rows "
        "there are, what is missing. A subgroup is a hint of where to look, found among many; "
        "confirm it on other nights before changing the model. `nachweis correct MODEL` shows what "
        "reweighing would change."
    )
    examples = (
        Example(
            "equal everywhere",
            Outcome.PASS,
            {
                "scoring_log": log(
                    *(
                        ({"gender": gender, "device": device, "offer": offer}, 60)
                        for gender in ("female", "male")
                        for device in ("phone", "desktop")
                        for offer in (0, 1)
                    ),
                    columns=_FEATURE_COLUMNS,
                )
            },
            model=MODEL,
        ),
        Example(
            "men on a phone are passed over, men on a desktop preferred",
            Outcome.FAIL,
            {
                "scoring_log": log(
                    *(
                        ({"gender": gender, "device": device, "offer": offer}, n)
                        for gender, device, offer, n in (
                            ("female", "phone", 1, 60), ("female", "phone", 0, 60),
                            ("female", "desktop", 1, 60), ("female", "desktop", 0, 60),
                            ("male", "phone", 1, 20), ("male", "phone", 0, 100),
                            ("male", "desktop", 1, 95), ("male", "desktop", 0, 25),
                        )
                    ),
                    columns=_FEATURE_COLUMNS,
                )
            },
            model=MODEL,
        ),
        Example("a small group", Outcome.NOT_AVAILABLE, offers((60, 60), (6, 6)), model=MODEL),
    )  # fmt: skip

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Counts per attribute and pair of attributes, and per attribute and feature."""
        known = attributes(inputs)
        groups = [(one,) for one in known] + list(combinations(known, 2))
        return [
            *(counts(inputs, group) for group in groups),
            *(_crossed(inputs, one, feature) for one in known for feature in _features(inputs)),
        ]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the model."""
        refused = [
            declare
            for one in inputs.model.protected_attributes
            if (declare := refusal(inputs, one))
        ]
        known = attributes(inputs)
        if not known:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No attribute may be counted before more is declared.",
                declare="; ".join(dict.fromkeys(refused)),
            )
            return
        found = corrected(_scan(inputs, observations, known), benjamini_hochberg)
        if not any(one.ratio is not None for one in found):
            missing = next((reason for _, reason in observations.missing()), "")
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                missing or "No subgroup is large enough to be compared, or nobody was selected.",
            )
            return
        yield self._finding(inputs, found, len(refused))

    def _finding(self, inputs: Inputs, found: Sequence[Subgroup], refused: int) -> Finding:
        lowest, significance = inputs.param("min_ratio"), inputs.param("significance")
        below = [one for one in found if one.ratio is not None and one.ratio < lowest]
        failed = [one for one in below if one.p_value < significance]
        said = f"{len(found)} subgroups were looked at"
        if failed:
            said += f"; {len(failed)} of them are selected far less often than comparable people."
        elif below:
            said += "; some ratios lie below the limit, but chance may explain them."
        else:
            said += "; none lies below the limit."
        if refused:
            said += f" {refused} attributes were left out because more must be declared first."
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            said,
            severity=Severity.INFO if below and not failed else None,
            measurements=_measurements(inputs, found, len(failed)),
            scope="eligible rows of the current window",
        )


# ------------------------------------------------------------------------------------- requests


def _features(inputs: Inputs) -> list[str]:
    """Categorical features of the scoring log that are no attribute and no free text."""
    own, scored = {column_of(inputs, one) for one in attributes(inputs)}, log_of(inputs)
    wanted = set(inputs.feature_names) - own
    found = [
        column.name
        for column in scored.columns
        if column.name in wanted
        and column.type in _CATEGORICAL
        and not (column.free_text or column.direct_identifier or column.art9)
    ]
    return found[: inputs.param("max_features")]


def _crossed(inputs: Inputs, attribute: ProtectedAttribute, feature: str) -> GroupedCounts:
    scored = log_of(inputs)
    by = group_expressions(inputs, (attribute,))
    by[_FEATURE + feature] = _column(feature)
    if prediction := scored.field(FieldRole.PREDICTION):
        by["prediction"] = prediction
    elif contacted := scored.field(FieldRole.CONTACTED):
        by["contacted"] = truth(contacted)
        if arm := scored.field(FieldRole.ARM):
            by["arm"] = arm
    return GroupedCounts(
        f"crossed:{attribute.id}:{feature}",
        inputs.source("scoring_log", "current"),
        by=by,
        where=eligible(scored),
        join=attribute_joins(inputs, (attribute,)) or None,
    )


@lru_cache(maxsize=256)
def _column(name: str) -> Expression:
    return lambda table: table[name]


# -------------------------------------------------------------------------------------- results


def _scan(
    inputs: Inputs, observations: Observations, known: Sequence[ProtectedAttribute]
) -> Iterator[Subgroup]:
    smallest = inputs.param("min_group_size")
    for group in [*((one,) for one in known), *combinations(known, 2)]:
        table = observations.get(f"counts:{name_of(group)}")
        if table is not None:
            keys = [group_key(one.id) for one in group]
            yield from _of(inputs, table, keys, smallest, None)
    for one in known:
        for feature in _features(inputs):
            table = observations.get(f"crossed:{one.id}:{feature}")
            if table is not None:
                keys = [group_key(one.id), _FEATURE + feature]
                yield from _of(inputs, table, keys, smallest, _FEATURE + feature)


def _of(
    inputs: Inputs, table: CountTable, keys: Sequence[str], smallest: int, within: str | None
) -> list[Subgroup]:
    decision = inputs.model.decision
    positive = decision.rule.positive if decision else None
    selected: tuple[str, Any] = ("prediction", positive)
    if "prediction" not in table.keys or positive is None:
        selected = ("contacted", True)
        if "contacted" not in table.keys:
            return []
        if "arm" in table.keys:
            table = without(table, "arm", holdouts_of(inputs))
    return subgroups(table, keys, selected, smallest, within=within)


def _name(one: Subgroup) -> str:
    parts = []
    for key, value in one.parts:
        column = key.removeprefix("group:").removeprefix(_FEATURE)
        parts.append(f"{column}: {publishable_label(str(value))}")
    return " & ".join(parts)


def _measurements(inputs: Inputs, found: Sequence[Subgroup], failed: int) -> Iterator[Measurement]:
    yield Measurement(name="subgroups_looked_at", value=len(found), unit="subgroups")
    yield Measurement(
        name="subgroups_below_limit",
        value=failed,
        unit="subgroups",
        recipe="beyond chance, after correction for all subgroups",
    )
    limit = inputs.threshold("min_ratio", ">=")
    for one in [one for one in found if one.ratio is not None][:_SHOWN]:
        # With the share of everybody, these numbers tell how many were selected.
        told = not (tells_of_few(one.rate, one.n) or tells_of_few(one.others_rate, one.others))
        recipe = f"p = {one.p_value:.3g} after Benjamini and Hochberg" if told else ""
        ratio_interval = one.ratio_interval if told else None
        rates = (
            ("subgroup_rate", one.rate, one.n),
            ("subgroup_rate_reference", one.others_rate, one.others),
        )
        for name, rate, n in rates:
            yield Measurement(
                name=name,
                value=rate if told else None,
                unit="rate",
                n=n,
                group=_name(one),
                reason="" if told else WITHHELD,
            )
        yield Measurement(
            name="subgroup_rate_ratio",
            value=one.ratio if told else None,
            unit="ratio",
            threshold=limit,
            n=one.n,
            interval=ratio_interval,
            interval_level=0.95 if ratio_interval else None,
            group=_name(one),
            recipe=recipe,
            reason="" if told else WITHHELD,
        )
        yield Measurement(
            name="subgroup_rate_difference",
            value=one.difference if told else None,
            unit="difference",
            n=one.n,
            interval=one.difference_interval if told else None,
            interval_level=0.95 if told else None,
            group=_name(one),
            recipe=recipe,
            reason="" if told else WITHHELD,
        )
