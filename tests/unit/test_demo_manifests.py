"""The demo's manifests: valid, complete, honest, and true about the data on clean nights."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pa_parquet
import pytest

from demo.generate import generate
from nachweis import registry
from nachweis.domain.manifest import DataSet, ModelKind, Stage, World
from nachweis.engines.expectations import check_suite
from nachweis.pages.wording import forbidden_words
from nachweis.pipeline.lint import lint
from nachweis.pipeline.load import load_world
from nachweis.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Settings(world=f"{ROOT}{os.pathsep}{ROOT / 'demo'}")
CLEAN_NIGHT = dt.date(2026, 9, 25)


@pytest.fixture(scope="module")
def world() -> World:
    return load_world(SETTINGS).world


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "data"
    generate(folder, CLEAN_NIGHT, 1)
    return folder


def test_the_linter_finds_nothing() -> None:
    assert [str(problem) for problem in lint(SETTINGS, registry.checks(), check_suite)] == []


def test_every_kind_of_model_of_the_plan_is_there_and_deployed(world: World) -> None:
    assert {model.kind for model in world.models.values()} == {
        ModelKind.BINARY,
        ModelKind.UPLIFT,
        ModelKind.MULTICLASS,
        ModelKind.GENERATIVE,
    }
    assert all(model.stage is Stage.DEPLOYED for model in world.models.values())


def test_every_model_is_listed_by_the_activity_it_names(world: World) -> None:
    for model in world.models.values():
        for activity_id in model.activities:
            assert model.id in world.activities[activity_id].models


def test_every_letter_of_art_30_is_filled(world: World) -> None:
    for activity in world.activities.values():
        assert activity.purposes, activity.id
        assert activity.data_subjects, activity.id
        assert activity.data_categories, activity.id
        assert activity.transfers or activity.no_transfers, activity.id
        assert activity.retention, activity.id
        assert activity.toms, activity.id
        assert all(purpose.legal_basis for purpose in activity.purposes), activity.id


def test_every_feature_and_protected_attribute_has_a_category(world: World) -> None:
    for data_set in world.data_sets.values():
        protected = {
            attribute.column
            for model in world.models_using(data_set.id)
            for attribute in model.protected_attributes
        }
        for column in data_set.columns:
            if column.feature or column.name in protected:
                assert column.category, f"{data_set.id}.{column.name}"


def test_columns_and_categories_name_each_other(world: World) -> None:
    listed = {
        reference: category.id
        for activity in world.activities.values()
        for category in activity.data_categories
        for reference in category.columns
    }
    declared = {
        f"{data_set.id}.{column.name}": column.category
        for data_set in world.data_sets.values()
        for column in data_set.columns
        if column.category
    }
    assert declared == listed


def test_every_data_set_has_a_retention_rule(world: World) -> None:
    ruled = {
        kept.name
        for activity in world.activities.values()
        for rule in activity.retention
        for kept in rule.datasets
    }
    assert set(world.data_sets) - ruled == set()


def test_no_person_is_named_and_no_real_address_given(world: World) -> None:
    for path in (ROOT / "demo").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for domain in re.findall(r"@([\w.-]+)", text):
            assert domain.endswith(".example"), f"{path.name}: {domain}"


def test_words_that_promise_too_much_do_not_occur() -> None:
    for path in [*(ROOT / "demo").rglob("*.yaml"), *(ROOT / "expectations").glob("*.yaml")]:
        assert forbidden_words(path.read_text(encoding="utf-8")) == [], path.name


def test_columns_of_the_files_are_the_declared_ones(world: World, data: Path) -> None:
    for data_set in world.data_sets.values():
        found = _schema(data_set, data)
        assert [c.name for c in data_set.columns] == found.names, data_set.id
        nulls = {c.name for c in data_set.columns if not c.nullable}
        table = _table(data_set, data)
        assert {n for n in nulls if table.column(n).null_count} == set(), data_set.id


def test_versions_live_tonight_were_trained_before_they_were_approved(world: World) -> None:
    night = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    for model in world.models.values():
        served = model.served_on(night)
        assert len(served) == 1, model.id
        for version in model.versions:
            if version.trained_at and version.approved_on and version.live_from:
                assert version.trained_at < version.approved_on < version.live_from.date()


def _path(data_set: DataSet, data: Path) -> Path:
    location = data_set.locations[0].removeprefix("data/")
    return data / location.replace("{date}", CLEAN_NIGHT.isoformat())


def _table(data_set: DataSet, data: Path) -> pa.Table:
    path = _path(data_set, data)
    if path.suffix == ".parquet":
        return pa_parquet.read_table(path)
    if path.suffix == ".jsonl":
        return pa_json.read_json(path)
    options = pa_csv.ParseOptions(delimiter=data_set.csv.delimiter or ",")
    return pa_csv.read_csv(path, parse_options=options)


def _schema(data_set: DataSet, data: Path) -> pa.Schema:
    return _table(data_set, data).schema
