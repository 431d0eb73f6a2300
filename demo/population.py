"""The customers of the demo: who they are, and which of them play a part in a planted defect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20260922
CUSTOMERS = 24_000

ERASED = range(120)
"""Asked to be erased before the first night; their numbers are in the erasure ledger only."""
WITHDRAWN = range(120, 600)
"""Withdrew their consent to advertising; scored for other purposes only."""
OBJECTED = range(600, 900)
"""Objected to direct marketing; on the suppression list."""
WITHOUT_BASIS = range(900, 1_100)
"""Object to nothing, but no register entry allows to train with their data."""
ORDINARY = range(1_100, CUSTOMERS)
"""Everybody else."""

DEVICES = ("phone", "desktop", "tablet")
PAYMENTS = ("invoice", "card", "wallet", "instalments")
CATEGORIES = ("home", "garden", "fashion", "toys", "sports")

Array = NDArray[Any]


def rng_for(*parts: int) -> np.random.Generator:
    """A generator that depends on the seed and these numbers only."""
    return np.random.default_rng([SEED, *parts])


@dataclass(frozen=True)
class Population:
    """Columns over all customers; index = customer.

    Attributes:
        customer_id: Number under which data sets know a customer.
        country: DE or DK.
        language: de, da or en.
        gender: female, male or None where no form of address was given.
        age: Years at the last night, or NaN where unknown.
        device: Usual device.
        payment_method: Usual way to pay.
        favourite_category: Most bought category.
        order_rate: Expected orders in twelve months.
        basket: Usual value of an order.
        visit_rate: Expected visits in thirty days.
        open_rate: Expected newsletter openings in thirty days.
        discount: Usual share of discounted items.
        recency: Usual days between orders.
        tenure: Months since the first order.
        return_rate: Expected returns in twelve months.
        complaint_rate: Expected complaints in six months.
    """

    customer_id: Array
    country: Array
    language: Array
    gender: Array
    age: Array
    device: Array
    payment_method: Array
    favourite_category: Array
    order_rate: Array
    basket: Array
    visit_rate: Array
    open_rate: Array
    discount: Array
    recency: Array
    tenure: Array
    return_rate: Array
    complaint_rate: Array


def population() -> Population:
    """Draw the customers; behaviour does not depend on country, gender or age."""
    rng, n = rng_for(1), CUSTOMERS
    country = rng.choice(np.array(["DE", "DK"], dtype=object), n, p=[0.65, 0.35])
    native = np.where(country == "DE", "de", "da").astype(object)
    gender = rng.choice(np.array(["female", "male"], dtype=object), n, p=[0.51, 0.49])
    age = rng.integers(18, 81, n).astype(np.float64)
    gender[rng.random(n) < 0.01] = None
    age[rng.random(n) < 0.02] = np.nan
    return Population(
        customer_id=np.array([f"C{700_000 + i}" for i in range(n)], dtype=object),
        country=country,
        language=np.where(rng.random(n) < 0.12, "en", native).astype(object),
        gender=gender,
        age=age,
        device=rng.choice(np.array(DEVICES, dtype=object), n, p=[0.55, 0.33, 0.12]),
        payment_method=rng.choice(np.array(PAYMENTS, dtype=object), n, p=[0.45, 0.25, 0.2, 0.1]),
        favourite_category=rng.choice(
            np.array(CATEGORIES, dtype=object), n, p=[0.3, 0.2, 0.25, 0.15, 0.1]
        ),
        order_rate=np.round(rng.gamma(3.0, 1.5, n), 4),
        basket=np.round(np.exp(rng.normal(3.9, 0.35, n)), 2),
        visit_rate=np.round(rng.gamma(4.0, 1.5, n), 4),
        open_rate=np.round(rng.gamma(3.0, 1.2, n), 4),
        discount=np.round(rng.beta(2.0, 5.0, n), 4),
        recency=np.round(np.exp(rng.normal(3.6, 0.6, n)), 2),
        tenure=rng.integers(1, 120, n),
        return_rate=np.round(rng.gamma(2.0, 0.6, n), 4),
        complaint_rate=np.round(rng.gamma(1.0, 0.3, n), 4),
    )


def draw(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Ordinary customers without repetition."""
    return rng.choice(np.arange(ORDINARY.start, ORDINARY.stop), n, replace=False)
