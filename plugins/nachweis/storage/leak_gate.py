"""The leak gate: no document leaves with something in it that looks like personal data.

Every string of a document is scanned: values, keys, and what base64, percent or HTML encoding
hides. Values that the schema types as digests, timestamps, signatures or ids are exempt by JSON
pointer *and* form: a digest field that holds an address is scanned like any other. A hit tells
where and what kind, never the value, not even through a pointer that runs through a leaky key.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from nachweis.domain.errors import LeakError
from nachweis.domain.patterns import LeakKind, hits, normalised
from nachweis.storage.rendered_text import visible_pieces

SHORTEST_PLANTED = 4
_DEEPEST = 3


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """A hit.

    Attributes:
        pointer: JSON pointer, or ``line:N`` in a text; a leaky key is shown as its position.
        kind: What it looks like.
    """

    pointer: str
    kind: LeakKind


@dataclass(frozen=True, slots=True)
class Exemption:
    """Values of a form that the schema fixes.

    Attributes:
        pointer: JSON pointer; ``*`` stands for one segment, ``**`` for any number.
        form: Name of the form the value must have: ``digest``, ``timestamp``, ``signature``,
            ``id`` or ``version``.
    """

    pointer: str
    form: str


_FORMS: Mapping[str, re.Pattern[str]] = {
    "digest": re.compile(
        r"(?:sha256:)?[0-9a-f]{64}|[0-9a-f]{16}(?:-[0-9a-f]{12})?|[0-9a-f]{32}|[0-9a-f]{40}"
    ),
    "timestamp": re.compile(
        r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    ),
    "signature": re.compile(r"[A-Za-z0-9+/_-]{64,1024}={0,2}"),
    "id": re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*"),
    "version": re.compile(r"v?\d{1,6}(?:\.\d{1,8}){0,3}(?:[.+-]?[a-z0-9]{1,40}){0,3}"),
}

EXEMPT = (
    *(
        Exemption(f"/**/{name}", "digest")
        for name in (
            "digest",
            "sha256",
            "keyid",
            "attempt",
            "supersedes",
            "idempotency_key",
            "manifests_digest",
            "target_digest",
            "text_ref",
            "text_digest",
        )
    ),
    Exemption("/evidence/*", "digest"),
    Exemption("/assessments/*", "digest"),
    Exemption("/data_versions/*", "digest"),
    Exemption("/versions/*/renderings/*", "digest"),
    Exemption("/software/*", "version"),
    Exemption("/**/sig", "signature"),
    *(
        Exemption(f"/**/{name}", "timestamp")
        for name in ("night", "since", "carried_from", "tested_on", "signed_at", "start", "end")
    ),
    Exemption("/**/check", "id"),
)
"""What the schemas of our own documents type; the form is proved each time."""


def scan(
    document: Any,
    *,
    exempt: Sequence[Exemption] = EXEMPT,
    allowed: Collection[str] = frozenset(),
    planted: Collection[str] = frozenset(),
) -> list[Leak]:
    """Scan a parsed document.

    Args:
        document: JSON-able data.
        exempt: Pointers with the form that exempts a value.
        allowed: Contacts of parties, byte for byte as in organisation.yaml.
        planted: Identifiers that must not leave, for example of canary rows.

    Returns:
        Hits without duplicates, in order of their pointers; empty for a clean document.
    """
    known = _Known.of(allowed, planted)
    patterns = tuple((_pointer_pattern(item.pointer), _FORMS[item.form]) for item in exempt)
    found: set[Leak] = set()
    for pointer, raw_pointer, value in _leaves(document, "", "", known):
        if isinstance(value, str):
            if known.found.get(value) == ():
                continue
            typed = any(
                form.fullmatch(value) and pattern.fullmatch(raw_pointer)
                for pattern, form in patterns
            )
            if typed and value not in known.planted:
                continue
        found.update(Leak(pointer, kind) for kind in _kinds_of(value, known))
    return sorted(found)


def scan_text(
    text: str,
    *,
    allowed: Collection[str] = frozenset(),
    planted: Collection[str] = frozenset(),
) -> list[Leak]:
    """Scan a rendered text or HTML page: what it shows, its attributes, comments and scripts.

    Args:
        text: Plain text, CSV, Markdown or HTML.
        allowed: Contacts of parties, byte for byte as in organisation.yaml.
        planted: Identifiers that must not leave.

    Returns:
        Hits with line numbers, without duplicates; empty for a clean text.
    """
    known = _Known.of(allowed, planted)
    found: set[Leak] = set()
    for line, piece in visible_pieces(text):
        found.update(Leak(f"line:{line}", kind) for kind in _kinds(piece, known))
    return sorted(found, key=lambda leak: (int(leak.pointer[5:]), leak.kind))


def require_clean(leaks: Iterable[Leak], where: str) -> None:
    """Refuse a document with hits.

    Args:
        leaks: Hits of a scan.
        where: Name of the document.

    Raises:
        LeakError: With places and kinds, without values.
    """
    found = list(leaks)
    if found:
        shown = "; ".join(f"{leak.pointer or '/'}: {leak.kind.value}" for leak in found[:10])
        raise LeakError(
            f"{len(found)} places look like personal data ({shown})",
            where=where,
            remedy="find out how a value came into the document; it was not published",
        )


def allowed_contacts(*declared: Any) -> frozenset[str]:
    """Contacts of parties that documents may state.

    Args:
        *declared: organisation.yaml as JSON-able data.

    Returns:
        Every text in it, byte for byte.
    """
    found: set[str] = set()
    for item in declared:
        if isinstance(item, str):
            found.add(item)
        elif isinstance(item, Mapping):
            found |= allowed_contacts(*item.values())
        elif isinstance(item, Sequence):
            found |= allowed_contacts(*item)
    return frozenset(found)


# ------------------------------------------------------------------------------------ inside


@dataclass(frozen=True, slots=True)
class _Known:
    """What is allowed, what is planted, both prepared for comparison."""

    allowed: frozenset[str]
    planted: frozenset[str]
    folded: tuple[str, ...]
    found: dict[str, tuple[LeakKind, ...]] = field(default_factory=dict)
    """What each text was found to be: documents say the same words many times."""

    @classmethod
    def of(cls, allowed: Collection[str], planted: Collection[str]) -> _Known:
        kept = {item for item in planted if len(item.strip()) >= SHORTEST_PLANTED}
        texts = frozenset(allowed) | {normalised(item) for item in allowed}
        return cls(texts, frozenset(kept), tuple(sorted(_folded(item) for item in kept)))


def _leaves(
    value: Any, pointer: str, raw: str, known: _Known
) -> Iterator[tuple[str, str, str | int]]:
    """Strings and whole numbers below a value, and keys, each with a pointer that is safe to show.

    The raw pointer is only compared with exemptions and never shown.
    """
    if isinstance(value, Mapping):
        for place, (key, item) in enumerate(value.items()):
            leaky = bool(_kinds_of(key, known))
            segment = f"<key {place}>" if leaky else _escaped(key)
            below = f"{pointer}/{segment}"
            if leaky:
                yield below, "", key
            yield from _leaves(item, below, f"{raw}/{_escaped(key)}", known)
    elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield pointer, raw, value
    elif isinstance(value, Sequence):
        for place, item in enumerate(value):
            yield from _leaves(item, f"{pointer}/{place}", f"{raw}/{place}", known)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


@lru_cache(maxsize=512)
def _pointer_pattern(pointer: str) -> re.Pattern[str]:
    pieces = []
    for segment in pointer.split("/")[1:]:
        if segment == "**":
            pieces.append(r"(?:/[^/]*)*")
        else:
            pieces.append("/" + (r"[^/]*" if segment == "*" else re.escape(segment)))
    return re.compile("".join(pieces))


def _kinds_of(value: str | int, known: _Known) -> tuple[LeakKind, ...]:
    """Kinds of hits in one value, looked for once per text."""
    if isinstance(value, int):
        return tuple(_kinds(value, known))
    if value not in known.found:
        known.found[value] = tuple(_kinds(value, known))
    return known.found[value]


def _kinds(value: str | int, known: _Known, depth: int = 0) -> Iterator[LeakKind]:
    """Kinds of hits in one value, encodings undone."""
    if isinstance(value, int):
        # A number has no form of its own; only a planted identifier can be told from a count.
        if str(value) in known.planted:
            yield LeakKind.PLANTED
        return
    if value in known.allowed:
        return
    text = normalised(value)
    if text in known.allowed:
        return
    if known.folded and _has_planted(text, known):
        yield LeakKind.PLANTED
    found = list(hits(text))
    cleared = [(start, end) for _, start, end in found if text[start:end] in known.allowed]
    for kind, start, end in found:
        # The national part of an allowed international number is a hit of its own.
        if not any(first <= start and end <= last for first, last in cleared):
            yield kind
    if depth < _DEEPEST:
        for hidden in _decoded(text):
            yield from _kinds(hidden, known, depth + 1)


def _has_planted(text: str, known: _Known) -> bool:
    folded = _folded(text)
    return any(item in folded and _stands_alone(item, folded) for item in known.folded)


def _stands_alone(item: str, text: str) -> bool:
    """Short identifiers count only as whole words: ``1234`` is in many a number."""
    if len(item) >= 8 and not item.isdigit():
        return True
    return re.search(rf"(?<![^\W_]){re.escape(item)}(?![^\W_])", text) is not None


def _folded(text: str) -> str:
    """A form for comparison with planted identifiers: without case and accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", normalised(text).casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}={0,2}")


def _decoded(text: str) -> Iterator[str]:
    """What a text holds in base64, percent encoding, character references or embedded JSON."""
    if "%" in text and (unquoted := unquote(text)) != text:
        yield unquoted
    if "&" in text and (unescaped := html.unescape(text)) != text:
        yield unescaped
    if "\\u" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match.group(1), 16)), text)
    compact = "".join(text.split())
    if compact != text and _BASE64.fullmatch(compact):
        text = compact  # wrapped lines
    for match in _BASE64.finditer(text):
        if (hidden := _from_base64(match.group())) is not None:
            yield hidden


def _from_base64(token: str) -> str | None:
    """The text that a token encodes; None for a word, a digest or binary data."""
    body = token.rstrip("=").replace("-", "+").replace("_", "/")
    if len(body) % 4 == 1:
        return None
    try:
        content = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
        text = content.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if text.isprintable() or "\n" in text or "\t" in text else None
