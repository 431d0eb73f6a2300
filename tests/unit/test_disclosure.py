"""No small number of people leaves, directly, by subtraction or by arithmetic."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nachweis.domain import disclosure
from nachweis.domain.disclosure import (
    SMALL_BAND,
    seal_finding,
    seal_text,
    sealed_cells,
    sealed_count,
    sealed_rate,
    sealed_size,
    whole_months,
    withheld_groups,
)
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
    Threshold,
)

counts = st.integers(0, 5_000)
units = st.sampled_from(
    [
        *sorted(disclosure.COUNT_UNITS | disclosure.RATE_UNITS | disclosure.COMPARISON_UNITS),
        "months",
        "columns",
        "wasserstein",
        "",
    ]
)


def _finding(*measurements: Measurement, explanation: str = "", scope: str = "") -> Finding:
    return Finding(
        check="some_check",
        subject=Subject(kind=SubjectKind.MODEL, id="churn"),
        outcome=Outcome.FAIL,
        severity=Severity.HIGH,
        explanation=explanation,
        measurements=measurements,
        scope=scope,
    )


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, 0), (1, "1-9"), (9, "1-9"), (10, 10), (12, 10), (13, 15), (17, 15), (18, 20), (999, 1000)],
)
def test_counts_are_banded_and_rounded(count: int, shown: int | str) -> None:
    assert sealed_count(count) == shown
    assert disclosure.beyond_bound(count) == shown
    assert sealed_size(count) == (None if shown == SMALL_BAND else shown)


@given(counts)
def test_a_published_count_fits_at_least_three_exact_ones(count: int) -> None:
    shown = sealed_count(count)
    assert shown == 0 or sum(sealed_count(other) == shown for other in range(6_000)) >= 3
    if isinstance(shown, int):
        assert sealed_count(shown) == shown
        assert abs(shown - count) <= 2


@given(st.integers(1, 5_000), st.data())
def test_a_published_rate_tells_of_nobody_few(n: int, data: st.DataObject) -> None:
    having = data.draw(st.integers(0, n))
    rate = round(having / n, 9)
    shown = sealed_rate(rate, n)
    published = sealed_size(n)
    if n < 10:
        assert shown is None
    elif isinstance(shown, str):
        side, bound = shown.split(" ")
        assert rate < float(bound) if side == "<" else rate > float(bound)
    else:
        assert shown is not None and published is not None
        assert having in {0, n} or (having >= 10 and n - having >= 10)
        told = round(shown * published)
        assert told in {0, published} or (told >= 10 and published - told >= 10)
        # As far as two counts and the size are rounded; nothing is from 4,000 rows on.
        off = 0 if published >= 4_000 else (2 + 2 * rate) / published
        assert abs(shown - rate) <= off + 0.0005 + 1e-9
        assert sealed_rate(shown, published) == shown


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), counts, max_size=8))
def test_a_small_group_is_never_alone(cells: dict[str, int]) -> None:
    shown = sealed_cells(cells)
    hidden = [name for name, value in shown.items() if value is None or value == SMALL_BAND]
    small = [name for name, count in cells.items() if 0 < count < 10]
    assert set(small) <= set(hidden)
    for name in small:
        assert shown[name] == SMALL_BAND
    if not small:
        assert hidden == []
    elif sum(1 for count in cells.values() if count) >= 2 and sum(cells.values()) >= 10:
        assert len(hidden) >= 2
        assert sum(cells[name] for name in hidden) >= 10


@given(
    st.dictionaries(st.sampled_from("bcdefg"), st.integers(10, 900), min_size=2, max_size=5),
    st.integers(1, 9),
    st.data(),
)
def test_the_same_companion_is_withheld_every_night(
    cells: dict[str, int], small: int, data: st.DataObject
) -> None:
    tonight = {**cells, "a": small}
    tomorrow = {name: data.draw(st.integers(10, 900)) for name in cells} | {
        "a": data.draw(st.integers(1, 9))
    }
    assert withheld_groups(tonight) == withheld_groups(tomorrow) == {min(cells)}


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    unit = draw(units)
    n = draw(st.none() | counts)
    if unit in disclosure.RATE_UNITS:
        value: float | int | None = round(draw(st.floats(0, 1)), 9)
    elif unit in disclosure.COMPARISON_UNITS:
        value = draw(st.floats(-3, 3))
    else:
        value = draw(st.none() | counts)
    return Measurement(
        name=draw(st.sampled_from(["one", "two"])),
        value=value,
        unit=unit,
        n=n,
        group=draw(st.none() | st.sampled_from(["f", "m", "x"])),
        interval=draw(st.none() | st.just((0.123456, 0.45678))),
        threshold=Threshold(value=0.0512345, operator="<=", source="policy.yaml"),
    )


@given(st.lists(measurements(), max_size=8))
def test_sealing_twice_changes_nothing_and_no_small_cell_escapes(found: list[Measurement]) -> None:
    sealed = seal_finding(_finding(*found))
    assert seal_finding(sealed) == sealed
    assert Finding.model_validate_json(sealed.model_dump_json()) == sealed
    for before, after in zip(found, sealed.measurements, strict=True):
        assert after.n is None or after.n == 0 or (after.n >= 10 and after.n % 5 == 0)
        assert after.threshold == before.threshold
        if after.unit in disclosure.COUNT_UNITS and isinstance(after.value, int):
            assert after.value == 0 or (after.value >= 10 and after.value % 5 == 0)
        if after.unit in disclosure.RATE_UNITS and isinstance(after.value, float):
            assert after.value == round(after.value, 3)
            if after.n:
                told = round(after.value * after.n)
                assert told in {0, after.n} or (told >= 10 and after.n - told >= 10)


def _comparison(unit: str, value: float, n: int | None) -> Measurement:
    return Measurement(name="gap", value=value, unit=unit, n=n, interval=(value - 0.1, value + 0.1))


@given(st.integers(1, 3_000), st.data())
def test_a_comparison_by_itself_does_not_tell_who_is_in_it(n: int, data: st.DataObject) -> None:
    having, other = data.draw(st.integers(0, n)), data.draw(st.floats(0, 1))

    def published(k: int) -> object:
        return seal_finding(_finding(_comparison("difference", k / n - other, n))).measurements[0]

    # Even to someone who knows all but how many people of this group have the property.
    shown = published(having)
    # Beside none at all, half a step of them is left.
    assert sum(published(k) == shown for k in range(max(0, having - 20), having + 20)) >= 2


@given(
    st.integers(10, 3_000),
    st.floats(0, 2),
    st.floats(0, 1),
    st.sampled_from(["<=", ">="]),
)
def test_a_comparison_is_published_on_its_side_of_the_limit(
    n: int, value: float, limit: float, operator: str
) -> None:
    value, limit = round(value, 6), round(limit, 6)
    exact = _comparison("ratio", value, n).model_copy(
        update={"threshold": Threshold(value=limit, operator=operator, source="policy.yaml")}
    )
    (shown,) = seal_finding(_finding(exact)).measurements
    assert isinstance(shown.value, float)
    step = max(0.01, -(-500 // max(disclosure.rounded(n), 5)) / 100)
    inside = value <= limit if operator == "<=" else value >= limit
    assert (shown.value <= limit if operator == "<=" else shown.value >= limit) == inside
    assert abs(shown.value - value) <= 1.5 * step + 0.001


def test_a_comparison_of_few_rows_is_in_no_sentence() -> None:
    finding = _finding(_comparison("difference", 0.375, 8), explanation="They differ by 0.38.")
    sealed = seal_finding(finding)
    assert sealed.measurements[0].value is None
    assert "0.38" not in sealed.explanation


@pytest.mark.parametrize("unit", ["share", "difference", "ratio", "F1"])
@pytest.mark.parametrize("n", [None, 0, 9])
def test_an_interval_stands_only_beside_a_published_size(unit: str, n: int | None) -> None:
    assert seal_finding(_finding(_comparison(unit, 0.5, n))).measurements[0].interval is None
    assert seal_finding(_finding(_comparison(unit, 0.5, 500))).measurements[0].interval is not None


def test_recipes_and_reasons_are_sealed_like_explanations() -> None:
    found = Measurement(
        name="distance",
        value=None,
        recipe="7 contributors; 401 reference rows and 3 current rows",
        reason="4 people, fewer than the 401 rows needed",
    )
    (sealed,) = seal_finding(_finding(found)).measurements
    assert sealed.recipe == "1-9 contributors; 400 reference rows and 1-9 current rows"
    assert sealed.reason == "1-9 people, fewer than the 401 rows needed"


def test_judgement_and_identity_stay() -> None:
    finding = _finding(Measurement(name="p_value", value=0.000123456, unit="ks", n=4_321))
    sealed = seal_finding(finding)
    assert (sealed.key, sealed.outcome, sealed.severity) == (
        finding.key,
        finding.outcome,
        finding.severity,
    )
    assert sealed.measurements[0].value == 0.000123456
    assert sealed.measurements[0].n == 4_320


def test_a_small_group_of_a_rate_table_takes_a_companion_with_it() -> None:
    rates = [
        Measurement(name="selection_rate", value=0.5, unit="share", n=n, group=group)
        for group, n in (("f", 500), ("m", 480), ("x", 4))
    ]
    sealed = {m.group: m for m in seal_finding(_finding(*rates)).measurements}
    assert sealed["x"].value is None and sealed["x"].n is None
    assert sealed["f"].value == 0.5 and sealed["f"].n is None
    assert sealed["m"].n == 480


def test_counts_that_have_a_total_protect_the_small_one() -> None:
    table = [
        Measurement(name="rows", value=value, unit="rows", group=group)
        for group, value in (("f", 500), ("m", 480), ("x", 4), (None, 984))
    ]
    sealed = {m.group: m for m in seal_finding(_finding(*table)).measurements}
    assert (sealed["x"].value, sealed["f"].value) == (SMALL_BAND, None)
    assert "cannot be recovered" in sealed["f"].reason
    assert (sealed["m"].value, sealed[None].value) == (480, 985)


def test_values_of_one_column_protect_the_small_one() -> None:
    table = [
        Measurement(name="group_size", value=value, unit="rows", group=group)
        for group, value in (("f", 500), ("m", 480), ("x", 4))
    ]
    finding = _finding(*table).model_copy(update={"column": "gender"})
    assert [m.value for m in seal_finding(finding).measurements] == [None, 480, SMALL_BAND]


def test_overlapping_counts_without_a_total_stay() -> None:
    rules = [
        Measurement(name="rows_beyond", value=value, unit="rows", group=group)
        for group, value in (("rule-a", 4), ("rule-b", 400))
    ]
    assert [m.value for m in seal_finding(_finding(*rules)).measurements] == [SMALL_BAND, 400]


@pytest.mark.parametrize(
    ("text", "sealed"),
    [
        ("3 of 512 rows differ", "1-9 of 510 rows differ"),
        ("1,234 rows in the window", "1235 rows in the window"),
        ("7 distinct persons", "1-9 distinct persons"),
        ("fewer than 67 rows", "fewer than 67 rows"),
        ("at least 512 rows", "at least 512 rows"),
        ("5 columns, 3 nights", "5 columns, 3 nights"),
        ("2026-03-02: no rows", "2026-03-02: no rows"),
        ("1-9 rows", "1-9 rows"),
        ("12 rules over all rows", "12 rules over all rows"),
    ],
)
def test_sentences_state_sealed_counts(text: str, sealed: str) -> None:
    assert seal_text(text) == sealed


@given(st.lists(st.sampled_from(["7", "12", "345", "of", "rows", "all", "the", "people", ","])))
def test_sealing_a_sentence_is_idempotent(words: list[str]) -> None:
    once = seal_text(" ".join(words))
    assert seal_text(once) == once


@given(st.integers(1, 9), st.sampled_from(sorted(disclosure.COUNT_UNITS)))
def test_no_sentence_states_a_few_people(count: int, unit: str) -> None:
    assert not re.search(rf"(?<![-\d]){count} {unit}", seal_text(f"There were {count} {unit}."))


@given(st.floats(-10, 40_000))
def test_ages_are_whole_months(days: float) -> None:
    assume(days == days)
    months = whole_months(days)
    assert months == int(months) >= 0
    assert months <= max(0, days) / 30.4 + 1
