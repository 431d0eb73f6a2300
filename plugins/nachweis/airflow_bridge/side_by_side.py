"""Two DAGs of a night at the same time, as a scheduler would run them, in a process each.

SQLite lets one process write at a time, so that each DAG has a metadata database of its own; what
the DAGs tell each other is in the object store.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nachweis.airflow_bridge import progress
from nachweis.airflow_bridge.home import Home
from nachweis.airflow_bridge.libraries import FIRST, load
from nachweis.domain.errors import SettingsError
from nachweis.settings import PACKAGE_ROOT

_STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Ended:
    """How a DAG's run ended.

    Attributes:
        state: Airflow's state of the run, or ``lost`` if its process ended without a word.
        run_id: The run.
        failed: Tasks that failed or were never reached.
    """

    state: str
    run_id: str = ""
    failed: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the run succeeded."""
        return self.state == "success"


def run_dag(dag_id: str, night: str) -> Ended:
    """Run one DAG for one night in this process, which has entered its home.

    Args:
        dag_id: The DAG.
        night: ISO date.

    Returns:
        How it ended.

    Raises:
        SettingsError: If a DAG file cannot be imported.
    """
    run = _load(dag_id).test(
        logical_date=dt.datetime.fromisoformat(night).replace(tzinfo=dt.UTC),
        run_conf={"night": night},
    )
    bad = {"failed", "upstream_failed"}
    failed = {ti.task_id for ti in run.get_task_instances() if ti.state in bad}
    return Ended(str(run.state), run.run_id, tuple(sorted(failed)))


def _load(dag_id: str) -> Any:
    load((*FIRST, "airflow.dag_processing.dagbag"))
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=PACKAGE_ROOT / "dags" / f"{dag_id}.py")
    if bag.import_errors:
        raise SettingsError(
            "a DAG file cannot be imported",
            where=", ".join(Path(path).name for path in bag.import_errors),
            remedy="the log holds the traceback",
        )
    return bag.dags[dag_id]


class Beside:
    """A DAG's run in another process; its progress is told here.

    Args:
        home: Airflow home of the other process; prepared.
        dag_id: The DAG.
        night: ISO date.
    """

    def __init__(self, home: Home, dag_id: str, night: str) -> None:
        # Not forked: what this process holds open (threads, locks, sockets) stays its own.
        context = multiprocessing.get_context("spawn")
        self._end, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(home, dag_id, night, theirs))
        self._theirs = theirs
        self._ended = Ended("lost")
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._listener.join(_STOP_SECONDS)

    def wait(self) -> Ended:
        """How the run ended, once it has."""
        self._listener.join()
        self._process.join()
        return self._ended

    def _listen(self) -> None:
        while True:
            try:
                said = self._end.recv()
            except (EOFError, OSError):
                return
            if isinstance(said, Ended):
                self._ended = said
            else:
                progress.tell(said)


def _run(home: Home, dag_id: str, night: str, end: Connection) -> None:
    with end:
        home.enter()
        with progress.heard_by(end.send):
            end.send(run_dag(dag_id, night))
