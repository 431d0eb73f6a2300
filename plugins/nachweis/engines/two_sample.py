"""Two-sample tests between column profiles, equal in value to Evidently's on the rows themselves.

Each takes the reference's and the current profile. Ties are what the counts of a profile say, so
midranks, means and covariances need no rows. What Evidently refuses is undefined here, with the
reason.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from nachweis.domain.errors import UndefinedError
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.drift_method import PARITY, Method, Rule, Score
from nachweis.engines.permutations import (
    MMD_DRAWS,
    TVD_DRAWS,
    maximum_mean_discrepancy,
    total_variation,
)
from nachweis.engines.shares import Floats, counts_by_value, rows_of

_FEW_ROWS = 20  # scipy's Cramer-von Mises test is exact up to here
_FEW_RANKS = 8  # scipy's Mann-Whitney test is exact up to here, without ties
_LARGEST_EXACT = 10_000
_SMALLEST_EPPS = 5


# ------------------------------------------------------------------------------ tests on ranks


def _counts(
    reference: ColumnProfile, current: ColumnProfile
) -> tuple[Floats, Floats, Floats, Floats]:
    """Rows per value of both together: reference's, current's, all, and the midrank."""
    first, second = (c.astype(np.float64) for c in counts_by_value(reference, current))
    both = first + second
    return first, second, both, np.cumsum(both) - (both - 1) / 2


def anderson(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Anderson-Darling p-value, midrank version, between 0.001 and 0.25 (Scholz, Stephens 1987)."""
    first, second, both, _ = _counts(reference, current)
    rows = reference.valid + current.valid
    if len(both) < 2 or rows < 4:
        raise UndefinedError("the Anderson-Darling test needs four rows with two different values")
    below = np.cumsum(both) - both / 2
    weight = both / rows / (below * (rows - below) - rows * both / 4)
    statistic = 0.0
    for counts, n in ((first, reference.valid), (second, current.valid)):
        until = np.cumsum(counts) - counts / 2
        statistic += float(np.sum(weight * (rows * until - below * n) ** 2)) / n
    statistic *= (rows - 1) / rows
    inverse = 1 / reference.valid + 1 / current.valid
    value = _anderson_p_value((statistic - 1) / math.sqrt(_anderson_variance(inverse, rows)))
    return Score(value, "all values, midranks; p-value interpolated and kept in 0.001 to 0.25")


def _anderson_variance(inverse: float, rows: int) -> float:
    """Variance of the statistic of two samples; ``inverse`` is the sum of 1 / rows of each."""
    sums = np.cumsum(1.0 / np.arange(rows - 1, 1, -1))
    h = float(sums[-1]) + 1
    g = float(np.sum(sums / np.arange(2, rows)))
    a = (4 * g - 6) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * 4 - 8 * h
    n = float(rows)
    return (a * n**3 + b * n**2 + c * n + d) / ((n - 1) * (n - 2) * (n - 3))


def _anderson_p_value(standardised: float) -> float:
    """Interpolate the table of critical values for two samples."""
    critical = (
        np.array([0.675, 1.281, 1.645, 1.96, 2.326, 2.573, 3.085])
        + np.array([-0.245, 0.25, 0.678, 1.149, 1.822, 2.364, 3.615])
        + np.array([-0.105, -0.305, -0.362, -0.391, -0.396, -0.345, -0.154])
    )
    levels = np.array([0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001])
    if standardised < critical.min():
        return float(levels.max())
    if standardised > critical.max():
        return float(levels.min())
    return math.exp(float(np.polyval(np.polyfit(critical, np.log(levels), 2), standardised)))


