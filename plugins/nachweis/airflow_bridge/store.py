"""The embedded object store around local runs: started if needed, stopped by who started it.

Its address and credentials are not handed on in the environment: each task asks for them, so a
store that comes back at another port is found again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nachweis.airflow_bridge.progress import tell
from nachweis.settings import Settings


def start_store(settings: Settings) -> bool:
    """Have a prepared store.

    Args:
        settings: Settings; of a store at an address only the buckets are prepared.

    Returns:
        True if our own store was started by this call.
    """
    from nachweis.storage import embedded
    from nachweis.storage.bootstrap import bootstrap

    started = False
    if embedded.wanted(settings):
        started = embedded.status(settings) is None
        tell("starting the object store" if started else "the object store is running")
        embedded.start(settings)
    bootstrap(settings)
    return started


def stop_store(settings: Settings) -> None:
    """Stop our own store, if it is ours and runs."""
    from nachweis.storage import embedded

    if embedded.wanted(settings):
        embedded.stop(settings)


@contextmanager
def running_store(settings: Settings) -> Iterator[None]:
    """Have the store for a while; it is stopped again only if it did not run before.

    Args:
        settings: Settings.
    """
    started = start_store(settings)
    try:
        yield
    finally:
        if started:
            stop_store(settings)
