"""Regions in the access log against those that are declared."""

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

_EUROPE = {"regions": ["eu-central-1", "eu-north-*"]}


class AccessRegionsAsDeclared(Check):
    """Were data read only from the declared regions?

    Why: Reading from a third country is a transfer that needs an instrument and a place in the
        record (Art. 44, 30(1)(e) GDPR), and an unexpected region is an early sign of a stolen key.
    Method: The night's rows of the log that read data are split by whether their region is among
        ``access.regions``, where a final ``*`` stands for any ending. Numbers: accesses from other
        regions, 0 or more, must be 0; accesses without a region, which cannot be judged. Undefined
        without rows, and where no row names a region. Source: Art. 30(1)(e), 44 GDPR.
    Leaves out: Whether a region is where the reader sits: relays hide it. Which regions were found,
        since a rare one can point to a person. Systems without a declared log.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    controls = ("ACCESS", "TRANSFERS", "LOGGING")
    needs = (Needs.NIGHTLY, Needs.REGION, Needs.REGIONS)
    data_set_roles = ROLES
    remediation = (
        "List the regions of that night in the log itself and find out who read from there. If it "
        "is meant to be, declare the region, and the transfer with its instrument in the activity; "
        "else withdraw the key and open an incident."
    )
    examples = (
        Example(
            "declared regions",
            Outcome.PASS,
            access_log({"region": ["eu-central-1", "eu-north-1", None]}, _EUROPE),
        ),
        Example(
            "another region",
            Outcome.FAIL,
            access_log({"region": ["eu-central-1", "us-east-1"]}, _EUROPE),
        ),
        Example(
            "written from elsewhere, read from here",
            Outcome.PASS,
            access_log(
                {"region": ["eu-central-1", "us-east-1"], "action": ["get", "put"]},
                {**_EUROPE, "reads": ["get"]},
            ),
        ),
        Example(
            "no row names a region", Outcome.NOT_AVAILABLE, access_log({"region": [None]}, _EUROPE)
        ),
        Example("no region declared", Outcome.NOT_AVAILABLE, access_log({"region": ["us"]})),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Accesses from declared, other and unknown regions, in one query."""
        region = inputs.data_set.fields[FieldRole.REGION]
        yield GroupedCounts(
            "regions",
            inputs.rows_in_question,
            {"declared": in_list(region, rule_of(inputs).regions), "named": named(region)},
            where=reads_of(inputs),
        )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the night's accesses."""
        table: CountTable = observations["regions"]
        others, unnamed = table.total(declared=False, named=True), table.total(named=False)
        if others:
            outcome = Outcome.FAIL
            explanation = "Data were read from regions that are not declared."
        elif table.n == unnamed:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "No access of this night names a region, so nothing could be compared."
        else:
            outcome = Outcome.PASS
            explanation = "Every access that names a region came from a declared one."
        limit = Threshold(value=0, operator="==", source="'access.regions' of the data set")
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                Measurement(name="accesses", value=table.n, unit="rows"),
                Measurement(
                    name="accesses_from_elsewhere", value=others, unit="rows", threshold=limit
                ),
                Measurement(name="accesses_without_region", value=unnamed, unit="rows"),
            ],
            scope=scope_of(inputs),
        )
