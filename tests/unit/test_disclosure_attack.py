"""An attacker who knows everything that is published, and how, cannot narrow a small count down.

The attack is exhaustive: every table of the given sizes is turned into the findings that would be
published, and tables that look the same are put together. Besides, the attacker knows the sizes of
all groups and how many people of all groups together have the property.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.checks.fairness._verdicts import (
    difference_measurement,
    group_measurements,
    ratio_measurement,
)
from nachweis.domain.comparisons import WITHHELD
from nachweis.domain.disclosure import seal_finding, seal_findings
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
    Threshold,
)
from nachweis.engines.fairness_groups import rate_report

MIN_GROUP = 10


def parity(
    counts: dict[tuple[str, ...], tuple[int, int]], crossing: str | None = None
) -> list[Measurement]:
    """What the parity checks measure of people with a property and all, by group."""
    report = rate_report("selection_rate", counts, MIN_GROUP, "counts")
    return [
        ratio_measurement("selection_rate", report, group=crossing),
        difference_measurement("selection_rate", report, group=crossing),
        *group_measurements("selection_rate", report, f"{crossing}: " if crossing else ""),
    ]


def finding(measurements: Iterable[Measurement], explanation: str = "", column: str = "group"):
    return Finding(
        check="selection_rate_parity_held",
        subject=Subject(kind=SubjectKind.MODEL, id="churn"),
        column=column,
        outcome=Outcome.FAIL,
        severity=Severity.HIGH,
        explanation=explanation,
        measurements=tuple(measurements),
    )


def published(hits: Sequence[int], sizes: Sequence[int]) -> str:
    """All that is published about a table; the sentence states the ratio, as the check's does."""
    names = "abcdef"
    measured = parity(
        {(names[i],): (h, n) for i, (h, n) in enumerate(zip(hits, sizes, strict=True))}
    )
    ratio = measured[0].value
    said = f"The lowest share is {ratio:.2f} of the highest." if ratio is not None else "Undefined."
    return seal_finding(finding(measured, said)).model_dump_json()


@pytest.mark.parametrize(
    ("sizes", "totals"),
    [((40, 45), range(86)), ((12, 70), range(83)), ((12, 18, 22), (12, 19, 20, 21, 32, 33))],
)
def test_no_table_with_a_small_count_can_be_told_from_its_neighbours(
    sizes: tuple[int, ...], totals: Sequence[int]
) -> None:
    alike: dict[tuple[int, str], list[tuple[int, ...]]] = defaultdict(list)
    for hits in itertools.product(*(range(n + 1) for n in sizes)):
        if sum(hits) in totals:
            alike[(sum(hits), published(hits, sizes))].append(hits)
    small = 0
    for (total, _), tables in alike.items():
        for place, n in enumerate(sizes):
            rest = sum(sizes) - n
            for possible, few_of, others in (
                ({table[place] for table in tables}, total, rest),
                ({n - table[place] for table in tables}, sum(sizes) - total, rest),
            ):
                if not possible & set(range(1, 10)):
                    continue
                small += 1
                wanted = {v for v in range(1, 10) if v <= n and 0 <= few_of - v <= others}
                assert wanted <= possible, (sizes, place, total, tables[:5])
    assert small


def test_a_pair_with_few_selected_tells_neither_rate_nor_gap() -> None:
    measured = parity({("f",): (250, 500), ("m",): (4, 480)})
    said = "The lowest share selected is 0.02 of the highest, below the limit."
    sealed = seal_finding(finding(measured, said))
    for one in sealed.measurements:
        assert (one.value, one.interval, one.reason) == (None, None, WITHHELD)
        assert "; p " not in one.recipe
        assert "against" not in one.recipe
    assert "0.02" not in sealed.explanation
    assert "below the limit" in sealed.explanation
    assert sealed.outcome is Outcome.FAIL
    assert seal_finding(sealed) == sealed


def test_large_counts_are_published() -> None:
    measured = parity({("f",): (250, 500), ("m",): (120, 480)})
    sealed = {(m.name, m.group): m for m in seal_finding(finding(measured)).measurements}
    assert sealed[("selection_rate_difference", None)].value == 0.25
    assert sealed[("selection_rate_ratio", None)].interval is not None
    assert "m against f" in sealed[("selection_rate_ratio", None)].recipe
    assert sealed[("selection_rate", "m")].value == 0.25


