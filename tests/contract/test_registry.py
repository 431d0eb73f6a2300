"""The registry finds what lies in the folders and refuses what is ambiguous."""

from __future__ import annotations

from pathlib import Path

import pytest

from nachweis import registry
from nachweis.domain.errors import CheckDefinitionError
from nachweis.domain.finding import Subject, SubjectKind
from nachweis.domain.manifest import DataSetRole
from nachweis.pipeline.example_worlds import example_world
from nachweis.pipeline.examples import replay
from nachweis.pipeline.skeleton import new_check_source


def write(folder: Path, family: str, name: str, source: str) -> Path:
    path = folder / family / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


def test_every_file_of_the_families_is_a_check_of_that_name() -> None:
    files = {
        path.stem: path.parent.name
        for path in registry.FAMILIES.glob("*/*.py")
        if not path.name.startswith("_")
    }
    found = registry.checks()
    assert {name: check.family for name, check in found.items()} == files
    assert len(found) >= 12


def test_a_dropped_file_is_found_without_being_listed_anywhere(tmp_path: Path) -> None:
    write(
        tmp_path, "quality", "volume_stays_level", new_check_source("quality", "volume_stays_level")
    )
    found = registry.checks(tmp_path)
    assert list(found) == ["volume_stays_level"]
    assert found["volume_stays_level"].family == "quality"
    write(tmp_path, "quality", "age_stays_known", new_check_source("quality", "age_stays_known"))
    assert list(registry.checks(tmp_path)) == ["age_stays_known", "volume_stays_level"]


def test_a_new_check_passes_its_own_examples(tmp_path: Path) -> None:
    write(tmp_path, "drift", "foo_stays_bar", new_check_source("drift", "foo_stays_bar"))
    check = registry.check("drift/foo_stays_bar", tmp_path)
    assert check.question == "Is it true that foo stays bar?"
    assert replay([check]) == []


@pytest.mark.parametrize(
    ("family", "name"),
    [("drift", "stable"), ("drift", "Foo_stays"), ("../x", "foo_stays_bar"), ("drift", "a-b_c")],
)
def test_a_new_check_needs_a_statement_for_a_name(family: str, name: str) -> None:
    with pytest.raises(CheckDefinitionError):
        new_check_source(family, name)


def test_support_files_are_no_checks_and_can_be_imported_by_them(tmp_path: Path) -> None:
    source = new_check_source("quality", "volume_stays_level")
    write(tmp_path, "quality", "_words", 'TITLE = "enough rows"\n')
    path = write(tmp_path, "quality", "volume_stays_level", source)
    package = registry.checks(tmp_path)["volume_stays_level"].__module__.rpartition(".")[0]
    other = source.replace("volume", "amount").replace("VolumeStays", "AmountStays")
    path.with_name("amount_stays_level.py").write_text(
        other.replace(
            "\n\ndef _table", f"\nfrom {package}._words import TITLE\n\n\ndef _table", 1
        ).replace('"enough rows"', "TITLE")
    )
    assert registry.checks(tmp_path)["amount_stays_level"].examples[0].title == "enough rows"


def test_two_files_of_one_id_are_refused_by_name(tmp_path: Path) -> None:
    source = new_check_source("quality", "volume_stays_level")
    first = write(tmp_path, "quality", "volume_stays_level", source)
    second = write(tmp_path, "security", "volume_stays_level", source)
    with pytest.raises(CheckDefinitionError) as refused:
        registry.checks(tmp_path)
    assert str(first) in str(refused.value)
    assert str(second) in str(refused.value)


def test_an_alias_that_another_check_has_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path, "quality", "volume_stays_level", new_check_source("quality", "volume_stays_level")
    )
    source = new_check_source("quality", "rows_stay_many").replace(
        "    severity =", '    aliases = ("volume_stays_level",)\n    severity ='
    )
    write(tmp_path, "quality", "rows_stay_many", source)
    with pytest.raises(CheckDefinitionError, match="volume_stays_level"):
        registry.checks(tmp_path)


def test_an_alias_finds_its_check(tmp_path: Path) -> None:
    source = new_check_source("quality", "rows_stay_many").replace(
        "    severity =", '    aliases = ("old_name",)\n    severity ='
    )
    write(tmp_path, "quality", "rows_stay_many", source)
    assert registry.check("old_name", tmp_path).id == "rows_stay_many"


@pytest.mark.parametrize("source", ["", "x = 1\n", "two"])
def test_a_file_must_define_exactly_one_check(tmp_path: Path, source: str) -> None:
    if source == "two":
        one = new_check_source("quality", "volume_stays_level")
        source = one + one[one.index("class ") :].replace("class Volume", "class Second")
    path = write(tmp_path, "quality", "volume_stays_level", source)
    with pytest.raises(CheckDefinitionError) as refused:
        registry.checks(tmp_path)
    assert str(path) in str(refused.value)


def test_a_file_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "quality", "volume_stays_level", "import no_such_module\n")
    with pytest.raises(CheckDefinitionError) as refused:
        registry.checks(tmp_path)
    assert str(path) in str(refused.value)


def test_an_unknown_check_suggests_the_closest_one() -> None:
    with pytest.raises(CheckDefinitionError) as refused:
        registry.check("feature_distribution_stabel")
    assert "feature_distribution_stable" in refused.value.remedy
    assert "retention_kept" in refused.value.valid


def test_only_checks_about_the_kind_and_role_apply() -> None:
    check = registry.check("erased_subjects_absent")
    example = check.examples[0]
    world = example_world(check, example)

    def names(kind: SubjectKind, key: str) -> set[str]:
        return {c.id for c in registry.applicable(world, Subject(kind=kind, id=key))}

    assert world.data_sets["erasure-ledger"].role is DataSetRole.ERASURE_LEDGER
    assert "erased_subjects_absent" in names(SubjectKind.DATA_SET, "training")
    assert "erased_subjects_absent" not in names(SubjectKind.DATA_SET, "erasure-ledger")
    models = names(SubjectKind.MODEL, "model")
    assert "feature_distribution_stable" in models
    assert not models & names(SubjectKind.DATA_SET, "training")
