"""Training sets, reference sets and the models that are fitted to them."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import itertools
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo import features
from demo.clock import spread
from demo.dialogues import ticket_texts
from demo.files import write_csv_gz, write_jsonl, write_parquet
from demo.population import Array, Population, draw, rng_for
from demo.tables import numbered, table

CAMPAIGN_THRESHOLD = 0.55
UPLIFT_THRESHOLD = 0.025
CHURN_THRESHOLD = 0.3
"""Scores from which a model selects; the manifests' decision rules say the same."""

_SCHEMA, _STAMP = "schema.json", (1980, 1, 1, 0, 0, 0)
_REFERENCE = (dt.date(2026, 8, 20), dt.date(2026, 9, 10))


@dataclass(frozen=True)
class Models:
    """The fitted estimators.

    Attributes:
        campaign: Probability of a purchase.
        newsletter: Probability of a purchase without and with the newsletter.
        churn: Probability of leaving.
        triage: Queue of a request.
    """

    campaign: Any
    newsletter: dict[str, Any]
    churn: Any
    triage: Any

    def campaign_score(self, x: features.Columns) -> Array:
        """Probability of a purchase."""
        return _positive(self.campaign, x, features.PROPENSITY_NUMBERS, features.PROPENSITY_TEXTS)

    def uplift(self, x: features.Columns) -> Array:
        """Difference that the newsletter makes to the probability of a purchase."""
        names = (features.NEWSLETTER_NUMBERS, features.NEWSLETTER_TEXTS)
        with_it = _positive(self.newsletter["treatment"], x, *names)
        without = _positive(self.newsletter["holdout"], x, *names)
        return np.round(with_it - without, 5)

    def churn_score(self, x: features.Columns) -> Array:
        """Probability of leaving."""
        return _positive(self.churn, x, features.CHURN_NUMBERS, features.CHURN_TEXTS)

    def triage_queue(self, x: features.Columns, texts: list[str]) -> tuple[Array, Array]:
        """The most probable queue of each request and its probability."""
        probabilities = self.triage.predict_proba(_ticket_matrix(x, texts))
        best = probabilities.argmax(axis=1)
        confidence = np.round(probabilities[np.arange(len(best)), best], 4)
        return self.triage.classes_[best].astype(object), confidence


def train(people: Population, folder: Path) -> Models:
    """Write all training sets, fit the models and store them.

    Args:
        people: The customers.
        folder: Folder for the data.

    Returns:
        The fitted models.
    """
    models = Models(
        _train_campaign(people, folder),
        _train_newsletter(people, folder),
        _train_churn(people, folder),
        _train_triage(people, folder),
    )
    for name, estimator in (
        ("campaign-propensity", models.campaign),
        ("newsletter-uplift", models.newsletter),
        ("churn", models.churn),
        ("ticket-triage", models.triage),
    ):
        store(estimator, folder / "models" / f"{name}.skops")
    return models


def campaign_rows(
    people: Population, rows: Array, rng: np.random.Generator
) -> tuple[features.Columns, Array]:
    """Inputs and outcomes of the campaign model for some customers."""
    x = features.propensity(people, rows, rng)
    return x, features.happened(features.bought_logit(x), rng)


def write_references(people: Population, models: Models, folder: Path) -> None:
    """Write scored data that no model was trained on, from the weeks before the first night.

    Outcomes come from streams of their own.
    """
    _reference_campaign(people, models, folder)
    _reference_newsletter(people, models, folder)
    _reference_churn(people, models, folder)
    _reference_triage(people, models, folder)


# -------------------------------------------------------------------------------------- models


def _train_campaign(people: Population, folder: Path) -> Any:
    rng = rng_for(10)
    rows = draw(rng, 12_000)
    x, bought = campaign_rows(people, rows, rng)
    written = {
        "customer_id": people.customer_id[rows],
        "snapshot_at": spread(dt.date(2025, 7, 1), dt.date(2026, 6, 30), len(rows), rng),
        **features.demographics(people, rows),
        **x,
        "bought": bought,
    }
    write_parquet(table(written), folder / "propensity-training.parquet")
    return _fit(x, bought, features.PROPENSITY_NUMBERS, features.PROPENSITY_TEXTS)


