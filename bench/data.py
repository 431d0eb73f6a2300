"""The two data sets of the benchmark: a reference and a night of scores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

FLOATS = tuple(f"measure_{i:02d}" for i in range(17))
CATEGORIES = {f"category_{i}": size for i, size in enumerate((5, 8, 12, 16, 22, 30))}
GROUPS = {"gender": ("f", "m", "x"), "region": ("north", "south", "east", "west")}
NUMBERS = (*FLOATS, "score", "age")
FEATURES = (*FLOATS, "age", *CATEGORIES, *GROUPS)
COMPARED = (*FEATURES, "score", "prediction", "label")
COLUMNS = ("id", *COMPARED)
"""The 30 columns; ``scored_at`` comes on top, because the pipeline asks when a row was scored."""

NIGHT = "2026-11-20"
SCORE_CUT = 0.6
_DAYS = ("2026-09-01", NIGHT)


def bounds(column: str) -> tuple[float, float]:
    """Range that the suite states for a number; some rows of the night lie outside."""
    return {"age": (18, 90), "score": (0, 1)}.get(column, (-6, 60))


def members(column: str) -> list[str]:
    """Values that the suite allows for a category; two columns of the night have one more."""
    return [f"{column}-{i}" for i in range(CATEGORIES[column])]


def write(folder: Path, rows: int, chunk: int = 250_000) -> None:
    """Write ``reference.parquet`` and ``night.parquet`` unless they are there already.

    Args:
        folder: Where to.
        rows: Rows of each.
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
            table = _chunk(night, start, min(chunk, rows - start), rows)
            writer = writer or pq.ParquetWriter(partial, table.schema)
            writer.write_table(table)
        writer.close()
        partial.rename(path)


def _chunk(night: int, start: int, n: int, rows: int) -> Any:
    """Rows ``start`` to ``start + n`` of the reference (0) or the night (1)."""
    import numpy as np
    import pyarrow as pa

    generator = np.random.default_rng((night, start))
    columns = {"id": pa.array(np.arange(start, start + n) + night * 10**9)}
    for i, name in enumerate(FLOATS):
        values = _measure(generator, i, n)
        if night and i % 4 == 1:
            values = values * 1.1 + 0.15
        absent = generator.random(n) < (0.002 if i % 5 == 0 else 0.0)
        columns[name] = pa.array(values, mask=absent)
    for name, size in CATEGORIES.items():
        weights = 1.0 / np.arange(2, size + 2)
        if night and size in {8, 22}:
            weights = np.append(weights[::-1], 0.001)
        codes = generator.choice(len(weights), n, p=weights / weights.sum())
        columns[name] = pa.array(np.array([f"{name}-{i}" for i in range(len(weights))])[codes])
    score = generator.beta(2 + 0.2 * night, 2.5, n)
    columns["age"] = pa.array(generator.integers(18 - night, 91, n))
    for name, groups in GROUPS.items():
        columns[name] = pa.array(np.array(groups)[generator.integers(0, len(groups), n)])
    columns["score"] = pa.array(score)
    columns["prediction"] = pa.array((score > SCORE_CUT).astype(np.int64))
    columns["label"] = pa.array((generator.random(n) < score).astype(np.int64))
    columns["scored_at"] = pa.array(_times(_DAYS[night], start, n, rows))
    return pa.table({name: columns[name] for name in (*COLUMNS, "scored_at")})


def _measure(generator: Any, i: int, n: int) -> Any:
    """A measured quantity in one of the shapes that features have."""
    import numpy as np

    if i % 4 == 0:
        return generator.normal(i / 3, 1.2, n)
    if i % 4 == 1:
        return generator.lognormal(0.5, 0.6, n)
    if i % 4 == 2:
        return generator.uniform(-2, 20, n)
    return np.round(generator.gamma(2, 4, n), 2)


def _times(day: str, start: int, n: int, rows: int) -> Any:
    """Times of a log that grew from one to eleven in the evening, UTC, of one day."""
    import numpy as np
    import pyarrow as pa

    seconds = 3600 + (np.arange(start, start + n) * 79_200) // rows
    moments = np.datetime64(day, "us") + seconds.astype("timedelta64[s]")
    return pa.array(moments, type=pa.timestamp("us", tz="UTC"))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
