"""What follows from declared facts and the catalogues: duties of the AI Act, impact assessment.

It belongs to a night's assessment and not to the dossier: another catalogue makes no version.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from nachweis.domain.manifest import Activity, Model, ModelKind, Origin, World
from nachweis.domain.record import RecordField, Section

_SCORING = frozenset(
    {
        ModelKind.BINARY,
        ModelKind.MULTICLASS,
        ModelKind.REGRESSION,
        ModelKind.RANKING,
        ModelKind.UPLIFT,
        ModelKind.SEGMENTATION,
        ModelKind.EXTERNAL_AUDIENCE,
    }
)
_SERIOUS = frozenset({"price", "access_to_service", "contract", "legal"})
_PREVENTS = frozenset({"access_to_service", "contract"})
_OBSERVING = frozenset({"pd:BrowsingBehaviour", "pd:LinkClicked"})
_DELICATE = frozenset({"pd:Communication", "pd:Location"})


def derived_sections(world: World, model: Model, day: dt.date) -> tuple[Section, ...]:
    """Duties and impact assessment of one model on one day.

    Args:
        world: All manifests and catalogues.
        model: The model.
        day: Date of the night, for which duties apply already.

    Returns:
        Two sections whose fields are all derived.
    """
    return (
        Section(id="duties", label="doc.ai_duties", fields=(_duties(world, model, day),)),
        Section(id="dpia", label="doc.dpia", fields=tuple(_assessment(world, model))),
    )


def _field(key: str, label: str, value: Any) -> RecordField:
    empty = value in (None, [], {}, "")
    return RecordField(
        id=key,
        label=label,
        value=None if empty else value,
        origin=Origin.MISSING if empty else Origin.DERIVED,
    )


# --------------------------------------------------------------------------------- duties


def _duties(world: World, model: Model, day: dt.date) -> RecordField:
    """The duties that bind this model by its declared role and class."""
    declared = model.ai_act
    if declared is None:
        return _field("duties", "doc.ai_duties", None)
    roles = set(declared.role.split("_and_"))
    rows = []
    for duty in world.controls.duties:
        bound = bool(roles & set(duty["roles"])) and (
            not duty["classes"] or declared.risk_class in duty["classes"]
        )
        date = world.controls.dates.get(duty["date"])
        applies = date.value if date else None
        rows.append(
            {
                "article": duty["article"],
                "duty": duty["text"],
                "binds": bound,
                **({"applies_from": applies} if applies else {}),
                "applies_now": bound and applies is not None and applies <= day.isoformat(),
                "controls": ", ".join(duty["evidence"]),
            }
        )
    return _field("duties", "doc.ai_duties", rows)


# ----------------------------------------------------------------------- impact assessment


def criteria(world: World, model: Model, activities: Sequence[Activity]) -> dict[int, bool]:
    """Which of the nine criteria the declared facts meet.

    Args:
        world: All manifests.
        model: The model.
        activities: Its activities.

    Returns:
        Number of the criterion to whether it is met.
    """
    decision = model.decision
    automation = decision.automation if decision else "none"
    effect = decision.effect if decision else "none"
    categories = [item for activity in activities for item in activity.data_categories]
    subjects = [item for activity in activities for item in activity.data_subjects]
    used = [
        world.data_sets[key]
        for keys in model.data.all.values()
        for key in keys
        if key in world.data_sets
    ]
    large = set(world.controls.dpia.get("large_scale_bands", ()))
    countries = {country for item in subjects for country in item.countries}
    purposes = {purpose for item in used for purpose in item.purposes}
    return {
        1: model.kind in _SCORING and model.unit in {"person", "household"},
        2: automation == "solely_automated" and effect in _SERIOUS,
        3: any(item.dpv in _OBSERVING for item in categories),
        4: any(item.art9 or item.art10 or item.dpv in _DELICATE for item in categories),
        5: any(item.count_band in large for item in subjects) or len(countries) >= 2,
        6: len(purposes) > 1,
        7: any(item.vulnerable for item in subjects),
        8: model.kind is ModelKind.GENERATIVE,
        9: effect in _PREVENTS,
    }


def _traits(model: Model, met: dict[int, bool]) -> set[str]:
    """Facts that entries of national lists ask for."""
    found = set()
    if met[1]:
        found.add("scores_people")
    if model.kind is ModelKind.GENERATIVE:
        found.add("generative")
        if model.data.dialogues:
            found.add("talks_to_people")
    if met[9]:
        found.add("decides_access")
    return found


def _facts(world: World, model: Model, activities: Sequence[Activity]) -> dict[int, dict[str, Any]]:
    """The declared facts on which each criterion rests, whether they meet it or not."""
    decision = model.decision
    categories = [item for activity in activities for item in activity.data_categories]
    subjects = [item for activity in activities for item in activity.data_subjects]
    used = {key for keys in model.data.all.values() for key in keys} & set(world.data_sets)
    bands = set(world.controls.dpia.get("large_scale_bands", ()))
    effect = {"effect": decision.effect} if decision else {}
    return {
        1: {"kind": model.kind.value, "unit": model.unit},
        2: {"automation": decision.automation, **effect} if decision else {},
        3: {"categories": [item.text for item in categories if item.dpv in _OBSERVING]},
        4: {
            "categories": [
                item.text for item in categories if item.art9 or item.art10 or item.dpv in _DELICATE
            ]
        },
        5: {
            "count_band": sorted({i.count_band for i in subjects if i.count_band in bands}),
            "countries": sorted({country for item in subjects for country in item.countries}),
        },
        6: {"purposes": sorted({one for key in used for one in world.data_sets[key].purposes})},
        7: {"data_subjects": [item.text for item in subjects if item.vulnerable]},
        8: {"kind": model.kind.value},
        9: effect,
    }


def _described(world: World, model: Model, activities: Sequence[Activity]) -> Iterable[RecordField]:
    """What the description needs and manifests say: people, data, recipients, time limits, basis.

    Text of a category stands where a rule names its id: who reads the assessment knows no ids.
    """
    yield _field(
        "dpia/data_subjects",
        "a30.1c_subjects",
        [
            {
                "text": item.text,
                **({"count_band": item.count_band} if item.count_band else {}),
                **({"countries": item.countries} if item.countries else {}),
                "vulnerable": item.vulnerable,
            }
            for activity in activities
            for item in activity.data_subjects
        ],
    )
    yield _field(
        "dpia/data_flows",
        "dpia.data_flows",
        [
            {"title": world.data_sets[key].title, "used_as": role}
            for role, keys in model.data.all.items()
            for key in keys
            if key in world.data_sets
        ],
    )
    yield _field(
        "dpia/recipients",
        "a30.1d",
        [
            {"text": item.text, "kind": item.kind, "country": item.country}
            for activity in activities
            for item in activity.recipients
        ],
    )
    names = {item.id: item.text for activity in activities for item in activity.recipients}
    yield _field(
        "dpia/transfers",
        "a30.1e",
        [
            {
                "recipient": names.get(item.recipient, item.recipient),
                **({"country": item.country} if item.country else {}),
                "mechanism": item.mechanism,
            }
            for activity in activities
            for item in activity.transfers
        ]
        or (
            {"no_transfers": True}
            if activities and all(item.no_transfers for item in activities)
            else None
        ),
    )
    yield _field(
        "dpia/retention",
        "a30.1f",
        [
            {
                "categories": [
                    category.text for category in activity.data_categories
                    if category.id in rule.categories
                ],
                "period": rule.period,
                "start_event": rule.start_event.value,
                "method": rule.method,
            }
            for activity in activities
            for rule in activity.retention
        ],
    )  # fmt: skip
    yield _field(
        "dpia/legal_basis",
        "beyond.legal_basis",
        [
            {
                "purpose": purpose.text,
                "art6": purpose.legal_basis.art6,
                **({"art9": purpose.legal_basis.art9} if purpose.legal_basis.art9 else {}),
                **(
                    {"interest": purpose.legal_basis.interest}
                    if purpose.legal_basis.interest
                    else {}
                ),
            }
            for activity in activities
            for purpose in activity.purposes
            if purpose.legal_basis and (not purpose.models or model.id in purpose.models)
        ],
    )
    yield _field(
        "dpia/rights",
        "notice.rights",
        [text for activity in activities for text in activity.rights.channels],
    )


def _assessment(world: World, model: Model) -> Iterable[RecordField]:
    """Trigger and pre-filled skeleton; what no manifest says stays empty for people to write."""
    rules, activities = world.controls.dpia, world.activities_of(model.id)
    met = criteria(world, model, activities)
    number = sum(met.values())
    traits = _traits(model, met)
    hits = [
        {"entry": entry["id"], "country": entry["country"], "text": entry["text"]}
        for entry in rules.get("national", ())
        if entry["country"] in world.organisation.countries
        and traits & set(entry["any_of"])
        and number > int(entry["with_criteria"])
    ]
    needed = int(rules.get("criteria_needed", 2))
    required = number >= needed or bool(hits) or met[2]
    yield _field(
        "dpia/trigger",
        "dpia.trigger",
        {"required": required, "criteria_met": number, "criteria_needed": needed},
    )
    rest_on = _facts(world, model, activities)
    for key, value in met.items():
        facts = {name: item for name, item in rest_on[key].items() if value and item}
        yield _field(f"dpia/criterion_{key}", f"dpia.criterion_{key}", {"met": value, **facts})
    yield _field("dpia/national", "dpia.national", hits)
    yield _field(
        "dpia/description",
        "dpia.description",
        [
            {"purpose": purpose.text, "title": activity.title}
            for activity in activities
            for purpose in activity.purposes
            if not purpose.models or model.id in purpose.models
        ],
    )
    yield from _described(world, model, activities)
    yield _field(
        "dpia/necessity",
        "dpia.necessity",
        [
            {
                "category": category.text,
                **({"mandatory": category.mandatory} if category.mandatory is not None else {}),
            }
            for activity in activities
            for category in activity.data_categories
        ],
    )
    yield _field("dpia/risks", "dpia.risks", list(model.risks))
    yield _field(
        "dpia/measures",
        "dpia.measures",
        [
            {"control": measure.control, "statement": measure.statement}
            for activity in activities
            for measure in activity.toms
        ],
    )
    documents = sorted({item.links.dpia for item in activities if item.links.dpia})
    yield _field("dpia/document", "dpia.document", documents)
    yield _field("dpia/dpo_advice", "dpia.dpo_advice", None)
    yield _field("dpia/prior_consultation", "dpia.prior_consultation", None)
