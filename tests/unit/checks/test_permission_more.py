"""What the permission checks must not take for granted, and the further checks of the family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nachweis import registry
from nachweis.domain.check import Check, Example, ExampleTable
from nachweis.domain.finding import Finding, Outcome
from nachweis.pipeline.examples import run_example, worst_outcome

BASIS = registry.check("legal_basis_held_for_rows_used")
CONTACT = registry.check("contact_permission_held_for_audience")
ERASED = registry.check("erased_subjects_absent")


def titled(check: type[Check], title: str) -> Example:
    return next(example for example in check.examples if example.title == title)


def run(check: type[Check], example: Example, **changed: Mapping[str, Any] | None) -> Finding:
    """The only finding of an example with changed declarations of its tables.

    Args:
        check: The check.
        example: The example.
        **changed: Table to declarations laid over its own; None leaves the table out.
    """
    tables = {
        name: replace(table, declare={**table.declare, **(changed.get(name) or {})})
        for name, table in example.tables.items()
        if changed.get(name, {}) is not None
    }
    (finding,) = run_example(check, replace(example, tables=tables))
    return finding


def without(table: ExampleTable, *roles: str) -> dict[str, Any]:
    """The table's fields without some."""
    return {"fields": {k: v for k, v in table.declare["fields"].items() if k not in roles}}


def values(finding: Finding) -> dict[str, Any]:
    return {m.name: m.value for m in finding.measurements}


# ------------------------------------------------------------------- nothing is taken for granted


@pytest.mark.parametrize("column", ["withdrawn_at", "expires_at"])
@pytest.mark.parametrize("check", [CONTACT, BASIS], ids=lambda check: check.id)
def test_a_register_that_hides_its_ends_allows_nothing(check: type[Check], column: str) -> None:
    example = next(one for one in check.examples if one.outcome is Outcome.PASS)
    register = example.tables["register"]
    if column not in register.rows:
        rows = {**register.rows, column: [None] * 2}
        columns = [*register.declare["columns"], {"name": column, "type": "timestamp"}]
        register = replace(register, rows=rows, declare={**register.declare, "columns": columns})
    tables = {**example.tables, "register": register}
    finding = run(check, replace(example, tables=tables), register=without(register, column))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert f"'fields.{column}'" in finding.declare


def test_a_basis_for_any_phase_is_no_basis() -> None:
    example = titled(BASIS, "everybody agreed")
    finding = run(BASIS, example, training={"permission": {"register": "register"}})
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "'permission.phase'" in finding.declare
    assert "'permission.purpose'" in finding.declare


def test_a_list_without_a_key_is_not_skipped() -> None:
    example = titled(CONTACT, "one had objected last week")
    finding = run(CONTACT, example, objections={"subject_key": None})
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert finding.declare == "'subject_key' of the list objections"


def test_a_found_contact_outweighs_a_list_that_cannot_be_searched() -> None:
    example = titled(CONTACT, "one of three never agreed")
    assert run(CONTACT, example, objections={"subject_key": None}).outcome is Outcome.FAIL


@pytest.mark.parametrize("channel", [None, "", "  "])
def test_an_empty_channel_forbids_all(channel: str | None) -> None:
    example = titled(CONTACT, "one had objected to calls only")
    objections = example.tables["objections"]
    rows = {**objections.rows, "channel": [channel]}
    tables = {**example.tables, "objections": replace(objections, rows=rows)}
    assert run(CONTACT, replace(example, tables=tables)).outcome is Outcome.FAIL


def test_the_sentence_names_the_lists_that_were_searched() -> None:
    finding = run(CONTACT, titled(CONTACT, "both contacted people agreed"))
    assert finding.explanation.endswith("none was found on: objections.")
    assert "suppression" not in finding.explanation


def test_a_permission_may_be_too_old_by_the_organisations_own_limit() -> None:
    example = titled(CONTACT, "both contacted people agreed")
    rule = {"register": "register", "purpose": "example"}
    for limit, outcome in (("P12M", Outcome.PASS), ("P1M", Outcome.FAIL)):
        declared = {"contact_permission": {**rule, "max_age": limit}}
        assert run(CONTACT, example, scoring_log=declared).outcome is outcome


