"""Drift of what people write to, or hear from, a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nachweis.checks.drift._columns import window_words
from nachweis.checks.drift._examples import (
    NEW_PHRASES,
    OLD_PHRASES,
    dialogues_of,
    differed,
    texts_of,
)
from nachweis.checks.drift._nights import history_request, persistence
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.errors import UndefinedError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, FieldRole
from nachweis.domain.observation import Observations, Request, Sample, Source
from nachweis.engines.text_drift import (
    Moved,
    NewWords,
    languages_moved,
    length_moved,
    new_words,
    words_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 5_000
_BASELINE_DAYS = 28
_SMALL = {"current": {"min_rows": 50, "extend_to": "P1D"}}
_DESIGN = "design default of this project"
_BEFORE = texts_of(300, OLD_PHRASES, seed=1)


class DialogueTextsStable(Check):
    """Do people and the model still write about the same things, as long and in the same languages?

    Why: New words, longer messages or another language mean new questions, new people or an attack;
        a model that was tested on other texts answers them by luck.
    Method: Seeded samples of at most 5,000 texts each: the current window against the reference, if
        it declares texts, else against the dialogues of the 28 days before the longest current
        window. (1) New words: every second earlier text makes the vocabulary; mean share per text
        of words outside it, 0 to 1, in the window less that in the other earlier texts, with a
        95 % interval (Welch). (2) Words per text: Wasserstein distance in standard deviations of
        the earlier texts, 0 or more. (3) Languages, if declared: Jensen-Shannon distance, 0 to
        0.83. Numbers (2) and (3) are Evidently's, whose rule is reported as ``drifted``. The check
        fails if the interval of (1) lies above ``max_new_words``, or (2) or (3) exceed their limit
        by more than chance reaches in 19 of 20 resamples, persistently (policy: default 2 of 3
        judged nights). Undefined with fewer than 200 earlier or 50 current texts with words.
        Source: this project.
    Leaves out: Meaning: known words can ask for new things. Digits and single letters. Languages
        are read from the declared column, never guessed. Slow change, which the earlier texts
        follow where no reference declares texts. No word is kept or published.
    """

    severity = Severity.LOW
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.DIALOGUE_TEXT,)
    params = (
        Param(
            "max_new_words",
            0.1,
            "difference of shares",
            _DESIGN,
            "Largest increase of the share of words that were not used before.",
            minimum=0.01,
            maximum=1,
        ),
        Param(
            "max_length_distance",
            0.3,
            "standard deviations",
            _DESIGN,
            "Largest distance of the number of words per text.",
            minimum=0.05,
            maximum=10,
        ),
        Param(
            "max_language_distance",
            0.1,
            "Jensen-Shannon distance",
            "Evidently 0.7.23, default limit",
            "Largest distance of the shares of languages.",
            minimum=0.01,
            maximum=0.83,
        ),
    )
    remediation = (
        "Read a few dialogues of the nights in question under the access rules that hold for them: "
        "a new product or campaign, an outage, automated messages, or attempts to confuse the "
        "model. Add what is new to the tests of the model before it goes on answering."
    )
    examples = (
        Example(
            "the same kind of messages",
            Outcome.PASS,
            dialogues_of(_BEFORE, texts_of(80, OLD_PHRASES, seed=2)),
            model=_SMALL,
        ),
        Example(
            "words that nobody used before on two nights",
            Outcome.FAIL,
            dialogues_of(_BEFORE, texts_of(80, (*OLD_PHRASES, *NEW_PHRASES), seed=3)),
            model=_SMALL,
            history=differed(None),
        ),
        Example(
            "words that nobody used before tonight only",
            Outcome.PASS,
            dialogues_of(_BEFORE, texts_of(80, (*OLD_PHRASES, *NEW_PHRASES), seed=3)),
            model=_SMALL,
        ),
        Example(
            "messages three times as long on two nights",
            Outcome.FAIL,
            dialogues_of(
                _BEFORE, [" ".join([text] * 3) for text in texts_of(80, OLD_PHRASES, seed=4)]
            ),
            model=_SMALL,
            history=differed(None),
        ),
        Example(
            "another language on two nights",
            Outcome.FAIL,
            dialogues_of(
                _BEFORE,
                texts_of(80, OLD_PHRASES, seed=2),
                [*["de"] * 150, *["da"] * 150, *["en"] * 80],
            ),
            model=_SMALL,
            history=differed(None),
        ),
        Example(
            "thirty messages",
            Outcome.NOT_AVAILABLE,
            dialogues_of(_BEFORE, texts_of(30, NEW_PHRASES, seed=3)),
            model={"current": {"min_rows": 1, "extend_to": "P1D"}},
            history=differed(None),
        ),
        Example(
            "no earlier messages",
            Outcome.NOT_AVAILABLE,
            dialogues_of([], texts_of(80, OLD_PHRASES, seed=2)),
            model=_SMALL,
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """A sample of texts of the window and of earlier ones."""
        dialogues, (earlier, source) = _of(inputs, "dialogues"), _baseline(inputs)
        yield Sample("current", _current(inputs), _columns(dialogues), _ROWS)
        yield Sample("earlier", source, _columns(earlier), _ROWS)
        yield history_request(_current(inputs))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about texts, length and language together."""
        facts = observations.window(_current(inputs))
        looked_at = (
            f"{inputs.source('dialogues').data_set}, "
            f"{window_words(facts) if facts else 'current window'}, "
            f"against {_baseline(inputs)[0].id}"
        )
        least = inputs.model.current.min_rows
        try:
            if facts is not None and facts.rows < least:
                raise UndefinedError(
                    f"the window holds fewer than the {least} rows that the model declares as its "
                    "minimum"
                )
            found = _compared(inputs, observations)
        except UndefinedError as undefined:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"The texts could not be compared: {undefined.what}.",
                scope=looked_at,
            )
            return
        moved = sorted((one for one in found if one.differs), key=lambda one: -one.excess)
        differs = bool(moved)
        nights = persistence(inputs, None, differs, observations.get("history") or ())
        failed = differs and nights.reached
        if failed:
            explanation = f"Texts moved in {_named(moved)} on {nights.words}."
        elif differs:
            explanation = f"Texts moved in {_named(moved)}, not yet persistent: {nights.words}."
        else:
            explanation = "Words, length and languages are as in the earlier texts."
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            explanation,
            measurements=[
                *(m for one in found for m in one.measurements),
                *nights.measurements(differs),
            ],
            severity=Severity.INFO if differs and not failed else None,
            scope=looked_at,
        )


