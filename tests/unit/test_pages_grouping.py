"""Findings are grouped for reading: none is lost, open ones come first, suppressed ones stay so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, Threshold
from nachweis.domain.record import EvidenceRef, FindingView
from nachweis.pages.grouping import arrange, beyond_limit, key_numbers


def finding(
    check: str = "a", subject: str = "x", outcome: Outcome = Outcome.FAIL,
    severity: Severity = Severity.LOW, column: str | None = None, *measurements: Measurement,
) -> Finding:  # fmt: skip
    return Finding(
        check=check, subject=Subject.model_validate({"kind": "model", "id": subject}),
        column=column, outcome=outcome, severity=severity, explanation="says so",
        measurements=measurements, remediation="do it",
    )  # fmt: skip


def view(item: Finding) -> FindingView:
    return FindingView(
        finding=item, state="", evidence=EvidenceRef(digest="ab" * 32, pointer="/findings/0")
    )


def number(
    name: str, value: float | str | None, limit: float | str = 1.0, operator: str = "<=",
    interval: tuple[float, float] | None = None,
) -> Measurement:  # fmt: skip
    return Measurement(
        name=name, value=value, interval=interval,
        threshold=Threshold(value=limit, operator=operator, source="test"),
    )  # fmt: skip


FINDINGS = st.lists(
    st.builds(
        finding, st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(Outcome),
        st.sampled_from(Severity), st.sampled_from(["c1", "c2", None]),
    ),
    unique_by=lambda item: item.key,
)  # fmt: skip


@given(FINDINGS)
def test_every_finding_is_in_exactly_one_place(findings: list[Finding]) -> None:
    found = arrange([view(item) for item in findings])
    shown = [row.finding for group in (*found.open, *found.passed) for row in group.rows]
    shown += [
        row.finding for item in found.unlooked for reason in item.reasons for row in reason.rows
    ]
    assert sorted(item.key for item in shown) == sorted(item.key for item in findings)
    assert found.open_count == sum(item.is_open for item in findings)
    assert all(row.finding.is_open for group in found.open for row in group.rows)
    assert all(row.finding.outcome is Outcome.PASS for g in found.passed for row in g.rows)


@given(FINDINGS)
def test_the_most_severe_open_group_comes_first(findings: list[Finding]) -> None:
    found = arrange([view(item) for item in findings])
    ranks = [group.worst.finding.severity.rank for group in found.open]
    assert ranks == sorted(ranks, reverse=True)
    assert len({group.check for group in found.open}) == len(found.open)


def test_a_failure_shows_what_is_beyond_its_limit_worst_first() -> None:
    failed = finding(
        "a", "x", Outcome.FAIL, Severity.LOW, None,
        number("fine", 0.5), number("bad", 2.0), number("worse", 9.0),
        Measurement(name="n", value=1),
    )  # fmt: skip
    assert [m.name for m in key_numbers(failed)] == ["worse", "bad"]


def test_a_pass_shows_the_number_nearest_to_its_limit_first() -> None:
    passed = finding(
        "a", "x", Outcome.PASS, Severity.LOW, None,
        number("far", 0.1), number("near", 0.9), number("said", "1-9", "< 10"),
    )  # fmt: skip
    assert [m.name for m in key_numbers(passed)] == ["near", "far", "said"]


def test_numbers_with_an_interval_go_before_side_conditions() -> None:
    passed = finding(
        "a", "x", Outcome.PASS, Severity.LOW, None,
        number("arrived", 1.0), number("difference", 0.2, interval=(0.1, 0.3)),
    )  # fmt: skip
    assert [m.name for m in key_numbers(passed)] == ["difference"]


def test_suppressed_undefined_and_truth_values_are_never_called_beyond() -> None:
    assert beyond_limit(number("plain", 2.0))
    assert not beyond_limit(number("suppressed", "1-9", 0.0))
    assert not beyond_limit(number("undefined", None))
    assert not beyond_limit(Measurement(name="no limit", value=5))
    for operator, value in (("<", 1.0), (">", 1.0), (">=", 0.9), ("==", 2.0), ("!=", 1.0)):
        assert beyond_limit(number("edge", value, 1.0, operator)), operator


def test_a_table_shows_three_numbers_and_says_how_many_more() -> None:
    numbers = [number(f"n{place}", place / 10) for place in range(5)]
    passed = finding("a", "x", Outcome.PASS, Severity.LOW, None, *numbers)
    (group,) = arrange([view(passed)]).passed
    assert (len(group.rows[0].key), group.rows[0].more) == (3, 2)


def test_a_group_prints_each_recipe_and_remedy_once() -> None:
    measured = Measurement(name="m", value=1, recipe="recipe")
    rows = [
        finding("a", "x", Outcome.FAIL, Severity.LOW, f"c{place}", measured) for place in range(3)
    ]
    (group,) = arrange([view(item) for item in rows]).open
    assert (group.recipes, group.remediations, group.measured) == (("recipe",), ("do it",), 3)
    assert group.subject == "model/x"
    (mixed,) = arrange([view(item) for item in (*rows, finding("a", "y"))]).open
    assert mixed.subject == ""
