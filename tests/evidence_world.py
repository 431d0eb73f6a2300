"""Real nights with everything that a ledger can hold, and local copies of them to tamper with."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nachweis import registry
from nachweis.domain.canonical import canonical_bytes, digest_bytes
from nachweis.pipeline.findings import acknowledge, findings_of
from nachweis.pipeline.keys import rotate
from nachweis.pipeline.removal import withdraw
from nachweis.settings import Settings
from nachweis.storage import layout
from nachweis.storage.documents import lock_for
from nachweis.storage.entries import (
    EntryKind,
    LedgerEntry,
    Predicate,
    ReferencePredicate,
    build_payload,
    parse_payload,
)
from nachweis.storage.ledger import Ledger
from nachweis.storage.narratives import write_text
from nachweis.storage.s3 import open_store
from nachweis.storage.signing import (
    generate_key,
    open_envelope,
    open_signer,
    public_key_pem,
    sign,
)
from tests.integration.night_support import FIRST, SECOND, Place

ACTIVITY = "manifests/activities/marketing.yaml"


@dataclass
class EvidenceWorld:
    """What three nights left in the buckets, and both keys that signed it."""

    place: Place
    old: Settings
    new: Settings
    withdrawn: str
    objects: Mapping[str, bytes]
    repeated: tuple[str, ...] = ()

    @property
    def first_key(self) -> str:
        """Fingerprint that an auditor pinned at the beginning."""
        return str(open_signer(self.old).public_key.keyid)


def build(here: Place) -> EvidenceWorld:
    """Like :func:`_build`, with every fourth check: tampering does not ask for the others."""
    every = registry.applicable
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "applicable", lambda world, of: every(world, of)[::4])
        return _build(here)


def _build(here: Place, languages: tuple[str, ...] = ("en", "de")) -> EvidenceWorld:
    """Sign nights, decide, withdraw, hand over to another key and go on.

    Args:
        here: A tiny world over a real store.
        languages: Of its documents.

    Returns:
        The world; the first night's training evidence is withdrawn and gone from the copies.
    """
    here.change("manifests/organisation.yaml", languages=list(languages))
    here.run(FIRST)
    found = next(item for item in findings_of(here.settings, FIRST) if item.finding.is_open)
    acknowledge(here.settings, found.finding.key, role="owner", night=FIRST, false_alarm=False)
    activity = here.manifest(ACTIVITY)
    activity["purposes"][0]["text"] = {"en": "Choosing whom to write to, once a month"}
    here.write(ACTIVITY, activity)
    here.run(FIRST)  # supersedes, and makes a new version

    ledger = ledger_of(here.settings)
    cited = write_text(open_store(here.settings, "narratives"), "what happened, in words")
    event = canonical_bytes({"schema_version": 1, "kind": "incident", "text_ref": cited.ref})
    key = layout.incident("drill-1", 1)
    ledger.store.put_if_absent(
        key, event, content_type="application/json", lock=lock_for(key, retention="demonstration")
    )
    ledger.append(
        EntryKind.INCIDENT,
        {key: digest_bytes(event)},
        ReferencePredicate(
            id="drill-1", event="opened", text_ref=cited.ref, text_digest=cited.digest
        ),
    )
    bundle = here.statement(FIRST).evidence["data_set/training"]
    repeated = withdraw(here.settings, [bundle], "drill-1").repeated
    path = generate_key(here.settings.state / "keys" / "second.pem")
    new = here.settings.model_copy(update={"signer": f"file2:{path}"})
    rotate(here.settings, new)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NACHWEIS_SIGNER", f"file2:{path}")
        here.run(SECOND)
    return EvidenceWorld(here, here.settings, new, layout.evidence(bundle), copy_of(here), repeated)


def copy_of(here: Place) -> dict[str, bytes]:
    """Every object of records, anchor and narratives, as stored."""
    found = {}
    for bucket in ("records", "anchor", "narratives"):
        store = open_store(here.settings, bucket)  # type: ignore[arg-type]
        for stored in store.list(""):
            if not stored.key.startswith(layout.SELF_TEST):
                found[stored.key] = store.get(stored.key)
    return found


def ledger_of(settings: Settings) -> Ledger:
    """The ledger as the product opens it."""
    return Ledger(
        open_store(settings, "records"),
        open_signer(settings),
        lambda key: lock_for(key, retention="demonstration"),
        open_store(settings, "anchor"),
    )


@dataclass
class Copy:
    """A local copy in the hands of somebody who tampers with it.

    Attributes:
        files: Key to stored bytes.
        signers: Keys that were stolen, and one of a stranger: ``old``, ``new``, ``stranger``.
    """

    files: dict[str, bytes]
    signers: Mapping[str, Any] = field(default_factory=dict)

    # ------------------------------------------------------------------------------ looking

    @property
    def length(self) -> int:
        """Number of the last entry."""
        return max(int(key[7:17]) for key in self.files if key.startswith("ledger/"))

    def entry(self, number: int) -> LedgerEntry:
        """An entry, unverified."""
        return parse_payload(open_envelope(self.files[layout.ledger(number)]))

    def entries(self, kind: EntryKind) -> list[LedgerEntry]:
        """Entries of a kind."""
        numbers = [int(key[7:17]) for key in sorted(self.files) if key.startswith("ledger/")]
        return [entry for entry in map(self.entry, numbers) if entry.kind is kind]

    def keys(self, kind: layout.Kind) -> list[str]:
        """Keys of a kind of object, those of the newest nights and versions last."""
        found = [
            key
            for key in sorted(self.files)
            if "/" in key and not key.startswith("keys/") and layout.locate(key).kind is kind
        ]
        if kind is layout.Kind.EVIDENCE:
            nights = {key: json.loads(gzip.decompress(self.files[key]))["night"] for key in found}
            found.sort(key=lambda key: nights[key])
        return found

    # ---------------------------------------------------------------------------- tampering

    def flip(self, key: str, at: int = -1) -> str:
        """Change one bit."""
        body = bytearray(self.files[key])
        body[at] ^= 1
        self.files[key] = bytes(body)
        return key

    def resign(self, number: int, by: str, *, at: int | None = None, **changes: Any) -> LedgerEntry:
        """Write an entry anew with some fields changed and another signature."""
        entry = dataclasses.replace(self.entry(number), **changes)
        payload = build_payload(
            entry.kind,
            entry.subjects,
            entry.predicate,
            sequence=entry.sequence,
            previous=entry.previous,
            key_entry=entry.key_entry,
            signed_at=entry.signed_at,
        )
        self.files[layout.ledger(at or number)] = sign(self.signers[by], payload)
        return parse_payload(payload)

    def resign_by_both(self, number: int, **changes: Any) -> None:
        """The same for the entry with which one key hands over to the other."""
        self.resign(number, "old", **changes)
        payload = open_envelope(self.files[layout.ledger(number)])
        both = sign(self.signers["old"], payload, self.signers["new"])
        self.files[layout.ledger(number)] = both

    def append(
        self, kind: EntryKind, said: Predicate, by: str | tuple[str, ...], **subjects: str
    ) -> int:
        """Append an entry as somebody who does not use our code."""
        last = self.entry(self.length)
        number = last.sequence + 1
        payload = build_payload(
            kind,
            subjects,
            said,
            sequence=number,
            previous=last.digest,
            key_entry=last.sequence if last.kind is EntryKind.KEY else last.key_entry,
            signed_at=last.signed_at,
        )
        names = (by,) if isinstance(by, str) else by
        first, *more = (self.signers[name] for name in names)
        self.files[layout.ledger(number)] = sign(first, payload, *more)
        return number

    def relink(self, start: int, by: str) -> None:
        """Write all entries behind one anew, so that the chain holds again."""
        for number in range(start, self.length + 1):
            self.resign(number, by, previous=self.entry(number - 1).digest)

    def pem(self, name: str) -> str:
        """A public key."""
        return public_key_pem(self.signers[name].public_key)

    def keyid(self, name: str) -> str:
        """A fingerprint."""
        return str(self.signers[name].public_key.keyid)

    def write(self, folder: Path) -> Path:
        """The copy as a folder."""
        for key, body in self.files.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return folder
