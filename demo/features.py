"""Columns that models read, drawn for some customers on one occasion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from demo.dialogues import QUEUES
from demo.population import Array, Population

Columns = dict[str, Array]

PROPENSITY_NUMBERS = (
    "recency_days",
    "orders_12m",
    "spend_12m",
    "basket_mean",
    "visits_30d",
    "opens_30d",
    "discount_share",
)
PROPENSITY_TEXTS = ("device", "payment_method", "favourite_category")
NEWSLETTER_NUMBERS = ("opens_30d", "clicks_30d", "subscribed_days", "recency_days", "spend_12m")
NEWSLETTER_TEXTS = ("device",)
CHURN_NUMBERS = (
    "tenure_months",
    "recency_days",
    "orders_12m",
    "returns_12m",
    "complaints_6m",
    "spend_12m",
)
CHURN_TEXTS = ("payment_method",)
TRIAGE_NUMBERS = ("text_length", "attachments", "hour_of_day", "previous_tickets_90d")
TRIAGE_TEXTS = ("language", "channel")


def demographics(people: Population, rows: Array) -> Columns:
    """Columns in which groups are compared; no model reads them."""
    return {
        "country": people.country[rows],
        "gender": people.gender[rows],
        "age": people.age[rows],
    }


def propensity(people: Population, rows: Array, rng: np.random.Generator) -> Columns:
    """Inputs of the campaign model."""
    n = len(rows)
    orders = rng.poisson(people.order_rate[rows])
    basket = np.round(people.basket[rows] * np.exp(rng.normal(0, 0.08, n)), 2)
    opens = rng.poisson(people.open_rate[rows]).astype(np.float64)
    opens[rng.random(n) < 0.06] = np.nan
    return {
        "recency_days": _recency(people, rows, rng),
        "orders_12m": orders,
        "spend_12m": np.round(orders * basket, 2),
        "basket_mean": basket,
        "visits_30d": rng.poisson(people.visit_rate[rows]),
        "opens_30d": opens,
        "discount_share": people.discount[rows],
        "device": people.device[rows],
        "payment_method": people.payment_method[rows],
        "favourite_category": people.favourite_category[rows],
    }


def newsletter(people: Population, rows: Array, rng: np.random.Generator) -> Columns:
    """Inputs of the newsletter model."""
    opens = rng.poisson(people.open_rate[rows])
    return {
        "opens_30d": opens,
        "clicks_30d": rng.binomial(opens, 0.3),
        "subscribed_days": np.minimum(
            people.tenure[rows] * 30 + rng.integers(0, 30, len(rows)), 2400
        ),
        "recency_days": _recency(people, rows, rng),
        "spend_12m": np.round(people.order_rate[rows] * people.basket[rows], 2),
        "device": people.device[rows],
    }


def churn(people: Population, rows: Array, rng: np.random.Generator) -> Columns:
    """Inputs of the churn model."""
    orders = rng.poisson(people.order_rate[rows])
    return {
        "tenure_months": people.tenure[rows],
        "recency_days": _recency(people, rows, rng),
        "orders_12m": orders,
        "returns_12m": rng.poisson(people.return_rate[rows]),
        "complaints_6m": rng.poisson(people.complaint_rate[rows]),
        "spend_12m": np.round(orders * people.basket[rows], 2),
        "payment_method": people.payment_method[rows],
    }


def tickets(people: Population, rows: Array, rng: np.random.Generator) -> Columns:
    """What is known about a request beside its text, and the queue it belongs to."""
    n = len(rows)
    queue = rng.choice(np.array(QUEUES, dtype=object), n, p=[0.35, 0.3, 0.2, 0.15])
    attached = rng.random(n) < np.where(queue == "returns", 0.5, 0.1)
    return {
        "language": people.language[rows],
        "channel": rng.choice(
            np.array(["email", "form", "chat"], dtype=object), n, p=[0.5, 0.35, 0.15]
        ),
        "attachments": np.where(attached, rng.integers(1, 4, n), 0),
        "hour_of_day": np.clip(np.round(rng.normal(14, 4, n)), 7, 21).astype(np.int64),
        "previous_tickets_90d": rng.poisson(0.6, n),
        "queue": queue,
    }


def bought_logit(x: Mapping[str, Array]) -> Array:
    """Log-odds that a customer really buys after a campaign."""
    logit: Array = (
        -1.2
        - 0.012 * x["recency_days"]
        + 0.16 * x["orders_12m"]
        + 0.09 * x["visits_30d"]
        + 0.06 * np.nan_to_num(x["opens_30d"], nan=3.6)
        + 0.8 * x["discount_share"]
        + 0.2 * (x["device"] == "phone")
    )
    return logit


def effect_logits(x: Mapping[str, Array]) -> tuple[Array, Array]:
    """Log-odds of a purchase without and with the newsletter."""
    base = -2.0 - 0.006 * x["recency_days"] + 0.002 * x["spend_12m"]
    return base, base + 0.05 + 0.16 * x["clicks_30d"] + 0.03 * x["opens_30d"]


def churn_logit(x: Mapping[str, Array]) -> Array:
    """Log-odds that a customer does not order again within thirty days of the deadline."""
    logit: Array = (
        -1.4
        + 0.02 * x["recency_days"]
        - 0.12 * x["orders_12m"]
        + 0.25 * x["returns_12m"]
        + 0.6 * x["complaints_6m"]
        - 0.004 * np.nan_to_num(x["tenure_months"], nan=60)
    )
    return logit


def answered_in(queue: Array, rng: np.random.Generator) -> Array:
    """Queue in which a request is finally answered: agents move one in twelve."""
    final: Array = queue.copy()
    moved = rng.random(len(final)) < 0.08
    final[moved] = rng.choice(np.array(QUEUES, dtype=object), int(moved.sum()))
    return final


def happened(logit: Array, rng: np.random.Generator) -> Array:
    """Draw 0 or 1 with these log-odds."""
    return (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.int64)


def _recency(people: Population, rows: Array, rng: np.random.Generator) -> Array:
    days = people.recency[rows] * np.exp(rng.normal(0, 0.3, len(rows)))
    return np.clip(np.round(days), 1, 700).astype(np.int64)
