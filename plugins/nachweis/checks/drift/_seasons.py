"""The same weeks of last year as a second baseline, so that a known season is no surprise.

Reference data seldom hold a whole year. Where the watched data set itself reaches back so far, the
window is also compared with its own rows of 52 weeks ago, which have the same weekdays: what looks
as it looked then is a season, and does not fail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nachweis.checks.drift._columns import Compared
from nachweis.domain.check import Inputs, Param
from nachweis.domain.errors import UndefinedError
from nachweis.domain.finding import Measurement, Threshold
from nachweis.domain.manifest import before
from nachweis.domain.observation import ColumnProfile, Observations, Profile, Request, Source
from nachweis.engines.drift import DriftResult, choose_method, drift, enough_rows

YEAR = dt.timedelta(weeks=52)
"""A year of whole weeks, so that weekdays are the same."""

SEASON = Param(
    "season",
    "none",
    "second baseline",
    "design default of this project",
    "With year, a column that differs from the reference fails only if it also differs from the "
    "same weeks of last year, as far as the data reach back.",
    choices=("none", "year"),
)


@dataclass(frozen=True, slots=True)
class Season:
    """A column beside the same weeks of last year.

    Attributes:
        result: The comparison; None where there is none.
        reason: Why there is none, or empty.
    """

    result: DriftResult | None = None
    reason: str = ""

    @property
    def same(self) -> bool:
        """Whether the column looks as it did last year."""
        return self.result is not None and not self.result.drifted

    def measurements(self, threshold: Threshold | None) -> list[Measurement]:
        """The number, or why there is none."""
        found = self.result
        recipe = "the same weeks of last year, 52 weeks earlier, instead of the reference"
        if found is None:
            name = "distance_to_last_year"
            return [Measurement(name=name, value=None, recipe=recipe, reason=self.reason)]
        return [
            Measurement(
                name="p_value_to_last_year" if found.is_p_value else "distance_to_last_year",
                value=found.value,
                unit=found.method,
                threshold=threshold,
                n=found.n_current,
                recipe=recipe,
            )
        ]


def wanted(inputs: Inputs) -> bool:
    """Whether last year is looked at."""
    return bool(inputs.param("season") == "year")


def source_of(inputs: Inputs, role: str) -> Source:
    """The weeks of last year: as long as the model's ``extend_to``, so that they hold rows."""
    end = inputs.night.end - YEAR
    span = (before(end, inputs.model.current.extend_to), end)
    return Source(inputs.source(role).data_set, "span", span)


def requests(inputs: Inputs, columns: Sequence[Compared]) -> Iterator[Request]:
    """Profiles of last year's weeks, where they are wanted."""
    if not wanted(inputs):
        return
    for column in columns:
        if column.reference is not None and column.kind is not None:
            source = source_of(inputs, column.role)
            yield Profile(f"season:{column.name}", source, column.name, column.kind)


def season(
    inputs: Inputs,
    column: Compared,
    current: ColumnProfile,
    seen: Observations,
    method: str,
    limit: float | None,
) -> Season:
    """Compare a column with the same weeks of last year.

    Args:
        inputs: The inputs.
        column: The column.
        current: Its profile of the current window.
        seen: What was observed.
        method: A method, or ``auto``.
        limit: Its own limit; None is the method's.

    Returns:
        The comparison; there is none where so few rows are held that they could not tell.
    """
    name = f"season:{column.name}"
    missing = dict(seen.missing())
    if name in missing:
        return Season(reason=f"last year's weeks could not be read: {missing[name]}")
    earlier: ColumnProfile = seen[name]
    if earlier.valid < inputs.model.current.min_rows:
        return Season(reason="last year's weeks hold fewer rows than the model's minimum")
    try:
        chosen = choose_method(earlier, current) if method == "auto" else method
        result = drift(earlier, current, chosen, limit)
        rows = enough_rows(earlier, current.valid, chosen, limit, distance=result.value)
    except UndefinedError as undefined:
        return Season(reason=undefined.what)
    return Season(result) if rows.enough else Season(reason=rows.reason)
