"""Numbers about calibration between groups, as they are reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nachweis.checks.fairness._verdicts import SMALL_GROUPS, publishable_label
from nachweis.domain.check import Inputs
from nachweis.domain.disclosure import SMALLEST_COUNT
from nachweis.domain.finding import Measurement
from nachweis.domain.rounded import coarse_comparison
from nachweis.engines.fairness_calibration import BINS, Gap, GroupCalibration


def measurements(
    inputs: Inputs,
    groups: Sequence[GroupCalibration],
    judged: Sequence[GroupCalibration],
    tests: int,
    *,
    prefix: str = "",
    crossed: bool = False,
) -> Iterator[Measurement]:
    """What is measured about each group.

    Args:
        inputs: For the limit.
        groups: All groups.
        judged: Those that are large enough to be compared.
        tests: How many comparisons the p-values are corrected for.
        prefix: Put before the names of groups.
        crossed: Whether the groups are those of an intersection: the limit does not hold for them,
            and sizes are left out where a group is too small to be named, because it would be what
            its neighbours lack to the whole group of one attribute.

    Yields:
        The measurements; groups of fewer than 10 rows are put together.
    """
    limit = None if crossed else inputs.threshold("max_gap", "<=")
    tiny = sum(one.n for one in groups if one.n < SMALLEST_COUNT)
    sized = not (crossed and tiny)
    for one in groups:
        if one.n < SMALLEST_COUNT:
            continue
        name = prefix + publishable_label(one.group)
        large = one in judged
        yield Measurement(
            name="calibration_gap",
            value=_shown(one.gap, one.n, sized=sized) if large else None,
            unit="difference",
            n=one.n if sized else None,
            interval=one.gap_interval if large and sized else None,
            interval_level=0.95 if large and sized and one.gap_interval else None,
            group=name,
            recipe="share in which the outcome happened minus mean score",
            reason="" if large else "too small to compare",
        )
        if not large:
            continue
        yield Measurement(
            name="expected_calibration_error",
            value=_shown(one.error, one.n, sized=sized),
            unit="difference",
            n=one.n if sized else None,
            group=name,
            recipe=f"{BINS} bins of equal width",
        )
        for label, gap in (("gap_against_others", one.against_others), ("bin_gap", one.worst_bin)):
            if gap is None:
                continue
            place = "" if gap.bin is None else f"; scores up to {(gap.bin + 1) / BINS:g}"
            yield Measurement(
                name=label,
                value=_shown(abs(gap.value), gap.n, sized=sized),
                unit="difference",
                threshold=limit,
                n=gap.n if sized else None,
                interval=_limits(gap) if sized else None,
                interval_level=0.95 if sized else None,
                group=name,
                recipe=f"at equal scores, normal test{place}; p = {min(1, gap.p_value * tests):.3g}"
                f" after correction for {tests} comparisons",
            )
    if tiny:
        yield Measurement(
            name="calibration_gap",
            value=None,
            unit="difference",
            n=tiny if sized else None,
            group=prefix + SMALL_GROUPS,
            reason="too small to compare",
        )


def _shown(value: float | None, n: int, *, sized: bool) -> float | None:
    """A number; in steps of a few people where the size that says so is left out."""
    return value if sized or value is None else coarse_comparison(value, n)


def _limits(gap: Gap) -> tuple[float, float]:
    """Interval of the difference without its sign."""
    low, high = gap.interval
    return (low, high) if gap.value >= 0 else (-high, -low)
