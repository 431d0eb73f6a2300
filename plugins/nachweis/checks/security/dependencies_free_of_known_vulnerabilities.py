"""Pinned dependencies against a vulnerability feed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.security._common import served
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.observation import (
    NO_DATA_SET,
    LockAudit,
    LockAuditFacts,
    Observations,
    Request,
)

_SHOWN = 5
_ENTRY: Mapping[str, Any] = {
    "id": "EXAMPLE-2026-1",
    "modified": "2026-03-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Example-Library"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"fixed": "1.4"}]}],
        }
    ],
}
_MODEL = {"versions": [{"version": "1", "lock_file": "lock"}]}
_POLICY = {"vulnerability_feed": "feed"}


def _files(pin: str, **entry: Any) -> dict[str, bytes]:
    return {"lock": pin.encode(), "feed": json.dumps([{**_ENTRY, **entry}]).encode()}


class DependenciesFreeOfKnownVulnerabilities(Check):
    """Are the pinned dependencies of the served version free of known vulnerabilities?

    Why: A known hole in a library is the cheapest way into a system, and updates close it (Art.
        32(1)(d) GDPR; ATLAS AML.T0010.001).
    Method: Every package that the version's lock file pins is looked up in the declared copy of a
        vulnerability database; a version that lies in the affected range of an entry that was not
        withdrawn counts (count, 0 or more). One fails. Nothing leaves the machine. Undefined
        without a lock file or with packages that it does not pin, without a feed, with a feed whose
        newest entry is older than ``max_feed_age`` or that knows no Python package. Source: OSV
        schema (ossf.github.io/osv-schema), versions compared as PEP 440 says.
    Leaves out: Vulnerabilities nobody has published, libraries that are not Python packages, the
        operating system, and whether the affected part is ever called.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("VULN-SCAN",)
    needs = (Needs.LOCK_FILE, Needs.VULNERABILITY_FEED)
    params = (
        Param(
            "max_feed_age",
            14,
            "days",
            "design default of this project",
            "Oldest newest entry of a feed that still counts as current.",
            minimum=1,
            maximum=90,
        ),
    )
    remediation = (
        "Update the named packages to a version outside the affected range, run the tests, and "
        "lock again. Where no update exists, remove the package or have the risk accepted for "
        "a limited time with a waiver."
    )
    examples = (
        Example(
            "an updated library",
            Outcome.PASS,
            {},
            model=_MODEL,
            policy=_POLICY,
            files=_files("example_library==1.4\n"),
        ),
        Example(
            "an affected library",
            Outcome.FAIL,
            {},
            model=_MODEL,
            policy=_POLICY,
            files=_files("example_library==1.3.2\n"),
        ),
        Example(
            "a feed that is months old",
            Outcome.NOT_AVAILABLE,
            {},
            model=_MODEL,
            policy=_POLICY,
            files=_files("example_library==1.4\n", modified="2025-10-01T00:00:00Z"),
        ),
        Example(
            "a package without an exact version",
            Outcome.NOT_AVAILABLE,
            {},
            model=_MODEL,
            policy=_POLICY,
            files=_files("example_library==1.4\nanother_library>=2\n"),
        ),
        Example("no feed", Outcome.NOT_AVAILABLE, {}, model=_MODEL),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One audit per lock file of a served version."""
        feed = inputs.world.policy.vulnerability_feed or ""
        for version in served(inputs):
            if version.lock_file:
                yield LockAudit(version.version, NO_DATA_SET, version.lock_file, feed)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per served version with a lock file."""
        reasons = dict(observations.missing())
        audited = [version.version for version in served(inputs) if version.lock_file]
        for version in audited:
            facts = observations.get(version)
            if facts is None:
                text = f"The lock file could not be held against the feed: {reasons[version]}."
                yield self.finding(inputs, Outcome.NOT_AVAILABLE, text, column=version)
            else:
                yield self._finding(inputs, version, facts)
        if not audited:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No version that is served tonight declares its lock file.",
                declare=Needs.LOCK_FILE.declare,
            )

    def _finding(self, inputs: Inputs, version: str, facts: LockAuditFacts) -> Finding:
        measured = [
            Measurement(
                name="vulnerable_packages",
                value=len(facts.known),
                unit="packages",
                threshold=Threshold(value=0, operator="<=", source="check default"),
                n=facts.packages,
                recipe=f"OSV feed up to {facts.newest or 'an unknown date'}, "
                f"{facts.entries} entries about Python packages",
            ),
            Measurement(name="without_exact_version", value=facts.unpinned, unit="packages"),
        ]
        stale = _stale(inputs, facts)
        declare = "a current copy of the feed" if stale else "a lock file that pins every package"
        if facts.known:
            named = [
                f"{name} {pinned} ({', '.join(ids[:3])})"
                for name, pinned, ids in facts.known[:_SHOWN]
            ]
            more = len(facts.known) - _SHOWN
            outcome = Outcome.FAIL
            text = f"Known vulnerabilities: {'; '.join(named)}."
            if more > 0:
                text += f" More packages with known vulnerabilities: {more}."
        elif stale:
            outcome, text = Outcome.NOT_AVAILABLE, stale
        elif not facts.packages:
            outcome, text = Outcome.NOT_AVAILABLE, "The lock file pins no package exactly."
        elif facts.unpinned:
            outcome = Outcome.NOT_AVAILABLE
            text = "Packages without an exact version cannot be held against the feed."
        else:
            outcome = Outcome.PASS
            text = f"None of {facts.packages} pinned packages is in the feed as affected."
        return self.finding(
            inputs,
            outcome,
            text,
            measurements=measured,
            column=version,
            scope=f"lock file of version {version}",
            declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
        )


def _stale(inputs: Inputs, facts: LockAuditFacts) -> str:
    if not facts.entries:
        return "The feed holds no entry about Python packages."
    try:
        newest = dt.date.fromisoformat(facts.newest)
    except ValueError:
        return "The feed does not say when its entries were changed."
    age, limit = (inputs.night.date - newest).days, inputs.param("max_feed_age")
    if age > limit:
        return f"The newest entry of the feed is {age} days old; at most {limit} are allowed."
    return ""
