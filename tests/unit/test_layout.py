"""Keys are built and parsed by one table, and nothing else becomes a key."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.errors import StoreError
from nachweis.storage import layout
from nachweis.storage.layout import Kind

DIGEST = "ab" + "0123456789abcdef" * 3 + "0123456789abcd"
ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
nights = st.dates(dt.date(2000, 1, 1), dt.date(2999, 12, 31)).map(str)
attempts = digests.map(lambda digest: digest[:16])
versions = st.integers(1, layout.LARGEST_VERSION)
sequences = st.integers(1, layout.LARGEST_SEQUENCE)


def test_keys_are_those_of_the_design() -> None:
    assert layout.evidence(DIGEST) == f"evidence/sha256/ab/{DIGEST}.json.gz"
    assert layout.record("newsletter", 1) == "records/newsletter/v000001/record.json"
    assert layout.dossier("churn", 12) == "dossiers/churn/v000012/dossier.json"
    assert layout.rendering("record", "newsletter", 1, "record.de.html") == (
        "records/newsletter/v000001/record.de.html"
    )
    assert layout.statement("2026-11-20", "a1") == "nights/2026-11-20/a1/statement.json"
    assert layout.approval("record", "newsletter", 1, 3) == (
        "approvals/record/newsletter/v000001/000003.json"
    )
    assert layout.incident("inc-1", 1) == "incidents/inc-1/000001.json"
    assert layout.ledger(1) == "ledger/0000000001.json"
    assert layout.gate("churn") == "gates/churn.json"
    assert layout.run("2026-11-20", "a1", "training_data_quality", DIGEST) == (
        f"nights/2026-11-20/a1/runs/training_data_quality/{DIGEST}.json"
    )


@given(ids, digests, nights, attempts, versions, sequences)
def test_every_key_is_parsed_back(
    identifier: str, digest: str, night: str, attempt: str, version: int, sequence: int
) -> None:
    built = {
        layout.evidence(digest): Kind.EVIDENCE,
        layout.record(identifier, version): Kind.RECORD,
        layout.dossier(identifier, version): Kind.DOSSIER,
        layout.rendering("record", identifier, version, "record.en.html"): Kind.RECORD_RENDERING,
        layout.rendering("dossier", identifier, version, "a.pdf"): Kind.DOSSIER_RENDERING,
        layout.statement(night, attempt): Kind.STATEMENT,
        layout.assessment(night, attempt, digest): Kind.ASSESSMENT,
        layout.run(night, attempt, "some_dag", digest): Kind.RUN,
        layout.approval("dossier", identifier, version, version): Kind.APPROVAL,
        layout.incident(identifier, version): Kind.INCIDENT,
        layout.ledger(sequence): Kind.LEDGER,
        layout.gate(identifier): Kind.GATE,
        layout.checkpoint(sequence): Kind.CHECKPOINT,
        layout.timestamp(sequence): Kind.TIMESTAMP,
        layout.text(digest[:32]): Kind.TEXT,
    }
    assert set(built.values()) == set(Kind)
    for key, kind in built.items():
        found = layout.locate(key)
        assert found.kind is kind
        assert ".." not in key
        for part, value in {"id": identifier, "digest": digest, "night": night}.items():
            if part in found.parts:
                assert found.parts[part] == value
        if "version" in found.parts:
            assert found.number("version") == version
        if "sequence" in found.parts:
            assert found.number("sequence") == sequence


@given(st.text(max_size=80))
def test_an_id_of_another_form_never_becomes_a_key(identifier: str) -> None:
    try:
        key = layout.record(identifier, 1)
    except StoreError:
        return
    assert key == f"records/{identifier}/v000001/record.json"
    assert key.count("/") == 3
    assert layout.locate(key).parts["id"] == identifier


@pytest.mark.parametrize(
    "identifier", ["..", "../x", "a/b", "", "A", "a\n", "ä", "a.b", "-a", "a-", "x" * 64]
)
def test_dangerous_ids_are_refused(identifier: str) -> None:
    for build in (lambda i: layout.record(i, 1), lambda i: layout.incident(i, 1), layout.gate):
        with pytest.raises(StoreError):
            build(identifier)


@pytest.mark.parametrize("version", [0, -1, layout.LARGEST_VERSION + 1])
def test_versions_outside_the_range_are_refused(version: int) -> None:
    with pytest.raises(StoreError):
        layout.record("a", version)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ledger/1.json",
        "ledger/0000000000.json",
        "ledger/0000000001.json.bak",
        "nights/2026-02-30/a1/statement.json",
        f"evidence/sha256/cd/{DIGEST}.json.gz",
        "records/../v000001/record.json",
        "records/a/v000000/record.json",
        "records/a/v000001/.hidden",
        "anything",
    ],
)
def test_foreign_keys_are_not_parsed(key: str) -> None:
    with pytest.raises(StoreError):
        layout.locate(key)


def test_a_rendering_cannot_replace_its_document() -> None:
    with pytest.raises(StoreError):
        layout.rendering("record", "a", 1, "record.json")


def test_an_error_does_not_repeat_the_refused_text() -> None:
    with pytest.raises(StoreError) as caught:
        layout.gate("someone@example.org")
    assert "someone" not in str(caught.value)


@given(sequences, sequences)
def test_keys_of_the_ledger_sort_by_number(one: int, other: int) -> None:
    assert (layout.ledger(one) < layout.ledger(other)) == (one < other)