@pytest.mark.parametrize(
    ("channel", "basis", "outcome"),
    [
        ("email", " Soft_Opt_In ", Outcome.PASS),
        ("email", "contract", Outcome.FAIL),
        ("email", None, Outcome.FAIL),
        ("SMS", "legitimate_interest", Outcome.FAIL),
        ("phone", "request", Outcome.PASS),
        ("Phone", "soft_opt_in", Outcome.FAIL),
        ("post", "none_needed", Outcome.PASS),
    ],
)
def test_a_permission_rests_on_a_basis_that_suffices_for_its_channel(
    channel: str, basis: str | None, outcome: Outcome
) -> None:
    finding = run(CONTACT, through(channel, basis))
    assert finding.outcome is outcome
    assert values(finding)["contacts_without_permission"] == (outcome is Outcome.FAIL)
    assert values(finding)["contacts_on_unlisted_channels"] == 0


CALLS = ("telefon", "Telefon ", "anruf", "Opkald", "telephone call", "mobile", "Handy", "fax")
MAILS = ("E-Mail", " e-post", "newsletter", "WhatsApp", "MMS", "messenger", "push", "Nyhedsbrev")
LETTERS = ("Brief", "brev", "letter", "Postal", "mail-by-post")


@pytest.mark.parametrize("basis", ["soft_opt_in", "none", None])
def test_channels_are_known_in_the_words_of_three_languages(basis: str | None) -> None:
    mailed = Outcome.PASS if basis == "soft_opt_in" else Outcome.FAIL
    for channels, outcome in ((CALLS, Outcome.FAIL), (MAILS, mailed), (LETTERS, Outcome.PASS)):
        for channel in channels:
            assert run(CONTACT, through(channel, basis)).outcome is outcome, channel


@pytest.mark.parametrize("basis", ["soft_opt_in", " None"])
def test_no_declaration_lets_people_be_called_as_customers(basis: str) -> None:
    allowed = {"telephone_bases": "consent,soft_opt_in,none"}
    told = replace(through("phone", basis), params=allowed)
    assert run(CONTACT, told).outcome is Outcome.FAIL


def test_a_channel_on_no_list_is_counted_and_never_a_pass() -> None:
    example = through("Drone", "consent")
    finding = run(CONTACT, example)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "on no list of channels" in finding.explanation
    assert "'free_channels'" in finding.declare
    assert values(finding)["contacts_on_unlisted_channels"] == 2
    listed = replace(example, params={"telephone_channels": "phone, DRONE"})
    assert run(CONTACT, listed).outcome is Outcome.PASS
    objected = titled(CONTACT, "one had objected to all channels").tables["objections"]
    tables = {**example.tables, "objections": objected}
    assert run(CONTACT, replace(example, tables=tables)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("channel", "outcome"), [("drone", Outcome.NOT_AVAILABLE), ("letter", Outcome.PASS)]
)
def test_the_channel_of_all_contacts_is_looked_up_too(channel: str, outcome: Outcome) -> None:
    example = through(channel, "none")
    rule = {"register": "register", "purpose": "example", "channel": channel}
    log = {**without(example.tables["scoring_log"], "channel"), "contact_permission": rule}
    finding = run(CONTACT, example, scoring_log=log)
    assert finding.outcome is outcome
    assert values(finding)["contacts_on_unlisted_channels"] == 2 * (channel == "drone")


def test_where_no_channel_is_declared_the_scope_says_that_no_basis_was_compared() -> None:
    example = through("phone", "none")
    fields = {name: without(table, "channel") for name, table in example.tables.items()}
    finding = run(CONTACT, example, **fields)
    assert finding.outcome is Outcome.PASS
    assert "neither country nor basis compared" in finding.scope


