"""Verification of the documents that the ledger vouches for, directly or through statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError, StoreError
from nachweis.domain.record import Statement
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind, LedgerEntry, NightPredicate
from nachweis.storage.inventory import Inventory, fetch
from nachweis.storage.layout import Kind, Location
from nachweis.storage.ledger import night_predicate
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.verify_report import Code, Remark, Remarks


def citations(statement: Statement) -> list[tuple[str, str]]:
    """Key and digest of every document that a statement vouches for."""
    night, attempt = statement.night, statement.attempt
    return [
        *((layout.evidence(d), d) for d in statement.evidence.values()),
        *((layout.assessment(night, attempt, d), d) for d in statement.assessments.values()),
        *(
            (layout.versioned(version.kind, version.id, version.version), version.digest)
            for version in statement.versions
        ),
        *(
            (layout.rendering(version.kind, version.id, version.version, name), digest)
            for version in statement.versions
            for name, digest in version.renderings.items()
        ),
    ]


def _location(key: str) -> Location | None:
    try:
        return layout.locate(key)
    except StoreError:
        return None


@dataclass(slots=True)
class Documents:
    """The documents that the ledger vouches for, directly or through statements."""

    records: ObjectStore
    inventory: Inventory
    remarks: Remarks
    removed: dict[str, EntryKind]
    whole: bool = True
    """Whether the entries are all of the ledger; if not, documents that earlier nights made are
    not read again, and nothing is said about what lies beside the entries' own documents."""
    to_the_end: bool = True
    """Whether the entries reach to the end of the ledger; if not, later ones cite more."""
    cited: dict[str, str] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    checked: int = 0
    _known: set[str] = field(default_factory=set)

    def verify(self, entries: list[LedgerEntry]) -> None:
        """Verify everything that these entries cite, and that nothing was rewritten."""
        self._removals()
        if self.whole:
            self._numbering()
        nights: dict[str, list[LedgerEntry]] = {}
        for entry in entries:
            if entry.kind is EntryKind.NIGHT:
                self._night(entry, nights)
            elif entry.kind not in {EntryKind.KEY, EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}:
                for name, digest in entry.subjects.items():
                    self._cite(name, digest)
        if self.whole:
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
        rest = {
            key: digest
            for key, digest in self.cited.items()
            if key not in statements and key not in self._known
        }
        for _ in self._contents(rest):
            pass  # reading compares the digests
        self._single_versions()
        if self.whole and self.to_the_end:
            self._uncited()

    def one(self, key: str, digest: str) -> bytes | None:
        """Verify a single object; its document if it is the cited one."""
        if key in self.removed:
            self.removed = {key: self.removed[key]}
            self._removals()
        content = dict(self._contents({key: digest})).get(key)
        self._single_versions()
        return content

    def in_force(self) -> tuple[str, ...]:
        """The newest version of each record and dossier that the statements cite."""
        newest: dict[str, int] = {}
        for version in (version for one in self.statements for version in one.versions):
            name = f"{version.kind}/{version.id}"
            newest[name] = max(version.version, newest.get(name, 0))
        return tuple(f"{name}/{number}" for name, number in sorted(newest.items()))

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
        if self.whole and not self.inventory.versioned:
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
        fields = ("night", "attempt", "idempotency_key", "supersedes", "documents")
        said, expected = entry.predicate, night_predicate(statement)
        listed = getattr(said, "versions", None)
        if any(getattr(said, name) != getattr(expected, name) for name in fields) or (
            listed is not None and listed != expected.versions
        ):
            self._differs(key)
            return
        try:
            cited = citations(statement)
        except StoreError:
            self.remarks.problem(
                Code.STATEMENT_MALFORMED, key, "The statement cites something that is no digest."
            )
            return
        self.statements.append(statement)
        for name, digest in cited:
            self._cite(name, digest)
        if not self.whole:
            for version in statement.versions:
                if not version.new:
                    earlier = statement.model_copy(
                        update={"evidence": {}, "assessments": {}, "versions": (version,)}
                    )
                    self._known.update(name for name, _ in citations(earlier))
        if any(version.key not in dict(cited) for version in statement.versions):
            self.remarks.problem(
                Code.STATEMENT_CONTRADICTS_ENTRY, key, "A version is cited by a wrong key."
            )

    def _differs(self, key: str) -> None:
        self.remarks.problem(
            Code.STATEMENT_CONTRADICTS_ENTRY, key, "Statement and ledger entry differ."
        )

    def _contents(self, wanted: dict[str, str]) -> Iterator[tuple[str, bytes]]:
        """Read cited documents; yields those whose bytes have the cited digest."""
        if not self.whole:
            self.inventory.look(self.records, wanted)
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
        for key, _ in self.inventory.of(Kind.APPROVAL):
            if key not in self.cited:
                self.remarks.notice(
                    Remark.NOT_CITED, key, "No entry cites the event: it was never signed."
                )
        for key, location in self.inventory.of(Kind.RECORD_RENDERING, Kind.DOSSIER_RENDERING):
            if key not in self.cited:
                parts = location.parts
                target = "record" if location.kind is Kind.RECORD_RENDERING else "dossier"
                document = layout.versioned(target, parts["id"], location.number("version"))
                if document in self.cited:
                    self.remarks.notice(
                        Remark.NOT_PROVEN, key, "No statement holds the digest of this rendering."
                    )
