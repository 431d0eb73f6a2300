"""Permutation tests between column profiles: rows of both sides are dealt anew, seeded.

They agree with Evidently's within the error of its own draws, which depend on the order of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.drift_method import Score
from nachweis.engines.shares import counts_by_value, rows_of

TVD_DRAWS = 1_000
MMD_DRAWS = 100
_TVD_CELLS_IN_FULL = 1_024
_LARGEST_MMD = 2_000
_BATCH = 100


def total_variation(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Permutation p-value of the total variation distance.

    Rows of both sides are dealt anew; equal distances count as at least as large, and whole
    numbers are compared, so that no rounding decides.
    """
    first, second = counts_by_value(reference, current)
    nx, ny = reference.valid, current.valid
    if (nx + ny) >= 10**9:
        raise UndefinedError("there are too many rows to be dealt anew")

    def scaled(dealt: NDArray[np.int64]) -> NDArray[np.int64]:
        rest = first + second - dealt
        return np.asarray(np.abs(dealt * ny - rest * nx).sum(axis=-1))

    observed = scaled(first)
    draws = max(_BATCH, TVD_DRAWS * _TVD_CELLS_IN_FULL // max(_TVD_CELLS_IN_FULL, len(first)))
    generator = np.random.default_rng(0)
    reached = 0
    for start in range(0, draws, _BATCH):
        dealt = generator.multivariate_hypergeometric(
            first + second, nx, size=min(_BATCH, draws - start), method="marginals"
        )
        reached += int(np.sum(observed <= scaled(dealt)))
    return Score(reached / draws, f"{len(first)} values; {draws} seeded permutations")


def maximum_mean_discrepancy(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Permutation p-value of the maximum mean discrepancy with a Gaussian kernel."""
    nx, ny = reference.valid, current.valid
    if nx + ny > _LARGEST_MMD:
        raise UndefinedError(
            f"the mean discrepancy compares all pairs, at most {_LARGEST_MMD} rows together"
        )
    if min(nx, ny) < 2:
        raise UndefinedError("the mean discrepancy needs two rows on each side")
    rows = np.concatenate(rows_of(reference, current))
    squares = (rows[:, None] - rows[None, :]) ** 2
    median = float(np.percentile(squares[:nx, :nx], 50, method="nearest"))
    kernel = np.exp(-squares / (median or 1.0))
    np.fill_diagonal(kernel, 0.0)
    generator = np.random.default_rng(0)
    sides = np.zeros((MMD_DRAWS + 1, nx + ny))
    sides[0, :nx] = 1.0
    for draw in sides[1:]:
        draw[generator.permutation(nx + ny)[:nx]] = 1.0
    within = np.einsum("di,di->d", sides @ kernel, sides)
    toward = sides @ kernel.sum(axis=1)
    across, rest = toward - within, kernel.sum() - 2 * toward + within
    found = within / (nx * (nx - 1)) + rest / (ny * (ny - 1)) - 2 * across / (nx * ny)
    # The same deal in another order gives the same number but for rounding.
    value = float(np.mean(found[0] <= found[1:] + 1e-12))
    return Score(value, f"all pairs; Gaussian kernel; {MMD_DRAWS} seeded permutations")
