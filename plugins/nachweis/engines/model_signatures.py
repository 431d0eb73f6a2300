"""Signatures of stored models in the format of OpenSSF Model Signing, without a network.

The bundle holds a DSSE envelope around an in-toto statement that names every file of the model with
its SHA-256. It is verified with the key or the certificates that the manifest declares; what the
bundle itself says about its signer is compared with them and never trusted.

Read strictly: whatever is not exactly as the format says is no valid signature. Forms of the format
that this module does not read (keyless identities, files in parts, other hashes, releases before
1.0) are told apart from wrong ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from nachweis.domain.errors import DataError, NotDeliveredError
from nachweis.domain.observation import ArtefactSignature, SignatureFacts
from nachweis.engines.artefacts import FileReader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

LARGEST = 16_000_000
"""Bytes beyond which a file is no signature."""
_MOST_FILES = 10_000
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_FIRST_PREDICATE = "https://model_signing/Digests/v0.1"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


class _InvalidError(Exception):
    """The signature is not what it should be; the text is the end of a sentence."""


class _UnreadError(Exception):
    """The signature is of a kind that is not verified here; the text is the end of a sentence."""


@dataclass(frozen=True)
class _Named:
    """Files that a signature names: path below the model's folder to SHA-256."""

    files: Mapping[str, str]


def verify_signature(files: FileReader, request: ArtefactSignature) -> SignatureFacts:
    """Verify a model's signature and every file that it names.

    Args:
        files: Opens the bundle and the files.
        request: The model file, the bundle, and who must have signed.

    Returns:
        Whether it holds.

    Raises:
        DataError: If the model file or the bundle cannot be reached.
    """
    with files.open(request.uri):
        pass  # without a model there is nothing that a signature could be about
    try:
        try:
            with files.open(request.signature) as stream:
                content = stream.read(LARGEST + 1)
        except NotDeliveredError as error:
            raise _InvalidError("there is no signature where the manifest names one") from error
        named = _statement(_verified(content, request))
        root = _root(request.uri, named)
    except _InvalidError as error:
        return SignatureFacts(False, str(error))
    except _UnreadError as error:
        return SignatureFacts(None, str(error))
    other = sum(_digest(files, root, name) != digest for name, digest in named.files.items())
    if other:
        reason = "files that it names are missing or are not the signed ones"
        return SignatureFacts(False, reason, len(named.files), other)
    return SignatureFacts(True, "", len(named.files))


# -------------------------------------------------------------------------------------- bundle


def _verified(content: bytes, request: ArtefactSignature) -> bytes:
    """The signed payload of a bundle, once its one signature holds."""
    if len(content) > LARGEST:
        raise _InvalidError("the file is too large to be a signature")
    try:
        bundle = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _InvalidError("the file is no bundle") from error
    if _text(bundle, "mediaType") != _BUNDLE:
        raise _InvalidError("the file is no bundle of the form that OpenSSF Model Signing writes")
    material = _object(bundle, "verificationMaterial")
    envelope = _object(bundle, "dsseEnvelope")
    if _text(envelope, "payloadType") != _PAYLOAD:
        raise _InvalidError("it signs something else than a statement")
    signatures = _list(envelope, "signatures")
    if len(signatures) != 1:
        raise _InvalidError("it holds not one signature")
    payload = _bytes(_text(envelope, "payload"))
    signature = _bytes(_text(signatures[0], "sig"))
    _demand_signature(_key(material, request), signature, _encoded(payload))
    return payload


def _encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)


def _demand_signature(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    hashed = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
    try:
        key.verify(signature, signed, ec.ECDSA(hashed))
    except InvalidSignature as error:
        raise _InvalidError("the signature does not verify under the declared key") from error


def _key(material: Mapping[str, Any], request: ArtefactSignature) -> EllipticCurvePublicKey:
    """The public key under which the signature must verify."""
    if request.public_key is not None:
        from cryptography.hazmat.primitives import serialization

        try:
            key = serialization.load_pem_public_key(request.public_key.encode())
        except Exception as error:  # the library raises many kinds
            raise _UnreadError("the declared public key cannot be read") from error
        found = _of_a_known_curve(key)
        _demand_hint(material, found)
        return found
    if request.certificates is not None:
        return _certified(material, request.certificates)
    raise _UnreadError("a keyless identity cannot be verified without a network")


def _demand_hint(material: Mapping[str, Any], key: EllipticCurvePublicKey) -> None:
    """Compare the bundle's name of its key with the declared one, for a clearer reason."""
    from cryptography.hazmat.primitives import serialization

    named = material.get("publicKey")
    if not isinstance(named, Mapping):
        raise _InvalidError("it was not made with a key pair, and a public key is declared")
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if named.get("hint") not in (None, "", hashlib.sha256(pem).hexdigest()):
        raise _InvalidError("it was made with another key than the declared one")


def _of_a_known_curve(key: Any) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise _UnreadError("the key is of a kind that OpenSSF Model Signing does not use")
    return key


# -------------------------------------------------------------------------------- certificates


def _certified(material: Mapping[str, Any], trusted: str) -> EllipticCurvePublicKey:
    """The signer's key, once its certificate leads to a trusted one.

    Nobody vouches for the moment of signing. As the format's own tool does, certificates are held
    to the first moment of the signer's certificate.
    """
    from cryptography import x509
    from cryptography.x509 import verification

    chain = material.get("x509CertificateChain")
    if not isinstance(chain, Mapping):
        # One of a keyless identity too: whoever swaps the bundle must not turn a failure into less.
        raise _InvalidError("it was not made with a certificate, and certificates are declared")
    found = [_bytes(_text(one, "rawBytes")) for one in _list(chain, "certificates")]
    try:
        roots = x509.load_pem_x509_certificates(trusted.encode())
    except ValueError as error:
        raise _UnreadError("the declared certificates cannot be read") from error
    try:
        signer, *between = [x509.load_der_x509_certificate(one) for one in found]
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(roots))
            .time(signer.not_valid_before_utc.replace(tzinfo=None))
            # What a certificate authority must be is checked; what a web server must be is not.
            .extension_policies(
                ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
                ee_policy=verification.ExtensionPolicy.permit_all(),
            )
            .build_client_verifier()
        )
        verifier.verify(signer, between)
        may_sign, key = _may_sign(signer), signer.public_key()
    except verification.VerificationError as error:
        raise _InvalidError("its certificate does not lead to a declared one") from error
    except Exception as error:  # whoever writes the bundle chooses how it is malformed
        raise _InvalidError("its certificates cannot be read") from error
    if not may_sign:
        raise _InvalidError("its certificate is not for signing")
    return _of_a_known_curve(key)


