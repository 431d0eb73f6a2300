"""Texts of the pages: translated, labelled, honestly worded, readable in light and dark."""

from __future__ import annotations

import csv
import enum
import re
import string
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from pydantic import BaseModel

from nachweis import cli, registry
from nachweis.domain.check import Lifecycle
from nachweis.domain.finding import FindingState, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import Activity, Column, DataSet, Model, Origin, Verdict
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.domain.manifest.organisation import Client, JointController
from nachweis.pages.catalogue import render_checks_markdown
from nachweis.pages.messages import (
    all_messages,
    finding_messages,
    template_catalogue,
    update,
)
from nachweis.settings import PACKAGE_ROOT
from tests.wording import FORBIDDEN, forbidden_words, official_labels

TEMPLATES = PACKAGE_ROOT / "templates"
CONTROLS = PACKAGE_ROOT / "controls"


# ------------------------------------------------------------------------------- messages


def _catalogue(language: str, name: str = "messages") -> Catalog:
    path = TEMPLATES / "locales" / language / "LC_MESSAGES" / f"{name}.po"
    with path.open("rb") as stream:
        return read_po(stream, locale=language, abort_invalid=True)


def _said(message: Any) -> list[str]:
    found = message.string
    return list(found) if isinstance(found, tuple | list) else [found]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_untranslated_fuzzy_or_unused(language: str) -> None:
    catalogue = _catalogue(language)
    known = {message.id: message for message in catalogue if message.id}
    assert set(known) == set(all_messages(TEMPLATES, registry.checks()))
    assert [key for key, message in known.items() if message.fuzzy] == []
    assert [key for key, message in known.items() if not all(_said(message))] == []
    assert list(catalogue.obsolete) == []


@pytest.mark.parametrize("language", ["de", "da"])
def test_what_findings_are_made_of_is_translated(language: str) -> None:
    catalogue = _catalogue(language, "checks")
    known = {message.id: message.string for message in catalogue if message.id}
    assert set(known) == set(finding_messages(registry.checks()))
    assert [english for english, said in known.items() if not said] == []
    assert list(catalogue.obsolete) == []
    for english, said in known.items():
        places = re.findall(r"\{\d+\}", said)
        assert set(places) <= set(re.findall(r"\{\d+\}", english)), said
        assert len(places) == len(set(places)), said
        assert "<" not in said
        assert said.strip() == said
        assert english.endswith(".") == said.endswith("."), said
        assert forbidden_words(said) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_plurals_and_markup(language: str) -> None:
    for message in _catalogue(language):
        if not message.id:
            continue
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        said = _said(message)
        assert len(said) == (1 if len(originals) == 1 else 2), message.id
        for text in said:
            assert _placeholders(text) == _placeholders(originals[0]), text
            assert "<" not in text
            assert text.strip() == text


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[a-z]", text))


def test_other_languages_are_not_the_english_text() -> None:
    same = {"Software", "Status", "Name", "Version", "Parameter", "Details"}
    for language in ("de", "da"):
        copied = [
            message.id
            for message in _catalogue(language)
            if message.id and _said(message)[0] == message.id and message.id not in same
        ]
        assert set(copied) <= {"Model", "demonstration", "Dokument"}, language


def test_the_message_template_is_up_to_date(tmp_path: Path) -> None:
    copy = tmp_path / "templates"
    for source in [*TEMPLATES.rglob("*.j2"), *TEMPLATES.rglob("*.po")]:
        target = copy / source.relative_to(TEMPLATES)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    update(copy, registry.checks())
    for path in [*copy.rglob("*.po"), *copy.rglob("*.pot")]:
        stored = TEMPLATES / path.relative_to(copy)
        assert path.read_text(encoding="utf-8") == stored.read_text(encoding="utf-8"), (
            "run `python -m nachweis.pages.messages`"
        )


