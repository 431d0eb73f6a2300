"""What a suite run promises beside its verdicts: few statements, no values, honest errors."""

from __future__ import annotations

import dataclasses
import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import ibis  # noqa: TID253
import pandas as pd  # noqa: TID253
import pyarrow as pa
import pytest

from nachweis.domain.errors import DataError
from nachweis.domain.manifest.suite import Suite
from nachweis.domain.observation import ExpectationOutcome, SuiteOutcome
from nachweis.engines.expectations import check_suite, known_types, suite_digest, validate
from tests.unit.test_expectations_parity import CASES, FRAME, LIKE_CASES


def suite(*rules: tuple[str, dict[str, Any]]) -> Suite:
    return Suite(
        id="rules",
        data_set="people",
        expectations=[{"type": kind, "kwargs": kwargs} for kind, kwargs in rules],
    )


def loaded(frame: pd.DataFrame, view: str = "people") -> Any:
    backend = ibis.duckdb.connect()
    backend.con.register("arrow", pa.Table.from_pandas(frame, preserve_index=False))
    backend.con.execute("CREATE TABLE people_rows AS SELECT * FROM arrow")
    backend.con.execute(f'CREATE TEMP VIEW "{view}" AS SELECT * FROM people_rows')
    return backend


def run(
    backend: Any, *rules: tuple[str, dict[str, Any]], view: str = "people"
) -> tuple[SuiteOutcome, list[str]]:
    statements: list[str] = []
    relation = backend.table(view)
    return validate(backend, relation, view, suite(*rules), on_query=statements.append), statements


def all_rules() -> list[tuple[str, dict[str, Any]]]:
    rules = [(kind, kwargs) for kind, both in CASES.items() for kwargs in (*both[0], *both[1])]
    return rules + [(kind, kwargs) for kind, kwargs, _ in LIKE_CASES]


# ----------------------------------------------------------------------------------- statements


def test_thirty_rules_over_thirty_columns_take_one_statement() -> None:
    frame = pd.DataFrame({f"c{i}": range(20) for i in range(30)})
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("expect_column_values_to_be_between", {"min_value": 0, "max_value": 19}),
        ("expect_column_values_to_be_unique", {}),
        ("expect_column_values_to_not_be_null", {}),
        ("expect_column_values_to_be_in_set", {"value_set": list(range(20))}),
        ("expect_column_mean_to_be_between", {"min_value": 9, "max_value": 10}),
        ("expect_column_median_to_be_between", {"min_value": 9, "max_value": 10}),
    ]
    rules = [(kinds[i % 6][0], {"column": f"c{i}", **kinds[i % 6][1]}) for i in range(30)]
    outcome, statements = run(loaded(frame), *rules)
    assert all(o.success and o.engine == "duckdb" for o in outcome.expectations)
    assert len(statements) == 1
    assert outcome.rows == 20


def test_all_types_at_once_stay_within_four_statements() -> None:
    outcome, statements = run(loaded(FRAME), *all_rules())
    assert len(statements) <= 4
    assert not [o for o in outcome.expectations if o.error_type]
    alone = [run(loaded(FRAME), rule)[0].expectations[0] for rule in all_rules()[::13]]
    together = [dataclasses.replace(o, index=0) for o in outcome.expectations[::13]]
    assert together == alone


