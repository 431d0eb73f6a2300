"""What each feature adds to a simple model of the label, with an upper bound.

The model is additive: numbers in up to ten quantile groups, categories by value, least squares on
the label (one indicator per class). Dropping a feature's columns raises the residual sum of
squares; Cohen's f-squared is that rise over the residual, and the non-central distribution of
the test of nested models gives its bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BINS = 10
_LEVELS = 20
_CLASSES = 20
_LARGE = 0.05


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a feature adds to what the others tell.

    Attributes:
        feature: The feature.
        f_squared: Rise of the residual over the residual when it is dropped, 0 or more.
        upper: One-sided upper bound of it, simultaneous over all features.
        p_value: Of the hypothesis that it adds nothing.
    """

    feature: str
    f_squared: float
    upper: float
    p_value: float


def contributions(
    features: Mapping[str, NDArray[Any]], label: NDArray[Any], level: float = 0.99
) -> list[Contribution] | str:
    """What each feature adds.

    Args:
        features: Name to values; missing numbers are NaN, missing categories None.
        label: The label; rows without one are left out.
        level: Level at which the bounds of all features hold together (Bonferroni).

    Returns:
        One entry per feature that has at least two values, in order; or why there is none.
    """
    import numpy as np

    y, kept = _label(label)
    if y is None:
        return "the label has only one value, or too many"
    blocks = {name: _encoded(np.asarray(values)[kept]) for name, values in features.items()}
    blocks = {name: block for name, block in blocks.items() if block.shape[1]}
    n = len(y)
    width = 1 + sum(block.shape[1] for block in blocks.values())
    if n < 5 * width + 50:
        return "too few rows for so many features"
    x = np.column_stack([np.ones(n), *blocks.values()])
    gram, cross, total = x.T @ x, x.T @ y, float(np.sum(y * y))
    rank = int(np.linalg.matrix_rank(gram, hermitian=True))
    outputs = y.shape[1]
    rest = _residual(gram, cross, total)
    if rest <= 1e-9 * max(total, 1.0):
        return "the features tell the label exactly"
    single = 1 - (1 - level) / max(len(blocks), 1)
    found, start = [], 1
    for name, block in blocks.items():
        keep = np.r_[0:start, start + block.shape[1] : width]
        start += block.shape[1]
        part = gram[np.ix_(keep, keep)]
        lost = rank - int(np.linalg.matrix_rank(part, hermitian=True))
        rise = max(0.0, _residual(part, cross[keep], total) - rest)
        found.append(
            _judged(name, rise / rest, lost * outputs, (n - rank) * outputs, n * outputs, single)
        )
    return found


def _judged(
    name: str, f_squared: float, lost: int, free: int, rows: int, level: float
) -> Contribution:
    from scipy import optimize, stats

    if lost == 0:  # a copy of other features: nothing is lost without it
        return Contribution(name, 0.0, 0.0, 1.0)
    statistic = f_squared * free / lost

    def beyond(noncentrality: float) -> float:
        # With thousands of rows the non-central F is the chi-squared one over its degrees.
        found = stats.ncx2.cdf(statistic * lost, lost, noncentrality)
        return float(found) - (1 - level)

    p_value = float(stats.f.sf(statistic, lost, free))
    if f_squared > _LARGE or beyond(1e-9) <= 0:
        # A large effect needs no exact bound; far below chance the bound is at nothing.
        return Contribution(name, f_squared, f_squared if f_squared > _LARGE else 0.0, p_value)
    high = statistic * lost + 10.0
    while beyond(high) > 0:
        high *= 2
    return Contribution(name, f_squared, optimize.brentq(beyond, 1e-9, high) / rows, p_value)


def _residual(gram: NDArray[Any], cross: NDArray[Any], total: float) -> float:
    """Residual sum of squares of a least-squares fit, also of dependent columns."""
    import numpy as np

    solution = np.linalg.lstsq(gram, cross, rcond=1e-12)[0]
    return max(0.0, total - float(np.sum(cross * solution)))


def _label(values: NDArray[Any]) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """The label as centred columns, and which rows have one."""
    import numpy as np

    values = np.asarray(values)
    kept = _present(values)
    known = values[kept]
    if values.dtype.kind in "iufb":
        numbers = known.astype(np.float64)
        if len(numbers) and numbers.std() > 0:
            return (numbers - numbers.mean())[:, None], kept
        return None, kept
    classes = sorted({str(value) for value in known})
    if not 2 <= len(classes) <= _CLASSES:
        return None, kept
    texts = known.astype(str)
    columns = np.column_stack([(texts == name).astype(np.float64) for name in classes[1:]])
    return columns - columns.mean(axis=0), kept


def _present(values: NDArray[Any]) -> NDArray[np.bool_]:
    import numpy as np

    if values.dtype.kind == "f":
        return np.asarray(np.isfinite(values))
    if values.dtype.kind in "iub":
        return np.ones(len(values), dtype=bool)
    if values.dtype.kind in "mM":
        return np.asarray(~np.isnat(values))
    return np.array([value is not None and value == value for value in values], dtype=bool)


def _encoded(values: NDArray[Any]) -> NDArray[np.float64]:
    """A feature as indicator columns, one level left out; none for a constant."""
    import numpy as np

    present = _present(values)
    codes = np.full(len(values), -1)
    if values.dtype.kind in "iufmM":
        numbers = values[present].astype(np.float64)
        if len(numbers):
            edges = np.unique(np.quantile(numbers, np.arange(1, _BINS) / _BINS))
            codes[present] = np.searchsorted(edges, numbers, side="left")
    else:
        texts = values[present].astype(str)
        levels, counts = np.unique(texts, return_counts=True)
        shown = levels[np.argsort(-counts, kind="stable")][:_LEVELS]
        place = {name: number for number, name in enumerate(shown)}
        codes[present] = [place.get(text, _LEVELS) for text in texts]
    found = np.unique(codes)
    return np.column_stack(
        [np.empty((len(values), 0)), *[(codes == code).astype(np.float64) for code in found[1:]]]
    )
