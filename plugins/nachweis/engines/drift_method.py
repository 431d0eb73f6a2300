"""What a drift method is: its name, rule and default limit, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nachweis.domain.observation import ColumnProfile
from nachweis.engines.shares import Floats

Rule = Literal["below", "at_most", "at_least", "above"]
PARITY = "equals Evidently 0.7.23"


@dataclass(frozen=True, slots=True)
class Score:
    """A method's number and what it looked at, for the recipe.

    Attributes:
        value: Distance or p-value.
        cells: The cells, bins or points compared, in words.
    """

    value: float
    cells: str


@dataclass(frozen=True, slots=True)
class Method:
    """A drift method.

    Attributes:
        name: Evidently's name of the method.
        title: What it is called in a recipe.
        threshold: Evidently's default threshold.
        rule: When the column counts as drifted: the number is ``below``, ``at_most``, ``at_least``
            or ``above`` the threshold.
        kinds: Kinds of column it is defined for.
        score: Computes it from the reference's and the current profile.
        kernel: For methods on shares of cells: the distance from the shares themselves, which may
            have leading axes; None for the others.
        between: For distances between distribution functions: the distances of resampled shares
            from the shares of a reduced reference; None for the others.
        is_metric: Whether the triangle inequality holds, as Evidently computes it: not for filled
            cells.
        parity: What holds between our number and Evidently's.
    """

    name: str
    title: str
    threshold: float
    rule: Rule
    kinds: tuple[str, ...]
    score: Callable[[ColumnProfile, ColumnProfile], Score]
    kernel: Callable[[Floats, Floats], Floats] | None = None
    between: Callable[[ColumnProfile, Floats, Floats], Floats] | None = None
    is_metric: bool = False
    parity: str = PARITY

    @property
    def is_p_value(self) -> bool:
        """Whether the number is a p-value, small where the column drifted."""
        return self.rule in ("below", "at_most")

    def drifted(self, value: float, threshold: float) -> bool:
        """Apply the rule.

        Args:
            value: Distance or p-value.
            threshold: The limit.

        Returns:
            Whether the column counts as drifted.
        """
        if self.rule == "below":
            return value < threshold
        if self.rule == "at_most":
            return value <= threshold
        return value > threshold if self.rule == "above" else value >= threshold
