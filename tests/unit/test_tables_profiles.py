"""Profiles, aggregates, samples and versions of data sets."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import mmap
import os
import stat
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nachweis.domain.errors import DataError
from nachweis.domain.observation import GroupedCounts, Missing, Sample, Source
from nachweis.engines.hashes import hashed
from nachweis.engines.versions import file_digest
from tests.unit.data_worlds import data_set, memory_tables_of, parquet, tables_of

LOG = Source("log")


def profile_of(tmp_path: Path, values, kind="auto"):
    parquet(tmp_path / "log.parquet", {"x": values})
    with tables_of(tmp_path, data_set()) as tables:
        return tables.profile(LOG, None, "x", kind)


# ------------------------------------------------------------------------------- profiles


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=40))
def test_numeric_profile_counts_every_row_once(tmp_path: Path, values):
    found = profile_of(tmp_path, pa.array(values, pa.float64()))
    missing = sum(value is None or value != value for value in values)
    infinite = sum(value in (float("inf"), float("-inf")) for value in values)
    finite = sorted(v for v in values if v is not None and np.isfinite(v))
    assert (found.kind, found.n, found.nulls, found.infinite) == (
        "numeric",
        len(values),
        missing,
        infinite,
    )
    assert np.repeat(found.support, found.counts).tolist() == finite


@pytest.mark.parametrize(
    ("values", "kind", "support"),
    [
        (pa.array([True, False, None, True]), "auto", ["false", "true"]),
        (pa.array(["b", "a", None, "b"]), "auto", ["a", "b"]),
        (pa.array([2, 10, None, 2]), "categorical", ["10", "2"]),
        (pa.array([2.0, 10.5, float("nan"), 2.0]), "categorical", ["10.5", "2"]),
        (pa.array([dt.date(2026, 1, 2), dt.date(2026, 1, 1), None, None]), "auto", None),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), "auto", ["a", "b"]),
    ],
)
def test_categories_are_named_alike_in_every_format(tmp_path: Path, values, kind, support):
    found = profile_of(tmp_path, values, kind)
    assert found.kind == "categorical"
    assert found.n == 4
    assert found.support.tolist() == (support or ["2026-01-01", "2026-01-02"])


def test_booleans_may_be_asked_for_as_numbers(tmp_path: Path):
    assert profile_of(tmp_path, pa.array([True, False]), "numeric").support.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (pa.array(["a"]), "numeric", "string data, not numbers"),
        (pa.array([[1]]), "auto", "nested data"),
        (pa.array([b"\0"]), "categorical", "binary data"),
    ],
)
def test_columns_without_such_a_profile_are_refused(tmp_path: Path, values, kind, message):
    with pytest.raises(DataError, match=message):
        profile_of(tmp_path, values, kind)


def test_only_the_profiled_column_is_read(tmp_path: Path):
    parquet(
        tmp_path / "log.parquet",
        {"x": [1.0], "secret": ["never"], "at": pa.array([dt.datetime(2026, 3, 2)])},
    )
    with tables_of(tmp_path, data_set(time={"column": "at"})) as tables:
        for window in ("night", "whole"):
            source = Source("log", window)
            tables.facts(source)
            tables.profile(source, None, "x")
            tables.scalars(source, None, {"m": lambda t: t.x.mean()})
            tables.grouped(GroupedCounts("c", source, {"x": "x"}))
        reading = [entry.sql for entry in tables.log.entries if entry.kind != "schema"]
        assert len(reading) == 8
        assert not any("secret" in sql or "*" in sql.replace("(*)", "") for sql in reading)
        plan = tables.backend.con.execute(
            f"EXPLAIN {next(sql for sql in reading if 'DOUBLE' in sql)}"
        ).fetchone()[1]
        assert "secret" not in plan


# ---------------------------------------------------------------------------------- cache


def reference(**fields):
    return data_set("ref", role="reference", **fields)


def profile_queries(tmp_path: Path, *columns: str) -> int:
    with tables_of(tmp_path, reference()) as tables:
        for column in columns:
            tables.profile(Source("ref"), None, column)
        return tables.log.count("ref:whole", "profile")


def test_reference_profiles_are_read_once_per_version(tmp_path: Path):
    path = parquet(tmp_path / "ref.parquet", {"x": [1.0, 2.0, None], "g": ["a", "b", "ü" * 9]})
    with tables_of(tmp_path, reference()) as tables:
        first = [tables.profile(Source("ref"), None, column) for column in "xg"]
    with tables_of(tmp_path, reference()) as tables:
        second = [tables.profile(Source("ref"), None, column) for column in "xg"]
        assert tables.log.count("ref:whole", "profile") == 0
    for one, other in zip(first, second, strict=True):
        assert one.support.tolist() == other.support.tolist()
        assert one.counts.tolist() == other.counts.tolist()
        assert (one.kind, one.n, one.nulls) == (other.kind, other.n, other.nulls)
    parquet(path, {"x": [3.0], "g": ["c"]})
    assert profile_queries(tmp_path, "x", "g") == 2


def test_a_large_profile_is_mapped_from_the_cache_and_equal(tmp_path: Path):
    distinct = np.arange(70_000, dtype=float)[::-1] / 7
    repeated = np.concatenate([distinct, distinct[:100]])
    for values in (distinct, repeated):
        parquet(tmp_path / "ref.parquet", {"x": values.tolist()})
        found = []
        for _ in range(2):
            with tables_of(tmp_path, reference()) as tables:
                found.append(tables.profile(Source("ref"), None, "x"))
        expected, counts = np.unique(values, return_counts=True)
        for profile in found:
            assert np.array_equal(profile.support, expected)
            assert np.array_equal(profile.counts, counts)
            assert isinstance(profile.support.base.obj, mmap.mmap), "not held in memory"


def test_damaged_cache_entries_are_ignored_and_replaced(tmp_path: Path):
    parquet(tmp_path / "ref.parquet", {"x": [1.0, 2.0]})
    assert profile_queries(tmp_path, "x") == 1
    (entry,) = (tmp_path / ".cache" / "profiles").rglob("*.profile")
    whole = entry.read_bytes()
    for damage in (b"", b"PK\x03\x04 not really", whole[:100], whole[:-9], whole + b"more"):
        entry.write_bytes(damage)
        assert profile_queries(tmp_path, "x") == 1
    assert profile_queries(tmp_path, "x") == 0


def test_cache_is_readable_by_its_owner_only(tmp_path: Path):
    parquet(tmp_path / "ref.parquet", {"x": [1.0]})
    profile_queries(tmp_path, "x")
    (entry,) = (tmp_path / ".cache" / "profiles").rglob("*.profile")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / ".cache").stat().st_mode) == 0o700


def test_old_versions_are_deleted_from_the_cache(tmp_path: Path):
    parquet(tmp_path / "ref.parquet", {"x": [1.0]})
    profile_queries(tmp_path, "x")
    (entry,) = (tmp_path / ".cache" / "profiles").rglob("*.profile")
    long_ago = time.time() - 40 * 86_400
    os.utime(entry.parent, (long_ago, long_ago))
    parquet(tmp_path / "ref.parquet", {"x": [2.0]})
    profile_queries(tmp_path, "x")
    assert not entry.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path):
    parquet(tmp_path / "ref.parquet", {"x": [1.0]})
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "profiles").write_text("in the way")
    assert profile_queries(tmp_path, "x") == 1


@pytest.mark.parametrize("fields", [{"pinned": "unpinned"}, {"role": "scoring_log"}])
def test_only_pinned_reference_data_is_cached(tmp_path: Path, fields):
    parquet(tmp_path / "ref.parquet", {"x": [1.0]})
    declared = data_set("ref", **{"role": "reference", **fields})
    with tables_of(tmp_path, declared) as tables:
        tables.profile(Source("ref"), None, "x")
    assert not list((tmp_path / ".cache").rglob("*.profile"))


# ------------------------------------------------------------------------------ aggregates


def test_aggregates_are_fused_and_equal_ones_computed_once(tmp_path: Path):
    rows = {"log": {"x": [1.0, 2.0, None], "g": ["a", "b", "a"], "i": [1, 2, 3]}}
    with memory_tables_of(rows, tmp_path) as tables:
        found = tables.scalars(
            LOG,
            None,
            {
                "n": lambda t: t.count(),
                "again": lambda t: t.count(),
                "mean": lambda t: t.x.mean(),
                "sum": lambda t: t.i.sum(),
                "share": lambda t: (t.g == "a").mean(),
                "filtered": lambda t: t.x.sum(where=t.g == "a"),
                "gone": lambda t: t.nothing.max(),
                "subscript": lambda t: t["nothing"].max(),
                "type": lambda t: t.g.mean(),
                "literal": lambda t: 7,
            },
        )
        (sql,) = [entry.sql for entry in tables.log.entries if entry.kind == "aggregate"]
    assert sql.count("COUNT(*)") == 1
    assert (found["n"], found["again"], found["mean"], found["sum"]) == (3, 3, 1.5, 6)
    assert found["share"] == pytest.approx(2 / 3)
    assert (found["filtered"], found["literal"]) == (1.0, 7)
    for name in ("gone", "subscript"):
        assert found[name].reason == "there is no column 'nothing' in the data"
    assert isinstance(found["type"], Missing)


def test_an_aggregate_that_fails_on_the_data_does_not_take_the_others_along(tmp_path: Path):
    rows = {"log": {"x": ["1", "Anna Svensson"], "i": [1, 2]}}
    with memory_tables_of(rows, tmp_path) as tables:
        found = tables.scalars(
            LOG, None, {"bad": lambda t: t.x.cast("int64").sum(), "good": lambda t: t.i.sum()}
        )
        assert tables.log.count("log:whole", "aggregate") == 1
    assert found["good"] == 3
    assert "do not have the type" in found["bad"].reason
    assert "Anna" not in repr(found["bad"])


def test_sums_are_compensated_so_that_the_order_of_rows_hardly_shows(tmp_path: Path):
    """A plain sum of these values is off by ten times more than is allowed here."""
    values = np.random.default_rng(1).lognormal(size=400_000)
    exact = math.fsum(values)
    for seed in range(2):
        rows = {"log": {"x": np.random.default_rng(seed).permutation(values).tolist()}}
        with memory_tables_of(rows, tmp_path) as tables:
            sums = tables.scalars(LOG, None, {"s": lambda t: t.x.sum(), "m": lambda t: t.x.mean()})
        assert sums["s"] == pytest.approx(exact, rel=1e-15)
        assert sums["m"] == pytest.approx(exact / len(values), rel=1e-15)


def test_grouped_counts_share_a_query_and_treat_nan_as_missing(tmp_path: Path):
    rows = {
        "log": {
            "g": ["a", "a", None, "b"],
            "x": [1.0, float("nan"), None, 1.0],
            "i": [1, 2, 3, 4],
        }
    }
    requests = [
        GroupedCounts("one", LOG, {"group": "g"}),
        GroupedCounts("two", LOG, {"other": lambda t: t.g}, sums={"i": lambda t: t.i}),
        GroupedCounts("three", LOG, {"x": "x"}),
        GroupedCounts("four", LOG, {"g": "g"}, where=lambda t: t.i > 1),
        GroupedCounts("five", LOG, {"g": "nothing"}),
    ]
    with memory_tables_of(rows, tmp_path) as tables:
        one, two, three, four, five = tables.grouped_together(requests)
        assert tables.log.count("log:whole", "grouped") == 3
    assert one.rows == {("a",): 2, (None,): 1, ("b",): 1}
    assert one.keys == ("group",)
    assert two.keys == ("other",)
    assert two.sums == {"i": {("a",): 3.0, (None,): 3.0, ("b",): 4.0}}
    assert three.rows == {(1.0,): 2, (None,): 2}
    assert four.rows == {("a",): 1, (None,): 1, ("b",): 1}
    assert five.reason == "there is no column 'nothing' in the data"


# --------------------------------------------------------------------------------- samples


def test_a_sample_is_the_same_for_the_same_seed_in_any_order_of_rows(tmp_path: Path):
    keyed = data_set(fields={"key": "id"})

    def sample(order, seed):
        ids = [int(i) for i in order]
        rows = {"log": {"id": ids, "x": [None if i % 7 == 0 else float(i) for i in ids]}}
        with memory_tables_of(rows, tmp_path, keyed) as tables:
            return tables.sample(Sample("s", LOG, ("id", "x"), 20, seed))

    first, second = sample(range(200), 1), sample(reversed(range(200)), 1)
    assert sorted(first["id"].tolist()) == sorted(second["id"].tolist())
    assert set(first["id"].tolist()) != set(sample(range(200), 2)["id"].tolist())
    assert len(first["id"]) == 20
    for number, x in zip(first["id"], first["x"], strict=True):
        assert np.isnan(x) if number % 7 == 0 else x == number


def test_rows_without_a_declared_key_cannot_be_sampled(tmp_path: Path):
    with (
        memory_tables_of({"log": {"x": [1]}}, tmp_path) as tables,
        pytest.raises(DataError, match="without a key"),
    ):
        tables.sample(Sample("s", LOG, ("x",), 5))


@pytest.mark.parametrize("keyed", [20_000, 4_000, 0])
def test_large_sample_is_the_one_that_ordering_all_rows_gives(tmp_path: Path, keyed):
    """With keys of all rows, of fewer than are wanted, and of none; each key is there twice."""
    keys = [str(i // 2) if i < keyed else None for i in range(20_000)]
    parquet(tmp_path / "log.parquet", {"id": pa.array(keys, pa.string()), "x": range(20_000)})
    with tables_of(tmp_path, data_set(fields={"key": "id"})) as tables:
        found = tables.sample(Sample("s", LOG, ("id", "x"), 9_001, 3))

    def place(i):
        digest = None if keys[i] is None else hashlib.md5(f"3:{keys[i]}".encode()).hexdigest()
        return digest is None, digest or "", keys[i] or "", i

    assert found["x"].tolist() == sorted(range(20_000), key=place)[:9_001]


def test_engine_hashes_are_those_of_ibis(tmp_path: Path):
    with memory_tables_of({"log": {"n": [1, 2, None], "t": ["a", None, ""]}}, tmp_path) as tables:
        table = tables.relation(LOG)
        for column in (table.n.cast("int64"), table.t.cast("string")):
            both = table.select(ours=hashed(column), theirs=column.hash()).to_pyarrow()
            ours = [
                value - 2**64 if value >= 2**63 else value for value in both["ours"].to_pylist()
            ]
            assert ours == both["theirs"].to_pylist()


# -------------------------------------------------------------------------------- versions


def version(tmp_path: Path, declared=None, **kwargs) -> str:
    with tables_of(tmp_path, declared or data_set(), **kwargs) as tables:
        return tables.versions(["log"])["log"]


def test_version_changes_with_content_and_name_only(tmp_path: Path):
    path = parquet(tmp_path / "log.parquet", {"x": [1]})
    first = version(tmp_path)
    os.utime(path, (1, 1))
    assert version(tmp_path) == first
    assert len(first) == 64
    parquet(path, {"x": [2]})
    assert version(tmp_path) != first
    parquet(path, {"x": [1]})
    assert version(tmp_path) == first
    path.rename(tmp_path / "renamed.parquet")
    assert version(tmp_path, data_set(location="renamed.parquet")) != first


def test_version_does_not_depend_on_where_the_world_lies(tmp_path: Path):
    for name in ("one", "two"):
        parquet(tmp_path / name / "log.parquet", {"x": [1]})
    assert version(tmp_path / "one") == version(tmp_path / "two")


def test_later_nights_do_not_change_the_version_of_an_earlier_one(tmp_path: Path):
    declared = data_set(location="{date}.parquet")
    parquet(tmp_path / "2026-03-01.parquet", {"x": [1]})
    parquet(tmp_path / "2026-03-02.parquet", {"x": [1]})
    before = version(tmp_path, declared)
    parquet(tmp_path / "2026-03-03.parquet", {"x": [1]})
    assert version(tmp_path, declared) == before
    assert version(tmp_path, declared, night="2026-03-03") != before


def test_data_that_cannot_be_pinned_say_so(tmp_path: Path):
    assert version(tmp_path) == "unreadable"
    parquet(tmp_path / "log.parquet", {"x": [1]})
    assert version(tmp_path, data_set(pinned="unpinned")) == "unpinned"


def test_digests_are_remembered_until_the_file_changes(tmp_path: Path, monkeypatch):
    path, cache = tmp_path / "file", tmp_path / "cache"
    path.write_bytes(b"one")
    long_ago = time.time() - 100
    os.utime(path, (long_ago, long_ago))
    first = file_digest(path, cache)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
    assert file_digest(path, cache) == first
    monkeypatch.undo()
    path.write_bytes(b"two")
    os.utime(path, (long_ago, long_ago + 1))
    assert file_digest(path, cache) != first


def test_a_file_just_written_is_not_remembered(tmp_path: Path):
    path, cache = tmp_path / "file", tmp_path / "cache"
    path.write_bytes(b"one")
    moment = path.stat().st_mtime_ns
    file_digest(path, cache)
    path.write_bytes(b"two")
    os.utime(path, ns=(moment, moment))
    assert file_digest(path, cache) != file_digest_of(b"one")


def file_digest_of(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def test_missing_values_of_a_sample_stay_missing(tmp_path: Path):
    rows = {
        "log": {"k": [1, 2, 3], "t": ["a", None, "b"], "n": [1, None, 3], "f": [True, None, None]}
    }
    with memory_tables_of(rows, tmp_path, data_set(subject_key={"column": "k"})) as tables:
        found = tables.sample(Sample("s", Source("log"), ("k", "t", "n", "f"), 10))
    order = np.argsort(found["k"])
    assert found["t"][order].tolist() == ["a", None, "b"]
    assert np.isnan(found["n"][order]).tolist() == [False, True, False]
    assert found["f"][order].tolist() == [True, None, None]


def test_sums_of_frequent_groups_are_those_of_all_groups(tmp_path: Path):
    groups = ["a"] * 30 + ["b"] * 5 + [None] * 25
    parquet(tmp_path / "ref.parquet", {"g": groups, "x": [float(i) for i in range(60)]})

    def asked(at_least: int) -> GroupedCounts:
        return GroupedCounts(
            "counted",
            Source("ref"),
            {"g": "g"},
            sums={"x": lambda t: t["x"], "different": lambda t: t["x"].nunique()},
            at_least=at_least,
        )

    with tables_of(tmp_path, reference()) as tables:
        every, frequent = (tables.grouped(asked(n), None) for n in (0, 20))
    assert set(every.rows) == {("a",), ("b",), (None,)}
    assert frequent.rows == {("a",): 30, (None,): 25}
    for name in ("x", "different"):
        assert frequent.sums[name] == {key: every.sums[name][key] for key in frequent.rows}


@pytest.mark.parametrize(("at_least", "left_out"), [(0, None), (1, 0), (5, 1), (31, 4)])
def test_rare_groups_are_counted_and_not_named(tmp_path: Path, at_least: int, left_out: int | None):
    groups = ["a"] * 30 + ["b"] * 5 + [None] * 25 + ["c"] * 2
    parquet(tmp_path / "ref.parquet", {"g": groups})
    with tables_of(tmp_path, reference()) as tables:
        found = tables.grouped(
            GroupedCounts("counted", Source("ref"), {"g": "g"}, at_least=at_least), None
        )
    every = {("a",): 30, ("b",): 5, (None,): 25, ("c",): 2}
    assert found.rows == {key: n for key, n in every.items() if n >= at_least}
    assert found.left_out == left_out
