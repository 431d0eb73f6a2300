"""The night as its tasks see it: what may be signed."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Literal

import pytest

from nachweis.domain.errors import NachweisError
from nachweis.domain.night import Night
from nachweis.pipeline.context import NightContext
from nachweis.pipeline.load import load_world
from nachweis.settings import PACKAGE_ROOT, Settings


def context(mode: Literal["demonstration", "production"], date: dt.date) -> NightContext:
    settings = Settings(
        world=f"{PACKAGE_ROOT}:{PACKAGE_ROOT / 'demo'}", mode=mode, signer="file2:/nowhere.pem"
    )
    return NightContext(settings, load_world(settings), Night(date))


@pytest.mark.parametrize("days", [0, 1, 400])
def test_production_signs_no_night_that_has_not_ended(days: int) -> None:
    date = dt.datetime.now(Night(dt.date.min).zone).date() + dt.timedelta(days=days)
    with pytest.raises(NachweisError, match="has not ended yet"):
        context("production", date).demand_ended()


def test_production_signs_yesterday() -> None:
    yesterday = dt.datetime.now(Night(dt.date.min).zone).date() - dt.timedelta(days=1)
    context("production", yesterday).demand_ended()


def test_the_data_of_the_demonstration_may_lie_ahead() -> None:
    context("demonstration", dt.date(2999, 1, 1)).demand_ended()


def test_a_policy_that_cannot_be_read_is_not_replaced_by_defaults(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    organisation = PACKAGE_ROOT / "demo" / "manifests" / "organisation.yaml"
    shutil.copy(organisation, manifests)
    (manifests / "policy.yaml").write_text("notificatoin: {}\n")
    settings = Settings(world=str(tmp_path))
    night = NightContext(settings, load_world(settings), Night(dt.date(2026, 3, 2)))
    with pytest.raises(NachweisError, match=r"policy\.yaml is not valid"):
        night.demand_policy()
    (manifests / "policy.yaml").unlink()
    NightContext(settings, load_world(settings), Night(dt.date(2026, 3, 2))).demand_policy()
