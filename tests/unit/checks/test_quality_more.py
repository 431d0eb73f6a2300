"""The quality checks of a night: age, duplicates, volume, scoring, inventory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nachweis import registry
from nachweis.checks.quality.row_volume_in_expected_band import _past as past
from nachweis.checks.quality.scoring_ran import _log as log
from nachweis.checks.quality.scoring_ran import _served as served
from nachweis.domain.check import Example, ExampleTable
from nachweis.domain.disclosure import seal_finding
from nachweis.domain.errors import DataError
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole, Model
from nachweis.domain.night import Night
from nachweis.engines.artefact_folders import files_beside, folder_of
from nachweis.engines.bands import NORMAL_SCALE, expected_band
from nachweis.engines.tables import Tables
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.examples import run_example
from nachweis.pipeline.judge import judge, plan_subject
from nachweis.pipeline.observe import observe
from tests.unit.data_worlds import parquet

NIGHT = dt.datetime(2026, 3, 2)
MONDAY, SATURDAY = "2026-03-02", "2026-03-07"


def run(check: str, tables: dict[str, ExampleTable], **more: Any) -> Finding:
    (finding,) = run_example(registry.check(check), Example("a case", Outcome.PASS, tables, **more))
    return finding


def numbers(finding: Finding) -> dict[str, Any]:
    return {m.name: m.value for m in finding.measurements}


def table(role: DataSetRole = DataSetRole.TRAINING, **rows: list[Any]) -> dict[str, ExampleTable]:
    return {"rows": ExampleTable(role, rows, {"time": {"column": "at"}, "max_age": "P2D"})}


def declared(tables: dict[str, ExampleTable], **fields: Any) -> dict[str, ExampleTable]:
    return {k: replace(v, declare={**v.declare, **fields}) for k, v in tables.items()}


# ------------------------------------------------------------------------------------ freshness


@pytest.mark.parametrize(
    ("newest", "outcome"),
    [
        (dt.datetime(2026, 3, 1, 0, 0), Outcome.PASS),
        (dt.datetime(2026, 2, 28, 23, 59, 59), Outcome.FAIL),
        (dt.date(2026, 3, 1), Outcome.PASS),
        (dt.date(2026, 2, 28), Outcome.FAIL),
        (dt.datetime(2026, 2, 28, 23, 0, tzinfo=dt.UTC), Outcome.PASS),
        (dt.datetime(2026, 2, 28, 22, 59, tzinfo=dt.UTC), Outcome.FAIL),
    ],
)
def test_the_limit_is_counted_back_from_the_end_of_the_night(newest: Any, outcome: Outcome) -> None:
    assert run("data_fresh_enough", table(at=[newest])).outcome is outcome


def test_a_data_sets_own_zone_counts() -> None:
    late = table(at=[dt.datetime(2026, 2, 28, 20, 0)])
    assert run("data_fresh_enough", late).outcome is Outcome.FAIL
    in_new_york = declared(late, time={"column": "at", "zone": "America/New_York"})
    assert run("data_fresh_enough", in_new_york).outcome is Outcome.PASS


def test_rows_from_after_the_night_do_not_make_old_data_young() -> None:
    old = table(at=[dt.datetime(2026, 2, 1), dt.datetime(2026, 3, 9)])
    assert run("data_fresh_enough", old).outcome is Outcome.FAIL


def test_the_age_of_the_newest_row_is_not_published_exactly() -> None:
    finding = run("data_fresh_enough", table(at=[dt.datetime(2025, 1, 20, 5, 13, 7)]))
    assert [(m.value, m.unit) for m in finding.measurements if m.name == "age"] == [(13, "months")]
    assert "05:13" not in finding.model_dump_json()


def world_of_files(check: str, folder: Path, **declare: Any) -> tuple[Any, Subject]:
    """A scoring log in files, one per night."""
    rows = ExampleTable(DataSetRole.SCORING_LOG, {"at": [NIGHT]}, {"time": {"column": "at"}})
    kind = registry.check(check)
    world = example_world(kind, Example("files", Outcome.PASS, {"scoring_log": rows}))
    (data_set,) = world.data_sets.values()
    data_set = data_set.model_copy(update={"location": "log/{date}.parquet", **declare})
    world = world.model_copy(update={"data_sets": {data_set.id: data_set}})
    about = "model" if kind.subject is SubjectKind.MODEL else data_set.id
    return world, Subject(kind=kind.subject, id=about)


def night_of_files(check: str, folder: Path, night: str = MONDAY) -> Finding:
    kind = registry.check(check)
    world, subject = world_of_files(check, folder)
    tonight = Night.parse(night, "Europe/Berlin")
    plan = plan_subject(world, subject, tonight, [kind])
    with Tables(
        world, dict.fromkeys(world.data_sets, folder), tonight, cache=folder / "cache", threads=1
    ) as tables:
        seen = observe(
            tables,
            plan.requests,
            model=world.models["model"],
            suites={},
            history=lambda *_: list(past(*[100] * 9)),
        )
    (finding,) = judge(world, subject, tonight, plan, seen)
    return finding


NIGHTLY = ("data_fresh_enough", "row_volume_in_expected_band", "scoring_ran")


@pytest.mark.parametrize("check", NIGHTLY)
def test_a_night_that_was_not_delivered_fails(check: str, tmp_path: Path) -> None:
    parquet(tmp_path / "log" / "2026-03-01.parquet", {"at": [NIGHT]})
    finding = night_of_files(check, tmp_path)
    assert finding.outcome is Outcome.FAIL
    assert "delivered" in finding.explanation


@pytest.mark.parametrize("check", NIGHTLY)
def test_a_file_that_cannot_be_read_is_not_called_absent(check: str, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "2026-03-02.parquet").write_bytes(b"PAR1 cut")
    finding = night_of_files(check, tmp_path)
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "cut off" in finding.explanation


# ----------------------------------------------------------------------------------- duplicates


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=8))
def test_duplicates_are_rows_beyond_the_first_of_each_key(keys: list[str | None]) -> None:
    given_ = {"rows": ExampleTable(DataSetRole.TRAINING, {"k": keys}, {"fields": {"key": "k"}})}
    known = [key for key in keys if key is not None]
    finding = run("duplicates_absent", given_)
    if not known:
        assert finding.outcome is Outcome.NOT_AVAILABLE
        return
    assert numbers(finding)["duplicate_rows"] == len(known) - len(set(known))
    assert (finding.outcome is Outcome.PASS) is (len(known) == len(set(known)))


def test_persons_and_times_are_not_glued_into_one_text_wrongly() -> None:
    rows = {"person": ["1", "1|2026-03-02 00:00:00"], "at": [NIGHT, NIGHT]}
    declare = {"subject_key": {"column": "person"}, "time": {"column": "at"}}
    given_ = {"rows": ExampleTable(DataSetRole.TRAINING, rows, declare)}
    assert run("duplicates_absent", given_).outcome is Outcome.PASS


def test_a_declared_share_of_duplicates_may_be() -> None:
    rows = {"k": [*map(str, range(95)), *["0"] * 5]}
    given_ = {"rows": ExampleTable(DataSetRole.TRAINING, rows, {"fields": {"key": "k"}})}
    assert run("duplicates_absent", given_).outcome is Outcome.FAIL
    allowed = run("duplicates_absent", given_, params={"max_share": 0.05})
    assert allowed.outcome is Outcome.PASS


# --------------------------------------------------------------------------------------- volume


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40))
@settings(max_examples=40)
def test_the_band_holds_its_median_and_at_least_the_factor(counts: list[int]) -> None:
    band = expected_band(counts, 8.0, 2.0)
    assert band.holds(band.median)
    assert band.holds(band.median * 1.99)
    assert band.holds(band.median / 1.99)
    assert 0 <= band.low <= band.median / 2 * (1 + 1e-9)


@given(st.lists(st.integers(10, 10**6), min_size=3, max_size=20), st.integers(2, 1000))
@settings(max_examples=40)
def test_the_band_does_not_depend_on_the_unit(counts: list[int], times: int) -> None:
    one, other = (expected_band([n * by for n in counts], 8.0, 2.0) for by in (1, times))
    assert other.low / one.low == pytest.approx(times)
    assert other.high / one.high == pytest.approx(times)


def test_the_spread_is_scipys_median_absolute_deviation() -> None:
    counts = np.random.default_rng(1).integers(10, 10_000, 25)
    band = expected_band([int(n) for n in counts], 6.0, 1.01)
    mad = stats.median_abs_deviation(np.log(counts), scale="normal")
    assert np.log(band.high / band.median) == pytest.approx(6 * mad, rel=1e-9)
    assert pytest.approx(1 / stats.norm.ppf(0.75), abs=1e-12) == NORMAL_SCALE


def rows_of(n: int, night: str = MONDAY) -> dict[str, ExampleTable]:
    day = dt.datetime.fromisoformat(night)
    at = [day + dt.timedelta(hours=5)] * n + [dt.datetime(2020, 1, 1)]
    return {"log": ExampleTable(DataSetRole.SCORING_LOG, {"at": at}, {"time": {"column": "at"}})}


def volume(n: int, history: Any, night: str = MONDAY) -> Finding:
    return run("row_volume_in_expected_band", rows_of(n, night), history=history, night=night)


def test_half_is_the_limit_where_nights_are_alike() -> None:
    usual = past(*[100] * 9)
    assert volume(51, usual).outcome is Outcome.PASS
    assert volume(49, usual).outcome is Outcome.FAIL
    assert volume(0, usual).outcome is Outcome.FAIL


def test_weekends_are_compared_with_weekends() -> None:
    weekend = past(*[30] * 9, weekdays_only=False)
    assert volume(30, weekend, SATURDAY).outcome is Outcome.PASS
    assert volume(100, weekend, SATURDAY).outcome is Outcome.FAIL
    assert volume(100, past(*[100] * 9), SATURDAY).outcome is Outcome.NOT_AVAILABLE


def test_a_night_without_verdict_still_tells_its_rows_to_later_nights() -> None:
    finding = volume(40, ())
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert numbers(seal_finding(finding))["rows"] == 40


def test_the_night_itself_and_later_ones_are_no_history() -> None:
    usual = past(*[100] * 9)
    again = [replace(one, night="2026-03-02") for one in usual]
    assert volume(40, again).outcome is Outcome.NOT_AVAILABLE
    assert volume(100, [*usual, *again]).scope.startswith("the night against 9 signed nights")


def test_counts_that_were_published_as_a_band_are_too_few_to_judge_by() -> None:
    small = tuple(replace(one, values={"rows": "1-9"}) for one in past(*[5] * 9))
    assert volume(90, small).outcome is Outcome.NOT_AVAILABLE


def test_clean_nights_leave_the_band_less_than_once_in_two_hundred() -> None:
    generator = np.random.default_rng(5)
    for spread in (0.1, 0.3, 0.6):
        logs = generator.normal(7, spread, (1500, 9))
        left = 0
        for counts in np.exp(logs):
            left += not expected_band(list(counts[1:]), 8.0, 2.0).holds(counts[0])
        assert left / len(logs) < 1 / 200, spread


# -------------------------------------------------------------------------------------- scoring


def versions(*declared: tuple[str, float, str, str | None]) -> dict[str, Any]:
    return {
        "versions": [
            {"version": name, "traffic_share": share, "live_from": begun, "live_to": ended}
            for name, share, begun, ended in declared
        ]
    }


LONG_AGO = "2026-01-01T00:00:00+01:00"
AT_SIX = "2026-03-02T06:00:00+01:00"


def test_on_the_night_of_a_change_both_versions_may_score() -> None:
    changed = versions(("1", 1, LONG_AGO, AT_SIX), ("2", 1, AT_SIX, None))
    for tables in (log(v1=40, v2=60), log(v1=100), log(v2=100)):
        assert run("scoring_ran", tables, model=changed).outcome is Outcome.PASS


def test_the_night_after_the_change_the_old_version_may_not() -> None:
    switched = "2026-03-01T23:00:00+01:00"
    changed = versions(("1", 1, LONG_AGO, switched), ("2", 1, switched, None))
    finding = run("scoring_ran", log(v1=1, v2=60), model=changed)
    assert finding.outcome is Outcome.FAIL
    assert numbers(finding)["rows_of_versions_not_live"] == 1


def test_a_version_without_traffic_need_not_score() -> None:
    both = versions(("1", 1, LONG_AGO, None), ("2", 0, LONG_AGO, None))
    assert run("scoring_ran", log(v1=50), model=both).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (8, 12, Outcome.PASS),  # 40 % of twenty rows may be chance
        (90, 110, Outcome.PASS),
        (400, 600, Outcome.PASS),  # the interval reaches the limit
        (350, 650, Outcome.FAIL),
    ],
)
def test_shares_fail_only_where_chance_cannot_explain_them(
    first: int, second: int, outcome: Outcome
) -> None:
    split = served(v1=0.5, v2=0.5)
    assert run("scoring_ran", log(v1=first, v2=second), model=split).outcome is outcome


def test_shares_need_not_sum_to_one() -> None:
    assert run("scoring_ran", log(v1=75, v2=25), model=served(v1=0.6, v2=0.2)).outcome is (
        Outcome.PASS
    )


def test_a_model_that_rests_at_the_weekend_may_rest() -> None:
    empty = log(v1=1)  # on Monday, the night is a Saturday
    assert run("scoring_ran", empty, night=SATURDAY).outcome is Outcome.FAIL
    resting = {"days": "monday_to_friday"}
    assert run("scoring_ran", empty, night=SATURDAY, params=resting).outcome is Outcome.PASS
    assert run("scoring_ran", empty, night="2026-03-03", params=resting).outcome is Outcome.FAIL


def test_dialogues_are_a_log_too() -> None:
    chats = {"dialogues": replace(log(v1=5)["scoring_log"], role=DataSetRole.DIALOGUES)}
    assert run("scoring_ran", chats, model=served(v1=1)).outcome is Outcome.PASS


# ------------------------------------------------------------------------------------ inventory


def test_a_name_that_nobody_declared_is_counted_and_not_told() -> None:
    tables = log(v1=30, vsecret_test=12)
    finding = run("inventory_complete", tables, model=served(v1=1))
    assert finding.outcome is Outcome.FAIL
    assert finding.severity is Severity.HIGH
    assert numbers(finding)["undeclared_versions"] == 1
    assert numbers(seal_finding(finding))["rows_of_undeclared_versions"] == 10
    assert "secret_test" not in finding.model_dump_json()


def artefacts(name: str, uri: str) -> Model:
    world = example_world(
        registry.check("inventory_complete"), Example("m", Outcome.PASS, log(v1=1))
    )
    version = {"version": "1", "live_from": LONG_AGO, "artefact": {"uri": uri}}
    fields = world.models["model"].model_dump() | {"id": name, "versions": [version]}
    return Model.model_validate(fields)


def stored(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def inventory(
    folder: Path,
    model: str = "a",
    other: str = "models/b.skops",
    stores: Sequence[str] = (),
    first: str = "models/a.skops",
    **of_first: Any,
) -> Finding:
    kind = registry.check("inventory_complete")
    world = example_world(kind, Example("files", Outcome.PASS, log(v1=1)))
    a = artefacts("a", first)
    a = Model.model_validate(a.model_dump() | of_first)
    models = {"a": a, "b": artefacts("b", other)}
    policy = world.policy.model_copy(update={"model_stores": list(stores)})
    world = world.model_copy(update={"models": models, "policy": policy})
    night, subject = Night.parse(MONDAY, "Europe/Berlin"), Subject(kind=kind.subject, id=model)
    plan = plan_subject(world, subject, night, [kind])
    parquet(folder / "log.parquet", {"version": ["1"], "at": [dt.datetime(2026, 3, 2, 5)]})
    (data_set,) = world.data_sets.values()
    sets = {data_set.id: data_set.model_copy(update={"location": "log.parquet"})}
    world = world.model_copy(update={"data_sets": sets})
    bases = dict.fromkeys(sets, folder)
    with Tables(world, bases, night, cache=folder / "cache", threads=1) as tables:
        seen = observe(tables, plan.requests, model=models[model], suites={}, history=lambda *_: [])
    (finding,) = judge(world, subject, night, plan, seen)
    return finding


def test_declared_artefacts_and_other_files_are_in_order(tmp_path: Path) -> None:
    stored(tmp_path, "a.skops", "b.skops", "readme.md", ".hidden.pkl")
    finding = inventory(tmp_path)
    assert finding.outcome is Outcome.PASS
    assert "folders of artefacts" in finding.scope


def test_a_stored_model_that_nobody_declared_is_told_by_its_digest(tmp_path: Path) -> None:
    from hashlib import sha256

    stored(tmp_path, "a.skops", "b.skops", "shadow.pkl")
    finding = inventory(tmp_path)
    assert finding.outcome is Outcome.FAIL
    assert numbers(finding)["undeclared_artefacts"] == 1
    assert numbers(finding)["undeclared_artefact_1"] == sha256(b"shadow.pkl").hexdigest()
    assert "shadow" not in finding.model_dump_json()


def test_a_shared_folder_is_told_of_once(tmp_path: Path) -> None:
    stored(tmp_path, "a.skops", "b.skops", "shadow.pkl")
    assert inventory(tmp_path, "a").outcome is Outcome.FAIL
    assert inventory(tmp_path, "b").outcome is Outcome.PASS


def test_a_folder_that_is_not_there_is_not_called_in_order(tmp_path: Path) -> None:
    finding = inventory(tmp_path)
    assert finding.outcome is Outcome.PASS  # by its log
    assert "Not looked at" in finding.explanation
    assert "folders" not in finding.scope


def test_a_store_of_models_is_looked_through_with_all_that_lies_below(tmp_path: Path) -> None:
    """One folder per model and version is the usual form; a shadow model has its own."""
    stored(tmp_path, "a.skops", "b/2/b.skops", "shadow/1/model.pt", "shadow/1/readme.md")
    declared = "models/b/2/b.skops"
    assert inventory(tmp_path, other=declared).outcome is Outcome.PASS
    finding = inventory(tmp_path, other=declared, stores=["models/"])
    assert finding.outcome is Outcome.FAIL
    assert numbers(finding)["undeclared_artefacts"] == 1
    assert "1 stores of models" in finding.scope
    assert inventory(tmp_path, "b", declared, ["models"]).outcome is Outcome.PASS  # told once
    (tmp_path / "models" / "shadow" / "1" / "model.pt").unlink()
    assert inventory(tmp_path, other=declared, stores=["models"]).outcome is Outcome.PASS


OUT_OF_USE: list[dict[str, Any]] = [
    {"stage": "retired"},
    {"checks": {"inventory_complete": {"not_applicable": {"reason": {"en": "Test"}}}}},
    {"data": {}},
]


@pytest.mark.parametrize("of_first", OUT_OF_USE)
def test_stores_and_shared_folders_are_not_left_to_a_model_that_nobody_looks_at(
    tmp_path: Path, of_first: dict[str, Any]
) -> None:
    stored(tmp_path, "a.skops", "b.skops", "shadow/1/model.pt")
    finding = inventory(tmp_path, "b", stores=["models"], **of_first)
    assert finding.outcome is Outcome.FAIL
    assert numbers(finding)["undeclared_artefacts"] == 1  # a's own artefact stays declared
    (tmp_path / "models" / "shadow" / "1" / "model.pt").rename(tmp_path / "models" / "c.pt")
    assert inventory(tmp_path, "b", **of_first).outcome is Outcome.FAIL
    assert inventory(tmp_path, "b").outcome is Outcome.PASS  # told with a


def test_a_store_that_cannot_be_listed_is_not_called_in_order(tmp_path: Path) -> None:
    stored(tmp_path, "a.skops", "b.skops")
    finding = inventory(tmp_path, stores=["modells"])
    assert finding.outcome is Outcome.NOT_AVAILABLE
    assert "Not looked at: modells" in finding.explanation
    assert "model_stores" in finding.declare
    assert "1 folders of artefacts" in finding.scope
    assert "stores of models" not in finding.scope
    stored(tmp_path, "shadow/model.pt")
    found = inventory(tmp_path, stores=["modells", "models"])
    assert found.outcome is Outcome.FAIL  # what another store holds is told all the same
    assert "Not looked at: modells" in found.explanation
    assert "1 stores of models" in found.scope


def test_a_missing_folder_of_artefacts_does_not_hide_a_store(tmp_path: Path) -> None:
    stored(tmp_path, "b.skops", "shadow/model.pt")
    finding = inventory(tmp_path, first="gone/a.skops", stores=["models"])
    assert finding.outcome is Outcome.FAIL
    assert numbers(finding)["undeclared_artefacts"] == 1


@pytest.mark.parametrize("artefact", ["models/a.skops", "./models/../models/a.skops", "{}/a.skops"])
@pytest.mark.parametrize("store", ["models/", "{}", "models/../models", "link"])
def test_an_artefact_is_known_however_its_folder_is_written(
    tmp_path: Path, artefact: str, store: str
) -> None:
    stored(tmp_path, "a.skops", "b.skops")
    (tmp_path / "link").symlink_to(tmp_path / "models")
    place = tmp_path / "models"
    first, stores = artefact.format(place), [store.format(place), "models"]
    assert inventory(tmp_path, first=first, stores=stores).outcome is Outcome.PASS
    stored(tmp_path, "shadow.pkl")
    (place / "alias.pkl").symlink_to(place / "a.skops")  # a name that nobody declared
    finding = inventory(tmp_path, first=first, stores=stores)
    assert finding.outcome is Outcome.FAIL
    assert numbers(finding)["undeclared_artefacts"] == 2  # each once


def test_a_store_in_s3_is_listed_with_everything_below() -> None:
    asked = []

    def lister(pattern: str) -> list[tuple[str, str, str]]:
        asked.append(pattern)
        return [("s3://b/m/shadow/1/model.pt", "1", "tag")]

    found = files_beside([], Path(), Path(), lister, below=["s3://b/m/"])
    assert asked == ["s3://b/m/**"]
    assert [file.uri for file in found] == ["s3://b/m/shadow/1/model.pt"]


def test_folders_of_artefacts() -> None:
    assert folder_of("models/a.skops") == "models"
    assert folder_of("s3://bucket/models/a.skops") == "s3://bucket/models"
    assert folder_of("https://service.example/v1") is None
    listed = [("s3://b/m/a.onnx", "1", "abc"), ("s3://b/m/notes.txt", "1", "def")]
    found = files_beside(["s3://b/m"], Path(), Path(), lambda pattern: listed)
    assert [(file.uri, file.digest) for file in found] == [("s3://b/m/a.onnx", "abc")]
    with pytest.raises(DataError):
        files_beside(["s3://b/m"], Path(), Path(), None)


def test_a_log_whose_rows_name_no_version_is_not_in_order() -> None:
    check = registry.check("inventory_complete")
    example = next(one for one in check.examples if one.outcome is Outcome.PASS)
    table = example.tables["dialogues"]
    rows = {**table.rows, "version": [None] * 3}
    (found,) = run_example(check, replace(example, tables={"dialogues": replace(table, rows=rows)}))
    assert found.outcome is Outcome.NOT_AVAILABLE
    assert "names a version" in found.explanation


def test_rows_without_an_identity_are_counted_beside_the_others() -> None:
    check = registry.check("duplicates_absent")
    (found,) = run_example(check, check.examples[0])
    assert numbers(found)["rows_without_identity"] == 1
