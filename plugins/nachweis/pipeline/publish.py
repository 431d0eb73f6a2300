"""From evidence to a signed night: versions, assessments, the statement, the ledger entry.

Everything before the ledger entry is content-addressed or not yet referenced, so that a kill at
any moment leaves the last signed state valid, and running the night again completes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nachweis.domain.canonical import digest, digest_bytes, parse
from nachweis.domain.errors import LeakError, NachweisError, StoreConflictError, StoreError
from nachweis.domain.finding import Outcome
from nachweis.domain.incident import IncidentKind
from nachweis.domain.place import PlaceFacts
from nachweis.domain.published import PublishedNotice
from nachweis.domain.record import (
    Assessment,
    Document,
    Dossier,
    FindingView,
    NotRun,
    Record,
    Statement,
    VersionRef,
)
from nachweis.engines.versions import is_pinned
from nachweis.pages.documents import render_documents
from nachweis.pages.exports import Version, renderings
from nachweis.pipeline.approval_history import History, approval_on, history, with_review
from nachweis.pipeline.archive import Archive, SignedAttempt, open_archive
from nachweis.pipeline.assemble import assemble_dossier, assemble_record
from nachweis.pipeline.context import NightContext, code_version, software
from nachweis.pipeline.decide import (
    Decision,
    Earlier,
    Located,
    Tonight,
    assess_dossier,
    assess_record,
    locate,
    waivable,
)
from nachweis.pipeline.export import sources_of_version
from nachweis.pipeline.incidents import open_incident
from nachweis.pipeline.leaks import demand_clean, demand_clean_export, demand_clean_text
from nachweis.pipeline.lint_history import commits_of
from nachweis.pipeline.notices import published_notices
from nachweis.pipeline.summary import NewVersion, NightSummary, OpenFinding, open_by_severity
from nachweis.pipeline.views import earlier_of, views_of
from nachweis.storage import layout
from nachweis.storage.documents import write_document
from nachweis.storage.places import places_of

Target = Literal["record", "dossier"]


@dataclass
class _Publication:
    """One night on its way into the store."""

    context: NightContext
    archive: Archive
    runs: Sequence[Mapping[str, Any]]
    blocked: list[str] = field(default_factory=list)
    not_run: list[NotRun] = field(default_factory=list)
    places: Mapping[str, Sequence[PlaceFacts]] = field(default_factory=dict)
    notices: Mapping[str, Sequence[PublishedNotice]] = field(default_factory=dict)

    @property
    def night(self) -> str:
        return str(self.context.night)

    @cached_property
    def evidence(self) -> dict[str, str]:
        """Subject to digest of its evidence bundle."""
        return {subject: found for run in self.runs for subject, found in run["evidence"].items()}

    @cached_property
    def findings(self) -> dict[str, list[Located]]:
        """Subject to its findings."""
        return {
            subject: locate(self.archive.evidence(found).findings, found)
            for subject, found in sorted(self.evidence.items())
        }

    @cached_property
    def previous(self) -> SignedAttempt | None:
        """The newest signed night before this one."""
        nights = [a.night for a in self.archive.attempts if a.night < self.night]
        return self.archive.current(max(nights)) if nights else None

    @property
    def backfilled(self) -> bool:
        """Whether a later night is signed; the current versions then stay what they are."""
        newest = self.archive.newest_night
        return newest is not None and newest > self.night

    @cached_property
    def earlier(self) -> Earlier:
        """Open findings of the night before."""
        if self.previous is None:
            return Earlier({})
        return earlier_of(self.archive, self.previous, self.context.loaded.world)

    @cached_property
    def decisions(self) -> list[Decision]:
        return self.archive.decisions()

    @cached_property
    def blind(self) -> list[str]:
        return sorted({check for run in self.runs for check in run["blind"]})

    def put(self, key: str, content: bytes) -> None:
        """Write one immutable object with its protection."""
        write_document(self.context.records, key, content, lock=self.context.lock(key))

    def clean(self, document: Document, place: str) -> bool:
        """Whether a document may leave; otherwise it is held back and the night goes on."""
        try:
            demand_clean(self.context.loaded.world, document.document(), place)
        except LeakError as error:
            self.blocked.append(error.where or place)
            return False
        return True

    # ------------------------------------------------------------------------- versions

    def version(self, target: Target, document: Record | Dossier) -> VersionRef | None:
        """The version a document has, written first if its content is new.

        Args:
            target: Kind of document.
            document: What the manifests say tonight.

        Returns:
            The version, or None if the leak gate held it back and there is no earlier one.
        """
        known = self._known(target, document.id)
        if self.backfilled and known is not None:
            return known
        if not self.clean(document, f"{target} {document.id}"):
            return known
        found = document.digest()
        if known is not None and known.digest == found:
            return known
        number = (known.version if known else 0) + 1
        while (renderings := self._write_version(target, document, number)) is None:
            # A night that was never signed left something else behind; it stays unreferenced.
            number += 1
        key = layout.versioned(target, document.id, number)
        return VersionRef(
            kind=target,
            id=document.id,
            version=number,
            digest=found,
            key=key,
            new=True,
            renderings=renderings,
        )

    def _write_version(
        self, target: Target, document: Record | Dossier, number: int
    ) -> dict[str, str] | None:
        """Write a version and its renderings; None if other content has taken the number.

        The document comes first, so that a number given up for another night's renderings is no
        gap in the numbers.
        """
        try:
            self.put(layout.versioned(target, document.id, number), document.canonical())
            return self._render(target, document, number)
        except StoreConflictError:
            return None

    @cached_property
    def _versions(self) -> dict[tuple[str, str], VersionRef]:
        """Newest signed version of every record and dossier, whatever night signed it.

        A night without new versions repeats what older ones say, so that it is not read again.
        """
        found: dict[tuple[str, str], VersionRef] = {}
        attempts = self.archive.attempts
        for attempt in [one for one in attempts[:-1] if one.brings_versions] + attempts[-1:]:
            for item in self.archive.statement(attempt).versions:
                key = (item.kind, item.id)
                if key not in found or item.version >= found[key].version:
                    found[key] = item.model_copy(update={"new": False})
        return found

    def _known(self, target: Target, identifier: str) -> VersionRef | None:
        return self._versions.get((target, identifier))

    def _render(self, target: Target, document: Record | Dossier, number: int) -> dict[str, str]:
        """Render a version's HTML in every language of the organisation; digest of each file."""
        written: dict[str, str] = {}
        pages = render_documents(
            # As it is read back: the order of keys in memory is no part of the document.
            type(document).model_validate(parse(document.canonical())),
            version=number,
            digest=document.digest(),
            night=self.night,
            templates=self.context.settings.templates,
            labels=self.context.loaded.world.controls.labels,
        )
        for name, text in pages.items():
            try:
                demand_clean_text(self.context.loaded.world, text, f"{target} {document.id} {name}")
            except LeakError as error:
                self.blocked.append(error.where)
                continue
            content = text.encode("utf-8")
            self.put(layout.rendering(target, document.id, number, name), content)
            written[name] = digest_bytes(content)
        return written | self._export(target, document, number)

    def _export(self, target: Target, document: Record | Dossier, number: int) -> dict[str, str]:
        """Write a version in all formats that show it alone; digest of each file."""
        world = self.context.loaded.world
        version = Version(parse(document.canonical()), number, document.digest(), self.night)
        sources = sources_of_version(self.context.settings, world, version, document.languages)
        written: dict[str, str] = {}
        for name, content in renderings(sources):
            if isinstance(content, NachweisError):
                # The signed JSON is the record; a night does not fail for want of a picture of it.
                what = f"{target}/{document.id}/{name}"
                self.not_run.append(NotRun(what=what, reason=content.what))
                continue
            try:
                demand_clean_export(world, name, content, f"{target} {document.id} {name}")
            except LeakError as error:
                self.blocked.append(error.where)
                continue
            self.put(layout.rendering(target, document.id, number, name), content)
            written[name] = digest_bytes(content)
        return written

    # ----------------------------------------------------------------------- assessment

    @cached_property
    def tonight(self) -> Tonight:
        """What verdicts are made from."""
        return Tonight(
            world=self.context.loaded.world,
            night=self.context.night,
            findings=self.findings,
            earlier=self.earlier,
            decisions=self.decisions,
            blind=self.blind,
            unpinned=frozenset(
                key for key, version in self.data_versions.items() if not is_pinned(version)
            ),
            places=self.places,
            notices=self.notices,
            later=self.backfilled,
        )

    @cached_property
    def data_versions(self) -> dict[str, str]:
        """Version of every data set as the night's tasks read it."""
        found: dict[str, str] = {}
        for run in self.runs:
            found |= run["data_versions"]
        return found

    def assess(self, document: Record | Dossier, reference: VersionRef) -> Assessment:
        """Tonight's verdicts on a version."""
        world, day = self.context.loaded.world, self.context.night.date
        version, found = reference.version, reference.digest
        if isinstance(document, Record):
            made = assess_record(document, version, found, self.tonight)
        else:
            made = assess_dossier(document, version, found, self.tonight)
        target = (reference.kind, reference.id)
        return with_review(made, approval_on(self.approvals, world, target, version, day))

    @cached_property
    def approvals(self) -> History:
        """What people signed about versions."""
        return history(self.archive)

    def version_content(self, reference: VersionRef, tonight: Record | Dossier) -> Record | Dossier:
        """The content of the version that is assessed; for a backfill that is not tonight's."""
        if reference.digest == tonight.digest():
            return tonight
        if reference.kind == "record":
            return self.archive.record(reference.key, reference.digest)
        return self.archive.dossier(reference.key, reference.digest)

    def collect_what_did_not_run(self) -> None:
        """Failed tasks, unusable manifests, and activities that vanished without an end."""
        for run in self.runs:
            self.blocked += run["blocked"]
            self.not_run += [
                NotRun(what=subject, reason=reason) for subject, reason in run["failed"].items()
            ]
            self.not_run += [
                NotRun(what=subject, reason=reason)
                for subject, reason in run.get("incomplete", {}).items()
            ]
        for waiver in self.context.loaded.world.waivers.values():
            if waiver.covers(self.context.night.date) and not waivable(waiver.check):
                self.not_run.append(
                    NotRun(what=f"waiver/{waiver.id}", reason="this check cannot be waived")
                )
        for file in sorted({p.file for p in self.context.loaded.problems if not p.warning}):
            self.not_run.append(
                NotRun(what=self._nameable(file), reason="the file is not valid; see nachweis lint")
            )
        if not self.backfilled:
            self.not_run += [
                NotRun(
                    what=f"activity/{item.id}",
                    reason="its manifest is gone although it was never ended",
                )
                for item in self._versions.values()
                if item.kind == "record" and self._vanished(item)
            ]

    def tried_in_vain(self) -> bool:
        """Whether the same inputs were signed before and this try has seen nothing else."""
        signed = self.archive.signed(self.night, self.context.identity)
        if signed is None:
            return False
        before = self.archive.statement(signed)
        return (before.evidence, before.not_run, before.blind) == (
            self.evidence,
            tuple(self.not_run),
            tuple(self.blind),
        )

    def _vanished(self, item: VersionRef) -> bool:
        """Whether an activity has no manifest any more, not even an invalid one, before its end."""
        loaded = self.context.loaded
        if item.id in loaded.world.activities or ("activities", item.id) in loaded.origins:
            return False
        kept = self.archive.if_kept(lambda: self.archive.record(item.key, item.digest))
        return kept is None or kept.status != "ended"

    def _nameable(self, file: str) -> str:
        """The name of a file, unless the name itself looks like personal data."""
        try:
            demand_clean_text(self.context.loaded.world, file, "name of a file")
        except LeakError:
            return f"{Path(file).parent}/ (a file whose name looks like personal data)"
        return file


