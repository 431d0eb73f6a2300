"""The floor: one DuckDB scan with count, minimum and maximum of every column of both files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.process import measure


def run(folder: Path) -> dict[str, Any]:
    """Scan both files once."""
    import duckdb

    connection = duckdb.connect()
    for name in ("reference", "night"):
        table = f"read_parquet('{folder / name}.parquet')"
        columns = [row[0] for row in connection.execute(f"DESCRIBE FROM {table}").fetchall()]
        aggregates = ", ".join(f'count("{c}"), min("{c}"), max("{c}")' for c in columns)
        connection.execute(f"SELECT {aggregates} FROM {table}").fetchall()
    return {}


if __name__ == "__main__":
    measure(["duckdb"], run)
