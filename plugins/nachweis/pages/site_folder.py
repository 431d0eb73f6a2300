"""The folder of the site: what is in it, what it was made from, what no page stands behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nachweis.domain.canonical import digest_bytes
from nachweis.domain.errors import NachweisError


class SiteFolder:
    """Files of the site that are written if their bytes differ.

    A page that knows what it is made from is left alone without being rendered, if the file is
    still what was rendered from the same.

    Args:
        folder: The site. A file beside it holds, by page, two digests: of what it was made from and
            of its bytes. It may be deleted at any time.
    """

    def __init__(self, folder: Path) -> None:
        self.written = self.unchanged = self.removed = 0
        self._folder = folder
        self._notes = folder.with_name(f".{folder.name}.json")
        self._known = _read(self._notes)
        self._made: dict[str, list[str]] = {}
        self._here: set[str] = set()

    def keeps(self, path: str, made_from: str) -> bool:
        """Whether a page can be left alone.

        Args:
            path: Path in the site.
            made_from: Digest of what the page is made from, or empty if it is not known.
        """
        known = self._known.get(path)
        if not made_from or known is None or known[0] != made_from:
            return False
        file = self._folder / path
        if not file.is_file() or digest_bytes(file.read_bytes()) != known[1]:
            return False
        self._made[path] = known
        self._here.add(path)
        self.unchanged += 1
        return True

    def put(self, path: str, content: bytes, made_from: str = "") -> None:
        """Write a file, unless these are its bytes.

        Args:
            path: Path in the site.
            content: Its bytes.
            made_from: Digest of what it was made from, or empty.

        Raises:
            NachweisError: If the folder cannot be written.
        """
        self._here.add(path)
        if made_from:
            self._made[path] = [made_from, digest_bytes(content)]
        try:
            if _write(self._folder / path, content):
                self.written += 1
            else:
                self.unchanged += 1
        except OSError as error:
            raise self._refused(error) from error

    def tidy(self) -> None:
        """Remove files that no page stands behind, and note what the pages were made from.

        Raises:
            NachweisError: If the folder cannot be written.
        """
        try:
            for path in sorted(self._folder.rglob("*")):
                if path.is_file() and str(path.relative_to(self._folder)) not in self._here:
                    path.unlink()
                    self.removed += 1
            _write(self._notes, json.dumps(self._made, sort_keys=True).encode())
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> NachweisError:
        return NachweisError(
            f"the site cannot be written ({error.strerror})",
            where=str(self._folder),
            remedy="free space or correct the folder's permissions, then `nachweis site render`",
        )


def _read(path: Path) -> dict[str, list[str]]:
    """What is known about the pages; nothing if the file is missing or not what we wrote."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        path: pair
        for path, pair in found.items()
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
    }


def _write(path: Path, content: bytes) -> bool:
    """Write a file in one step; False if these were its bytes."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
    return True
