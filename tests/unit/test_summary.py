"""The night's summary and message: worst first, counts and a link only."""

from __future__ import annotations

from nachweis.domain.finding import Severity
from nachweis.domain.manifest.organisation import NotificationPolicy
from nachweis.pipeline.summary import (
    NewVersion,
    NightSummary,
    OpenFinding,
    digest_text,
    message,
    summary_text,
)

ALL = NotificationPolicy(minimum_severity="medium")


def open_finding(severity: str, state: str = "new", outcome: str = "fail") -> OpenFinding:
    return OpenFinding(
        check="retention_kept",
        subject="data_set/log",
        column=None,
        outcome=outcome,
        severity=severity,
        state=state,
    )


def summary(*open_ones: OpenFinding, **changes: object) -> NightSummary:
    content: dict[str, object] = {
        "night": "2026-03-02",
        "attempt": "abc",
        "models": 2,
        "data_sets": 3,
        "counts": {"fail": len(open_ones), "pass": 7},
        "open": open_ones,
        "versions": (NewVersion(kind="record", id="marketing", version=2),),
        "sequence": 4,
        "chain_ok": True,
    }
    return NightSummary.model_validate({**content, **changes})


def test_the_text_names_everything_a_person_needs() -> None:
    text = summary_text(summary(open_finding("high")))
    for part in ("2026-03-02", "2 models, 3 data sets", "1 fail", "retention_kept",
                 "record marketing v2", "sequence 4", "verifies"):  # fmt: skip
        assert part in text


def test_a_repeated_night_says_that_nothing_changed() -> None:
    assert "nothing changed" in summary_text(summary(repeated=True))


def test_a_broken_chain_is_said_loudly() -> None:
    assert "DOES NOT VERIFY" in summary_text(summary(chain_ok=False))


def test_the_worst_severity_counts() -> None:
    assert summary(open_finding("low"), open_finding("critical")).worst is Severity.CRITICAL
    assert summary().worst is None


def test_one_message_with_counts_and_link_only() -> None:
    said = message(summary(open_finding("high"), open_finding("critical")), ALL, "https://x/site/")
    assert said is not None
    subject, body = said
    assert subject == "Nachweis 2026-03-02: 1 critical, 1 high"
    assert "2 x retention_kept" in body
    assert "https://x/site/nights/2026-03-02.html" in body
    assert "data_set/log" not in body


def test_nothing_new_sends_nothing() -> None:
    assert message(summary(), ALL, None) is None
    assert message(summary(open_finding("high", state="acknowledged")), ALL, None) is None
    assert message(summary(open_finding("low")), ALL, None) is None


def test_a_finding_is_told_on_the_first_night_of_its_run_only() -> None:
    first = open_finding("high").model_copy(update={"since": "2026-03-02"})
    older = open_finding("high").model_copy(update={"since": "2026-02-27"})
    assert message(summary(first), ALL, None) is not None
    assert message(summary(older), ALL, None) is None


def test_a_night_found_signed_is_told_if_nobody_was_told_before() -> None:
    assert message(summary(open_finding("high"), repeated=True), ALL, None) is not None


def test_a_night_that_lost_subjects_is_told_although_nothing_else_is_new() -> None:
    said = message(summary(not_run=("model/churn: lost",)), ALL, None)
    assert said is not None
    assert "1 not run" in said[0]
    assert "churn" not in said[0] + said[1]


def test_an_older_night_says_why_it_writes_no_version() -> None:
    text = summary_text(summary(versions=(), later_night="2026-03-04"))
    assert "2026-03-04 is signed" in text
    assert "nothing normative changed" not in text


def test_crashes_blindness_and_a_broken_chain_are_always_told() -> None:
    assert message(summary(open_finding("info", outcome="error")), ALL, None) is not None
    assert message(summary(blind=("retention_kept",)), ALL, None) is not None
    assert message(summary(chain_ok=False), ALL, None) is not None


def test_a_role_is_told_about_what_it_owns_only() -> None:
    night = summary(
        open_finding("high"),
        open_finding("critical").model_copy(update={"subject": "model/churn"}),
        not_run=("model/churn: lost", "model/other: lost"),
        blind=("retention_kept",),
        chain_ok=False,
    )
    said = message(night, ALL, "https://x/site/", {"model/churn"})
    assert said is not None
    assert said[0] == "Nachweis 2026-03-02: 1 critical, 1 not run"
    assert "about what this role owns" in said[1]
    assert said[1].endswith("https://x/site/nights/2026-03-02.html\n")
    assert message(night, ALL, None, {"model/fine"}) is None
    assert message(night, ALL, None, set()) is None


def dated(severity: str, since: str, state: str = "new", check: str = "schema") -> OpenFinding:
    return open_finding(severity, state).model_copy(update={"since": since, "check": check})


def test_the_digest_tells_new_old_and_resolved_apart_worst_first() -> None:
    night = summary(
        dated("high", "2026-03-02", check="b_new"),
        dated("critical", "2026-03-02", check="z_new"),
        dated("medium", "2026-03-02", check="b_new"),
        dated("high", "2026-02-20", check="old"),
        dated("medium", "2026-02-20", "waived", check="old"),
        dated("low", "2026-02-20", check="small"),
        resolved=(open_finding("medium", state="resolved").model_copy(update={"check": "gone"}),),
    )
    subject, body = digest_text(night, ALL, None)
    assert subject == "Nachweis 2026-03-02: 1 critical, 1 high, 1 medium"
    assert body.splitlines()[:8] == [
        "Night 2026-03-02: 3 new findings that need a person.",
        "  1 x z_new (critical)",
        "  2 x b_new (high)",
        "Still open from earlier nights: 2, 1 waived.",
        "  2 x old (high)",
        "Resolved since the night before: 1.",
        "  1 x gone (medium)",
        "Counted from medium on, and whatever crashed.",
    ]
    assert message(night, ALL, None) == (subject, body)


def test_the_digest_names_what_was_open_and_could_not_be_tested() -> None:
    gap = open_finding("critical", state="untested").model_copy(update={"check": "unseen"})
    _, body = digest_text(summary(untested=(gap,)), ALL, None)
    assert body.splitlines()[1:5] == [
        "Still open from earlier nights: 0.",
        "Open before and not tested in this night: 1.",
        "  1 x unseen (critical)",
        "Resolved since the night before: 0.",
    ]
    _, other = digest_text(summary(untested=(gap,)), ALL, None, {"model/other"})
    assert "not tested" not in other


def test_a_night_without_news_has_a_digest_and_no_message() -> None:
    night = summary(dated("high", "2026-02-20"))
    subject, body = digest_text(night, ALL, None)
    assert subject == "Nachweis 2026-03-02: nothing new"
    assert body.startswith("Night 2026-03-02: nothing new that needs a person.\n")
    assert "Still open from earlier nights: 1." in body
    assert message(night, ALL, None) is None


def test_a_roles_digest_is_about_what_it_owns() -> None:
    mine = dated("high", "2026-03-02").model_copy(update={"subject": "model/mine"})
    gone = mine.model_copy(update={"state": "resolved", "subject": "model/other"})
    night = summary(dated("critical", "2026-03-02"), mine, resolved=(gone,), blind=("a_check",))
    subject, body = digest_text(night, ALL, None, {"model/mine"})
    assert subject == "Nachweis 2026-03-02: 1 high"
    assert "1 new finding that needs a person, about what this role owns." in body
    assert "Resolved since the night before: 0." in body
