"""Erased people are looked for by keyed hashes, until the period's secret is destroyed."""

from __future__ import annotations

import csv
import datetime as dt
import io
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from nachweis import registry
from nachweis.domain.errors import NachweisError
from nachweis.domain.finding import Finding, Outcome, Subject, SubjectKind
from nachweis.domain.night import Night
from nachweis.pipeline import erasure
from nachweis.pipeline.context import NightContext
from nachweis.pipeline.load import load_world
from nachweis.pipeline.night import observe_subject
from nachweis.settings import PACKAGE_ROOT, Settings
from tests.integration.night_support import FIRST, command

TINY = PACKAGE_ROOT / "tests" / "fixtures" / "tiny"
BEFORE = dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(TINY, tmp_path / "world")
    return Settings(world=str(tmp_path / "world"), state=tmp_path / "state")


@pytest.fixture
def people(settings: Settings) -> list[str]:
    """Subject keys of the training set."""
    text = (Path(settings.world) / "data" / "training.csv").read_text(encoding="utf-8")
    return [row["customer"] for row in csv.DictReader(io.StringIO(text))]


def add(settings: Settings, *keys: str, period: str = "2026") -> int:
    return erasure.add(settings, keys, period=period, now=lambda: BEFORE)[1]


def everything(settings: Settings) -> str:
    world = Path(settings.world)
    files = [*world.glob("data/erasures-*"), *world.glob("manifests/datasets/erasures-*")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def look(settings: Settings) -> Finding:
    """What tonight's check says about the training set."""
    context = NightContext(settings, load_world(settings), Night.parse(FIRST, "Europe/Berlin"))
    assert [p for p in context.loaded.problems if "erasures" in p.file] == []
    seen = observe_subject(
        context,
        Subject(kind=SubjectKind.DATA_SET, id="training"),
        checks=[registry.check("erased_subjects_absent")],
    )
    (found,) = [one for one in seen.findings if one.check == "erased_subjects_absent"]
    return found


def test_somebody_who_came_back_is_found_until_the_secret_is_destroyed(
    settings: Settings, people: list[str]
) -> None:
    assert add(settings, "nobody-we-know") == 1
    assert look(settings).outcome is Outcome.PASS
    assert add(settings, people[3], "nobody-we-know", "", people[3]) == 1, "each once"
    assert look(settings).outcome is Outcome.FAIL
    assert people[3] not in everything(settings)
    assert [(one.entries, one.state) for one in erasure.periods(settings)] == [(2, "searchable")]

    done = erasure.shred(settings, "2026")
    assert (done.entries, done.state) == (2, "shredded")
    assert list((settings.state / "keys" / "erasure").glob("NACHWEIS_*")) == []
    found = look(settings)
    assert found.outcome is Outcome.NOT_AVAILABLE
    assert "destroyed" in found.explanation
    with pytest.raises(NachweisError, match="destroyed, is not on this machine"):
        add(settings, people[4])
    assert erasure.shred(settings, "2026").state == "shredded", "again is harmless"


def test_other_periods_go_on_without_the_shredded_one(
    settings: Settings, people: list[str]
) -> None:
    add(settings, people[3], period="2025")
    add(settings, "nobody-we-know", period="2026-q3")
    assert look(settings).outcome is Outcome.FAIL
    erasure.shred(settings, "2025")
    found = look(settings)
    assert found.outcome is Outcome.PASS
    assert "Not available, since the secret was destroyed: erasures-2025." in found.explanation
    (undefined,) = [one for one in found.measurements if one.group == "erasures-2025"]
    assert (undefined.value, bool(undefined.reason)) == (None, True)
    add(settings, people[5], period="2026-q3")
    assert look(settings).outcome is Outcome.FAIL


def test_a_secret_that_is_lost_is_not_taken_for_a_destroyed_one(
    settings: Settings, people: list[str]
) -> None:
    add(settings, people[3])
    shutil.rmtree(settings.state / "keys" / "erasure")
    found = look(settings)
    assert found.outcome is Outcome.NOT_AVAILABLE
    assert "could not be searched" in found.explanation
    assert erasure.periods(settings)[0].state == "secret missing"


@pytest.mark.parametrize("left", [b"\xff\x00\xfe", b"", b"00ff"])
def test_a_secret_that_is_half_destroyed_or_half_written_stops_nothing_and_is_never_used(
    settings: Settings, people: list[str], left: bytes
) -> None:
    add(settings, people[3], period="2025")
    add(settings, people[4], period="2026")
    (settings.state / "keys" / "erasure" / "NACHWEIS_ERASURE_2025").write_bytes(left)
    assert [one.state for one in erasure.periods(settings)] == ["secret missing", "searchable"]
    assert look(settings).outcome is Outcome.FAIL, "the other period is still searched"
    with pytest.raises(NachweisError, match="cannot be read"):
        add(settings, people[5], period="2025")
    assert erasure.shred(settings, "2025").state == "shredded"
    assert erasure.periods(settings)[0].state == "shredded"


def test_nobody_is_entered_into_a_shredded_period_whose_secret_was_restored(
    settings: Settings, people: list[str]
) -> None:
    add(settings, people[3])
    secret = settings.state / "keys" / "erasure" / "NACHWEIS_ERASURE_2026"
    kept = secret.read_text()
    erasure.shred(settings, "2026")
    secret.write_text(kept)
    with pytest.raises(NachweisError, match="destroyed"):
        add(settings, people[4])


def test_periods_do_not_share_hashes_and_secrets_are_private(
    settings: Settings, people: list[str]
) -> None:
    for period in ("2025", "2026"):
        add(settings, people[0], period=period)
    held = settings.state / "keys" / "erasure"
    assert [path.stat().st_mode & 0o077 for path in held.glob("NACHWEIS_*")] == [0, 0]
    world = Path(settings.world)
    first, second = (
        (world / "data" / f"erasures-{one}.csv").read_text().splitlines()[1].split(",")[0]
        for one in ("2025", "2026")
    )
    assert first != second and len(first) == 64


@pytest.mark.parametrize("period", ["", "last year", "2026-q5", "../2026", "2026/x", "20260"])
def test_only_years_quarters_and_months_are_periods(settings: Settings, period: str) -> None:
    with pytest.raises(NachweisError, match="not a period"):
        erasure.add(settings, ["x"], period=period or " ")
    with pytest.raises(NachweisError, match="not a period"):
        erasure.shred(settings, period)


def test_what_is_no_key_is_named_by_its_line_and_never_shown(settings: Settings) -> None:
    with pytest.raises(NachweisError) as caught:
        add(settings, "first", "sec\x00ret")
    assert "line 2" in str(caught.value) and "ret" not in str(caught.value).split("\n")[0]
    assert everything(settings) == "", "nothing was entered"
    with pytest.raises(NachweisError, match="no ledger of this period"):
        erasure.shred(settings, "2024")
    with pytest.raises(NachweisError, match="no such role"):
        erasure.add(settings, ["x"], owner="nobody")


@tried(max_examples=12, deadline=None)
@given(
    keys=st.lists(st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1), max_size=8)
)
def test_every_key_is_entered_once_whatever_it_looks_like(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    place = tmp_path_factory.mktemp("erasure")
    shutil.copytree(TINY / "manifests", place / "world" / "manifests")
    own = Settings(world=str(place / "world"), state=place / "state")
    assert add(own, *keys) == len(set(keys))
    assert add(own, *keys) == 0


def test_the_commands_read_keys_from_a_file_and_print_none(
    settings: Settings, people: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACHWEIS_WORLD", settings.world)
    monkeypatch.setenv("NACHWEIS_STATE", str(settings.state))
    assert "no ledger yet" in command("erasure", "list")[1]
    file = tmp_path / "keys.txt"
    file.write_text(f"{people[0]}\n{people[1]}\n")
    code, said, _ = command("erasure", "add", str(file), "--period", "2026")
    assert (code, people[0] in said, "2 people entered" in said) == (0, False, True)
    code, said, _ = command("erasure", "shred", "2026", "--yes")
    assert code == 0 and "shredded" in said
    assert "shredded" in command("erasure", "list")[1]
    assert command("erasure", "add", str(tmp_path / "none"))[0] == 2
