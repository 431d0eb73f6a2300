"""An Airflow home of our own: the configuration that every local way of running shares.

Nothing here imports Airflow: its configuration is read once, at import, from the environment that
`Home.environment` gives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nachweis.domain.errors import SettingsError
from nachweis.settings import PACKAGE_ROOT

SHARED = PACKAGE_ROOT / "airflow.env"
"""Airflow's configuration for every way of running, docker-compose.yml included."""

MIGRATE_SECONDS = 600


def shared_configuration() -> dict[str, str]:
    """What airflow.env sets."""
    lines = SHARED.read_text(encoding="utf-8").splitlines()
    settings = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in settings}


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

    @property
    def database(self) -> Path:
        """The metadata database."""
        return self.folder / "airflow.db"

    def environment(self) -> dict[str, str]:
        """Environment of every Airflow process of this home.

        Another Airflow's settings are not inherited; connections (AIRFLOW_CONN_...) are.

        Returns:
            The whole environment, this process's own included.
        """
        python_path = os.pathsep.join(
            part for part in (str(PACKAGE_ROOT / "plugins"), os.environ.get("PYTHONPATH")) if part
        )
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW__")},
            **shared_configuration(),
            "AIRFLOW_HOME": str(self.folder),
            "PYTHONPATH": python_path,
            "AIRFLOW__CORE__DAGS_FOLDER": str(PACKAGE_ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PACKAGE_ROOT / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
        }

    def enter(self) -> None:
        """Make this process one of this home's; before Airflow is imported."""
        environment = self.environment()
        for name in [name for name in os.environ if name not in environment]:
            del os.environ[name]
        os.environ.update(environment)

    def prepare(self, like: Home | None = None) -> bool:
        """Create the folder, secrets and the metadata database, once per Airflow version.

        Args:
            like: A prepared home whose database is copied instead of migrated; nothing runs there.

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
        if like is not None:
            shutil.copyfile(like.database, self.database)
            stamp.write_text(version("apache-airflow"))
            return True
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
