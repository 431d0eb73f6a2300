"""Verifies an auditor's pack, or a local copy of a whole store. Needs no network.

    python verify.py FOLDER_OR_ZIP [--key PUBLIC_KEY_FILE_OR_FINGERPRINT] [--json]

Exit code 0: everything verifies. 1: something does not, and is named. 2: it could not be tried.

Needs Python 3.9 and, for the signatures, the package "cryptography" or the program "openssl".
The format is described in docs/evidence-format.md of Nachweis. This file imports nothing of it.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import gzip
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

try:
    from lzma import LZMAError
except ImportError:  # a Python without lzma cannot raise it
    LZMAError = zlib.error  # type: ignore[assignment,misc]

MIB = 1024 * 1024
LARGEST_FILE = 256 * MIB
MOST_BYTES = 64 * 1024 * MIB
MOST_FILES = 1_000_000
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
URN = "urn:nachweis:predicate:"

SHA = r"[0-9a-f]{64}"
NAME = r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"
FINDING = r"[a-z0-9_]{1,100}:[a-z_]{1,20}/[a-z0-9-]{1,63}:[^\x00-\x1f\x7f]{1,200}"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
MOMENT = DAY + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
ID = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ATTEMPT = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,126}[A-Za-z0-9])?"
FILE = r"[a-z0-9][a-z0-9_-]{0,62}(?:\.[a-z0-9]{1,10}){1,3}"
DOCUMENTS = (
    rf"evidence/sha256/[0-9a-f]{{2}}/{SHA}\.json\.gz"
    rf"|(?:records|dossiers)/{ID}/v[0-9]{{6}}/{FILE}"
    rf"|nights/{DAY}/{ATTEMPT}/(?:statement\.json|assessments/{SHA}\.json\.gz)"
    rf"|approvals/(?:record|dossier)/{ID}/v[0-9]{{6}}/[0-9]{{6}}\.json"
    rf"|incidents/{ID}/[0-9]{{6}}\.json"
)
OTHERS = (
    r"(?:ledger|checkpoints)/[0-9]{10}\.json|texts/[0-9a-f]{32}\.json"
    rf"|pack\.json|SHA256SUMS|verify\.py|README\.(?:en|de|da)\.txt|keys/{SHA}\.pem"
)
NO_EVIDENCE = rf"gates/{ID}\.json|self-test/.*|nights/{DAY}/{ATTEMPT}/runs/.*"
ENTRY_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "key": (
        {"action", "keyid"},
        {"public_key", "replaces", "from_sequence", "reason", "valid_from"},
    ),
    "night": (
        {"night", "attempt", "statement", "idempotency_key", "documents"},
        {"supersedes", "versions"},
    ),
    "reference": ({"id", "event"}, {"role", "night", "text_ref", "text_digest"}),
    "removal": (set(), {"incident", "rule"}),
}
GROUPS = {
    "key": "key",
    "night": "night",
    "decision": "reference",
    "waiver": "reference",
    "incident": "reference",
    "gate": "reference",
    "withdrawal": "removal",
    "disposal": "removal",
}
FORMS = {
    "action": "announce|rotate|revoke",
    "keyid": SHA,
    "replaces": SHA,
    "reason": "superseded|compromised|lost",
    "valid_from": MOMENT,
    "statement": SHA,
    "idempotency_key": SHA,
    "attempt": NAME,
    "supersedes": NAME,
    "id": f"{NAME}|{FINDING}",
    "event": NAME,
    "role": NAME,
    "night": DAY,
    "text_ref": r"[0-9a-f]{32}",
    "text_digest": SHA,
    "incident": NAME,
    "rule": NAME,
}


class Unreadable(Exception):  # noqa: N818 - no error of a program
    """The input cannot be verified at all."""


class Wrong(Exception):  # noqa: N818 - the same
    """Something does not verify; the text says what."""


class Excess(Exception):  # noqa: N818 - the same
    """The input is larger than anything that is verified here; the text says how."""


def sha256(content: bytes) -> str:
    """SHA-256 as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def matches(form: str, value: object) -> bool:
    """Whether a value is a text of a form."""
    return isinstance(value, str) and re.fullmatch(form, value) is not None


def load(content: bytes, **more: Any) -> Any:
    """JSON as data; ValueError whatever is wrong with it."""
    try:
        return json.loads(content, **more)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def printable(text: str) -> str:
    """A text without what could steer a terminal or fake a line of the result."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def spans(days: Iterable[str]) -> list[tuple[str, str]]:
    """First and last day of every row of days without a gap."""
    found: list[tuple[dt.date, dt.date]] = []
    for day in sorted(map(dt.date.fromisoformat, days)):
        if found and (day - found[-1][1]).days <= 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return [(first.isoformat(), last.isoformat()) for first, last in found]


def named(first: str, last: str) -> str:
    """A row of days as text."""
    return first if first == last else f"{first} to {last}"


def whole(value: object, least: int = 0) -> bool:
    """Whether a value is a whole number, not below another."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


