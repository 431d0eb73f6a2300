"""Readers in the access log against those that manifests declare."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.access._log import (
    ROLES,
    access_log,
    in_list,
    named,
    reads_of,
    rule_of,
    scope_of,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import FieldRole
from nachweis.domain.observation import CountTable, GroupedCounts, Observations, Request

_NONE = Threshold(value=0, operator="==", source="recipients of the activities, 'access.readers'")
_TEAM = {
    "recipients": [
        {
            "id": "team",
            "kind": "internal",
            "text": {"en": "Marketing"},
            "country": "DE",
            "access_roles": ["campaign-reader"],
        }
    ]
}
_JOBS = {"readers": ["job/*"]}


class ReadersAsDeclared(Check):
    """Were data read only by those whom the records name?

    Why: The record names the recipients (Art. 30(1)(d) GDPR), and access is for those who need it
        (Art. 25(2), 32(4) GDPR). A reader that nobody declared is an export nobody knows of, or a
        stolen key.
    Method: The night's rows of the log that read data are split by whether their reader is among
        the ``access_roles`` of the activities' recipients and the log's ``access.readers``, where a
        final ``*`` stands for any ending. Numbers: accesses by others and accesses without a
        reader (storage logs write none where no key was shown), 0 or more, must be 0; different
        readers that are not declared. Undefined without rows, and where no reader is declared.
        Source: Art. 30(1)(d), 32(4) GDPR.
    Leaves out: Who the readers are: neither their names nor digests of them leave the data, since
        names of accounts are easily guessed from a digest. Whether a declared reader needed what it
        read, copies made afterwards, and systems without a declared log.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    controls = ("ACCESS", "ACCESS-REVIEW", "LOGGING")
    needs = (Needs.NIGHTLY, Needs.ACTOR, Needs.READERS)
    data_set_roles = ROLES
    remediation = (
        "List the readers of that night in the log itself and compare them with 'access_roles' of "
        "the recipients. Declare those that are meant to read, with the recipient they belong to; "
        "withdraw the others' rights and keys, and open an incident if somebody read from outside."
    )
    examples = (
        Example(
            "declared roles and jobs",
            Outcome.PASS,
            access_log({"actor": ["campaign-reader", "job/nightly"]}, _JOBS),
            activity=_TEAM,
        ),
        Example(
            "a reader nobody declared",
            Outcome.FAIL,
            access_log({"actor": ["campaign-reader", "somebody"]}),
            activity=_TEAM,
        ),
        Example(
            "read without a key",
            Outcome.FAIL,
            access_log({"actor": ["campaign-reader", None]}),
            activity=_TEAM,
        ),
        Example(
            "others write, nobody else reads",
            Outcome.PASS,
            access_log(
                {"actor": ["campaign-reader", "loader"], "action": ["get", "put"]},
                {"reads": ["get"]},
            ),
            activity=_TEAM,
        ),
        Example(
            "nothing was logged",
            Outcome.NOT_AVAILABLE,
            access_log({"actor": []}, _JOBS),
            activity=_TEAM,
        ),
        Example("no reader declared", Outcome.NOT_AVAILABLE, access_log({"actor": ["a"]})),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Accesses by declared, by other and by unknown readers, in one query."""
        actor = inputs.data_set.fields[FieldRole.ACTOR]
        yield GroupedCounts(
            "readers",
            inputs.rows_in_question,
            {"declared": in_list(actor, _readers(inputs)), "named": named(actor)},
            where=reads_of(inputs),
            sums={"different": lambda table: table[actor].nunique()},
        )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the night's accesses."""
        table: CountTable = observations["readers"]
        others, unnamed = table.total(declared=False, named=True), table.total(named=False)
        if table.n == 0:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "The log holds no access in this night, so nothing could be compared."
        elif others or unnamed:
            outcome = Outcome.FAIL
            parts = ["by readers that nobody declared"] if others else []
            parts += ["without a named reader"] if unnamed else []
            explanation = f"Data were read {' and '.join(parts)}."
        else:
            outcome, explanation = Outcome.PASS, "Only declared readers stand in the log."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=_measurements(table, others, unnamed),
            scope=scope_of(inputs),
        )


def _readers(inputs: Inputs) -> list[str]:
    """Principals that may read: recipients' and the log's own."""
    found = {
        role
        for activity in inputs.world.activities.values()
        for recipient in activity.recipients
        for role in recipient.access_roles
    }
    return sorted(found | set(rule_of(inputs).readers))


def _measurements(table: CountTable, others: int, unnamed: int) -> list[Measurement]:
    different = table.sums.get("different", {})
    unknown = sum(int(n) for key, n in different.items() if not key[0] and key[1])
    known = sum(int(n) for key, n in different.items() if key[0])
    return [
        Measurement(name="accesses", value=table.n, unit="rows"),
        Measurement(name="accesses_by_undeclared", value=others, unit="rows", threshold=_NONE),
        Measurement(name="accesses_without_reader", value=unnamed, unit="rows", threshold=_NONE),
        Measurement(name="undeclared_readers", value=unknown, unit="people", threshold=_NONE),
        Measurement(name="declared_readers", value=known, unit="people"),
    ]
