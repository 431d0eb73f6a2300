"""What a verification reports: problems and notices under stable codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Code(StrEnum):
    """What is wrong; the names are stable."""

    LEDGER_GAP = "ledger_gap"
    LEDGER_TRUNCATED = "ledger_truncated"
    LEDGER_REWRITTEN = "ledger_rewritten"
    ENTRY_MALFORMED = "entry_malformed"
    ENTRY_MISPLACED = "entry_misplaced"
    CHAIN_BROKEN = "chain_broken"
    SIGNATURE_INVALID = "signature_invalid"
    KEY_UNTRUSTED = "key_untrusted"
    KEY_REVOKED = "key_revoked"
    OBJECT_OVERWRITTEN = "object_overwritten"
    OBJECT_DELETED = "object_deleted"
    OBJECT_MISSING = "object_missing"
    OBJECT_CORRUPT = "object_corrupt"
    DIGEST_MISMATCH = "digest_mismatch"
    STATEMENT_MALFORMED = "statement_malformed"
    STATEMENT_CONTRADICTS_ENTRY = "statement_contradicts_entry"
    SUPERSEDES_UNKNOWN = "supersedes_unknown"
    VERSION_GAP = "version_gap"
    VERSION_REWRITTEN = "version_rewritten"
    EVENT_GAP = "event_gap"
    CHECKPOINT_INVALID = "checkpoint_invalid"
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"
    TIMESTAMP_INVALID = "timestamp_invalid"
    TEXT_CHANGED = "text_changed"


class Remark(StrEnum):
    """What is worth knowing and no fault; the names are stable."""

    WITHDRAWN = "withdrawn"
    DISPOSED = "disposed"
    STILL_PRESENT = "still_present"
    NOT_CITED = "not_cited"
    NOT_ANCHORED = "not_anchored"
    NOT_TIMESTAMPED = "not_timestamped"
    NOT_VERSIONED = "not_versioned"
    UNKNOWN_OBJECT = "unknown_object"
    TEXT_ERASED = "text_erased"
    NOT_PROVEN = "not_proven"
    CITED = "cited"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not verify."""

    code: Code
    key: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing worth knowing."""

    remark: Remark
    key: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Remarks:
    """Collects what a verification finds.

    Attributes:
        problems: What does not verify.
        notices: What is worth knowing.
    """

    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def problem(self, code: Code, key: str, sentence: str) -> None:
        """Add something that does not verify."""
        self.problems.append(Problem(code, key, sentence))

    def notice(self, remark: Remark, key: str, sentence: str) -> None:
        """Add something worth knowing."""
        self.notices.append(Notice(remark, key, sentence))


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Result of a verification.

    Attributes:
        entries: Ledger entries found.
        nights: Signed attempts of nights.
        objects: Objects of the bucket.
        checked: Objects whose bytes were compared with a digest that the ledger vouches for.
        head: Digest of the last entry's payload, empty for an empty ledger.
        anchored: Sequence number of the newest checkpoint, 0 if there is none.
        keys: Fingerprints of the keys in force at the end.
        problems: What does not verify.
        notices: What is worth knowing.
        anchored_head: Digest of the payload of the last anchored entry, empty if that does not
            verify.
        since: Number of the entry before the first one that was looked at, 0 for all of them.
        in_force: Versions in force at the end, for example ``record/newsletter/7``; empty if not
            all statements were read.
        timestamped: Number of the newest entry whose checkpoint carries a time stamp that
            verifies, 0 if there is none.
        timestamped_at: The time in it.
    """

    entries: int
    nights: int
    objects: int
    checked: int
    head: str
    anchored: int
    keys: tuple[str, ...]
    problems: tuple[Problem, ...]
    notices: tuple[Notice, ...]
    anchored_head: str = ""
    since: int = 0
    in_force: tuple[str, ...] = ()
    timestamped: int = 0
    timestamped_at: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything verifies."""
        return not self.problems

    @property
    def status(self) -> Literal["ok", "empty", "failed"]:
        """``empty`` is in order too: nothing has been signed yet."""
        if self.problems:
            return "failed"
        return "ok" if self.entries or self.since else "empty"
