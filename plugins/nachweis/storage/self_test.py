"""The store's self-test: a store is proved, not trusted by its name.

Several servers that speak S3 answer "created" to a second conditional write of the same key, keep
no versions, or accept any signature. Each run of the test leaves one object of a few bytes under
``self-test/`` in the records bucket; nobody may delete it, that is the point.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nachweis.domain.errors import StoreError, StoreUnavailableError
from nachweis.storage.capabilities import CheckStatus, Guarantee, StoreCheck
from nachweis.storage.s3_client import (
    Patience,
    StoreAccess,
    client,
    code_of,
    failures,
    is_transient,
    new_client,
    translate,
)
from nachweis.storage.s3_store import ENCRYPTION, checksum

PREFIX = "self-test/"
"""Where the test writes; not part of the record, so verification leaves it out."""
_BODY = b"Nachweis self-test\n"
_LOCKED_FOR = dt.timedelta(minutes=10)


@dataclass
class SelfTest:
    """One run of the test against the records bucket.

    Args:
        access: The identity that writes records.
        bucket: The records bucket.
        administrator: An identity with more rights, to try what the writer may not even ask for.
    """

    access: StoreAccess
    bucket: str
    administrator: StoreAccess | None = None
    server: str | None = None
    checks: list[StoreCheck] = field(default_factory=list)

    def run(self) -> tuple[StoreCheck, ...]:
        """Try every guarantee.

        Returns:
            What was found.

        Raises:
            StoreError: If the test cannot be made: no bucket, no credentials, no right to write.
            StoreUnavailableError: If the store does not answer.
        """
        self._key = f"{PREFIX}{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"
        self._until = (dt.datetime.now(dt.UTC) + _LOCKED_FOR).replace(microsecond=0)
        self._s3 = client(self.access)
        version = self._write_once()
        self._check_bucket()
        self._check_stored(version)
        self._check_second_write()
        self._check_lock(version)
        self._check_wrong_checksum()
        self._check_strangers()
        return tuple(self.checks)

    # ---------------------------------------------------------------------- the checks

    def _write_once(self) -> str | None:
        answer = self._ask(lambda: self._s3.put_object(**self._content(self._key)))
        self.server = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("server")
        version: str | None = answer.get("VersionId")
        return version

    def _check_bucket(self) -> None:
        s3 = self._s3
        self._expect(
            Guarantee.VERSIONS_KEPT,
            lambda: s3.get_bucket_versioning(Bucket=self.bucket).get("Status") == "Enabled",
        )
        self._expect(
            Guarantee.LOCK_CONFIGURED,
            lambda: (
                s3.get_object_lock_configuration(Bucket=self.bucket)
                .get("ObjectLockConfiguration", {})
                .get("ObjectLockEnabled")
                == "Enabled"
            ),
        )

    def _check_stored(self, version: str | None) -> None:
        asked: dict[str, Any] = {"Bucket": self.bucket, "Key": self._key, "ChecksumMode": "ENABLED"}
        if version:
            asked["VersionId"] = version
        head: Mapping[str, Any] = self._ask(lambda: self._s3.head_object(**asked))
        self._note(
            Guarantee.LOCK_STORED,
            head.get("ObjectLockMode") == "GOVERNANCE"
            and head.get("ObjectLockRetainUntilDate") == self._until,
        )
        self._note(Guarantee.ENCRYPTION_STORED, head.get("ServerSideEncryption") == ENCRYPTION)
        self._note(Guarantee.CHECKSUM_STORED, head.get("ChecksumSHA256") == checksum(_BODY))

    def _check_second_write(self) -> None:
        self._expect_refusal(
            Guarantee.SECOND_WRITE_REFUSED,
            lambda: self._s3.put_object(**self._content(self._key)),
            statuses=(412,),
        )

    def _check_lock(self, version: str | None) -> None:
        if version is None:
            for guarantee in (Guarantee.LOCK_NOT_SHORTENED, Guarantee.LOCKED_VERSION_KEPT):
                self._note(guarantee, False, "the store gives no version ids")
            return
        strongest = self.administrator or self.access
        s3 = client(strongest)
        tried_as = "tried as administrator" if self.administrator else "tried as writer"
        sooner = self._until - _LOCKED_FOR / 2
        for guarantee, attempt in (
            (
                Guarantee.LOCK_NOT_SHORTENED,
                lambda: s3.put_object_retention(
                    Bucket=self.bucket,
                    Key=self._key,
                    VersionId=version,
                    Retention={"Mode": "GOVERNANCE", "RetainUntilDate": sooner},
                ),
            ),
            (
                Guarantee.LOCKED_VERSION_KEPT,
                lambda: s3.delete_object(Bucket=self.bucket, Key=self._key, VersionId=version),
            ),
        ):
            self._expect_refusal(guarantee, attempt, statuses=(400, 403, 405, 409), how=tried_as)

    def _check_wrong_checksum(self) -> None:
        content = self._content(f"{self._key}-broken") | {"ChecksumSHA256": checksum(b"other")}
        self._expect_refusal(
            Guarantee.WRONG_CHECKSUM_REFUSED,
            lambda: self._s3.put_object(**content),
            statuses=(400,),
        )

    def _check_strangers(self) -> None:
        stranger = replace(
            self.access,
            key=self.access.key or "AKIANACHWEISSELFTEST",
            secret=secrets.token_urlsafe(30),
        )
        impostor = new_client(stranger)
        self._expect_refusal(
            Guarantee.WRONG_SECRET_REFUSED,
            lambda: impostor.get_object(Bucket=self.bucket, Key=self._key),
            statuses=(400, 401, 403),
        )
        nobody = new_client(self.access, signed=False)
        self._expect_refusal(
            Guarantee.ANONYMOUS_REFUSED,
            lambda: nobody.get_object(Bucket=self.bucket, Key=self._key),
            statuses=(400, 401, 403),
        )

    # ------------------------------------------------------------------------- helpers

    def _content(self, key: str) -> dict[str, Any]:
        return {
            "Bucket": self.bucket,
            "Key": key,
            "Body": _BODY,
            "ContentType": "text/plain; charset=utf-8",
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": checksum(_BODY),
            "ServerSideEncryption": ENCRYPTION,
            "ObjectLockMode": "GOVERNANCE",
            "ObjectLockRetainUntilDate": self._until,
            "IfNoneMatch": "*",
        }

    def _ask(self, request: Callable[[], Any]) -> Any:
        try:
            return Patience().ask(request, f"s3://{self.bucket}/{PREFIX}")
        except KeyError:
            raise StoreError(
                "an object that was just written cannot be read",
                where=f"s3://{self.bucket}/{PREFIX}",
                remedy="use a store that shows a written object at once",
            ) from None

    def _expect(self, guarantee: Guarantee, question: Callable[[], bool]) -> None:
        """Note whether the store says yes; a refused question is a failure to prove."""
        try:
            self._note(guarantee, bool(self._ask(question)))
        except StoreUnavailableError:
            raise
        except StoreError as error:
            self._note(guarantee, False, _code(error.__cause__))

    def _expect_refusal(
        self,
        guarantee: Guarantee,
        attempt: Callable[[], Any],
        *,
        statuses: tuple[int, ...],
        how: str = "",
    ) -> None:
        """Note whether the store refuses what it must refuse."""
        patience = Patience()
        for number in range(patience.attempts):
            try:
                attempt()
            except failures() as error:
                if not is_transient(error):
                    refused = code_of(error)[1] in statuses
                    self._note(guarantee, refused, _joined(how, _code(error)))
                    return
                failure = error
                patience.pause(number)
            else:
                self._note(guarantee, False, _joined(how, "accepted"))
                return
        raise translate(failure, f"s3://{self.bucket}/{PREFIX}") from failure

    def _note(self, guarantee: Guarantee, held: bool, detail: str = "") -> None:
        status: CheckStatus = "passed" if held else "failed"
        self.checks.append(StoreCheck(guarantee=guarantee, status=status, detail=detail))


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _code(error: BaseException | None) -> str:
    if not isinstance(error, Exception):
        return ""
    code, status = code_of(error)
    return f"{code} {status}".strip() if status else type(error).__name__
