"""Reading what was signed: ledger entries, statements, evidence, versions; each byte verified.

Everything signed is cached in the state folder. A cached ledger entry is verified each time it is
loaded (:mod:`nachweis.pipeline.ledger_walk`), a cached document by its digest, so that the cache
needs no trust.

An entry counts as evidence only while a key that signed it is trusted at its number. One that was
signed by nobody but keys revoked with effect from before it stays in the ledger and in packs, where
every verifier names it; here it makes no night, no decision and no incident.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError, RemovedError
from nachweis.domain.finding import Measurement
from nachweis.domain.observation import PastFinding
from nachweis.domain.record import (
    Assessment,
    Document,
    Dossier,
    Evidence,
    Record,
    Statement,
)
from nachweis.pipeline.ledger_walk import Walked, keep_cached, walk
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import read_document
from nachweis.storage.entries import (
    EntryKind,
    LedgerEntry,
    NightPredicate,
    ReferencePredicate,
)
from nachweis.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from nachweis.pipeline.decide import Decision

D = TypeVar("D", bound=Document)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedAttempt:
    """One signed attempt of a night, as the ledger says.

    ``brings_versions`` is False if its entry says that it has no new version of any document.
    """

    night: str
    attempt: str
    identity: str
    statement_digest: str
    sequence: int
    keyid: str
    signed_at: dt.datetime
    brings_versions: bool = True


class Archive:
    """The signed past of one store.

    Args:
        store: The bucket ``records``.
        cache: Local folder; grows with the ledger, may be deleted at any time.
    """

    def __init__(self, store: ObjectStore, cache: Path) -> None:
        self.store = store
        self.cache = cache
        self._histories: dict[tuple[str, dt.date, int], list[tuple[str, Evidence]]] = {}

    # --------------------------------------------------------------------------- ledger

    @cached_property
    def _walked(self) -> Walked:
        return walk(self.store, self.cache)

    @property
    def _entries(self) -> list[tuple[LedgerEntry, frozenset[str]]]:
        return self._walked.entries

    @property
    def length(self) -> int:
        """Number of ledger entries."""
        return len(self._entries)

    @property
    def entries(self) -> list[LedgerEntry]:
        """All entries, oldest first, whether they count as evidence or not."""
        return [entry for entry, _ in self._entries]

    @cached_property
    def untrusted(self) -> frozenset[int]:
        """Numbers of the entries that only revoked keys signed; they are no evidence."""
        revoked = self._walked.revoked
        found = frozenset(
            entry.sequence
            for entry, keyids in self._entries
            if all(revoked.get(one, entry.sequence + 1) <= entry.sequence for one in keyids)
        )
        if found:
            _log.warning(
                "%d ledger entries do not count, since only revoked keys signed them: %s",
                len(found),
                ", ".join(str(number) for number in sorted(found)[:10]),
            )
        return found

    @cached_property
    def counted(self) -> list[LedgerEntry]:
        """The entries that count as evidence, oldest first."""
        return [entry for entry in self.entries if entry.sequence not in self.untrusted]

    @cached_property
    def removed(self) -> dict[str, LedgerEntry]:
        """Object key to the entry that says that it was withdrawn or disposed of."""
        return {
            key: entry
            for entry in self.counted
            if entry.kind in {EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
            for key in entry.subjects
        }

    @cached_property
    def attempts(self) -> list[SignedAttempt]:
        """The signed attempts that count as evidence, in ledger order."""
        return [item for item in self.every_attempt if item.sequence not in self.untrusted]

    @cached_property
    def every_attempt(self) -> list[SignedAttempt]:
        """All signed attempts, also those that only revoked keys signed."""
        return [
            SignedAttempt(
                entry.predicate.night,
                entry.predicate.attempt,
                entry.predicate.idempotency_key,
                entry.predicate.statement,
                entry.sequence,
                self._signer(keyids, entry.sequence),
                entry.signed_at,
                entry.predicate.versions is None or bool(entry.predicate.versions),
            )
            for entry, keyids in self._entries
            if entry.kind is EntryKind.NIGHT and isinstance(entry.predicate, NightPredicate)
        ]

    def _signer(self, keyids: frozenset[str], number: int) -> str:
        """The key to name for an entry: one that is trusted there, if there is one."""
        revoked = self._walked.revoked
        return min(keyids, key=lambda one: (revoked.get(one, number + 1) <= number, one))

    def current(self, night: str) -> SignedAttempt | None:
        """The attempt of a night that no later one supersedes, or None."""
        own = [attempt for attempt in self.attempts if attempt.night == night]
        return own[-1] if own else None

    def at(self, sequence: int) -> SignedAttempt | None:
        """The attempt that an entry signed, superseded or not, or None."""
        return next((item for item in self.attempts if item.sequence == sequence), None)

    def signed(self, night: str, identity: str) -> SignedAttempt | None:
        """The current attempt if it was made from exactly these inputs."""
        current = self.current(night)
        return current if current is not None and current.identity == identity else None

    def demand_organisation(self, organisation: str) -> None:
        """Refuse to go on with the ledger of another organisation.

        Args:
            organisation: Id of the organisation whose night shall be signed.

        Raises:
            NachweisError: If the night signed last is another organisation's.
        """
        if not self.attempts:
            return
        owner = self.statement(self.attempts[-1]).organisation
        if owner is not None and owner != organisation:
            raise NachweisError(
                f"this store holds the nights of {owner}, and one ledger serves one organisation",
                where=f"organisation {organisation}",
                remedy="give this world a state folder of its own "
                "(export NACHWEIS_STATE=/path/to/folder) or buckets of its own; if the "
                f"organisation only changed its name, keep the id {owner}",
            )

    @property
    def newest_night(self) -> str | None:
        """The latest signed night, or None."""
        return max((attempt.night for attempt in self.attempts), default=None)

    # ------------------------------------------------------------------------ documents

    def content(self, key: str, digest: str, *, even_removed: bool = False) -> bytes:
        """The bytes of a signed document, as they were signed.

        Args:
            key: Object key.
            digest: SHA-256 that is signed for it.
            even_removed: Also if the ledger says that it was removed, while the store has to keep
                it; for deciding about it, never for showing it.

        Raises:
            RemovedError: If it was withdrawn or disposed of; a copy in the cache goes too.
            IntegrityError: If it is missing or another one.
        """
        path = self._copy_of(digest)
        if key in self.removed and not even_removed:
            path.unlink(missing_ok=True)
            entry = self.removed[key]
            withdrawn = entry.kind is EntryKind.WITHDRAWAL
            raise RemovedError(
                f"the document was {'withdrawn' if withdrawn else 'disposed of'}, as ledger entry "
                f"{entry.sequence} says",
                where=key,
            )
        content = path.read_bytes() if path.is_file() else None
        if content is None or digest_bytes(content) != digest:
            try:
                content = read_document(self.store, key)
            except KeyError as error:
                raise IntegrityError("a signed document is missing", where=key) from error
            if digest_bytes(content) != digest:
                raise IntegrityError("a document differs from its signed digest", where=key)
            if key not in self.removed:
                keep_cached(path, content)
        return content

    def _document(self, key: str, digest: str, kind: type[D]) -> D:
        return kind.model_validate(parse(self.content(key, digest)))

    def statement(self, attempt: SignedAttempt) -> Statement:
        """The statement of an attempt."""
        key = layout.statement(attempt.night, attempt.attempt)
        return self._document(key, attempt.statement_digest, Statement)

    def evidence(self, digest: str) -> Evidence:
        """An evidence bundle."""
        return self._document(layout.evidence(digest), digest, Evidence)

    def assessment(self, attempt: SignedAttempt, digest: str) -> Assessment:
        """An assessment of an attempt."""
        key = layout.assessment(attempt.night, attempt.attempt, digest)
        return self._document(key, digest, Assessment)

    def record(self, key: str, digest: str) -> Record:
        """A record version."""
        return self._document(key, digest, Record)

    def dossier(self, key: str, digest: str) -> Dossier:
        """A dossier version."""
        return self._document(key, digest, Dossier)

    def if_kept(self, read: Callable[[], D]) -> D | None:
        """A document, or None if it was withdrawn or disposed of.

        Args:
            read: Reads it.
        """
        try:
            return read()
        except RemovedError:
            return None

    def forget(self, keys: Iterable[str]) -> None:
        """Drop copies of removed documents from this machine's cache.

        Args:
            keys: Keys of objects that the ledger says were removed.
        """
        for key in keys:
            digest = self.removed[key].subjects[key]
            self._copy_of(digest).unlink(missing_ok=True)

    def keep(self, digest: str, content: bytes) -> None:
        """Keep a copy of a document that was just written, so that nobody here asks for it again.

        Args:
            digest: SHA-256 of the document.
            content: Its bytes.
        """
        keep_cached(self._copy_of(digest), content)

    def _copy_of(self, digest: str) -> Path:
        return self.cache / "objects" / digest[:2] / digest

    # -------------------------------------------------------------------------- history

    def history(self, subject: str, night: dt.date, nights: int) -> list[tuple[str, Evidence]]:
        """Evidence about a subject from the signed nights before, newest first.

        Nights count as they were signed, not by the calendar: a model that is scored monthly has a
        history too.

        Args:
            subject: ``kind/id``.
            night: The night; only earlier ones count.
            nights: How many signed nights to look back.

        Returns:
            Night and evidence, for nights that have evidence about the subject.
        """
        earlier = sorted({item.night for item in self.attempts if item.night < night.isoformat()})
        found = []
        for day in reversed(earlier[-nights:]):
            attempt = self.current(day)
            digest = self.statement(attempt).evidence.get(subject) if attempt else None
            kept = self._if_evidence(digest)
            if kept is not None:
                found.append((day, kept))
        return found

    def _if_evidence(self, digest: str | None) -> Evidence | None:
        """An evidence bundle; None for no digest, and for one that was removed."""
        return None if digest is None else self.if_kept(lambda: self.evidence(digest))

    def past_findings(
        self, subject: str, check: str, night: dt.date, nights: int
    ) -> list[PastFinding]:
        """A check's findings about a subject in the signed nights before, newest first."""
        asked = (subject, night, nights)
        if asked not in self._histories:
            self._histories[asked] = self.history(subject, night, nights)
        return [
            PastFinding(
                night=day,
                outcome=finding.outcome.value,
                column=finding.column,
                drifted=_drifted(finding.measurements),
                values={item.name: item.value for item in finding.measurements},
                units={item.name: item.unit for item in finding.measurements},
                limits=limits_of(finding.measurements),
            )
            for day, evidence in self._histories[asked]
            for finding in evidence.findings
            if finding.check == check
        ]

    def incidents(self) -> frozenset[str]:
        """Ids of the incidents whose opening is signed."""
        return frozenset(
            entry.predicate.id
            for entry in self.counted
            if entry.kind is EntryKind.INCIDENT
            and isinstance(entry.predicate, ReferencePredicate)
            and entry.predicate.event == "opened"
        )

    def decisions(self) -> list[Decision]:
        """What people said about findings, oldest first."""
        from nachweis.pipeline.decide import Decision

        return [
            Decision(entry.predicate.id, entry.predicate.event, entry.predicate.night or "")
            for entry in self.counted
            if entry.kind is EntryKind.DECISION and isinstance(entry.predicate, ReferencePredicate)
        ]


