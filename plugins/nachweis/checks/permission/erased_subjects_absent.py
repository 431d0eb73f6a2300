"""Data sets against the ledgers of erased people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.permission._lists import (
    entries_without_key,
    list_entries,
    list_undeclared,
    list_unusable,
    no_hashes,
    searched_lists,
    unread_lists,
)
from nachweis.checks.permission._register import must_be_zero, not_after_or_unknown
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole
from nachweis.domain.observation import (
    Observations,
    Overlap,
    OverlapCounts,
    Request,
    Scalar,
    Source,
)
from nachweis.engines.moments import zone_of

_KEPT_TO_HONOUR_WISHES = frozenset(
    {
        DataSetRole.ERASURE_LEDGER,
        DataSetRole.SUPPRESSION_LIST,
        DataSetRole.OBJECTIONS,
        DataSetRole.PERMISSION_REGISTER,
        DataSetRole.SUBJECT_REQUESTS,
    }
)

_MORNING = dt.datetime(2026, 3, 2, 9)


def _tables(
    erased: list[Any],
    at: dt.datetime | None,
    people: tuple[str | None, ...] = ("a", "b"),
    **ledger: Any,
) -> dict[str, ExampleTable]:
    return {
        "training": ExampleTable(
            DataSetRole.TRAINING, {"person": list(people)}, {"subject_key": {"column": "person"}}
        ),
        "erasure_ledger": ExampleTable(
            DataSetRole.ERASURE_LEDGER,
            {"person": erased, "erased_at": [at] * len(erased)},
            {
                "columns": [
                    {"name": "person", "type": "string"},
                    {"name": "erased_at", "type": "timestamp"},
                ],
                "subject_key": {"column": "person"},
                "fields": {"erased_at": "erased_at"},
                **ledger,
            },
        ),
    }


def _log(erased_at: dt.datetime | None) -> Mapping[str, ExampleTable]:
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
        once they are older than ``grace_days`` at the end of the night; an entry without a time
        counts. Where the data set grows by the night, tonight's rows are looked at and must not be
        later than the person's erasure. Numbers: rows and persons found, 0 or more, must be 0;
        undefined without rows that carry a key, where no entry of a ledger carries one, and where
        keyed hashes are declared and keys are none. A ledger whose secret was destroyed
        (``shredded_on``) is named and not searched. Source: Art. 17 GDPR.
    Leaves out: Copies that are not declared as data sets, backups, and what a trained model still
        holds. Log rows from before the erasure; their retention rule limits them. Registers of
        permissions, objections, suppressions and requests keep a key on purpose, to prove and to
        honour wishes. Keys written in another way than in the ledger (case, padding, leading
        zeros) are other keys. Not found in the systems searched does not prove that nothing is
        left elsewhere.
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
        Example(
            "the secret of the ledger was destroyed",
            Outcome.NOT_AVAILABLE,
            _tables(
                ["6303a85bb6ce539d45aac0daf7cde7a248051feb5ac86499ca4f5159e2886ea2"],
                dt.datetime(2026, 2, 1, 12),
                subject_key={
                    "column": "person",
                    "form": "hmac_sha256",
                    "key_env": "NACHWEIS_EXAMPLE_KEY",
                    "shredded_on": "2026-03-01",
                },
            ),
        ),
        Example("scored after the erasure", Outcome.FAIL, dict(_log(dt.datetime(2026, 3, 2, 8)))),
        Example("scored before the erasure", Outcome.PASS, dict(_log(dt.datetime(2026, 3, 2, 10)))),
        Example("erased at an unknown time", Outcome.FAIL, _tables(["b"], None)),
        Example("scored, and erased at an unknown time", Outcome.FAIL, dict(_log(None))),
        Example(
            "no row has a key",
            Outcome.NOT_AVAILABLE,
            _tables(["b"], dt.datetime(2026, 2, 1, 12), people=(None, None)),
        ),
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
        if own.subject_key is not None and own.subject_key.form == "hmac_sha256":
            yield Scalar("unhashed", inputs.rows_in_question, no_hashes(own.subject_key.column))
        for ledger in _searchable(_ledgers(inputs)):
            erased = _erased_at(ledger)
            if own.subject_key is None or ledger.subject_key is None:
                continue
            yield from list_entries(ledger)
            by_row = own.time if inputs.rows_in_question.window == "night" else None
            yield Overlap(
                f"list:{ledger.id}",
                inputs.rows_in_question,
                other=Source(ledger.id),
                key=(own.subject_key.column, ledger.subject_key.column),
                other_where=not_after_or_unknown(erased, cutoff, zone_of(ledger, inputs.night))
                if erased
                else None,
                left_time=by_row.column if by_row and erased else None,
                right_from=erased if by_row else None,
                unknown_counts=True,
            )

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding over all ledgers; a person found in one outweighs a ledger not readable."""
        every, found = _ledgers(inputs), searched_lists(observations)
        ledgers = _searchable(every)
        shredded = [one.id for one in every if one not in ledgers]
        rows = max((counts.rows for counts in found.values()), default=0)
        keys = max((counts.keys for counts in found.values()), default=0)
        unread = unread_lists(observations)
        declare = "; ".join(filter(None, map(list_undeclared, ledgers)))
        unread += ["a ledger has no subject key"] if declare else []
        unread += [
            why for one in ledgers if one.subject_key and (why := list_unusable(one, observations))
        ]
        if any(counts.rows_matched for counts in found.values()):
            outcome, explanation = Outcome.FAIL, "Erased people were found in this data set."
        elif shredded and not ledgers:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "Nobody can be looked for: the secrets of all ledgers were destroyed."
        elif observations.get("unhashed"):
            outcome = Outcome.NOT_AVAILABLE
            explanation = "Rows are declared to carry keyed hashes and carry keys that are none."
        elif unread:
            outcome = Outcome.NOT_AVAILABLE
            explanation = f"A ledger could not be searched: {unread[0]}."
        elif rows == 0:
            outcome, explanation = Outcome.NOT_AVAILABLE, "There are no rows to search."
        elif keys == 0:
            outcome = Outcome.NOT_AVAILABLE
            explanation = "No row carries a subject key, so nobody can be searched for."
            declare = "the 'subject_key' that the rows carry"
        else:
            outcome = Outcome.PASS
            explanation = "No erased person was found in the rows searched."
        if shredded and ledgers:
            explanation += f" Not available, since the secret was destroyed: {', '.join(shredded)}."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                *_measurements(found),
                *_not_available(shredded),
                *entries_without_key(ledgers, observations),
            ],
            scope=f"rows with a key, window {inputs.rows_in_question.window}, ledgers: "
            f"{', '.join(sorted(found))}",
            declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
        )


