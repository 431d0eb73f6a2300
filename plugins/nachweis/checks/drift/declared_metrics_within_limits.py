"""Metrics of Evidently that a model's manifest names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nachweis.checks.drift._columns import scope
from nachweis.checks.drift._examples import differed, normal, tables
from nachweis.checks.drift._nights import history_request, persistence
from nachweis.checks.drift._samples import CURRENT_ROWS, both, rows, sample_requests, sampled
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import ModelKind
from nachweis.domain.manifest.model import EVIDENTLY_WHOLE_TABLE, EvidentlyMetric
from nachweis.domain.observation import Observations, Request
from nachweis.engines.evidently_metrics import Computed, compute

_SMALLEST = 100
_FIELDS = {"key": "id"}


def _keyed(values: list[float]) -> dict[str, list[float]]:
    return {"id": [float(i) for i in range(len(values))], "income": values}


def _declared(**metric: Any) -> Mapping[str, Any]:
    return {"evidently": [metric]}


_MEAN = _declared(metric="MeanValue", column="income", at_most=0.5)
_DRIFT = _declared(metric="DriftedColumnsCount", at_most=0.5)
_AS_BEFORE = tables(_keyed(normal(300, 0.0, 1)), _keyed(normal(300, 0.0, 2)), _FIELDS)
_SHIFTED = tables(_keyed(normal(300, 0.0, 1)), _keyed(normal(300, 2.0, 2)), _FIELDS)


class DeclaredMetricsWithinLimits(Check):
    """Are the metrics that the manifest names within the limits it sets?

    Why: A team often watches numbers of its own. Naming them in the manifest puts them into the
        evidence, with the limit that the organisation set itself.
    Method: Evidently computes each metric on a seeded sample of the scoring log (at most 5,000 rows
        of the current window) and of the reference (at most 20,000). The number is held against
        ``at_least`` and ``at_most`` of the manifest and fails if it lies beyond persistently
        (policy: default 2 of 3 judged nights). Undefined with fewer than 100 rows or where
        Evidently gives no finite number. Source: Evidently 0.7.23, the metric of that name.
    Leaves out: Rows outside the samples; a share near its limit may lie on either side of it by
        chance. Metrics whose result is a value of the data (smallest, largest, median, rare
        categories) cannot be named, nor those that need outcomes: realised_quality_held waits for
        them. The choice of the limit is the organisation's own.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (
        Needs.EVIDENTLY_METRICS,
        Needs.SCORING_LOG,
        Needs.REFERENCE,
        Needs.FEATURES,
        Needs.SAMPLE_KEYS,
    )
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    remediation = (
        "Compute the metric on the same window with Evidently and look at the column's history. If "
        "the data are right and the limit is not, change the limit in the model's manifest; "
        "every night is signed with the digest of the manifests it was judged by."
    )
    examples = (
        Example("mean below its limit", Outcome.PASS, _AS_BEFORE, model=_MEAN),
        Example(
            "mean above its limit on two nights",
            Outcome.FAIL,
            _SHIFTED,
            model=_MEAN,
            history=differed("income"),
        ),
        Example("mean above its limit tonight only", Outcome.PASS, _SHIFTED, model=_MEAN),
        Example(
            "too many columns drifted on two nights",
            Outcome.FAIL,
            _SHIFTED,
            model=_DRIFT,
            history=differed(None),
        ),
        Example(
            "a column that nobody declared",
            Outcome.NOT_AVAILABLE,
            _AS_BEFORE,
            model=_declared(metric="MeanValue", column="age", at_most=1),
        ),
        Example(
            "ninety rows",
            Outcome.NOT_AVAILABLE,
            tables(_keyed(normal(300, 0.0, 1)), _keyed(normal(90, 2.0, 2)), _FIELDS),
            model=_MEAN,
        ),
        Example("no metric is named", Outcome.NOT_AVAILABLE, _AS_BEFORE),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Samples of both sides, the same as other checks', and the history."""
        yield from sample_requests(inputs, sampled(inputs))
        yield history_request(inputs.source("scoring_log", "current"))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per column, one for the whole table."""
        looked_at = scope(inputs, observations, sampled(inputs))
        samples = both(observations)
        known = {one.name for one in sampled(inputs)}
        for column, metrics in _by_column(inputs.model.evidently).items():
            if isinstance(samples, str):
                reason = samples
            elif column is not None and column not in known:
                reason = "it is not a feature that the scoring log and the reference both declare"
            elif min(map(rows, samples)) < _SMALLEST:
                reason = f"fewer than {_SMALLEST} rows could be sampled on a side"
            else:
                names = sorted(known)
                reference, current = (
                    {name: side[name][:CURRENT_ROWS] if place else side[name] for name in names}
                    for place, side in enumerate(samples)
                )
                yield self._judged(
                    inputs, observations, column, metrics, compute(metrics, reference, current),
                    rows(current), looked_at,
                )  # fmt: skip
                continue
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"The metrics were not computed: {reason}.",
                column=column,
                scope=looked_at,
            )

    def _judged(
        self,
        inputs: Inputs,
        observations: Observations,
        column: str | None,
        metrics: Sequence[EvidentlyMetric],
        computed: Sequence[Computed],
        n: int,
        looked_at: str,
    ) -> Finding:
        pairs = list(zip(metrics, computed, strict=True))
        undefined = [
            declared.metric for declared, found in pairs if _number(declared, found) is None
        ]
        beyond = [declared.metric for declared, found in pairs if _beyond(declared, found)]
        source = f"models/{inputs.subject.id}.yaml"
        measured = [one for pair in pairs for one in _measurements(*pair, n, source)]
        if undefined and not beyond:
            return self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"Evidently gives no number for {', '.join(undefined)} on these rows.",
                measurements=measured,
                column=column,
                scope=looked_at,
            )
        history = observations.get("history") or ()
        nights = persistence(inputs, column, bool(beyond), history)
        failed = bool(beyond) and nights.reached
        when = f"on {nights.words}" if failed else f"tonight, not yet persistent: {nights.words}"
        return self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            f"Beyond the declared limit {when}: {', '.join(beyond)}."
            if beyond
            else "Every metric that the manifest names lies within its limits.",
            measurements=[*measured, *nights.measurements(bool(beyond))],
            severity=Severity.INFO if beyond and not failed else None,
            column=column,
            scope=looked_at,
        )


def _by_column(metrics: Iterable[EvidentlyMetric]) -> dict[str | None, list[EvidentlyMetric]]:
    found: dict[str | None, list[EvidentlyMetric]] = {}
    for one in metrics:
        found.setdefault(one.column, []).append(one)
    return found


def _number(declared: EvidentlyMetric, found: Computed) -> float | None:
    """The number that the limits are for."""
    if declared.part == "count":
        return found.count
    return found.share if found.value is None else found.value


def _beyond(declared: EvidentlyMetric, found: Computed) -> bool:
    number = _number(declared, found)
    if number is None:
        return False
    low, high = declared.at_least, declared.at_most
    return (low is not None and number < low) or (high is not None and number > high)


def _measurements(
    declared: EvidentlyMetric, found: Computed, n: int, source: str
) -> Iterator[Measurement]:
    """The number, once per limit, so that both limits are printed."""
    number = _number(declared, found)
    limits = [("<=", declared.at_most), (">=", declared.at_least)]
    counted = declared.part == "count"
    for operator, limit in limits:
        if limit is None:
            continue
        yield Measurement(
            name=f"{declared.metric} {declared.part}" if found.value is None else declared.metric,
            value=int(number) if counted and number is not None else number,
            reason="" if number is not None else found.problem or "no finite number",
            unit=_unit(declared, found),
            threshold=Threshold(value=limit, operator=operator, source=source),
            n=n,
            recipe=f"Evidently 0.7.23, {declared.metric}, on a seeded sample",
            drifted=_beyond(declared, found),
        )


def _unit(declared: EvidentlyMetric, found: Computed) -> str:
    of_columns = declared.metric in EVIDENTLY_WHOLE_TABLE and "Column" in declared.metric
    if declared.part == "count":
        return "columns" if of_columns else "rows"
    if found.value is None:
        return "share of columns" if of_columns else "share"
    if declared.metric.endswith("RowCount") or declared.metric == "EmptyRowsCount":
        return "rows"
    return "columns" if of_columns else "value"
