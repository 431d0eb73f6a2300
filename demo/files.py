"""Writers whose bytes depend on the content alone: no clocks, no machine names."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pa_parquet.write_table(table, path, compression="zstd", store_schema=False)


def write_csv_gz(table: pa.Table, path: Path) -> None:
    """Write a table as gzipped CSV with semicolons, as German spreadsheets expect it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = io.BytesIO()
    options = pa_csv.WriteOptions(delimiter=";", quoting_style="needed")
    pa_csv.write_csv(table, plain, options)
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.write(plain.getvalue())


def write_jsonl(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
