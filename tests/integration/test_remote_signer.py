"""A key that never leaves its key service signs a store: against a real OpenBao server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nachweis.domain.canonical import digest
from nachweis.domain.errors import NachweisError, SettingsError
from nachweis.settings import Settings
from nachweis.storage import layout, signing
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.remote_signers import fetch_public_key
from nachweis.storage.s3 import open_store
from nachweis.storage.verify import verify_store
from tests.evidence_world import Copy, copy_of, ledger_of
from tests.integration.night_support import command, place
from tests.key_service import KeyService, key_service
from tests.memory_store import MemoryStore
from tests.signed_store import SignedStore, signed_store
from tests.three_verifiers import problems

NIGHTS = ("2026-03-01", "2026-03-02", "2026-03-03")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyService]:
    with key_service(tmp_path_factory.mktemp("openbao")) as running:
        yield running


@pytest.fixture
def own_key(service: KeyService, request: pytest.FixtureRequest) -> Iterator[str]:
    """A key of this test's own, and the environment of a signer that may use it, and no other."""
    name = f"key-{digest(request.node.name)[:12]}"
    kind = getattr(request, "param", "ed25519")
    service.make_key(name, kind)
    with service.used_with(service.token_for(name)):
        yield name


@pytest.fixture
def signer(own_key: str, tmp_path: Path) -> Any:
    """A signer as the product opens it."""
    return opened(*fetch_public_key(f"hv:{own_key}", Settings()), tmp_path)


def opened(uri: str, pem: str, folder: Path) -> Any:
    path = folder / "remote.pem"
    path.write_text(pem)
    return signing.open_signer(Settings(signer=uri, signer_public_key=str(path)))


def local(folder: Path, name: str) -> Any:
    path = signing.generate_key(folder / f"{name}.pem")
    return signing.open_signer(Settings(signer=f"file2:{path}"))


def signed_by(store: SignedStore, signer: Any) -> SignedStore:
    """The same store in the hands of another signer."""
    return replace(store, ledger=replace(store.ledger, signer=signer))


def test_keys_move_from_a_file_to_the_service_and_back(signer: Any, tmp_path: Path) -> None:
    file, reserve = local(tmp_path, "first"), local(tmp_path, "reserve")
    before = signed_store(MemoryStore(), file, anchor=MemoryStore())
    before.night(NIGHTS[0])
    before.ledger.rotate(signer)
    there = signed_by(before, signer)
    there.night(NIGHTS[1], status="suspended")
    there.ledger.rotate(reserve, announce_only=True)
    last = signed_by(there, reserve)
    end = last.ledger.revoke(signer.public_key.keyid, from_sequence=5, reason="superseded")
    last.night(NIGHTS[2], status="ended")
    with pytest.raises(NachweisError, match="does not know the signer's key"):
        there.night("2026-03-04", status="planned")
    for trusted in (file, signer, reserve):  # whichever the auditor pinned
        report = verify_store(last.records, {trusted.public_key.keyid}, anchor=last.ledger.anchor)
        assert (report.problems, report.ok) == ((), True)
        assert report.entries == end.entry.sequence + 1


@pytest.mark.parametrize("own_key", ["ecdsa-p256", "rsa-2048"], indirect=True)
def test_other_kinds_of_key_in_the_service_sign_too(
    service: KeyService, own_key: str, tmp_path: Path
) -> None:
    signer = opened(f"hv:{own_key}/1", service.public_pem(own_key), tmp_path)
    store = signed_store(MemoryStore(), signer)
    store.night(NIGHTS[0])
    assert verify_store(store.records, store.trusted).ok


@pytest.mark.parametrize("own_key", ["ecdsa-p384"], indirect=True)
def test_a_signature_that_does_not_verify_is_never_written(
    service: KeyService, own_key: str, tmp_path: Path
) -> None:
    """The client library asks for SHA-256 whatever the curve, where P-384 goes with SHA-384."""
    signer = opened(f"hv:{own_key}/1", service.public_pem(own_key), tmp_path)
    store = signed_store(MemoryStore(), signer)
    with pytest.raises(NachweisError, match="nothing was written"):
        store.night(NIGHTS[0])
    assert not list(store.records.list(layout.LEDGER))


def test_another_keys_public_part_is_noticed_before_anything_is_signed_for_good(
    signer: Any, own_key: str, tmp_path: Path
) -> None:
    """As when an alias of the service was pointed to a new key."""
    store = signed_store(MemoryStore(), signer)
    store.night(NIGHTS[0])
    before = [one.key for one in store.records.list(layout.LEDGER)]
    stale = signing.public_key_pem(local(tmp_path, "other").public_key)
    mixed = signed_store(store.records, opened(f"hv:{own_key}/1", stale, tmp_path))
    with pytest.raises(NachweisError, match="does not know the signer's key"):
        mixed.night(NIGHTS[1])
    with pytest.raises(NachweisError, match="nothing was written"):
        store.ledger.rotate(mixed.ledger.signer)
    assert [one.key for one in store.records.list(layout.LEDGER)] == before
    store.night(NIGHTS[1], "f" * 16)
    assert verify_store(store.records, store.trusted).ok


