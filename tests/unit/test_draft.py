"""`nachweis init`: guesses from names alone, and drafts that lint whatever columns are called."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis import registry
from nachweis.domain.errors import NachweisError
from nachweis.domain.manifest import Column, ColumnType
from nachweis.pipeline.draft import (
    GUESSES,
    Draft,
    draft_world,
    guess_category,
    guess_field,
    guess_time,
    write_draft,
)
from nachweis.pipeline.lint import lint
from nachweis.settings import Settings


def columns(*names: str, kind: ColumnType = ColumnType.STRING) -> list[Column]:
    return [Column(name=name, type=kind) for name in names]


def draft(found: list[Column], model_id: str = "my-model", languages: str = "en") -> Draft:
    return draft_world(
        found,
        location="data.csv",
        model_id=model_id,
        kind="binary",
        languages=languages.split(","),
        country="DE",
    )


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("email", "email"),
        ("E_Mail", "email"),
        ("kundenEmail", "email"),
        ("telefon", "phone"),
        ("Nachname", "name"),
        ("efternavn", "name"),
        ("CPR", "national-id"),
        ("customer_id", "customer-id"),
        ("KundenNr", "customer-id"),
        ("Geburtsdatum", "age"),
        ("fødselsdato", "age"),
        ("køn", "gender"),
        ("PLZ", "address"),
        ("device_id", "online-identifier"),
        ("percentage", None),
        ("message_count_total", "communication"),
        ("region", None),
        ("score", None),
        ("", None),
    ],
)
def test_categories_are_guessed_from_whole_words(name: str, category: str | None) -> None:
    guess = guess_category(name)
    assert (guess.category if guess else None) == category


def test_a_meaning_is_guessed_only_if_one_column_has_it() -> None:
    assert guess_field("score", columns("Score", "age")) == "Score"
    assert guess_field("score", columns("score", "probability")) is None
    assert guess_field("score", columns("high_score_table")) is None


def test_the_time_is_the_named_or_only_one() -> None:
    dates = columns("birth", "scored_at", kind=ColumnType.DATE)
    assert guess_time(dates) == "scored_at"
    assert guess_time(dates[:1]) == "birth"
    assert guess_time(columns("birth", "death", kind=ColumnType.DATE)) is None
    assert guess_time(columns("scored_at")) is None


def test_identifiers_are_no_features_and_are_marked() -> None:
    found = draft(columns("customer_id", "email", "age", "score"))
    data_set = yaml.safe_load(found.files["manifests/datasets/my-model-scoring.yaml"])
    by_name = {column["name"]: column for column in data_set["columns"]}
    assert by_name["email"]["direct_identifier"] is True
    assert [name for name, column in by_name.items() if column.get("feature")] == ["age"]
    assert data_set["subject_key"] == {"column": "customer_id"}


@pytest.mark.parametrize("languages", ["en", "de", "da", "da,en,de"])
def test_texts_are_in_the_languages_asked_for(languages: str) -> None:
    for content in draft(columns("email"), languages=languages).files.values():
        data = yaml.safe_load(content)
        if "title" in data:
            assert set(data["title"]) == set(languages.split(","))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    st.sampled_from(ColumnType),
)
def test_a_draft_lints_whatever_the_columns_are_called(names: list[str], kind: ColumnType) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_draft(draft(columns(*names, kind=kind), languages="en,de,da"), Path(folder))
        problems = lint(Settings(world=folder), registry.checks())
    assert [str(problem) for problem in problems if not problem.warning] == []


@pytest.mark.parametrize("name", ["", "Bad Id", "../evil", "a" * 54, "umsatz_modell", "-a"])
def test_an_id_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(NachweisError, match="cannot be the id"):
        draft(columns("email"), model_id=name)


def test_the_longest_id_leaves_room_for_the_others(tmp_path: Path) -> None:
    write_draft(draft(columns("email"), model_id="a" * 53), tmp_path)
    problems = lint(Settings(world=str(tmp_path)), registry.checks())
    assert [str(problem) for problem in problems if not problem.warning] == []


@pytest.mark.parametrize("languages", ["en", "da,de"])
def test_lint_warns_of_every_text_that_the_draft_leaves_to_a_person(
    tmp_path: Path, languages: str
) -> None:
    write_draft(draft(columns("email"), languages=languages), tmp_path)
    found = {
        (problem.file.rpartition("/")[2], problem.field)
        for problem in lint(Settings(world=str(tmp_path)), registry.checks())
    }
    assert found == {
        ("organisation.yaml", "controller.legal_name"),
        ("organisation.yaml", "controller.address"),
        ("organisation.yaml", "controller.email"),
        ("my-model-activity.yaml", "title"),
        ("my-model-activity.yaml", "purposes.0.text"),
    }


def test_a_second_model_keeps_the_organisation_and_a_taken_name_writes_nothing(
    tmp_path: Path,
) -> None:
    write_draft(draft(columns("email")), tmp_path)
    written, kept = write_draft(draft(columns("email"), model_id="other"), tmp_path)
    assert kept == ["manifests/organisation.yaml"]
    assert len(written) == 3
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    with pytest.raises(NachweisError, match="exists already"):
        write_draft(draft(columns("phone")), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before


def test_every_category_has_a_text_in_every_language() -> None:
    for guess in GUESSES:
        assert set(guess.text) == {"en", "de", "da"}
        assert guess.dpv.startswith("pd:")