def cramer_von_mises(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Cramer-von Mises p-value: exact up to 20 rows on each side, else the limiting law.

    Evidently's copy of the exact distribution counts in half precision or crashes where counts are
    small; here scipy's is taken.
    """
    if min(reference.valid, current.valid) < 2:
        raise UndefinedError("the Cramer-von Mises test needs two rows on each side")
    if max(reference.valid, current.valid) <= _FEW_ROWS:
        from scipy import stats

        exact = stats.cramervonmises_2samp(*rows_of(reference, current), method="exact")
        return Score(
            float(exact.pvalue), "all values, midranks; exact distribution, as scipy has it"
        )
    first, second, _, midranks = _counts(reference, current)
    nx, ny = float(reference.valid), float(current.valid)
    u = nx * _square_sum(first, midranks) + ny * _square_sum(second, midranks)
    k, n = nx * ny, nx + ny
    statistic = u / (k * n) - (4 * k - 1) / (6 * n)
    expected = (1 + 1 / n) / 6
    variance = (n + 1) * (4 * k * n - 3 * (nx**2 + ny**2) - 2 * k) / (45 * n**2 * 4 * k)
    standardised = 1 / 6 + (statistic - expected) / math.sqrt(45 * variance)
    value = 1.0 if standardised < 0.003 else max(0.0, 1.0 - _limiting_law(standardised))
    return Score(value, "all values, midranks; asymptotic distribution")


def _square_sum(counts: Floats, midranks: Floats) -> float:
    """Sum of squared differences between each row's midrank and its place in its own sample."""
    places = np.cumsum(counts) - (counts - 1) / 2
    return float(np.sum(counts * (midranks - places) ** 2 + counts * (counts**2 - 1) / 12))


def _limiting_law(x: float) -> float:
    """Distribution function of the Cramer-von Mises statistic (Csorgo and Faraway 1996, 1.2)."""
    from scipy import special

    total, k, term = 0.0, 0, 1.0
    while abs(term) >= 1e-7:
        factor = math.exp(math.lgamma(k + 0.5) - math.lgamma(k + 1))
        y = 4 * k + 1
        q = y * y / (16 * x)
        scale = factor / (math.pi**1.5 * math.sqrt(x))
        term = scale * math.sqrt(y) * math.exp(-q) * float(special.kv(0.25, q))
        total += term
        k += 1
    return total


def mann_whitney(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Mann-Whitney p-value, one-sided as in Evidently: small where current values are larger."""
    from scipy import special, stats

    first, _, both, midranks = _counts(reference, current)
    nx, ny = float(reference.valid), float(current.valid)
    if min(nx, ny) <= _FEW_RANKS and bool(np.all(both == 1)):
        if max(nx, ny) > _LARGEST_EXACT:
            raise UndefinedError("the exact Mann-Whitney distribution is too large here")
        exact = stats.mannwhitneyu(*rows_of(reference, current), alternative="less")
        return Score(float(exact.pvalue), "all values; one-sided; exact distribution")
    u = nx * ny - (float(np.sum(first * midranks)) - nx * (nx + 1) / 2)
    n = nx + ny
    ties = float(np.sum(both**3 - both))
    spread = math.sqrt(max(0.0, nx * ny / 12 * ((n + 1) - ties / (n * (n - 1)))))
    if not spread:
        return Score(1.0, "all values; there is only one value, the same on both sides")
    value = float(special.ndtr(-(u - nx * ny / 2 - 0.5) / spread))
    return Score(min(1.0, value), "all values, midranks; one-sided; normal approximation")


# ---------------------------------------------------------------------------- tests on moments


def t_test(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Student's t-test with pooled variance."""
    from scipy import stats

    (nx, mean_x, squares_x), (ny, mean_y, squares_y) = (
        _moments(profile) for profile in (reference, current)
    )
    freedom = nx + ny - 2
    if freedom < 1:
        raise UndefinedError("the t-test needs three rows")
    error = math.sqrt((squares_x + squares_y) / freedom * (1 / nx + 1 / ny))
    difference = mean_x - mean_y
    if not error and not difference:
        raise UndefinedError("there is only one value in reference and current together")
    statistic = difference / error if error else math.copysign(math.inf, difference)
    return Score(float(2 * stats.t.sf(abs(statistic), freedom)), "means; pooled variance")


def _moments(profile: ColumnProfile) -> tuple[int, float, float]:
    """Rows, mean and sum of squared deviations."""
    mean = float(np.sum(profile.support * profile.counts)) / profile.valid
    return profile.valid, mean, float(np.sum(profile.counts * (profile.support - mean) ** 2))


def epps_singleton(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Epps-Singleton p-value: characteristic functions at 0.4 and 0.8 of the half spread."""
    from scipy import stats

    nx, ny = reference.valid, current.valid
    if min(nx, ny) < _SMALLEST_EPPS:
        raise UndefinedError("the Epps-Singleton test needs five rows on each side")
    first, second, both, _ = _counts(reference, current)
    values = np.union1d(reference.support, current.support)
    spread = _quantile(values, both, 0.75) - _quantile(values, both, 0.25)
    if not spread:
        raise UndefinedError("half of the rows lie at one value, which Evidently refuses here")
    points = np.array([[0.4], [0.8]]) / (spread / 2) * values
    waves = np.concatenate([np.cos(points), np.sin(points)])
    n = nx + ny
    means, covariances = zip(
        *(_mean_and_covariance(waves, counts) for counts in (first, second)), strict=True
    )
    inverse = np.linalg.pinv((n / nx) * covariances[0] + (n / ny) * covariances[1])
    difference = means[0] - means[1]
    statistic = float(n * difference @ inverse @ difference)
    if max(nx, ny) < 25:
        statistic /= 1 + n**-0.45 + 10.1 * (nx**-1.7 + ny**-1.7)
    p_value = stats.chi2.sf(statistic, int(np.linalg.matrix_rank(inverse)))
    return Score(float(p_value), "all values; t = 0.4 and 0.8 of the half interquartile range")


def _mean_and_covariance(waves: Floats, counts: Floats) -> tuple[Floats, Floats]:
    rows = counts.sum()
    mean = waves @ counts / rows
    deviation = waves - mean[:, None]
    return mean, (deviation * counts) @ deviation.T / rows


def _quantile(values: Floats, counts: Floats, share: float) -> float:
    """Linearly interpolated quantile of counted values."""
    until = np.cumsum(counts)
    place = (until[-1] - 1) * share
    low, high = (
        values[np.searchsorted(until, math.floor(place) + step, side="right")] for step in (0, 1)
    )
    return float(low + (high - low) * (place - math.floor(place)))


# ------------------------------------------------------------------------------ tests on counts


def g_test(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Log-likelihood ratio test of the current counts against the reference's counts."""
    from scipy import special, stats

    expected, observed = counts_by_value(reference, current)
    if len(observed) < 2:
        raise UndefinedError("there is only one value in reference and current together")
    if reference.valid != current.valid:
        raise UndefinedError("Evidently's G-test takes equally many rows on both sides only")
    with np.errstate(divide="ignore"):
        statistic = 2 * float(np.sum(special.xlogy(observed, observed / expected)))
    value = float(stats.chi2.sf(statistic, len(observed) - 1))
    return Score(value, f"{len(observed)} values; reference counts taken as known")


def fisher_exact(reference: ColumnProfile, current: ColumnProfile) -> Score:
    """Fisher's exact test of two values, where Evidently accepts the input."""
    from scipy import stats

    first, second = counts_by_value(reference, current)
    if len(first) > 2:
        raise UndefinedError("Evidently's Fisher test takes two values only")
    if reference.valid != current.valid:
        raise UndefinedError("Evidently's Fisher test takes equally many rows on both sides only")
    table = [[c[0], c.sum() - c[0]] for c in (second, first)]
    return Score(float(stats.fisher_exact(table).pvalue), f"{len(first)} values")


# ------------------------------------------------------------------------------------- methods

_DRAWN = "as Evidently 0.7.23, within the error of its {:,} draws"


def _method(
    name: str,
    title: str,
    threshold: float,
    kind: str,
    kernel: Callable[[ColumnProfile, ColumnProfile], Score],
    rule: Rule = "below",
    parity: str = PARITY,
) -> Method:
    def score(reference: ColumnProfile, current: ColumnProfile) -> Score:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return kernel(reference, current)

    return Method(name, f"{title} p-value", threshold, rule, (kind,), score, parity=parity)


TWO_SAMPLE_TESTS = (
    _method("anderson", "Anderson-Darling", 0.1, "numeric", anderson),
    _method(
        "cramer_von_mises", "Cramer-von Mises", 0.1, "numeric", cramer_von_mises, rule="at_most"
    ),
    _method("mannw", "Mann-Whitney", 0.05, "numeric", mann_whitney),
    _method("es", "Epps-Singleton", 0.05, "numeric", epps_singleton),
    _method("t_test", "t-test", 0.05, "numeric", t_test),
    _method(
        "empirical_mmd",
        "mean discrepancy",
        0.1,
        "numeric",
        maximum_mean_discrepancy,
        parity=_DRAWN.format(MMD_DRAWS),
    ),
    _method("g_test", "G-test", 0.1, "categorical", g_test),
    _method("fisher_exact", "Fisher's exact", 0.1, "categorical", fisher_exact),
    _method(
        "TVD",
        "total variation",
        0.1,
        "categorical",
        total_variation,
        parity=_DRAWN.format(TVD_DRAWS),
    ),
)
"""Tests that Evidently offers by name and never chooses by itself."""
