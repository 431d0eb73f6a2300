"""Labels by contributor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nachweis.checks.security._common import label_of, training
from nachweis.domain.check import Check, Example, ExampleTable, Inputs, Lifecycle, Needs, Param
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, SubjectKind
from nachweis.domain.manifest import DataSetRole, FieldRole
from nachweis.domain.observation import CountTable, GroupedCounts, Observations, Request, Source
from nachweis.engines.intervals import newcombe_interval, two_proportion_p_value, wilson_interval

_MOST_CLASSES = 20
_MOST_SOURCES = 1000


def _rows(*rates: float, each: int = 100) -> dict[str, ExampleTable]:
    sources = [f"shop {i}" for i in range(len(rates)) for _ in range(each)]
    bought = [int(i < rate * each) for rate in rates for i in range(each)]
    return training({"visits": [1] * len(sources), "bought": bought, "source": sources})


class LabelRateEvenAcrossSources(Check):
    """Do the labels of each contributor look like those of all others?

    Why: A contributor whose rows carry one label far more often than everybody else's is either
        different, broken or manipulating (ATLAS AML.T0010.002).
    Method: For each contributor with at least ``min_rows`` rows and each label, the share of the
        label (0 to 1) is compared with that of all other contributors. It fails if the 95 %
        Newcombe interval of the difference lies beyond ``max_difference`` and the two-proportion
        test, corrected for all comparisons (Bonferroni), is below ``significance``. Undefined with
        fewer than two such contributors, one label or more than 20. Source: this project;
        Newcombe (1998).
    Leaves out: Differences that the contributors' customers explain. Small contributors.
    """

    severity = Severity.MEDIUM
    lifecycle = Lifecycle.STABLE
    subject = SubjectKind.DATA_SET
    data_set_roles = frozenset({DataSetRole.TRAINING})
    controls = ("POISONING",)
    needs = (Needs.LABEL, Needs.CONTRIBUTOR)
    params = (
        Param(
            "max_difference",
            0.2,
            "difference of shares",
            "design default of this project",
            "Difference to all others that is still borne.",
            minimum=0.02,
            maximum=1,
        ),
        Param(
            "min_rows",
            50,
            "rows",
            "design default of this project",
            "Fewest rows of a contributor that is compared.",
            minimum=20,
        ),
        Param(
            "significance",
            0.001,
            "probability",
            "design default of this project",
            "Level for all comparisons together.",
            minimum=0.000001,
            maximum=0.05,
        ),
    )
    remediation = (
        "Count the label by contributor, ask the one that differs how its labels are made, and "
        "compare some of its rows with the system they come from. Leave its rows out of training "
        "until the reason is known."
    )
    examples = (
        Example("contributors that agree", Outcome.PASS, _rows(0.3, 0.34, 0.28)),
        Example("a contributor that nearly always buys", Outcome.FAIL, _rows(0.3, 0.34, 0.95)),
        Example("small contributors", Outcome.NOT_AVAILABLE, _rows(0.3, 0.9, each=20)),
        Example(
            "no contributor declared",
            Outcome.NOT_AVAILABLE,
            training({"visits": [1, 2], "bought": [0, 1]}),
        ),
    )

    def observe(self, inputs: Inputs) -> Iterable[Request]:
        """Rows per contributor and label."""
        column = inputs.data_set.field(FieldRole.SOURCE) or ""
        source = Source(inputs.data_set.id, "whole")
        yield GroupedCounts("counts", source, {"source": column, "label": label_of(inputs)})

    def judge(self, inputs: Inputs, observations: Observations) -> Iterable[Finding]:
        """One finding about the data set."""
        table = observations["counts"]
        column, smallest = inputs.data_set.field(FieldRole.SOURCE), inputs.param("min_rows")
        rows = _by_source(table)
        large = {name: counts for name, counts in rows.items() if sum(counts.values()) >= smallest}
        labels = {label for counts in rows.values() for label in counts}
        reason = ""
        if not 2 <= len(large) <= _MOST_SOURCES:
            reason = (
                f"There are not 2 to {_MOST_SOURCES} contributors with {smallest} rows or more."
            )
        elif not 2 <= len(labels) <= _MOST_CLASSES:
            reason = f"There are not 2 to {_MOST_CLASSES} different labels."
        if reason:
            yield self.finding(inputs, Outcome.NOT_AVAILABLE, reason, column=column)
            return
        compared = _compared(large, rows, labels)
        tests = len(compared)
        limit, level = inputs.param("max_difference"), inputs.param("significance")
        beyond = [c for c in compared if c.beyond(limit) and c.p_value * tests < level]
        worst = max(compared, key=lambda c: abs(c.difference))
        measured = [
            Measurement(
                name="largest_difference",
                value=worst.difference,
                unit="difference",
                threshold=inputs.threshold("max_difference", "<="),
                n=worst.n,
                interval=worst.interval,
                interval_level=0.95,
                recipe="share of a label, one contributor minus all others; Newcombe interval",
            ),
            Measurement(
                name="contributors_beyond",
                value=len({c.source for c in beyond}),
                unit="contributors",
                recipe=f"{len(large)} contributors, {tests} comparisons, Bonferroni",
            ),
        ]
        yield self.finding(
            inputs,
            Outcome.FAIL if beyond else Outcome.PASS,
            "The labels of at least one contributor differ from all others' beyond the limit."
            if beyond
            else "No contributor's labels differ from all others' beyond the limit and chance.",
            measurements=measured,
            column=column,
            scope="all rows with contributor and label",
        )


@dataclass(frozen=True, slots=True)
class _Compared:
    """One contributor's share of one label against everybody else's; the name stays inside."""

    source: object
    n: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    def beyond(self, limit: float) -> bool:
        return self.interval[0] > limit or self.interval[1] < -limit


def _by_source(table: CountTable) -> dict[object, dict[object, int]]:
    found: dict[object, dict[object, int]] = {}
    for (source, label), count in table.rows.items():
        if source is not None and label is not None:
            found.setdefault(source, {})[label] = count
    return found


def _compared(
    large: dict[object, dict[object, int]],
    rows: dict[object, dict[object, int]],
    labels: set[object],
) -> list[_Compared]:
    totals = {label: sum(c.get(label, 0) for c in rows.values()) for label in labels}
    everything = sum(totals.values())
    # Of two labels, one says all about the other.
    looked_at = sorted(labels, key=str)[1:] if len(labels) == 2 else sorted(labels, key=str)
    found = []
    for source, counts in large.items():
        n = sum(counts.values())
        others = everything - n
        for label in looked_at:
            hits = counts.get(label, 0)
            hits_others = totals[label] - hits
            share, share_others = hits / n, hits_others / others
            interval = newcombe_interval(
                share, wilson_interval(hits, n), share_others, wilson_interval(hits_others, others)
            )
            p_value = two_proportion_p_value(hits, n, hits_others, others)
            found.append(_Compared(source, n, share - share_others, interval, p_value))
    return found
