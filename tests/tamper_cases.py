"""What a hostile hand can do to the evidence, and the name under which it must be found.

Each case changes a copy of a store that real nights wrote and returns the key at which the problem
must be named; an empty text where it has no key of its own. `docs/reliability.md` lists them.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nachweis.domain.canonical import canonical_bytes
from nachweis.storage import layout
from nachweis.storage.checkpoint import Checkpoint
from nachweis.storage.entries import (
    EntryKind,
    KeyPredicate,
    NightPredicate,
    ReferencePredicate,
    RemovalPredicate,
)
from nachweis.storage.layout import Kind
from nachweis.storage.signing import sign
from tests.evidence_world import Copy


@dataclass(frozen=True)
class Case:
    """One way of tampering.

    Attributes:
        title: What somebody did, as the documentation says it.
        code: The problem's name.
        tamper: Does it; returns the key that must be named.
        in_pack: Whether an auditor's pack shows it too.
        with_keys: Whether it takes a stolen signing key.
    """

    title: str
    code: str
    tamper: Callable[[Copy], str]
    in_pack: bool = True
    with_keys: bool = False

    @property
    def id(self) -> str:
        """Short name."""
        return self.tamper.__name__


CASES: list[Case] = []


def case(
    title: str, code: str, *, in_pack: bool = True, with_keys: bool = False
) -> Callable[[Callable[[Copy], str]], Callable[[Copy], str]]:
    def register(tamper: Callable[[Copy], str]) -> Callable[[Copy], str]:
        CASES.append(Case(title, code, tamper, in_pack, with_keys))
        return tamper

    return register


def _cited(copy: Copy, kind: Kind) -> str:
    """An object of the newest night, which every pack of it holds."""
    return copy.keys(kind)[-1]


def _nights(copy: Copy) -> list[int]:
    return [entry.sequence for entry in copy.entries(EntryKind.NIGHT)]


def _statement(copy: Copy, number: int) -> str:
    (key,) = copy.entry(number).subjects
    return key


# ------------------------------------------------------------------ a byte of each class


@case("a bit of a ledger entry's signature is changed", "entry_malformed")
def bit_of_a_ledger_entry(copy: Copy) -> str:
    return copy.flip(layout.ledger(_nights(copy)[-1]), at=-6)


@case("a bit of a statement is changed", "digest_mismatch")
def bit_of_a_statement(copy: Copy) -> str:
    return copy.flip(_statement(copy, _nights(copy)[-1]), at=40)


@case("a bit of an assessment is changed", "object_corrupt")
def bit_of_an_assessment(copy: Copy) -> str:
    return copy.flip(_cited(copy, Kind.ASSESSMENT), at=-7)


@case("a bit of an evidence bundle is changed", "object_corrupt")
def bit_of_evidence(copy: Copy) -> str:
    return copy.flip(_cited(copy, Kind.EVIDENCE), at=-7)


@case("a bit of a record is changed", "digest_mismatch")
def bit_of_a_record(copy: Copy) -> str:
    return copy.flip(_cited(copy, Kind.RECORD), at=100)


@case("a bit of a dossier is changed", "digest_mismatch")
def bit_of_a_dossier(copy: Copy) -> str:
    return copy.flip(_cited(copy, Kind.DOSSIER), at=100)


@case("a page or an attachment beside a record is edited", "digest_mismatch")
def edited_rendering(copy: Copy) -> str:
    key = _cited(copy, Kind.RECORD_RENDERING)
    copy.files[key] += b"<p>All in order.</p>"
    return key


@case("a bit of a checkpoint is changed", "checkpoint_invalid")
def bit_of_a_checkpoint(copy: Copy) -> str:
    return copy.flip(_cited(copy, Kind.CHECKPOINT), at=-6)


@case("an incident's event is changed", "digest_mismatch", in_pack=False)
def changed_incident(copy: Copy) -> str:
    return copy.flip(_cited(copy, Kind.INCIDENT), at=20)


@case("a text that a person wrote is changed", "text_changed", in_pack=False)
def changed_text(copy: Copy) -> str:
    key = _cited(copy, Kind.TEXT)
    copy.files[key] = canonical_bytes(json.loads(copy.files[key]) | {"text": "something else"})
    return key


# ------------------------------------------------------------------ documents exchanged


@case("two versions of a record are swapped", "digest_mismatch")
def swapped_versions(copy: Copy) -> str:
    one, two = copy.keys(Kind.RECORD)
    copy.files[one], copy.files[two] = copy.files[two], copy.files[one]
    return two


@case("evidence is replaced by other valid evidence", "digest_mismatch")
def evidence_of_another_night(copy: Copy) -> str:
    first, *_, last = copy.keys(Kind.EVIDENCE)
    copy.files[last] = copy.files[first]
    return last


@case("evidence is removed", "object_missing")
def removed_evidence(copy: Copy) -> str:
    key = _cited(copy, Kind.EVIDENCE)
    del copy.files[key]
    return key


@case("evidence is withdrawn without an entry in the ledger", "object_missing")
def withdrawn_without_an_entry(copy: Copy) -> str:
    (entry,) = copy.entries(EntryKind.WITHDRAWAL)
    assert set(entry.subjects) - set(copy.files), "the withdrawn bundle is not in the copy"
    key = copy.keys(Kind.EVIDENCE)[0]
    del copy.files[key]
    return key


@case("a withdrawal is forged to excuse the removal", "signature_invalid")
def forged_withdrawal(copy: Copy) -> str:
    key = _cited(copy, Kind.EVIDENCE)
    del copy.files[key]
    said = RemovalPredicate(incident="drill-1")
    number = copy.append(EntryKind.WITHDRAWAL, said, "stranger", **{key: "0" * 64})
    return layout.ledger(number)


@case("an older night's statement is put in the place of a newer one", "digest_mismatch")
def replayed_statement(copy: Copy) -> str:
    first, *_, last = _nights(copy)
    copy.files[_statement(copy, last)] = copy.files[_statement(copy, first)]
    return _statement(copy, last)


@case("an older night's entry is appended once more", "entry_misplaced")
def replayed_entry(copy: Copy) -> str:
    key = layout.ledger(copy.length + 1)
    copy.files[key] = copy.files[layout.ledger(_nights(copy)[0])]
    return key


@case("a compressed document is replaced by one that is not compressed", "object_corrupt")
def unpacked_evidence(copy: Copy) -> str:
    key = _cited(copy, Kind.EVIDENCE)
    copy.files[key] = gzip.decompress(copy.files[key])
    return key


# ------------------------------------------------------------------------- the ledger


@case("the newest night is removed", "ledger_truncated")
def removed_newest_night(copy: Copy) -> str:
    last = copy.length
    copy.files.pop(_statement(copy, last))
    del copy.files[layout.ledger(last)]
    return layout.checkpoint(last)


@case("a night in the middle is removed", "ledger_gap")
def removed_middle_night(copy: Copy) -> str:
    middle = _nights(copy)[1]
    del copy.files[layout.ledger(middle)]
    return layout.ledger(middle)


@case("the whole ledger is removed", "ledger_truncated", in_pack=False)
def removed_ledger(copy: Copy) -> str:
    last = copy.length
    for number in range(2, last + 1):
        del copy.files[layout.ledger(number)]
    return layout.checkpoint(last)


@case("two entries are put in another order", "entry_misplaced")
def reordered_entries(copy: Copy) -> str:
    one, two = (layout.ledger(number) for number in _nights(copy)[:2])
    copy.files[one], copy.files[two] = copy.files[two], copy.files[one]
    return two


@case("an entry has the number of another one", "entry_misplaced")
def duplicated_sequence(copy: Copy) -> str:
    last = copy.length
    copy.files[layout.ledger(last + 1)] = copy.files[layout.ledger(last)]
    return layout.ledger(last + 1)


@case("an entry is signed by a foreign key", "signature_invalid")
def foreign_signature(copy: Copy) -> str:
    last = copy.length
    copy.resign(last, "stranger")
    return layout.ledger(last)


@case("an entry carries the signature of another entry", "signature_invalid")
def borrowed_signature(copy: Copy) -> str:
    last = layout.ledger(copy.length)
    envelope = json.loads(copy.files[last])
    envelope["signatures"] = json.loads(copy.files[copy.keys(Kind.CHECKPOINT)[-1]])["signatures"]
    copy.files[last] = canonical_bytes(envelope)
    return last


@case("everything is signed anew by a foreign key", "key_untrusted")
def foreign_ledger(copy: Copy) -> str:
    stranger = copy.keyid("stranger")
    said = KeyPredicate(action="announce", keyid=stranger, public_key=copy.pem("stranger"))
    subjects = {f"key:{stranger}": stranger}
    copy.resign(1, "stranger", predicate=said, subjects=subjects)
    for entry in copy.entries(EntryKind.KEY)[1:]:
        note = ReferencePredicate(id="none", event="none")
        copy.resign(
            entry.sequence, "stranger", kind=EntryKind.GATE, predicate=note, subjects=subjects
        )
    for number in range(2, copy.length + 1):
        if layout.ledger(number) in copy.files:
            previous = layout.ledger(number - 1) in copy.files
            linked = {"previous": copy.entry(number - 1).digest} if previous else {}
            copy.resign(number, "stranger", key_entry=1, **linked)
    for key in copy.keys(Kind.CHECKPOINT):
        number = layout.locate(key).number("sequence")
        point = Checkpoint(number, number, copy.entry(number).digest)
        copy.files[key] = sign(copy.signers["stranger"], point.payload(layout.ledger(number)))
    return ""


@case("a key that was rotated out signs on", "signature_invalid", with_keys=True)
def retired_key(copy: Copy) -> str:
    said = ReferencePredicate(id="propensity", event="open")
    return layout.ledger(copy.append(EntryKind.GATE, said, "old", x="0" * 64))


@case("a revoked key signed an entry that looked right before", "key_revoked", with_keys=True)
def revoked_key(copy: Copy) -> str:
    last = copy.length
    third, new = copy.keyid("stranger"), copy.keyid("new")
    said = KeyPredicate(action="announce", keyid=third, public_key=copy.pem("stranger"))
    copy.append(EntryKind.KEY, said, ("new", "stranger"), **{f"key:{third}": third})
    revoked = KeyPredicate(action="revoke", keyid=new, from_sequence=last, reason="compromised")
    copy.append(EntryKind.KEY, revoked, "stranger", **{f"key:{new}": new})
    return layout.ledger(last)


@case("a stranger announces a key of its own", "signature_invalid")
def smuggled_key(copy: Copy) -> str:
    third = copy.keyid("stranger")
    said = KeyPredicate(action="announce", keyid=third, public_key=copy.pem("stranger"))
    number = copy.append(EntryKind.KEY, said, "stranger", **{f"key:{third}": third})
    return layout.ledger(number)


@case("a key revokes itself, to disown what it signed", "signature_invalid", with_keys=True)
def self_revocation(copy: Copy) -> str:
    new = copy.keyid("new")
    said = KeyPredicate(action="revoke", keyid=new, from_sequence=1, reason="lost")
    return layout.ledger(copy.append(EntryKind.KEY, said, "new", **{f"key:{new}": new}))


@case("an entry is rewritten with the right key", "chain_broken", with_keys=True)
def rewritten_entry(copy: Copy) -> str:
    number = copy.entries(EntryKind.WITHDRAWAL)[0].sequence - 1
    entry = copy.entry(number)
    copy.resign(number, "old", signed_at=entry.signed_at - dt.timedelta(days=1))
    return layout.ledger(number + 1)


@case(
    "the chain is cut and a new end is signed with the right key",
    "checkpoint_mismatch",
    with_keys=True,
)
def cut_and_remade(copy: Copy) -> str:
    last = copy.length
    entry = copy.entry(last)
    said = entry.predicate
    assert isinstance(said, NightPredicate)
    copy.resign(last, "new", signed_at=entry.signed_at + dt.timedelta(seconds=1))
    return layout.checkpoint(last)


@case(
    "the end is rewritten, and the newest checkpoint with it",
    "checkpoint_mismatch",
    in_pack=False,
    with_keys=True,
)
def remade_with_its_checkpoint(copy: Copy) -> str:
    last = copy.length
    rotated = copy.entries(EntryKind.KEY)[-1].sequence
    withdrawal = rotated - 1
    entry = copy.entry(withdrawal)
    copy.resign(withdrawal, "old", signed_at=entry.signed_at + dt.timedelta(seconds=1))
    key = copy.entry(rotated)
    copy.resign_by_both(rotated, previous=copy.entry(withdrawal).digest)
    assert key.kind is EntryKind.KEY
    copy.relink(rotated + 1, "new")
    point = Checkpoint(last, last, copy.entry(last).digest)
    copy.files[layout.checkpoint(last)] = sign(
        copy.signers["new"], point.payload(layout.ledger(last))
    )
    return layout.checkpoint(withdrawal)


@case("a checkpoint for another end is signed by a foreign key", "checkpoint_invalid")
def changed_anchor(copy: Copy) -> str:
    key = _cited(copy, Kind.CHECKPOINT)
    number = layout.locate(key).number("sequence")
    point = Checkpoint(number, number, "0" * 64)
    copy.files[key] = sign(copy.signers["stranger"], point.payload(layout.ledger(number)))
    return key


@case("an entry names another statement than its night's", "statement_contradicts_entry",
      with_keys=True)  # fmt: skip
def entry_about_another_statement(copy: Copy) -> str:
    last = copy.length
    first = copy.entry(_nights(copy)[0])
    copy.resign(last, "new", subjects=dict(first.subjects))
    return layout.ledger(last)


@case("an entry says other new versions than its statement", "statement_contradicts_entry",
      with_keys=True)  # fmt: skip
def entry_about_other_versions(copy: Copy) -> str:
    last = copy.length
    said = copy.entry(last).predicate
    assert isinstance(said, NightPredicate)
    other = said.model_copy(update={"versions": {"record/marketing/9": "0" * 64}})
    copy.resign(last, "new", predicate=other)
    return _statement(copy, last)


@case("an attempt claims to supersede one that was never signed", "supersedes_unknown",
      in_pack=False, with_keys=True)  # fmt: skip
def supersedes_nothing(copy: Copy) -> str:
    last = copy.length
    said = copy.entry(last).predicate
    assert isinstance(said, NightPredicate)
    copy.resign(last, "new", predicate=said.model_copy(update={"supersedes": "never"}))
    return layout.ledger(last)


@case("a version of a record is skipped", "version_gap", in_pack=False)
def skipped_version(copy: Copy) -> str:
    copy.files[layout.record("marketing", 4)] = b"{}"
    return "records/marketing"


@case("an event of an incident is removed from the middle", "event_gap", in_pack=False)
def skipped_event(copy: Copy) -> str:
    copy.files[layout.incident("drill-1", 3)] = b"{}"
    return "incidents/drill-1"


# ------------------------------------------------- what only a pack shows, or only there is wrong

PACK_CASES: list[Case] = []


def pack_case(title: str, code: str) -> Callable[[Callable[[Copy], str]], Callable[[Copy], str]]:
    def register(tamper: Callable[[Copy], str]) -> Callable[[Copy], str]:
        PACK_CASES.append(Case(title, code, tamper))
        return tamper

    return register


@pack_case("nights are cut out, and the pack's part of the ledger begins behind them",
           "nights_differ")  # fmt: skip
def nights_cut_out(copy: Copy) -> str:
    last = copy.length
    (kept,) = copy.entry(last).subjects
    statement = json.loads(copy.files[kept])
    always = {EntryKind.KEY, EntryKind.WITHDRAWAL, EntryKind.DISPOSAL}
    for number in range(1, last):
        if layout.ledger(number) in copy.files and copy.entry(number).kind not in always:
            del copy.files[layout.ledger(number)]
    folder = kept.rpartition("/")[0]
    for key in [key for key in copy.files if key.startswith("nights/")]:
        if not key.startswith(folder):
            del copy.files[key]
    for key in copy.keys(Kind.RECORD):
        if key not in {version["key"] for version in statement["versions"]}:
            place = key.rpartition("/")[0]
            for other in [other for other in copy.files if other.startswith(place)]:
                del copy.files[other]
    said = json.loads(copy.files["pack.json"])
    said["ledger"]["first"] = last
    copy.files["pack.json"] = canonical_bytes(said)
    return "pack.json"


@pack_case("a night is claimed that the pack does not hold", "nights_differ")
def night_claimed(copy: Copy) -> str:
    said = json.loads(copy.files["pack.json"])
    said["nights"].append("2026-01-01")
    copy.files["pack.json"] = canonical_bytes(said)
    return "pack.json"


def _added(copy: Copy, key: str, content: bytes = b'{"schema_version":1}') -> str:
    assert key not in copy.files
    copy.files[key] = content
    return key


@pack_case("a version of a record is added that nobody signed", "object_uncited")
def unsigned_version(copy: Copy) -> str:
    return _added(copy, layout.record("marketing", 9))


@pack_case("a page is added beside a signed version", "object_uncited")
def unsigned_rendering(copy: Copy) -> str:
    place = copy.keys(Kind.RECORD)[-1].rpartition("/")[0]
    return _added(copy, f"{place}/record.fr.pdf", b"%PDF-1.7")


@pack_case("an approval is added that nobody signed", "object_uncited")
def unsigned_approval(copy: Copy) -> str:
    return _added(copy, layout.approval("record", "marketing", 1, 9))


@pack_case("a statement is added that nobody signed", "object_uncited")
def unsigned_statement(copy: Copy) -> str:
    return _added(copy, layout.statement("2026-01-01", "attempt"))


@pack_case("an assessment is added that nobody signed", "object_uncited")
def unsigned_assessment(copy: Copy) -> str:
    folder = _statement(copy, copy.length).rpartition("/")[0]
    return _added(copy, f"{folder}/assessments/{'0' * 64}.json.gz", gzip.compress(b"{}"))


@pack_case("evidence is added that nobody signed", "object_uncited")
def unsigned_evidence(copy: Copy) -> str:
    return _added(copy, layout.evidence("0" * 64), gzip.compress(b"{}"))


# --------------------------------------------------- versions, which only the server shows


class Hand(Protocol):
    """What the store's administrator can do."""

    def write(self, key: str, body: bytes) -> None: ...

    def hide(self, key: str) -> None: ...

    def body(self, key: str) -> bytes: ...


