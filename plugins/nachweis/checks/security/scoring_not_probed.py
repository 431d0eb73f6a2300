"""Probing of a model through its own scoring."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import xor
from typing import Any

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole, FieldRole, ModelKind
from nachweis.domain.observation import CountTable, Expression, GroupedCounts, Observations, Request
from nachweis.engines.hashes import hashed

_FEWEST_FEATURES = 3
_DIFFERENT = 0.5
_ONE_AT_A_TIME = 0.5
_NOON = dt.datetime(2026, 3, 2, 12)


def _log(probes: int, ordinary: int = 120, busy: int = 0) -> dict[str, ExampleTable]:
    """Ordinary requests, probes by one account that vary one number, a busy shop's requests."""
    rows: dict[str, list[Any]] = {"account": [], "age": [], "visits": [], "spend": [], "at": []}

    def add(account: str, age: int, visits: int, spend: float) -> None:
        for name, value in zip(rows, (account, age, visits, spend, _NOON), strict=True):
            rows[name].append(value)

    for i in range(ordinary):
        add(f"c{i}", 20 + i % 50, i % 9, 10.5 * i)
    for i in range(probes):
        add("prober", 40, 3, 100.0 + i)
    for i in range(busy):
        add("shop", 20 + i % 50, i % 9, 7.5 * i)
    names = ("age", "visits", "spend")
    columns = [{"name": name, "feature": name in names} for name in rows]
    declared = {
        "columns": columns,
        "fields": {"caller": "account"},
        "time": {"column": "at"},
    }
    return {"scoring_log": ExampleTable(DataSetRole.SCORING_LOG, rows, declared)}


class ScoringNotProbed(Check):
    """Is the model's scoring free of callers who try out how it decides?

    Why: Whoever asks the same question hundreds of times with one value changed learns where the
        decision flips, or copies the model (ATLAS AML.T0024.002, AML.T0043).
    Method: Requests of the night per caller (declared caller, else the subject key), counted in the
        engine. A caller probes if they made at least ``min_requests`` requests, at least half of
        them with different inputs, and these differ in one input at a time: of v different
        combinations, v(f) remain when input f is left out, and v - v(f), added up over all inputs,
        is at least half of v (count of callers, 0 or more). One fails. Undefined without rows or
        with fewer than three inputs. Source: this project.
    Leaves out: Probing spread over many accounts or nights. Callers that the log does not tell
        apart. Sessions in which one counter rises by itself look the same, if they are that long.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("ADVERSARIAL",)
    needs = (Needs.SCORING_LOG, Needs.FEATURES, Needs.CALLER)
    model_kinds = frozenset(ModelKind) - {ModelKind.GENERATIVE, ModelKind.EXTERNAL_AUDIENCE}
    params = (
        Param(
            "min_requests",
            100,
            "requests",
            "design default of this project",
            "Requests of one caller in one night from which they are looked at.",
            minimum=20,
        ),
    )
    remediation = (
        "Find out who the caller is and whether a test of your own explains the requests. Limit "
        "requests per caller, return decisions instead of exact scores, and keep the requests as "
        "evidence."
    )
    examples = (
        Example("ordinary requests and a busy shop", Outcome.PASS, _log(0, busy=150)),
        Example("an account that varies one amount", Outcome.FAIL, _log(150)),
        Example("no requests tonight", Outcome.NOT_AVAILABLE, _log(0, ordinary=0)),
        Example(
            "neither caller nor subject key",
            Outcome.NOT_AVAILABLE,
            {
                "scoring_log": ExampleTable(
                    DataSetRole.SCORING_LOG,
                    {"age": [30], "visits": [1]},
                    {"columns": [{"name": "age", "feature": True}, {"name": "visits"}]},
                )
            },
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Requests, combinations and values per frequent caller."""
        names = inputs.feature_names
        combinations = _Combinations(names)
        without = {f"without:{name}": combinations.without(name) for name in names}
        yield GroupedCounts(
            "callers",
            inputs.source("scoring_log", "night"),
            {"caller": _caller(inputs)},
            sums={"all": combinations.all, **without},
            at_least=inputs.param("min_requests"),
        )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the night's requests."""
        table = observations["callers"]
        facts = observations.window(inputs.source("scoring_log", "night"))
        rows = facts.rows if facts is not None else 0
        reason = ""
        if not rows:
            reason = "There are no requests tonight."
        elif len(inputs.feature_names) < _FEWEST_FEATURES:
            reason = f"The model has fewer than {_FEWEST_FEATURES} declared inputs."
        if reason:
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, reason)
            return
        probing = _probing(table, inputs.feature_names)
        measured = [
            Measurement(
                name="probing_callers",
                value=len(probing),
                unit="subjects",
                n=rows,
                recipe=f"callers with {inputs.param('min_requests')} requests or more tonight, "
                "inputs differ one at a time",
            ),
            Measurement(name="their_requests", value=sum(probing), unit="rows"),
        ]
        yield self.finding(
            inputs,
            Outcome.FAIL if probing else Outcome.PASS,
            "A caller made many requests that vary one input at a time."
            if probing
            else "No caller made many requests that vary one input at a time.",
            measurements=measured,
            scope="scoring log, night",
        )


def _caller(inputs: Inputs) -> str:
    log = inputs.data("scoring_log")
    caller = log.field(FieldRole.CALLER) if log else None
    subject = log.subject_key.column if log and log.subject_key else ""
    return caller or subject


class _Combinations:
    """How many different combinations of inputs there are, one input left out or not.

    Hashed by column, not as one text: one pass serves every combination, and what is left out is
    taken out of the hash of all, because ``x ^ y ^ y`` is ``x``.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._hashes: dict[Any, tuple[Any, dict[str, Any]]] = {}

    def all(self, table: Any) -> Any:
        """Different combinations of all inputs."""
        return self._of(table)[0].nunique()

    def without(self, name: str) -> Expression:
        """Different combinations of all inputs but one."""

        def expression(table: Any) -> Any:
            together, parts = self._of(table)
            return (together ^ parts[name]).nunique()

        return expression

    def _of(self, table: Any) -> tuple[Any, dict[str, Any]]:
        """Hash of a row's inputs, and of each alone; built once, for building it takes long."""
        found = self._hashes.get(table.op())
        if found is None:
            parts = {
                name: hashed(f"{place}=" + table[name].cast("string").fill_null(""))
                for place, name in enumerate(self._names)
            }
            found = self._hashes[table.op()] = (reduce(xor, parts.values()), parts)
        return found


def _probing(table: CountTable, names: Sequence[str]) -> list[int]:
    """Requests of each caller who probes."""
    found = []
    for key, requests in table.rows.items():
        if key[0] is None:
            continue
        different = table.sums["all"][key]
        single = sum(different - table.sums[f"without:{name}"][key] for name in names)
        if different >= _DIFFERENT * requests and single >= _ONE_AT_A_TIME * different:
            found.append(requests)
    return found
