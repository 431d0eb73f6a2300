"""Settling Great Expectations' metrics in an order that asks the data as rarely as possible.

Great Expectations walks its graph of metrics level by level. It fuses aggregates of a level, but
metrics such as quantiles, value counts or pairs of columns each run a statement of their own. Here
a metric that needs rows is suspended, the statements of all suspended metrics and aggregates become
one, and the metric is run again on the answer. A metric function is pure in its inputs and rows, so
running it twice is safe.

Errors stay what they are. Great Expectations retries, and logs the text of a database error, which
may quote a value. Here a metric fails once, its exception is kept aside, and the text that Great
Expectations sees is the name of the exception's class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from great_expectations.exceptions import MetricResolutionError

if TYPE_CHECKING:
    from great_expectations.execution_engine import ExecutionEngine
    from great_expectations.validator.metric_configuration import MetricConfiguration

MetricId = tuple[str, str, str]
MetricTable = dict[MetricId, Any]

_PARTIALS = (".condition", ".map", ".aggregate_fn")


class StatementRefusedError(Exception):
    """DuckDB, or the budget of statements, refused a metric's statement.

    Args:
        reason: Class name of the driver's exception; its text may quote a value and is dropped.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @classmethod
    def of(cls, error: Exception) -> StatementRefusedError:
        """From whatever SQLAlchemy or the driver raised."""
        return cls(type(getattr(error, "orig", None) or error).__name__)


class RowsNeeded(BaseException):
    """Suspends a metric function whose statement has not run yet; not an error to be caught."""

    def __init__(self, key: str, statement: Any) -> None:
        super().__init__()
        self.key = key
        self.statement = statement


@dataclass(frozen=True)
class Computation:
    """How to compute one metric: by a function, or as an aggregate of a domain."""

    id: MetricId
    function: Any
    arguments: Mapping[str, Any]
    domain: Mapping[str, Any] | None
    counts_rows: bool


@dataclass(frozen=True)
class RowsUnit:
    """A query of a metric function."""

    key: str
    query: Any


@dataclass(frozen=True)
class AggregateUnit:
    """One aggregate of a domain; those of the same domain share a scan."""

    computation: Computation
    domain: str
    source: Any


Unit = RowsUnit | AggregateUnit


class SettledMetrics:
    """Settles metrics in its own order; keeps values and exceptions where they can be read.

    A mixin for execution engines. Great Expectations walks its graph level by level; what it asks
    for after :meth:`settle` is already known.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settled: MetricTable = {}
        self.failures: dict[MetricId, Exception] = {}
        self.rows: int | None = None

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: MetricTable | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> MetricTable:
        """Answer Great Expectations' graph.

        Args:
            metrics_to_resolve: Metrics whose dependencies are resolved.
            metrics: Values of earlier levels; they were settled here.
            runtime_configuration: Has no influence on metrics of this package.

        Returns:
            Metric id to value.

        Raises:
            MetricResolutionError: If some failed; names the class of the first exception only.
        """
        wanted = list(metrics_to_resolve)
        self.settle(wanted)
        failed = [metric for metric in wanted if metric.id in self.failures]
        if failed:
            raise MetricResolutionError(
                message=type(self.failures[failed[0].id]).__name__, failed_metrics=failed
            )
        return {metric.id: self.settled[metric.id] for metric in wanted}

    def settle(self, metrics: Iterable[MetricConfiguration]) -> None:
        """Compute metrics and what they depend on, asking the data as rarely as possible.

        Everything that needs no rows is computed first, then all rows needed so far are asked for
        at once, and so on. A metric below a failed one stays out.

        Args:
            metrics: All metrics of a graph, in any order.
        """
        waiting = {
            m.id: m for m in metrics if m.id not in self.settled and m.id not in self.failures
        }
        parked: list[tuple[Computation, Unit]] = []
        while True:
            moved = False
            for metric in [m for m in waiting.values() if self._ready(m)]:
                moved = True
                del waiting[metric.id]
                self._start(metric, parked)
            if moved:
                continue
            if not parked:
                return
            self._ask([unit for _, unit in parked])
            resumed = [computation for computation, unit in parked if isinstance(unit, RowsUnit)]
            parked = []
            for computation in resumed:
                self._try(computation, parked)

    def _ready(self, metric: MetricConfiguration) -> bool:
        """Whether a metric can be started; building SQL never waits for the row count."""
        builds_sql = metric.metric_name.endswith(_PARTIALS)
        return all(
            dependency.id in self.settled
            or (builds_sql and dependency.metric_name == "table.row_count")
            for name, dependency in metric.metric_dependencies.items()
            if not self._is_aggregate(metric) or name == "metric_partial_fn"
        )

    @staticmethod
    def _is_aggregate(metric: MetricConfiguration) -> bool:
        return "metric_partial_fn" in metric.metric_dependencies

    def _start(self, metric: MetricConfiguration, parked: list[tuple[Computation, Unit]]) -> None:
        known = {
            dependency.id: self.settled.get(dependency.id)
            for dependency in metric.metric_dependencies.values()
        }
        engine = cast("ExecutionEngine", self)
        try:
            direct, bundled = engine._build_direct_and_bundled_metric_computation_configurations(
                [metric], known, {}
            )
        except Exception as error:  # noqa: BLE001 - kept aside, becomes the expectation's error
            self.failures[metric.id] = error
            return
        counts_rows = metric.metric_name == "table.row_count" and not any(
            metric.metric_domain_kwargs.get(name) for name in ("row_condition", "table")
        )
        found = (direct or bundled)[0]
        computation = Computation(
            metric.id,
            found.metric_fn,
            found.metric_provider_kwargs,
            domain=None if direct else found.compute_domain_kwargs or {},
            counts_rows=counts_rows,
        )
        self._try(computation, parked)

    def _try(self, computation: Computation, parked: list[tuple[Computation, Unit]]) -> None:
        """Settle or fail a metric, or park it with the rows it needs."""
        try:
            if computation.domain is not None:
                parked.append((computation, self._aggregate(computation)))
            else:
                self._put(computation, computation.function(**computation.arguments))
        except RowsNeeded as suspension:
            parked.append((computation, RowsUnit(suspension.key, suspension.statement)))
        except Exception as error:  # noqa: BLE001 - kept aside, becomes the expectation's error
            self.failures[computation.id] = error

    def _put(self, computation: Computation, value: Any) -> None:
        self.settled[computation.id] = value
        if computation.counts_rows:
            self.rows = value

    def _aggregate(self, computation: Computation) -> Unit:
        raise NotImplementedError

    def _ask(self, units: list[Unit]) -> None:
        raise NotImplementedError
