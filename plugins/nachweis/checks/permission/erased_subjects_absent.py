"""Data sets against the ledgers of erased people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.permission._register import not_after
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole
from nachweis.domain.observation import Observations, Overlap, OverlapCounts, Request, Source
from nachweis.engines.moments import zone_of

_KEPT_TO_HONOUR_WISHES = frozenset(
    {
        DataSetRole.ERASURE_LEDGER,
        DataSetRole.SUPPRESSION_LIST,
        DataSetRole.OBJECTIONS,
        DataSetRole.PERMISSION_REGISTER,
    }
)

_MORNING = dt.datetime(2026, 3, 2, 9)


def _tables(erased: list[Any], at: dt.datetime, **ledger: Any) -> dict[str, ExampleTable]:
    return {
        "training": ExampleTable(
            DataSetRole.TRAINING, {"person": ["a", "b"]}, {"subject_key": {"column": "person"}}
        ),
        "erasure_ledger": ExampleTable(
            DataSetRole.ERASURE_LEDGER,
            {"person": erased, "erased_at": [at] * len(erased)},
            {"subject_key": {"column": "person"}, "fields": {"erased_at": "erased_at"}, **ledger},
        ),
    }


def _log(erased_at: dt.datetime) -> Mapping[str, ExampleTable]:
    log = ExampleTable(
        DataSetRole.SCORING_LOG,
        {"person": ["a", "b"], "at": [_MORNING, _MORNING]},
        {"subject_key": {"column": "person"}, "time": {"column": "at"}},
    )
    return {"scoring_log": log, "erasure_ledger": _tables(["a"], erased_at)["erasure_ledger"]}


class ErasedSubjectsAbsent(Check):
    """Are people whose data were erased absent from this data set?

    Why: Erasure covers every copy, training sets included (Art. 17(1) GDPR), and a restored backup
        or a forgotten extract brings people back without anybody noticing.
    Method: The data set is joined by subject key with every erasure ledger; where a ledger holds
        keyed hashes, the keys are hashed first, with the secret outside the query. Entries count
        once they are older than ``grace_days`` at the end of the night. Where the data set grows
        by the night, tonight's rows are looked at and must not be later than the person's erasure.
        Numbers: rows and persons found, 0 or more, must be 0; undefined without rows.
        Source: Art. 17 GDPR.
    Leaves out: Copies that are not declared as data sets, backups, and what a trained model still
        holds. Log rows from before the erasure; their retention rule limits them. Registers of
        permissions, objections and suppressions keep a key on purpose, to prove and to honour
        wishes. Not found in the systems searched does not prove that nothing is left elsewhere.
    """

    severity = Severity.CRITICAL
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("ERASURE",)
    needs = (Needs.SUBJECT_KEY, Needs.ERASURE_LEDGER)
    data_set_roles = frozenset(DataSetRole) - _KEPT_TO_HONOUR_WISHES
    waivable = False
    params = (
        Param(
            "grace_days",
            0,
            "days",
            "the ledger states that the erasure was carried out",
            "Days after the entry within which the data set may still hold the person.",
            minimum=0,
            maximum=31,
        ),
    )
    remediation = (
        "Delete the rows in this data set and in what was made from it, find out how they came "
        "back (restored backup, late extract, other key), and retrain where a model was trained on "
        "them after the erasure."
    )
    examples = (
        Example(
            "somebody else was erased", Outcome.PASS, _tables(["c"], dt.datetime(2026, 2, 1, 12))
        ),
        Example(
            "an erased person is in the data",
            Outcome.FAIL,
            _tables(["b"], dt.datetime(2026, 2, 1, 12)),
        ),
        Example(
            "the ledger holds keyed hashes",
            Outcome.FAIL,
            _tables(
                # HMAC-SHA256 of "b" with the secret below.
                ["6303a85bb6ce539d45aac0daf7cde7a248051feb5ac86499ca4f5159e2886ea2"],
                dt.datetime(2026, 2, 1, 12),
                subject_key={
                    "column": "person",
                    "form": "hmac_sha256",
                    "key_env": "NACHWEIS_EXAMPLE_KEY",
                },
            ),
            environment={"NACHWEIS_EXAMPLE_KEY": "00" * 32},
        ),
        Example("scored after the erasure", Outcome.FAIL, dict(_log(dt.datetime(2026, 3, 2, 8)))),
        Example("scored before the erasure", Outcome.PASS, dict(_log(dt.datetime(2026, 3, 2, 10)))),
        Example(
            "no erasure ledger",
            Outcome.NOT_AVAILABLE,
            {"training": _tables([], _MORNING)["training"]},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Join the rows in question with every ledger."""
        own = inputs.data_set
        cutoff = inputs.night.end - dt.timedelta(days=inputs.param("grace_days"))
        for ledger in _ledgers(inputs):
            erased = _erased_at(ledger)
            if own.subject_key is None or ledger.subject_key is None:
                continue
            by_row = own.time if inputs.rows_in_question.window == "night" else None
            yield Overlap(
                ledger.id,
                inputs.rows_in_question,
                other=Source(ledger.id),
                key=(own.subject_key.column, ledger.subject_key.column),
                other_where=not_after(erased, cutoff, zone_of(ledger, inputs.night))
                if erased
                else None,
                left_time=by_row.column if by_row and erased else None,
                right_from=erased if by_row else None,
            )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding over all ledgers; a person found in one outweighs a ledger not readable."""
        found: dict[str, OverlapCounts] = {
            name: counts for name in observations if (counts := observations.get(name)) is not None
        }
        present = any(counts.rows_matched for counts in found.values())
        unread = observations.missing()
        rows = max((counts.rows for counts in found.values()), default=0)
        if present:
            outcome, explanation = Outcome.FAIL, "Erased people were found in this data set."
        elif unread:
            outcome = Outcome.NOT_AVAILABLE
            explanation = f"A ledger could not be searched: {unread[0][1]}"
        elif rows == 0:
            outcome, explanation = Outcome.NOT_AVAILABLE, "There are no rows to search."
        else:
            outcome = Outcome.PASS
            explanation = "No erased person was found in the rows searched."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=_measurements(found),
            scope=f"window {inputs.rows_in_question.window}, ledgers: {', '.join(sorted(found))}",
        )


def _ledgers(inputs: Inputs) -> list[DataSet]:
    return [
        data_set
        for _, data_set in sorted(inputs.world.data_sets.items())
        if data_set.role is DataSetRole.ERASURE_LEDGER and data_set.subject_key is not None
    ]


def _erased_at(ledger: DataSet) -> str | None:
    """Column that says when a person was erased."""
    declared = ledger.field(FieldRole.ERASED_AT)
    return declared or (ledger.time.column if ledger.time else None)


def _measurements(found: Mapping[str, OverlapCounts]) -> list[Measurement]:
    limit = Threshold(value=0, operator="==", source="Art. 17(1) GDPR")
    return [
        Measurement(
            name=name,
            value=value,
            unit=unit,
            threshold=limit,
            recipe="join by subject key, hashed where the ledger holds keyed hashes",
            group=ledger,
        )
        for ledger, counts in sorted(found.items())
        for name, value, unit in (
            ("rows_of_erased", counts.rows_matched, "rows"),
            ("persons_erased_and_present", counts.keys_matched, "persons"),
        )
    ]