def _may_sign(certificate: Any) -> bool:
    """Whether a certificate is for digital signatures or for signing code."""
    from cryptography import x509

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        if usage.value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return False
    return x509.oid.ExtendedKeyUsageOID.CODE_SIGNING in purposes.value


# ----------------------------------------------------------------------------------- statement


def _statement(payload: bytes) -> _Named:
    """The files that a signed statement names."""
    try:
        statement = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _InvalidError("what is signed is no statement") from error
    if _text(statement, "_type") != _STATEMENT:
        raise _InvalidError("what is signed is no in-toto statement of version 1")
    kind = _text(statement, "predicateType")
    if kind == _FIRST_PREDICATE:
        raise _UnreadError("it is of a form from before OpenSSF Model Signing 1.0")
    if kind != _PREDICATE:
        raise _InvalidError("what is signed is not about a model")
    predicate = _object(statement, "predicate")
    serialization = _object(predicate, "serialization")
    if serialization.get("method") != "files":
        raise _UnreadError("it names parts of files instead of files")
    if serialization.get("hash_type") != "sha256":
        raise _UnreadError("it names files by another hash than SHA-256")
    resources = _list(predicate, "resources")
    if not resources or len(resources) > _MOST_FILES:
        raise _InvalidError("it names no file, or too many")
    files: dict[str, str] = {}
    for resource in resources:
        name, digest = _text(resource, "name"), _text(resource, "digest")
        if _text(resource, "algorithm") != "sha256" or name in files or not _below(name):
            raise _InvalidError(
                "it names a file twice, outside the model's folder or by no SHA-256"
            )
        files[name] = digest
    subjects = _list(statement, "subject")
    if len(subjects) != 1 or _text(_object(subjects[0], "digest"), "sha256") != _together(files):
        raise _InvalidError("its digest of the whole model is not that of the files it names")
    return _Named(files)


def _below(name: str) -> bool:
    """Whether a name stays below the folder that it starts from."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _together(files: Mapping[str, str]) -> str:
    """SHA-256 over the digests of all files, in the statement's order."""
    found = hashlib.sha256()
    for digest in files.values():
        try:
            found.update(bytes.fromhex(digest))
        except ValueError as error:
            raise _InvalidError("it names a digest that is none") from error
    return found.hexdigest()


def _root(uri: str, named: _Named) -> str:
    """Where the names start, from the one that is the model file's; ``uri`` itself for a lone file.

    Raises:
        _InvalidError: If the model file is not among the signed ones.
    """
    if set(named.files) == {"."}:
        return uri
    below = [name for name in named.files if uri == name or uri.endswith(f"/{name}")]
    if not below:
        raise _InvalidError("the model file is not among the files that it names")
    return uri.removesuffix(max(below, key=len))


def _digest(files: FileReader, root: str, name: str) -> str | None:
    """SHA-256 of a named file; None if it is not there."""
    found = hashlib.sha256()
    try:
        with files.open(root if name == "." else f"{root}{name}") as stream:
            while block := stream.read(1 << 20):
                found.update(block)
    except NotDeliveredError:
        return None
    except DataError as error:
        raise DataError(
            f"a file that it names cannot be read: {error.what}", where="signature"
        ) from (error)
    return found.hexdigest()


# ---------------------------------------------------------------------------------------- JSON


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, str):
        raise _InvalidError(f"it has no text {name!r} where the format has one")
    return found


def _object(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping):
        raise _InvalidError(f"it has no object {name!r} where the format has one")
    return found


def _list(value: Any, name: str) -> Sequence[Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, list):
        raise _InvalidError(f"it has no list {name!r} where the format has one")
    return found


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _InvalidError("it holds what is no base64") from error
