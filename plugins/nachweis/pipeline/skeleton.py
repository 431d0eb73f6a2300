"""The text of a new check: complete, executable, and waiting for its own question."""

from __future__ import annotations

import re

from nachweis.domain.errors import CheckDefinitionError
from nachweis.domain.finding import SubjectKind

_CONTROL_OF = {
    "drift": "MONITOR",
    "fairness": "BIAS",
    "permission": "CONSENT",
    "quality": "DATA-QUALITY",
}

SUBJECT = SubjectKind.DATA_SET
"""What a new check is about, until its author decides otherwise."""

_TEMPLATE = '''"""What this check looks at, in a few words."""

from __future__ import annotations

from collections.abc import Iterable

from nachweis.domain.check import (
    Check,
    Example,
    ExampleTable,
    Inputs,
    Lifecycle,
    Needs,
    Param,
)
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.observation import Observations, Request, Scalar


def _table(rows: int, **declare: object) -> dict[str, ExampleTable]:
    """A small data set for the examples."""
    return {"training": ExampleTable(DataSetRole.TRAINING, {"age": [40] * rows}, declare)}


class __CLASS__(Check):
    """__QUESTION__?

    Why: Say what happens to people or to the record if the answer is no, and which rule asks.
    Method: Rows of the data set, 0 or more, at least ``min_rows``; never undefined. Replace this
        by formula, unit, range, where it is undefined, and the source of each.
    Leaves out: Say what this check cannot see.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.EXPERIMENTAL
    subject = SubjectKind.__SUBJECT__
    controls = ("__CONTROL__",)
    needs = (Needs.COLUMNS,)
    params = (
        Param(
            "min_rows",
            2,
            "rows",
            "design default of this project",
            "Fewest rows that are in order.",
            minimum=1,
        ),
    )
    remediation = "Say what a person should do when it fails."
    examples = (
        Example("enough rows", Outcome.PASS, _table(3)),
        Example("one row", Outcome.FAIL, _table(1)),
        Example("no columns declared", Outcome.NOT_AVAILABLE, _table(3, columns=[])),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Say what must be looked at; nothing is read here."""
        yield Scalar("rows", inputs.rows_in_question, lambda table: table.count())

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """Turn what was seen into findings; pure, and never with a data value in the text."""
        rows = observations["rows"]
        passed = rows >= inputs.param("min_rows")
        yield self.finding(
            inputs,
            Outcome.PASS if passed else Outcome.FAIL,
            "There are enough rows." if passed else "There are too few rows.",
            measurements=[
                Measurement(
                    name="rows",
                    value=rows,
                    unit="rows",
                    threshold=inputs.threshold("min_rows", ">="),
                )
            ],
            scope=f"window {inputs.rows_in_question.window}",
        )
'''


def new_check_source(family: str, name: str) -> str:
    """Write the source of a new check that already passes the contract test.

    Args:
        family: Folder below ``checks/``, for example ``drift``.
        name: The statement the check tests, in snake case: ``volume_stays_level``.

    Returns:
        Python source for ``checks/<family>/<name>.py``.

    Raises:
        CheckDefinitionError: If family or name cannot be one.
    """
    if not name:
        raise CheckDefinitionError(
            "a check needs a family and a statement",
            where=family,
            remedy="write family/statement, for example drift/volume_stays_level",
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", family):
        raise CheckDefinitionError(
            f"{family!r} cannot be a family",
            remedy="use lower-case letters, digits and underscores, for example drift",
        )
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", name):
        raise CheckDefinitionError(
            f"{name!r} is not a statement in snake case",
            remedy="name what is true when it passes, for example volume_stays_level",
        )
    words = name.split("_")
    filled = {
        "__SUBJECT__": SUBJECT.name,
        "__CLASS__": "".join(word.capitalize() for word in words),
        "__QUESTION__": f"Is it true that {' '.join(words)}",
        "__CONTROL__": _CONTROL_OF.get(family, "MONITOR"),
    }
    source = _TEMPLATE
    for mark, text in filled.items():
        source = source.replace(mark, text)
    return source
