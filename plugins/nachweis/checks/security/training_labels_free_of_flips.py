"""Labels that were replaced by another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.checks.security._common import (
    SAMPLE_ROWS,
    customers,
    features_of,
    label_of,
    rng,
    training,
)
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.errors import UndefinedError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.manifest.model import ModelArtefact
from nachweis.domain.observation import ModelScores, Observations, Request, Sample, Source
from nachweis.engines.poisoning import (
    FlipEstimate,
    agreement,
    confident_joint,
    cross_validated,
    flips_against,
    is_missing,
)

_ALONE_ROWS = 4_000
_FLAT = 0.6
_TOLD_APART = 0.5
_SMALLEST_CLASS = 20
_MOST_CLASSES = 20


def _separable(n: int, flipped: float, seed: int = 1) -> dict[str, ExampleTable]:
    """Two classes that a number tells apart, with a share of labels replaced."""
    draw = rng(seed)
    amount = [round(draw.gauss(0, 1) + (4 if i % 2 else -4), 3) for i in range(n)]
    label = [(i % 2) ^ (draw.random() < flipped) for i in range(n)]
    return training({"amount": amount, "bought": [int(value) for value in label]})


class TrainingLabelsFreeOfFlips(Check):
    """Are the labels of the training data free of replaced ones?

    Why: Whoever can replace labels can teach a model to decide in their favour or to be useless
        (ATLAS AML.T0020; Art. 5(1)(d) GDPR for labels that are merely wrong).
    Method: On a seeded sample of at most 10,000 rows. Where a served version was trained on the
        data set and is stored as skops with its digest, its probabilities are the baseline: least
        squares gives the share of labels replaced at random since then (share, may be slightly
        negative; robust standard error). Else held-out probabilities of a small logistic
        regression: the share of labels that contradict it among its surest tenth bounds random
        flips from above. It counts as an estimate where labels contradict it about as often
        everywhere (99 % lower limit of the ratio to the share of its less sure half at least 0.6),
        as random flips do and overlapping classes do not, and where it tells the classes apart
        (99.9 % upper limit at most half of what guessing the most frequent class comes to), as
        inputs that say little about the label contradict it everywhere too. It fails if the 99.9 %
        lower limit exceeds ``max_share``. The
        off-diagonal share of the confident joint (confident learning, Northcutt et al. 2021) is
        reported beside it. Undefined with one class, a class below 20 rows, more than 20 classes,
        too few rows, or without a baseline where the classes overlap more than ``max_share``.
        Source: this project; Northcutt, Jiang and Chuang (2021).
    Leaves out: Labels replaced before the baseline was trained. Flips of chosen rows rather than
        random ones (see the search for triggers). Which labels are wrong.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset({DataSetRole.TRAINING})
    controls = ("POISONING", "DATA-QUALITY")
    carries_over = True
    needs = (Needs.LABEL, Needs.TRAINING_FEATURES)
    params = (
        Param(
            "max_share",
            0.03,
            "share of labels",
            "design default of this project",
            "Share of replaced labels that is still borne.",
            minimum=0.005,
            maximum=0.3,
        ),
        Param(
            "min_rows",
            500,
            "rows",
            "design default of this project",
            "Fewest rows with a label for a verdict.",
            minimum=200,
        ),
    )
    remediation = (
        "Compare the labels with the system they come from, first where the approved model "
        "contradicts them most surely. Find out when and by whom they were written. Do not train "
        "on this data set before that; restore the last snapshot that agreed."
    )
    examples = (
        Example("labels that fit", Outcome.PASS, _separable(600, 0.0)),
        Example("an eighth of the labels replaced", Outcome.FAIL, _separable(4_000, 0.125)),
        Example(
            "classes that overlap, without a baseline",
            Outcome.NOT_AVAILABLE,
            training(customers(600)),
        ),
        Example("too few rows", Outcome.NOT_AVAILABLE, _separable(120, 0.0)),
        Example(
            "no label declared",
            Outcome.NOT_AVAILABLE,
            {"training": ExampleTable(DataSetRole.TRAINING, {"amount": [1.0, 2.0]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """A sample with its labels and, where there is one, the stored model's scores of it."""
        source = Source(inputs.data_set.id, "whole")
        features, label = tuple(features_of(inputs)), label_of(inputs)
        if (artefact := _baseline(inputs)) is not None and artefact.digest is not None:
            yield ModelScores(
                "scores", source, artefact.uri, artefact.digest, features, SAMPLE_ROWS, 0, (label,)
            )
        yield Sample("sample", source, (*features, label), SAMPLE_ROWS)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the data set."""
        sample = observations["sample"]
        raw = np.asarray(sample[label_of(inputs)])
        known = ~is_missing(raw)
        names, labels = np.unique(raw[known].astype(str), return_inverse=True)
        reason = _refusal(inputs, len(names), labels)
        if reason:
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, reason, scope=_SCOPE)
            return
        try:
            scored = observations.get("scores") if "scores" in observations else None
            if scored is not None:
                columns = [str(value) for value in scored.classes]
                if set(names) <= set(columns):
                    order = [columns.index(name) for name in names]
                    yield self._against(inputs, _shares(scored.scores[known][:, order]), labels)
                    return
            rows = np.flatnonzero(known)[:_ALONE_ROWS]
            columns_ = {name: np.asarray(sample[name])[rows] for name in features_of(inputs)}
            yield self._alone(inputs, columns_, labels[:_ALONE_ROWS])
        except UndefinedError as undefined:
            text = f"The share of replaced labels is not defined: {undefined.what}."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text, scope=_SCOPE)

    def _against(
        self, inputs: Inputs, probabilities: NDArray[np.float64], labels: NDArray[np.int64]
    ) -> Finding:
        found, limit = flips_against(probabilities, labels), inputs.param("max_share")
        measured = [
            _measured(inputs, found.share, (found.low, found.high), found.n, "approved model"),
            _joint(probabilities, labels),
        ]
        if found.low > limit:
            text = "More labels than are borne differ from what the approved model learned."
            outcome = Outcome.FAIL
        elif _too_wide(found, limit):
            text = "Too few rows, or too similar ones, to tell replaced labels from chance."
            outcome = Outcome.NOT_AVAILABLE
        else:
            text = "The labels agree with the approved model as far as chance allows."
            outcome = Outcome.PASS
        return self.finding(inputs, outcome, text, measurements=measured, scope=_SCOPE)

    def _alone(
        self, inputs: Inputs, columns: dict[str, NDArray[Any]], labels: NDArray[np.int64]
    ) -> Finding:
        limit = inputs.param("max_share")
        probabilities = cross_validated(columns, labels)
        found = agreement(probabilities, labels)
        low, high = found.interval
        share = found.sure_contradicted / found.sure
        measured = [
            _measured(inputs, share, (low, high), found.sure, "surest tenth of held-out rows"),
            Measurement(
                name="flatness",
                value=found.flatness,
                unit="ratio",
                n=found.sure,
                interval=found.flatness_interval,
                interval_level=0.98,
                recipe="share contradicted among the surest tenth, relative to the less sure half",
            ),
            _joint(probabilities, labels),
        ]
        flat = found.flatness_interval is not None and found.flatness_interval[0] >= _FLAT
        if low > limit and flat and high <= _TOLD_APART * found.guessed:
            outcome = Outcome.FAIL
            text = "Labels contradict the other columns about equally often everywhere."
        elif share <= limit:
            outcome = Outcome.PASS
            text = "Where the other columns tell the label surely, labels hardly contradict them."
        else:
            outcome = Outcome.NOT_AVAILABLE
            text = "The classes overlap: replaced labels cannot be told from ordinary ones."
        return self.finding(
            inputs,
            outcome,
            text,
            measurements=measured,
            scope=_SCOPE,
            declare="a served version with 'trained_on' this data set, stored as skops with digest"
            if outcome is Outcome.NOT_AVAILABLE
            else "",
        )


_SCOPE = "seeded sample of all rows with a label"


def _baseline(inputs: Inputs) -> ModelArtefact | None:
    """The stored model of the newest served version that was trained on the data set."""
    found = [
        version
        for model in inputs.world.models_using(inputs.data_set.id)
        for version in model.served_on(inputs.night.end)
        if version.artefact is not None
        and version.artefact.format == "skops"
        and version.artefact.digest is not None
        and any(one.data_set == inputs.data_set.id for one in version.trained_on)
    ]
    return found[-1].artefact if found else None


def _refusal(inputs: Inputs, classes: int, labels: NDArray[np.int64]) -> str:
    if len(labels) < inputs.param("min_rows"):
        return f"There are fewer than {inputs.param('min_rows')} rows with a label."
    if classes < 2:
        return "All labels are the same."
    if classes > _MOST_CLASSES:
        return f"There are more than {_MOST_CLASSES} different labels: they are no classes."
    if int(np.bincount(labels).min()) < _SMALLEST_CLASS:
        return f"A class has fewer than {_SMALLEST_CLASS} rows."
    return ""


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of the classes that occur, adding up to 1."""
    total = scores.sum(axis=1, keepdims=True)
    return np.asarray(scores / np.where(total > 0, total, 1.0))


def _too_wide(found: FlipEstimate, limit: float) -> bool:
    return (found.high - found.low) / 2 > max(2 * limit, 0.05)


def _measured(
    inputs: Inputs, share: float, interval: tuple[float, float], n: int, against: str
) -> Measurement:
    return Measurement(
        name="replaced_share",
        value=share,
        unit="difference",
        threshold=inputs.threshold("max_share", "<="),
        n=n,
        interval=interval,
        interval_level=0.998,
        recipe=f"labels against: {against}",
    )


def _joint(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Measurement:
    joint = confident_joint(probabilities, labels)
    total = int(joint.sum())
    return Measurement(
        name="confident_joint_off_diagonal",
        value=1 - float(np.trace(joint)) / total if total else None,
        unit="share",
        n=total,
        recipe="confident learning; natural overlap of the classes counts as well",
        reason="" if total else "no row is confidently of any class",
    )
