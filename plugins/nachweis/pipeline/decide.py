"""From findings to verdicts: states across nights, waivers, and each field's comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nachweis import registry
from nachweis.domain.canonical import digest_bytes
from nachweis.domain.finding import Finding, Outcome, worst_first
from nachweis.domain.manifest import Activity, Model, Origin, Verdict, World
from nachweis.domain.manifest.governance import Attestation
from nachweis.domain.night import Night
from nachweis.domain.record import (
    Assessment,
    Dossier,
    EvidenceRef,
    FieldVerdict,
    FindingView,
    Record,
    RecordField,
)

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
    """Finding keys open in the previous signed night, with the first night of each run."""

    since: Mapping[str, str]


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
    """

    world: World
    night: Night
    findings: Mapping[str, Sequence[Located]]
    earlier: Earlier = Earlier({})
    decisions: Sequence[Decision] = ()
    blind: Sequence[str] = ()
    unpinned: frozenset[str] = field(default_factory=frozenset)


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
        ``new`` or ``acknowledged``, whatever a waiver or a person says.
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
    elif finding.key in tonight.earlier.since:
        state = "resolved"
    return FindingView(
        finding=finding, state=state, waiver=waiver, since=since, evidence=located.evidence
    )


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


# ----------------------------------------------------------------------------------- verdicts

CONTRADICTING: Mapping[str, tuple[str, ...]] = {
    "data_categories": ("schema_as_declared",),
    "retention": ("retention_kept",),
    "legal_basis": ("legal_basis_held_for_rows_used",),
    "contact_permission": ("contact_permission_held_for_audience",),
    "data": ("schema_as_declared", "training_data_meets_suite", "erased_subjects_absent"),
    "group_comparison": (
        "selection_rate_parity_held",
        "error_rate_parity_held",
        "groups_large_enough",
    ),
    "monitoring_plan": (
        "feature_distribution_stable",
        "prediction_distribution_stable",
        "missing_share_stable",
    ),
}
"""First part of a field's id to the checks that can support or contradict it."""


def _part_and_key(field: RecordField) -> tuple[str, str]:
    """First two parts of a field's id; a third one only numbers fields of one key."""
    part, _, rest = field.id.partition("/")
    return part, rest.partition("/")[0]


def _subjects_of_record_field(field: RecordField, activity: Activity, world: World) -> set[str]:
    """Data sets and models whose findings speak about a field of a record."""
    part, key = _part_and_key(field)
    if part == "data_categories":
        category = next((c for c in activity.data_categories if c.id == key), None)
        columns = category.columns if category else []
        return {f"data_set/{reference.partition('.')[0]}" for reference in columns}
    if part == "retention":
        rule = next((r for r in activity.retention if r.id == key), None)
        return {f"data_set/{item.name}" for item in rule.datasets} if rule else set()
    purpose = next((p for p in activity.purposes if p.id == key), None)
    if part == "contact_permission":
        return {f"model/{model_id}" for model_id in purpose.models} if purpose else set()
    if part == "legal_basis":
        models = set(purpose.models) if purpose else set()
        subjects = {f"model/{model_id}" for model_id in models}
        for data_set in world.data_sets.values():
            if data_set.permission is not None and data_set.permission.purpose == key:
                subjects.add(f"data_set/{data_set.id}")
        return subjects
    return set()


def _subjects_of_dossier_field(field: RecordField, model: Model) -> set[str]:
    part, key = _part_and_key(field)
    if part == "data":
        return {f"data_set/{key}"} if key else set()
    return {f"model/{model.id}"}


def field_verdict(
    field: RecordField,
    subjects: set[str],
    tonight: Tonight,
    attestations: Iterable[Attestation] = (),
) -> FieldVerdict:
    """Compare one declared field with what was observed.

    ``confirmed`` needs at least one passing check and no other outcome among the checks that can
    speak about the field for any of its subjects, and data whose version is known; anything looked
    at only in part reads ``not_tested`` and says what was not.

    Args:
        field: The field.
        subjects: What the field is about, as ``kind/id``.
        tonight: The night with its findings.
        attestations: Dated statements for the field's control.

    Returns:
        The verdict with scope, date and evidence.
    """
    if field.origin is Origin.MISSING:
        return FieldVerdict(
            field=field.id,
            origin=field.origin,
            verdict=Verdict.NOT_TESTED,
            explanation="nothing was declared",
        )
    checks = CONTRADICTING.get(field.id.partition("/")[0], ())
    relevant = [
        located
        for subject in sorted(subjects)
        for located in tonight.findings.get(subject, ())
        if located.finding.check in checks
    ]
    if not relevant:
        return _by_statement(field, list(attestations), tonight.night)
    verdict, shown, explanation = _compared(relevant, subjects, tonight)
    return FieldVerdict(
        field=field.id,
        origin=Origin.DECLARED,
        verdict=verdict,
        scope=", ".join(sorted({str(item.finding.subject) for item in relevant})),
        tested_on=str(tonight.night),
        checks=tuple(sorted({f"{i.finding.check}@{i.finding.subject}" for i in shown})),
        evidence=tuple(item.evidence for item in shown[:20]),
        explanation=explanation,
    )


