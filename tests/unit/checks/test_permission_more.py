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
from nachweis.domain.manifest import DataSetRole
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


_ = (dt, DataSetRole)
