"""Execute the observation requests of all checks of a subject, each source scanned once.

Requests are fused per source: all scalars go into one statement, grouped counts share one per set
of keys, a column is profiled once. What the data do not allow becomes :class:`Missing` with the
reason; one broken file or column never takes the other observations with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from nachweis.domain.errors import (
    BudgetExceededError,
    DataError,
    DataUnavailableError,
    NotDeliveredError,
)
from nachweis.domain.manifest import Model
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.manifest.suite import Suite
from nachweis.domain.observation import (
    Artefact,
    ArtefactFolder,
    ArtefactSignature,
    DataVersion,
    GroupedCounts,
    History,
    LockAudit,
    Missing,
    ModelScores,
    Observations,
    Overlap,
    PastFinding,
    Profile,
    Request,
    Sample,
    Scalar,
    SchemaOf,
    Source,
    SuiteResult,
    TextScan,
    WindowFacts,
)
from nachweis.engines.artefacts import FileReader, inspect_artefact
from nachweis.engines.tables import Tables, label_of

SUITE_QUERIES = 4
"""Statements that Great Expectations may send per suite."""

_SUPPORTED = (
    GroupedCounts,
    ModelScores,
    Overlap,
    Profile,
    Sample,
    Scalar,
    SchemaOf,
    SuiteResult,
    TextScan,
)
_ABOUT_FILES = (Artefact, ArtefactSignature, DataVersion, LockAudit)
_NO_ENGINE = "this observation needs an engine that is not installed"

T = TypeVar("T", bound=Request)


@dataclass(frozen=True)
class _Asked:
    """One request of one check."""

    check: str
    request: Request


@dataclass
class _Results:
    """What was observed so far."""

    by_request: dict[tuple[str, str], Any] = field(default_factory=dict)
    windows: dict[Source, WindowFacts] = field(default_factory=dict)

    def put(self, asked: _Asked, value: Any) -> None:
        self.by_request[asked.check, asked.request.name] = value


def observe(
    tables: Tables,
    requests: Mapping[str, Sequence[Request]],
    *,
    model: Model | None,
    suites: Mapping[str, Suite],
    history: Callable[[str], list[PastFinding]],
    files: FileReader | None = None,
) -> dict[str, Observations]:
    """Look at the data once for all checks of a subject.

    Args:
        tables: The task's tables.
        requests: Check id to its requests.
        model: The model whose declared current window applies; None for a data set.
        suites: Suites by id.
        history: Earlier signed findings of a check about this subject, newest first.
        files: Opens model files and lock files; None finds none.

    Returns:
        Check id to its observations.

    Raises:
        BudgetExceededError: If more statements were sent than planned; a programming error.
    """
    asked = [_Asked(check, request) for check, items in requests.items() for request in items]
    current = model.current if model else None
    results = _Results()
    since = len(tables.log.entries)
    for item in asked:
        if isinstance(item.request, History):
            past = history(item.request.of or item.check)
            results.put(item, _newest_nights(past, item.request.nights))
        elif isinstance(item.request, ArtefactFolder):
            results.put(item, _listed(tables, item.request))
        elif isinstance(item.request, _ABOUT_FILES):
            results.put(item, _about_files(tables, item.request, files or FileReader()))
        elif not isinstance(item.request, _SUPPORTED):
            results.put(item, Missing(_NO_ENGINE))
    by_source: dict[Source, list[_Asked]] = {}
    for item in asked:
        if isinstance(item.request, _SUPPORTED):
            by_source.setdefault(item.request.source, []).append(item)
    for source, items in by_source.items():
        scan = _Scan(tables, source, current, suites, files or FileReader())
        _observe_source(scan, items, results)
    assert_budget(tables, asked_of=[item.request for item in asked], since=since)
    return {
        check: Observations(
            {request.name: results.by_request[check, request.name] for request in items},
            {
                source: facts
                for source, facts in results.windows.items()
                if any(request.source == source for request in items)
            },
        )
        for check, items in requests.items()
    }


def _listed(tables: Tables, request: ArtefactFolder) -> Any:
    return _attempt(lambda: tables.artefact_files(request))


def _newest_nights(past: Iterable[PastFinding], nights: int) -> list[PastFinding]:
    """Findings of the newest nights; a night holds one finding per column."""
    found = list(past)
    newest = set(sorted({finding.night for finding in found}, reverse=True)[:nights])
    return [finding for finding in found if finding.night in newest]


@dataclass(frozen=True)
class _Scan:
    """One source of one subject."""

    tables: Tables
    source: Source
    current: CurrentWindow | None
    suites: Mapping[str, Suite]
    files: FileReader


def _about_files(
    tables: Tables,
    request: Artefact | ArtefactSignature | LockAudit | DataVersion,
    files: FileReader,
) -> Any:
    """Requests that read no rows."""
    if isinstance(request, Artefact):
        return _attempt(lambda: inspect_artefact(files, request.uri))
    if isinstance(request, ArtefactSignature):
        from nachweis.engines.model_signatures import verify_signature

        return _attempt(lambda: verify_signature(files, request))
    if isinstance(request, LockAudit):
        from nachweis.engines.dependencies import audit

        return _attempt(lambda: audit(files, request.lock, request.feed))
    return tables.versions([request.source.data_set])[request.source.data_set]


def _observe_source(scan: _Scan, items: Sequence[_Asked], results: _Results) -> None:
    try:
        results.windows[scan.source] = scan.tables.facts(scan.source, scan.current)
    except DataError as error:
        for item in items:
            results.put(item, _missing(error))
        return
    _scalars(scan, items, results)
    _grouped(scan, items, results)
    _profiled(scan, items, results)
    done: dict[Request, Any] = {}
    samples = [item.request for item in items if isinstance(item.request, Sample)]
    for item in items:
        if isinstance(item.request, Sample):
            results.put(item, _sampled(scan, item.request, samples, done))
        elif not isinstance(item.request, Scalar | GroupedCounts | Profile):
            results.put(item, _once(scan, item.request, done))


def _scalars(scan: _Scan, items: Sequence[_Asked], results: _Results) -> None:
    wanted = {
        f"{item.check}/{item.request.name}": (item, item.request.expression)
        for item in items
        if isinstance(item.request, Scalar)
    }
    if not wanted:
        return
    values = _attempt(
        lambda: scan.tables.scalars(
            scan.source,
            scan.current,
            {name: expression for name, (_, expression) in wanted.items()},
        )
    )
    for name, (item, _) in wanted.items():
        results.put(item, values if isinstance(values, Missing) else values[name])


def _grouped(scan: _Scan, items: Sequence[_Asked], results: _Results) -> None:
    wanted = [(item, item.request) for item in items if isinstance(item.request, GroupedCounts)]
    if not wanted:
        return
    values = _attempt(
        lambda: scan.tables.grouped_together([request for _, request in wanted], scan.current)
    )
    for position, (item, _) in enumerate(wanted):
        results.put(item, values if isinstance(values, Missing) else values[position])


def _profiled(scan: _Scan, items: Sequence[_Asked], results: _Results) -> None:
    wanted = [(item, item.request) for item in items if isinstance(item.request, Profile)]
    columns = list(dict.fromkeys((request.column, request.kind) for _, request in wanted))
    found = dict(
        zip(columns, scan.tables.profiles(scan.source, scan.current, columns), strict=True)
    )
    for item, request in wanted:
        value = found[request.column, request.kind]
        results.put(item, _missing(value) if isinstance(value, DataError) else value)


def _once(scan: _Scan, request: Request, done: dict[Request, Any]) -> Any:
    """Execute a request unless an equal one of another check was executed already."""
    if isinstance(request, Overlap):
        # Filters are functions: the engine itself compares their structure.
        return _attempt(lambda: scan.tables.overlap(request, scan.current))
    anonymous = replace(request, name="")
    if anonymous not in done:
        if isinstance(request, ModelScores):
            done[anonymous] = _attempt(lambda: _scored(scan, request, done))
        else:
            done[anonymous] = _attempt(lambda: _execute(scan, request))
    return done[anonymous]


def _sampled(
    scan: _Scan, request: Sample, samples: Sequence[Sample], done: dict[Request, Any]
) -> Any:
    """Rows of a sample: of those that differ by size alone, all are the first rows of the largest.

    Samples are ordered by their keys' hashes, so that a smaller one is read with a larger one.
    """
    alike = [
        other for other in samples if replace(other, name="", n=0) == replace(request, name="", n=0)
    ]
    rows = _once(scan, max(alike, key=lambda other: other.n), done)
    if isinstance(rows, Missing):
        return rows
    return {column: values[: request.n] for column, values in rows.items()}


def _scored(scan: _Scan, request: ModelScores, done: dict[Request, Any]) -> Any:
    """Apply a stored model to a sample, which other checks may have asked for as well."""
    from nachweis.engines.models import scored_sample

    columns = (*request.columns, *request.beside)
    rows = _once(scan, Sample("", request.source, columns, request.n, request.seed), done)
    return rows if isinstance(rows, Missing) else scored_sample(scan.files, request, rows)


def _execute(scan: _Scan, request: Request) -> Any:
    tables, source, current = scan.tables, scan.source, scan.current
    if isinstance(request, SchemaOf):
        return tables.schema(source, current)
    if isinstance(request, Sample):
        return tables.sample(request, current)
    if isinstance(request, TextScan):
        return tables.texts(request, current)
    if isinstance(request, SuiteResult):
        if request.suite not in scan.suites:
            return Missing(f"there is no suite {request.suite!r}")
        return tables.suite(source, current, scan.suites[request.suite])
    raise TypeError(f"{type(request).__name__} is not executed here")


def _attempt(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except DataError as error:
        return _missing(error)


def _missing(error: DataError) -> Missing:
    reason = f"{error.where}: {error.what}" if error.where else error.what
    return Missing(
        reason,
        retriable=isinstance(error, DataUnavailableError),
        absent=isinstance(error, NotDeliveredError),
    )


def budget_of(mine: Sequence[Request]) -> dict[str, int]:
    """How many statements of each kind the requests of one source may cost.

    Args:
        mine: All requests with this source.

    Returns:
        Kind of statement, as in the query log, to the largest number.
    """
    return {
        "aggregate": 1,
        "window": 1,
        "grouped": len({_identity(request) for request in _of(mine, GroupedCounts)}),
        "profile": len({(r.column, r.kind) for r in _of(mine, Profile)}),
        "sample": len(
            {(r.columns, r.n, r.seed, r.join) for r in _of(mine, Sample)}
            | {((*r.columns, *r.beside), r.n, r.seed, None) for r in _of(mine, ModelScores)}
        ),
        "overlap": len(list(_of(mine, Overlap))),
        "text": 2 * len({replace(request, name="") for request in _of(mine, TextScan)}),
        "suite": SUITE_QUERIES * len({r.suite for r in _of(mine, SuiteResult)}),
    }


def assert_budget(tables: Tables, *, asked_of: Sequence[Request], since: int = 0) -> None:
    """Compare the query log with what the requests may cost.

    Per source: one fused aggregate, one window query, one query per set of keys and filter, one
    per profiled column, sample and overlap, and four per suite.

    Args:
        tables: The task's tables with their log.
        asked_of: All requests that were executed.
        since: Position in the log to count from.

    Raises:
        BudgetExceededError: If a source was queried more often.
    """
    for source in {request.source for request in asked_of}:
        label = label_of(source)
        allowed = budget_of([request for request in asked_of if request.source == source])
        for kind, limit in allowed.items():
            sent = sum(
                entry.source == label and entry.kind == kind for entry in tables.log.entries[since:]
            )
            if sent > limit:
                raise BudgetExceededError(
                    f"{sent} {kind} queries were sent and {limit} were planned",
                    where=label,
                    remedy="fuse the requests in nachweis.pipeline.observe",
                )


def _of(requests: Iterable[Request], kind: type[T]) -> Iterable[T]:
    return (request for request in requests if isinstance(request, kind))


def _identity(request: GroupedCounts) -> tuple[Any, ...]:
    """What makes a grouped count need a query of its own, as far as it shows without the data."""
    keys = tuple(key if isinstance(key, str) else id(key) for key in request.by.values())
    others = tuple(
        (join.other, join.key, join.columns, join.time, id(join.where)) for join in request.joins
    )
    return keys, id(request.where), others, request.at_least
