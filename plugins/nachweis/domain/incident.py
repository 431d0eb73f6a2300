"""Incidents: an append-only history of something that people must look at."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from nachweis.domain.record import Document


class IncidentKind(StrEnum):
    """What happened; whether it is a personal data breach is a person's decision."""

    SECURITY_EVENT = "security_event"
    UNLAWFUL_PROCESSING = "unlawful_processing"
    MODEL_HARM = "model_harm"
    EVIDENCE_INTEGRITY = "evidence_integrity"
    BLIND_NIGHT = "blind_night"


class IncidentEvent(Document):
    """One event in the history of an incident; texts by people live in a deletable bucket.

    Attributes:
        id: Id of the incident.
        event: Number of the event, from 1.
        type: What the event is.
        incident: Kind of the incident.
        night: The night it was found in.
        detected_at: When the machine noticed, UTC; starts the triage timer, not the 72 hours.
        aware_at: When a person had reasonable certainty (Art. 33(1) GDPR); null until then.
        is_personal_data_breach: A person's decision; null until then.
        places: What it is about: places in documents or checks, never values.
        text_ref: Name of a text in the deletable bucket.
    """

    kind: Literal["incident"] = "incident"
    id: str
    event: int
    type: Literal["opened", "assessed", "contained", "notified", "closed"]
    incident: IncidentKind
    night: str
    detected_at: str
    aware_at: str | None = None
    is_personal_data_breach: bool | None = None
    places: tuple[str, ...]
    text_ref: str | None = None
