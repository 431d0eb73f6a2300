"""Rules of evidence: which checks and observations speak about which declared field.

Ids follow the project's reference list (``EV-SCHEMA`` and so on). A rule that nothing observed
tonight still stands beside the field, with the reason; it never turns a field green.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nachweis.domain.finding import Finding, Measurement, Outcome
from nachweis.domain.manifest import Verdict
from nachweis.domain.record import Comparison, Pair, RecordField


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule for one kind of field.

    Attributes:
        id: For example ``EV-RETAIN``.
        checks: Checks whose findings confirm or contradict; empty where something else observes
            it, or nothing does.
        why: Why nothing was observed, where no finding says so: part of ``why.<why>``.
    """

    id: str
    checks: tuple[str, ...] = ()
    why: str = "no_check_ran"


_RECORD: Mapping[str, tuple[Rule, ...]] = {
    "parties": (Rule("EV-NOTICE", why="no_published_copy"),),
    "purposes": (Rule("EV-PURPOSE", ("purposes_compatible",), "no_model"),),
    "data_subjects": (Rule("EV-PII", why="declared_only"),),
    "data_categories": (
        Rule("EV-SCHEMA", ("schema_as_declared",), "no_columns"),
        Rule("EV-PII", ("personal_data_declared", "dialogues_free_of_identifiers"), "no_columns"),
    ),
    "recipients": (
        Rule("EV-IAM", ("readers_as_declared",), "no_access_log"),
        Rule("EV-CONTRACT", why="no_contract"),
        Rule("EV-EGRESS", why="no_network_view"),
    ),
    "transfers": (
        Rule("EV-REGION", ("access_regions_as_declared",), "no_object_store"),
        Rule("EV-EGRESS", why="no_network_view"),
    ),
    "retention": (
        Rule("EV-RETAIN", ("retention_kept",), "no_data_set"),
        Rule("EV-ERASE", ("erased_subjects_absent",), "no_data_set"),
    ),
    "legal_basis": (Rule("EV-PERMIT", ("legal_basis_held_for_rows_used",)),),
    "contact_permission": (
        Rule("EV-PERMIT", ("contact_permission_held_for_audience",)),
        Rule("EV-SUPPRESS", ("suppression_respected_in_time",)),
    ),
    "sovereignty": (Rule("EV-REGION", why="no_object_store"),),
    "notice": (Rule("EV-NOTICE", why="no_published_copy"),),
    "processing_for": (Rule("EV-PURPOSE", ("purposes_compatible",), "no_model"),),
    "clients": (Rule("EV-CONTRACT", why="no_contract"),),
}

_DOSSIER: Mapping[str, tuple[Rule, ...]] = {
    "served_versions": (
        Rule("EV-ARTEFACT", ("artefact_as_approved",)),
        Rule("EV-INVENTORY", ("inventory_complete",)),
    ),
    "trained_on": (Rule("EV-LINEAGE", ("training_snapshot_as_declared",)),),
    "data": (
        Rule("EV-SCHEMA", ("schema_as_declared",)),
        Rule("EV-DQ", ("training_data_meets_suite",)),
        Rule("EV-ERASE", ("erased_subjects_absent",)),
    ),
    "lineage": (Rule("EV-SCAN", ("dependencies_free_of_known_vulnerabilities",)),),
    "features": (Rule("EV-MINIMAL", ("features_minimal",)),),
    "oversight": (
        Rule("EV-HUMAN", ("decisions_reviewed_by_people", "escalation_to_human_honoured")),
    ),
    "decision": (Rule("EV-HUMAN", ("decisions_reviewed_by_people",)),),
    "ai_act": (Rule("EV-DISCLOSURE", ("ai_disclosed_in_first_turn",)),),
    "metrics": (
        Rule("EV-PERF", ("realised_quality_held", "ranking_quality_held")),
        Rule("EV-PERF", ("uplift_held_against_holdout",)),
    ),
    "group_comparison": (
        Rule(
            "EV-BIAS",
            ("selection_rate_parity_held", "error_rate_parity_held", "groups_large_enough"),
        ),
    ),
    "monitoring_plan": (
        Rule(
            "EV-DRIFT",
            (
                "feature_distribution_stable",
                "prediction_distribution_stable",
                "missing_share_stable",
            ),
        ),
    ),
    "robustness": (
        Rule("EV-ADV", ("predictions_robust_to_noise", "cheap_manipulation_bounded")),
        Rule("EV-ADV", ("prompt_injection_resisted", "scoring_not_probed")),
        Rule(
            "EV-POISON",
            ("training_labels_free_of_flips", "training_triggers_absent"),
        ),
        Rule("EV-LEAK", ("membership_inference_bounded", "outputs_free_of_identifiers")),
        Rule("EV-SCAN", ("artefact_as_approved",)),
    ),
}

