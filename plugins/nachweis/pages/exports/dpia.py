"""A pre-filled skeleton of the impact assessment (Art. 35 GDPR) as a self-contained page."""

from __future__ import annotations

from nachweis.domain.site_data import Behind
from nachweis.pages.dpia import Skeleton
from nachweis.pages.exports._model import Format, Source
from nachweis.pages.exports._report import assessment_of, html
from nachweis.pages.report import Block, Cells

SHOWS = ("dpia.skeleton", "dpia.shows_text")


def blocks(source: Source) -> list[Block]:
    """What the skeleton says about the only version of a source."""
    cells = Cells(source.words, source.behind or Behind())
    assessment = assessment_of(source.only)
    return Skeleton(source.only.document, assessment, source.words, cells).blocks()


def _render(source: Source) -> bytes:
    return html(source, "dpia.kicker", blocks(source), SHOWS)


FORMAT = Format(
    name="dpia",
    suffix="dpia.html",
    kinds=frozenset({"dossier"}),
    render=_render,
    spoken=True,
    nightly=True,
    reported=True,
)