REBUILDS = 20
"""How often a night is assembled anew because another one was signed before it."""


def publish(
    context: NightContext, archive: Archive, runs: Sequence[Mapping[str, Any]]
) -> NightSummary:
    """Assemble, decide, sign and publish.

    Whoever signs another attempt or night meanwhile changes what this one supersedes, which
    versions are in force and what it is compared with. So it is assembled anew then.

    Args:
        context: The night.
        archive: The signed past.
        runs: What both upstream DAGs handed over.

    Returns:
        The night's summary.

    Raises:
        NachweisError: If the manifests changed meanwhile, or the store or signer fails.
    """
    from nachweis.storage.ledger import OvertakenError

    for _ in range(REBUILDS):
        try:
            return _publish(context, archive, runs)
        except OvertakenError:
            archive = open_archive(context.settings)
    raise StoreConflictError(
        f"other nights were signed first {REBUILDS} times in a row",
        where=f"night {context.night}",
        remedy="run the night again when the others are done",
    )


def _publish(
    context: NightContext, archive: Archive, runs: Sequence[Mapping[str, Any]]
) -> NightSummary:
    from nachweis.storage.bootstrap import self_test
    from nachweis.storage.ledger import Ledger
    from nachweis.storage.s3 import open_store
    from nachweis.storage.signing import open_signer
    from nachweis.storage.timestamps import stamp

    for run in runs:
        for what, then, now in (
            ("the manifests", run["manifests_digest"], context.manifests_digest),
            ("the data or the code", run["identity"], context.identity),
        ):
            if then != now:
                # What was looked at would be signed under the name of something else.
                raise NachweisError(
                    f"{what} changed while the night ran",
                    where=f"night {context.night}",
                    remedy="run the night again",
                )
    work = _Publication(context, archive, runs)
    work.collect_what_did_not_run()
    archive.demand_organisation(context.loaded.world.organisation.id)
    if work.tried_in_vain():
        return repeated(context, archive)
    tested = self_test(context.settings)
    capabilities = tested.model_dump(mode="json")
    world, moment = context.loaded.world, context.night.end
    if not work.backfilled:
        # Buckets and published pages say what they are today, and nothing about an older night.
        located = {key: item.locations for key, item in world.data_sets.items()}
        work.places = places_of(context.settings, located, tested)
    documents: list[Record | Dossier] = [
        assemble_record(world, activity, moment) for _, activity in sorted(world.activities.items())
    ]
    documents += [
        assemble_dossier(world, model, moment) for _, model in sorted(world.models.items())
    ]
    records = {item.id: item for item in documents if isinstance(item, Record)}
    if not work.backfilled:
        work.notices = published_notices(context.settings, context.loaded, records)
    versions: list[VersionRef] = []
    assessments: dict[str, bytes] = {}
    for document in documents:
        reference = work.version(document.kind, document)
        if reference is None:
            continue
        versions.append(reference)
        assessment = work.assess(work.version_content(reference, document), reference)
        place = f"{document.kind}/{document.id}"
        if work.clean(assessment, f"assessment of {place}"):
            assessments[place] = assessment.canonical()

    digests = {place: digest_bytes(content) for place, content in sorted(assessments.items())}
    statement = _statement(work, versions, digests, capabilities)
    demand_clean(world, statement.document(), "statement")
    for place, content in assessments.items():
        work.put(layout.assessment(work.night, statement.attempt, digests[place]), content)
        archive.keep(digests[place], content)
    key = layout.statement(work.night, statement.attempt)
    work.put(key, statement.canonical())
    archive.keep(statement.digest(), statement.canonical())
    anchor = open_store(context.settings, "anchor")
    ledger = Ledger(
        context.records,
        open_signer(context.settings),
        lock=work.context.lock,
        anchor=anchor,
    )
    recorded = archive.incidents()
    for kind, places in (
        (IncidentKind.SECURITY_EVENT, statement.blocked),
        (IncidentKind.BLIND_NIGHT, statement.blind),
    ):
        if places:
            open_incident(
                context.records,
                ledger,
                work.context.lock,
                kind=kind,
                night=context.night,
                identity=context.identity,
                places=places,
                recorded=recorded,
            )
    appended = ledger.append_night(key, statement, hint=archive.length, alone=True)
    fresh = open_archive(context.settings)
    signed = fresh.at(appended.entry.sequence)
    if signed is None:
        raise NachweisError("the ledger does not hold the night that was just signed", where=key)
    stamped = stamp(context.settings, anchor, signed.sequence, work.context.lock)
    summary = summarise(context, fresh, signed, anchor_problem=appended.anchor_problem)
    return summary.model_copy(update={"timestamp_problem": stamped})


