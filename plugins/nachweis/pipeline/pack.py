"""``nachweis pack``: what an auditor takes away about one activity, verifiable by itself.

The same store gives the same bytes: names are sorted, dates fixed, nothing compressed again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import logging
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Template

from nachweis.domain.canonical import canonical_bytes, digest_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError, suggestion
from nachweis.domain.finding import SubjectKind
from nachweis.domain.manifest.common import LANGUAGES
from nachweis.domain.record import Assessment, Record, Statement, VersionRef
from nachweis.pipeline.archive import Archive, SignedAttempt, open_archive
from nachweis.settings import Settings
from nachweis.storage import layout, offline
from nachweis.storage.documents import decode
from nachweis.storage.entries import EntryKind, KeyPredicate
from nachweis.storage.object_store import ObjectStore

_log = logging.getLogger("nachweis.access")
_CLIENT = re.compile(r"(?:clients|processing_for)/([a-z0-9-]+)")
_REMOVALS = frozenset({EntryKind.WITHDRAWAL, EntryKind.DISPOSAL})
_DATED = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Pack:
    """A finished pack.

    Attributes:
        path: The ZIP file.
        files: How many files it holds.
        nights: How many nights.
        digest: SHA-256 of the ZIP file.
    """

    path: Path
    files: int
    nights: int
    digest: str


def make_pack(
    settings: Settings, activity: str, start: dt.date, end: dt.date, path: Path | None = None
) -> Pack:
    """Write the pack of an activity and some nights.

    Args:
        settings: Resolved settings.
        activity: Id of the activity.
        start: First night.
        end: Last night.
        path: Where to write it; default is a name made of the three in the present folder.

    Returns:
        The pack.

    Raises:
        NachweisError: If no such night was signed, or the pack would show other clients' digests.
        IntegrityError: If something that belongs into the pack does not verify.
    """
    from nachweis.storage.s3 import open_store

    target = path or Path(f"{activity}_{start}_{end}.zip")
    work = _Packing(open_archive(settings), activity, start.isoformat(), end.isoformat())
    work.collect(open_store(settings, "anchor"))
    work.add_readmes(settings.templates / "pack")
    content = work.zipped()
    try:
        draft = target.with_name(f".{target.name}.new")
        draft.write_bytes(content)
        draft.replace(target)
    except OSError as error:
        raise NachweisError(
            f"the pack cannot be written ({type(error).__name__})",
            where=str(target),
            remedy="name another file with --out",
        ) from error
    found = Pack(target, len(work.files), len(work.nights), digest_bytes(content))
    _log.info("pack of activity %s, nights %s to %s: %s", activity, start, end, found.digest)
    return found


@dataclass
class _Packing:
    """Collects the files of a pack by their keys."""

    archive: Archive
    activity: str
    start: str
    end: str
    files: dict[str, bytes] = field(default_factory=dict)
    nights: set[str] = field(default_factory=set)
    lacking: set[str] = field(default_factory=set)
    """Keys of objects that belong into the pack and were withdrawn or disposed of."""
    organisation: str | None = None
    shown: dict[str, set[int]] = field(default_factory=dict)
    """``record/ID`` or ``dossier/ID`` to the versions that the pack holds."""

    def collect(self, anchor: ObjectStore) -> None:
        """Add everything that the format asks for."""
        # A pack shows the ledger as it is; verifiers name entries that only revoked keys signed.
        signed = self.archive.every_attempt
        attempts = [item for item in signed if self.start <= item.night <= self.end]
        if not attempts:
            raise NachweisError(
                "no night of this time was signed",
                where=f"{self.start} to {self.end}",
                valid=sorted({item.night for item in signed})[-10:],
            )
        first = min(item.sequence for item in attempts)
        self._demand_one_client(first)
        self._ledger(first, anchor)
        for attempt in attempts:
            self._night(attempt)
        self._approvals(first)
        self._earlier_removals(first)
        if self.organisation is None and attempts:
            self.organisation = self.archive.statement(attempts[-1]).organisation
        self.files["pack.json"] = canonical_bytes(
            {
                "schema_version": 1,
                "kind": "pack",
                "organisation": self.organisation,
                "activity": self.activity,
                "from": self.start,
                "to": self.end,
                "ledger": {
                    "first": first,
                    "last": self.archive.length,
                    "head": self.archive.entries[-1].digest,
                },
                "nights": sorted(self.nights),
                "approvals": sorted(self.shown),
            }
        )

    def _demand_one_client(self, first: int) -> None:
        """Refuse where statements and entries would show what was done for other clients."""
        records: dict[tuple[str, str], Record] = {}
        known: set[str] = set()
        gone: set[str] = set()
        for attempt in self.archive.every_attempt:
            for version in self.archive.statement(attempt).versions:
                if version.kind == "record":
                    known.add(version.id)
                    if attempt.sequence >= first and (version.key, version.digest) not in records:
                        record = self._whatever_became_of(version.key, version.digest)
                        if record is None:
                            gone.add(version.id)
                        else:
                            records[version.key, version.digest] = record
        if self.activity not in known:
            raise NachweisError(
                "no record of this activity was signed",
                where=self.activity,
                remedy=suggestion(self.activity, known),
                valid=sorted(known),
            )
        clients = {record.id: set[str]() for record in records.values()}
        for record in records.values():
            clients[record.id] |= _clients(record)
        own = clients.get(self.activity, set())
        everybody = set[str]().union(*clients.values())
        # Of an activity whose record is gone nobody can tell for whom it was.
        unknown = gone - set(clients) - {self.activity}
        if len(own) > 1 or everybody - own or (unknown and everybody):
            raise NachweisError(
                "the pack would show digests of what was done for other clients",
                where=self.activity,
                remedy="sign what you do for each client with a store and key of its own: the "
                "ledger links everything that it holds",
            )

    def _whatever_became_of(self, key: str, digest: str) -> Record | None:
        """A record, also a withdrawn one that the store has to keep; None if it is gone."""
        try:
            return Record.model_validate(
                parse(self.archive.content(key, digest, even_removed=True))
            )
        except IntegrityError:
            if key in self.archive.removed:
                return None
            raise

    # -------------------------------------------------------------------------- the ledger

    def _ledger(self, first: int, anchor: ObjectStore) -> None:
        for entry in self.archive.entries:
            # Keys decide how all other entries are read, whatever their number.
            if entry.sequence >= first or entry.kind is EntryKind.KEY:
                key = layout.ledger(entry.sequence)
                self.files[key] = self._raw(self.archive.store, key)
            said = entry.predicate
            if isinstance(said, KeyPredicate) and said.public_key is not None:
                self.files[f"keys/{said.keyid}.pem"] = said.public_key.encode()
        points = [stored.key for stored in anchor.list(layout.CHECKPOINTS)]
        for key in reversed(points):
            if layout.locate(key).number("sequence") <= self.archive.length:
                self.files[key] = self._raw(anchor, key)
                break

    def _earlier_removals(self, first: int) -> None:
        """Add the older entries that say why something that the pack cites is not in it.

        Other ones stay out: they would show keys and digests of what the pack is not about.
        """
        for entry in self.archive.entries:
            if entry.sequence >= first or entry.kind not in _REMOVALS:
                continue
            if self.lacking.isdisjoint(entry.subjects):
                continue
            if not self.lacking.issuperset(entry.subjects):
                self._demand_one_client(1)  # the entry shows keys of older nights as well
            key = layout.ledger(entry.sequence)
            self.files[key] = self._raw(self.archive.store, key)

    # ----------------------------------------------------------------------- the documents

    def _night(self, attempt: SignedAttempt) -> None:
        statement = self.archive.statement(attempt)
        self.nights.add(attempt.night)
        self.organisation = self.organisation or statement.organisation
        self._add(layout.statement(attempt.night, attempt.attempt), attempt.statement_digest)
        record = self._version(statement, "record", self.activity)
        models = set(_models(record)) if record is not None else set()
        assessment = self._assessment(attempt, statement, f"record/{self.activity}")
        if assessment is not None:
            subjects = (view.finding.subject for view in assessment.findings)
            models |= {subject.id for subject in subjects if subject.kind is SubjectKind.MODEL}
        for model in sorted(models):
            self._version(statement, "dossier", model)
            self._assessment(attempt, statement, f"dossier/{model}")
            bundle = statement.evidence.get(f"model/{model}")
            if bundle is not None:
                self._add(layout.evidence(bundle), bundle)

    def _assessment(
        self, attempt: SignedAttempt, statement: Statement, subject: str
    ) -> Assessment | None:
        """Add an assessment and the evidence that it cites."""
        digest = statement.assessments.get(subject)
        if digest is None:
            return None
        if self._add(layout.assessment(attempt.night, attempt.attempt, digest), digest) is None:
            return None  # what it cited can no longer be read from it
        assessment = self.archive.assessment(attempt, digest)
        cited = [ref for verdict in assessment.verdicts for ref in verdict.evidence]
        cited += [view.evidence for view in assessment.findings]
        for bundle in {ref.digest for ref in cited}:
            self._add(layout.evidence(bundle), bundle)
        return assessment

    def _approvals(self, first: int) -> None:
        """Add the events of approval of what the pack holds: roles and digests, never names.

        A version may have been approved before the first night of the pack, so that older entries
        come in: those that sign events of a version which is here, and nothing else.
        """
        for entry in self.archive.entries:
            if entry.kind is not EntryKind.DECISION:
                continue
            events = {key: place for key in entry.subjects if (place := _approval(key)) is not None}
            own = {
                key
                for key, place in events.items()
                if place.number("version") in self.shown.get(_document(place), ())
                or (entry.sequence >= first and _document(place) in self.shown)
            }
            if not own or own != set(entry.subjects):
                continue
            if entry.sequence < first:
                key = layout.ledger(entry.sequence)
                self.files[key] = self._raw(self.archive.store, key)
            for key in own:
                self._add(key, entry.subjects[key])

    def _version(self, statement: Statement, kind: str, identifier: str) -> bytes | None:
        """Add a version and its rendered forms; its document."""
        for version in statement.versions:
            if (version.kind, version.id) == (kind, identifier):
                self.shown.setdefault(f"{kind}/{identifier}", set()).add(version.version)
                for name, digest in self._renderings(version):
                    key = layout.rendering(kind, identifier, version.version, name)
                    self._add(key, digest)
                return self._add(version.key, version.digest)
        return None

    def _renderings(self, version: VersionRef) -> Iterable[tuple[str, str | None]]:
        """Names of a version's rendered forms; those of older statements without a digest."""
        if version.renderings:
            return version.renderings.items()
        folder = version.key.rpartition("/")[0] + "/"
        names = [stored.key.removeprefix(folder) for stored in self.archive.store.list(folder)]
        own = version.key.removeprefix(folder)
        return [(name, None) for name in names if name != own]

    def _add(self, key: str, digest: str | None) -> bytes | None:
        """Add an object that has its digest; None for one that was withdrawn or disposed of."""
        if key in self.files:
            return decode(key, self.files[key])
        if key in self._removed:
            self.lacking.add(key)
            return None  # also where the store still has to keep it
        body = self._raw(self.archive.store, key)
        content = decode(key, body)
        if digest is not None and digest_bytes(content) != digest:
            raise IntegrityError("a document differs from its signed digest", where=key)
        self.files[key] = body
        return content

    @cached_property
    def _removed(self) -> set[str]:
        return {
            key
            for entry in self.archive.entries
            if entry.kind in _REMOVALS
            for key in entry.subjects
        }

    @staticmethod
    def _raw(store: ObjectStore, key: str) -> bytes:
        try:
            return store.get(key)
        except KeyError as error:
            raise IntegrityError(
                "a signed object is missing", where=key, remedy="run `nachweis verify`"
            ) from error

    # ----------------------------------------------------------------------------- the file

    def add_readmes(self, folder: Path) -> None:
        """Add the verifier and what a person reads first."""
        words = {
            "activity": self.activity,
            "organisation": self.organisation or "",
            "first": self.start,
            "last": self.end,
        }
        for language in LANGUAGES:
            name = f"README.{language}.txt"
            text = (folder / name).read_text(encoding="utf-8")
            self.files[name] = Template(text).substitute(words).encode()
        verifier = Path(offline.__file__).with_name("verify.py")
        self.files["verify.py"] = verifier.read_bytes()

    def zipped(self) -> bytes:
        """The ZIP file."""
        sums = [
            f"{hashlib.sha256(content).hexdigest()}  {name}\n"
            for name, content in sorted(self.files.items())
        ]
        self.files["SHA256SUMS"] = "".join(sums).encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, content in sorted(self.files.items()):
                info = zipfile.ZipInfo(name, _DATED)
                info.create_system = 3
                info.external_attr = 0o100644 << 16
                archive.writestr(info, content)
        return buffer.getvalue()


def _clients(record: Record) -> set[str]:
    """Clients for whom the activity of a record is carried out."""
    named = (field.id for section in record.sections for field in section.fields)
    return {match.group(1) for name in named for match in [_CLIENT.match(name)] if match}


def _models(record: bytes) -> list[str]:
    """Ids of the models that a record's document names."""
    return [str(item["id"]) for item in parse(record).get("models", [])]


def _approval(key: str) -> layout.Location | None:
    """What the key of an event of an approval says; None for another key."""
    return layout.locate(key) if key.startswith(layout.APPROVALS) else None


def _document(place: layout.Location) -> str:
    return f"{place.parts['target']}/{place.parts['id']}"
