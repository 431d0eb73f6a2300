"""Verification of a whole store: ledger, keys, digests, versions and the anchor.

Every object is listed once and read at most once. A report never stops at the first problem: it
names all of them by a stable code, the key and a sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError, StoreError
from nachweis.domain.record import Statement
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind, LedgerEntry, NightPredicate, ReferencePredicate
from nachweis.storage.inventory import Inventory, fetch
from nachweis.storage.layout import Kind, Location
from nachweis.storage.narratives import TextRef, read_text
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.verify_chain import Chain
from nachweis.storage.verify_report import Code, Notice, Problem, Remark, Remarks, VerifyReport

__all__ = ["Code", "Notice", "Problem", "Remark", "VerifyReport", "verify_store"]


def verify_store(
    records: ObjectStore,
    trusted_keys: Collection[str],
    *,
    anchor: ObjectStore | None = None,
    narratives: ObjectStore | None = None,
) -> VerifyReport:
    """Verify everything that the ledger vouches for.

    Args:
        records: The bucket ``records``.
        trusted_keys: Pinned fingerprints (see :func:`nachweis.storage.signing.pinned`). One key
            of the ledger must be among them: entries before its first signature are vouched for
            by the hash chain, entries after it by the authority it passed on.
        anchor: The bucket ``anchor``.
        narratives: The bucket ``narratives``.

    Returns:
        The report.

    Raises:
        StoreError: If a store cannot be reached.
    """
    remarks = Remarks()
    inventory = Inventory.take(records)
    chain = Chain(remarks)
    chain.walk(records, inventory)
    chain.judge_keys(frozenset(trusted_keys))
    anchored = chain.compare_with(anchor) if anchor is not None else 0
    documents = _Documents(records, inventory, remarks, _removed(chain.entries.values()))
    documents.verify(list(chain.entries.values()))
    if narratives is not None:
        _verify_texts(narratives, chain.entries.values(), remarks)
    return VerifyReport(
        entries=sum(1 for _ in inventory.of(Kind.LEDGER)),
        nights=sum(entry.kind is EntryKind.NIGHT for entry in chain.entries.values()),
        objects=sum(held.versions > 0 for held in inventory.held.values()),
        checked=len(chain.entries) + documents.checked,
        head=chain.head,
        anchored=anchored,
        keys=tuple(sorted(chain.keyring.active)),
        problems=tuple(remarks.problems),
        notices=tuple(remarks.notices),
    )


def _removed(entries: Iterable[LedgerEntry]) -> dict[str, EntryKind]:
    """Objects that were withdrawn or disposed of, as signed entries say."""
    removals = {EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
    return {
        key: entry.kind for entry in entries if entry.kind in removals for key in entry.subjects
    }


def _verify_texts(
    narratives: ObjectStore, entries: Iterable[LedgerEntry], remarks: Remarks
) -> None:
    for entry in entries:
        said = entry.predicate
        if not isinstance(said, ReferencePredicate) or not said.text_ref:
            continue
        key = layout.text(said.text_ref)
        try:
            read_text(narratives, TextRef(said.text_ref, said.text_digest or ""))
        except KeyError:
            remarks.notice(Remark.TEXT_ERASED, key, "The text that an entry cites was erased.")
        except IntegrityError as error:
            remarks.problem(Code.TEXT_CHANGED, key, f"The text cannot be trusted: {error.what}.")


def _citations(statement: Statement) -> list[tuple[str, str]]:
    """Key and digest of every document that a statement vouches for."""
    night, attempt = statement.night, statement.attempt
    return [
        *((layout.evidence(d), d) for d in statement.evidence.values()),
        *((layout.assessment(night, attempt, d), d) for d in statement.assessments.values()),
        *(
            (layout.versioned(version.kind, version.id, version.version), version.digest)
            for version in statement.versions
        ),
    ]


def _location(key: str) -> Location | None:
    try:
        return layout.locate(key)
    except StoreError:
        return None


@dataclass(slots=True)
class _Documents:
    """The documents that the ledger vouches for, directly or through statements."""

    records: ObjectStore
    inventory: Inventory
    remarks: Remarks
    removed: dict[str, EntryKind]
    cited: dict[str, str] = field(default_factory=dict)
    checked: int = 0

    def verify(self, entries: list[LedgerEntry]) -> None:
        """Verify everything that these entries cite, and that nothing was rewritten."""
        self._removals()
        self._single_versions()
        self._numbering()
        nights: dict[str, list[LedgerEntry]] = {}
        for entry in entries:
            if entry.kind is EntryKind.NIGHT:
                self._night(entry, nights)
            elif entry.kind not in {EntryKind.KEY, EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}:
                for name, digest in entry.subjects.items():
                    self._cite(name, digest)
        self._superseded(nights)
        statements = dict(self.cited)
        by_key = {
            layout.statement(said.night, said.attempt): entry
            for signed in nights.values()
            for entry in signed
            if isinstance(said := entry.predicate, NightPredicate)
        }
        for key, content in self._contents(statements):
            if key in by_key:
                self._statement(key, content, by_key[key])
        for _ in self._contents({k: d for k, d in self.cited.items() if k not in statements}):
            pass  # reading compares the digests
        self._uncited()

    # ---------------------------------------------------------------- removals and versions

    def _removals(self) -> None:
        for key, kind in self.removed.items():
            remark = Remark.WITHDRAWN if kind is EntryKind.WITHDRAWAL else Remark.DISPOSED
            done = "was withdrawn" if kind is EntryKind.WITHDRAWAL else "was disposed of"
            self.remarks.notice(remark, key, f"The object {done}, as the ledger says.")
            held = self.inventory.held.get(key)
            if held and held.versions:
                self.remarks.notice(
                    Remark.STILL_PRESENT, key, f"The object {done}, but the store still holds it."
                )

    def _single_versions(self) -> None:
        if not self.inventory.versioned:
            self.remarks.notice(Remark.NOT_VERSIONED, "", "The store keeps no versions of objects.")
        for key, held in self.inventory.held.items():
            if key.startswith(layout.SELF_TEST):
                continue
            if held.location is None:
                self.remarks.notice(
                    Remark.UNKNOWN_OBJECT, key, "The key is not of the store's layout."
                )
            elif held.location.kind not in layout.MUTABLE and key not in self.removed:
                if held.markers:
                    self.remarks.problem(
                        Code.OBJECT_DELETED, key, "A delete marker hides an object that must stay."
                    )
                if held.versions > 1:
                    self.remarks.problem(
                        Code.OBJECT_OVERWRITTEN,
                        key,
                        f"The object has {held.versions} versions; it may have one.",
                    )

    def _numbering(self) -> None:
        """Versions of a document and events of a history count from 1 without a gap."""
        found: dict[tuple[Code, str], set[int]] = {}
        for key in {*self.inventory.held, *self.removed}:
            location = _location(key)
            if location is None:
                continue
            if location.kind in {Kind.RECORD, Kind.DOSSIER}:
                history = (Code.VERSION_GAP, key.rsplit("/", 2)[0])
                found.setdefault(history, set()).add(location.number("version"))
            elif location.kind in {Kind.APPROVAL, Kind.INCIDENT}:
                history = (Code.EVENT_GAP, key.rsplit("/", 1)[0])
                found.setdefault(history, set()).add(location.number("event"))
        for (code, folder), numbers in sorted(found.items()):
            for absent in sorted(set(range(1, max(numbers))) - numbers)[:1]:
                self.remarks.problem(code, folder, f"Number {absent} is missing.")

    # ------------------------------------------------------------------------ what is cited

    def _night(self, entry: LedgerEntry, nights: dict[str, list[LedgerEntry]]) -> None:
        said = entry.predicate
        if not isinstance(said, NightPredicate):
            return
        try:
            key = layout.statement(said.night, said.attempt)
        except StoreError:
            key = ""
        if dict(entry.subjects) != {key: said.statement}:
            self.remarks.problem(
                Code.STATEMENT_CONTRADICTS_ENTRY,
                layout.ledger(entry.sequence),
                "The entry's subject is not the statement that it describes.",
            )
            return
        self._cite(key, said.statement)
        nights.setdefault(said.night, []).append(entry)

    def _superseded(self, nights: dict[str, list[LedgerEntry]]) -> None:
        for signed in nights.values():
            earlier: set[str] = set()
            for entry in signed:
                said = entry.predicate
                if not isinstance(said, NightPredicate):
                    continue
                if said.supersedes is not None and said.supersedes not in earlier:
                    self.remarks.problem(
                        Code.SUPERSEDES_UNKNOWN,
                        layout.ledger(entry.sequence),
                        "The attempt supersedes one that was never signed before it.",
                    )
                earlier.add(said.attempt)

    def _cite(self, key: str, digest: str) -> None:
        location = _location(key)
        if location is None or location.kind in layout.MUTABLE:
            return  # not an object of the store, or one whose current version may differ
        if self.cited.setdefault(key, digest) != digest:
            self.remarks.problem(
                Code.VERSION_REWRITTEN, key, "The ledger cites two different contents."
            )

    def _statement(self, key: str, content: bytes, entry: LedgerEntry) -> None:
        try:
            statement = Statement.model_validate(parse(content))
        except (ValidationError, NachweisError) as error:
            self.remarks.problem(
                Code.STATEMENT_MALFORMED,
                key,
                f"The statement is not of a known form ({type(error).__name__}).",
            )
            return
        fields = ("night", "attempt", "idempotency_key", "supersedes")
        if any(getattr(statement, name) != getattr(entry.predicate, name) for name in fields):
            self.remarks.problem(
                Code.STATEMENT_CONTRADICTS_ENTRY, key, "Statement and ledger entry differ."
            )
            return
        try:
            cited = _citations(statement)
        except StoreError:
            self.remarks.problem(
                Code.STATEMENT_MALFORMED, key, "The statement cites something that is no digest."
            )
            return
        for name, digest in cited:
            self._cite(name, digest)
        if any(version.key not in dict(cited) for version in statement.versions):
            self.remarks.problem(
                Code.STATEMENT_CONTRADICTS_ENTRY, key, "A version is cited by a wrong key."
            )

    def _contents(self, wanted: dict[str, str]) -> Iterator[tuple[str, bytes]]:
        """Read cited documents; yields those whose bytes have the cited digest."""
        present = []
        for key in wanted:
            held = self.inventory.held.get(key)
            if held is not None and held.versions:
                present.append(key)
            elif key not in self.removed:
                self.remarks.problem(Code.OBJECT_MISSING, key, "A cited object is missing.")
        for key, content in fetch(self.records, present):
            if isinstance(content, KeyError):
                continue  # a delete marker hides it, which is reported or explained already
            if isinstance(content, IntegrityError):
                self.remarks.problem(
                    Code.OBJECT_CORRUPT, key, f"The object cannot be read: {content.what}."
                )
            elif digest_bytes(content) != wanted[key]:
                self.remarks.problem(
                    Code.DIGEST_MISMATCH, key, "The object is not the one that was cited."
                )
            else:
                self.checked += 1
                yield key, content

    def _uncited(self) -> None:
        kinds = (Kind.STATEMENT, Kind.EVIDENCE, Kind.ASSESSMENT, Kind.RECORD, Kind.DOSSIER)
        for key, _ in self.inventory.of(*kinds):
            if key not in self.cited:
                self.remarks.notice(
                    Remark.NOT_CITED, key, "No signed statement cites the object: a run broke off."
                )
