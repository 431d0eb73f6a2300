"""What may leave the data: counts of people are coarsened before anything is signed.

Checks judge exact numbers; sealing happens on publication and never changes an outcome. The rules:

1. **Counts** of rows and people (:data:`COUNT_UNITS`, and the sample size ``n`` of every
   measurement): 0 stays 0, 1 to 9 becomes the band ``1-9`` (``n``: withheld), from 10 on the number
   is rounded to a multiple of 5. Every number is rounded by itself, totals too, so that sums need
   not add up and a difference of two published numbers is not a count of people.
2. **Rates** (:data:`RATE_UNITS`): the rate of the rounded counts with 3 decimals, so that it tells
   no more than they do, see :mod:`nachweis.domain.rounded`. Withheld for fewer than 10 rows. Where
   the rate and its sample size would tell a count from 1 to 9 of those who have the property, or
   of those who have not, the rate becomes a bound such as ``< 0.02``.
3. **Comparisons** of rates (:data:`COMPARISON_UNITS`): made from the rates as they are published,
   with 3 decimals; in steps of 5 people, at least 0.01, where those are not published; withheld
   where they would tell a withheld rate, see :mod:`nachweis.domain.comparisons`. Other measures of
   quality made of counts, such as F1 and the area under the ROC curve: 3 decimals. Probabilities
   of tests: one digit. Intervals stand only beside a published size.
4. **Groups of people** in one finding: where a group is too small to be shown, at least one more
   is withheld, so that the small one is not the total minus the others. Which one goes by the
   groups' names, not by their sizes: the same one tomorrow as today, so that nights cannot be
   subtracted either.
5. **Sentences** (explanation, scope, recipes and reasons): counts in front of words such as
   ``rows`` or ``people`` are sealed like counts; see :func:`seal_text`.
6. **Extremes** are not published; :func:`beyond_bound` tells how many lie beyond a declared bound,
   :func:`whole_months` how old the oldest row is.

So two numbers of the same people, of two nights or two attempts, leave at least as much open when
they are subtracted as two rounded counts do. A group that is small on some nights only is still
bounded by its neighbours in time; rounding limits that to the width of its steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from nachweis.domain.comparisons import (
    WITHHELD,
    Rules,
    Withheld,
    made_anew,
    withheld,
    without_numbers,
    without_test,
)
from nachweis.domain.finding import Finding, Measurement
from nachweis.domain.rounded import (
    RATE_DECIMALS,
    STEP,
    coarse_comparison,
    coarse_probability,
    coarse_tests,
    restated,
    rounded,
    rounded_interval,
    rounded_rate,
    widened,
)

SMALLEST_COUNT = 10
"""Smaller counts of people are not published."""
SMALL_BAND = "1-9"

COUNT_UNITS = frozenset(
    {
        "rows",
        "people",
        "persons",
        "subjects",
        "customers",
        "contacts",
        "households",
        "sessions",
        "messages",
        "keys",
        "lists",
        "callers",
        "contributors",
        "reviewers",
    }
)
"""Units whose values count people or rows about people."""
RATE_UNITS = frozenset({"share", "rate", "proportion"})
"""Units whose values are a share of the ``n`` rows they were computed from."""
COMPARISON_UNITS = frozenset({"ratio", "difference"})
"""Units whose values compare rates of groups."""
QUALITY_UNITS = frozenset({"F1", "area under the ROC curve", "probability"})
"""Units whose values are fractions made of counts, which more decimals would tell."""

_DAYS_PER_MONTH = 30.436875
_LIMIT_WORDS = (
    "at least ",
    "at most ",
    "fewer than ",
    "fewer than the ",
    "less than ",
    "more than ",
    "minimum of ",
)
_UNIT_WORDS = "|".join(sorted(COUNT_UNITS))
_COUNTED = re.compile(
    r"(?<![\w.,\-/<>])(\d{1,3}(?:,\d{3})+|\d+)"
    r"(?=(?:\s+of\s+(?:the\s+|all\s+)?[\d,]+)?"
    rf"\s+(?:(?!of\b|for\b|in\b|over\b|per\b|and\b|or\b)[a-z]+\s+)?(?:{_UNIT_WORDS})\b)"
)


def sealed_count(count: int) -> int | str:
    """A count of people in the form in which it may be published.

    Args:
        count: Exact count, 0 or more.

    Returns:
        0, the band ``1-9``, or the count rounded to a multiple of 5.
    """
    if count <= 0:
        return 0
    return SMALL_BAND if count < SMALLEST_COUNT else rounded(count)


def beyond_bound(count: int) -> int | str:
    """How many values lie beyond a declared bound; published instead of an extreme value."""
    return sealed_count(count)


def sealed_size(n: int | None) -> int | None:
    """A sample size in the form in which it may be published; None where it is too small."""
    if n is None or n <= 0:
        return n
    return None if n < SMALLEST_COUNT else rounded(n)


def sealed_rate(rate: float, n: int | None) -> float | str | None:
    """A share of people in the form in which it may be published.

    Args:
        rate: Share of the rows that have a property, 0 to 1.
        n: Number of rows; None if it is unknown or already withheld.

    Returns:
        The rate of the rounded counts; None for a sample below 10; a bound such as ``< 0.02`` or
        ``> 0.98`` where the exact rate would tell of fewer than 10 people.
    """
    if n is None:
        return round(rate, RATE_DECIMALS) + 0.0
    if n < SMALLEST_COUNT:
        return None
    shown, published = rounded_rate(rate, n), rounded(n)
    if tells_of_few(rate, n) or tells_of_few(shown, published):
        return f"< {_bound(published)}" if rate <= 0.5 else f"> {round(1 - _bound(published), 3)}"
    return shown


def tells_of_few(rate: float, n: int) -> bool:
    """Whether fewer than 10 of ``n`` people have a property of this rate, or have it not."""
    having = round(rate * n)
    return 0 < having < SMALLEST_COUNT or 0 < n - having < SMALLEST_COUNT


def sealed_cells(cells: Mapping[str, int]) -> dict[str, int | str | None]:
    """Counts of disjoint groups in the form in which they may be published.

    Args:
        cells: Group to exact count.

    Returns:
        Group to 0, ``1-9``, a rounded count, or None where a count is withheld only to protect a
        small one.
    """
    companions = withheld_groups(cells)
    return {
        name: None if name in companions else sealed_count(count) for name, count in cells.items()
    }


def withheld_groups(cells: Mapping[str, int]) -> frozenset[str]:
    """Groups that are large enough but withheld to protect a small one.

    Going by name, groups join the small ones until at least two hold people and together they
    hold at least 10, so that the small ones are not the total minus the others.

    Args:
        cells: Group to exact count; groups do not overlap.

    Returns:
        Names of the groups that join; empty if no group is small.
    """
    hidden = [count for count in cells.values() if 0 < count < SMALLEST_COUNT]
    if not hidden:
        return frozenset()
    joined: set[str] = set()
    for name in sorted(cells):
        if len(hidden) >= 2 and sum(hidden) >= SMALLEST_COUNT:
            break
        if cells[name] >= SMALLEST_COUNT:
            hidden.append(cells[name])
            joined.add(name)
    return frozenset(joined)


def whole_months(days: float) -> int:
    """An age in whole months, rounded down."""
    return math.floor(max(0.0, days) / _DAYS_PER_MONTH)


def seal_text(text: str) -> str:
    """Coarsen counts that a sentence states in front of words such as ``rows`` or ``people``.

    Limits (``fewer than 12 rows``) are the organisation's own numbers and stay.

    Args:
        text: A sentence of a finding.

    Returns:
        The sentence with sealed counts.
    """

    def seal(match: re.Match[str]) -> str:
        if text[: match.start()].endswith(_LIMIT_WORDS):
            return match.group()
        return str(sealed_count(int(match.group().replace(",", ""))))

    return _COUNTED.sub(seal, text)


def seal_findings(findings: Sequence[Finding]) -> list[Finding]:
    """All findings of one subject in the form in which they may be signed and published.

    Args:
        findings: Judged findings with exact numbers.

    Returns:
        The findings with sealed measurements and sentences; sealing them again changes nothing.
    """
    companions = [_companions(finding) for finding in findings]
    return [
        _sealed_finding(*parts)
        for parts in zip(findings, companions, withheld(findings, companions, _RULES), strict=True)
    ]


def seal_finding(finding: Finding) -> Finding:
    """One finding in the form in which it may be published; see :func:`seal_findings`."""
    return seal_findings([finding])[0]


# ----------------------------------------------------------------------------------- inside


_RULES = Rules(RATE_UNITS, COMPARISON_UNITS, sealed_rate)


def _bound(published: int) -> float:
    """A rate above every rate of fewer than 10 people, from the published size alone.

    The exact size may be smaller than the published one by half a step.
    """
    smallest = max(SMALLEST_COUNT, published - STEP // 2)
    return math.ceil(SMALLEST_COUNT / smallest * 1000) / 1000


def _companions(finding: Finding) -> frozenset[str]:
    """Groups whose numbers are withheld throughout a finding.

    Sample sizes of rates belong to disjoint groups. Counts do where a total of the same name
    stands beside them, or where the finding is about one column and the groups are its values.
    """
    sizes: dict[str, dict[str, int]] = {}
    counts: dict[str, dict[str, int]] = {}
    totals: set[str] = set()
    for m in finding.measurements:
        if m.unit in COUNT_UNITS and isinstance(m.value, int) and not isinstance(m.value, bool):
            if m.group is None:
                totals.add(m.name)
            else:
                counts.setdefault(m.name, {})[m.group] = m.value
        if m.unit in RATE_UNITS and m.group is not None and m.n is not None:
            sizes.setdefault(m.name, {})[m.group] = m.n
    disjoint = (cells for name, cells in counts.items() if name in totals or finding.column)
    return frozenset(
        name for cells in (*sizes.values(), *disjoint) for name in withheld_groups(cells)
    )


def _sealed_finding(finding: Finding, companions: frozenset[str], hidden: Withheld) -> Finding:
    measurements = [_sealed(m, companions) for m in finding.measurements]
    for i, anew in made_anew(finding, measurements, _RULES).items():
        kept = {} if measurements[i].interval is not None else {"interval": None}
        measurements[i] = measurements[i].model_copy(update=anew | kept)
    for i in hidden.values | hidden.details:
        m = measurements[i]
        update: dict[str, object] = {"interval": None, "interval_level": None}
        if i in hidden.values:
            update |= {"value": None, "reason": WITHHELD}
        if m.unit not in RATE_UNITS:
            update["recipe"] = without_test(m.recipe, pair=i in hidden.values)
            if companions:
                update["n"] = None  # the sum of sizes of which one is withheld
        measurements[i] = m.model_copy(update=update)
    numbers = [
        float(before.value)
        for i, (before, m) in enumerate(zip(finding.measurements, measurements, strict=True))
        if m.value is None
        and (i in hidden.values or before.unit in COMPARISON_UNITS)
        and isinstance(before.value, (int, float))
        and not isinstance(before.value, bool)
    ]
    explanation = restated(
        without_numbers(finding.explanation, numbers),
        _changed(finding.measurements, measurements),
        _limits(finding),
    )
    return finding.model_copy(
        update={
            "measurements": tuple(measurements),
            "explanation": seal_text(explanation),
            "scope": seal_text(finding.scope),
        }
    )


def _changed(exact: Sequence[Measurement], shown: Sequence[Measurement]) -> Mapping[float, float]:
    """Rates and comparisons that are published as another number."""
    return {
        float(before.value): float(after.value)
        for before, after in zip(exact, shown, strict=True)
        if before.unit in RATE_UNITS | COMPARISON_UNITS
        and isinstance(before.value, float)
        and isinstance(after.value, float)
    }


def _limit(m: Measurement) -> Callable[[float], bool] | None:
    """Whether a number is on the limit's right side; None without a limit that has sides."""
    limit = m.threshold
    return None if limit is None or limit.operator in {"==", "!="} else limit.holds


