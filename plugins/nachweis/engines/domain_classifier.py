"""A classifier that is asked to tell the rows of two samples apart, and how well it can.

Where the joint distribution is the same, no classifier does better than chance: the area under its
ROC curve on rows that it has not seen is 0.5. Features are turned into ranks and indicators, their
squares and products are added, and a ridge regression on those that tell most is fitted in
closed form: it sees changes of position, spread and pairwise dependence, and has no random start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.engines.shares import Floats

_FOLDS = 5
_RIDGE = 0.05
_LARGEST_LEVELS = 6
_MOST_TERMS = 600
_MOST_FITTED = 40
_ROWS_PER_TERM = 20
_Z95 = 1.959963984540054
SMALLEST_SIDE = 100
"""Rows of each side below which no classifier is fitted."""


@dataclass(frozen=True, slots=True)
class Told:
    """How well two samples can be told apart.

    Attributes:
        area: Area under the ROC curve on unseen rows, mean over the folds; 0.5 is chance.
        interval: Its 95 % interval (DeLong 1988), within 0 and 1.
        alone: Feature to the area that its own values reach, from 0.5 up, largest first.
        dependence: Pair of numeric features to the change of their rank correlation, largest first.
        terms: Terms the regression was fitted on.
    """

    area: float
    interval: tuple[float, float]
    alone: Mapping[str, float]
    dependence: Mapping[tuple[str, str], float]
    terms: int


def tell_apart(
    first: Mapping[str, NDArray[Any]],
    second: Mapping[str, NDArray[Any]],
    features: Sequence[str],
    *,
    seed: int = 0,
) -> Told | None:
    """Try to tell the rows of two samples apart.

    Args:
        first: Feature to values.
        second: The same features of the other sample.
        features: Names, in order; numbers are ranked, everything else is taken by its frequent
            values.
        seed: Seed of the folds and of the choice among very many products.

    Returns:
        The result; None with fewer than 100 rows on a side or if every feature is constant.
    """
    sides = [len(next(iter(side.values()), ())) for side in (first, second)]
    if not features or min(sides) < SMALLEST_SIDE:
        return None
    generator = np.random.default_rng(seed)
    blocks = {}
    for name in features:
        filled = [_filled(side[name], generator) for side in (first, second)]
        if filled[0] is None or filled[1] is None:
            continue
        if (block := _encoded(filled[0], filled[1])) is not None:
            blocks[name] = block
    if not blocks:
        return None
    labels = np.repeat([0, 1], sides)
    terms = _standardised(_terms(list(blocks.values()), generator))
    areas, variances = _cross_validated(terms, labels, generator)
    area, error = float(np.mean(areas)), float(np.sqrt(np.sum(variances))) / len(areas)
    return Told(
        area=area,
        interval=(max(0.0, area - _Z95 * error), min(1.0, area + _Z95 * error)),
        alone=_alone(blocks, labels),
        dependence=_dependence(blocks, labels),
        terms=len(terms),
    )


# -------------------------------------------------------------------------------------- encoding


def _filled(values: NDArray[Any], generator: np.random.Generator) -> NDArray[Any] | None:
    """Values with missing ones drawn from the others, so that gaps tell nothing; None without any.

    Gaps are drift too, but another check's: one lost column must not pass for a new combination.
    """
    if values.dtype.kind in "iuf":
        known = np.isfinite(values.astype(np.float64))
    elif values.dtype.kind == "M":
        known = ~np.isnat(values)
    else:
        known = np.array([value is not None for value in values], dtype=bool)
    if known.all():
        return values
    if not known.any():
        return None
    filled = values.copy()
    filled[~known] = generator.choice(values[known], int((~known).sum()))
    return filled


def _encoded(first: NDArray[Any], second: NDArray[Any]) -> Floats | None:
    """Columns for one feature: centred midranks of numbers, or indicators of frequent values."""
    values = np.concatenate([first, second])
    if values.dtype.kind in "iuf":
        return _ranked(values.astype(np.float64))
    words = [str(value) for value in values]
    counts = Counter(words)
    if len(counts) < 2:
        return None
    levels = sorted(counts, key=lambda word: (-counts[word], word))[:_LARGEST_LEVELS]
    place = {word: i for i, word in enumerate(levels[: len(counts) - 1])}
    codes = np.array([place.get(word, -1) for word in words])
    return np.asarray(codes[:, None] == np.arange(len(place))[None, :], dtype=np.float64)


def _ranked(values: Floats) -> Floats | None:
    """Midranks from -1 to 1."""
    found, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(found) < 2:
        return None
    middle = np.cumsum(counts) - counts / 2
    return np.asarray((2 * middle / len(values) - 1)[codes][:, None])


def _terms(blocks: Sequence[Floats], generator: np.random.Generator) -> Floats:
    """Terms by rows: all columns, squares of ranks, and products of columns of two features.

    Products of two numbers come first. Of very many products some are drawn, whatever the labels
    are, so that chance stays chance.
    """
    single = np.vstack([block.T for block in blocks])
    owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    ranked = np.flatnonzero([not _indicators(block) for block in blocks for _ in block.T])
    numbers = set(ranked.tolist())
    among: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    for i, j in combinations(range(len(owner)), 2):
        if owner[i] != owner[j]:
            (among if i in numbers and j in numbers else others).append((i, j))
    room = max(0, _MOST_TERMS - len(single) - len(ranked))
    pairs = [*_drawn(among, room, generator), *_drawn(others, room - len(among), generator)]
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    centred = single - single.mean(axis=1, keepdims=True)
    return np.vstack([single, single[ranked] ** 2, centred[first] * centred[second]])


def _drawn(
    pairs: Sequence[tuple[int, int]], room: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    if len(pairs) <= room:
        return list(pairs)
    chosen = generator.choice(len(pairs), max(0, room), replace=False)
    return [pairs[i] for i in np.sort(chosen)]


def _indicators(block: Floats) -> bool:
    """Whether a feature's columns are indicators of values, not ranks."""
    return block.shape[1] > 1 or bool(np.isin(block, (0.0, 1.0)).all())


