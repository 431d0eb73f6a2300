"""Rates, intervals and comparisons as they follow from rounded counts.

Two numbers of the same people can be subtracted: tonight's and yesterday's, or those of two
attempts of one night. A rounded count tells next to nothing then. A rate with three decimals would:
of 205 people, 0.502 is 103 and nothing else, and the interval beside it tells both numbers. So what
is published of fewer than :data:`LARGE` rows is worked out anew from the published counts: the
rate, Wilson's interval, the difference and the ratio of two rates with their intervals.
Probabilities of tests keep one digit. Other intervals become wider, to whole steps.

Outcomes do not change: they are judged with exact numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from nachweis.domain.finding import Measurement
from nachweis.domain.proportions import (
    newcombe_interval,
    quantile,
    ratio_interval,
    wilson_interval,
)

STEP = 5
"""Published counts are multiples of this."""
RATE_DECIMALS = 3
LARGE = 4_000
"""From this size on three decimals of a rate are at least four people apart."""

_TEST = re.compile(r"(?<=p = )[0-9][0-9.e+-]*[0-9]|(?<=p = )[0-9]")
_SMALLEST_P = 0.0001
_SLACK = 0.0011
"""How far numbers may be apart that were both rounded to three decimals."""

Interval = tuple[float, float]


def rounded(count: int) -> int:
    """A count as the nearest multiple of :data:`STEP`."""
    return STEP * ((count + STEP // 2) // STEP)


def rounded_rate(rate: float, n: int) -> float:
    """The rate of the rounded counts; with three decimals where there are very many rows.

    Args:
        rate: Exact share of the rows that have a property.
        n: Exact number of rows, at least 10.

    Returns:
        The rate as it may be published.
    """
    size = rounded(n)
    if size >= LARGE or not 0 <= rate <= 1:
        return round(rate, RATE_DECIMALS) + 0.0
    return round(rounded(round(rate * n)) / size, RATE_DECIMALS) + 0.0


def rounded_interval(exact: Measurement, value: float, n: int | None) -> Interval | None:
    """The interval of a published rate.

    Args:
        exact: The rate before it was rounded, with its interval.
        value: The published rate.
        n: The published number of rows; None if it is withheld.

    Returns:
        Wilson's interval of the published counts where the exact one is Wilson's, else the exact
        one widened; None where there is none, or no published size that it could follow from.
    """
    if exact.interval is None or exact.n is None or n is None:
        return None
    if n >= LARGE:
        return _decimals(exact.interval)
    z = quantile(exact.interval_level or 0.95)
    own = wilson_interval(_having(exact), exact.n, z)
    anew = wilson_interval(rounded(round(value * n)), n, z)
    # Near the new one, too: what was sealed before is sealed to the same.
    if _near(exact.interval, own) or _near(exact.interval, anew):
        return _decimals(anew)
    return widened(exact.interval, n, value - float(exact.value or 0))


def widened(interval: Interval, n: int, moved: float = 0.0) -> Interval:
    """An interval in whole steps of people, at least 0.01, never narrower than it was.

    Args:
        interval: The exact limits.
        n: Number of rows.
        moved: How far the published number lies above the exact one. The interval moves along, so
            that its limits do not tell on which side of the published number the exact one was.

    Returns:
        Limits that are moved outwards to whole steps.
    """
    if rounded(n) >= LARGE:
        return _decimals(interval)
    step = _step(n)
    low, high = (round((limit + moved) / step, 6) for limit in interval)
    return _decimals((math.floor(low) * step, math.ceil(high) * step))


def coarse_comparison(
    value: float, n: int | None, holds: Callable[[float], bool] | None = None
) -> float:
    """A difference or ratio in steps of a few people, as :func:`widened` has them.

    Args:
        value: The exact comparison.
        n: Number of rows that were compared, exact or published; None if it is unknown.
        holds: Whether a number is as its limit demands; None without a limit.

    Returns:
        The nearest whole step on the same side of the limit; two comparisons of the same groups do
        not tell their counts then, and none contradicts its verdict.
    """
    if n is not None and rounded(n) >= LARGE:
        return round(value, RATE_DECIMALS) + 0.0
    step = _step(n)
    nearest = round(value / step)
    found = _at(nearest, step)
    if holds is None or holds(found) == holds(value):
        return found
    beside = _at(nearest + (1 if value > found else -1), step)
    return beside if holds(beside) == holds(value) else found


def _at(number: int, step: float) -> float:
    return round(number * step, RATE_DECIMALS) + 0.0


def compared_anew(
    m: Measurement,
    exact: tuple[Measurement, Measurement],
    shown: tuple[Measurement, Measurement],
    kind: str,
) -> dict[str, Any] | None:
    """A difference or ratio of two rates, from the rates as they are published.

    Args:
        m: The comparison with exact numbers.
        exact: The two rates it compares: first minus second, or first over second.
        shown: The same as published.
        kind: ``difference`` or ``ratio``.

    Returns:
        New value and interval; None if these are not the rates it was made from, or so large
        that nothing needs to change.
    """
    values = [_number(one) for one in (*exact, *shown)]
    if _number(m) is None or None in values or all(rounded(one.n or 0) >= LARGE for one in exact):
        return None
    before, after = _apart(kind, *values[:2]), _apart(kind, *values[2:])
    if before is None or after is None or abs(before - float(m.value or 0)) > _SLACK:
        return None
    interval = m.interval
    if interval is not None:
        z = quantile(m.interval_level or 0.95)
        own, anew = _interval(kind, exact, z), _interval(kind, shown, z, published=True)
        known = any(one is not None and _near(interval, one) for one in (own, anew))
        if known and anew:
            interval = _decimals(anew)
        else:
            interval = None if m.n is None else widened(interval, m.n, after - before)
    return {"value": round(after, RATE_DECIMALS) + 0.0, "interval": interval}


def coarse_probability(p: float) -> float | str:
    """The probability of a test with one digit; more would tell the counts it was made from."""
    return f"< {_SMALLEST_P}" if 0 < p < _SMALLEST_P else float(f"{p:.1g}")


def coarse_tests(recipe: str) -> str:
    """A recipe whose results of tests have one digit."""

    def coarse(match: re.Match[str]) -> str:
        try:
            return f"{coarse_probability(float(match.group()))}"
        except ValueError:
            return match.group()

    return _TEST.sub(coarse, recipe).replace("p = <", "p <")


def restated(text: str, changed: Mapping[float, float], limits: Callable[[str], bool]) -> str:
    """A sentence with published numbers in place of the exact ones, rounded as it rounds them.

    Args:
        text: The sentence.
        changed: Exact number to the published one.
        limits: Whether a number, so spelled, is a limit as well and stays.

    Returns:
        The sentence.
    """
    forms: dict[str, str] = {}
    for before, after in changed.items():
        for spell in ("{:.2f}", "{:.3f}", "{:.4f}", "{:.1%}", "{:.0%}"):
            forms.setdefault(spell.format(before), spell.format(after))
    forms = {old: new for old, new in forms.items() if old != new and not limits(old)}
    if not forms:
        return text
    either = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.sub(
        rf"(?<![\w.,-])(?:{either})(?![\w%]|[.,]\d)", lambda match: forms[match.group()], text
    )


# ----------------------------------------------------------------------------------- inside


def _step(n: int | None) -> float:
    """Width of so many of ``n`` rows as counts are rounded to, at least 0.01."""
    return max(0.01, math.ceil(STEP / max(rounded(n), STEP) * 100) / 100) if n else 0.01


def _number(m: Measurement) -> float | None:
    return None if isinstance(m.value, (bool, str)) or m.value is None else float(m.value)


def _having(m: Measurement, *, published: bool = False) -> int:
    """People with the property; of a published rate of few rows a multiple of the step."""
    having = round(float(m.value or 0) * (m.n or 0))
    return rounded(having) if published and (m.n or 0) < LARGE else having


def _apart(kind: str, first: float | None, second: float | None) -> float | None:
    if first is None or second is None or (kind == "ratio" and not second):
        return None
    return first - second if kind == "difference" else first / second


def _interval(
    kind: str, rates: tuple[Measurement, Measurement], z: float, *, published: bool = False
) -> Interval | None:
    if not all(one.n for one in rates):
        return None
    (k1, n1), (k2, n2) = ((_having(one, published=published), one.n or 1) for one in rates)
    if kind == "ratio":
        return ratio_interval(k1, n1, k2, n2, z)
    parts = [(k / n, wilson_interval(k, n, z)) for k, n in ((k1, n1), (k2, n2))]
    return newcombe_interval(*parts[0], *parts[1])


def _near(one: Interval, other: Interval) -> bool:
    return all(abs(a - b) <= _SLACK for a, b in zip(one, other, strict=True))


def _decimals(interval: Interval) -> Interval:
    low, high = interval
    return round(low, RATE_DECIMALS) + 0.0, round(high, RATE_DECIMALS) + 0.0
