"""Seeded samples of the reference and of the current window, shared by checks so that they fuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nachweis.checks.drift._columns import Compared, features
from nachweis.domain.check import Inputs
from nachweis.domain.observation import Observations, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCE_ROWS = 20_000
CURRENT_ROWS = 5_000

Columns = Mapping[str, "NDArray[Any]"]


def sampled(inputs: Inputs) -> list[Compared]:
    """Features that both sides declare and that have a distribution."""
    return [one for one in features(inputs) if one.reference is not None and one.kind is not None]


def sample_requests(inputs: Inputs, columns: Sequence[Compared]) -> Iterator[Sample]:
    """The same words for every check of the family: the samples are read once."""
    if not columns:
        return
    names = tuple(one.name for one in columns)
    time = reference_time(inputs)
    with_time = names if time is None or time in names else (*names, time)
    yield Sample("reference", inputs.source("reference"), with_time, REFERENCE_ROWS)
    yield Sample("current", inputs.source("scoring_log", "current"), names, CURRENT_ROWS)


def reference_time(inputs: Inputs) -> str | None:
    """Time column of the reference, if it declares one."""
    reference = inputs.data("reference")
    return reference.time.column if reference is not None and reference.time else None


def rows(columns: Columns) -> int:
    """Rows of a sample."""
    return len(next(iter(columns.values()), ()))


def both(observations: Observations) -> tuple[Columns, Columns] | str:
    """The samples, or why there are none."""
    for name, reason in observations.missing():
        if name in {"reference", "current"}:
            return reason
    if "reference" not in observations:
        return "no feature is declared on both sides with a type that is compared"
    return observations["reference"], observations["current"]
