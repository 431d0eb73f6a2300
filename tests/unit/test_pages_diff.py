"""What changed between two versions is named field by field, and shown on the page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from nachweis.domain.manifest import Origin
from nachweis.domain.record import Record, RecordField, Section
from nachweis.domain.site_data import VersionedRecord
from nachweis.pages.diff import diff
from nachweis.pages.website import render_site
from tests.html_page import Page
from tests.site_world import TEMPLATES, demo_world, site


def record(models: tuple[dict[str, Any], ...] = (), **values: Any) -> Record:
    fields = tuple(
        RecordField(
            id=key, label="field.purpose", value=value,
            origin=Origin.MISSING if value is None else Origin.DECLARED,
        )
        for key, value in values.items()
    )  # fmt: skip
    return Record(
        id="a", title={"en": "A"}, capacity="controller", status="active", languages=("en",),
        controlling_language="en", models=models,
        sections=(Section(id="s", label="a30.1b", fields=fields),),
    )  # fmt: skip


def changes(old: Record, new: Record) -> list[tuple[str, str, Any, Any]]:
    return [(item.field, item.kind, item.before, item.after) for item in diff(old, new)]


def test_equal_versions_differ_in_nothing() -> None:
    assert diff(record(one="x", two=None), record(one="x", two=None)) == []


def test_each_kind_of_change_is_named() -> None:
    old = record(same=1, changed="old", removed="x", vanished="y", added=None)
    new = record(same=1, changed="new", removed=None, added="z", fresh="w")
    assert changes(old, new) == [
        ("changed", "changed", "old", "new"),
        ("removed", "removed", "x", None),
        ("added", "added", None, "z"),
        ("fresh", "added", None, "w"),
        ("vanished", "removed", "y", None),
    ]


def test_another_served_model_version_is_a_change() -> None:
    before, after = {"id": "m", "version": "1"}, {"id": "m", "version": "2"}
    assert changes(record((before,), one=1), record((after,), one=1)) == [
        ("models", "changed", [before], [after])
    ]


def test_the_history_shows_before_and_after_newest_first(tmp_path: Path) -> None:
    world = demo_world()
    data = site(world)
    (item,) = data.records["newsletter"]
    document = item.record.model_dump(mode="json")
    field = next(
        field
        for section in document["sections"]
        for field in section["fields"]
        if field["id"].startswith("retention/")
    )
    field["value"]["period"] = "P99M"
    older = Record.model_validate(document)
    data = dataclasses.replace(
        data,
        languages=("en",),
        records={
            "newsletter": (
                VersionedRecord(older, 1, older.digest(), "2026-11-19"),
                VersionedRecord(item.record, 2, item.digest, "2026-11-20"),
            )
        },
    )
    folder = render_site(data, tmp_path, TEMPLATES).folder
    page = Page((folder / "en/activities/newsletter.html").read_text(encoding="utf-8"))
    assert page.faults == []
    text = page.text
    assert text.index("Version 2, night of 20 November 2026") < text.index(
        "Version 1, night of 19 November 2026"
    )
    assert "99 months" in text.split("Version history")[-1]
    assert "Version 2, in force since the night of 20 November 2026" in text
