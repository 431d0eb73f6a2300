"""Verdicts: nothing untested is confirmed, a failure contradicts, a waiver changes no outcome."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import Attestation, Origin, Verdict, Waiver
from nachweis.domain.manifest.organisation import Organisation
from nachweis.domain.manifest.world import World
from nachweis.domain.night import Night
from nachweis.domain.record import EvidenceRef, RecordField
from nachweis.pipeline.decide import (
    Decision,
    Earlier,
    Located,
    Tonight,
    field_verdict,
    locate,
    view,
)

NIGHT = Night.parse("2026-03-02")
SUBJECT = "data_set/log"
RETENTION = RecordField(
    id="retention/two-years", label="a30.1f", value={"period": "P24M"}, origin=Origin.DECLARED
)


def finding(outcome: Outcome, check: str = "retention_kept", data_set: str = "log") -> Finding:
    return Finding(
        check=check,
        subject=Subject(kind=SubjectKind.DATA_SET, id=data_set),
        outcome=outcome,
        severity=Severity.HIGH,
        explanation=f"{check} says {outcome.value}",
    )


def located(*outcomes: Outcome) -> dict[str, list[Located]]:
    return {SUBJECT: locate([finding(outcome) for outcome in outcomes], "0" * 64)}


def tonight(findings: dict[str, list[Located]], **more: Any) -> Tonight:
    return Tonight(world=world(), night=NIGHT, findings=findings, **more)


def verdict(*outcomes: Outcome, subjects: frozenset[str] = frozenset({SUBJECT})) -> Verdict:
    return field_verdict(RETENTION, set(subjects), tonight(located(*outcomes))).verdict


@given(st.lists(st.sampled_from(Outcome), max_size=6))
def test_only_passes_confirm_and_any_failure_contradicts(outcomes: list[Outcome]) -> None:
    found = verdict(*outcomes)
    if Outcome.FAIL in outcomes:
        assert found is Verdict.CONTRADICTED
    elif set(outcomes) == {Outcome.PASS}:
        assert found is Verdict.CONFIRMED
    elif set(outcomes) == {Outcome.NOT_APPLICABLE}:
        assert found is Verdict.NOT_APPLICABLE
    else:
        assert found is Verdict.NOT_TESTED


def test_a_field_without_any_check_is_not_tested() -> None:
    assert verdict() is Verdict.NOT_TESTED


def test_a_data_set_nobody_looked_at_keeps_the_field_untested() -> None:
    both = frozenset({SUBJECT, "data_set/other"})
    found = field_verdict(RETENTION, set(both), tonight(located(Outcome.PASS)))
    assert found.verdict is Verdict.NOT_TESTED
    assert "no check ran on data_set/other" in found.explanation


def test_findings_of_other_checks_say_nothing_about_the_field() -> None:
    other = {SUBJECT: locate([finding(Outcome.PASS, "schema_as_declared")], "0" * 64)}
    assert field_verdict(RETENTION, {SUBJECT}, tonight(other)).verdict is Verdict.NOT_TESTED


def test_nothing_about_data_without_a_version_is_confirmed() -> None:
    passed = located(Outcome.PASS)
    found = field_verdict(RETENTION, {SUBJECT}, tonight(passed, unpinned=frozenset({"log"})))
    assert found.verdict is Verdict.NOT_TESTED
    assert "not pinned" in found.explanation
    other = tonight(passed, unpinned=frozenset({"another"}))
    assert field_verdict(RETENTION, {SUBJECT}, other).verdict is Verdict.CONFIRMED


def test_permission_to_contact_says_nothing_about_the_legal_basis() -> None:
    basis = RecordField(
        id="legal_basis/mail", label="beyond.legal_basis", value={}, origin=Origin.DECLARED
    )
    failed = finding(Outcome.FAIL, "contact_permission_held_for_audience")
    contact = {SUBJECT: locate([failed], "0" * 64)}
    assert field_verdict(basis, {SUBJECT}, tonight(contact)).verdict is Verdict.NOT_TESTED


def test_what_was_carried_over_was_tested_in_the_night_that_observed_it() -> None:
    def on(*nights: str | None) -> str:
        findings = [
            finding(Outcome.PASS).model_copy(update={"carried_from": night}) for night in nights
        ]
        seen = tonight({SUBJECT: locate(findings, "0" * 64)})
        return field_verdict(RETENTION, {SUBJECT}, seen).tested_on

    assert on("2026-02-27") == "2026-02-27"
    assert on(None, "2026-02-28", "2026-02-26") == "2026-02-26"
    assert on(None) == str(NIGHT)


def test_a_missing_field_is_never_confirmed() -> None:
    missing = RETENTION.model_copy(update={"origin": Origin.MISSING, "value": None})
    found = field_verdict(missing, {SUBJECT}, tonight(located(Outcome.PASS)))
    assert (found.origin, found.verdict) == (Origin.MISSING, Verdict.NOT_TESTED)


@pytest.mark.parametrize(
    ("until", "expected"),
    [("2026-03-02", Verdict.NOT_TESTED), ("2026-03-01", Verdict.EXPIRED)],
)
def test_a_statement_is_shown_and_expires_but_never_confirms(until: str, expected: Verdict) -> None:
    measure = RecordField(id="toms/MFA", label="ctrl.MFA", value={}, origin=Origin.DECLARED)
    statement = Attestation(
        id="mfa",
        control="MFA",
        statement={"en": "All accounts use a second factor"},
        role="owner",
        issued_on=dt.date(2026, 1, 1),
        valid_until=dt.date.fromisoformat(until),
    )
    assert field_verdict(measure, set(), tonight({}), [statement]).verdict is expected


def world(*waivers: Waiver) -> World:
    return World(
        organisation=Organisation(
            id="example",
            controller={
                "legal_name": "Example",
                "address": "Street 1",
                "country": "DE",
                "email": "privacy@example.com",
            },
            roles=[{"id": "owner", "title": {"en": "Owner"}}],
            countries=["DE"],
            establishment="DE",
            languages=["en"],
        ),
        waivers={waiver.id: waiver for waiver in waivers},
    )


def seen(
    outcome: Outcome,
    *,
    earlier: str | None = None,
    decisions: tuple[Decision, ...] = (),
    of: World,
    check: str = "retention_kept",
    blind: tuple[str, ...] = (),
    column: str | None = None,
) -> tuple[str, str, str | None]:
    one = finding(outcome, check)
    since = {f"{one.key}:{column}" if column else one.key: earlier} if earlier else {}
    shown = view(
        Located(one, EvidenceRef(digest="0" * 64, pointer="/findings/0")),
        Tonight(
            world=of,
            night=NIGHT,
            findings={},
            earlier=Earlier(since),
            decisions=decisions,
            blind=blind,
        ),
    )
    return shown.finding.outcome.value, shown.state, shown.since


def test_states_across_nights() -> None:
    key = finding(Outcome.FAIL).key
    acknowledged = (Decision(key, "acknowledged", "2026-03-01"),)
    assert seen(Outcome.FAIL, of=world()) == ("fail", "new", "2026-03-02")
    assert seen(Outcome.FAIL, earlier="2026-02-28", of=world()) == ("fail", "new", "2026-02-28")
    assert seen(Outcome.FAIL, earlier="2026-02-28", decisions=acknowledged, of=world()) == (
        "fail",
        "acknowledged",
        "2026-02-28",
    )
    assert seen(Outcome.PASS, earlier="2026-02-28", of=world()) == ("pass", "resolved", None)


@pytest.mark.parametrize("column", [None, "age"])
def test_what_was_open_is_not_resolved_by_a_night_that_could_not_look(column: str | None) -> None:
    untested = ("not_available", "untested", "2026-02-28")
    assert seen(
        Outcome.NOT_AVAILABLE, earlier="2026-02-28", column=column, of=world()
    ) == untested  # fmt: skip
    assert seen(Outcome.NOT_AVAILABLE, of=world()) == ("not_available", "", None)


def test_a_blind_check_resolves_nothing() -> None:
    shown = seen(Outcome.PASS, earlier="2026-02-28", blind=("retention_kept",), of=world())
    assert shown == ("pass", "untested", "2026-02-28")


def test_what_was_open_before_an_untested_night_is_open_since_then_and_stays_acknowledged() -> None:
    one = finding(Outcome.NOT_AVAILABLE)
    located = Located(one, EvidenceRef(digest="0" * 64, pointer="/findings/0"))
    before = Tonight(
        world=world(), night=NIGHT, findings={}, earlier=Earlier({one.key: "2026-02-20"})
    )
    earlier = Earlier.of([view(located, before)], str(NIGHT))
    assert earlier.since == {one.key: "2026-02-20"}
    said = (Decision(one.key, "acknowledged", "2026-02-21"),)
    assert seen(
        Outcome.FAIL, earlier=earlier.since[one.key], decisions=said, of=world()
    ) == ("fail", "acknowledged", "2026-02-20")  # fmt: skip


def test_a_decision_about_an_earlier_run_of_failures_does_not_hide_a_new_one() -> None:
    old = (Decision(finding(Outcome.FAIL).key, "false_alarm", "2026-01-01"),)
    assert seen(Outcome.FAIL, decisions=old, of=world())[1] == "new"


@pytest.mark.parametrize(("until", "state"), [("2026-03-02", "waived"), ("2026-03-01", "new")])
def test_a_waived_failure_stays_a_failure(until: str, state: str) -> None:
    waiver = Waiver.model_validate(
        {
            "id": "known",
            "check": "retention_kept",
            "subject": SUBJECT,
            "role": "owner",
            "reason": {"en": "Being moved"},
            "from": "2026-02-01",
            "until": until,
        }
    )
    assert seen(Outcome.FAIL, of=world(waiver))[:2] == ("fail", state)


def test_what_cannot_be_waived_is_neither_waived_nor_called_a_false_alarm() -> None:
    check = "erased_subjects_absent"
    waiver = Waiver.model_validate(
        {
            "id": "known",
            "check": check,
            "subject": SUBJECT,
            "role": "owner",
            "reason": {"en": "Being moved"},
            "from": "2026-02-01",
            "until": "2026-04-01",
        }
    )
    assert seen(Outcome.FAIL, of=world(waiver), check=check)[:2] == ("fail", "new")
    said = (Decision(finding(Outcome.FAIL, check).key, "false_alarm", "2026-03-02"),)
    assert seen(Outcome.FAIL, of=world(), decisions=said, check=check)[1] == "acknowledged"
