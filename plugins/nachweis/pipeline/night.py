"""The tasks of a night, as Airflow and the command line call them.

Arguments and results are JSON: names, object keys and counts. Everything that was observed stays
in the task that observed it, except for findings, which pass the leak gate on their way out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nachweis import registry
from nachweis.domain.canonical import canonical_bytes, digest, parse, publishable
from nachweis.domain.check import Check
from nachweis.domain.disclosure import seal_findings
from nachweis.domain.errors import LeakError, NachweisError
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind
from nachweis.domain.manifest import World
from nachweis.domain.observation import PastFinding
from nachweis.domain.record import Evidence
from nachweis.engines.artefacts import FileReader
from nachweis.engines.versions import UNPINNED
from nachweis.pipeline import publish as publishing
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.carry import carry_over
from nachweis.pipeline.context import NightContext, open_context, software
from nachweis.pipeline.daily_digest import owned_by_role
from nachweis.pipeline.examples import replay
from nachweis.pipeline.judge import judge, plan_subject
from nachweis.pipeline.leaks import demand_clean
from nachweis.pipeline.observe import observe
from nachweis.pipeline.summary import NightSummary, message
from nachweis.storage import layout
from nachweis.storage.documents import write_document

Producer = Literal["training_data_quality", "deployed_model_monitoring"]

PRODUCERS: Mapping[Producer, SubjectKind] = {
    "training_data_quality": SubjectKind.DATA_SET,
    "deployed_model_monitoring": SubjectKind.MODEL,
}
"""DAG to the kind of subject it is mapped over."""


_LOOK_BACK = 42
"""Signed nights that checks can look back on; they ask for fewer."""


def plan(night: str | None, *, dag: Producer) -> dict[str, Any]:
    """Plan one DAG's part of a night.

    Checks' examples are replayed as positive controls, so that a blind check is known before the
    night is signed.

    Args:
        night: ``YYYY-MM-DD``.
        dag: The DAG that plans.

    Returns:
        ``night``, ``attempt``, ``signed`` (signed before from the same inputs: stop), ``subjects``
        and ``blind`` check ids.

    Raises:
        NachweisError: If manifests are unusable or the store cannot be reached.
    """
    context = open_context(night)
    context.demand_policy()
    context.demand_ended()
    archive = open_archive(context.settings)
    archive.demand_organisation(context.loaded.world.organisation.id)
    if _settled(context, archive):
        return {
            "night": str(context.night),
            "attempt": context.attempt,
            "signed": True,
            "subjects": [],
            "blind": [],
        }
    subjects = subjects_of(context, PRODUCERS[dag])
    return {
        "night": str(context.night),
        "attempt": context.attempt,
        "signed": False,
        "subjects": [str(subject) for subject in subjects],
        "blind": blind_checks(context, subjects),
    }


def _settled(context: NightContext, archive: Archive) -> bool:
    """Whether the night is signed from the same inputs and no task of it was lost.

    A subject whose task broke off has no evidence, and one whose data could not be reached is
    listed as looked at in part; running the night again tries both again.
    """
    signed = archive.signed(str(context.night), context.identity)
    if signed is None:
        return False
    statement = archive.statement(signed)
    if UNPINNED in context.data_versions.values():
        return False  # nothing says whether the data are still the same
    again = {item.what for item in statement.not_run} & set(statement.subjects)
    return set(statement.subjects) <= set(statement.evidence) and not again


def subjects_of(context: NightContext, kind: SubjectKind) -> list[Subject]:
    """Data sets or models that have checks, by id; retired models are left out."""
    world = context.loaded.world
    if kind is SubjectKind.MODEL:
        ids = [key for key, model in world.models.items() if model.stage.value != "retired"]
    else:
        ids = list(world.data_sets)
    found = [Subject(kind=kind, id=key) for key in sorted(ids)]
    return [subject for subject in found if registry.applicable(world, subject)]


def blind_checks(context: NightContext, subjects: Iterable[Subject]) -> list[str]:
    """Checks whose failing example no longer fails, among those that will look at data.

    A check that cannot run tonight gives no pass that a blind one could fake.
    """
    world = context.loaded.world
    needed: dict[str, type[Check]] = {}
    for subject in subjects:
        needed |= plan_subject(world, subject, context.night, None).checks
    for _, check in sorted(needed.items()):
        control = (check, check.observe, check.judge)
        if control not in _REPLAYED:
            _REPLAYED[control] = not replay([check])
    return [
        key
        for key, check in sorted(needed.items())
        if not _REPLAYED[(check, check.observe, check.judge)]
    ]


_REPLAYED: dict[tuple[Any, ...], bool] = {}
"""A check's code to whether its examples hold. Each night's plan is a process of its own; one that
plans several nights runs the same code on the same examples."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Findings about one subject and what they were made from."""

    findings: list[Finding]
    windows: dict[str, Any]
    queries: dict[str, int]
    data_versions: dict[str, str]
    incomplete: tuple[str, ...] = ()
    """Why something could not be looked at although trying again may help."""