def _compared(
    relevant: Sequence[Located], subjects: set[str], tonight: Tonight
) -> tuple[Verdict, Sequence[Located], str]:
    """Verdict on a field, the findings it rests on, and why."""
    by_outcome: dict[Outcome, list[Located]] = {outcome: [] for outcome in Outcome}
    for item in relevant:
        by_outcome[item.finding.outcome].append(item)
    failing, passing = by_outcome[Outcome.FAIL], by_outcome[Outcome.PASS]
    if failing:
        reports = sorted({item.finding.explanation for item in failing})
        return Verdict.CONTRADICTED, failing, "; ".join(reports[:3])
    set_aside = by_outcome[Outcome.NOT_APPLICABLE]
    unlooked = [*by_outcome[Outcome.ERROR], *by_outcome[Outcome.NOT_AVAILABLE]]
    covered = {str(item.finding.subject) for item in relevant}
    reasons = sorted({f"{i.finding.check} on {i.finding.subject}" for i in unlooked})
    reasons += [f"no check ran on {subject}" for subject in sorted(subjects - covered)]
    if set_aside and not (passing or reasons):
        return Verdict.NOT_APPLICABLE, set_aside, "declared as not applicable"
    reasons += sorted(
        {f"{i.finding.check} on {i.finding.subject}, declared as not applicable" for i in set_aside}
    )
    reasons += [
        f"the content of {subject} is not pinned to a version"
        for subject in sorted(covered & _without_version(tonight))
    ]
    if reasons or not passing:
        said = f"{len(passing)} of {len(relevant)} looked at; not: {', '.join(reasons[:4])}"
        return Verdict.NOT_TESTED, unlooked or relevant, said
    return Verdict.CONFIRMED, passing, f"{len(passing)} check results agree"


def _without_version(tonight: Tonight) -> set[str]:
    """Subjects that rest on data whose content no version names."""
    found = {f"data_set/{key}" for key in tonight.unpinned}
    for model in tonight.world.models.values():
        if tonight.unpinned & _data_sets_behind(tonight.world, model):
            found.add(f"model/{model.id}")
    return found


def _by_statement(
    field: RecordField, attestations: Sequence[Attestation], night: Night
) -> FieldVerdict:
    """A field no check speaks about: a dated statement is shown, and is not a test."""
    part, control = _part_and_key(field)
    own = [item for item in attestations if part == "toms" and item.control == control]
    if own:
        newest = max(own, key=lambda item: item.valid_until)
        expired = newest.valid_until < night.date
        return FieldVerdict(
            field=field.id,
            origin=field.origin,
            verdict=Verdict.EXPIRED if expired else Verdict.NOT_TESTED,
            scope=", ".join(newest.scope),
            tested_on=newest.issued_on.isoformat(),
            explanation=f"time-limited statement {newest.id}, valid until {newest.valid_until}",
        )
    return FieldVerdict(
        field=field.id,
        origin=field.origin,
        verdict=Verdict.NOT_TESTED,
        explanation="declared; no check looks at it",
    )


def _data_sets_behind(world: World, model: Model) -> set[str]:
    """Data sets a model uses, and the registers that their rows are held against."""
    found = {key for ids in model.data.all.values() for key in ids}
    for key in sorted(found):
        data_set = world.data_sets.get(key)
        for rule in (data_set.permission, data_set.contact_permission) if data_set else ():
            if rule is not None:
                found.add(rule.register_)
    return found


def _counts(views: Sequence[FindingView]) -> dict[str, int]:
    found = Counter(item.finding.outcome.value for item in views)
    return {outcome.value: found.get(outcome.value, 0) for outcome in Outcome}


def _sorted_views(views: Iterable[FindingView]) -> tuple[FindingView, ...]:
    by_id = {id(item.finding): item for item in views}
    return tuple(by_id[id(f)] for f in worst_first([item.finding for item in by_id.values()]))


def assess_record(record: Record, version: int, digest: str, tonight: Tonight) -> Assessment:
    """Tonight's verdicts on one version of a record.

    Args:
        record: The record.
        version: Its version.
        digest: Digest of its canonical bytes.
        tonight: The night with its findings.

    Returns:
        The assessment.
    """
    world = tonight.world
    activity = world.activities[record.id]
    verdicts, subjects = [], {f"activity/{record.id}"}
    for section in (*record.sections, *record.further):
        for field_ in section.fields:
            about = _subjects_of_record_field(field_, activity, world)
            subjects |= about
            verdicts.append(field_verdict(field_, about, tonight, world.attestations.values()))
    return _assessment(record, version, digest, verdicts, subjects, tonight)


def assess_dossier(dossier: Dossier, version: int, digest: str, tonight: Tonight) -> Assessment:
    """Tonight's verdicts on one version of a dossier; arguments as in ``assess_record``."""
    model = tonight.world.models[dossier.id]
    subjects = {f"model/{model.id}"}
    subjects |= {f"data_set/{key}" for key in _data_sets_behind(tonight.world, model)}
    verdicts = [
        field_verdict(field_, _subjects_of_dossier_field(field_, model), tonight)
        for section in dossier.sections
        for field_ in section.fields
    ]
    return _assessment(dossier, version, digest, verdicts, subjects, tonight)


def _assessment(
    document: Record | Dossier,
    version: int,
    digest: str,
    verdicts: Sequence[FieldVerdict],
    subjects: set[str],
    tonight: Tonight,
) -> Assessment:
    views = [
        view(located, tonight)
        for subject in sorted(subjects)
        for located in tonight.findings.get(subject, ())
    ]
    return Assessment(
        night=str(tonight.night),
        target_kind=document.kind,
        target_id=document.id,
        target_version=version,
        target_digest=digest,
        verdicts=tuple(verdicts),
        findings=_sorted_views(views),
        counts=_counts(views),
        contradicted=sum(item.verdict is Verdict.CONTRADICTED for item in verdicts),
        blind=tuple(tonight.blind),
    )
