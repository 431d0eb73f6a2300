"""What a store really guarantees, as its self-test found it; recorded with every night."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Guarantee(StrEnum):
    """What the self-test and the set-up of the buckets look at."""

    VERSIONS_KEPT = "versions_kept"
    LOCK_CONFIGURED = "lock_configured"
    LOCK_STORED = "lock_stored"
    LOCK_NOT_SHORTENED = "lock_not_shortened"
    LOCKED_VERSION_KEPT = "locked_version_kept"
    SECOND_WRITE_REFUSED = "second_write_refused"
    ENCRYPTION_STORED = "encryption_stored"
    CHECKSUM_STORED = "checksum_stored"
    WRONG_CHECKSUM_REFUSED = "wrong_checksum_refused"
    WRONG_SECRET_REFUSED = "wrong_secret_refused"  # noqa: S105
    ANONYMOUS_REFUSED = "anonymous_refused"
    TRANSPORT_ENCRYPTED = "transport_encrypted"
    DEFAULT_LOCK = "default_lock"
    DEFAULT_ENCRYPTION = "default_encryption"
    DELETION_DENIED = "deletion_denied"
    PUBLIC_ACCESS_BLOCKED = "public_access_blocked"


ADVISORY = frozenset(
    {
        Guarantee.TRANSPORT_ENCRYPTED,
        Guarantee.DEFAULT_LOCK,
        Guarantee.DEFAULT_ENCRYPTION,
        Guarantee.DELETION_DENIED,
        Guarantee.PUBLIC_ACCESS_BLOCKED,
    }
)
"""A second line: every object carries its own lock and encryption. Reported, never a refusal."""

CheckStatus = Literal["passed", "failed", "not_supported", "not_tried"]


class StoreCheck(BaseModel):
    """One guarantee and what was found."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    guarantee: Guarantee
    status: CheckStatus
    detail: str = ""
    """Error code of the store or how it was tried; never a host, key or secret."""


class Capabilities(BaseModel):
    """The result of a store's self-test."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    kind: Literal["embedded", "aws", "other"]
    endpoint: Literal["loopback", "AWS", "configured endpoint"]
    server: str | None
    """What the server calls itself, without a host."""
    mode: Literal["demonstration", "production"]
    retention: Literal["demonstration", "standard"]
    lock_modes: tuple[Literal["COMPLIANCE", "GOVERNANCE"], ...]
    """Object Lock modes that this retention uses."""
    checks: tuple[StoreCheck, ...]

    @property
    def failed(self) -> tuple[StoreCheck, ...]:
        """Guarantees that the store does not give and the product rests on."""
        return tuple(
            check
            for check in self.checks
            if check.guarantee not in ADVISORY and check.status != "passed"
        )

    @property
    def proven(self) -> bool:
        """Whether every guarantee that the product rests on was found to hold."""
        return not self.failed

    def status(self, guarantee: Guarantee) -> CheckStatus:
        """What was found for one guarantee."""
        return next(
            (check.status for check in self.checks if check.guarantee is guarantee), "not_tried"
        )
