"""The embedded object store around local runs: started if needed, stopped by who started it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nachweis.airflow_bridge.progress import tell
from nachweis.settings import Settings


def uses_embedded(settings: Settings) -> bool:
    """Whether these settings mean our own store and not one at an address."""
    if settings.s3_endpoint is None:
        return settings.mode == "demonstration"
    return settings.s3_endpoint == "embedded"


def start_store(settings: Settings) -> bool:
    """Have a prepared store, and its address in this process's environment.

    Args:
        settings: Settings; of a store at an address only the buckets are prepared.

    Returns:
        True if our own store was started by this call.
    """
    from nachweis.storage import bootstrap, embedded

    started = False
    if uses_embedded(settings):
        started = embedded.status(settings) is None
        tell("starting the object store" if started else "the object store is running")
        embedded.start(settings)
        os.environ.update(embedded.environment(settings))
    bootstrap.bootstrap(embedded.resolve(settings))
    return started


def stop_store(settings: Settings) -> None:
    """Stop our own store, if it is ours and runs."""
    from nachweis.storage import embedded

    if uses_embedded(settings):
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
