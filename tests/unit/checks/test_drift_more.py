"""Drift of outcomes, of all inputs together, against the reference's days, of texts, and ahead."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nachweis import registry
from nachweis.checks.drift._examples import (
    NEW_PHRASES,
    OLD_PHRASES,
    by_day,
    dialogues_of,
    differed,
    normal,
    related,
    tables,
    texts_of,
)
from nachweis.domain.check import Check, Example
from nachweis.domain.finding import Finding, Outcome, Severity
from nachweis.domain.observation import PastFinding, Sample
from nachweis.pipeline.examples import run_example

FORECAST = registry.check("drift_forecast")
CHUNKS = registry.check("chunk_distances_in_reference_range")
JOINTLY = registry.check("features_jointly_stable")
TEXTS = registry.check("dialogue_texts_stable")
OUTCOMES = registry.check("outcome_distribution_stable")


def found(
    check: type[Check], given: Any, history: Sequence[PastFinding] = (), **fields: Any
) -> Finding:
    example = Example("case", Outcome.PASS, given, history=tuple(history), **fields)
    (finding,) = run_example(check, example)
    return finding


def values(finding: Finding) -> dict[str, Any]:
    return {m.name: m.value for m in finding.measurements}


# ------------------------------------------------------------------------------------- forecast

_NOTHING: dict[str, Any] = {}
_MODEL = {"features": ["income"]}


def signed(
    series: Sequence[float],
    column: str = "income",
    unit: str = "wasserstein",
    limit: float | None = 0.1,
    name: str = "distance",
    outcome: str = "pass",
    last: dt.date = dt.date(2026, 3, 1),
) -> list[PastFinding]:
    return [
        PastFinding(
            night=(last - dt.timedelta(days=age)).isoformat(),
            outcome=outcome,
            column=column,
            drifted=False,
            values={name: value},
            units={name: unit},
            limits={} if limit is None else {name: limit},
        )
        for age, value in enumerate(reversed(series))
    ]


RISING = [0.02 + 0.004 * i for i in range(15)]


def test_the_night_of_the_crossing_is_counted_from_tonight() -> None:
    finding = found(FORECAST, _NOTHING, model=_MODEL, history=signed(RISING))
    (nights,) = [m for m in finding.measurements if m.name == "nights_until_limit"]
    # 0.076 last night, 0.004 a night: the limit of 0.1 is reached six nights after last night.
    assert nights.value == pytest.approx(5.0)
    assert nights.interval == pytest.approx((5.0, 5.0))
    assert nights.group == "income"
    assert (finding.outcome, finding.severity) == (Outcome.FAIL, Severity.LOW)


def test_the_feature_that_is_there_first_is_named_first() -> None:
    slower = [0.02 + 0.003 * i for i in range(15)]
    finding = found(
        FORECAST,
        _NOTHING,
        model=_MODEL,
        history=[*signed(slower, "age"), *signed(RISING, "visits")],
    )
    assert finding.explanation.index("visits") < finding.explanation.index("age")


@pytest.mark.parametrize(
    "history",
    [
        signed(RISING[:9]),
        signed(RISING, name="p_value"),
        signed(RISING, limit=None),
        signed(RISING, outcome="not_available"),
        [*signed(RISING[:8], unit="psi", last=dt.date(2026, 2, 22)), *signed(RISING[:7])],
        [*signed(RISING[:8], limit=0.2, last=dt.date(2026, 2, 22)), *signed(RISING[:7])],
        signed(RISING, last=dt.date(2026, 2, 20)),
        [],
    ],
    ids=[
        "nine",
        "p-value",
        "no limit",
        "no verdict",
        "other method",
        "other limit",
        "stale",
        "nothing",
    ],
)
def test_without_ten_comparable_nights_nothing_is_said(history: list[PastFinding]) -> None:
    finding = found(FORECAST, _NOTHING, model=_MODEL, history=history)
    assert (finding.outcome, finding.severity) == (Outcome.NOT_AVAILABLE, Severity.INFO)


def test_noise_never_fails_and_says_that_nothing_can_be_said() -> None:
    generator = np.random.default_rng(2)
    for _ in range(25):
        history = [
            item
            for i in range(12)
            for item in signed(list(0.05 + generator.normal(0, 0.01, 20)), f"x{i}")
        ]
        finding = found(FORECAST, _NOTHING, model=_MODEL, history=history)
        assert (finding.outcome, finding.severity) == (Outcome.PASS, Severity.INFO)


def test_a_second_signature_of_a_night_does_not_count_twice() -> None:
    once = signed(RISING[:9])
    assert (
        found(FORECAST, _NOTHING, model=_MODEL, history=[*once, *once]).outcome
        is Outcome.NOT_AVAILABLE
    )


def test_the_forecast_reads_no_data() -> None:
    from nachweis.pipeline.judge import plan_subject
    from tests.unit.checks.test_drift import NIGHT, inputs

    plan = plan_subject(inputs(FORECAST).world, inputs(FORECAST).subject, NIGHT, [FORECAST])
    (request,) = plan.requests[FORECAST.id]
    assert type(request).__name__ == "History"
    assert request.of == "feature_distribution_stable"


# -------------------------------------------------------------------------------- all together


def keyed(first: list[float], second: list[float]) -> dict[str, list[float]]:
    return {"id": [float(i) for i in range(len(first))], "x": first, "y": second}


def test_a_dependence_names_the_pair_and_needs_two_nights() -> None:
    given = tables(keyed(*related(400, 0.0, 1)), keyed(*related(400, 0.9, 3)), {"key": "id"})
    tonight = found(JOINTLY, given)
    assert (tonight.outcome, tonight.severity) == (Outcome.PASS, Severity.INFO)
    again = found(JOINTLY, given, differed(None))
    assert (again.outcome, again.severity) == (Outcome.FAIL, Severity.MEDIUM)
    assert "dependence of x and y changed most" in again.explanation


def test_a_higher_limit_lets_more_pass() -> None:
    given = tables(keyed(*related(400, 0.0, 1)), keyed(*related(400, 0.9, 3)), {"key": "id"})
    finding = found(JOINTLY, given, differed(None), params={"max_area": 0.95})
    assert finding.outcome is Outcome.PASS
    limit = next(m.threshold for m in finding.measurements if m.name == "area_under_curve")
    assert limit is not None
    assert "not by law" in limit.source


def test_both_checks_on_samples_ask_in_the_same_words() -> None:
    from nachweis.pipeline.judge import plan_subject
    from tests.unit.checks.test_drift import NIGHT, inputs

    given = inputs(CHUNKS, CHUNKS.examples[0])
    plan = plan_subject(given.world, given.subject, NIGHT, [CHUNKS, JOINTLY])
    one, two = (
        {r for r in plan.requests[check.id] if isinstance(r, Sample)} for check in (CHUNKS, JOINTLY)
    )
    assert one == two
    assert len(one) == 2


# ------------------------------------------------------------------------------------ reference


def test_unusual_for_this_feature_fails_although_the_fixed_limit_is_far() -> None:
    """Days that hardly vary: a shift by 0.7 standard deviations of one day stands out."""
    given = by_day({"x": normal(4000, 0.0, 1)}, {"x": normal(250, 0.7, 2)}, days=20)
    finding = found(CHUNKS, given, differed("x"))
    assert finding.outcome is Outcome.FAIL
    assert finding.measurements[0].drifted is True
    assert "NannyML" in finding.measurements[0].threshold.source


def test_what_varies_every_day_may_go_on_varying() -> None:
    daily = normal(20, 0.0, 9)
    reference = [value + 1.5 * daily[i // 60] for i, value in enumerate(normal(1200, 0.0, 1))]
    finding = found(CHUNKS, by_day({"x": reference}, {"x": normal(90, 1.5, 2)}, 20), differed("x"))
    assert finding.outcome is Outcome.PASS


def test_a_smallest_distance_keeps_trifles_quiet() -> None:
    given = by_day({"x": normal(800, 0.0, 1)}, {"x": normal(60, 1.5, 3)}, days=20)
    finding = found(CHUNKS, given, differed("x"), params={"min_distance": 5.0})
    assert finding.outcome is Outcome.PASS


# ---------------------------------------------------------------------------------------- texts


def test_what_moved_most_is_named_first_and_no_word_is_published() -> None:
    # Three times as long, and half of the words are new.
    now = [" ".join([text] * 3) for text in texts_of(90, (*OLD_PHRASES, *NEW_PHRASES), 5)]
    finding = found(
        TEXTS,
        dialogues_of(texts_of(300, OLD_PHRASES, 1), now),
        differed(None),
        model={"current": {"min_rows": 50, "extend_to": "P1D"}},
    )
    assert finding.outcome is Outcome.FAIL
    assert "words per text and new words" in finding.explanation
    published = finding.model_dump_json()
    assert not any(word in published for word in ("instruction", "parcel", "prompts", "refund"))
    assert values(finding)["new_words_earlier"] == pytest.approx(0.0)


def test_the_reference_is_the_baseline_where_it_declares_texts() -> None:
    from nachweis.domain.check import ExampleTable
    from nachweis.domain.manifest import DataSetRole

    given = dialogues_of([], texts_of(90, NEW_PHRASES, 5))
    given["reference"] = ExampleTable(
        DataSetRole.REFERENCE,
        {"id": list(range(300)), "said": texts_of(300, OLD_PHRASES, 1)},
        {"fields": {"key": "id", "text": "said"}},
    )
    finding = found(
        TEXTS,
        given,
        differed(None),
        model={"current": {"min_rows": 50, "extend_to": "P1D"}},
    )
    assert finding.outcome is Outcome.FAIL
    assert finding.scope.endswith("against reference")
    assert "language_distance" not in values(finding)


# ------------------------------------------------------------------------------------- outcomes


def test_outcomes_are_read_where_they_arrive_and_not_from_the_log() -> None:
    finding = run_example(OUTCOMES, OUTCOMES.examples[0])[0]
    assert finding.scope.startswith("1 columns of outcomes, 2026-03-02")
