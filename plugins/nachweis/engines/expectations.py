"""Expectation suites: validated on a window of a data set, linted without data.

The rules are Great Expectations'. What leaves is an allow-listed projection: verdict, counts, the
digest of the arguments and the class of an exception.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nachweis.domain.canonical import digest, publishable
from nachweis.domain.errors import suggestion
from nachweis.domain.manifest.suite import Expectation, Suite
from nachweis.domain.observation import ExpectationOutcome, SuiteOutcome

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation as GxExpectation

    from nachweis.engines.gx_run import Rule, Verdict

REFUSED_TYPES: Mapping[str, str] = {
    "expect_multicolumn_values_to_be_unique": (
        "Great Expectations has no implementation of it; "
        "use expect_select_column_values_to_be_unique_within_record"
    ),
    "expect_query_results_to_match_comparison": "it runs SQL on a second data source",
    "expect_table_row_count_to_equal_other_table": "it reads a table beside the data set",
    "unexpected_rows_expectation": "it runs SQL that may read anything the worker may read",
}
"""Types that a suite may not use: it describes one data set, by rules that exist, not by code."""

_NOT_RULES = frozenset(
    {"batch_id", "catch_exceptions", "description", "id", "meta", "notes", "rendered_content",
     "result_format", "severity"}
)  # fmt: skip
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_PATTERN_ARGUMENTS = ("regex", "regex_list")


def validate(
    backend: Any,
    relation: Any,
    view_name: str,
    suite: Suite,
    *,
    on_query: Callable[[str], None],
) -> SuiteOutcome:
    """Validate a suite on a window, in at most four statements.

    NaN counts as a missing value, as everywhere in this package.

    Args:
        backend: Ibis backend on DuckDB; its connection stays open.
        relation: The window as an Ibis table.
        view_name: Name of a temporary view of the window on the same connection.
        suite: The rules.
        on_query: Told the text of each statement that reads the window.

    Returns:
        One outcome per rule, in suite order.

    Raises:
        DataError: If the window cannot be read at all.
    """
    from nachweis.engines import gx_run

    floats = [name for name, kind in relation.schema().items() if kind.is_floating()]
    with gx_run.quiet():
        rules, broken = _rules(suite)
        verdicts, rows = gx_run.run(backend.con, view_name, floats, rules, on_query)
    return SuiteOutcome(
        suite=suite.id,
        suite_digest=suite_digest(suite),
        rows=rows,
        expectations=tuple(
            _outcome(index, rule, (broken | verdicts)[index])
            for index, rule in enumerate(suite.expectations)
        ),
    )


def check_suite(suite: Suite) -> list[str]:
    """Check types and arguments of all rules without data.

    Args:
        suite: The suite.

    Returns:
        One sentence per problem, each with the position of the rule; empty if there is none.
    """
    from nachweis.engines import gx_run

    with gx_run.quiet():
        return [
            f"expectations[{index}] ({rule.type}): {problem}"
            for index, rule in enumerate(suite.expectations)
            for problem in _problems(rule)
        ]


def known_types() -> list[str]:
    """Expectation types that a suite may use, sorted."""
    return sorted(_classes())


def suite_digest(suite: Suite) -> str:
    """SHA-256 of what a suite demands; titles and owners do not count.

    Args:
        suite: The suite.

    Returns:
        64 hexadecimal characters.
    """
    rules = [
        {"type": rule.type, "kwargs": _plain(rule)["kwargs"], "severity": rule.severity}
        for rule in suite.expectations
    ]
    return digest({"id": suite.id, "data_set": suite.data_set, "expectations": rules})


# ---------------------------------------------------------------------------------------- rules


def _classes() -> dict[str, type[GxExpectation]]:
    """Great Expectations' public expectation classes by type."""
    import great_expectations.expectations as public
    from great_expectations.expectations.expectation import Expectation as Base
    from great_expectations.util import camel_to_snake

    classes = {
        camel_to_snake(name): member
        for name, member in vars(public).items()
        if isinstance(member, type) and issubclass(member, Base) and member is not Base
    }
    return {name: found for name, found in classes.items() if name not in REFUSED_TYPES}


