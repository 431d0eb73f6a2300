"""The permission checks: retention, legal basis, permission to contact, erasure."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from nachweis import registry
from nachweis.domain.check import Check, Example, ExampleTable, Inputs
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.night import Night
from nachweis.domain.observation import Missing, Observations, Overlap, OverlapCounts
from nachweis.pipeline.example_worlds import example_subject, example_world

NIGHT = Night(dt.date(2026, 3, 2))
RETENTION = registry.check("retention_kept")
BASIS = registry.check("legal_basis_held_for_rows_used")
CONTACT = registry.check("contact_permission_held_for_audience")
ERASED = registry.check("erased_subjects_absent")


def inputs(check: type[Check], example: Example, **params: Any) -> Inputs:
    world = example_world(check, example)
    effective = check.effective_params(params, {})
    return Inputs(world, example_subject(check, example), NIGHT, effective)


def titled(check: type[Check], title: str) -> Example:
    return next(example for example in check.examples if example.title == title)


def judged(check: type[Check], given: Inputs, **results: Any) -> Finding:
    (finding,) = check().judge(given, Observations(results))
    return finding


def counts(rows: int = 10, unmatched: int = 0, without_key: int = 0) -> OverlapCounts:
    return OverlapCounts(
        rows=rows,
        keys=rows - without_key,
        rows_matched=rows - unmatched,
        keys_matched=rows - unmatched,
        rows_without_key=without_key,
        keys_unmatched=max(0, unmatched - without_key),
    )


# -------------------------------------------------------------------------------------- retention

KEY = "activity/two-years/collected"


def retention(beyond: int, oldest: Any, undated: int = 0, rows: int = 10) -> Finding:
    given = inputs(RETENTION, RETENTION.examples[0])
    results = {
        f"rows:{KEY}": rows,
        f"beyond:{KEY}": beyond,
        f"oldest:{KEY}": oldest,
        f"undated:{KEY}": undated,
    }
    return judged(RETENTION, given, **results)


@pytest.mark.parametrize(
    ("beyond", "oldest", "undated", "outcome"),
    [
        (0, dt.datetime(2026, 1, 1), 0, Outcome.PASS),
        (0, dt.datetime(2026, 1, 1), 9, Outcome.PASS),
        (3, dt.datetime(2020, 1, 1), 0, Outcome.FAIL),
        (0, None, 10, Outcome.NOT_AVAILABLE),
    ],
)
def test_rows_beyond_the_period_fail(
    beyond: int, oldest: Any, undated: int, outcome: Outcome
) -> None:
    assert retention(beyond, oldest, undated).outcome is outcome


@pytest.mark.parametrize(
    ("oldest", "months"),
    [
        (dt.datetime(2026, 3, 1), 0),
        (dt.datetime(2026, 2, 3), 0),
        (dt.datetime(2026, 2, 2), 1),
        (dt.date(2024, 3, 2), 24),
        (dt.date(2024, 3, 3), 23),
        (dt.datetime(2025, 12, 31, tzinfo=dt.UTC), 2),
    ],
)
def test_the_oldest_row_is_published_in_whole_months_only(oldest: Any, months: int) -> None:
    values = {m.name: m.value for m in retention(0, oldest).measurements}
    assert values["oldest_age"] == months
    assert "2025-12-31" not in retention(0, oldest).model_dump_json()


def test_every_rule_that_lists_the_data_set_is_looked_at() -> None:
    rule = dict(RETENTION.examples[0].activity["retention"][0])
    both = [rule, {**rule, "id": "one-year", "period": "P12M", "grace": "P0D"}]
    tables = RETENTION.examples[0].tables
    example = Example("two rules", Outcome.PASS, tables, activity={"retention": both})
    names = {request.name for request in RETENTION().observe(inputs(RETENTION, example))}
    assert {name for name in names if name.startswith("beyond:")} == {
        f"beyond:{KEY}",
        "beyond:activity/one-year/collected",
    }


# ------------------------------------------------------------------------------------ legal basis


def basis(result: Any) -> Finding:
    return judged(BASIS, inputs(BASIS, BASIS.examples[0]), basis=result)


def test_every_row_needs_a_basis() -> None:
    assert basis(counts()).outcome is Outcome.PASS
    assert basis(counts(unmatched=1)).outcome is Outcome.FAIL
    assert basis(counts(rows=0)).outcome is Outcome.NOT_AVAILABLE


def test_a_row_without_a_key_has_no_basis() -> None:
    finding = basis(counts(unmatched=1, without_key=1))
    assert finding.outcome is Outcome.FAIL
    assert {m.name: m.value for m in finding.measurements}["rows_without_key"] == 1


def only_request(check: type[Check], example: Example) -> Overlap:
    asked = check().observe(inputs(check, example))
    (request,) = (one for one in asked if isinstance(one, Overlap))
    assert isinstance(request, Overlap)
    return request


def test_the_rows_own_time_counts_unless_a_training_day_is_declared() -> None:
    by_row = only_request(BASIS, titled(BASIS, "everybody agreed"))
    assert (by_row.left_time, by_row.right_from) == ("used_at", "given_at")
    assert by_row.right_until == ("withdrawn_at",)
    trained = titled(BASIS, "withdrawn before the model was trained, after the rows were recorded")
    fixed = only_request(BASIS, trained)
    assert (fixed.left_time, fixed.right_from, fixed.right_until) == (None, None, ())
    assert fixed.other_where is not None


def test_a_training_day_in_the_future_does_not_count() -> None:
    example = Example(
        "x", Outcome.PASS, BASIS.examples[0].tables,
        model={"versions": [{"version": "2", "trained_at": "2026-04-01"}]},
    )  # fmt: skip
    assert only_request(BASIS, example).left_time == "used_at"


def test_a_register_without_the_needed_fields_is_not_guessed_at() -> None:
    tables = dict(BASIS.examples[0].tables)
    register = tables["register"]
    declare = {**register.declare, "fields": {"purpose": "purpose"}}
    tables["register"] = ExampleTable(register.role, register.rows, declare)
    given = inputs(BASIS, Example("x", Outcome.PASS, tables))
    assert list(BASIS().observe(given)) == []
    finding = judged(BASIS, given)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "'fields.given_at'" in finding.declare
    assert "'fields.phase'" in finding.declare


# --------------------------------------------------------------------------------------- contacts


def listed(**lists: Any) -> dict[str, Any]:
    """Results about lists of one entry each, which names somebody."""
    return {
        **{f"list:{name}": found for name, found in lists.items()},
        **{f"entries:{name.replace('_', '-')}": 1 for name in lists},
        **{f"nameless:{name.replace('_', '-')}": 0 for name in lists},
    }


def contact(permission: Any, **lists: OverlapCounts) -> Finding:
    example = titled(CONTACT, "one had objected last week")
    results = {"permission": permission, **listed(**lists)}
    return judged(CONTACT, inputs(CONTACT, example), **results)


def test_contacts_need_permission_and_no_list_may_forbid_them() -> None:
    none_listed = counts(unmatched=10)
    assert contact(counts(), objections=none_listed).outcome is Outcome.PASS
    assert contact(counts(unmatched=1), objections=none_listed).outcome is Outcome.FAIL
    assert contact(counts(), objections=counts(unmatched=9)).outcome is Outcome.FAIL
    assert contact(counts(rows=0), objections=counts(rows=0)).outcome is Outcome.NOT_AVAILABLE


def test_channel_and_purpose_are_part_of_the_question() -> None:
    requests = CONTACT().observe(inputs(CONTACT, titled(CONTACT, "one had objected last week")))
    permission, objections = (one for one in requests if isinstance(one, Overlap))
    assert isinstance(permission, Overlap)
    assert isinstance(objections, Overlap)
    assert permission.match == (("channel", "channel"),)
    assert permission.source.window == "night"
    assert permission.where is not None
    assert permission.other_where is not None
    assert (objections.left_time, objections.right_from) == ("at", "received_at")


def test_a_list_with_channels_forbids_only_the_listed_channel_or_all() -> None:
    example = titled(CONTACT, "one had objected last week")
    tables = dict(example.tables)
    tables["objections"] = ExampleTable(
        DataSetRole.OBJECTIONS,
        {"person": ["a"], "channel": ["phone"]},
        {"subject_key": {"column": "person"}, "fields": {"channel": "channel"}},
    )
    requests = list(CONTACT().observe(inputs(CONTACT, Example("x", Outcome.PASS, tables))))
    lists = {request.name: request for request in requests if request.name.startswith("list:")}
    assert set(lists) == {"list:objections/channel", "list:objections/all"}
    assert lists["list:objections/channel"].match == (("channel", "channel"),)
    assert lists["list:objections/all"].match == ()


def test_a_list_that_cannot_be_read_is_not_a_pass() -> None:
    from nachweis.pipeline.judge import judge, plan_subject

    example = titled(CONTACT, "one had objected last week")
    world = example_world(CONTACT, example)
    subject = Subject(kind=SubjectKind.MODEL, id="model")
    plan = plan_subject(world, subject, NIGHT, [CONTACT])
    missing = Missing("no file")
    names = ("list:objections", "entries:objections", "nameless:objections")
    seen = Observations({"permission": counts(), **dict.fromkeys(names, missing)})
    (finding,) = judge(world, subject, NIGHT, plan, {CONTACT.id: seen})
    assert finding.outcome is Outcome.NOT_AVAILABLE


# ---------------------------------------------------------------------------------------- erasure


def erased(**ledgers: Any) -> Finding:
    example = ERASED.examples[0]
    tables = {name: table for name, table in example.tables.items() if name == "training"}
    ledger = example.tables["erasure_ledger"]
    given = inputs(ERASED, Example("x", Outcome.PASS, {**tables, **dict.fromkeys(ledgers, ledger)}))
    return judged(ERASED, given, **listed(**ledgers))


def test_an_erased_person_in_the_data_fails_even_if_another_ledger_is_unreadable() -> None:
    present, absent = counts(unmatched=9), counts(unmatched=10)
    assert erased(one=absent).outcome is Outcome.PASS
    assert erased(one=present).outcome is Outcome.FAIL
    assert erased(one=present, two=Missing("no file")).outcome is Outcome.FAIL
    assert erased(one=absent, two=Missing("no file")).outcome is Outcome.NOT_AVAILABLE
    assert erased(one=counts(rows=0)).outcome is Outcome.NOT_AVAILABLE


def test_logs_are_searched_for_the_night_and_only_after_the_erasure() -> None:
    request = only_request(ERASED, titled(ERASED, "scored after the erasure"))
    assert request.source.window == "night"
    assert (request.left_time, request.right_from) == ("at", "erased_at")
    whole = only_request(ERASED, titled(ERASED, "an erased person is in the data"))
    assert whole.source.window == "whole"
    assert whole.left_time is None


def test_registers_and_lists_that_honour_wishes_are_not_searched() -> None:
    assert not ERASED.data_set_roles & {
        DataSetRole.ERASURE_LEDGER,
        DataSetRole.OBJECTIONS,
        DataSetRole.SUPPRESSION_LIST,
        DataSetRole.PERMISSION_REGISTER,
    }
