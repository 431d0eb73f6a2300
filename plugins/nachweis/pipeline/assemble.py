"""Records and dossiers: declared facts in the order of Art. 30 GDPR and Annex IV AI Act.

Normative content only: nothing here depends on tonight's measurements, so that a new version
means that somebody declared something new or that another model version is served.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from nachweis.domain.manifest import Activity, Model, Origin, Stage, World
from nachweis.domain.manifest.dataset import DataSet
from nachweis.domain.manifest.model import ModelVersion
from nachweis.domain.record import Dossier, Record, RecordField, Section
from nachweis.pipeline.assemble_notices import for_notices
from nachweis.pipeline.fields import declared_field as _field
from nachweis.pipeline.fields import plain as _plain


def _listed(
    prefix: str, label: str, items: Iterable[BaseModel], *leave_out: str
) -> list[RecordField]:
    """One field per item; a single missing field where nothing was declared."""
    fields = [
        _field(f"{prefix}/{getattr(item, 'id', index)}", label, _plain(item, "id", *leave_out))
        for index, item in enumerate(items)
    ]
    return _distinct(fields) or [_field(prefix, label, None)]


def _distinct(fields: Iterable[RecordField]) -> list[RecordField]:
    """Fields with a number at the end of ids that came before: two transfers to one recipient."""
    seen: Counter[str] = Counter()
    found = []
    for field in fields:
        seen[field.id] += 1
        number = seen[field.id]
        found.append(
            field if number == 1 else field.model_copy(update={"id": f"{field.id}/{number}"})
        )
    return found


def served_models(world: World, activity: Activity, moment: dt.datetime) -> list[dict[str, Any]]:
    """Served versions of an activity's models at a moment.

    Args:
        world: All manifests.
        activity: The activity.
        moment: Usually the end of the night.

    Returns:
        Id, version, traffic share, live dates and artefact digest, by id.
    """
    listed = set(activity.models) | {
        model.id for model in world.models.values() if activity.id in model.activities
    }
    rows = []
    for model_id in sorted(listed & set(world.models)):
        for version in world.models[model_id].served_on(moment):
            row = {
                "id": model_id,
                "version": version.version,
                "traffic_share": version.traffic_share,
                "live_from": version.live_from.isoformat() if version.live_from else None,
                "artefact_digest": version.artefact.digest if version.artefact else None,
            }
            rows.append({key: value for key, value in row.items() if value is not None})
    return rows


def assemble_record(world: World, activity: Activity, moment: dt.datetime) -> Record:
    """The Art. 30 record of one activity.

    Args:
        world: All manifests.
        activity: The activity.
        moment: When the served model versions are read.

    Returns:
        The record; fields nobody declared are ``missing`` and listed in ``incomplete``.
    """
    organisation = world.organisation
    processor = activity.capacity == "processor"
    joint = activity.capacity == "joint_controller"
    optional = _OPTIONAL - ({"parties/joint_controllers"} if joint else set())
    sections = _processor_sections(world, activity) if processor else _sections(world, activity)
    incomplete = tuple(
        field.id
        for section in sections
        for field in section.fields
        if field.origin is Origin.MISSING and field.id not in optional
    )
    return Record(
        id=activity.id,
        title=activity.title,
        capacity=activity.capacity,
        status=activity.status.value,
        languages=tuple(organisation.languages),
        controlling_language=organisation.main_language,
        incomplete=incomplete,
        sections=sections,
        further=_further(activity, world),
        models=tuple(served_models(world, activity, moment)),
    )


_OPTIONAL = frozenset(
    {"parties/representative", "parties/joint_controllers", "parties/dpo", "special_categories"}
)
"""Fields that Art. 30 asks for only where they exist."""


def _parties(world: World, activity: Activity) -> Section:
    organisation = world.organisation
    joint = [
        {"party": _plain(party.party), **_plain(party, "party", "id")}
        for party in organisation.joint_controllers
        if party.id in activity.joint_controllers
    ]
    return Section(
        id="art30-1-a",
        label="a30.1a",
        fields=(
            _field("parties/controller", "role.controller", _plain(organisation.controller)),
            _field("parties/joint_controllers", "a30.1a_joint", joint),
            _field("parties/representative", "a30.1a_rep", _plain(organisation.eu_representative)),
            _field("parties/dpo", "a30.1a_dpo", _plain(organisation.dpo)),
        ),
    )


def _sections(world: World, activity: Activity) -> tuple[Section, ...]:
    special = [
        {"category": category.id, "art9": category.art9.value}
        for category in activity.data_categories
        if category.art9 is not None
    ]
    return (
        _parties(world, activity),
        Section(
            id="art30-1-b",
            label="a30.1b",
            fields=tuple(
                _listed(
                    "purposes",
                    "field.purpose",
                    activity.purposes,
                    "legal_basis",
                    "compatible_with",
                    "benefit",
                    "since",
                )
            ),
        ),
        Section(
            id="art30-1-c",
            label="a30.1c_subjects",
            fields=tuple(_listed("data_subjects", "a30.1c_subjects", activity.data_subjects)),
        ),
        Section(
            id="art30-1-c-data",
            label="a30.1c_data",
            fields=(
                *_listed(
                    "data_categories",
                    "a30.1c_data",
                    activity.data_categories,
                    "source",
                    "source_detail",
                    "mandatory",
                    "consequence",
                    "key_holder",
                ),
                _field("special_categories", "a30.1c_special", special, Origin.DERIVED),
            ),
        ),
        Section(
            id="art30-1-d",
            label="a30.1d",
            fields=tuple(
                _listed("recipients", "a30.1d", activity.recipients, "access_roles", "contract")
            ),
        ),
        _transfers(activity, "art30-1-e"),
        Section(
            id="art30-1-f",
            label="a30.1f",
            fields=tuple(_listed("retention", "a30.1f", activity.retention)),
        ),
        _measures(activity, "art30-1-g"),
    )


def _transfers(activity: Activity, section_id: str) -> Section:
    fields: list[RecordField]
    if activity.transfers:
        fields = _distinct(
            _field(f"transfers/{transfer.recipient}", "a30.1e", _plain(transfer))
            for transfer in activity.transfers
        )
    elif activity.no_transfers:
        fields = [_field("transfers", "a30.1e", {"no_transfers": True})]
    else:
        fields = [_field("transfers", "a30.1e", None)]
    return Section(id=section_id, label="a30.1e", fields=tuple(fields))


def _measures(activity: Activity, section_id: str) -> Section:
    fields = _distinct(
        _field(f"toms/{measure.control}", f"ctrl.{measure.control}", _plain(measure, "control"))
        for measure in activity.toms
    )
    return Section(
        id=section_id,
        label="a30.1g",
        fields=tuple(fields) or (_field("toms", "a30.1g", None),),
    )


def _processor_sections(world: World, activity: Activity) -> tuple[Section, ...]:
    organisation = world.organisation
    known = {client.id: client for client in organisation.clients}
    served = list(dict.fromkeys(item.client for item in activity.processing_for))
    return (
        Section(
            id="art30-2-a",
            label="a30.2a",
            fields=(
                _field("parties/processor", "role.processor", _plain(organisation.processor)),
                _field(
                    "parties/representative",
                    "role.representative",
                    _plain(organisation.eu_representative),
                ),
                _field("parties/dpo", "a30.1a_dpo", _plain(organisation.dpo)),
                *(
                    _field(f"clients/{key}", "role.controller", _plain(known.get(key), "id"))
                    for key in served
                ),
            ),
        ),
        Section(
            id="art30-2-b",
            label="a30.2b",
            fields=tuple(
                _distinct(
                    _field(f"processing_for/{item.client}", "a30.2b", _plain(item))
                    for item in activity.processing_for
                )
            ),
        ),
        _transfers(activity, "art30-2-c"),
        _measures(activity, "art30-2-d"),
    )


def _contact_permission(activity: Activity, world: World) -> list[RecordField]:
    """Against which registers contacts are held: a permission is not a legal basis."""
    found = []
    for purpose in activity.purposes:
        logs = [world.models[key].data.scoring_log for key in purpose.models if key in world.models]
        rules = [
            world.data_sets[log].contact_permission
            for log in logs
            if log is not None and log in world.data_sets
        ]
        registers = sorted({rule.register_ for rule in rules if rule is not None})
        if registers:
            found.append(
                _field(
                    f"contact_permission/{purpose.id}",
                    "beyond.contact_permission",
                    {"purpose": purpose.text, "registers": registers},
                    Origin.DERIVED,
                )
            )
    return found


def _further(activity: Activity, world: World) -> tuple[Section, ...]:
    """What Art. 30 does not require; kept apart."""
    bases = [
        _field(
            f"legal_basis/{purpose.id}",
            "beyond.legal_basis",
            {
                "purpose": purpose.text,
                **(_plain(purpose.legal_basis) or {}),
            }
            if purpose.legal_basis
            else None,
        )
        for purpose in activity.purposes
    ]
    sources = [
        _field(
            f"source/{category.id}",
            "beyond.source",
            {
                "category": category.text,
                "source": category.source,
                **({"source_detail": category.source_detail} if category.source_detail else {}),
            }
            if category.source
            else None,
        )
        for category in activity.data_categories
    ]
    compatible = [
        _field(
            f"compatibility/{purpose.id}", "field.compatible_with", _plain(purpose.compatible_with)
        )
        for purpose in activity.purposes
        if purpose.compatible_with
    ]
    bias = activity.bias_special_category_processing
    notice = _plain(activity.notice, "copies")
    groups: list[tuple[str, str, list[RecordField]]] = [
        ("legal-basis", "beyond.legal_basis", bases),
        (
            "contact-permission",
            "beyond.contact_permission",
            _contact_permission(activity, world),
        ),
        ("sources", "beyond.source", sources),
        ("compatibility", "field.compatible_with", compatible),
        (
            "bias-processing",
            "field.bias_special_category_processing",
            [_field("bias", "field.bias_special_category_processing", _plain(bias))]
            if bias
            else [],
        ),
        (
            "sovereignty",
            "field.sovereignty",
            [_field("sovereignty", "field.sovereignty", _plain(activity.sovereignty))],
        ),
        *for_notices(activity, world),
        (
            "notice",
            "doc.privacy_notice",
            [_field("notice", "doc.privacy_notice", notice)] if notice else [],
        ),
        ("links", "field.links", [_field("links", "field.links", _plain(activity.links))]),
        ("meta", "field.meta", [_field("meta", "field.meta", _meta(world, activity))]),
    ]
    return tuple(
        Section(id=key, label=label, fields=tuple(fields))
        for key, label, fields in groups
        if fields
    )


def _meta(world: World, activity: Activity) -> dict[str, Any]:
    meta = _plain(activity.meta) or {}
    return {
        "owner": _role(world, activity.owner),
        "status": activity.status.value,
        "review_interval": activity.meta.review_interval or world.policy.review_interval,
        **meta,
    }


def _role(world: World, role: str) -> Any:
    """A role as readers know it: its title; its id where organisation.yaml does not declare it."""
    titles = {item.id: item.title for item in world.organisation.roles}
    return titles.get(role, role)


# ------------------------------------------------------------------------------------ dossier


def assemble_dossier(world: World, model: Model, moment: dt.datetime) -> Dossier:
    """The lifecycle documentation of one model in Annex IV order, used as good practice.

    Args:
        world: All manifests.
        model: The model.
        moment: When the served versions are read.

    Returns:
        The dossier; a draft is marked so and lists what is missing.
    """
    sections = (
        _general(world, model, moment),
        _development(world, model),
        _monitoring(model),
        _one("annex4-4", "annex4.4", [_field("metrics", "annex4.4", _list(model.metrics))]),
        _one("annex4-5", "annex4.5", [_field("risks", "annex4.5", list(model.risks))]),
        _one(
            "annex4-6",
            "annex4.6",
            [
                _field(
                    f"changes/{version.version}",
                    "annex4.6",
                    {
                        "version": version.version,
                        **{
                            key: value
                            for key, value in (_plain(version) or {}).items()
                            if key in {"previous", "change", "approved_on", "live_from"}
                        },
                        **_approved_by(world, version),
                    },
                )
                for version in model.versions
            ]
            or [_field("changes", "annex4.6", None)],
        ),
        _one("annex4-7", "annex4.7", [_field("standards", "annex4.7", list(model.standards))]),
        _one("annex4-8", "annex4.8", [_declaration(model)]),
        _one(
            "annex4-9",
            "annex4.9",
            [_field("monitoring_plan", "annex4.9", _monitoring_plan(world, model), Origin.DERIVED)],
        ),
    )
    return Dossier(
        id=model.id,
        title=model.title,
        model_kind=model.kind.value,
        stage=model.stage.value,
        draft=model.stage is Stage.DRAFT,
        languages=tuple(world.organisation.languages),
        controlling_language=world.organisation.main_language,
        incomplete=tuple(
            field.id
            for section in sections
            for field in section.fields
            if field.origin is Origin.MISSING
        ),
        sections=sections,
        activities=tuple(activity.id for activity in world.activities_of(model.id)),
    )


def _approved_by(world: World, version: ModelVersion) -> dict[str, Any]:
    return {"approved_by": _role(world, version.approved_by)} if version.approved_by else {}


def _oversight(world: World, model: Model) -> Any:
    found = _plain(model.oversight)
    if model.oversight is not None and model.oversight.roles:
        found["roles"] = [_role(world, role) for role in model.oversight.roles]
    return found


def _one(section_id: str, label: str, fields: list[RecordField]) -> Section:
    return Section(id=section_id, label=label, fields=tuple(fields))


def _list(items: Iterable[BaseModel]) -> list[Any]:
    return [_plain(item) for item in items]


def _general(world: World, model: Model, moment: dt.datetime) -> Section:
    served = [
        {
            "version": version.version,
            "traffic_share": version.traffic_share,
            **{
                key: value
                for key, value in (_plain(version) or {}).items()
                if key in {"live_from", "live_to", "approved_on", "artefact"}
            },
            **_approved_by(world, version),
        }
        for version in model.served_on(moment)
    ]
    return _one(
        "annex4-1",
        "annex4.1",
        [
            _field("intended_purpose", "ai.intended_purpose", model.intended_purpose),
            _field("kind", "field.kind", {"kind": model.kind.value, "unit": model.unit}),
            _field("owner", "field.owner", _role(world, model.owner)),
            _field("served_versions", "field.served_versions", served, Origin.DERIVED),
            _field("ai_act", "ai.risk_class", _plain(model.ai_act)),
            _field("interfaces", "field.interfaces", list(model.interfaces)),
            _field("delivery", "field.delivery", list(model.delivery)),
            _field("hardware", "field.hardware", model.hardware),
            _field(
                "photographs",
                "annex4.1f",
                {"not_applicable": "only AI systems that are components of products"},
                Origin.DERIVED,
            ),
            _field("user_interface", "annex4.1g", model.user_interface),
            _field("instructions_for_use", "annex4.1h", model.instructions_for_use),
        ],
    )


def _development(world: World, model: Model) -> Section:
    lineage = {
        key: value
        for key, value in {"base_models": model.base_models, "tools": model.tools}.items()
        if value
    }
    logic = {
        key: value
        for key, value in {
            "objective": model.objective,
            "explanation": model.decision.explanation if model.decision else None,
            "rule": _plain(model.decision.rule) if model.decision else None,
            "trade_offs": model.trade_offs,
        }.items()
        if value
    }
    return _one(
        "annex4-2",
        "annex4.2",
        [
            _field("lineage", "field.lineage", lineage),
            _field("logic", "notice.logic", logic),
            _field("design", "principle.design_default", _list(model.design)),
            *_data_sheets(world, model),
            _field(
                "trained_on",
                "field.trained_on",
                [
                    {"version": version.version, **_plain(trained)}
                    for version in model.versions
                    for trained in version.trained_on
                ],
            ),
            _field("oversight", "ai.human_oversight", _oversight(world, model)),
            _field(
                "decision",
                "notice.adm",
                _plain(model.decision, "explanation", "rule") if model.decision else None,
            ),
            _field("retrain_policy", "field.retrain_policy", _plain(model.retrain_policy)),
            _field(
                "protected_attributes",
                "fair.attribute",
                [_plain(attribute) for attribute in model.protected_attributes],
            ),
        ],
    )


def _data_sheets(world: World, model: Model) -> list[RecordField]:
    """One field per data set; a data set may serve a model in several roles."""
    roles: dict[str, list[str]] = {}
    for role, ids in model.data.all.items():
        for data_set_id in ids:
            roles.setdefault(data_set_id, []).append(role)
    fields = []
    for data_set_id, used_as in roles.items():
        data_set = world.data_sets.get(data_set_id)
        sheet = {"used_as": used_as, **_data_sheet(data_set)} if data_set else None
        fields.append(_field(f"data/{data_set_id}", "ai.data_governance", sheet))
    return fields or [_field("data", "ai.data_governance", None)]


def _data_sheet(data_set: DataSet) -> dict[str, Any]:
    """A data set in a dossier: what it is, not where it lies."""
    sheet: Mapping[str, Any] = {
        "title": data_set.title,
        "data_role": data_set.role.value,
        "format": data_set.format,
        "purposes": list(data_set.purposes),
        "columns": [
            {
                "name": column.name,
                "type": column.type.value,
                **({"category": column.category} if column.category else {}),
                **({"art9": column.art9.value} if column.art9 else {}),
                **({"feature": True} if column.feature else {}),
            }
            for column in data_set.columns
        ],
        "pinned": data_set.pinned,
    }
    return {key: value for key, value in sheet.items() if value not in (None, [], {})}


def _monitoring(model: Model) -> Section:
    return _one(
        "annex4-3",
        "annex4.3",
        [
            _field("limits", "field.limits", model.limits),
            _field("features", "field.features", list(model.features)),
            _field("outcome", "field.outcome", _plain(model.outcome)),
            _field(
                "group_comparison",
                "fair.heading",
                {
                    "protected_attributes": [item.id for item in model.protected_attributes],
                    **(
                        {"intersections": [list(item) for item in model.intersections]}
                        if model.intersections
                        else {}
                    ),
                }
                if model.protected_attributes
                else None,
            ),
        ],
    )


def _declaration(model: Model) -> RecordField:
    """Annex IV no. 8 binds high-risk systems only."""
    high = model.ai_act is not None and model.ai_act.risk_class == "high"
    return _field(
        "conformity",
        "annex4.8",
        None if high else {"not_applicable": "only high-risk AI systems"},
        Origin.DERIVED,
    )


def _monitoring_plan(world: World, model: Model) -> dict[str, Any]:
    """What is looked at each night, as declared."""
    return {
        "window": model.current.window,
        "min_rows": model.current.min_rows,
        "extend_to": model.current.extend_to,
        "persistence": dict(world.policy.persistence),
        **({"overrides": model.checks} if model.checks else {}),
    }