def _statement(
    work: _Publication,
    versions: Sequence[VersionRef],
    assessments: dict[str, str],
    capabilities: dict[str, Any],
) -> Statement:
    context = work.context
    findings = [item.finding for many in work.findings.values() for item in many]
    superseded = work.archive.current(work.night)
    counts = Counter(finding.outcome.value for finding in findings)
    draft = Statement(
        night=work.night,
        timezone=context.night.timezone,
        attempt=context.attempt,
        idempotency_key=context.identity,
        supersedes=superseded.attempt if superseded else None,
        manifests_digest=context.manifests_digest,
        data_versions=work.data_versions,
        manifests_commits=commits_of(context.settings),
        code_version=code_version(context.settings),
        organisation=context.loaded.world.organisation.id,
        software=dict(software()),
        subjects=tuple(sorted({s for run in work.runs for s in run["planned"]})),
        not_run=tuple(work.not_run),
        blind=tuple(work.blind),
        evidence=dict(sorted(work.evidence.items())),
        versions=tuple(versions),
        assessments=assessments,
        counts={outcome.value: counts.get(outcome.value, 0) for outcome in Outcome},
        open_by_severity=open_by_severity(findings),
        blocked=tuple(sorted(set(work.blocked))),
        store=capabilities,
    )
    # Another try of the same night may have observed something else (a crash, a late file); its
    # unsigned statement must not stand in the way, so the content is part of the name.
    attempt = f"{context.attempt}-{digest(draft.document())[:12]}"
    return draft.model_copy(update={"attempt": attempt})


