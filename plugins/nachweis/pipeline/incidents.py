"""Open incidents for what a night must not let pass in silence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.incident import IncidentEvent, IncidentKind
from nachweis.domain.night import Night
from nachweis.storage import layout
from nachweis.storage.documents import read_document, write_document
from nachweis.storage.entries import EntryKind, ReferencePredicate
from nachweis.storage.ledger import Ledger
from nachweis.storage.object_store import Lock, ObjectStore


def open_incident(
    store: ObjectStore,
    ledger: Ledger,
    lock: Callable[[str], Lock | None],
    *,
    kind: IncidentKind,
    night: Night,
    identity: str,
    places: Sequence[str],
    recorded: Collection[str],
) -> str | None:
    """Open an incident once for a night's inputs, and sign that it was opened.

    Args:
        store: The bucket ``records``.
        ledger: The ledger.
        lock: Write protection for a key.
        kind: What happened.
        night: The night.
        identity: Idempotency key of the night; the same inputs open no second incident.
        places: Places in documents, or ids of checks; never values.
        recorded: Ids of incidents whose opening the ledger holds.

    Returns:
        Id of the incident, or None if it was open already.
    """
    identifier = f"{kind.value.replace('_', '-')}-{night}-{identity[:8]}"
    if identifier in recorded:
        return None
    key = layout.incident(identifier, 1)
    try:
        # A night that broke off may have written the event and not signed it; its time counts.
        content = read_document(store, key)
    except KeyError:
        event = IncidentEvent(
            id=identifier,
            event=1,
            type="opened",
            incident=kind,
            night=str(night),
            detected_at=dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat(),
            places=tuple(sorted(set(places))),
        )
        content = event.canonical()
        write_document(store, key, content, lock=lock(key))
    ledger.append(
        EntryKind.INCIDENT,
        {key: digest_bytes(content)},
        ReferencePredicate(id=identifier, event="opened", night=str(night)),
    )
    return identifier