# ------------------------------------------------------------------------------------- requests


def _of(inputs: Inputs, role: str) -> DataSet:
    found = inputs.data(role)
    if found is None:
        raise LookupError(f"the need {role!r} was not met")
    return found


def _current(inputs: Inputs) -> Source:
    return inputs.source("dialogues", "current")


def _baseline(inputs: Inputs) -> tuple[DataSet, Source]:
    """The reference if it declares texts, else the dialogues before the longest current window."""
    reference = inputs.data("reference")
    if reference is not None and reference.field(FieldRole.TEXT):
        return reference, inputs.source("reference")
    end, _ = inputs.night.window(inputs.model.current.extend_to)
    dialogues = _of(inputs, "dialogues")
    return dialogues, Source(dialogues.id, "span", (end - dt.timedelta(days=_BASELINE_DAYS), end))


def _columns(data_set: DataSet) -> tuple[str, ...]:
    names = (data_set.field(FieldRole.TEXT), data_set.field(FieldRole.LANGUAGE))
    return tuple(name for name in names if name is not None)


# -------------------------------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class _Aspect:
    """One way in which texts may differ.

    Attributes:
        words: For explanations.
        differs: Whether it exceeds its limit by more than chance.
        excess: By how many limits, to name the largest first.
        measurements: The numbers.
    """

    words: str
    differs: bool
    excess: float
    measurements: tuple[Measurement, ...]


def _named(moved: Sequence[_Aspect]) -> str:
    return " and ".join(one.words for one in moved)


def _compared(inputs: Inputs, seen: Observations) -> list[_Aspect]:
    dialogues, (earlier_set, _) = _of(inputs, "dialogues"), _baseline(inputs)
    current, earlier = seen["current"], seen["earlier"]
    now = _words(current, dialogues)
    before = _words(earlier, earlier_set)
    found = [
        _new(inputs, new_words(before, now)),
        _distance(inputs, "length", "words per text", length_moved(before, now)),
    ]
    names = [one.field(FieldRole.LANGUAGE) for one in (earlier_set, dialogues)]
    if names[0] is not None and names[1] is not None:
        languages = languages_moved(earlier[names[0]], current[names[1]])
        found.append(_distance(inputs, "language", "languages", languages))
    return found


def _words(sample: dict[str, NDArray[Any]], data_set: DataSet) -> list[list[int]]:
    return [words_of(text) for text in sample[data_set.fields[FieldRole.TEXT]]]


def _new(inputs: Inputs, found: NewWords) -> _Aspect:
    limit = inputs.param("max_new_words")
    return _Aspect(
        "new words",
        found.interval[0] > limit,
        found.difference / limit,
        (
            Measurement(
                name="new_words_earlier",
                value=found.before,
                unit="mean share of words",
                n=found.n_before,
            ),
            Measurement(name="new_words", value=found.now, unit="mean share of words", n=found.n),
            Measurement(
                name="new_words_difference",
                value=found.difference,
                unit="difference",
                threshold=inputs.threshold("max_new_words", "<="),
                n=found.n,
                interval=found.interval,
                interval_level=0.95,
                recipe=f"vocabulary of {found.vocabulary} hashed words; texts are independent",
                drifted=found.difference > limit,
            ),
        ),
    )


def _distance(inputs: Inputs, name: str, words: str, moved: Moved) -> _Aspect:
    limit = inputs.param(f"max_{name}_distance")
    return _Aspect(
        words,
        moved.surely > limit,
        moved.result.value / limit,
        tuple(_measured(inputs, name, moved)),
    )


def _measured(inputs: Inputs, name: str, moved: Moved) -> Iterator[Measurement]:
    result = moved.result
    yield Measurement(
        name=f"{name}_distance",
        value=result.value,
        unit=result.method,
        threshold=inputs.threshold(f"max_{name}_distance", "<="),
        n=result.n_current,
        recipe=result.recipe,
        drifted=result.drifted,
    )
    if moved.rows.smallest_detectable is not None:
        yield Measurement(
            name=f"{name}_distance_by_chance",
            value=moved.rows.smallest_detectable,
            unit=result.method,
            n=result.n_current,
            recipe="95 % quantile of resamples of the earlier texts at this number of texts",
        )
