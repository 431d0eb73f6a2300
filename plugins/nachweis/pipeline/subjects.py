"""Whose findings speak about a field: the data sets and models that it is about."""

from __future__ import annotations

from nachweis.domain.manifest import Activity, Model, World
from nachweis.domain.manifest.dataset import DataSetRole
from nachweis.domain.record import RecordField


def part_and_key(field: RecordField) -> tuple[str, str]:
    """First two parts of a field's id; a third one only numbers fields of one key."""
    part, _, rest = field.id.partition("/")
    return part, rest.partition("/")[0]


def models_of(activity: Activity, world: World) -> set[str]:
    """Ids of an activity's models, listed by it or naming it."""
    named = {model.id for model in world.models.values() if activity.id in model.activities}
    return named | (set(activity.models) & set(world.models))


def data_sets_of(activity: Activity, world: World) -> set[str]:
    """Ids of the data sets an activity uses: by category, by retention rule, by its models."""
    found = {
        reference.partition(".")[0]
        for category in activity.data_categories
        for reference in category.columns
    }
    found |= {kept.name for rule in activity.retention for kept in rule.datasets}
    for key in models_of(activity, world):
        found |= {name for ids in world.models[key].data.all.values() for name in ids}
    return found & set(world.data_sets)


def _models(ids: set[str]) -> set[str]:
    return {f"model/{key}" for key in ids}


def _data_sets(ids: set[str]) -> set[str]:
    return {f"data_set/{key}" for key in ids}


LOG_CHECKS = frozenset({"readers_as_declared", "access_regions_as_declared", "access_volume_usual"})
"""Checks that look at logs of accesses, and so at other data sets than the log itself."""


def _covered(world: World) -> dict[str, set[str]]:
    """Each log of accesses to the data sets that it says it covers."""
    return {
        key: set(item.access.covers if item.access else ())
        for key, item in world.data_sets.items()
        if item.role is DataSetRole.ACCESS_LOG
    }


def _access_logs(activity: Activity, world: World) -> set[str]:
    """Logs that may speak about an activity: those that cover its data, or do not say what."""
    used = data_sets_of(activity, world)
    return _data_sets(
        {key for key, covers in _covered(world).items() if not covers or covers & used}
    )


def log_gaps(field: RecordField, activity: Activity, world: World) -> tuple[str, ...]:
    """Why logs of accesses cannot confirm a field of a record; empty where they can.

    Args:
        field: The field.
        activity: Its activity.
        world: All manifests.

    Returns:
        Data sets of the activity that no log says it covers, and recipients of whom no log could
        tell that they read.
    """
    part, key = part_and_key(field)
    if part not in {"recipients", "transfers", "toms"}:
        return ()
    used = data_sets_of(activity, world)
    covered = {name for covers in _covered(world).values() for name in covers}
    gaps = [f"no access log covers data_set/{name}" for name in sorted(used - covered)]
    if not used:
        gaps.append("the activity names no data set")
    recipient = next((item for item in activity.recipients if item.id == key), None)
    if part == "recipients" and recipient is not None and not recipient.access_roles:
        gaps.insert(0, "no technical principal of this recipient is declared")
    return tuple(gaps)


def subjects_of_record_field(field: RecordField, activity: Activity, world: World) -> set[str]:
    """Data sets and models whose findings speak about a field of a record."""
    part, key = part_and_key(field)
    if part == "data_categories":
        category = next((c for c in activity.data_categories if c.id == key), None)
        columns = category.columns if category else []
        return {f"data_set/{reference.partition('.')[0]}" for reference in columns}
    if part == "retention":
        rule = next((r for r in activity.retention if r.id == key), None)
        return {f"data_set/{item.name}" for item in rule.datasets} if rule else set()
    if part in {"recipients", "transfers"}:
        return _access_logs(activity, world)
    if part == "toms":
        used = _data_sets(data_sets_of(activity, world)) | _models(models_of(activity, world))
        return used | _access_logs(activity, world)
    if part == "processing_for":
        return _models(models_of(activity, world))
    purpose = next((p for p in activity.purposes if p.id == key), None)
    if part in {"contact_permission", "purposes"}:
        return _models(set(purpose.models)) if purpose else set()
    if part == "legal_basis":
        subjects = _models(set(purpose.models) if purpose else set())
        for data_set in world.data_sets.values():
            if data_set.permission is not None and data_set.permission.purpose == key:
                subjects.add(f"data_set/{data_set.id}")
        return subjects
    return set()


SHOWN = frozenset({"data_categories", "retention", "contact_permission", "legal_basis"})
"""Parts of a record whose subjects' findings are listed with its assessment."""


def subjects_of_dossier_field(field: RecordField, model: Model) -> set[str]:
    """Data sets and models whose findings speak about a field of a dossier."""
    part, key = part_and_key(field)
    if part == "data":
        return {f"data_set/{key}"} if key else set()
    subjects = {f"model/{model.id}"}
    if part == "robustness":
        subjects |= _data_sets(set(model.data.training))
    return subjects
