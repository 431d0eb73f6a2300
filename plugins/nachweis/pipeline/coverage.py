"""``docs/coverage.md``: each item the law lists, its field, and what can confirm or contradict it.

``python -m nachweis.pipeline.coverage`` writes it; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nachweis.pipeline.comparisons import all_rules, rules_of
from nachweis.settings import PACKAGE_ROOT

PATH = PACKAGE_ROOT / "docs" / "coverage.md"

Item = tuple[str, str, tuple[str, ...]]
"""Place in the law, what it asks for, first parts of the fields that answer it."""

_MEASURES = ("toms/ENC-REST", "toms/ACCESS", "toms/MFA")

RECORD: Sequence[Item] = (
    ("30(1)(a)", "Controller, joint controllers, representative, DPO", ("parties",)),
    ("30(1)(b)", "Purposes", ("purposes",)),
    ("30(1)(c)", "Categories of data subjects", ("data_subjects",)),
    ("30(1)(c)", "Categories of personal data", ("data_categories", "special_categories")),
    ("30(1)(d)", "Categories of recipients", ("recipients",)),
    ("30(1)(e)", "Transfers and safeguards", ("transfers",)),
    ("30(1)(f)", "Time limits for erasure", ("retention",)),
    ("30(1)(g)", "Technical and organisational measures", _MEASURES),
    ("30(2)(a)", "Processor, clients, representatives, DPOs", ("parties", "clients")),
    ("30(2)(b)", "Categories of processing per client", ("processing_for",)),
    ("30(2)(c)", "Transfers", ("transfers",)),
    ("30(2)(d)", "Technical and organisational measures", _MEASURES),
)  # fmt: skip

DOSSIER: Sequence[Item] = (
    ("1(a)", "Intended purpose, versions", ("intended_purpose", "served_versions")),
    ("1(b)", "Interaction with other systems", ("interfaces",)),
    ("1(c)", "Software versions", ("lineage",)),
    ("1(d)", "Forms of supply", ("delivery",)),
    ("1(e)", "Hardware", ("hardware",)),
    ("1(f)", "Photographs of products", ("photographs",)),
    ("1(g)", "User interface", ("user_interface",)),
    ("1(h)", "Instructions for use", ("instructions_for_use",)),
    ("2(a)", "Development, pre-trained parts, tools", ("lineage",)),
    ("2(b)", "Logic, choices, trade-offs", ("logic", "design")),
    ("2(c)", "Architecture", ("interfaces",)),
    ("2(d)", "Data sheets, provenance", ("data", "trained_on")),
    ("2(e)", "Human oversight", ("oversight", "decision")),
    ("2(f)", "Pre-determined changes", ("retrain_policy",)),
    ("2(g)", "Validation and testing", ("metrics", "group_comparison", "robustness")),
    ("2(h)", "Cybersecurity", ("robustness",)),
    ("3", "Limits, accuracy per group, input", ("limits", "features", "group_comparison")),
    ("4", "Appropriateness of metrics", ("metrics",)),
    ("5", "Risk management", ("risks",)),
    ("6", "Changes over the lifecycle", ("changes",)),
    ("7", "Standards", ("standards",)),
    ("8", "EU declaration of conformity", ("conformity",)),
    ("9", "Monitoring after placing on the market", ("monitoring_plan",)),
)  # fmt: skip

NOTICE: Sequence[Item] = (
    ("13(1)(a), 14(1)(a)", "Controller, representative", ("parties",)),
    ("13(1)(b), 14(1)(b)", "DPO", ("parties",)),
    ("13(1)(c), 14(1)(c)", "Purposes and legal basis", ("purposes", "legal_basis")),
    ("14(1)(d)", "Categories of data", ("data_categories",)),
    ("13(1)(d), 14(2)(b)", "Legitimate interests", ("legal_basis",)),
    ("13(1)(e), 14(1)(e)", "Recipients", ("recipients",)),
    ("13(1)(f), 14(1)(f)", "Transfers", ("transfers",)),
    ("13(2)(a), 14(2)(a)", "Storage period", ("retention",)),
    ("13(2)(b), 14(2)(c)", "Rights", ("rights",)),
    ("13(2)(c), 14(2)(d)", "Withdrawal of consent", ("rights",)),
    ("13(2)(d), 14(2)(e)", "Complaint", ("parties",)),
    ("13(2)(e)", "Whether data must be provided", ("provision",)),
    ("14(2)(f)", "Source", ("source",)),
    ("13(2)(f), 14(2)(g), 15(1)(h)", "Automated decisions, logic", ("automated_decisions",)),
    ("21(4)", "Right to object, apart", ("notice",)),
    ("AI Act 50(1)", "Interaction with an AI system", ("ai_disclosure", "ai_act")),
)  # fmt: skip


def _rows(items: Sequence[Item]) -> Iterator[str]:
    yield "| Place | Item | Field | What can confirm or contradict it |"
    yield "|---|---|---|---|"
    for place, item, fields in items:
        if not fields:
            yield f"| {place} | {item} | – | no field of its own |"
        for field in fields:
            rules = rules_of(f"{field}/x" if "/" not in field else field)
            said = "; ".join(f"{rule.id}: {_observed_by(rule.id, rule.checks)}" for rule in rules)
            yield f"| {place} | {item} | `{field}` | {said or 'declared only'} |"


_BESIDE = {
    "EV-ATTEST": "time-limited statement and its end; never confirms",
    "EV-BACKUP": "nothing yet",
    "EV-CLOCK": "nothing yet",
    "EV-CONTRACT": "declared end of the contract by the calendar; never confirms",
    "EV-EGRESS": "nothing: no view of network traffic",
    "EV-NOTICE": "copy of the published text (`notice.copies`)",
    "EV-PII": "nothing for this field",
    "EV-REGION": "region and replication of the buckets, as the store states them",
    "EV-STORE": "settings of the buckets, as the store states them",
}
"""What observes a rule that no check serves."""


def _observed_by(rule: str, checks: Sequence[str]) -> str:
    """Checks of a rule, and what else observes it."""
    said = [f"`{check}`" for check in checks]
    if not checks or rule == "EV-REGION":
        said.append(_BESIDE[rule])
    return ", ".join(said)


def render() -> str:
    """The page."""
    lines = [
        "# Coverage",
        "",
        "Generated by `python -m nachweis.pipeline.coverage`; do not edit.",
        "",
        "Which field answers each item that the law lists, and which evidence can confirm or",
        "contradict it. A field that says *declared only* is never green. The first rule of a",
        "field is the one without which it is not confirmed.",
        "",
        "## Record (Art. 30 GDPR)",
        "",
        *_rows(RECORD),
        "",
        "Measures (letter g) have a rule per control; those of the controls shown are examples:",
        "a control without a probe rests on a time-limited statement.",
        "",
        "## Dossier (Annex IV AI Act, used as good practice)",
        "",
        *_rows(DOSSIER),
        "",
        "## Notice (Art. 13 and 14 GDPR, Art. 50 AI Act)",
        "",
        *_rows(NOTICE),
        "",
        "## Rules",
        "",
        "| Rule | Checks |",
        "|---|---|",
        *(f"| {rule} | {_observed_by(rule, checks)} |" for rule, checks in all_rules().items()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
