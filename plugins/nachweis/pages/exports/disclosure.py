"""The disclosure that an AI system answers (Art. 50(1) AI Act), generated from the dossier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nachweis.pages.exports._dossier import Dossier
from nachweis.pages.exports._model import Format, Source
from nachweis.pages.exports.notice import page
from nachweis.pages.notice import Part


def _parts(source: Source) -> Iterator[Part]:
    words = source.words
    dossier = Dossier(source.only, words.language)
    declared: Mapping[str, Any] = next(iter(dossier.rows("ai_act")), {})
    said = dossier.text(declared.get("disclosure")) or words.label("notice.no_disclosure")
    yield Part("ai", words.label("notice.ai_interaction"), (said,))
    for key, label, lines in (
        ("purpose", "ai.intended_purpose", dossier.texts("intended_purpose")),
        ("logic", "notice.logic", [dossier.text(dossier.part("logic", "explanation"))]),
        ("oversight", "ai.human_oversight", [dossier.text(dossier.part("oversight", "text"))]),
        ("limits", "field.limits", dossier.texts("limits")),
    ):
        told = tuple(line for line in lines if line)
        if told:
            yield Part(key, words.label(label), told)


def _render(source: Source) -> bytes:
    return page(source, list(_parts(source)), "notice.ai_interaction")


FORMAT = Format(
    name="disclosure",
    suffix="disclosure.html",
    kinds=frozenset({"dossier"}),
    render=_render,
    spoken=True,
    stored=True,
)
