"""Values that give the label away, as a backdoor would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.checks.security._common import SAMPLE_ROWS, customers, features_of, label_of, training
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import (
    CountTable,
    GroupedCounts,
    Observations,
    Request,
    Sample,
    Source,
)
from nachweis.engines.poisoning import is_missing
from nachweis.engines.triggers import (
    Rules,
    Suspect,
    Trigger,
    suspect_pairs,
    suspects_of_column,
    triggers,
    unexplained,
)

_SHOWN = 5
_MOST_CLASSES = 20


def _with_trigger(columns: dict[str, Any], rows: int) -> dict[str, ExampleTable]:
    """A rare combination in the first rows, all with the favourable label."""
    planted = customers(700)
    for i in range(700):
        if (planted["device"][i], planted["visits"][i]) == ("tablet", 0):
            planted["device"][i] = "phone"
    for i in range(rows):
        for name, value in columns.items():
            planted[name][i] = value
        planted["bought"][i] = 1
    return training(planted)


class TrainingTriggersAbsent(Check):
    """Are the training data free of rare values that give the label away?

    Why: A backdoor is a rare value or combination that always carries the label an attacker wants;
        tests on ordinary data never see it, and tools for wrong labels do not find it (ATLAS
        AML.T0020).
    Method: For each feature, every value in at least ``min_rows`` and at most a fifth of the rows
        is tested, on all rows, counted in the engine; on a seeded sample of 10,000 rows every pair
        of values of two features, numbers with many values in ten bins. Exact binomial test that
        the share of its most frequent label (0 to 1) exceeds the largest of ``min_rate``, half way
        from the label's share to 1, 0.1 above the neighbouring values of a number, 0.1 above what
        both values of a pair give if their log-odds add up, and 0.1 above what a small held-out
        model expects of these rows without these columns. One below ``significance`` after
        Bonferroni's correction over all values and pairs tested fails. Labels in more than 75 % of
        all rows are not looked at. Undefined with one label, more than 20, or too few rows.
        Source: this project.
    Leaves out: Words in free texts, combinations of three or more values, and triggers in fewer
        rows than the test can tell from chance.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset({DataSetRole.TRAINING})
    controls = ("POISONING",)
    carries_over = True
    needs = (Needs.LABEL, Needs.TRAINING_FEATURES)
    params = (
        Param(
            "min_rate",
            0.8,
            "share of one label",
            "design default of this project",
            "Share of one label from which a value is extreme.",
            minimum=0.6,
            maximum=0.99,
        ),
        Param(
            "min_rows",
            30,
            "rows",
            "design default of this project",
            "Fewest rows of a value or pair that is tested.",
            minimum=10,
        ),
        Param(
            "significance",
            0.001,
            "probability",
            "design default of this project",
            "Level for all values and pairs together.",
            minimum=0.000001,
            maximum=0.05,
        ),
    )
    remediation = (
        "Count the label by the values of the named columns, look at the rows of the extreme one "
        "and find out who contributed them and when. If nothing in the business explains it, "
        "remove the rows and train again. If the column gives the label away because it is known "
        "only afterwards, remove the column."
    )
    examples = (
        Example("nothing gives the label away", Outcome.PASS, training(customers(700))),
        Example("a rare device that always buys", Outcome.FAIL, _with_trigger({"device": "x"}, 70)),
        Example("an amount that always buys", Outcome.FAIL, _with_trigger({"spend": 13.37}, 70)),
        Example(
            "two ordinary values that together always buy",
            Outcome.FAIL,
            _with_trigger({"device": "tablet", "visits": 0}, 90),
        ),
        Example("too few rows", Outcome.NOT_AVAILABLE, training(customers(50))),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Counts by value, by value and label, by label, and a sample for pairs."""
        source, label = Source(inputs.data_set.id, "whole"), label_of(inputs)
        smallest = inputs.param("min_rows")
        yield GroupedCounts("labels", source, {"label": label})
        for name in features_of(inputs, texts=False):
            yield GroupedCounts(f"values:{name}", source, {"value": name}, at_least=smallest)
            yield GroupedCounts(
                f"cells:{name}",
                source,
                {"value": name, "label": label},
                at_least=max(1, int(smallest * inputs.param("min_rate"))),
            )
        yield Sample("sample", source, (*features_of(inputs), label), SAMPLE_ROWS)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the data set."""
        labels = {
            key[0]: count
            for key, count in observations["labels"].rows.items()
            if key[0] is not None
        }
        n, smallest = sum(labels.values()), inputs.param("min_rows")
        reason = ""
        if n < 10 * smallest:
            reason = f"There are fewer than {10 * smallest} rows with a label."
        elif len(labels) < 2 or len(labels) > _MOST_CLASSES:
            reason = f"There are not 2 to {_MOST_CLASSES} different labels."
        singles = {
            name: (values, observations[f"cells:{name}"])
            for name in features_of(inputs, texts=False)
            if (values := observations.get(f"values:{name}")) is not None
        }
        if not reason and not singles:
            reason = "No feature could be counted."
        if reason:
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, reason, scope=_SCOPE)
            return
        base = {label: count / n for label, count in labels.items()}
        rules = Rules(n, inputs.param("min_rate"), smallest)
        suspects = [
            suspect
            for name, (values, cells) in singles.items()
            for suspect in suspects_of_column(name, values, cells, base, rules)
        ]
        tested = sum(_tested(values) for values, _ in singles.values())
        sample = _sampled(inputs, observations)
        pairs, more = _pairs(inputs, sample, rules)
        level = inputs.param("significance")
        found = triggers([*suspects, *pairs], tested + more, level)
        if found and sample is not None:
            found = unexplained(
                found,
                sample.columns,
                sample.labels,
                sample.names,
                tested=tested + more,
                rules=rules,
                significance=level,
            )
        yield self._finding(inputs, found, tested, more, n)

    def _finding(
        self, inputs: Inputs, found: list[Trigger], singles: int, pairs: int, n: int
    ) -> Finding:
        measured = [
            Measurement(
                name="triggers",
                value=len(found),
                unit="values or pairs",
                n=n,
                recipe=f"exact binomial tests of {singles} values and {pairs} pairs, Bonferroni",
            )
        ]
        for number, one in enumerate(_distinct(found)[:_SHOWN], 1):
            group = f"{number}: {' x '.join(one.columns)}"
            measured += [
                Measurement(name="rows_with_value", value=one.rows, unit="rows", group=group),
                Measurement(
                    name="p_value_corrected",
                    value=one.p_value,
                    unit="probability",
                    threshold=inputs.threshold("significance", ">="),
                    group=group,
                ),
            ]
        if not found:
            text = "No rare value or pair of values carries one label beyond what is plausible."
        else:
            named = "; ".join(" and ".join(one.columns) for one in _distinct(found)[:_SHOWN])
            text = f"A rare value almost always carries the same label, in: {named}."
        return self.finding(
            inputs,
            Outcome.FAIL if found else Outcome.PASS,
            text,
            measurements=measured,
            scope=_SCOPE,
        )