def _limits(finding: Finding) -> Callable[[str], bool]:
    """Whether a number, as a sentence spells it, is also a limit of the finding."""
    limits = [
        float(m.threshold.value)
        for m in finding.measurements
        if m.threshold is not None and isinstance(m.threshold.value, (int, float))
    ]
    return lambda spelled: any(
        spelled == spell.format(limit)
        for limit in limits
        for spell in ("{:.2f}", "{:.3f}", "{:.4f}", "{:.1%}", "{:.0%}")
    )


def _sealed(m: Measurement, companions: frozenset[str]) -> Measurement:
    protects = m.group in companions
    n = None if protects else sealed_size(m.n)
    update: dict[str, object] = {
        "n": n,
        "recipe": coarse_tests(seal_text(m.recipe)),
        "reason": seal_text(m.reason),
    }
    reason = ""
    if isinstance(m.value, (bool, str)) or m.value is None:
        pass
    elif m.unit in COUNT_UNITS:
        update["value"] = None if protects else sealed_count(round(m.value))
        reason = "withheld so that a small group cannot be recovered" if protects else ""
    elif m.unit in RATE_UNITS:
        update["value"] = sealed_rate(float(m.value), m.n)
        reason = "" if update["value"] is not None else f"fewer than {SMALLEST_COUNT} rows"
    elif m.unit in QUALITY_UNITS and "p_value" in m.name:
        update["value"] = coarse_probability(float(m.value))
    elif m.unit in COMPARISON_UNITS:
        few = m.n is not None and 0 < m.n < SMALLEST_COUNT
        update["value"] = None if few else coarse_comparison(float(m.value), m.n, _limit(m))
        reason = f"fewer than {SMALLEST_COUNT} rows" if few else ""
    elif m.unit in QUALITY_UNITS:
        update["value"] = round(float(m.value), RATE_DECIMALS) + 0.0
    if m.interval is not None and m.unit in RATE_UNITS | COMPARISON_UNITS | QUALITY_UNITS:
        update["interval"] = _sealed_interval(m, update)
    if reason and not m.reason:
        update["reason"] = reason
    return m.model_copy(update=update)


def _sealed_interval(m: Measurement, update: Mapping[str, object]) -> tuple[float, float] | None:
    """Bounds made of published counts; none without them: its width alone tells the size."""
    shown = update.get("value", m.value)
    size = update["n"]
    if m.interval is None or not isinstance(shown, (int, float)):
        return None
    if not isinstance(size, int) or not size:
        return None
    if m.unit in RATE_UNITS:
        return rounded_interval(m, float(shown), size)
    moved = float(shown) - float(m.value or 0) if m.unit in COMPARISON_UNITS else 0.0
    return widened(m.interval, size, moved)
