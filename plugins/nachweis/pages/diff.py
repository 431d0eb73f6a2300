"""What changed between two versions of a record or dossier, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nachweis.domain.record import Dossier, Record, RecordField


@dataclass(frozen=True, slots=True)
class Change:
    """One changed field.

    Attributes:
        field: Id of the field.
        label: Label key of the field.
        kind: What happened to it.
        before: Earlier value, None if it was not there.
        after: Later value, None if it is gone.
    """

    field: str
    label: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def diff(old: Record | Dossier, new: Record | Dossier) -> list[Change]:
    """Compare two versions.

    Args:
        old: Earlier version.
        new: Later version.

    Returns:
        Changes in the order of the later version, removed fields last.
    """
    before, after = _fields(old), _fields(new)
    changes = []
    for key, field in after.items():
        earlier = before.get(key)
        if earlier is None or earlier.value is None:
            if field.value is not None:
                changes.append(Change(key, field.label, "added", None, field.value))
        elif field.value is None:
            changes.append(Change(key, field.label, "removed", earlier.value, None))
        elif earlier.value != field.value:
            changes.append(Change(key, field.label, "changed", earlier.value, field.value))
    changes += [
        Change(key, field.label, "removed", field.value, None)
        for key, field in before.items()
        if key not in after and field.value is not None
    ]
    return changes


def _fields(document: Record | Dossier) -> dict[str, RecordField]:
    sections = [*document.sections]
    if isinstance(document, Record):
        sections += document.further
    found = {field.id: field for section in sections for field in section.fields}
    if isinstance(document, Record) and document.models:
        found["models"] = RecordField(
            id="models", label="field.served_versions", value=list(document.models),
            origin=next(iter(found.values())).origin,
        )  # fmt: skip
    return found
