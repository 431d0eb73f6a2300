"""The lock files: every package pinned and hashed, and no host or machine named."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nachweis.settings import PACKAGE_ROOT

LOCKS = sorted(PACKAGE_ROOT.glob("requirements*.lock"))
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", re.MULTILINE)


def pins(lock: str) -> set[tuple[str, str]]:
    return set(PIN.findall((PACKAGE_ROOT / lock).read_text()))


def test_there_is_a_lock_for_each_environment() -> None:
    assert [lock.name for lock in LOCKS] == [
        "requirements-dev.lock",
        "requirements-production.lock",
        "requirements.lock",
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_has_hashes(lock: object) -> None:
    text = (PACKAGE_ROOT / str(lock)).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) > 100
    for block in blocks:
        assert PIN.match(block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_host_and_no_path_is_named(lock: object) -> None:
    text = (PACKAGE_ROOT / str(lock)).read_text()
    assert "://" not in text
    assert not re.search(r"--(extra-)?index|--find-links|--trusted-host", text)
    assert not re.search(r"(^|\s)/\w", text)


@pytest.mark.parametrize("wider", ["requirements-dev.lock", "requirements-production.lock"])
def test_the_wider_locks_hold_the_same_versions(wider: str) -> None:
    assert pins("requirements.lock") <= pins(wider)


def test_what_is_built_here_can_be_built_without_the_network() -> None:
    names = {name for name, _ in pins("requirements.lock")}
    assert {"hatchling", "editables"} <= names


@pytest.mark.parametrize(
    ("lock", "table"),
    [
        ("requirements.lock", "dependencies"),
        ("requirements-dev.lock", "dev"),
        ("requirements-production.lock", "production"),
    ],
)
def test_the_lock_answers_what_the_project_asks_for(lock: str, table: str) -> None:
    content = tomllib.loads((PACKAGE_ROOT / "pyproject.toml").read_text())
    asked = {
        "dependencies": content["project"]["dependencies"],
        "dev": content["dependency-groups"]["dev"],
        "production": content["project"]["optional-dependencies"]["production"],
    }[table]
    locked = dict(pins(lock))
    for line in asked:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not locked: run make lock"
        assert requirement.specifier.contains(locked[name], prereleases=True), name
