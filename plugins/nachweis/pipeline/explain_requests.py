"""What a request of a check is, in words, and which columns it reads by the declarations alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nachweis.domain.manifest import DataSet, World
from nachweis.domain.manifest.dataset import ColumnType
from nachweis.domain.observation import (
    NO_DATA_SET,
    Artefact,
    ArtefactFolder,
    ArtefactSignature,
    DataVersion,
    Expression,
    GroupedCounts,
    History,
    Join,
    LockAudit,
    ModelScores,
    Overlap,
    Profile,
    Request,
    Sample,
    Scalar,
    SchemaOf,
    SuiteResult,
    TextScan,
)
from nachweis.engines.columns_used import columns_used

_KINDS = {
    Scalar: "aggregate",
    GroupedCounts: "grouped",
    Profile: "profile",
    Overlap: "overlap",
    Sample: "sample",
    ModelScores: "sample",
    SuiteResult: "suite",
    TextScan: "text",
    SchemaOf: "schema",
}

_BESIDE_ROWS = {
    Artefact: "model file, read without loading it",
    ArtefactFolder: "stored models in the folders of artefacts, by name and digest",
    ArtefactSignature: "signature of the model file, and the files that it names, by digest",
    DataVersion: "version of the data set",
    LockAudit: "pinned packages against a list of known vulnerabilities",
}


def types_of(
    data_set: DataSet, joins: Iterable[tuple[DataSet, Join]] = ()
) -> dict[str, ColumnType]:
    """Declared types of a data set's columns, and of those that joins lay beside them."""
    types = {column.name: column.type for column in data_set.columns}
    for other, join in joins:
        for new, old in join.columns:
            column = other.column(old)
            types[new] = column.type if column else ColumnType.STRING
    return types


def columns_of(world: World, data_set: DataSet, request: Request) -> set[str] | None:
    """Columns of the source that a request reads; None where only the data can tell."""
    if isinstance(request, Profile):
        return {request.column}
    if isinstance(request, Scalar):
        return columns_used([request.expression], types_of(data_set))
    if isinstance(request, Overlap):
        pairs = (*request.match, *request.match_known)
        own = [request.key[0], *(a for a, _ in pairs), request.left_time, request.where]
        return columns_used(own, types_of(data_set))
    if isinstance(request, GroupedCounts):
        parts = [*request.by.values(), *request.sums.values()]
        return _beside_joins(world, data_set, request.joins, parts, request.where)
    if isinstance(request, Sample):
        parts = [*request.columns, *_sampled_by(data_set)]
        return _beside_joins(world, data_set, request.joins, parts, None)
    if isinstance(request, ModelScores):
        return {*request.columns, *request.beside, *_sampled_by(data_set)}
    if isinstance(request, TextScan):
        return {request.column, *filter(None, (request.by,))}
    if isinstance(request, SuiteResult):
        return _of_suite(world, data_set, request)
    return set()


def _sampled_by(data_set: DataSet) -> list[str]:
    """The key by whose hash rows are chosen."""
    subject = data_set.subject_key.column if data_set.subject_key else None
    key = data_set.field("key") or subject
    return [key] if key else []


def _beside_joins(
    world: World,
    data_set: DataSet,
    joins: Sequence[Join],
    parts: list[str | Expression],
    where: Expression | None,
) -> set[str] | None:
    """Columns of the left side only; those that a join lays beside are the partner's."""
    others = [(world.data_sets[join.other.data_set], join) for join in joins]
    found = columns_used([*parts, where], types_of(data_set, others))
    if found is None:
        return None
    new = {name for join in joins for name, _ in join.columns}
    return (found - new) | {join.key[0] for join in joins}


def _of_suite(world: World, data_set: DataSet, request: SuiteResult) -> set[str]:
    """Columns that a suite's rules name."""
    suite = world.suites.get(request.suite)
    names = {column.name for column in data_set.columns}
    if suite is None:
        return set()
    return {text for rule in suite.expectations for text in _texts(rule)} & names


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif hasattr(value, "model_dump"):
        yield from _texts(value.model_dump())


def kind_of(request: Request) -> str:
    """Kind of statement as in the query log; for requests beside rows, the request's own name."""
    return _KINDS.get(type(request), type(request).__name__)


def describe(request: Request) -> str:
    """A request in a few words; requests of several checks with the same words are shared."""
    if isinstance(request, Profile):
        return f"profile of {request.column}"
    if isinstance(request, GroupedCounts):
        others = " and ".join(join.other.data_set for join in request.joins)
        return f"counts by {', '.join(request.by)}" + (f" joined with {others}" if others else "")
    if isinstance(request, Overlap):
        return f"rows with a partner in {request.other.data_set} by {request.key[0]}"
    if isinstance(request, SuiteResult):
        return f"expectation suite {request.suite}"
    if isinstance(request, Sample):
        return f"sample of {request.n} rows, {len(request.columns)} columns"
    if isinstance(request, ModelScores):
        return f"stored model on a sample of {request.n} rows"
    if isinstance(request, TextScan):
        return f"identifiers in the texts of {request.column}"
    if isinstance(request, Scalar):
        return f"aggregate {request.name}"
    if isinstance(request, SchemaOf):
        return "column names and types"
    if isinstance(request, History):
        return f"signed measurements of up to {request.nights} earlier nights"
    return _BESIDE_ROWS.get(type(request), type(request).__name__)


def reads_rows(request: Request) -> bool:
    """Whether a request looks at rows of a data set."""
    return type(request) in _KINDS and request.source != NO_DATA_SET
