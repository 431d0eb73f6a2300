"""The time machine: each change with its source, and what was in force on which evidence."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.canonical import parse
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import Origin
from nachweis.domain.record import Record, RecordField, Section
from nachweis.pages.words import Words, translations
from nachweis.pipeline.changes import compared
from nachweis.pipeline.in_force import in_force_on
from tests.approval_desk import OWNER, TARGET, Office
from tests.site_world import TEMPLATES

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def words(office: Office, language: str = "en") -> Words:
    return Words(language, office.world.controls.labels, translations(TEMPLATES, language))


def record(**values: Any) -> Record:
    """A record with fields of retention rules."""
    return Record(
        id=TARGET, title={"en": "N"}, capacity="controller", status="active", languages=("en",),
        controlling_language="en",
        sections=(
            Section(
                id="art30-1-f", label="a30.1f",
                fields=tuple(
                    RecordField(id=f"retention/{key}", label="a30.1f", value=value,
                                origin=Origin.DECLARED)
                    for key, value in values.items()
                ),
            ),
        ),
    )  # fmt: skip


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Three versions, signed on three days: a changes, then b is added and c goes."""
    from tests import signed_store

    made = Office(tmp_path)
    documents = [
        record(a={"period": "P24M"}, c={"period": "P1M"}),
        record(a={"period": "P36M"}, c={"period": "P1M"}),
        record(a={"period": "P36M"}, b={"text": {"en": "<b>new</b>\u202e", "de": "neu"}}),
    ]
    for number, document in enumerate(documents):
        monkeypatch.setattr(signed_store, "Record", lambda d=document, **_: d)
        made.store.night(
            f"2026-03-0{number + 1}",
            statement_change={
                "code_version": f"{COMMIT}+abc" if number else "unknown+abc",
                "manifests_digest": str(number) * 64,
            },
        )
        made.later(days=1)
    return made


def test_each_change_is_told_in_words_with_the_version_that_brought_it(office: Office) -> None:
    found = compared(office.archive, TARGET, "v1", "v3", words(office))
    said = [
        (item.change.field, item.word, item.before, item.after, item.source.reference.version)
        for item in found.changes
    ]
    assert said == [
        ("retention/a", "changed", "Period: 24 months", "Period: 36 months", 2),
        ("retention/b", "added", "", "Description: <b>new</b>\ufffd", 3),
        ("retention/c", "removed", "Period: 1 month", "", 3),
    ]
    text = found.text()
    assert "record/newsletter: version 1 to version 3" in text
    assert "24 months" in text
    assert "36 months" in text
    assert f"manifests {'1' * 12}, commit {COMMIT[:12]}" in text
    assert "commit not known" in text  # of version 1
    assert "\u202e" not in text


def test_the_commits_of_the_manifests_are_named_and_not_that_of_the_code(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import signed_store

    monkeypatch.setattr(
        signed_store, "Record", lambda **_: record(a={"period": "P48M"}, c={"period": "P1M"})
    )
    own, shipped = "ab" * 20, "cd" * 20
    office.store.night(
        "2026-03-04",
        statement_change={
            "code_version": f"{COMMIT}+abc",
            "manifests_commits": (shipped, f"{own}+changed"),
        },
    )
    found = compared(office.archive, TARGET, None, None, words(office))
    source = f"commit {shipped[:12]}, {own[:12]} with uncommitted changes"
    assert source in found.text()
    facts = found.document()["changes"][0]["source"]
    assert facts["commit"] == own and facts["manifests_commits"] == [shipped, f"{own}+changed"]


def test_the_same_in_another_language(office: Office) -> None:
    text = compared(office.archive, TARGET, "1", "2", words(office, "de")).text()
    assert "24 Monate" in text
    assert "geändert: " in text


def test_the_json_holds_values_and_sources(office: Office) -> None:
    found = compared(office.archive, f"record/{TARGET}", None, None, words(office)).document()
    assert (found["old"]["version"], found["new"]["version"]) == (2, 3)
    assert [item["kind"] for item in found["changes"]] == ["added", "removed"]
    assert found["changes"][0]["after"] == {"text": {"en": "<b>new</b>\u202e", "de": "neu"}}
    assert found["changes"][0]["source"]["commit"] == COMMIT
    assert found["old"]["manifests_digest"] == "1" * 64


def test_equal_versions_differ_in_nothing(office: Office) -> None:
    assert "No field differs." in compared(office.archive, TARGET, "v2", "v2", words(office)).text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("v3", "v1", "earlier version has the greater number"),
        ("v1", "v9", "there is no version 9"),
        ("three", None, "not a version"),
        ("v0", None, "not a version"),
        (None, "v1", "there is no version before version 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    office: Office, old: str | None, new: str | None, said: str
) -> None:
    with pytest.raises(NachweisError, match=said):
        compared(office.archive, TARGET, old, new, words(office))


def test_a_day_has_the_version_and_the_approval_of_that_day(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.night("2026-03-01")
    office.later(hours=1)
    office.submit()
    office.advise()
    case = office.approve()
    office.later(days=10)
    office.night("2026-03-11", "retention/contacts", status="suspended")
    office.later(days=1)
    today = office.now.date()

    early = in_force_on(office.archive, office.world, TARGET, dt.date(2026, 3, 3), today)
    assert early.version.reference.version == 1
    facts = early.document()
    assert case.assessed is not None
    assert facts["approval"]["standing"] == "approved"
    assert facts["approval"]["approved"]["role"] == OWNER
    assert facts["approval"]["approved"]["assessment"] == case.assessed.digest
    assert "approved  2026-03-03 by role head-of-marketing" in early.text()
    assert f"night of 2026-03-01, sha256 {case.assessed.digest}" in early.text()

    late = in_force_on(office.archive, office.world, TARGET, dt.date(2026, 3, 14), today)
    assert late.version.reference.version == 2
    assert "approved  no: not submitted" in late.text()
    assert "before    version 1, 2026-03-03 by role head-of-marketing" in late.text()
    assert "night of 2026-03-11, version 2, 1 contradicted" in late.text()
    content = office.records.get(late.version.reference.key)
    assert parse(content)["status"] == "suspended"


def test_a_day_before_everything_or_ahead_is_refused(office: Office) -> None:
    today = office.now.date()
    with pytest.raises(NachweisError, match="nothing was signed about it") as caught:
        in_force_on(office.archive, office.world, TARGET, dt.date(2026, 3, 1), today)
    assert "its first version was signed on 2026-03-03" in str(caught.value)
    with pytest.raises(NachweisError, match="has not come yet"):
        in_force_on(office.archive, office.world, TARGET, today + dt.timedelta(days=1), today)


def test_an_approval_reads_as_it_was_then_not_as_it_is_now(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.night("2026-03-01")
    office.submit()
    office.approve(reason="Nobody could advise in time.")
    today = dt.date(2028, 1, 1)
    then = in_force_on(office.archive, office.world, TARGET, dt.date(2027, 3, 3), today)
    now = in_force_on(office.archive, office.world, TARGET, dt.date(2027, 3, 4), today)
    assert then.document()["approval"]["standing"] == "approved"
    assert now.document()["approval"]["standing"] == "expired"
    assert "review    overdue since 2027-03-03" in now.text()
