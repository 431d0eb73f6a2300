"""How parts of manifests become fields of documents."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from nachweis.domain.manifest import Origin, json_of
from nachweis.domain.record import RecordField


def declared_field(
    key: str, label: str, value: Any, origin: Origin = Origin.DECLARED
) -> RecordField:
    """A declared (or derived) field, or a visibly missing one."""
    empty = value is None or value == [] or value == {} or value == ""
    return RecordField(
        id=key,
        label=label,
        value=None if empty else value,
        origin=Origin.MISSING if empty else origin,
    )


def plain(item: BaseModel | None, *leave_out: str) -> Any:
    """A manifest part as data, without empty members and internal ids."""
    if item is None:
        return None
    return {
        key: value
        for key, value in json_of(item).items()
        if key not in leave_out and value not in (None, [], {}, "")
    }