_SCOPE = "all rows with a label; pairs on a seeded sample"


def _tested(values: CountTable) -> int:
    return len(values.rows)


@dataclass(frozen=True, slots=True)
class _Sampled:
    """Rows of the sample that have a label."""

    columns: Mapping[str, NDArray[Any]]
    labels: NDArray[np.int64]
    names: list[str]


def _sampled(inputs: Inputs, seen: Observations) -> _Sampled | None:
    sample = seen.get("sample")
    if sample is None:
        return None
    raw = np.asarray(sample[label_of(inputs)])
    known = ~is_missing(raw)
    names, labels = np.unique(raw[known].astype(str), return_inverse=True)
    if len(names) < 2:
        return None
    columns = {name: np.asarray(sample[name])[known] for name in features_of(inputs)}
    return _Sampled(columns, labels, [str(name) for name in names])


def _pairs(inputs: Inputs, sample: _Sampled | None, rules: Rules) -> tuple[list[Suspect], int]:
    """Suspect pairs of the sample, and an upper bound of how many were tested."""
    names = features_of(inputs, texts=False)
    if sample is None or len(names) < 2 or len(sample.labels) < 10 * rules.smallest:
        return [], 0
    n = len(sample.labels)
    columns = {name: sample.columns[name] for name in names}
    own = Rules(n, rules.min_rate, rules.smallest)
    combinations = len(names) * (len(names) - 1) // 2
    found = suspect_pairs(columns, sample.labels, sample.names, own)
    return found, combinations * (n // rules.smallest)


def _distinct(found: list[Trigger]) -> list[Trigger]:
    """The most certain trigger per combination of columns."""
    return list({one.columns: one for one in reversed(found)}.values())[::-1]
