"""Broken data: each a clear reason without a value of the data, and the rest goes on."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from nachweis.domain.errors import DataError
from nachweis.domain.manifest.suite import Suite
from nachweis.domain.observation import (
    GroupedCounts,
    Overlap,
    Profile,
    Scalar,
    SchemaOf,
    Source,
    SuiteResult,
)
from nachweis.pipeline.observe import observe
from tests.unit.data_worlds import data_set, memory_tables_of, parquet, tables_of

LOG = Source("log")
SECRET = "Anna Svensson"
GOOD = {"id": list(range(5_000)), "name": [f"{SECRET} {i}" for i in range(5_000)]}


def whole_file(path: Path) -> bytes:
    return parquet(path, GOOD).read_bytes()


def damaged_middle(path: Path) -> bytes:
    content = bytearray(whole_file(path))
    content[200:2_000] = b"\0" * 1_800
    return bytes(content)


def damaged_footer(path: Path) -> bytes:
    content = whole_file(path)
    length = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - length] + b"\0" * length + content[-8:]


def csv_rows(*lines: str) -> bytes:
    return "\n".join(["id,name", f"1,{SECRET}", *lines]).encode()


BROKEN = {
    "missing": ("log.parquet", None, "there is no file"),
    "empty": ("log.parquet", b"", r"the file is empty \(0 bytes\)"),
    "not parquet": ("log.parquet", f"{SECRET} is text".encode(), "the file is not Parquet"),
    "only the magic": ("log.parquet", b"PAR1", "the Parquet file is cut off"),
    "cut off": (
        "log.parquet",
        lambda path: whole_file(path)[:20_000],
        "the Parquet file is cut off",
    ),
    "footer damaged": ("log.parquet", damaged_footer, "the file"),
    "middle damaged": ("log.parquet", damaged_middle, "the file"),
    "empty csv": ("log.csv", b"", r"the file is empty \(0 bytes\)"),
    "blank csv": ("log.csv", b"\n\n", "the CSV file has no header"),
    "field too many": ("log.csv", csv_rows(f"2,{SECRET},3"), "line 3: the row has 3 fields"),
    "field too few": ("log.csv", csv_rows(SECRET), "line 3: the row has 1 fields instead of 2"),
    "open quote": ("log.csv", csv_rows(f'2,"{SECRET}', "3,x"), "a quoted field is not closed"),
    "cut gzip": (
        "log.csv.gz",
        lambda _: gzip.compress(csv_rows(*["1,x"] * 5_000))[:-20],
        "the gzip file is cut off",
    ),
    "damaged gzip": (
        "log.csv.gz",
        lambda _: gzip.compress(csv_rows())[:-8] + b"\0" * 8,
        "the gzip file is damaged",
    ),
    "not gzip": ("log.csv.gz", csv_rows(), "the file is not gzip"),
    "wrong encoding": (
        "log.csv",
        f"id,name\n1,{SECRET} Müller\n".encode("latin-1"),
        "the text is not encoded as utf-8",
    ),
    "empty jsonl": ("log.jsonl", b"", r"the file is empty \(0 bytes\)"),
    "cut jsonl": ("log.jsonl", b'{"id": 1}\n{"name": "Anna Svensson"', "a line is not valid JSON"),
    "jsonl of arrays": ("log.jsonl", b'["Anna Svensson"]\n', "the lines are not JSON objects"),
    "jsonl not utf-8": (
        "log.jsonl",
        '{"name": "Anna Svensson Müller"}\n'.encode("latin-1"),
        "the text is not encoded as utf-8",
    ),
    "unknown format": ("log.xlsx", b"PK" + SECRET.encode(), "file format cannot be told"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_a_clear_error_without_values(tmp_path: Path, case: str):
    name, content, message = BROKEN[case]
    if callable(content):
        content = content(tmp_path / "work.parquet")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    csv = {"encoding": "utf-8"} if case == "wrong encoding" else {}
    columns = [{"name": "id", "type": "integer"}, {"name": "name", "type": "string"}]
    declared = data_set(location=name, csv=csv, columns=columns)
    parquet(tmp_path / "other.parquet", {"id": [1]})
    with tables_of(tmp_path, declared, data_set("other")) as tables:
        with pytest.raises(DataError, match=message) as caught:
            tables.scalars(LOG, None, {"n": lambda t: t.count()})
            tables.profile(LOG, None, "id")
            tables.profile(LOG, None, "name")
        text = f"{caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
        assert "Svensson" not in text
        assert str(tmp_path) not in text
        assert caught.value.remedy
        assert name in text or "damaged" in case
        seen = observe(
            tables,
            {
                "broken": [
                    Scalar("n", LOG, lambda t: t.name.max()),
                    Profile("p", LOG, "name"),
                    Profile("i", LOG, "id"),
                    GroupedCounts("g", LOG, {"id": "id"}),
                    SuiteResult("s", LOG, "suite"),
                ],
                "other": [Scalar("n", Source("other"), lambda t: t.count())],
            },
            model=None,
            suites={"suite": NOT_NULL},
            history=lambda _: [],
        )
        reasons = seen["broken"].missing()
        assert reasons
        assert "Svensson" not in str(reasons)
        assert seen["other"]["n"] == 1


NOT_NULL = Suite.model_validate(
    {
        "id": "suite",
        "data_set": "log",
        "expectations": [
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "name"}}
        ],
    }
)


def test_formats_may_not_be_mixed(tmp_path: Path):
    parquet(tmp_path / "in" / "a.parquet", {"id": [1]})
    (tmp_path / "in" / "b.csv").write_text("id\n1\n")
    with (
        tables_of(tmp_path, data_set(location="in")) as tables,
        pytest.raises(DataError, match="mixes file formats"),
    ):
        tables.facts(LOG)


def test_one_broken_file_of_many_is_named(tmp_path: Path):
    parquet(tmp_path / "in" / "a.parquet", {"id": [1]})
    (tmp_path / "in" / "b.parquet").write_bytes(b"")
    with (
        tables_of(tmp_path, data_set(location="in")) as tables,
        pytest.raises(DataError, match=r"in/b\.parquet: the file is empty"),
    ):
        tables.facts(LOG)


def test_an_unreadable_file_is_a_clear_error(tmp_path: Path):
    # A folder in the file's place cannot be read even by an administrator.
    (tmp_path / "log.parquet").mkdir()
    with (
        tables_of(tmp_path, data_set()) as tables,
        pytest.raises(DataError, match="there is no file"),
    ):
        tables.facts(LOG)


def test_an_unknown_encoding_is_refused(tmp_path: Path):
    (tmp_path / "log.csv").write_text("id\n1\n")
    declared = data_set(location="log.csv", csv={"encoding": "klingon"})
    with (
        tables_of(tmp_path, declared) as tables,
        pytest.raises(DataError, match="'klingon' is unknown"),
    ):
        tables.facts(LOG)


def test_an_engine_that_is_not_there_is_refused(tmp_path: Path):
    declared = data_set(engine="snowflake", connection="warehouse", table="t")
    with (
        tables_of(tmp_path, declared) as tables,
        pytest.raises(DataError, match="the engine 'snowflake' is not installed"),
    ):
        tables.facts(LOG)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array(["2026-03-02"]), 'the time column "at" holds no times but VARCHAR'),
        (None, "the time column 'at' is not in the data"),
    ],
)
def test_a_time_column_that_is_none_breaks_windows_only(tmp_path: Path, values, message):
    parquet(tmp_path / "log.parquet", {"id": [1], **({} if values is None else {"at": values})})
    with tables_of(tmp_path, data_set(time={"column": "at"})) as tables:
        for window in ("night", "current"):
            with pytest.raises(DataError, match=message):
                tables.facts(Source("log", window))
        assert tables.facts(LOG).rows == 1


def test_changed_columns_are_facts_not_crashes(tmp_path: Path):
    columns = [
        {"name": "id", "type": "integer"},
        {"name": "score", "type": "number"},
        {"name": "gone", "type": "string"},
    ]
    rows = {"id": ["1", "x"], "score": ["high", "low"], "renamed": [1, 2]}
    parquet(tmp_path / "log.parquet", rows)
    requests = {
        "check": [
            SchemaOf("schema", LOG),
            Profile("score", LOG, "score", "numeric"),
            Profile("gone", LOG, "gone"),
            Scalar("n", LOG, lambda t: t.count()),
            Scalar("mean", LOG, lambda t: t.score.mean()),
        ]
    }
    with tables_of(tmp_path, data_set(columns=columns)) as tables:
        seen = observe(tables, requests, model=None, suites={}, history=lambda _: [])["check"]
    assert seen["schema"] == {"id": "string", "score": "string", "renamed": "integer"}
    assert seen["n"] == 2
    assert {name for name, _ in seen.missing()} == {"score", "gone", "mean"}


def test_partitions_of_different_types_are_read_with_the_wider_type(tmp_path: Path):
    parquet(tmp_path / "2026-03-01.parquet", {"x": [1]})
    parquet(tmp_path / "2026-03-02.parquet", {"x": ["two"]})
    with tables_of(tmp_path, data_set(location="{date}.parquet")) as tables:
        assert tables.schema(LOG) == {"x": "string"}
        assert tables.facts(LOG).rows == 2


def test_no_rows_and_all_null_columns_give_empty_results(tmp_path: Path):
    rows = {"log": {"x": [None, None], "at": [dt.datetime(2020, 1, 1)] * 2, "g": ["a", "b"]}}
    columns = [
        {"name": "x", "type": "number"},
        {"name": "at", "type": "timestamp"},
        {"name": "g", "type": "string"},
    ]
    declared = data_set(time={"column": "at"}, columns=columns)
    for source, n in ((Source("log", "night"), 0), (LOG, 2)):
        requests = {
            "check": [
                Scalar("mean", source, lambda t: t.x.mean()),
                Scalar("sum", source, lambda t: t.x.sum()),
                GroupedCounts("groups", source, {"g": "g"}, sums={"x": lambda t: t.x}),
                Profile("x", source, "x"),
                Profile("g", source, "g"),
                Overlap("o", source, LOG, ("g", "g")),
            ]
        }
        with memory_tables_of(rows, tmp_path, declared) as tables:
            seen = observe(tables, requests, model=None, suites={}, history=lambda _: [])["check"]
        assert not seen.missing()
        assert seen["mean"] is None
        assert (seen["x"].n, seen["x"].nulls, len(seen["x"].support)) == (n, n, 0)
        assert seen["groups"].n == seen["g"].n == seen["o"].rows == n
        assert all(total == 0.0 for total in seen["groups"].sums["x"].values())


def test_nan_and_infinite_scores_are_counted_apart(tmp_path: Path):
    scores = [0.5, float("nan"), float("inf"), float("-inf"), None]
    with memory_tables_of({"log": {"score": scores}}, tmp_path) as tables:
        found = tables.profile(LOG, None, "score")
    assert (found.n, found.nulls, found.infinite, found.valid) == (5, 2, 2, 1)


def test_duplicate_keys_do_not_multiply_overlaps(tmp_path: Path):
    rows = {"log": {"k": [1, 1, 2]}, "other": {"k": [1, 1, 1]}}
    with memory_tables_of(rows, tmp_path) as tables:
        found = tables.overlap(Overlap("o", LOG, Source("other"), ("k", "k")))
    assert (found.rows, found.keys, found.rows_matched, found.keys_matched) == (3, 2, 2, 1)


def test_column_names_cannot_change_the_query(tmp_path: Path):
    odd = "a\"; DROP TABLE x; --\n'ü{}%"
    parquet(tmp_path / "log.parquet", {odd: [1.0, None], "g": ["x", "y"]})
    requests = {
        "check": [
            Profile("p", LOG, odd),
            Scalar("n", LOG, lambda t: t[odd].count()),
            GroupedCounts("g", LOG, {odd: odd}),
            Overlap("o", LOG, LOG, (odd, odd)),
        ]
    }
    with tables_of(tmp_path, data_set()) as tables:
        seen = observe(tables, requests, model=None, suites={}, history=lambda _: [])["check"]
    assert not seen.missing()
    assert (seen["p"].n, seen["n"], seen["o"].rows_matched) == (2, 1, 1)


def test_too_little_memory_is_a_clear_reason(tmp_path: Path):
    parquet(tmp_path / "log.parquet", {"x": [f"{i:0200}" for i in range(150_000)]})
    with (
        tables_of(tmp_path, data_set(), memory="20MB") as tables,
        pytest.raises(DataError, match="memory limit"),
    ):
        tables.backend.con.execute("SET max_temp_directory_size = '0KB'")
        tables.profile(LOG, None, "x")


def test_scratch_files_are_gone_after_the_task(tmp_path: Path):
    (tmp_path / "log.csv").write_text("name\nMüller\n", encoding="latin-1")
    with tables_of(tmp_path, data_set(location="log.csv")) as tables:
        tables.facts(LOG)
        assert list((tmp_path / ".cache").glob("work-*/text-*"))
    assert not list((tmp_path / ".cache").glob("work-*"))
