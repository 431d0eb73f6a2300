"""Observation requests of many checks, executed together and within the query budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from nachweis.domain.errors import BudgetExceededError
from nachweis.domain.manifest import Model
from nachweis.domain.manifest.suite import Suite
from nachweis.domain.observation import (
    NO_DATA_SET,
    Artefact,
    Fit,
    GroupedCounts,
    History,
    Join,
    Observations,
    Overlap,
    PastFinding,
    Profile,
    Sample,
    Scalar,
    SchemaOf,
    Source,
    StoreProbe,
    SuiteResult,
)
from nachweis.pipeline.observe import assert_budget, observe
from tests.unit.data_worlds import data_set, memory_tables_of, parquet, tables_of

LOG, OTHER = Source("log"), Source("other")
ROWS = {
    "log": {"id": [1, 2, 3], "x": [1.0, 2.0, None], "g": ["a", "b", "a"]},
    "other": {"id": [1, 9], "y": [0, 1]},
}
SUITE = Suite.model_validate(
    {
        "id": "log",
        "data_set": "log",
        "expectations": [
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}},
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": "g", "value_set": ["a", "b"]},
            },
            {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
        ],
    }
)


def run(tables, requests, *, model=None, suites=None, history=lambda _: []):
    return observe(tables, requests, model=model, suites=suites or {}, history=history)


def everything(check: str) -> list:
    return [
        Scalar("rows", LOG, lambda t: t.count()),
        Scalar(f"only_{check}", LOG, lambda t: t.x.max()),
        GroupedCounts("groups", LOG, {"g": "g"}),
        GroupedCounts("joined", LOG, {"y": "y"}, join=Join(OTHER, ("id", "id"), (("y", "y"),))),
        Profile("x", LOG, "x"),
        Profile("g", LOG, "g"),
        SchemaOf("schema", LOG),
        Overlap("overlap", LOG, OTHER, ("id", "id"), where=lambda t: t.id > 0),
        Sample("sample", LOG, ("x",), 2),
        SuiteResult("suite", LOG, "log"),
    ]


def test_requests_of_many_checks_cost_what_one_check_costs(tmp_path: Path):
    keyed = data_set(fields={"key": "id"})
    with memory_tables_of(ROWS, tmp_path, keyed) as tables:
        seen = run(
            tables,
            {name: everything(name) for name in ("one", "two", "three")},
            suites={"log": SUITE},
        )
        queries = {
            kind: tables.log.count("log:whole", kind)
            for kind in ("aggregate", "grouped", "profile", "overlap", "sample", "window", "retry")
        }
        suite_queries = tables.log.count("log:whole", "suite")
    assert queries == {
        "aggregate": 1,
        "grouped": 2,
        "profile": 2,
        "overlap": 1,
        "sample": 1,
        "window": 1,
        "retry": 0,
    }
    assert 1 <= suite_queries <= 4
    for name in ("one", "two", "three"):
        found = seen[name]
        assert not found.missing()
        assert found["rows"] == 3
        assert found[f"only_{name}"] == 2.0
        assert found["groups"].rows == {("a",): 2, ("b",): 1}
        assert found["joined"].rows == {(0,): 1, (None,): 2}
        assert (found["x"].n, found["x"].nulls, found["g"].support.tolist()) == (3, 1, ["a", "b"])
        assert found["schema"] == {"id": "integer", "x": "number", "g": "string"}
        assert (found["overlap"].rows, found["overlap"].rows_matched) == (3, 1)
        assert len(found["sample"]["x"]) == 2
        assert [one.success for one in found["suite"].expectations] == [False, True, True]
        assert found.window(LOG).rows == 3


def test_samples_that_differ_by_size_are_read_together(tmp_path: Path):
    rows = {"log": {"id": [i // 3 for i in range(60)], "x": [float(i) for i in range(60)]}}
    wanted = [Sample(f"s{n}", LOG, ("x",), n) for n in (7, 50, 20)]
    keyed = data_set(fields={"key": "id"})
    with memory_tables_of(rows, tmp_path, keyed) as tables:
        seen = run(tables, {"check": [*wanted, Sample("other", LOG, ("x",), 7, seed=1)]})["check"]
        together = tables.log.count("log:whole", "sample")
        alone = {one.name: tables.sample(one)["x"].tolist() for one in wanted}
    assert together == 2
    assert {name: seen[name]["x"].tolist() for name in alone} == alone
    assert seen["other"]["x"].tolist() != alone["s7"]


def test_the_models_current_window_applies(tmp_path: Path):
    timed = data_set(time={"column": "at"}, columns=[{"name": "at", "type": "timestamp"}])
    rows = {"log": {"at": ["2026-03-01T10:00:00", "2026-03-02T10:00:00"]}}
    model = Model.model_validate(
        {
            "id": "model",
            "title": {"en": "Model"},
            "kind": "binary",
            "unit": "person",
            "stage": "draft",
            "owner": "owner",
            "activities": ["activity"],
            "data": {},
            "current": {"window": "P1D", "min_rows": 2, "extend_to": "P2D"},
        }
    )
    current = Source("log", "current")
    with memory_tables_of(rows, tmp_path, timed) as tables:
        seen = run(tables, {"check": [Scalar("n", current, lambda t: t.count())]}, model=model)
    assert seen["check"]["n"] == 2
    assert seen["check"].window(current).extended


def test_one_broken_source_leaves_the_others(tmp_path: Path):
    parquet(tmp_path / "other.parquet", {"id": [1]})
    sets = (data_set("log"), data_set("other"))
    requests = {
        "check": [
            Scalar("broken", LOG, lambda t: t.count()),
            GroupedCounts("groups", LOG, {"g": "g"}),
            Scalar("n", OTHER, lambda t: t.count()),
            Overlap("overlap", OTHER, LOG, ("id", "id")),
            GroupedCounts("joined", OTHER, {"y": "y"}, join=Join(LOG, ("id", "id"), (("y", "y"),))),
            GroupedCounts("plain", OTHER, {"id": "id"}),
        ]
    }
    with tables_of(tmp_path, *sets) as tables:
        seen = run(tables, requests)["check"]
    reason = "data set log, log.parquet: there is no file"
    assert dict(seen.missing()) == dict.fromkeys(("broken", "groups", "overlap", "joined"), reason)
    assert seen["n"] == 1
    assert seen["plain"].rows == {(1,): 1}


def test_one_broken_column_leaves_the_others(tmp_path: Path):
    requests = {
        "good": [
            Scalar("n", LOG, lambda t: t.count()),
            Profile("x", LOG, "x"),
            GroupedCounts("g", LOG, {"g": "g"}),
        ],
        "bad": [
            Scalar("gone", LOG, lambda t: t.gone.sum()),
            Profile("gone_profile", LOG, "gone"),
            Profile("text", LOG, "g", "numeric"),
            GroupedCounts("gone_group", LOG, {"gone": "gone"}),
            Overlap("gone_key", LOG, OTHER, ("gone", "id")),
            Sample("gone_sample", LOG, ("gone",), 1),
            SuiteResult("gone_suite", LOG, "gone"),
        ],
    }
    with memory_tables_of(ROWS, tmp_path, data_set(fields={"key": "id"})) as tables:
        seen = run(tables, requests)
    assert not seen["good"].missing()
    reasons = dict(seen["bad"].missing())
    assert set(reasons) == {request.name for request in requests["bad"]}
    assert reasons["text"] == "data set log: the column 'g' holds string data, not numbers"
    assert reasons["gone_suite"] == "there is no suite 'gone'"
    for name in ("gone", "gone_profile", "gone_group", "gone_key", "gone_sample"):
        assert "there is no column 'gone' in the data" in reasons[name]


def test_observations_without_an_engine_say_so(tmp_path: Path):
    requests = {
        "check": [
            Fit("fit", LOG, "y", ("x",), 10),
            StoreProbe("store", LOG, "records"),
        ]
    }
    with memory_tables_of(ROWS, tmp_path) as tables:
        seen = run(tables, requests)["check"]
    assert {reason for _, reason in seen.missing()} == {
        "this observation needs an engine that is not installed"
    }


def test_files_that_are_not_there_say_so(tmp_path: Path):
    requests = {"check": [Artefact("artefact", NO_DATA_SET, "model.skops")]}
    with memory_tables_of(ROWS, tmp_path) as tables:
        seen = run(tables, requests)["check"]
    assert [reason for _, reason in seen.missing()] == ["model.skops: there is no such file"]


def test_history_is_the_checks_own_and_cut_to_what_it_asked_for(tmp_path: Path):
    past = {
        "one": [PastFinding(f"2026-03-0{i}", "pass", None, None, {}) for i in (3, 2, 1)],
        "two": [],
    }
    requests = {name: [History("past", LOG, nights=2)] for name in past}
    with memory_tables_of(ROWS, tmp_path) as tables:
        seen = run(tables, requests, history=past.__getitem__)
        assert not tables.log.entries
    assert [one.night for one in seen["one"]["past"]] == ["2026-03-03", "2026-03-02"]
    assert seen["two"]["past"] == []


def test_a_check_without_requests_gets_empty_observations(tmp_path: Path):
    with memory_tables_of(ROWS, tmp_path) as tables:
        seen = run(tables, {"check": []})
    assert isinstance(seen["check"], Observations)
    assert list(seen["check"]) == []


# ---------------------------------------------------------------------------------- budget


@pytest.mark.parametrize(
    ("kind", "sent", "allowed"),
    [
        ("aggregate", 2, [Scalar("n", LOG, len)]),
        ("window", 2, [Scalar("n", LOG, len)]),
        ("grouped", 2, [GroupedCounts("a", LOG, {"g": "g"}), GroupedCounts("b", LOG, {"k": "g"})]),
        ("profile", 2, [Profile("a", LOG, "x"), Profile("b", LOG, "x")]),
        ("suite", 5, [SuiteResult("s", LOG, "log")]),
        ("overlap", 2, [Overlap("o", LOG, OTHER, ("id", "id"))]),
        ("sample", 1, [Profile("a", LOG, "x")]),
    ],
)
def test_more_queries_than_planned_are_a_programming_error(tmp_path, kind, sent, allowed):
    with memory_tables_of(ROWS, tmp_path) as tables:
        for _ in range(sent - 1):
            tables.log.add("log:whole", kind, "SELECT 1")
        if sent > 1:
            assert_budget(tables, asked_of=allowed)
        tables.log.add("log:whole", kind, "SELECT 1")
        with pytest.raises(BudgetExceededError, match=f"{sent} {kind} queries"):
            assert_budget(tables, asked_of=allowed)


def test_queries_of_earlier_subjects_do_not_count(tmp_path: Path):
    with memory_tables_of(ROWS, tmp_path) as tables:
        for _ in range(3):
            run(tables, {"check": [Scalar("n", LOG, lambda t: t.count())]})
        assert tables.log.count("log:whole", "aggregate") == 3


def test_a_query_behind_the_planners_back_is_caught(tmp_path: Path, monkeypatch):
    with memory_tables_of(ROWS, tmp_path) as tables:
        honest = tables.profiles

        def wasteful(*args):
            honest(*args)
            return honest(*args)

        monkeypatch.setattr(tables, "profiles", wasteful)
        with pytest.raises(BudgetExceededError):
            run(tables, {"check": [Profile("x", LOG, "x")]})
