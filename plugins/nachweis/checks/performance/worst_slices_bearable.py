"""Slices of people or cases for which a model is much worse than for the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nachweis.checks.performance._arrived import (
    LABEL,
    MIN_ARRIVED,
    arrived,
    arrived_measurement,
    counted,
    data_of,
    positive_outcome,
    positive_prediction,
    same,
    scope,
)
from nachweis.checks.performance._examples import MODEL, RECENT, late, scored
from nachweis.checks.performance._measured import undeclared
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ColumnType, DataSet, FieldRole, ModelKind
from nachweis.domain.observation import CountTable, Observations, Request
from nachweis.domain.rounded import coarse_comparison
from nachweis.engines.performance_keys import SEPARATOR, slice_key
from nachweis.engines.performance_slices import SliceGap, slice_gaps

_SHOWN = 10
_MOST_VALUES = 50

Sliced = tuple[str, str, tuple[float, ...]]
"""Shown name, column, inner edges of its bands."""


def _devices(wrong_on_tablets: bool) -> dict[str, list[Any]]:
    """Eight hundred rows on three devices; outcomes of tablets are turned round if so wanted."""
    rows = scored(800)
    device = [("phone", "desktop", "phone", "tablet")[i % 4] for i in range(800)]
    turned = [
        1 - one if wrong_on_tablets and device[i] == "tablet" else one
        for i, one in enumerate(rows["bought"])
    ]
    return {"p": list(rows["p"]), "offer": list(rows["offer"]), "bought": turned, "device": device}


_WITH_DEVICE = {**MODEL, "features": ["device"]}


class WorstSlicesBearable(Check):
    """Is there a part of the people or cases for which the model is much more often wrong?

    Why: A good average can hide a part in which the model hardly works; the people in it are
        decided about on inaccurate grounds (Art. 5(1)(a) and (d) GDPR).
    Method: Due rows are joined with outcomes as in realised_quality_held and cut by each declared
        feature that holds texts or truth values and each protected attribute in the log (numbers by
        their declared bands). Per slice with at least ``min_slice`` rows: share of right
        predictions minus that of all other rows (-1 to 1). A slice is beyond the limit if the whole
        Newcombe interval, all slices together at 95 % (Bonferroni), lies below minus ``max_gap``.
        Published are column names and the ordinal of the value in the order of its text, never the
        value. Undefined with fewer than two large slices of a column, or while too few outcomes
        have arrived. Source: Chung et al. 2019 (Slice Finder); the limits are design defaults.
    Leaves out: Combinations of columns, numbers without bands, free text, and attributes of
        special categories (Art. 9). Columns with more than 50 values and all but the first
        ``max_columns``. Slices in which the outcome is simply harder to foresee are not told from
        slices in which the model is worse.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR", "BIAS")
    needs = (Needs.PREDICTIONS, Needs.LOG_KEY, Needs.LOG_TIME, Needs.OUTCOMES)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.RULES})
    params = (
        Param(
            "max_gap",
            0.15,
            "difference of shares",
            "design default of this project",
            "How much smaller the share of right predictions may be in a slice than elsewhere.",
            minimum=0.01,
            maximum=0.9,
        ),
        Param(
            "min_slice",
            100,
            "rows",
            "design default of this project",
            "Smallest slice that is compared.",
            minimum=30,
        ),
        Param(
            "max_columns",
            12,
            "columns",
            "design default of this project",
            "How many columns are cut, protected attributes first, then features as declared.",
            minimum=1,
            maximum=50,
        ),
        MIN_ARRIVED,
    )
    remediation = (
        "List the values of the named column in the order of their text and take the one with the "
        "printed ordinal. Count its rows in the training data, look for missing features in it, "
        "and consider leaving its cases to a person until the model is better there."
    )
    examples = (
        Example("alike on all devices", Outcome.PASS, late(_devices(False)), _WITH_DEVICE),
        Example("wrong on tablets", Outcome.FAIL, late(_devices(True)), _WITH_DEVICE),
        Example(
            "scored too recently",
            Outcome.NOT_AVAILABLE,
            late(_devices(True), at=RECENT),
            _WITH_DEVICE,
        ),
        Example("nothing to cut by", Outcome.NOT_AVAILABLE, late(_devices(True)), MODEL),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One grouped count for all columns; each row is counted once per column."""
        columns = _columns(inputs)
        if undeclared(inputs) or not columns:
            return []
        log = data_of(inputs, "scoring_log")
        return [
            arrived(
                inputs,
                "slices",
                {
                    "slice": slice_key(tuple((column, edges) for _, column, edges in columns)),
                    "prediction": log.fields[FieldRole.PREDICTION],
                    "label": LABEL,
                },
            )
        ]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding."""
        columns = _columns(inputs)
        declare = undeclared(inputs)
        if not declare and not columns:
            declare = "features that hold texts or truth values, or 'protected_attributes'"
        if declare:
            return [
                self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    "Rows cannot be cut into slices before more is declared.",
                    declare=declare,
                )
            ]
        table = counted(observations, "slices")
        if isinstance(table, str):
            return [self.finding(inputs, Outcome.NOT_AVAILABLE, table, scope=scope(inputs))]
        return [self._finding(inputs, columns, table)]

    def _finding(self, inputs: Inputs, columns: list[Sliced], table: CountTable) -> Finding:
        cells, known, rows = _cells(inputs, columns, table)
        # The most complete column tells how many rows are due: others may lack values.
        measured = [arrived_measurement(inputs, known, rows)]
        gaps, small = slice_gaps(cells, inputs.param("min_slice"))
        reason = ""
        if not rows:
            reason = "No scored rows are old enough for their outcomes to be due."
        elif not known or known / rows < inputs.param("min_arrived"):
            reason = "Too few of the due outcomes have arrived."
        elif not gaps:
            reason = "No column has a slice that is large enough to be compared."
        if reason:
            return self.finding(
                inputs, Outcome.NOT_AVAILABLE, reason, measurements=measured, scope=scope(inputs)
            )
        limit = inputs.param("max_gap")
        beyond = [gap for gap in gaps if gap.interval[1] < -limit]
        worst = gaps[0]
        where = _name(columns, worst)
        explanation = (
            f"{len(beyond)} of {len(gaps)} slices are beyond the limit, the worst is {where}."
            if beyond
            else f"None of {len(gaps)} slices is beyond the limit; the lowest is {where}."
        )
        return self.finding(
            inputs,
            Outcome.FAIL if beyond else Outcome.PASS,
            explanation,
            measurements=[
                *measured,
                _number("slices_beyond", len(beyond)),
                _number("slices_compared", len(gaps)),
                _number("slices_too_small", small),
                *(_gap(inputs, columns, gap, sized=_whole(gaps, gap)) for gap in gaps[:_SHOWN]),
            ],
            scope=scope(inputs),
        )


