"""Plan what a subject's checks want to see, and turn what was seen into findings.

Both steps are pure: data is read between them, in :mod:`nachweis.pipeline.observe`.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nachweis import registry
from nachweis.domain.check import Check, Inputs
from nachweis.domain.errors import CheckDefinitionError, NachweisError
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import World, text_in
from nachweis.domain.night import Night
from nachweis.domain.observation import (
    NO_DATA_SET,
    GroupedCounts,
    ObservationMissingError,
    Observations,
    Overlap,
    Request,
    Sample,
)

_PACKAGE = Path(registry.__file__).parent


@dataclass(frozen=True)
class SubjectPlan:
    """What the checks of one subject want to see.

    Attributes:
        subject: The subject.
        checks: Checks that will judge, by id.
        inputs: What each of them may know, by check id.
        requests: What each of them wants to see, by check id.
        early: Findings that need no look at data: unmet needs, declared reasons why a check does
            not apply, parameters that are not allowed, a check that crashed while planning.
    """

    subject: Subject
    checks: Mapping[str, type[Check]] = field(default_factory=dict)
    inputs: Mapping[str, Inputs] = field(default_factory=dict)
    requests: Mapping[str, tuple[Request, ...]] = field(default_factory=dict)
    early: tuple[Finding, ...] = ()

    @property
    def data_sets(self) -> list[str]:
        """Ids of all data sets that the requests read, sorted."""
        found = set()
        for request in (one for many in self.requests.values() for one in many):
            found.add(request.source.data_set)
            if isinstance(request, Overlap):
                found.add(request.other.data_set)
            if isinstance(request, GroupedCounts | Sample):
                found.update(join.other.data_set for join in request.joins)
        return sorted(found - {NO_DATA_SET.data_set})


def plan_subject(
    world: World,
    subject: Subject,
    night: Night,
    checks: Iterable[type[Check]] | None = None,
) -> SubjectPlan:
    """Ask every applicable check what it wants to see.

    Args:
        world: All manifests.
        subject: The data set or model.
        night: The night.
        checks: Checks to plan; default is all applicable ones of the registry.

    Returns:
        The plan. A check that cannot run appears in ``early`` instead of ``requests``.
    """
    planned: dict[str, type[Check]] = {}
    inputs_of: dict[str, Inputs] = {}
    requests_of: dict[str, tuple[Request, ...]] = {}
    early: list[Finding] = []
    for kind in registry.applicable(world, subject) if checks is None else checks:
        policy, own = _declared(world, subject, kind)
        inputs = Inputs(world, subject, night)
        try:
            inputs = Inputs(world, subject, night, kind.effective_params(policy, own))
            refusal = _refusal(kind, inputs, policy, own)
            if refusal is not None:
                early.append(refusal)
                continue
            requests = tuple(kind().observe(inputs))
            _refuse_duplicate_names(kind, requests)
        except CheckDefinitionError as error:
            early.append(_error(kind, inputs, str(error)))
            continue
        except Exception as error:  # noqa: BLE001 - a crash of one check must not stop the others
            early.append(_error(kind, inputs, _crash("planning", error, kind)))
            continue
        planned[kind.id], inputs_of[kind.id], requests_of[kind.id] = kind, inputs, requests
    return SubjectPlan(subject, planned, inputs_of, requests_of, _by_key(early))


def judge(
    world: World,
    subject: Subject,
    night: Night,
    plan: SubjectPlan,
    observations: Mapping[str, Observations],
) -> list[Finding]:
    """Turn observations into findings.

    Args:
        world: All manifests.
        subject: The subject of the plan.
        night: The night.
        plan: The subject's plan.
        observations: What was seen, by check id.

    Returns:
        At least one finding per applicable check, sorted by key.
    """
    findings = list(plan.early)
    for check_id, kind in plan.checks.items():
        inputs = plan.inputs[check_id]
        seen = observations.get(check_id, Observations({}))
        findings += [_lowered_by_event(one, kind, inputs) for one in _judged(kind, inputs, seen)]
    return list(_by_key(findings))


def _judged(kind: type[Check], inputs: Inputs, seen: Observations) -> list[Finding]:
    check = kind()
    try:
        found = list(check.judge(inputs, seen))
        _refuse_duplicate_keys(kind, found)
    except ObservationMissingError as missing:
        if missing.crashed:
            return [_error(kind, inputs, f"The check crashed while observing: {missing.reason}.")]
        return [
            check.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"The observation {missing.name!r} could not be made: {missing.reason}",
            )
        ]
    except CheckDefinitionError as error:
        return [_error(kind, inputs, str(error))]
    except Exception as error:  # noqa: BLE001 - a crash must become a finding, not stop the night
        return [_error(kind, inputs, _crash("judging", error, kind))]
    if not found:
        return [
            check.finding(inputs, Outcome.NOT_AVAILABLE, "The check ended without saying anything.")
        ]
    return found


# ------------------------------------------------------------------------------ early findings


def _declared(
    world: World, subject: Subject, kind: type[Check]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What policy.yaml and the subject's own manifest say about a check."""
    own: Mapping[str, Any] = {}
    if subject.kind is SubjectKind.MODEL:
        own = world.models[subject.id].checks.get(kind.id, {})
    return world.policy.checks.get(kind.id, {}), own


