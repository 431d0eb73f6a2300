"""Reads a page strictly: nesting, ids, headings, links, tables and what a browser would run."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
_NOT_INSIDE_P = {"p", "ul", "ol", "dl", "div", "table", "section", "article", "h1", "h2", "h3",
                 "h4", "details", "nav"}  # fmt: skip
_ACTIVE = {"script", "iframe", "object", "embed", "form", "input", "svg", "math", "base"}


class Page(HTMLParser):
    """A parsed page; ``faults`` names everything that should not be there."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.links: list[str] = []
        self.references: list[str] = []
        self.landmarks: list[str] = []
        self.style_sheets: list[str] = []
        self.language = ""
        self.words: list[str] = []
        self._open: list[str] = []
        self._quiet = 0
        self.feed(text)
        self.close()
        if self._open:
            self.faults.append(f"never closed: {self._open}")
        for heading, following in zip(self.headings, self.headings[1:], strict=False):
            if following > heading + 1:
                self.faults.append(f"h{heading} is followed by h{following}")
        if self.headings.count(1) != 1:
            self.faults.append("needs exactly one h1")
        twice = {name for name in self.ids if self.ids.count(name) > 1}
        if twice:
            self.faults.append(f"ids twice: {sorted(twice)}")
        for name in self.references:
            if name not in self.ids:
                self.faults.append(f"nothing has the id {name}")

    @property
    def text(self) -> str:
        """Everything a person can read."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag not in _VOID:
            if "p" in self._open and tag in _NOT_INSIDE_P:
                self.faults.append(f"{tag} inside p")
            self._open.append(tag)
        if tag in _ACTIVE or "style" in found or any(name.startswith("on") for name in found):
            self.faults.append(f"active content: {tag} {found}")
        if tag in {"style", "title"}:
            self._quiet += 1
        if tag == "html":
            self.language = found.get("lang", "")
        if tag in {"main", "header", "footer", "nav"}:
            self.landmarks.append(tag)
        if tag == "nav" and "aria-label" not in found:
            self.faults.append("a nav without a name")
        if tag == "th" and found.get("scope") not in {"col", "row"}:
            self.faults.append("a header cell without a scope")
        if tag == "link":
            self.style_sheets.append(found["href"])
        if tag[0] == "h" and tag[1:].isdigit():
            self.headings.append(int(tag[1:]))
        if "id" in found:
            self.ids.append(found["id"])
        if "aria-labelledby" in found:
            self.references.append(found["aria-labelledby"])
        if tag == "a":
            self.links.append(found["href"])
            if found["href"].startswith("#"):
                self.references.append(found["href"][1:])

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "title"}:
            self._quiet -= 1
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"misplaced end of {tag}")

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.words.append(data)
