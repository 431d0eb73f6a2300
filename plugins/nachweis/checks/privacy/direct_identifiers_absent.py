"""Direct identifiers in data that are declared to be pseudonymised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.privacy._examples import table
from nachweis.checks.privacy._texts import (
    LEVEL,
    kinds_of,
    measurements,
    named,
    scan,
    seen,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import ColumnType
from nachweis.domain.observation import Observations, Request

_KEYS = [f"K{i:05d}" for i in range(60)]
_PSEUDONYMISED: Mapping[str, Any] = {"identifiability": "pseudonymised"}
_CATEGORY = {
    "data_categories": [
        {"id": "customer-number", "text": {"en": "Customer number"}, "pseudonymised": True}
    ]
}


class DirectIdentifiersAbsent(Check):
    """Do data that are declared as pseudonymised hold no direct identifiers?

    Why: Data are pseudonymised only while nobody can be named without further information that is
        kept apart (Art. 4(5) GDPR). An e-mail address beside a key undoes that.
    Method: Columns declared as ``direct_identifier``, and values of each text column in which an
        e-mail, phone, IBAN, payment card, CPR, German tax id or IP address is found, with check
        digits, dates and numbering plans proved; free texts are left to
        dialogues_free_of_identifiers. Where the data set as a whole is not declared as
        pseudonymised, only columns of categories that are. Numbers: columns and rows, 0 or more,
        must all be 0. A bare number counts only beyond chance (exact binomial test at ``level``).
        Undefined without rows. Sources: Art. 4(5) GDPR; ISO 13616, ISO/IEC 7812-1, ISO 7064.
    Leaves out: Names, postal addresses and identifiers without a form of their own. Whether the key
        is kept apart and by whom. Columns of numbers.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("PSEUDO",)
    needs = (Needs.COLUMNS, Needs.PSEUDONYMISED)
    params = (LEVEL,)
    remediation = (
        "Remove the column, or replace its values by keys whose table is kept elsewhere. If the "
        "data have to name people, declare 'identifiability: identified' and protect them so."
    )
    examples = (
        Example("keys only", Outcome.PASS, {"rows": table({"key": _KEYS}, **_PSEUDONYMISED)}),
        Example(
            "an address among the keys",
            Outcome.FAIL,
            {"rows": table({"key": [*_KEYS, "a.b@example.org"]}, **_PSEUDONYMISED)},
        ),
        Example(
            "a category that is declared as pseudonymised holds phone numbers",
            Outcome.FAIL,
            {
                "rows": table(
                    {"key": [*_KEYS, "+49 171 2345678"], "note": ["a"] * 61},
                    columns={"key": {"category": "customer-number"}},
                )
            },
            model={"data": {"training": ["rows"]}},
            activity=_CATEGORY,
        ),
        Example(
            "a column declared as a direct identifier",
            Outcome.FAIL,
            {
                "rows": table(
                    {"name": _KEYS}, columns={"name": {"direct_identifier": True}}, **_PSEUDONYMISED
                )
            },
        ),
        Example(
            "not declared as pseudonymised", Outcome.NOT_AVAILABLE, {"rows": table({"k": [1]})}
        ),
        Example("no rows", Outcome.NOT_AVAILABLE, {"rows": table({"key": []}, **_PSEUDONYMISED)}),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One scan per text column in question."""
        source = inputs.rows_in_question
        return [scan(inputs, inputs.data_set, source, name) for name in _scanned(inputs)]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set: columns that hold identifiers are named."""
        declared = [c.name for c in inputs.data_set.columns if c.direct_identifier]
        in_question = _in_question(inputs)
        declared = [name for name in declared if name in in_question]
        found: list[Measurement] = []
        holding: list[str] = []
        rows = unproved = 0
        for name in _scanned(inputs):
            counts = observations[f"texts:{name}"]
            n = sum(counts.rows.values())
            rows, unproved = rows + n, unproved + counts.unproved
            kinds = seen(counts, kinds_of(inputs.data_set), inputs.param("level"))
            told = [one for one in kinds if one.told]
            if told:
                holding.append(f"{name} ({named(one.kind for one in told)})")
                found += [m.model_copy(update={"group": name}) for m in measurements(told, n)]
        limit = Threshold(value=0, operator="==", source="Art. 4(5) GDPR")
        numbers = [
            Measurement(name="columns_declared_as_direct", value=len(declared), threshold=limit),
            Measurement(name="columns_holding_identifiers", value=len(holding), threshold=limit),
            *found,
        ]
        if declared or holding:
            outcome = Outcome.FAIL
            explanation = f"Direct identifiers in: {', '.join([*declared, *holding])}."
        elif not rows:
            outcome, explanation = Outcome.NOT_AVAILABLE, "There is no value of a text column."
        elif unproved:
            outcome = Outcome.NOT_AVAILABLE
            explanation = (
                "More values have the form of an identifier than can be looked at closely."
            )
        else:
            outcome = Outcome.PASS
            explanation = "No direct identifier was found in the text columns in question."
        yield self.finding(inputs, outcome, explanation, measurements=numbers, scope=_scope(inputs))


def _in_question(inputs: Inputs) -> list[str]:
    if inputs.data_set.identifiability in {"pseudonymised", "anonymised"}:
        return [column.name for column in inputs.data_set.columns]
    return inputs.pseudonymised_columns


def _scanned(inputs: Inputs) -> list[str]:
    """Text columns in question; keyed hashes are hexadecimal and hold no other form."""
    key = inputs.data_set.subject_key
    hashed = key.column if key is not None and key.form != "plain" else None
    in_question = set(_in_question(inputs))
    return [
        column.name
        for column in inputs.data_set.columns
        if column.name in in_question
        and column.type is ColumnType.STRING
        and not column.free_text
        and not column.direct_identifier
        and column.name != hashed
    ]


def _scope(inputs: Inputs) -> str:
    rows = "rows of the night" if inputs.rows_in_question.window == "night" else "all rows"
    whole = inputs.data_set.identifiability in {"pseudonymised", "anonymised"}
    return f"{rows}, {'all columns' if whole else 'columns of pseudonymised categories'}"
