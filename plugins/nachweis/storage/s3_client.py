"""Connections to S3: one client per endpoint and credential, and errors in our own words."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nachweis.domain.errors import (
    IntegrityError,
    NachweisError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 65
"""Seconds. Writers of one key wait for each other at the store, measured up to 19 s for 50."""

_TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
_TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})
_MISSING_KEY = frozenset({"NoSuchKey", "NoSuchVersion"})
WRONG_CREDENTIALS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)
"""Codes by which a store says that it does not know who asks; they tell nothing about rights."""
_WRONG_CHECKSUM = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"})


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """An endpoint and one identity; the secret is left out of every text form.

    Attributes:
        endpoint: URL; None is AWS itself.
        region: Region of the buckets.
        key: Access key id; None leaves credentials to the SDK's own chain.
        secret: Secret access key.
    """

    endpoint: str | None
    region: str
    key: str | None = None
    secret: str | None = field(default=None, repr=False)


def client(access: StoreAccess) -> S3Client:
    """The process's client of an identity; clients are safe to share between threads."""
    return _client(os.getpid(), access)


@lru_cache(maxsize=32)
def _client(process: int, access: StoreAccess) -> S3Client:
    # The process id keeps a forked worker from sharing its parent's sockets.
    return new_client(access)


def new_client(
    access: StoreAccess, *, read_timeout: float = READ_TIMEOUT, signed: bool = True
) -> S3Client:
    """A client that nobody else uses; see :func:`client` for the shared one.

    Args:
        access: Endpoint and identity.
        read_timeout: Seconds to wait for an answer.
        signed: Whether requests carry a signature; without it the identity does not matter.
    """
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        # An unanswered conditional write is settled by reading back, so nobody below us may repeat.
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        max_pool_connections=32,
        signature_version="s3v4" if signed else UNSIGNED,
        s3={"addressing_style": "path" if access.endpoint else "auto"},
    )
    with _creating:
        return _session(os.getpid()).client(
            "s3",
            endpoint_url=access.endpoint,
            region_name=access.region,
            aws_access_key_id=access.key,
            aws_secret_access_key=access.secret,
            config=config,
            # The SDK takes an empty name of a bundle for the wish not to verify.
            verify=True if "" in map(os.environ.get, _CA_BUNDLES) else None,
        )


_CA_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Variables in which the SDK looks for the authorities to trust."""


def chain_credentials() -> Credentials | None:
    """What the SDK's own chain finds: variables, a profile, or a role, renewed when it expires.

    Returns:
        The credentials, or None if there are none.

    Raises:
        NachweisError: If a source that is configured fails.
    """
    import boto3

    try:
        found = boto3.session.Session().get_credentials()
        held = None if found is None else found.get_frozen_credentials()
    except failures() as error:
        raise translate(error, "credentials for reading data sets") from error
    return None if held is None or not (held.access_key and held.secret_key) else found


def trusted_authorities() -> Path:
    """The file with the authorities that the SDK trusts, for others to trust the same.

    Returns:
        The bundle named to the SDK, else the one it brings along.

    Raises:
        SettingsError: If what is named is not a file.
    """
    from botocore.httpsession import get_cert_path

    # In the SDK's own order; an empty name counts as none, as for its client.
    named = os.environ.get(_CA_BUNDLES[0]) or _profile_bundle() or os.environ.get(_CA_BUNDLES[1])
    path = Path(named or str(get_cert_path(True))).expanduser()
    if not path.is_file():
        raise SettingsError(
            "the bundle of certificate authorities is not a file",
            where=_CA_BUNDLES[0],
            remedy="name one file of PEM certificates; a folder of them cannot be used",
        )
    return path


def _profile_bundle() -> str | None:
    import botocore.session

    found: str | None = botocore.session.get_session().get_config_variable("ca_bundle")
    return found


_creating = threading.Lock()
"""Clients may be shared between threads, sessions may not."""


@lru_cache(maxsize=1)
def _session(process: int) -> Session:
    # One per process: each new session would read the service's description again.
    import boto3

    return boto3.session.Session()


# ------------------------------------------------------------------------------- errors


def failures() -> tuple[type[Exception], ...]:
    """The two families of exceptions that the S3 client raises."""
    from botocore.exceptions import BotoCoreError, ClientError

    return (ClientError, BotoCoreError)


def code_of(error: Exception) -> tuple[str, int]:
    """The store's error code and HTTP status; an empty code and 0 if it never answered."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return "", 0
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response.get("Error", {}).get("Code", ""), status


