"""Canaries: values that occur nowhere else, planted in data and searched for in what comes out.

A canary has the type of its column, so that it takes part in counts, joins, extremes and groups.
Few rows hold it, as few people hold a rare value.
"""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FEW = 6
"""Rows that hold a canary: fewer than the ten below which no count of people is published."""
_NUMBER = 836_291_000
_SHARE = 0.836291
_FIRST_DAY = dt.date(1931, 2, 1)


@dataclass
class Canaries:
    """Values planted in columns, and the traces that they would leave."""

    _traces: dict[bytes, str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def plant(self, columns: Mapping[str, Sequence[Any]], *only: str) -> dict[str, list[Any]]:
        """A table with a canary in a few rows of every column.

        Columns of one name get one canary in all tables, so that joins find each other's rows.

        Args:
            columns: Column name to values of one type.
            only: Columns to plant in; default is all.

        Returns:
            The same columns with the canaries in their first rows.
        """
        return {
            name: self._planted(name, list(values)) if name in only or not only else list(values)
            for name, values in columns.items()
        }

    def found_in(self, *outputs: bytes | str) -> list[str]:
        """What of the canaries stands in outputs; packed content is unpacked.

        Args:
            outputs: Everything that a program produced.

        Returns:
            A sentence per trace; empty if no canary left the data.
        """
        found = set()
        for output in outputs:
            for content in _unpacked(output.encode() if isinstance(output, str) else output):
                low = content.lower()
                found |= {f"{what}: {trace!r}" for trace, what in self._all() if trace in low}
        return sorted(found)

    @property
    def columns(self) -> set[str]:
        """Names of the columns that hold a canary."""
        return set(self._numbers)

    def _all(self) -> Iterable[tuple[bytes, str]]:
        return self._traces.items()

    def _planted(self, name: str, values: list[Any]) -> list[Any]:
        known = [value for value in values if value is not None]
        if not known or isinstance(known[0], bool | list | dict):
            return values
        number = self._numbers.setdefault(name, len(self._numbers))
        rows = min(FEW, max(1, len(values) // 4))
        head = [self._canary(number, name, old, known) for old in values[:rows]]
        return [*head, *values[rows:]]

    def _canary(self, number: int, name: str, old: Any, known: list[Any]) -> Any:
        like = known[0] if old is None else old
        if isinstance(like, str):
            return self._word(f"Zq{number:03d}kanarie", name)
        if isinstance(like, dt.datetime):
            self._leaves(name, f"{like:%H:%M:%S}.836")
            return like.replace(microsecond=836_291)
        if isinstance(like, dt.date):
            day = _FIRST_DAY + dt.timedelta(days=number)
            self._leaves(name, day.isoformat(), f"{day:%d.%m.%Y}")
            return day
        if isinstance(like, int) and not set(known) <= {0, 1}:
            self._leaves(name, str(_NUMBER + number), f"{_NUMBER + number:,}")
            return _NUMBER + number
        if isinstance(like, float) and all(0 <= value <= 1 for value in known):
            self._leaves(name, str(_SHARE))
            return _SHARE + number * 1e-9
        if isinstance(like, float):
            self._leaves(name, str(_NUMBER + number), f"{_NUMBER + number:,}", "8.36291")
            return float(_NUMBER + number)
        return old  # 0 and 1 are no canaries, and a third value would be another column

    def _word(self, word: str, name: str) -> str:
        self._leaves(name, word, hashlib.sha256(word.encode()).hexdigest())
        # Base64 in each of the three positions that a word can have in it.
        for lead in range(3):
            packed = base64.b64encode(b"-" * lead + word.encode()).decode()
            self._leaves(f"{name} in base64", packed[lead + 1 : -4])
        return word

    def _leaves(self, name: str, *traces: str) -> None:
        for trace in traces:
            self._traces[trace.lower().encode()] = f"column {name}"


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:1] == b"\x78":
        try:
            yield zlib.decompress(content)
        except zlib.error:
            return
