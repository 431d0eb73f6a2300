"""Texts written by people: deletable, and cited from signed objects by a salted digest only.

The salt is stored with the text and dies with it; afterwards the digest cannot be used to test a
guess of what the text was.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from nachweis.domain.canonical import canonical_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.storage import layout
from nachweis.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class TextRef:
    """How a signed object cites a text.

    Attributes:
        ref: Random name of the text.
        digest: SHA-256 of salt and text.
    """

    ref: str
    digest: str


def write_text(store: ObjectStore, text: str) -> TextRef:
    """Store a text under a random name.

    Args:
        store: The bucket ``narratives``.
        text: What somebody wrote.

    Returns:
        What a signed object may hold about it.
    """
    ref, salt = secrets.token_hex(16), secrets.token_hex(32)
    document = {"schema_version": 1, "salt": salt, "text": text}
    store.put_if_absent(
        layout.text(ref), canonical_bytes(document), content_type="application/json"
    )
    return TextRef(ref, _digest(salt, text))


def read_text(store: ObjectStore, cited: TextRef) -> str:
    """Read a text and prove that it is the one that was cited.

    Args:
        store: The bucket ``narratives``.
        cited: What the signed object holds.

    Returns:
        The text.

    Raises:
        KeyError: If it was erased.
        IntegrityError: If it is another text.
    """
    key = layout.text(cited.ref)
    content = store.get(key)
    try:
        document = parse(content)
        salt, text = str(document["salt"]), str(document["text"])
        found = _digest(salt, text)
    except (NachweisError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError("the text is not of the form of a text", where=key) from error
    if found != cited.digest:
        raise IntegrityError("the text is not the one that was cited", where=key)
    return text


def _digest(salt: str, text: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()
