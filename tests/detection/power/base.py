"""What all draws of the small copy share: people, registers, stored model and manifests."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from demo import features
from demo.population import Population, population
from demo.registers import write_registers
from demo.training import Models, _train_campaign, store
from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import World
from nachweis.pipeline.load import load_world
from nachweis.settings import PACKAGE_ROOT, Settings

MODEL = Subject(kind=SubjectKind.MODEL, id="campaign-propensity")
CHATBOT = Subject(kind=SubjectKind.MODEL, id="support-chatbot")
OWN = "propensity-"
"""How the names of data sets begin that differ between seeds."""
FIRST = dt.date(2026, 9, 22)
"""First night that is judged; the demo's registers end before it."""
DELAY = dt.timedelta(days=14)

LOG_ROWS, REFERENCE_ROWS, TRAINING_ROWS, INCREMENT_ROWS = 3_000, 6_000, 10_000, 600

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
