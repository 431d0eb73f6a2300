"""Canonical JSON (RFC 8785) and digests: one document, one sequence of bytes."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import rfc8785

from nachweis.domain.errors import NachweisError

_LARGEST_EXACT_INTEGER = 2**53
SIGNIFICANT_DIGITS = 9

_INTRICATE = re.compile(rb"[:\[,]-?[0-9]*(?:[.eE]|[0-9]{16})")
"""What may be written in more than one way; strings that look like it only cost time."""
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical_bytes(document: Any) -> bytes:
    """Serialise a JSON-able document to its RFC 8785 bytes.

    Args:
        document: Objects, arrays, strings, finite numbers, booleans and null.

    Returns:
        UTF-8 bytes with sorted keys and without white space.

    Raises:
        NachweisError: If a value has no canonical JSON form (Inf, NaN, an integer from 2^53).
    """
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, TypeError) as error:
        raise NachweisError(
            f"a document has no canonical JSON form ({type(error).__name__})",
            remedy="publish numbers through nachweis.domain.canonical.publishable",
        ) from error


def digest_bytes(content: bytes) -> str:
    """SHA-256 of bytes as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(content).hexdigest()


def digest(document: Any) -> str:
    """SHA-256 of a document's canonical bytes as 64 hexadecimal characters."""
    return digest_bytes(canonical_bytes(document))


def parse(content: bytes) -> Any:
    """Parse JSON bytes, refusing duplicate keys and the constants that JSON does not have."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        if len(out) != len(items):
            raise NachweisError("a JSON object holds the same key twice")
        return out

    def constant(name: str) -> Any:
        raise NachweisError(f"{name} is not JSON")

    try:
        return json.loads(content, object_pairs_hook=pairs, parse_constant=constant)
    except ValueError as error:
        raise NachweisError(f"not JSON ({type(error).__name__})") from error


def parse_canonical(content: bytes) -> Any:
    """Parse JSON bytes that have to be their own RFC 8785 form.

    Args:
        content: JSON bytes.

    Returns:
        The document.

    Raises:
        NachweisError: If it is not JSON, or not in canonical form.
    """
    try:
        plain = content[:1] in {b"{", b"["} and content.isascii() and b"\\" not in content
        if plain and _INTRICATE.search(content) is None:
            # Without escapes, fractions, large integers and characters beyond ASCII, sorted and
            # compact is all that the form asks for, and a fast library can do it. A key that is
            # given twice would come out shorter.
            document = _DECODER.decode(content)
            written = _ENCODER.encode(document)
        else:
            document = parse(content)
            written = canonical_bytes(document)
    except (ValueError, RecursionError) as error:
        raise NachweisError(f"not JSON ({type(error).__name__})") from error
    if written != content:
        raise NachweisError("a document is not in canonical JSON form")
    return document


def round_significant(value: float, digits: int = SIGNIFICANT_DIGITS) -> float:
    """Round to significant digits; platform noise in the last bits then makes no new version.

    Args:
        value: A finite number.
        digits: How many significant digits stay.

    Returns:
        The rounded number; zero is always positive zero.
    """
    if value == 0:
        return 0.0
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def publishable(value: Any) -> Any:
    """Bring numbers into the form in which they may be published.

    Floats are rounded to nine significant digits, Inf and NaN become null, integers from 2^53
    become strings. Containers are walked; everything else is passed through.

    Args:
        value: Any JSON-able value.

    Returns:
        The value with publishable numbers.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value) if abs(value) >= _LARGEST_EXACT_INTEGER else value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return round_significant(value)
    if isinstance(value, Mapping):
        return {key: publishable(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [publishable(item) for item in value]
    return value
