"""From settings to identities: who writes where, what is refused, what a pattern matches."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from nachweis.domain.errors import DataUnavailableError, SettingsError, StoreError
from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.bootstrap import (
    _endpoint,
    _transport,
    bootstrap,
    bucket_policy,
    self_test,
)
from nachweis.storage.capabilities import Guarantee
from nachweis.storage.s3 import (
    _glob,
    anchor_access,
    data_access,
    list_versions,
    open_store,
    writer_access,
)
from nachweis.storage.s3_client import StoreAccess, new_client
from nachweis.storage.s3_store import _safe_start
from tests.s3_stub import running_stub
from tests.unit.data_worlds import data_set, tables_of

ANCHOR = {"anchor_access_key": "ANCHOR", "anchor_secret_key": SecretStr("a-secret")}


def at(endpoint: str, tmp_path: Path, **more: Any) -> Settings:
    return Settings(
        state=tmp_path,
        s3_endpoint=endpoint,
        s3_access_key="WRITER",
        s3_secret_key=SecretStr("w-secret"),
        **more,
    )


def test_each_bucket_gets_its_own_identity(tmp_path: Path) -> None:
    settings = at(
        "https://s3.invalid",
        tmp_path,
        anchor_access_key="ANCHOR",
        anchor_secret_key=SecretStr("a-secret"),
        data_access_key="DATA",
        data_secret_key=SecretStr("d-secret"),
    )
    assert writer_access(settings).key == "WRITER"
    assert anchor_access(settings).key == "ANCHOR"
    data = data_access(settings)
    assert data is not None
    assert (data.key, data.secret, data.use_ssl) == ("DATA", "d-secret", True)
    assert "d-secret" not in repr(data)


def test_the_writer_reads_data_where_no_other_identity_is_set(tmp_path: Path) -> None:
    data = data_access(at("http://127.0.0.1:1", tmp_path))
    assert data is not None
    assert (data.key, data.use_ssl) == ("WRITER", False)


def test_a_demonstration_may_anchor_as_the_writer(tmp_path: Path) -> None:
    assert anchor_access(at("https://s3.invalid", tmp_path)).key == "WRITER"


@pytest.mark.parametrize(
    "anchor",
    [{}, {"anchor_access_key": "WRITER", "anchor_secret_key": SecretStr("w-secret")}],
    ids=["none", "the writer's"],
)
def test_production_refuses_an_anchor_without_an_identity_of_its_own(
    tmp_path: Path, anchor: dict[str, Any]
) -> None:
    with running_stub() as stub:
        settings = at(stub.endpoint, tmp_path, mode="production", **anchor)
        for attempt in (bootstrap, self_test, lambda it: open_store(it, "anchor")):
            with pytest.raises(SettingsError, match="credentials of its own") as caught:
                attempt(settings)
            assert caught.value.where == "NACHWEIS_ANCHOR_ACCESS_KEY"
            assert "w-secret" not in str(caught.value)
        assert stub.objects == {}


@pytest.mark.parametrize("half", ["anchor_access_key", "data_access_key"])
def test_half_a_credential_is_refused_by_name(tmp_path: Path, half: str) -> None:
    settings = at("https://s3.invalid", tmp_path, **{half: "K"})
    with pytest.raises(SettingsError) as caught:
        anchor_access(settings)
        data_access(settings)
    assert caught.value.where == f"NACHWEIS_{half.upper().replace('ACCESS', 'SECRET')}"


def test_an_unknown_bucket_names_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(at("https://s3.invalid", tmp_path), "record")  # type: ignore[arg-type]
    assert "records" in caught.value.valid


def test_production_refuses_the_embedded_store(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, mode="production", s3_endpoint="embedded")
    with pytest.raises(SettingsError, match="for demonstrations"):
        embedded.resolve(settings)


def test_production_without_an_endpoint_means_aws(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, mode="production")
    assert embedded.resolve(settings) is settings
    assert not (tmp_path / "store").exists()


def test_an_empty_endpoint_in_the_environment_means_aws_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "NACHWEIS_MODE": "production",
        "NACHWEIS_STATE": str(tmp_path),
        "NACHWEIS_S3_ENDPOINT": "",
        "NACHWEIS_S3_ACCESS_KEY": "",
        "NACHWEIS_S3_SECRET_KEY": "",
        "NACHWEIS_RETENTION": "",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert embedded.resolve(settings) is settings
    access = writer_access(settings)
    assert (access.endpoint, access.key, access.secret) == (None, None, None)
    assert urlsplit(new_client(access).meta.endpoint_url).scheme == "https"
    check = _transport(settings)
    assert (check.status, check.detail) == ("passed", "TLS")
    assert _endpoint(settings) == "AWS"
    assert settings.retention_class == "standard"


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_an_empty_bundle_of_authorities_does_not_switch_verification_off(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "")
    session = new_client(StoreAccess(None, "eu-central-1"))._endpoint.http_session
    assert session._verify is True


def test_engines_trust_the_authorities_that_the_sdk_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.httpsession import where

    config, of_profile, of_variable = (tmp_path / name for name in ("config", "a.crt", "b.crt"))
    for file in (of_profile, of_variable):
        file.write_text("")
    config.write_text(f"[default]\nca_bundle = {of_profile}\n")
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)

    def trusted() -> Path | None:
        access = data_access(at("https://s3.invalid", tmp_path))
        assert access is not None
        return access.ca_file

    assert trusted() == Path(where())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(of_variable))
    assert trusted() == of_variable
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert trusted() == of_profile
    monkeypatch.setenv("AWS_CA_BUNDLE", str(of_variable))
    assert trusted() == of_variable
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path))
    with pytest.raises(SettingsError, match="is not a file"):
        trusted()
    access = data_access(at("http://127.0.0.1:1", tmp_path))
    assert access is not None
    assert access.ca_file is None


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A profile whose credentials expire at once; tells how often they were asked for."""
    asked = tmp_path / "asked"
    script = tmp_path / "credentials.py"
    script.write_text(
        "import datetime as dt, json, pathlib\n"
        f"asked = pathlib.Path({str(asked)!r})\n"
        "n = len(asked.read_text()) if asked.exists() else 0\n"
        "asked.write_text('x' * (n + 1))\n"
        "soon = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=30)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{n}', 'Expiration': soon.isoformat(),"
        "'SecretAccessKey': f'role-secret-{n}', 'SessionToken': f'role-token-{n}'}))\n"
    )
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return lambda: len(asked.read_text())


