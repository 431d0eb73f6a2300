"""Column profiles read from a window, one column at a time, and the cache of the reference's."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nachweis.domain.canonical import digest
from nachweis.domain.errors import DataError
from nachweis.domain.manifest.dataset import ColumnType
from nachweis.domain.observation import ColumnProfile
from nachweis.engines.column_types import logical
from nachweis.engines.duck import Session, literal, quote

if TYPE_CHECKING:
    from numpy.typing import NDArray

ProfileKind = Literal["numeric", "categorical"]
_FORMAT = 3
_KEEP_DAYS = 30
_NARROWED = 8_000
"""Rows of a sample from which looking for its limit first costs less than it saves."""
_MOST_OF_MIN = 1_000_000
"""What DuckDB refuses as the number of smallest values."""


def kind_of(
    type_: str, wanted: Literal["numeric", "categorical", "auto"], column: str, where: str
) -> ProfileKind:
    """The kind of profile that a column gets.

    Args:
        type_: The engine's type of the column.
        wanted: The kind asked for.
        column: Column, for errors.
        where: Data set, for errors.

    Returns:
        Numbers are numeric, everything else categorical, unless asked otherwise.

    Raises:
        DataError: If the column cannot have the kind asked for.
    """
    kind = logical(type_)
    if kind in (ColumnType.NESTED, ColumnType.BINARY):
        raise DataError(f"the column {column!r} holds {kind.value} data", where=where)
    number = kind in (ColumnType.INTEGER, ColumnType.NUMBER)
    if wanted == "auto":
        return "numeric" if number else "categorical"
    if wanted == "numeric" and not number and kind is not ColumnType.BOOLEAN:
        raise DataError(
            f"the column {column!r} holds {kind.value} data, not numbers",
            where=where,
            remedy="compare the declared type with the file's",
        )
    return wanted


def read_column(
    session: Session, view: str, column: str, kind: ProfileKind, label: str, where: str
) -> Callable[[], ColumnProfile]:
    """Read one column, in one statement that projects this column alone.

    Args:
        session: The task's session.
        view: The window.
        column: The column.
        kind: The kind of profile.
        label: Source label for the query log.
        where: Data set, for errors.

    Returns:
        What builds the exact profile of what was read; it needs the session no more.
    """
    from nachweis.engines.profiles import profile_categorical, profile_numeric

    name = quote(column)
    if kind == "numeric":
        # Nulls travel as NaN: a plain array without a mask is half the memory and sorts in place.
        sql = f"SELECT coalesce(CAST({name} AS DOUBLE), 'nan'::DOUBLE) AS v FROM {view}"
        values = session.column(sql, label, "profile", where=where)["v"]
        return lambda: profile_numeric(values, overwrite=True)
    sql = f"SELECT {name}, count(*) FROM {view} GROUP BY 1"
    rows = session.query(sql, label, "profile", where=where)
    names = [_category(value) for value, _ in rows]
    return lambda: profile_categorical(names, [n for _, n in rows])


def _category(value: Any) -> str | None:
    """A value as the name of a category: equal values have equal names in every file format."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class ProfileCache:
    """Profiles of pinned data, by data-set version and column; local and never published.

    A profile holds values of the data, so the folder is readable by its owner only and entries
    that nobody has read for thirty days are deleted.

    Args:
        folder: Where to keep them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, version: str, column: str, kind: ProfileKind) -> ColumnProfile | None:
        """A cached profile; None if there is none or it cannot be read."""
        import numpy as np

        from nachweis.engines.profiles import ones
        from nachweis.engines.spilling import SMALLEST_SPILLED, map_arrays

        path = self._path(version, column, kind)
        try:
            packed, support, counts = map_arrays(path)
            head = json.loads(packed.tobytes())
            if kind == "categorical":
                support = np.array(json.loads(support.tobytes()), dtype=object)
            if not head["counted"]:
                counts = ones(len(support))
            if len(support) < SMALLEST_SPILLED:
                support, counts = support.copy(), counts.copy()
            profile = ColumnProfile(
                kind=kind,
                support=support,
                counts=counts,
                nulls=int(head["nulls"]),
                infinite=int(head["infinite"]),
                n=int(head["n"]),
                exact=bool(head["exact"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if len(support) != len(counts) or int(counts.sum()) != profile.valid:
            return None
        with contextlib.suppress(OSError):
            os.utime(path.parent)
        return profile

    def put(self, version: str, column: str, profile: ColumnProfile) -> ColumnProfile:
        """Keep a profile; a cache that cannot be written is no error.

        Args:
            version: Version of the data set.
            column: Column.
            profile: Its profile.

        Returns:
            An equal profile; the values of a large one are mapped from the cache.
        """
        import numpy as np

        from nachweis.engines.profiles import all_distinct
        from nachweis.engines.spilling import write_arrays

        path = self._path(version, column, profile.kind)
        head = {
            "nulls": profile.nulls,
            "infinite": profile.infinite,
            "n": profile.n,
            "exact": profile.exact,
            "counted": not all_distinct(profile),  # else every count is 1 and none is kept
        }
        support, counts = profile.support, profile.counts
        if profile.kind == "categorical":
            support = _packed(json.dumps(support.tolist()))
        if not head["counted"]:
            counts = np.empty(0, dtype=np.int64)
        temporary: str | None = None
        try:
            if not path.parent.exists():
                self._prune()  # a new version is when older ones fall out of use
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            with os.fdopen(handle, "wb") as stream:
                write_arrays(stream, _packed(json.dumps(head)), support, counts)
            Path(temporary).replace(path)
        except OSError:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
            return profile
        return self.get(version, column, profile.kind) or profile

    def _prune(self) -> None:
        """Delete versions that nobody has read for thirty days."""
        limit = time.time() - _KEEP_DAYS * 86_400
        with contextlib.suppress(OSError):
            for folder in self._folder.iterdir():
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)

    def _path(self, version: str, column: str, kind: ProfileKind) -> Path:
        name = digest({"format": _FORMAT, "column": column, "kind": kind})
        return self._folder / version / f"{name}.profile"


def _packed(text: str) -> NDArray[Any]:
    """A text as an array of bytes; blanks behind it keep what follows aligned."""
    import numpy as np

    content = text.encode()
    return np.frombuffer(content + b" " * (-len(content) % 8), dtype=np.uint8)


def read_sample(
    session: Session,
    view: str,
    key: str,
    columns: tuple[str, ...],
    n: int,
    seed: int,
    label: str,
    where: str,
) -> dict[str, Any]:
    """Rows with the smallest seeded hashes of their key; the same rows for the same data and seed.

    Args:
        session: The task's session.
        view: The window.
        key: Key column.
        columns: Columns wanted.
        n: Rows wanted at most.
        seed: Chooses among samples.
        label: Source label for the query log.
        where: Data set, for errors.

    Returns:
        Column name to a NumPy array; missing numbers are NaN, missing texts None.
    """
    shown = ", ".join(quote(column) for column in columns)
    mixed = f"md5({literal(f'{seed}:')} || CAST({quote(key)} AS VARCHAR))"
    rows = view
    if _NARROWED <= n < _MOST_OF_MIN:
        # Holding the best rows so far with all their columns would take most of a task's memory:
        # the largest digest of the sample is found first, from the keys alone. Twelve characters
        # are what the engine keeps in place; the few rows too many are cut off by the limit.
        start = f"coalesce(left({mixed}, 12), '~')"
        last = f"SELECT max(h) FROM (SELECT unnest(min({start}, {int(n)})) AS h FROM {view})"
        rows = f"{view} WHERE {start} <= ({last})"
    # Rows with equal keys are ordered by what is shown of them: which one is taken never shows.
    sql = f"SELECT {shown} FROM {rows} ORDER BY {mixed} NULLS LAST, {shown} LIMIT {int(n)}"
    found = session.column(sql, label, "sample", where=where)
    return {name: _unmasked(values) for name, values in found.items()}


def _unmasked(values: Any) -> Any:
    import numpy as np

    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values.dtype.kind in "iuf":
        return np.ma.filled(values.astype(np.float64), np.nan)
    if values.dtype.kind == "M":
        return np.ma.filled(values, np.datetime64("NaT"))
    # NumPy takes a fill value of None for "the default", which is the text "?".
    plain = np.ma.getdata(values).astype(object)
    plain[np.ma.getmaskarray(values)] = None
    return plain
