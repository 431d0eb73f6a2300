"""HTML: the self-contained page that stands beside each signed version."""

from __future__ import annotations

from nachweis.domain.record import Dossier, Record
from nachweis.pages.documents import render_documents
from nachweis.pages.exports._model import Format, Source


def _render(source: Source) -> bytes:
    version = source.only
    kind = Dossier if version.document["kind"] == "dossier" else Record
    language = source.words.language
    document = kind.model_validate({**version.document, "languages": [language]})
    pages = render_documents(
        document,
        version=version.version,
        digest=version.digest,
        night=version.night,
        templates=source.templates,
        labels=source.words.labels,
    )
    return pages[f"{document.kind}.{language}.html"].encode("utf-8")


FORMAT = Format(
    name="html",
    suffix="html",
    kinds=frozenset({"record", "dossier"}),
    render=_render,
    spoken=True,
)
"""Not ``stored`` from here: the pipeline writes it with the version, as it always did."""
