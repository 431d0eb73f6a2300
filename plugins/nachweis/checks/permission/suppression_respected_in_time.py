"""Scores and contacts after an objection or suppression, and how long after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from nachweis.checks.permission._contacts import contacted_in
from nachweis.checks.permission._examples import TONIGHT, contact_log, objections_table
from nachweis.checks.permission._lists import (
    Search,
    entries_without_key,
    list_entries,
    list_undeclared,
    list_unusable,
    lists_of,
    searched_lists,
    unread_lists,
)
from nachweis.checks.permission._register import must_be_zero
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Observations, OverlapCounts, Request, Source

_BANDS = (1, 2, 7, 30, 365)
"""Upper ends of the bands in which the longest delay is told, in days."""


def _tables(
    received: dt.datetime | None, person: str | None = "a", **channel: list[str]
) -> dict[str, ExampleTable]:
    return {
        "scoring_log": contact_log([True, False, False]),
        "objections": objections_table([received], [person], **channel),
    }


def _ago(**period: int) -> dt.datetime:
    return TONIGHT - dt.timedelta(**period)


class SuppressionRespectedInTime(Check):
    """Did scoring and contacting stop in time after people objected?

    Why: After an objection data must no longer be processed for direct marketing, which includes
        the profiling behind it (Art. 21(2)-(3) GDPR): a person who is still scored is still
        processed, even if no mail goes out.
    Method: All rows of the night's scoring log are looked up in the declared objections and
        suppression list by subject key. A row counts if the entry was received more than
        ``max_days`` x 24 hours before it, or at an unknown time; an entry with a channel counts for
        contacts on that channel only. Numbers: rows and persons, 0 or more, must be 0; the longest
        time from receipt to row, in bands of days. Undefined without rows, without a list, and
        where a list has no key. Source: Art. 21(3) GDPR, which sets no period; the limit is the
        organisation's.
    Leaves out: What was processed outside the log, training sets (see erased_subjects_absent for
        people who were erased), and objections that never reached the list. A contact within the
        limit is judged by contact_permission_held_for_audience, which knows no limit.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("OBJECTION",)
    needs = (Needs.SCORING_LOG, Needs.LOG_SUBJECT_KEY, Needs.LOG_TIME, Needs.FORBIDDING_LIST)
    waivable = False
    params = (
        Param(
            "max_days",
            1,
            "days",
            "design default of this project; Art. 21(3) GDPR sets no period",
            "Days after receipt within which a person may still be scored.",
            minimum=0,
            maximum=31,
        ),
    )
    remediation = (
        "Filter the people to be scored by the lists before every run, not only the audience at "
        "the moment of sending. Find out how long an objection travels to the list and to this "
        "filter, and delete the scores counted here."
    )
    examples = (
        Example("nobody listed was scored", Outcome.PASS, _tables(_ago(days=9), "z")),
        Example("objected an hour before", Outcome.PASS, _tables(_ago(hours=1))),
        Example("objected after being scored", Outcome.PASS, _tables(_ago(hours=-1))),
        Example("scored nine days later", Outcome.FAIL, _tables(_ago(days=9), "b")),
        Example("objected at an unknown time", Outcome.FAIL, _tables(None)),
        Example(
            "objected to calls, mailed and scored",
            Outcome.PASS,
            _tables(_ago(days=9), channel=["phone"]),
        ),
        Example("nobody on the list has a key", Outcome.NOT_AVAILABLE, _tables(_ago(days=9), None)),
        Example(
            "no list declared",
            Outcome.NOT_AVAILABLE,
            {"scoring_log": contact_log([True, False, False])},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Look all rows of the night up in every list."""
        log = _log(inputs)
        search = Search(
            inputs,
            log,
            Source(log.id, "night"),
            contacts=contacted_in(log),
            delay_days=inputs.param("max_days"),
            longest=True,
        )
        for listed in lists_of(inputs):
            if not _undeclared(listed):
                yield from list_entries(listed)
                yield from search.requests(listed)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding over all lists; what was found outweighs what is unknown."""
        lists = lists_of(inputs)
        found = searched_lists(observations)
        declare = "; ".join(filter(None, map(_undeclared, lists)))
        reasons = unread_lists(observations)
        reasons += ["what is needed to search the lists is not declared"] if declare else []
        reasons += [
            why
            for listed in lists
            if not _undeclared(listed) and (why := list_unusable(listed, observations))
        ]
        rows = max((counts.rows for counts in found.values()), default=0)
        if any(counts.rows_matched for counts in found.values()):
            outcome = Outcome.FAIL
            explanation = "People were still scored or contacted after they had objected."
        elif reasons:
            outcome, explanation = Outcome.NOT_AVAILABLE, f"Not everything is known: {reasons[0]}."
        elif rows == 0:
            outcome, explanation = Outcome.NOT_AVAILABLE, "Nobody was scored in this night."
        else:
            outcome = Outcome.PASS
            names = ", ".join(listed.id for listed in lists)
            explanation = f"Nobody was scored too long after an entry on: {names}."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[*_measurements(found), *entries_without_key(lists, observations)],
            scope=f"all rows of {_log(inputs).id}, window night",
            declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
        )


def _log(inputs: Inputs) -> DataSet:
    log = inputs.data("scoring_log")
    if log is None:
        raise LookupError("the need 'scoring_log' was not met")
    return log


def _undeclared(listed: DataSet) -> str:
    """What a list lacks: a key, and the time from which it forbids."""
    if listed.field(FieldRole.RECEIVED_AT) is None:
        return f"'fields.received_at' of the list {listed.id}"
    return list_undeclared(listed)


def _measurements(found: Mapping[str, OverlapCounts]) -> list[Measurement]:
    numbers = [
        number
        for name, counts in found.items()
        for number in (
            ("rows_after_objection", counts.rows_matched, "rows", name),
            ("persons_after_objection", counts.keys_matched, "persons", name),
        )
    ]
    delays = [c.longest_days for c in found.values() if c.longest_days is not None]
    known = bool(delays)
    return [
        *must_be_zero(numbers, "Art. 21(3) GDPR", "join by subject key, later than max_days"),
        Measurement(
            name="longest_delay",
            value=_band(max(delays)) if known else None,
            unit="days",
            recipe="from receipt to the last row counted, as a band",
            reason="" if known else "no counted row has both times",
        ),
    ]


def _band(days: float) -> str:
    """The longest delay as a band; a single person's is not published."""
    low = 0
    for high in _BANDS:
        if days <= high:
            return f"{low}-{high}"
        low = high
    return f"> {low}"
