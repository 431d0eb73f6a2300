"""The auditor's site: static pages from signed documents, in every language, without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment

from nachweis.domain.approval import Approval
from nachweis.domain.canonical import digest, digest_bytes
from nachweis.domain.errors import NachweisError
from nachweis.domain.record import Assessment, FieldVerdict, FindingView
from nachweis.domain.site_data import (
    Behind,
    SignedNight,
    SiteData,
    VersionedDossier,
    VersionedRecord,
)
from nachweis.pages.diff import diff
from nachweis.pages.documents import LETTERS, field_labels, heading, readable
from nachweis.pages.evidence_report import EvidenceReport
from nachweis.pages.grouping import Findings, arrange
from nachweis.pages.render import environment
from nachweis.pages.site_folder import SiteFolder
from nachweis.pages.words import Words, translations


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What rendering did.

    Attributes:
        written: Files whose bytes changed.
        unchanged: Files that were left alone.
        removed: Files that no page stands behind any more.
        folder: The site.
        unlabelled: Label keys that nobody has written in a language; they are shown as they are.
    """

    written: int
    unchanged: int
    removed: int
    folder: Path
    unlabelled: frozenset[str] = frozenset()


def render_site(data: SiteData, out: Path, templates: Path) -> RenderReport:
    """Render all pages; a file is written only if its bytes differ.

    Pages of nights, which only ever become more, are rendered again only if what they are made
    from changed.

    Args:
        data: Signed documents and the catalogues.
        out: Folder of the site; what is known about its pages is kept in a file beside it.
        templates: Folder ``templates/``.

    Returns:
        What was done.

    Raises:
        NachweisError: If no night is signed yet or the folder cannot be written.
    """
    if not data.nights:
        raise NachweisError("no night was signed yet", remedy="run `make nightly` first")
    folder = SiteFolder(out)
    for path in sorted((templates / "assets").iterdir()):
        folder.put(f"assets/{path.name}", path.read_bytes())
    unlabelled: set[str] = set()
    shared = _shared_by_pages(data, templates)
    for language in data.languages:
        words = Words(language, data.catalogue.labels, translations(templates, language))
        jinja = environment(templates, words)
        pages = [*_Language(data, jinja, words).pages()]
        if language == data.languages[0]:
            pages += _Language(data, jinja, words, folder="").landing()
        for page in pages:
            made_from = digest([shared, language, *page.made_from]) if page.made_from else ""
            if not folder.keeps(page.path, made_from):
                folder.put(page.path, page.render().encode("utf-8"), made_from)
        unlabelled |= words.unknown
    folder.tidy()
    return RenderReport(
        folder.written, folder.unchanged, folder.removed, out, frozenset(unlabelled)
    )


