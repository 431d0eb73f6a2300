"""Building stones of reports about a night: blocks of parts, drawn alike on pages and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nachweis.domain.finding import Finding, Measurement
from nachweis.domain.site_data import Behind
from nachweis.pages.exports._values import Part, text
from nachweis.pages.pairs import SIGNS
from nachweis.pages.render import harmless
from nachweis.pages.words import Words

_PLAIN_UNITS = frozenset({"share", "ratio", "difference", "probability", ""})
_LOOKS: Mapping[str, tuple[str, str]] = {
    "pass": ("good", "✓"), "confirmed": ("good", "✓"), "fail": ("bad", "✗"), "error": ("bad", "!"),
    "contradicted": ("bad", "✗"), "expired": ("warn", "!"), "not_applicable": ("none", "∅"),
}  # fmt: skip
"""Outcome or verdict to colour and sign; colour alone never says anything."""


@dataclass(frozen=True, slots=True)
class Block:
    """A heading with what stands under it.

    Attributes:
        id: Stable name, used as anchor.
        heading: Translated heading.
        parts: What it shows, in order.
        alarm: Whether somebody has to look at it.
    """

    id: str
    heading: str
    parts: tuple[Part, ...]
    alarm: bool = False


class Cells:
    """Cells of tables in one language.

    Args:
        words: The language.
        behind: Catalogue of checks and titles of roles.
    """

    def __init__(self, words: Words, behind: Behind) -> None:
        self.words = words
        self.behind = behind

    def said(self, key: str) -> Part:
        """A label."""
        return text(self.words.label(key))

    def detail(self, sentence: str) -> Part:
        """A sentence of a check; in English where it is not known in the language."""
        said = self.words.explained(sentence)
        return {**text(said.text or "–"), **({"lang": "en"} if said.foreign else {})}

    def day(self, night: str | None) -> Part:
        """A date."""
        return text(self.words.date(night) if night else "–")

    def digest(self, value: str | None) -> Part:
        """The beginning of a digest; its whole stands in the JSON."""
        return {"t": "code", "s": f"{value[:12]}…"} if value else text("–")

    def question(self, check: str) -> Part:
        """What a check asks."""
        found = self.behind.checks.get(check)
        if found is None:
            return {"t": "code", "s": harmless(check)}
        return {**text(self.words.message(found.question)), "page": f"checks/{check}.html"}

    def state(self, kind: str, name: str, waived: bool = False) -> Part:
        """An outcome or verdict in its colour."""
        said = self.words.label(f"{kind}.{name}")
        if waived:
            said = f"{said} ({self.words.label('state.waived')})"
        look, symbol = _LOOKS.get(name, ("none", "–"))
        return {**text(said), "chip": look, "symbol": symbol}

    def role(self, role: str) -> Part:
        """A role's title."""
        found = self.behind.roles.get(role)
        return text(self.words.text(found)) if found else {"t": "code", "s": harmless(role)}

    def subject(self, finding: Finding) -> Part:
        """What a finding is about."""
        column = f" {finding.column}" if finding.column else ""
        return {"t": "code", "s": harmless(f"{finding.subject}{column}")}

    def name(self, measurement: Measurement, column: str | None = None) -> Part:
        """Name, unit and group of a measurement."""
        groups = [item for item in (column, measurement.group) if item]
        shown, foreign = self.words.named(measurement.name, "measure")
        if measurement.unit not in _PLAIN_UNITS:
            shown = f"{shown} ({self.words.named(measurement.unit, 'unit').text})"
        said = text(f"{shown} [{', '.join(groups)}]" if groups else shown)
        return {**said, **({"lang": "en"} if foreign else {})}

    def number(self, value: object) -> str:
        """A number as people compare it."""
        if isinstance(value, bool):
            return self.words.label("export.yes" if value else "export.no")
        if isinstance(value, int | float):
            return self.words.short(value)
        return str(harmless(str(value)))

    def value(self, measurement: Measurement) -> Part:
        """A value, or why there is none."""
        if measurement.value is None:
            return self.detail(measurement.reason)
        return text(self.number(measurement.value))

    def interval(self, measurement: Measurement) -> Part:
        """The interval and its level."""
        found = measurement.interval
        if found is None:
            return text("–")
        level = measurement.interval_level
        shown = f"{self.number(found[0])} – {self.number(found[1])}"
        return text(f"{shown} ({self.number(round(level * 100, 1))} %)" if level else shown)

    def limit(self, measurement: Measurement) -> Part:
        """The limit."""
        limit = measurement.threshold
        if limit is None:
            return text("–")
        value = limit.value == "true" if limit.value in {"true", "false"} else limit.value
        # A sign and its number are never parted.
        return text(f"{SIGNS.get(limit.operator, limit.operator)}\u00a0{self.number(value)}")

    def people(self, measurement: Measurement) -> Part:
        """The size of the sample."""
        return text("–" if measurement.n is None else self.words.short(measurement.n))

    def table(
        self, heads: Sequence[str], rows: Sequence[Sequence[Part]], caption: str = ""
    ) -> Part:
        """A table with labels as headings."""
        made: Part = {
            "t": "table",
            "head": [harmless(self.words.label(key)) for key in heads],
            "rows": [list(row) for row in rows],
        }
        return {**made, "caption": harmless(caption)} if caption else made
