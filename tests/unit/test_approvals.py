"""Approving a version: who may do what, what has to be said, and what two people at once get."""

from __future__ import annotations

import dataclasses
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.approval import ApprovalEvent, Standing
from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import IntegrityError, LeakError, NachweisError, StoreConflictError
from nachweis.pipeline.actors import acting, name_of, same_person
from nachweis.pipeline.approval_history import history, with_review
from nachweis.pipeline.approval_list import sentence
from nachweis.pipeline.approval_rules import LONGEST_REASON, OLDEST_NIGHT
from nachweis.storage import layout
from nachweis.storage.documents import read_document, write_document
from nachweis.storage.entries import EntryKind, ReferencePredicate, RemovalPredicate
from nachweis.storage.narratives import TextRef, read_text
from nachweis.storage.verify import verify_store
from nachweis.storage.verify_report import Code, Remark
from tests.approval_desk import (
    ADVISER,
    AUTHOR,
    DECIDER,
    DPO,
    OWNER,
    PROPOSER,
    START,
    TARGET,
    Office,
)
from tests.signed_store import signer

REASON = "The shorter period cannot be kept before the new system is there."


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.night("2026-03-01")
    return made


def refused(caught: pytest.ExceptionInfo[NachweisError]) -> str:
    """What a person reads."""
    return str(caught.value)


# ------------------------------------------------------------------------- the usual way


def test_an_approval_that_only_a_revoked_key_signed_no_longer_counts(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.submit()
    submitted = office.archive.length
    office.approve(reason=REASON)
    first, second = office.store.ledger, signer(office.folder, "second")
    first.rotate(second, announce_only=True)
    office.store.ledger = dataclasses.replace(first, signer=second)
    assert office.archive.untrusted == frozenset()
    office.store.ledger.revoke(
        first.signer.public_key.keyid, from_sequence=submitted + 1, reason="compromised"
    )
    archive = office.archive
    assert archive.untrusted == {submitted + 1}
    assert "only revoked keys" in caplog.text
    assert office.desk.case(archive, TARGET).approval.standing is Standing.SUBMITTED
    assert [item.state for item in archive.decisions()] == ["submitted"]
    (events,) = history(archive)["record", TARGET].values()
    assert [item.event.type for item in events] == ["submitted"]
    assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


def test_submitted_advised_and_approved_is_approved_on_named_evidence(office: Office) -> None:
    assert office.submit().approval.standing is Standing.SUBMITTED
    assert office.advise().approval.standing is Standing.SUBMITTED
    case = office.approve()
    assert case.approval.standing is Standing.APPROVED
    approved = case.approval.approved
    assert approved is not None
    assert approved.event.role == OWNER
    assert case.assessed is not None
    assert (approved.event.night, approved.event.assessment) == ("2026-03-01", case.assessed.digest)
    assert approved.event.target_digest == case.digest
    assert str(case.approval.due) == "2027-03-03"
    assert sentence(case) == (
        "record/newsletter version 1: approved 2026-03-03 by role head-of-marketing; "
        "review due 2027-03-03."
    )


def test_each_event_is_an_object_and_a_signed_decision(office: Office) -> None:
    office.submit()
    office.advise("objects")
    assert office.events() == [layout.approval("record", TARGET, 1, number) for number in (1, 2)]
    entry = office.archive.entries[-1]
    content = read_document(office.records, office.events()[-1])
    assert entry.kind is EntryKind.DECISION
    assert entry.subjects == {office.events()[-1]: digest_bytes(content)}
    event = ApprovalEvent.model_validate(parse(content))
    assert entry.predicate == ReferencePredicate(
        id="record/newsletter/1", event="advice_objects", role=DPO, night="2026-03-01",
        text_ref=event.text_ref, text_digest=event.text_digest,
    )  # fmt: skip


def test_an_approval_makes_no_version_and_no_state_of_a_finding(office: Office) -> None:
    office.submit()
    case = office.approve(reason=REASON)
    assert case.version == 1
    assert {item.state for item in office.archive.decisions()} == {"submitted", "approved"}


def test_a_new_version_starts_anew_and_remembers_the_approved_one(office: Office) -> None:
    office.submit()
    office.approve(reason=REASON)
    office.night("2026-03-02", status="suspended")
    case = office.desk.case(office.archive, TARGET)
    assert (case.version, case.approval.standing) == (2, Standing.NOT_SUBMITTED)
    assert sentence(case).endswith(
        "not submitted. Version 1 was approved 2026-03-03 by role head-of-marketing."
    )
    assert office.submit().approval.standing is Standing.SUBMITTED
    assert office.events()[-1] == layout.approval("record", TARGET, 2, 1)


def test_what_no_manifest_declares_has_no_owner_to_approve_it(office: Office) -> None:
    office.night("2026-03-02", activity="churn")
    with pytest.raises(NachweisError, match="no valid manifest declares it"):
        office.submit(target="churn")  # a record of this id was signed, but nobody declares it


def test_rejecting_ends_the_round_and_another_may_begin(office: Office) -> None:
    office.submit()
    case = office.reject()
    assert case.approval.standing is Standing.REJECTED
    assert office.submit().approval.standing is Standing.SUBMITTED
    office.approve(reason=REASON)
    assert office.reject().approval.standing is Standing.REJECTED


def test_an_approval_stays_while_its_review_is_under_way(office: Office) -> None:
    office.submit()
    office.approve(reason=REASON)
    office.later(days=300)
    again = office.submit()
    assert again.approval.standing is Standing.APPROVED
    assert "submitted again 2026-12-28" in sentence(again)
    office.night("2026-12-27")
    assert str(office.approve(reason=REASON).approval.due) == "2027-12-28"


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("act", "said", "valid"),
    [
        (lambda o: o.submit(role=OWNER), "is not the role that submits", AUTHOR),
        (lambda o: o.submit(role=DPO), "is not the role that submits", AUTHOR),
        (lambda o: o.advise(role=OWNER), "is not the role that advises", DPO),
        (lambda o: o.approve(role=AUTHOR), "is not the role that approves", OWNER),
        (lambda o: o.approve(role="management"), "is not the role that approves", OWNER),
        (lambda o: o.reject(role=AUTHOR), "is not the role that rejects", OWNER),
    ],
)
def test_another_role_is_refused_and_the_right_one_named(
    office: Office, act: object, said: str, valid: str
) -> None:
    with pytest.raises(NachweisError, match=said) as caught:
        act(office)  # type: ignore[operator]
    assert caught.value.valid == (valid,)
    assert caught.value.where == "record/newsletter version 1"
    assert office.events() == []


