"""Set the buckets up and prove what the store guarantees, before anything is written to it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from nachweis.domain.errors import StoreError
from nachweis.domain.manifest.common import after
from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.bucket_denials import exemption
from nachweis.storage.capabilities import Capabilities, CheckStatus, Guarantee, StoreCheck
from nachweis.storage.documents import DEMONSTRATION_LOCK, STANDARD_LOCK
from nachweis.storage.s3 import BucketRole, anchor_access, bucket_name, writer_access
from nachweis.storage.s3_client import (
    Patience,
    StoreAccess,
    client,
    code_of,
    failures,
    is_transient,
)
from nachweis.storage.s3_store import ENCRYPTION
from nachweis.storage.self_test import SelfTest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger("nachweis.storage")

ROLES: tuple[BucketRole, ...] = ("records", "narratives", "site", "anchor")
LOCKED: frozenset[BucketRole] = frozenset({"records", "anchor"})
"""Buckets with versions and Object Lock; the others must be able to forget."""
_SET_UP = (
    Guarantee.DEFAULT_LOCK,
    Guarantee.DEFAULT_ENCRYPTION,
    Guarantee.DELETION_DENIED,
    Guarantee.PUBLIC_ACCESS_BLOCKED,
)


def bootstrap(settings: Settings, *, administrator: StoreAccess | None = None) -> Capabilities:
    """Create and set up the buckets, as far as that is not done yet, and test the store.

    Args:
        settings: Settings; the embedded store is started where they mean it.
        administrator: Identity that may create buckets; default is the embedded store's own, else
            the credentials of the settings.

    Returns:
        What the store guarantees.

    Raises:
        SettingsError: If the anchor lacks credentials of its own in production mode.
        StoreError: If a bucket can neither be used nor created; in production mode also if the
            store fails its self-test.
        StoreUnavailableError: If the store does not answer.
    """
    resolved = embedded.resolve(settings)
    anchor_access(resolved)
    strong = administrator or embedded.administrator(resolved)
    setup = _Setup(resolved, strong)
    for role in ROLES:
        setup.prepare(role)
    return _tested(resolved, strong, setup.checks())


def self_test(settings: Settings, *, administrator: StoreAccess | None = None) -> Capabilities:
    """Test what the store guarantees, without changing a bucket.

    Args:
        settings: Settings; the embedded store is started where they mean it.
        administrator: Identity to try forbidden actions as; default is the embedded store's own.

    Returns:
        What the store guarantees.

    Raises:
        SettingsError: If the anchor lacks credentials of its own in production mode.
        StoreError: If the test cannot be made; in production mode also if the store fails it.
        StoreUnavailableError: If the store does not answer.
    """
    resolved = embedded.resolve(settings)
    anchor_access(resolved)
    strong = administrator or embedded.administrator(resolved)
    seen = tuple(StoreCheck(guarantee=each, status="not_tried") for each in _SET_UP)
    return _tested(resolved, strong, seen)


def _tested(
    settings: Settings, administrator: StoreAccess | None, seen: tuple[StoreCheck, ...]
) -> Capabilities:
    test = SelfTest(writer_access(settings), settings.bucket_records, administrator)
    checks = test.run()
    standard = settings.retention_class == "standard"
    found = Capabilities(
        kind=_kind(settings),
        endpoint=_endpoint(settings),
        server=re.sub(r"[^\w ./()-]", "", test.server)[:100] if test.server else None,
        mode=settings.mode,
        retention=settings.retention_class,
        lock_modes=("COMPLIANCE", "GOVERNANCE") if standard else ("GOVERNANCE",),
        checks=(*checks, _transport(settings), *seen),
    )
    if not found.proven:
        missing = ", ".join(f"{check.guarantee} ({check.detail})" for check in found.failed)
        problem = f"the store does not give what the record rests on: {missing}"
        if settings.mode == "production":
            raise StoreError(
                problem,
                where="self-test of the object store",
                remedy="use a store with versions, Object Lock, conditional writes and checksums",
            )
        _log.error("NOT FIT FOR PRODUCTION: %s", problem)
    return found


# ------------------------------------------------------------------------------- set-up


@dataclass
class _Setup:
    """Brings the buckets into form; what is refused or unknown to the store is noted."""

    settings: Settings
    administrator: StoreAccess | None
    found: dict[Guarantee, tuple[CheckStatus, str]] = field(default_factory=dict)

    def prepare(self, role: BucketRole) -> None:
        own = anchor_access if role == "anchor" else writer_access
        s3 = client(self.administrator or own(self.settings))
        name = bucket_name(self.settings, role)
        _demand_bucket(s3, name, self.settings.s3_region, locked=role in LOCKED)
        self._try(
            Guarantee.DEFAULT_ENCRYPTION,
            lambda: s3.put_bucket_encryption(
                Bucket=name,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": ENCRYPTION}}]
                },
            ),
        )
        self._try(
            Guarantee.PUBLIC_ACCESS_BLOCKED,
            lambda: s3.put_public_access_block(
                Bucket=name,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            ),
        )
        if role in LOCKED:
            self._try(
                Guarantee.DEFAULT_LOCK,
                lambda: s3.put_object_lock_configuration(
                    Bucket=name, ObjectLockConfiguration=_default_lock(self.settings)
                ),
            )
        policy = bucket_policy(
            name,
            locked=role in LOCKED,
            tls=speaks_tls(self.settings),
            exempt=self.settings.disposer_principal if role == "records" else None,
        )
        if policy["Statement"]:
            # Last, because it can take rights away from who sets up the rest.
            self._try(
                Guarantee.DELETION_DENIED,
                lambda: s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy)),
            )

    def checks(self) -> tuple[StoreCheck, ...]:
        """One entry per guarantee; the worst of all buckets counts."""
        return tuple(
            StoreCheck(guarantee=each, status=status, detail=detail)
            for each in _SET_UP
            for status, detail in [self.found.get(each, ("not_tried", ""))]
        )

    def _try(self, guarantee: Guarantee, request: Callable[[], Any]) -> None:
        try:
            Patience().ask(request, guarantee.value)
        except StoreError as error:
            cause = error.__cause__
            if not isinstance(cause, Exception) or is_transient(cause):
                raise
            code, status = code_of(cause)
            if status == 403 and self.administrator is None:
                # A writer's run over buckets that an administrator has set up.
                found: tuple[CheckStatus, str] = ("not_tried", "this identity may not set it")
            elif status in (405, 501):
                found = ("not_supported", f"{code} {status}")
            else:
                found = ("failed", f"{code} {status}")
            self.found[guarantee] = found
        else:
            self.found.setdefault(guarantee, ("passed", ""))


def _demand_bucket(s3: S3Client, name: str, region: str, *, locked: bool) -> None:
    """Create a bucket if it is not there.

    Versions and Object Lock come with its creation; on an existing bucket the self-test tells.
    """
    try:
        s3.head_bucket(Bucket=name)
        return
    except failures() as error:
        if code_of(error)[1] != 404:
            Patience().ask(lambda: s3.head_bucket(Bucket=name), f"s3://{name}/")
            return
    place: dict[str, Any] = {}
    if region != "us-east-1":
        place["CreateBucketConfiguration"] = {"LocationConstraint": region}

    def create() -> None:
        try:
            s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked, **place)
        except failures() as error:
            if code_of(error)[0] != "BucketAlreadyOwnedByYou":
                raise

    Patience().ask(create, f"s3://{name}/")


def bucket_policy(
    name: str, *, locked: bool, tls: bool, exempt: str | None = None
) -> dict[str, Any]:
    """The policy of a bucket.

    Args:
        name: The bucket.
        locked: Whether its versions must stay.
        tls: Whether the endpoint speaks TLS. Over plain HTTP the demand would lock its own owner
            out, so it is made only where it can be met.
        exempt: The disposer, who may remove versions that no COMPLIANCE lock or hold protects: ARN
            of a role, or name of a user. Nobody is exempt from the other denials.

    Returns:
        The policy document; its list of statements may be empty.
    """
    everything = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    statements: list[dict[str, Any]] = []
    if locked:
        # Without DeleteObject nobody can hide an object behind a delete marker either.
        hiding = ["s3:DeleteBucket", "s3:DeleteObject"]
        removing = ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
        keep: dict[str, Any] = {
            "Sid": "KeepVersions",
            "Effect": "Deny",
            "Principal": "*",
            "Action": hiding if exempt else hiding + removing,
            "Resource": everything,
        }
        statements.append(keep)
        if exempt:
            statements.append(
                keep
                | {
                    "Sid": "OnlyTheDisposerRemoves",
                    "Action": removing,
                    "Condition": exemption(exempt),
                }
            )
    if tls:
        statements.append(
            {
                "Sid": "EncryptedTransportOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": everything,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def _default_lock(settings: Settings) -> Any:
    """Protection of objects that were written without their own; a safety net in whole days."""
    standard = settings.retention_class == "standard"
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    days = (after(begin, STANDARD_LOCK if standard else DEMONSTRATION_LOCK) - begin).days
    return {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}},
    }


# ----------------------------------------------------------------------------- endpoint


def _kind(settings: Settings) -> Literal["embedded", "aws", "other"]:
    if embedded.administrator(settings) is not None:
        return "embedded"
    host = urlsplit(settings.s3_endpoint).hostname if settings.s3_endpoint else "amazonaws.com"
    return "aws" if host and re.search(r"(^|\.)amazonaws\.com(\.cn)?$", host) else "other"


def _endpoint(settings: Settings) -> Literal["loopback", "AWS", "configured endpoint"]:
    if _kind(settings) == "aws":
        return "AWS"
    return "loopback" if on_loopback(settings) else "configured endpoint"


def on_loopback(settings: Settings) -> bool:
    """Whether requests to the store do not leave this machine."""
    host = urlsplit(settings.s3_endpoint or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def speaks_tls(settings: Settings) -> bool:
    """Whether the store's endpoint speaks TLS."""
    return settings.s3_endpoint is None or settings.s3_endpoint.startswith("https://")


def _transport(settings: Settings) -> StoreCheck:
    if speaks_tls(settings):
        return StoreCheck(guarantee=Guarantee.TRANSPORT_ENCRYPTED, status="passed", detail="TLS")
    if on_loopback(settings):
        detail = "plain HTTP that does not leave the machine"
        return StoreCheck(
            guarantee=Guarantee.TRANSPORT_ENCRYPTED, status="not_tried", detail=detail
        )
    return StoreCheck(guarantee=Guarantee.TRANSPORT_ENCRYPTED, status="failed", detail="plain HTTP")
