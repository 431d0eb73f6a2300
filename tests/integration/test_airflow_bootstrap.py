"""The one-shot bootstrap of the production form, against a real store and a real database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis.airflow_bridge.bootstrap import ACCESS_KEY, SECRET_KEY
from nachweis.settings import Settings
from nachweis.storage import embedded
from tests.integration.airflow_support import bridge, environment

pytestmark = [pytest.mark.airflow, pytest.mark.store]


@pytest.fixture
def production(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings of the production form that lead to a real server, as an address."""
    settings = Settings(state=tmp_path / "elsewhere")
    store = embedded.start(settings)
    keys = store.keys
    yield environment(
        tmp_path / "state",
        AIRFLOW_HOME=str(tmp_path / "airflow"),
        NACHWEIS_MODE="production",
        NACHWEIS_RETENTION="demonstration",
        NACHWEIS_S3_ENDPOINT=store.endpoint,
        NACHWEIS_S3_ACCESS_KEY=keys.writer.key,
        NACHWEIS_S3_SECRET_KEY=keys.writer.secret,
        NACHWEIS_ANCHOR_ACCESS_KEY=keys.anchor.key,
        NACHWEIS_ANCHOR_SECRET_KEY=keys.anchor.secret,
        **{ACCESS_KEY: keys.administrator.key, SECRET_KEY: keys.administrator.secret},
    )
    embedded.stop(settings)


def test_database_and_buckets_are_ready_afterwards_and_twice_changes_nothing(
    production: dict[str, str],
) -> None:
    for _ in range(2):
        done = bridge("bootstrap", env=production)
        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(done.stdout[done.stdout.index("{\n") :])
        assert found["mode"] == "production"
    with sqlite3.connect(Path(production["AIRFLOW_HOME"]) / "airflow.db") as database:
        assert database.execute("SELECT count(*) FROM dag").fetchone() == (0,)
    for secret in (production[SECRET_KEY], production["NACHWEIS_S3_SECRET_KEY"]):
        assert secret not in done.stdout + done.stderr


def test_it_refuses_to_go_on_without_the_administrators_credentials(
    production: dict[str, str],
) -> None:
    done = bridge("bootstrap", env={k: v for k, v in production.items() if k != SECRET_KEY})
    assert done.returncode == 2
    assert SECRET_KEY in done.stderr


def test_wrong_credentials_are_refused(production: dict[str, str]) -> None:
    done = bridge("bootstrap", env=production | {SECRET_KEY: "wrong"})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
