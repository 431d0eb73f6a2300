"""Columns of a file or table that nobody has declared yet, for draft manifests."""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nachweis.domain.manifest import DataSet, DataSetRole
from nachweis.domain.manifest.dataset import ColumnType
from nachweis.domain.night import Night
from nachweis.engines.bases import Bases
from nachweis.engines.column_types import logical
from nachweis.engines.duck import Session, quote


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """A column as found in a file.

    Attributes:
        name: Its name.
        type: Its logical type.
        nullable: Whether it has missing values.
        distinct: About how many different values it has.
        rows: Rows of the file.
    """

    name: str
    type: ColumnType
    nullable: bool
    distinct: int
    rows: int


def infer_columns(path: Path, table: str | None = None) -> list[InferredColumn]:
    """Look at a Parquet, CSV or JSON-lines file, a folder of them, or a table of a database.

    Args:
        path: The file or folder; for a table the DuckDB database file.
        table: The table, ``schema.table``.

    Returns:
        Its columns, in order; no value of the data.

    Raises:
        DataError: If it cannot be read.
    """
    data_set = DataSet(
        id="draft", role=DataSetRole.SOURCE, location=str(path.absolute()), table=table
    )
    with (
        tempfile.TemporaryDirectory(prefix="nachweis-") as cache,
        Session(Path(cache)) as session,
    ):
        bases = Bases(session, {}, Night(dt.date.max), {})
        base = bases.open(data_set, None, data_set.id)
        counts = [
            part
            for name in base.types
            for part in (f"count({quote(name)})", f"approx_count_distinct({quote(name)})")
        ]
        sql = f"SELECT {', '.join(['count(*)', *counts])} FROM {base.name}"
        row = session.query(sql, data_set.id, "aggregate", where=f"file {path.name}")[0]
    rows = int(row[0])
    return [
        InferredColumn(name, logical(type_), int(present) < rows, int(distinct), rows)
        for (name, type_), present, distinct in zip(
            base.types.items(), row[1::2], row[2::2], strict=True
        )
    ]
