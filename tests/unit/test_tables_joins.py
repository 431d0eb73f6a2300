"""Partners in another data set: overlaps and joined columns against a brute-force oracle."""

from __future__ import annotations

import datetime as dt
import hmac
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nachweis.domain.errors import DataError
from nachweis.domain.observation import (
    GroupedCounts,
    Join,
    Overlap,
    OverlapCounts,
    Sample,
    Source,
)
from nachweis.engines import joins
from tests.unit.data_worlds import data_set, memory_tables_of

LEFT, RIGHT = Source("left"), Source("right")
SECRET = "00112233445566778899aabbccddeeff"
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)

KEY = st.one_of(st.none(), st.integers(0, 5))
PURPOSE = st.sampled_from(["mail", "post", None])
HOUR = st.one_of(
    st.none(), st.integers(0, 6).map(lambda step: START + dt.timedelta(hours=8 * step))
)


def columns(names: list[str], rows: list[tuple]) -> dict[str, list]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def declared(id_: str, names: dict[str, str], **fields):
    return data_set(
        id_, columns=[{"name": name, "type": type_} for name, type_ in names.items()], **fields
    )


def oracle(left: list[tuple], right: list[tuple], matches) -> OverlapCounts:
    """Counts by looping over all pairs; the first element of a row is its key."""
    hit = [
        any(one[0] is not None and one[0] == other[0] and matches(one, other) for other in right)
        for one in left
    ]
    pairs = list(zip(left, hit, strict=True))
    return OverlapCounts(
        rows=len(left),
        keys=len({one[0] for one in left if one[0] is not None}),
        rows_matched=sum(hit),
        keys_matched=len({one[0] for one, found in pairs if found}),
        rows_without_key=sum(one[0] is None for one in left),
        keys_unmatched=len({one[0] for one, found in pairs if not found and one[0] is not None}),
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    left=st.lists(st.tuples(KEY, PURPOSE, HOUR), max_size=12),
    right=st.lists(st.tuples(KEY, PURPOSE, HOUR, HOUR, HOUR), max_size=12),
    timed=st.booleans(),
    matched=st.booleans(),
    unknown=st.booleans(),
    delay=st.sampled_from([0, 1]),
)
def test_overlap_equals_looping_over_all_pairs(
    tmp_path: Path, left, right, timed, matched, unknown, delay
):
    request = Overlap(
        "o",
        LEFT,
        RIGHT,
        ("k", "key"),
        match=(("p", "purpose"),) if matched else (),
        left_time="at" if timed else None,
        right_from="given" if timed else None,
        right_until=("withdrawn", "expires") if timed else (),
        right_delay_days=delay,
        unknown_counts=unknown,
        longest=True,
    )

    def matches(one: tuple, other: tuple) -> bool:
        if matched and (one[1] is None or one[1] != other[1]):
            return False
        if not timed:
            return True
        at, (given_at, withdrawn, expires) = one[2], other[2:]
        if at is None:
            return unknown
        begun = unknown if given_at is None else given_at + dt.timedelta(days=delay) <= at
        return begun and all(until is None or at < until for until in (withdrawn, expires))

    def longest() -> float | None:
        waits = [
            (one[2] - other[2]) / dt.timedelta(days=1)
            for one in left
            for other in right
            if one[0] is not None and one[0] == other[0] and matches(one, other)
            if timed and one[2] and other[2]
        ]
        return max(waits, default=None)

    sets = (
        declared("left", {"k": "integer", "p": "string", "at": "timestamp"}),
        declared(
            "right",
            {
                "key": "integer",
                "purpose": "string",
                "given": "timestamp",
                "withdrawn": "timestamp",
                "expires": "timestamp",
            },
        ),
    )
    rows = {
        "left": columns(["k", "p", "at"], left),
        "right": columns(["key", "purpose", "given", "withdrawn", "expires"], right),
    }
    with memory_tables_of(rows, tmp_path, *sets) as tables:
        found = tables.overlap(request)
        assert replace(found, longest_days=None) == oracle(left, right, matches)
        assert found.longest_days == (None if longest() is None else pytest.approx(longest()))
        assert tables.log.count("left:whole", "overlap") == 1
        tables.overlap(replace(request, name="again"))
        assert tables.log.count("left:whole", "overlap") == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["1", "2", "x", None], [1, 3]),
        ([1.0, 2.0, None, float("nan")], ["1", "x"]),
        ([1, 2, None], [1.0, float("nan")]),
        ([True, None], ["true"]),
    ],
)
def test_keys_of_different_types_are_compared_by_their_text(tmp_path: Path, left, right):
    rows = {"left": {"k": left}, "right": {"k": right}}
    with memory_tables_of(rows, tmp_path) as tables:
        found = tables.overlap(Overlap("o", LEFT, RIGHT, ("k", "k")))
    assert (found.rows_matched, found.keys_matched) == (1, 1)
    absent = sum(value is None or value != value for value in left)
    assert found.rows_without_key == absent