def observe_subject(
    context: NightContext,
    subject: Subject,
    *,
    checks: Sequence[type[Check]] | None = None,
    archive: Archive | None = None,
    carry: Archive | None = None,
) -> Observed:
    """Observe and judge one subject; nothing is stored.

    Args:
        context: The night.
        subject: The data set or model.
        checks: Default is all applicable ones.
        archive: The signed past, for checks that look back.
        carry: The signed past from which findings of unchanged inputs may be carried over.

    Returns:
        Findings with exact numbers, before small counts are suppressed.

    Raises:
        NachweisError: If there is no such subject.
    """
    context.demand(subject)
    world, night = context.loaded.world, context.night
    planned = plan_subject(world, subject, night, checks)
    past = archive or open_archive(context.settings)

    def history(check_id: str) -> list[PastFinding]:
        return past.past_findings(str(subject), check_id, night.date, _LOOK_BACK)

    model = world.models.get(subject.id) if subject.kind is SubjectKind.MODEL else None
    read = planned.data_sets
    carried: list[Finding] = []
    with context.tables() as tables:
        if carry is not None:
            planned, carried = carry_over(context, carry, planned, tables.versions)
        seen = observe(
            tables,
            planned.requests,
            model=model,
            suites=world.suites,
            history=history,
            files=FileReader(tuple(context.settings.world_folders), remote=tables.blob),
        )
        windows = {
            source.label: {
                "start": facts.start,
                "end": facts.end,
                "extended": facts.extended,
            }
            for observations in seen.values()
            for source, facts in observations.windows.items()
        }
        queries = {label: tables.log.count(label) for label in tables.log.sources()}
        own = [subject.id] if subject.kind is SubjectKind.DATA_SET else []
        versions = dict(tables.versions(read or own))
    incomplete = {reason for one in seen.values() for reason in one.retriable()}
    return Observed(
        sorted(
            [*judge(world, subject, night, planned, seen), *carried], key=lambda found: found.key
        ),
        windows,
        queries,
        versions,
        tuple(sorted(incomplete)),
    )


def run_subject(
    night: str, attempt: str, subject: str, blind: Sequence[str] = ()
) -> dict[str, Any]:
    """Observe, judge and store the evidence about one subject.

    Args:
        night: ``YYYY-MM-DD``.
        attempt: The attempt that was planned.
        subject: ``kind/id``.
        blind: Checks that are blind tonight; their passes do not count.

    Returns:
        ``subject``, ``evidence`` (digest, or null if the leak gate held it back), ``counts`` per
        outcome, ``carried`` (how many findings are of an earlier night), ``failed`` (why there is
        no evidence, or null) and ``seconds``.
    """
    started = time.monotonic()
    context = open_context(night)
    kind, _, key = subject.partition("/")
    about = Subject(kind=SubjectKind(kind), id=key)
    past = open_archive(context.settings)
    observed = observe_subject(context, about, archive=past, carry=past)
    findings = seal_findings([_lean(_unless_blind(f, blind)) for f in observed.findings])
    evidence = Evidence(
        night=str(context.night),
        subject=subject,
        data_versions=observed.data_versions,
        windows=publishable(observed.windows),
        findings=tuple(findings),
        queries=observed.queries,
        software=dict(software()),
    )
    result: dict[str, Any] = {
        "subject": subject,
        "evidence": None,
        "counts": _counts(findings),
        "carried": sum(finding.carried_from is not None for finding in findings),
        "failed": None,
        "blocked": None,
        "incomplete": "; ".join(observed.incomplete[:3]) or None,
    }
    try:
        demand_clean(context.loaded.world, evidence.document(), f"evidence of {subject}")
    except LeakError as error:
        result["failed"] = "held back by the leak gate"
        result["blocked"] = error.where
    else:
        found = evidence.digest()
        store_key = layout.evidence(found)
        if store_key in past.removed:
            # The same inputs would bring back what was removed because of what it held.
            result["failed"] = "exactly this evidence was withdrawn; change what it was made from"
        else:
            content = evidence.canonical()
            write_document(context.records, store_key, content, lock=context.lock(store_key))
            past.keep(found, content)
            result["evidence"] = found
    result["seconds"] = round(time.monotonic() - started, 2)
    return result


