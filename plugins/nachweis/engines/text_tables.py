"""CSV and JSON-lines files as one typed temporary table; see :mod:`textfiles` for the why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nachweis.domain.errors import DataError
from nachweis.domain.manifest import DataSet
from nachweis.domain.manifest.dataset import ColumnType
from nachweis.engines.column_types import Fit, declared_fits, inferred_fits, only_if_empty
from nachweis.engines.duck import Session, literal, quote
from nachweis.engines.sources import File, Files
from nachweis.engines.textfiles import delimiter_of, header_of, prepare

FILE_COLUMN = "nachweis_file__"
"""Hidden column with the file that a row comes from."""

_RETYPED = ("DATE", "TIME", "TIMESTAMP", "JSON")
"""What the engine guesses from JSON strings, dropping offsets on the way; read as text instead."""


_HEAD_ROWS = 2_000
_WRITTEN = (ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.BOOLEAN)


def stage(session: Session, data_set: DataSet, files: Files, label: str) -> str:
    """Read text files into a temporary table with typed columns.

    Args:
        session: The task's session.
        data_set: Their declaration.
        files: The files.
        label: Source label for the query log.

    Returns:
        Name of the table; it also has the column :data:`FILE_COLUMN`.

    Raises:
        DataError: If a file is malformed.
    """
    where = files.place
    raw = session.name("raw")
    text = _json_sql if files.format == "jsonl" else _csv_sql
    session.query(
        f"CREATE TEMP VIEW {raw} AS {text(session, data_set, files, label)}",
        label,
        "load",
        where=where,
    )
    types = describe(session, raw, label, where)
    typed = _typed(session, data_set, raw, types, label, written=files.format == "jsonl")
    columns = [
        f"{typed[name].expression} AS {quote(name)}" if name in typed else quote(name)
        for name in types
    ]
    table = session.name("table")
    session.query(
        f"CREATE TEMP TABLE {table} AS SELECT {', '.join(columns)} FROM {raw}",
        label,
        "load",
        where=where,
    )
    session.query(f"DROP VIEW {raw}", label, "load", where=where)
    return table


def describe(session: Session, relation: str, label: str, where: str) -> dict[str, str]:
    """Column names and engine types of a view or table, in order."""
    rows = session.query(f"DESCRIBE {relation}", label, "schema", where=where)
    return {row[0]: row[1] for row in rows}


def hive_keys(data_set: DataSet, files: Files) -> list[str]:
    """Partition keys in the paths that are columns of the data set.

    A key that the manifest does not list, although it lists columns, only organises folders.
    """
    keys = {key for file in files.files for key, _ in file.keys}
    declared = {column.name for column in data_set.columns}
    return sorted(key for key in keys if not declared or key in declared)


def _csv_sql(session: Session, data_set: DataSet, files: Files, label: str) -> str:
    keys = hive_keys(data_set, files)
    parts = [_csv_file_sql(session, data_set, file, keys) for file in files.files]
    return " UNION ALL BY NAME ".join(parts)


def _csv_file_sql(session: Session, data_set: DataSet, file: File, keys: list[str]) -> str:
    declared = data_set.csv
    where = f"data set {data_set.id}, {file.name}"
    options = {
        "hive_partitioning": "false",
        "quote": literal(declared.quote),
        "escape": literal(declared.quote),
        "header": str(declared.header).lower(),
        "nullstr": "[" + ", ".join(map(literal, declared.null_values or [""])) + "]",
    }
    if file.remote:
        path = file.path
        options |= {"all_varchar": "true", "skip": "0", "comment": "''"}
        if declared.delimiter:
            options["delim"] = literal(declared.delimiter)
        if declared.encoding:
            options["encoding"] = literal(_engine_encoding(declared.encoding, where))
    else:
        prepared = prepare(
            Path(file.path), encoding=declared.encoding, scratch=session.scratch, where=where
        )
        delimiter = delimiter_of(prepared, declared, where)
        names = header_of(prepared, declared, delimiter, where)
        if not declared.header and len(data_set.columns) == len(names):
            names = [column.name for column in data_set.columns]
        path = str(prepared.path)
        options |= {
            "auto_detect": "false",
            "delim": literal(delimiter),
            "compression": literal("gzip" if prepared.compressed else "none"),
            "columns": "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}",
        }
    session.knows(path, where)
    values = dict(file.keys)
    extra = [f"{literal(values[key])} AS {quote(key)}" for key in keys if key in values]
    extra.append(f"{literal(file.path)} AS {FILE_COLUMN}")
    given = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"SELECT *, {', '.join(extra)} FROM read_csv({literal(escape_glob(path))}, {given})"


def _engine_encoding(encoding: str, where: str) -> str:
    known = {"utf8": "utf-8", "utf16": "utf-16", "latin1": "latin-1", "iso88591": "latin-1"}
    name = encoding.lower().replace("-", "").replace("_", "")
    if name not in known:
        raise DataError(
            f"the encoding {encoding!r} cannot be read from S3",
            where=where,
            remedy="store the file as UTF-8",
            valid=("utf-8", "utf-16", "latin-1"),
        )
    return known[name]


def _json_sql(session: Session, data_set: DataSet, files: Files, label: str) -> str:
    where = files.place
    for file in files.files:
        place = f"data set {data_set.id}, {file.name}"
        session.knows(file.path, place)
        if not file.remote:
            prepare(Path(file.path), encoding="utf-8", scratch=session.scratch, where=place)
    keys = hive_keys(data_set, files)
    paths = ", ".join(literal(escape_glob(file.path)) for file in files.files)
    options = [
        "format = 'newline_delimited'",
        "records = 'true'",
        "union_by_name = true",
        "hive_types_autocast = false",
        f"hive_partitioning = {str(bool(keys)).lower()}",
        f"filename = {literal(FILE_COLUMN)}",
    ]
    probe = f"(SELECT * FROM read_json([{paths}], {', '.join(options)}, sample_size = -1))"
    found = describe(session, f"SELECT * FROM {probe}", label, where)
    partition = {key for file in files.files for key, _ in file.keys}
    columns = {
        name: "VARCHAR" if type_.startswith(_RETYPED) else type_
        for name, type_ in found.items()
        if name != FILE_COLUMN and name not in partition
    }
    listed = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in columns.items())
    shown = ", ".join(quote(name) for name in [*columns, *keys, FILE_COLUMN])
    given = ", ".join([*options, f"columns = {{{listed}}}"])
    return f"SELECT {shown} FROM read_json([{paths}], {given})"


def escape_glob(path: str) -> str:
    """A path in which the engine sees no wildcard."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def _typed(
    session: Session,
    data_set: DataSet,
    raw: str,
    types: Mapping[str, str],
    label: str,
    *,
    written: bool,
) -> dict[str, Fit]:
    """The type that each text column turns out to have, where it is not text.

    ``written`` says that the format writes numbers and booleans as such, so that a text is meant
    as a text.
    """
    declared = {column.name: column for column in data_set.columns}
    texts = [name for name, type_ in types.items() if type_ == "VARCHAR" and name != FILE_COLUMN]
    decimal, moments = data_set.csv.decimal, data_set.csv.timestamp_format
    wanted: dict[str, list[Fit]] = {}
    for name in texts:
        if name in declared:
            type_ = declared[name].type
            fits = declared_fits(quote(name), type_, decimal=decimal, moment_format=moments)
            wanted[name] = only_if_empty(fits) if written and type_ in _WRITTEN else fits
    found = _fitting(session, data_set, raw, wanted, label, accept_empty=True)
    left = {
        name: inferred_fits(quote(name), decimal=decimal, moment_format=moments, times_only=written)
        for name in texts
        if name not in found
    }
    left = _plausible(session, data_set, raw, left, label)
    return found | _fitting(session, data_set, raw, left, label, accept_empty=False)


