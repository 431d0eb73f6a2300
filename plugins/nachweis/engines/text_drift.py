"""Drift of free text: words nobody used before, length, and language.

Texts come as a sample that never leaves the worker. Words are kept as numbers only, by a hash that
differs from process to process, so no result can hold a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.drift import (
    DriftResult,
    RowsVerdict,
    drift,
    enough_rows,
    profile_categorical,
    profile_numeric,
)

_WORD = re.compile(r"[^\W\d_]{2,}")
_Z95 = 1.959963984540054
SMALLEST_BASELINE = 200
SMALLEST_WINDOW = 50


@dataclass(frozen=True, slots=True)
class NewWords:
    """Share of words that the vocabulary does not hold, per text, before and now.

    Attributes:
        before: Mean share in texts of the baseline that the vocabulary was not made from.
        now: Mean share in texts of the window.
        interval: 95 % interval of the difference, texts being independent.
        n_before: Texts behind ``before``.
        n: Texts behind ``now``.
        vocabulary: Different words of the vocabulary.
    """

    before: float
    now: float
    interval: tuple[float, float]
    n_before: int
    n: int
    vocabulary: int

    @property
    def difference(self) -> float:
        """How much larger the share is now."""
        return self.now - self.before


@dataclass(frozen=True, slots=True)
class Moved:
    """A distribution of texts against the baseline's."""

    result: DriftResult
    rows: RowsVerdict

    @property
    def surely(self) -> float:
        """The part of the distance that chance does not explain."""
        return self.result.value - (self.rows.smallest_detectable or 0.0)


def words_of(text: Any) -> list[int]:
    """The words of a text as numbers: letters only, case folded; digits are no words.

    Args:
        text: A text; anything else has no words.

    Returns:
        One number per word, in order.
    """
    if not isinstance(text, str):
        return []
    return [hash(word) for word in _WORD.findall(text.casefold())]


def new_words(baseline: Sequence[list[int]], window: Sequence[list[int]]) -> NewWords:
    """Compare how many words are new in the window with how many are new in held-out old texts.

    Every second text of the baseline makes the vocabulary; the others show how many words are new
    although nothing has changed.

    Args:
        baseline: Words of each earlier text, in sampled order.
        window: Words of each text of the window.

    Returns:
        Both shares and the interval of their difference.

    Raises:
        UndefinedError: With fewer than 200 earlier or 50 current texts that hold words.
    """
    earlier, current = ([text for text in texts if text] for texts in (baseline, window))
    if len(earlier) < SMALLEST_BASELINE or len(current) < SMALLEST_WINDOW:
        raise UndefinedError(
            f"{SMALLEST_BASELINE} earlier and {SMALLEST_WINDOW} current texts with words are needed"
        )
    vocabulary = {word for text in earlier[::2] for word in text}
    before, now = (_shares(texts, vocabulary) for texts in (earlier[1::2], current))
    error = math.sqrt(before.var(ddof=1) / len(before) + now.var(ddof=1) / len(now))
    difference = float(now.mean() - before.mean())
    return NewWords(
        before=float(before.mean()),
        now=float(now.mean()),
        interval=(difference - _Z95 * error, difference + _Z95 * error),
        n_before=len(before),
        n=len(now),
        vocabulary=len(vocabulary),
    )


def _shares(texts: Iterable[list[int]], vocabulary: set[int]) -> NDArray[np.float64]:
    return np.array([sum(word not in vocabulary for word in text) / len(text) for text in texts])


def length_moved(baseline: Sequence[list[int]], window: Sequence[list[int]]) -> Moved:
    """Compare the number of words per text: Wasserstein, in standard deviations of the baseline.

    Args:
        baseline: Words of each earlier text.
        window: Words of each text of the window.

    Returns:
        The distance and what chance alone reaches.

    Raises:
        UndefinedError: If a side holds no texts.
    """
    sides = [
        profile_numeric(np.array([len(text) for text in texts], dtype=np.float64))
        for texts in (baseline, window)
    ]
    return _moved(sides, "wasserstein")


def languages_moved(baseline: NDArray[Any], window: NDArray[Any]) -> Moved:
    """Compare the shares of languages: Jensen-Shannon distance.

    Args:
        baseline: Language of each earlier text; None where it is unknown.
        window: Language of each text of the window.

    Returns:
        The distance and what chance alone reaches.

    Raises:
        UndefinedError: If no language is known on a side.
    """
    sides = []
    for values in (baseline, window):
        known, counts = np.unique([str(v) for v in values if v is not None], return_counts=True)
        sides.append(profile_categorical(known.tolist(), counts.tolist()))
    return _moved(sides, "jensenshannon")


def _moved(sides: Sequence[ColumnProfile], method: str) -> Moved:
    before, now = sides
    result = drift(before, now, method)
    return Moved(result, enough_rows(before, now.valid, method, distance=result.value))