def repeated(context: NightContext, archive: Archive) -> NightSummary:
    """The summary of a night that was signed before from the same inputs."""
    signed = archive.current(str(context.night))
    if signed is None:
        raise NachweisError("this night was not signed", where=str(context.night))
    return summarise(context, archive, signed).model_copy(update={"repeated": True, "versions": ()})


def summarise(
    context: NightContext, archive: Archive, signed: SignedAttempt, *, anchor_problem: str = ""
) -> NightSummary:
    """What a signed attempt ended with.

    Args:
        context: The night.
        archive: The signed past.
        signed: The attempt.
        anchor_problem: Why its checkpoint could not be copied, if it could not.

    Returns:
        The summary.
    """
    statement = archive.statement(signed)
    views = views_of(archive, signed, context.loaded.world)
    problems = [*_verification_problems(context), *([anchor_problem] if anchor_problem else [])]
    subjects = [subject.partition("/")[0] for subject in statement.evidence]
    newest = archive.newest_night
    return NightSummary(
        night=signed.night,
        attempt=signed.attempt,
        models=subjects.count("model"),
        data_sets=subjects.count("data_set"),
        counts=statement.counts,
        open=tuple(_listed(item) for item in views if item.finding.is_open),
        untested=tuple(_listed(item) for item in views if item.state == "untested"),
        resolved=tuple(_listed(item) for item in views if item.state == "resolved"),
        blind=statement.blind,
        not_run=tuple(f"{item.what}: {item.reason}" for item in statement.not_run),
        blocked=statement.blocked,
        later_night=newest if newest is not None and newest > signed.night else "",
        versions=tuple(
            NewVersion(kind=item.kind, id=item.id, version=item.version)
            for item in statement.versions
            if item.new
        ),
        sequence=signed.sequence,
        chain_ok=not problems,
        chain_problems=tuple(problems),
        site=str(context.settings.site / "index.html"),
        store=context.settings.mode,
        manifest_problems=len(context.loaded.problems),
    )


def _listed(item: FindingView) -> OpenFinding:
    return OpenFinding(
        check=item.finding.check,
        subject=str(item.finding.subject),
        column=item.finding.column,
        outcome=item.finding.outcome.value,
        severity=item.finding.severity.value,
        state=item.state,
        since=item.since,
    )


def _verification_problems(context: NightContext) -> list[str]:
    """Why the store does not verify; a store that cannot be asked does not, but stays signed.

    Only what was signed since the last verification is read, and everything once a week, so that
    publishing does not slow down with each night.
    """
    from nachweis.pipeline.verification import verify_new

    try:
        report = verify_new(context.settings)
    except StoreError as error:
        return [f"the store could not be verified: {error.where}: {error.what}"]
    return report.sentences()
