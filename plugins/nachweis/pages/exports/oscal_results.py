"""OSCAL 1.2.1 assessment results: what a night's checks found, by control."""

from __future__ import annotations

from nachweis.domain.canonical import canonical_bytes
from nachweis.pages.exports._model import Format, Source
from nachweis.pages.exports._oscal import Assessed, Node, metadata, moment, prop, uid


def _render(source: Source) -> bytes:
    assessed = [Assessed(version, source.controls) for version in source.versions]
    night = max(item.night for item in assessed)
    plan = uid("plan", night)
    document: Node = {
        "uuid": uid("results", *(item.version.assessment_digest for item in assessed)),
        "metadata": metadata(source, f"Assessment results of the night {night}", night),
        "import-ap": {"href": f"#{plan}"},
        "results": [_result(item) for item in assessed],
        "back-matter": {
            "resources": [
                {
                    "uuid": plan,
                    "title": "Plan of the night",
                    "description": "The checks of the catalogue that apply to each subject, as "
                    "the signed statement of the night lists them.",
                },
                *(item.resource() for item in assessed),
            ]
        },
    }
    return canonical_bytes({"assessment-results": document})


def _result(item: Assessed) -> Node:
    found: Node = {
        "uuid": uid("result", item.version.assessment_digest),
        "title": f"{item.version.document['kind']}/{item.version.id}",
        "description": f"Night {item.night}, version {item.version.version}.",
        "start": moment(item.night),
        "end": moment(item.night),
        "props": [
            prop("version", item.version.version),
            prop("document-sha256", item.version.digest),
            prop("assessment-sha256", item.version.assessment_digest),
        ],
        "local-definitions": {"components": item.components()},
    }
    findings, observations, risks = item.findings(), item.observations(), item.risks()
    controls = [{"control-id": finding["target"]["target-id"]} for finding in findings]
    selection: Node = {"include-controls": controls} if controls else {"include-all": {}}
    found["reviewed-controls"] = {"control-selections": [selection]}
    for name, many in (("observations", observations), ("risks", risks), ("findings", findings)):
        if many:
            found[name] = many
    return found


FORMAT = Format(
    name="oscal",
    suffix="oscal.json",
    kinds=frozenset({"record", "dossier", "register"}),
    render=_render,
    nightly=True,
)
