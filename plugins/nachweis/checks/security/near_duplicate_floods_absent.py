"""Rows that repeat, up to small changes, more often than is plausible."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import xor
from typing import Any

from nachweis.checks.security._common import customers, features_of, training
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.manifest.dataset import Column, ColumnType
from nachweis.domain.observation import (
    Expression,
    GroupedCounts,
    Observations,
    Request,
    Scalar,
    Source,
)
from nachweis.engines.hashes import hashed
from nachweis.engines.intervals import wilson_interval

_NO_STEP = 1_000_000  # beyond every step of a finite number
_GRID = 20.0
_Z_999 = 3.090232306167813


def _flooded(copies: int) -> dict[str, ExampleTable]:
    rows = customers(400, seed=3)
    rows["income"] = [1000.0 + 7.3 * i for i in range(400)]
    rows["age"] = [18 + (i * 7) % 60 for i in range(400)]
    for i in range(copies):
        for name, value in (
            ("visits", 3), ("spend", 50.0 + i / 100), ("device", "phone"), ("age", 30),
            ("income", 2000.0 + i / 10),
        ):  # fmt: skip
            rows[name][i] = value
    return training(rows)


class NearDuplicateFloodsAbsent(Check):
    """Are the training data free of floods of nearly the same row?

    Why: The cheapest way to bend a model is to hand in the same case again and again, changed a
        little so that no duplicate is found (ATLAS AML.T0020, AML.T0059).
    Method: Features are laid on a coarse grid in the engine: numbers in logarithmic steps of about
        5 %, free texts without digits and case. Share of rows (0 to 1) whose whole vector of cells
        occurs at least ``min_repeats`` times. It fails if the 99.9 % lower Wilson limit exceeds
        ``max_share``. Undefined with fewer than 200 rows, fewer than three features, or where fewer
        than half of the rows have a vector of their own: the features are then too coarse and rows
        repeat naturally. Source: this project; Wilson (1927).
    Leaves out: Copies that differ by more than a cell of the grid. Who contributed them.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset({DataSetRole.TRAINING})
    controls = ("POISONING",)
    carries_over = True
    needs = (Needs.TRAINING_FEATURES,)
    params = (
        Param(
            "min_repeats",
            20,
            "rows",
            "design default of this project",
            "Rows with the same vector from which they count as a flood.",
            minimum=5,
        ),
        Param(
            "max_share",
            0.01,
            "share of rows",
            "design default of this project",
            "Share of rows in floods that is still borne.",
            minimum=0.001,
            maximum=0.5,
        ),
    )
    remediation = (
        "Group the rows by their rounded features, look at the largest groups and find out where "
        "they come from. Keep one row of each, or weight them, before training."
    )
    examples = (
        Example("rows of their own", Outcome.PASS, _flooded(0)),
        Example("sixty rows that are nearly the same", Outcome.FAIL, _flooded(60)),
        Example(
            "two coarse features", Outcome.NOT_AVAILABLE,
            training({"a": [0, 1] * 150, "b": [1, 0, 1] * 100, "bought": [0, 1] * 150}),
        ),
        Example("too few rows", Outcome.NOT_AVAILABLE, training(customers(30))),
    )  # fmt: skip

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Frequent vectors, and how many different ones there are."""
        columns = _columns(inputs)
        if len(columns) < 3:
            return
        source, cell = Source(inputs.data_set.id, "whole"), _cell(columns)
        yield Scalar("rows", source, lambda table: table.count())
        yield GroupedCounts("floods", source, {"cell": cell}, at_least=inputs.param("min_repeats"))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the data set."""
        if len(_columns(inputs)) < 3:
            text = "Fewer than three features are declared: rows repeat naturally."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text)
            return
        n, floods = observations["rows"], observations["floods"]
        if n < 200:
            text = "There are fewer than 200 rows."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text)
            return
        inside, groups = floods.n, len(floods.rows)
        low, high = wilson_interval(inside, n, _Z_999)
        limit = inputs.param("max_share")
        measured = [
            Measurement(
                name="share_in_floods",
                value=inside / n,
                unit="share",
                threshold=inputs.threshold("max_share", "<="),
                n=n,
                interval=(low, high),
                interval_level=0.998,
                recipe=f"same cell of a grid of about 5 %, {inputs.param('min_repeats')} or more",
            ),
            Measurement(name="floods", value=groups, unit="groups"),
        ]
        # Rows in floods share one vector each; what is left shows how coarse the features are.
        rest, own = n - inside, floods.left_out or 0
        if rest <= 0 or own / rest < 0.5:
            outcome = Outcome.NOT_AVAILABLE
            text = "The features are too coarse: rows repeat naturally."
        elif low > limit:
            outcome = Outcome.FAIL
            text = f"Nearly the same rows come in {groups} floods."
        else:
            outcome = Outcome.PASS
            text = "Hardly any row repeats, up to small changes, as often as a flood would."
        yield self.finding(inputs, outcome, text, measurements=measured, scope="all rows")


def _columns(inputs: Inputs) -> list[Column]:
    """Features that can be laid on the grid."""
    names = set(features_of(inputs))
    unfit = {ColumnType.NESTED, ColumnType.BINARY}
    return [c for c in inputs.data_set.columns if c.name in names and c.type not in unfit]


def _cell(columns: list[Column]) -> Expression:
    """One number per vector of cells; values never leave the engine."""

    def expression(table: Any) -> Any:
        parts = []
        for place, column in enumerate(columns):
            value = table[column.name]
            if column.type in {ColumnType.INTEGER, ColumnType.NUMBER} and value.type().is_numeric():
                number = value.cast("float64")
                number = (number.isnan() | number.isinf()).ifelse(None, number)
                step = (number.sign() * (number.abs() + 1).ln() * _GRID).round().cast("int64")
                # The column's place is part of what is hashed: equal cells never cancel out.
                parts.append(hashed(step.fill_null(_NO_STEP) * len(columns) + place))
            else:
                text = value.cast("string")
                if column.free_text:
                    text = text.lower().re_replace(r"[0-9]+", "#")
                parts.append(hashed(f"{place}=" + text.fill_null("-")))
        return reduce(xor, parts)

    return expression
