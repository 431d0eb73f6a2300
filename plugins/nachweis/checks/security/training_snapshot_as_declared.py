"""Whether training data are still those a version was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.security._common import served
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.manifest.model import TrainedOn
from nachweis.domain.observation import DataVersion, Observations, Request, Scalar, Source
from nachweis.engines.versions import UNPINNED, UNREADABLE, version_of_rows

_ROWS: Mapping[str, list[Any]] = {"age": [34, 51, 78], "bought": [1, 0, 1]}


def _table(*ages: int, pinned: str = "snapshot") -> dict[str, ExampleTable]:
    rows = {**_ROWS, "age": list(ages)}
    return {"training": ExampleTable(DataSetRole.TRAINING, rows, {"pinned": pinned})}


def _model(version: str | None) -> Mapping[str, Any]:
    trained = {"data_set": "training", "version": version, "rows": 3}
    return {"versions": [{"version": "1", "trained_on": [trained]}]}


_DECLARED = _model(version_of_rows(_ROWS))


class TrainingSnapshotAsDeclared(Check):
    """Are the training data still those that the served version was trained on?

    Why: Data that changed after training can no longer show what a model learned, and a change
        nobody declared may be manipulation (ATLAS AML.T0059; Art. 5(1)(f) GDPR).
    Method: For each data set in ``trained_on`` of the served versions, the digest over its files
        (SHA-256, equal or not) and its number of rows (rows, 0 or more) are compared with the
        declared ones. A difference fails. Undefined, and never confirmed, where no version is
        declared, the data are unpinned, or they grow by the night. Source: this project.
    Leaves out: Whether the declared data were free of manipulation when the model was trained.
        Whether it was really trained on them.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("POISONING",)
    needs = (Needs.TRAINED_ON,)
    remediation = (
        "Find out who changed the data set since the training date and restore the snapshot. If "
        "the change is right (an erasure, a correction), declare a new snapshot and decide whether "
        "the model has to be trained again."
    )
    examples = (
        Example("the declared snapshot", Outcome.PASS, _table(34, 51, 78), model=_DECLARED),
        Example("one value changed", Outcome.FAIL, _table(34, 52, 78), model=_DECLARED),
        Example(
            "unpinned data",
            Outcome.NOT_AVAILABLE,
            _table(34, 51, 78, pinned="unpinned"),
            model=_DECLARED,
        ),
        Example(
            "no version declared", Outcome.NOT_AVAILABLE, _table(34, 51, 78), model=_model(None)
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Version and rows of each data set that can be compared."""
        for id_ in _declared(inputs):
            if _comparable(inputs, id_) is None:
                source = Source(id_, "whole")
                yield DataVersion(f"version:{id_}", source)
                yield Scalar(f"rows:{id_}", source, lambda table: table.count())

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set."""
        declared = _declared(inputs)
        for id_, trained in declared.items():
            yield self._finding(inputs, id_, trained, observations)
        if not declared:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No version that is served tonight says what it was trained on.",
                declare=Needs.TRAINED_ON.declare,
            )

    def _finding(
        self, inputs: Inputs, id_: str, trained: list[TrainedOn], seen: Observations
    ) -> Finding:
        reason = _comparable(inputs, id_)
        version = None if reason else seen.get(f"version:{id_}")
        rows = None if reason else seen.get(f"rows:{id_}")
        wanted = {one.version for one in trained if one.version}
        counts = {one.rows for one in trained if one.rows is not None}
        if reason is None and rows is None:
            reason = "the data set cannot be read"
        elif reason is None and version in (UNPINNED, UNREADABLE, None):
            reason = f"the data set is {version or UNREADABLE}, so its content cannot be compared"
        elif reason is None and not wanted:
            reason = "no version of the data set is declared"
        same = None if reason or not wanted else wanted == {version}
        as_many = None if rows is None or not counts else counts == {rows}
        measured = [
            Measurement(
                name="snapshot_as_declared",
                value=same,
                threshold=Threshold(value="true", operator="==", source="model manifest"),
                recipe="SHA-256 over names and contents of all files",
                reason=reason or "",
            )
        ]
        if rows is not None:
            measured.append(Measurement(name="rows", value=rows, unit="rows"))
        if counts and rows is not None:
            measured.append(
                Measurement(
                    name="rows_as_declared",
                    value=as_many,
                    threshold=Threshold(value="true", operator="==", source="model manifest"),
                )
            )
        if same is False or as_many is False:
            what = "content" if same is False else "number of rows"
            outcome, text = Outcome.FAIL, f"The {what} is not what the served version declares."
        elif reason:
            outcome, text = Outcome.NOT_AVAILABLE, f"The snapshot was not compared: {reason}."
        else:
            outcome, text = Outcome.PASS, "The data set is the declared snapshot."
        return self.finding(
            inputs,
            outcome,
            text,
            measurements=measured,
            column=id_,
            scope=f"data set {id_}, all files",
            declare=f"'trained_on[].version' of data set {id_}, which must be pinned"
            if outcome is Outcome.NOT_AVAILABLE
            else "",
        )


def _declared(inputs: Inputs) -> dict[str, list[TrainedOn]]:
    found: dict[str, list[TrainedOn]] = {}
    for version in served(inputs):
        for one in version.trained_on:
            found.setdefault(one.data_set, []).append(one)
    return found


def _comparable(inputs: Inputs, id_: str) -> str | None:
    """Why a data set cannot be compared; None if it can."""
    data_set = inputs.world.data_sets.get(id_)
    if data_set is None:
        return "the data set is not declared"
    if data_set.partitioned_by_night:
        return "the data set grows by the night; a training snapshot must not"
    return None
