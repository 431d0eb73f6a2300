"""A night's summary: the JSON that tasks hand on, its text for a terminal, and the message."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from nachweis.domain.finding import Finding, Outcome, Severity
from nachweis.domain.manifest.organisation import NotificationPolicy


class NewVersion(BaseModel):
    """A record or dossier version that this night wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    id: str
    version: int


class OpenFinding(BaseModel):
    """A failure or crash, without its numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    subject: str
    column: str | None
    outcome: str
    severity: str
    state: str
    since: str | None = None
    """First night of this run of nights with the finding."""


class NightSummary(BaseModel):
    """What a night ended with.

    ``repeated`` is true if the same inputs had been signed before and nothing was changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    night: str
    attempt: str
    repeated: bool = False
    models: int
    data_sets: int
    counts: dict[str, int]
    """Outcome to number of findings."""
    open: tuple[OpenFinding, ...]
    """Failures and crashes, worst first."""
    untested: tuple[OpenFinding, ...] = ()
    """What was open when it was last tested and could not be tested tonight, worst first."""
    resolved: tuple[OpenFinding, ...] = ()
    """What was open in the night before and is no more, worst first."""
    blind: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    versions: tuple[NewVersion, ...] = ()
    """Versions this night wrote."""
    sequence: int
    chain_ok: bool
    chain_problems: tuple[str, ...] = ()
    site: str = ""
    later_night: str = ""
    """Newest signed night, if it is later than this one; versions then stay what they are."""
    site_problem: str = ""
    """Why the site does not show this night yet, if it does not."""
    timestamp_problem: str = ""
    """Why no time stamp was obtained for this night, if one was asked for."""
    store: str = "demonstration"
    manifest_problems: int = 0

    def reaches(self, least: Severity) -> bool:
        """Whether an open finding that nobody set aside is at least this severe."""
        return self.worst is not None and self.worst.rank >= least.rank

    @property
    def worst(self) -> Severity | None:
        """Severity of the worst open finding that nobody waived or called a false alarm."""
        return max(
            (
                Severity(item.severity)
                for item in self.open
                if item.state not in {"waived", "false_alarm"}
            ),
            key=lambda s: s.rank,
            default=None,
        )


def open_by_severity(findings: Sequence[Finding]) -> dict[str, int]:
    """Number of failures and crashes per severity, the most severe first."""
    return {
        severity.value: sum(1 for f in findings if f.is_open and f.severity is severity)
        for severity in reversed(Severity)
    }


def summary_text(summary: NightSummary) -> str:
    """The end of ``make nightly``, for a person at a terminal.

    Args:
        summary: The summary.

    Returns:
        Plain text, several lines, the worst first.
    """
    counts = ", ".join(
        f"{summary.counts.get(outcome.value, 0)} {outcome.value.replace('_', ' ')}"
        for outcome in (
            Outcome.FAIL,
            Outcome.ERROR,
            Outcome.NOT_AVAILABLE,
            Outcome.NOT_APPLICABLE,
            Outcome.PASS,
        )
    )
    lines = [
        f"Night      {summary.night} (attempt {summary.attempt})",
        f"Covered    {number_of(summary.models, 'model')}, "
        f"{number_of(summary.data_sets, 'data set')}",
        f"Findings   {counts}",
    ]
    for item in summary.open:
        column = f" [{item.column}]" if item.column else ""
        lines.append(
            f"           {item.severity:<8} {item.outcome:<5} {item.check} "
            f"on {item.subject}{column} ({item.state})"
        )
    if summary.blind:
        lines.append(f"Blind      {', '.join(summary.blind)}")
    lines += [f"Not run    {what}" for what in summary.not_run]
    lines += [f"Held back  {place}" for place in summary.blocked]
    if summary.repeated:
        lines.append(
            "Versions   nothing changed: this night was signed before from the same inputs"
        )
    elif summary.versions:
        written = ", ".join(f"{v.kind} {v.id} v{v.version}" for v in summary.versions)
        lines.append(f"Versions   {len(summary.versions)} written: {written}")
    elif summary.later_night:
        lines.append(
            f"Versions   none written: {summary.later_night} is signed, and an older night "
            "never changes the current version"
        )
    else:
        lines.append("Versions   none written: nothing normative changed")
    verified = "verifies" if summary.chain_ok else "DOES NOT VERIFY"
    lines.append(f"Ledger     sequence {summary.sequence}; the chain {verified}")
    lines += [f"           {problem}" for problem in summary.chain_problems[:10]]
    if summary.timestamp_problem:
        lines.append(f"Stamped    NO: {summary.timestamp_problem}")
    if summary.manifest_problems:
        lines.append(f"Manifests  {summary.manifest_problems} problems; see `nachweis lint`")
    if summary.store == "demonstration":
        lines.append("Store      demonstration: embedded, write-protected for one day")
    if summary.site_problem:
        lines.append("Site       NOT UP TO DATE; the signed night stays valid")
        lines += [f"           {line}" for line in summary.site_problem.splitlines()]
    elif summary.site:
        lines.append(f"Site       {summary.site}")
    return "\n".join(lines)


