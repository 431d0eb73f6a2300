"""Drift of a model's inputs taken together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nachweis.checks.drift._columns import scope, too_few_rows
from nachweis.checks.drift._examples import differed, normal, related, tables
from nachweis.checks.drift._nights import Persistence, history_request, persistence
from nachweis.checks.drift._samples import both, rows, sample_requests, sampled
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request
from nachweis.engines.domain_classifier import SMALLEST_SIDE, Told, tell_apart

_ROWS = 5_000
_NAMED = 3
_TELLS = 0.55  # from here on a feature alone is worth naming
_RECIPE = (
    "ridge regression on ranks, indicators, squares and products; 5 folds; DeLong interval, 95 %"
)
_FIELDS = {"key": "id"}


def _keyed(first: list[float], second: list[float]) -> dict[str, list[float]]:
    return {"id": [float(i) for i in range(len(first))], "income": first, "spending": second}


_REFERENCE = _keyed(*related(300, 0.0, seed=1))
_SAME = _keyed(*related(300, 0.0, seed=2))
_TOGETHER = _keyed(*related(300, 0.9, seed=3))


class FeaturesJointlyStable(Check):
    """Do the model's inputs still occur in the combinations it was approved on?

    Why: Each input can look as before while combinations are new: a join that mixes up rows, or a
        new group of people. The model then guesses, and no comparison column by column shows it.
    Method: A classifier is asked to tell rows of the current window from rows of the reference: a
        ridge regression on ranks, indicators of frequent values, squares and products, fitted and
        tested in 5 folds on seeded samples of at most 5,000 rows each. The area under the ROC curve
        on unseen rows goes from 0 to 1; 0.5 is chance. The check fails if the lower end of its 95 %
        interval (DeLong 1988) lies above ``max_area`` persistently (policy: default 2 of 3 judged
        nights). Undefined with fewer than 100 sampled rows on a side or where every feature is
        constant. Source: classifier two-sample tests (Lopez-Paz and Oquab 2017).
    Leaves out: Changes that show neither in position, spread nor dependence of two features.
        Missing values, for which others of the same side are drawn; missing_share_stable measures
        them. Features without any value on a side. Rare values and dates. Why the rows can be told
        apart.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.MODEL
    controls = ("MONITOR",)
    needs = (Needs.SCORING_LOG, Needs.REFERENCE, Needs.FEATURES, Needs.SAMPLE_KEYS)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = (
        Param(
            "max_area",
            0.6,
            "area under the ROC curve",
            "design default of this project",
            "Largest area that the lower end of the interval may reach.",
            minimum=0.5,
            maximum=0.99,
        ),
    )
    remediation = (
        "Look at the features and pairs named first. Where single features moved, follow "
        "feature_distribution_stable; where only their dependence moved, check joins and keys of "
        "the pipeline first, then whether the model is used for other people than before."
    )
    examples = (
        Example("same combinations", Outcome.PASS, tables(_REFERENCE, _SAME, _FIELDS)),
        Example(
            "inputs depend on each other on two nights, each alone looks as before",
            Outcome.FAIL,
            tables(_REFERENCE, _TOGETHER, _FIELDS),
            history=differed(None),
        ),
        Example(
            "inputs depend on each other tonight only",
            Outcome.PASS,
            tables(_REFERENCE, _TOGETHER, _FIELDS),
        ),
        Example(
            "one input shifted on two nights",
            Outcome.FAIL,
            tables(_REFERENCE, _keyed(normal(300, 1.0, 4), normal(300, 0.0, 5)), _FIELDS),
            history=differed(None),
        ),
        Example(
            "ninety rows",
            Outcome.NOT_AVAILABLE,
            tables(_REFERENCE, _keyed(*related(90, 0.9, seed=3)), _FIELDS),
            history=differed(None),
        ),
        Example(
            "no key to sample by",
            Outcome.NOT_AVAILABLE,
            tables({"income": normal(300, 0.0, 1)}, {"income": normal(300, 0.0, 2)}),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Samples of both sides, and the history."""
        yield from sample_requests(inputs, sampled(inputs))
        yield history_request(inputs.source("scoring_log", "current"))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about all features."""
        columns = sampled(inputs)
        looked_at = scope(inputs, observations, columns)
        samples = both(observations)
        reason = samples if isinstance(samples, str) else too_few_rows(inputs, observations)
        told = None
        if not reason and not isinstance(samples, str):
            reference, current = ({k: v[:_ROWS] for k, v in side.items()} for side in samples)
            told = tell_apart(reference, current, [one.name for one in columns])
            if told is None:
                reason = (
                    f"fewer than {SMALLEST_SIDE} rows could be sampled on a side, or nothing varies"
                )
        if told is None or isinstance(samples, str):
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                f"The inputs could not be compared together: {reason}.",
                scope=looked_at,
            )
            return
        differs = told.interval[0] > inputs.param("max_area")
        nights = persistence(inputs, None, differs, observations.get("history") or ())
        failed = differs and nights.reached
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            _explanation(told, differs, nights, failed),
            measurements=[
                *_measurements(inputs, told, differs, min(_ROWS, rows(samples[1]))),
                *nights.measurements(differs),
            ],
            severity=Severity.INFO if differs and not failed else None,
            scope=looked_at,
        )


def _explanation(told: Told, differs: bool, nights: Persistence, failed: bool) -> str:
    if not differs:
        return (
            "Rows of the window cannot be told from rows of the reference beyond the limit "
            f"(area {told.area:.2f}, chance is 0.5)."
        )
    when = f"on {nights.words}" if failed else f"tonight, not yet persistent: {nights.words}"
    return (
        f"Rows of the window can be told from rows of the reference {when}. "
        f"{_features(told)}{_pair(told)}"
    )


def _features(told: Told) -> str:
    """The features that tell most, the one that tells most first."""
    telling = [name for name, area in told.alone.items() if area >= _TELLS]
    if not telling:
        return "No feature alone tells them apart."
    return f"Most tell {', '.join(telling[:_NAMED])}."


def _pair(told: Told) -> str:
    pairs: Sequence[tuple[str, str]] = list(told.dependence)[:1]
    return "".join(f" The dependence of {a} and {b} changed most." for a, b in pairs)


def _measurements(inputs: Inputs, told: Told, differs: bool, n: int) -> list[Measurement]:
    found = [
        Measurement(
            name="area_under_curve",
            value=told.area,
            unit="area under the ROC curve",
            threshold=inputs.threshold("max_area", "<="),
            n=n,
            interval=told.interval,
            interval_level=0.95,
            recipe=f"{_RECIPE}; {told.terms} terms",
            drifted=differs,
        )
    ]
    found += [
        Measurement(
            name="area_of_feature",
            value=area,
            unit="area under the ROC curve",
            n=n,
            recipe="the feature's own values, 0.5 or more",
            group=name,
        )
        for name, area in list(told.alone.items())[:_NAMED]
    ]
    found += [
        Measurement(
            name="correlation_change",
            value=change,
            unit="rank correlation",
            n=n,
            recipe="Spearman's correlation in the window less that in the reference",
            group=f"{first} and {second}",
        )
        for (first, second), change in list(told.dependence.items())[:1]
    ]
    return found
