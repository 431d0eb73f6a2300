"""Who acted: names in a deletable directory, cited from signed events by a random reference.

Each event has a reference of its own, so that nobody can tell from signed objects that two events
are one person's. The entry says from when on the name was valid; the salt of its digest dies with
it (see :mod:`nachweis.storage.narratives`).
"""

from __future__ import annotations

import datetime as dt
import getpass
import re
import unicodedata

from nachweis.domain.approval import ApprovalEvent
from nachweis.domain.canonical import canonical_bytes, parse
from nachweis.domain.errors import IntegrityError, NachweisError
from nachweis.storage import layout
from nachweis.storage.entries import moment
from nachweis.storage.narratives import TextRef, read_text, write_text
from nachweis.storage.object_store import ObjectStore

LONGEST_NAME = 200
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u061c\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control, direction and invisible characters, which could hide what a text says."""


def acting(name: str | None) -> str:
    """The person who acts.

    Args:
        name: As given; by default the account of this machine.

    Returns:
        The name.

    Raises:
        NachweisError: If it is unknown, or not of the form of a name.
    """
    try:
        found = (getpass.getuser() if name is None else name).strip()
    except (KeyError, OSError) as error:
        raise NachweisError(
            "nobody knows who acts: this account has no name",
            where="--actor",
            remedy="name the person with --actor, or set NACHWEIS_ACTOR",
        ) from error
    if not found or len(found) > LONGEST_NAME or re.search(r"[\n\t]", found) or unprintable(found):
        raise NachweisError(
            "not a name of a person",
            where="--actor",
            remedy=f"write 1 to {LONGEST_NAME} printable characters on one line",
        )
    return found


def unprintable(text: str) -> bool:
    """Whether a text holds characters that could hide what it says."""
    return UNPRINTABLE.search(text) is not None


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, whatever their case, spacing and Unicode form."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def enter(narratives: ObjectStore, name: str, at: dt.datetime) -> TextRef:
    """Enter who acted into the directory.

    Args:
        narratives: The deletable bucket.
        name: The person.
        at: When the name was valid.

    Returns:
        What a signed event may hold about it.
    """
    entry = canonical_bytes({"name": name, "valid_from": moment(at)}).decode()
    return write_text(narratives, entry)


def name_of(narratives: ObjectStore, event: ApprovalEvent) -> str | None:
    """Who acted, or None if the entry was erased.

    Args:
        narratives: The deletable bucket.
        event: The event.

    Returns:
        The name.

    Raises:
        IntegrityError: If the entry is not the one that was cited.
    """
    try:
        entry = read_text(narratives, TextRef(event.actor_ref, event.actor_digest))
    except KeyError:
        return None
    try:
        return str(parse(entry.encode())["name"])
    except (NachweisError, KeyError, TypeError) as error:
        where = layout.text(event.actor_ref)
        raise IntegrityError("the entry does not name a person", where=where) from error
