"""The environment script: pure parts, and that it stays within the standard library."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nachweis.settings import PACKAGE_ROOT

SCRIPT = PACKAGE_ROOT / "tools" / "environment.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    (tmp_path / ".venv").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.ruff]\n')
    for lock in module.LOCKS.values():
        (tmp_path / lock).write_text("a==1\n")
    return module


def test_it_needs_nothing_but_the_standard_library() -> None:
    names = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names <= sys.stdlib_module_names


def test_nothing_is_installed_while_lock_and_project_are_unchanged(
    script: ModuleType, tmp_path: Path
) -> None:
    assert not script.is_current("runtime")
    script.stamp_file("runtime").write_text(script.wanted("runtime"))
    assert script.is_current("runtime")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.ruff]\nx = 1\n')
    assert script.is_current("runtime"), "a linter's setting is no reason to install"
    (tmp_path / "requirements.lock").write_text("a==2\n")
    assert not script.is_current("runtime")


def test_a_changed_project_is_installed_anew(script: ModuleType, tmp_path: Path) -> None:
    script.stamp_file("dev").write_text(script.wanted("dev"))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "2"\n')
    assert not script.is_current("dev")


def test_the_wider_environment_serves_the_narrower_need(script: ModuleType) -> None:
    script.stamp_file("dev").write_text(script.wanted("dev"))
    assert script.is_current("runtime")
    assert not script.is_current("production")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "0 of 3 fetched"),
        (["Collecting a==1\n", "  Downloading a\n", "Collecting b\n"], "2 of 3 fetched"),
        (["Requirement already satisfied: a\n"] * 5, "3 of 3 fetched"),
        (["Collecting a==1\n", "Installing collected packages: a\n"], "unpacking"),
    ],
)
def test_progress_is_told_from_what_pip_prints(
    script: ModuleType, lines: list[str], said: str
) -> None:
    assert script.how_far(lines, 3) == said
