"""Disclosure that one talks to an AI system, in the first turn of each dialogue."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from nachweis.checks.oversight._dialogues import (
    SETTLE,
    dialogues,
    first_of_ai,
    night,
    plain,
    spoken,
    turns,
)
from nachweis.checks.oversight._examples import ANSWER, NOON, QUESTION, TOLD, Turn, chats
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import (
    Finding,
    Measurement,
    Outcome,
    Severity,
    SubjectKind,
    Threshold,
)
from nachweis.domain.manifest import FieldRole, ModelKind
from nachweis.domain.observation import (
    CountTable,
    Expression,
    GroupedCounts,
    Observations,
    Request,
    Scalar,
)

_GOOD: list[Turn] = [("assistant", TOLD), ("customer", QUESTION), ("assistant", ANSWER)]
_SILENT: list[Turn] = [("assistant", ANSWER), ("customer", QUESTION), ("assistant", TOLD)]
_MODEL = {
    "ai_act": {
        "role": "deployer",
        "risk_class": "transparency",
        "disclosure": {"en": "You are chatting with an AI system."},
    }
}


class AiDisclosedInFirstTurn(Check):
    """Does the first turn of the AI in each dialogue say that one talks to an AI system?

    Why: People must be told that they interact with an AI system, at the latest at the first
        interaction (Art. 50(1) and (5) AI Act).
    Method: In each dialogue that began in the night, the first turn of the AI must contain the
        declared words of ``ai_act.disclosure`` in the dialogue's language (in any declared language
        where the dialogue has another or none), without regard to case and spacing. Numbers:
        dialogues without it, 0 or more, must be 0; share with it by language and by channel, 0 to
        1. Undefined without a dialogue, and where turns are by speakers that ``turns`` does not
        declare. Source: Art. 50 AI Act.
    Leaves out: Whether the words are understood, seen on the screen, or spoken. Notices beside the
        dialogue, which the log does not hold. Dialogues that began within ``settle`` minutes after
        midnight.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    model_kinds = frozenset({ModelKind.GENERATIVE})
    controls = ("AI-DISCLOSURE",)
    needs = (Needs.TURNS_IN_ORDER, Needs.DISCLOSURE)
    params = (SETTLE,)
    remediation = (
        "Make the greeting a fixed text of the channel rather than something the model writes, and "
        "test each language and channel. If the words were changed on purpose, declare the new "
        "ones in 'ai_act.disclosure'."
    )
    examples = (
        Example("every dialogue says so", Outcome.PASS, chats(*[_GOOD] * 3), model=_MODEL),
        Example(
            "the customer speaks first",
            Outcome.PASS,
            chats([("customer", QUESTION), *_GOOD]),
            model=_MODEL,
        ),
        Example(
            "one dialogue says so later only", Outcome.FAIL, chats(_GOOD, _SILENT), model=_MODEL
        ),
        Example(
            "another bot speaks that nobody declared",
            Outcome.NOT_AVAILABLE,
            chats(_GOOD, [("bot-2", ANSWER), ("customer", QUESTION)]),
            model=_MODEL,
        ),
        Example("no words are declared", Outcome.NOT_AVAILABLE, chats(_GOOD)),
        Example(
            "all dialogues began just after midnight",
            Outcome.NOT_AVAILABLE,
            chats(_SILENT, at=dt.datetime.combine(NOON, dt.time(0, 5))),
            model=_MODEL,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """First turns by language, channel and whether they hold the words."""
        data_set = dialogues(inputs)
        by: dict[str, str | Expression] = {"told": _told(inputs)}
        for role in (FieldRole.LANGUAGE, FieldRole.CHANNEL):
            if column := data_set.field(role):
                by[role.value] = column
        speaker, everybody = data_set.fields[FieldRole.SOURCE], turns(inputs).speakers
        return [
            GroupedCounts("first_turns", night(inputs), by=by, where=first_of_ai(inputs)),
            Scalar(
                "undeclared",
                night(inputs),
                lambda table: table.count(where=~table[speaker].isin(everybody).fill_null(False)),
            ),
        ]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per model."""
        table: CountTable = observations["first_turns"]
        if not table.n:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "No dialogue with a turn of the AI began in the night.",
            )
            return
        without = table.n - table.total(told=True)
        undeclared = int(observations["undeclared"] or 0)
        if without:
            outcome, explanation = Outcome.FAIL, "Dialogues began without the declared words."
        elif undeclared:
            outcome = Outcome.NOT_AVAILABLE
            explanation = (
                "Turns are by speakers that the data set does not declare, so that not every "
                "answer may have been looked at."
            )
        else:
            outcome, explanation = Outcome.PASS, "Each dialogue began with the declared words."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                Measurement(
                    name="dialogues_without_disclosure",
                    value=without,
                    unit="sessions",
                    n=table.n,
                    threshold=Threshold(value=0, operator="==", source="Art. 50(1) AI Act"),
                ),
                *_shares(table, "language", _languages(inputs)),
                *_shares(table, "channel", turns(inputs).channels),
                Measurement(name="turns_of_undeclared_speakers", value=undeclared, unit="messages"),
            ],
            scope="dialogues that began in the night",
            declare="'turns' of the dialogues: who speaks, 'others' for the system and tools"
            if outcome is Outcome.NOT_AVAILABLE
            else "",
        )


def _languages(inputs: Inputs) -> set[str]:
    return {*inputs.model.languages, *_words(inputs)}


def _words(inputs: Inputs) -> dict[str, str]:
    """Declared words per language, in the form in which they are compared."""
    declared = inputs.model.ai_act.disclosure if inputs.model.ai_act else None
    return {language: plain(text) for language, text in (declared or {}).items()}


def _told(inputs: Inputs) -> Expression:
    data_set, words = dialogues(inputs), _words(inputs)
    text, language = data_set.fields[FieldRole.TEXT], data_set.field(FieldRole.LANGUAGE)

    def told(table: Any) -> Any:
        said = spoken(table[text])
        found = {key: said.contains(value) for key, value in words.items()}
        result = _any(list(found.values()))
        if language is not None:
            for key, value in found.items():
                result = (table[language] == key).ifelse(value, result)
        return result.fill_null(False)

    return told


def _any(values: list[Any]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = result | value
    return result


def _shares(table: CountTable, key: str, declared: Collection[str]) -> Iterator[Measurement]:
    """Share of dialogues with the words per declared language or channel; others together."""
    if key not in table.keys:
        return
    groups: dict[str, tuple[int, int]] = {}
    for value in table.values(key):
        name = value if value in declared else "other"
        told, n = groups.get(name, (0, 0))
        groups[name] = (
            told + table.total(**{key: value, "told": True}),
            n + table.total(**{key: value}),
        )
    for name, (told, n) in sorted(groups.items()):
        yield Measurement(
            name=f"share_disclosed_by_{key}", value=told / n, unit="share", n=n, group=name
        )
