"""Comparisons of rates beside a rate that is withheld: what else has to be withheld with it.

A rate of which fewer than 10 people make up the property (or its absence) is not published. Three
things beside it would tell it all the same, and are dealt with here:

1. **Differences, ratios, their intervals and tests.** With the other group's rate they give the
   withheld one. They are withheld wherever one of the groups compared is.
2. **The other groups.** A rate of all rows, published elsewhere, minus those of the other groups
   is the withheld one. Further groups are withheld, by their names, until those withheld together
   are too many to tell; none of them is marked as the small one.
3. **Intersections.** Their groups add up to the group of one attribute. All of them are withheld
   where a group of the same rate is, in whichever finding of the subject.

Where only the *size* of a group is withheld, to protect a smaller one, comparisons keep their value
and lose interval, test and size, which depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nachweis.domain.finding import Finding, Measurement
from nachweis.domain.rounded import compared_anew

WITHHELD = "withheld: it would tell how few people of this or of another group have the property"
_ENOUGH = 20
"""People who have the property, and who have not, among the groups withheld together: with fewer,
their number alone would narrow a group of 1 to 9 down."""
_SUFFIXES = ("_difference", "_ratio")
_PAIR = re.compile(r"; [^;]* against [^;]*(?=;|$)")
_TEST = re.compile(r"; p [=<] [^;]*(?=;|$)")


@dataclass(slots=True)
class Withheld:
    """Positions of a finding's measurements that cannot be published as they are.

    Attributes:
        values: Value and interval are withheld.
        details: Interval, test and size are withheld, the value is not.
    """

    values: set[int] = field(default_factory=set)
    details: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Family:
    """Rates of one name by group, and what compares them."""

    name: str
    crossed: bool
    rates: Mapping[int, Measurement]
    comparisons: tuple[int, ...]
    grouped: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as a rate, as a comparison, and as too few; given by the module that seals.

    Attributes:
        rate_units: Units of rates.
        comparison_units: Units of comparisons.
        seals: The form in which a rate of a sample is published; a bound if it tells of few.
    """

    rate_units: frozenset[str]
    comparison_units: frozenset[str]
    seals: Callable[[float, int], float | str | None]

    def few(self, m: Measurement) -> bool:
        """Whether a rate tells of few people who have the property, or who have not."""
        if _parts(m) is None or not isinstance(m.value, (int, float)) or m.n is None:
            return False
        return not isinstance(self.seals(float(m.value), m.n), float)


def withheld(
    findings: Sequence[Finding], companions: Sequence[frozenset[str]], rules: Rules
) -> list[Withheld]:
    """What is withheld of each finding of one subject, beside rates that tell of few.

    Args:
        findings: Findings with exact numbers.
        companions: Per finding, the groups whose sizes are withheld.
        rules: Units and limits.

    Returns:
        One entry per finding.
    """
    families = [list(_families(finding, rules)) for finding in findings]
    telling = {
        family.name
        for found in families
        for family in found
        if family.grouped and any(map(rules.few, family.rates.values()))
    }
    results = []
    for found, hidden_sizes in zip(families, companions, strict=True):
        result = Withheld()
        for family in found:
            hidden = _hidden(family, rules, family.name in telling)
            if family.grouped:
                result.values |= hidden
            if hidden:
                result.values.update(family.comparisons)
            elif any(m.group in hidden_sizes for m in family.rates.values()):
                result.details.update(family.comparisons)
        results.append(result)
    return results


def made_anew(
    finding: Finding, shown: Sequence[Measurement], units: Rules
) -> dict[int, dict[str, object]]:
    """Differences and ratios of a finding as they follow from its rates as published.

    Args:
        finding: With exact numbers.
        shown: Its measurements as they are published.
        units: What counts as a rate and as a comparison.

    Returns:
        Position of a comparison to what changes; others stay as they are.
    """
    anew: dict[int, dict[str, object]] = {}
    for family in _families(finding, units):
        for i in family.comparisons:
            m = finding.measurements[i]
            kind = next((end[1:] for end in _SUFFIXES if m.name.endswith(end)), "")
            pair = _compared(family, m, kind)
            if not kind or pair is None:
                continue
            exact = (finding.measurements[pair[0]], finding.measurements[pair[1]])
            update = compared_anew(m, exact, (shown[pair[0]], shown[pair[1]]), kind)
            if update is not None:
                # A test's probability would tell the exact counts again.
                anew[i] = update | {"recipe": without_test(shown[i].recipe, pair=False)}
    return anew


