"""The evidence report of a night as a self-contained page: deviations and waivers first."""

from __future__ import annotations

from nachweis.domain.site_data import Behind
from nachweis.pages.documents import OBSERVED
from nachweis.pages.evidence_report import EvidenceReport
from nachweis.pages.exports._model import Format, Source, fields
from nachweis.pages.exports._report import assessment_of, html
from nachweis.pages.report import Block

SHOWS = ("report.shows_text",)


def blocks(source: Source) -> list[Block]:
    """What the report says about the only version of a source."""
    document = source.only.document
    own = {str(item["id"]): str(item["label"]) for _, _, item in fields(document)}
    labels = {**OBSERVED, "approval": "meta.next_review", **own}
    assessment = assessment_of(source.only)
    behind = source.behind or Behind()
    return EvidenceReport(document, assessment, labels, source.words, behind).all()


def _render(source: Source) -> bytes:
    return html(source, "doc.evidence_report", blocks(source), SHOWS)


FORMAT = Format(
    name="evidence",
    suffix="evidence.html",
    kinds=frozenset({"record", "dossier"}),
    render=_render,
    spoken=True,
    nightly=True,
    reported=True,
)
