"""What served models learned from people who were erased since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nachweis.checks.permission._lists import (
    entries_without_key,
    list_entries,
    list_undeclared,
    list_unusable,
    searched_lists,
    unread_lists,
)
from nachweis.checks.permission._register import not_after_or_unknown
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSet, DataSetRole, FieldRole, ModelVersion
from nachweis.domain.night import Night
from nachweis.domain.observation import (
    DataVersion,
    Expression,
    Observations,
    Overlap,
    Request,
    Scalar,
    Source,
)
from nachweis.engines.moments import comparable, zone_of
from nachweis.engines.versions import version_of_rows

_ROWS: Mapping[str, list[Any]] = {"person": ["a", "b"]}
_ERASED = dt.datetime(2026, 2, 20, 12)


def _tables(
    *erased: str | None, removed_from: str | None = None, training: Any = _ROWS, key: Any = True
) -> dict[str, ExampleTable]:
    ledger: dict[str, list[Any]] = {"person": list(erased), "erased_at": [_ERASED] * len(erased)}
    if removed_from is not None:
        ledger["removed_from"] = [removed_from] * len(erased)
    declared = {"subject_key": {"column": "person"}} if key else {}
    return {
        "training": ExampleTable(
            DataSetRole.TRAINING, training, {"pinned": "snapshot", **declared}
        ),
        "erasure_ledger": ExampleTable(
            DataSetRole.ERASURE_LEDGER,
            ledger,
            {
                "subject_key": {"column": "person"},
                "fields": {name: name for name in ledger if name != "person"},
            },
        ),
    }


def _model(decision: Mapping[str, Any] | None = None, **trained: Any) -> Mapping[str, Any]:
    on = {"data_set": "training", "version": version_of_rows(_ROWS), **trained}
    version = {
        "version": "1",
        "live_from": "2026-02-01T00:00:00+01:00",
        "trained_at": "2026-01-20",
        "trained_on": [on],
        "erased_people": decision,
    }
    return {"versions": [version]}


def _decided(deadline: str) -> Mapping[str, Any]:
    return {
        "decision": "retrain",
        "reason": {"en": "The model may remember rare rows."},
        "decided_by": "owner",
        "decided_on": "2026-02-25",
        "deadline": deadline,
    }


class ModelsFreeOfErasedPeople(Check):
    """Is it known and decided what happens to models that learned from people erased since?

    Why: Erasing rows does not erase what a model learned from them; whether it must be trained
        again is a decision that somebody has to take and date (Art. 17(1), 5(2) GDPR; EDPB Opinion
        28/2024 on models that hold personal data).
    Method: For each version served in the night, the people of its training sets (``trained_on``)
        who stand in an erasure ledger, by subject key as in erased_subjects_absent; and, where a
        ledger names the data set a person was removed from (``removed_from``), those removed after
        the training. Numbers: persons, 0 or more; versions with such persons whose manifest has no
        decision (``erased_people``) or whose deadline has passed, must be 0. Undefined where a
        training set has no key, and where neither the ledger names data sets nor the training set
        is the declared snapshot: then people may have been removed from it unseen. Source:
        Art. 17 GDPR.
    Leaves out: Whether the model really remembers them (see membership_inference_bounded), versions
        that are no longer served, and models that were trained on another model's output.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("ERASURE", "CHANGE")
    needs = (Needs.TRAINED_ON, Needs.ERASURE_LEDGER)
    waivable = False
    remediation = (
        "Decide per version: keep (with a date for review), train again without these people, or "
        "retire. Declare the decision, its reason and deadline as 'versions[].erased_people', and "
        "keep it. The data protection officer advises."
    )
    examples = (
        Example("nobody was erased since", Outcome.PASS, _tables("z"), model=_model()),
        Example(
            "trained again by a date that lies ahead",
            Outcome.PASS,
            _tables("b"),
            model=_model(_decided("2026-03-31")),
        ),
        Example(
            "learned from somebody erased, nothing decided",
            Outcome.FAIL,
            _tables("b"),
            model=_model(),
        ),
        Example(
            "the deadline has passed",
            Outcome.FAIL,
            _tables("b"),
            model=_model(_decided("2026-03-01")),
        ),
        Example(
            "removed from the training set after the training",
            Outcome.FAIL,
            _tables("c", removed_from="training"),
            model=_model(version=None),
        ),
        Example(
            "removed from another data set",
            Outcome.PASS,
            _tables("c", removed_from="mailing"),
            model=_model(version=None),
        ),
        Example(
            "the training set is not what it was, and nothing says who was removed",
            Outcome.NOT_AVAILABLE,
            _tables("z"),
            model=_model(version="0" * 64),
        ),
        Example(
            "the training set has no key",
            Outcome.NOT_AVAILABLE,
            _tables("z", key=False),
            model=_model(),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Look the training sets up in every ledger, once for all versions."""
        ledgers = [one for one in _ledgers(inputs) if not list_undeclared(one)]
        for ledger in ledgers:
            yield from list_entries(ledger)
        asked = set()
        for learned in _learned(inputs):
            data_set = learned.data_set
            for ledger in ledgers:
                name = f"removed:{learned.key}:{ledger.id}"
                if (removed := ledger.field(FieldRole.REMOVED_FROM)) and name not in asked:
                    asked.add(name)
                    yield Scalar(
                        name, Source(ledger.id), _removed(inputs, ledger, removed, learned)
                    )
            if data_set.subject_key is None or data_set.id in asked:
                continue
            asked.add(data_set.id)
            yield DataVersion(f"version:{data_set.id}", Source(data_set.id))
            for ledger in ledgers:
                yield _search(inputs, data_set, ledger)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding over all versions served in the night."""
        ledgers, learned = _ledgers(inputs), list(_learned(inputs))
        persons: dict[str, int] = {}
        for one in learned:
            key = one.version.version
            persons[key] = persons.get(key, 0) + _persons(one, ledgers, observations)
        versions = {one.version.version: one.version for one in learned}
        concerned = [key for key, n in persons.items() if n]
        open_ones = [key for key in concerned if not _decision_holds(versions[key], inputs)]
        unknown, declare = _unknown(inputs, learned, ledgers, observations)
        if open_ones:
            outcome = Outcome.FAIL
            explanation = (
                "Served versions learned from people who were erased since, without a decision "
                f"whose deadline lies ahead: {', '.join(open_ones)}."
            )
        elif unknown:
            outcome, explanation = Outcome.NOT_AVAILABLE, f"Not everything is known: {unknown}."
        elif concerned:
            outcome = Outcome.PASS
            explanation = "For what served versions learned from erased people, a decision stands."
        else:
            outcome = Outcome.PASS
            explanation = "No erased person was found in what served versions were trained on."
        yield self.finding(
            inputs,
            outcome,
            explanation,
            measurements=[
                *_measurements(persons, versions, open_ones),
                *entries_without_key(ledgers, observations),
            ],
            scope=f"training sets: {', '.join(sorted({one.data_set.id for one in learned}))}; "
            f"ledgers: {', '.join(one.id for one in ledgers)}",
            declare=declare if outcome is Outcome.NOT_AVAILABLE else "",
        )


@dataclass(frozen=True, slots=True)
class _Learned:
    """A training set of a served version."""

    version: ModelVersion
    data_set: DataSet
    snapshot: str | None

    @property
    def key(self) -> str:
        """Identity of what was removed since this training."""
        return f"{self.data_set.id}:{self.version.trained_at or 'unknown'}"


def _served(inputs: Inputs) -> list[ModelVersion]:
    night = inputs.night
    last = inputs.model.served_on(night.end - dt.timedelta(seconds=1))
    return last + [one for one in inputs.model.served_on(night.start) if one not in last]


def _learned(inputs: Inputs) -> Iterator[_Learned]:
    for version in _served(inputs):
        for trained in version.trained_on:
            data_set = inputs.world.data_sets.get(trained.data_set)
            if data_set is not None:
                yield _Learned(version, data_set, trained.version)


def _ledgers(inputs: Inputs) -> list[DataSet]:
    return [
        data_set
        for _, data_set in sorted(inputs.world.data_sets.items())
        if data_set.role is DataSetRole.ERASURE_LEDGER
    ]


def _search(inputs: Inputs, data_set: DataSet, ledger: DataSet) -> Overlap:
    own, key, erased = data_set.subject_key, ledger.subject_key, ledger.field(FieldRole.ERASED_AT)
    if own is None or key is None:
        raise LookupError("a subject key is not declared")
    night = inputs.night
    return Overlap(
        f"list:{data_set.id}:{ledger.id}",
        Source(data_set.id),
        other=Source(ledger.id),
        key=(own.column, key.column),
        other_where=not_after_or_unknown(erased, night.end, zone_of(ledger, night))
        if erased
        else None,
        unknown_counts=True,
    )


def _removed(inputs: Inputs, ledger: DataSet, removed: str, learned: _Learned) -> Expression:
    """People who were removed from a training set after a version was trained on it."""
    key, erased = ledger.subject_key, ledger.field(FieldRole.ERASED_AT)
    if key is None:
        raise LookupError("a subject key is not declared")
    night, day = inputs.night, learned.version.trained_at
    trained = Night(day, night.timezone).start if day else None
    zone: ZoneInfo = zone_of(ledger, night)

    def people(table: Any) -> Any:
        where = table[removed] == learned.data_set.id
        if erased is not None:
            time = table[erased]
            begun = time < comparable(time, night.end, zone)
            if trained is not None:
                begun = begun & (time >= comparable(time, trained, zone))
            where = where & (time.isnull() | begun)
        return table[key.column].nunique(where=where)

    return people


def _persons(learned: _Learned, ledgers: list[DataSet], seen: Observations) -> int:
    """Erased people of one training set: still in it, or removed since; the ledger with most."""
    counts = [0]
    for ledger in ledgers:
        present = seen.get(f"list:{learned.data_set.id}:{ledger.id}")
        removed = seen.get(f"removed:{learned.key}:{ledger.id}")
        counts.append(max(present.keys_matched if present else 0, int(removed or 0)))
    return max(counts)


def _decision_holds(version: ModelVersion, inputs: Inputs) -> bool:
    decided = version.erased_people
    return decided is not None and decided.decided_on <= inputs.night.date <= decided.deadline


def _unknown(
    inputs: Inputs, learned: list[_Learned], ledgers: list[DataSet], seen: Observations
) -> tuple[str, str]:
    """Why the search is incomplete, and what to declare."""
    reasons, declare = [], []
    if not _served(inputs) or not all(version.trained_on for version in _served(inputs)):
        reasons.append("it is not declared which versions are served and what they learned from")
        declare.append("'live_from' and 'trained_on' of the served versions")
    declare += [found for one in ledgers if (found := list_undeclared(one))]
    named = bool(ledgers) and all(one.field(FieldRole.REMOVED_FROM) for one in ledgers)
    for one in learned:
        name = one.data_set.id
        if one.data_set.subject_key is None:
            reasons.append(f"{name} has no subject key")
            declare.append(f"'subject_key' of {name}")
            continue
        present = seen.get(f"version:{name}")
        if not named and (one.snapshot is None or one.snapshot != present):
            reasons.append(f"{name} is not the declared snapshot, so people may have left it")
            declare.append("'fields.removed_from' of the erasure ledger")
    searched = searched_lists(seen)
    reasons += [
        f"no row of {one.data_set.id} has a key"
        for one in learned
        if any(c.keys == 0 for k, c in searched.items() if k.startswith(f"{one.data_set.id}:"))
    ]
    reasons += unread_lists(seen)
    reasons += [
        why for one in ledgers if not list_undeclared(one) and (why := list_unusable(one, seen))
    ]
    reasons += ["a ledger has no subject key"] if any(map(list_undeclared, ledgers)) else []
    return "; ".join(dict.fromkeys(reasons)), "; ".join(dict.fromkeys(declare))


def _measurements(
    persons: Mapping[str, int], versions: Mapping[str, ModelVersion], open_ones: list[str]
) -> Iterator[Measurement]:
    yield Measurement(
        name="versions_without_decision",
        value=len(open_ones),
        unit="versions",
        threshold=Threshold(value=0, operator="==", source="Art. 17(1), 5(2) GDPR"),
    )
    for key, count in persons.items():
        yield Measurement(
            name="erased_people_learned_from",
            value=count,
            unit="persons",
            group=f"version {key}",
            recipe="join of the training sets with the ledgers by subject key",
        )
        decided = versions[key].erased_people
        if decided is not None:
            yield Measurement(
                name="decision",
                value=f"{decided.decision} by {decided.deadline.isoformat()}",
                group=f"version {key}",
            )
