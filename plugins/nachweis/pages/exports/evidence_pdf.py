"""The evidence report of a night as PDF."""

from __future__ import annotations

from nachweis.pages.exports._model import Format, Source
from nachweis.pages.exports._report import pdf
from nachweis.pages.exports.evidence import SHOWS, blocks


def _render(source: Source) -> bytes:
    return pdf(source, "doc.evidence_report", blocks(source), SHOWS)


FORMAT = Format(
    name="evidence-pdf",
    suffix="evidence.pdf",
    kinds=frozenset({"record", "dossier"}),
    render=_render,
    spoken=True,
    nightly=True,
    reported=True,
)
