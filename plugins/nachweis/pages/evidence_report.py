"""What a night found about a record or dossier, in the order in which an auditor reads it.

Waivers and deviations come first, then who approved what on which evidence, then what was measured
in the order of Annex IV, then what is known not to have been looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nachweis.domain.record import Assessment, FieldVerdict
from nachweis.domain.site_data import Behind
from nachweis.pages.evidence_measured import Measured
from nachweis.pages.exports._model import values
from nachweis.pages.exports._values import Part, part, text
from nachweis.pages.pairs import pair_name, pair_value
from nachweis.pages.render import harmless
from nachweis.pages.report import Block
from nachweis.pages.words import Words

_REPEATS = r"(?:\d+ check results? agrees?|EV-[A-Z]+: [a-z_]+|declared; no check looks at it)"
_SAYS_NO_MORE = re.compile(f"{_REPEATS}(?:; {_REPEATS})*")
"""Explanations that only repeat the verdicts of the rules."""


class EvidenceReport:
    """The report of one night about one version.

    Args:
        document: The parsed canonical JSON of the version.
        assessment: The night's assessment of it.
        labels: Field id to its label key.
        words: The language.
        behind: What else stands behind the version.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        assessment: Assessment,
        labels: Mapping[str, str],
        words: Words,
        behind: Behind,
    ) -> None:
        self.document = document
        self.assessment = assessment
        self.labels = labels
        self.words = words
        self.behind = behind
        self.numbers = Measured(document, assessment, words, behind)
        self.cells = self.numbers.cells

    # -------------------------------------------------------------------------------- order

    def first(self) -> Block:
        """Waivers and open contradictions: what a reader has to know before everything else."""
        parts = (*self._contradictions(), *self._waivers(), *self._open())
        nothing = (self.cells.said("report.nothing_first"),)
        return Block("first", self.words.label("report.first"), parts or nothing, bool(parts))

    def measured(self, *, with_unlooked: bool = True) -> list[Block]:
        """What was measured about a model, in the order of Annex IV; nothing for a record.

        Args:
            with_unlooked: Whether to name what was not looked at; not where it follows anyway.

        Returns:
            The blocks.
        """
        if self.document["kind"] != "dossier":
            return []
        return self.numbers.blocks(with_unlooked=with_unlooked)

    def decided(self) -> Block:
        """Who approved what on which evidence, by roles."""
        return self.numbers.block("approved", [*self._releases(), *self._events()])

    def verdicts(self) -> Block:
        """Each field with its verdict."""
        cells = self.cells
        rows = [
            (
                text(self._field(item)),
                cells.state("verdict", item.verdict.value),
                cells.said(f"origin.{item.origin.value}"),
                self._scope(item),
                self._explained(item),
            )
            for item in self.assessment.verdicts
        ]
        heads = ("report.field", "report.verdict", "report.origin", "report.scope", "report.reason")
        return Block(
            "verdicts",
            self.words.label("doc.evidence_report"),
            (cells.said("report.verdicts_text"), cells.table(heads, rows)),
        )

    def unlooked(self) -> Block:
        """What no check looked at, for a record."""
        return self.numbers.block("unlooked", self.numbers.not_looked_at())

    def all(self) -> list[Block]:
        """The whole report."""
        dossier = self.document["kind"] == "dossier"
        rest = [*self.measured(), *self.derived()] if dossier else [self.unlooked()]
        return [self.first(), self.decided(), *rest, self.verdicts()]

    def derived(self) -> list[Block]:
        """Duties under the AI Act by role and class, and whether an impact assessment is due."""
        found = []
        for section in self.assessment.derived:
            values_of = {field.id: field.value for field in section.fields}
            if section.id == "duties":
                declared = [part(value, "ai_act", self.words) for _, value in
                            values(self.document, "ai_act")]  # fmt: skip
                duties = [part(value, "duties", self.words) for value in values_of.values()]
                parts = (self.cells.said("duty.basis"), *declared, *duties)
            elif section.id == "dpia" and values_of.get("dpia/trigger"):
                trigger = part(values_of["dpia/trigger"], "trigger", self.words)
                parts = (trigger, self.cells.said("report.dpia_text"))
            else:
                continue
            found.append(Block(section.id, self.words.label(section.label), parts))
        return found

    # -------------------------------------------------------------------------------- first

    def _contradictions(self) -> list[Part]:
        found = [i for i in self.assessment.verdicts if i.verdict.value in {"contradicted",
                                                                            "expired"}]  # fmt: skip
        if not found:
            return []
        cells = self.cells
        rows = [
            (
                text(self._field(item)),
                cells.state("verdict", item.verdict.value),
                *compared,
                cells.day(item.tested_on),
                cells.digest(item.evidence[0].digest if item.evidence else None),
            )
            for item in found
            for compared in self._deviating(item)
        ]
        heads = ("report.field", "report.verdict", "report.compared", "ev.declared", "ev.observed",
                 "report.tested_on", "report.evidence")  # fmt: skip
        return [cells.table(heads, rows, self.words.label("report.contradictions"))]

    def _deviating(self, verdict: FieldVerdict) -> list[tuple[Part, Part, Part]]:
        """What was compared, what was declared, what was observed: one row per difference."""
        rows = []
        for item in verdict.comparisons:
            if item.verdict is not verdict.verdict:
                continue
            named = f"{self.words.label(f'rule.{item.rule}')} ({item.rule})"
            for pair in item.pairs:
                if pair.agrees or pair.observed is None:
                    continue
                name, own = pair_name(pair, self.words)
                rows.append(
                    (
                        {"t": "list", "items": [text(named), text(name) if own
                                                else self.cells.detail(name)]},
                        text(pair_value(pair.declared, self.words)),
                        text(pair_value(pair.observed, self.words)),
                    )
                )  # fmt: skip
        if rows:
            return rows
        rules = [
            text(f"{self.words.label(f'rule.{item.rule}')} ({item.rule})")
            for item in verdict.comparisons
            if item.verdict is verdict.verdict
        ]
        compared: Part = {"t": "list", "items": rules} if rules else text("–")
        return [(compared, text("–"), self.cells.detail(verdict.explanation))]

    def _waivers(self) -> list[Part]:
        found = [item for item in self.assessment.findings if item.waiver]
        if not found:
            return []
        cells, rows = self.cells, []
        for item in found:
            said = self.behind.waivers.get(item.waiver or "", {})
            rows.append(
                (
                    cells.question(item.finding.check),
                    cells.subject(item.finding),
                    {"t": "code", "s": harmless(item.waiver or "")},
                    cells.role(said["role"]) if said else text("–"),
                    cells.day(said.get("until")),
                )
            )
        heads = ("report.question", "report.subject", "report.waiver", "report.role",
                 "report.until")  # fmt: skip
        return [cells.table(heads, rows, self.words.label("report.waivers"))]

    def _open(self) -> list[Part]:
        found = [i for i in self.assessment.findings if i.finding.is_open and not i.waiver]
        if not found:
            return []
        cells = self.cells
        rows = [
            (
                cells.question(item.finding.check),
                cells.subject(item.finding),
                text(self.words.label(f"severity.{item.finding.severity.value}")),
                cells.detail(item.finding.explanation),
                cells.day(item.since),
            )
            for item in found
        ]
        heads = ("report.question", "report.subject", "report.severity", "report.reason",
                 "report.since")  # fmt: skip
        return [cells.table(heads, rows, self.words.label("report.open"))]

    # ------------------------------------------------------------------------------ decided

    def _releases(self) -> list[Part]:
        """Declared versions of a model, each with the evidence there was on its day."""
        rows = []
        for _, found in values(self.document, "changes"):
            if not isinstance(found, Mapping):
                continue
            role, day = found.get("approved_by"), found.get("approved_on")
            rows.append(
                (
                    {"t": "code", "s": harmless(str(found.get("version", "–")))},
                    self.cells.day(str(found["live_from"]) if found.get("live_from") else None),
                    self._role(role),
                    self.cells.day(str(day) if day else None),
                    self._evidence_on(str(day)) if day else text("–"),
                )
            )
        if not rows:
            return []
        heads = ("report.model_version", "report.live_from", "report.role", "report.approved_on",
                 "report.evidence_then")  # fmt: skip
        said = self.words.label("report.releases_text")
        return [text(said), self.cells.table(heads, rows, self.words.label("report.releases"))]

    def _role(self, role: Any) -> Part:
        if isinstance(role, Mapping):
            return text(self.words.text(role))
        return self.cells.role(str(role)) if role else text("–")

    def _evidence_on(self, day: str) -> Part:
        """The newest night that was signed by a day, and how it assessed the document."""
        found = self.behind.on.get(day)
        if found is None:
            return self.cells.said("report.no_night_then")
        return text(
            f"{self.words.date(found.night)}, {self.words.label('meta.version')} {found.version}, "
            f"{self.words.label('report.deviating')}: {found.contradicted}, "
            f"{found.digest[:12]}…"
        )

    def _events(self) -> list[Part]:
        cells = self.cells
        if not self.behind.events:
            return [cells.said("report.no_events")]
        rows = []
        for item in reversed(self.behind.events):
            event = item.event
            done = self.words.label(f"export.event_{event.word}")
            if not item.counts:
                done = f"{done} ({self.words.label('report.does_not_count')})"
            night = self.words.date(event.night) if event.night else "–"
            shown = f"{night}, {event.assessment[:12]}…" if event.assessment else night
            rows.append(
                (
                    text(done),
                    text(str(event.target_version)),
                    text(self.words.moment(item.signed_at.isoformat())),
                    cells.role(event.role),
                    text(shown),
                )
            )
        heads = ("export.event", "meta.version", "export.signed", "export.role",
                 "report.evidence_then")  # fmt: skip
        return [cells.table(heads, rows, self.words.label("report.events"))]

    # ------------------------------------------------------------------------------- helpers

    def _field(self, verdict: FieldVerdict) -> str:
        label = self.words.label(self.labels.get(verdict.field, verdict.field))
        prefix, _, rest = verdict.field.partition("/")
        return str(harmless(f"{label} ({rest})" if rest and prefix != "parties" else label))

    def _scope(self, verdict: FieldVerdict) -> Part:
        day = self.words.date(verdict.tested_on) if verdict.tested_on else ""
        said = "\n".join(item for item in (harmless(verdict.scope), day) if item)
        return text(said or "–")

    def _explained(self, verdict: FieldVerdict) -> Part:
        """Every rule that speaks about a field with what it came to, then the checks' own words."""
        said = [
            text(
                f"{self.words.label(f'rule.{item.rule}')}: "
                f"{self.words.label(f'verdict.{item.verdict.value}')}"
                + (f" – {self.words.label(f'why.{item.reason}')}" if item.reason else "")
            )
            for item in verdict.comparisons
        ]
        if not said:
            return self.cells.detail(verdict.explanation)
        if verdict.explanation and not _SAYS_NO_MORE.fullmatch(verdict.explanation):
            said.append(self.cells.detail(verdict.explanation))
        return said[0] if len(said) == 1 else {"t": "list", "items": said}
