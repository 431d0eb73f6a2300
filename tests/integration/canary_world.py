"""A small world in which most checks have something to look at, for planting values in its data."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from tests.canaries import Canaries
from tests.integration.night_support import FIRST, Place
from tests.unit.data_worlds import parquet

SECRET = "NACHWEIS_CANARY_KEY"  # the name of a variable
ROWS = 600
_NOON = dt.datetime.combine(dt.date.fromisoformat(FIRST), dt.time(12))
_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dt.datetime: "timestamp",
    dt.date: "date",
}


def write_world(here: Place) -> Canaries:
    """Write manifests and data with a canary in a few rows of every column.

    Args:
        here: A copy of the tiny world; its model and data sets are replaced.

    Returns:
        The canaries.
    """
    for path in (here.world / "manifests" / "datasets").iterdir():
        path.unlink()
    canaries = Canaries()
    for name, (role, rows, declared) in _data_sets().items():
        planted = canaries.plant(rows)
        nightly = declared.get("fields", {}).get("model_version") == "version"
        path = f"data/{name}/{FIRST}.parquet" if nightly else f"data/{name}.parquet"
        parquet(here.world / path, planted)
        manifest = {
            "id": name,
            "role": role,
            "location": path.replace(FIRST, "{date}"),
            "columns": [_column(column, values) for column, values in rows.items()],
            **declared,
        }
        here.write(f"manifests/datasets/{name}.yaml", manifest)
    for name, model in _models().items():
        here.write(f"manifests/models/{name}.yaml", {"id": name, **model})
    here.write("manifests/activities/marketing.yaml", _activity())
    here.change(
        "manifests/organisation.yaml",
        employee_monitoring={"agreement_ref": "works-agreement", "staff_informed_on": "2026-01-05"},
    )
    return canaries


def _column(name: str, values: list[Any]) -> dict[str, Any]:
    known = next(value for value in values if value is not None)
    return {
        "name": name,
        "type": _TYPES[type(known)],
        "category": "facts",
        "feature": name in {"visits", "spend", "device"},
        "customer_controlled": name in {"visits", "device"},
        "free_text": name in {"note", "text"},
    }


def _data_sets() -> dict[str, tuple[str, dict[str, list[Any]], dict[str, Any]]]:
    """Role, rows and further declarations per data set."""
    key = {"subject_key": {"column": "customer"}}
    hashed = {"column": "hashed", "form": "hmac_sha256", "key_env": SECRET}
    scored = {
        "key": "row",
        "score": "score",
        "prediction": "selected",
        "eligible": "eligible",
        "arm": "arm",
        "contacted": "contacted",
        "channel": "channel",
        "country": "country",
        "model_version": "version",
    }
    rows_of = {"purposes": ["advertising"], "identifiability": "pseudonymised"}
    permitted = {"register": "register", "purpose": "advertising"}
    return {
        "training": (
            "training",
            _scored(1, 300),
            {
                **key,
                **rows_of,
                "time": {"column": "at"},
                "fields": {"label": "bought", "score": "score", "source": "source"},
                "permission": {**permitted, "phase": "development"},
                "release": {
                    "quasi_identifiers": ["country", "device"],
                    "sensitive": ["region"],
                    "k": 5,
                },
            },
        ),
        "reference": (
            "reference",
            _scored(2, 40),
            {
                **key,
                **rows_of,
                "time": {"column": "at"},
                "fields": {**scored, "label": "bought", "model_version": "source"},
            },
        ),
        "scores": (
            "scoring_log",
            _scored(3, 0),
            {
                **key,
                **rows_of,
                "time": {"column": "at"},
                "fields": scored,
                "permission": {**permitted, "phase": "deployment"},
                "contact_permission": permitted,
            },
        ),
        "outcomes": (
            "outcomes",
            {
                "row": [f"r3-{i}" for i in range(ROWS)],
                "customer": [f"c{i}" for i in range(ROWS)],
                "bought": [i % 3 // 2 for i in range(ROWS)],
                "told_at": [_NOON + dt.timedelta(minutes=i % 500) for i in range(ROWS)],
            },
            {**key, "time": {"column": "told_at"}, "fields": {"key": "row", "label": "bought"}},
        ),
        "register": (
            "permission_register",
            _register(),
            {
                **key,
                "fields": {
                    name: name
                    for name in ("purpose", "phase", "basis", "channel", "country", "given_at")
                }
                | {
                    name: name
                    for name in ("withdrawn_at", "expires_at", "born_on", "guardian", "sale_at")
                }
                | {"objection_notice": "objection_notice"},
            },
        ),
        "objections": (
            "objections",
            {
                "customer": [f"c{i}" for i in range(0, ROWS, 20)],
                "received_at": [_NOON - dt.timedelta(days=90)] * (ROWS // 20),
                "scope": ["all"] * (ROWS // 20),
            },
            {**key, "fields": {"received_at": "received_at", "scope": "scope"}},
        ),
        "erased": (
            "erasure_ledger",
            {
                "customer": [f"c{i}" for i in range(0, ROWS, 30)],
                "erased_at": [_NOON - dt.timedelta(days=60)] * (ROWS // 30),
            },
            {**key, "fields": {"erased_at": "erased_at"}},
        ),
        "erased-hashed": (
            "erasure_ledger",
            {
                "hashed": [f"{i:064x}" for i in range(20)],
                "erased_at": [_NOON - dt.timedelta(days=60)] * 20,
            },
            {"subject_key": hashed, "fields": {"erased_at": "erased_at"}},
        ),
        "requests": (
            "subject_requests",
            {
                "customer": [f"c{i}" for i in range(40)],
                "received_at": [_NOON - dt.timedelta(days=50)] * 40,
                "answered_at": [None, None, *[_NOON - dt.timedelta(days=40)] * 38],
            },
            {**key, "fields": {"received_at": "received_at", "answered_at": "answered_at"}},
        ),
        "dialogues": ("dialogues", _dialogues(), _dialogues_declared()),
        "reviews": (
            "reviews",
            {
                "row": [f"r3-{i}" for i in range(200)],
                "reviewer": [f"reviewer-{i % 8}" for i in range(200)],
                "seconds": [20.0 + i % 60 for i in range(200)],
                "decided": [i % 2 for i in range(200)],
                "at": [_NOON + dt.timedelta(minutes=i) for i in range(200)],
            },
            {
                "time": {"column": "at"},
                "fields": {
                    "key": "row",
                    "reviewer": "reviewer",
                    "review_seconds": "seconds",
                    "reviewer_decision": "decided",
                },
            },
        ),
        "accesses": (
            "access_log",
            {
                "actor": ["service/scoring", "service/export"] * 50,
                "action": ["read"] * 100,
                "bytes": [1000 + i for i in range(100)],
                "region": ["eu-central-1"] * 100,
                "at": [_NOON + dt.timedelta(minutes=i) for i in range(100)],
            },
            {
                "time": {"column": "at"},
                "fields": {n: n for n in ("actor", "action", "bytes", "region")},
                "access": {"readers": ["service/scoring"], "regions": ["eu-central-1"]},
            },
        ),
    }


def _scored(seed: int, days_before: int) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    visits = rng.poisson(4, ROWS)
    score = 1 / (1 + np.exp(2.5 - 0.5 * visits - rng.normal(0, 0.3, ROWS)))
    selected = (score >= 0.5).astype(int)
    offered = [bool(one) and i % 10 > 0 for i, one in enumerate(selected)]
    at = _NOON - dt.timedelta(days=days_before)
    return {
        "row": [f"r{seed}-{i}" for i in range(ROWS)],
        "customer": [f"c{i if seed == 3 else i + 100 * seed}" for i in range(ROWS)],
        "at": [at + dt.timedelta(minutes=i % 500) for i in range(ROWS)],
        "visits": [int(one) for one in visits],
        "spend": [round(float(one), 2) for one in rng.gamma(2, 80, ROWS)],
        "device": rng.choice(["phone", "desktop", "tablet"], ROWS).tolist(),
        "region": rng.choice(["north", "south", "west"], ROWS).tolist(),
        "born": [dt.date(1960 + i % 40, 1 + i % 12, 1 + i % 28) for i in range(ROWS)],
        "note": [f"wants parcel {i % 7} on day {i % 5}" for i in range(ROWS)],
        "score": [round(float(one), 4) for one in score],
        "selected": [int(one) for one in selected],
        "eligible": [True] * ROWS,
        "arm": ["control" if i % 10 == 0 else "treatment" for i in range(ROWS)],
        "contacted": offered,
        "channel": ["email" if i % 2 else "post" for i in range(ROWS)],
        "country": ["DE" if i % 3 else "DK" for i in range(ROWS)],
        "version": ["1"] * ROWS,
        "bought": [int(one) for one in rng.random(ROWS) < score],
        "source": ["shop" if i % 2 else "app" for i in range(ROWS)],
    }


def _register() -> dict[str, list[Any]]:
    rows = [
        (i, phase, channel)
        for i in range(ROWS)
        for phase, channel in (("deployment", None), ("development", None), (None, "email"))
    ]
    given = _NOON - dt.timedelta(days=200)
    return {
        "customer": [f"c{i}" for i, _, _ in rows],
        "purpose": ["advertising"] * len(rows),
        "phase": [phase for _, phase, _ in rows],
        "basis": ["soft_opt_in" if i % 4 == 1 else "consent" for i, _, _ in rows],
        "channel": [channel for _, _, channel in rows],
        "country": ["DE" if i % 3 else "DK" for i, _, _ in rows],
        "given_at": [given] * len(rows),
        "withdrawn_at": [_NOON - dt.timedelta(9) if i % 50 == 0 else None for i, _, _ in rows],
        "expires_at": [_NOON + dt.timedelta(days=400)] * len(rows),
        "born_on": [dt.date(1960 + i % 50, 5, 5) for i, _, _ in rows],
        "guardian": [False] * len(rows),
        "sale_at": [given] * len(rows),
        "objection_notice": ["notice-3"] * len(rows),
    }


def _dialogues() -> dict[str, list[Any]]:
    turns = [(i, j) for i in range(100) for j in range(3)]
    said = ("Hello, you are talking to an AI system.", "I want a person, please.", "Of course.")
    return {
        "turn": [f"t{i}-{j}" for i, j in turns],
        "conversation": [f"d{i}" for i, _ in turns],
        "customer": [f"c{i}" for i, _ in turns],
        "at": [_NOON + dt.timedelta(minutes=2 * i, seconds=j) for i, j in turns],
        "speaker": ["customer" if j == 1 else "assistant" for _, j in turns],
        "text": [said[j] for _, j in turns],
        "language": ["en"] * len(turns),
        "handed_over": [j == 2 for _, j in turns],
        "version": ["1"] * len(turns),
    }


def _dialogues_declared() -> dict[str, Any]:
    return {
        "subject_key": {"column": "customer"},
        "time": {"column": "at"},
        "fields": {
            "key": "turn",
            "text": "text",
            "language": "language",
            "source": "speaker",
            "conversation": "conversation",
            "handed_over": "handed_over",
            "model_version": "version",
        },
        "turns": {"asks_for_person": {"en": ["a person"]}, "handover_within": 1},
    }


def _models() -> dict[str, dict[str, Any]]:
    shared = {
        "stage": "draft",
        "owner": "owner",
        "activities": ["marketing"],
        "versions": [{"version": "1", "live_from": "2026-01-01T00:00:00+01:00"}],
    }
    return {
        "propensity": {
            **shared,
            "title": {"en": "Propensity to buy"},
            "kind": "binary",
            "unit": "person",
            "purpose": "advertising",
            "data": {
                "training": ["training"],
                "reference": "reference",
                "scoring_log": "scores",
                "outcomes": "outcomes",
                "objections": "objections",
                "erasure_ledger": "erased",
            },
            "current": {"window": "P1D", "min_rows": 100, "extend_to": "P1D"},
            "decision": {"rule": {"positive": 1, "score_at_least": 0.5}},
            "outcome": {"positive": 1, "label_delay": "P0D"},
            "protected_attributes": [{"id": "region", "column": "region"}],
            "oversight": {"reviews": "reviews"},
        },
        "chatbot": {
            **shared,
            "title": {"en": "Chatbot"},
            "kind": "generative",
            "unit": "session",
            "data": {"dialogues": "dialogues"},
            "current": {"window": "P1D", "min_rows": 50, "extend_to": "P1D"},
            "dialogue": {"markers": ["marker-of-the-prompt"]},
            "ai_act": {
                "role": "deployer",
                "risk_class": "transparency",
                "disclosure": {"en": "you are talking to an AI system"},
            },
        },
    }


def _activity() -> dict[str, Any]:
    return {
        "id": "marketing",
        "title": {"en": "Marketing"},
        "owner": "owner",
        "models": ["propensity", "chatbot"],
        "no_transfers": True,
        "purposes": [
            {
                "id": "advertising",
                "text": {"en": "Choosing whom to write to"},
                "models": ["propensity"],
            }
        ],
        "data_categories": [
            {"id": "facts", "text": {"en": "Facts"}, "pseudonymised": True, "key_holder": "owner"}
        ],
        "retention": [
            {
                "id": "two-months",
                "categories": ["facts"],
                "period": "P2M",
                "start_event": "created",
                "basis": {"en": "Older rows say little."},
                "method": "delete",
                "datasets": [{"name": "training", "time_column": "at"}],
            }
        ],
    }
