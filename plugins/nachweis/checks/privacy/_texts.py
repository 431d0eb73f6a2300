"""Scans for identifiers in texts: how they are asked for, judged and reported in this family."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from nachweis.domain.check import Inputs, Param
from nachweis.domain.finding import Measurement, Threshold
from nachweis.domain.manifest import DataSet, Organisation
from nachweis.domain.observation import KindCount, Source, TextCounts, TextScan
from nachweis.engines.text_patterns import CHANCE, KINDS, beyond_chance

LEVEL = Param(
    "level",
    0.001,
    "p-value",
    "design default of this project",
    "Bare numbers with a right check digit count only where chance explains them with less than "
    "this probability.",
    minimum=1e-9,
    maximum=0.05,
)
RECIPE = (
    "every row filtered in the engine; check digits (Luhn, MOD 97-10, MOD 11,10), dates and "
    "numbering plans proved in the worker; bare numbers without a word before them against an "
    "exact binomial test"
)


def scan(
    inputs: Inputs, data_set: DataSet, source: Source, column: str, by: str | None = None
) -> TextScan:
    """A scan in the words that all checks use, so that checks share it.

    Args:
        inputs: For the organisation's own contacts.
        data_set: The data set.
        source: The window.
        column: Column with texts.
        by: Column that splits the counts.

    Returns:
        The request, named after the column.
    """
    declared = data_set.text_patterns
    return TextScan(
        f"texts:{column}",
        source,
        column,
        by=by,
        own=tuple(sorted(declared.identifiers.items())) if declared else (),
        harmless=tuple(declared.harmless) if declared else (),
        allowed=_contacts(inputs.world.organisation),
    )


def kinds_of(data_set: DataSet) -> tuple[str, ...]:
    """All kinds that a scan of a data set tells apart, the organisation's own last."""
    declared = data_set.text_patterns
    return (*KINDS, *sorted(declared.identifiers if declared else ()))


def _contacts(organisation: Organisation) -> tuple[str, ...]:
    """Addresses and numbers of the organisation itself; a text may name them."""
    parties = (
        organisation.controller,
        organisation.processor,
        organisation.eu_representative,
        organisation.dpo,
        *organisation.contact_points,
    )
    found = {value for one in parties if one is not None for value in (one.email, one.phone)}
    return tuple(sorted(value for value in found if value))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scan found of one kind.

    Attributes:
        kind: The kind.
        count: The numbers.
        told: Whether it counts: a sure identifier, or bare numbers beyond chance.
    """

    kind: str
    count: KindCount
    told: bool


def seen(
    counts: TextCounts, kinds: Iterable[str], level: float, groups: Collection[object] | None = None
) -> list[Seen]:
    """What was found of each kind.

    Args:
        counts: Result of a scan.
        kinds: Kinds that were looked for.
        level: Probability below which chance no longer explains bare numbers.
        groups: Only these groups; None is all.

    Returns:
        One entry per kind, in order.
    """
    result = []
    for kind in kinds:
        parts = [
            count
            for (group, name), count in counts.found.items()
            if name == kind and (groups is None or group in groups)
        ]
        total = KindCount(
            rows=sum(part.rows for part in parts),
            sure=sum(part.sure for part in parts),
            possible=sum(part.possible for part in parts),
            forms=sum(part.forms for part in parts),
        )
        forms = max(total.forms, total.possible)
        beyond = beyond_chance(kind, total.possible, forms, level)
        result.append(Seen(kind, total, total.sure > 0 or beyond))
    return result


def measurements(
    found: Iterable[Seen], n: int, held: Collection[str] = ()
) -> Iterator[Measurement]:
    """Counts per kind; kinds of which nothing was found are left out.

    Args:
        found: What a scan found.
        n: Texts that were scanned.
        held: Kinds that the texts are declared to hold.

    Yields:
        Measurements.
    """
    for one in found:
        limit = (
            None
            if one.kind in held
            else Threshold(value=0, operator="==", source="the statement itself")
        )
        if one.count.rows:
            yield Measurement(
                name=f"texts_with_{one.kind}",
                value=one.count.rows,
                unit="rows",
                threshold=limit,
                n=n,
                recipe=RECIPE,
            )
        if one.count.possible:
            yield Measurement(
                name=f"bare_numbers_like_{one.kind}",
                value=one.count.possible,
                unit="keys",
                n=one.count.forms,
                recipe=f"by chance {CHANCE.get(one.kind, 0):.3g} of the numbers of this form pass",
            )


def named(kinds: Iterable[str]) -> str:
    """Kinds as words."""
    return ", ".join(kind.replace("_", " ") for kind in kinds)
