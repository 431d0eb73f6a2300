"""Rows used against the register of legal bases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from nachweis.checks.permission._examples import JANUARY, register_table
from nachweis.checks.permission._register import Use, must_be_zero
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole, FieldRole
from nachweis.domain.night import Night
from nachweis.domain.observation import Observations, OverlapCounts, Request

_REGISTERS = frozenset(
    {
        DataSetRole.PERMISSION_REGISTER,
        DataSetRole.SUPPRESSION_LIST,
        DataSetRole.OBJECTIONS,
        DataSetRole.ERASURE_LEDGER,
        DataSetRole.SUBJECT_REQUESTS,
    }
)
_TRAINED_ON = frozenset({DataSetRole.TRAINING, DataSetRole.EVALUATION})

_FEBRUARY = dt.datetime(2026, 2, 10, 9)


def _tables(register: Mapping[str, list[Any]], **declare: Any) -> dict[str, ExampleTable]:
    permission = {"register": "register", "purpose": "example", "phase": "development"}
    return {
        "training": ExampleTable(
            DataSetRole.TRAINING,
            {"person": ["a", "b"], "used_at": [_FEBRUARY, _FEBRUARY]},
            {
                "subject_key": {"column": "person"},
                "time": {"column": "used_at"},
                "permission": permission,
                **declare,
            },
        ),
        "register": register_table(register),
    }


def _register(*withdrawn: dt.datetime | None, phase: str = "development") -> dict[str, list[Any]]:
    return {
        "person": ["a", "b"],
        "purpose": ["example", "example"],
        "phase": [phase, phase],
        "given_at": [JANUARY, JANUARY],
        "withdrawn_at": list(withdrawn),
    }


class LegalBasisHeldForRowsUsed(Check):
    """Did every person whose rows were used have a valid legal basis at that time?

    Why: Processing without a basis is unlawful from the first row on (Art. 6(1) GDPR), and for
        consent the controller must be able to show it for each person (Art. 7(1) GDPR).
    Method: Each used row is looked up in the permission register by the subject key: a row of the
        register for the declared purpose and phase, given before the use and neither withdrawn nor
        expired at that time. Time of use is the day of training for training and evaluation data
        whose models declare it, else the row's own time, else the end of the night. Numbers: rows
        and persons without such a row, 0 or more, must be 0; undefined without rows, and where the
        register does not say when a basis was withdrawn or the data set not which purpose and phase
        its rows were used for. Source: Art. 5(2), 6(1), 7(1) GDPR.
    Leaves out: Whether the basis was validly obtained, and permission to contact people, which is
        a check of its own. A withdrawal after the use does not make the use unlawful
        (Art. 7(3) GDPR).
    """

    severity = Severity.CRITICAL
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("CONSENT", "SEPARATION")
    needs = (Needs.PERMISSION_REGISTER,)
    data_set_roles = frozenset(DataSetRole) - _REGISTERS
    waivable = False
    remediation = (
        "Stop using the rows counted here, remove them from the data set, and retrain without them "
        "if a model has learned from them. Find out why the selection let them through, and have "
        "the data protection officer decide whether this is an incident."
    )
    examples = (
        Example("everybody agreed", Outcome.PASS, _tables(_register(None, None))),
        Example(
            "one person had withdrawn before the use",
            Outcome.FAIL,
            _tables(_register(None, dt.datetime(2026, 1, 20))),
        ),
        Example(
            "the basis is for another phase",
            Outcome.FAIL,
            _tables(_register(None, None, phase="deployment")),
        ),
        Example(
            "withdrawn before the model was trained, after the rows were recorded",
            Outcome.FAIL,
            _tables(_register(None, dt.datetime(2026, 2, 20))),
            model={"versions": [{"version": "1", "trained_at": "2026-02-25"}]},
        ),
        Example(
            "withdrawn after the use",
            Outcome.PASS,
            _tables(_register(None, dt.datetime(2026, 2, 20))),
        ),
        Example(
            "no register declared",
            Outcome.NOT_AVAILABLE,
            _tables(_register(None, None), permission=None),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Look the rows up in the register, unless the register is not declared well enough."""
        use = _use(inputs)
        if not use.undeclared():
            yield use.overlap("basis")

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the whole data set."""
        use = _use(inputs)
        if undeclared := use.undeclared():
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "What is needed to look rows up in the register is not declared.",
                declare=undeclared,
            )
            return
        counts: OverlapCounts = observations["basis"]
        if counts.rows == 0:
            yield self.finding(
                inputs, Outcome.NOT_AVAILABLE, "There are no rows, so none could be looked up."
            )
            return
        yield self.finding(
            inputs,
            Outcome.FAIL if counts.rows_unmatched else Outcome.PASS,
            "Some rows have no valid basis in the register."
            if counts.rows_unmatched
            else "Every row has a valid basis in the register.",
            measurements=must_be_zero(
                [
                    ("rows_without_basis", counts.rows_unmatched, "rows", None),
                    ("persons_without_basis", counts.keys_unmatched, "persons", None),
                    ("rows_without_key", counts.rows_without_key, "rows", None),
                ],
                "Art. 6(1) GDPR",
                "anti-join with the register by subject key",
            ),
            scope=f"window {use.source.window}, register {use.register.id}, time of use: "
            f"{_time_of_use(use)}",
        )


def _use(inputs: Inputs) -> Use:
    data_set, rule = inputs.data_set, inputs.data_set.permission
    if rule is None:
        raise LookupError("the need 'permission_register' was not met")
    register = inputs.world.data_sets[rule.register_]
    fixed, matched, lacking = [], [], []
    if data_set.field(FieldRole.PURPOSE):
        matched.append(FieldRole.PURPOSE)
    elif rule.purpose:
        fixed.append((FieldRole.PURPOSE, rule.purpose))
    elif register.field(FieldRole.PURPOSE):
        lacking.append(f"'permission.purpose' of {data_set.id}")
    if rule.phase:
        fixed.append((FieldRole.PHASE, rule.phase))
    elif register.field(FieldRole.PHASE):
        # Otherwise a permission to contact, which has no phase, would count as a legal basis.
        lacking.append(f"'permission.phase' of {data_set.id}")
    at = _training_day(inputs)
    if at is None and data_set.time is None:
        at = inputs.night.end
    return Use(
        data_set=data_set,
        source=inputs.rows_in_question,
        register=register,
        night=inputs.night,
        fixed=tuple(fixed),
        matched=tuple(matched),
        at=at,
        max_age=rule.max_age,
        lacking=tuple(lacking),
    )


def _training_day(inputs: Inputs) -> dt.datetime | None:
    """End of the latest day on which a model was trained on this data set, if declared."""
    if inputs.data_set.role not in _TRAINED_ON:
        return None
    days = [
        version.trained_at
        for model in inputs.world.models_using(inputs.data_set.id)
        for version in model.versions
        if version.trained_at is not None
        and version.trained_at <= inputs.night.date
        and (
            not version.trained_on
            or any(used.data_set == inputs.data_set.id for used in version.trained_on)
        )
    ]
    return Night(max(days), inputs.night.timezone).end if days else None


def _time_of_use(use: Use) -> str:
    if use.at is None:
        return "time of each row"
    return f"before {use.at.date().isoformat()}"
