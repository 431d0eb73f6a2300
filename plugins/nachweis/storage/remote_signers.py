"""Signers whose private key stays in a key service or a hardware module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from nachweis.domain.errors import NachweisError, SettingsError
from nachweis.settings import Settings
from nachweis.storage.public_keys import load_public_key, public_key_pem

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

SCHEMES = ("awskms", "hsm", "hv")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def remote_signer(uri: str, settings: Settings) -> Signer:
    """Open a signer; its library speaks to where the key is when something is signed.

    Args:
        uri: ``awskms:<key>``, ``hv:<name>/<version>`` or ``hsm:<key>?label=<token>``.
        settings: ``signer_public_key`` and, for a hardware module, ``signer_pin``.

    Returns:
        A signer whose public key's id is its fingerprint.

    Raises:
        SettingsError: If the public key is missing, or the signer cannot be opened.
    """
    from securesystemslib.signer import Signer

    if settings.signer_public_key is None:
        raise SettingsError(
            "this signer needs its public key",
            where="NACHWEIS_SIGNER_PUBLIC_KEY",
            remedy="write it to a file with nachweis key fetch, and give the file's path",
        )
    try:
        pem = Path(settings.signer_public_key).read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the signer's public key cannot be read ({type(error).__name__})",
            where=settings.signer_public_key,
        ) from error

    def secret(name: str) -> str:
        if settings.signer_pin is None:
            raise SettingsError(f"the signer asks for its {name}", where="NACHWEIS_SIGNER_PIN")
        return settings.signer_pin.get_secret_value()

    with _explained(uri):
        return Signer.from_priv_key_uri(uri, load_public_key(pem), secret)


def fetch_public_key(uri: str, settings: Settings) -> tuple[str, str]:
    """Ask a key service or a hardware module for the public part of a key.

    Args:
        uri: URI of the signer. Of an ``hv:`` key the newest version is fetched.
        settings: ``signer_pin``, for a hardware module that asks for it.

    Returns:
        The URI to sign with, which names the key's version, and the public key as PEM.

    Raises:
        SettingsError: If the signer does not answer or has no key that can be used here.
    """
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME

    scheme, _, name = uri.partition(":")
    if scheme not in SCHEMES:
        raise SettingsError(
            "only signers that keep their key elsewhere are asked for it",
            where=uri,
            valid=[f"{one}:" for one in SCHEMES],
        )
    signer = SIGNER_FOR_URI_SCHEME[scheme]
    with _explained(uri):
        found: str
        key: Key
        if scheme == "hsm":
            parts = urlsplit(uri)
            label = parse_qs(parts.query).get("label", [None])[0]
            pin = settings.signer_pin.get_secret_value() if settings.signer_pin else ""
            keyid = int(parts.path) if parts.path else None
            found, key = signer.import_(keyid, label, lambda _: pin)
        else:
            found, key = signer.import_(name.partition("/")[0] if scheme == "hv" else name)
        if scheme == "hv" and name not in {found.partition(":")[2], name.partition("/")[0]}:
            raise SettingsError(
                "the key service has a newer version of this key",
                where=uri,
                remedy=f"fetch {found}, or set the older version's public key by hand",
            )
        return found, public_key_pem(key)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Name what is wrong without the library's text, which may hold more than it should."""
    from securesystemslib.exceptions import UnsupportedLibraryError

    if uri.startswith("hv:"):
        _require_address()
    try:
        yield
    except NachweisError:
        raise
    except UnsupportedLibraryError as error:
        raise SettingsError(
            "the signer's client library is not installed",
            where="NACHWEIS_SIGNER",
            remedy="awskms: needs boto3, hv: needs hvac, hsm: needs python-pkcs11",
        ) from error
    except ValueError as error:
        raise SettingsError(
            "the signer's URI is malformed, or names a key that cannot be used",
            where="NACHWEIS_SIGNER",
            remedy="awskms:KEY-ARN, hv:NAME/VERSION or hsm:NUMBER?label=TOKEN",
        ) from error
    except Exception as error:
        raise SettingsError(
            f"the signer cannot be opened ({type(error).__name__})",
            where="NACHWEIS_SIGNER",
            remedy="check that the key service can be reached and knows the key",
        ) from error


def _require_address() -> None:
    """The library would speak to this machine, and to any other without encryption."""
    address = urlsplit(os.environ.get("VAULT_ADDR", ""))
    if address.scheme == "https" and address.hostname:
        return
    if address.scheme != "http" or address.hostname not in _LOOPBACK:
        raise SettingsError(
            "the address of the key service is missing, or not encrypted",
            where="VAULT_ADDR",
            remedy="set it to https://HOST:PORT; plain http is taken on this machine only",
        )
