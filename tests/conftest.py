"""What tests of several kinds need: a clean environment and a real S3 server."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis.settings import Settings
from nachweis.storage import embedded
from nachweis.storage.bootstrap import bootstrap
from nachweis.storage.embedded import EmbeddedStore
from nachweis.storage.s3_client import StoreAccess

HERE = Path(__file__).parent

for _name in [name for name in os.environ if name.startswith("NACHWEIS_")]:
    # Tests never meet the store, keys or world of whoever runs them.
    if _name not in {"NACHWEIS_REAL_DATA", "NACHWEIS_ALL_NIGHTS"}:
        del os.environ[_name]


LONGEST = (
    "integration/test_airflow_runner.py",
    "detection/test_demo_nights.py",
    "integration/test_airflow_local.py",
    "detection/test_bank_months.py",
    "unit/test_pages_site.py",
    "integration/test_night_kill.py",
    "contract/test_plugins_folder.py",
    "contract/test_checks.py",
    "browser/test_site_pages.py",
)
"""Files that take longest, begun first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; the order is otherwise kept."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(HERE).as_posix(), len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def _no_server_outlives_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A night starts the embedded store by itself; what a test started so is stopped here."""
    yield
    for pid in tmp_path_factory.getbasetemp().glob("**/store/pid"):
        embedded.stop(Settings(state=pid.parents[1]))


@pytest.fixture(scope="session")
def _store_base() -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="nachweis-store-"))
    settings = Settings(state=folder)
    embedded.start(settings)
    try:
        yield settings
    finally:
        embedded.stop(settings)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded_store(_store_base: Settings) -> EmbeddedStore:
    """One real S3 server for the whole session; `keys` holds its identities."""
    store = embedded.status(_store_base)
    assert store is not None
    return store


@pytest.fixture(scope="session")
def store_administrator(embedded_store: EmbeddedStore) -> StoreAccess:
    """The server's administrator, for what no writer may do."""
    admin = embedded_store.keys.administrator
    return StoreAccess(embedded_store.endpoint, "eu-central-1", admin.key, admin.secret)


def _fresh_store(base: Settings, server: EmbeddedStore, state: Path) -> Settings:
    mark = uuid.uuid4().hex[:10]
    settings = embedded.resolve(base).model_copy(
        update={
            "state": state,
            **{
                f"bucket_{role}": f"nachweis-{role}-{mark}"
                for role in ("records", "narratives", "site", "anchor")
            },
        }
    )
    admin = server.keys.administrator
    bootstrap(
        settings,
        administrator=StoreAccess(server.endpoint, settings.s3_region, admin.key, admin.secret),
    )
    return settings


@pytest.fixture
def store_settings(
    _store_base: Settings, embedded_store: EmbeddedStore, tmp_path: Path
) -> Settings:
    """Settings with credentials, fresh buckets that are set up, and an own state folder."""
    return _fresh_store(_store_base, embedded_store, tmp_path / "state")


@pytest.fixture(scope="module")
def module_store_settings(
    _store_base: Settings, embedded_store: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """The same, shared by the tests of one module, for nights that are run once."""
    return _fresh_store(_store_base, embedded_store, tmp_path_factory.mktemp("store") / "state")