def test_a_role_reads_with_its_session_token_and_renews_it(
    tmp_path: Path, role: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="nachweis")
    with running_stub() as stub:
        stub.objects["/data/log.csv"] = b"id\n1\n2\n"
        settings = Settings(state=tmp_path, mode="production", s3_endpoint=stub.endpoint)
        access = data_access(settings)
        assert access is not None
        declared = data_set(location="s3://data/log.csv")
        with tables_of(tmp_path, declared, s3=access) as tables:
            assert tables.blob("s3://data/log.csv") == b"id\n1\n2\n"
            first = role()
            assert tables.blob("s3://data/log.csv") == b"id\n1\n2\n"
            statements = " ".join(entry.sql for entry in tables.log.entries)
        sent = [
            (headers["authorization"], headers["x-amz-security-token"])
            for _, _, headers in map(_lowered, stub.requests)
        ]
    assert role() > first
    numbers = {re.search(r"role-token-(\d+)", token).group(1) for _, token in sent}  # type: ignore[union-attr]
    assert len(numbers) > 1
    assert all(f"KEY{token.rpartition('-')[2]}/" in key for key, token in sent)
    for text in (repr(access), statements, caplog.text):
        assert "role-secret" not in text
        assert "role-token" not in text


def test_a_role_that_is_gone_is_a_clear_error_of_the_data_set(
    tmp_path: Path, role: Callable[[], int]
) -> None:
    with running_stub() as stub:
        access = data_access(Settings(state=tmp_path, mode="production", s3_endpoint=stub.endpoint))
        (tmp_path / "credentials.py").write_text("raise SystemExit('role-secret')")
        declared = data_set(location="s3://data/log.csv")
        with (
            tables_of(tmp_path, declared, s3=access) as tables,
            pytest.raises(DataUnavailableError, match="credentials for reading") as caught,
        ):
            tables.blob("s3://data/log.csv")
    assert "role-secret" not in str(caught.value)


