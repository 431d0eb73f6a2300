"""A small S3 endpoint on loopback that fails exactly as a test tells it to."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Fault = Literal[
    "none", "503", "reset", "lost_answer", "409", "403", "no_bucket", "cut", "corrupt", "unmarked"
]
_CODES = {
    "503": (503, "SlowDown"),
    "409": (409, "ConditionalRequestConflict"),
    "403": (403, "AccessDenied"),
    "no_bucket": (404, "NoSuchBucket"),
}


@dataclass
class Stub:
    """What the endpoint holds, what it was asked, and what goes wrong next."""

    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    honours_conditions: bool = True

    @property
    def methods(self) -> list[str]:
        return [method for method, _, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def log_message(self, *_: Any) -> None:
        pass

    def do_PUT(self) -> None:
        body = self._body()
        fault = self._next()
        key = unquote(urlsplit(self.path).path)
        if self._refused(fault):
            return
        conditional = self.headers.get("If-None-Match") == "*" and self.stub.honours_conditions
        if conditional and key in self.stub.objects:
            self._answer(412, _error("PreconditionFailed"))
            return
        self.stub.objects[key] = body
        if fault == "lost_answer":
            self._reset()
            return
        self._answer(200, b"", {"ETag": '"e"'})

    def do_GET(self) -> None:
        fault = self._next()
        parts = urlsplit(self.path)
        if self._refused(fault):
            return
        query = parse_qs(parts.query, keep_blank_values=True)
        if "list-type" in query:
            self._answer(200, self._listing(unquote(parts.path), query))
            return
        if query and not {"x-id"} >= set(query):
            self._answer(501, _error("NotImplemented"))
            return
        body = self.stub.objects.get(unquote(parts.path))
        if body is None:
            self._answer(404, _error("NoSuchKey"))
            return
        headers = {"ETag": '"e"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        if fault != "unmarked":
            headers["x-amz-checksum-sha256"] = b64encode(hashlib.sha256(body).digest()).decode()
        if fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        self._answer(200, body, headers, cut=fault == "cut")

    def do_HEAD(self) -> None:
        if self._refused(self._next()):
            return
        body = self.stub.objects.get(unquote(urlsplit(self.path).path))
        if body is None and urlsplit(self.path).path.count("/") > 1:
            self._answer(404, b"")
            return
        date = {"ETag": '"e"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        self._answer(200, body or b"", date)

    def _listing(self, path: str, query: dict[str, list[str]]) -> bytes:
        prefix = f"{path.rstrip('/')}/"
        keys = sorted(key.removeprefix(prefix) for key in self.stub.objects)
        begin = query.get("continuation-token", query.get("start-after", [""]))[0]
        wanted = [k for k in keys if k.startswith(query["prefix"][0]) and k > begin]
        page, more = wanted[:2], len(wanted) > 2
        rows = "".join(
            f"<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag>"
            "<LastModified>2026-11-21T10:00:00Z</LastModified></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}"
            "</ListBucketResult>"
        ).encode()

    # ------------------------------------------------------------------------- plumbing

    def _next(self) -> Fault:
        self.stub.requests.append((self.command, self.path, dict(self.headers)))
        return self.stub.faults.popleft() if self.stub.faults else "none"

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _refused(self, fault: Fault) -> bool:
        if fault == "reset":
            self._reset()
            return True
        if fault in _CODES:
            status, code = _CODES[fault]
            self._answer(status, _error(code))
            return True
        return False

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>stub</Message></Error>".encode()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # connections that a test resets


@contextmanager
def running_stub() -> Iterator[Stub]:
    """Serve a stub for a while."""
    stub = Stub()
    handler = type("Handler", (_Handler,), {"stub": stub})
    server = _QuietServer(("127.0.0.1", 0), handler)
    stub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
