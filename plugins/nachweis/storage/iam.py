"""Least-privilege policies: what each identity may do with the buckets, and nothing else.

The policies are identity policies of AWS IAM; servers that speak S3 understand the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nachweis.settings import Settings
from nachweis.storage.layout import CHECKPOINTS, TIMESTAMPS

Policy = dict[str, Any]

_READ = ("s3:GetObject", "s3:ListBucket")
_VERSIONS = ("s3:GetObjectVersion", "s3:ListBucketVersions", "s3:GetObjectRetention")
_SETTINGS = (
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetEncryptionConfiguration",
)
_MORE_SETTINGS = (
    "s3:GetBucketPolicy",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketLocation",
    "s3:GetReplicationConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetObjectLegalHold",
)
_WRITE = ("s3:PutObject", "s3:PutObjectRetention")
_NEVER = (
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:BypassGovernanceRetention",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutLifecycleConfiguration",
)
"""Denied to who writes evidence, whatever another policy may grant by mistake."""


def _writer(s: Settings) -> Sequence[Policy]:
    return (
        _allow("WriteOnce", (*_WRITE, *_READ, *_VERSIONS, *_SETTINGS), s.bucket_records),
        _allow("WriteAndForget", (*_WRITE, *_READ, "s3:DeleteObject"), s.bucket_narratives,
               s.bucket_site),
        _deny("KeepEvidence", _NEVER, s.bucket_records),
        _deny("LeaveTheAnchor", ("s3:*",), s.bucket_anchor),
    )  # fmt: skip


def _reader(s: Settings) -> Sequence[Policy]:
    return (_allow("ReadWhatIsPublished", _READ, s.bucket_site, s.bucket_records),)


def _auditor(s: Settings) -> Sequence[Policy]:
    return (
        _allow(
            "ReadEvidenceAndSettings",
            (*_READ, *_VERSIONS, *_SETTINGS, *_MORE_SETTINGS),
            s.bucket_records,
            s.bucket_anchor,
        ),
        _allow("ReadSettings", (*_SETTINGS, *_MORE_SETTINGS), s.bucket_narratives, s.bucket_site),
        _allow("ReadSite", _READ, s.bucket_site),
        # Texts that people wrote are read through the organisation, not past it.
        _deny("LeaveNarratives", _READ, s.bucket_narratives),
    )


def _verifier(s: Settings) -> Sequence[Policy]:
    return (
        _allow(
            "ReadAllVersions",
            (*_READ, *_VERSIONS, *_SETTINGS),
            s.bucket_records,
            s.bucket_anchor,
        ),
        _allow("CompareTexts", _READ, s.bucket_narratives),
    )


def _anchor(s: Settings) -> Sequence[Policy]:
    return (
        _allow("ListCheckpoints", ("s3:ListBucket", "s3:ListBucketVersions"), s.bucket_anchor),
        _statement(
            "Allow",
            "AddCheckpoints",
            (*_WRITE, "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"),
            [f"arn:aws:s3:::{s.bucket_anchor}/{prefix}*" for prefix in (CHECKPOINTS, TIMESTAMPS)],
        ),
        _allow("SeeSettings", _SETTINGS, s.bucket_anchor),
        _deny("KeepCheckpoints", _NEVER, s.bucket_anchor),
        _deny("LeaveTheEvidence", ("s3:*",), s.bucket_records, s.bucket_narratives),
    )


def _disposer(s: Settings) -> Sequence[Policy]:
    return (
        _allow("SeeVersions", (*_READ, *_VERSIONS, "s3:GetObjectLegalHold"), s.bucket_records),
        _allow(
            "RemoveVersions",
            ("s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"),
            s.bucket_records,
        ),
        _allow("EraseTexts", ("s3:ListBucket", "s3:DeleteObject"), s.bucket_narratives),
        # Who removes must not be able to write something else in its place.
        _deny("WriteNothing", ("s3:PutObject",), s.bucket_records, s.bucket_narratives),
        _deny("LeaveTheAnchor", ("s3:*",), s.bucket_anchor),
    )


ROLES: Mapping[str, tuple[str, Callable[[Settings], Sequence[Policy]]]] = {
    "writer": ("runs nights: NACHWEIS_S3_ACCESS_KEY", _writer),
    "reader": ("serves the site and reads signed documents", _reader),
    "auditor": ("makes packs, verifies, and sees the settings of the buckets", _auditor),
    "verifier": ("runs `nachweis verify`, best on another machine", _verifier),
    "anchor": ("adds checkpoints: NACHWEIS_ANCHOR_ACCESS_KEY", _anchor),
    "disposer": ("removes what was withdrawn or may go; two people, never the writer", _disposer),
}
"""Role to what it is for and its statements."""


def policy(settings: Settings, role: str) -> Policy:
    """The policy of a role.

    Args:
        settings: Names the buckets.
        role: One of :data:`ROLES`.

    Returns:
        The policy document.
    """
    return {"Version": "2012-10-17", "Statement": list(ROLES[role][1](settings))}


def _allow(sid: str, actions: Sequence[str], *buckets: str) -> Policy:
    return _statement("Allow", sid, actions, _resources(buckets))


def _deny(sid: str, actions: Sequence[str], *buckets: str) -> Policy:
    return _statement("Deny", sid, actions, _resources(buckets))


def _resources(buckets: Sequence[str]) -> list[str]:
    return [f"arn:aws:s3:::{bucket}{end}" for bucket in buckets for end in ("", "/*")]


def _statement(effect: str, sid: str, actions: Sequence[str], resources: list[str]) -> Policy:
    return {"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": resources}
