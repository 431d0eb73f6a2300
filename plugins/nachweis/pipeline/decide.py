"""From findings to verdicts: each field's comparison with what was observed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nachweis.domain.finding import Outcome, worst_first
from nachweis.domain.manifest import Activity, Model, Origin, Verdict, World
from nachweis.domain.manifest.governance import Attestation
from nachweis.domain.night import Night
from nachweis.domain.record import (
    Assessment,
    Comparison,
    Dossier,
    FieldVerdict,
    FindingView,
    Record,
    RecordField,
)
from nachweis.pipeline.comparisons import Rule, narrowed, pairs_of, rules_of, told, untested
from nachweis.pipeline.derived import derived_sections
from nachweis.pipeline.outside import outside
from nachweis.pipeline.states import (
    Decision,
    Earlier,
    Located,
    Tonight,
    key_digest,
    locate,
    view,
    waivable,
)
from nachweis.pipeline.subjects import (
    LOG_CHECKS,
    SHOWN,
    log_gaps,
    part_and_key,
    subjects_of_dossier_field,
    subjects_of_record_field,
)

__all__ = [
    "Decision",
    "Earlier",
    "Located",
    "Tonight",
    "assess_dossier",
    "assess_record",
    "field_verdict",
    "key_digest",
    "locate",
    "view",
    "waivable",
]

# ----------------------------------------------------------------------------------- verdicts


def field_verdict(
    field: RecordField,
    subjects: set[str],
    tonight: Tonight,
    attestations: Iterable[Attestation] = (),
    besides: Sequence[Comparison] = (),
    *,
    activity: Activity | None = None,
) -> FieldVerdict:
    """Compare one declared field with what was observed.

    ``confirmed`` needs at least one passing check and no other outcome among the checks that can
    speak about the field, the first of its rules among them for all of its subjects, and data
    whose version is known; anything looked at only in part reads ``not_tested`` and says what was
    not.

    Args:
        field: The field.
        subjects: What the field is about, as ``kind/id``.
        tonight: The night with its findings.
        attestations: Dated statements for the field's control.
        besides: Comparisons that rest on no check.
        activity: The record's activity; None for a dossier.

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
    rules = rules_of(field)
    looked_at = [
        _Looked.at(rule, place == 0, field, subjects, tonight, activity)
        for place, rule in enumerate(rules)
    ]
    comparisons: list[Comparison] = []
    for looked in looked_at:
        own = [item for item in besides if item.rule == looked.rule.id]
        if looked.relevant:
            comparisons.append(looked.comparison)
        elif not own:
            comparisons.append(untested(looked.rule))
        comparisons += own
    verdict = _combined(rules, looked_at, comparisons)
    if verdict is None:
        stated = _by_statement(field, list(attestations), tonight.night)
        return stated.model_copy(update={"comparisons": tuple(comparisons)})
    seen = [item for item in looked_at if item.relevant]
    deciding = [item for item in seen if item.comparison.verdict is verdict] or seen
    shown = [one for item in deciding for one in item.shown]
    relevant = [one for item in looked_at for one in item.relevant]
    declared, observed = told([item for item in comparisons if item.verdict is verdict])
    scopes = {str(item.finding.subject) for item in relevant}
    scopes |= {item.scope for item in comparisons if item in besides and item.scope}
    said = [item.explanation for item in deciding]
    said += [
        f"{item.rule}: {item.reason or item.verdict.value}"
        for item in comparisons
        if item in besides and item.verdict is verdict
    ]
    return FieldVerdict(
        field=field.id,
        origin=field.origin,
        verdict=verdict,
        scope=", ".join(sorted(scopes)),
        tested_on=_tested_on([i for i in seen if i.comparison.verdict is verdict], tonight),
        checks=tuple(sorted({f"{i.finding.check}@{i.finding.subject}" for i in shown})),
        evidence=tuple(item.evidence for item in shown[:20]),
        explanation="; ".join(said),
        declared=declared,
        observed=observed,
        comparisons=tuple(comparisons),
    )


def _tested_on(deciding: Sequence[_Looked], tonight: Tonight) -> str:
    """The night that observed what decides; the oldest one where findings were carried over."""
    shown = [item.finding for looked in deciding for item in looked.shown]
    night = str(tonight.night)
    return min((item.carried_from or night for item in shown), default=night)