@pytest.mark.parametrize(
    ("given", "own", "outcome", "not_compared"),
    [
        (["DE", "de "], "DE", Outcome.PASS, 0),
        (["de", "DE"], " De", Outcome.PASS, 0),
        (["DE", None], "DE", Outcome.NOT_AVAILABLE, 1),
        (["DE", " "], "DE", Outcome.NOT_AVAILABLE, 1),
        (["DE", "DE"], None, Outcome.NOT_AVAILABLE, 2),
        (["DK", None], "DE", Outcome.FAIL, 1),
        (["dk", "de"], "DE", Outcome.FAIL, 0),
    ],
)
def test_a_country_is_compared_where_both_sides_know_it(
    given: list[str | None], own: str | None, outcome: Outcome, not_compared: int
) -> None:
    example = titled(CONTACT, "one permission was given in another country")
    tables = dict(example.tables)
    for name, column in (("register", given), ("scoring_log", [own] * 3)):
        tables[name] = replace(tables[name], rows={**tables[name].rows, "country": column})
    finding = run(CONTACT, replace(example, tables=tables))
    assert finding.outcome is outcome
    assert values(finding)["contacts_country_not_compared"] == not_compared
    if outcome is Outcome.NOT_AVAILABLE:
        assert "so it was not compared" in finding.explanation


def test_everything_that_is_not_known_is_said() -> None:
    example = titled(CONTACT, "the country of one permission is missing")
    tables = dict(example.tables)
    register, log = tables["register"], tables["scoring_log"]
    rows = {**register.rows, "channel": ["drone"] * 2, "basis": ["consent"] * 2}
    fields = {**register.declare["fields"], "basis": "basis"}
    listed = [*register.declare["columns"], {"name": "basis"}]
    declare = {**register.declare, "fields": fields, "columns": listed}
    tables["register"] = replace(register, rows=rows, declare=declare)
    tables["scoring_log"] = replace(log, rows={**log.rows, "channel": ["drone"] * 3})
    del tables["objections"]
    finding = run(CONTACT, replace(example, tables=tables))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    for words in ("Not everything is known", "on no list of channels", "was not compared"):
        assert words in finding.explanation
    assert "'free_channels'" in finding.declare


def through(channel: str, basis: str | None) -> Example:
    """Two people contacted through a channel, one on consent and one on another basis."""
    example = titled(CONTACT, "mailed as customers of a sale")
    changed: dict[str, dict[str, list[Any]]] = {
        "register": {"channel": [channel] * 2, "basis": ["consent", basis]},
        "scoring_log": {"channel": [channel] * 3},
    }
    tables = dict(example.tables)
    for name, columns in changed.items():
        tables[name] = replace(tables[name], rows={**tables[name].rows, **columns})
    return replace(example, tables=tables)


def test_the_organisation_names_bases_as_its_register_does() -> None:
    example = titled(CONTACT, "mailed as customers of a sale")
    register = example.tables["register"]
    rows = {**register.rows, "basis": ["opt-in", "opt-in"]}
    told = replace(example, tables={**example.tables, "register": replace(register, rows=rows)})
    assert run(CONTACT, told).outcome is Outcome.FAIL
    allowed = replace(told, params={"electronic_bases": "opt-in, request"})
    assert run(CONTACT, allowed).outcome is Outcome.PASS


def test_a_country_that_one_side_does_not_declare_is_not_compared() -> None:
    example = titled(CONTACT, "one permission was given in another country")
    register = example.tables["register"]
    finding = run(CONTACT, example, register=without(register, "country"))
    assert finding.outcome is Outcome.PASS
    assert "neither country nor basis compared" in finding.scope


def test_rows_without_a_key_are_counted_beside_the_others() -> None:
    example = titled(ERASED, "somebody else was erased")
    training = replace(example.tables["training"], rows={"person": ["a", None]})
    finding = run(ERASED, replace(example, tables={**example.tables, "training": training}))
    assert finding.outcome is Outcome.PASS
    assert values(finding)["rows_without_key"] == 1
    assert "rows with a key" in finding.scope


def test_a_ledger_without_any_key_erased_nobody_that_can_be_found() -> None:
    example = titled(ERASED, "somebody else was erased")
    ledger = example.tables["erasure_ledger"]
    nameless = replace(ledger, rows={**ledger.rows, "person": [None]})
    tables = {**example.tables, "erasure_ledger": nameless}
    assert run(ERASED, replace(example, tables=tables)).outcome is Outcome.NOT_AVAILABLE
    other = replace(ledger, declare={**ledger.declare, "subject_key": None})
    finding = run(ERASED, replace(example, tables={**example.tables, "ledger-2": other}))
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert finding.declare == "'subject_key' of the list ledger-2"


