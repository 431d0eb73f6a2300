"""Which metrics are held against what, and when a difference fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from nachweis.checks.performance._measured import units
from nachweis.domain.check import Check, Inputs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Threshold
from nachweis.domain.manifest import FieldRole, ModelKind
from nachweis.engines.intervals import newcombe_interval
from nachweis.engines.performance import Interval, Metric

MAX_DROP = Param(
    "max_drop",
    0.05,
    "difference of the metric",
    "design default of this project",
    "How much worse than the declared or reference value a share, area or score may be.",
    minimum=0.005,
    maximum=0.5,
)
MAX_RISE = Param(
    "max_relative_rise",
    0.2,
    "share of the reference error",
    "design default of this project",
    "How much larger an error of a regression model may be, relative to the earlier one.",
    minimum=0.01,
    maximum=2,
)

_ALIASES = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "brier_score": "brier",
    "f1_score": "f1",
    "f1_macro": "macro_f1",
    "mean_absolute_error": "mae",
    "ndcg_at_k": "ndcg",
    "root_mean_squared_error": "rmse",
    "sensitivity": "recall",
    "tpr": "recall",
    "true_positive_rate": "recall",
    "positive_predictive_value": "precision",
}
_USUAL = {
    ModelKind.REGRESSION: "mae",
    ModelKind.MULTICLASS: "accuracy",
    ModelKind.RULES: "accuracy",
    ModelKind.RANKING: "ndcg",
}
_LEVEL = 0.99
_WIDER = NormalDist().inv_cdf(0.995) / NormalDist().inv_cdf(0.975)
_SMALLER_IS_BETTER = frozenset({"brier", "mae", "rmse"})
_RELATIVE = frozenset({"mae", "rmse"})
_NO_LIMIT = frozenset({"bias"})


@dataclass(frozen=True, slots=True)
class Target:
    """A metric that is held against an earlier value.

    Attributes:
        name: Name of the metric.
        value: The declared value, None where the reference gives it.
    """

    name: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A metric against its earlier value.

    Attributes:
        name: Name of the metric.
        current: The metric now.
        earlier: The earlier value, None where there is none.
        source: Where the earlier value comes from.
        worse_by: By how much it is worse now; negative is better. None where undefined.
        interval: Interval of that difference.
        limit: How much worse it may be.
        reason: Why it could not be compared, or empty.
    """

    name: str
    current: Metric
    earlier: float | None = None
    source: str = ""
    worse_by: float | None = None
    interval: Interval | None = None
    limit: float = 0.0
    reason: str = ""

    @property
    def failed(self) -> bool:
        """The whole interval lies beyond the limit."""
        return self.interval is not None and self.interval[0] > self.limit

    @property
    def exceeded(self) -> bool:
        """The number itself lies beyond the limit."""
        return self.worse_by is not None and self.worse_by > self.limit


def canonical(metric: str) -> str:
    """Name of a declared metric as checks call it."""
    name = metric.replace("-", "_").lower()
    return _ALIASES.get(name, name)


def targets(inputs: Inputs, known: Iterable[str]) -> list[Target]:
    """Declared metrics among those that are known, else the usual one for the kind of model."""
    names = [name for name in known if name not in _NO_LIMIT]
    declared = {canonical(metric.id): metric.value for metric in inputs.model.metrics}
    found = [Target(name, value) for name, value in declared.items() if name in names]
    if found:
        return found
    usual = _USUAL.get(inputs.model.kind)
    if usual is None:
        log = inputs.data("scoring_log")
        usual = "roc_auc" if log and log.field(FieldRole.SCORE) else "accuracy"
    return [Target(usual)] if usual in names else []


