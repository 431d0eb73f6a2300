"""``nachweis plan``: what would be read for a subject, by which checks and in how many statements.

Nothing is read: the plan is what the checks ask for, and which columns their expressions touch is
found from the declared columns alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import DataSet, DataSetRole, World
from nachweis.domain.manifest.model import CurrentWindow
from nachweis.domain.observation import (
    Expression,
    GroupedCounts,
    Overlap,
    Profile,
    Request,
    Sample,
    Source,
)
from nachweis.engines.columns_used import columns_used
from nachweis.pipeline.context import NightContext
from nachweis.pipeline.explain_requests import (
    columns_of,
    describe,
    kind_of,
    reads_rows,
    types_of,
)
from nachweis.pipeline.judge import SubjectPlan, plan_subject
from nachweis.pipeline.observe import budget_of
from nachweis.pipeline.summary import number_of

_WIDTH = 96


@dataclass(frozen=True)
class Looked:
    """One thing that is looked at, and the checks that share it."""

    kind: str
    what: str
    columns: list[str] | None
    checks: list[str]


@dataclass(frozen=True)
class SourceRead:
    """A data set seen through a window.

    Attributes:
        data_set: Its id.
        role: Its role.
        window: Its window, in words.
        locations: Where it lies, as declared.
        columns: Columns that are read; None where only the data can tell.
        declared_columns: How many are declared.
        looked_at: What is looked at.
        asked: Requests per kind, before those that are the same are put together.
        at_most: Statements per kind that may be sent; more stop the task.
        partner_of: Data sets whose rows look for partners here.
        kept: Columns whose profiles are kept by the content of the files, and read again only when
            it changes.
    """

    data_set: str
    role: str
    window: str
    locations: list[str]
    columns: list[str] | None
    declared_columns: int
    looked_at: list[Looked] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    at_most: dict[str, int] = field(default_factory=dict)
    partner_of: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NotRun:
    """A check that will not look."""

    check: str
    outcome: str
    reason: str
    declare: str


@dataclass(frozen=True)
class PlanExplanation:
    """What would be read for a subject.

    Attributes:
        subject: ``kind/id``.
        night: The night.
        checks: Checks that will judge.
        sources: Data sets and windows.
        beside: What is looked at beside data sets: files, the signed past.
        not_run: Checks that cannot run, and what to declare.
    """

    subject: str
    night: str
    checks: list[str]
    sources: list[SourceRead]
    beside: list[Looked]
    not_run: list[NotRun]

    def document(self) -> dict[str, Any]:
        """As JSON-able data."""
        return {**asdict(self), "statements_at_most": self.statements_at_most}

    @property
    def statements_at_most(self) -> int:
        """Statements about rows that may be sent for this subject."""
        return sum(sum(source.at_most.values()) for source in self.sources)

    def text(self, *, full: bool) -> str:
        """In words.

        Args:
            full: Also locations, columns, statements and what is kept.
        """
        lines = [f"{self.subject} in the night of {self.night}"]
        if full:
            lines.append(
                f"{len(self.checks)} checks look, {len(self.not_run)} cannot; at most "
                f"{self.statements_at_most} statements about rows of {len(self.sources)} windows"
            )
        for source in self.sources:
            seen = len(source.looked_at)
            lines.append(f"\n{source.data_set}, {source.window}: {number_of(seen, 'observation')}")
            lines += _details(source) if full else []
            lines += _table(source.looked_at)
        if self.beside:
            lines += ["\nBeside data sets:", *_table(self.beside)]
        if self.not_run:
            lines.append("\nNot looked at:")
            for one in self.not_run:
                lines.append(f"  {one.check}: {one.outcome.replace('_', ' ')}")
                lines.append(f"    {f'declare {one.declare}' if one.declare else one.reason}")
        return "\n".join(lines)


def explain_plan(context: NightContext, subject: Subject) -> PlanExplanation:
    """Say what would be read for a subject; reads no data.

    Args:
        context: The night.
        subject: The data set or model.

    Returns:
        The explanation.

    Raises:
        NachweisError: If there is no such subject.
    """
    context.demand(subject)
    world = context.loaded.world
    planned = plan_subject(world, subject, context.night)
    current = CurrentWindow()
    if subject.kind is SubjectKind.MODEL:
        current = world.models[subject.id].current
    return explain(world, planned, str(context.night), current)


def explain(
    world: World, planned: SubjectPlan, night: str, current: CurrentWindow
) -> PlanExplanation:
    """Say what a plan reads.

    Args:
        world: All manifests.
        planned: The plan.
        night: ``YYYY-MM-DD``.
        current: The declared current window.

    Returns:
        The explanation.
    """
    asked = [(check, one) for check, many in planned.requests.items() for one in many]
    by_source: dict[Source, list[tuple[str, Request]]] = {}
    beside: list[tuple[str, Request]] = []
    for check, request in asked:
        if reads_rows(request):
            by_source.setdefault(request.source, []).append((check, request))
        else:
            beside.append((check, request))
    partners = _partners(request for _, request in asked)
    sources = [
        _source(world, source, by_source.get(source, []), partners.get(source, []), current)
        for source in sorted({*by_source, *partners}, key=lambda one: one.label)
    ]
    return PlanExplanation(
        subject=str(planned.subject),
        night=night,
        checks=sorted(planned.checks),
        sources=sources,
        beside=_shared([(check, kind_of(one), describe(one), []) for check, one in beside]),
        not_run=[
            NotRun(one.check, one.outcome.value, one.explanation, one.declare)
            for one in planned.early
        ],
    )


# -------------------------------------------------------------------------------------- sources


@dataclass(frozen=True)
class _Partner:
    """A use of a data set as the right side of a join or overlap."""

    left: str
    columns: tuple[str, ...]
    where: Expression | None


def _partners(requests: Iterable[Request]) -> dict[Source, list[_Partner]]:
    found: dict[Source, list[_Partner]] = {}
    for request in requests:
        left = request.source.data_set
        if isinstance(request, Overlap):
            times = (request.right_from, *request.right_until)
            pairs = (*request.match, *request.match_known)
            columns = (request.key[1], *(b for _, b in pairs), *filter(None, times))
            use = _Partner(left, tuple(columns), request.other_where)
            found.setdefault(request.other, []).append(use)
        if isinstance(request, GroupedCounts | Sample):
            for join in request.joins:
                columns = (join.key[1], *(b for _, b in join.columns), *filter(None, (join.time,)))
                found.setdefault(join.other, []).append(_Partner(left, columns, join.where))
    return found


def _source(
    world: World,
    source: Source,
    asked: Sequence[tuple[str, Request]],
    partners: Sequence[_Partner],
    current: CurrentWindow,
) -> SourceRead:
    data_set = world.data_sets[source.data_set]
    requests = [request for _, request in asked]
    uses = [(check, one, columns_of(world, data_set, one)) for check, one in asked]
    read = [columns for _, _, columns in uses]
    types = types_of(data_set)
    read += [columns_used([*use.columns, use.where], types) for use in partners]
    if source.window != "whole" and data_set.time is not None:
        read.append({data_set.time.column})
    budget = budget_of(requests) if requests else {}
    kinds = [kind_of(request) for request in requests]
    needed = {"window", *kinds}
    return SourceRead(
        data_set=data_set.id,
        role=data_set.role.value,
        window=_window(source, current),
        locations=data_set.locations,
        columns=_together(read, data_set),
        declared_columns=len(data_set.columns),
        looked_at=_shared(
            [
                (check, kind_of(one), describe(one), None if columns is None else sorted(columns))
                for check, one, columns in uses
            ]
        ),
        asked={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        at_most={kind: n for kind, n in budget.items() if n and kind in needed},
        partner_of=sorted({use.left for use in partners}),
        kept=_kept(data_set, source, requests),
    )


def _window(source: Source, current: CurrentWindow) -> str:
    if source.window == "current":
        return (
            f"current window ({current.window}, up to {current.extend_to} for at least "
            f"{current.min_rows} rows)"
        )
    if source.span is not None:
        return f"window {source.span[0].date()} to {source.span[1].date()}"
    return f"{source.window} window"


def _kept(data_set: DataSet, source: Source, requests: Iterable[Request]) -> list[str]:
    """Columns whose profiles the engine keeps: those of pinned reference data."""
    whole = data_set.role is DataSetRole.REFERENCE and source.window == "whole"
    if not whole or data_set.pinned == "unpinned":
        return []
    return sorted({request.column for request in requests if isinstance(request, Profile)})


def _together(read: Sequence[set[str] | None], data_set: DataSet) -> list[str] | None:
    if any(columns is None for columns in read):
        return None
    found = {column for columns in read if columns is not None for column in columns}
    order = {column.name: number for number, column in enumerate(data_set.columns)}
    return sorted(found, key=lambda name: (order.get(name, len(order)), name))


def _shared(uses: Iterable[tuple[str, str, str, list[str] | None]]) -> list[Looked]:
    """What is looked at, each once with the checks that share it."""
    found: dict[tuple[str, str], Looked] = {}
    for check, kind, what, columns in uses:
        known = found.setdefault((kind, what), Looked(kind, what, columns, []))
        if check not in known.checks:
            known.checks.append(check)
    return [found[key] for key in sorted(found)]


# ----------------------------------------------------------------------------------------- text


def _details(source: SourceRead) -> list[str]:
    columns = (
        "only the data can tell, because no columns are declared"
        if source.columns is None
        else f"{len(source.columns)} of {source.declared_columns} declared: "
        + (", ".join(source.columns) or "none")
    )
    facts = [
        ("role", source.role.replace("_", " ")),
        ("location", ", ".join(source.locations)),
        ("columns", columns),
        ("asked for", _counts(source.asked)),
        ("statements, at most", _counts(source.at_most)),
        ("looked up by rows of", ", ".join(source.partner_of)),
        ("kept while the files are unchanged", f"profiles of {', '.join(source.kept)}"),
    ]
    if not source.kept:
        facts.pop()
    return [line for name, text in facts if text for line in _wrapped(name, text)]


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in numbers.items())


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(f"{name}: {text}", _WIDTH, initial_indent="  ", subsequent_indent="      ")


def _table(looked: Iterable[Looked]) -> list[str]:
    return [f"  {one.what:<56} {', '.join(one.checks)}" for one in looked]
