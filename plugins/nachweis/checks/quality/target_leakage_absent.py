"""Inputs that already hold the answer."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.checks.quality._training import inputs_in, training_rows, training_sets
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole, ModelKind
from nachweis.domain.observation import Observations, Request, Sample, Scalar
from nachweis.engines.intervals import wilson_interval
from nachweis.engines.leakage import Separation, best_separation, cramers_v

_MOST_ROWS = 20_000
_MOST_CLASSES = 50
_SHOWN = 10
_DAY = dt.datetime(2026, 1, 5, 12)
_RECIPE = (
    "single-column AUC (ranks; rates per value learned on the other half of the rows); Wilson "
    "interval with the smaller class as n, which is wide on purpose"
)


def _table(leak: float, rows: int = 500, late: int = 0, **declare: Any) -> dict[str, ExampleTable]:
    """Training rows; ``note`` is a copy of the label for a share ``leak`` of the rows."""
    generator = random.Random(7)  # noqa: S311 - example data
    label = [i % 2 for i in range(rows)]
    kinds = ("paid", "open")
    columns: dict[str, list[Any]] = {
        "case": [f"c{i}" for i in range(rows)],
        "income": [round(generator.gauss(y * 0.5, 1), 4) for y in label],
        "note": [kinds[y] if generator.random() < leak else generator.choice(kinds) for y in label],
        "decided_at": [_DAY] * rows,
        "note_at": [_DAY + dt.timedelta(days=1 if i < late else -1) for i in range(rows)],
        "bought": label,
    }
    declared = {
        "columns": [
            {"name": "case", "type": "string"},
            {"name": "income", "type": "number", "feature": True},
            {"name": "note", "type": "string", "feature": True, "known_at": "note_at"},
            {"name": "decided_at", "type": "timestamp"},
            {"name": "note_at", "type": "timestamp"},
            {"name": "bought", "type": "integer"},
        ],
        "fields": {"key": "case", "label": "bought"},
        "time": {"column": "decided_at"},
        **declare,
    }
    return {"training": ExampleTable(DataSetRole.TRAINING, columns, declared)}


class TargetLeakageAbsent(Check):
    """Is no input of the model a copy of what it shall predict, or known only afterwards?

    Why: A column that was filled in because of the outcome makes a model look nearly perfect in
        tests and useless in use, and decisions about people then rest on chance.
    Method: On a seeded sample of at most 20,000 rows of each training set: for each declared input
        and each class against all others, the area under the ROC curve of this input alone, 0.5 to
        1: by order for numbers, by rate per value (learned on the other half of the rows) for
        categories and numbers with at most 50 values, and by whether the value is missing. It fails
        where the lower end of its 95 % interval (Wilson, with the smaller class as n) is above
        ``max_auc``; for categories Cramer's V is given too. It fails too where an input's declared
        ``known_at`` is later than the row's time, on all rows, counted by the engine. Undefined
        where no class and its rest both have 200 rows, or without labels or a key to sample by.
        Source: this project; Wilson (1927) for the interval.
    Leaves out: Inputs that hold the answer only together, free text, labels that are numbers or
        have more than 50 classes. An input can be this good by right; then say so in the model's
        manifest as a reason why the check does not apply.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("DATA-QUALITY", "SEPARATION")
    carries_over = True
    needs = (Needs.TRAINING_LABEL,)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.UPLIFT})
    params = (
        Param(
            "max_auc",
            0.98,
            "area under the ROC curve",
            "design default of this project",
            "Largest AUC of one input alone that is in order.",
            minimum=0.8,
            maximum=0.999,
        ),
        Param(
            "min_class_rows",
            200,
            "rows",
            "the smallest number that can show an AUC above 0.98",
            "Rows that a class and all others need in the sample.",
            minimum=50,
            maximum=10_000,
        ),
    )
    remediation = (
        "Ask when and from what the column is filled. If it is known only after the decision, or "
        "made from the outcome, take it out of the training set and train again; do not use "
        "measured quality until then. Declare 'known_at' for columns that carry the time at which "
        "their value became known."
    )
    examples = (
        Example("inputs that help a little", Outcome.PASS, _table(0.2)),
        Example("a category that copies the label", Outcome.FAIL, _table(1.0)),
        Example("a value known after the decision", Outcome.FAIL, _table(0.2, late=30)),
        Example("twenty rows", Outcome.NOT_AVAILABLE, _table(1.0, rows=20)),
        Example("no labels declared", Outcome.NOT_AVAILABLE, _table(1.0, fields={"key": "case"})),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """A sample of inputs and label, and a count of rows per dated input."""
        for training in _labelled(inputs):
            label, source = training.field(FieldRole.LABEL), training_rows(training)
            columns = _inputs_of(inputs, training)
            if label is not None and columns:
                yield Sample(f"{training.id}:sample", source, (*columns, label), _MOST_ROWS)
            for column, known_at in _dated(training, columns):
                yield Scalar(f"{training.id}:{column}", source, _known_late(training, known_at))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per training set with labels."""
        for training in _labelled(inputs):
            judged = _Judged(inputs, training, observations)
            if judged.reason and not judged.problems:
                outcome = Outcome.NOT_AVAILABLE
                words = f"No verdict on the inputs in {training.id}: {judged.reason}."
            else:
                outcome = Outcome.FAIL if judged.problems else Outcome.PASS
                words = " ".join(judged.problems) or "No input alone tells the classes apart."
            yield self.finding(
                inputs,
                outcome,
                words,
                measurements=judged.measurements,
                column=training.id,
                scope=f"{training.id}, {judged.scope}",
            )


class _Judged:
    """One training set's inputs."""

    def __init__(self, inputs: Inputs, training: DataSet, observations: Observations) -> None:
        self._inputs = inputs
        self.problems: list[str] = []
        self.measurements: list[Measurement] = []
        self.reason = ""
        self.scope = f"window {training_rows(training).window}"
        columns = _inputs_of(inputs, training)
        self._late(training, columns, observations)
        name = f"{training.id}:sample"
        sample = observations.get(name)
        if not columns:
            self.reason = "no inputs are declared that can be compared"
        elif sample is None:
            self.reason = dict(observations.missing()).get(name) or "there is no sample"
        else:
            self._separate(sample, columns, str(training.field(FieldRole.LABEL)))

    def _late(self, training: DataSet, columns: list[str], observations: Observations) -> None:
        late = []
        for column, _ in _dated(training, columns):
            rows = observations.get(f"{training.id}:{column}")
            if rows is None:
                continue
            if rows:
                late.append(column)
            self.measurements.append(
                Measurement(
                    name="rows_known_late",
                    value=int(rows),
                    unit="rows",
                    group=column,
                    recipe="rows whose declared known_at is later than their own time",
                )
            )
        if late:
            self.problems.append(f"Known only after the row's own time: {', '.join(late)}.")

    def _separate(self, sample: dict[str, NDArray[Any]], columns: list[str], label: str) -> None:
        labels, known = _labels(sample[label])
        self.scope += f", {len(labels)} sampled rows with a label"
        if len(np.unique(labels.astype(str))) > _MOST_CLASSES:
            self.reason = f"the label has more than {_MOST_CLASSES} values"
            return
        fewest = self._inputs.param("min_class_rows")
        found = {
            column: best_separation(sample[column][known], labels, fewest) for column in columns
        }
        judged = {column: one for column, one in found.items() if one is not None}
        if not judged:
            self.reason = f"no class and its rest have at least {fewest} rows"
            return
        limit = self._inputs.param("max_auc")
        telling = []
        ordered = sorted(judged, key=lambda column: -judged[column].auc)
        for column in ordered:
            low, high = _interval(judged[column])
            if low > limit:
                telling.append(column)
            if column in telling or len(self.measurements) < _SHOWN:
                self.measurements.append(self._auc(column, judged[column], (low, high)))
            if column in telling and judged[column].how == "values":
                self.measurements.append(_association(column, sample[column][known], labels))
        if telling:
            self.problems.append(
                f"Alone they tell the label nearly without error: {', '.join(telling)}."
            )

    def _auc(self, column: str, one: Separation, interval: tuple[float, float]) -> Measurement:
        return Measurement(
            name="auc",
            value=one.auc,
            unit="area under the ROC curve",
            threshold=self._inputs.threshold("max_auc", "<="),
            n=one.smaller,
            interval=interval,
            interval_level=0.95,
            group=column,
            recipe=f"{_RECIPE}; by {one.how}",
        )


def _interval(one: Separation) -> tuple[float, float]:
    return wilson_interval(math.floor(one.auc * one.smaller), one.smaller)


def _association(column: str, values: NDArray[Any], labels: NDArray[Any]) -> Measurement:
    return Measurement(
        name="cramers_v",
        value=cramers_v(values, labels),
        unit="association",
        group=column,
        recipe="Cramer's V without correction, 0 to 1; missing values are a value",
    )


def _labelled(inputs: Inputs) -> list[DataSet]:
    return [one for one in training_sets(inputs) if one.field(FieldRole.LABEL) is not None]


def _inputs_of(inputs: Inputs, training: DataSet) -> list[str]:
    label = training.field(FieldRole.LABEL)
    return [name for name in inputs_in(training, inputs.feature_names) if name != label]


def _dated(training: DataSet, columns: list[str]) -> list[tuple[str, str]]:
    """Inputs that declare when their value became known, and the column that says it."""
    found = [(name, training.column(name)) for name in columns]
    return [
        (name, column.known_at)
        for name, column in found
        if column is not None and column.known_at is not None and training.time is not None
    ]


def _known_late(training: DataSet, known_at: str) -> Any:
    time = training.time.column if training.time else ""
    return lambda table: (table[known_at] > table[time]).sum()


def _labels(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels that are there, and where."""
    if values.dtype.kind == "f":
        known = np.isfinite(values)
    elif values.dtype.kind == "O":
        known = np.array([value is not None for value in values], dtype=bool)
    else:
        known = np.ones(len(values), dtype=bool)
    return values[known], known