def test_a_token_that_was_revoked_signs_nothing_and_the_night_can_be_repeated(
    service: KeyService, signer: Any, own_key: str, tmp_path: Path
) -> None:
    store = signed_store(MemoryStore(), signer)
    store.night(NIGHTS[0])
    token = service.token_for(own_key)
    pem = signing.public_key_pem(signer.public_key)
    with service.used_with(token):
        short = signed_store(store.records, opened(f"hv:{own_key}/1", pem, tmp_path))
    service.administrator.auth.token.revoke(token)
    with pytest.raises(NachweisError, match=r"the signer failed \(Forbidden\)") as caught:
        short.night(NIGHTS[1])
    assert token not in str(caught.value)
    assert verify_store(store.records, store.trusted).ok
    store.night(NIGHTS[1], "f" * 16)
    assert verify_store(store.records, store.trusted).entries == 3


def test_who_may_sign_with_one_key_may_not_use_another(service: KeyService, own_key: str) -> None:
    service.make_key("of-somebody-else")
    with pytest.raises(SettingsError, match="Forbidden"):
        fetch_public_key("hv:of-somebody-else", Settings())


def test_the_version_of_a_key_is_part_of_its_name(service: KeyService, own_key: str) -> None:
    assert fetch_public_key(f"hv:{own_key}/1", Settings())[0] == f"hv:{own_key}/1"
    service.administrator.secrets.transit.rotate_key(own_key)
    assert fetch_public_key(f"hv:{own_key}", Settings())[0] == f"hv:{own_key}/2"
    with pytest.raises(SettingsError, match="newer version"):
        fetch_public_key(f"hv:{own_key}/1", Settings())


@pytest.mark.parametrize("address", [None, "", "http://keys.example:8200", "keys.example:8200"])
def test_the_service_is_never_asked_without_encryption(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address is None:
        monkeypatch.delenv("VAULT_ADDR", raising=False)
    else:
        monkeypatch.setenv("VAULT_ADDR", address)
    with pytest.raises(SettingsError, match="not encrypted"):
        fetch_public_key("hv:ledger", Settings())


@pytest.mark.parametrize("uri", ["hv:", "hv:a/b", "hsm:x", "file2:/x", "gnupg:x", "hv:a/1/2"])
def test_malformed_names_of_keys_are_refused(service: KeyService, uri: str) -> None:
    with service.used_with("none"), pytest.raises(SettingsError):
        fetch_public_key(uri, Settings())


@pytest.mark.store
def test_the_command_line_hands_a_ledger_over_to_the_service(
    own_key: str,
    embedded_store: EmbeddedStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with place(tmp_path, embedded_store) as here:
        records = open_store(here.settings, "records")
        store = SignedStore(records, ledger_of(here.settings))
        store.night(NIGHTS[0])
        (pinned,) = store.trusted
        public = tmp_path / "service.pem"
        code, out, err = command("key", "fetch", f"hv:{own_key}", str(public))
        assert (code, err) == (0, "")
        uri = out.split("signer  ")[1].strip()
        fingerprint = out.split("fingerprint  ")[1].split()[0]
        code, _, err = command("key", "fetch", f"hv:{own_key}", str(public))
        assert (code, "keys are kept" in err) == (2, True)
        code, out, err = command("key", "rotate", "--to", uri, "--public-key", str(public))
        assert (code, err) == (0, "")
        assert f"NACHWEIS_SIGNER={uri} and NACHWEIS_SIGNER_PUBLIC_KEY={public}" in out
        monkeypatch.setenv("NACHWEIS_SIGNER", uri)
        monkeypatch.setenv("NACHWEIS_SIGNER_PUBLIC_KEY", str(public))
        remote = here.settings.model_copy(update={"signer": uri, "signer_public_key": str(public)})
        replace(store, ledger=ledger_of(remote)).night(NIGHTS[1], status="suspended")
        listed = command("key", "list")[1].splitlines()
        assert listed[0].startswith(pinned) and "ended by entry" in listed[0]
        assert listed[1].startswith(fingerprint) and listed[1].endswith("in force, own")
        code, out, _ = command("verify", "--trusted", pinned)
        assert (code, "Anchored   up to entry 4" in out) == (0, True)
        folder = Copy(copy_of(here)).write(tmp_path / "copy")
    for trusted in (pinned, fingerprint):
        assert not any(problems(folder, trusted).values())
