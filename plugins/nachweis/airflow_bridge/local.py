"""`make up` and `make down`: Airflow's four components, the object store and the site, here.

Airflow runs on SQLite with the LocalExecutor and its simple auth manager, bound to loopback: the
same DAGs, plugin and settings as in production, for one person at one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from nachweis.airflow_bridge import processes
from nachweis.airflow_bridge.home import Home
from nachweis.airflow_bridge.progress import Printer, tell
from nachweis.airflow_bridge.store import start_store, stop_store
from nachweis.domain.errors import NachweisError, SettingsError
from nachweis.settings import Settings

COMPONENTS: tuple[tuple[str, ...], ...] = (
    ("api-server", "--workers", "1"),
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("triggerer", "--skip-serve-logs"),
)
USERS = {"admin": "admin", "viewer": "viewer"}
"""User to Airflow role."""
FIRST_PORT, LAST_PORT = 8080, 8180
READY_SECONDS = 180.0
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Local:
    """Airflow as `up` runs it, in the state folder.

    Attributes:
        settings: Settings.
    """

    settings: Settings

    @property
    def home(self) -> Home:
        """Its AIRFLOW_HOME."""
        return Home(self.settings.state / "airflow")

    @property
    def register(self) -> Path:
        """File that remembers processes and address."""
        return self.home.folder / "processes.json"

    @property
    def passwords(self) -> Path:
        """File with the generated passwords, readable by this user only."""
        return self.home.folder / "passwords.json"

    def environment(self, port: int) -> dict[str, str]:
        """Environment of all components.

        Args:
            port: Port of the API server on loopback.

        Returns:
            The whole environment.
        """
        base = f"http://localhost:{port}"
        return {
            **self.home.environment(),
            "NACHWEIS_SITE_URL": self.settings.site_url or f"{base}/governance",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": base,
            "AIRFLOW__API__INSTANCE_NAME": "Nachweis (demonstration)",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{user}:{role}" for user, role in USERS.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.passwords),
        }

    def up(self) -> str:
        """Start everything that does not run yet and wait until it is healthy.

        Returns:
            Address of Airflow.

        Raises:
            NachweisError: If a component ends or does not become healthy in time.
        """
        running, facts = processes.read(self.register)
        if running and all(process.alive for process in running):
            tell("already running")
            return str(facts["url"])
        processes.stop(running)
        tell("preparing Airflow's metadata database")
        self.home.prepare()
        self._write_passwords()
        start_store(self.settings)
        port = _free_port()
        environment = self.environment(port)
        url = environment["AIRFLOW__API__BASE_URL"]
        started = []
        for component in COMPONENTS:
            command = [sys.executable, "-m", "airflow", *component]
            log = self.home.logs / f"{component[0]}.log"
            started.append(processes.start(component[0], command, environment, log))
            processes.save(self.register, started, {"url": url, "port": port})
        try:
            self._wait_until_healthy(started, port)
        except NachweisError:
            self.down()
            raise
        return url

    def down(self) -> bool:
        """Stop what `up` started, the object store included.

        Returns:
            True if anything was running.
        """
        running, _ = processes.read(self.register)
        alive = [process for process in running if process.alive]
        if alive:
            tell(f"stopping {', '.join(process.name for process in alive)}")
        processes.stop(running)
        self.register.unlink(missing_ok=True)
        stop_store(self.settings)
        return bool(alive)

    def health(self, port: int) -> dict[str, str]:
        """Status of each component as Airflow reports it; empty while it does not answer.

        Args:
            port: Port of the API server.
        """
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5)
            answer.raise_for_status()
            report: dict[str, dict[str, Any]] = answer.json()
        except (httpx.HTTPError, ValueError):
            return {}
        return {name: str((facts or {}).get("status")) for name, facts in report.items()}

    def _wait_until_healthy(self, started: Sequence[processes.Process], port: int) -> None:
        waiting_for = {"metadatabase", "scheduler", "dag_processor", "triggerer"}
        deadline = time.monotonic() + READY_SECONDS
        while waiting_for:
            ended = [process.name for process in started if not process.alive]
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else sorted(waiting_for)[0].replace("_", "-")
                raise SettingsError(
                    f"{name} {'ended' if ended else 'did not become healthy'}",
                    where=str(self.home.logs / f"{name}.log"),
                    remedy=self._tail(name),
                )
            healthy = {n for n, status in self.health(port).items() if status == "healthy"}
            for name in sorted(waiting_for & healthy):
                tell(f"{name.replace('_', ' ')} is healthy")
            waiting_for -= healthy
            time.sleep(0.5)

    def _tail(self, name: str) -> str:
        log = self.home.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        return "\n".join(["the end of its log:", *lines[-TAIL_LINES:]])

    def _write_passwords(self) -> None:
        if self.passwords.is_file():
            return
        generated = {user: secrets.token_urlsafe(12) for user in USERS}
        descriptor = os.open(self.passwords, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(generated, stream)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, stop or describe the local Airflow.

    Args:
        arguments: Command line without the program's name.

    Returns:
        Exit code: 0, or 2 if it could not be started.
    """
    parser = argparse.ArgumentParser(prog="nachweis.airflow_bridge.local", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status"])
    parser.add_argument("--quiet", action="store_true", help="print nothing when all is well")
    options = parser.parse_args(arguments)
    local = Local(Settings())
    os.umask(0o077)
    with Path(os.devnull).open("w") as silence, Printer(silence if options.quiet else sys.stdout):
        try:
            return _COMMANDS[options.command](local)
        except NachweisError as error:
            sys.stderr.write(f"\n{error}\n")
            return 2


def _up(local: Local) -> int:
    url = local.up()
    password = json.loads(local.passwords.read_text())["admin"]
    tell("ready")
    sys.stdout.write(
        f"\nAirflow    {url}\n"
        f"Login      admin / {password}\n"
        f"Site       {url}/governance/index.html (Browse > Governance records)\n"
        f"Passwords  {local.passwords}\n"
        f"Logs       {local.home.logs}\n"
        "Stop       make down\n"
    )
    return 0


def _down(local: Local) -> int:
    tell("stopped" if local.down() else "nothing was running")
    return 0


def _status(local: Local) -> int:
    running, facts = processes.read(local.register)
    health = local.health(int(facts["port"])) if facts else {}
    for process in running:
        tell(f"{process.name}: {'running' if process.alive else 'ended'}, process {process.pid}")
    for name, status in health.items():
        tell(f"{name}: {status}")
    tell(facts["url"] if health else "Airflow is not running")
    return 0


_COMMANDS = {"up": _up, "down": _down, "status": _status}


def _free_port() -> int:
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SettingsError(f"no port from {FIRST_PORT} to {LAST_PORT} is free")


if __name__ == "__main__":
    sys.exit(main())
