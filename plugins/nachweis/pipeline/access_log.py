"""Who took what away: reads and exports go to the logger ``nachweis.access``.

The site behind Airflow logs where the API server logs. The command line has no log of its own, so
it keeps a file per day in the state folder, readable by its owner only and deleted after 90 days.
Logged are names of documents, formats and digests, and who asked; never content, never a secret.
"""

from __future__ import annotations

import datetime as dt
import getpass
import logging
import os
import time
from pathlib import Path

from nachweis.settings import Settings

KEPT_DAYS = 90
"""As the shipped activity for model governance declares it."""

access = logging.getLogger("nachweis.access")
_FORMAT = "%(asctime)sZ %(who)s %(message)s"


class DailyFile(logging.Handler):
    """Appends to a file per day; what cannot be written is said and does not stop the call."""

    def __init__(self, folder: Path, who: str) -> None:
        super().__init__(logging.INFO)
        self._folder, self._who = folder, who
        formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S", defaults={"who": who})
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            today = dt.datetime.fromtimestamp(record.created, dt.UTC).date()
            _purge(self._folder, today)
            line = " ".join(self.format(record).splitlines()) + "\n"
            path = self._folder / f"{today}.log"
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            self.handleError(record)


def keep_access_log(settings: Settings) -> None:
    """Let this process write down what it takes away.

    Args:
        settings: Names the state folder.
    """
    folder = settings.state / "access"
    for handler in [one for one in access.handlers if isinstance(one, DailyFile)]:
        access.removeHandler(handler)
    access.addHandler(DailyFile(folder, _user()))
    access.setLevel(logging.INFO)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _purge(folder: Path, today: dt.date) -> None:
    oldest = today - dt.timedelta(days=KEPT_DAYS)
    for path in folder.glob("*.log"):
        try:
            day = dt.date.fromisoformat(path.stem)
        except ValueError:
            continue
        if day < oldest:
            path.unlink(missing_ok=True)
