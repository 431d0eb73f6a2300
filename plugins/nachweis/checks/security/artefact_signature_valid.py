"""Whether the stored model carries a valid signature of the declared signer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from nachweis.checks.security._common import served
from nachweis.checks.security._signed import BUNDLE, OTHER_KEY, PUBLIC_KEY, SIGNED_FILE
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import (
    NO_DATA_SET,
    ArtefactSignature,
    Observations,
    Request,
    SignatureFacts,
)


def _model(**whose: str) -> Mapping[str, Any]:
    artefact = {"uri": "m", "format": "native", "digest": sha256(SIGNED_FILE).hexdigest()}
    signature = {"uri": "m.sig", **whose} if whose else None
    return {"versions": [{"version": "1", "artefact": artefact, "signature": signature}]}


_SIGNED = {"m": SIGNED_FILE, "m.sig": BUNDLE}


class ArtefactSignatureValid(Check):
    """Is the stored model signed by whom the manifest names?

    Why: A digest says that a file is the declared one; a signature says who released it, and holds
        for every file of the model at once (Art. 32(1)(b) GDPR; ATLAS AML.T0010.003).
    Method: The bundle of each served version is verified as OpenSSF Model Signing 1.0 describes:
        ECDSA signature over a DSSE envelope under the declared public key, or under a certificate
        that leads to a declared one and is for signing; digest of the whole model; SHA-256 of every
        file that it names (true or false), the model file among them. Undefined without a declared
        signature, and for keyless identities, files in parts and other hashes, which are not
        verified here. Source: OpenSSF Model Signing, predicate model_signing/signature/v1.0; DSSE
        1.0; in-toto Statement 1.
    Leaves out: Whether the signer's certificate was revoked, or had expired when it signed: nobody
        vouches for that moment. Files beside the model that no signature names. Whether the
        signature is that of an older version of the same signer; its digest tells.
    """

    severity = Severity.CRITICAL
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("ARTIFACT-SCAN",)
    needs = (Needs.ARTEFACT, Needs.MODEL_SIGNATURE)
    model_kinds = frozenset(ModelKind) - {ModelKind.RULES, ModelKind.EXTERNAL_AUDIENCE}
    remediation = (
        "Do not load the model. Compare it with the one that was released, find out who wrote the "
        "file or the signature and when, and restore both. If the model was released anew, have it "
        "signed again; if the signer's key was replaced, declare the new one after asking the "
        "signer."
    )
    examples = (
        Example(
            "signed with the declared key",
            Outcome.PASS,
            {},
            model=_model(public_key=PUBLIC_KEY),
            files=_SIGNED,
        ),
        Example(
            "another file than the signed one",
            Outcome.FAIL,
            {},
            model=_model(public_key=PUBLIC_KEY),
            files={**_SIGNED, "m": SIGNED_FILE + b"visits=9\n"},
        ),
        Example(
            "signed with another key",
            Outcome.FAIL,
            {},
            model=_model(public_key=OTHER_KEY),
            files=_SIGNED,
        ),
        Example(
            "the declared signature is not there",
            Outcome.FAIL,
            {},
            model=_model(public_key=PUBLIC_KEY),
            files={"m": SIGNED_FILE},
        ),
        Example("no signature declared", Outcome.NOT_AVAILABLE, {}, model=_model(), files=_SIGNED),
        Example(
            "a keyless identity",
            Outcome.NOT_AVAILABLE,
            {},
            model=_model(identity="release workflow of the repository"),
            files=_SIGNED,
        ),
        Example(
            "no model where it should lie",
            Outcome.NOT_AVAILABLE,
            {},
            model=_model(public_key=PUBLIC_KEY),
            files={"m.sig": BUNDLE},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The signature of each served version that declares one."""
        for version in served(inputs):
            if version.artefact is None or version.signature is None:
                continue
            declared = version.signature
            yield ArtefactSignature(
                version.version,
                NO_DATA_SET,
                version.artefact.uri,
                declared.uri,
                declared.public_key,
                declared.certificates,
            )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per served version with a file."""
        reasons = dict(observations.missing())
        versions = [version for version in served(inputs) if version.artefact is not None]
        for version in versions:
            facts = observations.get(version.version)
            if version.signature is None:
                text = f"Version {version.version} declares no signature."
                declare = Needs.MODEL_SIGNATURE.declare
            elif facts is None:
                reason = reasons.get(version.version, "no file")
                text = (
                    f"The signature of version {version.version} could not be verified: {reason}."
                )
                declare = "a file and a signature that can be read"
            else:
                yield self._finding(inputs, version.version, facts)
                continue
            yield self.finding(
                inputs, Outcome.NOT_AVAILABLE, text, column=version.version, declare=declare
            )
        if not versions:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No version that is served tonight declares its file.",
                declare=Needs.ARTEFACT.declare,
            )

    def _finding(self, inputs: Inputs, version: str, facts: SignatureFacts) -> Finding:
        declare = ""
        if facts.valid is None:
            outcome = Outcome.NOT_AVAILABLE
            text = f"The signature of version {version} was not verified: {facts.reason}."
            declare = "'public_key' or 'certificates' of a signature over whole files"
        elif facts.valid:
            outcome = Outcome.PASS
            text = "The model is signed by the declared signer, and every signed file is there."
        else:
            outcome = Outcome.FAIL
            text = f"The declared signature does not hold: {facts.reason}."
        measured = [
            Measurement(
                name="signature_valid",
                value=facts.valid,
                threshold=Threshold(value="true", operator="==", source="model manifest"),
                recipe="OpenSSF Model Signing 1.0, verified without a network",
                reason=facts.reason if facts.valid is None else "",
            ),
            Measurement(
                name="signed_files_changed",
                value=facts.other,
                unit="files",
                threshold=Threshold(value=0, operator="<=", source="check default"),
                n=facts.files,
                recipe="SHA-256 of every file that the signature names",
            ),
        ]
        return self.finding(
            inputs,
            outcome,
            text,
            measurements=measured if facts.files or facts.valid is None else measured[:1],
            column=version,
            scope=f"file and signature of version {version}",
            declare=declare,
        )
