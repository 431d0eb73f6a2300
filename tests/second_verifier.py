"""A second verifier of the evidence, written from docs/evidence-format.md alone.

It shares no code with the package or with verify.py: where the three differ, the page is not
precise enough or one of them is wrong. Section numbers refer to the page.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

HEX = re.compile(r"[0-9a-f]{64}")
SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
IMMUTABLE = re.compile(
    r"(evidence/sha256|nights|records|dossiers|approvals|incidents)/\S+\.(json|json\.gz|html|\w+)"
)
_ID = r"[a-z0-9]{1}(?:[a-z0-9-]{0,61}[a-z0-9])?"
_ATTEMPT = r"[A-Za-z0-9]{1}(?:[A-Za-z0-9_-]{0,126}[A-Za-z0-9])?"
EVIDENT = [  # section 2: documents that something signed has to cite
    re.compile(form, re.ASCII)
    for form in (
        rf"nights/\d{{4}}-\d\d-\d\d/{_ATTEMPT}/statement\.json",
        rf"nights/\d{{4}}-\d\d-\d\d/{_ATTEMPT}/assessments/[0-9a-f]{{64}}\.json\.gz",
        r"evidence/sha256/[0-9a-f]{2}/[0-9a-f]{64}\.json\.gz",
        rf"(records|dossiers)/{_ID}/v\d{{6}}/[a-z0-9]{{1}}[a-z0-9_-]{{0,62}}(?:\.[a-z0-9]{{1,10}}){{1,3}}",
        rf"approvals/(record|dossier)/{_ID}/v\d{{6}}/\d{{6}}\.json",
        rf"incidents/{_ID}/\d{{6}}\.json",
    )
]
FIELDS = {  # section 4: kind -> (demanded, allowed)
    "key": (
        "action keyid",
        "action keyid public_key replaces from_sequence reason valid_from",
    ),
    "night": (
        "night attempt statement idempotency_key documents",
        "night attempt statement idempotency_key documents supersedes versions",
    ),
    "withdrawal": ("", "incident rule"),
    "disposal": ("", "incident rule"),
}
for _kind in ("decision", "waiver", "incident", "gate"):
    FIELDS[_kind] = ("id event", "id event role night text_ref text_digest")


class Malformed(Exception):  # noqa: N818
    pass


class Unsigned(Exception):  # noqa: N818
    pass


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def must(truth: object) -> None:
    if not truth:
        raise Malformed


def unpack(key: str, body: bytes) -> bytes:
    """Section 2: the document of an object."""
    return gzip.decompress(body) if key.endswith(".gz") else body


def open_envelope(body: bytes) -> tuple[dict[str, Any], bytes, dict[str, bytes]]:
    """Section 3."""
    try:
        must(len(body) <= 64 * 1024)
        outer = json.loads(body)
        must(set(outer) == {"payload", "payloadType", "signatures"})
        must(outer["payloadType"] == "application/vnd.in-toto+json")
        must(json.dumps(outer, separators=(",", ":"), sort_keys=True).encode() == body)
        signatures = {}
        for one in outer["signatures"]:
            must(set(one) == {"keyid", "sig"} and HEX.fullmatch(one["keyid"]))
            must(one["keyid"] not in signatures)
            signatures[one["keyid"]] = _decode(one["sig"])
        must(signatures)
        payload = _decode(outer["payload"])
        inner = json.loads(payload)
        must(not any(isinstance(leaf, float) for leaf in _leaves(inner)))
        form = json.dumps(inner, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        must(form.encode() == payload)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Malformed from error
    return inner, payload, signatures


def _decode(text: str) -> bytes:
    content = base64.b64decode(text.encode("ascii"), validate=True)
    must(base64.b64encode(content).decode() == text)
    return content


def _leaves(tree: Any) -> Any:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _leaves(branch)
    else:
        yield tree


def signers(payload: bytes, signatures: dict[str, bytes], keys: dict[str, Any]) -> set[str]:
    """Section 3: accepting an envelope for a set of keys."""
    message = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" "
    message += payload
    found = set(signatures) & set(keys)
    if not found:
        raise Unsigned
    for keyid in found:
        key = keys[keyid]
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signatures[keyid], message)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                by_size = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
                key.verify(signatures[keyid], message, ec.ECDSA(by_size[key.key_size]))
            elif isinstance(key, rsa.RSAPublicKey):
                scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
                key.verify(signatures[keyid], message, scheme, hashes.SHA256())
            else:
                raise Unsigned
        except InvalidSignature as error:
            raise Unsigned from error
    return found


def fingerprint(key: Any) -> str:
    der = serialization.Encoding.DER
    return digest_of(key.public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo))


def read_entry(inner: dict[str, Any], payload: bytes) -> dict[str, Any]:
    """Section 4: the form of an entry."""
    try:
        must(len(payload) <= 4096)
        must(set(inner) == {"_type", "subject", "predicateType", "predicate"})
        must(inner["_type"] == "https://in-toto.io/Statement/v1")
        named = re.fullmatch(r"urn:nachweis:predicate:([a-z]+):v1", inner["predicateType"])
        must(named and named.group(1) in FIELDS)
        said = inner["predicate"]
        must(
            set(said)
            == {"schema_version", "sequence", "count", "previous", "key_entry", "signed_at"}
            | {"entry"}
        )
        must(said["schema_version"] == 1 and said["count"] == said["sequence"])
        must(type(said["sequence"]) is int and type(said["key_entry"]) is int)
        must(HEX.fullmatch(said["previous"]) and MOMENT.fullmatch(said["signed_at"]))
        subjects = {}
        for one in inner["subject"]:
            must(SUBJECT.fullmatch(one["name"]) and HEX.fullmatch(one["digest"]["sha256"]))
            must(one["name"] not in subjects)
            subjects[one["name"]] = one["digest"]["sha256"]
        must(subjects)
        entry, kind = said["entry"], named.group(1)  # type: ignore[union-attr]
        demanded, allowed = (set(text.split()) for text in FIELDS[kind])
        must(demanded <= set(entry) <= allowed)
        if kind == "key":
            action = entry["action"]
            must(action in {"announce", "rotate", "revoke"})
            must(("public_key" in entry) is (action != "revoke"))
            must(("replaces" in entry) is (action == "rotate"))
            must(("from_sequence" in entry) is (action == "revoke"))
        if kind == "night":
            must(DAY.fullmatch(entry["night"]) and HEX.fullmatch(entry["statement"]))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise Malformed from error
    return {"kind": kind, "subjects": subjects, **said, "digest": digest_of(payload)}


class Second:
    """Verifies a folder: a local copy of a store, or an unpacked pack."""

    def __init__(self, folder: Path, trusted: str) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.trusted = trusted
        self.found: set[tuple[str, str]] = set()
        self.cited: dict[str, str] = {}
        self.digests: dict[int, str] = {}
        self.entries: dict[int, dict[str, Any]] = {}
        self.pack = json.loads(self.files["pack.json"]) if "pack.json" in self.files else None
        self.nights: set[str] = set()
        self.with_renderings: set[str] = set()
        self.ledger()
        self.checkpoints()
        self.documents()
        self.texts()
        if self.pack is None:
            self.numbering()
        else:
            self.sums()
            self.nothing_else()

    # -------------------------------------------------------------- sections 4 and 5

    def ledger(self) -> None:
        keys: dict[str, Any] = {}
        self.announced: dict[str, Any] = {}
        revoked: dict[str, int] = {}
        signed_by: dict[int, set[str]] = {}
        numbers = sorted(int(k[7:-5]) for k in self.files if re.fullmatch(r"ledger/\d{10}.json", k))
        start = self.pack["ledger"]["first"] if self.pack else 1
        present = {number for number in numbers if number >= start}
        self.end = max(numbers, default=0)
        lost = False
        for number in range(start, self.end + 1):
            if number not in present and not lost:
                self.found.add(("ledger_gap", f"ledger/{number:010}.json"))
            lost = number not in present
        latest = 0
        for number in numbers:
            key = f"ledger/{number:010}.json"
            try:
                inner, payload, signatures = open_envelope(self.files[key])
                entry = read_entry(inner, payload)
            except Malformed:
                self.found.add(("entry_malformed", key))
                continue
            if entry["sequence"] != number:
                self.found.add(("entry_misplaced", key))
            before = self.digests.get(number - 1, "0" * 64 if number == 1 else None)
            if before is not None and (entry["previous"] != before or entry["key_entry"] != latest):
                self.found.add(("chain_broken", key))
            self.digests[number] = entry["digest"]
            try:
                if entry["kind"] == "key":
                    by = self.key_entry(entry, payload, signatures, keys, revoked)
                    latest = number
                else:
                    by = signers(payload, signatures, keys)
            except (Unsigned, ValueError):
                self.found.add(("signature_invalid", key))
                continue
            signed_by[number] = by
            self.entries[number] = entry
        if self.trusted not in self.announced:
            self.found.add(("key_untrusted", ""))
        for number, by in signed_by.items():
            if by and all(one in revoked and revoked[one] <= number for one in by):
                self.found.add(("key_revoked", f"ledger/{number:010}.json"))
        if self.pack is not None:
            last, head = self.pack["ledger"]["last"], self.pack["ledger"]["head"]
            if self.end < last:
                self.found.add(("ledger_truncated", f"ledger/{last:010}.json"))
            elif self.end > last or self.digests.get(last, head) != head:
                self.found.add(("pack_malformed", "pack.json"))

    def key_entry(
        self,
        entry: dict[str, Any],
        payload: bytes,
        signatures: dict[str, bytes],
        keys: dict[str, Any],
        revoked: dict[str, int],
    ) -> set[str]:
        said = entry["entry"]
        keyid = said["keyid"]
        if said["action"] == "revoke":
            by = signers(payload, signatures, keys)
            if keyid not in self.announced or by == {keyid}:
                raise Unsigned
            revoked[keyid] = min(said["from_sequence"], revoked.get(keyid, said["from_sequence"]))
            keys.pop(keyid, None)
            return by
        new = serialization.load_pem_public_key(said["public_key"].encode())
        if fingerprint(new) != keyid or entry["subjects"] != {f"key:{keyid}": keyid}:
            raise Unsigned
        by = signers(payload, signatures, {**keys, keyid: new})
        if keyid in self.announced or keyid not in by:
            raise Unsigned
        if self.announced and not by & set(keys):
            raise Unsigned
        if said["action"] == "rotate":
            if said["replaces"] not in keys or said["replaces"] not in by:
                raise Unsigned
            del keys[said["replaces"]]
        keys[keyid] = self.announced[keyid] = new
        return by

    def checkpoints(self) -> None:
        points = sorted(k for k in self.files if re.fullmatch(r"checkpoints/\d{10}.json", k))
        if points and int(points[-1][12:22]) > self.end:
            self.found.add(("ledger_truncated", points[-1]))
        for key in points:
            number = int(key[12:22])
            if number > self.end:
                continue
            try:
                inner, payload, signatures = open_envelope(self.files[key])
                said = inner["predicate"]
                must(inner["predicateType"] == "urn:nachweis:predicate:checkpoint:v1")
                must(said["count"] == said["sequence"])
                signers(payload, signatures, self.announced)
                head = inner["subject"][0]["digest"]["sha256"]
            except (Malformed, Unsigned, KeyError):
                self.found.add(("checkpoint_invalid", key))
                continue
            if said["sequence"] != number or self.digests.get(number, head) != head:
                self.found.add(("checkpoint_mismatch", key))

    # -------------------------------------------------------------- sections 6 to 8

    def documents(self) -> None:
        self.removed = {
            name
            for entry in self.entries.values()
            if entry["kind"] in {"withdrawal", "disposal"}
            for name in entry["subjects"]
        }
        signed = defaultdict(set)
        for number in sorted(self.entries):
            entry = self.entries[number]
            said = entry["entry"]
            if entry["kind"] in {"decision", "waiver", "incident", "gate"}:
                for name, digest in entry["subjects"].items():
                    claimed = self.pack is not None and name.startswith(
                        tuple(f"approvals/{one}/" for one in self.pack.get("approvals", []))
                    )
                    self.cite(name, digest, must_be_here=self.pack is None or claimed)
            if entry["kind"] != "night":
                continue
            key = f"nights/{said['night']}/{said['attempt']}/statement.json"
            ledger_key = f"ledger/{number:010}.json"
            if entry["subjects"] != {key: said["statement"]}:
                self.found.add(("statement_contradicts_entry", ledger_key))
                continue
            earlier = said.get("supersedes")
            known = signed[said["night"]]
            if earlier and earlier not in known and (known or self.pack is None):
                self.found.add(("supersedes_unknown", ledger_key))
            known.add(said["attempt"])
            if self.pack and not (
                number >= self.pack["ledger"]["first"]
                and self.pack["from"] <= said["night"] <= self.pack["to"]
            ):
                continue
            self.nights.add(said["night"])
            content = self.cite(key, said["statement"])
            if content is not None:
                try:
                    self.statement(key, json.loads(content), said)
                except (ValueError, KeyError, TypeError, Malformed, AttributeError):
                    self.found.add(("statement_malformed", key))

    def statement(self, key: str, statement: dict[str, Any], said: dict[str, Any]) -> None:
        must(statement["schema_version"] == 1)
        versions = statement["versions"]
        agree = all(
            statement[name] == said.get(name)
            for name in ("night", "attempt", "idempotency_key", "supersedes")
        )
        agree &= said["documents"] == {
            name: len(statement[name]) for name in ("evidence", "assessments", "versions")
        }
        if "versions" in said:
            agree &= said["versions"] == {
                f"{v['kind']}/{v['id']}/{v['version']}": v["digest"] for v in versions if v["new"]
            }
        if not agree:
            self.found.add(("statement_contradicts_entry", key))
            return
        groups: dict[str, dict[str, str]] = {}
        for version in versions:
            kind = version["kind"]
            folder = f"{kind}s/{version['id']}/v{version['version']:06}"
            if version["key"] != f"{folder}/{kind}.json":
                self.found.add(("statement_contradicts_entry", key))
            group = groups[f"{kind}/{version['id']}"] = {f"{folder}/{kind}.json": version["digest"]}
            if version.get("renderings"):
                self.with_renderings.add(folder)
            for name, digest in version.get("renderings", {}).items():
                group[f"{folder}/{name}"] = digest
        for digest in [*statement["evidence"].values(), *statement["assessments"].values()]:
            must(HEX.fullmatch(digest))
        wanted = self.wanted(key, statement, groups) if self.pack else None
        for group in groups.values():
            for name, digest in group.items():
                self.cite(name, digest, must_be_here=wanted is None or name in wanted)
        for digest in statement["evidence"].values():
            name = evidence_key(digest)
            self.cite(name, digest, must_be_here=wanted is None or name in wanted)
        for digest in statement["assessments"].values():
            name = f"{key.removesuffix('statement.json')}assessments/{digest}.json.gz"
            self.cite(name, digest, must_be_here=wanted is None or name in wanted)
        for name in sorted(wanted or ()):
            if name.startswith("evidence/"):
                self.cite(name, name.split("/")[-1][:64])

    def wanted(
        self, key: str, statement: dict[str, Any], groups: dict[str, dict[str, str]]
    ) -> set[str]:
        """Section 8: what of a statement belongs into the pack."""
        assert self.pack is not None
        own = f"record/{self.pack['activity']}"
        if own not in groups:
            return set()
        needed = set(groups[own])
        (name,) = (name for name in needed if name.endswith("/record.json"))
        models = {one["id"] for one in self.trusted_json(name, groups[own][name])["models"]}
        for one in self.assessment(key, statement, own, needed)["findings"]:
            if one["finding"]["subject"]["kind"] == "model":
                models.add(one["finding"]["subject"]["id"])
        for model in models:
            needed |= set(groups.get(f"dossier/{model}", {}))
            if f"model/{model}" in statement["evidence"]:
                needed.add(evidence_key(statement["evidence"][f"model/{model}"]))
            self.assessment(key, statement, f"dossier/{model}", needed)
        return needed

    def assessment(
        self, key: str, statement: dict[str, Any], subject: str, needed: set[str]
    ) -> dict[str, Any]:
        digest = statement["assessments"].get(subject)
        if digest is None:
            return {"findings": []}
        name = f"{key.removesuffix('statement.json')}assessments/{digest}.json.gz"
        needed.add(name)
        content = self.trusted_json(name, digest)
        cited = [ref for one in content["verdicts"] for ref in one["evidence"]]
        cited += [one["evidence"] for one in content["findings"]]
        needed |= {evidence_key(ref["digest"]) for ref in cited}
        return content

    def trusted_json(self, name: str, digest: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"models": [], "verdicts": [], "findings": []}
        try:
            body = unpack(name, self.files.get(name, b""))
        except (OSError, EOFError, zlib.error):
            return empty  # reported where it is cited
        return {**empty, **json.loads(body)} if digest_of(body) == digest else empty

    def cite(self, name: str, digest: str, *, must_be_here: bool = True) -> bytes | None:
        if name.startswith("gates/") or not IMMUTABLE.fullmatch(name):
            return None
        if name in self.cited:
            if self.cited[name] != digest:
                self.found.add(("version_rewritten", name))
            return None
        if name not in self.files:
            if must_be_here:
                self.cited[name] = digest
                if name not in self.removed:
                    self.found.add(("object_missing", name))
            return None
        self.cited[name] = digest
        try:
            content = unpack(name, self.files[name])
        except (OSError, EOFError, zlib.error):
            self.found.add(("object_corrupt", name))
            return None
        if digest_of(content) != digest:
            self.found.add(("digest_mismatch", name))
            return None
        return content

    def texts(self) -> None:
        for entry in self.entries.values():
            name = f"texts/{entry['entry'].get('text_ref')}.json"
            if name in self.files:
                try:
                    text = json.loads(self.files[name])
                    content = bytes.fromhex(text["salt"]) + text["text"].encode()
                    right = digest_of(content) == entry["entry"].get("text_digest")
                except (ValueError, KeyError, TypeError):
                    right = False
                if not right:
                    self.found.add(("text_changed", name))

    def numbering(self) -> None:
        histories: dict[tuple[str, str], set[int]] = defaultdict(set)
        for name in {*self.files, *self.removed}:
            parts = name.split("/")
            if parts[0] in {"records", "dossiers"} and parts[-1] == f"{parts[0][:-1]}.json":
                histories["version_gap", "/".join(parts[:2])].add(int(parts[2][1:]))
            elif parts[0] in {"approvals", "incidents"}:
                histories["event_gap", "/".join(parts[:-1])].add(int(parts[-1][:6]))
        for place, numbers in histories.items():
            if numbers != set(range(1, max(numbers) + 1)):
                self.found.add(place)

    def nothing_else(self) -> None:
        """Section 8: the nights it claims, and no document that nothing signed cites."""
        assert self.pack is not None
        if set(self.pack["nights"]) != self.nights:
            self.found.add(("nights_differ", "pack.json"))
        for name in self.files:
            if name in self.cited or not any(form.fullmatch(name) for form in EVIDENT):
                continue
            kind, *middle, file = name.split("/")
            if kind in {"records", "dossiers"} and file != f"{kind[:-1]}.json":
                folder = "/".join([kind, *middle])
                old = f"{folder}/{kind[:-1]}.json" in self.cited
                if old and folder not in self.with_renderings:
                    continue  # rendered for a statement that is older than the field
            self.found.add(("object_uncited", name))

    def sums(self) -> None:
        listed = {}
        for line in self.files.get("SHA256SUMS", b"").decode().splitlines():
            digest, name = line.split("  ", 1)
            listed[name] = digest
        for name, digest in listed.items():
            if name not in self.files:
                self.found.add(("file_missing", name))
            elif digest_of(self.files[name]) != digest:
                self.found.add(("file_changed", name))
        for name in set(self.files) - set(listed) - {"SHA256SUMS"}:
            self.found.add(("file_unlisted", name))


def evidence_key(digest: str) -> str:
    return f"evidence/sha256/{digest[:2]}/{digest}.json.gz"


def problems(folder: Path, trusted: str) -> set[tuple[str, str]]:
    """Code and key of everything that does not verify."""
    return Second(folder, trusted).found
