"""The search for small counts finds what is planted, so that finding nothing means something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nachweis.checks.fairness._verdicts import group_measurements
from nachweis.domain import disclosure
from nachweis.domain.disclosure import seal_findings
from nachweis.domain.finding import Finding, Measurement, Outcome, Severity, Subject, SubjectKind
from nachweis.engines.fairness_groups import rate_report
from tests import subtraction
from tests.subtraction import small_counts

Groups = dict[tuple[str, ...], tuple[int, int]]


def finding(*measurements: Measurement, check: str = "some_check") -> Finding:
    return Finding(
        check=check,
        subject=Subject(kind=SubjectKind.MODEL, id="churn"),
        outcome=Outcome.PASS,
        severity=Severity.LOW,
        explanation="",
        measurements=measurements,
    )


def rates(counts: Groups, crossed: str = "") -> list[Measurement]:
    report = rate_report("selection_rate", counts, 10, "counts")
    return group_measurements("selection_rate", report, crossed and f"{crossed}: ")


def rows(value: int | str | None, group: str | None = None) -> Measurement:
    return Measurement(name="rows", value=value, unit="rows", group=group)


def found(*attempts: Finding) -> list[str]:
    """What a search over attempts of one night tells, as sentences."""
    published = {str(number): {"model/churn": [one]} for number, one in enumerate(attempts)}
    return [str(told) for told in small_counts(published)]


BEFORE: Groups = {("f",): (103, 205), ("m",): (90, 180)}
AFTER: Groups = {("f",): (106, 208), ("m",): (90, 180)}
"""Late input: three more, all of whom have the property."""


@pytest.fixture
def three_decimals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rates and intervals as they were published before they followed from rounded counts."""
    monkeypatch.setattr(disclosure, "rounded_rate", lambda rate, n: round(rate, 3))
    monkeypatch.setattr(
        disclosure, "rounded_interval", lambda m, value, n: tuple(round(x, 3) for x in m.interval)
    )
    caches = (subtraction._class, subtraction._fitting, subtraction._sealed_interval)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_exact_numbers_of_two_attempts_tell_how_many_came_late() -> None:
    told = found(finding(*rates(BEFORE)), finding(*rates(AFTER)))
    assert any("f size" in one and "[3]" in one for one in told)
    assert any("f having" in one and "[3]" in one for one in told)


def test_rounded_sizes_beside_rates_of_three_decimals_tell_it_too(three_decimals: None) -> None:
    sealed = [seal_findings([finding(*rates(one))])[0] for one in (BEFORE, AFTER)]
    assert {m.n for m in sealed[0].measurements} == {205, 180}
    told = found(*sealed)
    assert any("f having" in one for one in told), told


def test_what_is_published_tells_nothing_of_late_input() -> None:
    sealed = [seal_findings([finding(*rates(one))])[0] for one in (BEFORE, AFTER)]
    assert found(*sealed) == []


def test_a_count_that_is_not_rounded_is_found() -> None:
    assert found(finding(rows(1_003)), finding(rows(1_007)))
    assert found(*(seal_findings([finding(rows(n))])[0] for n in (1_003, 1_007))) == []


def test_the_one_group_that_is_withheld_is_the_total_less_the_others() -> None:
    table = [rows(501, "f"), rows(483, "m"), rows(988)]
    assert found(finding(*table, rows("1-9", "x")))
    assert found(*seal_findings([finding(*table, rows(4, "x"))])) == []


def test_the_one_intersection_that_is_withheld_is_the_group_less_the_others() -> None:
    plain = rates({("f",): (250, 501), ("m",): (200, 402)})
    parts: Groups = {
        ("f", "old"): (124, 247),
        ("f", "young"): (126, 254),
        ("m", "old"): (198, 395),
        ("m", "young"): (2, 7),
    }
    crossed = rates(parts, "gender+age")
    few = [m if m.n != 7 else m.model_copy(update={"n": None, "value": None}) for m in crossed]
    few += [m.model_copy(update={"n": None, "group": "gender+age: m & young"}) for m in few[-1:]]
    assert any("of m less gender+age" in one for one in found(finding(*plain, *few)))
    assert found(*seal_findings([finding(*plain, *crossed)])) == []
