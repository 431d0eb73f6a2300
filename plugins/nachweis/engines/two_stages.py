"""Work in two stages that overlap: while one item is finished, the next one is begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from nachweis.domain.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


def two_stages(
    items: Iterable[Item], begin: Callable[[Item], Callable[[], Result]]
) -> list[Result | DataError]:
    """Begin items one after the other here and finish them, in order, on a second thread.

    At most two items are in memory at any time: the one that is begun and the one before it.

    Args:
        items: What to work on.
        begin: First stage, on this thread; returns the second stage, which runs on the other and
            must not touch what the first stage uses.

    Returns:
        One result per item, in order, or the error that the data caused in either stage.
    """
    begun: list[Future[Result] | DataError] = []
    with ThreadPoolExecutor(max_workers=1) as second:
        running: list[Future[Result]] = []
        for item in items:
            try:
                finish = begin(item)
            except DataError as error:
                begun.append(error)
                continue
            wait(running)
            running = [second.submit(finish)]
            begun.extend(running)
            del finish  # it holds what the item has read
    found: list[Result | DataError] = []
    for one in begun:
        try:
            found.append(one if isinstance(one, DataError) else one.result())
        except DataError as error:
            found.append(error)
    return found
