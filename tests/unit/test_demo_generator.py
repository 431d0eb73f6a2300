"""The demo's generator: same bytes every time, nights independent of the range, models pinned."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.clock import midnight, moments, nights
from demo.dialogues import ANSWERS, ITEMS, QUEUES, TICKETS
from demo.generate import MARKER, generate
from demo.population import ERASED, OBJECTED, ORDINARY, WITHDRAWN, WITHOUT_BASIS, population
from demo.registers import SECRET, keyed_hashes
from demo.training import store
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UNTIL = dt.date(2026, 9, 30)


@pytest.fixture(scope="module")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "data"
    assert generate(folder, UNTIL, 3)
    return folder


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_runs_give_identical_bytes(three_nights: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", UNTIL, 3)
    assert _digests(tmp_path / "again") == _digests(three_nights)


def test_a_night_does_not_depend_on_the_range(three_nights: Path, tmp_path: Path) -> None:
    generate(tmp_path / "one", UNTIL, 1)
    alone, among = _digests(tmp_path / "one"), _digests(three_nights)
    differing = {name for name, digest in alone.items() if among[name] != digest}
    assert differing == {MARKER}


def test_a_second_run_does_nothing(three_nights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(three_nights, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert not generate(folder, UNTIL, 3)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_interrupted_run_is_repeated(three_nights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(three_nights, folder)
    (folder / MARKER).unlink()
    (folder / "churn-scores" / f"{UNTIL}.parquet").write_bytes(b"half a fi")
    assert generate(folder, UNTIL, 3)
    assert _digests(folder) == _digests(three_nights)


def test_stored_models_are_the_ones_the_manifests_pin(three_nights: Path) -> None:
    world = load_world(Settings(world=str(ROOT / "demo"))).world
    pinned = {
        Path(version.artefact.uri).name: version.artefact.digest
        for model in world.models.values()
        for version in model.versions
        if version.artefact is not None and version.artefact.digest is not None
    }
    stored = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (three_nights / "models").iterdir()
    }
    assert stored == pinned


def test_stored_models_score_as_logged(three_nights: Path) -> None:
    import skops.io

    from demo import features

    table = pa_parquet.read_table(three_nights / "propensity-scores" / f"{UNTIL}.parquet")
    columns = {name: table.column(name).to_pandas().to_numpy() for name in table.column_names}
    model = skops.io.load(
        three_nights / "models" / "campaign-propensity.skops", trusted=["numpy.dtype"]
    )
    names = (*features.PROPENSITY_NUMBERS, *features.PROPENSITY_TEXTS)
    matrix = np.column_stack([columns[name].astype(object) for name in names])
    np.testing.assert_allclose(model.predict_proba(matrix)[:, 1], columns["score"], atol=1e-5)


def test_storing_twice_gives_the_same_file(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    def fitted() -> Any:
        return LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])

    first, second = tmp_path / "a.skops", tmp_path / "b.skops"
    assert store(fitted(), first) == store(fitted(), second)
    assert first.read_bytes() == second.read_bytes()


def test_nights_without_a_defect_hold_ordinary_customers_only(three_nights: Path) -> None:
    people = population()
    special = {
        people.customer_id[i]
        for group in (ERASED, WITHDRAWN, OBJECTED, WITHOUT_BASIS)
        for i in group
    }
    for path in sorted(three_nights.glob("*/*.parquet")):
        found = set(pa_parquet.read_table(path, columns=["customer_id"])["customer_id"].to_pylist())
        assert not found & special, path.name


def test_groups_of_customers_do_not_overlap() -> None:
    groups = (ERASED, WITHDRAWN, OBJECTED, WITHOUT_BASIS, ORDINARY)
    assert sum(len(group) for group in groups) == len(set().union(*groups))


def test_erasure_ledger_and_suppression_list_hold_keyed_hashes_only(three_nights: Path) -> None:
    people = population()
    for name, group in (("erasure-ledger", ERASED), ("suppression-list", OBJECTED)):
        keys = pa_parquet.read_table(three_nights / f"{name}.parquet")["subject_key"].to_pylist()
        assert set(keys) == set(keyed_hashes(people.customer_id[list(group)]))
    text = (three_nights / "demo.env").read_text(encoding="utf-8")
    assert text == f"NACHWEIS_DEMO_ERASURE_KEY={SECRET}\n"


def test_erased_customers_are_in_no_register(three_nights: Path) -> None:
    people = population()
    register = pa_parquet.read_table(three_nights / "permission-register.parquet")
    assert not set(people.customer_id[list(ERASED)]) & set(register["subject_key"].to_pylist())


def test_every_language_has_every_text() -> None:
    for language in ("en", "de", "da"):
        assert set(TICKETS[language]) == set(QUEUES)
        assert all(len(variants) == 4 for variants in TICKETS[language].values())
        assert len(ITEMS[language]) == 5
        assert set(ANSWERS[language]) == {"disclosure", "handover", *QUEUES}


@given(st.dates(dt.date(2024, 1, 1), dt.date(2030, 12, 31)), st.integers(0, 82_799))
def test_moments_of_a_day_lie_in_the_local_day(day: dt.date, second: int) -> None:
    moment = moments(day, np.array([second]))[0]
    assert midnight(day) <= moment < midnight(day + dt.timedelta(days=1))


def test_the_last_nights_end_with_the_wanted_one() -> None:
    assert nights(dt.date(2026, 3, 1), 3) == [
        dt.date(2026, 2, 27),
        dt.date(2026, 2, 28),
        dt.date(2026, 3, 1),
    ]


def test_times_are_stored_with_their_zone(three_nights: Path) -> None:
    schema = pa_parquet.read_schema(three_nights / "churn-scores" / f"{UNTIL}.parquet")
    assert schema.field("scored_at").type == pa.timestamp("us", tz="UTC")
