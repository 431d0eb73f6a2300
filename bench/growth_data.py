"""Data and manifests of the growth benchmark: any number of rows and columns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench import data

FIXED = ("id", "gender", "region", "age", "score", "prediction", "label")
"""Columns that every width has; ``scored_at`` comes on top."""
_CATEGORY_EVERY = 4
_REGIONS = ("north", "south", "east", "west")


def features(columns: int) -> dict[str, str]:
    """The other columns of a width, with their types: three numbers, then a category."""
    kinds = ("number", "number", "number", "string")
    return {
        f"feature_{i:02d}": kinds[i % _CATEGORY_EVERY] for i in range(max(0, columns - len(FIXED)))
    }


def write(folder: Path, rows: int, columns: int, chunk: int = 250_000) -> None:
    """Write ``reference.parquet`` and ``night.parquet`` unless they are there already.

    Args:
        folder: Where to.
        rows: Rows of each.
        columns: Columns of each, ``scored_at`` not counted.
        chunk: Rows written at a time.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    for night, name in enumerate(("reference", "night")):
        path = folder / f"{name}.parquet"
        if path.exists():
            continue
        partial = path.with_suffix(".partial")
        writer = None
        for start in range(0, rows, chunk):
            table = _chunk(night, start, min(chunk, rows - start), rows, columns)
            writer = writer or pq.ParquetWriter(partial, table.schema)
            writer.write_table(table)
        writer.close()
        partial.rename(path)


def _chunk(night: int, start: int, n: int, rows: int, columns: int) -> Any:
    import numpy as np
    import pyarrow as pa

    generator = np.random.default_rng((night, start))
    score = generator.beta(2 + 0.2 * night, 2.5, n)
    made: dict[str, Any] = {
        "id": np.arange(start, start + n) + night * 10**9,
        "gender": np.array(("f", "m", "x"))[generator.integers(0, 3, n)],
        "region": np.array(_REGIONS)[generator.integers(0, len(_REGIONS), n)],
        "age": generator.integers(18, 91, n),
        "score": score,
        "prediction": (score > data.SCORE_CUT).astype(np.int64),
        "label": (generator.random(n) < score).astype(np.int64),
    }
    for i, (name, kind) in enumerate(features(columns).items()):
        if kind == "number":
            made[name] = np.round(generator.gamma(2 + i % 5, 4, n), 3)
        else:
            made[name] = np.array([f"{name}-{k}" for k in range(12)])[generator.integers(0, 12, n)]
    made["scored_at"] = data._times(data._DAYS[night], start, n, rows)
    return pa.table(made)


def world(columns: int) -> Any:
    """The manifests for a width, as they would be read from files."""
    from bench.world import every_check_world

    types = {
        "id": "integer",
        "gender": "string",
        "region": "string",
        "age": "integer",
        "score": "number",
        "prediction": "integer",
        "label": "integer",
        **features(columns),
    }
    return every_check_world(types, ["age", *features(columns)])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
