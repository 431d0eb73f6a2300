"""What a night found about a record or dossier, in the order in which an auditor reads it.

Waivers and deviations come first, then who approved what on which evidence, then what was measured
in the order of Annex IV, then what is known not to have been looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nachweis.domain.finding import Finding, Measurement, Outcome
from nachweis.domain.record import Assessment, FieldVerdict, FindingView
from nachweis.domain.site_data import Behind
from nachweis.pages.exports._model import values
from nachweis.pages.exports._values import Part, text
from nachweis.pages.grouping import beyond_limit, key_numbers
from nachweis.pages.render import harmless, is_text_map
from nachweis.pages.report import Block, Cells
from nachweis.pages.words import Words

NIGHTS_SHOWN = 6
"""Signed nights beside each other in the history of drift: what fits on a page of paper."""

_ROBUSTNESS = frozenset({"membership_inference_bounded", "outputs_free_of_identifiers"})
"""Checks of another family that speak about robustness as well."""

_NUMBERS = ("report.measurement", "report.value", "report.interval", "report.n", "report.limit")
_UNLOOKED = frozenset({Outcome.NOT_AVAILABLE, Outcome.NOT_APPLICABLE})


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
        self.cells = Cells(words, behind)

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
        return [
            self._block("performance", self._family("performance")),
            self._block("drift", self._drift()),
            self._block("groups", self._groups()),
            self._block("corrections", self._corrections()),
            self._block("robustness", self._robustness()),
            self._block("oversight", self._family("oversight")),
            self._block("limits", self._limits(with_unlooked=with_unlooked)),
        ]

    def decided(self) -> Block:
        """Who approved what on which evidence, by roles."""
        return self._block("approved", [*self._releases(), *self._events()])

    def verdicts(self) -> Block:
        """Each field with its verdict."""
        cells = self.cells
        rows = [
            (
                text(self._field(item)),
                cells.state("verdict", item.verdict.value),
                cells.said(f"origin.{item.origin.value}"),
                self._scope(item),
                self._reason(item),
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
        return self._block("unlooked", self._not_looked_at())

    def all(self) -> list[Block]:
        """The whole report."""
        dossier = self.document["kind"] == "dossier"
        rest = self.measured() if dossier else [self.unlooked()]
        return [self.first(), self.decided(), *rest, self.verdicts()]

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
                self._reason(item),
                cells.day(item.tested_on),
                cells.digest(item.evidence[0].digest if item.evidence else None),
            )
            for item in found
        ]
        heads = ("report.field", "report.verdict", "report.reason", "report.tested_on",
                 "report.evidence")  # fmt: skip
        return [cells.table(heads, rows, self.words.label("report.contradictions"))]

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
                    self.cells.role(str(role)) if role else text("–"),
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

    # ----------------------------------------------------------------------------- measured

    def _of(self, wanted: Callable[[Finding, str], bool]) -> list[FindingView]:
        """Findings about the model whose check is wanted, in the order of the assessment."""
        checks = self.behind.checks
        return [
            item
            for item in self.assessment.findings
            if item.finding.subject.kind.value == "model"
            and wanted(item.finding, checks[item.finding.check].family
                       if item.finding.check in checks else "")
        ]  # fmt: skip

    def _family(self, name: str) -> list[Part]:
        return self._numbers(self._of(lambda _, family: family == name))

    def _robustness(self) -> list[Part]:
        return self._numbers(
            self._of(lambda found, family: family == "security" or found.check in _ROBUSTNESS)
        )

    def _numbers(self, found: Sequence[FindingView]) -> list[Part]:
        """The deciding numbers of each check, and which checks have none."""
        return self._by_check(found, lambda finding: key_numbers(finding)[:3])

    def _by_check(
        self, found: Sequence[FindingView], shown: Callable[[Finding], Iterable[Measurement]]
    ) -> list[Part]:
        """A table of numbers for each check; those without a verdict together in a last one."""
        parts: list[Part] = []
        for check, views in self._grouped(found).items():
            rows = [
                self._measured(one, view.finding.column)
                for view in views
                for one in shown(view.finding)
            ]
            parts += self._head(check, views)
            parts += [self.cells.table(_NUMBERS, rows)] if rows else []
        parts += self._without_verdict(found)
        return parts or [self.cells.said("report.none_ran")]

    def _head(self, check: str, views: Sequence[FindingView]) -> list[Part]:
        """A check's question and what it came to."""
        said = [(view.finding.outcome.value, bool(view.waiver)) for view in views]
        outcomes = [
            {**self.cells.state("outcome", *one), "count": said.count(one)}
            for one in dict.fromkeys(said)
        ]
        return [
            {**self.cells.question(check), "heading": True},
            {"t": "chips", "items": outcomes},
            *(
                self.cells.detail(view.finding.explanation)
                for view in views
                if view.finding.is_open
            ),
        ]

    def _grouped(self, found: Sequence[FindingView]) -> dict[str, list[FindingView]]:
        """Findings that have a verdict by check."""
        groups: dict[str, list[FindingView]] = {}
        for view in found:
            if view.finding.outcome not in _UNLOOKED:
                groups.setdefault(view.finding.check, []).append(view)
        return groups

    def _without_verdict(self, found: Sequence[FindingView]) -> list[Part]:
        reasons = {
            (view.finding.check, view.finding.outcome.value, view.finding.explanation): None
            for view in found
            if view.finding.outcome in _UNLOOKED
        }
        rows = [
            (
                self.cells.question(check),
                self.cells.state("outcome", outcome),
                self.cells.detail(explanation),
            )
            for check, outcome, explanation in reasons
        ]
        heads = ("report.question", "report.outcome", "report.reason")
        caption = self.words.label("report.not_looked_at")
        return [self.cells.table(heads, rows, caption)] if rows else []

    def _measured(self, one: Measurement, column: str | None) -> tuple[Part, ...]:
        cells = self.cells
        return (
            cells.name(one, column),
            cells.value(one),
            cells.interval(one),
            cells.people(one),
            cells.limit(one),
        )

    def _drift(self) -> list[Part]:
        """The number that decides about drift, night beside night."""
        found = self._of(lambda _, family: family == "drift")
        nights = self.behind.past[:NIGHTS_SHOWN][::-1]
        seen = [
            {
                (finding.key, one.name, one.group): one
                for finding in night.findings
                for one in finding.measurements
            }
            for night in nights
        ]
        parts: list[Part] = []
        for check, views in self._grouped(found).items():
            rows = [
                self._followed(view.finding, one, seen)
                for view in views
                for one in _tracked(view.finding)
            ]
            parts += self._head(check, views)
            if rows:
                made = self.cells.table(("report.measurement", "report.limit"), rows)
                made["head"] += [self.words.numeric_date(item.night) for item in nights]
                parts.append(made)
        if parts:
            explained = "report.drift_history" if len(nights) > 1 else "report.no_history"
            parts.insert(0, self.cells.said(explained))
        return [*parts, *self._without_verdict(found)] or [self.cells.said("report.none_ran")]

    def _followed(
        self,
        finding: Finding,
        one: Measurement,
        seen: Sequence[Mapping[tuple[str, str, str | None], Measurement]],
    ) -> tuple[Part, ...]:
        """A number of tonight and what it was in the signed nights before."""
        shown: list[Part] = []
        for measured in seen:
            then = measured.get((finding.key, one.name, one.group))
            said = "–" if then is None or then.value is None else self.cells.number(then.value)
            beyond = then is not None and beyond_limit(then)
            shown.append(text(f"{said} !" if beyond else said))
        return self.cells.name(one, finding.column), self.cells.limit(one), *shown

    def _groups(self) -> list[Part]:
        """All numbers of groups with their intervals."""
        found = self._of(lambda _, family: family == "fairness")
        if not found:
            return [self.cells.said("report.none_ran")]
        return [
            self.cells.said("report.groups_text"),
            *self._by_check(
                found, lambda finding: [i for i in finding.measurements if i.interval is not None]
            ),
        ]

    def _corrections(self) -> list[Part]:
        """What people had computed about a correction; nothing was changed by it."""
        if not self.behind.corrections:
            return [self.cells.said("report.no_corrections")]
        parts: list[Part] = [self.cells.said("report.corrections_text")]
        for digest, found in self.behind.corrections:
            method = self.words.value(found["method"], "correction_method")
            caption = f"{self.words.date(str(found['night']))}, {method}, {digest[:12]}…"
            rows = [row for result in found["attributes"] for row in self._corrected(result)]
            heads = ("report.attribute", "report.measurement", "report.before", "report.after")
            parts.append(self.cells.table(heads, rows, caption))
            if found.get("mark"):
                parts.append(self.cells.detail(str(found["mark"])))
        return parts

    def _corrected(self, result: Mapping[str, Any]) -> Iterable[tuple[Part, ...]]:
        attribute = text(str(result["attribute"]))
        before = [Measurement.model_validate(item) for item in result["before"]]
        after = {
            (one.name, one.group): one
            for one in (Measurement.model_validate(item) for item in result["after"])
        }
        for one in before:
            later = after.get((one.name, one.group))
            yield (
                attribute,
                self.cells.name(one),
                self._with_interval(one),
                self._with_interval(later) if later else text("–"),
            )
        for item in result["cost"]:
            one = Measurement.model_validate(item)
            yield attribute, self.cells.name(one), text("–"), self._with_interval(one)
        changing = text(self.words.declared_number(result["share_changing"], "share_reviewed"))
        yield attribute, self.cells.said("report.changing"), text("–"), changing

    def _with_interval(self, one: Measurement) -> Part:
        value = self.cells.value(one)
        if one.interval is None:
            return value
        return text(f"{value['s']} [{self.cells.interval(one)['s']}]")

    # -------------------------------------------------------------------------------- limits

    def _limits(self, *, with_unlooked: bool) -> list[Part]:
        declared = [
            text(self.words.text(value) if is_text_map(value) else str(value))
            for _, value in values(self.document, "limits")
        ]
        parts = declared or [self.cells.said("report.no_limits")]
        if self.assessment.blind:
            parts.append(self.cells.said("report.blind"))
            parts += [self.cells.question(check) for check in self.assessment.blind]
        return [*parts, *self._not_looked_at()] if with_unlooked else parts

    def _not_looked_at(self) -> list[Part]:
        reasons: dict[tuple[str, str, str], list[str]] = {}
        for item in self.assessment.findings:
            found = item.finding
            if found.outcome in _UNLOOKED:
                column = f" {found.column}" if found.column else ""
                key = (found.check, found.outcome.value, found.explanation)
                reasons.setdefault(key, []).append(f"{found.subject}{column}")
        if not reasons:
            return [self.cells.said("report.nothing_left_out")]
        rows = [
            (
                self.cells.question(check),
                self.cells.state("outcome", outcome),
                self.cells.detail(explanation),
                {"t": "code", "s": harmless(", ".join(subjects))},
            )
            for (check, outcome, explanation), subjects in reasons.items()
        ]
        heads = ("report.question", "report.outcome", "report.reason", "report.subject")
        return [self.cells.table(heads, rows, self.words.label("report.not_looked_at"))]

    # ------------------------------------------------------------------------------- helpers

    def _block(self, key: str, parts: Sequence[Part]) -> Block:
        return Block(key, self.words.label(f"report.{key}"), tuple(parts))

    def _field(self, verdict: FieldVerdict) -> str:
        label = self.words.label(self.labels.get(verdict.field, verdict.field))
        prefix, _, rest = verdict.field.partition("/")
        return str(harmless(f"{label} ({rest})" if rest and prefix != "parties" else label))

    def _scope(self, verdict: FieldVerdict) -> Part:
        day = self.words.date(verdict.tested_on) if verdict.tested_on else ""
        said = "\n".join(item for item in (harmless(verdict.scope), day) if item)
        return text(said or "–")

    def _reason(self, verdict: FieldVerdict) -> Part:
        said = self.words.value(verdict.explanation, "explanation")
        return text(said) if said != verdict.explanation else self.cells.detail(said)


def _tracked(finding: Finding) -> list[Measurement]:
    """The number of a finding that is followed from night to night; empty where there is none."""
    limited = [one for one in finding.measurements if one.threshold is not None]
    numbers = [one for one in limited if isinstance(one.value, int | float)]
    return numbers[:1]
