"""The numbers of a proposed correction: before, after, cost, and whose decision changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nachweis.checks.fairness._verdicts import (
    difference_measurement,
    group_measurements,
    ratio_measurement,
)
from nachweis.domain.check import Inputs
from nachweis.domain.disclosure import SMALLEST_COUNT, seal_finding, sealed_count
from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity
from nachweis.engines.correction import (
    accuracy,
    affected,
    counts_of,
    decided,
    equal_rate_thresholds,
    refit,
    reweighing_weights,
)
from nachweis.engines.fairness import error_rates, predictive_values, selection_rates
from nachweis.pipeline.correction_samples import Groups, Rows

Method = Literal["reweighing", "thresholds"]
REVIEW = "EQUAL-TREATMENT-REVIEW"
"""Control whose attestation allows thresholds per group to be exported."""

Flags = NDArray[np.bool_]


def result_of(
    inputs: Inputs, rows: Rows, groups: Groups, method: Method, window_rows: int | None
) -> tuple[dict[str, Any], dict[str, float]]:
    """What a correction would change for the groups of one attribute.

    Args:
        inputs: The model; parameters are those of the check of selection rates.
        rows: The sample.
        groups: The attribute's groups in it.
        method: The method.
        window_rows: Rows of the current window, for an estimate of how many are affected.

    Returns:
        Sealed numbers, and thresholds by group name for the method ``thresholds``.
    """
    extra: dict[str, Any] = {}
    limits: dict[int, float] = {}
    if method == "reweighing":
        if rows.labels is None:
            raise NachweisError("the training set has no outcomes", where=rows.data_set)
        decision = inputs.model.decision
        declared = decision.rule.score_at_least if decision else None
        limit = declared if declared is not None and 0 <= declared <= 1 else 0.5
        scored = refit(rows.features, rows.labels, groups.codes)
        before, after = scored.plain >= limit, scored.weighted >= limit
        extra = {
            "estimator": scored.estimator,
            "threshold": limit,
            "weights": _weights(groups, rows.labels),
        }
    else:
        if rows.scores is None or rows.decisions is None:
            raise NachweisError("the log has no scores and decisions", where=rows.data_set)
        before, known = rows.decisions, groups.codes >= 0
        limits = equal_rate_thresholds(rows.scores, groups.codes, float(before[known].mean()))
        after = decided(rows.scores, groups.codes, limits, before)
    changing = float((before != after).mean())
    measured = {
        "before": list(_rates(inputs, rows, groups, before)),
        "after": list(_rates(inputs, rows, groups, after)),
        "cost": list(_cost(rows, before, after)),
        "affected": list(_affected(groups, before, after)),
    }
    return (
        {
            "attribute": groups.attribute.id,
            "special_category": groups.attribute.art9.value if groups.attribute.art9 else None,
            **extra,
            "share_changing": round(changing, 3),
            "estimated_rows_of_current_window": None
            if window_rows is None
            else sealed_count(round(changing * window_rows)),
            **{part: _sealed(inputs, groups, found) for part, found in measured.items()},
        },
        {groups.names[code]: limit for code, limit in limits.items()},
    )


def _weights(groups: Groups, labels: Flags) -> list[dict[str, Any]]:
    """Weights of cells that are large enough to be shown."""
    return [
        {"group": groups.names[group], "outcome": bool(label), "weight": round(weight, 3)}
        for (group, label), weight in reweighing_weights(groups.codes, labels).items()
        if int(((groups.codes == group) & (labels == label)).sum()) >= SMALLEST_COUNT
    ]


def _rates(inputs: Inputs, rows: Rows, groups: Groups, decisions: Flags) -> Iterable[Measurement]:
    table = counts_of(groups.names, groups.codes, decisions, rows.labels)
    smallest = inputs.param("min_group_size")
    reports = {"selection_rate": selection_rates(table, "group", "prediction", 1, smallest)}
    if rows.labels is not None:
        reports |= error_rates(table, "group", "label", "prediction", 1, smallest)
        reports |= predictive_values(table, "group", "label", "prediction", 1, smallest)
    for name, report in reports.items():
        yield ratio_measurement(name, report)
        yield difference_measurement(name, report)
        yield from group_measurements(name, report)


def _cost(rows: Rows, before: Flags, after: Flags) -> Iterable[Measurement]:
    found = accuracy(rows.labels, before, after) if rows.labels is not None else None
    if found is None:
        yield Measurement(
            name="accuracy_change", value=None, unit="difference", reason="no outcomes are known"
        )
        return
    for name, (share, interval) in (("before", found.before), ("after", found.after)):
        yield Measurement(
            name=f"accuracy_{name}",
            value=share,
            unit="share",
            n=found.n,
            interval=interval,
            interval_level=0.95,
        )
    yield Measurement(
        name="accuracy_change",
        value=found.change,
        unit="difference",
        n=found.n,
        interval=found.interval,
        interval_level=0.95,
        recipe="after minus before, on the same rows; paired normal interval",
    )


def _affected(groups: Groups, before: Flags, after: Flags) -> Iterable[Measurement]:
    for group, found in affected(groups.codes, before, after).items():
        for name, rows in (("gaining", found.gaining), ("losing", found.losing)):
            yield Measurement(
                name=f"share_{name}",
                value=rows / found.n,
                unit="share",
                n=found.n,
                group=groups.names[group],
                recipe="of the sampled rows; their decision would change",
            )
            yield Measurement(
                name=f"rows_{name}", value=rows, unit="rows", group=groups.names[group]
            )


def _sealed(inputs: Inputs, groups: Groups, found: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Measurements as they may be published, by the same rules as those of a finding."""
    finding = Finding(
        check="correction",
        subject=inputs.subject,
        column=groups.attribute.id,
        outcome=Outcome.PASS,
        severity=Severity.INFO,
        explanation="",
        measurements=tuple(found),
    )
    sealed = seal_finding(finding).measurements
    return [
        one.model_dump(mode="json", exclude_none=True, exclude_defaults=True) | {"value": one.value}
        for one in sealed
    ]


def to_decide(method: Method) -> list[str]:
    """What people must decide before a correction is used."""
    shared = [
        "Which definition counts for this decision: equal shares selected, equal error rates, or "
        "equal predictive values. They cannot all be met at once.",
        "Whether the difference has a lawful reason, so that nothing is corrected; write it down.",
        "Whether the change of accuracy and the number of people whose decision changes are "
        "acceptable, and who answers for that.",
    ]
    if method == "reweighing":
        return [
            *shared,
            "Whether the model is trained again with these weights. That is a new version: it is "
            "approved like any other and shows the same numbers before and after.",
        ]
    return [
        *shared,
        "Whether a different threshold per group is allowed at all: it treats people unlike "
        f"because of the characteristic. Exporting needs an attestation with control {REVIEW}, and "
        "is refused for special categories of personal data.",
    ]
