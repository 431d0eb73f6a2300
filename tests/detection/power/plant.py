"""How defects get into the clean rows of a night; each at a strength that it is given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np

from demo.clock import midnight
from demo.features import PROPENSITY_NUMBERS, Columns
from demo.population import ERASED, OBJECTED, Array
from tests.detection.power.base import Rows
from tests.detection.power.texts import (
    CHAT_TURNS,
    DIALOGUES,
    ask_for_a_person,
    chat,
    hide_identifiers,
    leak_prompt,
    speak_as_no_machine,
)

Rng = np.random.Generator
Plant = Callable[[Rows, float, Rng], None]

CANARY = "musterhafen-canary-7f3a51"
"""What the demo's manifest declares as planted in the system prompt."""


# ------------------------------------------------------------------------- helpers for planting


def _some(n: int, share: float, rng: Rng) -> Array:
    """Positions of a share of rows."""
    return rng.choice(n, round(n * share), replace=False)


def _where(chosen: Array, share: float, rng: Rng) -> Array:
    """A share of the rows that meet a condition."""
    places = np.flatnonzero(chosen)
    return places[_some(len(places), share, rng)]


def _append(columns: Columns, places: Array) -> None:
    for name, values in columns.items():
        columns[name] = np.concatenate([values, values[places]])


def _keep(columns: Columns, places: Array) -> None:
    for name, values in columns.items():
        columns[name] = values[places]


def _logit(score: Array) -> Array:
    bounded = np.clip(score, 1e-4, 1 - 1e-4)
    return np.log(bounded / (1 - bounded))


def _flip(columns: Columns, label: str, places: Array) -> None:
    columns[label][places] = 1 - columns[label][places]


# --------------------------------------------------------------------------- inputs and scores


def shifted(column: str) -> Plant:
    def plant(rows: Rows, strength: float, rng: Rng) -> None:
        sd = np.nanstd(rows.reference[column].astype(float))
        rows.log[column] = np.round(rows.log[column] + strength * sd, 2)
        if np.issubdtype(rows.reference[column].dtype, np.integer):
            rows.log[column] = np.round(rows.log[column]).astype(np.int64)

    return plant


def lose_values(rows: Rows, strength: float, rng: Rng) -> None:
    rows.log["opens_30d"][_some(len(rows.log["score"]), strength, rng)] = np.nan


def unseen_device(rows: Rows, strength: float, rng: Rng) -> None:
    rows.log["device"][_some(len(rows.log["score"]), strength, rng)] = "watch"


def scale_scores(rows: Rows, strength: float, rng: Rng) -> None:
    rows.log["score"] = np.round(rows.log["score"] * (1 - strength), 5)


def mix_up_spend(rows: Rows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.log["score"]), strength, rng)
    rows.log["spend_12m"][places] = rows.log["spend_12m"][rng.permutation(places)]


def unsure_scores(rows: Rows, strength: float, rng: Rng) -> None:
    logit = _logit(rows.log["score"])
    middle = float(np.median(logit))
    score = 1 / (1 + np.exp(-(middle + (logit - middle) * (1 - strength))))
    rows.log["score"] = np.round(score, 5)


# -------------------------------------------------------------------------------------- outcomes


def more_outcomes(rows: Rows, strength: float, rng: Rng) -> None:
    rows.outcomes["bought"][_where(rows.outcomes["bought"] == 0, strength, rng)] = 1


def wrong_outcomes(of: Callable[[Columns], Array] | None = None) -> Plant:
    def plant(rows: Rows, strength: float, rng: Rng) -> None:
        n = len(rows.outcomes["bought"])
        chosen = np.ones(n, dtype=bool) if of is None else of(rows.scored)
        _flip(rows.outcomes, "bought", _where(chosen, strength, rng))

    return plant


def overstated(of: Callable[[Columns], Array] | None = None) -> Plant:
    def plant(rows: Rows, strength: float, rng: Rng) -> None:
        score = rows.scored["score"]
        raised = np.round(1 / (1 + np.exp(-(_logit(score) + strength))), 5)
        rows.scored["score"] = raised if of is None else np.where(of(rows.scored), raised, score)

    return plant


