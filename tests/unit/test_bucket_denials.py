"""A denial counts only if it reaches everybody and the whole bucket; a wrong key is no refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nachweis.settings import Settings
from nachweis.storage import doctor
from nachweis.storage.bootstrap import bucket_policy
from nachweis.storage.bucket_denials import removals_not_denied, transport_denied
from nachweis.storage.doctor_probe import answer, remedy_of_refusal

TRANSPORT = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
REMOVAL = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": ["s3:DeleteBucket", "s3:DeleteObjectVersion"],
    "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_the_policy_that_bootstrap_sets_denies_both() -> None:
    own = json.loads(json.dumps(bucket_policy("data", locked=True, tls=True)))
    assert transport_denied(own, "data")
    assert removals_not_denied(own, "data") == []
    assert not transport_denied(own, "other")
    assert len(removals_not_denied(own, "other")) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": ["*"]}},
        {"Action": ["s3:*"]},
        {"Resource": "*"},
        {"Resource": "arn:aws:s3:::data*"},
        {"Resource": ["arn:aws-cn:s3:::data", "arn:aws-cn:s3:::data/*"]},
        {"Condition": {"Bool": {"AWS:secureTransport": [False]}}},
    ],
)
def test_other_ways_to_deny_plain_http_count_too(change: dict[str, Any]) -> None:
    assert transport_denied(policy({**TRANSPORT, **change}), "data")


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::111122223333:role/writer"}},
        {"Principal": None},
        {"Principal": None, "NotPrincipal": "*"},
        {"Action": "s3:GetObject"},
        {"Action": ["s3:GetObject", "s3:PutObject"]},
        {"Resource": "arn:aws:s3:::data"},
        {"Resource": "arn:aws:s3:::data/*"},
        {"Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/a-folder/*"]},
        {"Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/?"]},
        {"Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*.pdf"]},
        {"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::other/*"]},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": ["true", "false"]}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "true"}}},
        {
            "Condition": {
                "Bool": {"aws:SecureTransport": "false"},
                "IpAddress": {"aws:SourceIp": "203.0.113.0/24"},
            }
        },
    ],
)
def test_a_denial_of_less_leaves_plain_http_open(change: dict[str, Any]) -> None:
    assert not transport_denied(policy({**TRANSPORT, **change}), "data")


def test_removals_may_be_denied_by_several_statements_and_patterns() -> None:
    one = {**REMOVAL, "Action": "s3:deletebucket", "Resource": "arn:aws:s3:::data"}
    two = {**REMOVAL, "Action": "s3:Delete*", "Resource": "arn:aws:s3:::data/*"}
    assert removals_not_denied(policy(REMOVAL), "data") == []
    assert removals_not_denied(policy(one, two), "data") == []
    assert removals_not_denied(policy(one), "data") == ["s3:DeleteObjectVersion"]
    assert removals_not_denied(policy(two), "data") == ["s3:DeleteBucket"]


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": "arn:aws:iam::111122223333:role/writer"}},
        {"Resource": "arn:aws:s3:::data/a-folder/*"},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Action": None, "NotAction": "s3:GetObject"},
    ],
)
def test_a_denial_of_less_leaves_removals_open(change: dict[str, Any]) -> None:
    assert len(removals_not_denied(policy({**REMOVAL, **change}), "data")) == 2


@pytest.mark.parametrize("document", [{}, {"Statement": []}, {"Statement": "x"}])
def test_no_policy_denies_nothing(document: dict[str, Any]) -> None:
    assert not transport_denied(document, "data")
    assert len(removals_not_denied(document, "data")) == 2


# ---------------------------------------------------------------------------------- refusals

WRONG = ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"]


def refusing(code: str) -> Any:
    def ask(**_: Any) -> Any:
        from botocore.exceptions import ClientError

        raise ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
            "asked",
        )

    return ask


class Refusing:
    """A store that refuses whatever it is asked with the same code."""

    def __init__(self, code: str) -> None:
        self.delete_object = self.put_bucket_versioning = self.list_objects_v2 = refusing(code)


@pytest.mark.parametrize("code", ["AccessDenied", "RequestTimeTooSkewed", *WRONG])
def test_only_a_denied_request_shows_that_a_right_is_missing(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "client", lambda access: Refusing(code))
    probes = doctor._rights(Settings(s3_endpoint="http://127.0.0.1:1"))
    assert len(probes) == 4
    for probe in probes:
        if code == "AccessDenied":
            assert (probe.status, probe.found, probe.remedy) == ("in order", "refused", "")
        else:
            assert probe.status == "unknown"
            assert code in probe.found
            assert ("does not accept the credentials" in probe.found) is (code in WRONG)
            assert "credentials" in probe.remedy


@pytest.mark.parametrize("code", WRONG)
def test_a_setting_behind_wrong_credentials_is_unknown_for_that_reason(code: str) -> None:
    status, found = answer(refusing(code), lambda _: ("in order", "yes"))
    assert (status, code in found) == ("unknown", True)
    assert remedy_of_refusal(found) == "check the access key and secret of this identity"
    status, found = answer(refusing("AccessDenied"), lambda _: ("in order", "yes"))
    assert status == "unknown"
    assert "nachweis iam auditor" in remedy_of_refusal(found)


@pytest.mark.parametrize("principal", ["arn:aws:iam::123456789012:role/disposer", "disposer"])
def test_only_the_disposer_that_the_settings_name_may_be_exempt(principal: str) -> None:
    own = json.loads(json.dumps(bucket_policy("data", locked=True, tls=True, exempt=principal)))
    assert removals_not_denied(own, "data", principal) == []
    for other in (None, "somebody", "arn:aws:iam::123456789012:role/writer"):
        assert removals_not_denied(own, "data", other) == ["s3:DeleteObjectVersion"]
    hiding = own["Statement"][0]
    assert hiding["Action"] == ["s3:DeleteBucket", "s3:DeleteObject"]
    assert "Condition" not in hiding, "nobody hides an object, the disposer neither"
