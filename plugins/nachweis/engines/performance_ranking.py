"""Quality of ranked lists: NDCG and precision at k, one value per list."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

from nachweis.domain.observation import Expression
from nachweis.engines.intervals import mean_interval
from nachweis.engines.performance import Metric

GRADES = 5
"""Highest grade of relevance that lists are computed for; 0 is not relevant."""
NDCG_DECIMALS = 4


def discounts(k: int) -> list[float]:
    """Weights of the first k places, as in scikit-learn's ``ndcg_score``."""
    return [1 / math.log2(place + 1) for place in range(1, k + 1)]


def ndcg(relevance: Sequence[float], k: int) -> float | None:
    """NDCG at k of one list, with linear gain.

    Args:
        relevance: Relevance in the order of the list.
        k: Places that count.

    Returns:
        0 to 1; None where nothing in the list is relevant.
    """
    weights = discounts(k)
    ideal = sum(a * b for a, b in zip(sorted(relevance, reverse=True), weights, strict=False))
    if ideal <= 0:
        return None
    return sum(a * b for a, b in zip(relevance, weights, strict=False)) / ideal


@lru_cache(maxsize=64)
def list_keys(query: str, rank: str, label: str, k: int) -> Mapping[str, Expression]:
    """Keys that count lists instead of rows, computed by the engine with window functions.

    ``first`` is true for one row of each list; ``ndcg`` is the list's NDCG at k with four decimals,
    ``hits`` its relevant rows among the first k, ``state`` whether it can be judged: ``none``
    without any outcome, ``odd`` where a grade is not a whole number from 0 to 5 or a rank not a
    whole number from 1, else ``known``. A row without an outcome, in a list with some, counts as
    not relevant.

    Args:
        query: Column that names the list.
        rank: Column with the place in it, from 1.
        label: Column with the relevance.
        k: Places that count.

    Returns:
        Key name to expression.
    """

    def over(value: Any, table: Any) -> Any:
        return value.over(group_by=table[query])

    def grade(table: Any) -> Any:
        return table[label].cast("float64").fill_null(0.0)

    def place(table: Any) -> Any:
        return table[rank].cast("float64")

    def first(table: Any) -> Any:
        import ibis

        number = ibis.row_number().over(group_by=table[query], order_by=[table[rank]])
        return (number == 0) & table[query].notnull()

    def state(table: Any) -> Any:
        value, at = grade(table), place(table)
        strange = (value < 0) | (value > GRADES) | (value != value.round())
        strange = strange | at.isnull() | (at < 1) | (at != at.round())
        odd = over(strange.cast("int64").max(), table)
        told = over(table[label].count(), table)
        return (odd > 0).ifelse("odd", (told > 0).ifelse("known", "none"))

    def value(table: Any) -> Any:
        import ibis

        sums = ibis.array(list(accumulate(discounts(k), initial=0.0)))
        gain = (place(table) <= k).ifelse(grade(table) / (place(table) + 1).log2(), 0.0)
        found = over(gain.sum(), table)
        # Every grade adds its places once more: the ideal list is summed by "at least grade one".
        sizes = [
            over((grade(table) >= one).ifelse(1, None).count(), table)
            for one in range(1, GRADES + 1)
        ]
        reach = [sums[ibis.least(size, k)] for size in sizes]
        ideal = reach[0] + reach[1] + reach[2] + reach[3] + reach[4]
        share = found / (ideal > 0).ifelse(ideal, None)
        return share.round(NDCG_DECIMALS)

    def hits(table: Any) -> Any:
        return over(((place(table) <= k) & (grade(table) > 0)).cast("int64").sum(), table)

    return {"first": first, "state": state, "ndcg": value, "hits": hits}


def mean_of(values: Mapping[float, int], what: str, recipe: str) -> Metric:
    """Mean over lists.

    Args:
        values: Value to number of lists.
        what: What is missing where there are none.
        recipe: How the values were computed.

    Returns:
        The mean with a normal interval; undefined without lists.
    """
    n = sum(values.values())
    if n == 0:
        return Metric(None, 0, reason=what)
    mean = sum(value * count for value, count in values.items()) / n
    squares = sum(value * value * count for value, count in values.items())
    limits = mean_interval(mean, squares, n) or (0.0, 1.0)
    interval = (max(0.0, limits[0]), min(1.0, limits[1]))
    return Metric(mean, n, interval, f"{recipe}; normal interval of a mean over lists, 95 %")
