"""The doctor sees what buckets' settings really are; policies allow what each role needs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nachweis.settings import Settings
from nachweis.storage import embedded, embedded_keys, iam
from nachweis.storage.bootstrap import bootstrap
from nachweis.storage.doctor import Diagnosis, diagnose
from nachweis.storage.s3_client import StoreAccess, client
from nachweis.storage.s3_store import checksum

pytestmark = pytest.mark.store


def _statuses(found: Diagnosis, bucket: str) -> dict[str, str]:
    return {probe.setting: probe.status for probe in found.probes if probe.bucket == bucket}


def test_a_store_that_was_set_up_is_in_order(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    found = diagnose(store_settings, administrator=store_administrator)
    assert [probe for probe in found.probes if probe.status in ("missing", "unknown")] == []
    records = _statuses(found, store_settings.bucket_records)
    assert records["versions are kept"] == records["Object Lock"] == "in order"
    assert records["deletion of versions"] == "in order"
    assert records["encryption at rest by default"] == "in order"
    assert records["public access"] == "not supported"
    assert records["the writer cannot delete versions"] == "in order"
    assert records["the writer cannot change settings"] == "in order"
    assert records["the anchor's identity cannot reach the records"] == "in order"
    assert found.ok


def test_each_missing_setting_is_named_with_the_call_that_sets_it(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    s3, records = client(store_administrator), store_settings.bucket_records
    s3.delete_bucket_policy(Bucket=records)
    s3.put_bucket_lifecycle_configuration(
        Bucket=records,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "clean-up", "Status": "Enabled", "Filter": {"Prefix": ""},
                 "Expiration": {"Days": 30}}
            ]
        },
    )  # fmt: skip
    s3.put_bucket_versioning(
        Bucket=store_settings.bucket_narratives, VersioningConfiguration={"Status": "Enabled"}
    )
    found = diagnose(store_settings, administrator=store_administrator)
    assert not found.ok
    missing = {(p.bucket, p.setting): p for p in found.probes if p.status == "missing"}
    assert set(missing) == {
        (records, "deletion of versions"),
        (records, "life cycle"),
        (store_settings.bucket_narratives, "nothing is kept after deletion"),
    }
    remedy = missing[records, "deletion of versions"].remedy
    assert remedy.startswith(f"aws s3api put-bucket-policy --bucket {records} --policy '{{")
    assert remedy.endswith(f"--endpoint-url {store_settings.s3_endpoint}")
    assert json.loads(remedy.split("'")[1])["Statement"][0]["Sid"] == "KeepVersions"
    assert "clean-up" in missing[records, "life cycle"].found


def test_missing_buckets_and_unreadable_settings_are_no_good_news(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    elsewhere = store_settings.model_copy(update={"bucket_records": "nachweis-records-absent-x"})
    found = diagnose(elsewhere, administrator=store_administrator)
    (probe,) = (p for p in found.probes if p.bucket == "nachweis-records-absent-x")
    assert probe.status == "missing"
    assert "create-bucket" in probe.remedy and "--object-lock-enabled-for-bucket" in probe.remedy
    as_writer = diagnose(store_settings)
    policy = [p for p in as_writer.probes if p.setting == "deletion of versions"]
    assert {p.status for p in policy} == {"unknown"}
    assert "nachweis iam auditor" in policy[0].remedy


def test_the_writer_with_too_many_rights_is_named(
    store_settings: Settings, store_administrator: StoreAccess
) -> None:
    mighty = store_settings.model_copy(
        update={
            "s3_access_key": store_administrator.key,
            "s3_secret_key": type(store_settings.s3_secret_key)(store_administrator.secret),  # type: ignore[misc, call-arg]
        }
    )
    found = diagnose(mighty, administrator=store_administrator)
    records = _statuses(found, store_settings.bucket_records)
    assert records["the writer cannot change settings"] == "missing"
    anchor = _statuses(found, store_settings.bucket_anchor)
    assert anchor["the writer cannot reach the anchor"] == "missing"


# ------------------------------------------------------------------- generated IAM policies

Ask = Callable[[Any, Settings], Any]


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server of its own that knows one identity per role, with the generated policies."""
    state = tmp_path_factory.mktemp("iam")
    settings = Settings(state=state)
    place = state / "store"
    place.mkdir(parents=True)
    keys = embedded_keys.load(place, data_exists=False)
    embedded_keys.allow_buckets(place, keys, settings)
    path = embedded_keys.identities_file(place)
    known = json.loads(path.read_text())
    for role in iam.ROLES:
        known["policies"].append(
            {"name": f"iam-{role}", "content": json.dumps(iam.policy(settings, role))}
        )
        known["identities"].append(
            {
                "name": f"iam-{role}",
                "credentials": [{"accessKey": f"KEY{role.upper()}", "secretKey": f"secret-{role}"}],
                "policyNames": [f"iam-{role}"],
            }
        )
    path.write_text(json.dumps(known))
    store = embedded.start(settings)
    resolved = embedded.resolve(settings)
    bootstrap(resolved)
    admin = client(embedded.administrator(resolved))  # type: ignore[arg-type]
    for bucket, key in (
        (settings.bucket_records, "ledger/0000000001.json"),
        (settings.bucket_anchor, "checkpoints/0000000001.json"),
        (settings.bucket_narratives, f"texts/{'0' * 32}.json"),
        (settings.bucket_site, "index.html"),
    ):
        admin.put_object(Bucket=bucket, Key=key, Body=b"x", ChecksumAlgorithm="SHA256")
    # The bucket's own policy would hide what identity policies refuse or allow.
    admin.delete_bucket_policy(Bucket=settings.bucket_records)
    admin.delete_bucket_policy(Bucket=settings.bucket_anchor)
    clients = {
        role: client(
            StoreAccess(store.endpoint, settings.s3_region, f"KEY{role.upper()}", f"secret-{role}")
        )
        for role in iam.ROLES
    }
    yield {"settings": settings, **clients}
    embedded.stop(settings)


