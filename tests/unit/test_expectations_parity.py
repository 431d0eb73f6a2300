"""Every public expectation type judges alike on DuckDB and on Great Expectations' pandas engine.

The referee is Great Expectations as it comes, on a data frame, through its public interface.
Each type has kwargs that pass and kwargs that fail; verdicts and counts must be equal.

Known differences, each with its reason:

========================================= ======================================================
LIKE patterns                             pandas has no provider; a translation to ``re`` referees
type names                                ``int64`` and ``BIGINT`` are one type under two names;
                                          both are understood on DuckDB, pandas knows its own
increasing, decreasing, JSON, JSON        only pandas can judge them; they run there, on their own
schema, strftime, dateutil                columns, so parity is by construction
dates in ``value_set`` of ``in_set``      pandas compares a date column with texts and finds
                                          nothing; DuckDB reads the texts as dates, as both do for
                                          ``not_in_set``
dates (not texts) as bounds               pandas cannot compare its column with a ``date`` and
                                          raises; DuckDB can
patterns outside RE2                      Python's ``re`` accepts them; DuckDB refuses, the rule
                                          runs on pandas, and the linter warns
========================================= ======================================================
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import uuid
from collections.abc import Mapping
from typing import Any

import great_expectations as gx  # noqa: TID253
import great_expectations.expectations as gxe  # noqa: TID253
import ibis  # noqa: TID253
import numpy as np
import pandas as pd  # noqa: TID253
import pyarrow as pa
import pytest
from great_expectations.util import camel_to_snake  # noqa: TID253
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.manifest.suite import Suite
from nachweis.domain.observation import ExpectationOutcome
from nachweis.engines.expectations import REFUSED_TYPES, known_types, validate

NULL = None


def _frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": range(1, 13),
            "n": [1, 2, 2, 3, 3, 3, 4, 5, 6, 7, 8, 40],
            "x": [0.5, 1.5, np.nan, 2.5, 2.5, 3.0, 4.0, np.nan, 5.0, 6.0, 7.0, 8.0],
            "y": [0.5, 1.0, 2.0, np.nan, 2.5, 9.0, 3.0, np.nan, 5.0, 6.5, 7.0, 7.0],
            "rest": [9.5, 8.5, 1.0, 7.5, 7.5, 7.0, 6.0, 1.0, 5.0, 4.0, 3.0, 2.0],
            "s": ["a1", "a2", NULL, "b1", "b1", "a%", "A1", "c_1", NULL, "grün", "b2", "a1"],
            "t": ["a1", "a2", NULL, "b2", "b1", "a%", "A1", "c_1", "z", "grün", "b2", "a1"],
            "word": ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj", "kk", "ll"],
            "d": pd.to_datetime(
                ["2024-01-01", "2024-02-29", NULL, *[f"2024-03-{day:02}" for day in range(1, 10)]]
            ).astype("datetime64[ns]"),
            "day": ["2024-01-01", "2024-02-30", NULL, *[f"2024-03-{d:02}" for d in range(1, 10)]],
            "js": ['{"a": 1}', "[]", NULL, "{", '"x"', "1", *['{"a": 2}'] * 6],
            "flag": [True, False] * 6,
            "empty": pd.Series([np.nan] * 12, dtype="float64"),
            "one": [7.0] * 12,
        }
    )


FRAME = _frame()


@pytest.fixture(scope="module")
def backend() -> Any:
    made = ibis.duckdb.connect()
    made.con.register("arrow", pa.Table.from_pandas(FRAME, preserve_index=False))
    made.con.execute("CREATE TABLE data AS SELECT * FROM arrow")
    made.con.execute("CREATE TEMP VIEW window_of_data AS SELECT * FROM data")
    return made


@functools.cache
def context() -> Any:
    made = gx.get_context(mode="ephemeral")
    made.variables.progress_bars = {"globally": False}
    return made


def batch_of(frame: pd.DataFrame) -> Any:
    source = context().data_sources.add_pandas(name=uuid.uuid4().hex)
    definition = source.add_dataframe_asset(name="t").add_batch_definition_whole_dataframe("w")
    return definition.get_batch({"dataframe": frame})


@pytest.fixture(scope="module")
def referee() -> Any:
    return batch_of(FRAME.copy())


def judge(backend: Any, kind: str, kwargs: Mapping[str, Any]) -> ExpectationOutcome:
    suite = Suite(
        id="suite", data_set="data", expectations=[{"type": kind, "kwargs": dict(kwargs)}]
    )
    statements: list[str] = []
    relation = backend.table("window_of_data")
    outcome = validate(backend, relation, "window_of_data", suite, on_query=statements.append)
    assert len(statements) <= 4
    return outcome.expectations[0]


def classes() -> dict[str, Any]:
    return {
        camel_to_snake(name): member
        for name, member in vars(gxe).items()
        if isinstance(member, type) and name != "Expectation"
    }


def consult(referee: Any, kind: str, kwargs: Mapping[str, Any]) -> Any:
    return referee.validate(classes()[kind](**kwargs), result_format="BASIC")


# Passing kwargs, then failing kwargs.
CASES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "expect_column_distinct_values_to_be_in_set": (
        [
            {
                "column": "s",
                "value_set": [*"xyz", "a1", "a2", "b1", "b2", "a%", "A1", "c_1", "grün"],
            },
            {"column": "flag", "value_set": [True, False]},
            {"column": "empty", "value_set": [1]},
        ],
        [{"column": "s", "value_set": ["a1"]}, {"column": "n", "value_set": [1, 2, "3"]}],
    ),
    "expect_column_distinct_values_to_contain_set": (
        [
            {"column": "s", "value_set": ["a1", "grün"]},
            {"column": "n", "value_set": [1, 2.0, 40]},
            {"column": "d", "value_set": ["2024-01-01", "2024-03-09"]},
        ],
        [{"column": "s", "value_set": ["a1", "a3"]}, {"column": "n", "value_set": [1, 9, 9]}],
    ),
    "expect_column_distinct_values_to_equal_set": (
        [
            {"column": "n", "value_set": [1, 2, 3, 4, 5, 6, 7, 8, 40]},
            {"column": "flag", "value_set": [True, False]},
        ],
        [
            {"column": "n", "value_set": [1, 2, 3]},
            {"column": "n", "value_set": [*range(1, 10), 40]},
        ],
    ),
    "expect_column_kl_divergence_to_be_less_than": (
        [
            {
                "column": "n",
                "threshold": 0.9,
                "partition_object": {"bins": [0, 3, 6, 50], "weights": [0.4, 0.4, 0.2]},
            },
            {
                "column": "t",
                "threshold": 2.0,
                "partition_object": {
                    "values": ["a1", "a2", "b1", "b2", "a%", "A1", "c_1", "z", "grün"],
                    "weights": [0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
                },
            },
        ],
        [
            {
                "column": "n",
                "threshold": 0.001,
                "partition_object": {"bins": [0, 3, 6, 50], "weights": [0.1, 0.1, 0.8]},
            },
        ],
    ),
    "expect_column_max_to_be_between": (
        [
            {"column": "x", "min_value": 8, "max_value": 8},
            {"column": "d", "min_value": dt.datetime(2024, 3, 1)},
        ],
        [{"column": "n", "max_value": 39}, {"column": "n", "max_value": 40, "strict_max": True}],
    ),
    "expect_column_mean_to_be_between": (
        [{"column": "x", "min_value": 4.0, "max_value": 4.0}, {"column": "n", "min_value": 7}],
        [{"column": "x", "max_value": 3.9}, {"column": "empty", "min_value": 0}],
    ),
    "expect_column_median_to_be_between": (
        [
            {"column": "x", "min_value": 3.5, "max_value": 3.5},
            {"column": "n", "min_value": 3.5, "max_value": 3.5},
        ],
        [{"column": "x", "min_value": 3.6}, {"column": "empty", "min_value": 0}],
    ),
    "expect_column_min_to_be_between": (
        [{"column": "x", "min_value": 0.5}, {"column": "d", "max_value": dt.datetime(2024, 1, 1)}],
        [{"column": "x", "min_value": 0.5, "strict_min": True}],
    ),
    "expect_column_most_common_value_to_be_in_set": (
        [
            {"column": "n", "value_set": [3]},
            {"column": "t", "value_set": ["a1", "b2"], "ties_okay": True},
        ],
        [
            {"column": "n", "value_set": [2]},
            {"column": "t", "value_set": ["a1"], "ties_okay": False},
        ],
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        [
            {"column_A": "n", "column_B": "id", "mostly": 0.05},
            {"column_A": "rest", "column_B": "x", "mostly": 0.5, "or_equal": True},
        ],
        [
            {"column_A": "x", "column_B": "y", "or_equal": True},
            {"column_A": "x", "column_B": "y", "ignore_row_if": "either_value_is_missing"},
            {"column_A": "x", "column_B": "y", "ignore_row_if": "neither"},
        ],
    ),
    "expect_column_pair_values_to_be_equal": (
        [
            {"column_A": "s", "column_B": "t", "mostly": 0.8},
            {"column_A": "x", "column_B": "x", "ignore_row_if": "both_values_are_missing"},
        ],
        [
            {"column_A": "s", "column_B": "t"},
            {"column_A": "x", "column_B": "y", "ignore_row_if": "neither"},
            {"column_A": "x", "column_B": "y", "ignore_row_if": "either_value_is_missing"},
        ],
    ),
    "expect_column_pair_values_to_be_in_set": (
        [
            {
                "column_A": "flag",
                "column_B": "one",
                "value_pairs_set": [[True, 7.0], [False, 7.0]],
            },
            {
                "column_A": "s",
                "column_B": "t",
                "value_pairs_set": [["a1", "a1"], [None, "z"]],
                "mostly": 0.25,
            },
        ],
        [
            {"column_A": "s", "column_B": "t", "value_pairs_set": [["a1", "a1"], [None, "z"]]},
            {
                "column_A": "x",
                "column_B": "y",
                "value_pairs_set": [[0.5, 0.5]],
                "ignore_row_if": "neither",
            },
        ],
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": (
        [{"column": "s", "min_value": 0.8, "max_value": 0.9}],
        [{"column": "s", "min_value": 0.9}, {"column": "empty", "min_value": 0.1}],
    ),
    "expect_column_proportion_of_unique_values_to_be_between": (
        [{"column": "s", "min_value": 0.8}, {"column": "id", "min_value": 1}],
        [{"column": "n", "min_value": 0.9}],
    ),
    "expect_column_quantile_values_to_be_between": (
        [
            {
                "column": "x",
                "quantile_ranges": {
                    "quantiles": [0.0, 0.2, 0.5, 0.9, 1.0],
                    "value_ranges": [[0.5, 0.5], [2.5, 2.5], [3.0, 3.0], [7.0, 7.0], [8, None]],
                },
            },
            {
                "column": "n",
                "quantile_ranges": {"quantiles": [0.33], "value_ranges": [[3, 3]]},
                "allow_relative_error": "linear",
            },
        ],
        [
            {
                "column": "x",
                "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[4.0, 4.0]]},
                "allow_relative_error": method,
            }
            for method in ("lower", "midpoint", "nearest")
        ]
        + [{"column": "empty", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 9]]}}],
    ),
    "expect_column_stdev_to_be_between": (
        [{"column": "x", "min_value": 2.4, "max_value": 2.5}, {"column": "one", "max_value": 0}],
        [{"column": "x", "max_value": 2.3}],
    ),
    "expect_column_sum_to_be_between": (
        [
            {"column": "x", "min_value": 40, "max_value": 40},
            {"column": "n", "min_value": 84, "max_value": 84},
        ],
        [{"column": "n", "max_value": 83}],
    ),
    "expect_column_to_exist": (
        [{"column": "x"}, {"column": "id", "column_index": 0}],
        [{"column": "gone"}, {"column": "id", "column_index": 3}],
    ),
    "expect_column_type_to_be": (
        [
            {"column": "id", "type_": "int64"},
            {"column": "x", "type_": "float64"},
            {"column": "d", "type_": "datetime64"},
        ],
        [{"column": "id", "type_": "float64"}, {"column": "x", "type_": "bool"}],
    ),
    "expect_column_unique_value_count_to_be_between": (
        [{"column": "s", "min_value": 8, "max_value": 8}],
        [{"column": "n", "max_value": 8}],
    ),
    "expect_column_value_lengths_to_be_between": (
        [{"column": "s", "min_value": 2, "max_value": 4}],
        [{"column": "s", "max_value": 4, "strict_max": True}, {"column": "n", "min_value": 2}],
    ),
    "expect_column_value_lengths_to_equal": (
        [{"column": "word", "value": 2}],
        [{"column": "s", "value": 2}],
    ),
    "expect_column_value_z_scores_to_be_less_than": (
        [
            {"column": "x", "threshold": 2, "double_sided": True},
            {"column": "one", "threshold": 1, "double_sided": True},
        ],
        [
            {"column": "n", "threshold": 2, "double_sided": True},
            {"column": "x", "threshold": 1, "double_sided": False},
        ],
    ),
    "expect_column_values_to_be_between": (
        [
            {"column": "x", "min_value": 0.5, "max_value": 8},
            {"column": "d", "min_value": dt.datetime(2024, 1, 1)},
            {
                "column": "x",
                "min_value": 2,
                "row_condition": 'col("n") > 2',
                "condition_parser": "great_expectations",
            },
            {"column": "empty", "min_value": 1},
            {
                "column": "x",
                "min_value": 2,
                "row_condition": {
                    "type": "and",
                    "conditions": [
                        {
                            "type": "comparison",
                            "column": {"name": "n"},
                            "operator": ">",
                            "parameter": 2,
                        },
                        {"type": "nullity", "column": {"name": "s"}, "is_null": False},
                    ],
                },
            },
        ],
        [
            {"column": "x", "min_value": 0.5, "max_value": 8, "strict_min": True},
            {"column": "x", "min_value": 0.5, "max_value": 8, "strict_max": True},
            {"column": "x", "min_value": 2, "strict_min": True, "strict_max": True, "max_value": 6},
            {"column": "d", "max_value": "2024-03-05T12:00:00"},
            {
                "column": "n",
                "max_value": 39,
                "row_condition": 'col("s").notnull()',
                "condition_parser": "great_expectations",
            },
        ],
    ),
    "expect_column_values_to_be_dateutil_parseable": (
        [{"column": "day", "mostly": 0.9}],
        [{"column": "day"}, {"column": "s"}],
    ),
    "expect_column_values_to_be_decreasing": (
        [{"column": "rest", "mostly": 0.5}],
        [{"column": "n"}, {"column": "id", "strictly": True}],
    ),
    "expect_column_values_to_be_in_set": (
        [
            {"column": "n", "value_set": [1, 2, 3, 4, 5, 6, 7, 8, 40]},
            {"column": "flag", "value_set": [True, False]},
            {"column": "s", "value_set": ["a1", "a2", "b1", None], "mostly": 0.5},
        ],
        [
            {"column": "s", "value_set": ["a1", "a2"]},
            {"column": "n", "value_set": ["1", 2, "x"]},
            {"column": "s", "value_set": [1, 2]},
            {"column": "s", "value_set": []},
            {"column": "flag", "value_set": [1]},
        ],
    ),
    "expect_column_values_to_be_in_type_list": (
        [{"column": "id", "type_list": ["int64", "int32"]}],
        [{"column": "id", "type_list": ["float64", "str"]}],
    ),
    "expect_column_values_to_be_increasing": (
        [{"column": "id", "strictly": True}, {"column": "n"}],
        [{"column": "n", "strictly": True}, {"column": "rest"}],
    ),
    "expect_column_values_to_be_json_parseable": (
        [{"column": "js", "mostly": 0.9}],
        [{"column": "js"}],
    ),
    "expect_column_values_to_be_null": (
        [{"column": "empty"}, {"column": "x", "mostly": 0.1}],
        [{"column": "x"}, {"column": "id"}],
    ),
    "expect_column_values_to_be_of_type": (
        [{"column": "id", "type_": "int64"}, {"column": "x", "type_": "float64"}],
        [{"column": "id", "type_": "float64"}, {"column": "flag", "type_": "int64"}],
    ),
    "expect_column_values_to_be_unique": (
        [{"column": "id"}, {"column": "empty"}, {"column": "day"}],
        [{"column": "n"}, {"column": "s"}, {"column": "one"}],
    ),
    "expect_column_values_to_match_json_schema": (
        [
            {
                "column": "js",
                "json_schema": {"type": "object"},
                "row_condition": 'col("n") > 3',
                "condition_parser": "great_expectations",
            }
        ],
        [
            {
                "column": "js",
                "json_schema": {"type": "array"},
                "row_condition": 'col("n") > 3',
                "condition_parser": "great_expectations",
            }
        ],
    ),
    "expect_column_values_to_match_regex": (
        [{"column": "word", "regex": "^[a-l]{2}$"}, {"column": "s", "regex": "1", "mostly": 0.5}],
        [
            {"column": "s", "regex": "^[abA]"},
            {"column": "n", "regex": "^[1-8]$"},
            {"column": "s", "regex": "(?=a)"},
        ],
    ),
    "expect_column_values_to_match_regex_list": (
        [{"column": "s", "regex_list": ["[0-9]", "%", "ü"], "match_on": "any"}],
        [{"column": "s", "regex_list": ["[a-z]", "[0-9]"], "match_on": "all"}],
    ),
    "expect_column_values_to_match_strftime_format": (
        [{"column": "day", "strftime_format": "%Y-%m-%d", "mostly": 0.9}],
        [{"column": "day", "strftime_format": "%Y-%m-%d"}],
    ),
    "expect_column_values_to_not_be_in_set": (
        [{"column": "s", "value_set": ["q", 1]}, {"column": "n", "value_set": []}],
        [
            {"column": "s", "value_set": ["a1", None]},
            {"column": "d", "value_set": ["2024-02-29", "2024-03-01"]},
        ],
    ),
    "expect_column_values_to_not_be_null": (
        [{"column": "id"}, {"column": "x", "mostly": 0.8}],
        [{"column": "x"}, {"column": "s"}, {"column": "empty"}],
    ),
    "expect_column_values_to_not_be_outliers": (
        [
            {"column": "x", "method": "iqr", "multiplier": 1.5},
            {"column": "x", "method": "std", "multiplier": 3},
        ],
        [
            {"column": "n", "method": "iqr", "multiplier": 1.5},
            {"column": "n", "method": "std", "multiplier": 2},
        ],
    ),
    "expect_column_values_to_not_match_regex": (
        [{"column": "s", "regex": "zz"}],
        [{"column": "s", "regex": "^a"}],
    ),
    "expect_column_values_to_not_match_regex_list": (
        [{"column": "s", "regex_list": ["zz", "[5-9]"]}],
        [{"column": "s", "regex_list": ["zz", "^b"]}],
    ),
    "expect_compound_columns_to_be_unique": (
        [{"column_list": ["n", "id"]}, {"column_list": ["s", "id"]}],
        [
            {"column_list": ["n", "flag"]},
            {"column_list": ["s", "t"]},
            {"column_list": ["x", "one"], "ignore_row_if": "any_value_is_missing"},
        ],
    ),
    "expect_multicolumn_sum_to_equal": (
        [
            {"column_list": ["x", "rest"], "sum_total": 10, "mostly": 0.8},
            {
                "column_list": ["x", "rest"],
                "sum_total": 10,
                "ignore_row_if": "any_value_is_missing",
            },
        ],
        [
            {"column_list": ["x", "rest"], "sum_total": 10},
            {"column_list": ["n", "id", "one"], "sum_total": 9},
        ],
    ),
    "expect_multicolumn_values_to_be_equal": (
        [{"column_list": ["one", "one"]}, {"column_list": ["s", "t"], "mostly": 0.8}],
        [{"column_list": ["s", "t"]}, {"column_list": ["x", "y"], "ignore_row_if": "never"}],
    ),
    "expect_select_column_values_to_be_unique_within_record": (
        [{"column_list": ["id", "one", "rest"], "mostly": 0.5}],
        [{"column_list": ["x", "y"]}, {"column_list": ["x", "y", "one"], "ignore_row_if": "never"}],
    ),
    "expect_table_column_count_to_be_between": (
        [{"min_value": 3, "max_value": 14}],
        [{"max_value": 3}],
    ),
    "expect_table_column_count_to_equal": ([{"value": 14}], [{"value": 13}]),
    "expect_table_columns_to_match_ordered_list": (
        [{"column_list": list(FRAME.columns)}],
        [{"column_list": list(reversed(FRAME.columns))}],
    ),
    "expect_table_columns_to_match_set": (
        [{"column_set": sorted(FRAME.columns)}, {"column_set": ["id"], "exact_match": False}],
        [{"column_set": ["id"]}, {"column_set": ["gone"], "exact_match": False}],
    ),
    "expect_table_row_count_to_be_between": ([{"min_value": 12}], [{"max_value": 11}]),
    "expect_table_row_count_to_equal": ([{"value": 12}], [{"value": 11}]),
}

LIKE_CASES: list[tuple[str, dict[str, Any], int]] = [
    ("expect_column_values_to_match_like_pattern", {"column": "s", "like_pattern": "a%"}, 6),
    ("expect_column_values_to_match_like_pattern", {"column": "s", "like_pattern": "%"}, 0),
    (
        "expect_column_values_to_match_like_pattern",
        {"column": "s", "like_pattern": "a!%", "escape": "!"},
        9,
    ),
    ("expect_column_values_to_not_match_like_pattern", {"column": "s", "like_pattern": "a_"}, 4),
    ("expect_column_values_to_not_match_like_pattern", {"column": "s", "like_pattern": "q%"}, 0),
    (
        "expect_column_values_to_match_like_pattern_list",
        {"column": "s", "like_pattern_list": ["a%", "b%"]},
        3,
    ),
    (
        "expect_column_values_to_match_like_pattern_list",
        {"column": "s", "like_pattern_list": ["a%", "%1"], "match_on": "all"},
        8,
    ),
    (
        "expect_column_values_to_not_match_like_pattern_list",
        {"column": "s", "like_pattern_list": ["b%", "%1"]},
        7,
    ),
    (
        "expect_column_values_to_not_match_like_pattern_list",
        {"column": "s", "like_pattern_list": ["q%"]},
        0,
    ),
]

ONLY_ON_PANDAS = {
    "expect_column_values_to_be_dateutil_parseable",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_json_parseable",
    "expect_column_values_to_match_json_schema",
    "expect_column_values_to_match_strftime_format",
}


def test_every_public_type_is_judged_or_refused_for_a_reason() -> None:
    covered = set(CASES) | {kind for kind, _, _ in LIKE_CASES}
    assert covered == set(known_types())
    assert covered | set(REFUSED_TYPES) == set(classes())
    assert all(REFUSED_TYPES.values())


def _each(position: int) -> list[Any]:
    return [
        pytest.param(kind, kwargs, id=f"{kind.removeprefix('expect_')}-{index}")
        for kind, both in sorted(CASES.items())
        for index, kwargs in enumerate(both[position])
    ]


@pytest.mark.parametrize(("kind", "kwargs"), _each(0))
def test_passing_rule(backend: Any, referee: Any, kind: str, kwargs: dict[str, Any]) -> None:
    assert_alike(backend, referee, kind, kwargs, success=True)


@pytest.mark.parametrize(("kind", "kwargs"), _each(1))
def test_failing_rule(backend: Any, referee: Any, kind: str, kwargs: dict[str, Any]) -> None:
    assert_alike(backend, referee, kind, kwargs, success=False)


def assert_alike(
    backend: Any, referee: Any, kind: str, kwargs: dict[str, Any], *, success: bool
) -> None:
    theirs = consult(referee, kind, kwargs)
    assert not theirs.exception_info.get("raised_exception", True), theirs.exception_info
    assert bool(theirs.success) is success
    ours = judge(backend, kind, kwargs)
    assert (ours.error_type, ours.success) == (None, success)
    assert type(ours.success) is bool
    counts = theirs.result
    if "element_count" in counts:
        assert ours.unexpected_count == counts["unexpected_count"]
        assert ours.element_count == counts["element_count"]
        assert ours.missing_count == counts.get("missing_count", ours.missing_count)
    if kind.startswith("expect_table_") and "count_to" in kind:
        assert ours.observed == counts["observed_value"]
    if kind in ONLY_ON_PANDAS:
        assert ours.engine == "pandas"


@pytest.mark.parametrize(("kind", "kwargs", "unexpected"), LIKE_CASES)
def test_like_patterns_follow_their_translation(
    backend: Any, kind: str, kwargs: dict[str, Any], unexpected: int
) -> None:
    patterns = kwargs.get("like_pattern_list") or [kwargs["like_pattern"]]
    quantifier = all if kwargs.get("match_on") == "all" else any

    def translated(pattern: str) -> str:
        if kwargs.get("escape"):
            return re.escape(pattern.replace(kwargs["escape"], ""))
        return re.escape(pattern).replace("%", ".*").replace("_", ".")

    matching = [
        quantifier(re.fullmatch(translated(p), value) is not None for p in patterns)
        for value in FRAME["s"].dropna()
    ]
    wrong = matching.count("_not_match_" in kind)
    assert wrong == unexpected
    outcome = judge(backend, kind, kwargs)
    assert outcome.engine == "duckdb"
    assert outcome.unexpected_count == unexpected
    assert outcome.success is (unexpected == 0)


def test_only_a_few_types_leave_duckdb(backend: Any) -> None:
    rules = [{"type": kind, "kwargs": passing[0]} for kind, (passing, _) in CASES.items()]
    suite = Suite(id="suite", data_set="data", expectations=rules)
    relation = backend.table("window_of_data")
    outcome = validate(backend, relation, "window_of_data", suite, on_query=lambda _: None)
    left = {found.type for found in outcome.expectations if found.engine == "pandas"}
    assert left == ONLY_ON_PANDAS


@pytest.mark.parametrize(
    ("kwargs", "unexpected"),
    [
        ({"value_set": ["2024-01-01"]}, 10),
        ({"value_set": [dt.date(2024, 1, 1), dt.datetime(2024, 2, 29)]}, 9),
    ],
)
def test_dates_of_a_set_may_be_texts_or_dates(
    backend: Any, kwargs: dict[str, Any], unexpected: int
) -> None:
    outcome = judge(backend, "expect_column_values_to_be_in_set", {"column": "d", **kwargs})
    assert outcome.unexpected_count == unexpected


def test_bounds_may_be_dates(backend: Any) -> None:
    kwargs = {"column": "d", "min_value": dt.date(2024, 2, 1), "max_value": dt.date(2024, 12, 31)}
    outcome = judge(backend, "expect_column_values_to_be_between", kwargs)
    assert (outcome.success, outcome.unexpected_count) == (False, 1)


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_be_between", {"column": "s", "min_value": 1}),
        ("expect_column_mean_to_be_between", {"column": "s", "min_value": 1}),
        ("expect_column_values_to_be_between", {"column": "gone", "min_value": 1}),
        ("expect_column_sum_to_be_between", {"column": "gone", "min_value": 1}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["id", "gone"]}),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["s", "n"], "sum_total": 1}),
        (
            "expect_column_value_z_scores_to_be_less_than",
            {"column": "s", "threshold": 1, "double_sided": True},
        ),
    ],
)
def test_a_rule_that_cannot_be_judged_is_an_error_on_both(
    backend: Any, referee: Any, kind: str, kwargs: dict[str, Any]
) -> None:
    theirs = consult(referee, kind, kwargs)
    assert theirs.exception_info.get("raised_exception", True)
    ours = judge(backend, kind, kwargs)
    assert ours.success is None
    assert ours.error_type is not None
    assert ours.error_type.isidentifier()


_NUMBERS = st.lists(
    st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)), min_size=1, max_size=30
)


def _both(values: list[Any], kind: str, kwargs: dict[str, Any]) -> tuple[ExpectationOutcome, Any]:
    frame = pd.DataFrame({"v": pd.Series(values, dtype="float64")})
    made = ibis.duckdb.connect()
    made.con.register("arrow", pa.Table.from_pandas(frame, preserve_index=False))
    made.con.execute("CREATE TEMP VIEW window_of_data AS SELECT * FROM arrow")
    return judge(made, kind, kwargs), consult(batch_of(frame), kind, kwargs)


@settings(max_examples=25, deadline=None)
@given(values=_NUMBERS, low=st.floats(-1e6, 1e6), width=st.floats(0, 1e6), strict=st.booleans())
def test_bounds_hold_alike_for_any_numbers(
    values: list[float | None], low: float, width: float, strict: bool
) -> None:
    kwargs = {"column": "v", "min_value": low, "max_value": low + width, "strict_min": strict}
    ours, theirs = _both(values, "expect_column_values_to_be_between", kwargs)
    assert ours.success == theirs.success
    assert ours.unexpected_count == theirs.result["unexpected_count"]
    assert ours.missing_count == theirs.result["missing_count"]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=20),
    quantile=st.floats(0, 1),
    bound=st.integers(0, 5),
    method=st.sampled_from(["nearest", "linear", "lower", "higher", "midpoint"]),
)
def test_quantiles_are_pandas_quantiles(
    values: list[int | None], quantile: float, bound: int, method: str
) -> None:
    kwargs = {
        "column": "v",
        "quantile_ranges": {"quantiles": [quantile], "value_ranges": [[bound, None]]},
        "allow_relative_error": method,
    }
    ours, theirs = _both(values, "expect_column_quantile_values_to_be_between", kwargs)
    assert ours.error_type is None
    assert ours.success is bool(theirs.success)


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.integers(0, 8)), min_size=1, max_size=12))
def test_repeated_values_are_counted_alike(values: list[int | None]) -> None:
    ours, theirs = _both(values, "expect_column_values_to_be_unique", {"column": "v"})
    assert ours.success == theirs.success
    assert ours.unexpected_count == theirs.result["unexpected_count"]
