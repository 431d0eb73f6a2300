"""The drift checks: corrected, backed by enough rows, and persistent before they fail."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nachweis import registry
from nachweis.checks.drift._examples import normal as example_normal
from nachweis.checks.drift._examples import tables
from nachweis.checks.drift._nights import persistence
from nachweis.domain.check import Check, Effective, Example, Inputs
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import Policy
from nachweis.domain.night import Night
from nachweis.domain.observation import Missing, Observations, PastFinding
from nachweis.engines.drift import drift, profile_categorical, profile_numeric
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.examples import run_example

NIGHT = Night(dt.date(2026, 3, 10))
FEATURES = registry.check("feature_distribution_stable")
MISSING = registry.check("missing_share_stable")


def inputs(
    check: type[Check],
    example: Example | None = None,
    params: dict[str, Any] | None = None,
    persist: dict[str, int] | None = None,
    features: list[str] | None = None,
) -> Inputs:
    example = example or check.examples[0]
    world = example_world(check, example)
    policy = Policy(persistence=persist or {"nights": 2, "of": 3})
    models = world.models
    if features is not None:
        models = {"model": models["model"].model_copy(update={"features": features})}
    undeclared = {
        key: data_set.model_copy(update={"columns": []}) if features is not None else data_set
        for key, data_set in world.data_sets.items()
    }
    world = world.model_copy(update={"policy": policy, "models": models, "data_sets": undeclared})
    effective = check.effective_params(params or {}, {})
    return Inputs(world, Subject(kind=SubjectKind.MODEL, id="model"), NIGHT, effective)


def past(night: str, differs: bool, outcome: str = "pass", column: str = "x") -> PastFinding:
    return PastFinding(
        night=night, outcome=outcome, column=column, drifted=differs, values={"differs": differs}
    )


def seen(columns: dict[str, tuple[Any, Any]], history: list[PastFinding]) -> Observations:
    results: dict[str, Any] = {"history": history}
    for name, (reference, current) in columns.items():
        results[f"reference:{name}"] = reference
        results[f"current:{name}"] = current
    return Observations(results)


def judged(check: type[Check], given: Inputs, observations: Observations) -> dict[str, Finding]:
    return {str(f.column): f for f in check().judge(given, observations)}


def normal(n: int, mean: float = 0.0, seed: int = 0) -> Any:
    return profile_numeric(np.random.default_rng(seed).normal(mean, 1, n))


# ---------------------------------------------------------------------------------- persistence


@pytest.mark.parametrize(
    ("tonight", "earlier", "reached"),
    [
        (True, [], False),
        (True, [past("2026-03-09", True)], True),
        (True, [past("2026-03-09", False)], False),
        (True, [past("2026-03-09", False), past("2026-03-08", True)], True),
        (True, [past("2026-03-09", False), past("2026-03-08", False)], False),
        (
            True,
            [past("2026-03-09", False), past("2026-03-08", False), past("2026-03-07", True)],
            False,
        ),
        (False, [past("2026-03-09", True), past("2026-03-08", True)], True),
    ],
)
def test_two_of_the_last_three_nights(
    tonight: bool, earlier: list[PastFinding], reached: bool
) -> None:
    assert persistence(inputs(FEATURES), "x", tonight, earlier).reached is reached


def test_nights_without_a_verdict_are_skipped() -> None:
    earlier = [
        past("2026-03-09", True, outcome="not_available"),
        past("2026-03-08", False, outcome="error"),
        past("2026-03-07", True),
    ]
    result = persistence(inputs(FEATURES), "x", True, earlier)
    assert (result.seen, result.looked_at) == (2, 2)


def test_other_columns_later_nights_and_second_attempts_do_not_count() -> None:
    earlier = [
        past("2026-03-11", True),
        past("2026-03-10", True),
        past("2026-03-09", False),
        past("2026-03-09", True),
        past("2026-03-08", True, column="y"),
    ]
    assert persistence(inputs(FEATURES), "x", True, earlier).seen == 1


@given(
    st.lists(st.booleans(), max_size=12),
    st.integers(1, 5).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))),
    st.booleans(),
)
def test_persistence_counts_only_the_window(
    verdicts: list[bool], policy: tuple[int, int], tonight: bool
) -> None:
    nights, of = policy
    earlier = [past(str(NIGHT.date - dt.timedelta(days=i + 1)), v) for i, v in enumerate(verdicts)]
    given_inputs = inputs(FEATURES, persist={"nights": nights, "of": of})
    result = persistence(given_inputs, "x", tonight, earlier)
    assert result.seen == tonight + sum(verdicts[: of - 1])
    assert result.reached is (result.seen >= nights)


# ------------------------------------------------------------------------- feature distribution


def test_a_persistent_shift_fails_and_reports_the_librarys_number() -> None:
    reference, current = normal(2000, seed=1), normal(1000, 1.0, seed=2)
    finding = judged(
        FEATURES,
        inputs(FEATURES, features=["x"]),
        seen({"x": (reference, current)}, [past("2026-03-09", True)]),
    )["x"]
    assert finding.outcome is Outcome.FAIL
    expected = drift(reference, current)
    first = finding.measurements[0]
    assert (first.name, first.unit, first.drifted) == ("distance", "wasserstein", True)
    assert first.value == pytest.approx(expected.value, rel=1e-8)
    assert first.threshold is not None
    assert first.threshold.value == 0.1
    assert "Evidently" in first.threshold.source


def test_a_shift_seen_once_is_reported_as_drifted_but_passes_at_info() -> None:
    finding = judged(
        FEATURES,
        inputs(FEATURES, features=["x"]),
        seen({"x": (normal(2000, seed=1), normal(1000, 1.0, seed=2))}, []),
    )["x"]
    assert finding.outcome is Outcome.PASS
    assert finding.severity is Severity.INFO
    assert finding.measurements[0].drifted is True
    assert "not yet persistent" in finding.explanation
    assert {m.name: m.value for m in finding.measurements}["differs"] is True


def test_few_rows_give_no_verdict_but_the_librarys_number_stays_visible() -> None:
    finding = judged(
        FEATURES,
        inputs(FEATURES, features=["x"]),
        seen({"x": (normal(2000, seed=1), normal(10, seed=2))}, [past("2026-03-09", True)]),
    )["x"]
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert finding.measurements[0].drifted is not None
    assert "differs" not in {m.name for m in finding.measurements}


def test_p_values_of_all_columns_are_corrected_together() -> None:
    """Of 40 unchanged columns some fall below 0.05 by chance; none may differ after correction."""
    columns = {f"x{i}": (normal(500, seed=i), normal(500, seed=1000 + i)) for i in range(40)}
    history = [past("2026-03-09", True, column=name) for name in columns]
    found = judged(FEATURES, inputs(FEATURES, features=list(columns)), seen(columns, history))
    assert any(f.measurements[0].drifted for f in found.values())
    assert {f.outcome for f in found.values()} == {Outcome.PASS}


def test_a_really_shifted_column_survives_the_correction() -> None:
    columns = {f"x{i}": (normal(500, seed=i), normal(500, seed=1000 + i)) for i in range(20)}
    columns["moved"] = (normal(500, seed=50), normal(500, 0.6, seed=51))
    history = [past("2026-03-09", True, column="moved")]
    found = judged(FEATURES, inputs(FEATURES, features=list(columns)), seen(columns, history))
    assert [n for n, f in found.items() if f.outcome is Outcome.FAIL] == ["moved"]


@pytest.mark.parametrize(
    "current",
    [profile_numeric(np.array([np.nan] * 50)), profile_numeric(np.array([])), normal(0)],
)
def test_a_column_without_values_has_no_distribution(current: Any) -> None:
    observations = seen({"x": (normal(2000), current)}, [])
    finding = judged(FEATURES, inputs(FEATURES, features=["x"]), observations)["x"]
    assert finding.outcome is Outcome.NOT_AVAILABLE


def test_a_missing_column_spares_the_others() -> None:
    columns = {"x": (normal(2000, seed=1), normal(1000, seed=2)), "y": (normal(9), Missing("gone"))}
    given_inputs = inputs(FEATURES, features=["x", "y"])
    found = judged(FEATURES, given_inputs, seen(columns, []))
    assert found["x"].outcome is Outcome.PASS
    assert found["y"].outcome is Outcome.NOT_AVAILABLE
    assert "gone" in found["y"].explanation


def test_a_named_method_and_threshold_are_used_and_their_source_printed() -> None:
    params = {"numeric_method": "psi", "numeric_threshold": 0.25}
    finding = judged(
        FEATURES,
        inputs(FEATURES, params=params, features=["x"]),
        seen({"x": (normal(2000, seed=1), normal(1000, seed=2))}, []),
    )["x"]
    assert finding.measurements[0].unit == "psi"
    threshold = finding.measurements[0].threshold
    assert threshold is not None
    assert threshold.value == 0.25
    assert "not by law" in threshold.source


def test_a_threshold_without_its_method_is_refused() -> None:
    from nachweis.domain.errors import CheckDefinitionError

    given_inputs = inputs(FEATURES, params={"numeric_threshold": 0.25})
    with pytest.raises(CheckDefinitionError, match="numeric_method"):
        list(FEATURES().observe(given_inputs))


def test_both_drift_checks_ask_for_the_same_profiles() -> None:
    one = {(r.source, r.column) for r in FEATURES().observe(inputs(FEATURES)) if hasattr(r, "kind")}
    two = {(r.source, r.column) for r in MISSING().observe(inputs(MISSING)) if hasattr(r, "kind")}
    assert {column for _, column in one} == {"income"} == {column for _, column in two}


def test_the_history_of_many_columns_reaches_back_as_far_as_that_of_one() -> None:
    names = [f"x{i:02}" for i in range(16)]
    reference = {name: example_normal(200, 0.0, i) for i, name in enumerate(names)}
    current = {name: example_normal(200, 2.0, 100 + i) for i, name in enumerate(names)}
    history = [
        *(past("2026-03-01", False, column=name) for name in names),
        *(past("2026-02-28", True, column=name) for name in names),
    ]
    example = Example(
        "many columns", Outcome.FAIL, tables(reference, current), history=tuple(history)
    )
    assert {f.outcome for f in run_example(FEATURES, example)} == {Outcome.FAIL}


# -------------------------------------------------------------------------------- missing share


def shares(nulls: int, n: int) -> Any:
    return profile_numeric(np.arange(n - nulls, dtype=float), nulls=nulls)


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        ((20, 1000), (22, 1000), Outcome.PASS),
        ((20, 1000), (60, 1000), Outcome.PASS),  # significant, but below the smallest that counts
        ((20, 1000), (120, 1000), Outcome.FAIL),
        ((120, 1000), (20, 1000), Outcome.FAIL),
        ((0, 1000), (1000, 1000), Outcome.FAIL),
        ((0, 1000), (5, 10), Outcome.NOT_AVAILABLE),
        ((0, 0), (5, 10), Outcome.NOT_AVAILABLE),
        ((0, 1000), (0, 0), Outcome.NOT_AVAILABLE),
    ],
)
def test_the_share_of_missing_values(
    before: tuple[int, int], now: tuple[int, int], outcome: Outcome
) -> None:
    observations = seen({"x": (shares(*before), shares(*now))}, [past("2026-03-09", True)])
    finding = judged(MISSING, inputs(MISSING, features=["x"]), observations)["x"]
    assert finding.outcome is outcome


def test_infinite_values_count_as_missing() -> None:
    current = profile_numeric(np.array([1.0] * 800 + [np.inf] * 200))
    observations = seen({"x": (shares(0, 1000), current)}, [past("2026-03-09", True)])
    finding = judged(MISSING, inputs(MISSING, features=["x"]), observations)["x"]
    assert finding.outcome is Outcome.FAIL


def test_new_categories_are_counted_without_being_named() -> None:
    reference = profile_categorical(["north", "south"], [500, 500])
    current = profile_categorical(["north", "south", "secret-town"], [450, 450, 100])
    observations = seen({"x": (reference, current)}, [past("2026-03-09", True)])
    finding = judged(MISSING, inputs(MISSING, features=["x"]), observations)["x"]
    assert finding.outcome is Outcome.FAIL
    assert "secret-town" not in finding.model_dump_json()
    values = {m.name: m.value for m in finding.measurements}
    assert values["unseen_share"] == pytest.approx(0.1)


def test_a_changed_share_seen_once_passes_at_info() -> None:
    observations = seen({"x": (shares(20, 1000), shares(300, 1000))}, [])
    finding = judged(MISSING, inputs(MISSING, features=["x"]), observations)["x"]
    assert (finding.outcome, finding.severity) == (Outcome.PASS, Severity.INFO)


@given(st.integers(0, 200), st.integers(0, 200))
def test_unchanged_or_tiny_changes_never_fail(before: int, extra: int) -> None:
    now = min(1000, before + min(extra, 49))
    observations = seen(
        {"x": (shares(before, 1000), shares(now, 1000))}, [past("2026-03-09", True)]
    )
    finding = judged(MISSING, inputs(MISSING, features=["x"]), observations)["x"]
    assert finding.outcome is Outcome.PASS


def test_effective_parameters_reach_the_checks() -> None:
    given_inputs = inputs(MISSING, params={"min_difference": 0.5}, features=["x"])
    assert given_inputs.params["min_difference"] == Effective(
        0.5, "policy.yaml: set by the organisation, not by law"
    )
    observations = seen({"x": (shares(0, 1000), shares(300, 1000))}, [past("2026-03-09", True)])
    assert judged(MISSING, given_inputs, observations)["x"].outcome is Outcome.PASS
