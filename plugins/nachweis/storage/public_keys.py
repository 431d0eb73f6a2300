"""Public keys, named by their fingerprint.

The id of a key is the SHA-256 of its DER-encoded public part, so that an id cannot be claimed for
another key and anybody can compute it: ``openssl pkey -pubin -outform DER | sha256sum``.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nachweis.domain.errors import SettingsError

if TYPE_CHECKING:
    from securesystemslib.signer import Key

FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def load_public_key(pem: str | bytes) -> Key:
    """Read a public key; its id is its fingerprint.

    Args:
        pem: PEM-encoded SubjectPublicKeyInfo: Ed25519, ECDSA on a NIST curve, or RSA.

    Returns:
        The key.

    Raises:
        SettingsError: If it is not such a key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import SSlibKey

    content = pem.encode() if isinstance(pem, str) else pem
    try:
        public = serialization.load_pem_public_key(content)
        return SSlibKey.from_crypto(public, keyid=fingerprint_of(public))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"not a usable public key ({type(error).__name__})",
            remedy="give a PEM file that begins with -----BEGIN PUBLIC KEY-----",
        ) from error


def public_key_pem(key: Key) -> str:
    """PEM form of a public key, for export and for the ledger."""
    from cryptography.hazmat.primitives import serialization

    pem: bytes = _public_part(key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def fingerprint(pem: str | bytes) -> str:
    """SHA-256 of a public key's DER form, as 64 hexadecimal characters.

    Args:
        pem: PEM-encoded public key.

    Returns:
        What an auditor pins.
    """
    key_id: str = load_public_key(pem).keyid
    return key_id


def pinned(source: str | Path) -> str:
    """Read a pinned trust root: a fingerprint, or a file with a public key.

    Args:
        source: 64 hexadecimal characters, or the path of a PEM file.

    Returns:
        The fingerprint.

    Raises:
        SettingsError: If it is neither.
    """
    if FINGERPRINT.fullmatch(str(source)):
        return str(source)
    path = Path(source)
    try:
        return fingerprint(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"the trusted key cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="give the path of a public key or its SHA-256 fingerprint",
        ) from error


def _public_part(key: Any) -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    value = key.keyval["public"]
    if key.keytype == "ed25519":
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(value))
    return serialization.load_pem_public_key(value.encode())


def fingerprint_of(public: Any) -> str:
    """Fingerprint of a public key of the library ``cryptography``."""
    from cryptography.hazmat.primitives import serialization

    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()
