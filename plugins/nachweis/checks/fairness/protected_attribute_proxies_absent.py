"""Features that tell a protected attribute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nachweis.checks.fairness._examples import MODEL, features_log
from nachweis.checks.fairness._groups import (
    attribute_joins,
    attributes,
    column_of,
    held_elsewhere,
    refusal,
)
from nachweis.checks.fairness._verdicts import MIN_GROUP_SIZE
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind, ProtectedAttribute
from nachweis.domain.observation import Observations, Request, Sample
from nachweis.engines.fairness_proxies import Strength, groups_of, strength

_ROWS = 20_000
_Z = 3.2905267314919255  # 99.9 % interval
_LEVEL = 0.999


class ProtectedAttributeProxiesAbsent(Check):
    """Do none of the model's features tell which group of a protected attribute somebody is in?

    Why: A model that does not read the attribute can still follow it through a feature that stands
        in for it, such as a postcode for origin (indirect difference; Art. 5(1)(a) GDPR, AGG § 3).
    Method: A sample of at most 20,000 rows of the current window. For each feature and attribute:
        for numbers ``|2 AUC - 1|`` of the group that is told best against all others (interval
        after Hanley and McNeil); for everything else Cramér's V with Bergsma's correction (interval
        by Fisher's transformation) and the mutual information in nats. Both run from 0 (tells
        nothing) to 1 (tells the group). Fails if the whole 99.9 % interval of a feature lies above
        ``max_strength`` and it is not among ``justified_features``. Undefined without two groups of
        ``min_group_size`` rows, or for a feature with one value. Values rarer than 10 rows are put
        together. Source: definitions as in scikit-learn (roc_auc_score, mutual_info_score) and
        scipy (association); the limit is a design default.
    Leaves out: Several features that tell the attribute only together. Whether the model follows
        the feature. Free text. Missing values as a sign of their own. A sample of one night.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("BIAS",)
    needs = (Needs.SCORING_LOG, Needs.FEATURES, Needs.PROTECTED_ATTRIBUTES)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE}
    params = (
        Param(
            "max_strength",
            0.5,
            "strength from 0 to 1",
            "design default of this project; 0.5 is an AUC of 0.75",
            "How well a single feature may tell a group.",
            minimum=0.1,
            maximum=1,
        ),
        Param(
            "justified_features",
            "",
            "names of features, separated by commas",
            "design default of this project",
            "Features that people examined and found justified; they are reported and never fail.",
        ),
        Param(
            "max_features",
            20,
            "columns",
            "design default of this project",
            "How many features are looked at, in declared order.",
            minimum=1,
            maximum=100,
        ),
        MIN_GROUP_SIZE,
    )
    remediation = (
        "Ask what the feature is needed for. Drop it, coarsen it or replace it by what it stands "
        "for, and compare accuracy and selection rates with and without it. If it is needed, write "
        "the reason into the dossier and name it under justified_features."
    )
    examples = (
        Example(
            "features that have nothing to do with gender",
            Outcome.PASS,
            features_log(lambda gender, i: {"orders": float(i % 7), "device": "ab"[i // 2 % 2]}),
            model=MODEL,
        ),
        Example(
            "a number that stands in for gender",
            Outcome.FAIL,
            features_log(
                lambda gender, i: {"orders": float(i % 7) + 5 * (gender == "male"), "device": "a"}
            ),
            model=MODEL,
        ),
        Example(
            "a title that stands in for gender",
            Outcome.FAIL,
            features_log(
                lambda gender, i: {
                    "orders": float(i % 7),
                    "device": "Ms" if (gender == "female") != (i % 20 == 0) else "Mr",
                }
            ),
            model=MODEL,
        ),
        Example(
            "the same title, examined and justified",
            Outcome.PASS,
            features_log(
                lambda gender, i: {
                    "orders": float(i % 7),
                    "device": "Ms" if gender == "female" else "Mr",
                }
            ),
            model=MODEL,
            params={"justified_features": "device"},
        ),
        Example(
            "too few people",
            Outcome.NOT_AVAILABLE,
            features_log(lambda gender, i: {"orders": float(i), "device": "a"}, n=30),
            model=MODEL,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One sample per data set that holds attributes."""
        return [
            Sample(
                f"sample:{where}",
                inputs.source("scoring_log", "current"),
                columns=tuple(
                    dict.fromkeys([*_features(inputs), *(column_of(inputs, one) for one in held)])
                ),
                n=_ROWS,
                join=attribute_joins(inputs, held) or None,
            )
            for where, held in _by_place(inputs).items()
        ]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per attribute."""
        place = {one.id: where for where, held in _by_place(inputs).items() for one in held}
        missing = dict(observations.missing())
        for attribute in inputs.model.protected_attributes:
            declare = refusal(inputs, attribute)
            where = f"sample:{place.get(attribute.id, '')}"
            if declare or where in missing:
                yield self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    missing.get(where, "The attribute may not be read before more is declared."),
                    column=attribute.id,
                    declare=declare,
                )
                continue
            yield self._finding(inputs, attribute, observations[where])

    def _finding(
        self, inputs: Inputs, attribute: ProtectedAttribute, sample: Mapping[str, Any]
    ) -> Finding:
        groups = groups_of(sample[column_of(inputs, attribute)], tuple(attribute.bands))
        smallest = inputs.param("min_group_size")
        found = {
            feature: strength(groups, sample[feature], smallest, _Z)
            for feature in _features(inputs)
        }
        told = {name: one for name, one in found.items() if one is not None}
        if not told:
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "Fewer than two groups are large enough, or no feature varies.",
                column=attribute.id,
            )
        justified = _justified(inputs)
        limit = inputs.param("max_strength")
        strong = [name for name, one in told.items() if one.interval[0] > limit]
        failed = [name for name in strong if name not in justified]
        if failed:
            said = f"{len(failed)} of {len(told)} features tell the attribute: {', '.join(failed)}."
        elif strong:
            said = f"Only features declared as justified tell the attribute: {', '.join(strong)}."
        else:
            said = f"None of {len(told)} features tells the attribute by more than the limit."
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            said,
            measurements=_measurements(inputs, found, justified),
            column=attribute.id,
            scope="a sample of the current window",
        )


def _features(inputs: Inputs) -> list[str]:
    """Features in declared order, without free text."""
    log = inputs.data("scoring_log")
    texts = {column.name for column in log.columns if column.free_text} if log else set()
    names = [name for name in inputs.feature_names if name not in texts]
    return names[: inputs.param("max_features")]


def _by_place(inputs: Inputs) -> dict[str, list[ProtectedAttribute]]:
    """Attributes that may be read, by the data set that holds them."""
    found: dict[str, list[ProtectedAttribute]] = {}
    for attribute in attributes(inputs):
        where = attribute.data_set if held_elsewhere(inputs, attribute) else None
        found.setdefault(where or "log", []).append(attribute)
    return found


def _justified(inputs: Inputs) -> frozenset[str]:
    names = str(inputs.param("justified_features")).split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _measurements(
    inputs: Inputs, found: Mapping[str, Strength | None], justified: frozenset[str]
) -> Iterator[Measurement]:
    """The strongest first."""
    limit = inputs.threshold("max_strength", "<=")
    for name, one in sorted(found.items(), key=lambda item: -(item[1].value if item[1] else -1)):
        if one is None:
            yield Measurement(
                name="strength", value=None, group=name, reason="too few rows, or one value only"
            )
            continue
        how = (
            f"|2 AUC - 1| with AUC {one.raw:.3f} against all others"
            if one.kind == "auc"
            else f"Cramér's V with Bergsma's correction ({one.raw:.3f} without)"
        )
        yield Measurement(
            name="strength",
            value=one.value,
            unit="difference",
            threshold=None if name in justified else limit,
            n=one.n,
            interval=one.interval,
            interval_level=_LEVEL,
            group=name,
            recipe=how + ("; declared as justified" if name in justified else ""),
        )
        if one.information is not None:
            yield Measurement(
                name="mutual_information",
                value=one.information,
                unit="nats",
                n=one.n,
                group=name,
                recipe="of feature and group, from counts",
            )
