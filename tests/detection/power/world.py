"""A small copy of the demo world for measuring: its people and manifests, other rows per seed.

Rows are drawn by the demo's own functions, from streams that depend on a seed and a date, so that
every seed is another draw of the same world. Only the campaign model and its data sets are written;
the people, the registers and the stored model are those of the demo.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from demo import features
from demo.clock import moments, spread
from demo.files import write_parquet
from demo.population import draw, rng_for
from demo.registers import KEY_ENV, SECRET
from demo.tables import numbered, table
from demo.training import CAMPAIGN_THRESHOLD, campaign_rows
from nachweis import registry
from nachweis.domain.check import Check
from nachweis.domain.finding import Finding, Subject
from nachweis.domain.manifest import World
from nachweis.domain.night import Night
from nachweis.domain.observation import Artefact, ModelScores, PastFinding, Request, Sample
from nachweis.engines.artefacts import FileReader
from nachweis.engines.tables import Tables
from nachweis.pipeline.archive import limits_of
from nachweis.pipeline.judge import SubjectPlan, judge, plan_subject
from nachweis.pipeline.observe import observe
from tests.detection.power.base import (
    DELAY,
    INCREMENT_ROWS,
    LOG_ROWS,
    OWN,
    REFERENCE_ROWS,
    TRAINING_ROWS,
    Base,
    Rows,
)

_HOLDOUT, _ELIGIBLE, _BY_EMAIL = 0.1, 0.97, 0.8
_NIGHT_TIME, _DAYTIME = (4 * 3600, 6 * 3600), (8 * 3600, 21 * 3600)
_REFERENCE_DAYS = (dt.date(2026, 8, 20), dt.date(2026, 9, 10))
_TRAINING_DAYS = (dt.date(2025, 7, 1), dt.date(2026, 6, 30))
_STREAM = 900
_STATIC = frozenset({"propensity-reference", "propensity-training"})
"""Data sets of a draw that are the same in all its nights."""


class Judging:
    """Judges nights of one world in a row, without a store.

    Args:
        world: The manifests.
        folders: Data-set id to the folder that its location starts at.
        folder: Folder for what the engine keeps.
    """

    def __init__(self, world: World, folders: Mapping[str, Path], folder: Path) -> None:
        self._world = world
        self._folders = folders
        self._folder = folder
        self._readable = tuple(sorted(set(folders.values())))
        self._past: dict[tuple[str, str], list[PastFinding]] = {}
        self._kept: dict[tuple[Subject, str], list[Finding]] = {}
        self.memory: dict[str, dict[str, list[Any]]] = {}
        """Data sets in memory; if there are any, no file is looked at."""

    def judge(
        self,
        night: dt.date,
        subjects: Sequence[Subject],
        checks: Sequence[type[Check]] | None = None,
        *,
        repeat: bool = False,
    ) -> list[Finding]:
        """Judge subjects on what was written; later nights look back on what is found.

        Args:
            night: The night.
            subjects: Who is judged.
            checks: Which checks; None is all that apply.
            repeat: Repeat the findings of checks that only see what no night of this draw changes
                (samples of training set and reference, the stored model), instead of asking again.

        Returns:
            All findings.
        """
        world = self._world
        tonight = Night(night, world.organisation.timezone)
        found: list[Finding] = []
        with self._tables(tonight) as tables:
            for subject in subjects:
                plan = plan_subject(world, subject, tonight, self._asked(subject, checks))
                seen = observe(
                    tables,
                    plan.requests,
                    model=world.models.get(subject.id),
                    suites=world.suites,
                    history=partial(self._history, str(subject)),
                    files=FileReader(self._readable),
                )
                judged = judge(world, subject, tonight, plan, seen)
                found += judged
                if repeat:
                    found += self._repeated(subject, plan, judged)
        for finding in found:
            past = self._past.setdefault((str(finding.subject), finding.check), [])
            past.insert(0, _past_finding(night, finding))
        return found

    def needed(
        self, night: dt.date, subjects: Sequence[Subject], checks: Sequence[type[Check]]
    ) -> set[str]:
        """Data sets that checks look at."""
        tonight = Night(night, self._world.organisation.timezone)
        plans = [plan_subject(self._world, subject, tonight, checks) for subject in subjects]
        return {data_set for plan in plans for data_set in plan.data_sets}

    def _asked(
        self, subject: Subject, checks: Sequence[type[Check]] | None
    ) -> Sequence[type[Check]] | None:
        """The checks without those whose findings are kept."""
        kept = {check for of, check in self._kept if of == subject}
        if not kept:
            return checks
        candidates = registry.applicable(self._world, subject) if checks is None else checks
        return [check for check in candidates if check.id not in kept]

    def _repeated(
        self, subject: Subject, plan: SubjectPlan, judged: Sequence[Finding]
    ) -> list[Finding]:
        """Findings kept from an earlier night; keeps those of tonight that cannot change."""
        earlier = [one for (of, _), kept in self._kept.items() if of == subject for one in kept]
        for check, requests in plan.requests.items():
            if requests and all(map(_unchanging, requests)):
                self._kept[subject, check] = [one for one in judged if one.check == check]
        return earlier

    def _history(self, subject: str, check: str) -> list[PastFinding]:
        return self._past.get((subject, check), [])

    def _tables(self, night: Night) -> Tables:
        tables = Tables(
            self._world,
            {} if self.memory else self._folders,
            night,
            cache=self._folder / "cache",
            threads=1,
            memory_tables=self.memory or None,
            environment={KEY_ENV: SECRET},
            shared=True,
        )
        # Files of one draw follow those of another under the same name, within a second.
        tables.backend.con.execute("SET enable_external_file_cache = false")
        return tables


class Draw(Judging):
    """One draw of the world.

    Args:
        base: What all seeds share.
        seed: Which draw.
        folder: Folder for its files.
    """

    def __init__(self, base: Base, seed: int, folder: Path) -> None:
        super().__init__(
            base.world,
            {
                name: folder if name.startswith(OWN) else base.folder
                for name in base.world.data_sets
            },
            folder,
        )
        self._base = base
        self._seed = seed
        self.folder = folder
        self._static: tuple[features.Columns, features.Columns] | None = None

    def rng(self, *parts: int) -> np.random.Generator:
        """A stream of this draw."""
        return rng_for(_STREAM, self._seed, *parts)

    # -------------------------------------------------------------------------------- rows

    def rows(self, night: dt.date) -> Rows:
        """The clean rows of a night."""
        if self._static is None:
            self._static = self._reference(), self._training()
        reference, training = self._static
        scored = self._log(night - DELAY)
        happened = features.happened(
            features.bought_logit(scored), self.rng(3, (night - DELAY).toordinal())
        )
        rng = self.rng(4, night.toordinal())
        return Rows(
            night,
            self._log(night),
            scored,
            {
                "scoring_id": scored["scoring_id"].copy(),
                "customer_id": scored["customer_id"].copy(),
                "bought": happened,
                "observed_at": moments(night, rng.integers(*_NIGHT_TIME, len(happened))),
            },
            self._increment(night),
            {name: values.copy() for name, values in reference.items()},
            {name: values.copy() for name, values in training.items()},
        )

    def _log(self, day: dt.date) -> features.Columns:
        people, rng = self._base.people, self.rng(2, day.toordinal())
        rows = draw(rng, LOG_ROWS)
        x = features.propensity(people, rows, rng)
        score = self._base.models.campaign_score(x)
        selected = (score >= CAMPAIGN_THRESHOLD).astype(np.int64)
        holdout = rng.random(len(rows)) < _HOLDOUT
        eligible = rng.random(len(rows)) < _ELIGIBLE
        contacted = (selected == 1) & ~holdout & eligible
        channel = np.where(rng.random(len(rows)) < _BY_EMAIL, "email", "post").astype(object)
        channel[~contacted] = None
        return {
            "scoring_id": numbered("P", day.toordinal(), len(rows)),
            "customer_id": people.customer_id[rows],
            "scored_at": moments(day, rng.integers(*_NIGHT_TIME, len(rows))),
            **features.demographics(people, rows),
            **x,
            "score": score,
            "selected": selected,
            "eligible": eligible,
            "arm": np.where(holdout, "holdout", "treatment").astype(object),
            "model_version": np.full(len(rows), "3.1", dtype=object),
            "contacted": contacted,
            "channel": channel,
        }

    def _increment(self, night: dt.date) -> features.Columns:
        people, rng = self._base.people, self.rng(5, night.toordinal())
        rows = draw(rng, INCREMENT_ROWS)
        x, bought = campaign_rows(people, rows, rng)
        ages = rng.integers(20, 300, len(rows)).astype("timedelta64[D]")
        return {
            "customer_id": people.customer_id[rows],
            "snapshot_at": moments(night, rng.integers(*_NIGHT_TIME, len(rows))),
            "last_order_at": moments(night, rng.integers(*_DAYTIME, len(rows))) - ages,
            **features.demographics(people, rows),
            **x,
            "bought": bought,
        }

    def _reference(self) -> features.Columns:
        people, rng = self._base.people, self.rng(0)
        rows = draw(rng, REFERENCE_ROWS)
        x = features.propensity(people, rows, rng)
        score = self._base.models.campaign_score(x)
        return {
            "scoring_id": numbered("RP", 20, len(rows)),
            "customer_id": people.customer_id[rows],
            "scored_at": spread(*_REFERENCE_DAYS, len(rows), rng),
            **features.demographics(people, rows),
            **x,
            "score": score,
            "selected": (score >= CAMPAIGN_THRESHOLD).astype(np.int64),
            "bought": features.happened(features.bought_logit(x), rng),
        }

    def _training(self) -> features.Columns:
        people, rng = self._base.people, self.rng(1)
        rows = draw(rng, TRAINING_ROWS)
        x, bought = campaign_rows(people, rows, rng)
        return {
            "customer_id": people.customer_id[rows],
            "snapshot_at": spread(*_TRAINING_DAYS, len(rows), rng),
            **features.demographics(people, rows),
            **x,
            "bought": bought,
        }

    def write(self, rows: Rows, needed: Container[str] | None = None) -> None:
        """Write the rows of a night as the demo's files, or keep those in memory.

        Files of earlier nights go away: windows of this night do not reach them, and what earlier
        nights came to is looked back on through their findings.

        Args:
            rows: The rows.
            needed: Data sets that will be looked at; None is all.
        """
        self.memory = rows.memory
        if rows.memory:
            return
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        for name, day, columns in (
            ("propensity-scores", rows.night, rows.log),
            ("propensity-scores", rows.night - DELAY, rows.scored),
            ("propensity-outcomes", rows.night, rows.outcomes),
            ("propensity-training-increment", rows.night, rows.increment),
        ):
            if needed is None or name in needed:
                write_parquet(table(columns), self.folder / "data" / name / f"{day}.parquet")
        for name, columns in (
            ("propensity-reference", rows.reference),
            ("propensity-training", rows.training),
        ):
            if needed is None or name in needed:
                write_parquet(table(columns), self.folder / "data" / f"{name}.parquet")


def _unchanging(request: Request) -> bool:
    """Whether an observation is the same in every night of a draw."""
    if isinstance(request, Artefact):
        return True
    return (
        isinstance(request, Sample | ModelScores)
        and request.source.data_set in _STATIC
        and request.source.window == "whole"
    )


def _past_finding(night: dt.date, finding: Finding) -> PastFinding:
    said = [item.drifted for item in finding.measurements if item.drifted is not None]
    return PastFinding(
        night=night.isoformat(),
        outcome=finding.outcome.value,
        column=finding.column,
        drifted=any(said) if said else None,
        values={item.name: item.value for item in finding.measurements},
        units={item.name: item.unit for item in finding.measurements},
        limits=limits_of(finding.measurements),
    )
