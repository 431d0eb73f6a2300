"""``nachweis doctor``: what the buckets' real settings are, what is missing, and how to set it.

The self-test proves what one object gets; the doctor reads the settings that protect all others. It
changes nothing. What an identity may not read is ``unknown``, which is no good news.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.bootstrap import LOCKED, ROLES, bucket_policy, on_loopback, speaks_tls
from nachweis.storage.bucket_denials import removals_not_denied, transport_denied
from nachweis.storage.doctor_probe import Diagnosis, Probe, Status, answer, remedy_of_refusal
from nachweis.storage.s3 import BucketRole, anchor_access, bucket_name, writer_access
from nachweis.storage.s3_client import StoreAccess, client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_EXISTS, _VERSIONS = "exists", "versions are kept"
_NEEDED_FOR_RIGHTS = frozenset({_EXISTS, _VERSIONS})
"""Without these, asking for rights could change something."""


def diagnose(settings: Settings, *, administrator: StoreAccess | None = None) -> Diagnosis:
    """Look at every bucket's settings.

    Args:
        settings: Settings; the embedded store is started where they mean it.
        administrator: Identity that may read settings; default is the embedded store's own, else
            the identity that writes to the bucket.

    Returns:
        The diagnosis.

    Raises:
        StoreUnavailableError: If the store does not answer.
    """
    resolved = embedded.resolve(settings)
    own = embedded.administrator(resolved)
    strong = administrator or own
    found: list[Probe] = []
    for role in ROLES:
        access = strong or (anchor_access if role == "anchor" else writer_access)(resolved)
        found += _Bucket(resolved, role, client(access)).probe()
    if all(probe.status == "in order" for probe in found if probe.setting in _NEEDED_FOR_RIGHTS):
        found += _rights(resolved)
    return Diagnosis(own is not None, tuple(found))


@dataclass
class _Bucket:
    """The probes of one bucket."""

    settings: Settings
    role: BucketRole
    s3: S3Client
    probes: list[Probe] = field(default_factory=list)

    @property
    def name(self) -> str:
        return bucket_name(self.settings, self.role)

    @property
    def locked(self) -> bool:
        return self.role in LOCKED

    def probe(self) -> list[Probe]:
        """Look at everything; without the bucket there is nothing more to see."""
        region = self.settings.s3_region
        place = "" if region == "us-east-1" else (
            f" --create-bucket-configuration LocationConstraint={region}"
        )  # fmt: skip
        lock = " --object-lock-enabled-for-bucket" if self.locked else ""
        there = self._look(
            _EXISTS,
            lambda: self.s3.head_bucket(Bucket=self.name),
            lambda answer: ("in order", "yes") if answer is not None else ("missing", "no"),
            f"create-bucket{lock}{place}",
        )
        if not there:
            return self.probes
        self._versions()
        self._encryption()
        self._policy()
        self._public_access()
        self._region()
        if self.locked:
            self._lifecycle()
            self._replication()
        return self.probes

    # ------------------------------------------------------------------------ the settings

    def _versions(self) -> None:
        def judge(answer: Any) -> tuple[Status, str]:
            state = (answer or {}).get("Status", "off")
            if self.locked:
                return ("in order" if state == "Enabled" else "missing"), state
            return ("in order" if state == "off" else "missing"), state

        wanted = "Enabled" if self.locked else "Suspended"
        self._look(
            _VERSIONS if self.locked else "nothing is kept after deletion",
            lambda: self.s3.get_bucket_versioning(Bucket=self.name),
            judge,
            f"put-bucket-versioning --versioning-configuration Status={wanted}",
        )
        if not self.locked:
            return

        def locked(answer: Any) -> tuple[Status, str]:
            configuration = (answer or {}).get("ObjectLockConfiguration", {})
            if configuration.get("ObjectLockEnabled") != "Enabled":
                return "missing", "off"
            rule = configuration.get("Rule", {}).get("DefaultRetention")
            if not rule:
                return "missing", "on, without a default"
            span = f"{rule['Days']} days" if "Days" in rule else f"{rule.get('Years')} years"
            return "in order", f"on, {rule['Mode']} for {span} by default"

        days = 400 if self.settings.retention_class == "standard" else 1
        rule = {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}},
        }
        self._look(
            "Object Lock",
            lambda: self.s3.get_object_lock_configuration(Bucket=self.name),
            locked,
            f"put-object-lock-configuration --object-lock-configuration '{json.dumps(rule)}'",
        )

    def _encryption(self) -> None:
        def judge(answer: Any) -> tuple[Status, str]:
            rules = (answer or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
            kinds = [
                rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")
                for rule in rules
            ]
            return ("in order", ", ".join(map(str, kinds))) if any(kinds) else ("missing", "off")

        rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        self._look(
            "encryption at rest by default",
            lambda: self.s3.get_bucket_encryption(Bucket=self.name),
            judge,
            f"put-bucket-encryption --server-side-encryption-configuration '{json.dumps(rule)}'",
        )

    def _policy(self) -> None:
        def policy_of(answer: Any) -> dict[str, Any]:
            found: dict[str, Any] = json.loads((answer or {}).get("Policy", "{}"))
            return found

        def deletion(answer: Any) -> tuple[Status, str]:
            lacking = removals_not_denied(policy_of(answer), self.name, exempt)
            return ("missing", f"{', '.join(lacking)} not denied") if lacking else (
                "in order", "denied to everybody" + (" but the disposer" if exempt else "")
            )  # fmt: skip

        def transport(answer: Any) -> tuple[Status, str]:
            if transport_denied(policy_of(answer), self.name):
                return "in order", "plain HTTP is denied"
            if on_loopback(self.settings):
                return "advice", "plain HTTP that does not leave the machine"
            if not tls:
                return "missing", "the endpoint itself speaks plain HTTP"
            return "missing", "plain HTTP is not denied"

        tls = speaks_tls(self.settings)
        own = self.name == self.settings.bucket_records
        exempt = self.settings.disposer_principal if own else None
        wanted = json.dumps(bucket_policy(self.name, locked=self.locked, tls=tls, exempt=exempt))
        remedy = f"put-bucket-policy --policy '{wanted}'"
        if self.locked:
            self._look(
                "deletion of versions", self._get_policy, deletion, remedy
            )  # fmt: skip
        if tls:
            self._look("encryption in transit", self._get_policy, transport, remedy)
        else:
            self._look(
                "encryption in transit",
                self._get_policy,
                transport,
                "",
                advice="give the store a certificate and set NACHWEIS_S3_ENDPOINT to https://…",
            )

    def _get_policy(self) -> Any:
        return self.s3.get_bucket_policy(Bucket=self.name)

    def _public_access(self) -> None:
        def judge(answer: Any) -> tuple[Status, str]:
            found = (answer or {}).get("PublicAccessBlockConfiguration", {})
            lacking = sorted(name for name in names if not found.get(name))
            return ("missing", f"{', '.join(lacking)} off") if lacking else ("in order", "blocked")

        names = (
            "BlockPublicAcls",
            "IgnorePublicAcls",
            "BlockPublicPolicy",
            "RestrictPublicBuckets",
        )
        rule = ",".join(f"{name}=true" for name in names)
        self._look(
            "public access",
            lambda: self.s3.get_public_access_block(Bucket=self.name),
            judge,
            f"put-public-access-block --public-access-block-configuration {rule}",
        )

    def _region(self) -> None:
        def judge(answer: Any) -> tuple[Status, str]:
            found = (answer or {}).get("LocationConstraint") or "us-east-1"
            if found == wanted:
                return "in order", found
            if self.settings.s3_endpoint is not None:
                return "advice", f"the store says {found}, which tells nothing about its place"
            return "missing", found

        wanted = self.settings.s3_region
        self._look(
            "region",
            lambda: self.s3.get_bucket_location(Bucket=self.name),
            judge,
            "",
            advice="find out in which country the data lie; a bucket cannot move: correct "
            "NACHWEIS_S3_REGION, or begin with new buckets",
        )

    def _lifecycle(self) -> None:
        def judge(answer: Any) -> tuple[Status, str]:
            rules = [r for r in (answer or {}).get("Rules", []) if r.get("Status") == "Enabled"]
            harmful = [
                str(rule.get("ID", "?"))
                for rule in rules
                if {"Expiration", "NoncurrentVersionExpiration"} & set(rule)
            ]
            return ("missing", f"rules delete objects: {', '.join(harmful)}") if harmful else (
                "in order", "no rule deletes objects")  # fmt: skip

        self._look(
            "life cycle",
            lambda: self.s3.get_bucket_lifecycle_configuration(Bucket=self.name),
            judge,
            "delete-bucket-lifecycle",
        )

    def _replication(self) -> None:
        def judge(answer: Any) -> tuple[Status, str]:
            rules = (answer or {}).get("ReplicationConfiguration", {}).get("Rules", [])
            on = [rule for rule in rules if rule.get("Status") == "Enabled"]
            return ("in order", "on") if on else ("advice", "off: this is the only copy")

        self._look(
            "replication",
            lambda: self.s3.get_bucket_replication(Bucket=self.name),
            judge,
            "put-bucket-replication --replication-configuration file://replication.json",
        )

    # ------------------------------------------------------------------------------ inside

    def _look(
        self,
        setting: str,
        question: Callable[[], Any],
        judge: Callable[[Any], tuple[Status, str]],
        call: str,
        *,
        advice: str = "",
    ) -> bool:
        """Ask for one setting; False if it is not in order."""
        status, found = answer(question, judge)
        remedy = advice
        if call:
            endpoint = self.settings.s3_endpoint
            verb, _, rest = call.partition(" ")
            remedy = f"aws s3api {verb} --bucket {self.name}{' ' + rest if rest else ''}"
            remedy += f" --endpoint-url {endpoint}" if endpoint else ""
        if status == "unknown":
            remedy = remedy_of_refusal(found)
        elif status not in ("missing", "advice"):
            remedy = ""
        self.probes.append(Probe(self.name, setting, status, found, remedy))
        return status == "in order"


# ----------------------------------------------------------------------------------- rights


def _rights(settings: Settings) -> list[Probe]:
    """What the writer and the anchor's identity may do that they must not; nothing is changed."""
    writer, anchor = client(writer_access(settings)), client(anchor_access(settings))
    records, points = settings.bucket_records, settings.bucket_anchor
    absent = "self-test/nothing-has-this-name"
    attempts: Mapping[str, tuple[str, Callable[[], Any]]] = {
        "the writer cannot delete versions": (
            records,
            lambda: writer.delete_object(Bucket=records, Key=absent, VersionId="null"),
        ),
        "the writer cannot change settings": (
            records,
            # What it asks for is what is set already; if the store agrees, it may ask for more.
            lambda: writer.put_bucket_versioning(
                Bucket=records, VersioningConfiguration={"Status": "Enabled"}
            ),
        ),
        "the writer cannot reach the anchor": (
            points,
            lambda: writer.list_objects_v2(Bucket=points, MaxKeys=1),
        ),
        "the anchor's identity cannot reach the records": (
            records,
            lambda: anchor.list_objects_v2(Bucket=records, MaxKeys=1),
        ),
    }
    found = []
    for setting, (bucket, attempt) in attempts.items():
        role = "anchor" if setting.startswith("the anchor") else "writer"
        status, said = answer(
            attempt, lambda _: ("missing", "it can"), refusal=("in order", "refused")
        )
        remedy = ""
        if status in ("missing", "advice"):
            remedy = f"give it the policy of `nachweis iam {role}` and no other"
        elif status == "unknown":
            remedy = f"check the credentials of the {role}'s identity, then ask again"
        found.append(Probe(bucket, setting, status, said, remedy))
    return found
