"""Signatures of models, held against bundles that the real package made; see their README."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nachweis.domain.errors import DataError
from nachweis.domain.manifest.model import ModelSignature
from nachweis.domain.observation import NO_DATA_SET, ArtefactSignature, SignatureFacts
from nachweis.engines.artefacts import FileReader
from nachweis.engines.model_signatures import verify_signature

MADE = Path(__file__).parent / "model_signatures"
MODEL = {
    f"model/{path.relative_to(MADE / 'model').as_posix()}": path.read_bytes()
    for path in (MADE / "model").rglob("*")
    if path.is_file()
}
KEY, OTHER_KEY, ROOT, OTHER_ROOT = (
    (MADE / name).read_text() for name in ("key.pem", "other-key.pem", "root.pem", "other-root.pem")
)


def verified(
    bundle: str | bytes | None,
    files: dict[str, bytes] | None = None,
    *,
    uri: str = "model/model.txt",
    **whose: str,
) -> SignatureFacts:
    content = (MADE / bundle).read_bytes() if isinstance(bundle, str) else bundle
    memory = dict(MODEL if files is None else files)
    if content is not None:
        memory["model.sig"] = content
    whose = whose or {"public_key": KEY}
    return verify_signature(
        FileReader(memory=memory), ArtefactSignature("1", NO_DATA_SET, uri, "model.sig", **whose)
    )


@pytest.mark.parametrize(
    ("bundle", "whose", "files"),
    [
        ("folder.sig", {"public_key": KEY}, 3),
        ("file-p384.sig", {"public_key": OTHER_KEY}, 1),
        ("certificate.sig", {"certificates": ROOT}, 3),
        ("certificate.sig", {"certificates": OTHER_ROOT + ROOT}, 3),
    ],
)
def test_what_the_real_package_signed_is_valid(bundle: str, whose: Any, files: int) -> None:
    assert verified(bundle, **whose) == SignatureFacts(True, "", files)


@pytest.mark.parametrize(
    ("bundle", "whose", "why"),
    [
        ("folder.sig", {"public_key": OTHER_KEY}, "another key"),
        ("file-p384.sig", {"public_key": KEY}, "another key"),
        ("folder.sig", {"certificates": ROOT}, "not made with a certificate"),
        ("certificate.sig", {"public_key": KEY}, "not made with a key pair"),
        ("certificate.sig", {"certificates": OTHER_ROOT}, "does not lead to a declared one"),
        ("certificate-of-another-use.sig", {"certificates": ROOT}, "is not for signing"),
        (b"", {"public_key": KEY}, "no bundle"),
        (b"[]", {"public_key": KEY}, "mediaType"),
        (None, {"public_key": KEY}, "no signature where the manifest names one"),
    ],
)
def test_what_somebody_else_or_nobody_signed_is_not(bundle: Any, whose: Any, why: str) -> None:
    found = verified(bundle, **whose)
    assert found.valid is False
    assert why in found.reason


@pytest.mark.parametrize(
    ("bundle", "whose", "why"),
    [
        ("blake2.sig", {"public_key": KEY}, "another hash"),
        ("shards.sig", {"public_key": KEY}, "parts of files"),
        ("folder.sig", {"public_key": KEY.replace("A", "B")}, "cannot be read"),
        ("certificate.sig", {"certificates": "none"}, "cannot be read"),
    ],
)
def test_what_is_not_verified_here_is_neither_valid_nor_wrong(
    bundle: str, whose: Any, why: str
) -> None:
    found = verified(bundle, **whose)
    assert found.valid is None
    assert why in found.reason


def test_a_keyless_identity_is_not_verified() -> None:
    content = (MADE / "folder.sig").read_bytes()
    reader = FileReader(memory={**MODEL, "model.sig": content})
    found = verify_signature(
        reader, ArtefactSignature("1", NO_DATA_SET, "model/model.txt", "model.sig")
    )
    assert found.valid is None


def test_a_keyless_bundle_is_wrong_where_certificates_are_declared() -> None:
    bundle = json.loads((MADE / "certificate.sig").read_bytes())
    chain = bundle["verificationMaterial"].pop("x509CertificateChain")
    bundle["verificationMaterial"]["certificate"] = chain["certificates"][0]
    found = verified(json.dumps(bundle).encode(), certificates=ROOT)
    assert found.valid is False
    assert "not made with a certificate" in found.reason


@given(at=st.integers(0, 700), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_malformed_certificate_is_a_wrong_one_never_a_crash(at: int, byte: int) -> None:
    bundle = json.loads((MADE / "certificate.sig").read_bytes())
    first = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"][0]
    der = bytearray(base64.b64decode(first["rawBytes"]))
    same = der[at % len(der)] == byte
    der[at % len(der)] = byte
    first["rawBytes"] = base64.b64encode(der).decode()
    assert verified(json.dumps(bundle).encode(), certificates=ROOT).valid is same


@pytest.mark.parametrize("name", list(MODEL))
def test_every_signed_file_must_be_the_signed_one(name: str) -> None:
    assert verified("folder.sig", {**MODEL, name: MODEL[name] + b" "}).other == 1
    if name != "model/model.txt":
        assert verified("folder.sig", {k: v for k, v in MODEL.items() if k != name}).other == 1


def test_the_model_file_must_be_among_the_signed_ones() -> None:
    found = verified("folder.sig", {**MODEL, "model/more.txt": b""}, uri="model/more.txt")
    assert (found.valid, "not among" in found.reason) == (False, True)


def test_without_a_model_nothing_is_said() -> None:
    with pytest.raises(DataError, match="no such file"):
        verified("folder.sig", {})


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_changed_bit_of_what_counts_goes_unseen(place: int, bit: int) -> None:
    bundle = json.loads((MADE / "folder.sig").read_bytes())
    envelope = bundle["dsseEnvelope"]
    holder, name = (envelope, "payload") if place % 2 else (envelope["signatures"][0], "sig")
    content = bytearray(base64.b64decode(holder[name]))
    content[place // 2 % len(content)] ^= 1 << bit
    holder[name] = base64.b64encode(bytes(content)).decode()
    assert verified(json.dumps(bundle).encode()).valid is False


# ------------------------------------------------------------- statements that a signer could make


SIGNER = ec.generate_private_key(ec.SECP256R1())
SIGNER_KEY = SIGNER.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def _signed(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The statement of the real package, changed and signed again."""
    bundle = json.loads((MADE / "folder.sig").read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    kind = bundle["dsseEnvelope"]["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signature = SIGNER.sign(signed, ec.ECDSA(hashes.SHA256()))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(signature).decode()}]
    bundle["verificationMaterial"]["publicKey"]["hint"] = ""
    return json.dumps(bundle).encode()


def test_a_statement_that_is_signed_again_is_valid() -> None:
    assert verified(_signed(lambda _: None), public_key=SIGNER_KEY.decode()).valid is True


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda s: s["predicate"]["resources"].pop(),
        lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
        lambda s: s["predicate"]["resources"][0].update(name="../config.json"),
        lambda s: s["predicate"]["resources"][0].update(name="/config.json"),
        lambda s: s["predicate"]["resources"][0].update(digest="zz"),
        lambda s: s["predicate"]["resources"][0].update(algorithm="md5"),
        lambda s: s["predicate"].update(resources=[]),
        lambda s: s.update(subject=[]),
        lambda s: s["subject"][0]["digest"].update(sha256="0" * 64),
    ],
)
def test_a_statement_that_is_not_of_the_format_is_not_valid(change: Any) -> None:
    assert verified(_signed(change), public_key=SIGNER_KEY.decode()).valid is False


def test_a_statement_from_before_1_0_is_told_apart() -> None:
    first = _signed(lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"))
    assert verified(first, public_key=SIGNER_KEY.decode()).valid is None


@pytest.mark.parametrize(
    ("whose", "why"),
    [
        ({}, "exactly one"),
        ({"public_key": KEY, "certificates": ROOT}, "exactly one"),
        ({"public_key": ROOT}, "PEM text"),
        ({"certificates": KEY}, "PEM text"),
        ({"public_key": "-----BEGIN EC PRIVATE KEY-----"}, "private key"),
    ],
)
def test_a_manifest_says_whose_signature_it_is_in_one_way(whose: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ModelSignature.model_validate({"uri": "model.sig", **whose})
