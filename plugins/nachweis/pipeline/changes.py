"""What changed between two versions, in words, each change with the version that brought it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import World
from nachweis.pages.diff import Change, diff
from nachweis.pages.exports._values import flat, part
from nachweis.pages.render import harmless
from nachweis.pages.words import Words, translations
from nachweis.pipeline.archive import Archive, open_archive
from nachweis.pipeline.load import load_world
from nachweis.pipeline.signed_versions import (
    SignedVersion,
    Target,
    content,
    described,
    facts,
    find_target,
    numbered,
    signed_versions,
)
from nachweis.settings import Settings


@dataclass(frozen=True, slots=True)
class SourcedChange:
    """A changed field, its words, and the version that brought its present value.

    Attributes:
        change: What changed between the two versions.
        label: The field's label in the chosen language.
        word: ``added``, ``removed`` or ``changed`` in that language.
        before: Earlier value in words, empty if it was not there.
        after: Later value in words, empty if it is gone.
        source: Version that brought the later value.
    """

    change: Change
    label: str
    word: str
    before: str
    after: str
    source: SignedVersion


@dataclass(frozen=True)
class Comparison:
    """What changed between two versions.

    Attributes:
        target: The document.
        old: Earlier version.
        new: Later version.
        changes: Changed fields.
        words: The language.
    """

    target: Target
    old: SignedVersion
    new: SignedVersion
    changes: tuple[SourcedChange, ...]
    words: Words

    def document(self) -> dict[str, Any]:
        """The comparison as JSON-able data."""
        return {
            "target": "/".join(self.target),
            "language": self.words.language,
            "old": facts(self.old),
            "new": facts(self.new),
            "changes": [
                {
                    "field": item.change.field,
                    "label": item.label,
                    "kind": item.change.kind,
                    "before": item.change.before,
                    "after": item.change.after,
                    "before_text": item.before,
                    "after_text": item.after,
                    "source": facts(item.source),
                }
                for item in self.changes
            ],
        }

    def text(self) -> str:
        """The comparison for a person at a terminal."""
        old, new = self.old.reference.version, self.new.reference.version
        lines = [
            f"{'/'.join(self.target)}: version {old} to version {new}",
            f"from   {described(self.old)}",
            f"       SHA-256 {self.old.reference.digest}",
            f"to     {described(self.new)}",
            f"       SHA-256 {self.new.reference.digest}",
        ]
        if not self.changes:
            lines.append("No field differs.")
        for item in self.changes:
            lines += ["", f"{item.word}: {item.label} ({item.change.field})"]
            if item.before:
                lines.append(f"  before  {_indented(item.before)}")
            if item.after:
                lines.append(f"  after   {_indented(item.after)}")
            lines.append(f"  source  {described(item.source)}")
        return "\n".join([*lines, "", SHOWS])


SHOWS = (
    "Shows what was declared in each version, not whether it was true. To verify: nachweis verify"
)
"""What stands at the end of an answer for a person."""


def compare(
    settings: Settings,
    name: str,
    old: str | None = None,
    new: str | None = None,
    language: str | None = None,
) -> Comparison:
    """Compare two versions of a document.

    Args:
        settings: Resolved settings.
        name: Id of an activity or model, ``record/ID`` or ``dossier/ID``.
        old: Earlier version, ``v3`` or ``3``; default is the one before the later version.
        new: Later version; default is the current one.
        language: Language of labels and values; default is the controlling one.

    Returns:
        The comparison.

    Raises:
        NachweisError: If there is no such document, version or language.
    """
    archive, world = open_archive(settings), load_world(settings).world
    return compared(archive, name, old, new, words_of(settings, world, language))


def compared(
    archive: Archive, name: str, old: str | None, new: str | None, words: Words
) -> Comparison:
    """Compare two versions of a document; arguments as in :func:`compare`."""
    known = signed_versions(archive)
    target = find_target(known, name)
    many = known[target]
    later = _chosen(many, numbered(new, "NEW") if new else max(many), target)
    earlier = _chosen(many, numbered(old, "OLD") if old else _before(many, later, target), target)
    if earlier > later:
        raise NachweisError(
            "the earlier version has the greater number",
            where=f"v{earlier} v{later}",
            remedy=f"write v{later} v{earlier}",
        )
    between = [number for number in many if earlier <= number <= later]
    documents = {number: content(archive, many[number].reference) for number in between}
    origin: dict[str, SignedVersion] = {}
    for one, two in pairwise(between):
        for change in diff(documents[one], documents[two]):
            origin[change.field] = many[two]
    return Comparison(
        target,
        many[earlier],
        many[later],
        tuple(
            _spoken(change, origin[change.field], words)
            for change in diff(documents[earlier], documents[later])
        ),
        words,
    )


def _chosen(many: Mapping[int, SignedVersion], number: int, target: Target) -> int:
    if number not in many:
        raise NachweisError(
            f"there is no version {number}",
            where="/".join(target),
            valid=[f"v{one}" for one in many],
        )
    return number


def _before(many: Mapping[int, SignedVersion], later: int, target: Target) -> int:
    earlier = [number for number in many if number < later]
    if not earlier:
        raise NachweisError(
            f"there is no version before version {later} to compare it with",
            where="/".join(target),
            remedy="a change of what the manifests declare makes the next one",
        )
    return max(earlier)


def _spoken(change: Change, source: SignedVersion, words: Words) -> SourcedChange:
    key = change.field.partition("/")[0]

    def said(value: Any) -> str:
        return "" if value is None else flat(part(value, key, words))

    return SourcedChange(
        change,
        harmless(words.label(change.label)),
        words.catalogue.gettext(change.kind),
        said(change.before),
        said(change.after),
        source,
    )


def words_of(settings: Settings, world: World, language: str | None) -> Words:
    """How a language of the organisation says things; the controlling one by default."""
    wanted = language or world.organisation.main_language
    if wanted not in world.organisation.languages:
        raise NachweisError(
            "the organisation's documents are not written in this language",
            where="--lang",
            valid=world.organisation.languages,
        )
    return Words(wanted, world.controls.labels, translations(settings.templates, wanted))


def _indented(text: str) -> str:
    return text.replace("\n", "\n          ")