def _drifted(measurements: Iterable[object]) -> bool | None:
    said = [getattr(item, "drifted", None) for item in measurements]
    known = [value for value in said if value is not None]
    return any(known) if known else None


def limits_of(measurements: Iterable[Measurement]) -> dict[str, float]:
    """Measurement name to the number it was held against."""
    return {
        item.name: float(item.threshold.value)
        for item in measurements
        if item.threshold is not None and not isinstance(item.threshold.value, str)
    }


def open_archive(settings: Settings) -> Archive:
    """The archive of the configured store.

    Args:
        settings: Resolved settings.

    Returns:
        The archive; its cache is kept apart by bucket and endpoint.
    """
    from nachweis.storage.s3 import open_store

    place = digest_bytes(f"{settings.s3_endpoint}|{settings.bucket_records}".encode())[:16]
    return Archive(open_store(settings, "records"), settings.cache / "archive" / place)


def newest_night(settings: Settings) -> str:
    """The latest signed night.

    Args:
        settings: Resolved settings.

    Returns:
        ``YYYY-MM-DD``.

    Raises:
        NachweisError: If no night was signed yet.
    """
    night = open_archive(settings).newest_night
    if night is None:
        raise NachweisError(
            "no night was signed yet",
            remedy="name one with --night, or sign one: nachweis run --night YYYY-MM-DD",
        )
    return night


def night_of(archive: Archive, night: str | None) -> SignedAttempt:
    """The current attempt of a night, by default the newest.

    Raises:
        NachweisError: If it was not signed.
    """
    wanted = night or archive.newest_night
    attempt = archive.current(wanted) if wanted else None
    if attempt is None:
        signed: Sequence[str] = sorted({item.night for item in archive.attempts})[-10:]
        raise NachweisError(
            "this night was not signed" if wanted else "no night was signed yet",
            where=wanted or "",
            remedy=f"sign it: nachweis run --night {wanted or 'YYYY-MM-DD'}",
            valid=signed,
        )
    return attempt
