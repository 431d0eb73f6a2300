"""Fifty publishers at once on a real S3 server: one entry per number, one per fact, none lost."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from nachweis.domain.record import Statement
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import lock_for
from nachweis.storage.entries import EntryKind
from nachweis.storage.ledger import Appended, Ledger, read
from nachweis.storage.s3 import open_store
from nachweis.storage.signing import open_signer
from nachweis.storage.verify import Remark, verify_store
from tests.signed_store import SignedStore

pytestmark = pytest.mark.store

PUBLISHERS, RETRIED = 50, 20
"""Of all publishers so many publish what another one publishes too, as a retried task does."""


def test_fifty_publishers_at_once_lose_nothing_and_double_nothing(store_settings: Settings) -> None:
    records, anchor = (open_store(store_settings, role) for role in ("records", "anchor"))
    ledger = Ledger(
        records,
        open_signer(store_settings),
        lock=lambda key: lock_for(key, retention="demonstration"),
        anchor=anchor,
    )
    store = SignedStore(records, ledger)
    store.night("2026-03-01")
    # Ten nights, each by several schedulers with different inputs.
    wanted = [
        store.night(f"2026-03-{2 + number % 10:02}", f"attempt-{number // 10}", sign=False)[0]
        for number in range(PUBLISHERS - RETRIED)
    ]
    begin = threading.Barrier(PUBLISHERS)

    def publish(statement: Statement) -> Appended:
        own = dataclasses.replace(ledger)
        key = layout.statement(statement.night, statement.attempt)
        begin.wait()
        return own.append_night(key, statement, hint=2)

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        done = list(pool.map(publish, [*wanted, *wanted[:RETRIED]]))

    entries = list(read(records))
    assert [entry.sequence for entry in entries] == list(range(1, 3 + len(wanted)))
    for before, after in pairwise(entries):
        assert after.previous == before.digest
    signed = Counter(
        digest
        for entry in entries[2:]
        if entry.kind is EntryKind.NIGHT
        for digest in entry.subjects.values()
    )
    assert signed == Counter(statement.digest() for statement in wanted)
    assert sum(appended.written for appended in done) == len(wanted)
    assert sum(appended.rebased > 0 for appended in done) >= PUBLISHERS // 2
    for statement, appended in zip([*wanted, *wanted[:RETRIED]], done, strict=True):
        assert appended.entry.subjects.get(
            layout.statement(statement.night, statement.attempt)
        ) == (statement.digest())
    held = list(records.versions(layout.LEDGER))
    assert len(held) == len(entries)
    assert not any(marker for _, marker in held)

    report = verify_store(records, store.trusted, anchor=anchor)
    assert report.problems == ()
    assert (report.entries, report.nights) == (len(entries), len(wanted) + 1)
    assert report.anchored == len(entries)
    assert Remark.NOT_CITED not in {notice.remark for notice in report.notices}
