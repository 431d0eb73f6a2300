"""Small worlds with data files, for tests of the engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nachweis.domain.manifest import DataSet, DataSetRole, Organisation, World
from nachweis.domain.manifest.common import Party
from nachweis.domain.manifest.organisation import Role
from nachweis.domain.night import Night
from nachweis.engines.tables import Tables

NIGHT = "2026-03-02"


def data_set(id_: str = "log", **fields: Any) -> DataSet:
    """A data set with the least that it needs."""
    return DataSet.model_validate(
        {"id": id_, "role": DataSetRole.SOURCE, "location": f"{id_}.parquet", **fields}
    )


def world(*data_sets: DataSet, timezone: str = "Europe/Berlin") -> World:
    """A world of these data sets."""
    party = Party(legal_name="Example", address="Street 1", country="DE", email="mail@example.org")
    organisation = Organisation(
        id="example",
        controller=party,
        roles=[Role(id="owner", title={"en": "Owner"})],
        countries=["DE"],
        establishment="DE",
        timezone=timezone,
    )
    return World(organisation=organisation, data_sets={item.id: item for item in data_sets})


@contextmanager
def tables_of(
    folder: Path,
    *data_sets: DataSet,
    night: str = NIGHT,
    timezone: str = "Europe/Berlin",
    **kwargs: Any,
) -> Iterator[Tables]:
    """Tables over data sets whose files lie in a folder."""
    with Tables(
        world(*data_sets, timezone=timezone),
        {item.id: folder for item in data_sets},
        Night.parse(night, timezone),
        cache=folder / ".cache",
        threads=2,
        **kwargs,
    ) as tables:
        yield tables


@contextmanager
def memory_tables_of(
    rows: Mapping[str, Mapping[str, list[Any]]],
    cache: Path,
    *data_sets: DataSet,
    night: str = NIGHT,
    timezone: str = "Europe/Berlin",
    **kwargs: Any,
) -> Iterator[Tables]:
    """Tables over data sets in memory; those not given are declared with nothing but an id."""
    given = {item.id: item for item in data_sets}
    sets = [given.get(id_) or data_set(id_) for id_ in rows]
    with Tables(
        world(*sets, timezone=timezone),
        {},
        Night.parse(night, timezone),
        cache=cache,
        threads=2,
        memory_tables=rows,
        **kwargs,
    ) as tables:
        yield tables


def parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    """Write a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path)
    return path
