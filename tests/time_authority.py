"""A time-stamping authority on loopback: own certificates, tokens by ``openssl ts``."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIG = """[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
{chain}
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.55555.1
digests = sha256
ess_cert_id_alg = sha256
"""


@dataclass
class TimeAuthority:
    """An authority in a folder.

    Attributes:
        folder: Holds its keys; ``root.pem`` is what others have to trust.
        url: Where it answers while it runs.
    """

    folder: Path
    url: str = ""

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def answer(self, request: bytes) -> bytes:
        """A token for a request."""
        query, reply = self.folder / "query", self.folder / "reply"
        query.write_bytes(request)
        subprocess.run(
            ["openssl", "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "here",
             "-queryfile", query, "-out", reply],
            check=True, capture_output=True,
        )  # fmt: skip
        return reply.read_bytes()


def time_authority(folder: Path, name: str, *, with_root: bool = False) -> TimeAuthority:
    """Make an authority with a root certificate of its own.

    Args:
        folder: Where it lives.
        name: Of the root.
        with_root: Put the root into each token, as one does who wants to be believed.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder.mkdir(parents=True)
    root_key, key = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    for file, subject, public, authority in (
        ("root.pem", name, root_key.public_key(), True),
        ("tsa.pem", f"{name} stamps", key.public_key(), False),
    ):
        made = _certificate(subject, public, name, authority).sign(root_key, hashes.SHA256())
        (folder / file).write_bytes(made.public_bytes(pem))
    (folder / "tsa.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "serial").write_text("01\n")
    chain = f"certs = {folder}/root.pem" if with_root else ""
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder, chain=chain))
    return TimeAuthority(folder)


def _certificate(
    subject: str, public: Any, issuer: str, authority: bool
) -> x509.CertificateBuilder:
    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(stamping, critical=True)
    return builder


@contextmanager
def answering(authority: TimeAuthority) -> Iterator[TimeAuthority]:
    """Let an authority answer over HTTP for a while."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked = self.headers["Content-Type"] == "application/timestamp-query"
            content = self.rfile.read(int(self.headers["Content-Length"]))
            body = authority.answer(content) if asked else b""
            self.send_response(200 if asked else 415)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    authority.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
