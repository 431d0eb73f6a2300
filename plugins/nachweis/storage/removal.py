"""Removing objects from the locked bucket: what protects each version, and who may remove it.

The writer cannot delete. The disposer can, as far as the store lets it: a version under GOVERNANCE
by a bypass, one under COMPLIANCE or a legal hold not at all. A request deletes one named version,
so that no delete marker is left behind that would look like somebody hiding an object.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nachweis.domain.errors import SettingsError, StoreError
from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.s3 import anchor_access, disposer_access, writer_access
from nachweis.storage.s3_client import Patience, StoreAccess, client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """One version of an object and what protects it.

    Attributes:
        key: Object key.
        version: The store's name of the version.
        marker: Whether it is a delete marker.
        modified: When the store took it in, UTC.
        mode: Mode of its lock, None without one.
        until: End of its lock.
        held: Whether a legal hold is on.
    """

    key: str
    version: str
    marker: bool
    modified: dt.datetime
    mode: Literal["COMPLIANCE", "GOVERNANCE"] | None = None
    until: dt.datetime | None = None
    held: bool = False

    def locked(self, now: dt.datetime) -> bool:
        """Whether its lock still runs."""
        return self.until is not None and self.until > now

    def obstacle(self, now: dt.datetime) -> str:
        """Why nobody can remove it today; empty if the disposer can."""
        if self.held:
            return "a legal hold is on it"
        if self.mode == "COMPLIANCE" and self.until is not None and self.locked(now):
            return (
                "it is locked in COMPLIANCE mode, so that nobody can remove it before "
                f"{self.until:%Y-%m-%d %H:%M} UTC"
            )
        return ""


class LockedBucket:
    """A bucket as those see it who look at locks, prolong them, hold and remove.

    Args:
        settings: Resolved settings. Locks are read and prolonged as the writer, or as the disposer
            where no writer's credentials are set; everything else is done as the disposer.
        anchor: The bucket ``anchor``, whose locks its own writer prolongs; nobody removes there.
    """

    def __init__(
        self, settings: Settings, *, anchor: bool = False, patience: Patience | None = None
    ) -> None:
        resolved = embedded.resolve(settings)
        self.bucket = resolved.bucket_anchor if anchor else resolved.bucket_records
        self._disposer = None if anchor else disposer_access(resolved)
        writer = anchor_access(resolved) if anchor else writer_access(resolved)
        self._reader: StoreAccess = (
            self._disposer if writer.key is None and self._disposer else writer
        )
        self._patience = patience or Patience()

    @property
    def can_remove(self) -> bool:
        """Whether the disposer's credentials are set."""
        return self._disposer is not None

    # --------------------------------------------------------------------------- looking

    def versions(self, key: str) -> list[HeldVersion]:
        """All versions of one object, with their locks.

        Args:
            key: Object key.

        Returns:
            Newest first; empty if the store holds nothing under the key.

        Raises:
            StoreError: If the store refuses or cannot be reached.
        """
        s3 = client(self._reader)
        found: list[HeldVersion] = []
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": key}
        while True:
            page: Any = self._patience.ask(
                lambda: s3.list_object_versions(**asked), self._where(key)
            )
            for name, marker in (("Versions", False), ("DeleteMarkers", True)):
                found += [
                    HeldVersion(key, one["VersionId"], marker, one["LastModified"])
                    for one in page.get(name, [])
                    if one["Key"] == key
                ]
            if not page.get("IsTruncated"):
                break
            asked["KeyMarker"] = page["NextKeyMarker"]
            asked["VersionIdMarker"] = page.get("NextVersionIdMarker", "")
        return [one if one.marker else self.lock_of(one) for one in found]

    def lock_of(self, of: HeldVersion) -> HeldVersion:
        """The same version with its lock and hold."""
        s3 = client(self._reader)
        answer: Any = self._patience.ask(
            lambda: s3.head_object(Bucket=self.bucket, Key=of.key, VersionId=of.version),
            self._where(of.key),
        )
        until = answer.get("ObjectLockRetainUntilDate")
        return HeldVersion(
            of.key,
            of.version,
            of.marker,
            of.modified,
            answer.get("ObjectLockMode"),
            until.astimezone(dt.UTC) if until is not None else None,
            answer.get("ObjectLockLegalHoldStatus") == "ON",
        )

    # --------------------------------------------------------------------------- changing

    def remove(self, versions: Sequence[HeldVersion], *, bypass: bool) -> None:
        """Remove versions for good.

        Args:
            versions: What to remove; repeating it is harmless.
            bypass: Remove them although a GOVERNANCE lock still runs.

        Raises:
            SettingsError: If the disposer's credentials are missing.
            StoreError: If the store refuses, as it does for a lock or hold that stands against it.
        """
        s3 = self._as_disposer()
        for one in versions:
            # A header that is not needed may be refused to a disposer with fewer rights.
            more: dict[str, Any] = {"BypassGovernanceRetention": True} if bypass else {}
            try:
                self._patience.ask(
                    lambda one=one, more=more: s3.delete_object(  # type: ignore[misc]
                        Bucket=self.bucket, Key=one.key, VersionId=one.version, **more
                    ),
                    self._where(one.key),
                )
            except StoreError as error:
                raise StoreError(
                    "the store refuses to remove the object",
                    where=self._where(one.key),
                    remedy="set NACHWEIS_DISPOSER_PRINCIPAL to the disposer's role or user and run "
                    "`nachweis bootstrap` as an administrator, so that the bucket's denial of "
                    "deletion exempts it; compare its rights with `nachweis iam disposer`",
                ) from error

    def prolong(self, of: HeldVersion, until: dt.datetime) -> None:
        """Let a version's lock end later, in the mode that it has.

        Args:
            of: The version.
            until: New end; an earlier one than now is refused by the store.

        Raises:
            StoreError: If the store refuses.
        """
        s3 = client(self._reader)
        self._patience.ask(
            lambda: s3.put_object_retention(
                Bucket=self.bucket,
                Key=of.key,
                VersionId=of.version,
                Retention={
                    "Mode": of.mode or "GOVERNANCE",
                    "RetainUntilDate": until.replace(microsecond=0),
                },
            ),
            self._where(of.key),
        )

    def hold(self, of: HeldVersion, *, on: bool) -> None:
        """Put a legal hold on a version, or take it off.

        Args:
            of: The version.
            on: Whether it shall be held.

        Raises:
            SettingsError: If the disposer's credentials are missing.
            StoreError: If the store refuses.
        """
        s3 = self._as_disposer()
        self._patience.ask(
            lambda: s3.put_object_legal_hold(
                Bucket=self.bucket,
                Key=of.key,
                VersionId=of.version,
                LegalHold={"Status": "ON" if on else "OFF"},
            ),
            self._where(of.key),
        )

    def _as_disposer(self) -> S3Client:
        if self._disposer is None:
            raise SettingsError(
                "this takes the disposer's credentials, which the nightly runs do not have",
                where="NACHWEIS_DISPOSER_ACCESS_KEY",
                remedy="set it and NACHWEIS_DISPOSER_SECRET_KEY for this call only; "
                "`nachweis iam disposer` prints what that identity may do",
            )
        return client(self._disposer)

    def _where(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"
