"""What goes wrong on which night; every other night is clean. DEFECTS.md tells it in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from demo.population import ERASED, OBJECTED, WITHDRAWN, WITHOUT_BASIS, Array


@dataclass(frozen=True)
class Planted:
    """The defects of one night; the defaults are a clean night.

    Attributes:
        smuggled: Data set to customers who must not be in it.
        contacted: Data sets in which the smuggled customers were also contacted.
        renamed: Columns of the newsletter log that arrive under another name.
        basket_factor: Factor on basket values as the campaign log holds them.
        discount_added: Addition to the share of discounted items.
        tenure_lost: Share of churn rows that lose their tenure.
        churn_score_factor: Factor on the churn score as the log holds it, as if written by another
            artefact than the one that decided.
        stricter_for: Gender and what is added to the campaign's threshold for it.
        reversed_for: Country whose churn outcomes arrive with the flag reversed.
        danish_rows: Largest number of Danish rows in the newsletter log.
        impossible_rows: Rows of the training increment with a negative spend.
        old_rows: Rows of the training increment whose last order is three years old.
        prompt_shown: Whether the chatbot shows its system prompt to somebody who asks for it.
        copied_abroad: Whether a principal that nobody declared copies data from another region.
    """

    smuggled: Mapping[str, range] = field(default_factory=dict)
    contacted: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    basket_factor: float = 1.0
    discount_added: float = 0.0
    tenure_lost: float = 0.0
    churn_score_factor: float = 1.0
    stricter_for: tuple[str, float] | None = None
    reversed_for: str | None = None
    danish_rows: int | None = None
    impossible_rows: int = 0
    old_rows: int = 0
    prompt_shown: bool = False
    copied_abroad: bool = False

    def smuggle(self, data_set: str, rows: Array) -> None:
        """Put customers at the head of a data set's rows."""
        people = self.smuggled.get(data_set, range(0))
        rows[: len(people)] = list(people)

    def contact(self, data_set: str, contacted: Array, channel: Array | None = None) -> None:
        """Contact the smuggled customers by e-mail."""
        if data_set in self.contacted:
            n = len(self.smuggled[data_set])
            contacted[:n] = True
            if channel is not None:
                channel[:n] = "email"

    def run_sale(self, x: dict[str, Array]) -> None:
        """Raise the share of discounted items before customers are scored."""
        if self.discount_added:
            raised = np.minimum(x["discount_share"] + self.discount_added, 1)
            x["discount_share"] = np.round(raised, 4)

    def log_baskets(self, x: dict[str, Array]) -> None:
        """Write basket values to the log in another currency than the model read."""
        if self.basket_factor != 1:
            x["basket_mean"] = np.round(x["basket_mean"] * self.basket_factor, 2)

    def disturb_churn(self, x: dict[str, Array], rng: np.random.Generator) -> None:
        """Lose values of the churn model's inputs."""
        if self.tenure_lost:
            tenure = x["tenure_months"].astype(np.float64)
            tenure[rng.random(len(tenure)) < self.tenure_lost] = np.nan
            x["tenure_months"] = tenure

    def disturb_increment(self, x: dict[str, Array], ages: Array) -> None:
        """Spoil rows of the training increment."""
        x["spend_12m"][: self.impossible_rows] = -1.0
        ages[: self.old_rows] += 3 * 365

    def thresholds(self, limit: float, gender: Array) -> Array:
        """The limit from which the campaign selects, for each person."""
        limits = np.full(len(gender), limit)
        if self.stricter_for is not None:
            group, addition = self.stricter_for
            limits[gender == group] += addition
        return limits

    def audience(self, rows: Array, country: Array) -> Array:
        """Customers of the newsletter log, without most Danish ones if so planted."""
        if self.danish_rows is None:
            return rows
        danish = np.flatnonzero(country[rows] == "DK")
        return np.delete(rows, danish[self.danish_rows :])

    def disturb_churned(self, country: Array, churned: Array) -> Array:
        """Outcomes as they are delivered."""
        if self.reversed_for is None:
            return churned
        return np.where(country == self.reversed_for, 1 - churned, churned)


_CLEAN = Planted()


def _first(people: range, n: int, skip: int = 0) -> range:
    return range(people.start + skip, people.start + skip + n)


_BASKETS_IN_ANOTHER_CURRENCY = Planted(basket_factor=1.6)
_SALE = Planted(discount_added=0.2)
_TENURE_LOST = Planted(tenure_lost=0.3)
_WRONG_ARTEFACT = Planted(churn_score_factor=0.6)

CALENDAR: Mapping[dt.date, Planted] = {
    dt.date(2026, 9, 29): Planted(impossible_rows=14),
    dt.date(2026, 10, 1): _BASKETS_IN_ANOTHER_CURRENCY,
    dt.date(2026, 10, 2): _BASKETS_IN_ANOTHER_CURRENCY,
    dt.date(2026, 10, 3): _BASKETS_IN_ANOTHER_CURRENCY,
    dt.date(2026, 10, 7): Planted(renamed={"clicks_30d": "clicks30d"}),
    dt.date(2026, 10, 9): _TENURE_LOST,
    dt.date(2026, 10, 10): _TENURE_LOST,
    dt.date(2026, 10, 12): Planted(reversed_for="DK"),
    dt.date(2026, 10, 14): Planted(
        smuggled={"newsletter-scores": _first(WITHDRAWN, 25)},
        contacted=frozenset({"newsletter-scores"}),
    ),
    dt.date(2026, 10, 17): Planted(
        smuggled={"propensity-training-increment": _first(WITHOUT_BASIS, 40)}
    ),
    dt.date(2026, 10, 20): Planted(stricter_for=("female", 0.1)),
    dt.date(2026, 10, 22): Planted(prompt_shown=True),
    dt.date(2026, 10, 24): Planted(smuggled={"propensity-training-increment": _first(ERASED, 3)}),
    dt.date(2026, 10, 28): _SALE,
    dt.date(2026, 10, 29): _SALE,
    dt.date(2026, 10, 30): _SALE,
    dt.date(2026, 10, 31): _SALE,
    dt.date(2026, 11, 4): _WRONG_ARTEFACT,
    dt.date(2026, 11, 5): _WRONG_ARTEFACT,
    dt.date(2026, 11, 6): _WRONG_ARTEFACT,
    dt.date(2026, 11, 9): Planted(
        smuggled={"propensity-scores": _first(OBJECTED, 12)},
        contacted=frozenset({"propensity-scores"}),
    ),
    dt.date(2026, 11, 13): Planted(copied_abroad=True),
    dt.date(2026, 11, 15): Planted(danish_rows=60),
    dt.date(2026, 11, 18): Planted(smuggled={"chatbot-turns": _first(ERASED, 2, skip=10)}),
    dt.date(2026, 11, 19): Planted(old_rows=12),
    dt.date(2026, 11, 20): Planted(
        smuggled={
            "newsletter-scores": _first(WITHDRAWN, 14, skip=100),
            "churn-scores": _first(ERASED, 2, skip=20),
        },
        contacted=frozenset({"newsletter-scores"}),
        impossible_rows=9,
    ),
}
"""Night to its defects."""


def planted_on(day: dt.date) -> Planted:
    """The defects of a night."""
    return CALENDAR.get(day, _CLEAN)
