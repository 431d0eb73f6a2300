"""Metrics named in a manifest: what may be named, and numbers equal to Evidently's own."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from pydantic import ValidationError

from nachweis.domain.manifest.model import (
    EVIDENTLY_METRICS,
    EVIDENTLY_WHOLE_TABLE,
    EvidentlyMetric,
)
from nachweis.engines.evidently_metrics import compute

OPTIONS = {
    "CategoryCount": {"category": "a"},
    "InListValueCount": {"values": ["a", "b"]},
    "OutListValueCount": {"values": ["a", "b"]},
    "InRangeValueCount": {"left": -1.0, "right": 1.0},
    "OutRangeValueCount": {"left": -1.0, "right": 1.0},
}
TEXTS = {"CategoryCount", "InListValueCount", "OutListValueCount"}


def side(seed: int, n: int, shift: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    income = random.normal(shift, 1, n)
    income[::17] = np.nan
    group = np.array(list("abc"), dtype=object)[random.integers(0, 3, n)]
    group[::23] = None
    return {"income": income, "group": group}


REFERENCE, CURRENT = side(1, 900, 0.0), side(2, 700, 0.4)


def declared(name: str) -> EvidentlyMetric:
    column = "group" if name in TEXTS else "income"
    return EvidentlyMetric.model_validate(
        {
            "metric": name,
            **({} if name in EVIDENTLY_WHOLE_TABLE else {"column": column}),
            "options": OPTIONS.get(name, {}),
            "at_most": 1,
        }
    )


def evidently(metric: EvidentlyMetric) -> object:
    """What a user of Evidently reads in its own output."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report, metrics

    definition = DataDefinition(numerical_columns=["income"], categorical_columns=["group"])
    own = {"column": metric.column} if metric.column else {}
    report = Report([getattr(metrics, metric.metric)(**own, **metric.options)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = report.run(
            *(Dataset.from_pandas(pd.DataFrame(x), definition) for x in (CURRENT, REFERENCE))
        )
    return snapshot.dict()["metrics"][0]["value"]


@pytest.mark.parametrize("name", sorted(EVIDENTLY_METRICS))
def test_numbers_equal_evidentlys(name: str) -> None:
    metric = declared(name)
    (found,) = compute([metric], REFERENCE, CURRENT)
    assert found.problem == ""
    expected = evidently(metric)
    if isinstance(expected, dict):
        assert found.count == pytest.approx(float(expected["count"]), abs=1e-9)
        assert found.share == pytest.approx(float(expected["share"]), abs=1e-9)
    else:
        assert found.value == pytest.approx(float(expected), abs=1e-9)


def test_a_metric_that_cannot_be_computed_takes_no_other_with_it() -> None:
    texts = EvidentlyMetric(metric="MeanValue", column="group", at_most=1)
    fine = EvidentlyMetric(metric="MeanValue", column="income", at_most=1)
    broken, found = compute([texts, fine], REFERENCE, CURRENT)
    assert (broken.value, broken.share) == (None, None)
    assert broken.problem
    assert found.value is not None
    assert math.isclose(found.value, np.nanmean(CURRENT["income"]), abs_tol=1e-9)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": "MaxValue", "column": "income", "at_most": 1}, "none of AlmostConstant"),
        ({"metric": "__class__", "column": "income", "at_most": 1}, "none of"),
        ({"metric": "MeanValue", "at_most": 1}, "needs a column"),
        ({"metric": "EmptyRowsCount", "column": "income", "at_most": 1}, "takes no column"),
        ({"metric": "MeanValue", "column": "income"}, "without a limit"),
        (
            {"metric": "ValueDrift", "column": "x", "at_most": 1, "options": {"tests": 1}},
            "has no tests",
        ),
    ],
)
def test_what_cannot_be_named_is_refused_with_what_can(
    fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        EvidentlyMetric.model_validate(fields)