def _get(bucket: str, key: str) -> Ask:
    return lambda s3, s: s3.get_object(Bucket=getattr(s, f"bucket_{bucket}"), Key=key)


def _list(bucket: str) -> Ask:
    return lambda s3, s: s3.list_objects_v2(Bucket=getattr(s, f"bucket_{bucket}"))


def _versions(bucket: str) -> Ask:
    return lambda s3, s: s3.list_object_versions(Bucket=getattr(s, f"bucket_{bucket}"))


def _put(bucket: str, key: str) -> Ask:
    return lambda s3, s: s3.put_object(
        Bucket=getattr(s, f"bucket_{bucket}"), Key=key, Body=b"y", ChecksumSHA256=checksum(b"y")
    )


def _delete(bucket: str, key: str, **more: Any) -> Ask:
    return lambda s3, s: s3.delete_object(Bucket=getattr(s, f"bucket_{bucket}"), Key=key, **more)


def _lock() -> Ask:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    return lambda s3, s: s3.put_object_retention(
        Bucket=s.bucket_records,
        Key=ENTRY,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )


ENTRY, POINT, TEXT = (
    "ledger/0000000001.json",
    "checkpoints/0000000001.json",
    f"texts/{'0' * 32}.json",
)
ASKED: dict[str, tuple[Ask, set[str]]] = {
    "read evidence": (
        _get("records", ENTRY),
        {"writer", "reader", "auditor", "verifier", "disposer"},
    ),
    "list evidence": (_list("records"), {"writer", "reader", "auditor", "verifier", "disposer"}),
    "list versions": (_versions("records"), {"writer", "auditor", "verifier", "disposer"}),
    "write evidence": (_put("records", "ledger/0000000002.json"), {"writer"}),
    "hide evidence": (_delete("records", "none"), set()),
    "delete a version": (_delete("records", "none", VersionId="null"), {"disposer"}),
    "read checkpoints": (_get("anchor", POINT), {"anchor", "auditor", "verifier"}),
    "list checkpoints": (_list("anchor"), {"anchor", "auditor", "verifier"}),
    "add a checkpoint": (_put("anchor", "checkpoints/0000000002.json"), {"anchor"}),
    "write beside checkpoints": (_put("anchor", "other"), set()),
    "delete a checkpoint": (_delete("anchor", "none", VersionId="null"), set()),
    "stamp a checkpoint": (_put("anchor", "timestamps/0000000001.tsr"), {"anchor"}),
    "hide a checkpoint": (_delete("anchor", POINT), set()),
    "read a lock": (
        lambda s3, s: s3.get_object_retention(Bucket=s.bucket_records, Key=ENTRY),
        {"writer", "auditor", "verifier", "disposer"},
    ),
    "prolong a lock": (_lock(), {"writer"}),
    "set a legal hold": (
        lambda s3, s: s3.put_object_legal_hold(
            Bucket=s.bucket_records, Key=ENTRY, LegalHold={"Status": "OFF"}
        ),
        {"disposer"},
    ),
    "remove a locked version": (
        _delete("records", "none", VersionId="null", BypassGovernanceRetention=True),
        {"disposer"},
    ),
    "list texts": (_list("narratives"), {"writer", "verifier", "disposer"}),
    "read a text": (_get("narratives", TEXT), {"writer", "verifier"}),
    "write a text": (_put("narratives", "texts/x"), {"writer"}),
    "erase a text": (_delete("narratives", "none"), {"writer", "disposer"}),
    "read a page": (_get("site", "index.html"), {"writer", "reader", "auditor"}),
    "write a page": (_put("site", "x.html"), {"writer"}),
    "read versioning": (
        lambda s3, s: s3.get_bucket_versioning(Bucket=s.bucket_records),
        {"writer", "auditor", "verifier"},
    ),
    "read the policy": (
        lambda s3, s: s3.get_bucket_policy(Bucket=s.bucket_records),
        {"auditor"},
    ),
    "change the policy": (
        lambda s3, s: s3.put_bucket_policy(
            Bucket=s.bucket_records, Policy=json.dumps(iam.policy(s, "reader"))
        ),
        set(),
    ),
    "change versioning": (
        lambda s3, s: s3.put_bucket_versioning(
            Bucket=s.bucket_records, VersioningConfiguration={"Status": "Enabled"}
        ),
        set(),
    ),
    "delete a bucket": (lambda s3, s: s3.delete_bucket(Bucket=s.bucket_site), set()),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_role_may_do_what_it_needs_and_no_more(what: str, roles: dict[str, Any]) -> None:
    ask, allowed = ASKED[what]
    may = set()
    for role in iam.ROLES:
        s3 = roles[role]
        try:
            ask(s3, roles["settings"])
        except s3.exceptions.ClientError as error:
            code = error.response["ResponseMetadata"]["HTTPStatusCode"]
            assert code in (403, 404, 501), error
            if code != 403:
                may.add(role)
        else:
            may.add(role)
    assert may == allowed


def test_policies_hold_no_wildcard_but_in_denials() -> None:
    settings = Settings()
    for role in iam.ROLES:
        for statement in iam.policy(settings, role)["Statement"]:
            if statement["Effect"] == "Allow":
                assert not any(action.endswith("*") for action in statement["Action"])
            named = {r.removeprefix("arn:aws:s3:::").split("/")[0] for r in statement["Resource"]}
            assert named <= {
                getattr(settings, f"bucket_{name}")
                for name in ("records", "anchor", "narratives", "site")
            }


def test_policies_and_the_diagnosis_come_from_the_command_line(
    tmp_path: Path, roles: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integration.night_support import command

    monkeypatch.setenv("NACHWEIS_STATE", str(roles["settings"].state))
    code, out, _ = command("iam", "--out", str(tmp_path / "iam"))
    assert code == 0
    assert {path.stem for path in (tmp_path / "iam").iterdir()} == set(iam.ROLES)
    code, out, _ = command("iam", "anchor")
    assert (code, json.loads(out)) == (0, iam.policy(Settings(), "anchor"))
    assert command("iam", "root")[0] == 2
    code, out, _ = command("doctor")
    assert "DEMONSTRATION" in out
    assert (code, "put-bucket-policy" in out) == (1, True), "the fixture took the policy away"
    code, out, _ = command("doctor", "--json")
    assert (code, json.loads(out)["demonstration"]) == (1, True)
