"""``nachweis verify``: the whole store against the pinned key."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from nachweis.settings import Settings
from nachweis.storage.signing import open_signer, pinned
from nachweis.storage.verify import verify_store
from nachweis.storage.verify_report import VerifyReport


@dataclass(frozen=True, slots=True)
class Verification:
    """A report with its words."""

    report: VerifyReport
    trusted: str

    @property
    def ok(self) -> bool:
        """Whether everything verifies; an empty store does."""
        return self.report.ok

    def sentences(self) -> list[str]:
        """One sentence per problem."""
        return [f"{p.code.value} at {p.key}: {p.sentence}" for p in self.report.problems]

    def document(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        content = dataclasses.asdict(self.report)
        return {**content, "status": self.report.status, "trusted": self.trusted}

    def text(self) -> str:
        """The report for a person at a terminal."""
        report = self.report
        words = {
            "ok": "The store verifies.",
            "empty": "The store is empty: nothing has been signed yet.",
            "failed": "The store DOES NOT VERIFY.",
        }
        lines = [
            words[report.status],
            f"Entries    {report.entries} in the ledger, {report.nights} of them nights",
            f"Objects    {report.objects}, {report.checked} compared with a signed digest",
            f"Head       {report.head or '-'}",
            f"Anchored   up to entry {report.anchored}" if report.anchored else "Anchored   no",
            f"Trusted    {self.trusted}",
        ]
        lines += [f"Problem    {sentence}" for sentence in self.sentences()]
        lines += [f"Note       {n.remark.value} at {n.key}: {n.sentence}" for n in report.notices]
        return "\n".join(lines)


def verify_all(settings: Settings, trusted: str | None = None) -> Verification:
    """Verify everything that the ledger vouches for.

    Args:
        settings: Resolved settings.
        trusted: Fingerprint or public key file; default is the own signer's key.

    Returns:
        The verification.

    Raises:
        NachweisError: If a store cannot be reached or the key cannot be read.
    """
    from nachweis.storage.s3 import open_store

    pin = pinned(trusted) if trusted else str(open_signer(settings).public_key.keyid)
    report = verify_store(
        open_store(settings, "records"),
        {pin},
        anchor=open_store(settings, "anchor"),
        narratives=open_store(settings, "narratives"),
    )
    return Verification(report, pin)