def _ledgers(inputs: Inputs) -> list[DataSet]:
    return [
        data_set
        for _, data_set in sorted(inputs.world.data_sets.items())
        if data_set.role is DataSetRole.ERASURE_LEDGER
    ]


def _searchable(ledgers: Iterable[DataSet]) -> list[DataSet]:
    """Ledgers whose secret was not destroyed."""
    return [one for one in ledgers if one.subject_key is None or not one.subject_key.shredded_on]


def _not_available(shredded: Iterable[str]) -> list[Measurement]:
    return [
        Measurement(
            name="rows_of_erased",
            value=None,
            unit="rows",
            group=ledger,
            reason="the secret of this ledger was destroyed",
        )
        for ledger in shredded
    ]


def _erased_at(ledger: DataSet) -> str | None:
    """Column that says when a person was erased."""
    declared = ledger.field(FieldRole.ERASED_AT)
    return declared or (ledger.time.column if ledger.time else None)


def _measurements(found: Mapping[str, OverlapCounts]) -> list[Measurement]:
    numbers = [
        number
        for ledger, counts in sorted(found.items())
        for number in (
            ("rows_of_erased", counts.rows_matched, "rows", ledger),
            ("persons_erased_and_present", counts.keys_matched, "persons", ledger),
        )
    ]
    without = max((counts.rows_without_key for counts in found.values()), default=0)
    return [
        *must_be_zero(
            numbers,
            "Art. 17(1) GDPR",
            "join by subject key, hashed where the ledger holds keyed hashes",
        ),
        Measurement(name="rows_without_key", value=without, unit="rows"),
    ]
