"""Verdicts: nothing untested is confirmed, a failure contradicts, a waiver changes no outcome."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
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
from nachweis.pipeline.views import earlier_of, views_of

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


AGE = f"{finding(Outcome.FAIL).key}:age"
OTHER = f"{finding(Outcome.FAIL).key}:other"


class Past:
    """Signed nights by date, each with its findings and blind checks, as an archive gives them."""

    def __init__(self, **nights: Any) -> None:
        self.nights = {f"2026-02-{name[1:]}": told for name, told in nights.items()}
        self.attempts = [SimpleNamespace(night=night) for night in self.nights]

    def current(self, night: str) -> Any:
        return next(item for item in self.attempts if item.night == night)

    def statement(self, attempt: Any) -> Any:
        blind = ("retention_kept",) if BLIND in self.nights[attempt.night] else ()
        evidence = {SUBJECT: attempt.night}
        return SimpleNamespace(
            assessments={}, evidence=evidence, blind=blind, timezone="Europe/Berlin"
        )

    def evidence(self, night: str) -> Any:
        told = [one for one in self.nights[night] if one is not BLIND]
        return SimpleNamespace(findings=[on(*one) for one in told])

    def decisions(self) -> list[Decision]:
        return [Decision(AGE, "acknowledged", "2026-02-01")]

    def after(self, night: str) -> Earlier:
        return earlier_of(self, self.current(night), world())  # type: ignore[arg-type]

    def told(self, night: str) -> dict[str, tuple[str, str | None]]:
        views = views_of(self, self.current(night), world())  # type: ignore[arg-type]
        return {item.finding.key: (item.state, item.since) for item in views}


BLIND = "blind"


def on(outcome: Outcome, column: str | None = None) -> Finding:
    return finding(outcome).model_copy(update={"column": column})


def after(*nights: list[Finding], before: Earlier) -> list[tuple[str, str, str | None]]:
    """States of the last night's findings, where each follows from what the one before left."""
    for number, findings in enumerate(nights, 2):
        night = Night.parse(f"2026-02-{number:02}")
        views = [
            view(
                one,
                Tonight(
                    world=world(),
                    night=night,
                    findings={},
                    earlier=before,
                    decisions=[Decision(AGE, "acknowledged", "2026-02-01")],
                ),
            )
            for one in locate(findings, "0" * 64)
        ]
        before = Earlier.of(views, str(night), before)
    return [(item.finding.key, item.state, item.since) for item in views]


FAIL, PASS, NONE = Outcome.FAIL, Outcome.PASS, Outcome.NOT_AVAILABLE
WITHOUT_A_TEST = [NONE, Outcome.NOT_APPLICABLE, Outcome.ERROR]


@pytest.mark.parametrize("untested", WITHOUT_A_TEST)
@pytest.mark.parametrize("nights", [1, 3])
def test_columns_come_out_of_untested_nights_as_they_went_in(
    untested: Outcome, nights: int
) -> None:
    open_before, night = Earlier({AGE: "2026-02-01"}), [on(untested)]
    gap = [night] * nights
    assert after(*gap, [on(FAIL, "age"), on(FAIL, "other")], before=open_before) == [
        (AGE, "acknowledged", "2026-02-01"),
        (OTHER, "new", f"2026-02-{nights + 2:02}"),
    ]
    assert after(*gap, [on(PASS, "age"), on(PASS, "other")], before=open_before) == [
        (AGE, "resolved", None),
        (OTHER, "", None),
    ]


def test_a_column_that_was_tested_is_not_left_open_by_what_was_said_of_the_others() -> None:
    both = Earlier({AGE: "2026-02-01", OTHER: "2026-02-01"})
    nights = [[on(NONE), on(PASS, "age")], [on(FAIL, "age"), on(FAIL, "other")]]
    assert after(*nights, before=both) == [
        (AGE, "new", "2026-02-03"),
        (OTHER, "new", "2026-02-01"),
    ]


@pytest.mark.parametrize("untested", WITHOUT_A_TEST)
@pytest.mark.parametrize("nights", [1, 3])
def test_open_columns_are_found_again_behind_signed_nights_that_name_none(
    untested: Outcome, nights: int
) -> None:
    gap = {f"n{day:02}": [(untested,)] for day in range(3, 3 + nights)}
    first = [(FAIL, "age"), (PASS, "other")]
    past = Past(n01=first, n02=first, **gap, n10=[(FAIL, "age"), (PASS, "other")])
    last = f"2026-02-{2 + nights:02}"
    assert past.after(last).since.get(AGE) == "2026-02-01"
    assert OTHER not in past.after(last).since
    assert past.told("2026-02-10")[AGE] == ("acknowledged", "2026-02-01")
    passed = Past(n01=first, **gap, n10=[(PASS, "age"), (PASS, "other")])
    assert passed.told("2026-02-10") == {AGE: ("resolved", None), OTHER: ("", None)}


def test_a_pass_ends_what_was_open_before_an_untested_night() -> None:
    past = Past(n01=[(FAIL, "age")], n02=[(PASS, "age")], n03=[(NONE,)], n04=[(FAIL, "age")])
    assert past.after("2026-02-03").since == {}
    assert past.told("2026-02-04") == {AGE: ("new", "2026-02-04")}


@pytest.mark.parametrize("column", [None, "age"])
def test_blind_nights_in_a_row_leave_open_what_was_open(column: str | None) -> None:
    blind = [BLIND, (PASS, column)]
    past = Past(n01=[(FAIL, column)], n02=blind, n03=blind, n04=[(PASS, column)])
    key = on(FAIL, column).key
    assert past.told("2026-02-02")[key] == ("untested", "2026-02-01")
    assert past.told("2026-02-03")[key] == ("untested", "2026-02-01")
    assert past.told("2026-02-04")[key] == ("resolved", None)
    assert past.after("2026-02-04").since == {}


def test_what_is_set_aside_as_not_applicable_is_not_resolved() -> None:
    shown = seen(Outcome.NOT_APPLICABLE, earlier="2026-02-28", of=world())
    assert shown == ("not_applicable", "untested", "2026-02-28")
    assert seen(Outcome.NOT_APPLICABLE, of=world()) == ("not_applicable", "", None)


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
