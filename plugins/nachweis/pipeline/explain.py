"""``nachweis plan``: what would be read for a subject, and by which checks."""

from __future__ import annotations

from collections import defaultdict

from nachweis.domain.finding import Subject
from nachweis.domain.observation import (
    GroupedCounts,
    Overlap,
    Profile,
    Request,
    Sample,
    SuiteResult,
)
from nachweis.pipeline.context import NightContext
from nachweis.pipeline.judge import plan_subject


def explain_plan(context: NightContext, subject: Subject) -> str:
    """Describe a subject's plan in words; reads no data.

    Args:
        context: The night.
        subject: The data set or model.

    Returns:
        Text: per data-set window the requests and the checks that share them, then the checks
        that cannot run and what to declare.

    Raises:
        NachweisError: If there is no such subject.
    """
    context.demand(subject)
    planned = plan_subject(context.loaded.world, subject, context.night)
    shared: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for check_id, requests in planned.requests.items():
        for request in requests:
            place = (
                request.source.data_set,
                request.source.label.removeprefix(f"{request.source.data_set}:"),
            )
            users = shared[place][_describe(request)]
            if check_id not in users:
                users.append(check_id)
    lines = [f"{subject} in the night of {context.night}"]
    for (data_set, window), wanted in sorted(shared.items()):
        lines.append(f"\n{data_set}, {window} window: {len(wanted)} observations")
        for what, checks in sorted(wanted.items()):
            lines.append(f"  {what:<56} {', '.join(checks)}")
    if planned.early:
        lines.append("\nNot looked at:")
        for finding in planned.early:
            reason = f"declare {finding.declare}" if finding.declare else finding.explanation
            lines.append(f"  {finding.check}: {finding.outcome.value.replace('_', ' ')}")
            lines.append(f"    {reason}")
    return "\n".join(lines)


def _describe(request: Request) -> str:
    if isinstance(request, Profile):
        return f"profile of {request.column}"
    if isinstance(request, GroupedCounts):
        others = " and ".join(join.other.data_set for join in request.joins)
        join = f" joined with {others}" if others else ""
        return f"counts by {', '.join(request.by)}{join}"
    if isinstance(request, Overlap):
        return f"rows with a partner in {request.other.data_set} by {request.key[0]}"
    if isinstance(request, SuiteResult):
        return f"expectation suite {request.suite}"
    if isinstance(request, Sample):
        return f"sample of {request.n} rows"
    kind = type(request).__name__
    return {"Scalar": f"aggregate {request.name}", "SchemaOf": "column names and types"}.get(
        kind, kind
    )
