"""Hashes of values in the engine, for counting rows that are the same without holding them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any


def hashed(value: Any) -> Any:
    """The engine's own hash of a value, as an unsigned number.

    Ibis's ``hash`` gives the same bits as a signed number, for which DuckDB writes each hash as a
    string of bits and reads it again: that takes longer than all else that is done to a row.

    Args:
        value: An Ibis column.

    Returns:
        An Ibis column of unsigned 64-bit numbers.
    """
    return _hash()(value)


@lru_cache(maxsize=1)
def _hash() -> Callable[[Any], Any]:
    import ibis
    from ibis.expr import datatypes as dt

    def unsigned(value):  # type: ignore[no-untyped-def] # without a type it takes any
        raise NotImplementedError

    unsigned.__annotations__["return"] = dt.uint64
    found: Callable[[Any], Any] = ibis.udf.scalar.builtin(unsigned, name="hash")
    return found
