"""From columns to Arrow tables with the declared types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from demo.population import Array

_WHOLE_NUMBERS_WITH_GAPS = frozenset({"age", "opens_30d", "tenure_months"})


def table(columns: Mapping[str, Array]) -> pa.Table:
    """An Arrow table: times in UTC, missing values as nulls."""
    return pa.table({name: _column(name, values) for name, values in columns.items()})


def numbered(prefix: str, stream: int, n: int) -> Array:
    """Case numbers that differ between streams, for example nights."""
    return np.array([f"{prefix}{stream:08d}{i:05d}" for i in range(n)], dtype=object)


def _column(name: str, values: Array) -> pa.Array:
    if np.issubdtype(values.dtype, np.datetime64):
        return pa.array(values, pa.timestamp("us", tz="UTC"))
    if values.dtype == object:
        return pa.array(values, pa.string())
    if name in _WHOLE_NUMBERS_WITH_GAPS:
        return pa.array(values.astype(np.float64), pa.float64(), from_pandas=True).cast(pa.int64())
    if np.issubdtype(values.dtype, np.floating):
        return pa.array(values, pa.float64(), from_pandas=True)
    return pa.array(values)
