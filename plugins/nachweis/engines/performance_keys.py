"""Keys by which scores and slices are counted in the engine; expressions for grouped counts.

Equal arguments give the same function, so that requests of several checks share a query.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from nachweis.domain.observation import Expression

SMALLEST = 1e-12
"""Scores nearer to 0 are counted as 0."""
SEPARATOR = ":"


@lru_cache(maxsize=256)
def score_key(column: str) -> Expression:
    """A score rounded to three significant digits; a missing or infinite score is no key.

    The steps do not depend on the data, so that counts of several nights can be laid side by side:
    at most 900 per power of ten, each at most 1 % wide.

    Args:
        column: The score column.

    Returns:
        The expression.
    """

    def key(table: Any) -> Any:
        value = _finite(table[column])
        size = (value.abs() < SMALLEST).ifelse(None, value.abs())
        factor = 10.0 ** (2 - size.log10().floor().cast("float64"))
        return value.isnull().ifelse(None, ((value * factor).round() / factor).fill_null(0.0))

    return key


@lru_cache(maxsize=256)
def class_score_key(columns: tuple[str, ...]) -> Expression:
    """One key per row and class: the position of the class's column and its rounded score.

    Each row is counted once for every class, so that all classes cost one statement.

    Args:
        columns: The score column of each class.

    Returns:
        The expression; a missing score is no key.
    """

    def key(table: Any) -> Any:
        import ibis

        parts = []
        for position, column in enumerate(columns):
            score = score_key(column)(table).cast("string")
            parts.append(ibis.literal(f"{position}{SEPARATOR}").concat(score))
        return ibis.array(parts).unnest()

    return key


@lru_cache(maxsize=256)
def score_sum(column: str) -> Expression:
    """A score as a number to be summed; 0 where it is missing or infinite."""
    return lambda table: _finite(table[column]).fill_null(0.0)


@lru_cache(maxsize=256)
def score_square(column: str) -> Expression:
    """The square of a score, to be summed."""
    return lambda table: _finite(table[column]).fill_null(0.0) ** 2


def _finite(column: Any) -> Any:
    value = column.cast("float64")
    return (value.isnan() | value.isinf()).ifelse(None, value)


@lru_cache(maxsize=256)
def both_known(first: str, second: str) -> Expression:
    """Whether two columns both hold a finite number."""
    return lambda table: _finite(table[first]).notnull() & _finite(table[second]).notnull()


@lru_cache(maxsize=256)
def error_power(prediction: str, outcome: str, power: int) -> Expression:
    """A power of prediction minus outcome, to be summed; power 0 is the absolute error."""

    def error(table: Any) -> Any:
        difference = (_finite(table[prediction]) - _finite(table[outcome])).fill_null(0.0)
        # Products instead of powers: they do not depend on the processor's library.
        found = difference.abs() if power == 0 else difference
        for _ in range(1, power):
            found = found * difference
        return found

    return error


@lru_cache(maxsize=256)
def slice_key(columns: tuple[tuple[str, tuple[float, ...]], ...]) -> Expression:
    """One key per row and column: the column's position and its value or band.

    Each row is counted once for every column, so that all columns cost one statement.

    Args:
        columns: Column and the inner edges of its bands; without edges its value is taken.

    Returns:
        The expression; a missing value is no key.
    """

    def key(table: Any) -> Any:
        import ibis

        parts = []
        for position, (column, edges) in enumerate(columns):
            value = _band(table[column], edges) if edges else table[column].cast("string")
            parts.append(ibis.literal(f"{position}{SEPARATOR}").concat(value))
        return ibis.array(parts).unnest()

    return key


def _band(column: Any, edges: tuple[float, ...]) -> Any:
    value = _finite(column)
    found = (value >= edges[-1]).ifelse(str(len(edges)), None)
    for position in reversed(range(len(edges))):
        found = (value < edges[position]).ifelse(str(position), found)
    return found
