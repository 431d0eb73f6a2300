"""Rows that are there twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import Observations, Request, Scalar

_NIGHT = dt.datetime(2026, 3, 2, 5)


def _keyed(*keys: str | None) -> dict[str, ExampleTable]:
    rows: dict[str, list[Any]] = {"row_id": list(keys), "x": list(range(len(keys)))}
    columns = [{"name": "row_id", "type": "string"}, {"name": "x"}]
    declare = {"fields": {"key": "row_id"}, "columns": columns}
    return {"rows": ExampleTable(DataSetRole.TRAINING, rows, declare)}


def _timed(*rows: tuple[str, int]) -> dict[str, ExampleTable]:
    columns: dict[str, list[Any]] = {
        "customer": [customer for customer, _ in rows],
        "at": [_NIGHT + dt.timedelta(hours=hour) for _, hour in rows],
    }
    declare = {"subject_key": {"column": "customer"}, "time": {"column": "at"}}
    return {"rows": ExampleTable(DataSetRole.TRAINING, columns, declare)}


class DuplicatesAbsent(Check):
    """Is every row there only once?

    Why: A row that is there twice counts twice: a model learns it twice, a rate is computed from
        people who do not exist, and somebody may be contacted twice. A delivery that was loaded
        twice shows here first (Art. 5(1)(d) GDPR).
    Method: Duplicates = rows with an identity - distinct identities; share = duplicates / rows with
        an identity, 0 to 1. The identity is ``fields.key``, else ``subject_key`` and ``time``
        together. In order if the share is at most ``max_share``. Undefined where no row has an
        identity. Exact, computed by the engine. Source: this project.
    Leaves out: Rows that are the same under different keys; for training sets see the security
        checks. Rows that were delivered on an earlier night already.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-QUALITY",)
    needs = (Needs.ROW_IDENTITY,)
    data_set_roles = frozenset(
        {
            DataSetRole.SOURCE,
            DataSetRole.FEATURES,
            DataSetRole.TRAINING,
            DataSetRole.EVALUATION,
            DataSetRole.REFERENCE,
            DataSetRole.SCORING_LOG,
            DataSetRole.OUTCOMES,
            DataSetRole.REVIEWS,
            DataSetRole.DIALOGUES,
        }
    )
    params = (
        Param(
            "max_share",
            0.0,
            "share",
            "design default of this project: a key is a key",
            "Largest share of rows that may repeat the identity of another row.",
            minimum=0,
            maximum=1,
        ),
    )
    remediation = (
        "Find out whether a delivery was loaded twice or a join multiplied rows, and load it again "
        "without them. Results of this data set since then count these rows twice. If the declared "
        "key does not identify a row, declare the one that does."
    )
    examples = (
        Example("each key once", Outcome.PASS, _keyed("a", "b", "c", None)),
        Example("a key twice", Outcome.FAIL, _keyed("a", "b", "a")),
        Example("one person at two times", Outcome.PASS, _timed(("c1", 0), ("c1", 1), ("c2", 0))),
        Example("one person twice at one time", Outcome.FAIL, _timed(("c1", 0), ("c1", 0))),
        Example("no row has a key", Outcome.NOT_AVAILABLE, _keyed(None, None)),
        Example(
            "no key declared",
            Outcome.NOT_AVAILABLE,
            {"rows": ExampleTable(DataSetRole.TRAINING, {"x": [1, 1]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Rows and distinct identities, in the statement of all other aggregates."""
        source = inputs.rows_in_question
        columns = _identity(inputs)

        def identity(table: Any) -> Any:
            if len(columns) == 1:
                return table[columns[0]]
            # A text without a value is no value: rows without both parts have no identity. The
            # first part is counted, so that no two pairs give one text.
            first, second = (table[column].cast("string") for column in columns)
            return first.length().cast("string") + ":" + first + "|" + second

        yield Scalar("rows", source, lambda table: identity(table).count())
        yield Scalar("unnamed", source, lambda table: table.count(where=identity(table).isnull()))
        yield Scalar("distinct", source, lambda table: identity(table).nunique())

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the whole data set."""
        rows, distinct = int(observations["rows"]), int(observations["distinct"])
        identity = " and ".join(_identity(inputs))
        scope = f"{rows} rows by {identity}, window {inputs.rows_in_question.window}"
        if not rows:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"No row has a value in {identity}.",
                scope=f"window {inputs.rows_in_question.window}",
            )
            return
        twice = rows - distinct
        share = twice / rows
        failed = share > inputs.param("max_share")
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            f"{twice} rows repeat the identity ({identity}) of another row."
            if twice
            else f"No row repeats the identity ({identity}) of another row.",
            measurements=[
                Measurement(
                    name="duplicate_share",
                    value=share,
                    unit="share",
                    threshold=inputs.threshold("max_share", "<="),
                    n=rows,
                ),
                Measurement(name="duplicate_rows", value=twice, unit="rows", n=rows),
                Measurement(
                    name="rows_without_identity", value=int(observations["unnamed"]), unit="rows"
                ),
            ],
            scope=scope,
        )


def _identity(inputs: Inputs) -> tuple[str, ...]:
    """Columns that together identify a row."""
    data_set = inputs.data_set
    key = data_set.field("key")
    if key is not None:
        return (key,)
    if data_set.subject_key is None or data_set.time is None:
        return ()
    return data_set.subject_key.column, data_set.time.column
