"""Run a check's examples: a small world in memory, through the same engines as a real night."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nachweis.domain.check import Check, Example
from nachweis.domain.finding import Finding, Outcome, SubjectKind, worst_first
from nachweis.domain.night import Night
from nachweis.engines.artefacts import FileReader
from nachweis.engines.tables import Tables
from nachweis.pipeline.example_worlds import data_set_id, example_subject, example_world
from nachweis.pipeline.judge import judge, plan_subject
from nachweis.pipeline.observe import observe


def run_example(check: type[Check], example: Example) -> list[Finding]:
    """Execute one example through the real engines.

    Args:
        check: The check.
        example: One of its examples.

    Returns:
        The findings, worst first.
    """
    world = example_world(check, example)
    subject = example_subject(check, example)
    night = Night.parse(example.night, world.organisation.timezone)
    plan = plan_subject(world, subject, night, [check])
    model = world.models.get(subject.id) if subject.kind is SubjectKind.MODEL else None
    memory = {data_set_id(name): dict(table.rows) for name, table in example.tables.items()}
    with _environment(example.environment), tempfile.TemporaryDirectory() as cache:
        with Tables(world, {}, night, cache=Path(cache), threads=1, memory_tables=memory) as tables:
            seen = observe(
                tables,
                plan.requests,
                model=model,
                suites=world.suites,
                history=lambda _: list(example.history),
                files=FileReader(memory=example.files),
            )
        return worst_first(judge(world, subject, night, plan, seen))


def replay(checks: Iterable[type[Check]]) -> list[str]:
    """Replay all examples as positive controls.

    Args:
        checks: Checks to replay.

    Returns:
        Ids of blind checks, sorted: those with an example whose worst outcome is not the stated
        one, for instance a failing example that no longer fails.
    """
    return sorted(
        check.id for check in checks if not all(holds(check, example) for example in check.examples)
    )


def holds(check: type[Check], example: Example) -> bool:
    """Whether an example still gives its stated outcome; one that cannot run does not."""
    try:
        found = run_example(check, example)
    except Exception:  # noqa: BLE001 - whatever breaks an example, the check does not see
        return False
    return worst_outcome(found) is example.outcome


def worst_outcome(findings: list[Finding]) -> Outcome | None:
    """Outcome of the worst finding; None without findings."""
    return worst_first(findings)[0].outcome if findings else None


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
