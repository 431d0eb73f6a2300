"""A skeleton of an impact assessment (Art. 35 GDPR): filled as far as manifests say something.

It follows Art. 35(7) and adds what authorities' templates ask for. What only people can write is an
empty box that says whose part it is; nothing here decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nachweis.domain.record import Assessment, RecordField
from nachweis.pages.exports._model import values
from nachweis.pages.exports._values import Part, part, text
from nachweis.pages.report import Block, Cells
from nachweis.pages.words import Words

CRITERIA = range(1, 10)
_DECISIONS = ("approve", "conditions", "reject", "consult")
_PROMPTS = ("access", "change", "loss", "error", "unequal", "opaque", "secondary")
"""Risks that every assessment of such a model has to look at, whatever manifests say."""
_EMPTY: Part = text("\u00a0\n\u00a0")
"""A cell for people, high enough to write in."""


class Skeleton:
    """The skeleton of one model in one language.

    Args:
        document: The parsed canonical JSON of the dossier.
        assessment: The night's assessment, which holds what was derived.
        words: The language.
        cells: Cells of tables.
    """

    def __init__(
        self, document: Mapping[str, Any], assessment: Assessment, words: Words, cells: Cells
    ) -> None:
        self.document = document
        self.assessment = assessment
        self.words = words
        self.cells = cells
        self.fields: dict[str, RecordField] = {
            field.id.removeprefix("dpia/"): field
            for section in assessment.derived
            if section.id == "dpia"
            for field in section.fields
        }

    def blocks(self) -> list[Block]:
        """The skeleton in the order of Art. 35(7), with the parts of people at its end."""
        return [
            self._block("trigger", self._trigger()),
            self._block("description", self._description()),
            self._block("necessity", self._necessity()),
            self._block("risks", self._risks()),
            self._block("measures", self._measures()),
            self._block("views", [self._blank("controller")]),
            self._block("dpo_advice", [self._blank("dpo")]),
            self._block("decision", self._decision()),
            self._block("review", [self.cells.said("dpia.review_text"), self._blank("controller")]),
        ]

    # ------------------------------------------------------------------------------- parts

    def _trigger(self) -> list[Part]:
        found = self._value("trigger")
        if not isinstance(found, Mapping):
            return [self.cells.said("export.not_declared")]
        required = bool(found.get("required"))
        rows = []
        for number in CRITERIA:
            said = self._value(f"criterion_{number}")
            facts = dict(said) if isinstance(said, Mapping) else {}
            met = bool(facts.pop("met", False))
            shown = part(facts, "", self.words) if facts else text("–")
            rows.append(
                (
                    text(str(number)),
                    self.cells.said(f"dpia.criterion_{number}"),
                    self.cells.said("export.yes" if met else "export.no"),
                    shown,
                )
            )
        heads = ("dpia.number", "dpia.criterion", "field.met", "dpia.rests_on")
        counted = (
            f"{self.words.label('field.criteria_met')}: {found.get('criteria_met')} · "
            f"{self.words.label('field.criteria_needed')}: {found.get('criteria_needed')}"
        )
        return [
            {**self.cells.said("dpia.required" if required else "dpia.not_required"),
             "strong": True},
            text(counted),
            self.cells.table(heads, rows, self.words.label("dpia.criteria")),
            *self._titled("national"),
            self.cells.said("dpia.trigger_text"),
            self._blank("controller"),
        ]  # fmt: skip

    def _description(self) -> list[Part]:
        logic = [
            value["explanation"]
            for _, value in values(self.document, "logic")
            if isinstance(value, Mapping) and value.get("explanation")
        ]
        return [
            *self._titled("description", "a30.1b"),
            *self._titled("data_subjects"),
            *self._titled("data_flows"),
            *self._titled("recipients"),
            *self._titled("transfers"),
            *self._titled("retention"),
            self._head("notice.logic"),
            part(logic[0] if logic else None, "logic", self.words),
            self._head("notice.adm"),
            part(next((v for _, v in values(self.document, "decision")), None), "", self.words),
            self._head("dpia.context"),
            self._blank("controller"),
        ]

    def _necessity(self) -> list[Part]:
        return [
            *self._titled("legal_basis"),
            *self._titled("necessity", "a30.1c_data"),
            *self._titled("rights", "dpia.rights"),
            self._head("dpia.proportionality"),
            self._blank("controller"),
        ]

    def _risks(self) -> list[Part]:
        declared = self._value("risks")
        named = declared if isinstance(declared, list) else []
        rows = [(self._told(item), *[_EMPTY] * 4) for item in named]
        rows += [(self.cells.said(f"dpia.risk_{key}"), *[_EMPTY] * 4) for key in _PROMPTS]
        heads = ("dpia.risk", "dpia.likelihood", "dpia.severity", "dpia.action", "dpia.residual")
        deviating = [
            (
                self.cells.question(item.finding.check),
                self.cells.subject(item.finding),
                self.cells.detail(item.finding.explanation),
            )
            for item in self.assessment.findings
            if item.finding.is_open
        ]
        seen = ("report.question", "report.subject", "report.reason")
        return [
            self.cells.said("dpia.risks_text"),
            {
                **self.cells.table(heads, rows, self.words.label("dpia.risk_table")),
                "widths": [32, 18, 12, 26, 14],
            },
            self._head("dpia.observed"),
            self.cells.table(seen, deviating)
            if deviating
            else self.cells.said("report.nothing_first"),
        ]

    def _measures(self) -> list[Part]:
        declared = self._value("measures")
        rows = [
            (
                self.cells.said(f"ctrl.{item['control']}"),
                self._told(item.get("statement")),
                _EMPTY,
            )
            for item in (declared if isinstance(declared, list) else [])
            if isinstance(item, Mapping) and item.get("control")
        ]
        heads = ("dpia.measure", "field.statement", "dpia.effect")
        plan = ("dpia.measure", "report.role", "dpia.due", "dpia.done")
        return [
            self.cells.table(heads, rows) if rows else part(None, "", self.words),
            self._head("dpia.plan"),
            self.cells.table(plan, [[_EMPTY] * 4 for _ in range(3)]),
        ]

    def _decision(self) -> list[Part]:
        boxes = [text(f"☐ {self.words.label(f'dpia.decide_{key}')}") for key in _DECISIONS]
        heads = ("dpia.residual", "report.role", "dpia.date")
        return [
            *boxes,
            {**self.cells.table(heads, [[_EMPTY] * 3]), "widths": [40, 30, 30]},
            self._head("dpia.prior_consultation"),
            self._blank("controller"),
        ]

    # ----------------------------------------------------------------------------- helpers

    def _block(self, key: str, parts: Sequence[Part]) -> Block:
        return Block(f"dpia-{key.replace('_', '-')}", self.words.label(f"dpia.{key}"), tuple(parts))

    def _value(self, name: str) -> Any:
        return self.fields[name].value if name in self.fields else None

    def _head(self, label: str) -> Part:
        return {**self.cells.said(label), "heading": True}

    def _titled(self, name: str, label: str = "") -> list[Part]:
        """A derived field under its heading; what nobody declared is marked."""
        field = self.fields.get(name)
        if field is None:
            return []
        shown = part(field.value, name, self.words)
        if name == "national" and field.value is None:
            shown = self.cells.said("dpia.no_hit")
        return [self._head(label or field.label), shown]

    def _told(self, value: Any) -> Part:
        return part(value, "text", self.words)

    def _blank(self, who: str) -> Part:
        """An empty box, and whose part it is to fill it."""
        return {"t": "blank", "s": self.words.label(f"dpia.by_{who}")}
