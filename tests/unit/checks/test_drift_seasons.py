"""The same weeks of last year as a second baseline of the drift checks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nachweis import registry
from nachweis.checks.drift._columns import features
from nachweis.checks.drift._examples import NOON, differed, normal, tables, with_last_year
from nachweis.checks.drift._seasons import source_of
from nachweis.domain.check import Example, Inputs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.night import Night
from nachweis.domain.observation import Profile
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.examples import run_example
from nachweis.pipeline.observe import observe
from tests.unit.data_worlds import data_set, tables_of

FEATURES = registry.check("feature_distribution_stable")
YEAR = {"season": "year"}
_BEFORE = {"x": normal(600, 0.0, seed=1)}
_SUMMER = {"x": normal(400, 1.5, seed=2)}


def judged(check: str, made: Any, params: Any = None, model: Any = None) -> dict[Any, Finding]:
    kind = registry.check(check)
    column = "offer" if check.startswith("prediction") else "x"
    example = Example(
        "x", Outcome.PASS, made, model=model or {}, history=differed(column), params=params or {}
    )
    return {one.column: one for one in run_example(kind, example)}


def apart(finding: Finding) -> Measurement:
    return next(one for one in finding.measurements if one.name.endswith("_to_last_year"))


def inputs(made: Any, params: Any) -> Inputs:
    world = example_world(FEATURES, Example("x", Outcome.PASS, made))
    effective = FEATURES.effective_params(params, {})
    subject = Subject(kind=SubjectKind.MODEL, id="model")
    return Inputs(world, subject, Night(NOON.date()), effective)


def test_last_year_is_asked_for_only_where_it_is_wanted() -> None:
    made = tables(_BEFORE, _SUMMER)
    asked = {
        season: [one.name for one in FEATURES().observe(inputs(made, {"season": season}))]
        for season in ("none", "year")
    }
    assert set(asked["year"]) - set(asked["none"]) == {"season:x"}


def test_the_weeks_of_last_year_end_on_the_same_weekday_as_the_night() -> None:
    given = inputs(tables(_BEFORE, _SUMMER), YEAR)
    start, end = source_of(given, features(given)[0].role).span or ()
    last = (end - dt.timedelta(seconds=1)).date()
    assert last.isoformat() == "2025-03-03"
    assert last.weekday() == given.night.date.weekday()
    assert end - start == dt.timedelta(days=7)


def test_a_season_known_from_last_year_does_not_fail_and_is_shown() -> None:
    made = with_last_year(tables(_BEFORE, _SUMMER), {"x": normal(900, 1.5, seed=3)})
    assert judged("feature_distribution_stable", made)["x"].outcome is Outcome.FAIL

    finding = judged("feature_distribution_stable", made, YEAR)["x"]

    assert (finding.outcome, finding.severity) == (Outcome.PASS, Severity.INFO)
    assert "same weeks of last year" in finding.explanation
    measured = {one.name: one.value for one in finding.measurements}
    assert measured["differs"] is False
    # The library's verdict against the reference is reported all the same.
    assert any(one.drifted for one in finding.measurements)
    assert apart(finding).value is not None


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        (normal(900, 0.0, seed=3), ""),
        (normal(20, 1.5, seed=3), "20 rows"),
        ([], "fewer rows"),
    ],
    ids=["another season", "few rows", "no rows"],
)
def test_without_a_like_season_that_is_large_enough_the_verdict_stays(
    earlier: list[float], why: str
) -> None:
    made = with_last_year(tables(_BEFORE, _SUMMER), {"x": earlier})
    finding = judged("feature_distribution_stable", made, YEAR)["x"]
    assert finding.outcome is Outcome.FAIL
    assert why in apart(finding).reason
    assert (apart(finding).value is None) is bool(why)


def test_a_column_that_left_last_years_season_as_well_fails() -> None:
    made = with_last_year(
        tables(_BEFORE, {"x": normal(400, 3.0, seed=2)}), {"x": normal(900, 1.5, seed=3)}
    )
    assert judged("feature_distribution_stable", made, YEAR)["x"].outcome is Outcome.FAIL


def test_shares_of_a_season_are_compared_too() -> None:
    def offers(hits: int, n: int = 1200) -> dict[str, list[int]]:
        return {"offer": [1] * hits + [0] * (n - hits)}

    made = tables(offers(300), offers(800), {"prediction": "offer"})
    made = with_last_year(made, offers(805))
    check = "prediction_distribution_stable"
    assert judged(check, made)["offer"].outcome is Outcome.FAIL
    assert judged(check, made, YEAR)["offer"].outcome is Outcome.PASS


def test_files_of_last_year_are_read_and_their_absence_is_told(tmp_path: Path) -> None:
    log = data_set(
        "log",
        role=DataSetRole.SCORING_LOG,
        location="log/{date}.parquet",
        time={"column": "at"},
        columns=[{"name": "x", "type": "number"}, {"name": "at", "type": "timestamp"}],
    )
    (tmp_path / "log").mkdir()

    def write(day: dt.date, rows: int) -> None:
        moment = dt.datetime.combine(day, dt.time(12))
        pq.write_table(
            pa.table({"x": [float(i) for i in range(rows)], "at": [moment] * rows}),
            tmp_path / "log" / f"{day}.parquet",
        )

    given = inputs(tables(_BEFORE, _SUMMER), YEAR)
    source = source_of(given, "scoring_log")
    source = type(source)("log", source.window, source.span)
    request = Profile("season:x", source, "x", "numeric")

    def seen() -> Any:
        with tables_of(tmp_path, log, night="2026-03-02") as opened:
            asked = {"c": [request]}
            return observe(opened, asked, model=None, suites={}, history=lambda _: [])["c"]

    write(dt.date(2026, 3, 2), 10)
    assert [name for name, _ in seen().missing()] == ["season:x"]
    write(dt.date(2025, 3, 3), 40)
    write(dt.date(2025, 2, 25), 2)
    write(dt.date(2025, 2, 24), 3)  # eight nights before: too old
    assert seen()["season:x"].n == 42
