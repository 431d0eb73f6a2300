"""What a rendered text or page shows, in pieces that belong together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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
_MARKUP = re.compile(r"</?[a-z][a-z0-9-]*(?=[\s/>])|<!--|<!doctype", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(?:.*?-->|.*\Z)", re.DOTALL)
_VOID = frozenset(
    {
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"),
        *("track", "wbr"),
    }
)
_UNSEEN = frozenset(
    {
        *("audio", "canvas", "datalist", "defs", "desc", "iframe", "metadata", "noembed"),
        *("noframes", "noscript", "object", "script", "style", "symbol", "template", "title"),
        "video",
    }
)
_UNSEEN_STYLE = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|content-visibility:hidden"
    r"|(?:opacity|font-size):0(?:\.0*)?(?:[a-z%]*)(?=[;!]|$))"
)
_STYLES = re.compile(r"<style\b[^<>]*>(.*?)(?:</style|\Z)", re.DOTALL | re.IGNORECASE)
_AT_RULE = re.compile(r"@[^{};@]*(?:;|\{(?:[^{}]*\{[^{}]*\})*[^{}]*\})")
_STYLE_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_SIMPLE_SELECTOR = re.compile(r"(\*|[a-z][a-z0-9-]*)?((?:[.#][\w-]+)*)", re.IGNORECASE)
_SAYS_SHOWN = re.compile(r"(?:^|;)(?:display|visibility):")
_ENDED_BY: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(ended), frozenset(within))
    for names, ended, within in (
        (("li",), ("li",), ("ul", "ol", "menu")),
        (("dt", "dd"), ("dt", "dd"), ("dl",)),
        (("td", "th"), ("td", "th"), ("tr", "table")),
        (("tr",), ("tr", "td", "th"), ("table",)),
    )
    for name in names
}
"""Tag to the open elements that it ends although no end tag says so, and where to stop."""


def shown_text(text: str) -> str:
    """What a reader of a page or a plain text sees, in one string.

    Comments, attributes, scripts, style sheets and elements that are hidden are left out: by an
    attribute of their own, or by a rule for their name, class or id in a style sheet of the page.
    What other rules, other files or scripts hide is not known here.

    Args:
        text: Plain text, Markdown or HTML.

    Returns:
        The text; block elements are separated by a line break.
    """
    if _MARKUP.search(text) is None:
        return text
    text = _COMMENT.sub("", text)
    page = _Shown(_style_rules(text))
    page.feed(text)
    page.close()
    return "".join(page.texts)


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


class _Shown(HTMLParser):
    """Collects the texts of elements that are not hidden."""

    def __init__(self, rules: list[_StyleRule]) -> None:
        super().__init__(convert_charrefs=True)
        self._rules = rules
        self.texts: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._count: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, hidden where it or what it stands in is."""
        if tag not in _INLINE:
            self.texts.append("\n")
            self._end(frozenset({"p"}), frozenset({"table", "td", "th", "button"}))
        if tag in _ENDED_BY:
            self._end(*_ENDED_BY[tag])
        if tag not in _VOID:
            within = bool(self._open) and self._open[-1][1]
            self._count[tag] += 1
            self._open.append((tag, within or _is_hidden(tag, dict(attrs), self._rules)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A slash ends no element in HTML."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close an element with everything open in it."""
        if tag not in _INLINE:
            self.texts.append("\n")
        self._end(frozenset({tag}), frozenset())

    def handle_data(self, data: str) -> None:
        """Collect what is not hidden."""
        if not (self._open and self._open[-1][1]):
            self.texts.append(data)

    def _end(self, tags: frozenset[str], within: frozenset[str]) -> None:
        if not any(self._count[tag] for tag in tags):
            return
        for place in range(len(self._open) - 1, -1, -1):
            name = self._open[place][0]
            if name in within:
                return
            if name in tags:
                self._count.subtract(tag for tag, _ in self._open[place:])
                del self._open[place:]
                return


@dataclass(frozen=True)
class _StyleRule:
    """A rule with a simple selector that hides or shows."""

    tag: str
    names: frozenset[str]
    hides: bool

    @property
    def weight(self) -> tuple[int, int, bool]:
        """Specificity."""
        ids = sum(name.startswith("#") for name in self.names)
        return ids, len(self.names) - ids, bool(self.tag)


def _style_rules(text: str) -> list[_StyleRule]:
    """Rules of a page's own style sheets that hide or show, the strongest last."""
    found = []
    for sheet in _STYLES.findall(text):
        plain = _AT_RULE.sub("", _STYLE_COMMENT.sub("", sheet))
        for rule in plain.split("}"):
            selectors, _, body = rule.partition("{")
            style = "".join(body.lower().split())
            hides = _UNSEEN_STYLE.search(style) is not None
            if not (hides or _SAYS_SHOWN.search(style)):
                continue
            for selector in selectors.split(","):
                simple = _SIMPLE_SELECTOR.fullmatch(selector.strip())
                if simple is not None and selector.strip():
                    tag = (simple[1] or "").lower().replace("*", "")
                    names = frozenset(re.findall(r"[.#][\w-]+", simple[2]))
                    found.append(_StyleRule(tag, names, hides))
    return sorted(found, key=lambda rule: rule.weight)


def _is_hidden(tag: str, attributes: dict[str, str | None], rules: list[_StyleRule]) -> bool:
    if tag in _UNSEEN or "hidden" in attributes or (tag == "dialog" and "open" not in attributes):
        return True
    style = "".join((attributes.get("style") or "").lower().split())
    style = _STYLE_COMMENT.sub("", style)
    if _UNSEEN_STYLE.search(style) is not None:
        return True
    if _SAYS_SHOWN.search(style) is not None:
        return False
    names = {f".{name}" for name in (attributes.get("class") or "").split()}
    names.add(f"#{attributes.get('id')}")
    said = [rule.hides for rule in rules if rule.tag in {"", tag} and rule.names <= names]
    return bool(said) and said[-1]
