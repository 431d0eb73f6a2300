"""The leak gate as the pipeline uses it: contact data that were declared may pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nachweis.domain.errors import LeakError
from nachweis.domain.manifest import World, json_of
from nachweis.storage.leak_gate import scan, scan_text


def allowed_contacts(world: World) -> frozenset[str]:
    """Texts of organisation.yaml that may stand in documents, byte for byte.

    Args:
        world: All manifests.

    Returns:
        Every text below parties, contact points and the data protection officer.
    """
    organisation = json_of(world.organisation)
    kept = {
        key: organisation.get(key)
        for key in (
            "controller",
            "processor",
            "joint_controllers",
            "clients",
            "eu_representative",
            "dpo",
            "contact_points",
        )
    }
    return frozenset(_texts(kept))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def demand_clean(world: World, document: Any, place: str) -> None:
    """Scan a document before it is stored.

    Args:
        world: All manifests, for the contact data that may pass.
        document: JSON-able data.
        place: What it is, for the message.

    Raises:
        LeakError: If something looks like personal data; names places and kinds, never values.
    """
    _refuse(scan(document, allowed=allowed_contacts(world)), place)


def demand_clean_text(world: World, text: str, place: str) -> None:
    """Scan rendered text before it is stored; as ``demand_clean``."""
    _refuse(scan_text(text, allowed=allowed_contacts(world)), place)


def _refuse(leaks: list[Any], place: str) -> None:
    if leaks:
        places = "; ".join(f"{leak.pointer or '/'} ({leak.kind})" for leak in leaks[:10])
        raise LeakError(
            "the document is held back because it seems to hold personal data",
            where=f"{place}: {places}",
            remedy="remove it from the manifest or data set that it came from",
        )
