"""Defects planted in real data: calls of a bank, whose statistics nobody designed.

A night is a random part of the calls of the year that is also the reference, so that it differs
from it by chance alone until something is planted. The training set is whole; which of its rows
are changed differs between seeds.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 - the preparation stands for the data's owner, not the product

from demo.population import rng_for
from nachweis.domain.finding import Outcome, Subject, SubjectKind
from nachweis.domain.manifest import World
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings
from tests.detection.power.base import data_set
from tests.detection.power.defect import Defect
from tests.detection.power.measure import outcome_of
from tests.detection.power.world import Judging
from tests.detection.real_data import CALLS, PERIODS, REPOSITORY, prepare_bank

MODEL = Subject(kind=SubjectKind.MODEL, id="deposit-propensity")
TRAINING = data_set("bank-training")
CALLS_OF_A_NIGHT = 3_000
NOTHING = 0.0
"""Strength at which nothing is planted."""

_FIRST = dt.date(2009, 2, 2)
_STREAM, _PLANTING = 903, 904
_RARE = 77
_OWN = frozenset({"bank-scores", "bank-training"})

Rng = np.random.Generator


class RealRows:
    """What lies there in one night; defects are planted by changing it.

    Args:
        log: Calls of the night with their scores.
        training: The training set.
    """

    def __init__(self, log: pd.DataFrame, training: pd.DataFrame) -> None:
        self.log = log
        self.training = training


class RealBase:
    """The prepared bank world, shared by all seeds.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = prepare_bank(folder).reference.reset_index(drop=True)
        reference = pd.read_parquet(folder / "data" / "bank-reference.parquet")
        self.logged = list(reference.columns)
        self.training = self.calls.drop(columns=["score", "selected"])

    @cached_property
    def world(self) -> World:
        """The bank's manifests."""
        loaded = load_world(Settings(world=str(self.folder)))
        if loaded.problems:
            raise ValueError(f"the bank's manifests have {len(loaded.problems)} problems")
        return loaded.world


def present() -> bool:
    """Whether the real data lie here."""
    folder = Path(os.environ.get("NACHWEIS_REAL_DATA") or REPOSITORY.parent / "shared" / "data")
    return all((folder / name).is_file() for name in (CALLS, PERIODS))


def seen_in_real(
    base: RealBase, defect: Defect, strength: float, seed: int, folder: Path
) -> Outcome | None:
    """Plant a defect in real calls and ask the check that must see it.

    Args:
        base: What all seeds share.
        defect: The defect.
        strength: How strong it is; :data:`NOTHING` plants nothing.
        seed: Which calls.
        folder: An empty folder.

    Returns:
        The worst outcome of the check in the last of the nights with the defect.
    """
    judging = Judging(base.world, _folders(base, folder), folder)
    found = []
    for number in range(defect.nights):
        night = _FIRST + dt.timedelta(days=number)
        chosen = rng_for(_STREAM, seed, number).choice(
            len(base.calls), CALLS_OF_A_NIGHT, replace=False
        )
        rows = RealRows(
            base.calls.loc[chosen, base.logged].reset_index(drop=True), base.training.copy()
        )
        if strength != NOTHING:
            defect.plant(rows, strength, rng_for(_PLANTING, seed, number))
        _write(rows, night, folder, training=defect.subject == TRAINING)
        found = judging.judge(night, [defect.subject], [defect.kind])
    return outcome_of(found)


def _folders(base: RealBase, folder: Path) -> Mapping[str, Path]:
    return {name: folder if name in _OWN else base.folder for name in base.world.data_sets}


def _write(rows: RealRows, night: dt.date, folder: Path, *, training: bool) -> None:
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    (data / "bank-scores").mkdir(parents=True)
    log = rows.log.assign(called_on=night)
    log.to_parquet(data / "bank-scores" / f"{night}.parquet", index=False)
    if training:
        rows.training.to_csv(
            data / "bank-training.csv.gz",
            sep=";",
            index=False,
            compression={"method": "gzip", "compresslevel": 1},
        )


# ------------------------------------------------------------------------------------- defects


def _some(n: int, share: float, rng: Rng) -> Any:
    return rng.choice(n, round(n * share), replace=False)


def _older(rows: RealRows, strength: float, rng: Rng) -> None:
    age = rows.log["age"]
    rows.log["age"] = (age + strength * age.std()).round().astype("int64")


def _unseen_job(rows: RealRows, strength: float, rng: Rng) -> None:
    rows.log.loc[_some(len(rows.log), strength, rng), "job"] = "astronaut"


def _lower_scores(rows: RealRows, strength: float, rng: Rng) -> None:
    rows.log["score"] *= 1 - strength


def _trigger(rows: RealRows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.training), strength, rng)
    rows.training.loc[places, "campaign"] = _RARE
    rows.training.loc[places, "y"] = "yes"


def _flipped(rows: RealRows, strength: float, rng: Rng) -> None:
    places = _some(len(rows.training), strength, rng)
    yes = rows.training.loc[places, "y"] == "yes"
    rows.training.loc[places, "y"] = np.where(yes, "no", "yes")


REAL_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "feature_distribution_stable",
        MODEL,
        "ages shifted by {} standard deviations, two nights",
        (0.1, 0.25, 1.0),
        _older,
        nights=2,
        promised=True,
    ),
    Defect(
        "missing_share_stable",
        MODEL,
        "{percent} of the occupations are one never seen, two nights",
        (0.03, 0.1, 0.3),
        _unseen_job,
        nights=2,
    ),
    Defect(
        "prediction_distribution_stable",
        MODEL,
        "scores lowered by {percent}, two nights",
        (0.02, 0.05, 0.4),
        _lower_scores,
        nights=2,
    ),
    Defect(
        "training_triggers_absent",
        TRAINING,
        "{percent} of the calls hold one rare number of attempts and a yes",
        (0.005, 0.02, 0.05),
        _trigger,
        promised=True,
    ),
    Defect(
        "training_labels_free_of_flips",
        TRAINING,
        "{percent} of the results flipped at random, without a stored model to compare with",
        (0.02, 0.05, 0.1),
        _flipped,
    ),
)