@dataclass(frozen=True)
class ServerCase:
    """One way of tampering with versions, once the bucket's policy is out of the way."""

    title: str
    code: str
    tamper: Callable[[Hand, Copy], str]
    anchor: bool = False

    @property
    def id(self) -> str:
        """Short name."""
        return self.tamper.__name__


def another_version(hand: Hand, copy: Copy) -> str:
    key = copy.keys(Kind.RECORD)[-1]
    hand.write(key, copy.files[key].replace(b"active", b"ended!"))
    return key


def the_same_bytes_again(hand: Hand, copy: Copy) -> str:
    key = copy.keys(Kind.STATEMENT)[-1]
    hand.write(key, hand.body(key))
    return key


def delete_marker(hand: Hand, copy: Copy) -> str:
    key = copy.keys(Kind.EVIDENCE)[-1]
    hand.hide(key)
    return key


def delete_marker_then_rewrite(hand: Hand, copy: Copy) -> str:
    key = copy.keys(Kind.ASSESSMENT)[-1]
    hand.hide(key)
    hand.write(key, b"{}")
    return key


def rewritten_behind_a_marker(hand: Hand, copy: Copy) -> str:
    key = copy.keys(Kind.DOSSIER)[-1]
    body = hand.body(key)
    hand.hide(key)
    hand.write(key, body)
    return key