def test_an_unknown_role_is_refused_with_the_closest_one(office: Office) -> None:
    with pytest.raises(NachweisError, match="no role 'head-of-marketin'") as caught:
        office.approve(role="head-of-marketin")
    assert 'did you mean "head-of-marketing"?' in refused(caught)


def test_an_unknown_document_is_refused_with_the_closest_one(office: Office) -> None:
    with pytest.raises(NachweisError, match="nothing signed has this id") as caught:
        office.submit(target="newsleter")
    assert 'did you mean "newsletter"?' in refused(caught)
    assert caught.value.valid == ("record/newsletter",)
    with pytest.raises(NachweisError, match="nothing signed has this id"):
        office.submit(target="dossier/newsletter")


@pytest.mark.parametrize("version", [1, 3, 999_999])
def test_only_the_current_version_is_decided_on(office: Office, version: int) -> None:
    office.night("2026-03-02", status="suspended")
    with pytest.raises(NachweisError, match=f"version {version} is not the current one") as caught:
        office.submit(version=version)
    assert caught.value.valid == ("2",)
    assert office.submit(version=2).version == 2


def test_what_was_not_submitted_is_not_decided_on(office: Office) -> None:
    for act in (office.advise, office.approve):
        with pytest.raises(NachweisError, match="not submitted yet"):
            act()
    with pytest.raises(NachweisError, match="nothing to reject"):
        office.reject()
    office.submit()
    with pytest.raises(NachweisError, match="submitted already on 2026-03-03"):
        office.submit()
    office.approve(reason=REASON)
    with pytest.raises(NachweisError, match="approved already on 2026-03-03"):
        office.approve(reason=REASON)
    office.reject()
    with pytest.raises(NachweisError, match="rejected already"):
        office.reject()


@pytest.mark.parametrize(
    "actor", [PROPOSER, "author account", "AUTHOR  ACCOUNT ", "\uff21uthor Account"]
)
def test_who_submitted_neither_approves_nor_advises_in_another_role(
    office: Office, actor: str
) -> None:
    office.submit()
    with pytest.raises(NachweisError, match="who submitted a version cannot approve it") as caught:
        office.approve(actor=actor, reason=REASON)
    assert PROPOSER not in refused(caught)
    with pytest.raises(NachweisError, match="who submitted a version cannot advise on it"):
        office.advise(actor=actor)
    assert len(office.events()) == 1


