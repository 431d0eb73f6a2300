"""Looking back at a signed attempt: its findings with their states, each once."""

from __future__ import annotations

from collections.abc import Sequence

from nachweis.domain.errors import RemovedError
from nachweis.domain.finding import Finding, Outcome, worst_first
from nachweis.domain.manifest import World
from nachweis.domain.night import Night
from nachweis.domain.record import FindingView
from nachweis.pipeline.archive import Archive, SignedAttempt
from nachweis.pipeline.decide import Earlier, Tonight, locate, view

_TESTED = frozenset({Outcome.PASS, Outcome.NOT_APPLICABLE})
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


def _open_since(archive: Archive, night: str, findings: Sequence[Finding]) -> dict[str, str]:
    """First night of the run of open nights that ended before, per finding key.

    Nights in which a finding could not be tested do not end its run, unless there are many.
    """
    since: dict[str, str] = {}
    running = {finding.key: str(finding.subject) for finding in findings}
    untested = dict.fromkeys(running, 0)
    for day in sorted({item.night for item in archive.attempts if item.night < night})[::-1]:
        attempt = archive.current(day)
        bundles = archive.statement(attempt).evidence if attempt else {}
        then = {
            finding.key: finding
            for subject in set(running.values()) & set(bundles)
            for finding in _findings(archive, bundles[subject])
        }
        for key in list(running):
            if key in then and then[key].is_open:
                since[key], untested[key] = day, 0
            elif key in then and then[key].outcome is Outcome.NOT_AVAILABLE:
                untested[key] += 1
            if key not in then or then[key].outcome in _TESTED or untested[key] > _LONGEST_GAP:
                del running[key]
        if not running:
            break
    return since