def test_rules_that_duckdb_refuses_do_not_cost_the_others_their_verdict() -> None:
    outcome, statements = run(
        loaded(FRAME),
        ("expect_column_values_to_be_in_set", {"column": "n", "value_set": [1, 2, 3]}),
        ("expect_column_mean_to_be_between", {"column": "s", "min_value": 1}),
        ("expect_column_sum_to_be_between", {"column": "t", "min_value": 1}),
        ("expect_column_values_to_match_regex", {"column": "s", "regex": "(?=a)"}),
        ("expect_column_values_to_be_between", {"column": "gone", "min_value": 1}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        (
            "expect_column_value_z_scores_to_be_less_than",
            {"column": "x", "threshold": 3, "double_sided": True},
        ),
    )
    successes = [o.success for o in outcome.expectations]
    assert successes == [False, None, None, False, None, True, True]
    assert [o.engine for o in outcome.expectations] == [
        "duckdb", "pandas", "pandas", "pandas", "duckdb", "duckdb", "duckdb",
    ]  # fmt: skip
    assert outcome.expectations[0].unexpected_count == 6
    assert len(statements) <= 4


def test_only_columns_of_the_rule_leave_duckdb() -> None:
    _, statements = run(
        loaded(FRAME),
        ("expect_column_values_to_be_increasing", {"column": "id"}),
        (
            "expect_column_values_to_be_json_parseable",
            {
                "column": "js",
                "row_condition": {"type": "nullity", "column": {"name": "d"}, "is_null": False},
            },
        ),
    )
    assert statements[-1] == 'SELECT "d", "id", "js" FROM "people__expectations"'


def test_statements_carry_no_values_of_the_rules() -> None:
    _, statements = run(
        loaded(FRAME),
        ("expect_column_values_to_be_in_set", {"column": "s", "value_set": ["a1", "secret"]}),
        ("expect_column_values_to_match_regex", {"column": "s", "regex": "secret"}),
    )
    assert statements
    assert "secret" not in "".join(statements)


# -------------------------------------------------------------------------------------- leaks

EMAIL = "erika.mustermann@example.org"
PHONE = 4915112345678


def _planted() -> pd.DataFrame:
    frame = FRAME.copy()
    for name in ("s", "t", "word", "day", "js"):
        frame[name] = [EMAIL, f"+{PHONE}", None, EMAIL, *[f"{EMAIL}{i}" for i in range(8)]]
    for name in ("n", "one"):
        frame[name] = [PHONE + i for i in range(12)]
    for name in ("x", "y", "rest"):
        frame[name] = [float(PHONE), math.nan, *[PHONE + 0.5 + i for i in range(10)]]
    return frame


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule[0].removeprefix("expect_"))
def test_no_value_of_the_data_leaves(
    rule: tuple[str, dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.DEBUG)
    outcome, statements = run(loaded(_planted()), rule)
    captured = capsys.readouterr()
    left = [
        repr(outcome), *statements, caplog.text, captured.out, captured.err,
        *(str(warning.message) for warning in recwarn.list),
    ]  # fmt: skip
    for text in left:
        assert "mustermann" not in text
        assert str(PHONE)[:8] not in text
        assert f"{PHONE:,}"[:9] not in text


@pytest.mark.parametrize(
    "rule",
    [
        ("expect_column_values_to_be_between", {"column": "s", "min_value": 1, "max_value": 2}),
        ("expect_column_mean_to_be_between", {"column": "s", "min_value": 1}),
        ("expect_column_median_to_be_between", {"column": "s", "min_value": 1}),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["s", "n"], "sum_total": 1}),
        ("expect_column_values_to_not_be_outliers", {"column": "s", "method": "iqr"}),
        ("expect_column_max_to_be_between", {"column": "s", "min_value": 1}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "s", "column_B": "n"}),
        (
            "expect_column_values_to_be_between",
            {
                "column": "x",
                "min_value": 1,
                "row_condition": 'col("s") > 5',
                "condition_parser": "great_expectations",
            },
        ),
        (
            "expect_column_quantile_values_to_be_between",
            {"column": "s", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}},
        ),
    ],
    ids=lambda rule: rule[0].removeprefix("expect_"),
)
def test_an_error_that_quotes_a_value_leaves_its_class_only(
    rule: tuple[str, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcome, _ = run(loaded(_planted()), rule)
    assert outcome.expectations[0].success is None
    assert (outcome.expectations[0].error_type or "").isidentifier()
    assert "mustermann" not in repr(outcome) + caplog.text


def test_outcomes_hold_nothing_but_the_projection() -> None:
    outcome, _ = run(loaded(FRAME), *all_rules())
    texts = set(known_types()) | set(FRAME.columns) | {"gone"} | {"duckdb", "pandas", "critical"}
    for found in outcome.expectations:
        assert type(found) is ExpectationOutcome
        for name, value in dataclasses.asdict(found).items():
            if isinstance(value, str) and name != "kwargs_digest":
                assert set(value.split(",")) <= texts | {""}
            else:
                assert value is None or type(value) in {bool, int, str}


def test_minima_and_values_are_never_observed() -> None:
    outcome, _ = run(
        loaded(FRAME),
        ("expect_column_min_to_be_between", {"column": "n", "min_value": 0}),
        ("expect_column_most_common_value_to_be_in_set", {"column": "n", "value_set": [3]}),
        ("expect_table_row_count_to_equal", {"value": 12}),
        ("expect_table_column_count_to_equal", {"value": 14}),
    )
    assert [o.observed for o in outcome.expectations] == [None, None, 12, 14]


# ---------------------------------------------------------------------------------- odd inputs


def test_nan_is_a_missing_value() -> None:
    backend = ibis.duckdb.connect()
    backend.con.execute(
        "CREATE TEMP VIEW people AS SELECT unnest([1.0, 'nan'::DOUBLE, NULL, 9.0]) AS x"
    )
    outcome, _ = run(
        backend,
        ("expect_column_values_to_be_between", {"column": "x", "max_value": 5}),
        ("expect_column_values_to_not_be_null", {"column": "x"}),
    )
    between, not_null = outcome.expectations
    assert (between.unexpected_count, between.missing_count) == (1, 2)
    assert not_null.unexpected_count == 2


def test_an_empty_window_meets_row_rules_and_fails_aggregates() -> None:
    outcome, _ = run(
        loaded(FRAME.iloc[:0].astype({"x": "float64", "s": "str"})),
        ("expect_column_values_to_be_between", {"column": "x", "min_value": 1}),
        ("expect_column_values_to_be_unique", {"column": "s"}),
        ("expect_column_mean_to_be_between", {"column": "x", "min_value": 1}),
        ("expect_table_row_count_to_be_between", {"min_value": 1}),
    )
    assert [o.success for o in outcome.expectations] == [True, True, False, False]
    assert [o.unexpected_count for o in outcome.expectations[:2]] == [0, 0]
    assert outcome.rows == 0


def test_names_of_columns_and_views_may_be_anything() -> None:
    awkward = {"Select": [1, 2], 'a "b" c': ["x", "y"], "ünï çode": [0.5, 1.5], "a,b;--": [1, 1]}
    outcome, _ = run(
        loaded(pd.DataFrame(awkward), view="Order by 1"),
        ("expect_column_values_to_be_unique", {"column": "Select"}),
        ("expect_column_values_to_be_in_set", {"column": 'a "b" c', "value_set": ["x"]}),
        ("expect_column_values_to_be_between", {"column": "ünï çode", "max_value": 1}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a,b;--", "Select"]}),
        ("expect_column_values_to_be_increasing", {"column": 'a "b" c'}),
        view="Order by 1",
    )
    assert [o.success for o in outcome.expectations] == [True, False, False, True, None]


@pytest.mark.parametrize(
    ("sql", "rule", "success"),
    [
        (
            "SELECT TIMESTAMPTZ '2024-01-01 12:00:00+00' AS v",
            {"min_value": "2024-01-01T11:00:00+00:00"},
            True,
        ),
        (
            "SELECT TIMESTAMPTZ '2024-01-01 12:00:00+00' AS v",
            {"min_value": "2024-01-01T11:00:00"},
            None,
        ),
        ("SELECT 1.5::DECIMAL(10, 2) AS v", {"max_value": 1.4}, False),
        ("SELECT true AS v", {"min_value": 1}, True),
        ("SELECT 170141183460469231731687303715884105727::HUGEINT AS v", {"min_value": 1}, True),
        ("SELECT 'inf'::DOUBLE AS v", {"max_value": 1}, False),
    ],
)
def test_bounds_of_other_types(sql: str, rule: dict[str, Any], success: bool | None) -> None:
    backend = ibis.duckdb.connect()
    backend.con.execute(f"CREATE TEMP VIEW people AS {sql}")
    outcome, _ = run(backend, ("expect_column_values_to_be_between", {"column": "v", **rule}))
    assert outcome.expectations[0].success is success


def test_enums_and_uuids_are_texts() -> None:
    backend = ibis.duckdb.connect()
    backend.con.execute("CREATE TYPE colour AS ENUM ('red', 'blue')")
    backend.con.execute(
        "CREATE TEMP VIEW people AS SELECT 'red'::colour AS e,"
        " '00000000-0000-0000-0000-000000000001'::UUID AS u, [1, 2] AS l, {'a': 1} AS s"
    )
    outcome, _ = run(
        backend,
        ("expect_column_values_to_be_in_set", {"column": "e", "value_set": ["red"]}),
        (
            "expect_column_values_to_be_in_set",
            {"column": "u", "value_set": ["00000000-0000-0000-0000-000000000001"]},
        ),
        ("expect_column_values_to_not_be_null", {"column": "l"}),
        ("expect_column_values_to_be_unique", {"column": "s"}),
    )
    assert [(o.success, o.engine) for o in outcome.expectations] == [(True, "duckdb")] * 4


def _parquet(path: Path) -> tuple[Any, Any]:
    pd.DataFrame({"x": range(200_000)}).to_parquet(path, row_group_size=1000)
    backend = ibis.duckdb.connect()
    backend.con.execute(f"CREATE TEMP VIEW people AS SELECT * FROM read_parquet('{path}')")
    return backend, backend.table("people")


TWO_RULES = suite(
    ("expect_column_values_to_be_between", {"column": "x", "min_value": 1}),
    ("expect_column_values_to_be_unique", {"column": "x"}),
)


def test_a_truncated_file_is_a_data_error_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    backend, relation = _parquet(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError) as caught:
        validate(backend, relation, "people", TWO_RULES, on_query=lambda _: None)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.__cause__ is None


def test_damaged_pages_are_an_error_of_every_rule(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    backend, relation = _parquet(path)
    content = bytearray(path.read_bytes())
    content[4:100_000] = bytes(99_996)
    path.write_bytes(content)
    statements: list[str] = []
    outcome = validate(backend, relation, "people", TWO_RULES, on_query=statements.append)
    assert [o.success for o in outcome.expectations] == [None, None]
    assert all((o.error_type or "").isidentifier() for o in outcome.expectations)
    assert 1 <= len(statements) <= 4


def test_the_connection_and_its_views_stay() -> None:
    backend = loaded(FRAME)
    run(backend, ("expect_column_values_to_be_unique", {"column": "id"}))
    run(backend, ("expect_column_values_to_be_increasing", {"column": "id"}))
    views = backend.con.execute("SELECT view_name FROM duckdb_views() WHERE temporary").fetchall()
    assert ("people",) in views
    assert not [name for (name,) in views if "expectations" in name]
    assert backend.table("people").count().execute() == 12


def test_a_run_leaves_no_project_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(loaded(FRAME), ("expect_column_values_to_be_unique", {"column": "id"}))
    assert list(tmp_path.iterdir()) == []


def test_great_expectations_is_imported_when_it_is_needed() -> None:
    code = "import sys, nachweis.engines.expectations; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---------------------------------------------------------------------------------------- lint


def test_a_sound_suite_has_no_problems() -> None:
    assert check_suite(suite(*all_rules()[:40])) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            ("expect_column_values_to_be_unqiue", {"column": "id"}),
            ["unknown", "expect_column_values_to_be_unique"],
        ),
        (("expect_column_values_to_be_unique", {"colum": "id"}), ["colum", "column"]),
        (("expect_column_values_to_be_unique", {"column": "id", "mostly": 2}), ["mostly"]),
        (
            ("expect_column_values_to_be_between", {"column": "id", "min_value": "low"}),
            ["min_value"],
        ),
        (
            ("expect_column_values_to_be_unique", {"column": "id", "result_format": "COMPLETE"}),
            ["result_format"],
        ),
        (
            (
                "expect_column_values_to_be_in_set",
                {"column": "id", "value_set": {"$PARAMETER": "x"}},
            ),
            ["value_set", "parameter"],
        ),
        (
            ("expect_column_values_to_match_regex", {"column": "id", "regex": "(?<=a)b"}),
            ["regex", "RE2"],
        ),
        (
            (
                "expect_column_values_to_match_regex_list",
                {"column": "id", "regex_list": ["a", "("]},
            ),
            ["regex_list", "RE2"],
        ),
        (
            ("expect_multicolumn_values_to_be_unique", {"column_list": ["a", "b"]}),
            ["not allowed", "within_record"],
        ),
        (
            (
                "expect_query_results_to_match_comparison",
                {
                    "base_query": "SELECT 1",
                    "comparison_data_source_name": "b",
                    "comparison_query": "SELECT 1",
                },
            ),
            ["not allowed"],
        ),
    ],
    ids=lambda value: value[0].removeprefix("expect_") if isinstance(value, tuple) else "",
)
def test_a_broken_rule_is_named_with_its_place(
    rule: tuple[str, dict[str, Any]], words: list[str]
) -> None:
    problems = check_suite(suite(("expect_column_to_exist", {"column": "id"}), rule))
    assert problems
    for problem in problems:
        assert problem.startswith(f"expectations[1] ({rule[0]}): ")
    for word in words:
        assert word in " ".join(problems)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (("expect_nothing", {}), "UnknownExpectation"),
        (("expect_query_results_to_match_comparison", {}), "UnknownExpectation"),
        (("expect_column_values_to_be_unique", {"colum": "id"}), "InvalidArguments"),
        (("expect_column_values_to_be_unique", {"column": "id", "meta": {}}), "InvalidArguments"),
    ],
)
def test_a_broken_rule_is_an_error_and_not_a_failure(
    rule: tuple[str, dict[str, Any]], error: str
) -> None:
    outcome, _ = run(loaded(FRAME), rule, ("expect_column_values_to_be_unique", {"column": "id"}))
    broken, sound = outcome.expectations
    assert (broken.success, broken.error_type) == (None, error)
    assert sound.success is True


def test_the_digest_depends_on_what_is_demanded_and_nothing_else() -> None:
    rule = {"type": "expect_column_to_exist", "kwargs": {"column": "id"}}
    plain = Suite(id="rules", data_set="people", expectations=[rule])
    titled = Suite(
        id="rules", data_set="people", title={"en": "Rules"}, expectations=[{**rule, "note": "why"}]
    )
    assert suite_digest(plain) == suite_digest(titled)
    for changed in ({"kwargs": {"column": "x"}}, {"severity": "info"}):
        other = Suite(id="rules", data_set="people", expectations=[{**rule, **changed}])
        assert suite_digest(other) != suite_digest(plain)


def test_arguments_leave_as_a_digest() -> None:
    kwargs = {"column": "s", "value_set": ["a1"]}
    first, _ = run(loaded(FRAME), ("expect_column_values_to_be_in_set", kwargs))
    second, _ = run(
        loaded(FRAME), ("expect_column_values_to_be_in_set", {**kwargs, "value_set": ["a2"]})
    )
    assert len(first.expectations[0].kwargs_digest) == 64
    assert first.expectations[0].kwargs_digest != second.expectations[0].kwargs_digest
