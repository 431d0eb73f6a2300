"""Facts about where data lie, as the store itself states them."""

from __future__ import annotations

from dataclasses import dataclass

EVIDENCE_STORE = "evidence-store"
"""Name under ``links.locations`` for the store that holds Nachweis's own documents."""


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """What a bucket says about itself; None where it does not answer the question.

    Attributes:
        region: Region of the bucket.
        replicas: Regions of the buckets it is replicated to; ``unknown`` where the other bucket
            does not say; None if replication could not be asked for.
        encryption: Algorithm by default, ``none``, or None.
        versioning: Whether versions are kept.
        public_access_blocked: Whether public access is blocked.
        tls_only: Whether a policy refuses requests without TLS.
        problem: Error code of the store, if it refused everything.
    """

    region: str | None = None
    replicas: tuple[str, ...] | None = None
    encryption: str | None = None
    versioning: bool | None = None
    public_access_blocked: bool | None = None
    tls_only: bool | None = None
    problem: str = ""
