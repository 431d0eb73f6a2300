"""No check publishes a value of its data: every example with a canary in every column."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import io

import pytest

from nachweis import registry
from nachweis.domain.canonical import canonical_bytes
from nachweis.domain.check import Check, Example
from nachweis.domain.disclosure import seal_finding
from nachweis.domain.finding import Finding, Measurement, Outcome
from nachweis.pipeline.examples import run_example
from tests.canaries import Canaries

CHECKS = list(registry.checks().values())


def planted(example: Example, *only: str) -> tuple[Example, Canaries]:
    canaries = Canaries()
    tables = {
        name: dataclasses.replace(table, rows=canaries.plant(table.rows, *only))
        for name, table in example.tables.items()
    }
    return dataclasses.replace(example, tables=tables), canaries


def bytes_of(finding: Finding) -> bytes:
    return canonical_bytes(seal_finding(finding).model_dump(mode="json"))


def looked(check: type[Check], example: Example, canaries: Canaries) -> None:
    said, warned = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(warned):
        findings = run_example(check, example)
    assert findings
    output = [*map(bytes_of, findings), said.getvalue(), warned.getvalue()]
    assert not canaries.found_in(*output), example.title


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_no_value_of_any_column_leaves_with_a_finding(
    check: type[Check], caplog: pytest.LogCaptureFixture
) -> None:
    for example in check.examples:
        case, canaries = planted(example)
        looked(check, case, canaries)
        assert not canaries.found_in(caplog.text), example.title


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_no_value_of_one_column_leaves_while_all_others_are_in_order(check: type[Check]) -> None:
    failing = next(one for one in check.examples if one.outcome is Outcome.FAIL)
    for column in sorted({name for table in failing.tables.values() for name in table.rows}):
        looked(check, *planted(failing, column))


def test_a_check_that_names_a_value_would_be_found() -> None:
    check = registry.check("groups_large_enough")
    example = next(one for one in check.examples if one.outcome is Outcome.FAIL)
    case, canaries = planted(example)
    (finding, *_) = run_example(check, case)
    value = case.tables["scoring_log"].rows["gender"][0]
    for told in (
        finding.model_copy(update={"explanation": f"The group {value} is small."}),
        finding.model_copy(update={"scope": hashlib.sha256(value.encode()).hexdigest()}),
        finding.model_copy(update={"scope": base64.b64encode(f"by {value}".encode()).decode()}),
        finding.model_copy(update={"measurements": (Measurement(name=value, value=1),)}),
    ):
        assert canaries.found_in(bytes_of(told))
        assert canaries.found_in(gzip.compress(bytes_of(told)))
    assert not canaries.found_in(bytes_of(finding))