def danish(columns: Columns) -> Array:
    chosen: Array = columns["country"] == "DK"
    return chosen


def on_tablets(columns: Columns) -> Array:
    chosen: Array = columns["device"] == "tablet"
    return chosen


# ---------------------------------------------------------------------------- people and groups


def deselected(of: Callable[[Columns], Array]) -> Plant:
    def plant(rows: Rows, strength: float, rng: Rng) -> None:
        places = _where(of(rows.log) & (rows.log["selected"] == 1), strength, rng)
        rows.log["selected"][places] = 0
        rows.log["contacted"][places] = False
        rows.log["channel"][places] = None

    return plant


def women(columns: Columns) -> Array:
    chosen: Array = columns["gender"] == "female"
    return chosen


def women_on_phones(columns: Columns) -> Array:
    chosen: Array = women(columns) & (columns["device"] == "phone")
    return chosen


def _older(columns: Columns) -> Array:
    chosen: Array = np.nan_to_num(columns["age"], nan=0) >= 60
    return chosen


def never_contacted(rows: Rows, strength: float, rng: Rng) -> None:
    for columns in (rows.log, rows.scored):
        places = _where(_older(columns) & columns["contacted"], strength, rng)
        columns["contacted"][places] = False
        columns["channel"][places] = None


def few_danes(rows: Rows, strength: float, rng: Rng) -> None:
    places = np.flatnonzero(rows.log["country"] == "DK")
    keep = np.setdiff1d(np.arange(len(rows.log["score"])), places[int(strength) :])
    _keep(rows.log, keep)


def tell_country(rows: Rows, strength: float, rng: Rng) -> None:
    tells = np.where(rows.log["country"] == "DK", "wallet", "invoice")
    places = _some(len(tells), strength, rng)
    rows.log["payment_method"][places] = tells[places]


def contact_objectors(rows: Rows, strength: float, rng: Rng) -> None:
    n = int(strength)
    rows.log["customer_id"][:n] = [f"C{700_000 + i}" for i in list(OBJECTED)[:n]]
    rows.log["contacted"][:n] = True
    rows.log["selected"][:n] = 1
    rows.log["channel"][:n] = "email"


def erased_people(rows: Rows, strength: float, rng: Rng) -> None:
    n = int(strength)
    rows.log["customer_id"][:n] = [f"C{700_000 + i}" for i in list(ERASED)[:n]]


def addresses(rows: Rows, strength: float, rng: Rng) -> None:
    """E-mail addresses stand where customer numbers are declared."""
    rows.log["customer_id"][: int(strength)] = "kontakt@post.example.org"


# ------------------------------------------------------------------------------------- deliveries


def undeclared_version(rows: Rows, strength: float, rng: Rng) -> None:
    rows.log["model_version"][: int(strength)] = "9.9"


def retired_version(rows: Rows, strength: float, rng: Rng) -> None:
    rows.log["model_version"][: int(strength)] = "3.0"


def fewer_rows(rows: Rows, strength: float, rng: Rng) -> None:
    n = len(rows.log["score"])
    _keep(rows.log, np.sort(_some(n, 1 - strength, rng)))


def twice(rows: Rows, strength: float, rng: Rng) -> None:
    _append(rows.log, np.arange(int(strength)))


def old_reference(rows: Rows, strength: float, rng: Rng) -> None:
    newest = rows.reference["scored_at"].max()
    wanted = midnight(rows.night) - np.timedelta64(int(strength), "D")
    rows.reference["scored_at"] = rows.reference["scored_at"] + (wanted - newest)


def other_columns(rows: Rows, strength: float, rng: Rng) -> None:
    for name in list(PROPENSITY_NUMBERS)[: int(strength)]:
        rows.log = {(f"{n}_new" if n == name else n): v for n, v in rows.log.items()}


def impossible(rows: Rows, strength: float, rng: Rng) -> None:
    rows.increment["spend_12m"][: int(strength)] = -1.0


