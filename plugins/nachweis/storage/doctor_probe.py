"""What the doctor notes: one setting, how it stands, and the call that sets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nachweis.domain.errors import StoreError
from nachweis.storage.s3_client import (
    WRONG_CREDENTIALS,
    Patience,
    code_of,
    failures,
    is_transient,
    translate,
)

Status = Literal["in order", "missing", "advice", "unknown", "not supported"]
_UNSET = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchLifecycleConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "ReplicationConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
"""Answers that mean: this was never set."""
_NOT_ACCEPTED = "the store does not accept the credentials"


@dataclass(frozen=True, slots=True)
class Probe:
    """One setting and what was found.

    Attributes:
        bucket: The bucket.
        setting: What was looked at.
        status: How it stands.
        found: What the store said.
        remedy: The exact call that sets it; empty where there is nothing to do.
    """

    bucket: str
    setting: str
    status: Status
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All probes of a store.

    Attributes:
        demonstration: Whether this is the embedded store, which is for demonstrations only.
        probes: What was looked at.
    """

    demonstration: bool
    probes: tuple[Probe, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing that evidence needs is missing."""
        return not any(probe.status == "missing" for probe in self.probes)

    def text(self) -> str:
        """The diagnosis for a person at a terminal."""
        lines = []
        if self.demonstration:
            lines.append(
                "DEMONSTRATION: the embedded store. Its inner ports have no login, so whoever uses "
                "this machine can get round every setting below."
            )
        for probe in self.probes:
            lines.append(f"{probe.status:<13}  {probe.bucket}  {probe.setting}: {probe.found}")
            if probe.remedy:
                lines.append(f"{'':<13}  to do: {probe.remedy}")
        missing = sum(probe.status == "missing" for probe in self.probes)
        unknown = sum(probe.status == "unknown" for probe in self.probes)
        lines.append(f"{missing} missing, {unknown} unknown, {len(self.probes)} looked at")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """The diagnosis as JSON-able data."""
        probes = [{name: getattr(probe, name) for name in Probe.__slots__} for probe in self.probes]
        return {"demonstration": self.demonstration, "ok": self.ok, "probes": probes}


def remedy_of_refusal(found: str) -> str:
    """What to do about a setting that is unknown.

    Args:
        found: What the store said, in the words of :func:`answer`.

    Returns:
        The remedy: other credentials, or more rights.
    """
    if found.startswith(_NOT_ACCEPTED):
        return "check the access key and secret of this identity"
    return "run this as an identity with the policy of `nachweis iam auditor`"


def answer(
    question: Callable[[], Any],
    judge: Callable[[Any], tuple[Status, str]],
    *,
    refusal: tuple[Status, str] | None = None,
) -> tuple[Status, str]:
    """Ask the store and judge what it says.

    Args:
        question: Sends one request that changes nothing.
        judge: Makes a status and words of the answer; of None where the setting was never made.
        refusal: Status and words if the store knows the identity and denies it the request; None
            for those of a setting that may not be read.

    Returns:
        Status and words.

    Raises:
        StoreUnavailableError: If the store does not answer.
    """
    patience = Patience()
    for attempt in range(patience.attempts):
        try:
            return judge(question())
        except failures() as error:
            code, status = code_of(error)
            if code in _UNSET or status == 404:
                return judge(None)
            if code in WRONG_CREDENTIALS:
                return "unknown", f"{_NOT_ACCEPTED} ({code} {status})"
            if refusal is not None and code == "AccessDenied":
                return refusal
            if status in (401, 403):
                if refusal is not None:
                    return "unknown", f"the store did not decide about the right ({code} {status})"
                return "unknown", f"this identity may not read it ({code} {status})"
            if status in (405, 409, 501):
                return "not supported", f"the store does not know this setting ({code} {status})"
            if not is_transient(error) or attempt + 1 == patience.attempts:
                raise translate(error, "settings of the bucket") from error
        patience.pause(attempt)
    raise StoreError("unreachable: the last attempt returns or raises")
