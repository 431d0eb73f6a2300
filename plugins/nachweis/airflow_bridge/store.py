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


@contextmanager
def running_store(settings: Settings) -> Iterator[None]:
    """Have the store running, prepared and its address in the environment.

    Args:
        settings: Settings; with an address of a store of its own, only the buckets are checked.
    """
    from nachweis.storage import bootstrap, embedded

    started_here = False
    if uses_embedded(settings):
        started_here = embedded.status(settings) is None
        tell("starting the object store" if started_here else "the object store is running")
        embedded.start(settings)
        os.environ.update(embedded.environment(settings))
    try:
        bootstrap.bootstrap(embedded.resolve(settings))
        yield
    finally:
        if started_here:
            embedded.stop(settings)
