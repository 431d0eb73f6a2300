"""The message catalogues: what the templates and the checks say, collected for translators.

``python -m nachweis.pages.messages`` rewrites ``messages.pot`` and, for what findings are made of,
``checks.pot``, and brings the catalogues of all languages up to date: new messages arrive empty,
messages that nothing says any more are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment

from nachweis import registry
from nachweis.domain.check import Check
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.pages.check_messages import check_messages
from nachweis.settings import PACKAGE_ROOT

PACKAGE = Path(__file__).resolve().parent.parent

Message = str | tuple[str, str]
"""A message, or a singular with its plural."""


def template_messages(templates: Path) -> dict[Message, set[str]]:
    """Messages of all templates.

    Args:
        templates: Folder ``templates/``.

    Returns:
        Message to the names of the templates that say it.
    """
    reader = Environment(
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    found: dict[Message, set[str]] = {}
    for path in sorted(templates.rglob("*.j2")):
        for _, _, message in reader.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            parts = (message,) if isinstance(message, str) else message
            texts = [part for part in parts if isinstance(part, str)]
            said: Message = texts[0] if len(texts) == 1 else (texts[0], texts[1])
            found.setdefault(said, set()).add(path.relative_to(templates).as_posix())
    return found


def all_messages(templates: Path, checks: Mapping[str, type[Check]]) -> dict[Message, set[str]]:
    """Messages of the templates and the questions of the checks.

    Args:
        templates: Folder ``templates/``.
        checks: Checks by id.

    Returns:
        Message to the places that say it.
    """
    found = template_messages(templates)
    for check in checks.values():
        found.setdefault(check.question, set()).add(f"checks/{check.family}/{check.id}.py")
    return found


def finding_messages(checks: Mapping[str, type[Check]]) -> dict[Message, set[str]]:
    """What findings are made of, and what checks advise.

    Args:
        checks: Checks by id.

    Returns:
        Message to the places that say it.
    """
    found: dict[Message, set[str]] = dict(check_messages(PACKAGE).items())
    for check in checks.values():
        found.setdefault(check.remediation, set()).add(f"checks/{check.family}/{check.id}.py")
    return found


def template_catalogue(messages: Mapping[Message, set[str]]) -> Catalog:
    """A catalogue without translations, in stable order.

    Args:
        messages: Message to the places that say it.

    Returns:
        The content of ``messages.pot``.
    """
    catalog = Catalog(project="Nachweis", charset="utf-8")
    for message, places in sorted(
        messages.items(), key=lambda item: (sorted(item[1]), str(item[0]))
    ):
        catalog.add(message, auto_comments=sorted(places))
    return catalog


def update(templates: Path, checks: Mapping[str, type[Check]]) -> None:
    """Rewrite the templates of the catalogues and the catalogues of every language.

    Args:
        templates: Folder ``templates/``.
        checks: Checks by id.
    """
    _update(templates, "messages", all_messages(templates, checks), LANGUAGES)
    # Findings are written in English: it needs no catalogue of them.
    others = [language for language in LANGUAGES if language != "en"]
    _update(templates, "checks", finding_messages(checks), others)


def _update(
    templates: Path, name: str, messages: Mapping[Message, set[str]], languages: Iterable[str]
) -> None:
    source = template_catalogue(messages)
    folder = templates / "locales"
    _write(folder / f"{name}.pot", source)
    for language in languages:
        path = folder / language / "LC_MESSAGES" / f"{name}.po"
        with path.open("rb") as stream:
            known = read_po(stream, locale=language)
        updated = Catalog(locale=language, project="Nachweis", charset="utf-8")
        for message in source:
            if message.id:
                said = known.get(message.id if isinstance(message.id, str) else message.id[0])
                string = said.string if said is not None else None
                # English is what templates and checks are written in.
                updated.add(
                    message.id,
                    message.id if language == "en" else string,
                    auto_comments=message.auto_comments,
                )
        _write(path, updated)


def _write(path: Path, catalog: Catalog) -> None:
    """Write a catalogue with a header that depends on nothing but the language."""
    language = [f'"Language: {catalog.locale}\\n"'] if catalog.locale else []
    header = [
        'msgid ""',
        'msgstr ""',
        *language,
        '"MIME-Version: 1.0\\n"',
        '"Content-Type: text/plain; charset=utf-8\\n"',
        '"Content-Transfer-Encoding: 8bit\\n"',
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"',
        "",
        "",
    ]
    body = BytesIO()
    write_po(body, catalog, width=100, omit_header=True)
    path.write_bytes("\n".join(header).encode() + body.getvalue())


if __name__ == "__main__":
    update(PACKAGE_ROOT / "templates", registry.checks())
