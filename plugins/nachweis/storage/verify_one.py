"""Verification of one document: who signed that it exists, when, and is it still the same?"""

from __future__ import annotations

import re
from collections.abc import Collection

from pydantic import ValidationError

from nachweis.domain.canonical import digest_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError, StoreError
from nachweis.domain.record import Statement
from nachweis.storage import layout
from nachweis.storage.entries import EntryKind, LedgerEntry, NightPredicate
from nachweis.storage.inventory import Inventory, fetch
from nachweis.storage.object_store import ObjectStore
from nachweis.storage.verify_chain import Chain
from nachweis.storage.verify_documents import Documents, citations
from nachweis.storage.verify_report import Code, Remark, Remarks, VerifyReport

_VERSION = re.compile(r"(record|dossier)/([^/]+)(?:/([0-9]{1,6}))?")


def verify_document(
    records: ObjectStore,
    trusted_keys: Collection[str],
    name: str,
    *,
    anchor: ObjectStore | None = None,
) -> VerifyReport:
    """Verify the ledger and one document that it vouches for.

    Args:
        records: The bucket ``records``.
        trusted_keys: Pinned fingerprints.
        name: Object key, SHA-256 of the document, or ``record/<id>`` or ``dossier/<id>`` with or
            without ``/<version>``; without one, the version that the newest night cites.
        anchor: The bucket ``anchor``.

    Returns:
        The report; ``in_force`` says under which entries the document is cited.

    Raises:
        NachweisError: If nothing that is signed cites such a document.
        StoreError: If a store cannot be reached.
    """
    remarks = Remarks()
    chain = Chain(remarks)
    chain.walk(records, Inventory.take(records, layout.LEDGER))
    chain.judge_keys(frozenset(trusted_keys))
    anchored = chain.compare_with(anchor) if anchor is not None else 0
    entries = list(chain.entries.values())
    removed: dict[str, EntryKind] = {
        key: entry.kind
        for entry in entries
        if entry.kind in {EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
        for key in entry.subjects
    }
    entry, key, digest = _cited(records, entries, name, remarks)
    inventory = Inventory({})
    inventory.look(records, [key])
    documents = Documents(records, inventory, remarks, removed, whole=False)
    content = documents.one(key, digest)
    if content is not None:
        remarks.notice(
            Remark.CITED,
            layout.ledger(entry.sequence),
            f"Signed {entry.signed_at:%Y-%m-%d %H:%M:%S} UTC by the signer's clock; "
            f"SHA-256 {digest}.",
        )
    return VerifyReport(
        entries=chain.count,
        nights=sum(one.kind is EntryKind.NIGHT for one in entries),
        objects=sum(held.versions > 0 for held in inventory.held.values()),
        checked=len(entries) + documents.checked,
        head=chain.digest_of(chain.length),
        anchored=anchored,
        keys=tuple(sorted(chain.keyring.active)),
        problems=tuple(remarks.problems),
        notices=tuple(remarks.notices),
    )


def _cited(
    records: ObjectStore, entries: list[LedgerEntry], name: str, remarks: Remarks
) -> tuple[LedgerEntry, str, str]:
    """The newest entry that vouches for a document, its key and its digest."""
    for entry in reversed(entries):
        for key, digest in entry.subjects.items():
            if name in (key, digest) and not key.startswith("key:"):
                return entry, key, digest
        if not isinstance(entry.predicate, NightPredicate):
            continue
        statement = _statement(records, entry, remarks)
        if statement is None:
            continue
        for key, digest in citations(statement):
            if name in (key, digest) or _names(name, key):
                return entry, key, digest
    raise NachweisError(
        "nothing that is signed cites such a document",
        where=name,
        remedy="name an object key, a SHA-256 digest, or record/ID or dossier/ID with or without "
        "/VERSION",
    )


def _names(name: str, key: str) -> bool:
    """Whether ``record/<id>[/<version>]`` means this version."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return False
    kind, identifier, version = match.groups()
    try:
        prefix = layout.versions_prefix(kind, identifier)
    except StoreError:
        return False
    if not key.startswith(prefix) or not key.endswith(f"/{kind}.json"):
        return False
    return version is None or layout.locate(key).number("version") == int(version)


def _statement(records: ObjectStore, entry: LedgerEntry, remarks: Remarks) -> Statement | None:
    """A night's statement if it is the signed one; what is wrong with it is reported."""
    ((key, digest),) = entry.subjects.items() if len(entry.subjects) == 1 else (("", ""),)
    for _, content in fetch(records, [key]):
        if isinstance(content, KeyError):
            remarks.problem(Code.OBJECT_MISSING, key, "A cited object is missing.")
        elif isinstance(content, IntegrityError):
            remarks.problem(Code.OBJECT_CORRUPT, key, f"The object cannot be read: {content.what}.")
        elif digest_bytes(content) != digest:
            remarks.problem(Code.DIGEST_MISMATCH, key, "The object is not the one that was cited.")
        else:
            try:
                return Statement.model_validate(parse(content))
            except (ValidationError, NachweisError):
                remarks.problem(Code.STATEMENT_MALFORMED, key, "It is not of a known form.")
    return None
