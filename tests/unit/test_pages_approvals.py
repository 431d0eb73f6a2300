"""What the pages say about approvals: how far each is, by roles and dates, and never in green."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.approval import Standing
from nachweis.domain.site_data import SiteData
from nachweis.pages.website import render_site
from nachweis.pipeline.approval_history import approval_on, history
from tests.approval_desk import ADVISER, DECIDER, PROPOSER, TARGET, Office
from tests.html_page import Page
from tests.site_world import TEMPLATES, demo_world, site

REASON = "Kept back for the pages."


@pytest.fixture(scope="module")
def plain() -> SiteData:
    """One activity whose assessment deviates in nothing, one language."""
    world = demo_world()
    only = {"activities": {TARGET: world.activities[TARGET]}, "models": {}}
    data = site(world.model_copy(update=only), {})
    return dataclasses.replace(
        data,
        languages=("en",),
        records={TARGET: data.records[TARGET]},
        dossiers={},
        checks={},
        nights=data.nights,
        assessments={
            key: found.model_copy(update={"contradicted": 0, "verdicts": (), "blind": ()})
            for key, found in data.assessments.items()
        },
        roles={role.id: role.title for role in world.organisation.roles},
    )


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path / "office")
    made.folder.mkdir()
    made.night("2026-03-01")
    return made


def pages(
    data: SiteData, office: Office, folder: Path, today: dt.date | None = None, **change: Any
) -> tuple[Page, Page, str]:
    """The page of the newsletter, the register, and the page's source."""
    events, target = history(office.archive), ("record", TARGET)
    approval = approval_on(events, office.world, target, 1, today or office.now.date())
    shown = dataclasses.replace(
        data,
        approvals={"/".join(target): approval},
        approval_events={"/".join(target): tuple(events.get(target, {}).get(1, ()))},
        **change,
    )
    out = render_site(shown, folder / "site", TEMPLATES).folder
    source = (out / f"en/activities/{TARGET}.html").read_text(encoding="utf-8")
    register = (out / "en/index.html").read_text(encoding="utf-8")
    made = Page(source), Page(register)
    assert made[0].faults == made[1].faults == []
    for name in (PROPOSER, DECIDER, ADVISER, REASON):
        assert name not in source + register
    return *made, source


def state_of(source: str) -> str:
    """The look of the box that says how far the approval is."""
    return source.split('id="f-approval"')[0].rsplit('class="state ', 1)[1].split('"')[0]


def test_a_page_says_who_approved_when_and_what_deviates_since(
    plain: SiteData, office: Office, tmp_path: Path
) -> None:
    office.submit()
    office.advise()
    office.approve(reason=REASON)
    page, register, source = pages(plain, office, tmp_path)
    assert "Version 1, approved 3 March 2026 by role Head of marketing" in page.text
    assert "The review is due on 3 March 2027." in page.text
    assert state_of(source) == "good"
    assert "✓ approved" in register.text
    for said in ("submitted", "data protection officer agrees", "approved"):
        assert said in page.text.split("Events of approval")[-1]

    deviating = {
        key: found.model_copy(update={"contradicted": 2})
        for key, found in plain.assessments.items()
    }
    page, register, source = pages(plain, office, tmp_path, assessments=deviating)
    assert "by role Head of marketing; since then 2 fields deviate" in page.text
    assert state_of(source) == "warn"
    assert "approved, deviates since" in register.text


def test_an_overdue_review_is_never_green(plain: SiteData, office: Office, tmp_path: Path) -> None:
    office.submit()
    office.approve(reason=REASON)
    page, register, source = pages(plain, office, tmp_path, dt.date(2027, 3, 4))
    assert "Review overdue since 3 March 2027" in page.text
    assert "Version 1, approved 3 March 2026 by role Head of marketing" in page.text
    assert state_of(source) == "warn"
    assert "! review overdue" in register.text
    assert "✓ approved" not in register.text
    assert 'chip good"><span aria-hidden="true">✓</span> approved' not in source


def test_what_waits_for_a_decision_says_so(plain: SiteData, office: Office, tmp_path: Path) -> None:
    page, register, _ = pages(plain, office, tmp_path)
    assert "Version 1 was not submitted for approval yet" in page.text
    assert "Nobody has submitted a version yet." in page.text
    assert "– not submitted" in register.text
    office.submit(reason=REASON)
    page, register, _ = pages(plain, office, tmp_path)
    assert "Submitted 3 March 2026 by role Machine-learning engineering; not decided yet." in (
        page.text
    )
    assert "The data protection officer has not advised yet." in page.text
    assert "– not decided yet" in register.text
    office.advise("objects", reason=REASON)
    page, register, source = pages(plain, office, tmp_path)
    assert "The data protection officer objected on 3 March 2026." in page.text
    assert state_of(source) == "warn"
    assert "! objection, not decided yet" in register.text
    office.reject(reason=REASON)
    page, register, source = pages(plain, office, tmp_path)
    assert "Version 1, rejected 3 March 2026 by role Head of marketing" in page.text
    assert state_of(source) == "bad"
    assert "✗ rejected" in register.text


def test_an_event_that_does_not_count_is_shown_as_such(
    plain: SiteData, office: Office, tmp_path: Path
) -> None:
    office.submit()
    events = history(office.archive)["record", TARGET][1]
    late = dataclasses.replace(events[0], counts=False)
    approval = approval_on(
        {("record", TARGET): {1: [*events, late]}}, office.world, ("record", TARGET), 1,
        office.now.date(),
    )  # fmt: skip
    assert approval.standing is Standing.SUBMITTED
    shown = dataclasses.replace(
        plain,
        approvals={f"record/{TARGET}": approval},
        approval_events={f"record/{TARGET}": approval.events},
    )
    out = render_site(shown, tmp_path / "site", TEMPLATES).folder
    page = Page((out / f"en/activities/{TARGET}.html").read_text(encoding="utf-8"))
    assert "does not count: another event was signed before it" in page.text


def test_a_hostile_title_of_a_role_is_inert(
    plain: SiteData, office: Office, tmp_path: Path
) -> None:
    office.submit()
    hostile = {"en": "<script>alert(1)</script>{{ 7 * 7 }}\u202e%(x)s"}
    roles = {**plain.roles, "ml-engineering": hostile}
    page, _, source = pages(plain, office, tmp_path, roles=roles)
    assert "<script" not in source
    assert "\u202e" not in source
    assert "<script>alert(1)</script>{{ 7 * 7 }}" in page.text


def test_a_role_that_is_gone_is_shown_by_its_id(
    plain: SiteData, office: Office, tmp_path: Path
) -> None:
    office.submit()
    page, _, _ = pages(plain, office, tmp_path, roles={})
    assert "Submitted 3 March 2026 by role ml-engineering" in page.text