def newest_entry_hidden(hand: Hand, copy: Copy) -> str:
    key = layout.ledger(copy.length)
    hand.hide(key)
    return key


def checkpoint_hidden(hand: Hand, copy: Copy) -> str:
    key = copy.keys(Kind.CHECKPOINT)[-1]
    hand.hide(key)
    return key


def checkpoint_overwritten(hand: Hand, copy: Copy) -> str:
    first, *_, last = copy.keys(Kind.CHECKPOINT)
    hand.write(last, hand.body(first))
    return last


SERVER_CASES = [
    ServerCase("a second version is put over a record", "object_overwritten", another_version),
    ServerCase("the same bytes are put a second time", "object_overwritten", the_same_bytes_again),
    ServerCase("a delete marker hides evidence", "object_deleted", delete_marker),
    ServerCase(
        "a delete marker, then other content", "object_overwritten", delete_marker_then_rewrite
    ),
    ServerCase(
        "a delete marker, then the same content", "object_deleted", rewritten_behind_a_marker
    ),
    ServerCase("a delete marker hides the newest entry", "object_deleted", newest_entry_hidden),
    ServerCase(
        "a delete marker hides the newest checkpoint", "object_deleted", checkpoint_hidden, True
    ),
    ServerCase(
        "an older checkpoint is put over the newest",
        "object_overwritten",
        checkpoint_overwritten,
        True,
    ),
]
