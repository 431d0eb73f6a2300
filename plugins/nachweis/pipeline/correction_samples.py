"""Rows on which a correction is tried: of the training set, or of the scoring log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nachweis.checks.fairness._due import LABEL_COLUMN, due_window, outcome_join
from nachweis.checks.fairness._groups import (
    attribute_joins,
    band_names,
    column_of,
    log_of,
    refusal,
)
from nachweis.checks.fairness._verdicts import publishable_label
from nachweis.domain.check import Inputs, Needs
from nachweis.domain.disclosure import SMALLEST_COUNT
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import DataSet, FieldRole, ProtectedAttribute
from nachweis.domain.observation import Join, Sample, Source
from nachweis.engines.fairness_groups import same_value
from nachweis.engines.fairness_proxies import groups_of, names_of

if TYPE_CHECKING:
    from nachweis.engines.tables import Tables

LARGEST = 20_000


@dataclass(frozen=True)
class Groups:
    """Groups of one attribute in a sample.

    Attributes:
        attribute: The attribute.
        codes: Code of each row's group; -1 where it is not known or the group is tiny.
        names: Code to name.
    """

    attribute: ProtectedAttribute
    codes: NDArray[np.int64]
    names: Mapping[int, str]


@dataclass(frozen=True)
class Rows:
    """Sampled rows.

    Attributes:
        data_set: What was sampled.
        n: Number of rows.
        groups: Groups per attribute that may be read.
        labels: Outcome of each row; None where the sample knows none.
        features: The declared features; empty for rows of the scoring log.
        scores: Score of each row; None for rows of the training set.
        decisions: The recorded decision of each row; None for rows of the training set.
        left_out: Attribute to what must be declared before it may be read.
    """

    data_set: str
    n: int
    groups: tuple[Groups, ...]
    labels: NDArray[np.bool_] | None
    features: Mapping[str, NDArray[Any]]
    scores: NDArray[np.float64] | None
    decisions: NDArray[np.bool_] | None
    left_out: Mapping[str, str]


def training_rows(inputs: Inputs, tables: Tables) -> Rows:
    """Sample the training set of the served version.

    Args:
        inputs: The model and the night.
        tables: The night's tables.

    Returns:
        Rows with features, outcome and groups.

    Raises:
        NachweisError: If something is not declared or the data cannot be read.
    """
    data_set = _training_set(inputs)
    label = data_set.field(FieldRole.LABEL)
    positive = _positive_outcome(inputs)
    held = {column.name for column in data_set.columns}
    features = [name for name in inputs.feature_names if name in held and name != label]
    _demand(
        inputs,
        {
            f"'fields.label' of {data_set.id}": label is not None,
            "'outcome.positive' of the model": positive is not None,
            f"'feature: true' on columns of {data_set.id}": bool(features),
        },
    )
    columns, joins, left_out = _attribute_columns(inputs, data_set)
    attribute_names = set(columns.values())
    # An attribute that the model reads as a feature stays one; it is read once.
    wanted = tuple(dict.fromkeys([*features, str(label), *attribute_names]))
    request = Sample("rows", Source(data_set.id), wanted, LARGEST, join=tuple(joins) or None)
    found = tables.sample(request, inputs.model.current)
    outcomes = found[str(label)]
    known = _present(outcomes)
    return Rows(
        data_set=data_set.id,
        n=int(known.sum()),
        groups=_groups(inputs, columns, found, known),
        labels=_equal(outcomes[known], positive),
        features={name: found[name][known] for name in features},
        scores=None,
        decisions=None,
        left_out=left_out,
    )


def scored_rows(inputs: Inputs, tables: Tables) -> Rows:
    """Sample the scoring log: rows whose outcomes are due, or the current window without outcomes.

    Args:
        inputs: The model and the night.
        tables: The night's tables.

    Returns:
        Eligible rows with score, recorded decision, groups and, where they arrived, outcomes.

    Raises:
        NachweisError: If something is not declared or the data cannot be read.
    """
    _demand(
        inputs,
        {
            need.declare: need.met(inputs)
            for need in (Needs.SCORES, Needs.PREDICTIONS, Needs.POSITIVE)
        },
    )
    log = log_of(inputs)
    left_out = {
        one.id: declare
        for one in inputs.model.protected_attributes
        if (declare := refusal(inputs, one))
    }
    readable = [one for one in inputs.model.protected_attributes if one.id not in left_out]
    columns = {one.id: column_of(inputs, one) for one in readable}
    due = Needs.OUTCOMES.met(inputs) and Needs.LOG_KEY.met(inputs) and log.time is not None
    source = Source(log.id, "span", due_window(inputs)) if due else Source(log.id, "current")
    joins = [*([outcome_join(inputs)] if due else []), *attribute_joins(inputs, readable)]
    score, prediction = log.fields[FieldRole.SCORE], log.fields[FieldRole.PREDICTION]
    eligible = log.field(FieldRole.ELIGIBLE)
    more = [name for name in (eligible, LABEL_COLUMN if due else None) if name]
    wanted = tuple(dict.fromkeys([score, prediction, *more, *columns.values()]))
    request = Sample("rows", source, wanted, LARGEST, join=tuple(joins) or None)
    found = tables.sample(request, inputs.model.current)
    scores = np.asarray(found[score], dtype=np.float64)
    known = np.isfinite(scores) & _present(found[prediction])
    if eligible:
        known &= _equal(found[eligible], True) | _equal(found[eligible], 1)
    labels = None
    if due:
        known &= _present(found[LABEL_COLUMN])
        labels = _equal(found[LABEL_COLUMN][known], _positive_outcome(inputs))
    decision = inputs.model.decision
    positive = decision.rule.positive if decision else None
    return Rows(
        data_set=log.id,
        n=int(known.sum()),
        groups=_groups(inputs, columns, found, known),
        labels=labels,
        features={},
        scores=scores[known],
        decisions=_equal(found[prediction][known], positive),
        left_out=left_out,
    )


# --------------------------------------------------------------------------------------- helpers


def _training_set(inputs: Inputs) -> DataSet:
    served = inputs.model.served_on(inputs.night.end)
    named = [one.data_set for version in reversed(served) for one in version.trained_on]
    for id_ in [*named, *inputs.model.data.training]:
        if id_ in inputs.world.data_sets:
            return inputs.world.data_sets[id_]
    raise NachweisError(
        "no training set is declared",
        where=str(inputs.subject),
        remedy="declare 'data.training' of the model",
    )


def _positive_outcome(inputs: Inputs) -> Any:
    decision, declared = inputs.model.decision, inputs.model.outcome.positive
    return declared if declared is not None else decision and decision.rule.positive


def _demand(inputs: Inputs, conditions: Mapping[str, bool]) -> None:
    absent = [declare for declare, met in conditions.items() if not met]
    if absent:
        raise NachweisError(
            "a correction cannot be computed from what is declared",
            where=str(inputs.subject),
            remedy=f"declare {'; '.join(absent)}",
        )


def _attribute_columns(
    inputs: Inputs, data_set: DataSet
) -> tuple[dict[str, str], list[Join], dict[str, str]]:
    """Columns of the attributes beside the training rows, joins for them, and what is left out."""
    held = {column.name for column in data_set.columns}
    columns: dict[str, str] = {}
    joins: list[Join] = []
    left_out: dict[str, str] = {}
    for one in inputs.model.protected_attributes:
        other = inputs.world.data_sets.get(one.data_set or "")
        if declare := refusal(inputs, one):
            left_out[one.id] = declare
        elif one.column in held:
            columns[one.id] = one.column
        elif other is None or other.subject_key is None or data_set.subject_key is None:
            left_out[one.id] = (
                f"the column {one.column} in {data_set.id}, or its 'subject_key' and that of the "
                "data set that holds the attribute"
            )
        else:
            columns[one.id] = f"joined_{one.id}"
            joins.append(
                Join(
                    Source(other.id),
                    (data_set.subject_key.column, other.subject_key.column),
                    ((columns[one.id], one.column),),
                    time=other.time.column if other.time else None,
                )
            )
    return columns, joins, left_out


def _groups(
    inputs: Inputs,
    columns: Mapping[str, str],
    found: Mapping[str, NDArray[Any]],
    known: NDArray[np.bool_],
) -> tuple[Groups, ...]:
    result = []
    for one in inputs.model.protected_attributes:
        if one.id not in columns:
            continue
        values = found[columns[one.id]][known]
        codes = groups_of(values, tuple(one.bands))
        names = band_names(one.bands) if one.bands else names_of(values)
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        tiny = np.flatnonzero(sizes < SMALLEST_COUNT)
        codes = np.where(np.isin(codes, tiny), -1, codes)
        shown = {i: publishable_label(name) for i, name in enumerate(names) if i not in set(tiny)}
        result.append(Groups(one, codes, shown))
    return tuple(result)


def _present(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(~np.isnan(values), dtype=np.bool_)
    if values.dtype.kind == "O":
        return np.array([value is not None for value in values.tolist()], dtype=bool)
    return np.ones(len(values), dtype=bool)


def _equal(values: NDArray[Any], declared: Any) -> NDArray[np.bool_]:
    return np.array([same_value(value, declared) for value in values.tolist()], dtype=bool)
