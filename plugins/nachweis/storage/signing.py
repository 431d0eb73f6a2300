"""Signatures: DSSE envelopes by securesystemslib signers, with keys named by their fingerprint."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nachweis.domain.canonical import canonical_bytes, parse_canonical
from nachweis.domain.errors import IntegrityError, NachweisError, SettingsError
from nachweis.settings import Settings
from nachweis.storage.public_keys import (
    FINGERPRINT,
    fingerprint,
    fingerprint_of,
    load_public_key,
    pinned,
    public_key_pem,
)
from nachweis.storage.remote_signers import remote_signer
from nachweis.storage.signature_batch import Job, verify_all

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signature, Signer

__all__ = [
    "Opened",
    "Verified",
    "fingerprint",
    "generate_key",
    "jobs_of",
    "load_public_key",
    "open_envelope",
    "open_signed",
    "open_signer",
    "pinned",
    "public_key_pem",
    "sign",
    "verify_envelope",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
LARGEST_ENVELOPE = 64 * 1024
SCHEMES = ("awskms", "file2", "hsm", "hv")
"""Kinds of signer that ``NACHWEIS_SIGNER`` may name."""

KEY_FILE = "ledger.pem"
_ENVELOPE: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
WRONG_SIGNATURE = "a signature of a known key does not verify"


@dataclass(frozen=True, slots=True)
class Verified:
    """A payload and the keys whose signatures on it verified.

    Attributes:
        payload: Signed bytes, canonical JSON.
        keyids: Fingerprints of the accepted keys.
    """

    payload: bytes
    keyids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that was read; nothing is verified yet.

    Attributes:
        payload: Signed bytes, canonical JSON.
        document: The same, parsed.
        signatures: Fingerprint of the key that is said to have signed, to the signature.
    """

    payload: bytes
    document: Any
    signatures: Mapping[str, Signature]

    def pae(self) -> bytes:
        """The bytes that a signature covers (DSSE pre-authentication encoding)."""
        kind = PAYLOAD_TYPE.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)


# ------------------------------------------------------------------------------ private keys