COUNTRY = st.sampled_from(["DE", " de", "DK", "", None])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    left=st.lists(st.tuples(KEY, COUNTRY), max_size=12),
    right=st.lists(st.tuples(KEY, COUNTRY), max_size=12),
)
def test_a_pair_that_must_be_equal_if_known_counts_without_values_and_is_told(
    tmp_path: Path, left, right
):
    def known(row: tuple) -> str | None:
        return (row[1] or "").strip().upper() or None

    def equal(one: tuple, other: tuple) -> bool:
        return known(one) is not None and known(one) == known(other)

    def unless_missing(one: tuple, other: tuple) -> bool:
        return None in {known(one), known(other)} or equal(one, other)

    sets = (
        declared("left", {"k": "integer", "c": "string"}),
        declared("right", {"key": "integer", "country": "string"}),
    )
    rows = {"left": columns(["k", "c"], left), "right": columns(["key", "country"], right)}
    request = Overlap("o", LEFT, RIGHT, ("k", "key"), match_known=(("c", "country"),))
    with memory_tables_of(rows, tmp_path, *sets) as tables:
        found = tables.overlap(request)
    expected, sure = oracle(left, right, unless_missing), oracle(left, right, equal)
    assert found == replace(expected, rows_assumed=expected.rows_matched - sure.rows_matched)


def test_filters_apply_to_their_own_side(tmp_path: Path):
    rows = {
        "left": {"k": [1, 2, 3], "use": [True, True, False]},
        "right": {"k": [1, 2, 3], "ok": [True, False, True]},
    }
    request = Overlap(
        "o", LEFT, RIGHT, ("k", "k"), where=lambda t: t.use, other_where=lambda t: t.ok
    )
    with memory_tables_of(rows, tmp_path) as tables:
        found = tables.overlap(request)
    assert (found.rows, found.rows_matched, found.rows_unmatched) == (2, 1, 1)


def test_times_are_compared_as_moments_across_zones_and_types(tmp_path: Path):
    sets = (
        declared("left", {"k": "integer", "at": "timestamp"}, time={"column": "at"}),
        declared("right", {"k": "integer", "given": "timestamp", "end": "date"}),
    )
    rows = {
        # Berlin wall clock: 10:00 is 09:00 UTC.
        "left": {"k": [1, 2, 3], "at": [dt.datetime(2026, 3, 1, 10)] * 3},
        "right": {
            "k": [1, 2, 3],
            "given": [
                dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC),
                dt.datetime(2026, 3, 1, 9, 0, 1, tzinfo=dt.UTC),
                dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            ],
            # An end on the same day holds from its midnight on.
            "end": [None, None, dt.date(2026, 3, 1)],
        },
    }
    request = Overlap(
        "o", LEFT, RIGHT, ("k", "k"), left_time="at", right_from="given", right_until=("end",)
    )
    with memory_tables_of(rows, tmp_path, *sets) as tables:
        assert tables.overlap(request).keys_matched == 1


def test_a_row_that_knows_only_its_day_is_compared_by_days(tmp_path: Path):
    sets = (
        declared("left", {"k": "integer", "day": "date"}),
        declared("right", {"k": "integer", "given": "timestamp", "end": "timestamp"}),
    )
    day = dt.date(2026, 3, 1)
    rows = {
        "left": {"k": [1, 2], "day": [day, day]},
        "right": {
            "k": [1, 2],
            # 23:30 UTC of 28 February is already 1 March in Berlin.
            "given": [dt.datetime(2026, 2, 28, 23, 30, tzinfo=dt.UTC)] * 2,
            "end": [None, dt.datetime(2026, 3, 1, 20, tzinfo=dt.UTC)],
        },
    }
    request = Overlap(
        "o", LEFT, RIGHT, ("k", "k"), left_time="day", right_from="given", right_until=("end",)
    )
    with memory_tables_of(rows, tmp_path, *sets) as tables:
        assert tables.overlap(request).keys_matched == 1