@pytest.mark.parametrize("written", [" {}", "sha256:{}", "{:.32}", "b"])
def test_keys_that_are_no_hashes_find_nobody_and_are_never_a_pass(written: str) -> None:
    example = titled(ERASED, "the ledger holds keyed hashes")
    ledger = example.tables["erasure_ledger"]
    (digest,) = ledger.rows["person"]
    for key, outcome in ((written.format(digest), Outcome.NOT_AVAILABLE), (digest, Outcome.FAIL)):
        odd = replace(ledger, rows={**ledger.rows, "person": [key]})
        finding = run(ERASED, replace(example, tables={**example.tables, "erasure_ledger": odd}))
        assert finding.outcome is outcome
    both = replace(ledger, rows={name: column * 2 for name, column in ledger.rows.items()})
    mixed = replace(both, rows={**both.rows, "person": [digest, written.format(digest)]})
    found = run(ERASED, replace(example, tables={**example.tables, "erasure_ledger": mixed}))
    assert found.outcome is Outcome.FAIL
    declared = {"subject_key": ledger.declare["subject_key"]}
    assert run(ERASED, example, training=declared).outcome is Outcome.NOT_AVAILABLE


@pytest.mark.parametrize("check", [BASIS, CONTACT, ERASED], ids=lambda check: check.id)
def test_no_key_anywhere_is_never_a_pass(check: type[Check]) -> None:
    for example in check.examples:
        tables = {
            name: replace(table, rows={**table.rows, "person": [None] * len(table.rows["person"])})
            for name, table in example.tables.items()
        }
        assert worst_outcome(run_example(check, replace(example, tables=tables))) in {
            Outcome.FAIL,
            Outcome.NOT_AVAILABLE,
        }


# ------------------------------------------------------------------------- suppression in time

SUPPRESSED = registry.check("suppression_respected_in_time")


def suppressed(received: dt.datetime | None, **params: Any) -> Finding:
    example = titled(SUPPRESSED, "scored nine days later")
    objections = example.tables["objections"]
    rows = {**objections.rows, "received_at": [received]}
    tables = {**example.tables, "objections": replace(objections, rows=rows)}
    return run(SUPPRESSED, replace(example, tables=tables, params=params))


@pytest.mark.parametrize(
    ("hours", "max_days", "outcome"),
    [
        (24, 1, Outcome.FAIL),
        (23, 1, Outcome.PASS),
        (1, 0, Outcome.FAIL),
        (-1, 0, Outcome.PASS),
        (24 * 30, 31, Outcome.PASS),
    ],
)
def test_the_limit_counts_from_receipt_to_each_row(
    hours: int, max_days: int, outcome: Outcome
) -> None:
    received = dt.datetime(2026, 3, 2, 10) - dt.timedelta(hours=hours)
    assert suppressed(received, max_days=max_days).outcome is outcome


@pytest.mark.parametrize(
    ("days", "band"), [(2, "1-2"), (9, "7-30"), (40, "30-365"), (4000, "> 365")]
)
def test_the_longest_delay_is_told_as_a_band(days: int, band: str) -> None:
    received = dt.datetime(2026, 3, 2, 10) - dt.timedelta(days=days)
    assert values(suppressed(received))["longest_delay"] == band


def test_a_delay_that_is_not_known_has_a_reason() -> None:
    delay = suppressed(None).measurements[-2]
    assert (delay.name, delay.value) == ("longest_delay", None)
    assert delay.reason


def test_scores_count_without_any_contact() -> None:
    example = titled(SUPPRESSED, "scored nine days later")
    log = example.tables["scoring_log"]
    alone = {**without(log, "contacted", "channel")}
    assert run(SUPPRESSED, example, scoring_log=alone).outcome is Outcome.FAIL


# ------------------------------------------------------------------------------------ purposes

PURPOSES = registry.check("purposes_compatible")


