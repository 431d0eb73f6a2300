"""What a person can achieve by changing what they control."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.checks.security._scored import (
    MISSING,
    SCOPE,
    example_declaration,
    example_file,
    example_tables,
    request,
    rule,
    tried_on,
)
from nachweis.domain.check import Check, Example, Inputs, Lifecycle, Needs, Param
from nachweis.domain.errors import DataError, UndefinedError
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import ModelKind
from nachweis.domain.observation import Observations, Request
from nachweis.engines.intervals import wilson_interval
from nachweis.engines.robustness import Controlled, cheapest_manipulation

_FEWEST = 50
_FILE = example_file(1.0)
_MINE = {"customer_controlled": True, "step": 1.0}
_FAR = [9.0 if i % 2 else -20.0 - i % 10 for i in range(160)]
_NEAR = [9.0 if i % 2 else -0.5 - i % 2 for i in range(160)]


class CheapManipulationBounded(Check):
    """Does a decision resist a few easy changes of what the person scored controls?

    Why: If three clicks turn a refusal into a voucher, the model rewards whoever knows it, at the
        cost of everybody else (Art. 15(5) AI Act as good practice; ATLAS AML.T0015).
    Method: The stored model of the newest served version is applied to at most 2,000 rows of the
        reference (else of the scoring log). Rows without the favourable decision make, round by
        round, the one change of a controlled field that raises their score most: one declared step
        of a number within the sample's range, or another category that occurs. Share of them that
        become favourable within ``max_changes`` changes (0 to 1). It fails if the 95 % Wilson lower
        limit exceeds ``max_turned``. Fields that nobody can change stay. Undefined without
        controlled fields, without a decision threshold, or with fewer than 50 such rows. Source:
        this project; Wilson (1927).
    Leaves out: Changes that cost money or time, which are counted like any other. Better
        attacks than one change at a time. Fields that are not declared as controlled.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.MODEL
    controls = ("ADVERSARIAL",)
    needs = (Needs.ARTEFACT, Needs.FEATURES, Needs.POSITIVE, Needs.CONTROLLED_FIELDS)
    model_kinds = frozenset({ModelKind.BINARY, ModelKind.REGRESSION})
    params = (
        Param(
            "max_changes",
            3,
            "changes",
            "design default of this project",
            "Changes that a person makes at most.",
            minimum=1,
            maximum=20,
        ),
        Param(
            "max_turned",
            0.5,
            "share of rows without the favourable decision",
            "design default of this project",
            "Share that may become favourable.",
            minimum=0.01,
            maximum=1,
        ),
    )
    remediation = (
        "Look at the controlled field that helps most. Use a longer period or a robust summary "
        "of it (a median, a cap), require several signals together, or limit what the decision "
        "is worth."
    )
    examples = (
        Example(
            "far from the threshold",
            Outcome.PASS,
            example_tables(_FAR, _MINE),
            model=example_declaration(_FILE),
            files={"m": _FILE},
        ),
        Example(
            "one step is enough for nearly everybody",
            Outcome.FAIL,
            example_tables(_NEAR, _MINE),
            model=example_declaration(_FILE),
            files={"m": _FILE},
        ),
        Example(
            "no controlled field declared",
            Outcome.NOT_AVAILABLE,
            example_tables(_NEAR),
            model=example_declaration(_FILE),
            files={"m": _FILE},
        ),
        Example(
            "nobody without the favourable decision",
            Outcome.NOT_AVAILABLE,
            example_tables([5.0 + i % 3 for i in range(160)], _MINE),
            model=example_declaration(_FILE),
            files={"m": _FILE},
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """The stored model's scores of a sample."""
        wanted = request(inputs)
        return () if wanted is None else (wanted,)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the model."""
        if request(inputs) is None:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "There is no stored model that can be tried, or no rows to try it on.",
                declare=MISSING,
            )
            return
        sample, changes = observations["scores"], inputs.param("max_changes")
        try:
            found = cheapest_manipulation(sample, rule(inputs, sample), _fields(inputs), changes)
        except (UndefinedError, DataError) as undefined:
            text = f"The stored model could not be tried: {undefined.what}."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text, scope=SCOPE)
            return
        if found.refused < _FEWEST:
            text = f"Fewer than {_FEWEST} rows are without the favourable decision."
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, text, scope=SCOPE)
            return
        interval = wilson_interval(found.turned[-1], found.refused)
        failed = interval[0] > inputs.param("max_turned")
        measured = [
            Measurement(
                name="turned_share",
                value=found.turned[-1] / found.refused,
                unit="share",
                threshold=inputs.threshold("max_turned", "<="),
                n=found.refused,
                interval=interval,
                interval_level=0.95,
                recipe=f"greedy search, at most {changes} changes of controlled fields",
            ),
            Measurement(
                name="turned_share_by_one_change",
                value=found.turned[0] / found.refused,
                unit="share",
                n=found.refused,
            ),
            *(
                Measurement(
                    name="first_change_helped",
                    value=count / found.refused,
                    unit="share",
                    n=found.refused,
                    group=column,
                )
                for column, count in sorted(found.first_fields.items())
            ),
        ]
        yield self.finding(
            inputs,
            Outcome.FAIL if failed else Outcome.PASS,
            f"At most {changes} easy changes turn more decisions than are borne."
            if failed
            else f"At most {changes} easy changes do not turn more decisions than are borne.",
            measurements=measured,
            scope=SCOPE,
        )


def _fields(inputs: Inputs) -> list[Controlled]:
    data_set = tried_on(inputs)
    if data_set is None:
        return []
    names = set(inputs.feature_names)
    return [
        Controlled(column.name, column.step)
        for column in data_set.columns
        if column.customer_controlled and not column.immutable and column.name in names
    ]
