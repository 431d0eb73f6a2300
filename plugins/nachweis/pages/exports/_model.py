"""What an export is rendered from, and what a format is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nachweis.domain.control import Control
from nachweis.domain.site_data import Behind
from nachweis.pages.words import Words

Kind = Literal["record", "dossier", "register"]

SHOWS = (
    "Shows what was declared; whether checks support or contradict it stands in the evidence "
    "report of each night. What nobody declared is left out. To verify: nachweis verify"
)
SHOWS_NIGHT = (
    "Shows what the checks of one night observed; what they did not look at is named so and is "
    "never a pass. Neither a deviation nor its absence is a legal assessment. To verify: nachweis "
    "verify"
)
"""What stands in formats for programs, which have one language; people read labels instead."""


@dataclass(frozen=True, slots=True)
class Version:
    """A stored version of a record or dossier, as data, with what a night found about it.

    Attributes:
        document: The parsed canonical JSON.
        version: Its number.
        digest: SHA-256 of the canonical bytes.
        night: Night that made the version.
        assessment: The assessment of one night, parsed; None where none is exported.
        assessment_digest: SHA-256 of the assessment's canonical bytes.
    """

    document: Mapping[str, Any]
    version: int
    digest: str
    night: str
    assessment: Mapping[str, Any] | None = None
    assessment_digest: str = ""

    @property
    def id(self) -> str:
        """Id of the activity or model."""
        return str(self.document["id"])

    @property
    def urn(self) -> str:
        """Name of this version in formats that want one; the digest says which bytes it means."""
        return f"urn:nachweis:{self.document['kind']}:{self.id}:v{self.version}"


@dataclass(frozen=True, slots=True)
class Decision:
    """One event in the approval of a version, as an authority is told.

    Attributes:
        word: What was done, for example ``advice_agrees``.
        role: Title of the role that acted.
        name: Who acted; empty where the directory no longer holds it.
        day: Day of signing, UTC.
    """

    word: str
    role: str
    name: str
    day: str


@dataclass(frozen=True, slots=True)
class Source:
    """The input of a format: everything it may depend on.

    Attributes:
        kind: A single record or dossier, or the register of several records.
        versions: One version, or for a register one per activity.
        words: The language.
        templates: Folder ``templates/``.
        controls: Control id to control.
        organisation: The organisation as declared; empty where only a version is rendered.
        layout: Country of the authority it is for; empty for nobody in particular.
        decisions: Name of a version to who decided about it; only in exports for an authority,
            which are never stored, since names have to stay deletable.
        behind: What else stands behind the version; only for formats that report about a night.
    """

    kind: Kind
    versions: tuple[Version, ...]
    words: Words
    templates: Path
    controls: Mapping[str, Control] = field(default_factory=dict)
    organisation: Mapping[str, Any] = field(default_factory=dict)
    layout: str = ""
    decisions: Mapping[str, tuple[Decision, ...]] = field(default_factory=dict)
    behind: Behind | None = None

    @property
    def only(self) -> Version:
        """The version of an export of one document."""
        (version,) = self.versions
        return version

    @property
    def newest_night(self) -> str:
        """The newest night that made one of the versions: the date documents carry."""
        return max(version.night for version in self.versions)


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write documents down.

    Attributes:
        name: What people ask for.
        suffix: End of the file name, for example ``cdx.json``.
        kinds: What it can write.
        render: From the source to bytes, depending on nothing else.
        spoken: Whether the bytes differ by language.
        stored: Whether each new version gets it in its folder.
        nightly: Whether it shows a night's assessment and not the version alone.
        enriched: Whether it adds a night's measurements when it is given them.
        reported: Whether it needs what else stands behind a version, besides one night.
        layouts: Countries for whose authority it can be made.
    """

    name: str
    suffix: str
    kinds: frozenset[Kind]
    render: Callable[[Source], bytes]
    spoken: bool = False
    stored: bool = False
    nightly: bool = False
    enriched: bool = False
    reported: bool = False
    layouts: Callable[[Path], tuple[str, ...]] | None = None

    def file_name(self, kind: Kind, language: str) -> str:
        """Name within a version's folder."""
        return f"{kind}.{language}.{self.suffix}" if self.spoken else f"{kind}.{self.suffix}"


def sections(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Sections in reading order, each with the part it belongs to.

    Args:
        document: A parsed record or dossier.

    Yields:
        ``sections`` for what the law asks for or ``further`` for the rest, and the section.
    """
    for part in ("sections", "further"):
        for section in document.get(part) or ():
            yield part, section


def fields(
    document: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Fields in reading order: part, section, field."""
    for part, section in sections(document):
        for item in section.get("fields") or ():
            yield part, section, item


def values(document: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    """Declared values of all fields under an id.

    Args:
        document: A parsed record or dossier.
        prefix: First part of the ids, for example ``purposes``; or a whole id.

    Returns:
        Rest of each id (empty for the id itself) and value.
    """
    found = []
    for _, _, item in fields(document):
        name = str(item.get("id", ""))
        if item.get("value") is None:
            continue
        if name == prefix:
            found.append(("", item["value"]))
        elif name.startswith(f"{prefix}/"):
            found.append((name.removeprefix(f"{prefix}/"), item["value"]))
    return found


def mappings(document: Mapping[str, Any], prefix: str) -> list[tuple[str, Mapping[str, Any]]]:
    """As :func:`values`, but only values that have named parts."""
    return [(key, item) for key, item in values(document, prefix) if isinstance(item, Mapping)]
