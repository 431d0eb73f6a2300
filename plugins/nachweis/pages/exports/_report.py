"""Reports about a night as a self-contained page and as PDF: the same blocks, drawn twice."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from nachweis.domain.canonical import canonical_bytes, digest_bytes
from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.domain.record import Assessment
from nachweis.pages.exports._model import Source, Version
from nachweis.pages.exports._values import Part, text
from nachweis.pages.exports.json_document import signed_bytes
from nachweis.pages.exports.pdf import breakable, compiled, printable, running
from nachweis.pages.render import environment, harmless
from nachweis.pages.report import Block
from nachweis.pages.words import Words


def assessment_of(version: Version) -> Assessment:
    """The night's assessment of a version.

    Raises:
        NachweisError: If none is given.
    """
    if version.assessment is None:
        raise NachweisError("this version was not assessed in this night", where=version.urn)
    return Assessment.model_validate(version.assessment)


def about(source: Source, shows: Sequence[str]) -> dict[str, Any]:
    """Night, version, digests, what it shows and what not, and how to verify.

    Args:
        source: The version and its night.
        shows: Label keys of what the document shows and what not.

    Returns:
        ``paragraphs`` and ``facts``.
    """
    version, words = source.only, source.words
    night = str((version.assessment or {}).get("night") or version.night)

    def digest(value: str) -> Part:
        return {"t": "code", "s": f"{value[:32]}\n{value[32:]}"}

    rows: list[list[Any]] = [
        [words.label("export.document"), {"t": "code", "s": f"{version.document['kind']}/"
                                                            f"{version.id}"}],
        [words.label("meta.version"), text(str(version.version))],
        [words.label("report.night"), text(words.date(night))],
        [words.label("report.document_digest"), digest(version.digest)],
        [words.label("report.assessment_digest"), digest(version.assessment_digest)],
        [words.label("export.verify"), {"t": "code", "s": "nachweis verify"}],
    ]  # fmt: skip
    said = [*shows, *(["report.language_text"] if words.language != "en" else [])]
    return {"paragraphs": [words.label(key) for key in said], "facts": {"t": "facts", "rows": rows}}


def _lead(source: Source) -> list[str]:
    version, words = source.only, source.words
    night = str((version.assessment or {}).get("night") or version.night)
    lines = [
        f"{words.label('report.night')} {words.date(night)} · {words.label('meta.version')} "
        f"{version.version}, {words.label('export.first_recorded')} {words.date(version.night)}"
    ]
    if version.document.get("draft"):
        lines.append(words.label("export.draft"))
    return lines


def html(source: Source, kicker: str, blocks: Sequence[Block], shows: Sequence[str]) -> bytes:
    """A self-contained page.

    Args:
        source: The version and its night.
        kicker: Label key of the kind of report.
        blocks: What it says.
        shows: Label keys of what it shows and what not.

    Returns:
        HTML.
    """
    version, words = source.only, source.words
    style = (source.templates / "assets" / "site.css").read_text(encoding="utf-8")
    rendered = (
        environment(source.templates, words)
        .get_template("standalone.html.j2")
        .render(
            title=words.text(version.document["title"]),
            kicker=words.label(kicker),
            lead=_lead(source),
            blocks=blocks,
            about=about(source, shows),
            footer=_footer(version, words),
            style=Markup(style),  # noqa: S704 - our own style sheet, no input
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        )
    )
    return rendered.encode("utf-8")


def _footer(version: Version, words: Words) -> str:
    kind, number = version.document["kind"], words.label("meta.version")
    return f"{kind}/{version.id} · {number} {version.version} · SHA-256 {version.digest}"


def pdf(source: Source, kicker: str, blocks: Sequence[Block], shows: Sequence[str]) -> bytes:
    """The same on paper, with the signed version and the night's assessment inside.

    Args:
        source: The version and its night.
        kicker: Label key of the kind of report.
        blocks: What it says.
        shows: Label keys of what it shows and what not.

    Returns:
        PDF.

    Raises:
        IntegrityError: If a document is not the one that its digest names.
    """
    version, words = source.only, source.words
    said = words.label(kicker)
    title = words.text(version.document["title"])
    night = str((version.assessment or {}).get("night") or version.night)
    kind = str(version.document["kind"])
    footer = f"{kind}/{version.id} · {words.label('meta.version')} {version.version}"
    told = about(source, shows)
    data = {
        "lang": words.language,
        "title": harmless(f"{running(title)} – {said}"),
        "running": harmless(running(title)),
        "kicker": said,
        "kicker_short": said,
        "heading": breakable(harmless(title)),
        "lead": "\n".join(_lead(source)),
        "date": [int(item) for item in night.split("-")],
        "page": words.label("export.page"),
        "footer": footer,
        "digest_line": f"SHA-256 {version.assessment_digest} (assessment.json)",
        "contents": words.label("export.contents"),
        "contents_depth": 1,
        "documents": [
            {
                "chapter": "",
                "lead": "",
                "notes": [],
                "sections": [_section(block) for block in blocks],
                "further_heading": "",
                "further": [],
            }
        ],
        "about": {
            "heading": words.label("export.about"),
            "paragraphs": [*told["paragraphs"], words.label("export.embedded_text")],
            "facts": told["facts"],
        },
    }
    files = [
        _attached(f"{kind}.json", signed_bytes(version), version.urn, version.digest),
        _attached("assessment.json", _assessed(version), version.urn, version.assessment_digest),
    ]
    return compiled(source.templates / "typst", data, files, night, words)


def _assessed(version: Version) -> bytes:
    content = canonical_bytes(version.assessment)
    if digest_bytes(content) != version.assessment_digest:
        raise IntegrityError("a document differs from its signed digest", where=version.urn)
    return content


def _attached(name: str, content: bytes, urn: str, digest: str) -> Mapping[str, str]:
    return {
        "name": name,
        "content": content.decode("utf-8"),
        "description": f"{urn} sha256:{digest}",
    }


def _section(block: Block) -> dict[str, Any]:
    """A block as a section: a part that is a heading begins a field."""
    fields: list[dict[str, Any]] = []
    for part in block.parts:
        if part.get("heading"):
            fields.append({"label": breakable(str(part["s"])), "item": "", "parts": []})
            continue
        if not fields:
            fields.append({"label": "", "item": "", "parts": []})
        fields[-1]["parts"].append(_drawn(part))
    return {"heading": harmless(block.heading), "fields": fields}


def _drawn(part: Part) -> Part:
    if part["t"] != "chips":
        return printable(part)
    said = [f"{i['count']} × {i['s']}" if i["count"] > 1 else i["s"] for i in part["items"]]
    return text("; ".join(said))