def _train_newsletter(people: Population, folder: Path) -> dict[str, Any]:
    rng = rng_for(11)
    rows = draw(rng, 12_000)
    x = features.newsletter(people, rows, rng)
    sent = rng.random(len(rows)) < 0.5
    without, with_it = features.effect_logits(x)
    bought = features.happened(np.where(sent, with_it, without), rng)
    written = {
        "customer_id": people.customer_id[rows],
        "sent_at": spread(dt.date(2025, 10, 1), dt.date(2026, 6, 30), len(rows), rng),
        **features.demographics(people, rows),
        **x,
        "arm": np.where(sent, "treatment", "holdout").astype(object),
        "bought": bought,
    }
    write_csv_gz(table(written), folder / "newsletter-training.csv.gz")
    return {
        arm: _fit(
            {name: column[chosen] for name, column in x.items()},
            bought[chosen],
            features.NEWSLETTER_NUMBERS,
            features.NEWSLETTER_TEXTS,
        )
        for arm, chosen in (("treatment", sent), ("holdout", ~sent))
    }


def _train_churn(people: Population, folder: Path) -> Any:
    rng = rng_for(12)
    rows = draw(rng, 10_000)
    x = features.churn(people, rows, rng)
    churned = features.happened(features.churn_logit(x), rng)
    written = {
        "customer_id": people.customer_id[rows],
        "observed_at": spread(dt.date(2025, 6, 1), dt.date(2026, 6, 30), len(rows), rng),
        **features.demographics(people, rows),
        **x,
        "churned": churned,
    }
    write_parquet(table(written), folder / "churn-training.parquet")
    return _fit(x, churned, features.CHURN_NUMBERS, features.CHURN_TEXTS)


def _train_triage(people: Population, folder: Path) -> Any:
    rng = rng_for(13)
    rows = draw(rng, 4_000)
    x = features.tickets(people, rows, rng)
    texts = ticket_texts(rng, x["language"], x["queue"])
    x["text_length"] = np.array([len(text) for text in texts])
    received = spread(dt.date(2026, 1, 15), dt.date(2026, 6, 30), len(rows), rng)
    written = {
        "ticket_id": numbered("T", 13, len(rows)),
        "customer_id": people.customer_id[rows],
        "received_at": np.datetime_as_string(received, unit="s", timezone="UTC").astype(object),
        "text": np.array(texts, dtype=object),
        **{name: x[name] for name in (*features.TRIAGE_TEXTS, *features.TRIAGE_NUMBERS)},
        "final_queue": x["queue"],
    }
    write_jsonl(table(written).to_pylist(), folder / "triage-training.jsonl")
    return _fit_triage(x, texts)


def _fit(x: features.Columns, y: Array, numbers: tuple[str, ...], texts: tuple[str, ...]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    n = len(numbers)
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(range(n))),
            (
                "texts",
                OneHotEncoder(handle_unknown="ignore"),
                list(range(n, n + len(texts))),
            ),
        ]
    )
    pipeline = make_pipeline(prepare, LogisticRegression(max_iter=500))
    pipeline.fit(_matrix(x, numbers, texts), y)
    return _settled(pipeline)


