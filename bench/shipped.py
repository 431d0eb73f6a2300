"""The shipped pipeline: plan, observe and judge the checks that answer what the script answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench import data
from bench.process import measure
from bench.world import CHECKS, world


def run(folder: Path, cache: Path) -> dict[str, Any]:
    """Plan, observe and judge one data set and one model.

    Args:
        folder: Where the data sets are.
        cache: Where profiles of the reference are kept.

    Returns:
        The published numbers in the form of the plain script's.
    """
    from nachweis import registry
    from nachweis.domain.finding import Subject, SubjectKind
    from nachweis.domain.night import Night
    from nachweis.engines.tables import Tables
    from nachweis.pipeline.judge import judge, plan_subject
    from nachweis.pipeline.observe import observe

    declared = world()
    night = Night.parse(data.NIGHT, declared.organisation.timezone)
    bases = dict.fromkeys(declared.data_sets, folder)
    found = []
    for kind, subject_id in ((SubjectKind.DATA_SET, "night"), (SubjectKind.MODEL, "model")):
        subject = Subject(kind=kind, id=subject_id)
        checks = [registry.check(name) for name in CHECKS[kind.value]]
        plan = plan_subject(declared, subject, night, checks)
        model = declared.models[subject_id] if kind is SubjectKind.MODEL else None
        with Tables(declared, bases, night, cache=cache) as tables:
            seen = observe(
                tables, plan.requests, model=model, suites=declared.suites, history=lambda _: []
            )
            found += judge(declared, subject, night, plan, seen)
    return _outputs(found)


def _outputs(findings: list[Any]) -> dict[str, Any]:
    suite, drift, rates = {}, {}, {}
    for finding in findings:
        if finding.check == "training_data_meets_suite":
            suite = {
                f"{one.name} {one.group}": [one.value == 0, one.value]
                for one in finding.measurements
            }
        elif finding.check.endswith("_distribution_stable"):
            distance = next(m for m in finding.measurements if m.name == "distance")
            drift[finding.column] = [distance.unit, distance.value, distance.drifted]
        else:
            rates |= _rates(finding)
    return {"suite": suite, "drift": drift, "rates": rates}


def _rates(finding: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in finding.measurements:
        for metric in ("selection_rate", "true_positive_rate", "false_positive_rate"):
            rate = found.setdefault(f"{finding.column} {metric}", {"groups": {}})
            if one.name == metric:
                rate["groups"][one.group] = one.value
            elif one.name.startswith(f"{metric}_"):
                rate[one.name.removeprefix(f"{metric}_")] = one.value
    return {name: rate for name, rate in found.items() if rate["groups"]}


MODULES = [
    "duckdb",
    "fairlearn.metrics",
    "ibis.backends.duckdb",
    "nachweis.engines.gx_run",
    "nachweis.engines.tables",
    "nachweis.pipeline.judge",
    "nachweis.pipeline.observe",
    "pandas",
    "scipy.stats",
]


def modules() -> list[str]:
    """What is imported before the clock starts, the files of all checks included."""
    from nachweis import registry

    return [*MODULES, *(found.__module__ for found in registry.checks().values())]


if __name__ == "__main__":
    measure(modules(), lambda folder: run(folder, Path(sys.argv[2])))
