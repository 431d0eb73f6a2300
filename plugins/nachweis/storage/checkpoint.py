"""Checkpoints: signed statements about the ledger's length and end, kept in the anchor bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nachweis.domain.canonical import canonical_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.storage.entries import STATEMENT_TYPE, predicate_type

CHECKPOINT_TYPE = predicate_type("checkpoint")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How long the ledger was and how it ended, kept where its writer has no access.

    Attributes:
        sequence: Position of the last entry.
        count: Number of entries.
        head: SHA-256 of the last entry's payload.
    """

    sequence: int
    count: int
    head: str

    def payload(self, key: str) -> bytes:
        """Canonical in-toto statement about the ledger entry with this key."""
        return canonical_bytes(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": key, "digest": {"sha256": self.head}}],
                "predicateType": CHECKPOINT_TYPE,
                "predicate": {
                    "schema_version": 1,
                    "sequence": self.sequence,
                    "count": self.count,
                },
            }
        )

    @classmethod
    def parse(cls, payload: bytes) -> Checkpoint:
        """Read a checkpoint.

        Args:
            payload: Payload of its envelope.

        Returns:
            The checkpoint.

        Raises:
            IntegrityError: If it is not one.
        """
        try:
            document = parse(payload)
        except NachweisError as error:
            raise IntegrityError(f"not a checkpoint ({type(error).__name__})") from error
        return cls.read(document)

    @classmethod
    def read(cls, document: Any) -> Checkpoint:
        """Read a checkpoint whose payload was parsed already; see :meth:`parse`."""
        try:
            if document["predicateType"] != CHECKPOINT_TYPE:
                raise KeyError("predicateType")
            predicate = document["predicate"]
            (subject,) = document["subject"]
            found = cls(
                int(predicate["sequence"]), int(predicate["count"]), subject["digest"]["sha256"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"not a checkpoint ({type(error).__name__})") from error
        if found.count != found.sequence:
            raise IntegrityError("the checkpoint's count differs from its sequence number")
        return found
