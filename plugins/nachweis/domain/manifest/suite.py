"""expectations/*.yaml: Great Expectations rules for one data set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from nachweis.domain.manifest.common import Id, Manifest, RoleRef, Text


class Expectation(Manifest):
    """One rule of the suite.

    ``type`` is a Great Expectations type in snake case, ``kwargs`` its arguments.
    """

    type: str = Field(pattern=r"^expect_[a-z0-9_]+$")
    kwargs: dict[str, Any] = {}
    severity: Literal["critical", "warning", "info"] = "critical"
    note: str | None = None


class Suite(Manifest):
    """What a data set must be like."""

    id: Id
    data_set: Id
    owner: RoleRef | None = None
    title: Text | None = None
    expectations: list[Expectation] = Field(min_length=1)