def test_a_group_without_anybody_selected_is_published() -> None:
    measured = parity({("f",): (250, 500), ("m",): (0, 480)})
    sealed = {(m.name, m.group): m for m in seal_finding(finding(measured)).measurements}
    assert sealed[("selection_rate", "m")].value == 0
    assert sealed[("selection_rate_difference", None)].value == 0.5


def test_a_withheld_size_is_not_told_by_an_interval_a_test_or_a_sum() -> None:
    measured = parity({("f",): (250, 500), ("m",): (120, 480), ("x",): (2, 4)})
    sealed = {(m.name, m.group): m for m in seal_finding(finding(measured)).measurements}
    assert sealed[("selection_rate", "f")].n is None
    for name in ("selection_rate_difference", "selection_rate_ratio"):
        one = sealed[(name, None)]
        assert one.value is not None
        assert (one.n, one.interval) == (None, None)
        assert "; p " not in one.recipe


@pytest.mark.parametrize("apart", [False, True])
def test_intersections_do_not_add_up_to_a_withheld_group(apart: bool) -> None:
    plain = parity({("f",): (250, 500), ("m",): (4, 480)})
    crossed = parity(
        {
            ("f", "young"): (120, 250),
            ("f", "old"): (130, 250),
            ("m", "young"): (0, 240),
            ("m", "old"): (4, 240),
        },
        "gender+age",
    )
    if apart:
        sealed = seal_findings([finding(plain), finding(crossed, column="age")])
    else:
        sealed = [seal_finding(finding([*plain, *crossed]))]
    rates = [m for one in sealed for m in one.measurements if m.name == "selection_rate"]
    assert len(rates) == 6
    assert all(m.value is None for m in rates)


def test_a_rate_of_another_name_is_not_touched() -> None:
    others = [
        Measurement(name="accuracy", value=0.75, unit="share", n=500, group=group)
        for group in ("f", "m")
    ]
    measured = parity({("f",): (250, 500), ("m",): (4, 480)})
    sealed = seal_finding(finding([*measured, *others])).measurements
    assert [m.value for m in sealed if m.name == "accuracy"] == [0.75, 0.75]


def test_two_windows_with_their_difference_do_not_tell_the_withheld_one() -> None:
    measured = [
        Measurement(name="missing_share_reference", value=0.05, unit="share", n=1_000),
        Measurement(name="missing_share", value=0.004, unit="share", n=1_000),
        Measurement(
            name="missing_share_difference",
            value=-0.046,
            unit="difference",
            n=1_000,
            interval=(-0.06, -0.03),
        ),
        Measurement(name="missing_share_p_value_adjusted", value=0.00012, unit="probability"),
    ]
    sealed = [m.value for m in seal_finding(finding(measured)).measurements]
    assert sealed == [0.05, "< 0.011", None, None]


@pytest.mark.parametrize(
    "centre", [((40, 105), (35, 90)), ((103, 205), (22, 48)), ((11, 30), (700, 1_200))]
)
def test_subtracting_what_was_published_before_tells_nobody_few(
    centre: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """Of every rate at least three sizes and counts stay possible, by everything beside it."""
    near = [range(number - 4, number + 5) for pair in centre for number in pair]
    tables = random.Random(2026).sample(list(itertools.product(*near)), 400)
    middle = published(*zip(*centre, strict=True))
    alike = [t for t in tables if published((t[0], t[2]), (t[1], t[3])) == middle]
    for place in range(4):
        assert len({table[place] for table in alike}) >= 3, place


def test_an_exact_number_is_restated_in_the_sentence_but_a_limit_is_not() -> None:
    measured = parity({("f",): (52, 104), ("m",): (42, 103)})
    limit = Threshold(value=0.8, operator=">=", source="policy.yaml")
    measured[0] = measured[0].model_copy(update={"threshold": limit})
    exact = f"{measured[0].value:.2f}"
    said = f"The lowest share is {exact} of the highest, below 0.80."
    sealed = seal_finding(finding(measured, said))
    anew = sealed.measurements[0].value
    assert isinstance(anew, float) and f"{anew:.2f}" != exact
    assert sealed.explanation == f"The lowest share is {anew:.2f} of the highest, below 0.80."


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(10, 6_000), st.floats(0, 1)), min_size=2, max_size=4))
def test_sealing_rates_and_what_compares_them_twice_changes_nothing(
    groups: list[tuple[int, float]],
) -> None:
    counts = {("abcd"[i],): (round(rate * n), n) for i, (n, rate) in enumerate(groups)}
    sealed = seal_finding(finding(parity(counts)))
    assert seal_finding(sealed) == sealed
