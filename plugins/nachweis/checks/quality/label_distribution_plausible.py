"""Labels of training sets and outcomes against the labels the model was trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nachweis.checks.quality._training import training_rows, training_sets
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import ColumnType, DataSet, DataSetRole, FieldRole, ModelKind
from nachweis.domain.observation import (
    ColumnProfile,
    History,
    Observations,
    PastFinding,
    Profile,
    Request,
    Source,
)
from nachweis.domain.persistence import history_request, persistence
from nachweis.engines.label_shares import LabelShift, label_shift

_NIGHT = dt.datetime(2026, 3, 2, 5)
_JENSEN_SHANNON = 0.1  # Evidently's default threshold
_RECIPE = (
    "largest change of a class's share; Newcombe interval from Wilson intervals at 99.9 %, "
    "corrected for all classes (Bonferroni)"
)


def _table(role: DataSetRole, positive: int, rows: int, missing: int = 0) -> ExampleTable:
    labels = [1] * positive + [0] * (rows - positive) + [None] * missing
    columns = [{"name": "bought", "type": "integer"}, {"name": "at", "type": "timestamp"}]
    declare = {
        "columns": columns,
        "fields": {"label": "bought"},
        "time": {"column": "at"},
    }
    return ExampleTable(role, {"bought": labels, "at": [_NIGHT] * len(labels)}, declare)


def _tables(training: tuple[int, int], outcomes: tuple[int, int]) -> dict[str, ExampleTable]:
    return {
        "training": _table(DataSetRole.TRAINING, *training),
        "outcomes": _table(DataSetRole.OUTCOMES, *outcomes),
    }


_BEFORE = (
    PastFinding("2026-03-01", "pass", "outcomes.bought", None, {"differs": True}),
    PastFinding("2026-02-28", "pass", "outcomes.bought", None, {"differs": True}),
)


class LabelDistributionPlausible(Check):
    """Do labels occur about as often as in the data the model was trained on?

    Why: Labels that were reversed, recoded or lost train a model to do the opposite, and make every
        measured quality wrong, while no single row looks wrong (Art. 5(1)(d) GDPR).
    Method: Shares of the classes (0 to 1) in each training set and in the current outcomes are
        compared with those of a baseline: the reference if it holds labels, else the training set
        that a served version names, else the first. Measured are the largest change of a share, the
        Jensen-Shannon distance (natural logarithm; Evidently's limit 0.1 gives ``drifted``) and the
        chi-square test. It fails where all labels of a set that is read as a whole are the
        same, or where the 99.9 % interval of the
        largest change (Newcombe, corrected for all classes) lies wholly beyond ``max_difference``;
        for data that arrive by the night, persistently (policy: default 2 of 3 judged nights).
        Undefined below ``min_rows`` labelled rows on a side. Source: this project; Newcombe (1998).
    Leaves out: Labels that are numbers. Whether single labels are right. Wanted changes, such as
        sampling classes evenly for training: then raise ``max_difference`` or say in the manifest
        why the check does not apply.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("DATA-QUALITY", "POISONING", "MONITOR")
    needs = (Needs.TRAINING_LABEL,)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.UPLIFT})
    params = (
        Param(
            "max_difference",
            0.1,
            "share",
            "design default of this project",
            "Largest change of a class's share that is in order.",
            minimum=0.01,
            maximum=1,
        ),
        Param(
            "min_rows",
            100,
            "rows",
            "design default of this project",
            "Labelled rows needed on either side.",
            minimum=30,
            maximum=1_000_000,
        ),
    )
    remediation = (
        "Look at how the label is made: coding of classes, joins that lost one class, a changed "
        "delay. Do not train on these labels and do not trust quality measured with them until it "
        "is clear. If people's behaviour has really changed, the model needs new training data."
    )
    examples = (
        Example("about as many buyers", Outcome.PASS, _tables((100, 400), (110, 400))),
        Example(
            "reversed labels on three nights",
            Outcome.FAIL,
            _tables((100, 400), (300, 400)),
            history=_BEFORE,
        ),
        Example("reversed labels tonight only", Outcome.PASS, _tables((100, 400), (300, 400))),
        Example("one class only in training", Outcome.FAIL, _tables((400, 400), (390, 400))),
        Example("ten labels", Outcome.NOT_AVAILABLE, _tables((3, 10), (5, 10))),
        Example(
            "no labels declared",
            Outcome.NOT_AVAILABLE,
            {"training": ExampleTable(DataSetRole.TRAINING, {"x": [1]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Labels per class of every data set that holds them, counted in the engine."""
        for labels in _labelled(inputs):
            yield Profile(labels.name, labels.source, labels.column, labels.kind)
        request: History = history_request(_labelled(inputs)[0].source)
        yield request

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set with labels."""
        every = _labelled(inputs)
        baseline = _baseline(inputs, every)
        history = list(observations.get("history") or ())
        for labels in every:
            profile = observations.get(labels.name)
            if profile is None:
                why = dict(observations.missing()).get(labels.name, "")
                yield self._unjudged(inputs, labels, why or "the labels could not be counted")
            elif not labels.nightly and _single_class(inputs, profile):
                yield self._single(inputs, labels, profile)
            elif labels is baseline:
                yield self._of_baseline(inputs, labels, profile)
            else:
                before = observations.get(baseline.name)
                yield self._compared(inputs, labels, (baseline, before), profile, history)

    def _unjudged(self, inputs: Inputs, labels: _Labels, reason: str) -> Finding:
        return self.finding(
            inputs,
            Outcome.NOT_AVAILABLE,
            f"No verdict on the labels of {labels.data_set.id}: {reason}.",
            column=labels.name,
            scope=labels.scope,
        )

    def _single(self, inputs: Inputs, labels: _Labels, profile: ColumnProfile) -> Finding:
        return self.finding(
            inputs,
            Outcome.FAIL,
            f"All labels of {labels.data_set.id} are the same.",
            measurements=[_classes(profile)],
            column=labels.name,
            scope=labels.scope,
        )

    def _of_baseline(self, inputs: Inputs, labels: _Labels, profile: ColumnProfile) -> Finding:
        if profile.valid < inputs.param("min_rows"):
            return self._unjudged(inputs, labels, _too_few(inputs))
        return self.finding(
            inputs,
            Outcome.PASS,
            f"{labels.data_set.id} holds several classes; the others are compared with it.",
            measurements=[_classes(profile)],
            column=labels.name,
            scope=labels.scope,
        )

    def _compared(
        self,
        inputs: Inputs,
        labels: _Labels,
        baseline: tuple[_Labels, ColumnProfile | None],
        profile: ColumnProfile,
        history: Sequence[PastFinding],
    ) -> Finding:
        against, before = baseline
        if before is None or min(before.valid, profile.valid) < inputs.param("min_rows"):
            return self._unjudged(inputs, labels, _too_few(inputs))
        shift = label_shift(before, profile)
        limit = inputs.param("max_difference")
        differs = shift.surely_beyond(limit)
        measurements = [_classes(profile), *_measurements(inputs, shift, profile)]
        failed, words = differs, ""
        if labels.nightly:
            nights = persistence(inputs, labels.name, differs, history)
            failed = differs and nights.reached
            words = f" on {nights.words}"
            measurements += nights.measurements(differs)
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            f"The labels of {labels.data_set.id} differ from those of {against.data_set.id}{words}."
            if differs
            else f"Labels occur about as often as in {against.data_set.id}.",
            measurements=measurements,
            column=labels.name,
            severity=Severity.INFO if differs and not failed else None,
            scope=f"{labels.scope}, against {against.data_set.id}",
        )


@dataclass(frozen=True)
class _Labels:
    """A data set with labels."""

    data_set: DataSet
    column: str
    source: Source

    @property
    def name(self) -> str:
        """Name of its request and of its finding."""
        return f"{self.data_set.id}.{self.column}"

    @property
    def kind(self) -> Literal["numeric", "categorical", "auto"]:
        """How it is profiled: by declared type, as the drift checks ask for outcomes too."""
        declared = self.data_set.column(self.column)
        if declared is None:
            return "auto"
        number = declared.type in (ColumnType.INTEGER, ColumnType.NUMBER)
        return "numeric" if number else "categorical"

    @property
    def nightly(self) -> bool:
        """Whether other rows are looked at every night."""
        return self.source.window != "whole"

    @property
    def scope(self) -> str:
        """For findings."""
        return f"{self.data_set.id}, window {self.source.window}"


def _labelled(inputs: Inputs) -> list[_Labels]:
    """The reference, training sets and outcomes that hold labels."""
    reference, outcomes = inputs.data("reference"), inputs.data("outcomes")
    found: list[tuple[DataSet, Source]] = []
    if reference is not None:
        found.append((reference, Source(reference.id)))
    found += [(one, training_rows(one)) for one in training_sets(inputs)]
    if outcomes is not None:
        found.append((outcomes, Source(outcomes.id, "current")))
    unique = {data_set.id: (data_set, source) for data_set, source in reversed(found)}
    labelled = []
    for data_set, source in reversed(unique.values()):
        column = data_set.field(FieldRole.LABEL)
        if column is not None:
            labelled.append(_Labels(data_set, column, source))
    return labelled


def _baseline(inputs: Inputs, every: Sequence[_Labels]) -> _Labels:
    """What the others are compared with."""
    reference = inputs.data("reference")
    served = {
        trained.data_set
        for version in inputs.model.served_on(inputs.night.start)
        for trained in version.trained_on
    }
    training = set(inputs.model.data.training)

    def rank(labels: _Labels) -> int:
        if reference is not None and labels.data_set.id == reference.id:
            return 0
        if labels.data_set.id in served:
            return 1
        return 2 if labels.data_set.id in training else 3

    return min(every, key=rank)


def _single_class(inputs: Inputs, profile: ColumnProfile) -> bool:
    return len(profile.support) == 1 and profile.valid >= inputs.param("min_rows")


def _too_few(inputs: Inputs) -> str:
    return f"fewer than {inputs.param('min_rows')} rows with a label on one side"


def _classes(profile: ColumnProfile) -> Measurement:
    return Measurement(
        name="classes",
        value=len(profile.support),
        unit="classes",
        threshold=Threshold(value=2, operator=">=", source="this check"),
        n=profile.valid,
    )


def _measurements(inputs: Inputs, shift: LabelShift, now: ColumnProfile) -> list[Measurement]:
    limit = inputs.param("max_difference")
    return [
        Measurement(
            name="largest_share_difference",
            value=shift.difference,
            unit="difference",
            threshold=Threshold(
                value=limit, operator="<=", source=inputs.params["max_difference"].source
            ),
            n=now.valid,
            interval=shift.interval,
            interval_level=0.999,
            recipe=_RECIPE,
        ),
        Measurement(
            name="jensen_shannon",
            value=round(shift.distance, 6),
            unit="distance",
            threshold=Threshold(value=_JENSEN_SHANNON, operator="<", source="library rule"),
            n=now.valid,
            recipe="distance with the natural logarithm over all classes, as Evidently",
            drifted=shift.distance >= _JENSEN_SHANNON,
        ),
        Measurement(
            name="chi_square_p_value",
            value=shift.p_value,
            unit="probability",
            recipe="chi-square test of homogeneity without continuity correction",
        ),
        Measurement(name="new_classes", value=shift.new, unit="classes"),
        Measurement(name="lost_classes", value=shift.gone, unit="classes"),
    ]