def _fitting(
    session: Session,
    data_set: DataSet,
    raw: str,
    candidates: Mapping[str, list[Fit]],
    label: str,
    *,
    accept_empty: bool,
) -> dict[str, Fit]:
    """For each column the first candidate that all its values fit, in one pass over the files."""
    found: dict[str, Fit] = {}
    counted = _counts(session, data_set, raw, candidates, label)
    for name, (values, fitting) in counted.items():
        fits = candidates[name]
        if values == 0:
            if accept_empty:
                found[name] = fits[-1]
            continue
        for fit, count in zip(fits, fitting, strict=True):
            if count == values:
                found[name] = fit
                break
    return found


def _plausible(
    session: Session,
    data_set: DataSet,
    raw: str,
    candidates: Mapping[str, list[Fit]],
    label: str,
) -> dict[str, list[Fit]]:
    """Candidates that the first rows do not rule out."""
    head = f"(SELECT * FROM {raw} LIMIT {_HEAD_ROWS})"
    counted = _counts(session, data_set, head, candidates, label)
    return {
        name: [fit for fit, count in zip(candidates[name], fitting, strict=True) if count == values]
        for name, (values, fitting) in counted.items()
    }


def _counts(
    session: Session,
    data_set: DataSet,
    rows: str,
    candidates: Mapping[str, list[Fit]],
    label: str,
) -> dict[str, tuple[int, list[int]]]:
    """Values of each column, and how many of them fit each candidate."""
    asked = {name: fits for name, fits in candidates.items() if fits}
    if not asked:
        return {}
    counts: list[str] = []
    for name, fits in asked.items():
        counts += [f"count({quote(name)})", *(f"count({fit.expression})" for fit in fits)]
    sql = f"SELECT {', '.join(counts)} FROM {rows}"
    row = session.query(sql, label, "load", where=f"data set {data_set.id}")[0]
    found: dict[str, tuple[int, list[int]]] = {}
    for name, fits in asked.items():
        found[name] = row[0], list(row[1 : len(fits) + 1])
        row = row[len(fits) + 1 :]
    return found
