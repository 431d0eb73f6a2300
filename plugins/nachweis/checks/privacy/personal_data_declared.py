"""Classification of columns, compared with what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.privacy._examples import PLAIN, table
from nachweis.checks.privacy._texts import LEVEL, kinds_of, named, scan, seen
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import Column, ColumnType, FieldRole
from nachweis.domain.observation import (
    Expression,
    Observations,
    Request,
    Scalar,
    SchemaOf,
    TextCounts,
)

_CLASSIFIED: Mapping[str, Mapping[str, Any]] = {
    "key": {"category": "customer-number"},
    "colour": {"personal": False},
}
_ROWS = {"key": [f"K{i}" for i in range(40)], "colour": ["red", "green"] * 20}
_LEVEL = float(LEVEL.default)
_ADDRESSES = [f"person{i}@example.com" for i in range(40)]
_LETTERS = [f"{text} Regards, number {i}" for i, text in enumerate(PLAIN * 20)]


class PersonalDataDeclared(Check):
    """Is every column classified, and does none hold personal data that nobody declared?

    Why: The record names categories of personal data (Art. 30(1)(c) GDPR). A column that nobody
        classified is missing there and in every rule about retention, access and erasure.
    Method: A column is classified if it has a data category, is declared ``personal: false``, or
        places the row in time or names the model version. Text columns without a category are
        scanned: the share of their values that hold a proved e-mail, phone, IBAN, card, CPR, tax id
        or IP address, 0 to 1, against ``max_share``; columns that are neither classified nor
        declared as free text: the share of values of at least ``words`` words, against
        ``max_free_text``. Undefined without rows; what is unclassified is not available until it
        is classified; columns that are in the data and not declared at all count as unclassified.
        Source: Art. 30(1)(c) GDPR; limits are design defaults.
    Leaves out: Whether a category is the right one. Numbers, names and codes that identify without
        a form of their own.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-MIN", "INVENTORY")
    needs = (Needs.COLUMNS,)
    params = (
        Param(
            "max_share",
            0.05,
            "share",
            "design default of this project",
            "Largest share of values with an identifier in a column without a category.",
            minimum=0,
            maximum=1,
        ),
        Param(
            "max_free_text",
            0.5,
            "share",
            "design default of this project",
            "Largest share of values of many words in a column that is not declared as free text.",
            minimum=0,
            maximum=1,
        ),
        Param(
            "words",
            5,
            "words",
            "design default of this project",
            "A value of at least so many words counts as a text.",
            minimum=2,
        ),
    )
    remediation = (
        "Give the column the data category of the activity it belongs to, with 'free_text' or "
        "'direct_identifier' where that is so; if nobody needs it, remove it from the data. "
        "Columns that say nothing about a person get 'personal: false'."
    )
    examples = (
        Example("all classified", Outcome.PASS, {"rows": table(_ROWS, columns=_CLASSIFIED)}),
        Example(
            "addresses in a column declared as not personal",
            Outcome.FAIL,
            {
                "rows": table(
                    {**_ROWS, "contact": _ADDRESSES},
                    columns={**_CLASSIFIED, "contact": {"personal": False}},
                )
            },
        ),
        Example(
            "letters in a column that is not classified",
            Outcome.FAIL,
            {"rows": table({"note": _LETTERS}, columns={})},
        ),
        Example(
            "a column that is not classified",
            Outcome.NOT_AVAILABLE,
            {"rows": table(_ROWS, columns={"key": _CLASSIFIED["key"]})},
        ),
        Example("no rows", Outcome.NOT_AVAILABLE, {"rows": table({"x": []}, columns={})}),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Scans of text columns without a category, and how many of their values are long."""
        source = inputs.rows_in_question
        yield SchemaOf("schema", source)
        yield Scalar("rows", source, lambda table: table.count())
        for column in _scanned(inputs):
            yield scan(inputs, inputs.data_set, source, column.name)
            if column.personal is None:
                yield Scalar(f"long:{column.name}", source, _long(column.name, inputs))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set: columns are named."""
        rows = int(observations["rows"])
        if not rows:
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, "There are no rows to look at.")
            return
        holding, texts = [], []
        numbers: list[Measurement] = []
        for column in _scanned(inputs):
            counts: TextCounts = observations[f"texts:{column.name}"]
            n = sum(counts.rows.values())
            if not n:
                continue
            told = [one for one in seen(counts, kinds_of(inputs.data_set), _LEVEL) if one.told]
            share = min(1.0, sum(one.count.rows + one.count.possible for one in told) / n)
            if share > inputs.param("max_share"):
                holding.append(f"{column.name} ({named(one.kind for one in told)})")
            numbers.append(
                _share(
                    "share_with_identifiers", share, n, column, inputs.threshold("max_share", "<=")
                )
            )
            if column.personal is None:
                share = int(observations[f"long:{column.name}"] or 0) / n
                limit = inputs.threshold("max_free_text", "<=")
                numbers.append(_share("share_of_long_texts", share, n, column, limit))
                if share > inputs.param("max_free_text"):
                    texts.append(column.name)
        missing = [
            column.name for column in inputs.data_set.columns if not _classified(inputs, column)
        ]
        missing += [name for name in observations["schema"] if inputs.data_set.column(name) is None]
        numbers.insert(
            0,
            Measurement(
                name="columns_not_classified",
                value=len(missing),
                unit="columns",
                threshold=Threshold(value=0, operator="==", source="Art. 30(1)(c) GDPR"),
            ),
        )
        if holding or texts:
            parts = []
            if holding:
                parts.append(f"Identifiers in columns without a category: {', '.join(holding)}.")
            if texts:
                parts.append(f"Undeclared free text: {', '.join(texts)}.")
            outcome, explanation, declare = Outcome.FAIL, " ".join(parts), ""
        elif missing:
            outcome = Outcome.NOT_AVAILABLE
            explanation = f"{len(missing)} columns are not classified."
            declare = f"'category' or 'personal: false' for {', '.join(missing)}"
        else:
            outcome, declare = Outcome.PASS, ""
            explanation = "All columns are classified, and none holds more than was declared."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=numbers,
            declare=declare,
            scope=_scope(inputs),
        )


def _share(name: str, share: float, n: int, column: Column, limit: Threshold) -> Measurement:
    return Measurement(
        name=name, value=share, unit="share", n=n, group=column.name, threshold=limit
    )


def _classified(inputs: Inputs, column: Column) -> bool:
    return column.category is not None or column.personal is False or _technical(inputs, column)


def _technical(inputs: Inputs, column: Column) -> bool:
    data_set = inputs.data_set
    time = data_set.time.column if data_set.time else None
    return column.name in {time, data_set.field(FieldRole.MODEL_VERSION)}


def _scanned(inputs: Inputs) -> list[Column]:
    """Text columns without a category that are not declared as free text."""
    return [
        column
        for column in inputs.data_set.columns
        if column.type is ColumnType.STRING
        and column.category is None
        and not column.free_text
        and not _technical(inputs, column)
    ]


def _long(name: str, inputs: Inputs) -> Expression:
    pattern = rf"(?:\S+\s+){{{inputs.param('words') - 1}}}\S"
    return lambda table: table.count(where=table[name].cast("string").re_search(pattern))


def _scope(inputs: Inputs) -> str:
    return "rows of the night" if inputs.rows_in_question.window == "night" else "all rows"
