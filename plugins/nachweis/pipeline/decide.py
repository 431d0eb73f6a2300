"""From findings to verdicts: states across nights, waivers, and each field's comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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


def key_digest(key: str) -> str:
    """SHA-256 of a finding's key, which names it where the key itself cannot be written."""
    return digest_bytes(key.encode("utf-8"))


def locate(findings: Sequence[Finding], digest: str) -> list[Located]:
    """Point each finding at its place in an evidence bundle."""
    return [
        Located(finding, EvidenceRef(digest=digest, pointer=f"/findings/{index}"))
        for index, finding in enumerate(findings)
    ]


def view(
    located: Located, world: World, night: Night, earlier: Earlier, decisions: Sequence[Decision]
) -> FindingView:
    """A finding with its state across nights.

    Args:
        located: The finding and its evidence.
        world: For waivers.
        night: Tonight.
        earlier: What was open in the night before.
        decisions: Signed decisions, oldest first.

    Returns:
        The view. A waived failure stays a failure and says so.
    """
    finding = located.finding
    state, waiver, since = "", None, None
    if finding.is_open:
        since = earlier.since.get(finding.key, str(night))
        state = "new"
        names = {finding.key, key_digest(finding.key)}
        for decision in decisions:
            if decision.key in names and since <= decision.night <= str(night):
                state = decision.state
        waiver = next(
            (
                item.id
                for item in world.waivers.values()
                if item.check == finding.check
                and item.subject == str(finding.subject)
                and item.column in {None, finding.column}
                and item.covers(night.date)
            ),
            None,
        )
        if waiver is not None and finding.outcome is Outcome.FAIL:
            state = "waived"
    elif finding.key in earlier.since:
        state = "resolved"
    return FindingView(
        finding=finding, state=state, waiver=waiver, since=since, evidence=located.evidence
    )


# ----------------------------------------------------------------------------------- verdicts

CONTRADICTING: Mapping[str, tuple[str, ...]] = {
    "data_categories": ("schema_as_declared",),
    "retention": ("retention_kept",),
    "legal_basis": ("legal_basis_held_for_rows_used", "contact_permission_held_for_audience"),
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
    if part == "legal_basis":
        purpose = next((p for p in activity.purposes if p.id == key), None)
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
    findings: Mapping[str, Sequence[Located]],
    night: Night,
    attestations: Iterable[Attestation] = (),
) -> FieldVerdict:
    """Compare one declared field with what was observed.

    ``confirmed`` needs at least one passing check and no other outcome among the checks that can
    speak about the field for any of its subjects; anything looked at only in part reads
    ``not_tested`` and says what was not.

    Args:
        field: The field.
        subjects: What the field is about, as ``kind/id``.
        findings: Subject to located findings.
        night: Tonight.
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
        for located in findings.get(subject, ())
        if located.finding.check in checks
    ]
    if not relevant:
        return _by_statement(field, list(attestations), night)
    failing = [item for item in relevant if item.finding.outcome is Outcome.FAIL]
    unlooked = [
        item for item in relevant if item.finding.outcome in {Outcome.ERROR, Outcome.NOT_AVAILABLE}
    ]
    passing = [item for item in relevant if item.finding.outcome is Outcome.PASS]
    covered = {str(item.finding.subject) for item in relevant}
    untouched = sorted(subjects - covered)
    if failing:
        verdict, shown = Verdict.CONTRADICTED, failing
        explanation = "; ".join(sorted({item.finding.explanation for item in failing})[:3])
    elif unlooked or untouched or not passing:
        verdict, shown = Verdict.NOT_TESTED, unlooked or relevant
        reasons = sorted({f"{i.finding.check} on {i.finding.subject}" for i in unlooked})
        reasons += [f"no check ran on {subject}" for subject in untouched]
        explanation = (
            f"{len(passing)} of {len(relevant)} looked at; not: {', '.join(reasons[:4])}"
            if reasons
            else "declared as not applicable"
        )
    else:
        verdict, shown = Verdict.CONFIRMED, passing
        explanation = f"{len(passing)} check results agree"
    return FieldVerdict(
        field=field.id,
        origin=Origin.DECLARED,
        verdict=verdict,
        scope=", ".join(sorted({str(item.finding.subject) for item in relevant})),
        tested_on=str(night),
        checks=tuple(sorted({f"{i.finding.check}@{i.finding.subject}" for i in shown})),
        evidence=tuple(item.evidence for item in shown[:20]),
        explanation=explanation,
    )


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


def assess_record(
    record: Record,
    version: int,
    digest: str,
    *,
    world: World,
    night: Night,
    findings: Mapping[str, Sequence[Located]],
    earlier: Earlier,
    decisions: Sequence[Decision],
    blind: Sequence[str],
) -> Assessment:
    """Tonight's verdicts on one version of a record.

    Args:
        record: The record.
        version: Its version.
        digest: Digest of its canonical bytes.
        world: All manifests.
        night: Tonight.
        findings: Subject to located findings.
        earlier: What was open in the night before.
        decisions: Signed decisions.
        blind: Checks that are blind tonight.

    Returns:
        The assessment.
    """
    activity = world.activities[record.id]
    verdicts, subjects = [], {f"activity/{record.id}"}
    for section in (*record.sections, *record.further):
        for field in section.fields:
            about = _subjects_of_record_field(field, activity, world)
            subjects |= about
            verdicts.append(
                field_verdict(field, about, findings, night, world.attestations.values())
            )
    return _assessment(
        "record", record.id, version, digest, verdicts, subjects, world, night, findings, earlier,
        decisions, blind,
    )  # fmt: skip


def assess_dossier(
    dossier: Dossier,
    version: int,
    digest: str,
    *,
    world: World,
    night: Night,
    findings: Mapping[str, Sequence[Located]],
    earlier: Earlier,
    decisions: Sequence[Decision],
    blind: Sequence[str],
) -> Assessment:
    """Tonight's verdicts on one version of a dossier; arguments as in ``assess_record``."""
    model = world.models[dossier.id]
    subjects = {f"model/{model.id}"}
    subjects |= {f"data_set/{key}" for key in _data_sets_behind(world, model)}
    verdicts = [
        field_verdict(field, _subjects_of_dossier_field(field, model), findings, night)
        for section in dossier.sections
        for field in section.fields
    ]
    return _assessment(
        "dossier", dossier.id, version, digest, verdicts, subjects, world, night, findings,
        earlier, decisions, blind,
    )  # fmt: skip


def _assessment(
    kind: str,
    target: str,
    version: int,
    digest: str,
    verdicts: Sequence[FieldVerdict],
    subjects: set[str],
    world: World,
    night: Night,
    findings: Mapping[str, Sequence[Located]],
    earlier: Earlier,
    decisions: Sequence[Decision],
    blind: Sequence[str],
) -> Assessment:
    views = [
        view(located, world, night, earlier, decisions)
        for subject in sorted(subjects)
        for located in findings.get(subject, ())
    ]
    return Assessment(
        night=str(night),
        target_kind="record" if kind == "record" else "dossier",
        target_id=target,
        target_version=version,
        target_digest=digest,
        verdicts=tuple(verdicts),
        findings=_sorted_views(views),
        counts=_counts(views),
        contradicted=sum(item.verdict is Verdict.CONTRADICTED for item in verdicts),
        blind=tuple(blind),
    )