def _unless_blind(finding: Finding, blind: Sequence[str]) -> Finding:
    """A pass of a blind check is no observation."""
    if finding.outcome is not Outcome.PASS or finding.check not in blind:
        return finding
    return finding.model_copy(
        update={
            "outcome": Outcome.NOT_AVAILABLE,
            "explanation": "The check is blind tonight: its own failing example no longer fails.",
        }
    )


def _lean(finding: Finding) -> Finding:
    """What to do is told of what somebody has to act on; elsewhere it only fills the store."""
    return finding if finding.is_open else finding.model_copy(update={"remediation": ""})


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    found = Counter(finding.outcome.value for finding in findings)
    return {outcome.value: found.get(outcome.value, 0) for outcome in Outcome}


def finish(
    night: str,
    attempt: str,
    dag: str,
    results: Sequence[Mapping[str, Any]],
    planned: Sequence[str],
    blind: Sequence[str] = (),
) -> dict[str, Any]:
    """Hand one DAG's part of a night over, with a list of what failed.

    Args:
        night: ``YYYY-MM-DD``.
        attempt: The attempt that was planned.
        dag: The DAG.
        results: What the mapped tasks returned.
        planned: Subjects that were planned.
        blind: Checks that are blind tonight.

    Returns:
        ``key`` of the run document, ``done`` and ``failed`` counts.
    """
    context = open_context(night)
    delivered = {str(item["subject"]): item for item in results}
    failed = {
        subject: str(delivered[subject]["failed"])
        if subject in delivered
        else "the task ended without a result"
        for subject in planned
        if subject not in delivered or delivered[subject]["failed"]
    }
    document = {
        "schema_version": 1,
        "kind": "run",
        "night": str(context.night),
        "attempt": attempt,
        "identity": context.identity if context.attempt == attempt else None,
        "manifests_digest": context.manifests_digest,
        "data_versions": context.data_versions,
        "dag": dag,
        "planned": list(planned),
        "evidence": {
            subject: item["evidence"]
            for subject, item in sorted(delivered.items())
            if item["evidence"]
        },
        "failed": dict(sorted(failed.items())),
        "incomplete": {
            subject: f"looked at in part: {item['incomplete']}"
            for subject, item in sorted(delivered.items())
            if item["evidence"] and item.get("incomplete")
        },
        "blocked": sorted(str(i["blocked"]) for i in delivered.values() if i.get("blocked")),
        "blind": sorted(blind),
    }
    key = layout.run(str(context.night), attempt, dag, digest(document))
    write_document(context.records, key, canonical_bytes(document), lock=context.lock(key))
    return {
        "night": str(context.night),
        "attempt": attempt,
        "key": key,
        "done": len(planned) - len(failed),
        "failed": len(failed),
        "signed": False,
    }


def prepare_records(night: str) -> dict[str, Any]:
    """Find what both DAGs handed over.

    Args:
        night: ``YYYY-MM-DD``.

    Returns:
        ``repeated`` if the night is signed from the same inputs, else ``runs``: DAG to key.

    Raises:
        NachweisError: If the parts are not there or were made from other manifests.
    """
    context = open_context(night)
    archive = open_archive(context.settings)
    if _settled(context, archive):
        return {"night": str(context.night), "repeated": True, "runs": {}}
    runs = {}
    for dag in PRODUCERS:
        prefix = layout.runs_prefix(str(context.night), context.attempt, dag)
        handed_over = sorted(context.records.list(prefix), key=lambda item: item.modified)
        if not handed_over:
            raise NachweisError(
                f"{dag} has handed nothing over for the present manifests and data",
                where=f"night {context.night}",
                remedy="run that DAG for this night, or run the whole night again",
            )
        runs[dag] = handed_over[-1].key
    return {"night": str(context.night), "repeated": False, "runs": runs}


