"""What the command line writes down about what was taken away, and for how long."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachweis.pipeline.access_log import DailyFile, access, keep_access_log
from nachweis.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = list(access.handlers)
    keep_access_log(Settings(state=tmp_path))
    yield tmp_path / "access"
    access.handlers[:] = before


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_a_line_says_when_who_and_what(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "auditor")
    keep_access_log(Settings(state=folder.parent))
    access.info("export of %s", "record/marketing")
    (line,) = lines(folder)
    at, said = line.split(" ", 1)
    assert abs(dt.datetime.fromisoformat(at) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=10)
    assert said == "auditor export of record/marketing"


def test_nobody_writes_lines_of_their_own(folder: Path) -> None:
    access.info("export of %s", "record/x\n2026-01-01T00:00:00Z somebody read everything")
    assert len(lines(folder)) == 1


def test_one_process_writes_each_line_once_and_only_its_owner_reads_them(folder: Path) -> None:
    keep_access_log(Settings(state=folder.parent))
    access.info("pack")
    assert len(lines(folder)) == 1
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_old_files_are_deleted_and_others_are_left_alone(folder: Path) -> None:
    folder.mkdir()
    today = dt.datetime.now(dt.UTC).date()
    kept, old = today - dt.timedelta(days=90), today - dt.timedelta(days=91)
    for name in (f"{kept}.log", f"{old}.log", "notes.log"):
        (folder / name).write_text("x\n")
    access.info("pack")
    assert {path.name for path in folder.iterdir()} == {f"{kept}.log", f"{today}.log", "notes.log"}


def test_a_folder_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    handler = DailyFile(tmp_path / "taken", "auditor")
    record = logging.LogRecord("nachweis.access", logging.INFO, "", 0, "pack", (), None)
    handler.handle(record)
    assert "taken" in capsys.readouterr().err
