"""People contacted against permissions, objections and suppression lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nachweis.checks.permission._contacts import (
    CHANNELS,
    basis_suffices,
    contact_use,
    on_unlisted_channel,
)
from nachweis.checks.permission._examples import (
    JANUARY,
    contact_log,
    objections_table,
    register_table,
)
from nachweis.checks.permission._lists import (
    DECLARE_A_LIST,
    Search,
    entries_without_key,
    list_entries,
    list_undeclared,
    list_unusable,
    lists_of,
    searched_lists,
    unread_lists,
)
from nachweis.checks.permission._register import Use, all_of, must_be_zero
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Observations, Overlap, OverlapCounts, Request, Scalar

_LAST_WEEK = dt.datetime(2026, 2, 23)
_WITHOUT = (
    "Some contacts had no valid permission for their purpose and channel, or none whose country "
    "and basis suffice."
)
_UNLISTED = (
    "Some contacts went through a channel that is on no list of channels, so no basis could be "
    "asked for."
)
_NO_COUNTRY = (
    "The country of some contacts or of their permissions is missing, so it was not compared."
)
_ASKED = frozenset({"permission", "unlisted"})
_LIST_IT = "the channel in 'electronic_channels', 'telephone_channels' or 'free_channels'"
_SOMEBODY = objections_table([_LAST_WEEK], ["z"])


def _tables(
    contacted: list[bool],
    withdrawn: dt.datetime | None = None,
    expires: dt.datetime | None = None,
    objections: ExampleTable | None = _SOMEBODY,
    channel: str = "email",
    **columns: list[Any],
) -> dict[str, ExampleTable]:
    register = register_table(
        {
            "person": ["a", "b"],
            "purpose": ["example", "example"],
            "channel": [channel, channel],
            "given_at": [JANUARY, JANUARY],
            "withdrawn_at": [None, withdrawn],
            "expires_at": [None, expires],
            **columns,
        }
    )
    log = contact_log(contacted, channel=[channel] * 3)
    if "country" in columns:
        fields = {**log.declare["fields"], "country": "country"}
        log = replace(
            log,
            rows={**log.rows, "country": ["DE"] * 3},
            declare={**log.declare, "fields": fields},
        )
    tables = {"scoring_log": log, "register": register}
    return tables if objections is None else {**tables, "objections": objections}


def _listed(
    received: dt.datetime | None, person: str | None = "a", **columns: list[Any]
) -> ExampleTable:
    return objections_table([received], [person], **columns)


class ContactPermissionHeldForAudience(Check):
    """Was everybody who was contacted tonight allowed to be contacted on that channel?

    Why: Advertising by mail, message or telephone needs permission per channel (UWG § 7, MFL § 10),
        and after an objection the data must no longer be used for it (Art. 21(3) GDPR). Legal
        basis is not marketing permission.
    Method: Each contacted row of the night is looked up in the permission register by subject key,
        purpose, channel and, where both data sets declare and know it, country: given before the
        contact, neither withdrawn nor expired at that time. Where the register declares basis and
        channel, the basis must be among ``electronic_bases`` on ``electronic_channels`` and among
        ``telephone_bases`` on ``telephone_channels``; ``free_channels`` take any. Contacted rows
        are also looked up in the declared suppression list and objections, where an entry received
        before the contact, or at an unknown time, forbids it; an entry with a channel forbids that
        channel, one without a channel all. A permission older than ``contact_permission.max_age``
        counts as expired, where the organisation sets that limit. Numbers: contacts without
        permission and contacts against a list, 0 or more, must be 0; undefined if nobody was
        contacted, if no list is declared, if a list cannot be searched, if a channel is on no list
        of channels, if a permission was found only because a country is missing, and if the
        register does not say when permissions were withdrawn. Source: UWG § 7, MFL § 10, FAL § 4,
        Art. 21(2)-(3) GDPR.
    Leaves out: Whether a permission was validly obtained, what was sent, and public lists such as
        the Robinson list unless they are declared as the suppression list. The basis, where the
        register does not declare it or no channel is declared. Companies, which may be called on
        weaker grounds. Channels of log and register are compared as they are written.
    """

    severity = Severity.CRITICAL
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("CONSENT", "OBJECTION")
    needs = (Needs.SCORING_LOG, Needs.CONTACTS, Needs.CONTACT_PERMISSION)
    waivable = False
    params = (
        Param(
            "electronic_bases",
            "consent,request,soft_opt_in",
            "values of fields.basis, separated by commas",
            "UWG § 7(2) no. 2 and § 7(3), MFL § 10(1)-(2)",
            "Bases on which electronic mail may be sent, as the register writes them.",
        ),
        Param(
            "telephone_bases",
            "consent,request",
            "values of fields.basis, separated by commas",
            "UWG § 7(2) no. 1, FAL § 4(1)",
            "Bases on which consumers may be called, as the register writes them; soft_opt_in and "
            "none never suffice.",
        ),
        *CHANNELS,
    )
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
            "one permission had expired the day before",
            Outcome.FAIL,
            _tables([True, True, False], expires=dt.datetime(2026, 3, 1)),
        ),
        Example(
            "called as customers of a sale, which suffices for mail only",
            Outcome.FAIL,
            _tables([True, True, False], channel="phone", basis=["consent", "soft_opt_in"]),
        ),
        Example(
            "called as customers of a sale, in the words of a German register",
            Outcome.FAIL,
            _tables([True, True, False], channel="Telefon", basis=["consent", "soft_opt_in"]),
        ),
        Example(
            "contacted on a channel that nobody knows",
            Outcome.NOT_AVAILABLE,
            _tables([True, True, False], channel="drone", basis=["consent", "consent"]),
        ),
        Example(
            "mailed as customers of a sale",
            Outcome.PASS,
            _tables([True, True, False], basis=["consent", "soft_opt_in"]),
        ),
        Example(
            "one permission was given in another country",
            Outcome.FAIL,
            _tables([True, True, False], country=["DE", "DK"]),
        ),
        Example(
            "the country of one permission is missing",
            Outcome.NOT_AVAILABLE,
            _tables([True, True, False], country=["de ", None]),
        ),
        Example(
            "one had objected last week",
            Outcome.FAIL,
            _tables([True, True, False], objections=_listed(_LAST_WEEK)),
        ),
        Example(
            "one objected after the contact",
            Outcome.PASS,
            _tables([True, True, False], objections=_listed(dt.datetime(2026, 3, 2, 12))),
        ),
        Example(
            "one had objected at an unknown time",
            Outcome.FAIL,
            _tables([True, True, False], objections=_listed(None)),
        ),
        Example(
            "one had objected to all channels",
            Outcome.FAIL,
            _tables([True, True, False], objections=_listed(_LAST_WEEK, channel=[""])),
        ),
        Example(
            "one had objected to calls only",
            Outcome.PASS,
            _tables([True, True, False], objections=_listed(_LAST_WEEK, channel=["phone"])),
        ),
        Example(
            "no list declared",
            Outcome.NOT_AVAILABLE,
            _tables([True] * 2 + [False], None, None, None),
        ),
        Example(
            "nobody on the list has a key",
            Outcome.NOT_AVAILABLE,
            _tables([True, True, False], objections=_listed(_LAST_WEEK, None)),
        ),
        Example("nobody was contacted", Outcome.NOT_AVAILABLE, _tables([False, False, False])),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Look contacts up in the register and in the lists."""
        use = contact_use(inputs)
        if not use.undeclared():
            yield _permission(inputs, use)
            if unlisted := on_unlisted_channel(inputs, use):
                yield Scalar("unlisted", use.source, unlisted)
        search = Search(inputs, use.data_set, use.source, use.where, use.where)
        for listed in lists_of(inputs):
            if not list_undeclared(listed):
                yield from list_entries(listed)
                yield from search.requests(listed)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the audience of the night; what was found outweighs what is unknown."""
        use, declared = contact_use(inputs), lists_of(inputs)
        permission: OverlapCounts | None = observations.get("permission")
        against = searched_lists(observations)
        contacts = [permission.rows] if permission else []
        contacts += [counts.rows for counts in against.values()]
        undeclared = [use.undeclared(), *(list_undeclared(listed) for listed in declared)]
        undeclared += [] if declared else [DECLARE_A_LIST]
        unlisted = int(observations.get("unlisted") or 0)
        assumed = permission.rows_assumed if permission else 0
        declare = "; ".join(filter(None, undeclared))
        problems = []
        if permission and permission.rows_unmatched:
            problems.append(_WITHOUT)
        if any(counts.rows_matched for counts in against.values()):
            problems.append("Some people were contacted although a list forbids it.")
        names = ", ".join(listed.id for listed in declared)
        if problems:
            outcome, explanation = Outcome.FAIL, " ".join(problems)
        elif contacts and not any(contacts):
            outcome = Outcome.NOT_AVAILABLE
            explanation = "Nobody was contacted, so nothing could be tested."
        elif open_questions := _open(observations, declared, declare, unlisted, assumed):
            outcome, explanation = Outcome.NOT_AVAILABLE, " ".join(open_questions)
            declare = "; ".join(filter(None, [declare, _LIST_IT if unlisted else ""]))
        else:
            outcome = Outcome.PASS
            explanation = f"Every contact had a valid permission, and none was found on: {names}."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                *_measurements(permission, against),
                *_not_compared(use, permission, observations),
                *entries_without_key(declared, observations),
            ],
            scope=f"contacted rows of {use.data_set.id}, window night, register "
            f"{use.register.id}{_compared(inputs, use)}, lists: {names or 'none'}",
            declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
        )


def _permission(inputs: Inputs, use: Use) -> Overlap:
    """Which contacts have a permission whose basis suffices for the channel."""
    permission = use.overlap("permission")
    filters = (permission.other_where, basis_suffices(inputs, use.register))
    found = all_of([one for one in filters if one is not None])
    return replace(permission, other_where=found)


def _not_compared(
    use: Use, permission: OverlapCounts | None, observations: Observations
) -> list[Measurement]:
    """Contacts about which no basis was asked for, or whose country was not compared."""
    assumed = permission.rows_assumed if permission and FieldRole.COUNTRY in use.matched else None
    numbers = (
        ("contacts_on_unlisted_channels", observations.get("unlisted")),
        ("contacts_country_not_compared", assumed),
    )
    return [
        Measurement(name=name, value=int(count), unit="contacts")
        for name, count in numbers
        if count is not None
    ]


def _compared(inputs: Inputs, use: Use) -> str:
    """What of a permission was compared beside purpose and channel, in words."""
    parts = [
        "country" if FieldRole.COUNTRY in use.matched else "",
        "basis" if basis_suffices(inputs, use.register) is not None else "",
    ]
    named = " and ".join(filter(None, parts))
    return f", {named} compared" if named else ", neither country nor basis compared"


def _open(
    observations: Observations, declared: list[DataSet], declare: str, unlisted: int, assumed: int
) -> list[str]:
    """Why there is no verdict, in sentences."""
    reasons = _unknown(observations, declared, declare)
    return [
        *([f"Not everything is known: {reasons}."] if reasons else []),
        *([_UNLISTED] if unlisted else []),
        *([_NO_COUNTRY] if assumed else []),
    ]


def _unknown(observations: Observations, declared: list[DataSet], declare: str) -> str:
    """What stands in the way of a verdict, in words."""
    reasons = ["what is needed to look contacts up is not declared"] if declare else []
    reasons += [why for name, why in observations.missing() if name in _ASKED]
    reasons += unread_lists(observations)
    reasons += [
        why
        for listed in declared
        if not list_undeclared(listed) and (why := list_unusable(listed, observations))
    ]
    return "; ".join(dict.fromkeys(reasons))


def _measurements(
    permission: OverlapCounts | None, against: Mapping[str, OverlapCounts]
) -> list[Measurement]:
    recipe = "join by subject key"
    found: list[Measurement] = []
    if permission is not None:
        found += must_be_zero(
            [
                ("contacts_without_permission", permission.rows_unmatched, "contacts", None),
                ("persons_without_permission", permission.keys_unmatched, "persons", None),
            ],
            "UWG § 7, MFL § 10",
            recipe,
        )
    return found + must_be_zero(
        [
            ("contacts_against_list", counts.rows_matched, "contacts", name)
            for name, counts in against.items()
        ],
        "Art. 21(3) GDPR",
        recipe,
    )