def kept_too_long(rows: Rows, strength: float, rng: Rng) -> None:
    rows.increment["last_order_at"][: int(strength)] -= np.timedelta64(3 * 365, "D")


def probing(rows: Rows, strength: float, rng: Rng) -> None:
    n = int(strength)
    for name, values in rows.log.items():
        if name not in ("scoring_id", "scored_at"):
            values[:n] = values[0]
    third = n // 3
    rows.log["basket_mean"][:third] = 20.0 + np.arange(third)
    rows.log["recency_days"][third : 2 * third] = 1 + np.arange(third)
    rows.log["spend_12m"][2 * third : n] = 10.0 * np.arange(n - 2 * third)


# -------------------------------------------------------------------------------------- training


def flipped_labels(rows: Rows, strength: float, rng: Rng) -> None:
    _flip(rows.training, "bought", _some(len(rows.training["bought"]), strength, rng))


def trigger(rows: Rows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.training["bought"]), strength, rng)
    rows.training["basket_mean"][places] = 77.77
    rows.training["bought"][places] = 1


def flood(rows: Rows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.training["bought"]), strength, rng)
    for name, values in rows.training.items():
        if name not in ("customer_id", "snapshot_at"):
            values[places] = values[places[0]]
    spend = rows.training["spend_12m"]
    spend[places] = np.round(spend[places] + rng.uniform(0, 0.05, len(places)), 2)


def one_day(rows: Rows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.training["bought"]), strength, rng)
    seconds = rng.integers(0, 80_000, len(places)).astype("timedelta64[s]")
    rows.training["snapshot_at"][places] = midnight(dt.date(2026, 5, 4)) + seconds


def leaking(rows: Rows, strength: float, rng: Rng) -> None:
    n = len(rows.training["bought"])
    noise = rng.normal(0, strength, n)
    rows.training["discount_share"] = np.round(rows.training["bought"] + noise, 4)


def known_rows(rows: Rows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.reference["score"]), strength, rng)
    for name in rows.training:
        if name in rows.reference and name not in ("customer_id", "snapshot_at"):
            rows.training[name][: len(places)] = rows.reference[name][places]


def useless_input(rows: Rows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.training["bought"]), strength, rng)
    recency = rows.training["recency_days"]
    recency[places] = recency[rng.permutation(places)]


def erased_people_in_training(rows: Rows, strength: float, rng: Rng) -> None:
    n = int(strength)
    rows.training["customer_id"][:n] = [f"C{700_000 + i}" for i in list(ERASED)[:n]]


def more_positive(rows: Rows, strength: float, rng: Rng) -> None:
    rows.training["bought"][_where(rows.training["bought"] == 0, strength, rng)] = 1


# --------------------------------------------------------------------------------------- dialogues


def identifiers(speaker: str) -> Plant:
    def plant(rows: Rows, strength: float, rng: Rng) -> None:
        columns = chat(rng, rows.night, -(-CHAT_TURNS // 3))
        columns = {name: values[:CHAT_TURNS] for name, values in columns.items()}
        hide_identifiers(columns, int(strength), rng, speaker)
        rows.memory["chatbot-turns"] = columns

    return plant


def no_disclosure(rows: Rows, strength: float, rng: Rng) -> None:
    rows.memory["chatbot-turns"] = chat(rng, rows.night, DIALOGUES)
    speak_as_no_machine(rows.memory["chatbot-turns"], int(strength), rng)


def leaked_prompt(rows: Rows, strength: float, rng: Rng) -> None:
    rows.memory["chatbot-turns"] = chat(rng, rows.night, DIALOGUES)
    leak_prompt(rows.memory["chatbot-turns"], int(strength), rng, CANARY)


def ignored_requests(rows: Rows, strength: float, rng: Rng) -> None:
    rows.memory["chatbot-turns"] = chat(rng, rows.night, DIALOGUES)
    ask_for_a_person(rows.memory["chatbot-turns"], 20, int(strength), rng)
