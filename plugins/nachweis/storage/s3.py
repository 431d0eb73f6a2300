"""From settings to stores: the product's own buckets, and the buckets data sets lie in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from nachweis.domain.errors import DataError, DataUnavailableError, SettingsError, StoreError
from nachweis.domain.s3access import S3Access
from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.s3_client import (
    StoreAccess,
    chain_credentials,
    client,
    failures,
    translate,
    trusted_authorities,
)
from nachweis.storage.s3_store import S3Store

if TYPE_CHECKING:
    from botocore.credentials import Credentials

BucketRole = Literal["records", "narratives", "site", "anchor"]


def open_store(settings: Settings, bucket: BucketRole) -> S3Store:
    """Open one of the product's buckets with the identity that writes to it.

    Args:
        settings: Settings; the embedded store is started where they mean it.
        bucket: ``records``, ``narratives``, ``site`` or ``anchor``.

    Returns:
        The store.

    Raises:
        SettingsError: If there is no such bucket or half of a credential is missing.
    """
    if bucket not in get_args(BucketRole):
        raise SettingsError(
            "there is no bucket of this role", where=bucket, valid=get_args(BucketRole)
        )
    resolved = embedded.resolve(settings)
    access = anchor_access(resolved) if bucket == "anchor" else writer_access(resolved)
    return S3Store(client(access), bucket_name(resolved, bucket))


def bucket_name(settings: Settings, bucket: BucketRole) -> str:
    """Name of the bucket of a role."""
    name: str = getattr(settings, f"bucket_{bucket}")
    return name


def writer_access(settings: Settings) -> StoreAccess:
    """The identity that writes records, narratives and the site.

    Args:
        settings: Resolved settings.
    """
    return _access(settings, "s3")


def anchor_access(settings: Settings) -> StoreAccess:
    """The identity that writes checkpoints; in a demonstration the writer's where no other is set.

    Args:
        settings: Resolved settings.

    Raises:
        SettingsError: If half of the credential is missing, or in production all of it, or if it
            is the writer's.
    """
    named = settings.anchor_access_key or settings.anchor_secret_key
    if settings.mode == "production" and (
        not named or settings.anchor_access_key == settings.s3_access_key
    ):
        raise SettingsError(
            "the anchor needs credentials of its own: with the writer's, one stolen key could "
            "replace both the ledger and the checkpoints that prove its length",
            where="NACHWEIS_ANCHOR_ACCESS_KEY",
            remedy="set it and NACHWEIS_ANCHOR_SECRET_KEY to an identity that may write to the "
            "anchor bucket only",
        )
    return _access(settings, "anchor" if named else "s3")


def disposer_access(settings: Settings) -> StoreAccess | None:
    """The identity that removes what was withdrawn or may go; None if it is not given here.

    Args:
        settings: Resolved settings.

    Raises:
        SettingsError: If half of the credential is missing, or in production if it is the writer's.
    """
    if not (settings.disposer_access_key or settings.disposer_secret_key):
        return None
    if settings.mode == "production" and settings.disposer_access_key == settings.s3_access_key:
        raise SettingsError(
            "the disposer needs credentials of its own: who writes evidence must not remove it",
            where="NACHWEIS_DISPOSER_ACCESS_KEY",
            remedy="give another identity the policy of `nachweis iam disposer`",
        )
    return _access(settings, "disposer")


def data_reader_access(settings: Settings) -> StoreAccess:
    """The identity that reads data sets, for asking their buckets about themselves."""
    return _data(settings)


def data_access(settings: Settings) -> S3Access | None:
    """How engines read data sets in S3.

    Args:
        settings: Settings.

    Returns:
        Endpoint, credentials and authorities, the writer's credentials where no others are set;
        None if neither the settings nor the SDK's own chain hold any. Those of the chain may be
        temporary: they come with their session token and can be renewed.

    Raises:
        SettingsError: If half of a credential is missing, or the bundle of authorities is no file.
        StoreError: If the SDK's chain fails.
    """
    access = _data(settings)
    scheme = urlsplit(access.endpoint).scheme if access.endpoint else "https"
    use_ssl = scheme != "http"
    found = S3Access(
        access.endpoint,
        access.region,
        access.key or "",
        access.secret or "",
        use_ssl=use_ssl,
        ca_file=trusted_authorities() if use_ssl else None,
    )
    if access.key is not None and access.secret is not None:
        return found
    chain = chain_credentials()
    return None if chain is None else _of_chain(found, chain).current()


def _of_chain(access: S3Access, chain: Credentials) -> S3Access:
    """Access by the SDK's chain, asked again whenever it is used: its credentials may expire."""

    def renew() -> S3Access:
        try:
            held = chain.get_frozen_credentials()
        except failures() as error:
            failed = translate(error, "credentials for reading data sets")
            raise DataUnavailableError(
                failed.what, where=failed.where, remedy=failed.remedy
            ) from error
        key, secret = held.access_key or "", held.secret_key or ""
        return replace(access, key=key, secret=secret, token=held.token, renew=renew)

    return replace(access, renew=renew)


def list_versions(settings: Settings) -> Callable[[str], list[tuple[str, str, str]]]:
    """A function that lists data-set files in S3 with what pins their content.

    Args:
        settings: Settings.

    Returns:
        From an ``s3://`` URI, in which ``*`` stays within a folder and ``**`` does not, to URI,
        version id and entity tag of each object. Only a URI without wildcards tells the version;
        a listing does not hold it.
    """

    def listing(pattern: str) -> list[tuple[str, str, str]]:
        bucket, _, key = pattern.removeprefix("s3://").partition("/")
        store = S3Store(client(_data(settings)), bucket)
        try:
            if _WILDCARD.search(key) is None:
                found = [stored for stored in [store.head(key)] if stored is not None]
            else:
                wanted = re.compile(_glob(key), re.DOTALL)
                below = store.list(_WILDCARD.split(key, maxsplit=1)[0])
                found = [stored for stored in below if wanted.fullmatch(stored.key)]
        except StoreError as error:
            raise DataError(error.what, where=error.where, remedy=error.remedy) from error
        return [
            (f"s3://{bucket}/{stored.key}", stored.version_id or "", stored.etag)
            for stored in found
        ]

    return listing


_WILDCARD = re.compile(r"[*?\[]")


def _glob(pattern: str) -> str:
    """A glob of keys as a regular expression."""
    pieces = re.split(r"(\*\*/?|\*|\?|\[[^\]]+\])", pattern)
    spelled = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        spelled.get(piece)
        or (piece if piece.startswith("[") and piece.endswith("]") else re.escape(piece))
        for piece in pieces
    )


def _data(settings: Settings) -> StoreAccess:
    resolved = embedded.resolve(settings)
    return _access(resolved, "data" if resolved.data_access_key else "s3")


def _access(
    settings: Settings, identity: Literal["s3", "anchor", "data", "disposer"]
) -> StoreAccess:
    key: str | None = getattr(settings, f"{identity}_access_key")
    secret: SecretStr | None = getattr(settings, f"{identity}_secret_key")
    if (key is None) != (secret is None):
        present, absent = ("ACCESS", "SECRET") if secret is None else ("SECRET", "ACCESS")
        raise SettingsError(
            "half of a credential is missing",
            where=f"NACHWEIS_{identity.upper()}_{absent}_KEY",
            remedy=f"set it together with NACHWEIS_{identity.upper()}_{present}_KEY, or neither",
        )
    return StoreAccess(
        settings.s3_endpoint,
        settings.s3_region,
        key,
        secret.get_secret_value() if secret is not None else None,
    )
