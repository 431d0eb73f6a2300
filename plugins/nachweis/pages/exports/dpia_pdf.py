"""The pre-filled skeleton of the impact assessment as PDF."""

from __future__ import annotations

from nachweis.pages.exports._model import Format, Source
from nachweis.pages.exports._report import pdf
from nachweis.pages.exports.dpia import SHOWS, blocks


def _render(source: Source) -> bytes:
    return pdf(source, "dpia.kicker", blocks(source), SHOWS)


FORMAT = Format(
    name="dpia-pdf",
    suffix="dpia.pdf",
    kinds=frozenset({"dossier"}),
    render=_render,
    spoken=True,
    nightly=True,
    reported=True,
)
