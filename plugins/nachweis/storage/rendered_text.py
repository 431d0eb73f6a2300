"""What a rendered text or page shows, in pieces that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

_INLINE = frozenset(
    {
        *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "font", "i", "kbd", "mark"),
        *("q", "s", "samp", "small", "span", "strong", "sub", "sup", "u", "var", "wbr"),
    }
)
_STRUCTURAL = frozenset({"id", "class", "for", "rel", "lang", "dir", "integrity"})
_HTML = re.compile(
    r"<(?:!doctype|html|head|body|div|p|span|table|a|ul|h[1-6]|svg)\b|<!--", re.IGNORECASE
)


def visible_pieces(text: str) -> Iterator[tuple[int, str]]:
    """Pieces of a text to scan: lines, and for HTML also attributes, scripts and comments.

    Args:
        text: Plain text, CSV, Markdown or HTML.

    Yields:
        Line number, from 1, and piece.
    """
    if _HTML.search(text) is None:
        yield from _lines(1, text)
        return
    page = _Page()
    page.feed(text)
    page.close()
    page.flush()
    for line, piece in page.pieces:
        yield from _lines(line, piece)


def _lines(first: int, piece: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(piece.splitlines()):
        if line.strip():
            yield first + number, line.strip()


class _Page(HTMLParser):
    """Collects what a page shows, and its attributes, scripts and comments, with line numbers.

    Inline tags join their texts, so that an address cannot hide behind ``<b>``; other tags
    separate them, so that two cells of a table are not read as one number.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[tuple[int, str]] = []
        self._text = ""
        self._line = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Break the text at block tags and collect attributes."""
        if tag not in _INLINE:
            self.flush()
        line = self.getpos()[0]
        self.pieces += [(line, value) for name, value in attrs if value and name not in _STRUCTURAL]

    def handle_endtag(self, tag: str) -> None:
        """Break the text at block tags."""
        if tag not in _INLINE:
            self.flush()

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if not self._text:
            self._line = self.getpos()[0]
        self._text += data

    def handle_comment(self, data: str) -> None:
        """Collect comments: they are published too."""
        self.pieces.append((self.getpos()[0], data))

    def flush(self) -> None:
        """End a run of text."""
        if self._text.strip():
            self.pieces.append((self._line, self._text))
        self._text = ""
