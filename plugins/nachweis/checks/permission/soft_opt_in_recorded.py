"""Contacts that rest on advertising to existing customers, against its conditions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nachweis.checks.permission._contacts import contact_use
from nachweis.checks.permission._examples import JANUARY, contact_log, register_table
from nachweis.checks.permission._register import all_of, must_be_zero
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Expression, Observations, Overlap, OverlapCounts, Request

_NOVEMBER = dt.datetime(2025, 11, 20)


def _tables(
    sale: dt.datetime | None,
    notice: str | None,
    basis: str = "soft_opt_in",
    channel: str = "email",
) -> dict[str, ExampleTable]:
    register = register_table(
        {
            "person": ["a"],
            "purpose": ["example"],
            "channel": [channel],
            "basis": [basis],
            "given_at": [JANUARY],
            "withdrawn_at": [None],
            "sale_at": [sale],
            "objection_notice": [notice],
        }
    )
    log = contact_log([True, False, False], channel=[channel] * 3)
    return {"scoring_log": log, "register": register}


class SoftOptInRecorded(Check):
    """Does the register hold the conditions of advertising to existing customers without consent?

    Why: Electronic mail to customers needs no consent only if the address came with a sale, the
        goods are similar, the right to object was pointed out when the address was received and in
        each message, and nobody objected (UWG § 7(3), MFL § 10(2)). Without proof of that it is
        mail without permission.
    Method: The night's contacts with a valid permission are looked up twice more: in rows of the
        register with another basis than ``soft_opt_in``, and in rows that prove the conditions,
        that is, with a time of sale not after the permission and an entry for the notice. Contacts
        found in neither rest on an advertisement whose conditions are not recorded. Numbers: such
        contacts and contacts that rest on it at all, 0 or more; the first must be 0. Undefined
        where nobody was contacted on this basis. Source: UWG § 7(3), MFL § 10(2).
    Leaves out: Whether the goods are similar and each message pointed out the right to object;
        objections, which contact_permission_held_for_audience looks up.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("CONSENT", "OBJECTION")
    needs = (Needs.SCORING_LOG, Needs.CONTACTS, Needs.CONTACT_PERMISSION, Needs.SOFT_OPT_IN)
    waivable = False
    params = (
        Param(
            "soft_opt_in",
            "soft_opt_in",
            "value of fields.basis",
            "design default of this project",
            "How the register names advertising to existing customers without consent.",
        ),
    )
    remediation = (
        "Take these people out of the audience until the sale and the notice at collection are "
        "proved, or ask them for consent. Let the order form write both into the register."
    )
    examples = (
        Example("sale and notice are recorded", Outcome.PASS, _tables(_NOVEMBER, "notice-7")),
        Example("the notice is not recorded", Outcome.FAIL, _tables(_NOVEMBER, None)),
        Example("no sale is recorded", Outcome.FAIL, _tables(None, "notice-7")),
        Example(
            "the sale came after the permission",
            Outcome.FAIL,
            _tables(dt.datetime(2026, 2, 1), "notice-7"),
        ),
        Example(
            "all contacts rest on consent", Outcome.NOT_AVAILABLE, _tables(None, None, "consent")
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Contacts with a permission, with another basis, and with the conditions recorded."""
        use = contact_use(inputs)
        if use.undeclared():
            return
        permission = use.overlap("permission")
        yield permission
        yield _narrowed(permission, "otherwise", _other_basis(inputs, use.register))
        yield _narrowed(permission, "recorded", _recorded(inputs, use.register))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the audience of the night."""
        use = contact_use(inputs)
        if undeclared := use.undeclared():
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "What is needed to look contacts up in the register is not declared.",
                declare=undeclared,
            )
            return
        allowed, otherwise, recorded = (
            observations[name] for name in ("permission", "otherwise", "recorded")
        )
        resting = allowed.rows_matched - otherwise.rows_matched
        unproved = allowed.rows_matched - recorded.rows_matched
        if not resting:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "No contact of this night rests on it alone, so nothing could be tested."
        elif unproved:
            outcome = Outcome.FAIL
            explanation = "Contacts rest on a sale or a notice that the register does not hold."
        else:
            outcome = Outcome.PASS
            explanation = "For every contact that rests on it, sale and notice are recorded."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=_measurements(allowed, resting, unproved),
            scope=f"contacted rows of {use.data_set.id} with a permission, window night",
        )


def _measurements(allowed: OverlapCounts, resting: int, unproved: int) -> list[Measurement]:
    return [
        Measurement(name="contacts_with_permission", value=allowed.rows_matched, unit="contacts"),
        Measurement(name="contacts_without_other_basis", value=resting, unit="contacts"),
        *must_be_zero(
            [("contacts_without_conditions", unproved, "contacts", None)],
            "UWG § 7(3), MFL § 10(2)",
            "join by subject key",
        ),
    ]


def _narrowed(permission: Overlap, name: str, rows: Expression) -> Overlap:
    """The same question, of fewer rows of the register."""
    filters = [one for one in (permission.other_where, rows) if one is not None]
    return replace(permission, name=name, other_where=all_of(filters))


def _other_basis(inputs: Inputs, register: DataSet) -> Expression:
    basis, soft = register.fields[FieldRole.BASIS], inputs.param("soft_opt_in")
    return lambda table: table[basis].fill_null("") != soft


def _recorded(inputs: Inputs, register: DataSet) -> Expression:
    """Rows with another basis, or whose sale and notice are proved."""
    other = _other_basis(inputs, register)
    sale, notice, given = (
        register.fields[role]
        for role in (FieldRole.SALE_AT, FieldRole.OBJECTION_NOTICE, FieldRole.GIVEN_AT)
    )

    def recorded(table: Any) -> Any:
        sold = table[sale].cast("date") <= table[given].cast("date")
        noticed = table[notice].cast("string").fill_null("").strip() != ""
        return other(table) | (sold.fill_null(False) & noticed)

    return recorded
