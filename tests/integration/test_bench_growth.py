"""The growth benchmark runs every check on data of any width, and a crash would be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import every_check, growth_data


@pytest.mark.parametrize("columns", [8, 12])
def test_data_have_the_width_that_was_asked_for(tmp_path: Path, columns: int) -> None:
    import pyarrow.parquet as pq

    growth_data.write(tmp_path, 120, columns, chunk=50)
    for name in ("reference", "night"):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert (table.num_rows, table.num_columns) == (120, columns + 1)
    declared = growth_data.world(columns).data_sets["night"].columns
    assert [column.name for column in declared] == table.column_names


def test_checks_of_many_families_look_and_none_crashes(tmp_path: Path) -> None:
    growth_data.write(tmp_path / "data", 1500, 10)
    found = every_check.run(tmp_path / "data", tmp_path / "cache", "all", 10)
    assert found["errors"] == []
    assert found["outcomes"]["pass"] > 30
