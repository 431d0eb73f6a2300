"""All rows of a data set's files, or of a table in memory, under one name on the connection."""

from __future__ import annotations

import datetime as dt
import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nachweis.domain.errors import DataError
from nachweis.domain.manifest import DataSet
from nachweis.domain.night import Night
from nachweis.engines.databases import stage_table
from nachweis.engines.duck import Session, literal, quote
from nachweis.engines.memory_tables import arrow_table
from nachweis.engines.sources import File, Files, files_of, locate
from nachweis.engines.text_tables import (
    FILE_COLUMN,
    describe,
    escape_glob,
    hive_keys,
    stage,
)


@dataclass(frozen=True)
class Base:
    """Rows of a set of files, before any window.

    Attributes:
        name: View or table on the connection.
        types: Column names and engine types, without the hidden file column.
        files: The files, or None for a table in memory.
        has_file_column: Whether it has the hidden column with the file of each row.
    """

    name: str
    types: Mapping[str, str]
    files: Files | None
    has_file_column: bool


class Bases:
    """Opens each set of files once per task.

    Args:
        session: The task's session.
        folders: Data-set id to the folder that its relative locations start at.
        night: The night.
        memory_tables: Data-set id to columns.
    """

    def __init__(
        self,
        session: Session,
        folders: Mapping[str, Path],
        night: Night,
        memory_tables: Mapping[str, Mapping[str, list[Any]]],
    ) -> None:
        self._session = session
        self._folders = folders
        self._night = night
        self._memory_tables = memory_tables
        self._bases: dict[Any, Base] = {}

    def in_memory(self, data_set_id: str) -> bool:
        """Whether a data set is a table in memory."""
        return data_set_id in self._memory_tables

    def open(self, data_set: DataSet, nights: Sequence[dt.date] | None, label: str) -> Base:
        """Open the files of a data set.

        Args:
            data_set: The data set.
            nights: Nights whose partitions are wanted; None is all up to the night.
            label: Source label for the query log.

        Returns:
            Its rows.

        Raises:
            DataError: If there is no file, or a file cannot be read.
        """
        if self.in_memory(data_set.id):
            key: Any = data_set.id
            if key not in self._bases:
                self._bases[key] = self._from_memory(data_set, label)
            return self._bases[key]
        if data_set.engine != "duckdb":
            raise DataError(
                f"the engine {data_set.engine!r} is not installed",
                where=f"data set {data_set.id}",
                remedy="use the embedded engine",
                valid=("duckdb",),
            )
        files = locate(
            data_set,
            self.folder_of(data_set),
            nights=nights,
            last=self._night.date,
            list_s3=lambda pattern: self._list_s3(pattern, data_set),
        )
        key = (data_set.id, tuple(file.path for file in files.files))
        if key not in self._bases:
            if files.remote:
                self._session.use_s3(f"data set {data_set.id}")
            self._bases[key] = self._reader(files)(data_set, files, label)
        return self._bases[key]

    def files_up_to_night(self, data_set: DataSet) -> tuple[File, ...]:
        """All files that this night can read, without looking into them."""
        return files_of(
            data_set,
            self.folder_of(data_set),
            nights=None,
            last=self._night.date,
            list_s3=lambda pattern: self._list_s3(pattern, data_set),
        )

    def folder_of(self, data_set: DataSet) -> Path:
        """Folder that a data set's relative locations start at."""
        return self._folders.get(data_set.id, Path.cwd())

    def _list_s3(self, pattern: str, data_set: DataSet) -> list[str]:
        where = f"data set {data_set.id}"
        self._session.use_s3(where)
        # Without a wildcard the engine would take the object's existence for granted.
        listed = pattern if glob.has_magic(pattern) else f"{pattern[:-1]}[{pattern[-1]}]"
        sql = f"SELECT file FROM glob({literal(listed)})"
        rows = self._session.query(sql, data_set.id, "schema", where=where)
        return [row[0] for row in rows]

    def _from_memory(self, data_set: DataSet, label: str) -> Base:
        where = f"data set {data_set.id}"
        name = self._session.name("table")
        with self._session.registered(
            arrow_table(data_set, self._memory_tables[data_set.id])
        ) as arrow:
            sql = f"CREATE TEMP TABLE {name} AS SELECT * FROM {arrow}"
            self._session.query(sql, label, "load", where=where)
        return Base(name, describe(self._session, name, label, where), None, False)

    def _reader(self, files: Files) -> Callable[[DataSet, Files, str], Base]:
        if files.format == "duckdb":
            return self._database
        return self._parquet if files.format == "parquet" else self._text

    def _database(self, data_set: DataSet, files: Files, label: str) -> Base:
        if len(files.files) > 1:
            raise DataError(
                "the location names several databases", where=files.place, remedy="name one file"
            )
        if files.remote:
            raise DataError(
                "a database in S3 cannot be read",
                where=files.place,
                remedy="export the table to Parquet",
            )
        name = stage_table(self._session, files.files[0].path, data_set.table, label, files.place)
        return self._described(data_set, name, files, label, has_file_column=False)

    def _text(self, data_set: DataSet, files: Files, label: str) -> Base:
        name = stage(self._session, data_set, files, label)
        return self._described(data_set, name, files, label, has_file_column=True)

    def _parquet(self, data_set: DataSet, files: Files, label: str) -> Base:
        where = files.place
        for file in files.files:
            self._session.knows(file.path, f"data set {data_set.id}, {file.name}")
        wanted = hive_keys(data_set, files)
        present = {key for file in files.files for key, _ in file.keys}
        unwanted = sorted(present - set(wanted)) if wanted else []
        by_night = data_set.partitioned_by_night
        paths = ", ".join(literal(escape_glob(file.path)) for file in files.files)
        options = [
            f"hive_partitioning = {str(bool(wanted)).lower()}",
            f"union_by_name = {str(len(files.files) > 1).lower()}",
        ]
        if by_night:
            options.append(f"filename = {literal(FILE_COLUMN)}")
        hidden = f" EXCLUDE ({', '.join(map(quote, unwanted))})" if unwanted else ""
        name = self._session.name("files")
        sql = (
            f"CREATE TEMP VIEW {name} AS "
            f"SELECT *{hidden} FROM read_parquet([{paths}], {', '.join(options)})"
        )
        self._session.query(sql, label, "schema", where=where)
        return self._described(data_set, name, files, label, has_file_column=by_night)

    def _described(
        self, data_set: DataSet, name: str, files: Files, label: str, *, has_file_column: bool
    ) -> Base:
        types = describe(self._session, name, label, files.place)
        types.pop(FILE_COLUMN, None)
        return Base(name, types, files, has_file_column)
