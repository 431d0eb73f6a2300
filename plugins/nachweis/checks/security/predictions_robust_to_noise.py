"""Decisions under small noise."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.security._scored import (
    MISSING,
    SCOPE,
    example_declaration,
    example_file,
    example_tables,
    request,
    rule,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.errors import DataError, UndefinedError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request
from nachweis.engines.intervals import wilson_interval
from nachweis.engines.robustness import flip_rate

_REPETITIONS = 5
_FEWEST = 100
_FILE = example_file(1.0)
_FAR = [(1 if i % 2 else -1) * (1 + i % 50 / 50) for i in range(200)]
_NEAR = [*[(1 if i % 2 else -1) * 0.001 for i in range(180)], *([3.0, -3.0] * 10)]


class PredictionsRobustToNoise(Check):
    """Do decisions stay the same when the inputs change a little?

    Why: A decision that flips with a rounding or a day's delay is arbitrary for the person it is
        about, and easy to attack (Art. 15(4) AI Act as good practice; ATLAS AML.T0043).
    Method: The stored model of the newest served version is applied to at most 2,000 rows of the
        reference (else of the scoring log) and, five times, to the same rows with normal noise of
        ``noise`` standard deviations on every number, kept whole where numbers are whole and within
        the sample's range. Share of decisions that change (0 to 1), decisions made by the declared
        rule, else by the most probable class. It fails if the 95 % Wilson lower limit, counted as
        one repetition, exceeds ``max_flips``. Undefined where the model is not stored as skops with
        its digest, does not fit the columns, has no number that varies, or below 100 rows. Source:
        this project; Wilson (1927).
    Leaves out: Chosen rather than random changes (see the cheapest manipulation). Categories and
        texts. Models of which no file is declared.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("ADVERSARIAL",)
    needs = (Needs.ARTEFACT, Needs.FEATURES)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.MULTICLASS, ModelKind.REGRESSION})
    params = (
        Param(
            "noise",
            0.05,
            "standard deviations",
            "design default of this project",
            "Size of the noise, relative to each column's standard deviation.",
            minimum=0.001,
            maximum=1,
        ),
        Param(
            "max_flips",
            0.05,
            "share of decisions",
            "design default of this project",
            "Share of decisions that may change.",
            minimum=0.001,
            maximum=1,
        ),
    )
    remediation = (
        "Look for the input whose noise flips most, at how many people lie close to the threshold, "
        "and at whether the model is fitted too closely. Smoother models, a threshold in a thinner "
        "part of the scores, or a person for cases close to it are the usual answers."
    )
    examples = (
        Example(
            "scores far from the threshold",
            Outcome.PASS,
            example_tables(_FAR),
            model=example_declaration(_FILE),
            files={"m": _FILE},
        ),
        Example(
            "nearly everybody at the threshold",
            Outcome.FAIL,
            example_tables(_NEAR),
            model=example_declaration(_FILE),
            files={"m": _FILE},
        ),
        Example(
            "another file than the declared one",
            Outcome.NOT_AVAILABLE,
            example_tables(_FAR),
            model=example_declaration(_FILE),
            files={"m": example_file(2.0)},
        ),
        Example("no file declared", Outcome.NOT_AVAILABLE, example_tables(_FAR)),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The stored model's scores of a sample."""
        wanted = request(inputs)
        return () if wanted is None else (wanted,)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the model."""
        if request(inputs) is None:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "There is no stored model that can be tried, or no rows to try it on.",
                declare=MISSING,
            )
            return
        sample = observations["scores"]
        try:
            found = flip_rate(
                sample,
                rule(inputs, sample),
                noise=inputs.param("noise"),
                repetitions=_REPETITIONS,
            )
        except (UndefinedError, DataError) as undefined:
            text = f"The stored model could not be tried: {undefined.what}."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text, scope=SCOPE)
            return
        if found.rows < _FEWEST:
            text = f"There are fewer than {_FEWEST} rows to try the model on."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text, scope=SCOPE)
            return
        # Repetitions share their rows: the interval counts them once.
        interval = wilson_interval(round(found.rate * found.rows), found.rows)
        failed = interval[0] > inputs.param("max_flips")
        measured = Measurement(
            name="flip_rate",
            value=found.rate,
            unit="share",
            threshold=inputs.threshold("max_flips", "<="),
            n=found.rows,
            interval=interval,
            interval_level=0.95,
            recipe=f"noise of {inputs.param('noise')} standard deviations, mean of {_REPETITIONS}",
        )
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            "More decisions change under small noise than are borne."
            if failed
            else "Few decisions change under small noise.",
            measurements=[measured],
            scope=SCOPE,
        )
