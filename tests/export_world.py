"""Sources of exports: versions of the demo world, of the bank data, and of a filled world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from nachweis import registry
from nachweis.domain.canonical import parse
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import World, json_of
from nachweis.domain.site_data import SiteData, VersionedDossier, VersionedRecord
from nachweis.pages.exports import Kind, Source, Version
from nachweis.pages.words import Words, translations
from nachweis.pipeline.load import load_world
from nachweis.settings import PACKAGE_ROOT, Settings
from tests.site_world import NIGHT, NUMBERS, TEMPLATES, demo_world, filled_world, site

BANK = PACKAGE_ROOT / "tests" / "fixtures" / "real" / "bank"


def version_of(item: VersionedRecord | VersionedDossier, data: SiteData) -> Version:
    """A version with the assessment of the only night."""
    document = item.record if isinstance(item, VersionedRecord) else item.dossier
    assessment = data.assessments[f"{document.kind}/{document.id}", str(NIGHT)]
    return Version(
        parse(document.canonical()),
        item.version,
        item.digest,
        item.night,
        assessment.document(),
        assessment.digest(),
    )


class Exports:
    """The sources of one world's exports."""

    def __init__(
        self, world: World, findings: Mapping[str, Sequence[Finding]] | None = None
    ) -> None:
        self.world = world
        self.data = site(world, findings)

    def source(
        self, kind: Kind, key: str = "", *, language: str = "en", layout: str = ""
    ) -> Source:
        """The source of a record, a dossier or the register."""
        found: Mapping[str, Any] = self.data.dossiers if kind == "dossier" else self.data.records
        keys = sorted(found) if kind == "register" else [key]
        return Source(
            kind=kind,
            versions=tuple(version_of(found[one][-1], self.data) for one in keys),
            words=self.words(language),
            templates=TEMPLATES,
            controls=self.data.catalogue.controls,
            organisation=json_of(self.world.organisation),
            layout=layout,
        )

    def words(self, language: str) -> Words:
        """One language."""
        return Words(language, self.data.catalogue.labels, translations(TEMPLATES, language))

    def every(self, language: str = "en") -> list[Source]:
        """All records and dossiers, and the register."""
        return [
            *(self.source("record", key, language=language) for key in self.data.records),
            *(self.source("dossier", key, language=language) for key in self.data.dossiers),
            self.source("register", language=language),
        ]


def _some_findings() -> dict[str, list[Finding]]:
    """A finding of every check about one model and one data set, with all outcomes in turn."""
    ids = {SubjectKind.MODEL: "campaign-propensity", SubjectKind.DATA_SET: "propensity-scores"}
    outcomes, severities = list(Outcome), list(Severity)
    found: dict[str, list[Finding]] = {}
    for turn, check in enumerate(registry.checks().values()):
        if check.subject not in ids:
            continue
        subject = Subject(kind=check.subject, id=ids[check.subject])
        outcome = outcomes[turn % len(outcomes)]
        found.setdefault(str(subject), []).append(
            Finding(
                check=check.id,
                subject=subject,
                column="age" if turn % 2 else None,
                outcome=outcome,
                severity=severities[turn % len(severities)],
                explanation=f"{check.id} says {outcome.value}.",
                measurements=NUMBERS if turn % 3 == 0 else (),
                controls=check.controls,
                remediation=check.remediation,
                scope="all rows",
                declare="the thing" if outcome is Outcome.NOT_AVAILABLE else "",
            )
        )
    return found


@cache
def demo() -> Exports:
    """The demo world with what the product ships, assessed with findings of every kind."""
    return Exports(demo_world(), _some_findings())


@cache
def bank() -> Exports:
    """The bank data's world."""
    return Exports(load_world(Settings(world=str(BANK))).world, {})


def hostile(text: str, uri: str) -> Exports:
    """A world in which every text is hostile."""
    return Exports(filled_world(text, uri), {})