def _refusal(
    kind: type[Check], inputs: Inputs, policy: Mapping[str, Any], own: Mapping[str, Any]
) -> Finding | None:
    """A finding instead of a look at data: not applicable by declaration, or an unmet need.

    A check that cannot be waived cannot be declared away either where its needs are met: the
    declaration would hide exactly what it looks for.
    """
    unmet = [need for need in kind.needs if not need.met(inputs)]
    reason = _reason(own.get("not_applicable") or policy.get("not_applicable"))
    if reason and (kind.waivable or unmet):
        return kind().finding(
            inputs,
            Outcome.NOT_APPLICABLE,
            f"Declared as not applicable: {reason}",
            severity=Severity.INFO,
        )
    if unmet:
        return kind().finding(
            inputs,
            Outcome.NOT_AVAILABLE,
            "The check cannot run because something it needs is not declared.",
            declare="; ".join(need.declare for need in unmet),
        )
    return None


def _reason(declared: Any) -> str:
    """The words of ``not_applicable``: a text, ``{reason: text}`` or a text per language."""
    if isinstance(declared, Mapping):
        declared = declared.get("reason", declared)
    if isinstance(declared, Mapping):
        return text_in({str(key): str(value) for key, value in declared.items()}, "en")
    return str(declared) if declared else ""


# -------------------------------------------------------------------------------------- errors


def _error(kind: type[Check], inputs: Inputs, explanation: str) -> Finding:
    return kind().finding(inputs, Outcome.ERROR, explanation)


def _crash(phase: str, error: Exception, kind: type[Check]) -> str:
    """Type and place of a crash; the message is left out because it may quote data."""
    if isinstance(error, NachweisError):
        return f"The check stopped while {phase}: {error}"
    return f"The check crashed while {phase}: {type(error).__name__} at {_place(error, kind)}."


def _place(error: Exception, kind: type[Check]) -> str:
    """Innermost line of the package or of the check's own folder that the crash passed through."""
    own_folder = registry.source_file(kind).resolve().parents[1]
    place = "an unknown place"
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename).resolve()
        for root in (own_folder, _PACKAGE):
            if path.is_relative_to(root) and path != Path(__file__).resolve():
                place = f"{path.relative_to(root).as_posix()}:{frame.lineno}"
                break
    return place


def _refuse_duplicate_names(kind: type[Check], requests: Iterable[Request]) -> None:
    names = [request.name for request in requests]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CheckDefinitionError(
            f"requests named twice: {', '.join(twice)}",
            where=f"{kind.family}/{kind.id}",
            remedy="give every request of a check its own name",
        )


def _refuse_duplicate_keys(kind: type[Check], findings: Iterable[Finding]) -> None:
    keys = [finding.key for finding in findings]
    if len(set(keys)) != len(keys):
        raise CheckDefinitionError(
            "two findings of one night share check, subject and column",
            where=f"{kind.family}/{kind.id}",
            remedy="report each column once",
        )


# -------------------------------------------------------------------------------------- events


def _lowered_by_event(finding: Finding, kind: type[Check], inputs: Inputs) -> Finding:
    """Lower an expected failure to info and name the event; never what cannot be waived."""
    if finding.outcome is not Outcome.FAIL or not kind.waivable:
        return finding
    for event in inputs.events():
        if finding.check in event.expects and (
            not event.columns or finding.column in event.columns
        ):
            return finding.model_copy(
                update={
                    "severity": Severity.INFO,
                    "expected_by_event": event.id,
                    "explanation": f"{finding.explanation} Expected by the declared event "
                    f"{event.id!r}, therefore lowered from {finding.severity.value} to info.",
                }
            )
    return finding


def _by_key(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.key))
