"""A proxy on loopback that answers some requests to a real S3 server with 503 itself."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_BUSY = b"<Error><Code>SlowDown</Code><Message>please reduce your request rate</Message></Error>"


@dataclass
class Busy:
    """Which requests the proxy refuses, and what came by.

    Attributes:
        endpoint: Where it listens.
        refuses: Whether the request with this number, method and path is answered with 503.
        refused: Refused requests by method and path.
        passed: Requests that reached the server, by method and path.
    """

    refuses: Callable[[int, str, str], bool]
    endpoint: str = ""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    passed: Counter[tuple[str, str]] = field(default_factory=Counter)
    seen: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    busy: Busy
    server_port: int
    lock: threading.Lock

    def log_message(self, *_: Any) -> None:
        pass

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = (self.command, urlsplit(self.path).path)
        with self.lock:
            self.busy.seen += 1
            refused = self.busy.refuses(self.busy.seen, *asked)
            (self.busy.refused if refused else self.busy.passed)[asked] += 1
        if refused:
            self._answer(503, [("Content-Type", "application/xml")], _BUSY)
            return
        server = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=60)
        try:
            # The signature covers the client's Host header, so that nothing is rewritten.
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    server.putheader(name, value)
            server.endheaders(body)
            answer = server.getresponse()
            self._answer(answer.status, answer.getheaders(), answer.read(), length=answer)
        finally:
            server.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _relay  # noqa: N815

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        length: http.client.HTTPResponse | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        told = length.getheader("Content-Length") if length and self.command == "HEAD" else None
        self.send_header("Content-Length", told or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # clients that close their connections


@contextmanager
def busy_before(endpoint: str, refuses: Callable[[int, str, str], bool]) -> Iterator[Busy]:
    """Stand before a server for a while.

    Args:
        endpoint: The server's address on loopback.
        refuses: See :class:`Busy`.
    """
    busy = Busy(refuses)
    port = urlsplit(endpoint).port
    assert port is not None
    made = {"busy": busy, "server_port": port, "lock": threading.Lock()}
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), made))
    busy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield busy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
