"""Planted defects are detected at their strongest, and the page about them is whole and honest.

One seed and the quicker checks; ``make detection`` plants every defect with many seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis import registry
from nachweis.domain.finding import Finding, Outcome, Severity, Subject, SubjectKind
from nachweis.settings import PACKAGE_ROOT
from tests.detection.power.base import Base
from tests.detection.power.defect import Defect
from tests.detection.power.defects import DEFECTS
from tests.detection.power.measure import CleanNights, seen, without_defect
from tests.detection.power.real import REAL_DEFECTS
from tests.detection.power.report import Results, page
from tests.detection.power.run import State, known, main

SLOW = {
    "chunk_distances_in_reference_range",  # the same planting as for feature_distribution_stable
    "features_jointly_stable",
    "label_distribution_plausible",
    "outputs_free_of_identifiers",  # the same scan as for dialogues_free_of_identifiers
    "predictive_parity_held",  # the same planting as for error_rate_parity_held
    "row_volume_in_expected_band",  # needs thirteen nights
    "training_data_meets_suite",
}
QUICK = [defect for defect in DEFECTS if defect.check not in SLOW]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    patch = pytest.MonkeyPatch()
    patch.setenv("OMP_NUM_THREADS", "1")
    yield Base(tmp_path_factory.mktemp("power"))
    patch.undo()


@pytest.mark.parametrize("defect", QUICK, ids=lambda one: f"{one.check}-{one.plant.__name__}")
def test_the_strongest_defect_is_detected(base: Base, defect: Defect, tmp_path: Path) -> None:
    assert seen(base, defect, defect.strengths[-1], 0, tmp_path) is Outcome.FAIL


def test_a_clean_night_is_an_alarm_once_however_many_checks_fail() -> None:
    def finding(check: str, outcome: Outcome) -> Finding:
        subject = Subject(kind=SubjectKind.MODEL, id="m")
        return Finding(
            check=check, subject=subject, outcome=outcome, severity=Severity.LOW, explanation=""
        )

    clean = CleanNights()
    clean.count([finding("a_b", Outcome.FAIL), finding("c_d", Outcome.FAIL)])
    clean.count([finding("a_b", Outcome.PASS), finding("c_d", Outcome.NOT_AVAILABLE)])
    clean.count([finding("a_b", Outcome.ERROR)])

    # The crash counts as well: a clean night must end without either.
    assert (clean.nights, clean.alarms) == (3, 2)
    assert +clean.by_check == {"a_b": 1, "c_d": 1}
    assert +clean.errors == {"a_b": 1}
    assert +clean.verdicts == {"a_b": 2, "c_d": 1}


def test_each_defect_names_a_check_and_three_rising_strengths() -> None:
    for defect in DEFECTS:
        assert defect.check in registry.checks()
        assert len({defect.words(strength) for strength in defect.strengths}) == 3


def test_the_page_names_every_check_of_the_table_at_every_strength() -> None:
    text = (PACKAGE_ROOT / "docs" / "detection.md").read_text(encoding="utf-8")

    for defect in DEFECTS:
        for strength in defect.strengths:
            assert f"| `{defect.check}` | {defect.words(strength)} | " in text


def test_a_new_page_names_every_check_without_a_defect() -> None:
    text = page(Results())

    for check in without_defect():
        assert f"- `{check}` (" in text


def test_a_page_of_an_interrupted_run_tells_what_was_run_so_far(tmp_path: Path) -> None:
    real, made = REAL_DEFECTS[0], DEFECTS[0]
    state = State(tmp_path / "state.json")
    state.put(f"{made.check}/{made.words(made.strengths[2])}/3", "fail")
    state.put(f"real/{real.check}/{real.strengths[0]:g}/0", None)
    state.put("clean/7/20", {"nights": 20, "alarms": 1, "by_check": {made.check: 1}})
    state.put("clean/8/10", {"nights": 10, "alarms": 0})

    results = known(State(tmp_path / "state.json"))

    assert results.detected(made, made.strengths[2]) == (1, 1)
    assert results.detected(real, real.strengths[0]) == (0, 1)
    assert (results.clean.nights, results.clean.alarms) == (30, 1)
    # Rules were mended on the nights of the first draws, so that the page also counts without them.
    assert (results.fresh.nights, results.fresh.alarms) == (10, 0)
    assert "Without them: 10 model-nights, 0 with a failure" in page(results)
    assert results.clean.by_check == {made.check: 1}
    assert (
        main(["--state", str(tmp_path / "state.json"), "--page", "--out", str(tmp_path / "p")]) == 0
    )
    assert (tmp_path / "p").read_text(encoding="utf-8") == page(results)


def test_a_page_of_two_runs_names_the_commit_of_each(tmp_path: Path) -> None:
    made = DEFECTS[0]
    name = f"{made.check}/{made.words(made.strengths[2])}/3"
    before, now = State(tmp_path / "before.json"), State(tmp_path / "now.json")
    before.put(name, "fail")
    before.put("measured/planted", ["aaaaaaa"])
    before.put("clean/1/20", {"nights": 20, "alarms": 3})
    now.put("clean/9/20", {"nights": 20, "alarms": 0})
    now.put("measured/clean", ["bbbbbbb"])
    page_of = tmp_path / "page"

    asked = ["--page", "--state", str(tmp_path / "now.json")]
    assert main([*asked, "--planted", str(tmp_path / "before.json"), "--out", str(page_of)]) == 0

    text = page_of.read_text(encoding="utf-8")
    assert (
        "Measured: planted defects at commit `aaaaaaa`; clean nights at commit `bbbbbbb`." in text
    )
    assert "1 of 1, 95 % interval" in text
    assert "- 20 model-nights, 0 with a failure or a crash" in text


def test_a_run_keeps_the_commit_it_measures(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json")
    state.measuring("clean")
    state.measuring("clean")
    kept = State(tmp_path / "state.json").commits
    assert kept == state.commits
    # A released archive is no working copy; there, nothing is kept.
    assert all(len(commits) == 1 and len(commits[0]) >= 7 for commits in kept.values())


def test_a_smaller_run_says_so() -> None:
    results = Results({(DEFECTS[0], DEFECTS[0].strengths[-1]): [Outcome.FAIL, Outcome.PASS]})
    results.clean.nights = 40

    text = page(results)

    assert "2 seeds instead of the intended 20" in text
    assert "40 clean model-nights instead of the intended 2,000" in text
    assert "1 of 2, 95 % interval 9-91 % | **no** |" in text


def test_a_crash_or_a_check_that_cannot_judge_is_no_detection() -> None:
    key = (DEFECTS[0], DEFECTS[0].strengths[0])
    results = Results({key: [Outcome.ERROR, Outcome.NOT_AVAILABLE, Outcome.FAIL]})

    assert results.detected(*key) == (1, 3)
    assert "1 of 3, 95 % interval 6-79 %; 1 without a verdict, 1 crashed" in page(results)