def test_every_purpose_that_lists_the_model_must_be_allowed() -> None:
    example = titled(PURPOSES, "tagged for another purpose")
    own, other = example.activity["purposes"]
    both = [{**own, "models": ["model"]}, {**other, "models": ["model"]}]
    finding = run(PURPOSES, replace(example, activity={"purposes": both}))
    assert finding.outcome is Outcome.FAIL
    assert "training" in finding.explanation


def test_data_without_people_need_no_purpose() -> None:
    finding = run(PURPOSES, titled(PURPOSES, "no tags"), training={"subject_key": None})
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "personal data" in finding.explanation


def test_an_assessment_for_another_purpose_does_not_help() -> None:
    example = titled(PURPOSES, "the further purpose was assessed")
    own, other = example.activity["purposes"]
    third = {"id": "support", "text": {"en": "Support"}}
    assessed = {**own, "compatible_with": {**own["compatible_with"], "purpose": "support"}}
    activity = {"purposes": [assessed, other, third]}
    assert run(PURPOSES, replace(example, activity=activity)).outcome is Outcome.FAIL


# ----------------------------------------------------------------------- erased people in models

LEARNED = registry.check("models_free_of_erased_people")


def test_a_decision_is_for_the_version_that_is_served() -> None:
    example = titled(LEARNED, "trained again by a date that lies ahead")
    (decided,) = example.model["versions"]
    other = {**decided, "version": "2", "erased_people": None, "traffic_share": 0.5}
    finding = run(LEARNED, replace(example, model={"versions": [decided, other]}))
    assert finding.outcome is Outcome.FAIL
    assert finding.explanation.endswith(": 2.")
    retired = {**other, "live_to": "2026-03-01T00:00:00+01:00"}
    assert run(LEARNED, replace(example, model={"versions": [decided, retired]})).outcome is (
        Outcome.PASS
    )


def test_a_decision_taken_later_does_not_count_yet() -> None:
    example = titled(LEARNED, "trained again by a date that lies ahead")
    (version,) = example.model["versions"]
    later = {**version["erased_people"], "decided_on": "2026-03-03"}
    model = {"versions": [{**version, "erased_people": later}]}
    assert run(LEARNED, replace(example, model=model)).outcome is Outcome.FAIL


def test_people_removed_before_the_training_do_not_count() -> None:
    example = titled(LEARNED, "removed from the training set after the training")
    (version,) = example.model["versions"]
    for trained_at, outcome in (("2026-02-20", Outcome.FAIL), ("2026-02-21", Outcome.PASS)):
        model = {"versions": [{**version, "trained_at": trained_at}]}
        assert run(LEARNED, replace(example, model=model)).outcome is outcome


def test_the_number_of_people_is_told_per_version() -> None:
    finding = run(LEARNED, titled(LEARNED, "learned from somebody erased, nothing decided"))
    counted = [m for m in finding.measurements if m.name == "erased_people_learned_from"]
    assert [(m.group, m.value, m.unit) for m in counted] == [("version 1", 1, "persons")]


# ------------------------------------------------------------------------------------- requests

REQUESTS = registry.check("request_ages_in_time")


@pytest.mark.parametrize(
    ("received", "night", "late"),
    [
        ("2026-01-30", "2026-03-02", True),  # last day 28 February, a Saturday: Monday 2 March
        ("2026-01-30", "2026-03-01", False),
        ("2026-01-31", "2026-03-02", True),
        ("2026-02-02", "2026-03-02", True),
        ("2026-02-03", "2026-03-02", False),
        ("2026-02-27", "2026-03-27", True),
        ("2026-02-28", "2026-03-27", False),
        ("2026-02-28", "2026-03-30", True),  # last day 28 March, a Saturday
        ("2026-02-28", "2026-03-29", False),
        ("2026-08-31", "2026-09-30", True),
        ("2026-08-31", "2026-09-29", False),
    ],
)
def test_a_month_is_counted_by_the_calendar(received: str, night: str, late: bool) -> None:
    example = titled(REQUESTS, "open for ten days")
    moment = dt.datetime.fromisoformat(received) + dt.timedelta(hours=23, minutes=30)
    table = example.tables["requests"]
    tables = {"requests": replace(table, rows={**table.rows, "received_at": [moment]})}
    finding = run(REQUESTS, replace(example, tables=tables, night=night))
    assert finding.outcome is (Outcome.FAIL if late else Outcome.PASS)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (dt.datetime(2026, 2, 20), Outcome.PASS),
        (dt.datetime(2026, 2, 22, 23), Outcome.PASS),
        (dt.datetime(2026, 2, 23), Outcome.FAIL),
        (dt.datetime(2026, 3, 9), Outcome.FAIL),  # after the night
    ],
)
def test_an_extension_counts_if_it_was_told_in_the_first_month(
    told: dt.datetime, outcome: Outcome
) -> None:
    example = titled(REQUESTS, "open for six weeks, extended")
    table = example.tables["requests"]
    rows = {**table.rows, "extended_at": [told]}
    assert run(
        REQUESTS, replace(example, tables={"requests": replace(table, rows=rows)})
    ).outcome is (outcome)


