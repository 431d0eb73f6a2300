"""Buckets are asked where they lie and how they are protected; a refusal is no exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nachweis.domain.place import PlaceFacts
from nachweis.storage import places
from nachweis.storage.places import buckets_of, facts_of
from nachweis.storage.s3_client import StoreAccess

ACCESS = StoreAccess("http://127.0.0.1:1", "x", "key", "secret")
DENY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
RULE = {"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::copy"}}


class Server:
    """Answers as the documents of the S3 interface describe them; codes are refusals."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        def ask(Bucket: str) -> Any:  # noqa: N803 - the interface's own name
            from botocore.exceptions import ClientError

            answer = self.answers.get(name, "AccessDenied")
            if name == "get_bucket_location" and isinstance(answer, dict):
                answer = answer.get(Bucket, "AccessDenied")
            if isinstance(answer, str):
                raise ClientError(
                    {"Error": {"Code": answer}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
                    name,
                )
            return answer

        return ask


def asked(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> PlaceFacts:
    monkeypatch.setattr(places, "client", lambda access: Server(**answers))
    return facts_of(ACCESS, "data")


def test_a_bucket_that_answers_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    aes = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    found = asked(
        monkeypatch,
        get_bucket_location={
            "data": {"LocationConstraint": "eu-central-1"},
            "copy": {"LocationConstraint": "us-west-2"},
        },
        get_bucket_encryption={"ServerSideEncryptionConfiguration": {"Rules": [aes]}},
        get_bucket_versioning={"Status": "Enabled"},
        get_public_access_block={"PublicAccessBlockConfiguration": dict.fromkeys(flags, True)},
        get_bucket_policy={"Policy": json.dumps({"Statement": [DENY]})},
        get_bucket_replication={"ReplicationConfiguration": {"Rules": [RULE]}},
    )
    assert found == PlaceFacts("eu-central-1", ("us-west-2",), "AES256", True, True, True)


def test_what_is_not_configured_differs_from_what_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = asked(
        monkeypatch,
        get_bucket_location={"data": {"LocationConstraint": None}},
        get_bucket_encryption="ServerSideEncryptionConfigurationNotFoundError",
        get_bucket_replication="ReplicationConfigurationNotFoundError",
        get_bucket_policy="NoSuchBucketPolicy",
        get_public_access_block="NoSuchPublicAccessBlockConfiguration",
    )
    assert found == PlaceFacts(None, (), "none", None, False, False)


def test_a_denial_that_reaches_one_folder_does_not_make_the_bucket_tls_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = {**DENY, "Resource": "arn:aws:s3:::data/a-folder/*"}
    found = asked(monkeypatch, get_bucket_policy={"Policy": json.dumps({"Statement": folder})})
    assert found.tls_only is False


def test_a_replica_whose_bucket_does_not_answer_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = asked(
        monkeypatch,
        get_bucket_location={"data": {"LocationConstraint": "eu-north-1"}},
        get_bucket_replication={"ReplicationConfiguration": {"Rules": [RULE]}},
    )
    assert found.replicas == ("unknown",)


def test_a_store_that_refuses_everything_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch) == PlaceFacts(problem="refused")


def test_only_locations_in_an_object_store_have_buckets() -> None:
    assert buckets_of(["s3://one/a/{date}", "data/x.csv", "s3://two", "s3:///x"]) == {"one", "two"}