# ------------------------------------------------------------------------------- the input


BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    LZMAError,
)
"""What reading a damaged or hostile file can raise."""


class Box:
    """The files of a folder or ZIP file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.twice: list[str] = []
        self.spent = 0
        self.archive: zipfile.ZipFile | None = None
        if self.path.is_dir():
            self.sizes: dict[str, int] = {}
            for found in self.path.rglob("*"):
                if len(self.sizes) > MOST_FILES:
                    break
                if found.is_file():
                    self.sizes[found.relative_to(self.path).as_posix()] = found.stat().st_size
        elif zipfile.is_zipfile(self.path):
            try:
                self.archive = zipfile.ZipFile(self.path)
            except BROKEN as error:
                raise Unreadable(f"{path}: not a whole ZIP file") from error
            listed = [info for info in self.archive.infolist() if not info.is_dir()]
            self.sizes = {info.filename: info.file_size for info in listed}
            names = Counter(info.filename for info in listed)
            self.twice = sorted(name for name, count in names.items() if count > 1)
        else:
            raise Unreadable(f"{path}: neither a folder nor a ZIP file")

    def demand_size(self) -> None:
        """Stop at an input that nobody could verify in any time."""
        if len(self.sizes) > MOST_FILES:
            raise Excess(f"The input holds more than {MOST_FILES} files.")
        if sum(self.sizes.values()) > MOST_BYTES:
            raise Excess(f"The files hold more than {MOST_BYTES // MIB} MiB.")

    def _spend(self, content: bytes) -> bytes:
        self.spent += len(content)
        if self.spent > 4 * MOST_BYTES:  # each is read a few times, and some are packed
            raise Excess(f"The files unpack to more than {MOST_BYTES // MIB} MiB.")
        return content

    def read(self, name: str) -> bytes:
        """Bytes of a file; KeyError if there is none, Wrong if it cannot be read."""
        if name not in self.sizes:
            raise KeyError(name)
        if self.sizes[name] > LARGEST_FILE:
            raise Wrong("the file is larger than allowed")
        try:
            if self.archive is not None:
                return self._spend(self.archive.read(name))
            return self._spend((self.path / PurePosixPath(name)).read_bytes())
        except BROKEN as error:
            raise Wrong(f"the file cannot be read ({type(error).__name__})") from error

    def document(self, name: str) -> bytes:
        """The bytes that a digest covers."""
        content = self.read(name)
        if not name.endswith(".gz"):
            return content
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
                unpacked = stream.read(LARGEST_FILE + 1)
        except BROKEN as error:
            raise Wrong(f"not a gzip file ({type(error).__name__})") from error
        if len(unpacked) > LARGEST_FILE:
            raise Wrong("the file unpacks to more than allowed")
        return self._spend(unpacked)


# ------------------------------------------------------------------------------ signatures


class PublicKey:
    """A public key, named by the SHA-256 of its DER form."""

    CURVES = {"2a8648ce3d030107": "sha256", "2b81040022": "sha384", "2b81040023": "sha512"}

    def __init__(self, pem: str) -> None:
        body = re.fullmatch(
            r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*", pem
        )
        if body is None:
            raise Wrong("not a public key in PEM form")
        try:
            self.der = base64.b64decode("".join(body.group(1).split()), validate=True)
        except ValueError as error:
            raise Wrong("not a public key in PEM form") from error
        self.fingerprint = sha256(self.der)
        self.pem = pem
        head = self.der[:32].hex()
        if head.startswith("302a300506032b6570032100") and len(self.der) == 44:
            self.kind, self.hash = "ed25519", ""
        elif "2a8648ce3d0201" in head:
            self.kind = "ecdsa"
            self.hash = next((h for oid, h in self.CURVES.items() if oid in head), "")
            if not self.hash:
                raise Wrong("a key on an unknown curve")
        elif "2a864886f70d010101" in self.der[:40].hex():
            self.kind, self.hash = "rsa", "sha256"
        else:
            raise Wrong("a key of an unknown kind")

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether this key signed the message."""
        try:
            from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import ec, padding
        except ImportError:
            return self._openssl(signature, message)
        try:
            key: Any = serialization.load_der_public_key(self.der)
            if self.kind == "ed25519":
                key.verify(signature, message)
            elif self.kind == "ecdsa":
                key.verify(signature, message, ec.ECDSA(getattr(hashes, self.hash.upper())()))
            else:
                digest = hashes.SHA256()
                scheme = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
                key.verify(signature, message, scheme, digest)
        except InvalidSignature:
            return False
        except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
            raise Wrong(f"a key cannot be used ({type(error).__name__})") from error
        return True

    def _openssl(self, signature: bytes, message: bytes) -> bool:
        program = shutil.which("openssl")
        if program is None:
            raise Unreadable("install the Python package 'cryptography' or the program 'openssl'")
        with tempfile.TemporaryDirectory() as folder:
            key, signed, text = (Path(folder) / name for name in ("key", "signature", "message"))
            key.write_text(self.pem)
            signed.write_bytes(signature)
            text.write_bytes(message)
            if self.kind == "ed25519":
                command: list[object] = [
                    "pkeyutl",
                    "-verify",
                    "-pubin",
                    "-inkey",
                    key,
                    "-rawin",
                    "-in",
                    text,
                ]
                command += ["-sigfile", signed]
            else:
                command = ["dgst", f"-{self.hash}", "-verify", key, "-signature", signed]
                if self.kind == "rsa":
                    command += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-2"]
                command.append(text)
            done = subprocess.run([program, *map(str, command)], capture_output=True)  # noqa: S603
        if done.returncode not in (0, 1):
            raise Unreadable("openssl cannot verify signatures of this kind of key")
        return done.returncode == 0