def message(
    summary: NightSummary,
    policy: NotificationPolicy,
    link: str | None,
    about: Collection[str] | None = None,
) -> tuple[str, str] | None:
    """The night's one message: counts and a link only.

    Args:
        summary: The summary.
        policy: Whom to tell, and from which severity on.
        link: Where people open the site.
        about: Only these subjects, for the role that owns them; None is the whole night.

    Returns:
        Subject and body, or None if there is nothing new to tell.
    """
    narrowed = summary if about is None else _narrowed(summary, about)
    alarms = narrowed.blind or narrowed.blocked or narrowed.not_run or not narrowed.chain_ok
    if not (alarms or any(_is_new(item, summary) for item in _told(narrowed.open, policy))):
        return None
    return digest_text(summary, policy, link, about)


def digest_text(
    summary: NightSummary,
    policy: NotificationPolicy,
    link: str | None,
    about: Collection[str] | None = None,
) -> tuple[str, str]:
    """What a night's message says, or would say: new, still open and resolved, worst first.

    Args:
        summary: The summary.
        policy: From which severity on findings are told.
        link: Where people open the site.
        about: Only these subjects, for the role that owns them; None is the whole night.

    Returns:
        Subject and body: counts, names of checks and a link only.
    """
    if about is not None:
        summary = _narrowed(summary, about)
    told = _told(summary.open, policy)
    fresh = [item for item in told if _is_new(item, summary)]
    older = [item for item in told if not _is_new(item, summary)]
    untested = _told(summary.untested, policy)
    resolved = _told(summary.resolved, policy)
    by_severity = _tally([item.severity for item in fresh])
    parts = [f"{count} {severity}" for severity, count in by_severity.items()]
    if summary.blind:
        parts.append(f"{len(summary.blind)} blind")
    if summary.blocked:
        parts.append(f"{len(summary.blocked)} held back")
    if summary.not_run:
        parts.append(f"{len(summary.not_run)} not run")
    if not summary.chain_ok:
        parts.append("chain does not verify")
    subject = f"Nachweis {summary.night}: {', '.join(parts) or 'nothing new'}"
    scope = "" if about is None else ", about what this role owns"
    new = f"{number_of(len(fresh), 'new finding')} that need{'s' if len(fresh) == 1 else ''}"
    aside = _tally([item.state for item in older if item.state != "new"])
    said = "".join(f", {count} {state.replace('_', ' ')}" for state, count in aside.items())
    body = [
        f"Night {summary.night}: {new if fresh else 'nothing new that needs'} a person{scope}.",
        *_by_check(fresh),
        f"Still open from earlier nights: {len(older)}{said}.",
        *_by_check(older),
        *([f"Open before and not tested in this night: {len(untested)}."] if untested else []),
        *_by_check(untested),
        f"Resolved since the night before: {len(resolved)}.",
        *_by_check(resolved),
    ]
    if Severity(policy.minimum_severity).rank > min(one.rank for one in Severity):
        body.append(f"Counted from {policy.minimum_severity} on, and whatever crashed.")
    body.append(
        f"Record versions written: {len(summary.versions)}. Ledger sequence: {summary.sequence}."
    )
    if not summary.chain_ok:
        body.append("The chain of signed entries does not verify.")
    if link:
        body.append(f"{link.rstrip('/')}/nights/{summary.night}.html")
    return subject, "\n".join(body) + "\n"


def _told(findings: Sequence[OpenFinding], policy: NotificationPolicy) -> list[OpenFinding]:
    """Crashes, and findings from the severity on that the organisation wants to be told of."""
    least = Severity(policy.minimum_severity).rank
    return [
        item
        for item in findings
        if item.outcome == "error" or Severity(item.severity).rank >= least
    ]


def _is_new(item: OpenFinding, summary: NightSummary) -> bool:
    return item.state == "new" and item.since in {None, summary.night}


def _by_check(findings: Sequence[OpenFinding]) -> list[str]:
    """One line per check with its number of findings and their worst severity, worst first."""
    ranks: dict[str, list[Severity]] = {}
    for item in findings:
        ranks.setdefault(item.check, []).append(Severity(item.severity))
    worst = {check: max(found, key=lambda one: one.rank) for check, found in ranks.items()}
    order = sorted(ranks, key=lambda check: (-worst[check].rank, -len(ranks[check]), check))
    return [f"  {len(ranks[check])} x {check} ({worst[check].value})" for check in order]


def _narrowed(summary: NightSummary, about: Collection[str]) -> NightSummary:
    """What a night found about some subjects; what concerns the whole night is left out."""
    return summary.model_copy(
        update={
            "open": tuple(item for item in summary.open if item.subject in about),
            "untested": tuple(item for item in summary.untested if item.subject in about),
            "resolved": tuple(item for item in summary.resolved if item.subject in about),
            "not_run": tuple(what for what in summary.not_run if what.split(": ")[0] in about),
            "blind": (),
            "blocked": (),
            "chain_ok": True,
        }
    )


def number_of(count: int, what: str) -> str:
    """A number and what it counts, in the singular where it is one."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _tally(names: Sequence[str]) -> Mapping[str, int]:
    order = {severity.value: -severity.rank for severity in Severity}
    found = {name: names.count(name) for name in names}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 0), item[0])))
