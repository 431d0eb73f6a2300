"""Whether the stored model is the approved one, and what it would run when loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from nachweis.checks.security._common import served, skops_naming
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import ModelKind
from nachweis.domain.manifest.model import ModelArtefact
from nachweis.domain.observation import NO_DATA_SET, Artefact, ArtefactFacts, Observations, Request

_RUNS_CODE = frozenset({"pickle", "joblib"})
_UNREAD = frozenset({"unknown", "zip"})
"""Forms whose loading may run code that is not seen here, such as Keras or R archives."""
_READ_AS = {"skops": {"skops"}, "onnx": {"onnx"}, "pickle": {"pickle"}, "joblib": {"joblib"}}


_PLAIN = skops_naming("sklearn.linear_model._logistic.LogisticRegression", "numpy.ndarray")
_HARMFUL = skops_naming("sklearn.pipeline.Pipeline", "os.system")
# Protocol 0 of "call posix.system with an empty text"; it is read opcode by opcode, never loaded.
_PICKLED = b"cposix\nsystem\n(V\ntR."


def _model(content: bytes, format_: str = "skops", **artefact: Any) -> Mapping[str, Any]:
    declared = {"uri": "m", "format": format_, "digest": sha256(content).hexdigest(), **artefact}
    return {"versions": [{"version": "1", "artefact": declared}]}


class ArtefactAsApproved(Check):
    """Is the stored model the approved file, in a form that runs no code when it is loaded?

    Why: Whoever can replace a model file decides in its name, and a pickle runs whatever it holds
        on the machine that loads it (Art. 32(1)(b) GDPR; ATLAS AML.T0018 and AML.T0011.000).
    Method: The file of each served version is read, never loaded. Its SHA-256 must equal the
        declared one (true or false) and its form, told by content, the declared format. Pickles are
        followed opcode by opcode, archives member by member; every name they would import and every
        call must be on an allow-list of estimators and arrays (count of what is not, 0 or more).
        Names that picklescan knows as dangerous are refused as well (a second opinion on pickles).
        Pickle and joblib fail even so unless ``allow_pickle`` is set. Signature files beside it are
        reported. Undefined without a file, for models that are services, and for native files whose
        form is not known here.
        Source: this project; opcodes as in Python's pickletools; types as in skops; picklescan
        1.0.5.
    Leaves out: Whether a signature is valid: ``artefact_signature_valid`` verifies it. What an
        ONNX or native file computes. That a pickle of listed names and operations does no harm:
        it is not loaded. Whether the serving system really loaded this file.
    """

    severity = Severity.CRITICAL
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("ARTIFACT-SCAN",)
    needs = (Needs.ARTEFACT,)
    model_kinds = frozenset(ModelKind) - {ModelKind.RULES, ModelKind.EXTERNAL_AUDIENCE}
    params = (
        Param(
            "allow_pickle",
            False,
            "true or false",
            "design default of this project",
            "Accept pickle and joblib files all of whose imports and calls are on the allow-list.",
        ),
    )
    remediation = (
        "Do not load the file. Compare it with the one that was approved, find out who wrote it "
        "and when, and restore the approved one. If the change was intended, have the new version "
        "approved and declare its digest. Store models as skops or ONNX instead of pickle."
    )
    examples = (
        Example("the approved file", Outcome.PASS, {}, model=_model(_PLAIN), files={"m": _PLAIN}),
        Example(
            "another file than the approved one",
            Outcome.FAIL,
            {},
            model=_model(_PLAIN),
            files={"m": skops_naming("sklearn.pipeline.Pipeline")},
        ),
        Example(
            "a file that would call the system",
            Outcome.FAIL,
            {},
            model=_model(_HARMFUL),
            files={"m": _HARMFUL},
        ),
        Example(
            "a pickle that would call the system",
            Outcome.FAIL,
            {},
            model=_model(_PICKLED, "pickle"),
            files={"m": _PICKLED},
            params={"allow_pickle": True},
        ),
        Example(
            "no digest declared",
            Outcome.NOT_AVAILABLE,
            {},
            model=_model(_PLAIN, digest=None),
            files={"m": _PLAIN},
        ),
        Example(
            "a service without a file",
            Outcome.NOT_AVAILABLE,
            {},
            model=_model(b"", "api", uri="https://model.example/v1"),
        ),
        Example(
            "a form that nothing here can read",
            Outcome.NOT_AVAILABLE,
            {},
            model=_model(b"RDX3", "native"),
            files={"m": b"RDX3"},
        ),
        Example("no file where it should lie", Outcome.NOT_AVAILABLE, {}, model=_model(_PLAIN)),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The file of each served version."""
        for version in served(inputs):
            if version.artefact is not None:
                yield Artefact(version.version, NO_DATA_SET, version.artefact.uri)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per served version."""
        reasons = dict(observations.missing())
        for version in served(inputs):
            if version.artefact is None:
                continue
            facts = observations.get(version.version)
            if facts is None:
                yield self.finding(
                    inputs,
                    Outcome.NOT_AVAILABLE,
                    f"Version {version.version} could not be inspected: "
                    f"{reasons.get(version.version, 'no file')}.",
                    column=version.version,
                    declare="a file that can be read as 'artefact.uri' of the version",
                )
                continue
            yield self._finding(inputs, version.version, version.artefact, facts)
        if not any(version.artefact for version in served(inputs)):
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No version that is served tonight declares its file.",
                declare=Needs.ARTEFACT.declare,
            )

    def _finding(
        self, inputs: Inputs, version: str, declared: ModelArtefact, facts: ArtefactFacts
    ) -> Finding:
        same = None if declared.digest is None else facts.digest == declared.digest
        expected = _READ_AS.get(declared.format, {"native", "zip", "unknown"})
        problems = []
        if same is False:
            problems.append("its digest is not the approved one")
        if facts.format not in expected:
            problems.append(f"it is {facts.format} and declared as {declared.format}")
        refused = list(facts.refused)
        if declared.format == "native":
            refused = [one for one in refused if "format that this check" not in one]
        if refused:
            problems.append(f"it holds what is not on the allow-list ({', '.join(refused)})")
        if facts.format in _RUNS_CODE and not inputs.param("allow_pickle"):
            problems.append(f"a {facts.format} file can run code when it is loaded")
        if problems:
            outcome, text = Outcome.FAIL, f"The model file is refused: {'; '.join(problems)}."
        elif same is None:
            outcome = Outcome.NOT_AVAILABLE
            text = "Nothing unsafe was found, but no digest says which file was approved."
        elif facts.format in _UNREAD:
            outcome = Outcome.NOT_AVAILABLE
            text = (
                "The model file is the approved one; its form is none that can be read here, so "
                "nothing says what it runs when it is loaded."
            )
        elif facts.format in _RUNS_CODE:
            outcome = Outcome.PASS
            text = (
                "The model file is the approved one; it is a pickle and holds only names and "
                "operations that are on the allow-list."
            )
        else:
            outcome, text = Outcome.PASS, "The model file is the approved one and runs no code."
        declare = (
            "'artefact.digest' of the version"
            if same is None
            else "an artefact as skops, ONNX, safetensors or a text or JSON file of its library"
        )
        measured = [
            Measurement(
                name="digest_as_declared",
                value=same,
                threshold=Threshold(value="true", operator="==", source="model manifest"),
                recipe="SHA-256 of the file",
                reason="" if same is not None else "no digest is declared",
            ),
            Measurement(
                name="not_allowed",
                value=len(refused),
                unit="findings",
                threshold=Threshold(value=0, operator="<=", source="check default"),
                recipe=f"{facts.format}; {facts.imports} imported names held against an allow-list",
            ),
            Measurement(
                name="known_as_dangerous",
                value=facts.dangerous,
                unit="findings",
                threshold=Threshold(value=0, operator="<=", source="check default"),
                recipe="imported names that picklescan holds to be dangerous",
                reason="the file holds no pickle that picklescan can list"
                if facts.dangerous is None
                else "",
            ),
            Measurement(
                name="signature_beside",
                value=", ".join(facts.signatures) or "none",
                recipe="presence only; the signature is not verified",
            ),
        ]
        return self.finding(
            inputs,
            outcome,
            text,
            measurements=measured,
            column=version,
            scope=f"file of version {version}",
            declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
        )