def test_the_extraction_sees_every_kind_of_message() -> None:
    found = all_messages(TEMPLATES, registry.checks())
    assert "Skip to content" in found
    assert ("%(num)d open finding", "%(num)d open findings") in found
    assert "Night of %(day)s" in found
    assert any(
        message.id == "Skip to content" for message in template_catalogue(found) if message.id
    )


# --------------------------------------------------------------------------------- labels


def _labels() -> dict[str, dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(CONTROLS.glob("labels*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            rows += csv.DictReader(stream)
    assert [key for key, n in Counter(row["key"] for row in rows).items() if n > 1] == []
    return {row["key"]: {language: row[language] for language in LANGUAGES} for row in rows}


def _allowed(kind: Any) -> Iterator[Any]:
    """Literals, enumerations and manifests inside an annotation."""
    if typing.get_origin(kind) is typing.Literal:
        yield from (value for value in typing.get_args(kind) if isinstance(value, str))
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield from (member.value for member in kind)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    else:
        for part in typing.get_args(kind):
            yield from _allowed(part)


def _allowed_values(
    model: type[BaseModel], seen: set[type[BaseModel]]
) -> Iterator[tuple[str, str]]:
    if model in seen:
        return
    seen.add(model)
    for name, info in model.model_fields.items():
        for found in _allowed(info.annotation):
            if isinstance(found, str):
                yield name, found
            else:
                yield from _allowed_values(found, seen)


def test_every_allowed_value_that_documents_print_has_a_label() -> None:
    not_printed = {"on_stale", "languages"}
    pairs = {
        pair
        for model in (Activity, Model, Column, JointController, Client)
        for pair in _allowed_values(model, set())
        if pair[0] not in not_printed
    }
    for name, printed_as in (("role", "data_role"), ("format", "format"), ("pinned", "pinned")):
        kind = DataSet.model_fields[name].annotation
        pairs |= {(printed_as, value) for value in _allowed(kind)}
    data = Model.model_fields["data"].annotation
    assert isinstance(data, type) and issubclass(data, BaseModel)
    pairs |= {("used_as", name) for name in data.model_fields}
    labels = _labels()
    assert sorted(f"value.{a}.{b}" for a, b in pairs if f"value.{a}.{b}" not in labels) == []


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("verdict", Verdict), ("origin", Origin), ("outcome", Outcome), ("severity", Severity),
        ("state", FindingState), ("subject", SubjectKind), ("lifecycle", Lifecycle),
    ],
)  # fmt: skip
def test_every_word_of_the_vocabulary_has_a_label(prefix: str, kind: type[enum.StrEnum]) -> None:
    labels = _labels()
    wanted = {f"{prefix}.{member.value}" for member in kind}
    assert {key for key in labels if key.startswith(f"{prefix}.")} == wanted


def test_labels_are_complete_and_trimmed_in_three_languages() -> None:
    for key, texts in _labels().items():
        for language, text in texts.items():
            assert text and text == text.strip(), (key, language)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("verdict.contradicted", ("Abweichung festgestellt", "Afvigelse konstateret")),
        ("verdict.confirmed", ("Durch Prüfung gestützt", "Understøttet af kontrol")),
        ("ev.attestation", ("Befristete Erklärung", "Tidsbegrænset egenerklæring")),
    ],
)
def test_agreed_words_are_used_exactly(key: str, words: tuple[str, str]) -> None:
    found = _labels()[key]
    assert (found["de"], found["da"]) == words


def test_signing_is_called_signing() -> None:
    for language, word in (("en", "signed"), ("de", "signiert"), ("da", "signeret")):
        message = _catalogue(language).get(
            "Night of %(day)s · signed %(moment)s · ledger entry %(number)s"
        )
        assert message is not None
        assert word in str(message.string)


# -------------------------------------------------------------------------------- wording