# ------------------------------------------------------------------------------- keyed hashes


def hashed(key: object) -> str:
    return hmac.digest(bytes.fromhex(SECRET), str(key).encode(), "sha256").hex()


def hashed_set(id_: str = "right", env: str = "ERASURE_KEY"):
    return data_set(id_, subject_key={"column": "k", "form": "hmac_sha256", "key_env": env})


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(left=st.lists(KEY, max_size=12), right=st.lists(st.integers(0, 5), max_size=6))
def test_hashed_keys_overlap_as_the_plain_ones_do(tmp_path: Path, left, right):
    sets = (declared("left", {"k": "integer"}), hashed_set())
    rows = {"left": {"k": left}, "right": {"k": [hashed(key).upper() for key in right]}}
    request = Overlap("o", LEFT, RIGHT, ("k", "k"))
    with memory_tables_of(rows, tmp_path, *sets, environment={"ERASURE_KEY": SECRET}) as tables:
        found = tables.overlap(request)
        sent = " ".join(entry.sql for entry in tables.log.entries)
    assert found == oracle([(key,) for key in left], [(key,) for key in right], lambda *_: True)
    assert SECRET not in sent


def test_keys_are_hashed_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joins, "_KEYS_AT_ONCE", 100)
    keys = [f"k{number % 250}" for number in range(500)]
    rows = {"left": {"k": keys}, "right": {"k": [hashed(key) for key in keys[:120]]}}
    request = Overlap("o", LEFT, RIGHT, ("k", "k"))
    with memory_tables_of(
        rows, tmp_path, hashed_set(), environment={"ERASURE_KEY": SECRET}
    ) as tables:
        found = tables.overlap(request)
        sent = [entry.sql for entry in tables.log.entries]
    assert (found.keys, found.keys_matched, found.rows_matched) == (250, 120, 240)
    assert sum(sql.startswith("INSERT INTO nachweis_hashes") for sql in sent) == 3
    assert not any(SECRET in sql or "k7" in sql for sql in sent)


def test_either_side_may_hold_the_hashes(tmp_path: Path):
    rows = {"left": {"k": [hashed("a"), hashed("b")]}, "right": {"k": ["a", None]}}
    with memory_tables_of(
        rows, tmp_path, hashed_set("left"), environment={"ERASURE_KEY": SECRET}
    ) as tables:
        assert tables.overlap(Overlap("o", LEFT, RIGHT, ("k", "k"))).keys_matched == 1


def test_two_hashed_sides_with_one_secret_need_no_secret(tmp_path: Path):
    rows = {"left": {"k": [hashed("a")]}, "right": {"k": [hashed("a")]}}
    sets = (hashed_set("left"), hashed_set("right"))
    with memory_tables_of(rows, tmp_path, *sets, environment={}) as tables:
        assert tables.overlap(Overlap("o", LEFT, RIGHT, ("k", "k"))).keys_matched == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "the secret for keyed hashes is not set"),
        ({"ERASURE_KEY": "not hexadecimal"}, "the secret for keyed hashes is not hexadecimal"),
    ],
)
def test_a_missing_or_malformed_secret_is_named_but_not_shown(tmp_path: Path, environment, message):
    rows = {"left": {"k": ["a"]}, "right": {"k": [hashed("a")]}}
    with (
        memory_tables_of(rows, tmp_path, hashed_set(), environment=environment) as tables,
        pytest.raises(DataError, match=message) as caught,
    ):
        tables.overlap(Overlap("o", LEFT, RIGHT, ("k", "k")))
    assert "ERASURE_KEY" in str(caught.value)
    assert "not hexadecimal'" not in str(caught.value)
    assert caught.value.__context__ is None


def test_different_secrets_cannot_be_compared(tmp_path: Path):
    rows = {"left": {"k": [hashed("a")]}, "right": {"k": [hashed("a")]}}
    sets = (hashed_set("left", "ONE_KEY"), hashed_set("right", "OTHER_KEY"))
    with (
        memory_tables_of(rows, tmp_path, *sets, environment={}) as tables,
        pytest.raises(DataError, match="different secrets"),
    ):
        tables.overlap(Overlap("o", LEFT, RIGHT, ("k", "k")))


