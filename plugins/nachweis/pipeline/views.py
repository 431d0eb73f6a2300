"""Looking back at a signed attempt: its findings with their states, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nachweis.domain.errors import RemovedError
from nachweis.domain.finding import Finding, Outcome, worst_first
from nachweis.domain.manifest import World
from nachweis.domain.night import Night
from nachweis.domain.record import FindingView
from nachweis.pipeline.archive import Archive, SignedAttempt
from nachweis.pipeline.decide import Earlier, Tonight, locate, view
from nachweis.pipeline.states import stands_in

_LONGEST_GAP = 31
"""So many nights in a row are looked through for one in which a finding was tested."""


def views_of(archive: Archive, signed: SignedAttempt, world: World) -> list[FindingView]:
    """All findings of a signed attempt with their states, worst first, each once.

    Args:
        archive: The signed past.
        signed: The attempt.
        world: All manifests, for waivers of findings that no document shows.

    Returns:
        Views from its assessments. Findings that no document shows (of a data set that nobody
        uses, or where the leak gate held a document back) come straight from evidence.
    """
    statement = archive.statement(signed)
    found: dict[str, FindingView] = {}
    for value in statement.assessments.values():
        try:
            shown = archive.assessment(signed, value).findings
        except RemovedError:
            continue
        for item in shown:
            found.setdefault(item.finding.key, item)
    unshown = [
        located
        for value in statement.evidence.values()
        for located in locate(_findings(archive, value), value)
        if located.finding.key not in found
    ]
    if unshown:
        tonight = Tonight(
            world=world,
            night=Night.parse(signed.night, statement.timezone),
            findings={},
            earlier=Earlier(_open_since(archive, signed.night, [item.finding for item in unshown])),
            decisions=archive.decisions(),
            blind=statement.blind,
        )
        for located in unshown:
            found[located.finding.key] = view(located, tonight)
    order: list[Finding] = worst_first([item.finding for item in found.values()])
    return [found[finding.key] for finding in order]


def _findings(archive: Archive, digest: str) -> Sequence[Finding]:
    """The findings of an evidence bundle; none of one that was withdrawn or disposed of."""
    try:
        return archive.evidence(digest).findings
    except RemovedError:
        return ()


def earlier_of(archive: Archive, signed: SignedAttempt, world: World) -> Earlier:
    """What a signed attempt leaves open for the night after it.

    Args:
        archive: The signed past.
        signed: The attempt.
        world: All manifests.

    Returns:
        Open keys. Where a finding stands in for columns, those that were open before are looked
        up in the nights before, since no document of this night names them.
    """
    views = views_of(archive, signed, world)
    unnamed = [item.finding for item in views if stands_in(item)]
    before = Earlier(_open_since(archive, signed.night, unnamed)) if unnamed else None
    return Earlier.of(views, signed.night, before)


def _open_since(archive: Archive, night: str, findings: Sequence[Finding]) -> dict[str, str]:
    """First night of the run of open nights that ended before, per finding key.

    Nights in which a finding could not be tested do not end its run, unless there are many. A
    finding without a column also finds the columns that it may stand in for, until the night in
    which it was tested itself.
    """
    runs = {finding.key: _Run(finding) for finding in findings}
    for day in sorted({item.night for item in archive.attempts if item.night < night})[::-1]:
        subjects = {str(run.finding.subject) for run in runs.values() if run.goes_on}
        if not subjects:
            break
        attempt = archive.current(day)
        statement = archive.statement(attempt) if attempt else None
        bundles = statement.evidence if statement else {}
        blind = statement.blind if statement else ()
        then = {
            finding.key: finding
            for subject in subjects & set(bundles)
            for finding in _findings(archive, bundles[subject])
        }
        for key, finding in then.items():
            whole = runs.get(_whole(finding)) if finding.column else None
            if whole is not None and whole.goes_on and whole.stands_in:
                runs.setdefault(key, _Run(finding))
        for run in runs.values():
            if run.goes_on:
                run.look(day, then, blind)
    return {key: run.since for key, run in runs.items() if run.since is not None}


@dataclass(slots=True)
class _Run:
    """The nights in a row, backwards, in which a finding was open or could not be tested."""

    finding: Finding
    since: str | None = None
    untested: int = 0
    goes_on: bool = True
    stands_in: bool = True
    """Whether it may stand in for columns of the nights before."""

    def look(self, day: str, then: Mapping[str, Finding], blind: Sequence[str]) -> None:
        """Take in the night before those that were looked at."""
        own = then.get(self.finding.key)
        said = own or then.get(_whole(self.finding))
        if own is not None and own.is_open:
            self.since, self.untested = day, 0
            self.stands_in = own.outcome is Outcome.ERROR
        elif said is None or _is_tested(said, blind):
            self.goes_on = False
        else:
            self.untested += 1
            self.goes_on = self.untested <= _LONGEST_GAP


def _whole(finding: Finding) -> str:
    """Key of the finding that would stand in for this one's column."""
    return finding.key.removesuffix(f":{finding.column}") if finding.column else finding.key


def _is_tested(finding: Finding, blind: Sequence[str]) -> bool:
    """Whether a finding is of a test: it failed, or passed while its check was not blind."""
    if finding.outcome is Outcome.PASS:
        return finding.check not in blind
    return finding.outcome is Outcome.FAIL
