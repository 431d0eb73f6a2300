"""Tables of DuckDB database files: read by window, pinned, never written to, clear errors."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from nachweis.domain.errors import DataError
from nachweis.domain.observation import Scalar, Source
from nachweis.engines.inference import infer_columns
from nachweis.pipeline.observe import observe
from tests.unit.data_worlds import data_set, tables_of

LOG = Source("log")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    import duckdb

    path = tmp_path / "crm.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE SCHEMA sales")
        connection.execute(
            "CREATE TABLE sales.scores (id VARCHAR, score DOUBLE, scored_at TIMESTAMP)"
        )
        connection.executemany(
            "INSERT INTO sales.scores VALUES (?, ?, ?)",
            [
                ["Anna Svensson", 0.5, dt.datetime(2026, 3, 2, 1)],
                ["b", None, dt.datetime(2026, 3, 3, 1)],
            ],
        )
        connection.execute("CREATE TABLE other (n INTEGER)")
        connection.execute("INSERT INTO other VALUES (1), (2), (3)")
        connection.execute("CREATE VIEW outside AS SELECT * FROM read_csv('/etc/hostname')")
    return path


def table(name: str | None, **more: object):
    return data_set(location="crm.duckdb", **({"table": name} if name else {}), **more)


def failure(tmp_path: Path, name: str | None) -> DataError:
    with tables_of(tmp_path, table(name)) as tables, pytest.raises(DataError) as caught:
        tables.facts(LOG)
    assert "Anna" not in f"{caught.value} {caught.value.__context__!r}"
    return caught.value


def test_a_table_is_read_by_window(tmp_path: Path, database: Path) -> None:
    declared = table("sales.scores", time={"column": "scored_at"})
    with tables_of(tmp_path, declared) as tables:
        assert tables.facts(Source("log", "night")).rows == 1
        assert dict(tables.schema(LOG)) == {
            "id": "string", "score": "number", "scored_at": "timestamp"
        }  # fmt: skip
        assert tables.scalars(LOG, None, {"n": lambda t: t.score.count()}) == {"n": 1}


def test_two_tables_of_one_database_are_read_side_by_side(tmp_path: Path, database: Path) -> None:
    other = data_set("other", location="crm.duckdb", table="other")
    with tables_of(tmp_path, table("sales.scores"), other) as tables:
        asked = [Scalar(name, Source(name), lambda t: t.count()) for name in ("log", "other")]
        seen = observe(tables, {"check": asked}, model=None, suites={}, history=lambda _: [])
        rows = seen["check"]
        assert (rows["log"], rows["other"]) == (2, 3)


def test_reading_changes_nothing_and_the_version_follows_the_content(
    tmp_path: Path, database: Path
) -> None:
    def version() -> str:
        with tables_of(tmp_path, table("sales.scores")) as tables:
            tables.facts(LOG)
            return tables.versions(["log"])["log"]

    before = database.read_bytes()
    first = version()
    assert len(first) == 64
    assert database.read_bytes() == before
    import duckdb

    with duckdb.connect(database) as connection:
        connection.execute("INSERT INTO sales.scores VALUES ('c', 1, NULL)")
    assert version() != first


@pytest.mark.parametrize("name", [None, "scorez", "sales.", "main.scores"])
def test_a_table_that_is_not_there_names_those_that_are(
    tmp_path: Path, database: Path, name: str | None
) -> None:
    error = failure(tmp_path, name)
    assert tuple(error.valid) == ("main.other", "sales.scores")
    assert "schema.table" in str(error)


def test_a_view_is_refused_because_its_rows_may_lie_elsewhere(
    tmp_path: Path, database: Path
) -> None:
    assert "is a view" in str(failure(tmp_path, "outside"))


def test_a_file_that_is_no_database_and_one_with_open_changes_are_refused(
    tmp_path: Path, database: Path
) -> None:
    (tmp_path / "crm.duckdb.wal").write_bytes(b"x")
    assert "changes that are not in its file yet" in str(failure(tmp_path, "sales.scores"))
    (tmp_path / "crm.duckdb.wal").unlink()
    database.write_bytes(b"id,name\n1,Anna Svensson\n")
    assert "not a DuckDB database" in str(failure(tmp_path, "sales.scores"))


def test_a_database_that_another_program_writes_to_is_a_clear_error(
    tmp_path: Path, database: Path
) -> None:
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(database)!r}); print('open', flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        assert "another program has the database open" in str(failure(tmp_path, "sales.scores"))
        writer.communicate(b"")


def test_a_folder_of_files_does_not_pick_a_database_up(tmp_path: Path, database: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    with tables_of(tmp_path, data_set(location="*")) as tables:
        assert tables.facts(LOG).rows == 1


def test_columns_of_a_table_are_inferred(database: Path) -> None:
    found = {column.name: (column.type.value, column.nullable) for column in infer_columns(
        database, "sales.scores"
    )}  # fmt: skip
    assert found == {
        "id": ("string", False),
        "score": ("number", True),
        "scored_at": ("timestamp", False),
    }


def test_types_of_a_table_survive(tmp_path: Path, database: Path) -> None:
    import duckdb

    with duckdb.connect(database) as connection:
        connection.execute("CREATE TYPE tone AS ENUM ('calm', 'loud')")
        connection.execute(
            "CREATE TABLE typed AS SELECT (2::HUGEINT ^ 100)::HUGEINT AS huge, "
            "1.25::DECIMAL(9, 2) AS price, 'loud'::tone AS tone, DATE '2026-03-02' AS day, "
            "TIMESTAMPTZ '2026-03-02 01:00:00+01' AS moment, true AS flag, uuid() AS token"
        )
    with tables_of(tmp_path, table("typed")) as tables:
        assert dict(tables.schema(LOG)) == {
            "huge": "integer",
            "price": "number",
            "tone": "string",
            "day": "date",
            "moment": "timestamp",
            "flag": "boolean",
            "token": "string",
        }
        assert tables.scalars(LOG, None, {"s": lambda t: t.price.sum()})["s"] == 1.25
