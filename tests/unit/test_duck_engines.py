"""Engines that the sessions of a process share: apart from each other, and started anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nachweis.engines import duck
from nachweis.engines.duck import Session


def test_sessions_do_not_see_each_others_tables(tmp_path: Path) -> None:
    import duckdb

    with Session(tmp_path) as one, Session(tmp_path) as other:
        one.connection.execute("CREATE TEMP TABLE secret AS SELECT 1 AS x")
        one.connection.execute("CREATE TEMP VIEW seen AS SELECT * FROM secret")
        for name in ("secret", "seen"):
            with pytest.raises(duckdb.CatalogException):
                other.connection.execute(f"SELECT * FROM {name}")


def test_nothing_of_a_closed_session_is_left(tmp_path: Path) -> None:
    with Session(tmp_path) as one:
        one.connection.execute("CREATE TEMP TABLE gone AS SELECT 1 AS x")
    with Session(tmp_path) as other:
        assert other.connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_an_engine_that_stopped_is_started_anew(tmp_path: Path) -> None:
    with Session(tmp_path):
        pass
    for key, engine in duck._ENGINES.items():
        if key[:2] == (os.getpid(), "files"):
            engine.close()
    with Session(tmp_path) as again:
        assert again.connection.execute("SELECT 42").fetchone() == (42,)


def test_spilled_rows_are_encrypted_and_gone_with_the_query(tmp_path: Path) -> None:
    with Session(tmp_path, memory="30MB", threads=1) as session:
        rows = session.connection.execute(
            "SELECT count(*) FROM (SELECT DISTINCT md5(i::VARCHAR) FROM range(2000000) t(i))"
        ).fetchone()
        setting = "SELECT current_setting('temp_file_encryption')"
        assert session.connection.execute(setting).fetchone() == (True,)
    assert rows == (2_000_000,)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
