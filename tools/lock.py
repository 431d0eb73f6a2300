"""Resolve pyproject.toml into the three lock files, with hashes and without any host name.

Usage: python tools/lock.py [--upgrade]
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"),
    *("--universal", "--generate-hashes", "--no-emit-index-url", "--quiet"),
    *("--python-version", "3.11", "--group", "build", "--custom-compile-command", "make lock"),
]
LOCKS: dict[str, list[str]] = {
    "requirements.lock": [],
    "requirements-dev.lock": ["--group", "dev", "-c", "requirements.lock"],
    "requirements-production.lock": ["--extra", "production", "-c", "requirements.lock"],
}
LEAKS = re.compile(r"://|--index|--extra-index|--find-links|--trusted-host|(?<![\w.-])/\w")


def main(arguments: list[str]) -> None:
    """Write every lock, then refuse one that names a host or a machine's path."""
    for name, extra in LOCKS.items():
        sys.stderr.write(f"resolving {name}\n")
        subprocess.run(
            [*COMPILE, *extra, *arguments, "-o", name],
            cwd=ROOT,
            check=True,
        )
        for number, line in enumerate((ROOT / name).read_text().splitlines(), start=1):
            if LEAKS.search(line):
                sys.exit(f"{name}:{number} names a host or a path")


if __name__ == "__main__":
    main(sys.argv[1:])
