"""The import contracts hold for every module: one that is added later cannot be left out."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nachweis.settings import PACKAGE_ROOT

PACKAGE = PACKAGE_ROOT / "plugins" / "nachweis"
COMMAND_LINE = re.compile(r"nachweis\.cli(_[a-z_]+)?")


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*.py")), ids=lambda file: file.name)
def test_nothing_below_imports_the_command_line_which_leaves_the_bridge_alone(file: Path) -> None:
    """The layers name ``cli`` only; the modules that it is divided into come and go."""
    imported = {
        name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    if COMMAND_LINE.fullmatch(f"nachweis.{file.stem}"):
        assert not {name for name in imported if name.startswith("nachweis.airflow_bridge")}
    else:
        assert not set(filter(COMMAND_LINE.fullmatch, imported))


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("cli.py", "import pandas", "Heavy libraries only in engines"),
        ("cli_findings.py", "import boto3", "boto3 only in storage"),
        ("cli_export.py", "from airflow.sdk import dag", "Airflow only in the bridge"),
        ("settings.py", "import duckdb", "Heavy libraries only in engines"),
        ("cli.py", "from nachweis.airflow_bridge import tasks", "Layers: upper may import lower"),
    ],
)
def test_a_forbidden_import_of_the_command_line_is_noticed(
    tmp_path: Path, module: str, line: str, broken: str
) -> None:
    shutil.copy(PACKAGE_ROOT / "pyproject.toml", tmp_path)
    copy = shutil.copytree(
        PACKAGE, tmp_path / "nachweis", ignore=shutil.ignore_patterns("__pycache__")
    )
    changed = copy / module
    changed.write_text(
        f"{changed.read_text('utf-8')}\n\ndef _late() -> None:\n    {line}\n", "utf-8"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{broken} BROKEN" in done.stdout
