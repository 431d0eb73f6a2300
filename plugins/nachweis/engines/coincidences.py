"""How many rows of two sets agree by chance, judged by how often rows within each set agree."""

from __future__ import annotations

_SURE = 0.999
_RARE = 1e-4


def expected_coincidences(rows: tuple[int, int], distinct: tuple[int, int]) -> float:
    """Upper limit of the number of pairs across two sets that agree by chance.

    Pairs within a set that agree are counted as rows minus distinct rows. Their number is Poisson;
    its exact upper limit at 99.9 % (Garwood 1936), divided by the number of pairs within the sets,
    times the number of pairs across them, is the result.

    Args:
        rows: Rows of both sets.
        distinct: Distinct rows of both sets.

    Returns:
        0 or more; infinite where the sets have no pairs to judge by.
    """
    from scipy import stats

    pairs = sum(n * (n - 1) / 2 for n in rows)
    if not pairs:
        return float("inf")
    agreeing = sum(n - d for n, d in zip(rows, distinct, strict=True))
    upper = float(stats.chi2.ppf(_SURE, 2 * (agreeing + 1))) / 2
    return upper / pairs * rows[0] * rows[1]


def most_by_chance(expected: float) -> int:
    """The number of coincidences that chance exceeds once in 10,000 such comparisons.

    Args:
        expected: Expected number, finite.

    Returns:
        The quantile of the Poisson distribution.
    """
    from scipy import stats

    return int(stats.poisson.isf(_RARE, expected))