def without_test(recipe: str, *, pair: bool) -> str:
    """A recipe without the result of its test and, where asked, the two groups compared."""
    told = _TEST.sub("", recipe)
    return _PAIR.sub("", told) if pair else told


def without_numbers(text: str, values: Sequence[float]) -> str:
    """A sentence without withheld values, in whichever way it rounds them."""
    spelled = {
        form
        for value in values
        for number in (value, abs(value))
        for form in (*(f"{number:.{places}f}" for places in range(1, 5)), f"{number:.0%}",
                     f"{number:.1%}")
    }  # fmt: skip
    if not spelled:
        return text
    forms = "|".join(re.escape(form) for form in sorted(spelled, key=len, reverse=True))
    return re.sub(rf"(?<![\w.,-])(?:{forms})(?![\w%]|[.,]\d)", "a withheld number", text)


# ----------------------------------------------------------------------------------- inside


def _parts(m: Measurement) -> tuple[int, int] | None:
    """People with the property and without it; None where the rate is no number."""
    if isinstance(m.value, (bool, str)) or m.value is None or not m.n:
        return None
    having = round(float(m.value) * m.n)
    return having, m.n - having


def _hidden(family: _Family, rules: Rules, telling: bool) -> set[int]:
    """Positions of the rates of a family that are not published."""
    few = {i for i, m in family.rates.items() if rules.few(m)}
    if family.crossed:
        return set(family.rates) if telling else set()
    if not few or not family.grouped:
        return few
    hidden = set(few)
    others = [i for i, m in family.rates.items() if i not in few and _parts(m) is not None]
    # At least one, even where several are few: which ones those are must not show either.
    for i in sorted(others, key=lambda other: str(family.rates[other].group)):
        hidden.add(i)
        parts = [found for at in hidden if (found := _parts(family.rates[at])) is not None]
        if all(sum(part) >= _ENOUGH for part in zip(*parts, strict=True)):
            break
    return hidden


def _compared(family: _Family, m: Measurement, kind: str) -> tuple[int, int] | None:
    """Positions of the two rates of a comparison: first minus, or first over, second."""
    if not family.grouped:
        own = [i for i, rate in family.rates.items() if rate.name == family.name]
        before = [i for i, rate in family.rates.items() if rate.name != family.name]
        return (own[0], before[0]) if len(own) == len(before) == 1 else None
    said = _PAIR.search(m.recipe)
    if said is None:
        return None
    lowest, _, highest = said.group().removeprefix("; ").partition(" against ")
    prefix = f"{m.group}: " if family.crossed else ""
    named = {rate.group: i for i, rate in family.rates.items()}
    pair = named.get(prefix + lowest), named.get(prefix + highest)
    if pair[0] is None or pair[1] is None:
        return None
    return (pair[1], pair[0]) if kind == "difference" else (pair[0], pair[1])


def _families(finding: Finding, rules: Rules) -> Iterator[_Family]:
    """Rates that something in the finding compares, by rate and by attribute or intersection."""
    rates = {i: m for i, m in enumerate(finding.measurements) if m.unit in rules.rate_units}
    compared: dict[tuple[str, str | None], list[int]] = {}
    for i, m in enumerate(finding.measurements):
        base = next((m.name.removesuffix(end) for end in _SUFFIXES if m.name.endswith(end)), "")
        if base and m.unit in rules.comparison_units:
            compared.setdefault((base, m.group), []).append(i)
    crossings = {group for _, group in compared if group is not None}
    for (base, group), positions in compared.items():
        prefix = f"{group}: " if group is not None else ""
        held = {
            i: m
            for i, m in rates.items()
            if m.name == base
            and m.group is not None
            and m.group.startswith(prefix)
            and (prefix or not any(m.group.startswith(f"{other}: ") for other in crossings))
        }
        if held:
            yield _Family(base, group is not None, held, tuple(positions))
            continue
        alone = {
            i: m
            for i, m in rates.items()
            if m.group == group and m.name in (base, f"{base}_reference")
        }
        tests = [
            i
            for i, m in enumerate(finding.measurements)
            if m.group == group and m.name.startswith(f"{base}_p_value")
        ]
        yield _Family(base, False, alone, (*positions, *tests), grouped=False)
