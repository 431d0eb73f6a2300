"""Count how often planted defects are seen, and how often clean nights raise an alarm."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from demo.population import rng_for
from nachweis import registry
from nachweis.domain.finding import Finding, Outcome, Subject
from tests.detection.power.base import FIRST, MODEL, Base, data_set
from tests.detection.power.defect import Defect
from tests.detection.power.defects import DEFECTS
from tests.detection.power.world import Draw

NIGHTS_PER_SEED = 20
"""Nights in a row of one draw; the first ones have little to look back on, as in a new world."""
NIGHTLY = tuple(
    data_set(name)
    for name in ("propensity-scores", "propensity-outcomes", "propensity-training-increment")
)
MENDED_ON = range(8)
"""Draws whose clean nights were looked at while rules of checks were mended."""
ONCE = tuple(data_set(name) for name in ("propensity-training", "propensity-reference"))
"""Data sets that do not change from night to night, judged in the first night of a draw."""

_PLANTING, _CLEAN_SEEDS = 901, 100_000


@dataclass
class CleanNights:
    """What clean nights came to.

    Attributes:
        nights: Model-nights.
        alarms: Model-nights in which at least one check failed or crashed.
        draws: Draws that the nights belong to.
        draws_with_alarms: Draws with at least one such night.
        by_check: Check to model-nights with its failure.
        errors: Check to model-nights in which it crashed.
        verdicts: Check to model-nights in which it passed or failed.
        silent: Check to model-nights in which it said nothing about the data.
    """

    nights: int = 0
    alarms: int = 0
    draws: int = 0
    draws_with_alarms: int = 0
    by_check: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)

    def count(self, found: Iterable[Finding]) -> None:
        """Count one model-night."""
        outcomes: dict[str, set[Outcome]] = {}
        for finding in found:
            outcomes.setdefault(finding.check, set()).add(finding.outcome)
        self.nights += 1
        self.alarms += any(seen & {Outcome.FAIL, Outcome.ERROR} for seen in outcomes.values())
        for check, seen in outcomes.items():
            self.by_check[check] += Outcome.FAIL in seen
            self.errors[check] += Outcome.ERROR in seen
            spoken = bool(seen & {Outcome.PASS, Outcome.FAIL})
            self.verdicts[check] += spoken
            self.silent[check] += not spoken

    def add(self, other: CleanNights) -> None:
        """Add what another run counted."""
        for name in ("nights", "alarms", "draws", "draws_with_alarms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("by_check", "errors", "verdicts", "silent"):
            getattr(self, name).update(getattr(other, name))


def seen(base: Base, defect: Defect, strength: float, seed: int, folder: Path) -> Outcome | None:
    """Plant a defect in a draw and ask the check that must see it.

    Args:
        base: What all draws share.
        defect: The defect.
        strength: How strong it is.
        seed: Which draw.
        folder: An empty folder.

    Returns:
        The worst outcome of the check in the last of the nights with the defect.
    """
    draw = Draw(base, seed, folder)
    last = defect.before + defect.nights
    found: list[Finding] = []
    for number in range(last):
        night = FIRST + dt.timedelta(days=number)
        rows = draw.rows(night)
        if number >= defect.before:
            defect.plant(rows, strength, rng_for(_PLANTING, seed, number))
        draw.write(rows, draw.needed(night, [defect.subject], [defect.kind]))
        found = draw.judge(night, [defect.subject], [defect.kind])
    return outcome_of(found)


def outcome_of(found: Sequence[Finding]) -> Outcome | None:
    """The worst outcome of a check's findings; a crash hides a failure."""
    outcomes = [one.outcome for one in found]
    order = (Outcome.ERROR, Outcome.FAIL)
    return next((one for one in order if one in outcomes), outcomes[0] if outcomes else None)


def clean_nights(base: Base, seed: int, nights: int, folder: Path) -> CleanNights:
    """Judge clean nights of one draw in a row with all checks.

    Args:
        base: What all draws share.
        seed: Which draw; other rows than those that defects are planted in.
        nights: How many nights.
        folder: An empty folder.

    Returns:
        The counts.
    """
    draw, counts = Draw(base, _CLEAN_SEEDS + seed, folder), CleanNights()
    for number in range(nights):
        night = FIRST + dt.timedelta(days=number)
        draw.write(draw.rows(night))
        subjects: Sequence[Subject] = (*NIGHTLY, *(ONCE if number == 0 else ()), MODEL)
        counts.count(draw.judge(night, subjects, repeat=True))
    counts.draws, counts.draws_with_alarms = 1, int(counts.alarms > 0)
    return counts


def without_defect() -> list[str]:
    """Checks that have no defect in the table."""
    return sorted(set(registry.checks()) - {defect.check for defect in DEFECTS})
