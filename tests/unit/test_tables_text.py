"""CSV and JSON lines: encodings, delimiters, types that fit, types that do not."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nachweis.domain.errors import DataError
from nachweis.domain.observation import Missing, Source
from nachweis.engines.tables import infer_columns
from tests.unit.data_worlds import data_set, parquet, tables_of

LOG = Source("log")


def rows(tables) -> list[dict]:
    return tables.relation(LOG).to_pyarrow().to_pylist()


def csv_set(**fields):
    return data_set(**{"location": "log.csv", **fields})


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_encoding_delimiter_and_compression_are_found_out(
    tmp_path: Path, encoding: str, delimiter: str, packed: bool
):
    lines = [["id", "stadt", "x"], ["1", "Køln, Süd", "1.5"], ["2", '"A" + B', ""]]
    text = "\r\n".join(
        delimiter.join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines
    )
    content = text.encode(encoding)
    name = "log.csv.gz" if packed else "log.csv"
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    with tables_of(tmp_path, csv_set(location=name)) as tables:
        assert rows(tables) == [
            {"id": 1, "stadt": "Køln, Süd", "x": 1.5},
            {"id": 2, "stadt": '"A" + B', "x": None},
        ]


def test_euro_sign_of_windows_1252_is_read(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes("price\n5 €\n".encode("cp1252"))
    with tables_of(tmp_path, csv_set()) as tables:
        assert rows(tables) == [{"price": "5 €"}]


def test_an_odd_character_in_the_last_row_is_noticed(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes(b"name\n" + b"plain\n" * 300_000 + "Süd\n".encode("latin-1"))
    with tables_of(tmp_path, csv_set()) as tables:
        assert tables.scalars(LOG, None, {"n": lambda t: (t.name == "Süd").sum()}) == {"n": 1}


def test_declared_dialect_is_obeyed(tmp_path: Path):
    (tmp_path / "log.csv").write_text(
        "id|wert|wann|egal\n'1|0'|1,5|01.02.2026 13:30|-\nNA|-2,25|NA|x\n", encoding="cp1252"
    )
    declared = csv_set(
        csv={
            "delimiter": "|",
            "quote": "'",
            "decimal": ",",
            "encoding": "cp1252",
            "null_values": ["NA", "-"],
            "timestamp_format": "%d.%m.%Y %H:%M",
        }
    )
    with tables_of(tmp_path, declared) as tables:
        assert rows(tables) == [
            {"id": "1|0", "wert": 1.5, "wann": dt.datetime(2026, 2, 1, 13, 30), "egal": None},
            {"id": None, "wert": -2.25, "wann": None, "egal": "x"},
        ]


def test_a_file_without_header_takes_declared_names(tmp_path: Path):
    (tmp_path / "log.csv").write_text("1,a\n2,b\n")
    columns = [{"name": "id", "type": "integer"}, {"name": "g", "type": "string"}]
    with tables_of(tmp_path, csv_set(csv={"header": False}, columns=columns)) as tables:
        assert rows(tables) == [{"id": 1, "g": "a"}, {"id": 2, "g": "b"}]


def test_column_names_missing_or_repeated_are_told_apart(tmp_path: Path):
    (tmp_path / "log.csv").write_text(",a,A,a_1\n1,2,3,4\n")
    with tables_of(tmp_path, csv_set()) as tables:
        assert list(tables.schema(LOG)) == ["column0", "a", "A_1", "a_1_1"]


INFERRED = {
    "integer": ["0", "-7", "9223372036854775807"],
    "number": ["1.5", "-.5", "1e-3", "NaN", "-inf"],
    "boolean": ["true", "False"],
    "date": ["2026-02-28"],
    "timestamp": ["2026-02-28T10:00:00", "2026-02-28 10:00:00.123456"],
    "string": ["007", "1_000", "0x1", "yes", "12 %", "2026-02-30", "1,5"],
}


@pytest.mark.parametrize(
    ("type_", "value"), [(type_, value) for type_, values in INFERRED.items() for value in values]
)
def test_narrowest_type_that_every_value_fits(tmp_path: Path, type_: str, value: str):
    (tmp_path / "log.csv").write_text(f'v;w\n"{value}";1\n;1\n')
    with tables_of(tmp_path, csv_set()) as tables:
        assert tables.schema(LOG)["v"] == type_


def test_one_late_misfit_makes_a_text_of_the_column_and_spoils_no_other(tmp_path: Path):
    lines = ["a,b", *(f"{i},{i}" for i in range(30_000)), "x,30000"]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    columns = [{"name": "a", "type": "integer"}, {"name": "b", "type": "integer"}]
    with tables_of(tmp_path, csv_set(columns=columns)) as tables:
        assert tables.schema(LOG) == {"a": "string", "b": "integer"}
        found = tables.scalars(LOG, None, {"a": lambda t: t.a.mean(), "b": lambda t: t.b.max()})
        assert isinstance(found["a"], Missing)
        assert found["b"] == 30_000


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("string", "007", "007"),
        ("integer", "007", 7),
        ("number", "3", 3.0),
        ("boolean", "1", True),
        ("boolean", "nein", "nein"),
        ("timestamp", "2026-03-02", dt.datetime(2026, 3, 2)),
        ("integer", "1.5", 1.5),
        ("date", "2026-03-02 10:00:00", dt.datetime(2026, 3, 2, 10)),
    ],
)
def test_declared_type_is_taken_where_the_values_fit(tmp_path: Path, type_, value, expected):
    (tmp_path / "log.csv").write_text(f"v,w\n{value},1\n")
    columns = [{"name": "v", "type": type_}]
    with tables_of(tmp_path, csv_set(columns=columns)) as tables:
        found = rows(tables)[0]["v"]
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T10:00:00Z",
        "2026-03-02T11:00:00+01:00",
        "2026-03-02 11:00+01:00",
        "2026-03-02T11:00:00.000+0100",
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_offsets_of_timestamps_are_kept(tmp_path: Path, text: str, kind: str):
    content = f"at,w\n{text},1\n" if kind == "csv" else json.dumps({"at": text, "w": 1})
    (tmp_path / f"log.{kind}").write_text(content)
    declared = data_set(location=f"log.{kind}", columns=[{"name": "at", "type": "timestamp"}])
    with tables_of(tmp_path, declared) as tables:
        found = tables.scalars(LOG, None, {"at": lambda t: t["at"].max()})["at"]
        assert found == dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC)


def test_columns_without_values_have_their_declared_type(tmp_path: Path):
    (tmp_path / "log.csv").write_text("a,b,c,d\n,,,1\n")
    (tmp_path / "log.jsonl").write_text('{"a": null, "b": null, "c": null, "d": 1}\n')
    columns = [
        {"name": "a", "type": "number"},
        {"name": "b", "type": "timestamp"},
        {"name": "c", "type": "boolean"},
        {"name": "d", "type": "integer"},
    ]
    expected = {"a": "number", "b": "timestamp", "c": "boolean", "d": "integer"}
    for location in ("log.csv", "log.jsonl"):
        with tables_of(tmp_path, data_set(location=location, columns=columns)) as tables:
            assert tables.schema(LOG) == expected


def test_a_night_without_rows_does_not_change_types(tmp_path: Path):
    (tmp_path / "2026-03-01.csv").write_text("id,x\n1,1.5\n")
    (tmp_path / "2026-03-02.csv").write_text("id,x\n")
    columns = [{"name": "id", "type": "integer"}, {"name": "x", "type": "number"}]
    declared = csv_set(location="{date}.csv", columns=columns)
    with tables_of(tmp_path, declared) as tables:
        assert tables.schema(LOG) == {"id": "integer", "x": "number"}
        night = Source("log", "night")
        assert tables.facts(night).rows == 0
        assert tables.schema(night) == {"id": "integer", "x": "number"}


def test_files_of_a_folder_may_differ_in_columns_and_dialect(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id;x\n1;2\n")
    (tmp_path / "in" / "2.csv").write_text("x,id,new\n3,4,ü\n", encoding="latin-1")
    with tables_of(tmp_path, csv_set(location="in")) as tables:
        found = sorted(rows(tables), key=lambda row: row["id"])
        assert found == [{"id": 1, "x": 2, "new": None}, {"id": 4, "x": 3, "new": "ü"}]


def test_hive_keys_of_text_folders_are_columns(tmp_path: Path):
    for country in ("DE", "DK"):
        folder = tmp_path / "in" / f"country={country}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("id,x\n1,2\n")
        (folder / "b.jsonl").write_text('{"id": 1}\n')
    for pattern in ("in/*/a.csv", "in/*/b.jsonl"):
        with tables_of(tmp_path, csv_set(location=pattern)) as tables:
            assert sorted(row["country"] for row in rows(tables)) == ["DE", "DK"]


def test_long_right_to_left_and_emoji_values_survive(tmp_path: Path):
    value = "שלום 👩‍👩‍👧 " * 1_000 + '"quoted"\nnew line'
    escaped = value.replace('"', '""')
    (tmp_path / "log.csv").write_text(f'id,v\n1,"{escaped}"\n', encoding="utf-8", newline="")
    with tables_of(tmp_path, csv_set()) as tables:
        assert rows(tables) == [{"id": 1, "v": value}]


def test_a_stray_carriage_return_becomes_a_space(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes(b"id,v\n1,a\r\rb\n2,c\n")
    with tables_of(tmp_path, csv_set()) as tables:
        assert rows(tables) == [{"id": 1, "v": "a  b"}, {"id": 2, "v": "c"}]


def test_json_lines_keep_their_own_types(tmp_path: Path):
    lines = [
        {"id": 1, "code": "007", "x": 1, "at": "2026-03-02T10:00:00", "n": {"a": 1}, "ok": True},
        {"id": 2, "code": "12", "x": 2.5, "extra": "ü"},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    for name in ("log.jsonl", "log.jsonl.gz"):
        content = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with tables_of(tmp_path, data_set(location=name)) as tables:
            assert tables.schema(LOG) == {
                "id": "integer",
                "code": "string",
                "x": "number",
                "at": "timestamp",
                "n": "nested",
                "ok": "boolean",
                "extra": "string",
            }
            assert tables.facts(LOG).rows == 2


def test_a_json_text_is_no_number_even_if_one_is_declared(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text('{"x": "5"}\n{"x": "6"}\n')
    declared = data_set(location="log.jsonl", columns=[{"name": "x", "type": "integer"}])
    with tables_of(tmp_path, declared) as tables:
        assert tables.schema(LOG) == {"x": "string"}


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=12)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12))
def test_quoted_texts_come_back_as_they_were(tmp_path: Path, cells):
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    text = "a,b\n" + "".join(f"{quoted(a)},{quoted(b)}\n" for a, b in cells)
    (tmp_path / "log.csv").write_text(text, encoding="utf-8", newline="")
    columns = [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]
    with tables_of(tmp_path, csv_set(columns=columns, csv={"delimiter": ","})) as tables:
        found = sorted((row["a"] or "", row["b"] or "") for row in rows(tables))
    assert found == sorted(cells)


# -------------------------------------------------------------------------------- drafts


def test_columns_of_a_new_file_are_inferred_without_values(tmp_path: Path):
    parquet(tmp_path / "p.parquet", {"id": [1, 2, 2], "mail": ["a@example.org", None, "b"]})
    (tmp_path / "c.csv").write_text("id;mail\n1;a@example.org\n2;\n2;b\n")
    for name in ("p.parquet", "c.csv"):
        found = infer_columns(tmp_path / name)
        assert [(column.name, column.type.value) for column in found] == [
            ("id", "integer"),
            ("mail", "string"),
        ]
        assert [column.nullable for column in found] == [False, True]
        assert "example.org" not in repr(found)


def test_inferring_columns_of_a_missing_file_is_a_clear_error(tmp_path: Path):
    with pytest.raises(DataError, match="there is no file"):
        infer_columns(tmp_path / "none.csv")
