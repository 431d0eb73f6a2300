"""One bucket on S3: checked reads, write-once keys, mutable keys, listings."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from nachweis.domain.errors import (
    IntegrityError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
)
from nachweis.storage.object_store import Lock, StoredObject
from nachweis.storage.s3_client import (
    Patience,
    code_of,
    failures,
    is_transient,
    reason_of,
    translate,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENCRYPTION: Literal["AES256"] = "AES256"
"""Keys of the store itself: SeaweedFS keeps KMS keys in memory and loses them at a restart."""

_LONGEST_LINK = 7 * 24 * 3600
"""Seconds that a presigned link may work at most, by the signature's rules."""


class S3Store:
    """One bucket, as :class:`nachweis.storage.object_store.ObjectStore` promises it.

    Args:
        s3: Client of one identity.
        bucket: Name of the bucket.
        patience: How requests are repeated.
    """

    def __init__(self, s3: S3Client, bucket: str, *, patience: Patience | None = None) -> None:
        self.bucket = bucket
        self._s3 = s3
        self._patience = patience or Patience()
        self._bucket_seen = False

    # --------------------------------------------------------------------------- writing

    def put_if_absent(
        self, key: str, body: bytes, *, content_type: str, lock: Lock | None = None
    ) -> bool:
        """Write an immutable object in one request with its lock, checksum and encryption.

        A request that stays unanswered may have been carried out. So after every failure the key
        is read: the same bytes mean success, other bytes a conflict, none that it is safe to
        repeat, because only one conditional write of a key can succeed.

        Args:
            key: Object key.
            body: Content.
            content_type: MIME type.
            lock: Write protection.

        Returns:
            True if this call wrote it, as far as can be known; False if the key already held
            exactly these bytes.

        Raises:
            StoreConflictError: If the key holds other bytes.
            StoreUnavailableError: If the store could not be reached.
            StoreError: If the store refuses.
        """
        unanswered = False
        failure: Exception | None = None
        content = self._content(key, body, content_type) | _locked(lock)
        for attempt in range(self._patience.attempts):
            if attempt:
                self._patience.pause(attempt - 1)
            try:
                self._s3.put_object(**content, IfNoneMatch="*")
            except failures() as error:
                failure = error
                taken = code_of(error)[1] in (409, 412)
                if not taken and not is_transient(error):
                    raise translate(error, self._where(key)) from error
                unanswered = unanswered or not taken
                if self._holds(key, body):
                    return unanswered
            else:
                return True
        reason = reason_of(failure) if failure is not None else "no attempt"
        raise StoreUnavailableError(
            f"the object could not be written ({reason})",
            where=self._where(key),
            remedy="check that the store runs and can be reached, then run again",
        ) from failure

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Write a mutable object; the last writer wins.

        Args:
            key: Object key.
            body: Content.
            content_type: MIME type.

        Raises:
            StoreError: If the store refuses or could not be reached.
        """
        content = self._content(key, body, content_type)
        self._patience.ask(lambda: self._s3.put_object(**content), self._where(key))

    def delete(self, key: str) -> None:
        """Delete an object of a bucket without versions; a missing one is no error.

        Args:
            key: Object key.

        Raises:
            StoreError: If the store refuses, as it does for the writer of the records bucket.
        """
        self._patience.ask(
            lambda: self._s3.delete_object(Bucket=self.bucket, Key=key), self._where(key)
        )

    def _content(self, key: str, body: bytes, content_type: str) -> dict[str, Any]:
        return {
            "Bucket": self.bucket,
            "Key": key,
            "Body": body,
            "ContentType": content_type,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": checksum(body),
            "ServerSideEncryption": ENCRYPTION,
        }

    def _holds(self, key: str, body: bytes) -> bool:
        """Whether the key holds these bytes; False if it holds nothing."""
        try:
            present = self.get(key)
        except KeyError:
            return False
        if present == body:
            return True
        raise StoreConflictError(
            "the key already holds other bytes",
            where=self._where(key),
            remedy="read the current state again; a written object is never replaced",
        )

    # --------------------------------------------------------------------------- reading

    def get(self, key: str) -> bytes:
        """Read an object and verify its checksum.

        Args:
            key: Object key.

        Returns:
            The content.

        Raises:
            KeyError: If there is no such object.
            IntegrityError: If the checksum does not match or was never stored.
            StoreError: If the store refuses or could not be reached.
        """

        def request() -> tuple[bytes, str | None]:
            answer = self._s3.get_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            # Its own "with" would hand out the bare stream, which checks nothing.
            with closing(answer["Body"]) as stream:
                return stream.read(), answer.get("ChecksumSHA256")

        body, stored = self._patience.ask(request, self._where(key))
        if stored is None:
            raise IntegrityError(
                "the object carries no SHA-256 checksum, so something else wrote it",
                where=self._where(key),
            )
        if stored != checksum(body):
            raise IntegrityError(
                "the content does not match its stored checksum", where=self._where(key)
            )
        return body

    def head(self, key: str) -> StoredObject | None:
        """Facts about an object.

        Args:
            key: Object key.

        Returns:
            The facts, or None if there is no such object.

        Raises:
            StoreError: If the bucket is missing, or the store refuses or could not be reached.
        """

        def request() -> Any:
            try:
                return self._s3.head_object(Bucket=self.bucket, Key=key)
            except failures() as error:
                if code_of(error)[1] == 404:
                    return None
                raise

        found = self._patience.ask(request, self._where(key))
        if found is None:
            self._demand_bucket()
            return None
        return StoredObject(
            key=key,
            size=found["ContentLength"],
            etag=found["ETag"].strip('"'),
            version_id=found.get("VersionId"),
            modified=_utc(found),
        )

    def _demand_bucket(self) -> None:
        # HEAD answers 404 without a word about whether the key or the whole bucket is missing.
        if self._bucket_seen:
            return
        try:
            self._patience.ask(lambda: self._s3.head_bucket(Bucket=self.bucket), self._where(""))
        except StoreUnavailableError:
            raise
        except StoreError as error:
            raise StoreError(
                "the bucket does not exist or is closed to this identity",
                where=self._where(""),
                remedy="run `nachweis bootstrap` with credentials that may create buckets",
            ) from error
        self._bucket_seen = True

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
        """Objects below a prefix in key order.

        The order is made here: S3 compares whole keys, SeaweedFS folder by folder, so that its
        listing is ordered otherwise and behind a given key misses some.

        Args:
            prefix: Beginning of the keys.
            start_after: Only keys behind this one.

        Yields:
            Facts; the version is not part of a listing.
        """
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        if early := _safe_start(prefix, start_after):
            asked["StartAfter"] = early
        found = [
            StoredObject(
                key=item["Key"],
                size=item["Size"],
                etag=item["ETag"].strip('"'),
                version_id=None,
                modified=_utc(item),
            )
            for page in self._pages(asked)
            for item in page.get("Contents", [])
            if item["Key"] > start_after
        ]
        yield from sorted(found, key=lambda stored: stored.key)

    def _pages(self, asked: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        where = self._where(asked["Prefix"])
        while True:
            page = self._patience.ask(lambda: self._s3.list_objects_v2(**asked), where)
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def versions(self, prefix: str) -> Iterator[tuple[StoredObject, bool]]:
        """All object versions below a prefix, by key and newest first.

        Args:
            prefix: Beginning of the keys.

        Yields:
            Facts, and whether it is a delete marker.
        """
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        while True:
            page = self._patience.ask(
                lambda: self._s3.list_object_versions(**asked), self._where(prefix)
            )
            entries: list[tuple[Any, bool]] = [(item, False) for item in page.get("Versions", [])]
            entries += [(item, True) for item in page.get("DeleteMarkers", [])]
            # Times have whole seconds; within one second the store's own order stands.
            entries.sort(key=lambda entry: (not entry[0]["IsLatest"], -_utc(entry[0]).timestamp()))
            entries.sort(key=lambda entry: str(entry[0]["Key"]))
            for item, marker in entries:
                yield _version(item), marker
            if not page.get("IsTruncated"):
                return
            asked["KeyMarker"] = page["NextKeyMarker"]
            asked["VersionIdMarker"] = page.get("NextVersionIdMarker", "")

    def presigned_url(self, key: str, *, seconds: int = 300) -> str:
        """A link that lets its holder read one object for a while.

        Args:
            key: Object key.
            seconds: How long it works; at most seven days.

        Returns:
            The URL. It is a credential: do not log it.

        Raises:
            ValueError: If it would not work at all, or longer than servers allow.
        """
        if not 0 < seconds <= _LONGEST_LINK:
            raise ValueError("a link works for one second to seven days")
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=seconds
        )

    def _where(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def checksum(body: bytes) -> str:
    """SHA-256 of bytes in the form S3 uses."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _locked(lock: Lock | None) -> dict[str, Any]:
    if lock is None:
        return {}
    # Servers differ in what they do with fractions of a second.
    return {
        "ObjectLockMode": lock.mode,
        "ObjectLockRetainUntilDate": lock.until.replace(microsecond=0),
    }


def _safe_start(prefix: str, start_after: str) -> str:
    """A key early enough that no order of folders loses what lies behind the wanted one.

    Orders differ where a name ends or holds a character before ``0``. So the name is cut there,
    and once more by one, because a listing behind a folder's name leaves the folder out.
    """
    if not start_after.startswith(prefix):
        return ""
    name = re.split(r"[^0-9A-Za-z_]", start_after[len(prefix) :], maxsplit=1)[0]
    return f"{prefix}{name[:-1]}" if len(name) > 1 and prefix.endswith("/") else ""


def _utc(item: Mapping[str, Any]) -> dt.datetime:
    modified: dt.datetime = item["LastModified"]
    return modified.astimezone(dt.UTC)


def _version(item: Mapping[str, Any]) -> StoredObject:
    return StoredObject(
        key=item["Key"],
        size=item.get("Size", 0),
        etag=item.get("ETag", "").strip('"'),
        version_id=item.get("VersionId"),
        modified=_utc(item),
    )
