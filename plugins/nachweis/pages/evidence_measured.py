"""What was measured about a model in one night and the nights before, in the order of Annex IV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nachweis.domain.finding import Finding, Measurement, Outcome
from nachweis.domain.record import Assessment, FindingView
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


class Measured:
    """The numbers of one night about one document.

    Args:
        document: The parsed canonical JSON of the version.
        assessment: The night's assessment of it.
        words: The language.
        behind: What else stands behind the version.
    """

    def __init__(
        self, document: Mapping[str, Any], assessment: Assessment, words: Words, behind: Behind
    ) -> None:
        self.document = document
        self.assessment = assessment
        self.words = words
        self.behind = behind
        self.cells = Cells(words, behind)

    def blocks(self, *, with_unlooked: bool) -> list[Block]:
        """All blocks about a model, in the order of Annex IV.

        Args:
            with_unlooked: Whether to name what was not looked at; not where it follows anyway.

        Returns:
            The blocks.
        """
        return [
            self.block("performance", self._family("performance")),
            self.block("drift", self._drift()),
            self.block("groups", self._groups()),
            self.block("corrections", self._corrections()),
            self.block("robustness", self._robustness()),
            self.block("oversight", self._family("oversight")),
            self.block("limits", self._limits(with_unlooked=with_unlooked)),
        ]

    def block(self, key: str, parts: Sequence[Part]) -> Block:
        """Parts under the heading of their kind."""
        return Block(key, self.words.label(f"report.{key}"), tuple(parts))

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
        return [*parts, *self.not_looked_at()] if with_unlooked else parts

    def not_looked_at(self) -> list[Part]:
        """What no check could look at, and why."""
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


def _tracked(finding: Finding) -> list[Measurement]:
    """The number of a finding that is followed from night to night; empty where there is none."""
    limited = [one for one in finding.measurements if one.threshold is not None]
    numbers = [one for one in limited if isinstance(one.value, int | float)]
    return numbers[:1]
