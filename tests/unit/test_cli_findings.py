"""How the command line prints a finding: intervals, a library's own verdict, an earlier night."""

from __future__ import annotations

import pytest

from nachweis import cli
from nachweis.domain.finding import Measurement, Outcome
from nachweis.pipeline.examples import run_example
from nachweis.registry import check


def test_numbers_stand_with_their_interval_and_the_librarys_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind = check("duplicates_absent")
    (finding,) = run_example(kind, kind.examples[0])
    measured = (
        Measurement(name="ratio", value=0.5, unit="share", interval=(0.25, 1), interval_level=0.95),
        Measurement(name="distance", value=2, drifted=True),
    )
    changed = {"measurements": measured, "carried_from": "2026-03-01", "outcome": Outcome.PASS}
    cli._print_finding(finding.model_copy(update=changed))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "ratio = 0.5 share (95 % interval: 0.25 to 1)" in lines
    assert "distance = 2, drifted by the library's own rule" in lines
    assert any(line.startswith("Observed in the night of 2026-03-01;") for line in lines)
