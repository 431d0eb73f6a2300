"""A small copy of the demo world for measuring: its people and manifests, other rows per seed.

Rows are drawn by the demo's own functions, from streams that depend on a seed and a date, so that
every seed is another draw of the same world. Only the campaign model and its data sets are written;
the people, the registers and the stored model are those of the demo.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from demo import features
from demo.clock import moments, spread
from demo.files import write_parquet
from demo.population import Population, draw, population, rng_for
from demo.registers import KEY_ENV, SECRET, write_registers
from demo.tables import numbered, table
from demo.training import CAMPAIGN_THRESHOLD, Models, _train_campaign, campaign_rows, store
from nachweis.domain.check import Check
from nachweis.domain.finding import Finding, Subject, SubjectKind
from nachweis.domain.manifest import World
from nachweis.domain.night import Night
from nachweis.domain.observation import PastFinding
from nachweis.engines.artefacts import FileReader
from nachweis.engines.tables import Tables
from nachweis.pipeline.archive import limits_of
from nachweis.pipeline.judge import judge, plan_subject
from nachweis.pipeline.load import load_world
from nachweis.pipeline.observe import observe
from nachweis.settings import PACKAGE_ROOT, Settings

MODEL = Subject(kind=SubjectKind.MODEL, id="campaign-propensity")
CHATBOT = Subject(kind=SubjectKind.MODEL, id="support-chatbot")
OWN = "propensity-"
"""How the names of data sets begin that differ between seeds."""
FIRST = dt.date(2026, 9, 22)
"""First night that is judged; the demo's registers end before it."""
DELAY = dt.timedelta(days=14)

LOG_ROWS, REFERENCE_ROWS, TRAINING_ROWS, INCREMENT_ROWS = 3_000, 6_000, 10_000, 600

_HOLDOUT, _ELIGIBLE, _BY_EMAIL = 0.1, 0.97, 0.8
_NIGHT_TIME, _DAYTIME = (4 * 3600, 6 * 3600), (8 * 3600, 21 * 3600)
_REFERENCE_DAYS = (dt.date(2026, 8, 20), dt.date(2026, 9, 10))
_TRAINING_DAYS = (dt.date(2025, 7, 1), dt.date(2026, 6, 30))
_STREAM = 900
_WEAK_INPUTS = frozenset({"orders_12m", "discount_share"})
"""Their f-squared is 0.0047 and 0.0033; the limit is 0.005."""


def data_set(name: str) -> Subject:
    """A data set as a subject."""
    return Subject(kind=SubjectKind.DATA_SET, id=name)


