"""Groups of protected attributes: which may be counted, how, and how they are named."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from nachweis.domain.check import Inputs
from nachweis.domain.manifest import DataSet, FieldRole, ProtectedAttribute
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Join,
    Observations,
    Source,
)


def group_key(attribute_id: str) -> str:
    """Key of an attribute in a table of counts."""
    return f"group:{attribute_id}"


# -------------------------------------------------------------------------- what may be counted


def attributes(inputs: Inputs) -> list[ProtectedAttribute]:
    """Attributes that may be counted tonight."""
    return [
        attribute
        for attribute in inputs.model.protected_attributes
        if not refusal(inputs, attribute)
    ]


def refusal(inputs: Inputs, attribute: ProtectedAttribute) -> str:
    """What must be declared before an attribute may be counted, or an empty string.

    Special categories of personal data are read for bias work only while an activity of the model
    declares all conditions of Art. 4a of the AI Act.
    """
    if attribute.art9 is not None and not _special_category_allowed(inputs, attribute):
        return (
            f"an unexpired 'bias_special_category_processing' that names {attribute.art9.value} "
            "in an activity of this model (Art. 4a AI Act)"
        )
    if held_elsewhere(inputs, attribute):
        other = inputs.world.data_sets.get(attribute.data_set or "")
        if other is None or other.subject_key is None or log_of(inputs).subject_key is None:
            return f"'subject_key' of the scoring log and of {attribute.data_set}"
    return ""


def _special_category_allowed(inputs: Inputs, attribute: ProtectedAttribute) -> bool:
    tonight = inputs.night.date
    return any(
        declared is not None
        and attribute.art9 in declared.attributes
        and tonight <= declared.delete_by
        and (declared.bias_closed_at is None or tonight <= declared.bias_closed_at)
        for declared in (a.bias_special_category_processing for a in inputs.activities)
    )


def intersections(inputs: Inputs) -> list[tuple[ProtectedAttribute, ...]]:
    """Declared intersections whose attributes may all be counted."""
    known = {attribute.id: attribute for attribute in attributes(inputs)}
    found = []
    for ids in inputs.model.intersections:
        group = tuple(known[one] for one in ids if one in known)
        if len(group) == len(ids):
            found.append(group)
    return found


def held_elsewhere(inputs: Inputs, attribute: ProtectedAttribute) -> bool:
    """Whether another data set than the scoring log holds the attribute."""
    return attribute.data_set is not None and attribute.data_set != log_of(inputs).id


def log_of(inputs: Inputs) -> DataSet:
    """The model's scoring log; the need must have been declared."""
    log = inputs.data("scoring_log")
    if log is None:
        raise LookupError("the need 'scoring_log' was not met")
    return log


# ------------------------------------------------------------------------------------- requests


def name_of(group: Sequence[ProtectedAttribute]) -> str:
    """Name of an attribute or intersection."""
    return "+".join(attribute.id for attribute in group)


def counts(inputs: Inputs, group: Sequence[ProtectedAttribute]) -> GroupedCounts:
    """Rows per group, prediction and exposure among the eligible of the current window.

    All checks of this family ask for the same keys, so that one query per attribute serves them.
    """
    log = log_of(inputs)
    by = group_expressions(inputs, group)
    if prediction := log.field(FieldRole.PREDICTION):
        by["prediction"] = prediction
    if contacted := log.field(FieldRole.CONTACTED):
        by["contacted"] = truth(contacted)
        if arm := log.field(FieldRole.ARM):
            by["arm"] = arm
    return GroupedCounts(
        f"counts:{name_of(group)}",
        inputs.source("scoring_log", "current"),
        by=by,
        where=eligible(log),
        join=attribute_joins(inputs, group) or None,
    )


def holdouts_of(inputs: Inputs) -> frozenset[str]:
    """Names of the hold-out arms in lower case, from the parameter ``holdout_arms``."""
    names = str(inputs.param("holdout_arms")).split(",")
    return frozenset(name.strip().lower() for name in names if name.strip())


def eligible(log: DataSet) -> Expression | None:
    """Filter on the eligible, where the log declares who is."""
    column = log.field(FieldRole.ELIGIBLE)
    return truth(column) if column else None


def group_expressions(
    inputs: Inputs, group: Sequence[ProtectedAttribute]
) -> dict[str, str | Expression]:
    """Group keys and what they are: the attribute's column, or the band its number lies in."""
    return {
        group_key(one.id): _group_expression(column_of(inputs, one), tuple(one.bands))
        for one in group
    }


def column_of(inputs: Inputs, attribute: ProtectedAttribute) -> str:
    """Column of an attribute beside the rows of the scoring log, joined or its own."""
    return f"joined_{attribute.id}" if held_elsewhere(inputs, attribute) else attribute.column


def attribute_joins(inputs: Inputs, group: Sequence[ProtectedAttribute]) -> tuple[Join, ...]:
    """Joins of the scoring log with the data sets that hold these attributes, one per data set."""
    elsewhere: dict[str, list[ProtectedAttribute]] = {}
    for attribute in group:
        if held_elsewhere(inputs, attribute):
            elsewhere.setdefault(attribute.data_set or "", []).append(attribute)
    own_key = log_of(inputs).subject_key
    joins = []
    for data_set, held in sorted(elsewhere.items()):
        other = inputs.world.data_sets[data_set]
        if own_key is None or other.subject_key is None:
            raise LookupError("a subject key is not declared")
        joins.append(
            Join(
                other=Source(other.id),
                key=(own_key.column, other.subject_key.column),
                columns=tuple((column_of(inputs, one), one.column) for one in held),
                time=other.time.column if other.time else None,
            )
        )
    return tuple(joins)


# Engines share a query between requests with the same expressions, so each is built once.


@lru_cache(maxsize=256)
def truth(column: str) -> Expression:
    """A column of zeros and ones, or of texts such as ``true``, as a truth value."""
    return lambda table: table[column].cast("boolean")


@lru_cache(maxsize=256)
def _group_expression(column: str, edges: tuple[float, ...]) -> Expression:
    if not edges:
        return lambda table: table[column]
    return lambda table: _banded(table[column], edges)


def _banded(value: Any, edges: Sequence[float]) -> Any:
    """Name of the band a number lies in; a missing number lies in none."""
    names = band_names(edges)
    # NaN counts as larger than any number in DuckDB; it is in no band either.
    result = ((value >= edges[-1]) & (value <= float("inf"))).ifelse(names[-1], None)
    for edge, name in zip(reversed(edges), reversed(names[:-1]), strict=True):
        result = (value < edge).ifelse(name, result)
    return result


def band_names(edges: Sequence[float]) -> list[str]:
    """Names of the bands between inner edges, for example ``under 25`` and ``25 to under 40``."""
    inner = [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
    return [f"under {edges[0]:g}", *inner, f"{edges[-1]:g} and over"]


# -------------------------------------------------------------------------------------- results


def counted(seen: Observations, name: str) -> CountTable | str:
    """A table of counts, or why there is none."""
    reasons = dict(seen.missing())
    if name in reasons:
        return reasons[name]
    table: CountTable = seen[name]
    return table


def without(table: CountTable, key: str, values: frozenset[str]) -> CountTable:
    """A table of counts without the rows whose key has one of these values.

    They are compared by their text in lower case, without surrounding blanks.
    """
    position = table.keys.index(key)
    return CountTable(
        table.keys,
        {
            row: n
            for row, n in table.rows.items()
            if str(row[position]).strip().lower() not in values
        },
    )
