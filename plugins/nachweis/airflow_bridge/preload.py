"""Imported once by Airflow's fork server, so that each task starts with the libraries loaded.

Set by ``[scheduler] mp_forkserver_preload``. Nothing here opens a file, a connection or a thread of
its own: the fork server is copied for every worker of the LocalExecutor.
"""

from __future__ import annotations

from nachweis.airflow_bridge.libraries import HEAVY, load

OURS = ("nachweis.pipeline.night", "nachweis.pipeline.observe", "nachweis.pipeline.judge")

load((*HEAVY, *OURS))
