"""Ask buckets where they lie and how they are protected, without changing anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nachweis.domain.place import EVIDENCE_STORE, PlaceFacts
from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.bucket_denials import transport_denied
from nachweis.storage.capabilities import Capabilities, Guarantee
from nachweis.storage.s3 import bucket_name, data_reader_access, writer_access
from nachweis.storage.s3_client import StoreAccess, client, code_of, failures
from nachweis.storage.s3_store import ENCRYPTION

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOTHING_SET = frozenset(
    {
        "ReplicationConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchBucketPolicy",
    }
)
"""Error codes by which a store says that something is not configured."""


def buckets_of(locations: Iterable[str]) -> set[str]:
    """Names of the buckets in a data set's locations; other locations are left out."""
    return {
        urlsplit(location).netloc
        for location in locations
        if location.startswith("s3://") and urlsplit(location).netloc
    }


def places_of(
    settings: Settings,
    locations: Mapping[str, Iterable[str]],
    capabilities: Capabilities | None = None,
) -> dict[str, tuple[PlaceFacts, ...]]:
    """What the buckets of data sets, and the evidence store, say about themselves.

    Args:
        settings: Settings; the embedded store is started where they mean it.
        locations: Data-set id to its locations.
        capabilities: The night's self-test; what it saw on its own object counts for the evidence
            store even where the writer may not ask for the bucket's settings.

    Returns:
        Data-set id (and ``evidence-store``) to the facts of its buckets; data sets outside an
        object store are left out. A store that refuses or does not answer yields facts with a
        problem, never an exception.
    """
    resolved = embedded.resolve(settings)
    known: dict[str, PlaceFacts] = {}
    found: dict[str, tuple[PlaceFacts, ...]] = {}
    for data_set, where in sorted(locations.items()):
        buckets = sorted(buckets_of(where))
        for bucket in buckets:
            if bucket not in known:
                known[bucket] = facts_of(data_reader_access(resolved), bucket)
        if buckets:
            found[data_set] = tuple(known[bucket] for bucket in buckets)
    own = bucket_name(resolved, "records")
    facts = facts_of(writer_access(resolved), own)
    if capabilities is not None:
        stored = capabilities.status(Guarantee.ENCRYPTION_STORED) == "passed"
        facts = replace(
            facts,
            encryption=ENCRYPTION if stored else facts.encryption,
            versioning=capabilities.status(Guarantee.VERSIONS_KEPT) == "passed",
            problem="",
        )
    found[EVIDENCE_STORE] = (facts,)
    return found


def facts_of(access: StoreAccess, bucket: str) -> PlaceFacts:
    """Ask one bucket.

    Args:
        access: Identity that may read its settings.
        bucket: Its name.

    Returns:
        The facts; what it does not answer is None.
    """
    s3 = client(access)
    found = PlaceFacts(
        region=_asked(lambda: _region(s3, bucket), None),
        replicas=_replicas(s3, bucket),
        encryption=_asked(lambda: _encryption(s3, bucket), "none"),
        versioning=_asked(
            lambda: s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled", False
        ),
        public_access_blocked=_asked(lambda: _blocked(s3, bucket), False),
        tls_only=_asked(lambda: _tls_only(s3, bucket), False),
    )
    return PlaceFacts(problem="refused") if found == PlaceFacts() else found


def _asked(question: Callable[[], Any], unset: Any) -> Any:
    """The answer, what "not configured" means, or None if the store does not say."""
    try:
        return question()
    except failures() as error:
        return unset if code_of(error)[0] in _NOTHING_SET else None


def _region(s3: S3Client, bucket: str) -> str | None:
    answer: Mapping[str, Any] = s3.get_bucket_location(Bucket=bucket)
    return answer.get("LocationConstraint") or None


def _encryption(s3: S3Client, bucket: str) -> str:
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    for rule in rules:
        default = rule.get("ApplyServerSideEncryptionByDefault")
        if default:
            return str(default["SSEAlgorithm"])
    return "none"


def _blocked(s3: S3Client, bucket: str) -> bool:
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return all(block.get(name) for name in names)


def _tls_only(s3: S3Client, bucket: str) -> bool:
    return transport_denied(json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]), bucket)


def _replicas(s3: S3Client, bucket: str) -> tuple[str, ...] | None:
    """Regions of the buckets that objects are copied to."""
    answer: Mapping[str, Any] | None = _asked(lambda: s3.get_bucket_replication(Bucket=bucket), {})
    if answer is None:
        return None
    rules = answer.get("ReplicationConfiguration", {}).get("Rules", [])
    others = {
        rule["Destination"]["Bucket"].rpartition(":")[2]
        for rule in rules
        if rule.get("Status") == "Enabled"
    }
    return tuple(sorted({_region_of(s3, other) for other in others}))


def _region_of(s3: S3Client, bucket: str) -> str:
    found: str | None = _asked(lambda: _region(s3, bucket), None)
    return found or "unknown"
