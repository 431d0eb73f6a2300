"""The plain script: Great Expectations on pandas, Evidently's preset and Fairlearn on the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import data
from bench.process import measure


def run(folder: Path) -> dict[str, Any]:
    """Load both files and run the three libraries as their introductions show."""
    import pandas as pd

    reference = pd.read_parquet(folder / "reference.parquet")
    night = pd.read_parquet(folder / "night.parquet")
    return {"suite": _suite(night), "drift": _drift(reference, night), "rates": _rates(night)}


def _suite(night: Any) -> dict[str, Any]:
    import great_expectations as gx

    expect = gx.expectations
    rules = [gx.expectations.ExpectColumnValuesToBeUnique(column="id")]
    for column in data.NUMBERS:
        low, high = data.bounds(column)
        rules.append(expect.ExpectColumnValuesToNotBeNull(column=column))
        rules.append(
            expect.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high)
        )
    for column in data.CATEGORIES:
        rules.append(
            expect.ExpectColumnValuesToBeInSet(column=column, value_set=data.members(column))
        )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("pandas")
        .add_dataframe_asset("night")
        .add_batch_definition_whole_dataframe("night")
        .get_batch({"dataframe": night})
    )
    found = batch.validate(gx.ExpectationSuite(name="night", expectations=rules))
    return {
        f"{one.expectation_config.type} {one.expectation_config.kwargs['column']}": [
            bool(one.success),
            int(one.result["unexpected_count"]),
        ]
        for one in found.results
    }


def _drift(reference: Any, night: Any) -> dict[str, Any]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[*data.NUMBERS, "prediction", "label"],
        categorical_columns=[*data.CATEGORIES, *data.GROUPS],
        id_column="id",
    )
    sets = [Dataset.from_pandas(frame, data_definition=definition) for frame in (night, reference)]
    snapshot = Report([DataDriftPreset(columns=list(data.COMPARED))]).run(*sets)
    found = {}
    for metric in snapshot.dict()["metrics"]:
        config = metric["config"]
        if config["type"].endswith("ValueDrift"):
            drifted = metric["value"] >= config["threshold"]
            found[config["column"]] = [config["method"], float(metric["value"]), bool(drifted)]
    return found


def _rates(night: Any) -> dict[str, Any]:
    from fairlearn.metrics import (
        MetricFrame,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )

    found = {}
    for attribute in data.GROUPS:
        frame = MetricFrame(
            metrics={
                "selection_rate": selection_rate,
                "true_positive_rate": true_positive_rate,
                "false_positive_rate": false_positive_rate,
            },
            y_true=night["label"],
            y_pred=night["prediction"],
            sensitive_features=night[attribute],
        )
        for metric in frame.by_group.columns:
            found[f"{attribute} {metric}"] = {
                "groups": {str(k): float(v) for k, v in frame.by_group[metric].items()},
                "difference": float(frame.difference()[metric]),
                "ratio": float(frame.ratio()[metric]),
            }
    return found


MODULES = [
    "pandas",
    "pyarrow.parquet",
    "great_expectations",
    "evidently",
    "evidently.presets",
    "fairlearn.metrics",
]

if __name__ == "__main__":
    measure(MODULES, run)