def _columns(inputs: Inputs) -> list[Sliced]:
    """Protected attributes that the log holds, then features that hold texts or truth values."""
    log = data_of(inputs, "scoring_log")
    found: dict[str, Sliced] = {}
    for attribute in inputs.model.protected_attributes:
        own = attribute.data_set in {None, log.id}
        if own and attribute.art9 is None and _allowed(log, attribute.column):
            shown = (attribute.id, attribute.column, tuple(attribute.bands))
            found.setdefault(attribute.column, shown)
    for name in inputs.feature_names:
        column = log.column(name)
        if column is None or column.type not in {ColumnType.STRING, ColumnType.BOOLEAN}:
            continue
        if _allowed(log, name):
            found.setdefault(name, (name, name, ()))
    return list(found.values())[: int(inputs.param("max_columns"))]


def _allowed(log: DataSet, name: str) -> bool:
    column = log.column(name)
    return column is not None and not (
        column.art9 is not None or column.free_text or column.direct_identifier
    )


def _cells(
    inputs: Inputs, columns: list[Sliced], table: CountTable
) -> tuple[list[dict[str, tuple[int, int]]], int, int]:
    """Right predictions and rows per column and value; rows with an outcome; rows."""
    told, chosen = positive_outcome(inputs), positive_prediction(inputs)
    chosen = told if chosen is None else chosen
    several = inputs.model.kind is ModelKind.MULTICLASS
    cells: list[dict[str, tuple[int, int]]] = [{} for _ in columns]
    known, rows = [0] * len(columns), [0] * len(columns)
    for (key, prediction, label), n in table.rows.items():
        if key is None:
            continue
        place, _, value = str(key).partition(SEPARATOR)
        position = int(place)
        rows[position] += n
        if label is None or prediction is None:
            continue
        known[position] += n
        if several:
            right = str(label) == str(prediction)
        else:
            right = same(label, told) == same(prediction, chosen)
        hits, total = cells[position].get(value, (0, 0))
        cells[position][value] = (hits + n * right, total + n)
    fullest = max(range(len(columns)), key=lambda one: rows[one])
    kept = [values if len(values) <= _MOST_VALUES else {} for values in cells]
    return kept, known[fullest], rows[fullest]


def _name(columns: list[Sliced], gap: SliceGap) -> str:
    return f"{columns[gap.column][0]}, value {gap.ordinal} of {gap.of}"


def _number(name: str, value: int) -> Measurement:
    return Measurement(name=name, value=value, unit="slices")


def _whole(gaps: list[SliceGap], gap: SliceGap) -> bool:
    """Whether every slice of a column is large: else sizes would tell the small one's."""
    return sum(other.column == gap.column for other in gaps) == gap.of


def _gap(inputs: Inputs, columns: list[Sliced], gap: SliceGap, *, sized: bool) -> Measurement:
    return Measurement(
        name="right_predictions_gap",
        # Without its size, sealing could not tell how coarse the number has to be.
        value=gap.gap if sized else coarse_comparison(gap.gap, gap.n),
        unit="difference",
        threshold=inputs.threshold("max_gap", ">=").model_copy(
            update={"value": -float(inputs.param("max_gap"))}
        ),
        n=gap.n if sized else None,
        interval=gap.interval,
        interval_level=0.95,
        group=_name(columns, gap),
        recipe="share of right predictions minus that of all other rows; Newcombe interval, "
        "Bonferroni over all slices",
    )
