"""The reasons behind a claim that data are no personal data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nachweis.checks.privacy._examples import table
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.observation import Observations, Request, SchemaOf

_TEXT = {"en": "Tested on a copy; see the report."}
_DOSSIER: dict[str, Any] = {
    "singling_out": _TEXT,
    "linkability": _TEXT,
    "inference": _TEXT,
    "assessed_on": "2026-01-10",
    "valid_until": "2027-01-10",
    "role": "owner",
}
_CLAIM: dict[str, Any] = {"identifiability": "anonymised", "anonymity": _DOSSIER}
_ROWS: dict[str, list[Any]] = {"region": ["north"] * 20, "sales": [1.0] * 20}


class AnonymityDossierComplete(Check):
    """Is the claim that data are anonymised backed by a valid dossier that fits the data?

    Why: Data count as anonymised only if nobody can single out, link or infer with means that are
        reasonably likely to be used (recital 26 GDPR). The claim takes data out of every other
        protection, so it needs reasons that somebody answers for and renews.
    Method: For a data set declared as anonymised the dossier must give reasons for singling out,
        linkability and inference, must not have expired on the night, and must fit: no subject key,
        no direct identifier, and no column in the data that is not declared. Numbers: days left and
        contradictions, 0 or more, which must be 0. Undefined where the declared columns are not in
        the data. Source: recital 26 GDPR; WP 216 of the Article 29 Working Party; EDPB Opinion
        28/2024.
    Leaves out: Whether the reasons are right. Better attacks that nobody has tried yet.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("PSEUDO",)
    needs = (Needs.COLUMNS, Needs.IDENTIFIABILITY)
    remediation = (
        "Treat the data as personal until the dossier is renewed by the role that answers for it: "
        "declare 'identifiability: pseudonymised' and let the rules for personal data apply."
    )
    examples = (
        Example("a valid dossier", Outcome.PASS, {"rows": table(_ROWS, **_CLAIM)}),
        Example(
            "the dossier has expired",
            Outcome.FAIL,
            {
                "rows": table(
                    _ROWS, **{**_CLAIM, "anonymity": {**_DOSSIER, "valid_until": "2026-03-01"}}
                )
            },
        ),
        Example(
            "there is a key of persons",
            Outcome.FAIL,
            {
                "rows": table(
                    {**_ROWS, "person": ["p"] * 20}, **_CLAIM, subject_key={"column": "person"}
                )
            },
        ),
        Example(
            "no dossier",
            Outcome.NOT_AVAILABLE,
            {"rows": table(_ROWS, identifiability="anonymised")},
        ),
        Example("nothing is claimed", Outcome.NOT_AVAILABLE, {"rows": table(_ROWS)}),
        Example(
            "declared as pseudonymised",
            Outcome.NOT_APPLICABLE,
            {"rows": table(_ROWS, identifiability="pseudonymised")},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Columns of the data, where the claim is made."""
        if _claimed(inputs):
            yield SchemaOf("schema", inputs.rows_in_question)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set."""
        data_set, dossier = inputs.data_set, inputs.data_set.anonymity
        if not _claimed(inputs):
            yield self.finding(
                inputs,
                Outcome.NOT_APPLICABLE,
                "By its declaration the data set holds personal data; nothing else is claimed.",
                severity=Severity.INFO,
            )
            return
        if dossier is None:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "The claim has no dossier.",
                declare="'anonymity' of the data set: singling_out, linkability, inference, "
                "assessed_on, valid_until, role",
            )
            return
        schema = observations["schema"]
        if absent := [c.name for c in data_set.columns if c.name not in schema]:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"The dossier speaks of columns that are not in the data: {', '.join(absent)}.",
            )
            return
        contradictions = [
            *(["a subject key"] if data_set.subject_key else []),
            *(f"direct identifier {c.name}" for c in data_set.columns if c.direct_identifier),
            *(f"undeclared column {name}" for name in schema if data_set.column(name) is None),
        ]
        left = (dossier.valid_until - inputs.night.date).days
        if left < 0:
            contradictions.append("an expired dossier")
        yield self.finding(
            inputs,
            Outcome.FAIL if contradictions else Outcome.PASS,
            f"The claim is contradicted by: {', '.join(contradictions)}."
            if contradictions
            else "A valid dossier gives reasons for all three criteria, and the columns fit it.",
            measurements=[
                Measurement(
                    name="days_left",
                    value=left,
                    unit="days",
                    threshold=Threshold(
                        value=0, operator=">=", source="valid_until of the dossier"
                    ),
                ),
                Measurement(
                    name="contradictions",
                    value=len(contradictions),
                    unit="contradictions",
                    threshold=Threshold(value=0, operator="==", source="recital 26 GDPR"),
                ),
            ],
            scope="declarations and columns",
        )


def _claimed(inputs: Inputs) -> bool:
    return inputs.data_set.identifiability == "anonymised"
