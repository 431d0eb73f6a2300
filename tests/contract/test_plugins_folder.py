"""The plugins folder: Airflow executes one loose file, and that file costs next to nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nachweis.settings import PACKAGE_ROOT

PLUGINS = PACKAGE_ROOT / "plugins"
LOAD = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[1]).resolve()
before = set(sys.modules)
from {manager} import _get_plugins
plugins, errors = _get_plugins()
new = {{name: module for name, module in sys.modules.items() if name not in before}}
print(json.dumps({{
    "loose": sorted(
        name for name, module in new.items()
        if "." not in name
        and Path(getattr(module, "__file__", None) or "/").resolve().is_relative_to(folder)
    ),
    "package": sorted(name for name in new if name.split(".")[0] == "nachweis"),
    "plugins": [plugin.name for plugin in plugins],
    "errors": [str(error) for error in errors.values()],
}}))
"""
CORE = LOAD.format(manager="airflow.plugins_manager")
SDK = LOAD.format(manager="airflow.sdk.plugins_manager")


def load(code: str, folder: Path, home: Path) -> dict[str, list[str]]:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.mark.parametrize("code", [CORE, SDK], ids=["core", "task-sdk"])
def test_only_the_plugin_file_is_loose_and_it_is_light(code: str, tmp_path: Path) -> None:
    found = load(code, PLUGINS, tmp_path)
    assert found["loose"] == ["governance_site_plugin"]
    assert found["errors"] == []
    assert "governance_site" in found["plugins"]
    assert found["package"] == [], "every Airflow process would import the package"


def test_without_the_ignore_file_the_package_would_be_executed_twice(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    shutil.copytree(PLUGINS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".airflowignore").unlink()
    found = load(CORE, folder, tmp_path / "home")
    assert len(found["loose"]) > 1


def test_nothing_else_lies_loose_beside_the_package() -> None:
    visible = {path.name for path in PLUGINS.iterdir() if not path.name.startswith("__")}
    assert visible == {".airflowignore", "governance_site_plugin.py", "nachweis"}
