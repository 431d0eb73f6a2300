"""Open incidents for what a night must not let pass in silence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from nachweis.domain.incident import IncidentEvent, IncidentKind
from nachweis.domain.night import Night
from nachweis.storage import layout
from nachweis.storage.documents import write_document
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

    Returns:
        Id of the incident, or None if it was open already.
    """
    identifier = f"{kind.value.replace('_', '-')}-{night}-{identity[:8]}"
    key = layout.incident(identifier, 1)
    if store.head(key) is not None:
        return None
    event = IncidentEvent(
        id=identifier,
        event=1,
        type="opened",
        incident=kind,
        night=str(night),
        detected_at=dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat(),
        places=tuple(sorted(set(places))),
    )
    write_document(store, key, event.canonical(), lock=lock(key))
    ledger.append(
        EntryKind.INCIDENT,
        {key: event.digest()},
        ReferencePredicate(id=identifier, event="opened", night=str(night)),
    )
    return identifier