def _fit_triage(x: features.Columns, texts: list[str]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepare = ColumnTransformer(
        [
            ("text", TfidfVectorizer(min_df=5), 0),
            ("kinds", OneHotEncoder(handle_unknown="ignore"), [1, 2]),
            ("numbers", StandardScaler(), [3, 4, 5, 6]),
        ]
    )
    pipeline = make_pipeline(prepare, LogisticRegression(max_iter=500))
    pipeline.fit(_ticket_matrix(x, texts), x["queue"].astype(str))
    return _settled(pipeline)


def _matrix(x: features.Columns, numbers: tuple[str, ...], texts: tuple[str, ...]) -> Array:
    return np.column_stack([x[name].astype(object) for name in (*numbers, *texts)])


def _ticket_matrix(x: features.Columns, texts: list[str]) -> Array:
    names = (*features.TRIAGE_TEXTS, *features.TRIAGE_NUMBERS)
    return np.column_stack(
        [np.array(texts, dtype=object), *(x[name].astype(object) for name in names)]
    )


def _positive(
    estimator: Any, x: features.Columns, numbers: tuple[str, ...], texts: tuple[str, ...]
) -> Array:
    scores: Array = np.round(estimator.predict_proba(_matrix(x, numbers, texts))[:, 1], 5)
    return scores


def _settled(pipeline: Any) -> Any:
    """Round what was learned, so that the last bits of a processor do not change a digest."""
    from sklearn.base import BaseEstimator

    seen: list[Any] = [pipeline]
    while seen:
        part = seen.pop()
        for name, value in vars(part).items():
            if name == "n_iter_":
                setattr(part, name, np.ones_like(value))
            elif name == "_stop_words_id":  # a memory address
                setattr(part, name, 0)
            elif isinstance(value, np.ndarray) and value.dtype == np.float64:
                setattr(part, name, np.round(value, 6))
            elif isinstance(value, BaseEstimator):
                seen.append(value)
            elif isinstance(value, list | tuple):
                seen += _estimators_in(value)
    return pipeline


def _estimators_in(value: Any) -> list[Any]:
    from sklearn.base import BaseEstimator

    if isinstance(value, BaseEstimator):
        return [value]
    if isinstance(value, list | tuple):
        return [found for item in value for found in _estimators_in(item)]
    return []


def store(estimator: Any, path: Path) -> str:
    """Store an estimator as skops whose bytes depend on its content alone.

    skops names objects and files by memory addresses and stamps its archive with the time; both
    are replaced by running numbers and a fixed date.

    Args:
        estimator: The fitted estimator.
        path: File to write.

    Returns:
        SHA-256 of the file.
    """
    import skops.io

    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator)))
    schema = source.read(_SCHEMA).decode()
    names: dict[str, str] = {}
    for name in re.findall(r'"(\d+\.npy)"', schema):
        names.setdefault(name, f"{len(names) + 1}.npy")
    for old, new in names.items():
        schema = schema.replace(f'"{old}"', f'"{new}"')
    numbers = itertools.count(1)
    schema = re.sub(r'("__id__": )\d+', lambda found: found[1] + str(next(numbers)), schema)
    settled = io.BytesIO()
    with zipfile.ZipFile(settled, "w", zipfile.ZIP_STORED) as target:
        for old, new in names.items():
            target.writestr(zipfile.ZipInfo(new, _STAMP), source.read(old))
        target.writestr(zipfile.ZipInfo(_SCHEMA, _STAMP), schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(settled.getvalue())
    return hashlib.sha256(settled.getvalue()).hexdigest()


# ---------------------------------------------------------------------------------- references


def _reference_campaign(people: Population, models: Models, folder: Path) -> None:
    rng = rng_for(20)
    rows = draw(rng, 8_000)
    x = features.propensity(people, rows, rng)
    score = models.campaign_score(x)
    written = {
        "scoring_id": numbered("RP", 20, len(rows)),
        "customer_id": people.customer_id[rows],
        "scored_at": spread(*_REFERENCE, len(rows), rng),
        **features.demographics(people, rows),
        **x,
        "score": score,
        "selected": (score >= CAMPAIGN_THRESHOLD).astype(np.int64),
        "bought": features.happened(features.bought_logit(x), rng_for(20, 1)),
    }
    write_parquet(table(written), folder / "propensity-reference.parquet")


def _reference_newsletter(people: Population, models: Models, folder: Path) -> None:
    rng = rng_for(21)
    rows = draw(rng, 6_000)
    x = features.newsletter(people, rows, rng)
    uplift = models.uplift(x)
    written = {
        "scoring_id": numbered("RN", 21, len(rows)),
        "customer_id": people.customer_id[rows],
        "scored_at": spread(*_REFERENCE, len(rows), rng),
        **features.demographics(people, rows),
        **x,
        "uplift": uplift,
        "selected": (uplift >= UPLIFT_THRESHOLD).astype(np.int64),
    }
    write_parquet(table(written), folder / "newsletter-reference.parquet")


def _reference_churn(people: Population, models: Models, folder: Path) -> None:
    rng = rng_for(22)
    rows = draw(rng, 6_000)
    x = features.churn(people, rows, rng)
    score = models.churn_score(x)
    written = {
        "scoring_id": numbered("RC", 22, len(rows)),
        "customer_id": people.customer_id[rows],
        "scored_at": spread(*_REFERENCE, len(rows), rng),
        **features.demographics(people, rows),
        **x,
        "score": score,
        "voucher": (score >= CHURN_THRESHOLD).astype(np.int64),
        "churned": features.happened(features.churn_logit(x), rng_for(22, 1)),
    }
    write_parquet(table(written), folder / "churn-reference.parquet")


def _reference_triage(people: Population, models: Models, folder: Path) -> None:
    rng = rng_for(23)
    rows = draw(rng, 5_000)
    x = features.tickets(people, rows, rng)
    texts = ticket_texts(rng, x["language"], x["queue"])
    x["text_length"] = np.array([len(text) for text in texts])
    queue, confidence = models.triage_queue(x, texts)
    written = {
        "ticket_id": numbered("RT", 23, len(rows)),
        "customer_id": people.customer_id[rows],
        "received_at": spread(*_REFERENCE, len(rows), rng),
        "country": people.country[rows],
        "age": people.age[rows],
        **{name: x[name] for name in (*features.TRIAGE_TEXTS, *features.TRIAGE_NUMBERS)},
        "confidence": confidence,
        "queue": queue,
        "final_queue": features.answered_in(x["queue"], rng_for(23, 1)),
    }
    write_parquet(table(written), folder / "triage-reference.parquet")
