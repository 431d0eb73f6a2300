"""Checks on samples and fits whose inputs are as they were: their findings are carried over.

A check that says of itself that it `carries_over` looks at whole data sets, which mostly stay as
they are for weeks. Its findings of the last signed night count again, and say so, if everything
they were made from is the same: versions of the data sets, manifests, served model versions, code
and libraries. After a week it runs again all the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from nachweis.domain.check import Check
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import World
from nachweis.domain.night import Night
from nachweis.domain.observation import GroupedCounts, History, Overlap, Request, Sample
from nachweis.domain.record import Evidence, Statement
from nachweis.engines.versions import is_pinned
from nachweis.pipeline.archive import Archive
from nachweis.pipeline.context import NightContext, code_version, software
from nachweis.pipeline.judge import SubjectPlan

LONGEST_DAYS = 7
"""Nights after which a check runs again although nothing changed."""

_CARRIED = frozenset({Outcome.PASS, Outcome.FAIL, Outcome.NOT_APPLICABLE})


def carry_over(
    context: NightContext,
    archive: Archive,
    planned: SubjectPlan,
    versions: Callable[[list[str]], Mapping[str, str]],
) -> tuple[SubjectPlan, list[Finding]]:
    """Take the checks out of a plan whose inputs are as they were in the last signed night.

    Args:
        context: The night.
        archive: The signed past.
        planned: The subject's plan.
        versions: Versions of data sets as this night reads them.

    Returns:
        The plan without these checks, and their findings, each with the night that observed it.
    """
    candidates = [key for key, kind in planned.checks.items() if _may_carry(kind, planned, key)]
    if not candidates:
        return planned, []
    earlier = archive.history(str(planned.subject), context.night.date, 1)
    if not earlier:
        return planned, []
    day, evidence = earlier[0]
    attempt = archive.current(day)
    if attempt is None or not _same_surroundings(
        context, archive.statement(attempt), evidence, dt.date.fromisoformat(day)
    ):
        return planned, []
    carried: dict[str, list[Finding]] = {}
    for key in candidates:
        known = [finding for finding in evidence.findings if finding.check == key]
        read = replace(planned, requests={key: planned.requests[key]}).data_sets
        if _usable(known, day, context.night.date) and _same_data(read, evidence, versions(read)):
            carried[key] = [_since(finding, day) for finding in known]
    return _without(planned, carried), [finding for many in carried.values() for finding in many]


def _may_carry(kind: type[Check], planned: SubjectPlan, key: str) -> bool:
    return kind.carries_over and all(map(_of_whole_data_sets, planned.requests[key]))


def _of_whole_data_sets(request: Request) -> bool:
    """Whether a request reads nothing that is another in each night."""
    if isinstance(request, History):
        return False
    sources = [request.source]
    if isinstance(request, Overlap):
        sources.append(request.other)
    if isinstance(request, GroupedCounts | Sample):
        sources += [join.other for join in request.joins]
    return all(source.window == "whole" for source in sources)


def _same_surroundings(
    context: NightContext, statement: Statement, evidence: Evidence, then: dt.date
) -> bool:
    world, night = context.loaded.world, context.night
    return (
        statement.manifests_digest == context.manifests_digest
        and _source_of(statement.code_version) == _source_of(code_version(context.settings))
        and dict(evidence.software) == dict(software())
        and _served(world, replace(night, date=then)) == _served(world, night)
    )


def _source_of(version: str) -> str:
    """The digest of the source that ran; the commit before it may differ."""
    return version.rpartition("+")[2]


def _served(world: World, night: Night) -> dict[str, list[str]]:
    return {
        key: [version.version for version in model.served_on(night.end)]
        for key, model in world.models.items()
    }


def _same_data(read: Sequence[str], evidence: Evidence, tonight: Mapping[str, str]) -> bool:
    return all(
        is_pinned(tonight[data_set]) and evidence.data_versions.get(data_set) == tonight[data_set]
        for data_set in read
    )


def _usable(known: Iterable[Finding], day: str, tonight: dt.date) -> bool:
    findings = list(known)
    oldest = min((finding.carried_from or day for finding in findings), default=day)
    return (
        bool(findings)
        and all(finding.outcome in _CARRIED for finding in findings)
        and (tonight - dt.date.fromisoformat(oldest)).days <= LONGEST_DAYS
    )


def _since(finding: Finding, day: str) -> Finding:
    return finding.model_copy(update={"carried_from": finding.carried_from or day})


def _without(planned: SubjectPlan, checks: Collection[str]) -> SubjectPlan:
    return replace(
        planned,
        checks={key: kind for key, kind in planned.checks.items() if key not in checks},
        requests={key: many for key, many in planned.requests.items() if key not in checks},
    )
