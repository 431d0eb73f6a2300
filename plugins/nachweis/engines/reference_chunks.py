"""How far chunks of a reference lie from the whole of it, and whether a window lies farther.

The rule is NannyML's: the limit is the mean of the chunks' distances plus three standard
deviations. Beside it stands a prediction test, because a few dozen skewed distances pass such a
limit by chance more often than nights may raise an alarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.drift import drift, profile_categorical, profile_numeric
from nachweis.engines.shares import Floats

DEVIATIONS = 3
SMALLEST_CHUNK = 30
FEWEST_CHUNKS = 10
_OFFSET = 0.001  # keeps the logarithm of a distance of 0 finite


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """A window's distance and the range of the reference's chunks.

    Attributes:
        method: Evidently's name of the distance.
        distance: Distance of the window from the reference.
        mean: Mean of the chunks' distances.
        deviation: Their standard deviation (population), as NannyML takes it.
        largest: The largest distance of a chunk from the other chunks.
        chunks: How many there are.
        rows: Rows of the window that were looked at, as many as a chunk has.
        p_value: Of the prediction test; see :func:`prediction_p_value`.
    """

    method: str
    distance: float
    mean: float
    deviation: float
    largest: float
    chunks: int
    rows: int
    p_value: float

    @property
    def limit(self) -> float:
        """Mean plus three standard deviations."""
        return self.mean + DEVIATIONS * self.deviation

    @property
    def outside(self) -> bool:
        """NannyML's verdict."""
        return self.distance > self.limit


def chunks_of(times: NDArray[Any], length: int, weekday: int | None = None) -> NDArray[np.int64]:
    """Cut rows into stretches of time, in the clock in which times are stored.

    Args:
        times: Times as the engine returns them.
        length: Days of a chunk, counted from the first row's.
        weekday: Keep chunks of one day that fall on this weekday only (Monday = 0).

    Returns:
        Number of each row's chunk; -1 for rows without a time and on other weekdays.

    Raises:
        UndefinedError: If the array holds no times.
    """
    known = ~np.isnat(times) if times.dtype.kind == "M" else np.zeros(len(times), dtype=bool)
    if not known.any():
        raise UndefinedError("no row of the reference has a time")
    days = times.astype("datetime64[D]").astype(np.int64)
    chunks = np.where(known, (days - days[known].min()) // length, -1)
    if weekday is not None:  # day 0 is a Thursday
        chunks[(days + 3) % 7 != weekday] = -1
    return np.asarray(chunks, dtype=np.int64)


def chunk_range(
    reference: NDArray[Any],
    chunks: NDArray[np.int64],
    current: NDArray[Any],
    kind: str,
) -> ChunkRange:
    """Compare a window with the reference's chunks.

    Args:
        reference: Values of a column in the reference, in sampled order.
        chunks: Number of the chunk of each value; negative ones belong to none.
        current: Values of the window, in sampled order.
        kind: ``numeric``, ``categorical``, or ``auto``, which goes by the values.

    Returns:
        The range and where the window stands.

    Raises:
        UndefinedError: With fewer than 10 chunks of 30 rows, a window of less than half a chunk, or
            without values.
    """
    if kind == "auto":
        numeric = reference.dtype.kind in "iuf" and current.dtype.kind in "iuf"
        kind = "numeric" if numeric else "categorical"
    found, counts = np.unique(chunks[chunks >= 0], return_counts=True)
    found, counts = found[counts >= SMALLEST_CHUNK], counts[counts >= SMALLEST_CHUNK]
    if len(found) < FEWEST_CHUNKS:
        raise UndefinedError(
            f"the reference has fewer than {FEWEST_CHUNKS} chunks of {SMALLEST_CHUNK} sampled rows"
        )
    size = int(np.median(counts))
    if len(current) < max(SMALLEST_CHUNK, size / 2):
        raise UndefinedError("the window holds less than half as many rows as the median chunk")
    method = "wasserstein" if kind == "numeric" else "jensenshannon"
    if kind != "numeric":
        reference, current = _coded(reference, current)
    inside = np.isin(chunks, found)
    rows, places = reference[inside], chunks[inside]
    whole = _profile(rows, kind)
    parts = [_profile(rows[places == number][:size], kind) for number in found]
    distances = np.array([drift(whole, part, method).value for part in parts])
    apart = np.array(
        [
            drift(_profile(rows[places != number], kind), part, method).value
            for number, part in zip(found, parts, strict=True)
        ]
    )
    shown = current[:size]
    distance = drift(whole, _profile(shown, kind), method).value
    return ChunkRange(
        method=method,
        distance=distance,
        mean=float(distances.mean()),
        deviation=float(distances.std()),
        largest=float(apart.max()),
        chunks=len(found),
        rows=len(shown),
        p_value=prediction_p_value(distance, apart),
    )


def prediction_p_value(distance: float, distances: Floats) -> float:
    """Probability that a further chunk lies so far out, if logarithms of distances are normal.

    Args:
        distance: Distance of the window, which is no part of the reference.
        distances: Distance of each chunk from the others, so that it is no part of them either.

    Returns:
        One-sided p-value of the prediction test of one further observation.
    """
    from scipy import stats

    seen, new = np.log(distances + _OFFSET), math.log(distance + _OFFSET)
    spread = float(seen.std(ddof=1)) * math.sqrt(1 + 1 / len(seen))
    if not spread:
        return 1.0 if new <= seen[0] else 0.0
    return float(stats.t.sf((new - float(seen.mean())) / spread, len(seen) - 1))


def _coded(*sides: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Values as numbers of their texts, the same on all sides; -1 where there is no value."""
    numbers: dict[str, int] = {}
    return [
        np.array(
            [
                -1
                if value is None or value != value
                else numbers.setdefault(str(value), len(numbers))
                for value in side
            ],
            dtype=np.int64,
        )
        for side in sides
    ]


def _profile(values: NDArray[Any], kind: str) -> ColumnProfile:
    if kind == "numeric":
        return profile_numeric(values.astype(np.float64))
    codes, counts = np.unique(values, return_counts=True)
    names = [None if code < 0 else str(code) for code in codes.tolist()]
    return profile_categorical(names, counts.tolist())