def canonical(document: Any) -> bytes:
    """RFC 8785 form of a document without fractions."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def plain(text: str) -> bytes:
    """Base64 to bytes; only the one text that these bytes have."""
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError
    return content


class Envelope:
    """A DSSE envelope around a canonical in-toto statement."""

    def __init__(self, content: bytes) -> None:
        try:
            if len(content) > 65536:
                raise ValueError
            found = load(content)
            texts = ",".join(
                f'{{"keyid":"{one["keyid"]}","sig":"{one["sig"]}"}}' for one in found["signatures"]
            )
            form = '{"payload":"%s","payloadType":"%s","signatures":[%s]}'
            written = form % (found["payload"], found["payloadType"], texts)
            if written.encode() != content or found["payloadType"] != PAYLOAD_TYPE:
                raise ValueError
            self.payload = plain(found["payload"])
            self.signatures = {one["keyid"]: plain(one["sig"]) for one in found["signatures"]}
            if len(self.signatures) != len(found["signatures"]):
                raise ValueError
            if not all(matches(SHA, keyid) for keyid in self.signatures):
                raise ValueError
            self.document = load(self.payload, parse_float=refuse, parse_constant=refuse)
            if canonical(self.document) != self.payload:
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Wrong("not a signed envelope in canonical form") from error

    def accepted_by(self, keys: Mapping[str, PublicKey]) -> set[str]:
        """Fingerprints of the keys among these that signed."""
        kind = PAYLOAD_TYPE.encode()
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)
        known = [keyid for keyid in self.signatures if keyid in keys]
        if not known:
            raise Wrong("no key that is valid here signed it")
        for keyid in known:
            if not keys[keyid].accepts(self.signatures[keyid], message):
                raise Wrong("a signature of a known key does not verify")
        return set(known)


def refuse(text: str) -> NoReturn:
    """A ledger holds no fractions."""
    raise ValueError(text)


# ---------------------------------------------------------------------------------- ledger


class Entry:
    """One entry of the ledger."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        try:
            self._read(envelope.document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Wrong("not a ledger entry of a known form") from error
        self.digest = sha256(envelope.payload)

    def _read(self, found: Any) -> None:
        demand(len(self.envelope.payload) <= 4096)
        demand(set(found) == {"_type", "subject", "predicateType", "predicate"})
        demand(found["_type"] == STATEMENT_TYPE)
        self.subjects: dict[str, str] = {}
        for one in found["subject"]:
            demand(set(one) == {"name", "digest"} and set(one["digest"]) == {"sha256"})
            demand(matches(NAME, one["name"]) and matches(SHA, one["digest"]["sha256"]))
            demand(one["name"] not in self.subjects)
            self.subjects[one["name"]] = one["digest"]["sha256"]
        demand(self.subjects)
        kind = found["predicateType"]
        demand(kind.startswith(URN) and kind.endswith(":v1"))
        self.kind: str = kind[len(URN) : -len(":v1")]
        said = found["predicate"]
        fields = "schema_version sequence count previous key_entry signed_at entry"
        demand(set(said) == set(fields.split()) and said["schema_version"] == 1)
        self.sequence: int = said["sequence"]
        self.key_entry: int = said["key_entry"]
        demand(whole(self.sequence, 1) and whole(self.key_entry))
        demand(said["count"] == self.sequence)
        demand(matches(SHA, said["previous"]) and matches(MOMENT, said["signed_at"]))
        dt.datetime.strptime(said["signed_at"], "%Y-%m-%dT%H:%M:%SZ")
        self.signed_at: str = said["signed_at"]
        self.previous: str = said["previous"]
        self.said: dict[str, Any] = said["entry"]
        self._fields()

    def _fields(self) -> None:
        said = self.said
        needed, possible = ENTRY_FIELDS[GROUPS[self.kind]]
        demand(needed <= set(said) <= needed | possible)
        for name, value in said.items():
            if name in FORMS:
                demand(matches(FORMS[name], value))
        if self.kind == "key":
            demand(("public_key" in said) == (said["action"] != "revoke"))
            demand(("replaces" in said) == (said["action"] == "rotate"))
            demand(("from_sequence" in said) == (said["action"] == "revoke"))
            demand(isinstance(said.get("public_key", ""), str))
            demand(whole(said.get("from_sequence", 1), 1))
        if self.kind == "night":
            demand(set(said["documents"]) <= {"evidence", "versions", "assessments"})
            demand(all(whole(count) for count in said["documents"].values()))
            for name, digest in said.get("versions", {}).items():
                demand(matches(NAME, name) and matches(SHA, digest))


def demand(condition: object) -> None:
    """Stop reading something that is not of its form."""
    if not condition:
        raise ValueError


class Keyring:
    """The keys in force, as the key entries say."""

    def __init__(self) -> None:
        self.active: dict[str, PublicKey] = {}
        self.known: dict[str, PublicKey] = {}
        self.revoked: dict[str, int] = {}

    def admit(self, entry: Entry) -> set[str]:
        """Fingerprints of the keys that signed an entry."""
        if entry.kind != "key":
            return entry.envelope.accepted_by(self.active)
        said = entry.said
        keyid = said["keyid"]
        if said["action"] == "revoke":
            if keyid not in self.known:
                raise Wrong("an unknown key is revoked")
            signers = entry.envelope.accepted_by(self.active)
            if not signers - {keyid}:
                raise Wrong("a key is revoked by itself alone")
            self.active.pop(keyid, None)
            start = said["from_sequence"]
            self.revoked[keyid] = min(start, self.revoked.get(keyid, start))
            return signers
        key = PublicKey(said["public_key"])
        if key.fingerprint != keyid or entry.subjects != {f"key:{keyid}": keyid}:
            raise Wrong("a key entry names its key by a wrong fingerprint")
        if keyid in self.known:
            raise Wrong("a key is announced a second time")
        signers = entry.envelope.accepted_by({**self.active, keyid: key})
        if keyid not in signers:
            raise Wrong("a new key did not sign its own announcement")
        if self.known and not signers & set(self.active):
            raise Wrong("no key in force vouches for a new key")
        replaced = said.get("replaces")
        if replaced is not None and (replaced not in self.active or replaced not in signers):
            raise Wrong("a rotation is not signed by the key that it replaces")
        self.active.pop(str(replaced), None)
        self.active[keyid] = self.known[keyid] = key
        return signers


# ---------------------------------------------------------------------------- verification


class Verifier:
    """One run over a pack or a local copy."""

    def __init__(self, box: Box, trusted: str | None = None) -> None:
        self.box = box
        self.trusted = trusted
        self.problems: list[dict[str, str]] = []
        self.notes: list[dict[str, str]] = []
        self.pack: dict[str, Any] | None = None
        self.keyring = Keyring()
        self.entries: dict[int, Entry] = {}
        self.digests: dict[int, str] = {}
        self.signers: dict[int, set[str]] = {}
        self.cited: dict[str, str] = {}
        self.removed: dict[str, str] = {}
        self.nights: set[str] = set()
        self.approvals: list[dict[str, str]] = []
        self.sealed: set[str] = set()
        self.length = 0
        self.checked = 0

    def problem(self, code: str, key: str, sentence: str) -> None:
        """Something does not verify."""
        self.problems.append({"code": code, "key": key, "sentence": sentence})

    def note(self, code: str, key: str, sentence: str) -> None:
        """Something worth knowing."""
        self.notes.append({"code": code, "key": key, "sentence": sentence})

    def run(self) -> None:
        """Verify everything; a problem never hides another."""
        try:
            self.box.demand_size()
            if not any(
                name.startswith("ledger/") or name == "pack.json" for name in self.box.sizes
            ):
                raise Unreadable(f"{self.box.path}: holds neither pack.json nor a ledger")
            self._everything()
        except Excess as error:
            self.problem("input_too_large", "", f"{error} The rest was not verified.")

    def _everything(self) -> None:
        self._pack_file()
        self._ledger()
        self._keys()
        self._checkpoints()
        self._documents()
        self._nights()
        self._texts()
        self._uncited()
        if self.pack is None:
            self._numbering()

    # ---- the pack itself

    def _pack_file(self) -> None:
        for name in self.box.twice:
            self.problem("pack_malformed", name, "The file is in the ZIP file more than once.")
        if "pack.json" not in self.box.sizes:
            return
        try:
            found = load(self.box.read("pack.json"))
            demand(found["schema_version"] == 1 and found["kind"] == "pack")
            demand(matches(ID, found["activity"]))
            for day in (found["from"], found["to"], *found["nights"]):
                demand(matches(DAY, day))
                dt.date.fromisoformat(day)
            demand(found["from"] <= found["to"])
            ledger = found["ledger"]
            demand(whole(ledger["first"], 1) and whole(ledger["last"], ledger["first"]))
            demand(matches(SHA, ledger["head"]))
            demand(all(isinstance(one, str) for one in found.get("approvals", [])))
            self.pack = found
        except (Wrong, ValueError, KeyError, TypeError):
            self.problem("pack_malformed", "pack.json", "The file is not of a known form.")
        self._sums()

    def _sums(self) -> None:
        listed = {}
        try:
            for line in self.box.read("SHA256SUMS").decode().splitlines():
                digest, _, name = line.partition("  ")
                listed[name] = digest
        except (KeyError, Wrong, UnicodeDecodeError):
            self.problem("file_missing", "SHA256SUMS", "The list of checksums cannot be read.")
            return
        for name in sorted(set(self.box.sizes) - set(listed) - {"SHA256SUMS"}):
            self.problem("file_unlisted", name, "The file is not in SHA256SUMS.")
        for name, digest in sorted(listed.items()):
            try:
                if sha256(self.box.read(name)) != digest:
                    self.problem("file_changed", name, "The file has another checksum.")
            except KeyError:
                self.problem("file_missing", name, "The file is in SHA256SUMS and not here.")
            except Wrong as error:
                self.problem("file_changed", name, f"{error}.")

    # ---- the ledger

    def _ledger(self) -> None:
        first = self.pack["ledger"]["first"] if self.pack else 1
        numbers = sorted(
            int(name[7:17])
            for name in self.box.sizes
            if re.fullmatch(r"ledger/[0-9]{10}\.json", name)
        )
        expected, last_key = first, 0
        for number in numbers:
            if number >= first:
                if number != expected:
                    self.problem(
                        "ledger_gap",
                        f"ledger/{expected:010d}.json",
                        f"Entries {expected} to {number - 1} are missing.",
                    )
                expected = number + 1
            last_key = self._entry(number, last_key)
        self.length = numbers[-1] if numbers else 0
        if self.pack is not None:
            last, head = self.pack["ledger"]["last"], self.pack["ledger"]["head"]
            if self.length < last:
                self.problem(
                    "ledger_truncated",
                    f"ledger/{last:010d}.json",
                    f"The pack was made of {last} entries and ends at {self.length}.",
                )
            elif self.length > last or self.digests.get(last, head) != head:
                self.problem("pack_malformed", "pack.json", "The ledger does not end as it says.")

    def _entry(self, number: int, last_key: int) -> int:
        key = f"ledger/{number:010d}.json"
        try:
            entry = Entry(Envelope(self.box.read(key)))
        except Wrong as error:
            self.problem("entry_malformed", key, f"{error}.")
            return last_key
        if entry.sequence != number:
            self.problem("entry_misplaced", key, f"The entry says it is number {entry.sequence}.")
        before = "0" * 64 if number == 1 else self.digests.get(number - 1)
        if before is not None and entry.previous != before:
            self.problem("chain_broken", key, "The entry does not continue the one before it.")
        elif before is not None and entry.key_entry != last_key:
            self.problem("chain_broken", key, "The entry names a wrong key entry before it.")
        self.digests[number] = entry.digest
        try:
            self.signers[number] = self.keyring.admit(entry)
        except Wrong as error:
            self.problem("signature_invalid", key, f"{error}.")
            return last_key
        self.entries[number] = entry
        return number if entry.kind == "key" else last_key

    def _keys(self) -> None:
        known = self.keyring.known
        if self.trusted is not None and self.trusted not in known:
            self.problem("key_untrusted", "ledger/", "The ledger never announced the given key.")
        for number, signers in sorted(self.signers.items()):
            if all(self.keyring.revoked.get(one, number + 1) <= number for one in signers):
                self.problem(
                    "key_revoked",
                    f"ledger/{number:010d}.json",
                    "Every key that signed the entry was revoked with effect from before it.",
                )

    def _checkpoints(self) -> None:
        names = sorted(n for n in self.box.sizes if re.fullmatch(r"checkpoints/[0-9]{10}\.json", n))
        if names and int(names[-1][12:22]) > self.length:
            self.problem(
                "ledger_truncated",
                names[-1],
                f"It knows {int(names[-1][12:22])} entries; the ledger ends at {self.length}.",
            )
        for name in names:
            number = int(name[12:22])
            if number > self.length:
                continue
            try:
                envelope = Envelope(self.box.read(name))
                point = envelope.document
                (subject,) = point["subject"]
                said = point["predicate"]
                demand(point["predicateType"] == URN + "checkpoint:v1")
                demand(said["count"] == said["sequence"])
                envelope.accepted_by(self.keyring.known)
            except (Wrong, ValueError, KeyError, TypeError):
                self.problem("checkpoint_invalid", name, "It is malformed or not signed.")
                continue
            head = subject["digest"]["sha256"]
            if said["sequence"] != number or self.digests.get(number, head) != head:
                self.problem("checkpoint_mismatch", name, "The ledger is not the one it names.")
        if not names:
            self.note("not_anchored", "", "No checkpoint proves that the ledger did not go on.")
        elif int(names[-1][12:22]) < self.length:
            self.note(
                "not_anchored",
                f"ledger/{self.length:010d}.json",
                f"Entries behind number {int(names[-1][12:22])} are newer than the checkpoint.",
            )

    # ---- documents

    def _documents(self) -> None:
        removals = {"withdrawal": "withdrawn", "disposal": "disposed"}
        self.removed = {
            name: removals[entry.kind]
            for entry in self.entries.values()
            if entry.kind in removals
            for name in entry.subjects
        }
        for name, how in sorted(self.removed.items()):
            self.note(how, name, f"The object was {how}, as the ledger says.")
        attempts: dict[str, set[str]] = {}
        for number, entry in sorted(self.entries.items()):
            if entry.kind == "night":
                self._night(number, entry, attempts)
            elif GROUPS[entry.kind] == "reference":
                for name, digest in entry.subjects.items():
                    wanted = self.pack is None or self._is_approval(name, self.pack)
                    content = self._cite(name, digest, demanded=wanted)
                    if content is not None and name.startswith("approvals/"):
                        self._approval(name, content, entry)

    @staticmethod
    def _is_approval(name: str, pack: dict[str, Any]) -> bool:
        """Whether a name is an event of an approval that a pack says it holds."""
        match = re.fullmatch(r"approvals/([^/]+/[^/]+)/v[0-9]{6}/[0-9]{6}\.json", name)
        return match is not None and match.group(1) in pack.get("approvals", [])

    def _approval(self, name: str, content: bytes, entry: Entry) -> None:
        """Remember an event of an approval: by role, never by name."""
        try:
            found = load(content)
            done = found["type"] + (f" {found['advice']}" if found.get("advice") else "")
            said = {
                "document": f"{found['target_kind']}/{found['target_id']}",
                "version": str(found["target_version"]),
                "event": done,
                "role": str(found["role"]),
                "night": str(found.get("night") or ""),
                "signed_at": entry.signed_at,
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            self.note("unknown_object", name, "The signed event is not of a known form.")
            return
        self.approvals.append(said)

    def _night(self, number: int, entry: Entry, attempts: dict[str, set[str]]) -> None:
        said = entry.said
        place = f"ledger/{number:010d}.json"
        key = f"nights/{said['night']}/{said['attempt']}/statement.json"
        if entry.subjects != {key: said["statement"]} or not matches(DOCUMENTS, key):
            self.problem(
                "statement_contradicts_entry",
                place,
                "The entry's subject is not the statement that it describes.",
            )
            return
        earlier = attempts.setdefault(said["night"], set())
        # A pack may begin behind the attempt that is superseded.
        unknown = said.get("supersedes") is not None and said["supersedes"] not in earlier
        if unknown and (self.pack is None or earlier):
            self.problem("supersedes_unknown", place, "No earlier entry signed that attempt.")
        earlier.add(said["attempt"])
        if self.pack is not None and not (
            number >= self.pack["ledger"]["first"]
            and self.pack["from"] <= said["night"] <= self.pack["to"]
        ):
            return
        self.nights.add(said["night"])
        content = self._cite(key, said["statement"])
        if content is None:
            return
        try:
            self._statement(key, load(content), said)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problem("statement_malformed", key, "The statement is not of a known form.")

    def _statement(self, key: str, found: Any, said: dict[str, Any]) -> None:
        demand(found["schema_version"] == 1 and found["kind"] == "statement")
        counts = {name: len(found[name]) for name in ("evidence", "versions", "assessments")}
        new = {
            f"{one['kind']}/{one['id']}/{one['version']}": one["digest"]
            for one in found["versions"]
            if one["new"]
        }
        same = ("night", "attempt", "idempotency_key", "supersedes")
        if (
            any(found[name] != said.get(name) for name in same)
            or said["documents"] != counts
            or said.get("versions", new) != new
        ):
            self.problem("statement_contradicts_entry", key, "Statement and entry differ.")
            return
        citations: dict[tuple[str, str], dict[str, str]] = {}
        for one in found["versions"]:
            folder = f"{one['kind']}s/{one['id']}/v{one['version']:06d}/"
            if one["key"] != folder + f"{one['kind']}.json":
                self.problem("statement_contradicts_entry", key, "A version has a wrong key.")
            files = {f"{one['kind']}.json": one["digest"], **one.get("renderings", {})}
            if one.get("renderings"):
                self.sealed.add(folder)
            citations[one["kind"], one["id"]] = {folder + n: d for n, d in files.items()}
        folder = key[: -len("statement.json")] + "assessments/"
        evidence = {
            subject: {f"evidence/sha256/{digest[:2]}/{digest}.json.gz": digest}
            for subject, digest in found["evidence"].items()
        }
        assessments = {
            subject: {f"{folder}{digest}.json.gz": digest}
            for subject, digest in found["assessments"].items()
        }
        everything = [*citations.values(), *evidence.values(), *assessments.values()]
        demand(
            all(matches(DOCUMENTS, n) and matches(SHA, d) for c in everything for n, d in c.items())
        )
        wanted = everything if self.pack is None else self._scope(citations, evidence, assessments)
        for citation in everything:
            for name, digest in citation.items():
                self._cite(name, digest, demanded=citation in wanted)

    def _scope(
        self,
        citations: dict[tuple[str, str], dict[str, str]],
        evidence: dict[str, dict[str, str]],
        assessments: dict[str, dict[str, str]],
    ) -> list[dict[str, str]]:
        """What of a statement a pack has to hold."""
        own = ("record", str(self.pack["activity"]) if self.pack else "")
        if own not in citations:
            return []
        wanted = [citations[own]]
        by_digest = {d: c for c in evidence.values() for d in c.values()}
        name = min(name for name in citations[own] if name.endswith("/record.json"))
        models = {one["id"] for one in self._content(name, citations[own][name]).get("models", [])}
        found = self._assessment(assessments.get("/".join(own)), by_digest, wanted)
        subjects = [one["finding"]["subject"] for one in found.get("findings", [])]
        models |= {subject["id"] for subject in subjects if subject["kind"] == "model"}
        for model in sorted(models):
            wanted += [citations[key] for key in [("dossier", model)] if key in citations]
            wanted += [evidence[key] for key in [f"model/{model}"] if key in evidence]
            self._assessment(assessments.get(f"dossier/{model}"), by_digest, wanted)
        for one in wanted:
            for name, digest in one.items():
                self._cite(name, digest)
        return wanted

    def _content(self, name: str, digest: str) -> dict[str, Any]:
        """A document as data; empty if it is not the cited one, which is reported elsewhere."""
        try:
            content = self.box.document(name)
            return load(content) if sha256(content) == digest else {}
        except (KeyError, ValueError, Wrong):
            return {}

    def _assessment(
        self,
        cited: dict[str, str] | None,
        by_digest: dict[str, dict[str, str]],
        wanted: list[dict[str, str]],
    ) -> dict[str, Any]:
        """Want an assessment and the evidence that it cites."""
        if cited is None:
            return {}
        wanted.append(cited)
        ((name, digest),) = cited.items()
        content = self._content(name, digest)
        references = [ref for one in content.get("verdicts", []) for ref in one["evidence"]]
        references += [one["evidence"] for one in content.get("findings", [])]
        for bundle in sorted({one["digest"] for one in references}):
            key = f"evidence/sha256/{bundle[:2]}/{bundle}.json.gz"
            wanted.append(by_digest.get(bundle, {key: bundle}))
        return content

    def _cite(self, name: str, digest: str, demanded: bool = True) -> bytes | None:
        """Hold an object against a digest; its document if that is right."""
        if not matches(DOCUMENTS, name):
            return None
        if name in self.cited:
            if self.cited[name] != digest:
                self.problem("version_rewritten", name, "Two different contents are cited.")
            return None
        if not demanded and name not in self.box.sizes:
            return None
        self.cited[name] = digest
        try:
            content = self.box.document(name)
        except KeyError:
            if name not in self.removed:
                self.problem("object_missing", name, "A cited object is missing.")
            return None
        except Wrong as error:
            self.problem("object_corrupt", name, f"{error}.")
            return None
        if sha256(content) != digest:
            self.problem("digest_mismatch", name, "The object is not the one that was cited.")
            return None
        self.checked += 1
        if name in self.removed:
            self.note("still_present", name, f"The object was {self.removed[name]}, but is here.")
        return content

    def _nights(self) -> None:
        """Hold the nights that a pack claims to be about against the entries that are here."""
        if self.pack is None:
            return
        self.note(
            "not_signed",
            "pack.json",
            "The activity, 'from', 'to', whose approvals are in it and where the ledger's part "
            "begins are statements of who made the pack. No signature covers them, or that "
            "nothing was left out before it.",
        )
        for day in sorted(set(self.pack["nights"]) ^ self.nights):
            how = "is verified, but not named here" if day in self.nights else "is not in the pack"
            self.problem("nights_differ", "pack.json", f"The night {day} {how}.")
        first, last = (dt.date.fromisoformat(self.pack[name]) for name in ("from", "to"))
        bounds = [
            (first - dt.timedelta(days=1)).isoformat() if first > dt.date.min else "",
            (last + dt.timedelta(days=1)).isoformat() if last < dt.date.max else "",
        ]
        rows = spans([*self.nights, *filter(None, bounds)])
        # Python 3.9 knows neither pairwise() nor strict.
        for (_, before), (after, _) in zip(rows, rows[1:]):  # noqa: B905, RUF007
            begin = dt.date.fromisoformat(before) + dt.timedelta(days=1)
            end = dt.date.fromisoformat(after) - dt.timedelta(days=1)
            self.note(
                "no_night",
                "pack.json",
                f"No night is here of {named(begin.isoformat(), end.isoformat())} "
                f"({(end - begin).days + 1} days).",
            )

    def _texts(self) -> None:
        for entry in self.entries.values():
            ref = entry.said.get("text_ref") if GROUPS[entry.kind] == "reference" else None
            if ref is None or f"texts/{ref}.json" not in self.box.sizes:
                continue
            try:
                found = load(self.box.read(f"texts/{ref}.json"))
                digest = sha256(bytes.fromhex(found["salt"]) + found["text"].encode())
            except (Wrong, KeyError, ValueError, TypeError, AttributeError):
                digest = ""
            if digest != entry.said.get("text_digest"):
                self.problem("text_changed", f"texts/{ref}.json", "It is not the cited text.")

    def _numbering(self) -> None:
        forms = {
            r"((?:records|dossiers)/[^/]+)/v([0-9]{6})/(?:record|dossier)\.json": "version_gap",
            r"((?:approvals/[^/]+/[^/]+/v[0-9]{6})|(?:incidents/[^/]+))/([0-9]{6})\.json": (
                "event_gap"
            ),
        }
        for form, code in forms.items():
            histories: dict[str, set[int]] = {}
            for name in {*self.box.sizes, *self.removed}:
                match = re.fullmatch(form, name)
                if match:
                    histories.setdefault(match.group(1), set()).add(int(match.group(2)))
            for folder, numbers in sorted(histories.items()):
                missing = sorted(set(range(1, max(numbers))) - numbers)
                if missing:
                    self.problem(code, folder, f"Number {missing[0]} is missing.")

    def _uncited(self) -> None:
        """Name what nothing signed vouches for: a pack holds nothing of that kind."""
        others = OTHERS if self.pack is not None else f"{OTHERS}|{NO_EVIDENCE}"
        for name in sorted(set(self.box.sizes) - set(self.cited)):
            if not matches(DOCUMENTS, name):
                if not matches(others, name):
                    self.note("unknown_object", name, "The file is none that the format knows.")
                continue
            folder = name[: name.rindex("/") + 1]
            document = folder + name.split("/")[0][:-1] + ".json"
            if document in self.cited and not (self.pack is not None and folder in self.sealed):
                self.note("not_proven", name, "No statement holds the digest of this file.")
            elif self.pack is None:
                self.note("not_cited", name, "Nothing signed cites this file.")
            else:
                self.problem("object_uncited", name, "Nothing signed cites this file.")

    # ---- words

    def text(self) -> str:
        """The result for a person."""
        about = "Local copy of a store"
        if self.pack is not None:
            about = (
                "Pack about activity {activity}, nights {from} to {to}, as who made it says"
            ).format(**self.pack)
        lines = [about, "DOES NOT VERIFY" if self.problems else "VERIFIES"]
        lines += [
            f"{label}  {one['code']}  {printable(one['key'])}\n"
            f"         {printable(one['sentence'])}"
            for label, found in (("PROBLEM", self.problems), ("NOTE   ", self.notes))
            for one in found
        ]
        if self.pack is not None:
            nights = ", ".join(named(*row) for row in spans(self.nights)) or "none"
            lines.append(f"Nights found: {nights} ({len(self.nights)})")
        if self.approvals:
            lines.append("Events of approval, as signed; whether each counts, the format says:")
        lines += [
            printable("  {signed_at}  {document} v{version}: {event}, role {role}".format(**one))
            + (printable(f", on the assessment of {one['night']}") if one["night"] else "")
            for one in self.approvals
        ]
        lines.append(f"Ledger entries: {len(self.digests)}; documents compared: {self.checked}")
        lines.append("Keys of the ledger: " + (", ".join(sorted(self.keyring.known)) or "none"))
        if self.trusted is None:
            lines.append(
                "NO KEY WAS GIVEN: compare a fingerprint above with one that you were told on "
                "another way,\nor run again with --key. Without that, anybody could have signed it."
            )
        else:
            lines.append(f"Trusted key: {self.trusted}")
        return "\n".join(lines)


def pinned(text: str) -> str:
    """Fingerprint of what was given with --key."""
    if matches(SHA, text):
        return text
    try:
        return PublicKey(Path(text).read_text(encoding="ascii")).fingerprint
    except (OSError, UnicodeDecodeError, Wrong) as error:
        raise Unreadable(f"{text}: neither a fingerprint nor a public key file") from error


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(description="Verify an auditor's pack, offline.")
    parser.add_argument("path", help="folder or ZIP file")
    parser.add_argument("--key", help="public key file (PEM) or its SHA-256 fingerprint")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        verifier = Verifier(Box(given.path), pinned(given.key) if given.key else None)
        verifier.run()
    except (Unreadable, OSError) as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        return 2
    except Exception as error:  # noqa: BLE001 - whatever a hostile file does, it is named
        sys.stderr.write(
            f"error: {printable(given.path)}: not verifiable ({type(error).__name__})\n"
        )
        return 2
    if given.json:
        found = {
            "ok": not verifier.problems,
            "nights": sorted(verifier.nights),
            "approvals": verifier.approvals,
            "problems": verifier.problems,
            "notes": verifier.notes,
        }
        sys.stdout.write(json.dumps(found, indent=2, sort_keys=True) + "\n")
    else:
        sys.stdout.write(verifier.text() + "\n")
    return 1 if verifier.problems else 0


if __name__ == "__main__":
    sys.exit(main())
