"""Findings: what a check concluded about a subject, with the numbers it concluded it from."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nachweis.domain.canonical import publishable


class Outcome(StrEnum):
    """What a check found. Only ``pass`` is ever shown green."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    NOT_AVAILABLE = "not_available"
    ERROR = "error"


class Severity(StrEnum):
    """How much a failing check matters; ``info`` never alerts."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Position from 0 (info) to 4 (critical)."""
        return list(type(self)).index(self)


class FindingState(StrEnum):
    """State of a finding across nights."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    WAIVED = "waived"
    FALSE_ALARM = "false_alarm"
    UNTESTED = "untested"
    """Open when it was last tested, and not tested tonight."""
    RESOLVED = "resolved"


class SubjectKind(StrEnum):
    """What a check can be about."""

    DATA_SET = "data_set"
    MODEL = "model"
    ACTIVITY = "activity"
    STORE = "store"


class Subject(BaseModel):
    """The thing a finding is about, written ``kind/id``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SubjectKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.id}"


_IN_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}


class Threshold(BaseModel):
    """A limit and who set it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | str
    operator: str = Field(
        description="how the value must relate to the limit to be in order: <=, <, >=, >, =="
    )
    source: str = Field(
        description="check default, policy.yaml, model manifest, library rule, reference"
    )

    @field_validator("operator")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in _IN_ORDER:
            raise ValueError(f"operator must be one of {', '.join(_IN_ORDER)}")
        return value

    def holds(self, value: float) -> bool:
        """Whether a number is in order; a limit in words, such as ``true``, never objects."""
        return isinstance(self.value, str) or _IN_ORDER[self.operator](value, self.value)


class Measurement(BaseModel):
    """One number with its unit, limit, sample size, interval and recipe.

    ``value`` is null where it is undefined; ``reason`` then says why. ``drifted`` carries the
    library's own verdict of a statistical rule, which is not yet a failure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float | int | str | bool | None
    unit: str = ""
    threshold: Threshold | None = None
    n: int | None = None
    interval: tuple[float, float] | None = None
    interval_level: float | None = None
    recipe: str = Field(default="", description="method, bins, null handling, library and version")
    group: str | None = Field(default=None, description="group or column the number belongs to")
    drifted: bool | None = None
    reason: str = ""

    @field_validator("value", mode="before")
    @classmethod
    def _publishable_value(cls, value: Any) -> Any:
        return publishable(value)

    @field_validator("interval", mode="before")
    @classmethod
    def _publishable_interval(cls, value: Any) -> Any:
        return None if value is None else tuple(publishable(list(value)))


class Finding(BaseModel):
    """A check's conclusion about one subject (and, where it looks at columns, one column).

    ``explanation`` and ``remediation`` are plain English; pages translate the check's question and
    the outcome and show these sentences as the technical detail.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    subject: Subject
    column: str | None = None
    outcome: Outcome
    severity: Severity
    explanation: str
    measurements: tuple[Measurement, ...] = ()
    controls: tuple[str, ...] = ()
    remediation: str = ""
    scope: str = Field(default="", description="what was looked at: data set, window, rows")
    declare: str = Field(
        default="", description="for not_available: what to declare so that it runs"
    )
    expected_by_event: str | None = Field(
        default=None, description="id of the declared event that lowers this finding to info"
    )
    carried_from: str | None = Field(
        default=None,
        description="night that observed this, where nothing it was made from has changed since",
    )

    @property
    def key(self) -> str:
        """Identity across nights: check, subject and column."""
        return f"{self.check}:{self.subject}" + (f":{self.column}" if self.column else "")

    @property
    def is_open(self) -> bool:
        """Whether somebody has to look at it: a failure or a crash."""
        return self.outcome in {Outcome.FAIL, Outcome.ERROR}


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Sort findings: errors and failures first, the most severe first, then by key.

    Args:
        findings: Any findings.

    Returns:
        A new, stably sorted list.
    """
    order = {
        Outcome.ERROR: 0,
        Outcome.FAIL: 0,
        Outcome.NOT_AVAILABLE: 1,
        Outcome.NOT_APPLICABLE: 2,
        Outcome.PASS: 3,
    }
    return sorted(findings, key=lambda f: (order[f.outcome], -f.severity.rank, f.key))