def compare(
    inputs: Inputs, target: Target, now: Mapping[str, Metric], reference: Mapping[str, Metric]
) -> Compared:
    """Hold a metric against its declared value, else against the reference's.

    Args:
        inputs: For the limits.
        target: Which metric, and its declared value.
        now: Current metrics.
        reference: Metrics of the reference; empty without one.

    Returns:
        The comparison; the interval of the difference is Newcombe's of both, widened to 99 %.
    """
    current = now[target.name]
    if current.value is None or current.interval is None:
        return Compared(target.name, current, reason=current.reason)
    before = reference.get(target.name)
    if target.value is not None:
        earlier, limits, source = target.value, (target.value, target.value), "model manifest"
    elif before is not None and before.value is not None and before.interval is not None:
        earlier, limits, source = before.value, before.interval, "reference"
    else:
        return Compared(target.name, current, reason="there is no earlier value to hold it against")
    first, second = (current.value, current.interval), (earlier, limits)
    if target.name not in _SMALLER_IS_BETTER:
        first, second = second, first
    limit = float(inputs.param("max_drop"))
    if target.name in _RELATIVE:
        limit = float(inputs.param("max_relative_rise")) * abs(earlier)
    return Compared(
        target.name,
        current,
        earlier,
        source,
        first[0] - second[0],
        _widened(first[0] - second[0], newcombe_interval(*first, *second)),
        limit,
    )


def _widened(difference: float, limits: Interval) -> Interval:
    """From 95 % to 99 %: DeLong's interval is a little short where a class has few rows."""
    low, high = (difference + (limit - difference) * _WIDER for limit in limits)
    return low, high


def conclude(
    check: Check,
    inputs: Inputs,
    compared: Iterable[Compared],
    now: Mapping[str, Metric],
    *,
    looked_at: str,
    also: Iterable[Measurement] = (),
    prefix: str = "",
) -> Finding:
    """One finding for all metrics: the worst of what was held against an earlier value.

    Args:
        check: The check that reports.
        inputs: Its inputs.
        compared: Metrics against their earlier values.
        now: All current metrics.
        looked_at: Scope.
        also: Further measurements, printed first.
        prefix: Put before the names of metrics.

    Returns:
        The finding. A metric that could not be compared leaves the finding without a pass.
    """
    items = list(compared)
    failed = [item for item in items if item.failed]
    untold = [item for item in items if item.reason]
    if failed:
        outcome = Outcome.FAIL
    elif untold or not items:
        outcome = Outcome.NOT_AVAILABLE
    else:
        outcome = Outcome.PASS
    missing = any(item.current.value is not None for item in untold)
    declare = "a value under 'metrics', or 'fields.label' of the reference" if missing else ""
    return check.finding(
        inputs,
        outcome,
        " ".join(_sentence(item) for item in items) or "No metric can be computed.",
        measurements=[
            *also,
            *(one for item in items for one in _measurements(inputs, item)),
            *(_measurement(prefix + name, name, metric) for name, metric in now.items()),
        ],
        scope=looked_at,
        declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
    )


def _sentence(item: Compared) -> str:
    name = item.name.replace("_", " ")
    if item.reason or item.worse_by is None or item.earlier is None:
        return f"The {name} was not compared: {item.reason}."
    origin = "declared" if item.source == "model manifest" else "the reference's"
    if item.failed:
        return f"The {name} is worse than {origin} value by more than the limit."
    if item.exceeded:
        return f"The {name} is worse than {origin} value, but chance may explain it."
    return f"The {name} is not worse than {origin} value by more than the limit."


def _measurements(inputs: Inputs, item: Compared) -> list[Measurement]:
    if item.worse_by is None:
        return []
    param = "max_relative_rise" if item.name in _RELATIVE else "max_drop"
    return [
        Measurement(
            name=f"{item.name}_worse_by",
            value=item.worse_by,
            unit="difference" if item.name not in _RELATIVE else units(item.name),
            threshold=Threshold(
                value=item.limit, operator="<=", source=inputs.params[param].source
            ),
            n=item.current.n,
            interval=item.interval,
            interval_level=_LEVEL,
            recipe="positive = worse; Newcombe's method on the intervals of both values, widened "
            "from 95 % to 99 % by the ratio of the normal quantiles",
        ),
        Measurement(
            name=f"{item.name}_before",
            value=item.earlier,
            unit=units(item.name),
            recipe=item.source,
        ),
    ]


def _measurement(shown: str, name: str, metric: Metric) -> Measurement:
    return Measurement(
        name=shown,
        value=metric.value,
        unit=units(name),
        n=metric.n,
        interval=metric.interval,
        interval_level=metric.level if metric.interval else None,
        recipe=metric.recipe,
        reason=metric.reason if metric.value is None else "",
    )
