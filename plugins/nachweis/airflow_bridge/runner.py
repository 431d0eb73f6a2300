"""`make nightly`: the three governance DAGs with real Airflow, in two processes.

Exit codes: 0 = signed, whatever the findings; 1 = signed, and a finding reaches ``--fail-on``;
2 = not signed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nachweis.airflow_bridge.home import Home
from nachweis.airflow_bridge.progress import Printer, tell
from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Severity
from nachweis.domain.night import Night
from nachweis.pipeline.summary import NightSummary, summary_text
from nachweis.settings import Settings

if TYPE_CHECKING:
    from nachweis.airflow_bridge.side_by_side import Ended

DAGS = ("training_data_quality", "deployed_model_monitoring", "processing_records")
SIGNED, FOUND, NOT_SIGNED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one night and print its summary.

    Args:
        arguments: Command line without the program's name.

    Returns:
        Exit code.
    """
    options = _options(arguments)
    settings = Settings()
    os.umask(0o077)
    home = Home(settings.state / "airflow-nightly")
    log = settings.state / "logs" / "nightly.log"
    with _quiet(log) as terminal, Printer(terminal) as printer:
        try:
            night = str(Night.parse(options.date or _yesterday(settings)))
            tell(f"night {night}; Airflow's own log: {_short(log)}")
            summary = run_night(home, settings, night)
        except NachweisError as error:
            terminal.write(f"\n{error}\n\nNot signed. Log: {_short(log)}\n")
            return NOT_SIGNED
        terminal.write(f"\n{summary_text(summary)}\nElapsed    {printer.elapsed:.0f} s\n")
    return exit_code(summary, options.fail_on)


def exit_code(summary: NightSummary, fail_on: str | None) -> int:
    """Exit code of a signed night.

    Args:
        summary: The night's summary.
        fail_on: Least severity of an open finding that makes the command fail, or None.

    Returns:
        0, or 1 if an open finding that no waiver covers is at least that severe.
    """
    return FOUND if fail_on and summary.reaches(Severity(fail_on)) else SIGNED


def run_night(home: Home, settings: Settings, night: str) -> NightSummary:
    """Run the three DAGs for one night, those that observe at the same time.

    Args:
        home: Where Airflow keeps its own state.
        settings: Settings; an embedded store is started and stopped.
        night: ISO date.

    Returns:
        The night's summary.

    Raises:
        NachweisError: If the night ends without being signed.
    """
    from nachweis.airflow_bridge.store import running_store

    if not (home.folder / ".migrated").exists():
        tell("setting up Airflow's metadata database (once)")
    home.prepare()
    beside = Home(home.folder.with_name(f"{home.folder.name}-beside"))
    beside.prepare(like=home)
    with running_store(settings):
        home.enter()
        tell("loading Airflow")
        return NightSummary.model_validate(_run_dags(beside, night))


def _run_dags(beside: Home, night: str) -> dict[str, Any]:
    from nachweis.airflow_bridge.side_by_side import Beside, run_dag

    first, second, last = DAGS
    with Beside(beside, second, night) as other:
        tell(f"(1 and 2 of {len(DAGS)}) {first}, {second}")
        for dag_id, ended in ((first, run_dag(first, night)), (second, other.wait())):
            if not ended.succeeded:
                raise _not_signed(dag_id, night, ended)
    tell(f"({len(DAGS)} of {len(DAGS)}) {last}")
    ended = run_dag(last, night)
    summary = _result(last, ended.run_id, "publish")
    if summary is None:
        raise _not_signed(last, night, ended)
    if "render" in ended.failed:
        # The night is signed and stays so; only the pages lag behind.
        summary["site_problem"] = "the task render failed; the log names the cause"
    return summary


def _result(dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(
            run_id=run_id, dag_ids=[dag_id], task_ids=[task_id], key="return_value"
        )
        found = session.scalars(query).first()
    return None if found is None else dict(XComModel.deserialize_value(found))


def _not_signed(dag_id: str, night: str, ended: Ended) -> NachweisError:
    return NachweisError(
        f"the night was not signed: {', '.join(ended.failed) or 'no task ran'}",
        where=f"{dag_id}, night {night}",
        remedy="the log names the cause; run again once it is removed",
    )


def _yesterday(settings: Settings) -> str:
    from nachweis.pipeline.load import load_world

    zone = Night(dt.date.min, load_world(settings).world.organisation.timezone).zone
    return (dt.datetime.now(zone).date() - dt.timedelta(days=1)).isoformat()


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def _quiet(log: Path) -> Iterator[TextIO]:
    """Send everything Airflow and the libraries print to a file; give the terminal back to us."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("w", encoding="utf-8") as sink, os.fdopen(os.dup(1), "w") as terminal:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield terminal
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            for descriptor in kept:
                os.close(descriptor)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nachweis.airflow_bridge.runner", description=__doc__)
    commands = parser.add_subparsers(required=True)
    nightly = commands.add_parser("nightly", help="run one night")
    nightly.add_argument("--date", help="YYYY-MM-DD; default is yesterday")
    nightly.add_argument("--fail-on", choices=[item.value for item in Severity])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