BY_CONTROL: Mapping[str, tuple[Rule, ...]] = {
    "ENC-REST": (Rule("EV-STORE", why="no_object_store"),),
    "ENC-TRANSIT": (Rule("EV-STORE", why="no_object_store"),),
    "ACCESS": (
        Rule("EV-IAM", ("readers_as_declared",), "no_access_log"),
        Rule("EV-STORE", why="no_object_store"),
    ),
    "ACCESS-REVIEW": (Rule("EV-IAM", ("readers_as_declared",), "no_access_log"),),
    "LOGGING": (Rule("EV-IAM", ("access_volume_usual",), "no_access_log"),),
    "PSEUDO": (Rule("EV-PII", ("direct_identifiers_absent",), "no_data_set"),),
    "DATA-MIN": (Rule("EV-PII", ("personal_data_declared",), "no_data_set"),),
    "CONSENT": (Rule("EV-PERMIT", ("contact_permission_held_for_audience",), "no_model"),),
    "OBJECTION": (Rule("EV-SUPPRESS", ("suppression_respected_in_time",), "no_model"),),
    "ERASURE": (Rule("EV-ERASE", ("erased_subjects_absent",), "no_data_set"),),
    "RETENTION": (Rule("EV-RETAIN", ("retention_kept",), "no_data_set"),),
    "SEPARATION": (Rule("EV-PURPOSE", ("purposes_compatible",), "no_model"),),
    "NOTICE": (Rule("EV-NOTICE", why="no_published_copy"),),
    "AI-DISCLOSURE": (Rule("EV-DISCLOSURE", ("ai_disclosed_in_first_turn",), "no_model"),),
    "OVERSIGHT": (Rule("EV-HUMAN", ("decisions_reviewed_by_people",), "no_model"),),
    "BIAS": (Rule("EV-BIAS", ("selection_rate_parity_held",), "no_model"),),
    "MONITOR": (Rule("EV-DRIFT", ("feature_distribution_stable",), "no_model"),),
    "DATA-QUALITY": (Rule("EV-DQ", ("training_data_meets_suite",), "no_data_set"),),
    "POISONING": (Rule("EV-POISON", ("training_labels_free_of_flips",), "no_data_set"),),
    "ADVERSARIAL": (Rule("EV-ADV", ("predictions_robust_to_noise",), "no_model"),),
    "LEAKAGE": (Rule("EV-LEAK", ("membership_inference_bounded",), "no_model"),),
    "ARTIFACT-SCAN": (Rule("EV-SCAN", ("artefact_as_approved",), "no_model"),),
    "VULN-SCAN": (Rule("EV-SCAN", ("dependencies_free_of_known_vulnerabilities",), "no_model"),),
    "DSR": (Rule("EV-CLOCK", ("request_ages_in_time",), "no_request_log"),),
    "BREACH": (Rule("EV-CLOCK", why="no_clock"),),
    "BACKUP": (Rule("EV-BACKUP", why="no_backup_view"),),
    "PROCESSORS": (Rule("EV-CONTRACT", why="no_contract"),),
    "TRANSFERS": (Rule("EV-REGION", ("access_regions_as_declared",), "no_object_store"),),
}
"""Control of a declared measure to the rules that test it; others rest on dated statements."""

STATEMENT = Rule("EV-ATTEST", why="no_statement")
"""The rule for measures that no machine can probe."""


def rules_of(field: RecordField | str) -> tuple[Rule, ...]:
    """The rules that speak about a field.

    Args:
        field: The field, or its id.

    Returns:
        Rules; the first one is the one without which the field is never confirmed. Empty for
        fields that are declared only.
    """
    name = field if isinstance(field, str) else field.id
    part, _, rest = name.partition("/")
    if part == "toms":
        control = rest.partition("/")[0]
        return BY_CONTROL.get(control, (STATEMENT,)) if control else ()
    return _RECORD.get(part) or _DOSSIER.get(part) or ()


def all_rules() -> dict[str, tuple[str, ...]]:
    """Every rule id and the checks that serve it somewhere, for the coverage page."""
    found: dict[str, set[str]] = {}
    for table in (_RECORD, _DOSSIER, BY_CONTROL):
        for rules in table.values():
            for rule in rules:
                found.setdefault(rule.id, set()).update(rule.checks)
    found.setdefault(STATEMENT.id, set())
    return {key: tuple(sorted(checks)) for key, checks in sorted(found.items())}


# -------------------------------------------------------------------------------------- pairs

