"""Check that every relative link in Markdown files leads to a file that exists.

Usage: python tools/check_links.py FILE_OR_FOLDER...
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken(file: Path) -> Iterator[str]:
    """Links of one file that lead nowhere."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        for target in LINK.findall(line):
            elsewhere = "://" in target or target.startswith("mailto:")
            if not elsewhere and not (file.parent / target).exists():
                yield f"{file}:{number}: {target} does not exist"


def main(arguments: list[str]) -> None:
    """Print broken links; exit code 1 if there are any."""
    files = [
        file
        for argument in map(Path, arguments)
        for file in (sorted(argument.rglob("*.md")) if argument.is_dir() else [argument])
        if file.exists()
    ]
    found = [problem for file in files for problem in broken(file)]
    sys.stderr.write("".join(f"{problem}\n" for problem in found))
    sys.stderr.write(f"{len(files)} documents, {len(found)} broken links\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
