"""k-anonymity, l-diversity and t-closeness of data that are given away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nachweis.checks.privacy._examples import table
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind, Threshold
from nachweis.domain.manifest import DataSetRole
from nachweis.domain.manifest.privacy import Release
from nachweis.domain.observation import Expression, Observations, Request, Scalar

_BY = "release of the data set"


def _released(*cells: tuple[str, int, str, int], **rules: Any) -> dict[str, ExampleTable]:
    """Rows by region, age group and illness."""
    people = [cell[:3] for cell in cells for _ in range(cell[3])]
    columns: dict[str, list[Any]] = {
        "region": [one[0] for one in people],
        "age": [one[1] for one in people],
        "illness": [one[2] for one in people],
    }
    release = {"quasi_identifiers": ["region", "age"], "sensitive": ["illness"], "k": 10, **rules}
    return {"rows": table(columns, DataSetRole.SOURCE, release=release)}


_MIXED = (
    ("north", 30, "a", 10),
    ("north", 30, "b", 10),
    ("south", 40, "a", 9),
    ("south", 40, "b", 9),
)


class ReleasesKAnonymous(Check):
    """Does every person in released data share their attributes with enough others?

    Why: People without a name can be found by what somebody knows of them: place, age, household.
        A release in which someone stands alone is personal data (recital 26 GDPR).
    Method: Rows with equal declared ``quasi_identifiers`` form a class; a missing value is a value.
        Numbers: smallest class and rows in classes below k (0 or more, must be 0); for each
        sensitive column the fewest different values in a class against l, and the largest distance
        of a class's values from those of all rows (half the sum of absolute differences of shares,
        0 to 1) against t. All in the engine; only these numbers leave it. Undefined without rows.
        Sources: Sweeney 2002; Machanavajjhala et al. 2007; Li et al. 2007 with equal distances.
    Leaves out: What else somebody knows, earlier releases, and whether other columns identify too.
        An order of sensitive values. k, l and t do not make data free of personal data by
        themselves.
    """

    severity = Severity.HIGH
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset(
        {
            DataSetRole.SOURCE,
            DataSetRole.FEATURES,
            DataSetRole.TRAINING,
            DataSetRole.EVALUATION,
            DataSetRole.REFERENCE,
        }
    )
    controls = ("PSEUDO", "DATA-MIN")
    needs = (Needs.RELEASE,)
    remediation = (
        "Do not give the data away in this form. Coarsen the attributes (regions instead of towns, "
        "age groups instead of years), drop one, or leave out the rows of small classes; then look "
        "again at what is left."
    )
    examples = (
        Example("classes of 18 and more", Outcome.PASS, _released(*_MIXED, l=2, t=0.3)),
        Example("somebody stands alone", Outcome.FAIL, _released(*_MIXED, ("west", 80, "a", 1))),
        Example(
            "everybody in a class has the same illness",
            Outcome.FAIL,
            _released(*_MIXED, ("west", 80, "a", 20), l=2),
        ),
        Example(
            "a class differs from all rows",
            Outcome.FAIL,
            _released(*_MIXED, ("west", 80, "a", 19), ("west", 80, "b", 1), t=0.2),
        ),
        Example("no rows", Outcome.NOT_AVAILABLE, _released()),
        Example("not a release", Outcome.NOT_AVAILABLE, {"rows": table({"age": [1]})}),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Aggregates over classes, in one statement."""
        source, release = inputs.rows_in_question, _release(inputs)
        yield Scalar("rows", source, lambda table: table.count())
        for name, expression in _sizes(release).items():
            yield Scalar(name, source, expression)
        for column in release.sensitive:
            if release.l is not None:
                for name, expression in _diversity(release, column).items():
                    yield Scalar(f"{name}:{column}", source, expression)
            if release.t is not None:
                yield Scalar(f"distance:{column}", source, _distance(release, column))

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding per data set."""
        rows, release = int(observations["rows"] or 0), _release(inputs)
        if not rows:
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, "The release holds no rows.")
            return
        smallest, below = int(observations["smallest"]), int(observations["below"] or 0)
        broken = [f"k = {release.k}"] if smallest < release.k else []
        numbers = [
            _limited("smallest_class", smallest, "rows", ">=", release.k),
            _limited("rows_in_small_classes", below, "rows", "==", 0),
            Measurement(name="rows_alone", value=int(observations["alone"] or 0), unit="rows"),
        ]
        for column in release.sensitive:
            for number, kept in _of_column(release, column, observations):
                numbers.append(number)
                if not kept:
                    broken.append(f"{number.name.replace('_', ' ')} of {column}")
        yield self.finding(
            inputs,
            Outcome.FAIL if broken else Outcome.PASS,
            f"The release does not keep: {', '.join(broken)}."
            if broken
            else "The release keeps what was declared for it.",
            measurements=numbers,
            scope=f"{rows} rows, {len(release.quasi_identifiers)} quasi-identifiers",
        )


def _of_column(
    release: Release, column: str, observations: Observations
) -> Iterator[tuple[Measurement, bool]]:
    if release.l is not None:
        fewest = int(observations[f"fewest:{column}"])
        number = _limited("fewest_values", fewest, "values", ">=", release.l, column)
        yield number, fewest >= release.l
        uniform = int(observations[f"uniform:{column}"] or 0)
        yield _limited("rows_in_uniform_classes", uniform, "rows", "==", 0, column), not uniform
    if release.t is not None:
        distance = float(observations[f"distance:{column}"])
        number = _limited("largest_distance", distance, "difference", "<=", release.t, column)
        yield number, distance <= release.t + 1e-12


def _limited(
    name: str, value: float, unit: str, operator: str, limit: float, column: str | None = None
) -> Measurement:
    threshold = Threshold(value=limit, operator=operator, source=_BY)
    return Measurement(name=name, value=value, unit=unit, threshold=threshold, group=column)


def _release(inputs: Inputs) -> Release:
    if inputs.data_set.release is None:
        raise LookupError("the need 'release' was not met")
    return inputs.data_set.release


# ---------------------------------------------------------------------------------- expressions


def _sizes(release: Release) -> dict[str, Expression]:
    """Smallest class, rows in classes below k, and classes of one row."""

    def classes(table: Any) -> Any:
        keys = {f"q{i}": table[name] for i, name in enumerate(release.quasi_identifiers)}
        return table.select(**keys).group_by(list(keys)).aggregate(n=lambda rows: rows.count())

    def small(table: Any) -> Any:
        found = classes(table)
        return found.filter(found.n < release.k).n.sum().as_scalar()

    def alone(table: Any) -> Any:
        found = classes(table)
        return found.filter(found.n == 1).count().as_scalar()

    return {
        "smallest": lambda table: classes(table).n.min().as_scalar(),
        "below": small,
        "alone": alone,
    }


def _cells(release: Release, column: str, table: Any) -> Any:
    """Rows per class and sensitive value."""
    keys = {f"q{i}": table[name] for i, name in enumerate(release.quasi_identifiers)}
    rows = table.select(**keys, value=table[column])
    return rows.group_by([*keys, "value"]).aggregate(n=lambda one: one.count())


def _keys(release: Release) -> list[str]:
    return [f"q{i}" for i in range(len(release.quasi_identifiers))]


def _diversity(release: Release, column: str) -> dict[str, Expression]:
    """Fewest different values in a class, and rows in classes with fewer than l."""

    def classes(table: Any) -> Any:
        cells = _cells(release, column, table)
        return cells.group_by(_keys(release)).aggregate(values=cells.count(), n=cells.n.sum())

    def uniform(table: Any) -> Any:
        found = classes(table)
        return found.filter(found["values"] < release.l).n.sum().as_scalar()

    return {
        "fewest": lambda table: classes(table)["values"].min().as_scalar(),
        "uniform": uniform,
    }


def _distance(release: Release, column: str) -> Expression:
    """Largest distance of a class's values from those of all rows."""

    def largest(table: Any) -> Any:
        cells = _cells(release, column, table)
        cells = cells.mutate(
            own=cells.n / cells.n.sum().over(group_by=[cells[key] for key in _keys(release)]),
            all=cells.n.sum().over(group_by=cells.value) / cells.n.sum().over(),
        )
        # Values that a class does not hold add their share of all rows: together 1 minus the
        # shares of those that it holds.
        part = (cells.own - cells["all"]).abs() - cells["all"]
        found = cells.group_by(_keys(release)).aggregate(t=(1 + part.sum()) / 2)
        return found.t.max().as_scalar()

    return largest
