"""Great Expectations suites as a check."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole, Suite
from nachweis.domain.observation import ExpectationOutcome, Observations, Request, SuiteResult

_SEVERITIES = {
    "critical": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "info": Severity.INFO,
}
_SUITE = (
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}},
    {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "age", "min_value": 18, "max_value": 110},
        "severity": "warning",
    },
)


def _ages(*values: int | None) -> dict[str, ExampleTable]:
    return {"training": ExampleTable(DataSetRole.TRAINING, {"age": list(values)})}


class TrainingDataMeetsSuite(Check):
    """Do the data meet every expectation of their suite?

    Why: A model learns the errors of its data, and a score for a person from a broken row is a
        wrong fact about that person (Art. 5(1)(d) GDPR, accuracy).
    Method: Every rule of the suite is validated with Great Expectations on all rows of the data
        set, or on the night's rows where the data set grows by the night. A rule's number is the
        count of rows that do not meet it, 0 to the number of rows; undefined for rules about the
        whole table, which are true or false. One broken rule fails the data set; the most serious
        broken rule sets the severity (critical: high, warning: medium, info: info). A rule that
        raises an exception is an error and never a pass. Source: greatexpectations.io, version 1.
    Leaves out: Everything that no rule of the suite states. An empty table proves nothing and is
        not counted as a pass.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    controls = ("DATA-QUALITY",)
    needs = (Needs.SUITE,)
    remediation = (
        "Look at the rows the broken rule counts, in the source system, and correct them there. If "
        "the rule is wrong, change it in expectations/ and have the owner of the suite approve it."
    )
    examples = (
        Example(
            "every age present and in range",
            Outcome.PASS,
            _ages(34, 51, 78, 19),
            suite=_SUITE,
        ),
        Example("an age is missing", Outcome.FAIL, _ages(34, None, 78, 19), suite=_SUITE),
        Example(
            "a rule about a column that does not exist",
            Outcome.ERROR,
            _ages(34, 51),
            suite=(
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "income"}},
            ),
        ),
        Example("no rows at all", Outcome.NOT_AVAILABLE, _ages(), suite=_SUITE),
        Example("no suite", Outcome.NOT_AVAILABLE, _ages(34, 51)),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Validate the suite on the rows in question."""
        yield SuiteResult("suite", inputs.rows_in_question, _suite(inputs).id)

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding with one measurement per rule."""
        result = observations["suite"]
        facts = observations.window(inputs.rows_in_question)
        rows = facts.rows if facts is not None else result.rows
        if rows == 0:
            yield self.finding(
                inputs,
                Outcome.NOT_AVAILABLE,
                "There are no rows to look at, so no rule could be tested.",
                declare="data for this night, or a location that holds them",
            )
            return
        raised = [rule for rule in result.expectations if rule.success is None]
        broken = [rule for rule in result.expectations if rule.success is False]
        # A rule that is broken stays a contradiction, whatever became of the others.
        outcome = Outcome.FAIL if broken else Outcome.ERROR if raised else Outcome.PASS
        worst = max(
            (_SEVERITIES[rule.severity] for rule in broken),
            key=lambda severity: severity.rank,
            default=self.severity,
        )
        suite = _suite(inputs)
        yield self.finding(
            inputs,
            outcome,
            _explanation(len(result.expectations), broken, raised),
            measurements=[_measurement(rule, suite) for rule in result.expectations],
            severity=worst,
            scope=f"suite {result.suite}, window {inputs.rows_in_question.window}",
        )


def _suite(inputs: Inputs) -> Suite:
    suite = inputs.world.suite_of(inputs.data_set)
    if suite is None:
        raise LookupError("the need 'suite' was not met")
    return suite


def _explanation(
    total: int, broken: list[ExpectationOutcome], raised: list[ExpectationOutcome]
) -> str:
    parts = [f"{total - len(broken) - len(raised)} of {total} rules are met."]
    if broken:
        parts.append(f"Not met: {_named(broken)}.")
    if raised:
        parts.append(f"Could not be tested: {_named(raised)}.")
    return " ".join(parts)


def _named(rules: list[ExpectationOutcome], shown: int = 5) -> str:
    names = [
        f"{rule.type.removeprefix('expect_')} ({rule.column or 'table'})" for rule in rules[:shown]
    ]
    more = len(rules) - shown
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _whole(suite: Suite, rule: ExpectationOutcome) -> bool:
    """Whether a rule demands something of every row, not of ``mostly`` all."""
    return float(suite.expectations[rule.index].kwargs.get("mostly", 1)) == 1


def _measurement(rule: ExpectationOutcome, suite: Suite) -> Measurement:
    """One rule's number: rows that do not meet it, or whether it holds; a limit if it is broken."""
    recipe = f"Great Expectations on {rule.engine}; rule {rule.index}, {rule.kwargs_digest[:12]}"
    counted = rule.unexpected_count is not None
    limit = None
    if rule.success is False and not counted:
        limit = Threshold(value="true", operator="==", source="suite")
    elif rule.success is False and _whole(suite, rule):
        limit = Threshold(value=0, operator="==", source="suite")
    return Measurement(
        name=rule.type,
        value=rule.unexpected_count if counted else rule.success,
        unit="rows" if counted else "",
        threshold=limit,
        n=rule.element_count,
        recipe=recipe,
        group=rule.column or None,
        reason=f"raised {rule.error_type}" if rule.success is None else "",
    )