def _rules(suite: Suite) -> tuple[list[Rule], dict[int, Verdict]]:
    """Runnable rules, and verdicts of those that are none."""
    from nachweis.engines.gx_run import Rule, Verdict

    classes = _classes()
    rules: list[Rule] = []
    broken: dict[int, Verdict] = {}
    for index, declared in enumerate(suite.expectations):
        if declared.type not in classes:
            broken[index] = Verdict(success=None, error="UnknownExpectation")
            continue
        if set(declared.kwargs) & _NOT_RULES:
            broken[index] = Verdict(success=None, error="InvalidArguments")
            continue
        try:
            made = classes[declared.type](**declared.kwargs, meta={"index": index})
        except Exception:  # noqa: BLE001 - pydantic's message quotes the arguments
            broken[index] = Verdict(success=None, error="InvalidArguments")
            continue
        filtered = _condition_columns(declared.kwargs.get("row_condition"))
        rules.append(Rule(index, made, tuple(_columns(declared)), tuple(filtered)))
    return rules, broken


def _columns(rule: Expectation) -> Iterator[str]:
    """Columns that a rule is about."""
    for name in _COLUMN_ARGUMENTS:
        if isinstance(rule.kwargs.get(name), str):
            yield rule.kwargs[name]
    yield from (name for name in rule.kwargs.get("column_list") or () if isinstance(name, str))


def _condition_columns(condition: Any) -> Iterator[str]:
    """Columns that a row condition names, in its text form or its structured form."""
    if isinstance(condition, str):
        yield from re.findall(r"""col\(\s*["']([^"']+)["']\s*\)""", condition)
    elif isinstance(condition, Mapping):
        if isinstance(condition.get("column"), Mapping):
            yield condition["column"]["name"]
        for part in condition.get("conditions", ()):
            yield from _condition_columns(part)


def _problems(rule: Expectation) -> Iterator[str]:
    from great_expectations.compatibility.pydantic import ValidationError

    if rule.type in REFUSED_TYPES:
        yield f"this type is not allowed: {REFUSED_TYPES[rule.type]}"
        return
    classes = _classes()
    if rule.type not in classes:
        yield f"unknown expectation type {suggestion(rule.type, classes)}".rstrip()
        return
    for name in sorted(set(rule.kwargs) & _NOT_RULES):
        yield f"{name}: not an argument of a rule"
    for name, value in rule.kwargs.items():
        if isinstance(value, Mapping) and "$PARAMETER" in value:
            yield f"{name}: suite parameters are not supported; write the value"
    try:
        classes[rule.type](**{k: v for k, v in rule.kwargs.items() if k not in _NOT_RULES})
    except ValidationError as error:
        found: dict[str, list[str]] = {}
        for detail in error.errors():
            place = ".".join(str(part) for part in detail["loc"])
            found.setdefault(place, []).append(detail["msg"])
        for place, messages in found.items():
            reasons = " or ".join(dict.fromkeys(messages))
            yield reasons if place == "__root__" else f"{place}: {reasons}"
    except Exception as error:  # noqa: BLE001 - some models raise from their validators
        yield f"{type(error).__name__}: {error}"
    yield from _pattern_problems(rule)


def _pattern_problems(rule: Expectation) -> Iterator[str]:
    """Patterns must be in the syntax that all engines share; DuckDB's RE2 is the judge."""
    import duckdb

    for name in _PATTERN_ARGUMENTS:
        value = rule.kwargs.get(name, [])
        for pattern in [value] if isinstance(value, str) else value:
            try:
                duckdb.execute("SELECT regexp_matches('', ?)", [pattern])
            except duckdb.Error:
                yield f"{name}: a pattern is not in the RE2 syntax"


# ------------------------------------------------------------------------------------- outcomes


def _plain(rule: Expectation) -> dict[str, Any]:
    """A rule as JSON-able values; dates become ISO texts."""
    plain: dict[str, Any] = publishable(rule.model_dump(mode="json"))
    return plain


def _outcome(index: int, rule: Expectation, verdict: Verdict) -> ExpectationOutcome:
    return ExpectationOutcome(
        index=index,
        type=rule.type,
        column=",".join(dict.fromkeys(_columns(rule))),
        kwargs_digest=digest(_plain(rule)["kwargs"]),
        success=verdict.success,
        severity=rule.severity,
        element_count=verdict.rows,
        unexpected_count=verdict.unexpected,
        missing_count=verdict.missing,
        observed=verdict.table_count,
        error_type=verdict.error,
        engine=verdict.engine,
    )
