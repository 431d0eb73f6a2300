"""Time stamps of a time-stamping authority (RFC 3161) for checkpoints; optional.

A checkpoint says how long the ledger was. A time stamp of it says that it was so then, by the
clock of somebody who has nothing to do with the store or its keys. It lies beside the checkpoint
and is part of no chain: without it everything verifies as before, and a verification says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nachweis.domain.errors import (
    IntegrityError,
    NachweisError,
    SettingsError,
    StoreConflictError,
    StoreUnavailableError,
)
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.object_store import Lock, ObjectStore

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

CONTENT_TYPE = "application/timestamp-reply"
TIMEOUT = 10.0
LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Authority:
    """Who stamps, and whom to believe.

    Attributes:
        roots: Certificates to which the authority's own must lead.
        url: Where it is asked; None only verifies.
    """

    roots: Sequence[Certificate]
    url: str | None = None


def authority(settings: Settings) -> Authority | None:
    """The authority that the settings name.

    Args:
        settings: ``timestamp_url`` and ``timestamp_certificates``.

    Returns:
        The authority, or None if no certificates are named.

    Raises:
        SettingsError: If the address or the certificates cannot be used.
    """
    if settings.timestamp_certificates is None:
        if settings.timestamp_url is not None:
            raise SettingsError(
                "time stamps could not be verified: no certificates of the authority are named",
                where="NACHWEIS_TIMESTAMP_CERTIFICATES",
                remedy="name a PEM file with the root certificate of the authority",
            )
        return None
    if settings.timestamp_url is not None and urlsplit(settings.timestamp_url).scheme not in {
        "http",
        "https",
    }:
        raise SettingsError(
            "the address of the time-stamping authority is no http address",
            where="NACHWEIS_TIMESTAMP_URL",
        )
    return Authority(_certificates(settings.timestamp_certificates), settings.timestamp_url)


def _certificates(path: Path) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the certificates of the time-stamping authority cannot be read "
            f"({type(error).__name__})",
            where="NACHWEIS_TIMESTAMP_CERTIFICATES",
            remedy="name a PEM file with the root certificate of the authority",
        ) from error


def stamp(
    settings: Settings, anchor: ObjectStore, sequence: int, lock: Callable[[str], Lock | None]
) -> str:
    """Let the authority stamp a checkpoint, and keep the token beside it.

    The night is signed and anchored by then, and stays so whatever happens here.

    Args:
        settings: Settings; without an address nothing happens.
        anchor: The bucket ``anchor``.
        sequence: The checkpoint's number.
        lock: Write protection for a key.

    Returns:
        A sentence that says why there is no token, or an empty string.
    """
    key = layout.timestamp(sequence)
    try:
        asked = authority(settings)
        if asked is None or asked.url is None:
            return ""
        try:
            checkpoint = anchor.get(layout.checkpoint(sequence))
        except KeyError:
            return "no time stamp was obtained: there is no checkpoint"
        token = _obtain(asked.url, checkpoint)
        verify_token(token, checkpoint, asked)
        anchor.put_if_absent(key, token, content_type=CONTENT_TYPE, lock=lock(key))
    except StoreConflictError:
        return ""  # stamped before, which counts
    except NachweisError as error:
        return f"no time stamp was obtained: {error.what}"
    return ""


def _obtain(url: str, content: bytes) -> bytes:
    import httpx
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    request = TimestampRequestBuilder(hash_algorithm=HashAlgorithm.SHA256).data(content).build()
    try:
        answer = httpx.post(
            url,
            content=request.as_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
            timeout=TIMEOUT,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StoreUnavailableError(
            f"the authority does not answer ({type(error).__name__})",
            where="NACHWEIS_TIMESTAMP_URL",
        ) from error
    if answer.status_code != 200 or len(answer.content) > LARGEST:
        raise StoreUnavailableError(
            f"the authority answers HTTP {answer.status_code} with {len(answer.content)} bytes",
            where="NACHWEIS_TIMESTAMP_URL",
        )
    return answer.content


def verify_token(token: bytes, content: bytes, trusted: Authority) -> dt.datetime:
    """Verify a token.

    Args:
        token: A ``TimeStampResp`` of RFC 3161, DER.
        content: What it is said to stamp.
        trusted: Whom to believe.

    Returns:
        The time in the token.

    Raises:
        IntegrityError: If it is malformed, about something else, or not by that authority.
    """
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    builder = VerifierBuilder(roots=list(trusted.roots))
    try:
        response = decode_timestamp_response(token)
        builder.build().verify_message(response, content)
        return response.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        raise IntegrityError("the time stamp does not verify") from error
