"""Ports of the embedded store: free, on loopback, remembered from one start to the next."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from nachweis.domain.errors import StoreError

GRPC_OFFSET = 10_000
"""Every server also listens this far above its HTTP port."""
LOWEST, HIGHEST = 20_000, 22_700
"""Base ports: with the offset still below 32768, where systems begin to number connections."""
_ATTEMPTS = 200
_PATIENCE = 3.0
"""Seconds to wait for the noted ports, because others may have been told the address."""


@dataclass(frozen=True, slots=True)
class Ports:
    """HTTP ports of the server's parts; each also takes the port 10000 above."""

    s3: int
    master: int
    volume: int
    filer: int
    admin: int

    def flags(self) -> list[str]:
        """Command-line flags that set them."""
        return [f"-{part}.port={port}" for part, port in asdict(self).items()]

    def numbers(self) -> list[int]:
        """All ports that will listen."""
        return [port + offset for port in asdict(self).values() for offset in (0, GRPC_OFFSET)]


def read(place: Path) -> Ports | None:
    """The ports noted in the store's folder."""
    try:
        return Ports(**json.loads((place / "ports.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def choose(place: Path, *, afresh: bool = False) -> Ports:
    """The noted ports if they are free, else new ones, which are noted.

    Args:
        place: The store's folder.
        afresh: Take new ones in any case, because the noted ones did not work.

    Returns:
        Five base ports that were free a moment ago.

    Raises:
        StoreError: If no free ports are found.
    """
    noted = read(place)
    if noted is not None:
        if not afresh and _soon_free(noted):
            return noted
        remove_sockets(place)
    for _ in range(_ATTEMPTS):
        base = random.SystemRandom().randrange(LOWEST, HIGHEST)
        ports = Ports(*range(base, base + 5))
        if all(map(_free, ports.numbers())):
            draft = place / "ports.json.new"
            draft.write_text(json.dumps(asdict(ports)))
            draft.replace(place / "ports.json")
            return ports
    raise StoreError(
        "there are no free ports for the embedded store",
        where=f"127.0.0.1, {LOWEST} to {HIGHEST + GRPC_OFFSET}",
        remedy="end programs that hold these ports",
    )


def remove_sockets(place: Path) -> None:
    """Remove the socket files that the server leaves behind when it is killed."""
    ports = read(place)
    if ports is None:
        return
    for part, port in asdict(ports).items():
        for name in (f"{part}-{port}", f"{part}-grpc-{port + GRPC_OFFSET}"):
            # The server builds this folder in; it has no setting for it.
            with contextlib.suppress(OSError):
                Path("/tmp", f"seaweedfs-{name}.sock").unlink()  # noqa: S108


def _soon_free(ports: Ports) -> bool:
    """Whether the ports are free; a server that was just killed holds them for a moment."""
    until = time.monotonic() + _PATIENCE
    while not all(map(_free, ports.numbers())):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
