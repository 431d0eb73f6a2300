"""Run a check's examples: a small world in memory, through the same engines as a real night."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind, worst_first
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
from nachweis.domain.night import Night
from nachweis.engines.tables import Tables
from nachweis.pipeline.judge import judge, plan_subject
from nachweis.pipeline.observe import observe

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


def run_example(check: type[Check], example: Example) -> list[Finding]:
    """Execute one example through the real engines.

    Args:
        check: The check.
        example: One of its examples.

    Returns:
        The findings, worst first.
    """
    world = example_world(check, example)
    subject = _subject(check, example)
    night = Night.parse(example.night, world.organisation.timezone)
    plan = plan_subject(world, subject, night, [check])
    model = world.models.get(subject.id) if subject.kind is SubjectKind.MODEL else None
    memory = {_id(name): dict(table.rows) for name, table in example.tables.items()}
    with _environment(example.environment), tempfile.TemporaryDirectory() as cache:
        with Tables(
            world, {}, night, cache=Path(cache), threads=1, memory_tables=memory
        ) as tables:
            seen = observe(
                tables,
                plan.requests,
                model=model,
                suites=world.suites,
                history=lambda _: list(example.history),
            )
        return worst_first(judge(world, subject, night, plan, seen))


def replay(checks: Iterable[type[Check]]) -> list[str]:
    """Replay all examples as positive controls.

    Args:
        checks: Checks to replay.

    Returns:
        Ids of blind checks, sorted: those with an example whose worst outcome is not the stated
        one, for instance a failing example that no longer fails.
    """
    return sorted(
        check.id
        for check in checks
        if not all(holds(check, example) for example in check.examples)
    )


def holds(check: type[Check], example: Example) -> bool:
    """Whether an example still gives its stated outcome; one that cannot run does not."""
    try:
        found = run_example(check, example)
    except NachweisError:
        return False
    return worst_outcome(found) is example.outcome


def worst_outcome(findings: list[Finding]) -> Outcome | None:
    """Outcome of the worst finding; None without findings."""
    return worst_first(findings)[0].outcome if findings else None


# ------------------------------------------------------------------------------- small worlds


def example_world(check: type[Check], example: Example) -> World:
    """The manifests of an example.

    Args:
        check: The check.
        example: One of its examples.

    Returns:
        One organisation, activity and model, and a data set per table.
    """
    data_sets = {_id(name): _data_set(name, table) for name, table in example.tables.items()}
    first = next(iter(data_sets), "data")
    suites = {}
    if example.suite:
        rules = {"id": first, "data_set": first, "expectations": list(example.suite)}
        suites[first] = Suite.model_validate(rules)
    wired = {
        name: [_id(name)] if name in _LISTS else _id(name)
        for name in example.tables
        if name in ModelData.model_fields
    }
    model = Model.model_validate({**_MODEL, "data": wired, **example.model})
    activity = Activity.model_validate({**_ACTIVITY, **example.activity})
    return World(
        organisation=Organisation.model_validate(_ORGANISATION),
        policy=Policy(checks={check.id: dict(example.params)}),
        activities={activity.id: activity},
        models={model.id: model},
        data_sets=data_sets,
        suites=suites,
    )


_LISTS = frozenset({"training", "features", "sources"})
"""Fields of ``ModelData`` that name several data sets."""


def _subject(check: type[Check], example: Example) -> Subject:
    if check.subject is SubjectKind.DATA_SET:
        return Subject(kind=check.subject, id=_id(next(iter(example.tables))))
    return Subject(kind=check.subject, id=check.subject.value)


def _id(name: str) -> str:
    """Data-set id of an example's table; fields of ``ModelData`` are written with underscores."""
    return name.replace("_", "-")


def _data_set(name: str, table: ExampleTable) -> DataSet:
    declared = dict(table.declare)
    columns = declared.pop("columns", [{"name": column} for column in table.rows])
    return DataSet.model_validate(
        {
            "id": _id(name),
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


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
