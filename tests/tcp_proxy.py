"""A proxy on loopback that loses answers of a real server when a test tells it to."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Proxy:
    """Where it listens and what happens to the next connections; then they pass untouched."""

    endpoint: str = ""
    faults: deque[Literal["pass", "refuse", "lose_answer"]] = field(default_factory=deque)
    lost: int = 0


@contextmanager
def running_proxy(port: int, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Stand before a local port for a while.

    Args:
        port: The server's port.
        tls: Speak TLS to clients, by this certificate.
    """
    proxy = Proxy()
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http" if tls is None else "https"
    proxy.endpoint = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    if tls is not None:
        # The handshake belongs to the connection's own thread: a client may break it off.
        listener = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=_accept, args=(proxy, listener, port), daemon=True).start()
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(proxy: Proxy, listener: socket.socket, port: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        fault = proxy.faults.popleft() if proxy.faults else "pass"
        if fault == "refuse":
            client.close()
            continue
        server = socket.create_connection(("127.0.0.1", port))
        lose = fault == "lose_answer"
        threading.Thread(target=_relay, args=(proxy, client, server, lose), daemon=True).start()


def _relay(proxy: Proxy, client: socket.socket, server: socket.socket, lose: bool) -> None:
    with client, server:
        back = threading.Thread(target=_pump, args=(proxy, server, client, lose), daemon=True)
        back.start()
        _pump(proxy, client, server, lose=False)
        back.join()


def _pump(proxy: Proxy, source: socket.socket, target: socket.socket, lose: bool) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            if lose:
                proxy.lost += 1
                break
            target.sendall(chunk)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
