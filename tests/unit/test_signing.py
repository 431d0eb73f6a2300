"""Keys are private, named by what they are, and only their signatures count."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.canonical import canonical_bytes
from nachweis.domain.errors import IntegrityError, SettingsError
from nachweis.settings import Settings
from nachweis.storage import signing

PAYLOAD = canonical_bytes({"a": 1})


def _settings(tmp_path: Path, **more: object) -> Settings:
    return Settings(state=tmp_path / "state", **more)  # type: ignore[arg-type]


def _write_key(path: Path, private: object) -> Path:
    path.write_bytes(
        private.private_bytes(  # type: ignore[attr-defined]
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    return path


def test_the_demonstration_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    first = signing.open_signer(settings)
    again = signing.open_signer(settings)
    path = settings.state / "keys" / signing.KEY_FILE
    assert first.public_key.keyid == again.public_key.keyid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert signing.pinned(path.with_suffix(".pub")) == first.public_key.keyid
    assert not [item for item in path.parent.iterdir() if item.name.startswith(".")]


def test_processes_that_start_together_use_one_key(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        signers = list(pool.map(lambda _: signing.open_signer(settings), range(8)))
    assert len({signer.public_key.keyid for signer in signers}) == 1


def test_production_needs_an_explicit_signer(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="explicit signer"):
        signing.open_signer(_settings(tmp_path, mode="production"))
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("uri", ["file:/x", "gnupg:abc", "http://x/y", "", "file2:", "file2://h/x"])
def test_other_signers_are_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SettingsError):
        signing.open_signer(_settings(tmp_path, signer=uri))


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = signing.generate_key(tmp_path / "keys" / "k.pem")
    path.chmod(0o604)
    with pytest.raises(SettingsError, match="everybody"):
        signing.open_signer(_settings(tmp_path, signer=f"file2:{path}"))


def test_remote_signers_need_their_public_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="public key"):
        signing.open_signer(_settings(tmp_path, signer="awskms:alias/ledger"))


def test_a_missing_client_library_is_named(tmp_path: Path) -> None:
    """The library of hardware modules is not among the product's own."""
    path = _write_key(tmp_path / "k.pem", ec.generate_private_key(ec.SECP256R1()))
    key = signing.open_signer(_settings(tmp_path, signer=f"file2:{path}")).public_key
    public = tmp_path / "k.pub"
    public.write_text(signing.public_key_pem(key))
    with pytest.raises(SettingsError, match="not installed"):
        signing.open_signer(_settings(tmp_path, signer="hsm:2", signer_public_key=str(public)))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_signs_and_verifies(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "k.pem"
    if kind == "ed25519":
        signing.generate_key(path)
    elif kind == "ecdsa":
        _write_key(path, ec.generate_private_key(ec.SECP256R1()))
    else:
        _write_key(path, rsa.generate_private_key(65537, 2048))
    signer = signing.open_signer(_settings(tmp_path, signer=f"file2:{path}"))
    pem = signing.public_key_pem(signer.public_key)
    key = signing.load_public_key(pem)
    assert key == signer.public_key
    der = serialization.load_pem_public_key(pem.encode()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key.keyid == hashlib.sha256(der).hexdigest()
    verified = signing.verify_envelope(signing.sign(signer, PAYLOAD), {key.keyid: key})
    assert verified.payload == PAYLOAD
    assert verified.keyids == {key.keyid}


def test_the_fingerprint_is_what_openssl_prints(tmp_path: Path) -> None:
    path = signing.generate_key(tmp_path / "k.pem").with_suffix(".pub")
    try:
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-outform", "DER", "-in", path],
            capture_output=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert hashlib.sha256(der).hexdigest() == signing.pinned(path)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, object]:
    path = signing.generate_key(tmp_path_factory.mktemp("keys") / "k.pem")
    signer = signing.open_signer(Settings(signer=f"file2:{path}"))
    return signing.sign(signer, PAYLOAD), signer.public_key


def test_an_unknown_key_does_not_count(signed: tuple[bytes, object], tmp_path: Path) -> None:
    signing.generate_key(tmp_path / "o.pem")
    other = signing.load_public_key((tmp_path / "o.pub").read_bytes())
    with pytest.raises(IntegrityError, match="no key"):
        signing.verify_envelope(signed[0], {other.keyid: other})


@given(data=st.data())
def test_any_changed_byte_is_noticed(signed: tuple[bytes, object], data: st.DataObject) -> None:
    envelope, key = signed
    position = data.draw(st.integers(0, len(envelope) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != envelope[position]))
    changed = envelope[:position] + bytes([byte]) + envelope[position + 1 :]
    try:
        verified = signing.verify_envelope(changed, {key.keyid: key})  # type: ignore[attr-defined]
    except IntegrityError:
        return
    assert verified.payload == PAYLOAD


@given(st.binary(max_size=200))
def test_noise_is_not_an_envelope(noise: bytes) -> None:
    with pytest.raises(IntegrityError):
        signing.open_envelope(noise)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payloadType", "application/json"),
        ("payload", "eyJhIjogMX0="),  # {"a": 1} with a space: not canonical
        ("signatures", [{"keyid": "../../etc", "sig": "AA=="}]),
        ("signatures", "none"),
    ],
)
def test_envelopes_of_another_form_are_refused(
    signed: tuple[bytes, object], field: str, value: object
) -> None:
    document = json.loads(signed[0])
    document[field] = value
    with pytest.raises(IntegrityError):
        signing.open_envelope(json.dumps(document).encode())


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PUBLIC KEY-----\nAA==\n"])
def test_a_pinned_root_must_be_a_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "root").write_text(text)
    with pytest.raises(SettingsError):
        signing.pinned(tmp_path / "root")
    with pytest.raises(SettingsError):
        signing.pinned(tmp_path / "absent")
