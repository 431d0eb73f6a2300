"""OSCAL 1.2.1 plan of action and milestones: what is open, for tools that track it."""

from __future__ import annotations

from nachweis.domain.canonical import canonical_bytes
from nachweis.domain.errors import NachweisError
from nachweis.pages.exports._model import Format, Source
from nachweis.pages.exports._oscal import Assessed, Node, metadata, uid


def _render(source: Source) -> bytes:
    assessed = [Assessed(version, source.controls) for version in source.versions]
    night = max(item.night for item in assessed)
    risks = [risk for item in assessed for risk in item.risks()]
    if not risks:
        raise NachweisError(
            "nothing is open, and a plan of action needs something to plan",
            where=f"night {night}",
            remedy="export the results instead: --format oscal",
        )
    wanted = {
        related["observation-uuid"] for risk in risks for related in risk["related-observations"]
    }
    document: Node = {
        "uuid": uid("poam", *(item.version.assessment_digest for item in assessed)),
        "metadata": metadata(source, f"Plan of action after the night {night}", night),
        "system-id": {"id": assessed[0].version.urn},
        "local-definitions": {
            "components": [one for item in assessed for one in item.components()]
        },
        "observations": [
            one for item in assessed for one in item.observations() if one["uuid"] in wanted
        ],
        "risks": risks,
        "poam-items": [
            {
                "uuid": uid("poam-item", risk["uuid"]),
                "title": risk["title"],
                "description": risk["statement"],
                "related-observations": risk["related-observations"],
                "related-risks": [{"risk-uuid": risk["uuid"]}],
            }
            for risk in risks
        ],
        "back-matter": {"resources": [item.resource() for item in assessed]},
    }
    return canonical_bytes({"plan-of-action-and-milestones": document})


FORMAT = Format(
    name="oscal-poam",
    suffix="poam.json",
    kinds=frozenset({"record", "dossier", "register"}),
    render=_render,
    nightly=True,
)
