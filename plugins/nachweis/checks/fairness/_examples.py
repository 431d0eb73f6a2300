"""Small tables for the examples of this family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from nachweis.domain.check import ExampleTable
from nachweis.domain.manifest import DataSetRole

_NOON = dt.datetime(2026, 3, 2, 12)

MODEL: Mapping[str, Any] = {
    "decision": {"rule": {"positive": 1}},
    "protected_attributes": [{"id": "gender", "column": "gender"}],
}
"""A model with a favourable prediction and one protected attribute."""


def log(*cells: tuple[Mapping[str, Any], int], **declare: Any) -> ExampleTable:
    """A scoring log of one night.

    Args:
        *cells: Values of a row, and how many such rows there are.
        **declare: Further fields of its manifest.

    Returns:
        The table, with a time column.
    """
    names = list(cells[0][0])
    rows = {name: [row[name] for row, n in cells for _ in range(n)] for name in names}
    rows["at"] = [declare.pop("at", _NOON)] * sum(n for _, n in cells)
    return ExampleTable(
        DataSetRole.SCORING_LOG,
        rows,
        {"time": {"column": "at"}, "fields": {"prediction": "offer"}, **declare},
    )


def offers(women: tuple[int, int], men: tuple[int, int]) -> dict[str, ExampleTable]:
    """A scoring log with offers by gender.

    Args:
        women: Women with and without an offer.
        men: Men with and without an offer.

    Returns:
        The table of a model.
    """
    return {
        "scoring_log": log(
            ({"gender": "female", "offer": 1}, women[0]),
            ({"gender": "female", "offer": 0}, women[1]),
            ({"gender": "male", "offer": 1}, men[0]),
            ({"gender": "male", "offer": 0}, men[1]),
        )
    }


def audience(
    groups: Mapping[str, tuple[int, int]],
    *,
    second_night: tuple[str, ...] = (),
    holdout: Mapping[str, int] | None = None,
) -> dict[str, ExampleTable]:
    """A scoring log with contacts over two nights.

    Args:
        groups: Gender to the people contacted at all and to all people.
        second_night: Genders that are contacted on the second night only; the others on the first.
        holdout: Gender to further people of a hold-out arm.

    Returns:
        The table of a model.
    """
    rows: list[tuple[str, str, bool, str, dt.datetime]] = []
    for gender, (reached, n) in groups.items():
        for night in (0, 1):
            contacted_now = night == int(gender in second_night)
            at = _NOON - dt.timedelta(days=1 - night)
            rows += [
                (f"{gender}{i}", gender, contacted_now and i < reached, "mail", at)
                for i in range(n)
            ]
    for gender, n in (holdout or {}).items():
        rows += [(f"h-{gender}{i}", gender, False, "Holdout", _NOON) for i in range(n)]
    names = ("person", "gender", "sent", "arm", "at")
    return {
        "scoring_log": ExampleTable(
            DataSetRole.SCORING_LOG,
            {name: [row[i] for row in rows] for i, name in enumerate(names)},
            {
                "time": {"column": "at"},
                "subject_key": {"column": "person"},
                "fields": {"contacted": "sent", "arm": "arm"},
            },
        )
    }


def features_log(
    values: Callable[[str, int], Mapping[str, Any]], n: int = 150
) -> dict[str, ExampleTable]:
    """A scoring log with the features ``orders`` and ``device``.

    Args:
        values: From gender and number of a person to the features.
        n: People per gender.

    Returns:
        The table of a model.
    """
    people = [
        {"person": f"{gender}{i}", "gender": gender, **values(gender, i)}
        for gender in ("female", "male")
        for i in range(n)
    ]
    return {
        "scoring_log": log(
            *((person, 1) for person in people),
            fields={"key": "person"},
            columns=[
                {"name": "person"},
                {"name": "gender"},
                {"name": "orders", "feature": True},
                {"name": "device", "feature": True},
                {"name": "at"},
            ],
        )
    }


MODEL_WITH_OUTCOMES = {**MODEL, "outcome": {"positive": 1, "label_delay": "P30D"}}
_SCORED = dt.datetime(2026, 1, 30, 12)
_TOLD = dt.datetime(2026, 2, 27, 12)


def outcomes_of(
    *cells: tuple[str, int, int | None, int], scored: dt.datetime = _SCORED
) -> dict[str, ExampleTable]:
    """A scoring log and the outcomes of its rows.

    Args:
        *cells: Gender, offer, outcome (None = not known yet) and number of people.
        scored: When the rows were scored.

    Returns:
        Both tables.
    """
    people = [(gender, offer, bought) for gender, offer, bought, n in cells for _ in range(n)]
    scoring_log = log(
        *(
            ({"gender": gender, "offer": offer, "row": f"r{index}"}, 1)
            for index, (gender, offer, _) in enumerate(people)
        ),
        at=scored,
        fields={"prediction": "offer", "key": "row"},
    )
    told = [(f"r{i}", bought) for i, (*_, bought) in enumerate(people) if bought is not None]
    outcomes = ExampleTable(
        DataSetRole.OUTCOMES,
        {
            "row": [row for row, _ in told],
            "bought": [bought for _, bought in told],
            "told_at": [_TOLD] * len(told),
        },
        {
            "columns": [
                {"name": "row", "type": "string"},
                {"name": "bought", "type": "integer"},
                {"name": "told_at", "type": "timestamp"},
            ],
            "fields": {"key": "row", "label": "bought"},
            "time": {"column": "told_at"},
        },
    )
    return {"scoring_log": scoring_log, "outcomes": outcomes}


def scored_outcomes(
    *cells: tuple[str, float, int, int], scored: dt.datetime = _SCORED
) -> dict[str, ExampleTable]:
    """A scoring log with scores, and the outcomes of its rows.

    Args:
        *cells: Gender, score, number of people and how many of them bought.
        scored: When the rows were scored.

    Returns:
        Both tables.
    """
    people = [
        (gender, score, int(i < bought)) for gender, score, n, bought in cells for i in range(n)
    ]
    tables = outcomes_of(*((gender, 1, bought, 1) for gender, _, bought in people), scored=scored)
    scoring_log = tables["scoring_log"]
    fields = {**scoring_log.declare["fields"], "score": "score"}
    return {
        **tables,
        "scoring_log": ExampleTable(
            DataSetRole.SCORING_LOG,
            {**scoring_log.rows, "score": [score for _, score, _ in people]},
            {**scoring_log.declare, "fields": fields},
        ),
    }


def with_people(tables: Mapping[str, ExampleTable]) -> dict[str, ExampleTable]:
    """The same tables, with the gender held by another data set, by person.

    Args:
        tables: What :func:`outcomes_of` returned.

    Returns:
        The scoring log without the gender, the outcomes, and the people.
    """
    scoring_log = tables["scoring_log"]
    rows = dict(scoring_log.rows)
    genders = rows.pop("gender")
    rows["person"] = [f"p{index}" for index in range(len(genders))]
    declare = {**scoring_log.declare, "subject_key": {"column": "person"}}
    people = ExampleTable(
        DataSetRole.SOURCE,
        {"person": rows["person"], "gender": genders},
        {"subject_key": {"column": "person"}},
    )
    return {
        **tables,
        "scoring_log": ExampleTable(DataSetRole.SCORING_LOG, rows, declare),
        "people": people,
    }


def cells(gender: str, hits: int, misses: int, alarms: int, rest: int) -> list[Any]:
    """Cells of one gender: true and missed positives, false alarms and true negatives."""
    counts = {(1, 1): hits, (0, 1): misses, (1, 0): alarms, (0, 0): rest}
    return [(gender, offer, bought, n) for (offer, bought), n in counts.items()]