def test_who_advised_does_not_approve(office: Office) -> None:
    office.submit()
    office.advise()
    with pytest.raises(NachweisError, match="who advised on a version cannot approve it"):
        office.approve(actor=ADVISER)


def test_approving_against_an_objection_or_without_advice_needs_a_reason(office: Office) -> None:
    office.submit()
    with pytest.raises(NachweisError, match="has not advised"):
        office.approve()
    assert office.advise("objects").approval.standing is Standing.OBJECTED
    with pytest.raises(NachweisError, match="the data protection officer objects"):
        office.approve(reason="  \n")
    case = office.approve(reason=REASON)
    event = case.approval.approved
    assert event is not None
    assert event.event.text_ref
    assert event.event.text_digest
    cited = TextRef(event.event.text_ref, event.event.text_digest)
    assert read_text(office.narratives, cited) == REASON


def test_newer_advice_replaces_older(office: Office) -> None:
    office.submit()
    office.advise("objects")
    office.advise("agrees")
    assert office.approve().approval.standing is Standing.APPROVED


def test_objecting_and_rejecting_need_a_reason(office: Office) -> None:
    office.submit()
    with pytest.raises(NachweisError, match="an objection needs a reason"):
        office.advise("objects", reason=" ")
    with pytest.raises(NachweisError, match="a rejection needs a reason"):
        office.reject(reason="")


def test_an_open_contradiction_blocks_approval_and_nothing_else(office: Office) -> None:
    office.night("2026-03-02", "retention/contacts", "data_categories/age")
    office.submit()
    office.advise()
    with pytest.raises(NachweisError, match="contradicts 2 of its fields") as caught:
        office.approve(reason=REASON)
    assert "retention/contacts, data_categories/age" in refused(caught)
    office.night("2026-03-03")
    assert office.approve().approval.standing is Standing.APPROVED


def test_an_older_night_signed_later_does_not_lift_the_contradiction(office: Office) -> None:
    office.night("2026-03-02", "retention/contacts")
    office.night("2026-02-20")
    office.submit()
    with pytest.raises(NachweisError, match="the night of 2026-03-02 contradicts 1"):
        office.approve(reason=REASON)


def test_what_no_night_assessed_is_not_approved(office: Office) -> None:
    office.store.night("2026-03-02", status="suspended", statement_change={"assessments": {}})
    office.submit()
    with pytest.raises(NachweisError, match="no night has assessed this version"):
        office.approve(reason=REASON)


def test_no_older_night_stands_in_for_one_whose_assessment_was_held_back(
    office: Office,
) -> None:
    office.store.night("2026-03-02", "f" * 16, statement_change={"assessments": {}})
    office.submit()
    with pytest.raises(NachweisError, match="2026-03-02, holds no assessment") as caught:
        office.approve(reason=REASON)
    assert "nachweis run --night 2026-03-02" in refused(caught)
    office.night("2026-03-02")
    assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


def test_a_night_of_long_ago_is_no_evidence_to_approve_on(office: Office) -> None:
    office.submit()
    office.later(days=OLDEST_NIGHT - 1)  # the night is two days older than the office's first day
    with pytest.raises(NachweisError, match="2026-03-01, lies more than 7 days back") as caught:
        office.approve(reason=REASON)
    assert "nachweis run --night 2026-03-08" in refused(caught)
    office.later(days=-1)
    assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


def test_where_nobody_can_tell_who_submitted_nobody_approves(office: Office) -> None:
    office.submit()
    (submitted,) = history(office.archive)["record", TARGET][1]
    office.narratives.erase(layout.text(submitted.event.actor_ref))
    with pytest.raises(NachweisError, match="nobody can tell any more who submitted it"):
        office.approve(reason=REASON)
    office.reject()
    office.submit()
    assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


def test_a_changed_directory_is_noticed(office: Office) -> None:
    office.submit()
    (submitted,) = history(office.archive)["record", TARGET][1]
    key = layout.text(submitted.event.actor_ref)
    entry = parse(office.narratives.get(key))
    entry["text"] = entry["text"].replace(PROPOSER, "Someone Else")
    office.narratives.overwrite(key, json.dumps(entry).encode())
    with pytest.raises(IntegrityError, match="not the one that was cited"):
        office.approve(reason=REASON)


