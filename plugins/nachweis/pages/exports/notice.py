"""The privacy notice (Art. 13 and 14 GDPR), generated from the record in plain language."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup

from nachweis.domain.canonical import digest_bytes
from nachweis.pages.exports._model import Format, Source
from nachweis.pages.notice import Notice, Part, notice_text
from nachweis.pages.render import environment


def page(source: Source, parts: list[Part], heading: str) -> bytes:
    """A self-contained page of parts.

    Args:
        source: The version it is generated from.
        parts: What it says.
        heading: Label key of the kind of notice.

    Returns:
        HTML.
    """
    version, words = source.only, source.words
    style = (source.templates / "assets" / "site.css").read_text(encoding="utf-8")
    rendered = (
        environment(source.templates, words)
        .get_template("notice.html.j2")
        .render(
            document=version.document,
            title=words.text(version.document["title"]),
            heading=heading,
            parts=parts,
            version=version.version,
            digest=version.digest,
            night=version.night,
            text_digest=digest_bytes(notice_text(parts).encode("utf-8")),
            style=Markup(style),  # noqa: S704 - our own style sheet, no input
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        )
    )
    return rendered.encode("utf-8")


def _render(source: Source) -> bytes:
    parts = Notice(source.only.document, source.words).parts()
    return page(source, parts, "doc.privacy_notice")


FORMAT = Format(
    name="notice",
    suffix="notice.html",
    kinds=frozenset({"record"}),
    render=_render,
    spoken=True,
    stored=True,
)
