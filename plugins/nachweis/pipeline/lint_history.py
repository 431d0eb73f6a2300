"""Activities whose manifest vanished before they ended, by the history that git keeps.

``nachweis lint`` reads no store, so it compares with the versions of the manifests in git, where
they are in a repository. A night compares with its signed records as well, and says in its
statement which activity has gone.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nachweis.pipeline.load import FOLDERS, Loaded, Problem
from nachweis.pipeline.yaml_files import parse_yaml
from nachweis.settings import Settings

_ACTIVITIES = FOLDERS["activities"][0]
_MANIFESTS = ("manifests", "expectations", "controls")
_SECONDS = 60
_OF_A_HOOK = {
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
}


@dataclass(frozen=True, slots=True)
class History:
    """What git knows of the activities of one world folder.

    Attributes:
        blobs: Path relative to the folder, to the object with its newest content.
        whole: Whether nothing older is cut off, as in a shallow copy of a repository.
    """

    blobs: dict[str, str]
    whole: bool


def vanished(settings: Settings, loaded: Loaded) -> Iterator[Problem]:
    """Activities that git remembers, that no file declares and that never ended.

    Args:
        settings: Where the manifests are.
        loaded: What is declared now.

    Yields:
        One problem an activity.
    """
    declared = {key for kind, key in loaded.origins if kind == "activities"}
    for folder in settings.world_folders:
        history = history_of(folder)
        for file, blob in sorted(history.blobs.items()) if history is not None else ():
            name = PurePosixPath(file)
            if name.suffix == ".yaml" and name.stem not in declared and not _ended(folder, blob):
                yield Problem(
                    file,
                    1,
                    "status",
                    "the manifest is gone although its activity has not ended",
                    f"restore it, for example with git show {blob[:12]}, and set status: ended; "
                    "its record stays on file",
                )


def not_compared(settings: Settings) -> list[Path]:
    """World folders with activities of which git knows no, or not the whole, history."""
    found = []
    for folder in settings.world_folders:
        if any((folder / _ACTIVITIES).glob("*.yaml")):
            history = history_of(folder)
            if history is None or not history.whole or not history.blobs:
                found.append(folder)
    return found


def commits_of(settings: Settings) -> tuple[str, ...]:
    """The commits that the manifests came from, so that a change can be followed to who made it.

    Args:
        settings: Where the manifests are.

    Returns:
        One per repository, in the order of the world folders: its commit, with ``+changed`` where
        a file differs from it or is not in it; ``unknown`` for a folder in no repository.
    """
    found: dict[str, None] = {}
    for folder in settings.world_folders:
        commit = (_git(folder, "rev-parse", "--verify", "HEAD") or "").strip()
        if not commit:
            found["unknown"] = None
            continue
        kept = [name for name in _MANIFESTS if (folder / name).exists()]
        changes = _git(folder, "status", "--porcelain", "--", *kept) if kept else ""
        found[commit if changes == "" else f"{commit}+changed"] = None
    return tuple(name for name in found if f"{name}+changed" not in found)


def history_of(folder: Path) -> History | None:
    """Every activity that was ever committed, by its newest content.

    Args:
        folder: A world folder.

    Returns:
        The history, or None if the folder is in no repository that git can read.
    """
    shallow = _git(folder, "rev-parse", "--is-shallow-repository")
    if shallow is None:
        return None
    # Deletions of merges too, against each parent; the newest one of a file comes first.
    gone = _git(
        folder, "log", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=D", "--full-history",
        "-m", "--relative", "--format=", "-z", "--", _ACTIVITIES,
    )  # fmt: skip
    there = _git(folder, "ls-tree", "-r", "-z", "HEAD", "--", _ACTIVITIES)
    if gone is None or there is None:
        return History({}, whole=True)  # no commit yet
    blobs: dict[str, str] = {}
    for entry in filter(None, there.split("\0")):
        facts, _, file = entry.partition("\t")
        blobs[file] = facts.split()[2]
    parts = [part.lstrip("\n") for part in gone.split("\0")]
    for facts, file in zip(parts[::2], parts[1::2], strict=False):
        blobs.setdefault(file, facts.split()[2])
    return History(blobs, whole=shallow.strip() == "false")


def _ended(folder: Path, blob: str) -> bool:
    content = _git(folder, "cat-file", "blob", blob)
    data = parse_yaml((content or "").encode()).data
    return isinstance(data, dict) and data.get("status") == "ended"


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command about the repository around a folder; None if it fails."""
    # A hook's variables may name another repository than the folder's own.
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    command: Sequence[str] = ("git", "-C", str(folder), "--no-optional-locks", *arguments)
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands; a folder and an object's name
            command, capture_output=True, timeout=_SECONDS, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