def _standardised(terms: Floats) -> Floats:
    """Terms with mean 0 and standard deviation 1; constant ones are left out."""
    centred = terms - terms.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    varies = spread[:, 0] > 1e-9
    return np.asarray(centred[varies] / spread[varies])


# ------------------------------------------------------------------------------------ classifier


def _cross_validated(
    terms: Floats, labels: NDArray[np.int64], generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Area and its variance per fold, each from a regression on the other folds.

    In each fold the regression takes the terms that tell most in the other folds: hundreds of terms
    that tell nothing would drown one that does.
    """
    fold = np.empty(len(labels), dtype=np.int64)
    for side in (0, 1):
        rows = np.flatnonzero(labels == side)
        fold[generator.permutation(rows)] = np.arange(len(rows)) % _FOLDS
    target = np.where(labels == 1, 1.0, -1.0) - (2 * labels.mean() - 1)
    areas, variances = np.empty(_FOLDS), np.empty(_FOLDS)
    for number in range(_FOLDS):
        learn, side = fold != number, labels[fold == number]
        told = terms @ (target * learn)
        most = max(1, min(_MOST_FITTED, int(learn.sum()) // _ROWS_PER_TERM))
        best = np.sort(np.argsort(-np.abs(told), kind="stable")[:most])
        inside = terms[best]
        known = inside[:, learn]
        weights = ridge_weights(known @ known.T, told[best], _RIDGE * known.shape[1])
        scores = weights @ inside[:, ~learn]
        areas[number], variances[number] = area_under_curve(scores[side == 0], scores[side == 1])
    return areas, variances


def ridge_weights(gram: Floats, product: Floats, penalty: float) -> Floats:
    """Weights of a ridge regression without intercept, from its moments."""
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), product))


def area_under_curve(first: Floats, second: Floats) -> tuple[float, float]:
    """How often a score of the second sample is the larger one, and the variance of that.

    Args:
        first: Scores of the first sample, at least one.
        second: Scores of the second sample, at least one.

    Returns:
        The area under the ROC curve, ties counted half, and DeLong's variance (1988).
    """
    both = np.concatenate([first, second])
    ranks = _midranks(both)
    below_second = (ranks[len(first) :] - _midranks(second)) / len(first)
    below_first = (ranks[: len(first)] - _midranks(first)) / len(second)
    variance = sum(
        float(np.var(places, ddof=1)) / len(places) if len(places) > 1 else 0.0
        for places in (below_first, below_second)
    )
    return float(np.mean(below_second)), variance


def _midranks(values: Floats) -> Floats:
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[codes])


# ----------------------------------------------------------------------------- what tells apart


def _alone(blocks: Mapping[str, Floats], labels: NDArray[np.int64]) -> dict[str, float]:
    """Area that each feature reaches alone: by its ranks, or by the best order of its values."""
    found = {}
    for name, block in blocks.items():
        if not _indicators(block):
            area = area_under_curve(block[labels == 0, 0], block[labels == 1, 0])[0]
            found[name] = max(area, 1 - area)
            continue
        codes = block @ np.arange(1, block.shape[1] + 1)
        shares = [
            np.bincount(codes[labels == side].astype(int), minlength=block.shape[1] + 1)
            for side in (0, 1)
        ]
        first, second = (counts / counts.sum() for counts in shares)
        order = np.argsort(second / np.maximum(first + second, 1e-12))
        below = np.cumsum(first[order]) - first[order] / 2
        found[name] = float(np.sum(second[order] * below))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _dependence(
    blocks: Mapping[str, Floats], labels: NDArray[np.int64]
) -> dict[tuple[str, str], float]:
    """Change of the rank correlation of each pair of numbers."""
    names = [name for name, block in blocks.items() if not _indicators(block)]
    if len(names) < 2:
        return {}
    ranks = np.hstack([blocks[name] for name in names])
    with np.errstate(invalid="ignore", divide="ignore"):
        before, now = (np.corrcoef(ranks[labels == side], rowvar=False) for side in (0, 1))
    changes = np.nan_to_num(now - before)
    found = {
        (names[i], names[j]): float(changes[i, j]) for i, j in combinations(range(len(names)), 2)
    }
    return dict(sorted(found.items(), key=lambda item: (-abs(item[1]), item[0])))
