"""The leak gate as the pipeline uses it: contact data of declared parties may pass."""

from __future__ import annotations

from typing import Any

from nachweis.domain.canonical import parse
from nachweis.domain.manifest import World, json_of
from nachweis.storage.leak_gate import allowed_contacts, require_clean, scan, scan_text


def demand_clean(world: World, document: Any, place: str) -> None:
    """Scan a document before it is stored.

    Args:
        world: All manifests, for the contact data that may pass.
        document: JSON-able data.
        place: What it is, for the message.

    Raises:
        LeakError: If something looks like personal data; names places and kinds, never values.
    """
    require_clean(scan(document, allowed=_contacts(world)), place)


def demand_clean_text(world: World, text: str, place: str) -> None:
    """Scan rendered text before it is stored; as ``demand_clean``."""
    require_clean(scan_text(text, allowed=_contacts(world)), place)


def demand_clean_export(world: World, name: str, content: bytes, place: str) -> None:
    """Scan an exported file before it is stored; as ``demand_clean``.

    Formats that hold no plain text (PDF, XLSX) show the same values as the CSV beside them.

    Args:
        world: All manifests.
        name: File name; its end says how the bytes are read.
        content: The bytes.
        place: What it is, for the message.
    """
    if name.endswith((".md", ".html")):
        # Without Markdown's escapes, a contact reads as it was declared.
        demand_clean_text(world, content.decode("utf-8").replace("\\", ""), place)
    elif name.endswith(".csv"):
        demand_clean_text(world, content.decode("utf-8"), place)
    elif name.endswith((".json", ".jsonld")):
        document = parse(content)
        # Derived from the document's digest; its digits only look like other numbers.
        document.pop("serialNumber", None)
        demand_clean(world, document, place)


def _contacts(world: World) -> frozenset[str]:
    return allowed_contacts(json_of(world.organisation))
