"""Scores of several classes: who declares them, how they are counted, and what they tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nachweis.checks.performance._arrived import data_of, eligible
from nachweis.domain.check import Inputs
from nachweis.domain.manifest import FieldRole, ModelKind
from nachweis.domain.observation import CountTable, GroupedCounts
from nachweis.engines.performance import ScoreCounts
from nachweis.engines.performance_calibration import isotonic
from nachweis.engines.performance_estimation import ClassScores, Scored
from nachweis.engines.performance_keys import SEPARATOR, class_score_key

CLASS_COUNTS = ("current_classes", "reference_classes")
"""Requests for the scores of the current window and of the reference."""


def declared_classes(inputs: Inputs) -> list[str]:
    """Classes whose scores both the scoring log and the reference declare; empty without them."""
    if inputs.model.kind is not ModelKind.MULTICLASS:
        return []
    log, reference = data_of(inputs, "scoring_log"), inputs.data("reference")
    if reference is None or not log.class_scores:
        return []
    same = set(log.class_scores) == set(reference.class_scores)
    return sorted(log.class_scores) if same else []


def class_requests(inputs: Inputs) -> list[GroupedCounts]:
    """Scores per class of the current window by prediction, of the reference by outcome."""
    names = declared_classes(inputs)
    if not names:
        return []
    log, reference = data_of(inputs, "scoring_log"), data_of(inputs, "reference")
    return [
        GroupedCounts(
            CLASS_COUNTS[0],
            inputs.source("scoring_log", "current"),
            by={
                "scored": class_score_key(tuple(log.class_scores[name] for name in names)),
                "told": log.fields[FieldRole.PREDICTION],
            },
            where=eligible(log),
        ),
        GroupedCounts(
            CLASS_COUNTS[1],
            inputs.source("reference"),
            by={
                "scored": class_score_key(tuple(reference.class_scores[name] for name in names)),
                "told": reference.fields[FieldRole.LABEL],
            },
        ),
    ]


def against_the_rest(table: CountTable, names: Iterable[str]) -> dict[str, ScoreCounts]:
    """Rows per score of each class; positive are those that are told to be of the class.

    Args:
        table: Counts by position and score of a class, and by what was predicted or happened.
        names: The classes, in the order of their positions.

    Returns:
        Class to its counts; rows without a score of the class, or of which nothing is told, are
        left out.
    """
    import numpy as np

    found: dict[str, dict[float, list[int]]] = {name: {} for name in names}
    order = list(found)
    for (scored, told), n in table.rows.items():
        if scored is None or told is None:
            continue
        position, _, score = str(scored).partition(SEPARATOR)
        name = order[int(position)]
        sides = found[name].setdefault(float(score), [0, 0])
        sides[0 if str(told) == name else 1] += n
    counts = {}
    for name, by_score in found.items():
        scores = sorted(by_score)
        rows = np.array([by_score[one] for one in scores], dtype=np.float64).reshape(-1, 2)
        counts[name] = ScoreCounts(np.array(scores, dtype=np.float64), rows[:, 0], rows[:, 1])
    return counts


def without_score(tables: Iterable[CountTable], names: Iterable[str]) -> bool:
    """Whether something was predicted or happened that has no score of its own."""
    known = set(names)
    return any(
        told is not None and str(told) not in known for table in tables for _, told in table.rows
    )


def fitted(
    current: Mapping[str, ScoreCounts], reference: Mapping[str, ScoreCounts]
) -> dict[str, ClassScores]:
    """Each class with its curve of the reference."""
    return {
        name: ClassScores(
            Scored(now.score, now.positives, now.negatives), isotonic(reference[name])
        )
        for name, now in current.items()
    }
