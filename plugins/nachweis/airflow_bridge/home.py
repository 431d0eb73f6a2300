"""An Airflow home of our own: the configuration that every local way of running shares.

Nothing here imports Airflow: its configuration is read once, at import, from the environment that
`Home.environment` gives.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nachweis.domain.errors import SettingsError
from nachweis.settings import PACKAGE_ROOT

PRELOAD = "nachweis.airflow_bridge.preload"
MIGRATE_SECONDS = 600

TELEMETRY_OFF = {
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "GX_ANALYTICS_ENABLED": "False",
    "DO_NOT_TRACK": "1",
}
"""No library reports anything to its maker: Airflow, Great Expectations, Evidently."""


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with one Airflow's metadata database, logs and secrets.

    Attributes:
        folder: AIRFLOW_HOME.
    """

    folder: Path

    @property
    def logs(self) -> Path:
        """Folder of the task logs."""
        return self.folder / "logs"

    def environment(self, *, parallelism: int = 2) -> dict[str, str]:
        """Environment of every Airflow process of this home.

        Args:
            parallelism: Tasks at a time; DuckDB uses several threads in each.

        Returns:
            The whole environment, this process's own included.
        """
        python_path = os.pathsep.join(
            part for part in (str(PACKAGE_ROOT / "plugins"), os.environ.get("PYTHONPATH")) if part
        )
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW__DATABASE__")},
            **TELEMETRY_OFF,
            "AIRFLOW_HOME": str(self.folder),
            "PYTHONPATH": python_path,
            "AIRFLOW__CORE__DAGS_FOLDER": str(PACKAGE_ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PACKAGE_ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
            "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD": PRELOAD,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
        }

    def prepare(self) -> bool:
        """Create the folder, secrets and the metadata database, once per Airflow version.

        Returns:
            True if the database was created or migrated by this call.

        Raises:
            SettingsError: If Airflow could not set up its database.
        """
        from importlib.metadata import version

        stamp = self.folder / ".migrated"
        if stamp.is_file() and stamp.read_text() == version("apache-airflow"):
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS,
            check=False,
        )
        if done.returncode:
            log = self.folder / "migrate.log"
            log.write_text(done.stdout + done.stderr)
            raise SettingsError(
                "Airflow could not set up its metadata database",
                where=str(log),
                remedy="read the log; if another Airflow version wrote this folder, remove it",
            )
        stamp.write_text(version("apache-airflow"))
        return True