_MOST_PAIRS = 12


def pairs_of(
    findings: Iterable[Finding], field: RecordField, activity: str = ""
) -> tuple[Pair, ...]:
    """What was declared and what was observed, from the measurements of findings.

    Args:
        findings: Findings that speak about the field.
        field: The field.
        activity: Id of the record's activity; empty for a dossier.

    Returns:
        Pairs that differ first; nothing but counts, rates, months and names of columns' groups.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    for finding in findings:
        for measurement in finding.measurements:
            if not about(measurement, field, activity):
                continue
            pair = _pair(measurement, field)
            if pair is not None:
                key = (f"{finding.check}/{finding.subject}", pair.what)
                pairs.setdefault(key, pair)
    found = sorted(pairs.values(), key=lambda pair: pair.agrees is not False)
    return tuple(found[:_MOST_PAIRS])


def about(measurement: Measurement, field: RecordField, activity: str = "") -> bool:
    """Whether a measurement is about this field: numbers of another retention rule are not."""
    part, _, key = field.id.partition("/")
    if part != "retention" or not measurement.group or measurement.group.count("/") < 2:
        return True
    of, rule, _ = measurement.group.split("/", 2)
    # Two activities may each have a rule of the same name for one data set.
    return rule == key and activity in {"", of}


def _pair(measurement: Measurement, field: RecordField) -> Pair | None:
    group = measurement.group or ""
    name = measurement.name.replace("_", " ")
    what = f"{name} [{group}]" if group and field.id.partition("/")[0] != "retention" else name
    limit, declared = measurement.threshold, None
    if measurement.name == "oldest_age" and isinstance(field.value, Mapping):
        period = [str(field.value[key]) for key in ("period", "grace") if field.value.get(key)]
        declared = " + ".join(part for part in period if part != "P0D")
    elif limit is not None:
        bound = limit.value
        whole = isinstance(bound, float) and bound == int(bound)
        declared = f"{limit.operator} {int(bound) if whole else bound}"
    if declared is None:
        return None
    return Pair(
        what=what,
        declared=declared,
        observed=measurement.value,
        unit=measurement.unit,
        agrees=keeps(measurement) if limit is not None else None,
    )


def keeps(measurement: Measurement) -> bool | None:
    """Whether a number keeps its limit; None where there is none or it cannot be told."""
    limit, value = measurement.threshold, measurement.value
    if limit is None or value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower() == str(limit.value).lower()
    if isinstance(value, str):
        # A small count is published as a range above zero.
        if limit.operator == "==" and value == "1-9":
            return str(limit.value) not in {"0", "0.0"}
        return None
    try:
        bound = float(limit.value)
    except ValueError:
        return None
    return {
        "<=": value <= bound,
        "<": value < bound,
        ">=": value >= bound,
        ">": value > bound,
        "==": value == bound,
        "!=": value != bound,
    }[limit.operator]


def narrowed(finding: Finding, field: RecordField, activity: str = "") -> Outcome:
    """A finding's outcome as far as it is about this field.

    A finding covers all retention rules of a data set; only those that are exceeded are
    contradicted by it. One of whose rows none has a date was not looked at: none of its rows is
    known to lie beyond the period, and none within.
    """
    part, _, _ = field.id.partition("/")
    if part != "retention" or finding.outcome is not Outcome.FAIL:
        return finding.outcome
    own = [item for item in finding.measurements if item.group and about(item, field, activity)]
    beyond = [item for item in own if item.name == "rows_beyond_period"]
    if not beyond or not all(keeps(item) for item in beyond):
        return finding.outcome
    dated = {item.group for item in own if item.name == "oldest_age" and item.value is not None}
    return Outcome.PASS if {item.group for item in beyond} <= dated else Outcome.NOT_AVAILABLE


def untested(rule: Rule, why: str = "") -> Comparison:
    """A rule that nothing observed tonight, and why."""
    return Comparison(rule=rule.id, verdict=Verdict.NOT_TESTED, reason=why or rule.why)


def told(comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """Declared and observed in one line each, for formats with one cell."""
    pairs = [pair for item in comparisons for pair in item.pairs if pair.agrees is not True]
    if not any(item.verdict is Verdict.CONTRADICTED for item in comparisons):
        # Beside a deviation, numbers that agree would be read as what deviates.
        pairs = pairs or [pair for item in comparisons for pair in item.pairs]

    def line(name: str) -> str:
        return "; ".join(
            f"{pair.what}: {_shown(getattr(pair, name))}{f' {pair.unit}' if pair.unit else ''}"
            for pair in pairs[:_MOST_PAIRS]
        )

    return line("declared"), line("observed")


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
