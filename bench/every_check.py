"""The shipped pipeline with every check that applies, on one model and its data sets."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from bench import data, growth_data
from bench.process import measure
from bench.world import every_check_world

Part = Literal["all", "pushed-down", "sampled"]


def run(
    folder: Path, cache: Path, part: Part = "all", columns: int | None = None
) -> dict[str, Any]:
    """Plan, observe and judge every data set and the model.

    Args:
        folder: Where the data sets are.
        cache: Where profiles are kept.
        part: All checks, those that the engine answers by scans alone, or those that look at
            sampled rows.
        columns: Columns of the data of ``bench.growth``; default is the data of
            ``bench.one_model``.

    Returns:
        ``outcomes`` with the number of findings of each and ``errors``, the checks that crashed.
    """
    from nachweis import registry
    from nachweis.domain.finding import Subject, SubjectKind
    from nachweis.domain.night import Night
    from nachweis.domain.observation import Sample
    from nachweis.engines.artefacts import FileReader
    from nachweis.engines.tables import Tables
    from nachweis.pipeline.judge import judge, plan_subject
    from nachweis.pipeline.observe import observe

    declared = every_check_world() if columns is None else growth_data.world(columns)
    night = Night.parse(data.NIGHT, declared.organisation.timezone)
    subjects = [Subject(kind=SubjectKind.DATA_SET, id=one) for one in declared.data_sets]
    subjects += [Subject(kind=SubjectKind.MODEL, id=one) for one in declared.models]
    found = []
    for subject in subjects:
        checks = registry.applicable(declared, subject)
        planned = plan_subject(declared, subject, night, checks)
        if part != "all":
            sampled = {
                name
                for name, requests in planned.requests.items()
                if any(isinstance(request, Sample) for request in requests)
            }
            checks = [check for check in checks if (check.id in sampled) == (part == "sampled")]
            planned = plan_subject(declared, subject, night, checks)
        bases = dict.fromkeys(declared.data_sets, folder)
        model = declared.models.get(subject.id) if subject.kind is SubjectKind.MODEL else None
        with Tables(declared, bases, night, cache=cache) as tables:
            seen = observe(
                tables,
                planned.requests,
                model=model,
                suites=declared.suites,
                history=lambda _: [],
                files=FileReader((folder,), remote=tables.blob),
            )
            found += judge(declared, subject, night, planned, seen)
    outcomes = Counter(finding.outcome.value for finding in found)
    errors = sorted({finding.key for finding in found if finding.outcome.value == "error"})
    return {"outcomes": dict(sorted(outcomes.items())), "errors": errors}


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
    "sklearn.linear_model",
]


def modules() -> list[str]:
    """What is imported before the clock starts, the files of all checks included."""
    from nachweis import registry

    return [*MODULES, *(found.__module__ for found in registry.checks().values())]


if __name__ == "__main__":
    part: Any = sys.argv[3] if len(sys.argv) > 3 else "all"
    columns = int(sys.argv[4]) if len(sys.argv) > 4 else None
    measure(modules(), lambda folder: run(folder, Path(sys.argv[2]), part, columns))