# ------------------------------------------------------------------------- what is written


def test_signed_objects_hold_no_name_and_no_text(office: Office) -> None:
    office.submit(reason="Please look at the new purpose.")
    office.advise("objects")
    office.approve(reason=REASON)
    signed = b"".join(office.records.get(key) for key in office.records.present())
    entries = repr([(one.subjects, one.predicate) for one in office.archive.entries]).encode()
    for secret in (PROPOSER, DECIDER, ADVISER, REASON, "new purpose", "too long"):
        assert secret.encode() not in signed
        assert secret.encode() not in entries


def test_each_event_has_a_reference_of_its_own(office: Office) -> None:
    office.submit()
    office.reject()
    office.submit()
    events = [item.event for item in history(office.archive)["record", TARGET][1]]
    assert len({item.actor_ref for item in events}) == 3
    assert [name_of(office.narratives, item) for item in events] == [PROPOSER, DECIDER, PROPOSER]


@pytest.mark.parametrize(
    "reason",
    [
        "<script>alert(1)</script>",
        "[bold]{{ 7 * 7 }}[/bold] {% raw %}",
        "=cmd|' /C calc'!A0",
        "javascript:alert(1)",
        "Zwei Zeilen\nund ein\tTabulator, é, Æ",
    ],
)
def test_a_reason_is_kept_as_it_was_written(office: Office, reason: str) -> None:
    event = office.submit(reason=reason).approval.submitted
    assert event is not None
    assert event.event.text_ref
    assert event.event.text_digest
    cited = TextRef(event.event.text_ref, event.event.text_digest)
    assert read_text(office.narratives, cited) == reason


@pytest.mark.parametrize("mark", ["\x1b[2J", "\x00", "\x07", "\u202e", "\u200b", "\r", "\ud800"])
def test_a_reason_with_hidden_characters_is_refused(office: Office, mark: str) -> None:
    with pytest.raises(NachweisError, match="control or invisible characters") as caught:
        office.submit(reason=f"all{mark}fine")
    assert mark not in refused(caught)
    assert office.narratives.present() == []


