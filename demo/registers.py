"""Permission register, suppression list, objections and erasure ledger."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from demo.clock import Moments, spread
from demo.files import write_parquet
from demo.population import (
    CUSTOMERS,
    ERASED,
    OBJECTED,
    WITHDRAWN,
    WITHOUT_BASIS,
    Array,
    Population,
    rng_for,
)

SECRET = hashlib.sha256(b"the demo's erasure secret; a real one comes from a vault").hexdigest()
KEY_ENV = "NACHWEIS_DEMO_ERASURE_KEY"

_UTC = pa.timestamp("us", tz="UTC")
_FIRST_PERMISSION, _LAST_PERMISSION = dt.date(2022, 1, 1), dt.date(2025, 3, 1)
_FIRST_WITHDRAWAL, _LAST_WITHDRAWAL = dt.date(2026, 7, 20), dt.date(2026, 9, 20)


@dataclass(frozen=True, slots=True)
class _Grant:
    """One kind of row of the register.

    Attributes:
        purpose: Purpose of an activity.
        phase: Phase a legal basis covers; None for a permission to contact.
        basis: Why it is allowed.
        channel: Channel of a permission to contact.
        ended_for: Customers whose row ended before the first night.
        absent_for: Customers without such a row.
    """

    purpose: str
    phase: str | None
    basis: str
    channel: str | None = None
    ended_for: tuple[range, ...] = ()
    absent_for: tuple[range, ...] = ()


_GRANTS = (
    _Grant(
        "campaign-selection",
        "development",
        "legitimate_interest",
        ended_for=(OBJECTED,),
        absent_for=(WITHOUT_BASIS,),
    ),
    _Grant("campaign-selection", "deployment", "legitimate_interest", ended_for=(OBJECTED,)),
    _Grant("campaign-selection", None, "soft_opt_in", "email", ended_for=(OBJECTED, WITHDRAWN)),
    _Grant("campaign-selection", None, "none_needed", "post", ended_for=(OBJECTED,)),
    _Grant("newsletter-sending", "development", "consent", ended_for=(OBJECTED, WITHDRAWN)),
    _Grant("newsletter-sending", "deployment", "consent", ended_for=(OBJECTED, WITHDRAWN)),
    _Grant("newsletter-sending", None, "consent", "email", ended_for=(OBJECTED, WITHDRAWN)),
    _Grant("churn-prevention", "development", "legitimate_interest"),
    _Grant("churn-prevention", "deployment", "legitimate_interest"),
    _Grant("ticket-handling", "development", "contract"),
    _Grant("ticket-handling", "deployment", "contract"),
    _Grant("chat-support", "deployment", "contract"),
)


def write_registers(people: Population, folder: Path) -> None:
    """Write the four registers; they are the same whatever nights are generated."""
    endings = _endings()
    write_parquet(_permissions(people, endings), folder / "permission-register.parquet")
    objected = np.arange(OBJECTED.start, OBJECTED.stop)
    keys = people.customer_id[objected]
    write_parquet(
        pa.table(
            {
                "subject_key": pa.array(keys, pa.string()),
                "received_at": pa.array(endings[objected], _UTC),
                "scope": pa.array(["direct_marketing"] * len(keys), pa.string()),
            }
        ),
        folder / "objections.parquet",
    )
    write_parquet(
        pa.table(
            {
                "subject_key": pa.array(sorted(keyed_hashes(keys)), pa.string()),
                "received_at": pa.array([_first_second()] * len(keys), _UTC),
            }
        ),
        folder / "suppression-list.parquet",
    )
    erased = people.customer_id[np.arange(ERASED.start, ERASED.stop)]
    write_parquet(
        pa.table(
            {
                "subject_key": pa.array(list(keyed_hashes(erased)), pa.string()),
                "erased_at": pa.array(endings[ERASED.start : ERASED.stop], _UTC),
                "request": pa.array([f"E-{n:05d}" for n in range(len(erased))], pa.string()),
            }
        ),
        folder / "erasure-ledger.parquet",
    )


def keyed_hashes(keys: Iterable[str]) -> Iterator[str]:
    """HMAC-SHA-256 of keys under the demo's secret, as the erasure ledger holds them."""
    secret = bytes.fromhex(SECRET)
    for key in keys:
        yield hmac.new(secret, str(key).encode(), hashlib.sha256).hexdigest()


def environment() -> str:
    """Lines for a shell that set what the data sets read from the environment."""
    return f"{KEY_ENV}={SECRET}\n"


def _first_second() -> dt.datetime:
    return dt.datetime.combine(_LAST_WITHDRAWAL, dt.time(), dt.UTC)


def _endings() -> Moments:
    """For each customer a moment before the first night, used where something ended."""
    return spread(_FIRST_WITHDRAWAL, _LAST_WITHDRAWAL, CUSTOMERS, rng_for(2))


def _permissions(people: Population, endings: Moments) -> pa.Table:
    rng = rng_for(3)
    tables = []
    for grant in _GRANTS:
        absent = {i for people_range in (ERASED, *grant.absent_for) for i in people_range}
        rows = np.array([i for i in range(CUSTOMERS) if i not in absent])
        given = spread(_FIRST_PERMISSION, _LAST_PERMISSION, len(rows), rng)
        ended = np.zeros(len(rows), dtype=bool)
        for one in grant.ended_for:
            ended |= (rows >= one.start) & (rows < one.stop)
        tables.append(
            pa.table(
                {
                    "subject_key": pa.array(people.customer_id[rows], pa.string()),
                    "purpose": _constant(grant.purpose, len(rows)),
                    "phase": _constant(grant.phase, len(rows)),
                    "basis": _constant(grant.basis, len(rows)),
                    "channel": _constant(grant.channel, len(rows)),
                    "country": pa.array(people.country[rows], pa.string()),
                    "language": pa.array(people.language[rows], pa.string()),
                    "given_at": pa.array(given, _UTC),
                    "withdrawn_at": pa.array(endings[rows], _UTC, mask=~ended),
                    "expires_at": pa.nulls(len(rows), _UTC),
                    "method": _constant(_method(grant), len(rows)),
                    "text_digest": pa.array(_text_digests(grant, people, rows), pa.string()),
                }
            )
        )
    return pa.concat_tables(tables)


def _constant(value: str | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.string()) if value is None else pa.array([value] * n, pa.string())


def _method(grant: _Grant) -> str | None:
    return "double_opt_in" if grant.basis == "consent" else None


def _text_digests(grant: _Grant, people: Population, rows: Array) -> Array:
    """Digest of the text a customer saw, one per purpose and language."""
    digests = {
        language: hashlib.sha256(f"{grant.purpose}:{language}:v3".encode()).hexdigest()
        for language in ("de", "da", "en")
    }
    return np.array([digests[language] for language in people.language[rows]], dtype=object)