@dataclass(frozen=True)
class _Looked:
    """What the checks of one rule found about a field."""

    rule: Rule
    relevant: Sequence[Located]
    comparison: Comparison
    shown: Sequence[Located] = ()
    explanation: str = ""

    @classmethod
    def at(
        cls,
        rule: Rule,
        first: bool,
        field: RecordField,
        subjects: set[str],
        tonight: Tonight,
        activity: Activity | None,
    ) -> _Looked:
        """Collect a rule's findings; the first rule of a field must have seen all subjects."""
        relevant = [
            located
            for subject in sorted(subjects)
            for located in tonight.findings.get(subject, ())
            if located.finding.check in rule.checks
        ]
        if not relevant:
            return cls(rule, (), untested(rule))
        kinds = {item.finding.subject.kind.value for item in relevant}
        wanted = {item for item in subjects if item.partition("/")[0] in kinds} if first else set()
        verdict, shown, explanation = _compared(relevant, wanted, tonight, field, activity)
        comparison = Comparison(
            rule=rule.id,
            verdict=verdict,
            reason="in_part" if verdict is Verdict.NOT_TESTED else "",
            scope=", ".join(sorted({str(item.finding.subject) for item in relevant})),
            pairs=pairs_of([item.finding for item in shown], field, _id(activity)),
        )
        return cls(rule, relevant, comparison, shown, explanation)


def _combined(
    rules: Sequence[Rule], looked_at: Sequence[_Looked], comparisons: Sequence[Comparison]
) -> Verdict | None:
    """One verdict from all rules; None where nothing was observed at all."""
    found = {item.verdict for item in comparisons}
    for worst in (Verdict.CONTRADICTED, Verdict.EXPIRED):
        if worst in found:
            return worst
    observed = [item.comparison.verdict for item in looked_at if item.relevant]
    beside = [
        item.verdict
        for item in comparisons
        if item.verdict in {Verdict.CONFIRMED, Verdict.NOT_APPLICABLE}
    ]
    if not observed and Verdict.CONFIRMED not in beside:
        return None
    first = [item.verdict for item in comparisons if item.rule == rules[0].id]
    if Verdict.NOT_TESTED in (*observed, *first):
        return Verdict.NOT_TESTED
    if Verdict.CONFIRMED in first:
        return Verdict.CONFIRMED
    return Verdict.NOT_APPLICABLE if Verdict.CONFIRMED not in observed else Verdict.NOT_TESTED


def _compared(
    relevant: Sequence[Located],
    subjects: set[str],
    tonight: Tonight,
    field: RecordField,
    activity: Activity | None,
) -> tuple[Verdict, Sequence[Located], str]:
    """Verdict on a field, the findings it rests on, and why."""
    by_outcome: dict[Outcome, list[Located]] = {outcome: [] for outcome in Outcome}
    for item in relevant:
        by_outcome[narrowed(item.finding, field, _id(activity))].append(item)
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
    if activity is not None and LOG_CHECKS & {item.finding.check for item in relevant}:
        reasons += log_gaps(field, activity, tonight.world)
    if reasons or not passing:
        said = f"{len(passing)} of {len(relevant)} looked at; not: {', '.join(reasons[:4])}"
        return Verdict.NOT_TESTED, unlooked or relevant, said
    agree = "1 check result agrees" if len(passing) == 1 else f"{len(passing)} check results agree"
    return Verdict.CONFIRMED, passing, agree


def _id(activity: Activity | None) -> str:
    return activity.id if activity is not None else ""


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
    part, control = part_and_key(field)
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
    notices = tonight.notices.get(record.id, ())
    for section in (*record.sections, *record.further):
        for field_ in section.fields:
            about = subjects_of_record_field(field_, activity, world)
            if part_and_key(field_)[0] in SHOWN:
                subjects |= about
            besides = outside(
                field_,
                activity,
                world,
                tonight.night.date,
                tonight.places,
                notices,
                later=tonight.later,
            )
            verdicts.append(
                field_verdict(
                    field_,
                    about,
                    tonight,
                    world.attestations.values(),
                    besides,
                    activity=activity,
                )
            )
    return _assessment(record, version, digest, verdicts, subjects, tonight)


def assess_dossier(dossier: Dossier, version: int, digest: str, tonight: Tonight) -> Assessment:
    """Tonight's verdicts on one version of a dossier; arguments as in ``assess_record``."""
    model = tonight.world.models[dossier.id]
    subjects = {f"model/{model.id}"}
    subjects |= {f"data_set/{key}" for key in _data_sets_behind(tonight.world, model)}
    verdicts = [
        field_verdict(field_, subjects_of_dossier_field(field_, model), tonight)
        for section in dossier.sections
        for field_ in section.fields
    ]
    if model.versions:
        verdicts.append(
            field_verdict(ROBUSTNESS, subjects_of_dossier_field(ROBUSTNESS, model), tonight)
        )
    made = _assessment(dossier, version, digest, verdicts, subjects, tonight)
    derived = derived_sections(tonight.world, model, tonight.night.date)
    return made.model_copy(update={"derived": derived})


ROBUSTNESS = RecordField(
    id="robustness", label="ai.accuracy_robustness", value=None, origin=Origin.OBSERVED
)
"""A field that nobody declares: it is observed or not."""


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