@pytest.mark.parametrize(
    "planted",
    ["somebody.else@customer.example", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111"],
)
def test_a_reason_with_personal_data_is_refused_without_repeating_it(
    office: Office, planted: str
) -> None:
    with pytest.raises(LeakError) as caught:
        office.submit(reason=f"asked by {planted} yesterday")
    assert caught.value.where == "--reason"
    assert planted not in refused(caught)
    assert office.narratives.present() == office.events() == []


def test_a_very_long_reason_is_refused(office: Office) -> None:
    with pytest.raises(NachweisError, match="100000 characters"):
        office.submit(reason="x" * 100_000)
    assert office.submit(reason="x" * LONGEST_REASON).approval.submitted is not None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[1m", "\u202eabc", "x" * 201])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(NachweisError, match="not a name of a person"):
        acting(name)


def test_names_are_compared_as_people_read_them() -> None:
    assert same_person("Konto  ÜBERSICHT", "konto u\u0308bersicht")
    assert not same_person("Konto Ubersicht", "Konto Übersicht")


# ------------------------------------------------------------------------- two at a time


def test_of_many_who_submit_at_once_one_counts_and_nothing_is_overwritten(office: Office) -> None:
    def attempt(number: int) -> bool:
        try:
            office.submit(actor=f"Person {number}")
        except NachweisError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    assert won.count(True) == 1
    events = history(office.archive)["record", TARGET][1]
    assert [item.counts for item in events].count(True) == 1
    assert events[0].counts
    report = verify_store(office.records, office.store.trusted, narratives=office.narratives)
    assert report.problems == ()


def test_a_decision_that_did_not_know_another_one_does_not_count(office: Office) -> None:
    office.submit()
    office.advise()
    desk, real = office.desk, office.store.ledger.append

    class Slow:
        """A ledger in whose append somebody else is faster."""

        store, lock = office.records, staticmethod(office.store.ledger.lock)

        def append(self, *args: object, **more: object) -> object:
            office.reject()
            return real(*args, **more)  # type: ignore[arg-type]

    object.__setattr__(desk, "ledger", Slow())
    from nachweis.pipeline.approval_rules import Wish

    with pytest.raises(StoreConflictError, match="the first one counts"):
        desk.sign(TARGET, Wish("approved", OWNER, DECIDER))
    assert office.desk.case(office.archive, TARGET).approval.standing is Standing.REJECTED
    said = [(one.event.type, one.counts) for one in history(office.archive)["record", TARGET][1]]
    assert said == [("submitted", True), ("advice", True), ("rejected", True), ("approved", False)]
    assert office.submit().approval.standing is Standing.SUBMITTED


@pytest.mark.parametrize("contradicted", [("retention/contacts",), ()])
def test_an_approval_that_did_not_know_a_newer_night_does_not_count(
    office: Office, contradicted: tuple[str, ...]
) -> None:
    office.submit()
    desk, real = office.desk, office.store.ledger.append

    class Slow:
        """A ledger in whose append a night is faster."""

        store, lock = office.records, staticmethod(office.store.ledger.lock)

        def append(self, *args: object, **more: object) -> object:
            office.night("2026-03-02", *contradicted)
            return real(*args, **more)  # type: ignore[arg-type]

    object.__setattr__(desk, "ledger", Slow())
    from nachweis.pipeline.approval_rules import Wish

    with pytest.raises(StoreConflictError, match="does not rest on the newest evidence"):
        desk.sign(TARGET, Wish("approved", OWNER, DECIDER, REASON))
    assert office.desk.case(office.archive, TARGET).approval.standing is Standing.SUBMITTED
    if contradicted:
        with pytest.raises(NachweisError, match="the night of 2026-03-02 contradicts 1"):
            office.approve(reason=REASON)
    else:
        assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


# -------------------------------------------------------------------------- removed events


def standing(office: Office) -> Standing:
    """How far the approval is."""
    return office.desk.case(office.archive, TARGET).approval.standing


def raced(office: Office, **change: Any) -> str:
    """Sign an event that cites the submission and not what came after it; its key."""
    first = history(office.archive)["record", TARGET][1][0]
    number = len(office.events()) + 1
    event = first.event.model_copy(
        update={"event": number, "previous": first.digest, **change},
    )
    key = layout.approval("record", TARGET, 1, number)
    write_document(office.records, key, event.canonical())
    said = ReferencePredicate(id="record/newsletter/1", event=event.word, role=event.role)
    office.store.ledger.append(EntryKind.DECISION, {key: event.digest()}, said)
    return key


def withdraw(office: Office, key: str) -> None:
    """Withdraw an event, which is then gone."""
    digest = digest_bytes(read_document(office.records, key))
    office.store.ledger.append(
        EntryKind.WITHDRAWAL, {key: digest}, RemovalPredicate(incident="inc-1")
    )
    office.records.erase(key)
    shutil.rmtree(office.folder / "cache" / "objects")


def test_withdrawing_what_never_counted_revives_no_approval(office: Office) -> None:
    office.submit()
    office.approve(reason=REASON)
    key = raced(office, type="advice", advice="agrees", role=DPO)
    assert office.reject().approval.standing is Standing.REJECTED
    withdraw(office, key)
    assert standing(office) is Standing.REJECTED
    assert office.submit().approval.standing is Standing.SUBMITTED


def test_a_withdrawn_rejection_keeps_its_effect(office: Office) -> None:
    office.submit()
    office.approve(reason=REASON)
    office.reject()
    withdraw(office, office.events()[-1])
    case = office.desk.case(office.archive, TARGET)
    assert case.approval.standing is Standing.REJECTED
    assert sentence(case).endswith("rejected 2026-03-03 by role head-of-marketing.")
    assert office.submit().approval.standing is Standing.SUBMITTED
    assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


def test_an_approval_that_did_not_know_a_rejection_does_not_count_when_that_is_withdrawn(
    office: Office,
) -> None:
    office.submit()
    office.reject()
    rejection = office.events()[-1]
    night = office.desk.case(office.archive, TARGET).assessed
    assert night is not None
    raced(office, type="approved", role=OWNER, night=night.night, assessment=night.digest)
    assert standing(office) is Standing.REJECTED
    withdraw(office, rejection)
    assert standing(office) is Standing.REJECTED


def test_a_withdrawn_objection_still_needs_an_answer(office: Office) -> None:
    office.submit()
    office.advise("objects")
    withdraw(office, office.events()[-1])
    assert standing(office) is Standing.OBJECTED
    with pytest.raises(NachweisError, match="nobody can tell any more who advised on it"):
        office.approve(reason=REASON)
    office.advise("agrees")
    assert office.approve().approval.standing is Standing.APPROVED


def test_a_withdrawn_approval_is_none(office: Office) -> None:
    office.submit()
    office.approve(reason=REASON)
    withdraw(office, office.events()[-1])
    assert standing(office) is Standing.SUBMITTED
    assert office.approve(reason=REASON).approval.standing is Standing.APPROVED


def test_an_event_that_was_written_and_never_signed_counts_for_nothing(office: Office) -> None:
    office.submit()
    event = history(office.archive)["record", TARGET][1][0].event
    forged = event.model_copy(update={"type": "approved", "event": 2, "role": OWNER})
    key = layout.approval("record", TARGET, 1, 2)
    write_document(office.records, key, forged.canonical())
    assert office.desk.case(office.archive, TARGET).approval.standing is Standing.SUBMITTED
    office.approve(reason=REASON)
    assert office.events()[-1] == layout.approval("record", TARGET, 1, 3)
    report = verify_store(office.records, office.store.trusted)
    assert report.problems == ()
    assert [(note.remark, note.key) for note in report.notices if note.key == key] == [
        (Remark.NOT_CITED, key)
    ]


# ------------------------------------------------------------------------------- verifying


def test_verification_covers_every_event(office: Office) -> None:
    office.submit()
    office.advise()
    office.approve()
    stores = {"anchor": office.anchor, "narratives": office.narratives}
    assert verify_store(office.records, office.store.trusted, **stores).problems == ()
    first, second, third = office.events()

    changed = office.records.copy()
    changed.overwrite(third, changed.get(third).replace(b'"approved"', b'"rejected"'))
    missing = office.records.copy()
    missing.erase(second)
    hidden = office.records.copy()
    hidden.hide(first)
    for store, code, key in (
        (changed, Code.DIGEST_MISMATCH, third),
        (missing, Code.OBJECT_MISSING, second),
        (hidden, Code.OBJECT_DELETED, first),
    ):
        report = verify_store(store, office.store.trusted, **stores)
        assert (code, key) in {(one.code, one.key) for one in report.problems}


def test_an_event_under_another_key_than_it_says_is_refused(office: Office) -> None:
    office.submit()
    event = history(office.archive)["record", TARGET][1][0].event
    key = layout.approval("record", "direct-marketing", 1, 1)
    write_document(office.records, key, event.canonical())
    said = ReferencePredicate(id="record/direct-marketing/1", event="submitted", role=AUTHOR)
    office.store.ledger.append(EntryKind.DECISION, {key: event.digest()}, said)
    with pytest.raises(IntegrityError, match="another version than its key says"):
        history(office.archive)


# -------------------------------------------------------------------------------- reviews


@pytest.mark.parametrize(("interval", "due"), [("P12M", "2027-03-03"), ("P6M", "2026-09-03")])
def test_the_policy_says_when_a_review_is_due(office: Office, interval: str, due: str) -> None:
    office.with_interval(None)
    office.with_policy(review_interval=interval)
    office.submit()
    assert str(office.approve(reason=REASON).approval.due) == due


def test_an_activity_may_have_an_interval_of_its_own(office: Office) -> None:
    office.with_interval("P1M")
    office.submit()
    assert str(office.approve(reason=REASON).approval.due) == "2026-04-03"


def test_an_approval_expires_after_the_day_its_review_is_due(office: Office) -> None:
    office.submit()
    office.approve(reason=REASON)
    office.now = START.replace(year=2027)
    assert office.desk.case(office.archive, TARGET).approval.standing is Standing.APPROVED
    office.later(days=1)
    case = office.desk.case(office.archive, TARGET)
    assert case.approval.standing is Standing.EXPIRED
    assert "review overdue since 2027-03-03" in sentence(case)
    assert case.assessed is not None
    (verdict,) = with_review(case.assessed.assessment, case.approval).verdicts
    assert (verdict.field, verdict.verdict.value) == ("approval", "expired")
    assert verdict.explanation == "review overdue since 2027-03-03"
    office.submit()
    office.night("2027-03-03")
    renewed = office.approve(reason=REASON)
    assert renewed.approval.standing is Standing.APPROVED
    assert with_review(case.assessed.assessment, renewed.approval).verdicts == ()