def publish(night: str, prepared: Mapping[str, Any]) -> dict[str, Any]:
    """Assemble, decide, sign and publish a night.

    Args:
        night: ``YYYY-MM-DD``.
        prepared: What ``prepare_records`` returned.

    Returns:
        The night's summary.
    """
    context = open_context(night)
    archive = open_archive(context.settings)
    if prepared["repeated"]:
        return publishing.repeated(context, archive).model_dump(mode="json")
    runs = [parse(context.records.get(key)) for key in prepared["runs"].values()]
    return publishing.publish(context, archive, runs).model_dump(mode="json")


def render(night: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the site up to date with what was signed.

    Args:
        night: ``YYYY-MM-DD``.
        summary: The night's summary.

    Returns:
        Pages written and unchanged.
    """
    from nachweis.pipeline.site_build import render_site

    report = render_site(open_context(night).settings)
    return {"written": report.written, "unchanged": report.unchanged}


def notify(night: str, summary: Mapping[str, Any], channel: str) -> dict[str, Any] | None:
    """The night's one message and whom it goes to.

    Args:
        night: ``YYYY-MM-DD``.
        summary: The night's summary.
        channel: ``email`` or ``webhook``.

    Returns:
        ``subject``, ``body``, ``email`` and ``webhook``, and under ``owners`` the same for each
        mailbox of a role that owns something there is news about; None if there is nothing new to
        tell or this channel was told about this attempt before.
    """
    context = open_context(night)
    if _told(context, summary, channel).exists():
        return None
    policy = context.loaded.world.policy
    link = context.settings.site_url or policy.site_url
    found = NightSummary.model_validate(summary)
    content = message(found, policy.notification, link)
    if content is None:
        return None
    return {
        "subject": content[0],
        "body": content[1],
        "email": list(policy.notification.email),
        "webhook": policy.notification.webhook_connection,
        "owners": [
            {"subject": said[0], "body": said[1], "email": [mailbox]}
            for mailbox, owned in _owned(context.loaded.world).items()
            if (said := message(found, policy.notification, link, owned)) is not None
        ],
    }


def _owned(world: World) -> dict[str, set[str]]:
    """Mailbox of each role that has one, to the subjects that the roles behind it own."""
    mailboxes = {role.id: role.notify for role in world.organisation.roles if role.notify}
    owned: dict[str, set[str]] = {}
    for role, subjects in owned_by_role(world).items():
        if role in mailboxes:
            owned.setdefault(mailboxes[role], set()).update(subjects)
    return owned


def told(night: str, summary: Mapping[str, Any], channel: str) -> None:
    """Remember that a channel was told about a signed attempt, so that it is told once.

    Kept beside the caches and written after sending: a task that dies between signing and sending
    sends when it is tried again, and in the worst case a message comes twice, never not at all.

    Args:
        night: ``YYYY-MM-DD``.
        summary: The night's summary.
        channel: ``email`` or ``webhook``.
    """
    marker = _told(open_context(night), summary, channel)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _told(context: NightContext, summary: Mapping[str, Any], channel: str) -> Path:
    return context.settings.state / "told" / f"{context.night}-{summary['attempt']}-{channel}"


def run_night(night: str, progress: Callable[[str], None] = lambda _: None) -> NightSummary:
    """Run a whole night in this process, without Airflow.

    Args:
        night: ``YYYY-MM-DD``.
        progress: Told what runs.

    Returns:
        The summary.
    """
    for dag in PRODUCERS:
        progress(f"{dag}  planning, with every check's own examples")
        planned = plan(night, dag=dag)
        if planned["signed"]:
            continue
        results = []
        for number, subject in enumerate(planned["subjects"], 1):
            progress(f"{dag}  {number}/{len(planned['subjects'])}  {subject}")
            try:
                results.append(run_subject(night, planned["attempt"], subject, planned["blind"]))
            except Exception as error:  # noqa: BLE001 - one subject never stops the others
                results.append(_crashed(subject, error))
        finish(night, planned["attempt"], dag, results, planned["subjects"], planned["blind"])
    progress("processing_records")
    summary = publish(night, prepare_records(night))
    try:
        render(night, summary)
    except Exception as error:  # noqa: BLE001 - signed and stays so; only the pages lag behind
        known = isinstance(error, NachweisError)
        summary["site_problem"] = str(error) if known else f"{type(error).__name__} while rendering"
    return NightSummary.model_validate(summary)


def _crashed(subject: str, error: Exception) -> dict[str, Any]:
    """A task's result where the task itself crashed; the message may quote data, its type not."""
    said = error.what if isinstance(error, NachweisError) else type(error).__name__
    return {"subject": subject, "evidence": None, "counts": {}, "failed": said, "blocked": None}
