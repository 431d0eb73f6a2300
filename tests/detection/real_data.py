"""Real data for the detection tests: where it lies, and what the nights are made of.

The files are read in place and never copied into the repository. The prepared worlds live in
temporary folders of the test session.
"""

from __future__ import annotations

import calendar
import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 - the preparation stands for the data's owner, not the product
import pytest
from pydantic import SecretStr

from nachweis.domain.night import Night
from nachweis.pipeline.context import NightContext
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures" / "real"
CALLS = "bank-additional-full.csv.gz"
PERIODS = "bank-additional-period.csv.gz"
MESSAGES = "twcs-sample.csv.gz"

CATEGORIES = (
    "job",
    "marital",
    "education",
    "default",
    "housing",
    "loan",
    "contact",
    "day_of_week",
    "poutcome",
)
NUMBERS = (
    "age",
    "campaign",
    "pdays",
    "previous",
    "emp.var.rate",
    "cons.price.idx",
    "cons.conf.idx",
    "euribor3m",
    "nr.employed",
)
FEATURES = (*NUMBERS, *CATEGORIES)
"""Inputs of the model: ``duration`` is left out, for nobody knows how long a call will last, and
``month``, which names the night."""

CALL_FROM = 0.05
"""Score from which a person is called; also stands in the model's manifest."""


def real_file(name: str) -> Path:
    """A file of real data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("NACHWEIS_REAL_DATA") or REPOSITORY.parent / "shared" / "data")
    path = folder / name
    if not path.is_file():
        pytest.skip(
            f"the real data set {name} is not here: name its folder in NACHWEIS_REAL_DATA "
            "or put it beside the repository, in ../shared/data"
        )
    return path


def night_of(month: str) -> str:
    """The night a month of calls stands for: its last day."""
    year, number = map(int, month.split("-"))
    return dt.date(year, number, calendar.monthrange(year, number)[1]).isoformat()


@dataclass(frozen=True)
class BankWorld:
    """The prepared bank data and the folder that the pipeline reads."""

    folder: Path
    calls: pd.DataFrame
    """Every call, with its month, its out-of-sample score and the decision."""

    @property
    def months(self) -> list[str]:
        return sorted(self.calls["period"].unique())

    @property
    def reference(self) -> pd.DataFrame:
        return self.calls[self.calls["period"] < "2009"]

    def month(self, month: str) -> pd.DataFrame:
        return self.calls[self.calls["period"] == month]


def prepare_bank(folder: Path) -> BankWorld:
    """Train on 2008, score every call out of sample, and write the world's files.

    Calls of 2008 get the score of a model that was trained without them (five folds); later calls
    get that of the model trained on all of 2008.

    Args:
        folder: Empty folder.

    Returns:
        The world.
    """
    calls = _read_calls()
    shutil.copytree(FIXTURES / "bank", folder, dirs_exist_ok=True)
    scored = calls.assign(score=_out_of_sample_scores(calls))
    scored["selected"] = (scored["score"] >= CALL_FROM).astype("int64")
    _write_files(folder / "data", scored)
    return BankWorld(folder, scored)


def _read_calls() -> pd.DataFrame:
    calls = pd.read_csv(real_file(CALLS), sep=";", keep_default_na=False)
    calls["period"] = pd.read_csv(real_file(PERIODS))["period"].to_numpy()
    calls["call_id"] = [f"K{row:05d}" for row in range(len(calls))]
    # 999 stands for "never called before", which is no number of days.
    calls["pdays"] = calls["pdays"].astype("Int64").mask(calls["pdays"] == 999)
    return calls


def _out_of_sample_scores(calls: pd.DataFrame) -> np.ndarray:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder
    from threadpoolctl import threadpool_limits

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((codes, list(CATEGORIES)), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=30, min_samples_leaf=200, random_state=2008),
    )
    inputs = calls[list(FEATURES)].astype(dict.fromkeys(NUMBERS, "float64"))
    bought = calls["y"] == "yes"
    known = (calls["period"] < "2009").to_numpy()
    folds = StratifiedKFold(5, shuffle=True, random_state=2008)
    scores = np.empty(len(calls))
    with threadpool_limits(1):  # the trees are so small that more threads only wait for each other
        scores[known] = cross_val_predict(
            model, inputs[known], bought[known], cv=folds, method="predict_proba"
        )[:, 1]
        model.fit(inputs[known], bought[known])
        scores[~known] = model.predict_proba(inputs[~known])[:, 1]
    return scores


def _write_files(data: Path, calls: pd.DataFrame) -> None:
    for name in ("bank-scores", "bank-outcomes"):
        (data / name).mkdir(parents=True)
    known = calls["period"] < "2009"
    training = calls[known].drop(columns=["score", "selected"])
    training.to_csv(data / "bank-training.csv.gz", sep=";", index=False)
    logged = ["call_id", *FEATURES, "score", "selected"]
    calls.loc[known, logged].to_parquet(data / "bank-reference.parquet", index=False)
    outcomes = calls[["call_id"]].assign(subscribed=(calls["y"] == "yes").astype("int64"))
    for month, rows in calls.groupby("period"):
        night = night_of(str(month))
        log = rows[logged].assign(called_on=dt.date.fromisoformat(night))
        log.to_parquet(data / "bank-scores" / f"{night}.parquet", index=False)
        outcomes.loc[rows.index].to_parquet(
            data / "bank-outcomes" / f"{night}.parquet", index=False
        )


def prepare_support(folder: Path) -> Path:
    """The support world: manifests, and a link to the messages where they lie.

    Args:
        folder: Empty folder.

    Returns:
        The folder.
    """
    shutil.copytree(FIXTURES / "support", folder, dirs_exist_ok=True)
    (folder / "data").mkdir()
    (folder / "data" / MESSAGES).symlink_to(real_file(MESSAGES))
    return folder


@contextmanager
def night_settings(settings: Settings) -> Iterator[None]:
    """Settings in the environment, where the tasks of a night read them."""
    given = settings.model_dump(exclude_none=True, exclude_defaults=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            patch.setenv(f"NACHWEIS_{name.upper()}", plain)
        yield


def context_of(night: str, settings: Settings) -> NightContext:
    """A night without a store: what is only observed needs none, and none is started for it."""
    loaded = load_world(settings)
    return NightContext(settings, loaded, Night.parse(night, loaded.world.organisation.timezone))
