"""Manifests of the benchmark: one model, its reference, its scoring log and their suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench import data

CHECKS = {
    "data_set": ("training_data_meets_suite",),
    "model": (
        "feature_distribution_stable",
        "prediction_distribution_stable",
        "selection_rate_parity_held",
        "error_rate_parity_held",
    ),
}
"""The checks that give what the plain script gives, by kind of subject."""


def world() -> Any:
    """The manifests, as they would be read from files."""
    from nachweis.domain.manifest import Activity, DataSet, Model, Organisation, Suite, World

    return World(
        organisation=Organisation.model_validate(_ORGANISATION),
        activities={"scoring": Activity.model_validate(_ACTIVITY)},
        models={"model": Model.model_validate(_model())},
        data_sets={one["id"]: DataSet.model_validate(one) for one in _data_sets()},
        suites={"night": Suite.model_validate(_suite())},
    )


def every_check_world(
    types: Mapping[str, str] | None = None, features: Sequence[str] | None = None
) -> Any:
    """The same model with what most checks need declared: training set, keys, permission to use.

    Args:
        types: Column name to type; default is the data of ``bench.one_model``.
        features: The model's inputs among them.

    Returns:
        The manifests.
    """
    from nachweis.domain.manifest import Activity, DataSet, Model, Organisation, Suite, World

    types = types or {name: _type(name) for name in data.COLUMNS}
    features = features or data.FEATURES
    columns = [
        {"name": name, "type": kind, "category": "facts", "feature": name in features}
        for name, kind in {**types, "scored_at": "timestamp"}.items()
    ]
    scored = {"key": "id", "score": "score", "prediction": "prediction"}
    labelled = {**scored, "label": "label"}
    shared = {
        "columns": columns,
        "subject_key": {"column": "id"},
        "time": {"column": "scored_at"},
        "purposes": ["scoring"],
        "identifiability": "pseudonymised",
    }
    told = {**shared, "fields": {"key": "id", "label": "label"}, "time": None}
    declared = [
        {"id": "training", "role": "training", "location": "reference.parquet", "fields": labelled},
        {
            "id": "reference",
            "role": "reference",
            "location": "reference.parquet",
            "fields": labelled,
        },
        {"id": "night", "role": "scoring_log", "location": "night.parquet", "fields": scored},
        {"id": "outcomes", "role": "outcomes", "location": "night.parquet", **told},
    ]
    model = _model()
    model |= {
        "purpose": "scoring",
        "features": list(features),
        "data": {**model["data"], "training": ["training"]},
    }
    activity = {
        **_ACTIVITY,
        "data_categories": [
            {"id": "facts", "text": {"en": "Facts"}, "pseudonymised": True, "key_holder": "owner"}
        ],
    }
    rules = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}]
    suite = _suite()["expectations"] if features is data.FEATURES else rules
    return World(
        organisation=Organisation.model_validate(_ORGANISATION),
        activities={"scoring": Activity.model_validate(activity)},
        models={"model": Model.model_validate(model)},
        data_sets={one["id"]: DataSet.model_validate({**shared, **one}) for one in declared},
        suites={
            "night": Suite.model_validate(
                {"id": "night", "data_set": "night", "expectations": suite}
            )
        },
    )


_ORGANISATION = {
    "id": "bench",
    "controller": {
        "legal_name": "Example",
        "address": "Example Street 1",
        "country": "DE",
        "email": "privacy@example.org",
    },
    "roles": [{"id": "owner", "title": {"en": "Owner"}}],
    "countries": ["DE"],
    "establishment": "DE",
}
_ACTIVITY = {
    "id": "scoring",
    "title": {"en": "Scoring"},
    "owner": "owner",
    "models": ["model"],
    "purposes": [{"id": "scoring", "text": {"en": "Scoring"}}],
}


def _model() -> dict[str, Any]:
    return {
        "id": "model",
        "title": {"en": "Model"},
        "kind": "binary",
        "unit": "person",
        "stage": "draft",
        "owner": "owner",
        "activities": ["scoring"],
        "data": {"reference": "reference", "scoring_log": "night", "outcomes": "outcomes"},
        "decision": {"rule": {"score_at_least": data.SCORE_CUT, "positive": 1}},
        # The label is no feature; it is listed so that the same columns are compared.
        "features": [*data.FEATURES, "label"],
        "protected_attributes": [{"id": name, "column": name} for name in data.GROUPS],
        "outcome": {"positive": 1},
    }


def _data_sets() -> list[dict[str, Any]]:
    columns = [{"name": name, "type": _type(name)} for name in (*data.COLUMNS, "scored_at")]
    scored = {"columns": columns, "time": {"column": "scored_at"}}
    fields = {"key": "id", "score": "score", "prediction": "prediction"}
    told = [column for column in columns if column["name"] in {"id", "label", "scored_at"}]
    return [
        {
            "id": "reference",
            "role": "reference",
            "location": "reference.parquet",
            "fields": fields,
            **scored,
        },
        {
            "id": "night",
            "role": "scoring_log",
            "location": "night.parquet",
            "fields": fields,
            **scored,
        },
        {
            "id": "outcomes",
            "role": "outcomes",
            "location": "night.parquet",
            "columns": told,
            "additional_columns": "allowed",
            "fields": {"key": "id", "label": "label"},
        },
    ]


def _type(column: str) -> str:
    if column in {"id", "age", "prediction", "label"}:
        return "integer"
    if column == "scored_at":
        return "timestamp"
    return "number" if column in data.NUMBERS else "string"


def _suite() -> dict[str, Any]:
    rules: list[tuple[str, dict[str, Any]]] = [
        ("expect_column_values_to_be_unique", {"column": "id"})
    ]
    for column in data.NUMBERS:
        low, high = data.bounds(column)
        rules.append(("expect_column_values_to_not_be_null", {"column": column}))
        rules.append(
            (
                "expect_column_values_to_be_between",
                {"column": column, "min_value": low, "max_value": high},
            )
        )
    for column in data.CATEGORIES:
        values = {"column": column, "value_set": data.members(column)}
        rules.append(("expect_column_values_to_be_in_set", values))
    return {
        "id": "night",
        "data_set": "night",
        "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in rules],
    }