def is_missing_key(error: Exception) -> bool:
    """Whether the bucket is there and the key is not."""
    return code_of(error)[0] in _MISSING_KEY


def is_transient(error: Exception) -> bool:
    """Whether trying again may help: no answer, a broken one, or a server that is busy."""
    from botocore.exceptions import (
        ConnectionError as NoConnectionError,
    )
    from botocore.exceptions import (
        HTTPClientError,
        IncompleteReadError,
        SSLError,
    )

    if isinstance(error, SSLError):
        return False
    code, status = code_of(error)
    if code in _TRANSIENT_CODES or status in _TRANSIENT_STATUS:
        return True
    return isinstance(error, NoConnectionError | HTTPClientError | IncompleteReadError)


def reason_of(error: Exception) -> str:
    """What went wrong, in the store's code and the HTTP status or the kind of the exception."""
    code, status = code_of(error)
    return f"{code or type(error).__name__}{f', HTTP {status}' if status else ''}"


def translate(error: Exception, where: str) -> NachweisError:
    """Say in our own words what a client error means.

    Neither the endpoint nor a credential is repeated; both may be private.

    Args:
        error: Exception of boto3.
        where: Bucket and key.

    Returns:
        The error to raise.
    """
    from botocore.exceptions import FlexibleChecksumError, NoCredentialsError

    code, status = code_of(error)
    reason = reason_of(error)
    if isinstance(error, FlexibleChecksumError):
        return IntegrityError("the content does not match its stored checksum", where=where)
    if code in _WRONG_CHECKSUM:
        return StoreError(
            f"the store received other bytes than were sent ({reason})",
            where=where,
            remedy="look for a proxy between this machine and the store, then try again",
        )
    if is_transient(error):
        return StoreUnavailableError(
            f"the store does not answer properly ({reason})",
            where=where,
            remedy="check that the endpoint runs and can be reached, then run again",
        )
    if isinstance(error, NoCredentialsError):
        return StoreError(
            "there are no credentials for the store",
            where=where,
            remedy="set NACHWEIS_S3_ACCESS_KEY and NACHWEIS_S3_SECRET_KEY, or a role of the SDK",
        )
    if code in WRONG_CREDENTIALS:
        return StoreError(
            f"the store does not accept the credentials ({reason})",
            where=where,
            remedy="check the access key and secret of this bucket's identity",
        )
    if code == "RequestTimeTooSkewed":
        return StoreError(
            f"this machine's clock and the store's differ too much ({reason})",
            where=where,
            remedy="set the clock of this machine or of the store, then run again",
        )
    if code == "NoSuchBucket":
        return StoreError(
            "the bucket does not exist",
            where=where,
            remedy="run `nachweis bootstrap` with credentials that may create buckets",
        )
    if status in (401, 403):
        return StoreError(
            f"the store refused the request ({reason})",
            where=where,
            remedy="grant this identity the action on the bucket, s3:ListBucket included",
        )
    return StoreError(f"the store refused the request ({reason})", where=where)


# ------------------------------------------------------------------------------ retries


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is repeated: exponential back-off with full jitter.

    Attributes:
        attempts: At most this many requests.
        first_pause: Upper bound of the first pause in seconds; it doubles each time.
        longest_pause: Upper bound of any pause.
        limit: No new attempt begins after so many seconds.
        sleep: Waits.
    """

    attempts: int = 6
    first_pause: float = 0.2
    longest_pause: float = 5.0
    limit: float = 150.0
    sleep: Callable[[float], None] = time.sleep

    def pause(self, attempt: int) -> None:
        """Wait after a failed attempt, counted from 0."""
        bound = min(self.longest_pause, self.first_pause * 2**attempt)
        self.sleep(random.SystemRandom().uniform(bound / 4, bound))

    def ask(self, request: Callable[[], T], where: str) -> T:
        """Send an idempotent request until it is answered.

        Args:
            request: Sends it.
            where: Bucket and key, for the error.

        Returns:
            The answer.

        Raises:
            KeyError: If there is no such key.
            NachweisError: What :func:`translate` makes of the last failure.
        """
        started = time.monotonic()
        for attempt in range(self.attempts):
            try:
                return request()
            except failures() as error:
                if is_missing_key(error):
                    raise KeyError(where) from error
                last = attempt + 1 == self.attempts or time.monotonic() - started > self.limit
                if last or not is_transient(error):
                    raise translate(error, where) from error
            self.pause(attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")
