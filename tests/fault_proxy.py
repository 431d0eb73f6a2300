"""A proxy on loopback that loses, cuts, changes and delays what a real S3 server is asked."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from tests import http_proxy

Fault = Literal[
    "busy", "expired", "reset", "lost_answer", "no_answer", "cut", "changed_up", "changed_down"
]
SILENCE = 1.5
"""Seconds without an answer; longer than the tests' clients wait."""
_SAYS = {"busy": (503, "SlowDown"), "expired": (400, "ExpiredToken")}


@dataclass
class Faults:
    """What happens to which request.

    Attributes:
        of: From number, method and path of a request to what happens to it; None passes it on.
        happened: How often each fault happened.
    """

    of: Callable[[int, str, str], Fault | None]
    endpoint: str = ""
    happened: Counter[str] = field(default_factory=Counter)
    seen: int = 0


class _Handler(http_proxy._Handler):
    faults: Faults

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.lock:
            self.faults.seen += 1
            fault = self.faults.of(self.faults.seen, self.command, urlsplit(self.path).path)
            if fault is not None:
                self.faults.happened[fault] += 1
        if fault in _SAYS:
            status, code = _SAYS[fault]
            told = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self._answer(status, [("Content-Type", "application/xml")], told)
            return
        if fault == "reset":
            self._reset()
            return
        answer, content = self._ask(_flipped(body) if fault == "changed_up" else body)
        if fault == "no_answer":
            time.sleep(SILENCE)
        if fault in ("lost_answer", "no_answer"):
            self._reset()
            return
        if fault == "changed_down":
            content = _flipped(content)
        if fault == "cut" and content:
            self.send_response_only(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self._answer(answer.status, answer.getheaders(), content, length=answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _relay  # noqa: N815

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        server = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=60)
        try:
            # The signature covers the client's Host header, so that nothing is rewritten.
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    server.putheader(name, value)
            server.endheaders(body)
            answer = server.getresponse()
            return answer, answer.read()
        finally:
            server.close()

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()


def _flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1]) if body else body


@contextmanager
def faults_before(endpoint: str, of: Callable[[int, str, str], Fault | None]) -> Iterator[Faults]:
    """Stand before a server for a while.

    Args:
        endpoint: The server's address on loopback.
        of: See :class:`Faults`.
    """
    faults = Faults(of)
    port = urlsplit(endpoint).port
    assert port is not None
    made = {"faults": faults, "server_port": port, "lock": threading.Lock()}
    server = http_proxy._Server(("127.0.0.1", 0), type("Handler", (_Handler,), made))
    faults.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
