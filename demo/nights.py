"""What arrives each night: scoring logs, outcomes, dialogues and new training rows."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from pathlib import Path

import numpy as np

from demo import features
from demo.accesses import accesses
from demo.clock import moments
from demo.defects import planted_on
from demo.dialogues import (
    ANSWERS,
    ASKS_FOR_PERSON,
    CANARY,
    QUEUES,
    TRICKS,
    answers,
    ticket_texts,
)
from demo.files import write_jsonl, write_parquet
from demo.population import Array, Population, draw, rng_for
from demo.tables import numbered, table
from demo.training import (
    CAMPAIGN_THRESHOLD,
    CHURN_THRESHOLD,
    UPLIFT_THRESHOLD,
    Models,
    campaign_rows,
)

CAMPAIGN_DELAY = dt.timedelta(days=14)
NEWSLETTER_DELAY = dt.timedelta(days=7)
CHURN_DELAY = dt.timedelta(days=30)
TRIAGE_DELAY = dt.timedelta(days=2)

_HOLDOUT = 0.1
_WANT_A_PERSON, _TRY_TRICKS = 12, 4
"""Chats of a night in which the customer asks for a person, or tries to get at the prompt."""
_DAYTIME = (8 * 3600, 21 * 3600)
_NIGHT_TIME = (4 * 3600, 6 * 3600)


class Nights:
    """Writes the files of nights; each night depends on its date alone.

    Args:
        people: The customers.
        models: The fitted models.
        folder: Folder for the data.
    """

    def __init__(self, people: Population, models: Models, folder: Path) -> None:
        self._people = people
        self._models = models
        self._folder = folder
        self._scored_campaign = lru_cache(maxsize=32)(self._campaign)
        self._scored_newsletter = lru_cache(maxsize=32)(self._newsletter)
        self._scored_churn = lru_cache(maxsize=48)(self._churn)
        self._sorted_tickets = lru_cache(maxsize=8)(self._tickets)

    def write(self, day: dt.date) -> None:
        """Write everything that arrives in one night."""
        self._write_logs(day)
        self._write_outcomes(day)
        write_parquet(table(self._increment(day)), self._path("propensity-training-increment", day))
        write_jsonl(self._dialogues(day), self._path("ticket-dialogues", day, "jsonl"))
        write_jsonl(self._chat(day), self._path("chatbot-turns", day, "jsonl"))
        write_jsonl(accesses(day), self._path("storage-accesses", day, "jsonl"))

    def _path(self, data_set: str, day: dt.date, suffix: str = "parquet") -> Path:
        return self._folder / data_set / f"{day.isoformat()}.{suffix}"

    def _write_logs(self, day: dt.date) -> None:
        newsletter = self._scored_newsletter(day)
        if renamed := planted_on(day).renamed:
            newsletter = {renamed.get(name, name): values for name, values in newsletter.items()}
        for data_set, columns in (
            ("propensity-scores", self._scored_campaign(day)),
            ("newsletter-scores", newsletter),
            ("churn-scores", self._scored_churn(day)),
            ("triage-scores", self._sorted_tickets(day)[0]),
        ):
            write_parquet(table(columns), self._path(data_set, day))

    # ------------------------------------------------------------------------------- scores

    def _campaign(self, day: dt.date) -> features.Columns:
        planted, rng = planted_on(day), rng_for(100, day.toordinal())
        rows = draw(rng, 4_000)
        planted.smuggle("propensity-scores", rows)
        x = features.propensity(self._people, rows, rng)
        people = features.demographics(self._people, rows)
        planted.run_sale(x)
        score = self._models.campaign_score(x)
        planted.log_baskets(x)
        limit = planted.thresholds(CAMPAIGN_THRESHOLD, people["gender"])
        selected = (score >= limit).astype(np.int64)
        holdout = rng.random(len(rows)) < _HOLDOUT
        eligible = rng.random(len(rows)) < 0.97
        contacted = (selected == 1) & ~holdout & eligible
        channel = np.where(rng.random(len(rows)) < 0.8, "email", "post").astype(object)
        channel[~contacted] = None
        planted.contact("propensity-scores", contacted, channel)
        return {
            "scoring_id": numbered("P", day.toordinal(), len(rows)),
            "customer_id": self._people.customer_id[rows],
            "scored_at": moments(day, rng.integers(*_NIGHT_TIME, len(rows))),
            **people,
            **x,
            "score": score,
            "selected": selected,
            "eligible": eligible,
            "arm": np.where(holdout, "holdout", "treatment").astype(object),
            "model_version": _constant("3.1", len(rows)),
            "contacted": contacted,
            "channel": channel,
        }

    def _newsletter(self, day: dt.date) -> features.Columns:
        planted, rng = planted_on(day), rng_for(101, day.toordinal())
        rows = planted.audience(draw(rng, 3_000), self._people.country)
        planted.smuggle("newsletter-scores", rows)
        x = features.newsletter(self._people, rows, rng)
        people = features.demographics(self._people, rows)
        uplift = self._models.uplift(x)
        selected = (uplift >= UPLIFT_THRESHOLD).astype(np.int64)
        holdout = rng.random(len(rows)) < _HOLDOUT
        contacted = (selected == 1) & ~holdout
        planted.contact("newsletter-scores", contacted)
        return {
            "scoring_id": numbered("N", day.toordinal(), len(rows)),
            "customer_id": self._people.customer_id[rows],
            "scored_at": moments(day, rng.integers(*_NIGHT_TIME, len(rows))),
            **people,
            **x,
            "uplift": uplift,
            "selected": selected,
            "arm": np.where(holdout, "holdout", "treatment").astype(object),
            "model_version": _constant("1.4", len(rows)),
            "contacted": contacted,
            "channel": _constant("email", len(rows)),
        }

    def _churn(self, day: dt.date) -> features.Columns:
        planted, rng = planted_on(day), rng_for(102, day.toordinal())
        rows = draw(rng, 4_000)
        planted.smuggle("churn-scores", rows)
        x = features.churn(self._people, rows, rng)
        people = features.demographics(self._people, rows)
        score = self._models.churn_score(x)
        voucher = (score >= CHURN_THRESHOLD).astype(np.int64)
        planted.disturb_churn(x, rng)
        return {
            "scoring_id": numbered("C", day.toordinal(), len(rows)),
            "customer_id": self._people.customer_id[rows],
            "scored_at": moments(day, rng.integers(*_NIGHT_TIME, len(rows))),
            **people,
            **x,
            "score": np.round(score * planted.churn_score_factor, 5),
            "voucher": voucher,
            "model_version": _constant("2.0", len(rows)),
        }

    def _tickets(self, day: dt.date) -> tuple[features.Columns, list[str], Array]:
        """Scored requests, their texts and their true queues."""
        rng = rng_for(103, day.toordinal())
        rows = draw(rng, 1_500)
        x = features.tickets(self._people, rows, rng)
        texts = ticket_texts(rng, x["language"], x["queue"])
        x["text_length"] = np.array([len(text) for text in texts])
        queue, confidence = self._models.triage_queue(x, texts)
        shift = rng.integers(0, 3600, len(rows))
        log = {
            "ticket_id": numbered("T", day.toordinal(), len(rows)),
            "customer_id": self._people.customer_id[rows],
            "received_at": moments(day, x["hour_of_day"] * 3600 + shift),
            "country": self._people.country[rows],
            "age": self._people.age[rows],
            **{n: x[n] for n in (*features.TRIAGE_TEXTS, *features.TRIAGE_NUMBERS)},
            "confidence": confidence,
            "queue": queue,
            "model_version": _constant("5.2", len(rows)),
        }
        return log, texts, x["queue"]

    # ----------------------------------------------------------------------------- outcomes

    def _write_outcomes(self, day: dt.date) -> None:
        for data_set, columns in (
            ("propensity-outcomes", self._bought(day)),
            ("newsletter-outcomes", self._bought_after_newsletter(day)),
            ("churn-outcomes", self._left(day)),
            ("triage-outcomes", self._final_queues(day)),
        ):
            write_parquet(table(columns), self._path(data_set, day))

    def _outcome(
        self, day: dt.date, scored: features.Columns, label: str, happened: Array
    ) -> features.Columns:
        rng = rng_for(110, day.toordinal())
        return {
            "scoring_id": scored["scoring_id"],
            "customer_id": scored["customer_id"],
            label: happened,
            "observed_at": moments(day, rng.integers(*_NIGHT_TIME, len(happened))),
        }

    def _bought(self, day: dt.date) -> features.Columns:
        scored_on = day - CAMPAIGN_DELAY
        scored = self._scored_campaign(scored_on)
        rng = rng_for(111, scored_on.toordinal())
        happened = features.happened(features.bought_logit(scored), rng)
        return self._outcome(day, scored, "bought", happened)

    def _bought_after_newsletter(self, day: dt.date) -> features.Columns:
        scored_on = day - NEWSLETTER_DELAY
        scored = self._scored_newsletter(scored_on)
        without, with_it = features.effect_logits(scored)
        logit = np.where(scored["contacted"], with_it, without)
        happened = features.happened(logit, rng_for(112, scored_on.toordinal()))
        return self._outcome(day, scored, "bought", happened)

    def _left(self, day: dt.date) -> features.Columns:
        scored_on = day - CHURN_DELAY
        scored = self._scored_churn(scored_on)
        rng = rng_for(113, scored_on.toordinal())
        happened = features.happened(features.churn_logit(scored), rng)
        happened = planted_on(scored_on).disturb_churned(scored["country"], happened)
        return self._outcome(day, scored, "churned", happened)

    def _final_queues(self, day: dt.date) -> features.Columns:
        received = day - TRIAGE_DELAY
        scored, _, queue = self._sorted_tickets(received)
        rng = rng_for(114, received.toordinal())
        final = features.answered_in(queue, rng)
        return {
            "ticket_id": scored["ticket_id"],
            "customer_id": scored["customer_id"],
            "final_queue": final,
            "closed_at": moments(day, rng.integers(*_DAYTIME, len(final))),
        }

    # ------------------------------------------------------------------- training, dialogues

    def _increment(self, day: dt.date) -> features.Columns:
        """New labelled rows for the next training of the campaign model."""
        planted, rng = planted_on(day), rng_for(120, day.toordinal())
        rows = draw(rng, 600)
        planted.smuggle("propensity-training-increment", rows)
        x, bought = campaign_rows(self._people, rows, rng)
        ages = rng.integers(20, 300, len(rows))
        planted.disturb_increment(x, ages)
        return {
            "customer_id": self._people.customer_id[rows],
            "snapshot_at": moments(day, rng.integers(*_NIGHT_TIME, len(rows))),
            "last_order_at": moments(day, rng.integers(*_DAYTIME, len(rows)))
            - ages.astype("timedelta64[D]"),
            **features.demographics(self._people, rows),
            **x,
            "bought": bought,
        }

    def _dialogues(self, day: dt.date) -> list[dict[str, object]]:
        """Texts of the first tickets of the day."""
        scored, texts, _ = self._sorted_tickets(day)
        sent = _written(scored["received_at"])
        return [
            {
                "ticket_id": scored["ticket_id"][i],
                "customer_id": scored["customer_id"][i],
                "sent_at": sent[i],
                "language": scored["language"][i],
                "text": texts[i],
            }
            for i in range(300)
        ]

    def _chat(self, day: dt.date) -> list[dict[str, object]]:
        """Conversations with the chatbot: disclosure, question, answer, sometimes a handover."""
        planted, rng = planted_on(day), rng_for(130, day.toordinal())
        rows = draw(rng, 180)
        planted.smuggle("chatbot-turns", rows)
        languages = self._people.language[rows]
        topics = rng.choice(np.array(QUEUES, dtype=object), len(rows), p=[0.4, 0.3, 0.2, 0.1])
        orders = rng.integers(4_000_000, 5_000_000, len(rows))
        opened = rng.integers(*_DAYTIME, len(rows))
        handed_over = rng.random(len(rows)) < 0.18
        asked = ticket_texts(rng, languages, topics)
        answered = answers(orders, languages, topics)
        for i in range(_WANT_A_PERSON):
            asked[i] = ASKS_FOR_PERSON[languages[i]].format(order=orders[i])
            answered[i] = ANSWERS[languages[i]]["handover"]
            handed_over[i] = True
        for i in range(_WANT_A_PERSON, _WANT_A_PERSON + _TRY_TRICKS):
            asked[i], answered[i] = TRICKS[languages[i]]
        if planted.prompt_shown:
            answered[_WANT_A_PERSON] += f" {CANARY}"
        spoken = (
            ("assistant", answers(orders, languages, ["disclosure"] * len(rows)), 0),
            ("customer", asked, 20),
            ("assistant", answered, 24),
            ("assistant", answers(orders, languages, ["handover"] * len(rows)), 50),
        )
        ids = numbered("D", day.toordinal(), len(rows))
        turns: list[dict[str, object]] = []
        for turn, (speaker, texts, after) in enumerate(spoken):
            sent = _written(moments(day, opened + after))
            turns += [
                {
                    "turn_id": f"{ids[i]}-{turn}",
                    "conversation_id": ids[i],
                    "customer_id": self._people.customer_id[rows[i]],
                    "sent_at": sent[i],
                    "country": self._people.country[rows[i]],
                    "language": languages[i],
                    "speaker": speaker,
                    "text": texts[i],
                    "handed_over": bool(handed_over[i]),
                    "model_version": "2026-08",
                }
                for i in range(len(rows))
                if turn < 3 or handed_over[i]
            ]
        return turns


def _constant(value: str, n: int) -> Array:
    return np.full(n, value, dtype=object)


def _written(times: Array) -> Array:
    return np.datetime_as_string(times, unit="s", timezone="UTC").astype(object)
