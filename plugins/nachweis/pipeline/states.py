"""A night's findings with their states: new, acknowledged, waived, untested, resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nachweis import registry
from nachweis.domain.canonical import digest_bytes
from nachweis.domain.finding import Finding, Outcome
from nachweis.domain.manifest import World
from nachweis.domain.night import Night
from nachweis.domain.place import PlaceFacts
from nachweis.domain.published import PublishedNotice
from nachweis.domain.record import EvidenceRef, FindingView

State = str
"""One of ``FindingState``, or an empty string for findings nobody has to look at."""


@dataclass(frozen=True, slots=True)
class Located:
    """A finding and where its evidence stands."""

    finding: Finding
    evidence: EvidenceRef


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said about an open finding, as signed in the ledger.

    Attributes:
        key: Key of the finding, or its digest.
        state: What was said.
        night: Night of the finding.
    """

    key: str
    state: State
    night: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """Finding keys open in the previous signed night, with the first night of each run.

    What was open and could not be tested since is still open.
    """

    since: Mapping[str, str]

    @classmethod
    def of(cls, views: Sequence[FindingView], night: str, before: Earlier | None = None) -> Earlier:
        """What a night leaves open.

        A finding that stands in for columns does not name them: those that were open before are
        open still, each since its own night.

        Args:
            views: Its findings with their states.
            night: The night.
            before: What was open before it, at least of the findings that stand in for columns.
        """
        since = {one.finding.key: one.since or night for one in views if stays_open(one)}
        told = {one.finding.key for one in views}
        for one in views:
            if before is None or not stands_in(one):
                continue
            key = one.finding.key
            columns = before.columns_of(one.finding)
            if columns and not one.finding.is_open and key not in before.since:
                del since[key]  # it was open as the columns only
            since |= {column: first for column, first in columns.items() if column not in told}
        return cls(since)

    def of_untested(self, finding: Finding) -> str | None:
        """Since when something is open that a finding without a verdict would have to test.

        A check that cannot look says so once, without the columns it would have looked at.
        """
        own = [self.since[finding.key]] if finding.key in self.since else []
        return min([*own, *self.columns_of(finding).values()], default=None)

    def columns_of(self, finding: Finding) -> dict[str, str]:
        """Open keys of the columns that a finding without a column may stand in for."""
        if finding.column:
            return {}
        whole = f"{finding.key}:"
        return {key: since for key, since in self.since.items() if key.startswith(whole)}


@dataclass(frozen=True)
class Tonight:
    """What a night's verdicts are made from.

    Attributes:
        world: All manifests.
        night: The night.
        findings: Subject to its located findings.
        earlier: What was open in the night before.
        decisions: Signed decisions, oldest first.
        blind: Checks that are blind tonight.
        unpinned: Data sets whose content no version names; nothing about them is confirmed.
        places: Data-set id to what the buckets it lies in say about themselves.
        notices: Activity to the comparison of its published notice.
        later: Whether a later night is signed, so that places and notices were not looked at.
    """

    world: World
    night: Night
    findings: Mapping[str, Sequence[Located]]
    earlier: Earlier = Earlier({})
    decisions: Sequence[Decision] = ()
    blind: Sequence[str] = ()
    unpinned: frozenset[str] = field(default_factory=frozenset)
    places: Mapping[str, Sequence[PlaceFacts]] = field(default_factory=dict)
    notices: Mapping[str, Sequence[PublishedNotice]] = field(default_factory=dict)
    later: bool = False


def waivable(check_id: str) -> bool:
    """Whether a person may set a check's findings aside; unknown checks may not be."""
    found = registry.checks().get(check_id)
    return found is not None and found.waivable


def key_digest(key: str) -> str:
    """SHA-256 of a finding's key, which names it where the key itself cannot be written."""
    return digest_bytes(key.encode("utf-8"))


def locate(findings: Sequence[Finding], digest: str) -> list[Located]:
    """Point each finding at its place in an evidence bundle."""
    return [
        Located(finding, EvidenceRef(digest=digest, pointer=f"/findings/{index}"))
        for index, finding in enumerate(findings)
    ]


def view(located: Located, tonight: Tonight) -> FindingView:
    """A finding with its state across nights.

    Args:
        located: The finding and its evidence.
        tonight: The night with its waivers, decisions and what was open before.

    Returns:
        The view. A waived failure stays a failure and says so. What cannot be waived stays
        ``new`` or ``acknowledged``, whatever a waiver or a person says. What was open is resolved
        only by a test that passes; where none was possible or made, or the check is blind, it is
        ``untested``.
    """
    finding, night = located.finding, tonight.night
    state, waiver, since = "", None, None
    if finding.is_open:
        since = tonight.earlier.since.get(finding.key, str(night))
        state = "new"
        names = {finding.key, key_digest(finding.key)}
        for decision in tonight.decisions:
            if decision.key in names and since <= decision.night <= str(night):
                state = decision.state
        if waivable(finding.check):
            waiver = _waiver(finding, tonight)
            if waiver is not None and finding.outcome is Outcome.FAIL:
                state = "waived"
        elif state == "false_alarm":
            state = "acknowledged"
    elif finding.outcome is not Outcome.PASS or finding.check in tonight.blind:
        since = tonight.earlier.of_untested(finding)
        state = "untested" if since else ""
    elif finding.key in tonight.earlier.since:
        state = "resolved"
    return FindingView(
        finding=finding, state=state, waiver=waiver, since=since, evidence=located.evidence
    )


def stays_open(item: FindingView) -> bool:
    """Whether a finding is open, or was when it was last tested."""
    return item.finding.is_open or item.state == "untested"


def stands_in(item: FindingView) -> bool:
    """Whether a finding without a column may stand in for columns that could not be tested.

    A check that cannot look, or crashes, says so once for all columns.
    """
    untested = item.state == "untested" or item.finding.outcome is Outcome.ERROR
    return not item.finding.column and untested


def _waiver(finding: Finding, tonight: Tonight) -> str | None:
    return next(
        (
            item.id
            for item in tonight.world.waivers.values()
            if item.check == finding.check
            and item.subject == str(finding.subject)
            and item.column in {None, finding.column}
            and item.covers(tonight.night.date)
        ),
        None,
    )
