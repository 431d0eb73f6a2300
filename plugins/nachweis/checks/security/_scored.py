"""The stored model of a served version and the rows it is tried on, for checks of robustness."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from nachweis.checks.security._common import served
from nachweis.domain.check import ExampleTable, Inputs
from nachweis.domain.manifest import DataSet, DataSetRole
from nachweis.domain.manifest.model import ModelVersion
from nachweis.domain.observation import ModelScores, ScoredSample, Source
from nachweis.engines.robustness import Rule, rule_of

TRIED_ROWS = 2_000
SCOPE = "stored model on a seeded sample of the reference, else of the scoring log"


def tried_on(inputs: Inputs) -> DataSet | None:
    """The reference, which does not change by the night, else the scoring log."""
    return inputs.data("reference") or inputs.data("scoring_log")


def version_with_file(inputs: Inputs) -> ModelVersion | None:
    """The newest served version whose model can be loaded: skops with a declared digest."""
    found = [
        version
        for version in served(inputs)
        if version.artefact is not None
        and version.artefact.format == "skops"
        and version.artefact.digest is not None
    ]
    return found[-1] if found else None


def request(inputs: Inputs) -> ModelScores | None:
    """Scores of the stored model, or None where it or its rows are not declared."""
    version, data_set = version_with_file(inputs), tried_on(inputs)
    if version is None or version.artefact is None or data_set is None:
        return None
    if not inputs.feature_names or version.artefact.digest is None:
        return None
    of_reference = data_set.role is DataSetRole.REFERENCE
    return ModelScores(
        "scores",
        Source(data_set.id, "whole" if of_reference else "current"),
        version.artefact.uri,
        version.artefact.digest,
        tuple(inputs.feature_names),
        TRIED_ROWS,
    )


def rule(inputs: Inputs, sample: ScoredSample) -> Rule:
    """How the declared decision is made from the model's scores."""
    decision = inputs.model.decision
    declared = decision.rule if decision else None
    return rule_of(
        sample.classes,
        declared.positive if declared else None,
        declared.score_at_least if declared else None,
    )


MISSING = (
    "a served version with an artefact in skops format and its digest, 'features', and a "
    "reference or scoring log with a key"
)


# ------------------------------------------------------------------------------------ examples


def example_file(slope: float) -> bytes:
    """A linear model of a number and an age in skops format, written without fitting anything."""
    array = io.BytesIO()
    np.save(array, np.array([slope, 0.0]))

    def plain(value: float | bool) -> dict[str, Any]:
        return {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": json.dumps(value),
            "is_json": True,
        }

    array_node = {
        "__class__": "ndarray",
        "__module__": "numpy",
        "__loader__": "NdArrayNode",
        "type": "numpy",
        "file": "1.npy",
    }
    content = {
        "coef_": array_node,
        "intercept_": plain(0.0),
        "n_features_in_": plain(2),
        "positive": plain(False),
    }
    name = {"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode"}
    schema: dict[str, Any] = {
        "__class__": "LinearRegression",
        "__module__": "sklearn.linear_model._base",
        "__loader__": "ObjectNode",
        "content": {
            "__class__": "dict",
            "__module__": "builtins",
            "__loader__": "DictNode",
            "content": content,
            "key_types": {
                "__class__": "list",
                "__module__": "builtins",
                "__loader__": "ListNode",
                "content": [dict(name) for _ in content],
            },
        },
        "protocol": 2,
        "_skops_version": "0.16.0",
    }
    number = itertools.count(1)
    for node in _nodes(schema):
        node["__id__"] = next(number)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        stamp = (1980, 1, 1, 0, 0, 0)
        archive.writestr(zipfile.ZipInfo("1.npy", stamp), array.getvalue())
        archive.writestr(zipfile.ZipInfo("schema.json", stamp), json.dumps(schema))
    return buffer.getvalue()


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for one in node:
            yield from _nodes(one)
    elif isinstance(node, dict):
        if "__class__" in node:
            yield node
        for one in list(node.values()):
            yield from _nodes(one)


def example_declaration(content: bytes) -> dict[str, Any]:
    """A model whose only version is this file; 0 or more is favourable."""
    artefact = {"uri": "m", "format": "skops", "digest": sha256(content).hexdigest()}
    return {
        "versions": [{"version": "1", "artefact": artefact}],
        "features": ["mood", "age"],
        "decision": {"rule": {"score_at_least": 0.0, "positive": 1}},
    }


def example_tables(
    mood: Sequence[float], flags: Mapping[str, Any] | None = None
) -> dict[str, ExampleTable]:
    """A reference with a number and an age; ``flags`` are declared of the number."""
    rows: dict[str, list[Any]] = {
        "id": [str(i) for i in range(len(mood))],
        "mood": list(mood),
        "age": [18 + i % 60 for i in range(len(mood))],
    }
    columns = [
        {"name": "id"},
        {"name": "mood", "feature": True, **(flags or {})},
        {"name": "age", "feature": True},
    ]
    declared = {"columns": columns, "fields": {"key": "id"}}
    return {"reference": ExampleTable(DataSetRole.REFERENCE, rows, declared)}
