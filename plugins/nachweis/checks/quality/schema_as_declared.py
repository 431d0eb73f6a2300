"""Columns and types against the manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import Column, ColumnType, DataSet, DataSetRole
from nachweis.domain.observation import Observations, Request, SchemaOf

_IDENTIFIER = re.compile(r"(?!.*[0-9]{5})[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_WIDER = {
    ColumnType.NUMBER: {ColumnType.INTEGER},
    ColumnType.TIMESTAMP: {ColumnType.DATE},
}
"""Declared type to narrower types that hold no surprise for a reader of the wider one."""

_COLUMNS = [{"name": "age", "type": "integer"}, {"name": "region", "type": "string"}]


def _table(rows: Mapping[str, list[object]], **declare: object) -> dict[str, ExampleTable]:
    return {"training": ExampleTable(DataSetRole.TRAINING, rows, declare)}


class SchemaAsDeclared(Check):
    """Does the data set have the columns and types its manifest declares?

    Why: The record says which categories of personal data are processed; a column nobody declared
        is processing nobody recorded (Art. 5(1)(c), 30(1)(c) GDPR), and a renamed or retyped
        column silently changes what a model reads.
    Method: The engine's column names and types are compared with the manifest: declared columns
        that are missing (unless ``required: false``), columns of another type (an integer may
        stand where a number is declared, a date where a timestamp is), columns nobody declared
        (unless ``additional_columns: allowed``). Counts of columns, 0 or more, must all be 0. A
        missing and an undeclared column of the same type are called renamed if their names are
        similar. A data set that cannot be read is not as declared either. Source: this project.
    Leaves out: The content of columns, their order, and whether the declared category is right.
        Only the night's rows of data sets that grow by the night are looked at.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-QUALITY", "DATA-MIN")
    needs = (Needs.COLUMNS,)
    remediation = (
        "If the change was intended, declare it: name, type and category of personal data, and "
        "check whether the record still lists all categories. Otherwise correct the delivery."
    )
    examples = (
        Example("as declared", Outcome.PASS, _table({"age": [40], "region": ["north"]})),
        Example(
            "a column that nobody declared",
            Outcome.FAIL,
            _table({"age": [40], "region": ["north"], "religion": ["x"]}, columns=_COLUMNS),
        ),
        Example(
            "a column is gone",
            Outcome.FAIL,
            _table({"age": [40]}, columns=_COLUMNS),
        ),
        Example(
            "a number became text",
            Outcome.FAIL,
            _table({"age": ["forty"], "region": ["north"]}, columns=_COLUMNS),
        ),
        Example("no columns declared", Outcome.NOT_AVAILABLE, _table({"age": [40]}, columns=[])),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Ask for names and types."""
        yield SchemaOf("schema", inputs.rows_in_question)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the whole data set."""
        seen = observations.get("schema")
        if seen is None:
            reason = "; ".join(reason for _, reason in observations.missing())
            # A store or an engine that failed says nothing about the data set.
            outcome = Outcome.NOT_AVAILABLE if observations.retriable() else Outcome.FAIL
            yield self.finding(inputs, outcome, f"The data set cannot be read: {reason}")
            return
        facts = observations.window(inputs.rows_in_question)
        if inputs.rows_in_question.window == "night" and facts is not None and facts.rows == 0:
            yield self.finding(
                inputs, Outcome.NOT_AVAILABLE, "There are no rows of this night to look at."
            )
            return
        difference = _Difference(inputs.data_set, seen)
        yield self.finding(
            inputs,
            Outcome.PASS if difference.empty else Outcome.FAIL,
            difference.explanation(),
            measurements=difference.measurements(),
            severity=Severity.MEDIUM if difference.only_undeclared else self.severity,
            scope=f"{len(seen)} columns, window {inputs.rows_in_question.window}",
        )


class _Difference:
    """Declared columns against seen ones."""

    def __init__(self, data_set: DataSet, seen: Mapping[str, str]) -> None:
        declared = {column.name: column for column in data_set.columns}
        missing = [c for c in declared.values() if c.required and c.name not in seen]
        extra = [name for name in seen if name not in declared]
        self.renamed = _pairs(missing, {name: seen[name] for name in extra})
        self.missing = sorted(c.name for c in missing if c.name not in self.renamed)
        self.retyped = sorted(
            (name, declared[name].type.value, seen[name])
            for name in seen
            if name in declared and not _fits(declared[name].type, seen[name])
        )
        forbidden = data_set.additional_columns == "forbidden"
        unexplained = set(extra) - set(self.renamed.values())
        self.undeclared = sorted(unexplained) if forbidden else []

    @property
    def empty(self) -> bool:
        return not (self.missing or self.renamed or self.retyped or self.undeclared)

    @property
    def only_undeclared(self) -> bool:
        return bool(self.undeclared) and not (self.missing or self.renamed or self.retyped)

    def explanation(self) -> str:
        """What differs, naming columns only where their names look like names."""
        if self.empty:
            return "All declared columns are there with their types, and no others."
        parts = []
        if self.missing:
            parts.append(f"Missing: {_names(self.missing)}.")
        if self.renamed:
            pairs = [f"{_name(old)} now {_name(new)}" for old, new in sorted(self.renamed.items())]
            parts.append(f"Probably renamed: {', '.join(pairs)}.")
        if self.retyped:
            types = [f"{_name(n)} is {was}, declared {want}" for n, want, was in self.retyped]
            parts.append(f"Of another type: {', '.join(types)}.")
        if self.undeclared:
            parts.append(f"Not declared: {_names(self.undeclared)}.")
        return " ".join(parts)

    def measurements(self) -> list[Measurement]:
        """The four counts."""
        none = Threshold(value=0, operator="==", source="manifest of the data set")
        return [
            Measurement(name=name, value=len(found), unit="columns", threshold=none)
            for name, found in (
                ("missing", self.missing),
                ("renamed", self.renamed),
                ("retyped", self.retyped),
                ("undeclared", self.undeclared),
            )
        ]


def _fits(declared: ColumnType, seen: str) -> bool:
    return seen == declared.value or seen in {wider.value for wider in _WIDER.get(declared, ())}


def _pairs(missing: Iterable[Column], extra: Mapping[str, str]) -> dict[str, str]:
    """Missing columns and the undeclared column of fitting type whose name is most similar."""
    left = dict(extra)
    pairs: dict[str, str] = {}
    for column in missing:
        candidates = [
            (_similarity(column.name, name), name)
            for name, seen in left.items()
            if _fits(column.type, seen)
        ]
        score, name = max(candidates, default=(0.0, ""))
        if score >= 0.6:
            pairs[column.name] = name
            del left[name]
    return pairs


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one.casefold(), other.casefold()).ratio()


def _name(name: str) -> str:
    """A column's name if it looks like one; a data value in a header line is never printed."""
    return name if _IDENTIFIER.fullmatch(name) else "(a name that is no identifier)"


def _names(names: list[str], shown: int = 8) -> str:
    plain = [name for name in names if _IDENTIFIER.fullmatch(name)]
    parts = [", ".join(plain[:shown])] if plain else []
    if hidden := len(names) - min(len(plain), shown):
        parts.append(f"{hidden} more" if plain else f"{hidden} whose names are no identifiers")
    return " and ".join(parts)