def _lowered(request: tuple[str, str, dict[str, str]]) -> tuple[str, str, dict[str, str]]:
    method, path, headers = request
    return method, path, {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("locked", [True, False])
def test_the_policy_demands_tls_only_where_it_can_be_met(tls: bool, locked: bool) -> None:
    policy = bucket_policy("b", locked=locked, tls=tls)
    names = {statement["Sid"] for statement in policy["Statement"]}
    assert ("EncryptedTransportOnly" in names) is tls
    assert ("KeepVersions" in names) is locked
    assert {statement["Effect"] for statement in policy["Statement"]} <= {"Deny"}


# ----------------------------------------------------------------------- a store that lies


def test_production_refuses_a_store_that_ignores_conditions(tmp_path: Path) -> None:
    with running_stub() as stub:
        stub.honours_conditions = False
        with pytest.raises(StoreError, match="second_write_refused") as caught:
            self_test(at(stub.endpoint, tmp_path, mode="production", **ANCHOR))
    assert stub.endpoint not in str(caught.value)


def test_demonstration_reports_the_same_store_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_stub() as stub:
        stub.honours_conditions = False
        found = self_test(at(stub.endpoint, tmp_path))
    assert not found.proven
    assert found.kind == "other"
    failed = {check.guarantee for check in found.failed}
    assert failed >= {
        Guarantee.SECOND_WRITE_REFUSED,
        Guarantee.WRONG_SECRET_REFUSED,
        Guarantee.WRONG_CHECKSUM_REFUSED,
        Guarantee.ANONYMOUS_REFUSED,
        Guarantee.VERSIONS_KEPT,
        Guarantee.LOCK_STORED,
        Guarantee.LOCKED_VERSION_KEPT,
    }
    assert "NOT FIT FOR PRODUCTION" in caplog.text
    text = found.model_dump_json()
    assert "127.0.0.1" not in text
    assert "w-secret" not in text


# -------------------------------------------------------------------------------- patterns

_names = st.text(alphabet="abz0-_.", min_size=1, max_size=6)


@given(st.lists(_names, min_size=1, max_size=4))
def test_stars_stay_within_a_folder_and_double_stars_do_not(parts: list[str]) -> None:
    key = "/".join(parts)
    in_folder = re.fullmatch(_glob("/".join("*" for _ in parts)), key)
    assert in_folder
    assert bool(re.fullmatch(_glob("*"), key)) is (len(parts) == 1)
    assert re.fullmatch(_glob("**"), key)
    assert re.fullmatch(_glob(f"**/{parts[-1]}"), key)
    assert re.fullmatch(_glob(key), key)
    assert not re.fullmatch(_glob(key), f"{key}x")


def test_a_listing_of_data_files_matches_the_whole_key(tmp_path: Path) -> None:
    with running_stub() as stub:
        for key in ("log/2026-10-01/a.parquet", "log/2026-10-01/b.csv", "logs/c.parquet"):
            stub.objects[f"/lake/{key}"] = b"x"
        listing = list_versions(at(stub.endpoint, tmp_path))
        assert [row[0] for row in listing("s3://lake/log/[0-9]*/*.parquet")] == [
            "s3://lake/log/2026-10-01/a.parquet"
        ]
        assert [row[0] for row in listing("s3://lake/log/**")] == [
            "s3://lake/log/2026-10-01/a.parquet",
            "s3://lake/log/2026-10-01/b.csv",
        ]
        assert listing("s3://lake/logs/c.parquet") == [("s3://lake/logs/c.parquet", "", "e")]
        assert listing("s3://lake/logs/none.parquet") == []


_keys = st.lists(st.text(alphabet="01b-.", min_size=1, max_size=4), min_size=1, max_size=3).map(
    lambda parts: "p/" + "/".join(parts)
)


@given(_keys, _keys)
def test_no_order_of_folders_loses_a_key_behind_the_wanted_one(key: str, start_after: str) -> None:
    early = _safe_start("p/", start_after)
    if key > start_after and early:
        assert key > early
        assert key.split("/") > early.split("/")
        assert not key.startswith(f"{early}/")


def test_a_listing_of_the_ledger_skips_most_of_it() -> None:
    assert _safe_start("ledger/", "ledger/0000000123.json") == "ledger/000000012"
    assert _safe_start("ledger/", "") == ""
