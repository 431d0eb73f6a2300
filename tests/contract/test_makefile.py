"""The Makefile: the promised targets exist, are explained, and name files that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from nachweis.settings import PACKAGE_ROOT

PROMISED = (
    *("nightly", "test", "up", "down", "lint", "format", "bench", "docs", "clean", "help"),
    *("compose-check", "lock"),
)
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=PACKAGE_ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_target_is_explained_and_help_is_the_default() -> None:
    listed = set(re.findall(r"^  make (\S+)", make(), re.MULTILINE))
    declared = set(
        re.findall(r"^([a-z-]+):", (PACKAGE_ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert set(PROMISED) <= listed
    assert listed == declared


@pytest.mark.parametrize("target", PROMISED)
def test_what_a_target_runs_exists(target: str) -> None:
    commands = make("--dry-run", "--always-make", target)
    for name in re.findall(r"(?<![\w./])((?:tools|bench|tests)/[\w./-]+)", commands):
        if name != "bench/data":
            assert (PACKAGE_ROOT / name).exists(), f"make {target} names {name}"
    for module in re.findall(r"-m (nachweis[\w.]*|demo[\w.]*)", commands):
        base = PACKAGE_ROOT / ("plugins" if module.startswith("nachweis") else "")
        assert (base / module.replace(".", "/")).with_suffix(".py").exists(), module


def test_the_night_can_be_chosen_and_failing_be_asked_for() -> None:
    commands = make("--dry-run", "nightly", "DATE=2026-10-20", "FAIL_ON=high")
    assert "runner nightly --date 2026-10-20 --fail-on high" in commands


def test_continuous_integration_runs_the_same_target() -> None:
    script = PACKAGE_ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "exec make test" in script.read_text()
