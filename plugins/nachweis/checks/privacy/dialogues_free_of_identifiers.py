"""Identifiers in stored free texts that are not declared to hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nachweis.checks.privacy._examples import table, turns
from nachweis.checks.privacy._texts import (
    LEVEL,
    RECIPE,
    kinds_of,
    measurements,
    named,
    scan,
    seen,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import Column, DataSetRole
from nachweis.domain.observation import Observations, Request, TextCounts


class DialoguesFreeOfIdentifiers(Check):
    """Do stored free texts hold no contact, account, card or identity numbers but declared ones?

    Why: People write card and identity numbers into chats and letters. Stored with the text they
        spread into training sets, logs and exports that nobody protects as such (Art. 5(1)(c) and
        (f) GDPR).
    Method: Every text of each free-text column, for growing data sets those of the night, is
        filtered in the engine for forms of e-mail, phone, IBAN, payment card, Danish CPR number,
        German tax id, IP address and secret keys, and for declared patterns of own numbers; check
        digits, dates and numbering plans are then proved. Numbers: texts with each kind, 0 or more,
        must all be 0 except for kinds that the column's ``holds`` lists. A bare number with a right
        check digit counts only if there are more than chance gives (exact binomial test at
        ``level``). Undefined without a text. Sources: ISO 13616, ISO/IEC 7812-1, ISO 7064, the CPR
        rule of dates, libphonenumber.
    Leaves out: Names, addresses and other words without a form of their own, for which a language
        model would be needed; numbers of passports, identity cards, social security and health
        insurance; numbers spelled in words; attachments. Columns that are not declared as free
        text.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset({DataSetRole.DIALOGUES, DataSetRole.TRAINING})
    controls = ("LEAKAGE", "DATA-MIN")
    needs = (Needs.COLUMNS,)
    params = (LEVEL,)
    remediation = (
        "Mask the numbers before texts are stored or used for training, and clear what is already "
        "stored. Where a kind has to be kept, say so in the column's 'holds' and protect the "
        "column accordingly; harmless numbers such as parcel numbers belong in "
        "'text_patterns.harmless'."
    )
    examples = (
        Example("texts without identifiers", Outcome.PASS, turns()),
        Example(
            "a card number in a chat",
            Outcome.FAIL,
            turns(("customer", "my card is 4539 1488 0343 6467")),
        ),
        Example(
            "a CPR number in a chat", Outcome.FAIL, turns(("customer", "mit cpr er 070761-4285"))
        ),
        Example(
            "phone numbers that are declared",
            Outcome.PASS,
            turns(("customer", "call me: +49 171 2345678"), columns={"holds": ["phone"]}),
        ),
        Example(
            "many bare card numbers",
            Outcome.FAIL,
            turns(*[("customer", f"ref {number}") for number in ("4539148803436467",) * 4]),
        ),
        Example(
            "one bare number that passes by chance",
            Outcome.PASS,
            turns(("customer", "ref 4539148803436467")),
        ),
        Example("no text tonight", Outcome.NOT_AVAILABLE, turns(times=0)),
        Example(
            "no free text declared",
            Outcome.NOT_APPLICABLE,
            {"rows": table({"spend": [1.0, 2.0]})},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """One scan per free-text column."""
        source = inputs.rows_in_question
        return [scan(inputs, inputs.data_set, source, column.name) for column in _columns(inputs)]

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per free-text column."""
        columns = _columns(inputs)
        if not columns:
            yield self.finding(
                inputs,
                Outcome.NOT_APPLICABLE,
                "By the declared columns the data set holds no free text.",
                severity=Severity.INFO,
            )
        for column in columns:
            yield from self._of(inputs, column, observations[f"texts:{column.name}"])

    def _of(self, inputs: Inputs, column: Column, counts: TextCounts) -> Iterator[Finding]:
        n = sum(counts.rows.values())
        if not n:
            yield self.finding(
                inputs, Outcome.NOT_AVAILABLE, "There is no text to look at.", column=column.name
            )
            return
        held = frozenset(column.holds or ())
        found = seen(counts, kinds_of(inputs.data_set), inputs.param("level"))
        told = [one.kind for one in found if one.told and one.kind not in held]
        if told:
            outcome, explanation = Outcome.FAIL, f"Texts hold undeclared {named(told)}."
        elif counts.unproved:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "More texts have the form of an identifier than can be looked at closely."
        else:
            outcome = Outcome.PASS
            explanation = "No identifier was found in the texts."
            if held:
                explanation = (
                    "No identifier was found in the texts but declared kinds: "
                    f"{named(sorted(held))}."
                )
        total = Measurement(
            name="texts_with_identifiers",
            value=sum(counts.rows_with.values()),
            unit="rows",
            n=n,
            recipe=RECIPE,
        )
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[total, *measurements(found, n, held)],
            column=column.name,
            scope="texts of the night"
            if inputs.rows_in_question.window == "night"
            else "all texts",
        )


def _columns(inputs: Inputs) -> list[Column]:
    return [column for column in inputs.data_set.columns if column.free_text]
