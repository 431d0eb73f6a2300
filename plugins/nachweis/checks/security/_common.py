"""What the checks of this family share: served versions, numbers, small tables for examples."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.check import ExampleTable, Inputs
from nachweis.domain.manifest import DataSetRole, FieldRole
from nachweis.domain.manifest.model import ModelVersion

SAMPLE_ROWS = 10_000
"""Rows of a sample of training data; checks that ask for the same sample share it."""


def served(inputs: Inputs) -> list[ModelVersion]:
    """Versions with traffic at the end of the night; of a draft, the last declared one."""
    found = inputs.model.served_on(inputs.night.end)
    if not found and inputs.model.versions and inputs.model.versions[-1].live_from is None:
        return [inputs.model.versions[-1]]
    return found


def features_of(inputs: Inputs, *, texts: bool = True) -> list[str]:
    """Columns of the data set that models read, in declared order.

    Args:
        inputs: The inputs, about a data set.
        texts: Whether free texts are wanted too.
    """
    return [
        column.name
        for column in inputs.data_set.columns
        if column.feature and (texts or not column.free_text)
    ]


def label_of(inputs: Inputs) -> str:
    """The data set's label column; the need must have been declared."""
    column = inputs.data_set.field(FieldRole.LABEL)
    if column is None:
        raise KeyError(FieldRole.LABEL)
    return column


# ------------------------------------------------------------------------------------ examples


def rng(seed: int) -> random.Random:
    """Seeded numbers for example data."""
    return random.Random(seed)  # noqa: S311 - example data


def training(
    rows: Mapping[str, Sequence[Any]], label: str = "bought", **declare: Any
) -> dict[str, ExampleTable]:
    """A training set whose columns are features, but for key, label and what ``declare`` names."""
    named = {"key", label, "at", "source"}
    columns = [{"name": name, "feature": name not in named} for name in rows]
    fields = {"label": label, "key": "key"}
    if "source" in rows:
        fields["source"] = "source"
    keyed = {"key": [str(i) for i in range(len(next(iter(rows.values()))))]} | {
        name: list(values) for name, values in rows.items()
    }
    if "key" not in rows:
        columns.insert(0, {"name": "key", "feature": False})
    declared = {"columns": columns, "fields": fields, **declare}
    if "at" in rows:
        declared["time"] = {"column": "at"}
    return {"training": ExampleTable(DataSetRole.TRAINING, keyed, declared)}


def customers(n: int, seed: int = 0) -> dict[str, list[Any]]:
    """Visits, orders and a device, and whether people with many visits bought; classes overlap."""
    draw = rng(seed)
    visits = [draw.randint(0, 20) for _ in range(n)]
    spend = [round(draw.lognormvariate(3, 1), 2) for _ in range(n)]
    device = [draw.choice(["phone", "desktop", "tablet"]) for _ in range(n)]
    bought = [int(draw.random() < (0.15 + 0.03 * v)) for v in visits]
    return {"visits": visits, "spend": spend, "device": device, "bought": bought}


def skops_naming(*types: str) -> bytes:
    """A small archive in the form of skops that names these types."""
    nodes = [
        {"__class__": name.rpartition(".")[2], "__module__": name.rpartition(".")[0]}
        for name in types
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        stamp = zipfile.ZipInfo("schema.json", (1980, 1, 1, 0, 0, 0))
        archive.writestr(stamp, json.dumps({"content": nodes}))
    return buffer.getvalue()
