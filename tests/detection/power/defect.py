"""What a planted defect is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nachweis import registry
from nachweis.domain.check import Check
from nachweis.domain.finding import Subject


@dataclass(frozen=True)
class Defect:
    """A defect that a check must see.

    Attributes:
        check: Id of the check.
        subject: Whom its finding is about.
        what: What is wrong; ``{}`` stands for the strength.
        strengths: Three strengths, weakest first.
        plant: Changes the clean rows of a night.
        nights: On how many nights in a row the defect is there, the judged one included.
        before: Clean nights that are judged before, for checks that compare nights.
        promised: Whether at least 95 % must be seen at the strongest strength.
    """

    check: str
    subject: Subject
    what: str
    strengths: tuple[float, float, float]
    plant: Callable[[Any, float, np.random.Generator], None]
    nights: int = 1
    before: int = 0
    promised: bool = False

    @property
    def kind(self) -> type[Check]:
        """The check."""
        return registry.checks()[self.check]

    def words(self, strength: float) -> str:
        """The defect in words at a strength; shares as percent."""
        return self.what.format(f"{strength:g}", percent=f"{strength * 100:g} %")