def test_a_later_answer_does_not_close_a_request_for_an_earlier_night() -> None:
    example = titled(REQUESTS, "open for six weeks")
    table = example.tables["requests"]
    for answered, outcome in ((2, Outcome.PASS), (3, Outcome.FAIL)):
        rows = {**table.rows, "answered_at": [dt.datetime(2026, 3, answered, 9)]}
        tables = {"requests": replace(table, rows=rows)}
        assert run(REQUESTS, replace(example, tables=tables)).outcome is outcome


# ------------------------------------------------------------------------------- child consent

CHILD = registry.check("child_consent_authorised")


@pytest.mark.parametrize(
    ("born", "country", "outcome"),
    [
        (dt.date(2010, 1, 10), "DE", Outcome.PASS),
        (dt.date(2010, 1, 11), "DE", Outcome.FAIL),
        (dt.date(2011, 1, 10), "DK", Outcome.PASS),
        (dt.date(2011, 1, 11), "DK", Outcome.FAIL),
        (dt.datetime(2011, 1, 11), "DK", Outcome.FAIL),
    ],
)
def test_the_age_is_that_of_the_country_on_the_day_of_consent(
    born: dt.date, country: str, outcome: Outcome
) -> None:
    example = titled(CHILD, "sixteen on that day, in Germany")
    register = example.tables["register"]
    rows = {**register.rows, "born_on": [born], "country": [country]}
    tables = {"register": replace(register, rows=rows)}
    assert run(CHILD, replace(example, tables=tables)).outcome is outcome


def test_what_cannot_be_judged_is_counted() -> None:
    example = titled(CHILD, "sixteen on that day, in Germany")
    register = example.tables["register"]
    rows = {name: column * 3 for name, column in register.rows.items()}
    rows |= {"born_on": [dt.date(1980, 1, 1), None, dt.date(2020, 1, 1)]}
    rows |= {"country": ["DE", "DE", "ZZ"]}
    finding = run(CHILD, replace(example, tables={"register": replace(register, rows=rows)}))
    assert finding.outcome is Outcome.PASS
    assert values(finding)["consents_not_judged"] == 2


# --------------------------------------------------------------------------------- soft opt-in

SOFT = registry.check("soft_opt_in_recorded")


def test_another_basis_makes_the_conditions_unnecessary() -> None:
    example = titled(SOFT, "the notice is not recorded")
    register = example.tables["register"]
    both = {name: column * 2 for name, column in register.rows.items()}
    both |= {"basis": ["soft_opt_in", "consent"]}
    finding = run(
        SOFT,
        replace(example, tables={**example.tables, "register": replace(register, rows=both)}),
    )
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert values(finding)["contacts_without_conditions"] == 0


def test_withdrawn_rows_prove_nothing() -> None:
    example = titled(SOFT, "sale and notice are recorded")
    register = example.tables["register"]
    rows = {**register.rows, "withdrawn_at": [dt.datetime(2026, 2, 1)]}
    tables = {**example.tables, "register": replace(register, rows=rows)}
    assert run(SOFT, replace(example, tables=tables)).outcome is Outcome.NOT_AVAILABLE
