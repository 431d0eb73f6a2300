"""Persistence: a statistical difference fails only when it was seen on several nights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nachweis.domain.check import Inputs
from nachweis.domain.finding import Measurement, Threshold
from nachweis.domain.observation import History, PastFinding, Source

DIFFERS = "differs"
"""Name of the measurement that says whether a column differed on a night, after correction."""

_LOOK_BACK = 30


def history_request(source: Source) -> History:
    """Ask for the signed measurements of earlier nights."""
    return History("history", source, nights=_LOOK_BACK)


@dataclass(frozen=True, slots=True)
class Persistence:
    """On how many of the last judged nights a column differed, tonight included."""

    seen: int
    looked_at: int
    needed: int
    of: int

    @property
    def reached(self) -> bool:
        """Whether the difference is persistent."""
        return self.seen >= self.needed

    @property
    def words(self) -> str:
        """For explanations."""
        return f"{self.seen} of the last {self.looked_at} judged nights, {self.needed} are needed"

    def measurements(self, differs: bool) -> list[Measurement]:
        """Tonight's verdict, which later nights read back, and the count of nights."""
        limit = Threshold(value=self.needed, operator="<", source="policy.yaml: persistence")
        return [
            Measurement(name=DIFFERS, value=differs, recipe="after correction for many columns"),
            Measurement(
                name="nights_different",
                value=self.seen,
                unit="nights",
                threshold=limit,
                recipe=f"of the last {self.of} nights with a verdict, tonight included",
            ),
        ]


def persistence(
    inputs: Inputs, column: str | None, differs: bool, history: Iterable[PastFinding]
) -> Persistence:
    """Count the nights on which a column differed.

    Nights without a verdict (too few rows) are skipped: they say neither yes nor no.

    Args:
        inputs: For the night and the policy.
        column: The column; None for a finding about none.
        differs: Whether it differs tonight.
        history: Earlier findings of this check and subject, newest first.

    Returns:
        The count.
    """
    policy = inputs.world.policy.persistence
    needed, of = policy.get("nights", 2), policy.get("of", 3)
    earlier = _judged(history, column, str(inputs.night))[: of - 1]
    return Persistence(
        seen=int(differs) + sum(earlier), looked_at=1 + len(earlier), needed=needed, of=of
    )


def _judged(history: Iterable[PastFinding], column: str | None, tonight: str) -> Sequence[bool]:
    """Verdicts of earlier nights about a column, newest first, one per night."""
    verdicts: dict[str, bool] = {}
    for past in history:
        if past.column != column or past.night >= tonight or past.night in verdicts:
            continue
        if past.outcome in {"pass", "fail"}:
            verdicts[past.night] = bool(past.values.get(DIFFERS, past.drifted))
    return [verdicts[night] for night in sorted(verdicts, reverse=True)]