def _shared_by_pages(data: SiteData, templates: Path) -> str:
    """Digest of what all pages are made from, besides what each of them shows."""
    files = {
        str(path.relative_to(templates)): digest_bytes(path.read_bytes())
        for path in sorted(templates.rglob("*"))
        if path.is_file()
    }
    return digest(
        {
            "code": data.code,
            "files": files,
            "labels": data.catalogue.labels,
            "checks": {key: check.question for key, check in data.checks.items()},
            "languages": data.languages,
            "store": [data.store, data.write_protection],
            # A page may have shown what was withdrawn since.
            "removed": data.removed,
        }
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that can be rendered.

    Attributes:
        path: Path in the site.
        render: Renders it.
        made_from: What it shows, if that is known without rendering; else it is always rendered.
    """

    path: str
    render: Callable[[], str]
    made_from: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Language:
    """The pages of one language."""

    data: SiteData
    jinja: Environment
    words: Words
    folder: str | None = None
    current: tuple[SignedNight, ...] = field(init=False)

    def __post_init__(self) -> None:
        current = tuple(night for night in self.data.nights if night.current)
        object.__setattr__(self, "current", current)

    @property
    def language(self) -> str:
        return self.words.language

    @property
    def newest(self) -> SignedNight:
        return self.current[0]

    def path(self, name: str) -> str:
        folder = self.language if self.folder is None else self.folder
        return f"{folder}/{name}" if folder else name

    def page(self, template: str, name: str, **content: Any) -> _Page:
        """A page with everything that all pages share."""
        return _Page(self.path(name), lambda: self.text(template, name, **content))

    def text(self, template: str, name: str, **content: Any) -> str:
        """Render a page."""
        root = "../" * self.path(name).count("/")
        return self.jinja.get_template(template).render(
            data=self.data,
            language=self.language,
            root=root,
            base=f"{root}{self.language}/",
            switch={language: f"{root}{language}/{name}" for language in self.data.languages},
            newest=self.newest,
            place=name,
            letters=LETTERS,
            **{"shown_night": None, **content},
        )

    def landing(self) -> Iterator[_Page]:
        """The register in the controlling language, and nights at addresses without language."""
        yield self.page("register.html.j2", "index.html", rows=self.register())
        for night in self.current:
            yield self.night(night)

    def pages(self) -> Iterator[_Page]:
        """All pages of the language."""
        yield self.page("register.html.j2", "index.html", rows=self.register())
        yield self.page("models.html.j2", "models/index.html", rows=self.models())
        yield self.page("nights.html.j2", "nights/index.html", nights=self.data.nights)
        yield self.page(
            "checks.html.j2", "checks/index.html", checks=list(self.data.checks.values())
        )
        for versions in self.data.records.values():
            yield self.versioned("record", versions)
        for dossiers in self.data.dossiers.values():
            yield self.versioned("dossier", dossiers)
        for night in self.current:
            yield self.night(night)
        for check in self.data.checks.values():
            yield self.page("check.html.j2", f"checks/{check.id}.html", check=check)

    # -------------------------------------------------------------------------- content

    def assessment(self, kind: str, key: str) -> Assessment | None:
        """The newest assessment of a record or dossier."""
        for night in self.current:
            found = self.data.assessments.get((f"{kind}/{key}", night.statement.night))
            if found is not None:
                return found
        return None

    def approval(self, kind: str, key: str, version: int) -> Approval:
        """How far the approval of the newest version is."""
        return self.data.approvals.get(f"{kind}/{key}") or Approval(version)

    def register(self) -> list[dict[str, Any]]:
        """One row per activity: contradictions first, then by title."""
        rows = []
        for key, versions in self.data.records.items():
            newest, assessment = versions[-1], self.assessment("record", key)
            rows.append(
                {
                    "id": key,
                    "record": newest.record,
                    "version": newest.version,
                    "night": newest.night,
                    "tally": _tally(assessment.verdicts if assessment else ()),
                    "approval": self.approval("record", key, newest.version),
                    "contradicted": assessment.contradicted if assessment else 0,
                    "assessed": assessment.night if assessment else None,
                }
            )
        return sorted(rows, key=lambda row: (-row["contradicted"], row["id"]))

    def models(self) -> list[dict[str, Any]]:
        """One row per model: open findings first."""
        rows = []
        for key, versions in self.data.dossiers.items():
            newest, assessment = versions[-1], self.assessment("dossier", key)
            findings = assessment.findings if assessment else ()
            rows.append(
                {
                    "id": key,
                    "dossier": newest.dossier,
                    "version": newest.version,
                    "night": newest.night,
                    "open": sum(item.finding.is_open for item in findings),
                    "counts": assessment.counts if assessment else {},
                    "approval": self.approval("dossier", key, newest.version),
                    "contradicted": assessment.contradicted if assessment else 0,
                    "assessed": assessment.night if assessment else None,
                }
            )
        return sorted(rows, key=lambda row: (-row["open"], row["id"]))

    def versioned(self, kind: str, versions: Sequence[VersionedRecord | VersionedDossier]) -> _Page:
        """The page of an activity or model: newest version, evidence report, history."""
        newest = versions[-1]
        document = _content(newest)
        assessment = self.assessment(kind, document.id)
        history = [
            {
                "version": later.version,
                "night": later.night,
                "digest": later.digest,
                "changes": diff(_content(earlier), _content(later)),
            }
            for earlier, later in pairwise(versions)
        ]
        first = versions[0]
        history.insert(
            0,
            {"version": first.version, "night": first.night, "digest": first.digest, "changes": []},
        )
        folder = "activities" if kind == "record" else "models"
        labels = {**field_labels(document), "approval": "meta.next_review"}
        report = None
        if assessment is not None:
            behind = self.data.behind.get(f"{kind}/{document.id}") or Behind(
                roles=self.data.roles, checks=self.data.checks
            )
            report = EvidenceReport(document.document(), assessment, labels, self.words, behind)
        return self.page(
            "versioned.html.j2",
            f"{folder}/{document.id}.html",
            document=readable(document),
            heading=heading(document),
            version=newest.version,
            digest=newest.digest,
            made=newest.night,
            assessment=assessment,
            labels=labels,
            first=report.first() if report else None,
            decided=report.decided() if report else None,
            measured=report.measured(with_unlooked=False) if report else (),
            approval=self.approval(kind, document.id, newest.version),
            events=self.data.approval_events.get(f"{kind}/{document.id}", ()),
            signed_nights={night.statement.night for night in self.current},
            tally=_tally(assessment.verdicts if assessment else ()),
            findings=arrange(assessment.findings if assessment else ()),
            history=list(reversed(history)),
        )

    def night(self, night: SignedNight) -> _Page:
        """The page of a night's current attempt."""
        day = night.statement.night
        name = f"nights/{day}.html"
        attempts = [item for item in self.data.nights if item.statement.night == day]

        def render() -> str:
            return self.text(
                "night.html.j2",
                name,
                night=night,
                shown_night=night,
                findings=self.findings(night),
                attempts=attempts,
            )

        signed = [[item.statement_digest, item.sequence, item.signed_at] for item in attempts]
        return _Page(self.path(name), render, (name, self.folder or "", night.keyid, *signed))

    def findings(self, night: SignedNight) -> Findings:
        """Findings of a night, each once, although several assessments cite it."""
        found: dict[str, FindingView] = {}
        for place in night.statement.assessments:
            assessment = self.data.assessments.get((place, night.statement.night))
            for item in assessment.findings if assessment else ():
                found.setdefault(item.finding.key, item)
        return arrange(found.values())


def _content(version: VersionedRecord | VersionedDossier) -> Any:
    return version.record if isinstance(version, VersionedRecord) else version.dossier


def _tally(verdicts: tuple[FieldVerdict, ...]) -> dict[str, int]:
    """Verdict to number of fields, those a person must look at first."""
    order = ("contradicted", "expired", "not_tested", "confirmed", "not_applicable")
    found = [item.verdict.value for item in verdicts]
    return {name: found.count(name) for name in order if name in found}
