"""Imported once by Airflow's fork server, so that each task starts with the libraries loaded.

Set by ``[scheduler] mp_forkserver_preload``. Nothing here opens a file, a connection or a thread of
its own: the fork server is copied for every worker of the LocalExecutor.
"""

from __future__ import annotations

import importlib
import logging

from nachweis.airflow_bridge.libraries import HEAVY

OURS = ("nachweis.pipeline.night", "nachweis.pipeline.observe", "nachweis.pipeline.judge")

_log = logging.getLogger(__name__)


def load() -> list[str]:
    """Import everything; one broken library must not stop the scheduler's workers.

    Returns:
        The modules that could not be imported; a task that needs one fails with its own error.
    """
    missing = []
    for name in (*HEAVY, *OURS):
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            missing.append(name)
            _log.warning("%s was not preloaded: %s", name, type(error).__name__)
    return missing


load()
