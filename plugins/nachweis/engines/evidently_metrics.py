"""Metrics of Evidently, computed by Evidently itself on samples of two sides.

Only numbers leave: a value, or a count and a share. Everything else in a result of Evidently
(widgets, labels, distributions) may hold values of the data and stays here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nachweis.domain.manifest.model import EvidentlyMetric

Columns = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Computed:
    """Numbers of one metric; None where it has no such number or it is undefined.

    Attributes:
        value: The only number of metrics that have one.
        count: Number of rows or columns.
        share: The same as a share, from 0 to 1.
        problem: Type of the error that Evidently raised, if it could not compute the metric.
    """

    value: float | None = None
    count: float | None = None
    share: float | None = None
    problem: str = ""


def compute(
    metrics: Sequence[EvidentlyMetric], reference: Columns, current: Columns
) -> list[Computed]:
    """Compute metrics on two samples.

    Args:
        metrics: Declared metrics.
        reference: Column name to values; for metrics that compare.
        current: Column name to values. Numbers are numerical columns, everything else categorical.

    Returns:
        One result per metric, in order. Equal to what Evidently returns for the same samples.
    """
    from evidently import DataDefinition, Dataset, Report

    numeric = [name for name, values in current.items() if values.dtype.kind in "iuf"]
    definition = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[name for name in current if name not in numeric],
    )
    sides = [
        Dataset.from_pandas(_frame(side, current), definition) for side in (current, reference)
    ]
    found = []
    for declared in metrics:
        # One report each: a metric that cannot be computed takes no other with it.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                snapshot = Report([_metric(declared)]).run(*sides)
            (result,) = snapshot.metric_results.values()
        except Exception as error:  # noqa: BLE001 - the message may quote values, the type does not
            found.append(Computed(problem=type(error).__name__))
            continue
        found.append(_projection(result))
    return found


def _frame(side: Columns, like: Columns) -> Any:
    import pandas as pd

    return pd.DataFrame({name: side[name] for name in like})


def _metric(declared: EvidentlyMetric) -> Any:
    from evidently import metrics

    own = {} if declared.column is None else {"column": declared.column}
    return getattr(metrics, declared.metric)(**own, **declared.options)


def _projection(result: Any) -> Computed:
    from evidently.core.metric_types import CountValue, SingleValue

    if isinstance(result, CountValue):
        return Computed(count=_finite(result.count.value), share=_finite(result.share.value))
    if isinstance(result, SingleValue):
        return Computed(value=_finite(result.value))
    return Computed(problem=type(result).__name__)


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
