"""Explanations of findings in the language of the page.

What checks explain is signed in English. Here a sentence is recognised by the message that it was
made of (see :mod:`nachweis.pages.check_messages`), and said in another language with the same
numbers and names. What is not recognised, such as the words of somebody's own check, stays
English and is marked so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_PLACE = re.compile(r"\{(\d+)\}")
_NUMBER = re.compile(r"[-<>] ?\d[\d,.]*%?|\d[\d,.]*%?(?:-\d+)?")
_ENGLISH = re.compile(r"(?:\b[a-z]{2,}\b[ ,]+){2,}[a-z]{2,}\b")
"""Three words in a row: no list of names, but English that nobody translated."""
_SEPARATORS = ("; ", ", ")
_JOINTS = (
    (re.compile(r"(?<=[.:]) (?=[A-Z(])|(?<=\.) (?=\d)"), " "),
    *((re.compile(separator), separator) for separator in _SEPARATORS),
)
"""What sentences, parts of a sentence and items of a list are told apart by, and joined with."""


_LONGEST = 4_000
_DEEPEST = 6
"""Longer texts, and sentences within sentences beyond this, are left as they are."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is filled in.

    Attributes:
        number: Its number in the message.
        measured: Whether a number there is one that was measured: versions and lists hold names.
    """

    number: str
    measured: bool


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A message with places that are filled in."""

    matches: tuple[re.Pattern[str], ...]
    places: tuple[_Place, ...]
    said: str


class Explanations:
    """What checks say, in one language.

    Args:
        messages: English message to its translation; places are written ``{1}``, ``{2}``.
        period: Says an ISO 8601 period in words; other text stays.
    """

    def __init__(
        self, messages: Mapping[str, str], period: Callable[[str], str] = lambda text: text
    ) -> None:
        self._period = period
        self._whole = {english: said for english, said in messages.items() if "{" not in english}
        # What says most by itself is tried first: it is the least likely to be there by chance.
        with_places = sorted(
            (english for english in messages if "{" in english),
            key=lambda english: (-len(_PLACE.sub("", english)), english),
        )
        self._patterns = [_pattern(english, messages[english]) for english in with_places]
        self._cached = lru_cache(maxsize=16_384)(self._recognised)

    def said(self, text: str) -> str | None:
        """A text in this language.

        Args:
            text: English explanation, reason or scope as it was signed.

        Returns:
            The same in this language; None where a part of it is not known.
        """
        return self._cached(text.strip(" ;,"), 0)

    def _recognised(self, text: str, depth: int) -> str | None:
        if not text or text in self._whole:
            return self._whole.get(text, "")
        if depth > _DEEPEST or len(text) > _LONGEST:
            return None
        for pattern in self._patterns:
            for matches in pattern.matches:
                found = matches.fullmatch(text)
                filled = self._filled(pattern, found.groups(), depth) if found else None
                if filled is not None:
                    return filled
        return self._sentences(text, depth)

    def _filled(self, pattern: _Pattern, values: Iterable[str], depth: int) -> str | None:
        parts: dict[str, str] = {}
        for place, value in zip(pattern.places, values, strict=True):
            said = self._value(value.strip(" "), depth, measured=place.measured)
            if said is None:
                return None
            # A further sentence is filled in with the blank before it.
            parts[place.number] = " " * value.startswith(" ") + said + " " * value.endswith(" ")
        return _PLACE.sub(lambda match: parts[match.group(1)], pattern.said)

    def _value(self, value: str, depth: int, *, measured: bool) -> str | None:
        """What was filled in: itself said, a list of such, a number, or a name as it is."""
        said = self._part(value, depth) if " " in value else self._whole.get(value)
        if said is not None:
            return said
        for separator in _SEPARATORS:
            if separator in value:
                items = [
                    self._value(item, depth, measured=False) for item in value.split(separator)
                ]
                if all(item is not None for item in items):
                    return separator.join(item for item in items if item is not None)
                return None
        if _NUMBER.fullmatch(value):
            if not measured:
                return value
            return value.translate(_SEPARATORS_OF_NUMBERS).replace("%", "\u00a0%")
        return None if _ENGLISH.search(value) else self._period(value)

    def _sentences(self, text: str, depth: int) -> str | None:
        """Several sentences or parts of one, each said by itself."""
        for between, joint in _JOINTS:
            parts = between.split(text)
            if len(parts) > 1:
                said = [self._part(part, depth) for part in parts]
                if all(part is not None for part in said):
                    return joint.join(part for part in said if part)
        return None

    def _part(self, text: str, depth: int) -> str | None:
        return self._cached(text.strip(" ;,"), depth + 1)


_SEPARATORS_OF_NUMBERS = str.maketrans(",.", ".,")
"""German and Danish numbers have them the other way round."""


def _pattern(english: str, said: str) -> _Pattern:
    pieces = _PLACE.split(english)
    # What is filled in may hold the words around it: its shortest and its longest form are tried.
    matches = tuple(
        re.compile(
            "".join(
                re.escape(piece) if number % 2 == 0 else place
                for number, piece in enumerate(pieces)
            ),
            re.DOTALL,
        )
        for place in (("(.*?)", "(.*)") if len(pieces) > 3 else ("(.*)",))
    )
    places = tuple(
        _Place(number, not before.endswith((": ", "ersion ")))
        for before, number in zip(pieces[::2], pieces[1::2], strict=False)
    )
    return _Pattern(matches, places, said)
