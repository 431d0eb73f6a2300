"""Attack techniques that apply to a model, and what looks for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.security._common import served
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Param
from nachweis.domain.control import AttackTechnique
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request

_DECLARED: Mapping[str, Any] = {"kind": "ranking"}


class AttackTechniquesCovered(Check):
    """Does something look for each attack technique that applies to the model?

    Why: A defence that grew by chance leaves gaps nobody knows of; naming the likely techniques per
        model shows them (Art. 32(1) GDPR; Art. 15(5) AI Act as good practice).
    Method: Techniques of MITRE ATLAS are chosen from the manifest alone: the model's kind, whether
        it has declared training data or files, reads or writes free text, decides by itself, calls
        tools, or has inputs that people choose. A technique is covered if a check of the catalogue
        looks for it and is not declared as not applicable, or a valid attestation answers it; else
        it is an open gap (count of techniques, 0 or more). More open gaps than ``max_gaps`` fail.
        Undefined where no technique applies. Source: controls/atlas.yaml, from ATLAS data.
    Leaves out: Whether the covering checks could run tonight and what they found: their own
        findings say so. Techniques against the systems around the model.
    """

    severity = Severity.LOW
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("SEC-AUDIT",)
    needs = ()
    params = (
        Param(
            "max_gaps",
            3,
            "techniques",
            "design default of this project",
            "Open gaps from which the model is reported.",
            minimum=0,
            maximum=50,
        ),
    )
    remediation = (
        "For each open gap decide: declare what the covering check needs, have a penetration test "
        "look for the technique and attest it, or accept the gap and say why."
    )
    examples = (
        Example("techniques with a check each", Outcome.PASS, {}, model={"kind": "ranking"}),
        Example(
            "a generative model with tools that nobody tested",
            Outcome.FAIL,
            {},
            model={"kind": "generative", "tools": ["order system"]},
            params={"max_gaps": 2},
        ),
        Example(
            "rules that only one technique concerns, declared away",
            Outcome.NOT_APPLICABLE,
            {},
            model={
                "kind": "rules",
                "checks": {
                    "attack_techniques_covered": {"not_applicable": {"reason": "rules on paper"}}
                },
            },
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Nothing: the manifest says which techniques apply."""
        return ()

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding with one measurement per technique."""
        applicable = [
            technique
            for _, technique in sorted(inputs.world.controls.techniques.items())
            if _applies(inputs, technique)
        ]
        if not applicable:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No technique of the catalogue applies to what is declared of this model.",
                declare="the model's training data, files and kind; the catalogue controls/",
            )
            return
        answers = {technique.id: _answer(inputs, technique) for technique in applicable}
        gaps = [technique for technique in applicable if not answers[technique.id]]
        measured = [
            Measurement(
                name="open_gaps",
                value=len(gaps),
                unit="techniques",
                threshold=inputs.threshold("max_gaps", "<="),
                recipe=f"of {len(applicable)} techniques that apply; MITRE ATLAS",
            ),
            *(
                Measurement(
                    name=technique.id,
                    value=answers[technique.id] or "open gap",
                    recipe=technique.title,
                )
                for technique in applicable
            ),
        ]
        failed = len(gaps) > inputs.param("max_gaps")
        named = ", ".join(f"{gap.id} {gap.title}" for gap in gaps) or "none"
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            f"{len(applicable)} techniques apply; open gaps: {named}.",
            measurements=measured,
            severity=None if failed else Severity.INFO,
            scope="declared facts of the model",
        )


def _applies(inputs: Inputs, technique: AttackTechnique) -> bool:
    model = inputs.model
    if technique.kinds and model.kind.value not in technique.kinds:
        return False
    facts = {
        "trained_here": bool(model.data.training),
        "stored_file": any(
            version.artefact is not None and version.artefact.format != "api"
            for version in served(inputs)
        ),
        "free_text": model.kind is ModelKind.GENERATIVE or _reads(inputs, "free_text"),
        "self_service": _reads(inputs, "customer_controlled"),
        "automated": model.decision is not None
        and model.decision.automation in {"human_on_loop", "solely_automated"},
        "tools": model.kind is ModelKind.GENERATIVE and bool(model.tools),
    }
    return all(facts[name] for name in technique.when)


def _reads(inputs: Inputs, flag: str) -> bool:
    """Whether the model has an input with this flag in any of its data sets."""
    return any(
        column.feature and getattr(column, flag)
        for ids in inputs.model.data.all.values()
        for id_ in ids
        if id_ in inputs.world.data_sets
        for column in inputs.world.data_sets[id_].columns
    )


def _answer(inputs: Inputs, technique: AttackTechnique) -> str:
    """What looks for a technique; empty for an open gap."""
    declared = inputs.model.checks
    policy = inputs.world.policy.checks
    looking = [
        check
        for check in technique.checks
        if not declared.get(check, {}).get("not_applicable")
        and not policy.get(check, {}).get("not_applicable")
    ]
    if looking:
        return ", ".join(looking)
    for _, attestation in sorted(inputs.world.attestations.items()):
        valid = attestation.issued_on <= inputs.night.date <= attestation.valid_until
        about = not attestation.scope or inputs.subject.id in attestation.scope
        if valid and about and attestation.control in technique.attestations:
            return f"attestation {attestation.id}"
    return ""
