"""Whatever people write in manifests stays text: it runs nothing, hides nothing, breaks nothing."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, Threshold
from nachweis.domain.manifest import World
from nachweis.domain.site_data import SiteData
from nachweis.pages.documents import render_documents
from nachweis.pages.render import anchor, environment, harmless, safe_link
from nachweis.pages.website import render_site
from nachweis.pages.words import Words, translations
from tests.html_page import Page
from tests.site_world import TEMPLATES, filled_world, signed, site, statement

HOSTILE = (
    "</td></table><script>alert(1)</script><img src=x onerror=alert(1)>\"' onmouseover=x "
    "{{ 7 * 191 }} {% raw %} %(num)d %s &lt;b&gt; javascript:alert(1) \u202e\u2066\u200f\x00\x1b "
)
BAD_ADDRESS = "javascript:alert(1)//\u202ehttps://example.org/"
LONG = "x" * 19_000


def _findings(world: World, text: str) -> dict[str, list[Finding]]:
    """One finding of every outcome for the filled model and data set, hostile in every text."""
    found: dict[str, list[Finding]] = {}
    for kind in ("model", "data_set"):
        subject = Subject.model_validate({"kind": kind, "id": "an-id"})
        found[str(subject)] = [
            Finding(
                check=text if outcome is Outcome.ERROR else "schema_as_declared",
                subject=subject,
                column=f"{outcome.value} {text}",
                outcome=outcome,
                severity=Severity.HIGH,
                explanation=text,
                remediation=text,
                declare=text,
                scope=text,
                measurements=(
                    Measurement(
                        name=text, value=text, unit=text, group=text, recipe=text,
                        threshold=Threshold(value=text, operator="<=", source=text),
                    ),
                    Measurement(name=text, value=None, reason=text),
                ),
            )
            for outcome in Outcome
        ]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def data() -> SiteData:
    world = filled_world(HOSTILE, BAD_ADDRESS)
    made = site(world, _findings(world, HOSTILE))
    night = signed(statement({}, hostile=HOSTILE))
    return dataclasses.replace(made, nights=(night,), checks={
        "schema_as_declared": made.checks["schema_as_declared"]
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(data: SiteData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_site(data, tmp_path_factory.mktemp("hostile"), TEMPLATES).folder


def _check(text: str, name: str) -> None:
    page = Page(text)
    assert page.faults == [], name
    assert "1337" not in page.text, "a template was evaluated"
    assert harmless(text) == text, "a control character reached the page"
    for link in page.links:
        assert re.fullmatch(r"(https?://|mailto:)[^\s]+|#[^:]*|(\.\./)*\w[^:]*", link), link


def test_hostile_text_is_inert_on_every_page(folder: Path) -> None:
    paths = sorted(folder.rglob("*.html"))
    assert len(paths) > 20
    for path in paths:
        _check(path.read_text(encoding="utf-8"), path.name)


def test_hostile_text_is_printed_as_it_was_written(folder: Path) -> None:
    page = Page((folder / "en" / "activities" / "controller.html").read_text(encoding="utf-8"))
    assert "<script>alert(1)</script><img src=x onerror=alert(1)>" in page.text
    assert "{{ 7 * 191 }} {% raw %} %(num)d %s &lt;b&gt;" in page.text


def test_hostile_text_is_inert_in_signed_documents(data: SiteData) -> None:
    for records in data.records.values():
        for name, text in render_documents(
            records[0].record, version=1, digest="0" * 64, night="2026-11-20",
            templates=TEMPLATES, labels=data.catalogue.labels,
        ).items():  # fmt: skip
            _check(text, name)
    for dossiers in data.dossiers.values():
        for name, text in render_documents(
            dossiers[0].dossier, version=1, digest="0" * 64, night="2026-11-20",
            templates=TEMPLATES, labels=data.catalogue.labels,
        ).items():  # fmt: skip
            _check(text, name)


def test_long_texts_are_printed_whole(tmp_path: Path) -> None:
    world = filled_world(LONG)
    findings = _findings(world, "y" * 100_000)
    made = dataclasses.replace(site(world, findings), languages=("en",))
    night = (render_site(made, tmp_path, TEMPLATES).folder / "en/nights/2026-11-20.html").read_text(
        encoding="utf-8"
    )
    assert "y" * 100_000 in night
    page = Page((tmp_path / "en/activities/controller.html").read_text(encoding="utf-8"))
    assert page.faults == []
    assert LONG in page.text


@pytest.mark.parametrize(
    "value",
    [
        "2026-13-45", "2026-02-30", "0000-00-00", "2026-02-30T99:99", "P", "PT6H", "P1Y2D",
        "P99999D", "1-9", "< 0.02", "", " ", "%", "%(x)s", "{{", "javascript:alert(1)",
        "data:text/html,x", "//evil.example", "https:", "https://", "https://[", "mailto:",
        "HTTPS://EXAMPLE.ORG/A",
    ],
)  # fmt: skip
def test_values_that_only_look_like_dates_periods_or_links_do_no_harm(value: str) -> None:
    template = environment(TEMPLATES, Words("en", {}, translations(TEMPLATES, "en"))).from_string(
        '{% from "macros.html.j2" import value %}{{ value(item, "text") }}'
    )
    _passive = Page(f"<html lang=en><h1>x</h1>{template.render(item=value)}</html>")
    assert _passive.faults == []
    for link in _passive.links:
        assert link == value and link.lower().startswith(("https:", "mailto:"))


@given(st.text())
def test_only_web_and_mail_addresses_become_links(value: str) -> None:
    link = safe_link(value)
    assert link is None or link.lower().startswith(("http://", "https://", "mailto:"))


@given(st.text())
def test_no_direction_or_control_character_survives(value: str) -> None:
    shown = harmless(value)
    assert len(shown) == len(value)
    assert not any(
        character in shown for character in "\u202a\u202e\u2066\u2069\u200e\u200f\u061c\x00\x1b\x85"
    )


@given(st.text())
def test_element_ids_are_plain(value: str) -> None:
    made = anchor(value)
    assert made and all(c.isascii() and (c.isalnum() or c == "-") for c in made)
