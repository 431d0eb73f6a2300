"""What the Airflow tests share: a tiny world, an own state folder, servers that listen."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aiosmtpd.controller import Controller

from nachweis.airflow_bridge.schedule import START
from nachweis.settings import PACKAGE_ROOT

TINY = PACKAGE_ROOT / "tests" / "fixtures" / "tiny"
NIGHTS = ("2026-10-19", "2026-10-20")
START_HOUR = int(START.split()[1])
MINUTES = 60


def last_nights(folder: Path) -> tuple[Path, tuple[str, str]]:
    """A copy of the tiny world whose two nights are the last two that have ended.

    After a first backfill Airflow also schedules the newest night that has ended; as one of the
    two, it costs a repetition and not a third night.
    """
    moment = dt.datetime.now(ZoneInfo("Europe/Berlin")) - dt.timedelta(hours=START_HOUR)
    newest = moment.date() - dt.timedelta(days=1)
    nights = (str(newest - dt.timedelta(days=1)), str(newest))
    world = folder / "world"
    shutil.copytree(TINY, world)
    scores = world / "data" / "scores"
    files = [scores / f"{night}.csv" for night in NIGHTS]
    content = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    for night, rows in zip(nights, content, strict=True):
        (scores / f"{night}.csv").write_bytes(rows)
    return world, nights


def environment(state: Path, **more: str) -> dict[str, str]:
    """A process's environment for the tiny world with a state folder of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "NACHWEIS_"))
    }
    return {**kept, "NACHWEIS_STATE": str(state), "NACHWEIS_WORLD": str(TINY), **more}


def bridge(
    module: str, *arguments: str, env: dict[str, str], minutes: float = 8
) -> subprocess.CompletedProcess[str]:
    """Run a module of the Airflow bridge as a person's shell would."""
    return subprocess.run(
        [sys.executable, "-m", f"nachweis.airflow_bridge.{module}", *arguments],
        env=env,
        cwd=PACKAGE_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=minutes * MINUTES,
        check=False,
    )


@dataclass
class Mailbox:
    """A real SMTP server on loopback and what it was sent."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    @property
    def connection(self) -> str:
        """AIRFLOW_CONN_SMTP_DEFAULT."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "nachweis@example.com"}
        host = {"conn_type": "smtp", "host": "127.0.0.1", "port": self.port}
        return json.dumps({**host, "extra": extra})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    mailbox = Mailbox(port=free_port())  # the controller cannot be asked which port it chose
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


@dataclass
class Webhook:
    """A real HTTP server on loopback and what was posted to it."""

    port: int = 0
    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def connection(self) -> str:
        """An Airflow connection, as JSON."""
        return json.dumps({"conn_type": "http", "host": "http://127.0.0.1", "port": self.port})


@contextmanager
def webhook_server() -> Iterator[Webhook]:
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.posts.append(json.loads(body))
            self.send_response(webhook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    webhook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
