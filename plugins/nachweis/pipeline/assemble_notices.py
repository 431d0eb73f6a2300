"""What the notices of Art. 13 and 14 GDPR and Art. 50 AI Act say beyond the record."""

from __future__ import annotations

from nachweis.domain.manifest import Activity, Stage, World
from nachweis.domain.record import RecordField
from nachweis.pipeline.fields import declared_field, plain

Group = tuple[str, str, list[RecordField]]
"""Id of a section, its label, its fields."""


def for_notices(activity: Activity, world: World) -> list[Group]:
    """Declared facts that people are told and Art. 30 does not ask for.

    Args:
        activity: The activity.
        world: All manifests.

    Returns:
        Groups of fields; a group without fields is left out of the record.
    """
    rights = plain(activity.rights)
    points = [plain(point) for point in world.organisation.contact_points]
    return [
        ("benefits", "field.benefit", _benefits(activity)),
        ("provision", "notice.obligation", _provision(activity)),
        ("automated-decisions", "notice.adm", _decisions(activity, world)),
        ("ai-disclosure", "notice.ai_interaction", _disclosures(activity, world)),
        (
            "rights",
            "beyond.rights",
            [declared_field("rights", "beyond.rights", rights)] if rights else [],
        ),
        (
            "contact-points",
            "notice.contact_points",
            [declared_field("contact_points", "notice.contact_points", points)] if points else [],
        ),
    ]


def _benefits(activity: Activity) -> list[RecordField]:
    return [
        declared_field(
            f"benefit/{item.id}", "field.benefit", {"purpose": item.text, "benefit": item.benefit}
        )
        for item in activity.purposes
        if item.benefit
    ]


def _provision(activity: Activity) -> list[RecordField]:
    return [
        declared_field(
            f"provision/{item.id}",
            "notice.obligation",
            {
                "category": item.text,
                "mandatory": item.mandatory,
                **({"consequence": item.consequence} if item.consequence else {}),
            },
        )
        for item in activity.data_categories
        if item.mandatory is not None
    ]


def _decisions(activity: Activity, world: World) -> list[RecordField]:
    return [
        declared_field(
            f"automated_decisions/{key}",
            "notice.adm",
            {"title": model.title, **plain(model.decision, "rule", "ground")},
        )
        for key, model in sorted(world.models.items())
        if activity.id in model.activities
        and model.stage is not Stage.RETIRED
        and model.decision is not None
    ]


def _disclosures(activity: Activity, world: World) -> list[RecordField]:
    return [
        declared_field(
            f"ai_disclosure/{key}",
            "notice.ai_interaction",
            {"title": model.title, "disclosure": model.ai_act.disclosure},
        )
        for key, model in sorted(world.models.items())
        if activity.id in model.activities
        and model.stage is not Stage.RETIRED
        and model.ai_act is not None
        and model.ai_act.disclosure
    ]
