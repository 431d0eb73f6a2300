"""Features and columns of the training set that add nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from nachweis.checks.privacy._examples import table
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import Column, DataSet, FieldRole, ModelKind
from nachweis.domain.observation import Observations, Request, Sample, Source
from nachweis.engines.contribution import contributions

_ROWS = 10_000


def _training(
    useless: bool = False, unused: bool = False, n: int = 2000, reason: bool = False
) -> dict[str, ExampleTable]:
    draw = random.Random(5)  # noqa: S311 - an example, not a secret
    visits = [draw.randrange(10) for _ in range(n)]
    device = [draw.choice(("phone", "tablet")) for _ in range(n)]
    rows: dict[str, list[Any]] = {
        "key": [f"k{i}" for i in range(n)],
        "visits": visits,
        "device": device,
        "bought": [
            int(v + (d == "phone") + draw.randrange(8) > 9)
            for v, d in zip(visits, device, strict=True)
        ],
    }
    columns: dict[str, dict[str, Any]] = {
        "visits": {"feature": True},
        "device": {"feature": True},
        "key": {"category": "key"},
    }
    if useless:
        rows["hand"] = [draw.choice(("left", "right")) for _ in range(n)]
        columns["hand"] = {"feature": True, "category": "habits"}
        if reason:
            columns["hand"]["needed_for"] = {"en": "Needed to show scissors for the right hand."}
    if unused:
        rows["income"] = [draw.randrange(1000) for _ in range(n)]
        columns["income"] = {"category": "income"}
    more: dict[str, Any] = {"subject_key": {"column": "key"}, "fields": {"label": "bought"}}
    return {"training": table(rows, columns=columns, **more)}


_MODEL = {"features": ["visits", "device"]}
_MODEL_WITH_HAND = {"features": ["visits", "device", "hand"]}


class FeaturesMinimal(Check):
    """Does every feature and every personal column of the training set serve a purpose?

    Why: Personal data must be limited to what is necessary (Art. 5(1)(c) GDPR). A feature that adds
        nothing is collected, stored and exposed for nothing.
    Method: On a seeded sample of at most 10,000 rows an additive least-squares model of the label
        (numbers in ten quantile groups) with and without each feature: Cohen's f-squared, 0 or
        more, the rise of the residual over the residual, with upper bounds from the non-central
        chi-squared distribution that hold together at 99 % (Bonferroni over the features). A
        feature fails if even the bound lies below ``min_effect``.
        Columns with a data category that are no feature, key, label, time, group or retention date
        count as unused. Both are in order where ``needed_for`` gives a reason. Undefined for few
        rows or one class. Source: F test of nested models; Cohen 1988, where 0.02 is small.
    Leaves out: Interactions of features and free texts, which the simple model does not see. Two
        copies of one feature both add nothing: remove one and look again.
    """

    severity = Severity.LOW
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.REGRESSION})
    controls = ("DATA-MIN",)
    carries_over = True
    needs = (Needs.FEATURES, Needs.TRAINING_LABEL)
    params = (
        Param(
            "min_effect",
            0.005,
            "f-squared",
            "design default of this project: a quarter of what Cohen calls small",
            "A feature whose effect surely lies below adds nothing worth its risk.",
            minimum=0,
            maximum=0.15,
        ),
    )
    remediation = (
        "Train once without the feature and compare the quality on the evaluation set. If nothing "
        "is lost, drop it from the model and from the extract; if it is kept for another reason, "
        "write the reason into the column's 'needed_for'."
    )
    examples = (
        Example("both features tell something", Outcome.PASS, _training(), model=_MODEL),
        Example(
            "a feature without any effect",
            Outcome.FAIL,
            _training(useless=True, n=5000),
            model=_MODEL_WITH_HAND,
        ),
        Example(
            "a feature with a reason",
            Outcome.PASS,
            _training(useless=True, reason=True, n=5000),
            model=_MODEL_WITH_HAND,
        ),
        Example("a column that nothing uses", Outcome.FAIL, _training(unused=True), model=_MODEL),
        Example("few rows", Outcome.NOT_AVAILABLE, _training(n=60), model=_MODEL),
        Example("no features", Outcome.NOT_AVAILABLE, _training()),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """A sample of features and label."""
        data_set = _training_set(inputs)
        columns = (*_features(inputs), data_set.fields[FieldRole.LABEL])
        return [Sample("rows", _source(inputs), columns, _ROWS)]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per model: columns are named."""
        data_set = _training_set(inputs)
        label = data_set.fields[FieldRole.LABEL]
        sample = observations["rows"]
        features = {name: sample[name] for name in _features(inputs)}
        found = contributions(features, sample[label])
        n = len(sample[label])
        if isinstance(found, str):
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, f"No verdict: {found}.")
            return
        reasoned = {column.name for column in data_set.columns if column.needed_for}
        smallest = inputs.param("min_effect")
        useless = [one.feature for one in found if one.upper < smallest]
        useless = [name for name in useless if name not in reasoned]
        unused = [name for name in _unused(inputs, data_set) if name not in reasoned]
        numbers = [
            Measurement(
                name="effect",
                value=one.f_squared,
                unit="f-squared",
                n=n,
                interval=(0.0, one.upper),
                interval_level=1 - 0.01 / len(found),
                threshold=inputs.threshold("min_effect", ">="),
                group=one.feature,
                recipe="additive least squares on a seeded sample; bound: non-central chi-squared",
            )
            for one in found
        ]
        numbers.append(
            Measurement(
                name="columns_unused",
                value=len(unused),
                unit="columns",
                threshold=Threshold(value=0, operator="==", source="Art. 5(1)(c) GDPR"),
            )
        )
        parts = []
        if useless:
            parts.append(f"Features that add nothing beyond the others: {', '.join(useless)}.")
        if unused:
            parts.append(f"Personal columns that nothing uses: {', '.join(unused)}.")
        yield self.finding(
            inputs,
            Outcome.FAIL if parts else Outcome.PASS,
            " ".join(parts) or "No feature or column was found to be without use.",
            measurements=numbers,
            scope=f"sample of at most {_ROWS} rows of {data_set.id}",
        )


def _source(inputs: Inputs) -> Source:
    """All rows of the first labelled training set."""
    return Source(_training_set(inputs).id)


def _training_set(inputs: Inputs) -> DataSet:
    for key in inputs.model.data.training:
        data_set = inputs.world.data_sets.get(key)
        if data_set is not None and data_set.field(FieldRole.LABEL):
            return data_set
    raise LookupError("the need 'training_label' was not met")


def _features(inputs: Inputs) -> list[str]:
    """Features of the model that are columns of the training set and no free text."""
    data_set = _training_set(inputs)

    def usable(column: Column | None) -> bool:
        return column is not None and not column.free_text

    return [name for name in inputs.feature_names if usable(data_set.column(name))]


def _unused(inputs: Inputs, data_set: DataSet) -> list[str]:
    """Columns with a category that no declaration gives a use."""
    used = set(data_set.fields.values())
    used |= {data_set.subject_key.column} if data_set.subject_key else set()
    used |= {data_set.time.column} if data_set.time else set()
    for model in inputs.world.models_using(data_set.id):
        used |= set(model.features)
        used |= {one.column for one in model.protected_attributes}
    for activity in inputs.activities:
        used |= {
            kept.time_column
            for rule in activity.retention
            for kept in rule.datasets
            if kept.name == data_set.id
        }
    return [
        column.name
        for column in data_set.columns
        if column.category is not None and not column.feature and column.name not in used
    ]
