"""The evidence looks after itself: a missed night and a broken store are told, once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nachweis.domain.canonical import parse
from nachweis.pipeline.self_check import message, notify, self_check, told
from nachweis.storage import layout
from nachweis.storage.documents import read_document
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.entries import EntryKind
from nachweis.storage.s3 import open_store
from nachweis.storage.s3_client import StoreAccess, client
from tests.integration.night_support import FIRST, SECOND, THIRD, Place, command, place

pytestmark = pytest.mark.store


@pytest.fixture
def here(
    tmp_path_factory: pytest.TempPathFactory, embedded_store: EmbeddedStore
) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("self-check"), embedded_store) as found:
        found.run(FIRST)
        yield found


def test_a_missed_night_is_told_although_nothing_ran(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert self_check(FIRST).ok
    found = self_check(THIRD)
    assert found.missing == (SECOND, THIRD)
    assert found.problems == ()

    code, said, _ = command("self-check", "--night", THIRD)
    assert code == 1
    assert f"the night of {SECOND} is not signed" in said

    content = notify(found.document(), "email")
    assert content is not None
    assert content["subject"].endswith("2 nights missed")
    assert content["email"] == ["governance@example.com"]
    told(found.document(), "email")
    assert notify(found.document(), "email") is None, "told once"
    assert notify(found.document(), "webhook") is not None, "each channel for itself"

    here.run(SECOND)
    found = self_check(SECOND)
    assert found.ok
    assert found.prolonged == 0, "a demonstration's locks last a day"
    assert command("self-check", "--night", SECOND)[0] == 0

    monkeypatch.setenv("NACHWEIS_RETENTION", "standard")
    assert self_check(SECOND).prolonged == 0, "looked at this month already"
    for note in (here.settings.state / "told").glob("locks-*"):
        note.unlink()
    assert self_check(SECOND).prolonged > 10
    assert self_check(SECOND).prolonged == 0


def test_locks_that_were_not_prolonged_are_told() -> None:
    found = {"night": FIRST, "problems": [], "missing": [], "locks": "locks were not prolonged: no"}
    content = message(found, None)
    assert content is not None
    assert content[0].endswith("locks were not prolonged")
    assert "Locks were not prolonged: no." in content[1]


def test_a_broken_store_opens_one_incident_and_is_told(
    here: Place, embedded_store: EmbeddedStore
) -> None:
    digest = next(iter(here.statement(FIRST).evidence.values()))
    admin = embedded_store.keys.administrator
    s3 = client(StoreAccess(embedded_store.endpoint, "eu-central-1", admin.key, admin.secret))
    s3.put_object(
        Bucket=here.settings.bucket_records, Key=layout.evidence(digest), Body=b"something else"
    )

    found = self_check(FIRST, full=True)
    assert found.problems
    assert found.incident is not None
    assert self_check(FIRST, full=True).incident is None, "opened once"
    entries = [e for e in here.archive.entries if e.kind is EntryKind.INCIDENT]
    assert len(entries) == 1
    records = open_store(here.settings, "records")
    event = parse(read_document(records, layout.incident(found.incident, 1)))
    assert event["incident"] == "evidence_integrity"
    content = notify(found.document(), "webhook")
    assert content is not None
    assert "does not verify" in content["subject"]
