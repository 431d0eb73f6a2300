"""What a person needs to act on a finding: its meaning, how to see it again, whom to ask."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis import registry
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind
from nachweis.domain.manifest import World
from nachweis.domain.manifest.common import text_in


def guidance(world: World, finding: Finding, night: str) -> list[tuple[str, str]]:
    """Sentences for a person who does not know the check.

    Args:
        world: All manifests.
        finding: The finding.
        night: The signed night it belongs to.

    Returns:
        Title and text, in reading order. A check that is no longer installed is explained by what
        was signed alone.
    """
    check = registry.checks().get(finding.check)
    told: list[tuple[str, str]] = []
    if check is not None:
        told += [
            ("Question", check.question),
            ("What it means", check.why),
            ("How it is measured", check.method),
            ("What it leaves out", check.leaves_out),
        ]
    if finding.controls:
        told.append(("Controls", ", ".join(finding.controls)))
    if check is not None:
        told.append(
            (
                "How to reproduce it",
                f"nachweis check try {finding.check} --on {finding.subject} --night {night}",
            )
        )
    if finding.is_open:
        told.append(("What to try", finding.remediation))
        told.append(("If it stays", _afterwards(finding, waivable=bool(check and check.waivable))))
    told.append(("Whom to ask", _asked(world, finding.subject)))
    return told


def _afterwards(finding: Finding, *, waivable: bool) -> str:
    seen = f"nachweis finding ack '{finding.key}' --role ROLE says that it was seen"
    if finding.outcome is Outcome.ERROR:
        return f"{seen}; a check that could not judge cannot be waived."
    if not waivable:
        return f"{seen}; this check cannot be waived."
    return (
        f"{seen}; nachweis finding waive '{finding.key}' --role ROLE --until DATE --reason TEXT "
        "accepts it for at most 90 days."
    )


def _asked(world: World, subject: Subject) -> str:
    """Owner roles of what the finding is about and of the activities it serves."""
    own = {
        SubjectKind.MODEL: world.models,
        SubjectKind.DATA_SET: world.data_sets,
        SubjectKind.ACTIVITY: world.activities,
    }.get(subject.kind, {})
    declared = own.get(subject.id)
    owner = getattr(declared, "owner", None)
    told = [f"{_title(world, owner)} owns {subject}"] if owner else []
    models = [subject.id] if subject.kind is SubjectKind.MODEL else []
    if subject.kind is SubjectKind.DATA_SET:
        models = [model.id for model in world.models_using(subject.id)]
        told += [
            f"{_title(world, world.models[one].owner)} owns model/{one}, which uses it"
            for one in models
        ]
    activities = {activity.id: activity for one in models for activity in world.activities_of(one)}
    told += [
        f"{_title(world, activity.owner)} owns activity/{activity.id}"
        for _, activity in sorted(activities.items())
    ]
    return "; ".join(_each_once(told)) or "no owner is declared"


def _title(world: World, role_id: str) -> str:
    role = next((one for one in world.organisation.roles if one.id == role_id), None)
    if role is None:
        return f"role {role_id}"
    reached = f", {role.notify}" if role.notify else ""
    return f"{text_in(role.title, 'en')} (role {role_id}{reached})"


def _each_once(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