def generate_key(path: Path) -> Path:
    """Generate an Ed25519 key pair: the private file for its owner only, ``.pub`` beside it.

    Of several processes that generate at the same time one wins, and all use its key.

    Args:
        path: Where the private key goes, PKCS#8 PEM.

    Returns:
        The path, which then exists.

    Raises:
        SettingsError: If the folder is not writable.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    content = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    except OSError as error:
        raise SettingsError(
            f"a signing key cannot be written ({type(error).__name__})", where=str(path.parent)
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    path.with_suffix(".pub").write_text(public_key_pem(_file_signer(path).public_key))
    return path


def open_signer(settings: Settings) -> Signer:
    """Open the signer that the settings name.

    Args:
        settings: ``signer`` is a URI; without one, demonstration mode uses a key of its own in
            the state folder and generates it the first time.

    Returns:
        A signer whose public key's id is its fingerprint.

    Raises:
        SettingsError: If production names no signer, or the signer cannot be opened.
    """
    if settings.signer is None:
        if settings.mode == "production":
            raise SettingsError(
                "production needs an explicit signer",
                where="NACHWEIS_SIGNER",
                remedy="set it to a URI such as file2:/etc/nachweis/ledger.pem or awskms:<key id>",
                valid=[f"{scheme}:" for scheme in SCHEMES],
            )
        path = settings.state / "keys" / KEY_FILE
        return _file_signer(path if path.exists() else generate_key(path))
    scheme = settings.signer.partition(":")[0]
    if scheme not in SCHEMES:
        raise SettingsError(
            "the signer's URI has an unknown scheme",
            where="NACHWEIS_SIGNER",
            valid=[f"{name}:" for name in SCHEMES],
        )
    if scheme == "file2":
        return _file_signer(_file_of(settings.signer))
    return remote_signer(settings.signer, settings)


def _file_of(uri: str) -> Path:
    from urllib.parse import unquote, urlparse

    parsed = urlparse(uri)
    if parsed.netloc or not parsed.path:
        raise SettingsError(
            "the signer's URI names no file on this machine",
            where="NACHWEIS_SIGNER",
            remedy="write file2:/absolute/path/to/key.pem",
        )
    return Path(unquote(parsed.path))


def _file_signer(path: Path) -> Signer:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner, SSlibKey

    where = str(path)
    try:
        if path.stat().st_mode & 0o007:
            raise SettingsError(
                "everybody on this machine may use the signing key",
                where=where,
                remedy="take the permissions away from others: chmod 600",
            )
        private = load_pem_private_key(path.read_bytes(), None)
        public = private.public_key()
        return CryptoSigner(private, SSlibKey.from_crypto(public, keyid=fingerprint_of(public)))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"the signing key cannot be used ({type(error).__name__})",
            where=where,
            remedy="give an unencrypted PKCS#8 PEM file: Ed25519, ECDSA or RSA",
        ) from error


# --------------------------------------------------------------------------------- envelopes


def sign(signer: Signer, payload: bytes, *others: Signer) -> bytes:
    """Sign a payload.

    Args:
        signer: The signer.
        payload: Canonical JSON bytes.
        *others: Further signers, for a new key that takes over.

    Returns:
        A DSSE envelope as canonical JSON.

    Raises:
        NachweisError: If a remote signer fails, or signs with another key than it should.
    """
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    for one in (signer, *others):
        try:
            signature = envelope.sign(one)
        except NachweisError:
            raise
        except Exception as error:
            raise NachweisError(
                f"the signer failed ({type(error).__name__})",
                where="NACHWEIS_SIGNER",
                remedy="check that the key service can be reached and allows signing",
            ) from error
        # An entry with a wrong signature cannot be taken back, and nothing could follow it.
        if not verify_all([Job(one.public_key, signature, envelope.pae())])[0]:
            raise NachweisError(
                "the signature does not verify with the signer's public key; nothing was written",
                where="NACHWEIS_SIGNER_PUBLIC_KEY",
                remedy="write the key's public part again: nachweis key fetch",
            )
    return canonical_bytes(envelope.to_dict())


def open_signed(content: bytes) -> Opened:
    """Read an envelope without looking at its signatures.

    Args:
        content: DSSE envelope.

    Returns:
        What it holds.

    Raises:
        IntegrityError: If it is not an envelope of an in-toto statement, or if the envelope or
            its payload is not canonical JSON, so that a byte could be changed unseen.
    """
    from securesystemslib.signer import Signature

    if len(content) > LARGEST_ENVELOPE:
        raise IntegrityError("a signed envelope is larger than allowed")
    try:
        envelope = _ENVELOPE.decode(content)
        signed = [(str(one["keyid"]), str(one["sig"])) for one in envelope["signatures"]]
        if content != _written(str(envelope["payload"]), str(envelope["payloadType"]), signed):
            raise ValueError("not the canonical form of an envelope")
        payload = _base64(envelope["payload"])
        signatures = {keyid: Signature(keyid, _base64(sig).hex()) for keyid, sig in signed}
        if len(signatures) != len(signed):
            raise ValueError("a key is named twice")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"not a signed envelope ({type(error).__name__})") from error
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise IntegrityError("the envelope's payload is not an in-toto statement")
    if any(FINGERPRINT.fullmatch(keyid) is None for keyid in signatures):
        raise IntegrityError("a signature names its key by something other than a fingerprint")
    try:
        document = parse_canonical(payload)
    except NachweisError as error:
        raise IntegrityError("the envelope's payload is not canonical JSON") from error
    return Opened(payload, document, signatures)


def open_envelope(envelope: bytes) -> bytes:
    """Read the payload without looking at its signatures.

    Args:
        envelope: DSSE envelope.

    Returns:
        Payload bytes.

    Raises:
        IntegrityError: If it is not an envelope of an in-toto statement in canonical JSON.
    """
    return open_signed(envelope).payload


def jobs_of(opened: Opened, keys: Mapping[str, Key]) -> list[Job]:
    """The signatures of an envelope that count.

    Args:
        opened: The envelope.
        keys: Keys that may have signed it, by fingerprint.

    Returns:
        What has to verify; at least one.

    Raises:
        IntegrityError: If none of these keys signed it.
    """
    message = opened.pae()
    jobs = [
        Job(keys[keyid], signature, message)
        for keyid, signature in opened.signatures.items()
        if keyid in keys
    ]
    if not jobs:
        raise IntegrityError("no key that is valid here signed the envelope")
    return jobs


def verify_envelope(envelope: bytes | Opened, keys: Mapping[str, Key]) -> Verified:
    """Verify an envelope.

    Args:
        envelope: DSSE envelope.
        keys: Keys that may have signed it, by fingerprint.

    Returns:
        Its payload and the keys that signed it; at least one.

    Raises:
        IntegrityError: If it is malformed, or no signature of these keys verifies.
    """
    opened = envelope if isinstance(envelope, Opened) else open_signed(envelope)
    jobs = jobs_of(opened, keys)
    if not all(verify_all(jobs)):
        raise IntegrityError(WRONG_SIGNATURE)
    return Verified(opened.payload, frozenset(job.key.keyid for job in jobs))


def _written(payload: str, kind: str, signed: list[tuple[str, str]]) -> bytes:
    """The only bytes that an envelope may have; its texts hold nothing that JSON would escape."""
    texts = ",".join(f'{{"keyid":"{keyid}","sig":"{sig}"}}' for keyid, sig in signed)
    return f'{{"payload":"{payload}","payloadType":"{kind}","signatures":[{texts}]}}'.encode()


def _base64(text: str) -> bytes:
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError("not the base64 form of its bytes")
    return content
