"""How easily a stored model's decisions flip: small noise, and changes that a person can make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ScoredSample

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rule:
    """How scores become decisions.

    Attributes:
        column: Score column that decides, or None: the class with the highest score.
        at_least: Score from which the decision is favourable; with ``column`` only.
    """

    column: int | None
    at_least: float = 0.5

    def decide(self, scores: Floats) -> NDArray[np.int64]:
        """Decision per row: 1 for favourable, or the index of the class."""
        if self.column is None:
            return np.asarray(scores.argmax(axis=1), dtype=np.int64)
        return (scores[:, self.column] >= self.at_least).astype(np.int64)


def rule_of(classes: Sequence[Any], positive: Any, at_least: float | None) -> Rule:
    """The declared decision rule for a model's score columns.

    Args:
        classes: The model's classes; empty where it puts out one number.
        positive: Declared favourable prediction.
        at_least: Declared score from which it is taken.

    Returns:
        The rule.

    Raises:
        UndefinedError: If the declaration does not fit the model.
    """
    if not classes:
        if at_least is None:
            raise UndefinedError(
                "the model puts out one number and no 'score_at_least' is declared"
            )
        return Rule(0, at_least)
    if at_least is None or positive is None:
        return Rule(None)
    named = [str(value) for value in classes]
    if str(positive) not in named:
        raise UndefinedError("the favourable prediction is not among the model's classes")
    return Rule(named.index(str(positive)), at_least)


@dataclass(frozen=True, slots=True)
class FlipRate:
    """Share of decisions that change under noise.

    Attributes:
        flipped: Rows whose decision changed, per repetition.
        rows: Rows.
    """

    flipped: tuple[int, ...]
    rows: int

    @property
    def rate(self) -> float:
        """Mean share over the repetitions."""
        return sum(self.flipped) / (len(self.flipped) * self.rows)


def flip_rate(
    sample: ScoredSample, rule: Rule, *, noise: float, repetitions: int, seed: int = 0
) -> FlipRate:
    """Decisions that change when every number is disturbed a little.

    Each number gets normal noise of ``noise`` of its standard deviation in the sample, is rounded
    to the sample's own grid where it holds whole numbers only, and stays within the sample's range.
    Missing values, categories and flags stay.

    Args:
        sample: The model and rows.
        rule: How scores become decisions.
        noise: Standard deviation of the noise, in standard deviations of the column.
        repetitions: How often all rows are disturbed anew.
        seed: Of the noise.

    Returns:
        The counts.

    Raises:
        UndefinedError: If no column holds numbers that vary.
    """
    numbers = {name: values for name, values in sample.columns.items() if _varies(values)}
    if not numbers:
        raise UndefinedError("no input holds numbers that vary")
    before = rule.decide(sample.scores)
    generator = np.random.default_rng(seed)
    flipped = []
    for _ in range(repetitions):
        disturbed = dict(sample.columns)
        for name, values in numbers.items():
            disturbed[name] = _disturbed(values, noise, generator)
        flipped.append(int((rule.decide(sample.score(disturbed)) != before).sum()))
    return FlipRate(tuple(flipped), len(before))


def _varies(values: NDArray[Any]) -> bool:
    if values.dtype.kind not in "iuf":
        return False
    finite = values[np.isfinite(values.astype(np.float64))]
    return len(finite) > 0 and float(finite.min()) < float(finite.max())


def _disturbed(values: NDArray[Any], noise: float, generator: np.random.Generator) -> Floats:
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    known = numbers[finite]
    moved = numbers + generator.normal(0.0, noise * known.std(), len(numbers))
    if np.all(known == np.round(known)):
        moved = np.round(moved)
    moved = np.clip(moved, known.min(), known.max())
    return np.where(finite, moved, numbers)


@dataclass(frozen=True, slots=True)
class Controlled:
    """A field that the person scored can change.

    Attributes:
        column: The column.
        step: Smallest change of a number; None takes a tenth of its standard deviation, or 1 for
            whole numbers.
    """

    column: str
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Manipulation:
    """What cheap changes achieve.

    Attributes:
        refused: Rows whose decision is not favourable.
        turned: Of them, rows that become favourable, by number of changes, cumulated.
        first_fields: Column of the first change to rows it helped to turn.
    """

    refused: int
    turned: tuple[int, ...]
    first_fields: Mapping[str, int]


def cheapest_manipulation(
    sample: ScoredSample, rule: Rule, fields: Sequence[Controlled], changes: int
) -> Manipulation:
    """Greedy search for the fewest changes that turn a refusal into a favourable decision.

    In each round every row makes the one change that raises its score most: one step up or down of
    a number, within the sample's range, or another category that occurs in the sample.

    Args:
        sample: The model and rows.
        rule: The rule; it must name the score column that decides.
        fields: What a person can change.
        changes: Changes a person makes at most.

    Returns:
        The counts.

    Raises:
        UndefinedError: If no single score decides, nobody is refused or no field can change.
    """
    if rule.column is None:
        raise UndefinedError("no single score decides; declare 'score_at_least' and 'positive'")
    refused = rule.decide(sample.scores) == 0
    if not refused.any():
        raise UndefinedError("the sample holds no row without the favourable decision")
    state = {name: values[refused] for name, values in sample.columns.items()}
    moves = [
        move
        for field in fields
        if field.column in state
        for move in _moves(field, sample.columns[field.column])
    ]
    if not moves:
        raise UndefinedError("no controlled field can be changed")
    best = sample.score(state)[:, rule.column]
    n, turned, first = len(best), [], np.full(len(best), -1)
    done = np.zeros(n, dtype=bool)
    for _ in range(changes):
        chosen, target = np.full(n, -1), best.copy()
        candidates = []
        for number, (column, move) in enumerate(moves):
            changed = {**state, column: move(state[column])}
            candidates.append((column, changed[column]))
            scores = sample.score(changed)[:, rule.column]
            better = (scores > target + 1e-12) & ~done
            chosen[better], target[better] = number, scores[better]
        if not (chosen >= 0).any():
            turned.append(int(done.sum()))
            continue
        for number, (column, values) in enumerate(candidates):
            mine = chosen == number
            if mine.any():
                updated = state[column].astype(values.dtype, copy=True)
                updated[mine] = values[mine]
                state[column] = updated
        first = np.where((first < 0) & (chosen >= 0), chosen, first)
        best = target
        done |= best >= rule.at_least
        turned.append(int(done.sum()))
    counts: dict[str, int] = {}
    for number, (column, _) in enumerate(moves):
        helped = int((done & (first == number)).sum())
        if helped:
            counts[column] = counts.get(column, 0) + helped
    return Manipulation(int(refused.sum()), tuple(turned), counts)


Move = tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]


def _moves(field: Controlled, observed: NDArray[Any]) -> list[Move]:
    if observed.dtype.kind in "iuf":
        numbers = observed.astype(np.float64)
        known = numbers[np.isfinite(numbers)]
        if not len(known) or known.min() == known.max():
            return []
        whole = bool(np.all(known == np.round(known)))
        step = field.step or (1.0 if whole else float(known.std()) / 10)
        low, high = float(known.min()), float(known.max())
        return [(field.column, _step(sign * step, low, high)) for sign in (1.0, -1.0)]
    values = sorted({value for value in observed if value is not None}, key=str)[:20]
    return [(field.column, _set_to(value)) for value in values]


def _step(by: float, low: float, high: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda values: np.clip(values.astype(np.float64) + by, low, high)


def _set_to(value: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda values: np.full(len(values), value, dtype=values.dtype)
