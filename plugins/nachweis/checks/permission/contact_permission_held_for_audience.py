"""People contacted against permissions, objections and suppression lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from nachweis.checks.permission._register import Use, all_of, not_after, true_in
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole
from nachweis.domain.observation import (
    Expression,
    Observations,
    Overlap,
    OverlapCounts,
    Request,
    Source,
)
from nachweis.engines.moments import zone_of

_LISTS = ("suppression_list", "objections")

_TONIGHT = dt.datetime(2026, 3, 2, 10)
_JANUARY = dt.datetime(2026, 1, 10, 9)


def _tables(
    contacted: list[bool],
    withdrawn: dt.datetime | None = None,
    more: Mapping[str, ExampleTable] | None = None,
) -> dict[str, ExampleTable]:
    return {
        "scoring_log": ExampleTable(
            DataSetRole.SCORING_LOG,
            {
                "person": ["a", "b", "c"],
                "at": [_TONIGHT] * 3,
                "contacted": contacted,
                "channel": ["email"] * 3,
            },
            {
                "subject_key": {"column": "person"},
                "time": {"column": "at"},
                "fields": {"contacted": "contacted", "channel": "channel"},
                "contact_permission": {"register": "register", "purpose": "example"},
            },
        ),
        "register": ExampleTable(
            DataSetRole.PERMISSION_REGISTER,
            {
                "person": ["a", "b"],
                "purpose": ["example", "example"],
                "channel": ["email", "email"],
                "given_at": [_JANUARY, _JANUARY],
                "withdrawn_at": [None, withdrawn],
            },
            {
                "columns": [
                    {"name": "person"},
                    {"name": "purpose"},
                    {"name": "channel"},
                    {"name": "given_at"},
                    {"name": "withdrawn_at", "type": "timestamp"},
                ],
                "subject_key": {"column": "person"},
                "fields": {
                    "purpose": "purpose",
                    "channel": "channel",
                    "given_at": "given_at",
                    "withdrawn_at": "withdrawn_at",
                },
            },
        ),
        **(more or {}),
    }


def _objection(person: str, received: dt.datetime) -> Mapping[str, ExampleTable]:
    table = ExampleTable(
        DataSetRole.OBJECTIONS,
        {"person": [person], "received_at": [received]},
        {"subject_key": {"column": "person"}, "fields": {"received_at": "received_at"}},
    )
    return {"objections": table}


class ContactPermissionHeldForAudience(Check):
    """Was everybody who was contacted tonight allowed to be contacted on that channel?

    Why: Advertising by mail, message or telephone needs permission per channel (UWG § 7, MFL § 10),
        and after an objection the data must no longer be used for it (Art. 21(3) GDPR). Legal
        basis is not marketing permission.
    Method: Each contacted row of the night is looked up in the permission register by subject key,
        purpose and channel: given before the contact, neither withdrawn nor expired at that time.
        Contacted rows are also looked up in the declared suppression list and objections, where an
        entry received before the contact forbids it; an entry with a channel forbids that channel,
        one without a channel all. Numbers: contacts without permission and contacts against a
        list, 0 or more, must be 0; undefined if nobody was contacted. Source:
        UWG § 7, MFL § 10, Art. 21(2)-(3) GDPR.
    Leaves out: Whether a permission was validly obtained, what was sent, and public lists such as
        the Robinson list unless they are declared as the suppression list.
    """

    severity = Severity.CRITICAL
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("CONSENT", "OBJECTION")
    needs = (Needs.SCORING_LOG, Needs.CONTACTS, Needs.CONTACT_PERMISSION)
    waivable = False
    remediation = (
        "Hold the campaign, find the selection that let these contacts through, and filter the "
        "audience by the register and the lists at the moment of sending. The data protection "
        "officer decides whether this is an incident."
    )
    examples = (
        Example("both contacted people agreed", Outcome.PASS, _tables([True, True, False])),
        Example("one of three never agreed", Outcome.FAIL, _tables([True, True, True])),
        Example(
            "one had withdrawn the day before",
            Outcome.FAIL,
            _tables([True, True, False], withdrawn=dt.datetime(2026, 3, 1)),
        ),
        Example(
            "one had objected last week",
            Outcome.FAIL,
            _tables([True, True, False], more=_objection("a", dt.datetime(2026, 2, 23))),
        ),
        Example(
            "one objected after the contact",
            Outcome.PASS,
            _tables([True, True, False], more=_objection("a", dt.datetime(2026, 3, 2, 12))),
        ),
        Example("nobody was contacted", Outcome.NOT_AVAILABLE, _tables([False, False, False])),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Look contacts up in the register and in the lists."""
        use = _use(inputs)
        if not use.undeclared():
            yield use.overlap("permission")
        for listed in _lists(inputs):
            yield from _forbidden(inputs, use, listed)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the audience of the night."""
        use = _use(inputs)
        if undeclared := use.undeclared():
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "The register does not declare what is needed to look contacts up.",
                declare=undeclared,
            )
            return
        permission: OverlapCounts = observations["permission"]
        against = {
            name: observations[name].rows_matched for name in observations if name != "permission"
        }
        if permission.rows == 0:
            yield self.finding(
                inputs, Outcome.NOT_AVAILABLE, "Nobody was contacted, so nothing could be tested."
            )
            return
        parts = []
        if permission.rows_unmatched:
            parts.append("Some contacts had no valid permission for their channel and purpose.")
        if any(against.values()):
            parts.append("Some people were contacted although a list forbids it.")
        yield self.finding(
            inputs,
            Outcome.FAIL if parts else Outcome.PASS,
            " ".join(parts) or "Every contact had a valid permission, and no list forbade one.",
            measurements=_measurements(permission, against),
            scope=f"contacted rows of {use.data_set.id}, window night, register {use.register.id}",
        )


def _use(inputs: Inputs) -> Use:
    log = _log(inputs)
    rule = log.contact_permission
    if rule is None:
        raise LookupError("the need 'contact_permission' was not met")
    fixed, matched = [], []
    if log.field(FieldRole.CHANNEL):
        matched.append(FieldRole.CHANNEL)
    elif rule.channel:
        fixed.append((FieldRole.CHANNEL, rule.channel))
    if rule.purpose:
        fixed.append((FieldRole.PURPOSE, rule.purpose))
    return Use(
        data_set=log,
        source=Source(log.id, "night"),
        register=inputs.world.data_sets[rule.register_],
        night=inputs.night,
        fixed=tuple(fixed),
        matched=tuple(matched),
        at=None if log.time else inputs.night.end,
        where=true_in(log.fields[FieldRole.CONTACTED]),
    )


def _log(inputs: Inputs) -> DataSet:
    log = inputs.data("scoring_log")
    if log is None:
        raise LookupError("the need 'scoring_log' was not met")
    return log


def _lists(inputs: Inputs) -> Iterator[DataSet]:
    for role in _LISTS:
        listed = inputs.data(role)
        if listed is not None and listed.subject_key is not None:
            yield listed


def _forbidden(inputs: Inputs, use: Use, listed: DataSet) -> Iterator[Overlap]:
    """Contacts of listed people: on any channel, or per channel where the list names channels."""
    channel = listed.field(FieldRole.CHANNEL)
    own_channel = use.data_set.field(FieldRole.CHANNEL)
    if channel is None or own_channel is None:
        yield _on_list(inputs, use, listed, f"{listed.id}", ())
        return
    yield _on_list(inputs, use, listed, f"{listed.id}/channel", ((own_channel, channel),))
    yield _on_list(
        inputs, use, listed, f"{listed.id}/all", (), lambda table: table[channel].isnull()
    )


def _on_list(
    inputs: Inputs,
    use: Use,
    listed: DataSet,
    name: str,
    match: tuple[tuple[str, str], ...],
    also: Expression | None = None,
) -> Overlap:
    own_key, key = use.data_set.subject_key, listed.subject_key
    if own_key is None or key is None:
        raise LookupError("a subject key is not declared")
    received = listed.field(FieldRole.RECEIVED_AT)
    by_row = received is not None and use.data_set.time is not None
    filters = [one for one in (also,) if one is not None]
    if received is not None and not by_row:
        filters.append(not_after(received, inputs.night.end, zone_of(listed, inputs.night)))
    return Overlap(
        f"list:{name}",
        use.source,
        other=Source(listed.id),
        key=(own_key.column, key.column),
        match=match,
        where=use.where,
        other_where=all_of(filters),
        left_time=use.data_set.time.column if by_row and use.data_set.time else None,
        right_from=received if by_row else None,
    )


def _measurements(permission: OverlapCounts, against: Mapping[str, int]) -> list[Measurement]:
    consent = Threshold(value=0, operator="==", source="UWG § 7, MFL § 10")
    objection = Threshold(value=0, operator="==", source="Art. 21(3) GDPR")
    numbers: list[tuple[str, int, Threshold, str | None]] = [
        ("contacts_without_permission", permission.rows_unmatched, consent, None),
        ("persons_without_permission", permission.keys_unmatched, consent, None),
    ]
    numbers += [
        ("contacts_against_list", count, objection, name.removeprefix("list:"))
        for name, count in against.items()
    ]
    return [
        Measurement(
            name=name,
            value=count,
            unit="persons" if name.startswith("persons") else "contacts",
            threshold=limit,
            recipe="join by subject key",
            group=group,
        )
        for name, count, limit, group in numbers
    ]