def test_the_pattern_finds_what_must_not_be_said() -> None:
    for text in ("Ein Verstoß", "die Daten sind anonym", "is compliant.", "Immutable store"):
        assert FORBIDDEN.search(text), text
    for text in (
        "discrimination", "a violation", "sealed", "Siegel", "is fair", "unbiased", "certified",
        "revisionssicher", "gerichtsfest", "Diskriminierung", "in breach",
    ):  # fmt: skip
        assert forbidden_words(text), text
    assert forbidden_words("Data are anonymised.") == ["anonymised"]
    assert forbidden_words("Whether anonymised data have a dossier") == []
    assert forbidden_words("Their dossier is certified") == ["certified"]
    for text in ("Nichtdiskriminierung", "Pseudonymisierung und Anonymisierung", "Anonymität"):
        assert FORBIDDEN.search(text) is None, text


def test_templates_messages_and_labels_claim_nothing_they_should_not() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.j2")]
    texts += [" ".join(_said(m)) for language in LANGUAGES for m in _catalogue(language) if m.id]
    official = official_labels()
    texts += [
        text for found in _labels().values() for text in found.values() if text not in official
    ]
    assert [word for text in texts for word in forbidden_words(text)] == []


def test_documents_of_the_repository_claim_nothing_they_should_not() -> None:
    paths = [PACKAGE_ROOT / "README.md", PACKAGE_ROOT / "CONTRIBUTING.md"]
    paths += sorted((PACKAGE_ROOT / "docs").rglob("*.md"))
    paths += sorted((PACKAGE_ROOT / "changelog.d").glob("*.md"))
    assert len(paths) > 15
    # The list of these words itself; and what checks say is tested check by check.
    quoting = {"wording.md", "checks.md"}
    found = {
        path.name: forbidden_words(path.read_text(encoding="utf-8"))
        for path in paths
        if path.name not in quoting
    }
    assert {name: words for name, words in found.items() if words} == {}


def test_the_command_line_claims_nothing_it_should_not() -> None:
    def texts(command: click.Command) -> Iterator[str]:
        yield f"{command.help} {command.short_help}"
        yield from (str(getattr(param, "help", "")) for param in command.params)
        for child in getattr(command, "commands", {}).values():
            yield from texts(child)

    said = list(texts(typer.main.get_command(cli.app)))
    assert len(said) > 40
    assert [word for text in said for word in forbidden_words(text)] == []
    source = Path(cli.__file__).read_text(encoding="utf-8")
    assert forbidden_words(source) == []


def test_checks_claim_nothing_they_should_not() -> None:
    for check_id, check in registry.checks().items():
        assert forbidden_words(render_checks_markdown({check_id: check})) == [], check_id


def test_the_printed_catalogue_of_checks_is_up_to_date() -> None:
    stored = (PACKAGE_ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert stored == render_checks_markdown(registry.checks())


# ----------------------------------------------------------------------------- appearance


def _style() -> str:
    return (TEMPLATES / "assets" / "site.css").read_text(encoding="utf-8")


def test_templates_load_nothing_from_elsewhere_and_run_nothing() -> None:
    for path in TEMPLATES.rglob("*.j2"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://|//[a-z]|<script|javascript:|\son\w+=|\sstyle=", text), path
        assert not re.search(r"\|\s*safe|autoescape\s+false|Markup", text), path
    assert not re.search(r"url\(|@import|https?:", _style())


def _colours(block: str) -> dict[str, tuple[float, float, float]]:
    found = {}
    for name, value in re.findall(r"--([a-z-]+):\s*#([0-9a-f]{3,6})\b", block):
        digits = value if len(value) == 6 else "".join(c * 2 for c in value)
        assert set(digits) <= set(string.hexdigits)
        found[name] = tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return found  # type: ignore[return-value]


def _luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", _style(), re.DOTALL)
    light, dark, printed = (_colours(block) for block in blocks)
    colours = {"light": light, "dark": dark, "print": {**light, **printed}}[scheme]
    inks = ("ink", "soft", "link", "accent", "bad", "good", "warn", "none")
    pairs = [(ink, paper) for ink in inks for paper in ("paper", "surface")]
    pairs += [(name, f"{name}-bg") for name in ("good", "bad", "warn", "none")]
    for ink, paper in pairs:
        high, low = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, ink, paper)