class Base:
    """What all seeds share: people, registers, stored model and manifests.

    Args:
        folder: Folder to write to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.people: Population = population()
        data = folder / "data"
        write_registers(self.people, data)
        fitted = _train_campaign(self.people, data)
        store(fitted, data / "models" / f"{MODEL.id}.skops")
        self.models = Models(fitted, {}, None, None)

    @cached_property
    def world(self) -> World:
        """The demo's manifests, with two changes that keep nights without a defect clean.

        The training rows are other ones than the declared ones, so their digest is not declared.
        And two weak inputs, whose effect in a very large sample really lies below the limit of
        features_minimal, are declared as needed.
        """
        loaded = load_world(Settings(world=f"{PACKAGE_ROOT}:{PACKAGE_ROOT / 'demo'}"))
        if loaded.problems:
            raise ValueError(f"the demo's manifests have {len(loaded.problems)} problems")
        world = loaded.world
        model = world.models[MODEL.id]
        versions = [
            version.model_copy(
                update={
                    "trained_on": [
                        one.model_copy(update={"version": None, "rows": None})
                        for one in version.trained_on
                    ]
                }
            )
            for version in model.versions
        ]
        changed = model.model_copy(update={"versions": versions})
        training = world.data_sets["propensity-training"]
        columns = [
            column.model_copy(update={"needed_for": {"en": "Kept for comparison."}})
            if column.name in _WEAK_INPUTS
            else column
            for column in training.columns
        ]
        declared = training.model_copy(update={"columns": columns})
        return world.model_copy(
            update={
                "models": {**world.models, MODEL.id: changed},
                "data_sets": {**world.data_sets, training.id: declared},
            }
        )


@dataclass
class Rows:
    """Everything that lies there in one night; defects are planted by changing it.

    Attributes:
        night: The night.
        log: Rows scored in the night.
        scored: Rows scored when the outcomes of the night were decided.
        outcomes: Outcomes that arrive in the night.
        increment: New training rows.
        reference: The reference.
        training: The training set.
        memory: Data sets in memory; if there are any, nothing else is looked at.
    """

    night: dt.date
    log: features.Columns
    scored: features.Columns
    outcomes: features.Columns
    increment: features.Columns
    reference: features.Columns
    training: features.Columns
    memory: dict[str, dict[str, list[Any]]] = field(default_factory=dict)


class Draw:
    """One draw of the world.

    Args:
        base: What all seeds share.
        seed: Which draw.
        folder: Folder for its files.
    """

    def __init__(self, base: Base, seed: int, folder: Path) -> None:
        self._base = base
        self._seed = seed
        self.folder = folder
        self._static: tuple[features.Columns, features.Columns] | None = None
        self._memory: dict[str, dict[str, list[Any]]] = {}
        self._past: dict[tuple[str, str], list[PastFinding]] = {}

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

    def write(self, rows: Rows) -> None:
        """Write the rows of a night as the demo's files, or keep those in memory."""
        self._memory = rows.memory
        if rows.memory:
            return
        for name, day, columns in (
            ("propensity-scores", rows.night, rows.log),
            ("propensity-scores", rows.night - DELAY, rows.scored),
            ("propensity-outcomes", rows.night, rows.outcomes),
            ("propensity-training-increment", rows.night, rows.increment),
        ):
            write_parquet(table(columns), self.folder / "data" / name / f"{day}.parquet")
        for name, columns in (
            ("propensity-reference", rows.reference),
            ("propensity-training", rows.training),
        ):
            write_parquet(table(columns), self.folder / "data" / f"{name}.parquet")

    def clear(self) -> None:
        """Remove all files and the past, so that another defect starts afresh."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self._past.clear()

    # ----------------------------------------------------------------------------- judging

    def judge(
        self,
        night: dt.date,
        subjects: Sequence[Subject],
        checks: Sequence[type[Check]] | None = None,
    ) -> list[Finding]:
        """Judge subjects on what was written; later nights look back on what is found.

        Args:
            night: The night.
            subjects: Who is judged.
            checks: Which checks; None is all that apply.

        Returns:
            All findings.
        """
        world = self._base.world
        tonight = Night(night, world.organisation.timezone)
        found: list[Finding] = []
        with self._tables(world, tonight) as tables:
            for subject in subjects:
                plan = plan_subject(world, subject, tonight, checks)
                seen = observe(
                    tables,
                    plan.requests,
                    model=world.models.get(subject.id),
                    suites=world.suites,
                    history=partial(self._history, str(subject)),
                    files=FileReader((self._base.folder,)),
                )
                found += judge(world, subject, tonight, plan, seen)
        for finding in found:
            past = self._past.setdefault((str(finding.subject), finding.check), [])
            past.insert(0, _past_finding(night, finding))
        return found

    def _history(self, subject: str, check: str) -> list[PastFinding]:
        return self._past.get((subject, check), [])

    def _tables(self, world: World, night: Night) -> Tables:
        bases: dict[str, Path] = {}
        if not self._memory:
            bases = {
                name: self.folder if name.startswith(OWN) else self._base.folder
                for name in world.data_sets
            }
        return Tables(
            world,
            bases,
            night,
            cache=self.folder / "cache",
            threads=1,
            memory_tables=self._memory or None,
            environment={KEY_ENV: SECRET},
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
