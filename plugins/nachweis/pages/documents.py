"""Records and dossiers as self-contained HTML, one file per language."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from nachweis.domain.record import Dossier, Record
from nachweis.pages.exports._values import resolved
from nachweis.pages.render import environment
from nachweis.pages.words import Labels, Words, translations

LETTERS: Mapping[str, str] = {
    **{f"art30-1-{letter}": f"({letter})" for letter in "abcdefg"},
    "art30-1-c-data": "(c)",
    **{f"art30-2-{letter}": f"({letter})" for letter in "abcd"},
    **{f"annex4-{number}": f"{number}." for number in range(1, 10)},
}
"""Section id to the letter of Art. 30 or the number of Annex IV."""


OBSERVED: Mapping[str, str] = {"robustness": "ai.accuracy_robustness"}
"""Fields of an evidence report that nobody declares, and their labels."""


def readable(document: Record | Dossier) -> Record | Dossier:
    """A document in which references to its own fields are the texts they refer to."""
    return type(document).model_validate(resolved(document.document()))


def heading(document: Record | Dossier) -> str:
    """Label key of the kind of document."""
    if isinstance(document, Dossier):
        return "doc.lifecycle"
    return "doc.ropa_processor" if document.capacity == "processor" else "doc.ropa_controller"


def field_labels(document: Record | Dossier) -> dict[str, str]:
    """Field id to its label key, over all sections."""
    sections = [*document.sections]
    if isinstance(document, Record):
        sections += document.further
    labels = {field.id: field.label for section in sections for field in section.fields}
    return {**OBSERVED, **labels}


def render_documents(
    document: Record | Dossier,
    *,
    version: int,
    digest: str,
    night: str,
    templates: Path,
    labels: Labels,
) -> dict[str, str]:
    """Render a version in every language of the organisation.

    The bytes depend on the document, its version and the templates alone.

    Args:
        document: The record or dossier.
        version: Its version.
        digest: SHA-256 of its canonical bytes.
        night: Night that made the version.
        templates: Folder ``templates/``.
        labels: Label catalogue.

    Returns:
        File name, for example ``record.de.html``, to HTML.
    """
    style = (templates / "assets" / "site.css").read_text(encoding="utf-8")
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    pages = {}
    for language in document.languages:
        words = Words(language, labels, translations(templates, language))
        template = environment(templates, words).get_template("document.html.j2")
        pages[f"{document.kind}.{language}.html"] = template.render(
            document=readable(document),
            heading=heading(document),
            letters=LETTERS,
            labels=field_labels(document),
            version=version,
            digest=digest,
            night=night,
            style=Markup(style),  # noqa: S704 - our own style sheet, no input
            style_hash=style_hash,
        )
    return pages
