"""Identities and keys of the embedded store: generated once, kept beside its data, never in it."""

from __future__ import annotations

import fnmatch
import json
import os
import secrets
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nachweis.domain.errors import StoreError
from nachweis.settings import Settings

_WRITE = (
    "s3:PutObject",
    "s3:PutObjectRetention",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetEncryptionConfiguration",
)
"""What writes and checks write-once objects; neither deletes nor changes a bucket."""
_READ = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucketVersioning",
)
_REMOVE = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:GetObjectLegalHold",
    "s3:PutObjectLegalHold",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:DeleteObjectVersion",
    "s3:BypassGovernanceRetention",
)
DISPOSER = "disposer"
"""Name of the identity that the bucket's denial of deletion exempts."""


class Identity(BaseModel):
    """A key id and its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    secret: str = Field(repr=False)


class Keys(BaseModel):
    """Everything secret about one embedded store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    administrator: Identity
    writer: Identity
    reader: Identity
    anchor: Identity
    disposer: Identity | None = None
    """Absent in stores of the first release until they are started again."""
    encryption_key: str = Field(repr=False)
    filer_signing_key: str = Field(repr=False)
    filer_reading_key: str = Field(repr=False)
    volume_signing_key: str = Field(repr=False)

    def server_environment(self) -> dict[str, str]:
        """Variables through which the server gets its keys; a command line could be read by all."""
        return {
            "WEED_S3_SSE_KEK": self.encryption_key,
            "WEED_JWT_FILER_SIGNING_KEY": self.filer_signing_key,
            "WEED_JWT_FILER_SIGNING_READ_KEY": self.filer_reading_key,
            "WEED_JWT_SIGNING_KEY": self.volume_signing_key,
        }


def load(place: Path, *, data_exists: bool = True, complete: bool = False) -> Keys:
    """Read the store's keys, or generate them for a store without data.

    Args:
        place: The store's folder.
        data_exists: Whether the store holds data, which new keys could not decrypt.
        complete: Add an identity that an older release did not know; only one process may.

    Returns:
        The keys.

    Raises:
        StoreError: If they are unreadable, or missing while there are data.
    """
    path = place / "keys.json"
    try:
        keys = Keys.model_validate_json(path.read_bytes())
        if keys.disposer is None and complete:
            keys = keys.model_copy(update={"disposer": _identity("DISPOSE")})
            _write(path, keys.model_dump_json())
        return keys
    except FileNotFoundError as error:
        if data_exists:
            raise StoreError(
                "the embedded store's keys are missing; its data cannot be decrypted without them",
                where=str(path),
                remedy="restore the file from a backup, or remove the folder and begin anew",
            ) from error
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"the embedded store's keys cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="restore the file from a backup",
        ) from None
    keys = Keys(
        administrator=_identity("ADMIN"),
        writer=_identity("WRITE"),
        reader=_identity("READ"),
        anchor=_identity("ANCHOR"),
        disposer=_identity("DISPOSE"),
        encryption_key=secrets.token_hex(32),
        filer_signing_key=secrets.token_hex(32),
        filer_reading_key=secrets.token_hex(32),
        volume_signing_key=secrets.token_hex(32),
    )
    _write(path, keys.model_dump_json())
    return keys


def identities_file(place: Path) -> Path:
    """The file from which the server reads who may do what."""
    return place / "s3.json"


def allow_buckets(place: Path, keys: Keys, settings: Settings) -> bool:
    """Grant the identities their rights on the buckets that the settings name.

    Each name also covers names that begin with it and a hyphen, as tests and drills use.

    Args:
        place: The store's folder.
        keys: The identities.
        settings: Names the buckets.

    Returns:
        False if rights were added, which a running server does not know yet.
    """
    path = place / "buckets.json"
    roles = ("records", "narratives", "site", "anchor")
    granted: dict[str, list[str]] = {role: [] for role in roles}
    if path.exists():
        granted |= json.loads(path.read_text())
    known = identities_file(place).exists() and _knows_disposer(place)
    for role in roles:
        name: str = getattr(settings, f"bucket_{role}")
        if not any(fnmatch.fnmatchcase(name, p) for g in granted[role] for p in (g, f"{g}-*")):
            granted[role].append(name)
            known = False
    if not known:
        _write(path, json.dumps(granted))
        _write(identities_file(place), json.dumps(_identities(keys, granted)))
    return known


def _knows_disposer(place: Path) -> bool:
    identities = json.loads(identities_file(place).read_text())["identities"]
    return any(one["name"] == DISPOSER for one in identities)


def _identities(keys: Keys, granted: dict[str, list[str]]) -> dict[str, Any]:
    records, anchor = _resources(granted["records"]), _resources(granted["anchor"])
    narratives = _resources(granted["narratives"])
    policies = {
        "writer": [
            _statement("Allow", _WRITE, records),
            _statement(
                "Allow", (*_WRITE, "s3:DeleteObject"), narratives + _resources(granted["site"])
            ),
        ],
        "anchor": [_statement("Allow", _WRITE, anchor)],
        DISPOSER: [
            _statement("Allow", _REMOVE, records),
            # Who removes must not be able to write something else in its place.
            _statement("Deny", ("s3:PutObject",), records + narratives),
            _statement("Deny", ("s3:*",), anchor),
        ],
        "reader": [
            _statement("Allow", _READ, ["arn:aws:s3:::*"]),
            # Texts that people wrote are no data set.
            _statement("Deny", ("s3:*",), narratives),
        ],
    }
    named = {"writer": keys.writer, "anchor": keys.anchor, "reader": keys.reader}
    if keys.disposer is not None:
        named[DISPOSER] = keys.disposer
    return {
        "identities": [
            _described("administrator", keys.administrator) | {"actions": ["Admin"]},
            *(_described(name, named[name]) | {"policyNames": [name]} for name in named),
        ],
        "policies": [
            {
                "name": name,
                "content": json.dumps({"Version": "2012-10-17", "Statement": statements}),
            }
            for name, statements in policies.items()
        ],
    }


def _described(name: str, identity: Identity) -> dict[str, Any]:
    return {
        "name": name,
        "credentials": [{"accessKey": identity.key, "secretKey": identity.secret}],
    }


def _resources(names: list[str]) -> list[str]:
    return [f"arn:aws:s3:::{name}{end}" for name in names for end in ("", "/*", "-*", "-*/*")]


def _statement(effect: str, actions: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    return {"Effect": effect, "Action": list(actions), "Resource": resources}


def _identity(role: str) -> Identity:
    return Identity(key=f"NW{role}{secrets.token_hex(6).upper()}", secret=secrets.token_urlsafe(30))


def _write(path: Path, content: str) -> None:
    """Write a file that only its owner can read, completely or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
