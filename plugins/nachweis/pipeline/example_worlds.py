"""The manifests of a check's example: one organisation, activity and model, a few tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import (
    Activity,
    ColumnType,
    DataSet,
    Model,
    Organisation,
    Policy,
    Suite,
    World,
)
from nachweis.domain.manifest.model import ModelData
from nachweis.pipeline.load import load_controls
from nachweis.settings import PACKAGE_ROOT

_ORGANISATION: Mapping[str, Any] = {
    "id": "example",
    "controller": {
        "legal_name": "Example",
        "address": "Example Street 1",
        "country": "DE",
        "email": "privacy@example.org",
    },
    "roles": [{"id": "owner", "title": {"en": "Owner"}}],
    "countries": ["DE", "DK"],
    "establishment": "DE",
}
_ACTIVITY: Mapping[str, Any] = {
    "id": "activity",
    "title": {"en": "Example activity"},
    "owner": "owner",
    "models": ["model"],
    "purposes": [{"id": "example", "text": {"en": "Example purpose"}}],
}
_MODEL: Mapping[str, Any] = {
    "id": "model",
    "title": {"en": "Example model"},
    "kind": "binary",
    "unit": "person",
    "stage": "draft",
    "owner": "owner",
    "activities": ["activity"],
    "current": {"min_rows": 1},
}


def example_world(check: type[Check], example: Example) -> World:
    """The manifests of an example.

    Args:
        check: The check.
        example: One of its examples.

    Returns:
        One organisation, activity and model, and a data set per table.
    """
    data_sets = {
        data_set_id(name): _data_set(name, table) for name, table in example.tables.items()
    }
    first = next(iter(data_sets), "data")
    suites = {}
    if example.suite:
        rules = {"id": first, "data_set": first, "expectations": list(example.suite)}
        suites[first] = Suite.model_validate(rules)
    wired = {
        name: [data_set_id(name)] if name in _LISTS else data_set_id(name)
        for name in example.tables
        if name in ModelData.model_fields
    }
    model = Model.model_validate({**_MODEL, "data": wired, **example.model})
    activity = Activity.model_validate({**_ACTIVITY, **example.activity})
    return World(
        organisation=Organisation.model_validate({**_ORGANISATION, **example.organisation}),
        policy=Policy.model_validate(
            {**example.policy, "checks": {check.id: dict(example.params)}}
        ),
        controls=load_controls(PACKAGE_ROOT / "controls"),
        activities={activity.id: activity},
        models={model.id: model},
        data_sets=data_sets,
        suites=suites,
    )


_LISTS = frozenset({"training", "features", "sources"})
"""Fields of ``ModelData`` that name several data sets."""


def example_subject(check: type[Check], example: Example) -> Subject:
    """What an example's findings are about.

    Args:
        check: The check.
        example: One of its examples.

    Returns:
        The first table, for checks about data sets; else the only model or activity.
    """
    if check.subject is SubjectKind.DATA_SET:
        return Subject(kind=check.subject, id=data_set_id(next(iter(example.tables))))
    return Subject(kind=check.subject, id=check.subject.value)


def data_set_id(name: str) -> str:
    """Data-set id of an example's table; fields of ``ModelData`` are written with underscores."""
    return name.replace("_", "-")


def _data_set(name: str, table: ExampleTable) -> DataSet:
    declared = dict(table.declare)
    columns = declared.pop("columns", [{"name": column} for column in table.rows])
    return DataSet.model_validate(
        {
            "id": data_set_id(name),
            "role": table.role,
            "location": "memory",
            "columns": [
                {"type": _type(table.rows.get(column["name"], [])), **column} for column in columns
            ],
            **declared,
        }
    )


def _type(values: list[Any]) -> ColumnType:
    """Logical type of a list of Python values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return ColumnType.NUMBER
    if len(kinds) != 1:
        return ColumnType.STRING
    return _TYPES.get(kinds.pop(), ColumnType.STRING)


_TYPES = {
    bool: ColumnType.BOOLEAN,
    int: ColumnType.INTEGER,
    float: ColumnType.NUMBER,
    dt.datetime: ColumnType.TIMESTAMP,
    dt.date: ColumnType.DATE,
}
