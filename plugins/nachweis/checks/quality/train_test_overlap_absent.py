"""Rows of the training sets among the data that a model is tested on."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from nachweis.checks.quality._training import inputs_in, training_rows, training_sets
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole, ModelKind
from nachweis.domain.manifest.dataset import ColumnType
from nachweis.domain.observation import Observations, Overlap, Request, Scalar, Source
from nachweis.engines.coincidences import expected_coincidences, most_by_chance

_MOST_COLUMNS = 12
_FEWEST_COLUMNS = 3
_NAMES = ("income", "orders", "visits")


def _rows(n: int, seed: int) -> list[tuple[float, ...]]:
    generator = random.Random(seed)  # noqa: S311 - example data
    return [tuple(round(generator.gauss(0, 1), 4) for _ in _NAMES) for _ in range(n)]


def _columns(rows: list[tuple[float, ...]], names: tuple[str, ...] = _NAMES) -> dict[str, Any]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _tables(
    training: list[tuple[float, ...]], tested: list[tuple[float, ...]]
) -> dict[str, ExampleTable]:
    declare = {"columns": [{"name": name, "feature": True} for name in _NAMES]}
    return {
        "training": ExampleTable(DataSetRole.TRAINING, _columns(training), declare),
        "reference": ExampleTable(DataSetRole.REFERENCE, _columns(tested), declare),
    }


def _keyed(training: list[str], tested: list[str]) -> dict[str, ExampleTable]:
    declare = {"fields": {"key": "case"}}
    return {
        "training": ExampleTable(DataSetRole.TRAINING, {"case": training}, declare),
        "reference": ExampleTable(DataSetRole.REFERENCE, {"case": tested}, declare),
    }


class TrainTestOverlapAbsent(Check):
    """Are the rows a model is tested on none that it was trained on?

    Why: A model repeats what it has seen. Tested on its training rows it looks better than it is,
        and every limit that was set from such a test is too lenient.
    Method: For each training set and the evaluation and reference data: rows of the latter that are
        in the training set; share = those / all rows, 0 to 1. Rows are the same if both sides
        declare the same column as ``fields.key`` and its value is the same; else if they agree in
        up to 12 inputs that both hold (no free text). By key the share may be at most
        ``max_share``. By inputs it fails if also more rows agree than chance explains: the number
        of agreeing rows within each set, with its upper 99.9 % limit, gives the rate of chance, and
        the 99.99 % quantile of the Poisson distribution the number. Undefined with fewer than 3
        common inputs, without rows, or where the inputs do not tell rows apart (chance explains
        more than 5 % of the rows). Source: this project; Garwood (1936) for the limit.
    Leaves out: The same person at two times, which can be meant. Rows with a missing value among
        the compared inputs never agree. Of training sets that grow by the night, the night's rows
        are compared.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("DATA-QUALITY", "SEPARATION")
    needs = (Needs.TRAINING, Needs.HELD_OUT)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = (
        Param(
            "max_share",
            0.0,
            "share",
            "design default of this project",
            "Largest share of test rows that may be among the training rows.",
            minimum=0,
            maximum=1,
        ),
    )
    remediation = (
        "Split again, by person or by time, and take these rows out of the evaluation and "
        "reference data. Then measure the model again and set limits from the new numbers; note in "
        "the dossier that the earlier ones were too favourable."
    )
    examples = (
        Example("other rows", Outcome.PASS, _tables(_rows(300, 1), _rows(200, 2))),
        Example(
            "a fifth of the test rows was trained on",
            Outcome.FAIL,
            _tables(_rows(300, 1), [*_rows(160, 2), *_rows(300, 1)[:40]]),
        ),
        Example("other keys", Outcome.PASS, _keyed(["a", "b"], ["c", "d"])),
        Example("one key on both sides", Outcome.FAIL, _keyed(["a", "b"], ["b", "c"])),
        Example(
            "inputs that do not tell rows apart",
            Outcome.NOT_AVAILABLE,
            _tables([(1.0, 0.0, 1.0)] * 200, [(1.0, 0.0, 1.0)] * 200),
        ),
        Example(
            "no training set declared",
            Outcome.NOT_AVAILABLE,
            {"reference": ExampleTable(DataSetRole.REFERENCE, {"x": [1]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Overlaps of each pair and, where rows are compared by inputs, distinct rows."""
        seen: set[str] = set()
        for pair in _pairs(inputs):
            if not pair.columns:
                continue
            first, *others = pair.columns
            yield Overlap(
                pair.name,
                Source(pair.tested.id),
                training_rows(pair.training),
                (first, first),
                match=tuple((column, column) for column in others),
            )
            if pair.by_key:
                continue
            for data_set in (pair.tested, pair.training):
                name = pair.counts_of(data_set)
                if name not in seen:
                    seen.add(name)
                    yield from _counts(name, data_set, pair)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about all pairs."""
        judged = [_judge(inputs, pair, observations) for pair in _pairs(inputs)]
        known = [one for one in judged if not one.reason]
        measurements = [m for one in judged for m in one.measurements]
        reasons = "; ".join(f"{one.pair.words}: {one.reason}" for one in judged if one.reason)
        failed = [one.pair.words for one in known if one.failed]
        if not known:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"Nothing could be compared: {reasons}.",
                measurements=measurements,
                declare="the same row key as 'fields.key' of both, or their common inputs",
            )
            return
        words = (
            f"Rows of the training set are among the data tested on: {', '.join(failed)}."
            if failed
            else "No more rows than chance explains are on both sides."
        )
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            words + (f" Not compared: {reasons}." if reasons else ""),
            measurements=measurements,
            scope="; ".join(f"{one.pair.words}, {one.pair.how}" for one in known),
        )


@dataclass(frozen=True)
class _Pair:
    """A training set and data that the model is tested on.

    Attributes:
        training: The training set.
        tested: Evaluation or reference data.
        columns: What makes two rows the same; empty if nothing declared does.
        by_key: Whether that is a key.
    """

    training: DataSet
    tested: DataSet
    columns: tuple[str, ...]
    by_key: bool

    @property
    def name(self) -> str:
        """Name of its request."""
        return f"{self.training.id}/{self.tested.id}"

    @property
    def words(self) -> str:
        """For explanations."""
        return f"{self.training.id} and {self.tested.id}"

    @property
    def how(self) -> str:
        """By what rows were compared."""
        return f"by {self.columns[0]}" if self.by_key else f"by {len(self.columns)} inputs"

    def counts_of(self, data_set: DataSet) -> str:
        """Name of a side's counts; sides compared by the same columns share them."""
        return f"{data_set.id}:{'|'.join(self.columns)}"


def _pairs(inputs: Inputs) -> list[_Pair]:
    tested = [inputs.data(role) for role in ("evaluation", "reference")]
    different = {data_set.id: data_set for data_set in tested if data_set is not None}
    return [
        _pair(inputs, training, data_set)
        for training in training_sets(inputs)
        for data_set in different.values()
        if data_set.id != training.id
    ]


def _pair(inputs: Inputs, training: DataSet, tested: DataSet) -> _Pair:
    key = training.field(FieldRole.KEY)
    if key is not None and key == tested.field(FieldRole.KEY):
        return _Pair(training, tested, (key,), by_key=True)
    common = set(inputs_in(tested, inputs.feature_names))
    found = [name for name in inputs_in(training, inputs.feature_names) if name in common]
    found.sort(key=lambda name: _telling(training, name))
    chosen = tuple(found[:_MOST_COLUMNS]) if len(found) >= _FEWEST_COLUMNS else ()
    return _Pair(training, tested, chosen, by_key=False)


def _telling(data_set: DataSet, name: str) -> tuple[bool, bool]:
    """Sorts columns that tell rows apart to the front: always filled, then numbers."""
    column = data_set.column(name)
    if column is None:
        return True, True
    return column.nullable, column.type not in (ColumnType.NUMBER, ColumnType.INTEGER)


def _counts(name: str, data_set: DataSet, pair: _Pair) -> Iterable[Request]:
    source = Source(data_set.id) if data_set is pair.tested else training_rows(data_set)
    columns = pair.columns

    def digest(table: Any) -> Any:
        texts = [table[column].cast("string").fill_null("") for column in columns]
        return reduce(lambda left, right: left + "|" + right, texts)

    yield Scalar(f"{name}:rows", source, lambda table: table.count())
    yield Scalar(f"{name}:distinct", source, lambda table: digest(table).nunique())


@dataclass(frozen=True)
class _Judged:
    """One pair's result."""

    pair: _Pair
    failed: bool = False
    reason: str = ""
    measurements: tuple[Measurement, ...] = ()


def _judge(inputs: Inputs, pair: _Pair, observations: Observations) -> _Judged:
    if not pair.columns:
        return _Judged(pair, reason=f"fewer than {_FEWEST_COLUMNS} inputs are declared on both")
    overlap = observations.get(pair.name)
    if overlap is None:
        why = dict(observations.missing()).get(pair.name, "")
        return _Judged(pair, reason=why or "the overlap could not be counted")
    if not overlap.rows:
        return _Judged(pair, reason="there are no rows")
    if pair.by_key and overlap.rows == overlap.rows_without_key:
        return _Judged(pair, reason="no row has a key")
    matched, rows = overlap.rows_matched, overlap.rows
    share = Measurement(
        name="overlap_share",
        value=matched / rows,
        unit="share",
        threshold=inputs.threshold("max_share", "<="),
        n=rows,
        group=pair.words,
        recipe=f"rows of {pair.tested.id} found in {pair.training.id} {pair.how}",
    )
    too_many = matched / rows > inputs.param("max_share")
    if pair.by_key:
        return _Judged(pair, failed=too_many, measurements=(share,))
    numbers = [
        observations.get(f"{pair.counts_of(data_set)}:{what}")
        for what in ("rows", "distinct")
        for data_set in (pair.tested, pair.training)
    ]
    if any(number is None for number in numbers):
        return _Judged(pair, reason="distinct rows could not be counted", measurements=(share,))
    tested_rows, training_n, tested_distinct, training_distinct = (int(n) for n in numbers)
    expected = expected_coincidences(
        (tested_rows, training_n), (tested_distinct, training_distinct)
    )
    if expected > _MOST_BY_CHANCE * rows:
        reason = "the compared inputs do not tell rows apart"
        return _Judged(pair, reason=reason, measurements=(share,))
    limit = most_by_chance(expected)
    chance = Measurement(
        name="overlap_rows",
        value=matched,
        unit="rows",
        threshold=Threshold(value=limit, operator="<=", source="what chance explains"),
        n=rows,
        group=pair.words,
        recipe="99.99 % Poisson quantile of agreement by chance, from agreement within the sets",
    )
    return _Judged(pair, failed=too_many and matched > limit, measurements=(share, chance))


_MOST_BY_CHANCE = 0.05
"""Share of rows beyond which agreement by chance hides what is looked for."""
