"""Model card: Markdown with a YAML header, as Hugging Face and model registries read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from nachweis.pages.exports._dossier import Dossier
from nachweis.pages.exports._model import Format, Source, sections
from nachweis.pages.exports._values import Part, part
from nachweis.pages.render import harmless
from nachweis.pages.words import Words

_MARKUP = re.compile(r"([\\`*_\[\]#|~!])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "{": "&#123;", "}": "&#125;"}
_SPECIAL = re.compile("[<>&{}]")
_STARTS_BLOCK = re.compile(r"^(\d*)([-+.)=])(?=\s|[-=]*$)")
_SPACE = re.compile(r"\s+")


def markdown(text: str) -> str:
    """Text on one line that Markdown, HTML and template engines leave as it is."""
    said = _SPACE.sub(" ", harmless(text)).strip()
    said = _SPECIAL.sub(lambda match: _ENTITIES[match[0]], _MARKUP.sub(r"\\\1", said))
    return _STARTS_BLOCK.sub(r"\1\\\2", said)


def _render(source: Source) -> bytes:
    version, words = source.only, source.words
    dossier = Dossier(version, words.language)
    head = yaml.safe_dump(
        _header(dossier, words), sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    lines = [
        f"# {markdown(dossier.title)}",
        "",
        f"{markdown(words.label('doc.lifecycle'))} · {words.label('meta.version')} "
        f"{version.version} · {words.date(version.night)}",
        "",
    ]
    for _, section in sections(version.document):
        lines += [f"## {markdown(words.label(str(section.get('label', ''))))}", ""]
        for field in section.get("fields") or ():
            lines += _field(section, field, words)
    lines += [
        f"## {markdown(words.label('export.about'))}",
        "",
        markdown(words.label("export.shows_text")),
        "",
        f"- {markdown(words.label('export.digest'))}: `{version.digest}`",
        f"- {markdown(words.label('export.verify'))}: `nachweis verify`",
    ]
    return f"---\n{head}---\n\n{chr(10).join(lines)}\n".encode()


def _header(dossier: Dossier, words: Words) -> dict[str, Any]:
    """The metadata block; declared metrics become results, measured ones belong to a night."""
    results = []
    for item in dossier.rows("metrics"):
        value = item.get("value")
        if item.get("id") and isinstance(value, int | float):
            metric = harmless(str(item["id"]))
            data_set = harmless(str(item.get("on") or "declared"))
            results.append(
                {
                    "task": {"type": dossier.task},
                    "dataset": {"name": data_set, "type": data_set},
                    "metrics": [{"type": metric, "value": value, "name": f"{metric} (declared)"}],
                }
            )
    name = harmless(dossier.version.id)
    found: dict[str, Any] = {
        "language": words.language,
        "model_name": name,
        "tags": ["nachweis", f"kind:{harmless(dossier.kind)}"],
    }
    if dossier.task != dossier.kind:
        found["pipeline_tag"] = dossier.task
    if results:
        found["model-index"] = [{"name": name, "results": results}]
    return found


def _field(section: Mapping[str, Any], field: Mapping[str, Any], words: Words) -> list[str]:
    prefix, _, rest = str(field.get("id", "")).partition("/")
    lines = []
    if field.get("label") != section.get("label") or rest:
        label = words.label(str(field.get("label", "")))
        lines += [f"### {markdown(f'{label} {rest}'.strip())}", ""]
    return [*lines, *_lines(part(field.get("value"), prefix, words)), ""]


def _lines(value: Part, depth: int = 0) -> list[str]:
    kind, indent = value["t"], "  " * depth
    if kind == "facts":
        return [line for label, item in value["rows"] for line in _fact(label, item, depth)]
    if kind == "list":
        return [line for item in value["items"] for line in _item(item, depth)]
    if kind == "table" and depth == 0:
        return _table(value)
    if kind == "table":
        rows = [[str(cell.get("s", "…")) for cell in row] for row in value["rows"]]
        return [
            f"{indent}- **{markdown(row[0])}**: "
            + markdown("; ".join(said for said in row[1:] if said != "–"))
            for row in rows
        ]
    return [f"{indent}{markdown(str(value['s']))}"]


def _fact(label: str, value: Part, depth: int) -> list[str]:
    indent = "  " * depth
    if "s" in value:
        return [f"{indent}- **{markdown(label)}:** {markdown(str(value['s']))}"]
    return [f"{indent}- **{markdown(label)}:**", *_lines(value, depth + 1)]


def _item(value: Part, depth: int) -> list[str]:
    if "s" in value:
        return [f"{'  ' * depth}- {markdown(str(value['s']))}"]
    return _lines(value, depth)


def _table(value: Part) -> list[str]:
    def row(cells: list[str]) -> str:
        return f"| {' | '.join(markdown(cell) for cell in cells)} |"

    return [
        row(value["head"]),
        f"|{' --- |' * len(value['head'])}",
        *(row([str(cell.get("s", "…")) for cell in cells]) for cells in value["rows"]),
    ]


FORMAT = Format(
    name="model-card",
    suffix="md",
    kinds=frozenset({"dossier"}),
    render=_render,
    spoken=True,
    stored=True,
)