# ---------------------------------------------------------------------------------- joined


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    left=st.lists(st.tuples(KEY, st.sampled_from("ab")), max_size=10),
    right=st.lists(st.tuples(KEY, st.one_of(st.none(), st.integers(0, 1)), HOUR), max_size=10),
    timed=st.booleans(),
)
def test_joined_columns_neither_lose_nor_multiply_rows(tmp_path: Path, left, right, timed):
    def partner(key):
        found = [row for row in right if key is not None and row[0] == key]
        if not timed:
            return max((row[1] for row in found if row[1] is not None), default=None)
        latest = max(
            found,
            key=lambda row: (
                row[2] is not None,
                row[2] or START,
                row[1] is not None,
                row[1] or 0,
            ),
            default=None,
        )
        return latest and latest[1]

    expected: dict[tuple, int] = {}
    for key, group in left:
        cell = (group, partner(key))
        expected[cell] = expected.get(cell, 0) + 1
    sets = (
        declared("left", {"k": "integer", "g": "string"}),
        declared("right", {"k": "integer", "y": "integer", "at": "timestamp"}),
    )
    rows = {"left": columns(["k", "g"], left), "right": columns(["k", "y", "at"], right)}
    join = Join(RIGHT, ("k", "k"), (("label", "y"),), time="at" if timed else None)
    request = GroupedCounts("c", LEFT, {"g": "g", "y": "label"}, join=join)
    with memory_tables_of(rows, tmp_path, *sets) as tables:
        assert tables.grouped(request).rows == expected


def test_the_filter_applies_before_the_join_and_keys_may_be_hashed(tmp_path: Path):
    rows = {
        "left": {"k": ["a", "b", "c"], "use": [True, True, False]},
        "right": {"k": [hashed("a"), hashed("c")], "y": [1, 1]},
    }
    join = Join(RIGHT, ("k", "k"), (("label", "y"),))
    request = GroupedCounts("c", LEFT, {"y": "label"}, where=lambda t: t.use, join=join)
    with memory_tables_of(
        rows, tmp_path, hashed_set(), environment={"ERASURE_KEY": SECRET}
    ) as tables:
        assert tables.grouped(request).rows == {(1,): 1, (None,): 1}


def test_a_joined_column_may_not_hide_one_that_exists(tmp_path: Path):
    rows = {"left": {"k": [1]}, "right": {"k": [1]}}
    request = GroupedCounts("c", LEFT, {"k": "k"}, join=Join(RIGHT, ("k", "k"), (("k", "k"),)))
    with (
        memory_tables_of(rows, tmp_path) as tables,
        pytest.raises(DataError, match="exists already"),
    ):
        tables.grouped(request)


def test_columns_of_two_other_data_sets_can_be_laid_beside(tmp_path: Path):
    rows = {
        "left": {
            "k": ["a", "b", "c", None],
            "p": ["x", "y", "x", "x"],
            "use": [True] * 3 + [False],
        },
        "right": {"k": [hashed("a"), hashed("c")], "y": [1, 0]},
        "people": {"p": ["x", "x", "y"], "g": ["f", "m", "m"]},
    }
    joins = (
        Join(RIGHT, ("k", "k"), (("label", "y"),)),
        Join(Source("people"), ("p", "p"), (("group", "g"),)),
    )
    people = declared("people", {"p": "string", "g": "string"})
    with memory_tables_of(
        rows,
        tmp_path,
        data_set("left", subject_key={"column": "p"}),
        hashed_set(),
        people,
        environment={"ERASURE_KEY": SECRET},
    ) as tables:
        request = GroupedCounts(
            "c", LEFT, {"g": "group", "y": "label"}, where=lambda t: t.use, join=joins
        )
        assert tables.grouped(request).rows == {("m", 1): 1, ("m", None): 1, ("m", 0): 1}
        sample = tables.sample(Sample("s", LEFT, ("group", "label"), 10, join=joins))
        pairs = sorted(zip(sample["group"], map(str, sample["label"]), strict=True))
        assert pairs == [("m", "0.0"), ("m", "1.0"), ("m", "nan"), ("m", "nan")]
